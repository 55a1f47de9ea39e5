import os
import socket
import stat
from pathlib import Path

import pytest

from haproxy_telemetry_operator.tree_copy import Bounds, CopyError, TreeCopy, remove


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def config_map(folder: Path, files: dict[str, str], version: str = "..2026_11_24") -> None:
    """As the kubelet lays one out."""
    for name, text in files.items():
        path = folder / version / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    data = folder / "..data"
    data.unlink(missing_ok=True)
    data.symlink_to(version)
    for name in {name.split("/")[0] for name in files}:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")


def tree(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*"))
    return {
        str(path.relative_to(folder)): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
        for path in paths
        if path.is_symlink() or path.is_file()
    }


def test_the_links_of_a_config_map_are_followed(source: Path, target: Path) -> None:
    config_map(source, {"haproxy.cfg": "a\n", "maps/hosts.map": "b\n"})
    TreeCopy(source, target).run()
    assert tree(target) == {"haproxy.cfg": "a\n", "maps/hosts.map": "b\n"}
    assert sorted(path.name for path in target.iterdir()) == ["haproxy.cfg", "maps"]


def test_what_haproxy_is_given_through_such_a_link_is_there(source: Path, target: Path) -> None:
    config_map(source, {"haproxy.cfg": "a\n"})
    TreeCopy(source, target, frozenset(["..data"])).run()
    assert tree(target) == {"..data/haproxy.cfg": "a\n", "haproxy.cfg": "a\n"}


def test_links_that_leave_the_tree_or_go_round_stay_links(source: Path, target: Path) -> None:
    (source / "folder").mkdir()
    (source / "folder" / "file").write_text("x")
    (source / "host").symlink_to("/etc/hostname")
    (source / "gone").symlink_to("nowhere")
    (source / "folder" / "up").symlink_to("..")
    (source / "self").symlink_to("self")
    (source / "twice").symlink_to("folder")
    TreeCopy(source, target).run()
    assert tree(target) == {
        "folder/file": "x",
        "folder/up": "-> ..",
        "gone": "-> nowhere",
        "host": "-> /etc/hostname",
        "self": "-> self",
        "twice/file": "x",
        "twice/up": "-> ..",
    }


def test_modes_and_times_are_kept(source: Path, target: Path) -> None:
    (source / "folder").mkdir()
    for path, mode in ((source / "folder" / "script", 0o750), (source / "folder", 0o711)):
        if path.name == "script":
            path.write_bytes(bytes(range(256)) * 10_000)
        path.chmod(mode)
        os.utime(path, ns=(1_000_000_001, 2_000_000_002))
    TreeCopy(source, target).run()
    for name in ("folder/script", "folder"):
        before, after = (source / name).stat(), (target / name).stat()
        assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert (target / "folder/script").read_bytes() == (source / "folder/script").read_bytes()


def test_whose_owner_can_not_be_given_away_is_readable_for_all(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "chown", refuse)
    (source / "folder").mkdir()
    (source / "folder" / "secret").write_text("x")
    (source / "folder" / "secret").chmod(0o600)
    (source / "folder").chmod(0o500)
    TreeCopy(source, target).run()
    assert stat.S_IMODE((target / "folder" / "secret").stat().st_mode) == 0o644
    assert stat.S_IMODE((target / "folder").stat().st_mode) == 0o755


def test_sockets_and_fifos_are_left_out(source: Path, target: Path) -> None:
    os.mkfifo(source / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "socket"))
    (source / "file").write_text("x")
    copy = TreeCopy(source, target)
    copy.run()
    assert (tree(target), copy.left_out) == ({"file": "x"}, 2)


def test_a_single_file(source: Path, target: Path) -> None:
    (source / "haproxy.cfg").write_text("a\n")
    TreeCopy(source / "haproxy.cfg", target / "other.cfg").run()
    assert tree(target) == {"other.cfg": "a\n"}


@pytest.mark.parametrize(
    ("bounds", "complaint"),
    [
        (Bounds(entries=3), "has more than 3 files"),
        (Bounds(depth=1), "has folders within more than 1 others"),
        (Bounds(total_bytes=1 << 20), "has more than 1 MiB"),
    ],
)
def test_too_much_is_refused(source: Path, target: Path, bounds: Bounds, complaint: str) -> None:
    (source / "a" / "b").mkdir(parents=True)
    (source / "a" / "b" / "file").write_text("x")
    (source / "large").write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(CopyError, match=complaint):
        TreeCopy(source, target, bounds=bounds).run()


def test_a_config_map_that_changes_meanwhile_is_copied_again(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config_map(source, {"a.cfg": "old", "b.cfg": "old"})
    (target / "state").mkdir()
    copied: list[str] = []
    original = TreeCopy._file

    def with_change(self: TreeCopy, path: Path, to: Path, status: os.stat_result) -> None:
        original(self, path, to, status)
        copied.append(to.name)
        if copied == ["a.cfg"]:
            config_map(source, {"a.cfg": "new", "b.cfg": "new"}, "..2026_11_25")

    monkeypatch.setattr(TreeCopy, "_file", with_change)
    TreeCopy(source, target, kept=target / "state").run()
    assert (target / "state").is_dir()
    assert tree(target) == {"a.cfg": "new", "b.cfg": "new"}
    assert copied == ["a.cfg", "b.cfg"] * 2


def test_what_is_not_there(source: Path, target: Path) -> None:
    with pytest.raises(CopyError, match="is not there"):
        TreeCopy(source / "none", target / "none").run()
    assert tree(target) == {}


@pytest.mark.parametrize(
    ("error", "complaint"),
    [
        (PermissionError(13, "Permission denied", "/x"), "/x: not allowed for uid"),
        (OSError(28, "No space left on device"), "can't be copied to .*: No space left on device"),
        (RuntimeError("Symlink loop"), "can't be copied: Symlink loop"),
    ],
)
def test_what_can_not_be_copied(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, complaint: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    (source / "file").write_text("x")
    monkeypatch.setattr(TreeCopy, "_file", fail)
    with pytest.raises(CopyError, match=complaint) as caught:
        TreeCopy(source, target).run()
    assert "\n" not in str(caught.value)


def test_removing_follows_no_link(source: Path, target: Path) -> None:
    (source / "file").write_text("x")
    (target / "below").mkdir()
    (target / "below" / "link").symlink_to(source)
    remove(target / "below")
    assert (tree(source), tree(target)) == ({"file": "x"}, {})
