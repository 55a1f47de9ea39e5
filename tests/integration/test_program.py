"""The program as its users meet it: exit codes, and one clear line for each thing that is wrong."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest
import yaml

from support.agent import PROGRAM, Agent
from support.haproxies import FoundHAProxy


def run(*arguments: str | Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, **(environment or {})}
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=30, env=given, check=False)


def settings_file(folder: Path, settings: object) -> Path:
    path = folder / "settings.yaml"
    path.write_text(settings if isinstance(settings, str) else yaml.safe_dump(settings))
    return path


def test_version() -> None:
    result = run("version")
    assert (result.returncode, result.stdout) == (0, "haproxy-telemetry-agent 0.1.0\n")


@pytest.mark.parametrize("command", ["run", "config", "check-config"])
@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"exporter": {"timeout": "soon"}}, "exporter.timeout: 'soon': expected a whole number with us, ms, s or m, such as 10s"),
        ({"exporter": {"endpoint": "http://x..y"}}, "exporter.endpoint: 'http://x..y': 'x..y' is no host's name"),
        ({"exprter": {}}, "exprter: unknown key; known here: profile, "),
        ({"sampling": {"type": "TraceIDRatio"}}, "sampling.ratio: None with type TraceIDRatio: a ratio is required by"),
        ({"listen": {"http": "127.0.0.1:99999"}}, "listen.http: '127.0.0.1:99999': a port is at most 65535"),
        ("- a list", "expected a mapping of settings at the top, found list"),
        ("a: [", "is no YAML"),
    ],
)
def test_wrong_settings_are_one_line_and_exit_code_2(tmp_path: Path, command: str, settings: object, complaint: str) -> None:
    result = run(command, "--config", settings_file(tmp_path, settings))
    assert result.returncode == 2
    assert complaint in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_settings_file_that_is_not_there(tmp_path: Path) -> None:
    result = run("run", "--config", tmp_path / "none.yaml")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "none.yaml: can't be read: No such file or directory" in result.stderr


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    settings = {"exporter": {"endpoint": "https://127.0.0.1:1", "tls": {"caFile": str(tmp_path / "ca.pem")}}}
    for command in ("run", "check-config"):
        result = run(command, "--config", settings_file(tmp_path, settings))
        assert (result.returncode, "Traceback" in result.stderr) == (2, False)
        assert "exporter.tls.caFile" in result.stderr


@pytest.mark.parametrize("part", ["spop", "records", "http"])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_an_address_in_use_is_one_line_and_exit_code_1(tmp_path: Path, part: str, kind: str) -> None:
    family = socket.AF_INET if kind == "tcp" else socket.AF_UNIX
    with socket.socket(family, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", 0) if kind == "tcp" else str(tmp_path / "taken.sock"))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}" if kind == "tcp" else f"unix:{tmp_path}/taken.sock"
        listen = {name: f"unix:{tmp_path}/{name}.sock" for name in ("spop", "records", "http")} | {part: address}
        result = run("run", "--config", settings_file(tmp_path, {"listen": listen}))
        assert result.returncode == 1
        assert result.stderr.splitlines()[-1] == (
            f"haproxy-telemetry-agent: listen.{part}: {address} is in use: stop what listens there, or choose another address"
        )
        assert "Traceback" not in result.stderr
        # What it had opened before is gone again, and what is another's is still there.
        assert {path.name for path in tmp_path.glob("*.sock")} == ({"taken.sock"} if kind == "unix" else set())


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    result = run("run", "--config", settings_file(tmp_path, {"listen": {"spop": f"unix:{tmp_path}/none/spoa.sock"}}))
    assert (result.returncode, "Traceback" in result.stderr) == (1, False)
    assert "is in a folder that does not exist" in result.stderr


async def test_sigterm_is_exit_code_0_and_leaves_no_socket_file(tmp_path: Path) -> None:
    listen = {name: f"unix:{tmp_path}/{name}.sock" for name in ("spop", "records")}
    async with Agent(tmp_path, endpoint="http://127.0.0.1:1", listen=listen) as agent:
        assert {path.name for path in tmp_path.glob("*.sock")} == {"spop.sock", "records.sock"}
        assert await agent.stop() == 0
    assert list(tmp_path.glob("*.sock")) == []


async def test_a_socket_file_that_a_dead_agent_left_is_no_obstacle(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "spop.sock"))
    left.close()
    async with Agent(tmp_path, endpoint="http://127.0.0.1:1", listen={"spop": f"unix:{tmp_path}/spop.sock"}):
        pass


def test_what_config_prints_can_be_pasted(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    """The three parts in their places, in a configuration that did not know of us: as valid as before, and no new warning."""

    def part(section: str) -> str:
        return run("config", "--section", section, "--spoe-path", tmp_path / "spoe.cfg").stdout

    user = "defaults\n    mode http\n    option httplog\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\n"
    head = "frontend web\n    bind 127.0.0.1:8080\n"
    tail = "    http-request deny if { path /no }\n    default_backend app\nbackend app\n    server s 127.0.0.1:1\n"
    (tmp_path / "spoe.cfg").write_text(part("spoe"))
    outputs = []
    for name, text in (("before", user + head + tail), ("after", user + head + part("frontend") + tail + part("sections"))):
        path = tmp_path / f"{name}.cfg"
        path.write_text(text)
        check = subprocess.run([found_haproxy.path, "-c", "-f", path], capture_output=True, text=True, check=False)
        assert check.returncode == 0, check.stderr
        outputs.append([line for line in check.stderr.splitlines() if "WARNING" in line])
    assert set(outputs[1]) <= set(outputs[0])


def test_config_for_people_holds_all_three_parts_in_order() -> None:
    guide = run("config").stdout
    places = [
        guide.index("\n" + " " * indent + run("config", "--section", section).stdout.splitlines()[0])
        for section, indent in (("spoe", 0), ("frontend", 4), ("sections", 0))
    ]
    assert places == sorted(places)


def test_check_config_says_where_settings_are_from(tmp_path: Path) -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_BSP_SCHEDULE_DELAY": "never"}
    path = settings_file(tmp_path, {"exporter": {"compression": "none", "headers": [{"name": "x-key", "value": "secret"}]}})
    result = run("check-config", "--config", path, environment=environment)
    assert result.returncode == 0
    assert "exporter.endpoint = http://collector:4318 (OTEL_EXPORTER_OTLP_ENDPOINT)" in result.stdout
    assert "exporter.compression = none (file)" in result.stdout
    assert "OTEL_BSP_SCHEDULE_DELAY='never' is ignored" in result.stdout
    assert "exporter.headers[0].name = x-key (file)" in result.stdout
    assert "exporter.headers[0].value = (not shown) (file)" in result.stdout
    assert "secret" not in result.stdout


def test_the_schema_is_json() -> None:
    schema = json.loads(run("schema").stdout)
    assert schema["$ref"] == "#/$defs/Settings"
    assert {"profile", "listen", "exporter", "sampling"} <= schema["$defs"]["Settings"]["properties"].keys()
