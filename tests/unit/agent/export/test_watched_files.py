"""Files that somebody else replaces."""

import os
from pathlib import Path

import pytest

from haproxy_telemetry_agent.export.watched_files import WatchedFiles


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("one")
    return path


def test_nothing_happens_nothing_is_told(path: Path) -> None:
    watched = WatchedFiles([str(path)])
    assert [watched.changed(), watched.changed()] == [False, False]


def test_another_content_is_told_once(path: Path) -> None:
    watched = WatchedFiles([str(path)])
    path.write_text("longer")
    assert [watched.changed(), watched.changed()] == [True, False]


def test_a_file_of_the_same_size_and_time_in_its_place(path: Path) -> None:
    watched = WatchedFiles([str(path)])
    status = path.stat()
    other = path.with_name("other")
    other.write_text("two")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)
    assert watched.changed()


def test_gone_and_back(path: Path) -> None:
    watched = WatchedFiles([str(path)])
    path.unlink()
    assert [watched.changed(), watched.changed()] == [True, False]
    path.write_text("one")
    assert [watched.changed(), watched.changed()] == [True, False]


def test_one_of_several(path: Path, tmp_path: Path) -> None:
    watched = WatchedFiles([str(tmp_path / "none"), str(path)])
    path.write_text("longer")
    assert watched.changed()


def test_the_swap_of_a_kubernetes_volume(tmp_path: Path) -> None:
    """``..data`` is a symbolic link to a folder, the file's own link goes through it."""
    for version in ("..1", "..2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "token").write_text(version)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "token").symlink_to("..data/token")
    watched = WatchedFiles([str(tmp_path / "token")])
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert watched.changed()
