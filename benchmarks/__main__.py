"""``python -m benchmarks``: all of them, one after the other, and what they say on standard output and in a file.

Each is a program of its own, with options of its own: ``python -m benchmarks.exchange --help``.
"""

import argparse
import subprocess
import sys
from pathlib import Path

PARTS = ("exchange", "proxied", "memory", "startup", "cluster")
QUICK = {
    "exchange": ["--quick"],
    "proxied": ["--rounds=2", "--requests=1000"],
    "memory": ["--exchanges=20000"],
    "startup": ["--starts=3"],
    "cluster": ["--namespaces=100", "--pods=1000", "--questions=100"],
}


def main() -> int:
    """Run from the command line; the exit code is that of the first part that fails."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="a minute's worth: to see that all of it works")
    parser.add_argument("--output", type=Path, help="write what they say to this file as well")
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}: choose from {', '.join(PARTS)}")
    said: list[str] = []
    for part in options.parts or PARTS:
        print(f"# {part}\n", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{part}", *(QUICK[part] if options.quick else [])]
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        print(ended.stdout, flush=True)
        if ended.returncode:
            return ended.returncode
        said.append(f"# {part}\n\n{ended.stdout}")
    if options.output is not None:
        options.output.write_text("\n".join(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
