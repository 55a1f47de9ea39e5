"""Coverage-guided runs of one target, by atheris (libFuzzer): ``python -m fuzz TARGET [libFuzzer's options] [corpus...]``.

Without a target it prints their names.
"""

import logging
import sys

import atheris

with atheris.instrument_imports(include=["haproxy_telemetry_agent"]):
    from fuzz.targets import TARGETS


def main() -> None:
    """Run until something is found, or for as long as ``-max_total_time`` says."""
    if len(sys.argv) < 2:
        print(*TARGETS)  # noqa: T201
        return
    if sys.argv[1] not in TARGETS:
        sys.exit(f"{sys.argv[1]} is no target: {', '.join(TARGETS)}")
    target = TARGETS[sys.argv.pop(1)]
    # What is logged of bad input is of no interest here, and slow.
    logging.disable(logging.CRITICAL)
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
