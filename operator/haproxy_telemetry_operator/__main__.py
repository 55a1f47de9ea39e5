"""``python -m haproxy_telemetry_operator``: the same program as ``haproxy-telemetry-operator``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
