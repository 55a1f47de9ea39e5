"""Pod rewriting: what an init container does before a plain HAProxy starts.

The volumes that HAProxy's configuration lies on have each been replaced by an empty one at the same path, so arguments, map files
and certificates are found where they were. Here every file is copied from the old to the new, and then the configuration files
are rewritten. Whatever goes wrong behind the copy, and whatever is in doubt, leaves the copy: each file byte for byte as it was.

What was rewritten has its original beside it, for the check that HAProxy's own image makes afterwards (``pod_check``).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .pod_check import ORIGINALS_FOLDER, REWRITTEN_LIST, STATE_FOLDER
from .pod_mounts import Mount, Place, place_of
from .rewrite_plan import RewritePlan, RewritePlanError
from .rewrite_report import Doubt, RewriteReport
from .rewriter import rewrite
from .tree_copy import Bounds, CopyError, TreeCopy, remove

__all__ = ["rewrite_pod"]

_MAX_CONFIGURATION_BYTES = 8 << 20
_WRITABLE_BY_ALL = 0o666
"""Who checks a rewritten file, and may have to put the original back, is not who rewrote it."""


class _DoubtError(Exception):
    def __init__(self, doubt: Doubt, detail: str = "") -> None:
        super().__init__(doubt, detail)
        self.doubt = doubt
        self.detail = detail


@dataclass(frozen=True, slots=True)
class _File:
    """A configuration file."""

    path: str
    """In HAProxy's container."""
    volume: Path
    """The volume that its copy is in."""
    copy: Path
    data: bytes


def rewrite_pod(plan_path: Path, mounts: Sequence[Mount], paths: Sequence[str], bounds: Bounds | None = None) -> RewriteReport:
    """Copies all mounts and rewrites what HAProxy is given with ``-f``, in that order: files or folders.

    Raises CopyError if there can't be a complete copy, and nothing else.
    """
    for mount in mounts:
        _copy(mount, _hidden(mount, mounts, paths), bounds or Bounds())
    try:
        return _rewrite(plan_path, mounts, paths)
    except _DoubtError as error:
        return RewriteReport.left_alone(error.doubt, error.detail)
    except Exception as error:  # noqa: BLE001 - a mistake of ours must not keep HAProxy from its start
        return RewriteReport.left_alone(Doubt.INTERNAL_ERROR, f"{type(error).__name__}: {error}")


def _hidden(mount: Mount, mounts: Sequence[Mount], paths: Sequence[str]) -> frozenset[str]:
    """What HAProxy is given through one of Kubernetes' own links."""
    places = (place_of(mounts, path) for path in paths)
    return frozenset(place.below.parts[0] for place in places if place is not None and place.mount == mount and place.below.parts)


def _copy(mount: Mount, hidden: frozenset[str], bounds: Bounds) -> None:
    source, volume = Path(mount.source), Path(mount.destination)
    state = volume / STATE_FOLDER
    try:
        if not volume.is_dir():
            volume.mkdir(parents=True)
            volume.chmod(0o777)
        if state.is_dir():  # an earlier run's, which may have been cut off
            for path in volume.iterdir():
                if path != state:
                    remove(path)
            remove(state)
        target = volume if source.is_dir() else volume / mount.path.name
        copy = TreeCopy(source, target, hidden, bounds, kept=state)
        state.mkdir()
        state.chmod(0o777)
    except OSError as error:
        raise CopyError(f"{volume} can't be written to: {error.strerror or error}") from None
    copy.run()


def _rewrite(plan_path: Path, mounts: Sequence[Mount], paths: Sequence[str]) -> RewriteReport:
    try:
        plan = RewritePlan.parse(plan_path.read_bytes())
    except FileNotFoundError:
        raise _DoubtError(Doubt.PLAN_MISSING) from None
    except (OSError, RewritePlanError) as error:
        raise _DoubtError(Doubt.PLAN_UNREADABLE, str(error)) from None
    files = _read(mounts, paths)
    texts = [file.data.decode("utf-8", "surrogateescape") for file in files]
    rewriting = rewrite(texts, plan.insertions, plan.selection)
    changed = [
        (file, text.encode("utf-8", "surrogateescape"))
        for file, text, before in zip(files, rewriting.texts, texts, strict=True)
        if text != before
    ]
    if rewriting.problem is not None:
        changed = []
    try:
        _write(changed)
    except OSError as error:
        raise _DoubtError(Doubt.DISK_FULL, error.strerror or str(error)) from None
    return RewriteReport.of(rewriting, [file.path for file in files], [file.path for file, _ in changed])


