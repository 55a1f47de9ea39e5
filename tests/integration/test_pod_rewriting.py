"""A plain HAProxy's pod: its configuration is copied and rewritten by the program, checked by a real HAProxy in a shell, and run.
Whatever goes wrong on the way, HAProxy finds each file byte for byte as it was.
"""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from haproxy_telemetry_agent.wiring import Plan, render_spoe
from haproxy_telemetry_operator.rewrite_plan import RewritePlan
from haproxy_telemetry_operator.rewriter import Selection
from support.agent import Agent
from support.configurations import CONFIGURATIONS, FILES, Configuration
from support.haproxies import FoundHAProxy
from support.haproxy import HAProxy
from support.otlp_sink import OtlpSink
from support.pod import Pod, config_map
from support.ports import ADDRESS, free_port
from support.raw_client import request_head, single_request
from support.upstream import Upstream

DEFAULTS = b"defaults\n    mode http\n    option httplog\n    timeout connect 1s\n    timeout client 3s\n    timeout server 3s\n"
WEB = b"frontend web\n    bind 127.0.0.1:8080\n    default_backend app\nbackend app\n    server app1 127.0.0.1:1\n"
USUAL = DEFAULTS + WEB
OTHER = b"frontend other\n    bind 127.0.0.1:8081\n    default_backend app\n"


def write_plan(pod: Pod, selection: Selection | None = None, *, spoils: str = "") -> None:
    """`spoils` is a line that does not belong there."""
    spoe = pod.folder / "spoe.cfg"
    spoe.write_text(render_spoe(Plan()))
    plan = RewritePlan.of_plan(Plan(spoe_path=str(spoe)), selection or Selection())
    document = json.loads(plan.render())
    document["frontend"] += spoils
    pod.plan.write_text(json.dumps(document))


def usual_pod(folder: Path, files: dict[str, bytes] | None = None, paths: tuple[str, ...] = ("0/haproxy.cfg",)) -> Pod:
    source = config_map(folder / "source", files or {"haproxy.cfg": USUAL})
    return Pod(folder, [source], paths)


def is_traced(data: bytes) -> bool:
    return b"filter spoe engine haproxy-telemetry" in data


def without_ours(data: bytes) -> bytes:
    """What stays when each block between markers is taken out."""
    kept, within = [], False
    for line in data.splitlines(keepends=True):
        within = within or line.strip().startswith(b"# >>> haproxy-telemetry")
        if not within:
            kept.append(line)
        within = within and line.strip() != b"# <<< haproxy-telemetry"
    return b"".join(kept)


