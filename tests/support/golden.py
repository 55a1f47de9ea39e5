"""Golden files: what HAProxy and the agent make of an exchange, as text, so that a change of it is seen, and read, in review.

`<name>.txt` holds for every HAProxy but those that differ and so have a `<name>.<major>.<minor>.txt` beside it. With
`REWRITE_GOLDEN=1` in the environment files are written instead: `<name>.txt` by HAProxy 2.8, those of other versions only where
they differ from it. Run it twice, since other versions may come before 2.8; look at the difference before it is committed.
"""

import os
import re
from pathlib import Path

__all__ = ["BASE_VERSION", "assert_golden", "assert_text", "slug"]

BASE_VERSION = (2, 8)
_NO_LETTER = re.compile(r"[^a-z0-9]+")


def slug(name: str) -> str:
    """A row's name as the name of a file."""
    return _NO_LETTER.sub("-", name.lower()).strip("-")


def assert_golden(folder: Path, name: str, version: tuple[int, int], text: str, *, rewrite: bool | None = None) -> None:
    """Compares a text with the golden file of that name in that folder; by default the environment says whether to rewrite it."""
    base, own = folder / f"{name}.txt", folder / f"{name}.{version[0]}.{version[1]}.txt"
    if bool(os.environ.get("REWRITE_GOLDEN")) if rewrite is None else rewrite:
        _write(base, own, version, text)
    expected = own if own.exists() else base
    assert expected.exists(), f"{base} is missing: REWRITE_GOLDEN=1 writes it"
    assert text == expected.read_text(), f"not as in {expected}; where a version does differ, {own.name} says so"


def _write(base: Path, own: Path, version: tuple[int, int], text: str) -> None:
    base.parent.mkdir(parents=True, exist_ok=True)
    if version == BASE_VERSION:
        base.write_text(text)
    if base.exists() and text == base.read_text():
        own.unlink(missing_ok=True)
    else:
        own.write_text(text)


def assert_text(path: Path, text: str, *, rewrite: bool | None = None) -> None:
    """Compares a text with one golden file; by default the environment says whether to rewrite it."""
    if bool(os.environ.get("REWRITE_GOLDEN")) if rewrite is None else rewrite:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()
