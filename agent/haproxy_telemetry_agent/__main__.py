"""``python -m haproxy_telemetry_agent``: the same program as ``haproxy-telemetry-agent``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