def test_a_config_map(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    pod = usual_pod(tmp_path, {"haproxy.cfg": USUAL, "maps/hosts.map": b"a b\n"})
    write_plan(pod)
    report = pod.rewritten()
    assert (report["rewritten"], report["traced"], "reason" in report) == (pod.paths, 1, False)
    content = pod.content()
    assert sorted(content) == ["haproxy.cfg", "maps/hosts.map"]
    assert content["maps/hosts.map"] == b"a b\n"
    assert is_traced(content["haproxy.cfg"])
    assert without_ours(content["haproxy.cfg"]) == USUAL
    assert pod.check(found_haproxy.path) == "haproxy-telemetry: HAProxy takes the rewritten configuration\n"
    assert (pod.content(), pod.verdict()) == (content, "")


def test_several_files_and_a_folder_are_read_in_haproxys_order(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    """The mode of `other` is known only through the file before; our sections go behind the last one."""
    first = config_map(tmp_path / "a", {"00-base.cfg": USUAL})
    second = config_map(
        tmp_path / "b", {"a.cfg": b"# empty\n", "Z.cfg": OTHER, "b.cfg.bak": b"broken\n", ".hidden.cfg": b"broken\n", "c.txt": b"x"}
    )
    pod = Pod(tmp_path, [first, second], ["0/00-base.cfg", "1"])
    write_plan(pod)
    report = pod.rewritten()
    # `Z` is in front of `a` in the locale C.
    assert report["rewritten"] == [pod.paths[0], f"{pod.paths[1]}/Z.cfg", f"{pod.paths[1]}/a.cfg"]
    assert [section["name"] for section in report["sections"]] == ["web", "other"]
    content = pod.content(1)
    assert content["b.cfg.bak"] == content[".hidden.cfg"] == b"broken\n"
    assert b"backend haproxy-telemetry-spoa" in content["a.cfg"]
    assert b"backend haproxy-telemetry-spoa" not in content["Z.cfg"]
    assert "HAProxy takes" in pod.check(found_haproxy.path)


def test_a_single_file(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    """As with `subPath`."""
    (tmp_path / "haproxy.cfg").write_bytes(USUAL)
    pod = Pod(tmp_path, [tmp_path / "haproxy.cfg"], ["0"])
    write_plan(pod, spoils="no-such-keyword\n")
    assert pod.rewritten()["rewritten"] == pod.paths
    inode = (pod.volumes[0] / "0").stat().st_ino
    assert is_traced(pod.content()["."])
    assert "Refused" in pod.check(found_haproxy.path)
    assert pod.content() == {".": USUAL}
    # It is what is mounted already.
    assert (pod.volumes[0] / "0").stat().st_ino == inode


def test_what_haproxy_refuses_because_of_us_is_put_back(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    first = config_map(tmp_path / "a", {"haproxy.cfg": USUAL})
    second = config_map(tmp_path / "b", {"with space.cfg": OTHER, "~more.cfg": b"# more\n"})
    pod = Pod(tmp_path, [first, second], ["0/haproxy.cfg", "1"])
    write_plan(pod, spoils="no-such-keyword\n")
    assert len(pod.rewritten()["rewritten"]) == 3
    said = pod.check(found_haproxy.path)
    assert "Refused: HAProxy refuses the rewritten configuration, so every file is as it was" in said
    assert "no-such-keyword" in said
    assert pod.content(0) == {"haproxy.cfg": USUAL}
    assert pod.content(1) == {"with space.cfg": OTHER, "~more.cfg": b"# more\n"}
    code, _, *words = pod.verdict().splitlines()
    assert code == "Refused"
    assert "no-such-keyword" in "\n".join(words)
    assert pod.message.read_text() == pod.verdict()
    assert pod.message.stat().st_size < 4096
    # Once more, as after a restart of the check alone.
    (pod.volumes[0] / "haproxy.cfg").write_text("cut off in the middle")
    assert "the files are as they were" in pod.check(found_haproxy.path)
    assert pod.content(0) == {"haproxy.cfg": USUAL}


def test_a_warning_of_ours_where_any_warning_is_fatal(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    config = b"global\n    zero-warning\n    log 127.0.0.1:514 local0\n" + DEFAULTS + b"    log global\n" + WEB
    pod = usual_pod(tmp_path, {"haproxy.cfg": config})
    write_plan(pod, spoils="timeout connect 1s\n")
    pod.rewritten()
    assert "Refused" in pod.check(found_haproxy.path)
    assert pod.content() == {"haproxy.cfg": config}
    write_plan(pod)
    pod.rewritten()
    assert "HAProxy takes" in pod.check(found_haproxy.path)


def test_a_broken_configuration_stays_as_broken_as_it_was(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    config = USUAL.replace(b"default_backend app", b"default_backend nowhere")
    pod = usual_pod(tmp_path, {"haproxy.cfg": config})
    write_plan(pod)
    assert pod.rewritten()["traced"] == 1
    said = pod.check(found_haproxy.path)
    assert "InvalidBefore: HAProxy refuses this configuration as it was before, too" in said
    assert pod.content() == {"haproxy.cfg": config}
    assert pod.verdict().startswith("InvalidBefore\n")
    assert "nowhere" in pod.verdict()


def test_an_image_without_haproxy(tmp_path: Path) -> None:
    pod = usual_pod(tmp_path)
    write_plan(pod)
    pod.rewritten()
    assert "CheckImpossible" in pod.check("/nowhere/haproxy")
    assert pod.content() == {"haproxy.cfg": USUAL}


@pytest.mark.parametrize("plan", [None, b"", b"{", b'{"frontend": 1}', b'{"frontend": "", "sections": ""}'])
def test_without_a_plan_everything_is_as_it_was(one_haproxy: FoundHAProxy, tmp_path: Path, plan: bytes | None) -> None:
    pod = usual_pod(tmp_path)
    if plan is not None:
        pod.plan.write_bytes(plan)
    report = pod.rewritten()
    assert report["reason"] == ("PlanMissing" if plan is None else "PlanUnreadable")
    assert report["rewritten"] == []
    assert "nothing was rewritten" in pod.check(one_haproxy.path)
    assert pod.content() == {"haproxy.cfg": USUAL}


def test_what_can_not_be_seen_leaves_all_as_it_was(tmp_path: Path) -> None:
    files = {"haproxy.cfg": USUAL, "none/x": b"", "line\nfeed.cfg": USUAL}
    for number, (path, reason) in enumerate(
        {
            "elsewhere/haproxy.cfg": "FileOutOfReach",
            "0/link.cfg": "FileOutOfReach",
            "0/missing.cfg": "FileMissing",
            "0/none": "NoFiles",
            "0": "FileName",
            "0/./haproxy.cfg": "FileGivenTwice",
        }.items()
    ):
        pod = usual_pod(tmp_path / str(number), files, ("0/haproxy.cfg", path))
        (pod.sources[0] / "link.cfg").symlink_to("/usr/share/haproxy.cfg")
        write_plan(pod)
        if reason in ("NoFiles", "FileName"):
            pod.paths = pod.paths[1:]
        if reason == "FileName":
            (pod.sources[0] / "link.cfg").unlink()
        assert pod.rewritten()["reason"] == reason
        assert pod.content() == files


def test_too_much_to_be_rewritten_is_copied(tmp_path: Path) -> None:
    large = USUAL + b"#\n" * (4 << 20)
    pod = usual_pod(tmp_path, {"haproxy.cfg": large})
    write_plan(pod)
    assert pod.rewritten()["reason"] == "TooLarge"
    assert pod.content() == {"haproxy.cfg": large}


def test_only_what_was_chosen(tmp_path: Path) -> None:
    pod = usual_pod(tmp_path, {"haproxy.cfg": USUAL + OTHER})
    write_plan(pod, Selection(("*",), ("oth*",)))
    assert [section.get("reason") for section in pod.rewritten()["sections"]] == [None, "Excluded"]


def test_it_is_done_anew_each_time(tmp_path: Path) -> None:
    """A pod's sandbox may be made again: its volumes stay, and its init containers run once more."""
    pod = usual_pod(tmp_path, {"haproxy.cfg": USUAL, "old.map": b""})
    write_plan(pod)
    pod.rewritten()
    once = pod.content()
    shutil.rmtree(pod.sources[0])
    config_map(pod.sources[0], {"haproxy.cfg": USUAL}, "..2026_11_25")
    pod.rewritten()
    assert pod.content() == {"haproxy.cfg": once["haproxy.cfg"]}


def test_no_copy_is_one_clear_line(tmp_path: Path) -> None:
    pod = usual_pod(tmp_path)
    pod.sources = [tmp_path / "none"]
    run = pod.rewrite()
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == f"haproxy-telemetry-operator: {tmp_path}/none is not there, or changes faster than it can be copied\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--mount", "/a", "/b"], "--mount: expected 3 arguments"),
        (["--mount", "/a", "b", "/c"], "--mount: 'b': expected an absolute path"),
        (
            ["--mount", "/a", "/b", "/c", "--mount", "/d", "/e", "/c/"],
            "--mount: /c takes two mounts: give each a folder of its own",
        ),
        (["--mount", "/a", "/b", "/c", "--file=x"], "--file: 'x': expected an absolute path"),
        (["--mount", "/a", "/b", "/c"], "required: --file"),
    ],
)
def test_wrong_usage(arguments: list[str], complaint: str) -> None:
    command = [sys.executable, "-m", "haproxy_telemetry_operator", "rewrite", "--plan=/p", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert complaint in run.stderr.splitlines()[-1]


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


@needs_root
def test_each_container_may_be_somebody_else() -> None:
    """The folders of pytest are root's alone."""
    binary = Path("/usr/sbin/haproxy")
    if not binary.exists():
        pytest.skip("everybody may run Debian's HAProxy, which is not here")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        pod = usual_pod(folder, {"haproxy.cfg": USUAL, "deep/file.cfg": OTHER}, ("0/haproxy.cfg", "0/deep"))
        write_plan(pod, spoils="no-such-keyword\n")
        pod.message.chmod(0o666)
        run = pod.rewrite(before=["setpriv", "--reuid=65532", "--regid=65532", "--clear-groups", "--no-new-privs"])
        assert run.returncode == 0, run.stderr
        assert is_traced(pod.content()["deep/file.cfg"])
        for path in pod.volumes[0].rglob("*"):
            wanted = 0o5 if path.is_dir() else 0o4
            assert stat.S_IMODE(path.stat().st_mode) & wanted == wanted
        said = pod.check(binary, uid=99)
        assert "Refused" in said
        assert pod.content() == {"haproxy.cfg": USUAL, "deep/file.cfg": OTHER}
        assert pod.message.read_text().startswith("Refused\n")


@needs_root
def test_a_full_disk_leaves_the_copy(tmp_path: Path) -> None:
    """Room for the copy, and for no more."""
    pod = usual_pod(tmp_path, {"haproxy.cfg": USUAL + b"# filler\n" * 10_000})
    write_plan(pod)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=112k,mode=777", "none", pod.volumes[0]], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        assert pod.rewritten()["reason"] == "DiskFull"
        assert pod.content() == {"haproxy.cfg": USUAL + b"# filler\n" * 10_000}
        assert not (pod.volumes[0] / ".haproxy-telemetry" / "rewritten").exists()
    finally:
        subprocess.run(["umount", pod.volumes[0]], check=True)


def test_every_configuration_is_as_valid_as_before(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    """What the repository knows of traps, through the whole way."""
    chosen = {name: known for name, known in CONFIGURATIONS.items() if len(known.texts) > 1 or name.startswith(("a", "u"))}
    for name, known in chosen.items():
        folder = tmp_path / name
        folder.mkdir()
        check_whole_way(found_haproxy, folder, known)


def check_whole_way(found: FoundHAProxy, folder: Path, known: Configuration) -> None:
    files = {f"{number}.cfg": text.encode("utf-8", "surrogateescape") for number, text in enumerate(known.texts)}
    beside = {name: text.encode() for name, text in FILES.items()}
    pod = usual_pod(folder, {**files, **beside}, tuple(f"0/{name}" for name in files))
    write_plan(pod)
    report = pod.rewritten()
    assert report.get("reason") == known.problem
    after = pod.content()
    # The folder is where HAProxy looks for the files beside.
    said = pod.check(found.path, environment=known.environment, folder=pod.volumes[0])
    assert not pod.verdict().startswith("Refused"), said
    if "HAProxy takes" in said:
        assert pod.content() == after
    else:
        assert {name: pod.content()[name] for name in files} == files


async def test_haproxy_runs_on_the_result_and_is_traced(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    port = free_port()
    async with OtlpSink() as sink, Upstream() as upstream, Agent(tmp_path, endpoint=sink.endpoint) as agent:
        config = USUAL.replace(b"127.0.0.1:8080", f"{ADDRESS}:{port}".encode()).replace(
            b"127.0.0.1:1\n", upstream.address.encode() + b"\n"
        )
        pod = usual_pod(tmp_path / "pod", {"haproxy.cfg": config})
        agent.spoe_path.write_text(agent.wiring("spoe"))
        # A busy machine's agent may be slow to answer a health check.
        sections = agent.wiring("sections").replace("timeout check 100ms", "timeout check 5s")
        pod.plan.write_text(RewritePlan(agent.wiring("frontend"), sections, agent.wiring("tcp-frontend")).render())
        pod.rewritten()
        assert "HAProxy takes" in pod.check(found_haproxy.path)
        text = pod.content()["haproxy.cfg"].decode()
        async with HAProxy(text, tmp_path / "haproxy", binary=found_haproxy.path):
            await single_request(port, request_head("/traced"))
            spans = await sink.wait_for(lambda spans: len(spans) >= 2, timeout_seconds=15)
    assert sorted(span.kind for span in spans) == ["CLIENT", "SERVER"]
    (request,) = upstream.requests
    assert request.header("traceparent")
