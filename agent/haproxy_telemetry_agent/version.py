"""The version of the distribution, in one place: packaging, the CLI and the instrumentation scope all read it here."""

VERSION = "0.1.0"