def _read(mounts: Sequence[Mount], paths: Sequence[str]) -> list[_File]:
    """All configuration files, in the order in which HAProxy reads them."""
    files: list[_File] = []
    left_bytes = _MAX_CONFIGURATION_BYTES
    for path in paths:
        place = place_of(mounts, path)
        if place is None:
            raise _DoubtError(Doubt.FILE_OUT_OF_REACH, path)
        copy = _copy_of(place)
        for name, file in _files(path, copy):
            if "\n" in name:
                raise _DoubtError(Doubt.FILE_NAME, name.replace("\n", "?"))
            real = file.resolve()
            if not real.is_relative_to(Path(place.mount.destination).resolve()):
                raise _DoubtError(Doubt.FILE_OUT_OF_REACH, name)
            if any(other.copy == real for other in files):
                raise _DoubtError(Doubt.FILE_GIVEN_TWICE, name)
            try:
                with real.open("rb") as reader:
                    data = reader.read(left_bytes + 1)
            except OSError as error:
                raise _DoubtError(Doubt.FILE_UNREADABLE, f"{name}: {error.strerror}") from None
            left_bytes -= len(data)
            if left_bytes < 0:
                raise _DoubtError(Doubt.TOO_LARGE, f"more than {_MAX_CONFIGURATION_BYTES >> 20} MiB")
            files.append(_File(name, Path(place.mount.destination).resolve(), real, data))
    if not files:
        raise _DoubtError(Doubt.NO_FILES)
    return files


def _copy_of(place: Place) -> Path:
    volume = Path(place.mount.destination)
    if Path(place.mount.source).is_dir():
        return volume / place.below
    return volume / place.mount.path.name


def _files(path: str, copy: Path) -> list[tuple[str, Path]]:
    """A file, or those of a folder that HAProxy reads: ``*.cfg`` in the order of their bytes, none that is hidden.

    Source: HAProxy doc/management.txt, 3 "Starting HAProxy", ``-f``.
    """
    if copy.is_symlink() and not copy.exists():
        raise _DoubtError(Doubt.FILE_OUT_OF_REACH, path)
    if not copy.is_dir():
        if not copy.exists():
            raise _DoubtError(Doubt.FILE_MISSING, path)
        return [(path, copy)]
    found: list[tuple[str, Path]] = []
    for file in sorted(copy.iterdir(), key=lambda file: os.fsencode(file.name)):
        if file.name.startswith(".") or not file.name.endswith(".cfg"):
            continue
        name = str(PurePosixPath(path) / file.name)
        if file.is_symlink() and not file.exists():
            raise _DoubtError(Doubt.FILE_OUT_OF_REACH, name)
        if file.is_file():
            found.append((name, file))
    return found


def _write(changed: Sequence[tuple[_File, bytes]]) -> None:
    """Writes all or nothing: first everything that needs room, then only names change."""
    made: list[Path] = []
    renamed: list[tuple[Path, Path]] = []
    lists: dict[Path, list[Path]] = {}
    steps: list[tuple[Path, Path, Path]] = []
    try:
        for file, data in changed:
            state = file.volume / STATE_FOLDER
            names = lists.setdefault(state, [])
            originals = state / ORIGINALS_FOLDER
            if not names:
                originals.mkdir(exist_ok=True)
                originals.chmod(0o755)
            original, new = originals / str(len(names)), state / f"new-{len(names)}"
            status = file.copy.stat()
            made += [original, new]
            new.write_bytes(data)
            new.chmod(status.st_mode & 0o777 | _WRITABLE_BY_ALL)
            os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
            names.append(file.copy.relative_to(file.volume))
            steps.append((file.copy, original, new))
        for state, names in lists.items():
            made.append(state / REWRITTEN_LIST)
            made[-1].write_bytes(b"".join(os.fsencode(name) + b"\n" for name in names))
            made[-1].chmod(0o644)
        for copy, original, new in steps:
            original.hardlink_to(copy)
            new.replace(copy)
            renamed.append((copy, original))
    except BaseException:
        for copy, original in renamed:
            original.replace(copy)
        for path in made:
            path.unlink(missing_ok=True)
        raise
