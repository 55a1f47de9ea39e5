"""What the program does before any file is looked at, and what it does when something fails that never should; real HAProxies see
the rest in tests/integration/test_pod_rewriting.py.
"""

from pathlib import Path

import pytest

from haproxy_telemetry_operator import pod_rewriting
from haproxy_telemetry_operator.pod_mounts import Mount
from haproxy_telemetry_operator.pod_rewriting import rewrite_pod
from haproxy_telemetry_operator.tree_copy import CopyError

USUAL = "defaults\n    mode http\n    option httplog\nfrontend web\n    bind 127.0.0.1:8080\n"
PLAN = '{"frontend": "http-request set-header x y", "sections": "ring ours"}'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.cfg").write_text(USUAL)
    (tmp_path / "source" / "b.cfg").write_text(USUAL.replace("web", "other"))
    (tmp_path / "plan").write_text(PLAN)
    return tmp_path / "source"


@pytest.fixture
def mount(source: Path) -> Mount:
    return Mount.of("/etc/haproxy", str(source), f"{source.parent}/volume")


def content(mount: Mount) -> dict[str, str]:
    return {path.name: path.read_text() for path in Path(mount.destination).iterdir() if path.is_file()}


def originals(source: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in source.iterdir()}


def test_originals_lie_beside_what_was_rewritten(source: Path, mount: Mount) -> None:
    report = rewrite_pod(source.parent / "plan", [mount], ["/etc/haproxy"])
    assert report.rewritten == ("/etc/haproxy/a.cfg", "/etc/haproxy/b.cfg")
    state = Path(mount.destination) / ".haproxy-telemetry"
    assert (state / "rewritten").read_text() == "a.cfg\nb.cfg\n"
    assert [(state / "originals" / name).read_text() for name in ("0", "1")] == [
        originals(source)[name] for name in ("a.cfg", "b.cfg")
    ]
    assert sorted(path.name for path in state.iterdir()) == ["originals", "rewritten"]
    for name, text in content(mount).items():
        assert "http-request set-header x y" in text
        assert (Path(mount.destination) / name).stat().st_mode & 0o777 == 0o666
        assert (Path(mount.destination) / name).stat().st_mtime_ns == (source / name).stat().st_mtime_ns


def test_a_mistake_of_ours_leaves_the_copy(source: Path, mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("nobody knows")

    monkeypatch.setattr(pod_rewriting, "rewrite", fail)
    report = rewrite_pod(source.parent / "plan", [mount], ["/etc/haproxy"])
    assert report.reason == "InternalError"
    assert "ZeroDivisionError: nobody knows" in report.message
    assert content(mount) == originals(source)


@pytest.mark.parametrize("fails", ["hardlink_to", "write_bytes", "replace"])
def test_all_files_are_rewritten_or_none(source: Path, mount: Mount, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    original = getattr(Path, fails)
    calls: list[Path] = []

    def fail_once(self: Path, *arguments: object) -> object:
        calls.append(self)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return original(self, *arguments)

    monkeypatch.setattr(Path, fails, fail_once)
    report = rewrite_pod(source.parent / "plan", [mount], ["/etc/haproxy"])
    assert (report.reason, report.rewritten) == ("DiskFull", ())
    assert content(mount) == originals(source)
    assert not (Path(mount.destination) / ".haproxy-telemetry" / "rewritten").exists()


def test_a_configuration_file_that_may_not_be_read(source: Path, mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    real_open = Path.open

    def refuse(self: Path, mode: str = "r", *arguments: int) -> object:
        if self.parent.name == "volume" and mode == "rb":
            raise PermissionError(13, "Permission denied")
        return real_open(self, mode, *arguments)

    monkeypatch.setattr(Path, "open", refuse)
    report = rewrite_pod(source.parent / "plan", [mount], ["/etc/haproxy/a.cfg"])
    assert (report.reason, "a.cfg: Permission denied" in report.message) == ("FileUnreadable", True)


def test_links_that_lead_out_of_the_volume(source: Path, mount: Mount) -> None:
    (source / "c.cfg").symlink_to("/etc/nowhere.cfg")
    (source / "d").symlink_to("/etc/hostname")
    for path in ("/etc/haproxy", "/etc/haproxy/c.cfg", "/etc/haproxy/d"):
        assert rewrite_pod(source.parent / "plan", [mount], [path]).reason == "FileOutOfReach"


def test_a_file_given_through_kubernetes_own_link(source: Path, mount: Mount) -> None:
    (source / "..data").symlink_to("..1")
    (source / "..1").mkdir()
    (source / "..1" / "c.cfg").write_text(USUAL)
    report = rewrite_pod(source.parent / "plan", [mount], ["/etc/haproxy/..data/c.cfg"])
    assert report.rewritten == ("/etc/haproxy/..data/c.cfg",)


def test_a_volume_that_can_not_be_written_to(source: Path) -> None:
    with pytest.raises(CopyError, match="/proc/volume can't be written to: "):
        rewrite_pod(source.parent / "plan", [Mount.of("/a", str(source), "/proc/volume")], ["/a/a.cfg"])


def test_an_earlier_copy_of_a_single_file_is_replaced(source: Path) -> None:
    mount = Mount.of("/a.cfg", f"{source}/a.cfg", f"{source.parent}/volume")
    for text in (USUAL, "# nothing\n"):
        (source / "a.cfg").write_text(text)
        report = rewrite_pod(source.parent / "plan", [mount], ["/a.cfg"])
    assert report.rewritten == ()
    assert (Path(mount.destination) / "a.cfg").read_text() == "# nothing\n"
