"""What the agent costs, measured beside what it is compared with, in one run; see ``README.md``."""
