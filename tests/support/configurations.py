"""Configurations of plain HAProxies: what users write, and each trap that is known for whoever inserts lines into it.

They lie in `tests/configurations/`, a file each, or a folder of the files of one in their order. They are written for `haproxy -c`:
nobody listens on their ports. The comments at the top of each say what is known of it:

    # expected: web traced                a section's name (- if it has none), and what the rewriter makes of it: traced,
    # expected: other ModeUnknown         or the code of the reason why it does not
    # problem: NoLineFeed                 the code of the problem for which it rewrites nothing
    # environment: PORT=8080              a variable that HAProxy gets
    # since: 3.1                          the first HAProxy that takes it; 2.6 if nothing is said
    # broken                              no HAProxy takes it
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CONFIGURATIONS", "FILES", "TRACED", "Configuration"]

TRACED = "traced"

FILES = {
    "waf.cfg": """\
[waf]
spoe-agent waf
    messages check
    timeout hello 1s
    timeout idle 1s
    timeout processing 1s
    use-backend waf
spoe-message check
    args path=path
    event on-frontend-http-request
""",
}
"""Files that some of them need beside them."""

_FOLDER = Path(__file__).resolve().parents[1] / "configurations"
_HEADER = re.compile(r"# (expected|problem|environment|since|broken)(?:: (.*))?")


@dataclass(frozen=True, slots=True)
class Configuration:
    """The files of one, in order, and what is known of it."""

    texts: tuple[str, ...]
    sections: Mapping[str, str]
    """What becomes of each section by its name: TRACED, or the code of the reason why not."""
    problem: str | None
    environment: Mapping[str, str]
    since: tuple[int, int]
    broken: bool

    def is_valid_for(self, version: str) -> bool:
        """Whether an HAProxy of a version, such as 2.8.25, takes it as it is."""
        major, minor = version.split(".")[:2]
        return not self.broken and (int(major), int(minor.partition("-")[0])) >= self.since


def _read(path: Path) -> Configuration:
    paths = sorted(path.iterdir()) if path.is_dir() else [path]
    texts = tuple(path.read_bytes().decode("utf-8", "surrogateescape") for path in paths)
    known: dict[str, list[str]] = {}
    for line in texts[0].split("\n"):
        header = _HEADER.fullmatch(line.strip())
        if header is None:
            break
        known.setdefault(header[1], []).append(header[2] or "")
    sections = dict(text.rsplit(" ", 1) for text in known.get("expected", ()))
    major, _, minor = known.get("since", ["2.6"])[0].partition(".")
    return Configuration(
        texts,
        {"" if name == "-" else name: what for name, what in sections.items()},
        known.get("problem", [None])[0],
        dict(text.split("=", 1) for text in known.get("environment", ())),
        (int(major), int(minor)),
        "broken" in known,
    )


CONFIGURATIONS: dict[str, Configuration] = {path.stem: _read(path) for path in sorted(_FOLDER.iterdir())}
