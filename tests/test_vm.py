"""What `packaging/systemd/` and `docs/vm.md` say is what the agent does: its commands, variables, addresses, metrics."""

import configparser
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from haproxy_telemetry_agent.cli import main
from haproxy_telemetry_agent.settings import Settings
from haproxy_telemetry_agent.settings.environment import read_environment
from haproxy_telemetry_agent.settings.types import duration_seconds
from haproxy_telemetry_agent.telemetry import PREFIX, Telemetry

ROOT = Path(__file__).parent.parent
UNIT = ROOT / "packaging" / "systemd" / "haproxy-telemetry-agent.service"
ENVIRONMENT = UNIT.with_suffix(".env")
GUIDE = (ROOT / "docs" / "vm.md").read_text()

READ_BY_THE_SDK = {"OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"}
CONFIG = "HAPROXY_TELEMETRY_CONFIG"


@pytest.fixture(scope="module")
def service() -> configparser.SectionProxy:
    """The unit's own section."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(UNIT)
    return unit["Service"]


def variables() -> Iterator[tuple[str, str]]:
    """Of the environment file, those that are commented out too."""
    yield from re.findall(r"^#?([A-Z_]+)=(.*)$", ENVIRONMENT.read_text(), re.MULTILINE)


class TestUnit:
    def test_systemd_understands_it(self, service: configparser.SectionProxy, tmp_path: Path) -> None:
        analyze = shutil.which("systemd-analyze")
        if analyze is None:  # a machine without systemd
            return
        program = tmp_path / "haproxy-telemetry-agent"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        unit = tmp_path / UNIT.name
        unit.write_text(UNIT.read_text().replace(service["ExecStart"].split()[0], str(program)))
        result = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False)
        complaints = [line for line in result.stderr.splitlines() if UNIT.name in line]
        assert complaints == []

    def test_it_starts_the_agent_with_its_settings(self, service: configparser.SectionProxy) -> None:
        program, *arguments = service["ExecStart"].split()
        assert program == "/opt/haproxy-telemetry/bin/haproxy-telemetry-agent"
        assert arguments == ["run", "--config", f"${{{CONFIG}}}"]
        assert service["Environment"] == f"{CONFIG}=/etc/haproxy-telemetry/agent.yaml"
        assert service["EnvironmentFile"] == f"-/etc/haproxy-telemetry/{ENVIRONMENT.name}"

    def test_it_waits_for_the_agents_own_end(self, service: configparser.SectionProxy) -> None:
        assert float(service["TimeoutStopSec"].removesuffix("s")) > duration_seconds(Settings().shutdown_timeout)

    def test_wrong_settings_end_as_it_expects(self, service: configparser.SectionProxy, tmp_path: Path) -> None:
        wrong = tmp_path / "agent.yaml"
        wrong.write_text("profile: 7")
        assert str(main(["run", "--config", str(wrong)])) == service["RestartPreventExitStatus"]


def test_every_variable_is_understood() -> None:
    environ = dict(variables())
    assert environ.pop(CONFIG) == "/etc/haproxy-telemetry/agent.yaml"
    _document, sources, warnings = read_environment(environ)
    assert warnings == []
    assert set(sources.values()) | READ_BY_THE_SDK == set(environ)


class TestGuide:
    def test_its_commands_of_the_agent_work(self, capsys: pytest.CaptureFixture[str]) -> None:
        commands = re.findall(r"^/opt/haproxy-telemetry/bin/haproxy-telemetry-agent (.*?)(?: >.*)?$", GUIDE, re.MULTILINE)
        assert {command.split()[0] for command in commands} == {"version", "check-config", "config"}
        for command in commands:
            assert main(command.replace("--config /etc/haproxy-telemetry/agent.yaml", "").split()) == 0
            assert capsys.readouterr().out

    def test_its_settings_are_valid(self, tmp_path: Path) -> None:
        settings = tmp_path / "agent.yaml"
        (document,) = re.findall(r"agent\.yaml <<'END'\n(.*?)END\n", GUIDE, re.DOTALL)
        settings.write_text(document)
        assert main(["check-config", "--config", str(settings)]) == 0

    def test_its_files_exist(self) -> None:
        files = re.findall(r"packaging/systemd/[\w.-]+", GUIDE)
        assert {ROOT / file for file in files} == {UNIT, ENVIRONMENT}

    def test_its_metrics_exist(self) -> None:
        known = {sample.name for family in Telemetry().collect() for sample in family.samples}
        known |= {f"{family.name}_total" for family in Telemetry().collect() if family.type == "counter"}
        named = {f"{PREFIX}{name}" for name in re.findall(r"`(\w+_total|open_connections)\b", GUIDE)}
        assert len(named) >= 10
        assert named - known == set()

    def test_its_ports_are_the_defaults(self) -> None:
        assert Settings().listen.http.rpartition(":")[2] == "9464"
        assert set(re.findall(r"localhost:(\d+)/(?:metrics|readyz)", GUIDE)) == {"9464"}
