"""The command line: what it prints, and its exit codes."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from haproxy_telemetry_agent import cli, settings, tail
from haproxy_telemetry_agent.cli import main
from haproxy_telemetry_agent.debug.tail_event import TailEvent, encode_event
from haproxy_telemetry_agent.guide import render_guide
from haproxy_telemetry_agent.metrics_reference import render_metrics_reference
from haproxy_telemetry_agent.reference import render_reference
from haproxy_telemetry_agent.version import VERSION
from haproxy_telemetry_agent.wiring import Plan, Sampling, render_frontend, render_sections, render_spoe, render_tcp_frontend

OK, FAILED, MISUSED = 0, 1, 2
DEFAULT = Plan()
CUSTOM = Plan(
    spop_address="unix@/run/spoa.sock",
    records_address="[::1]:10514",
    spoe_path="/run/spoe.cfg",
    processing_timeout="5ms",
    sampling=Sampling(threshold="c0000000000000"),
)
CUSTOM_FILE = """
processingTimeout: 5ms
listen: {spop: "unix:/run/spoa.sock", records: "[::]:10514"}
sampling: {type: ParentBasedTraceIDRatio, ratio: 0.25}
"""

WriteFile = Callable[[str], str]


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment, as the program sees it: empty."""
    environ: dict[str, str] = {}
    monkeypatch.setattr(os, "environ", environ)
    return environ


@pytest.fixture
def write_file(tmp_path: Path) -> WriteFile:
    """Writes a settings file and returns its path."""

    def write(text: str) -> str:
        path = tmp_path / "agent.yaml"
        path.write_text(text)
        return str(path)

    return write


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == OK
    assert capsys.readouterr().out == f"haproxy-telemetry-agent {VERSION}\n"


def test_attributes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attributes"]) == OK
    assert capsys.readouterr().out == render_reference()


def test_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metrics"]) == OK
    assert capsys.readouterr().out == render_metrics_reference()


def test_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == OK
    assert json.loads(capsys.readouterr().out) == settings.schema()


class TestConfig:
    @pytest.mark.parametrize(
        ("section", "render"), [("spoe", render_spoe), ("sections", render_sections), ("frontend", render_frontend)]
    )
    def test_a_section_is_ready_for_a_file(
        self, capsys: pytest.CaptureFixture[str], write_file: WriteFile, section: str, render: Callable[[Plan], str]
    ) -> None:
        assert main(["config", "--section", section]) == OK
        assert capsys.readouterr().out == render(DEFAULT)
        arguments = ["config", "--section", section, "--spoe-path", "/run/spoe.cfg", "--config", write_file(CUSTOM_FILE)]
        assert main(arguments) == OK
        assert capsys.readouterr().out == render(CUSTOM)

    def test_the_lines_of_a_tcp_frontend_are_the_same_for_all(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["config", "--section", "tcp-frontend"]) == OK
        assert capsys.readouterr().out == render_tcp_frontend()

    def test_without_one_it_is_the_guide(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["config"]) == OK
        assert capsys.readouterr().out == render_guide(DEFAULT)

    def test_a_profile_may_be_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["config", "--profile", "Stream"]) == OK
        assert capsys.readouterr().out == render_guide(Plan(profile="Stream"))

    def test_it_must_fit_the_settings(self, capsys: pytest.CaptureFixture[str], write_file: WriteFile) -> None:
        arguments = ["config", "--profile", "Stream", "--config", write_file("sampling: {maxTracesPerSecond: 5}")]
        assert main(arguments) == MISUSED
        assert "sampling.maxTracesPerSecond: 5.0: with profile Stream" in capsys.readouterr().err

    def test_profile_stream_has_no_spoe_file(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["config", "--profile", "Stream", "--section", "spoe"]) == MISUSED
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("haproxy-telemetry-agent: profile: 'Stream': has no SPOE file")


class TestCheckConfig:
    def test_valid(self, capsys: pytest.CaptureFixture[str], write_file: WriteFile, environ: dict[str, str]) -> None:
        environ |= {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=s3cret", "OTEL_LOG_LEVEL": "loud"}
        assert main(["check-config", "--config", write_file("exporter: {timeout: 3s}")]) == OK
        out = capsys.readouterr().out
        assert out.splitlines() == [
            "warning: OTEL_LOG_LEVEL='loud' is ignored: expected one of trace, debug, info, warn, warning, error, fatal",
            "exporter.timeout = 3s (file)",
            "exporter.headers[0].name = api-key (OTEL_EXPORTER_OTLP_HEADERS)",
            "exporter.headers[0].value = (not shown) (OTEL_EXPORTER_OTLP_HEADERS)",
            "exporter.batch.delay = 100ms (OTEL_BSP_SCHEDULE_DELAY)",
            "The settings are valid; what is not listed has its default.",
        ]

    def test_a_sampler_that_is_not_installed(self, caplog: pytest.LogCaptureFixture, write_file: WriteFile) -> None:
        assert main(["check-config", "--config", write_file("sampling: {type: Plugin, plugin: none}")]) == OK
        assert "sampler 'none' is not installed" in caplog.text

    @pytest.mark.parametrize(
        ("text", "error"),
        [
            ("exporter: {timeout: soon}", "exporter.timeout: 'soon': expected a whole number with us, ms, s or m, such as 10s"),
            ("listn: {}", "listn: unknown key; known here: profile, processingTimeout, listen,"),
            (
                "exporter: {tls: {caFile: /no/such/file}}",
                "exporter.tls.caFile: '/no/such/file': can't be used: No such file or directory",
            ),
            (
                "exporter: {tls: {certificateFile: /no/cert, keyFile: /no/key}}",
                "exporter.tls.certificateFile: '/no/cert' with keyFile '/no/key': can't be used: No such file or directory",
            ),
            ("spans: {routesFile: /no/routes}", "spans.routesFile: /no/routes: can't be read: No such file or directory"),
        ],
    )
    def test_a_mistake(self, capsys: pytest.CaptureFixture[str], write_file: WriteFile, text: str, error: str) -> None:
        assert main(["check-config", "--config", write_file(text)]) == MISUSED
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith(f"haproxy-telemetry-agent: {error}")

    @pytest.mark.parametrize("command", ["check-config", "config", "run"])
    def test_a_file_that_is_not_there(self, capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str) -> None:
        path = tmp_path / "missing.yaml"
        assert main([command, "--config", str(path)]) == MISUSED
        assert capsys.readouterr().err == f"haproxy-telemetry-agent: {path}: can't be read: No such file or directory\n"


class TestSupervise:
    @pytest.fixture
    def supervised(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], float, int]]:
        """What would be supervised: this process would never come back."""
        calls: list[tuple[list[str], float, int]] = []

        def supervise(worker: list[str], *, kill_after_seconds: float, workers: int) -> None:
            calls.append((worker, kill_after_seconds, workers))
            raise SystemExit(0)

        monkeypatch.setattr(cli, "supervise", supervise)
        return calls

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            ([], (["run"], 25, 1)),
            (["--config", "none.yaml"], (["run", "--config", "none.yaml"], 25, 1)),
            (["--kill-after", "0.5"], (["run"], 0.5, 1)),
            (["--workers", "4"], (["run"], 25, 4)),
        ],
    )
    def test_before_any_setting_is_read(
        self, supervised: list[tuple[list[str], float, int]], arguments: list[str], expected: tuple[list[str], float, int]
    ) -> None:
        with pytest.raises(SystemExit):
            main(["run", "--supervise", *arguments])
        assert supervised == [expected]

    @pytest.mark.parametrize("text", ["0", "65", "-1", "two", "1e1", "٣"])
    def test_a_number_of_workers_that_is_none(self, capsys: pytest.CaptureFixture[str], text: str) -> None:
        with pytest.raises(SystemExit) as ended:
            main(["run", "--supervise", f"--workers={text}"])
        assert ended.value.code == MISUSED
        assert f"argument --workers: '{text}': expected 1 to 64" in capsys.readouterr().err

    def test_several_workers_unsupervised(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["run", "--workers=2"]) == MISUSED
        assert "--workers: several of them need --supervise" in capsys.readouterr().err

    @pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "86401"])
    def test_a_time_that_is_none(self, capsys: pytest.CaptureFixture[str], text: str) -> None:
        with pytest.raises(SystemExit) as ended:
            main(["run", "--supervise", f"--kill-after={text}"])
        assert ended.value.code == MISUSED
        assert f"argument --kill-after: '{text}': expected 0 to 86400 seconds" in capsys.readouterr().err


class TestTail:
    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[object]:
        """Which agent is asked for what; none is there."""
        asked: list[object] = []

        def follow(target: tail.Target, query: dict[str, str], _tls: tail.TlsOptions) -> list[bytes]:
            asked.append((target.name, query))
            return [encode_event(TailEvent(end="the agent stops"))]

        monkeypatch.setattr(tail, "follow", follow)
        return asked

    def test_it_asks_where_the_settings_say(self, asked: list[object], write_file: WriteFile) -> None:
        assert main(["tail"]) == OK
        assert main(["tail", "--config", write_file("listen: {http: 'unix:/run/http.sock'}")]) == OK
        assert main(["tail", "--url", "http://agent:1"]) == OK
        assert asked == [("127.0.0.1:9464", {}), ("unix:/run/http.sock", {}), ("http://agent:1", {})]

    def test_it_asks_for_what_is_wanted(self, asked: list[object], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["tail", "--errors", "--slower-than", "500ms", "--frontend", "edge", "--unsampled", "--json"]) == OK
        wanted = {"errors": "true", "slowerThanSeconds": "0.5", "frontend": "edge", "unsampled": "true"}
        assert asked == [("127.0.0.1:9464", wanted)]
        assert capsys.readouterr().err == "the end: the agent stops\n"

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            (["--url", "agent:9464"], "--url: 'agent:9464': expected a URL such as http://127.0.0.1:9464, or unix:/path"),
            (["--config", "/no/file"], "/no/file: can't be read: No such file or directory"),
        ],
    )
    def test_wrong(self, capsys: pytest.CaptureFixture[str], arguments: list[str], error: str) -> None:
        assert main(["tail", *arguments]) == MISUSED
        assert capsys.readouterr().err == f"haproxy-telemetry-agent: {error}\n"

    @pytest.mark.parametrize("time", ["soon", "500", "-1s", ""])
    def test_a_time_that_is_none(self, capsys: pytest.CaptureFixture[str], time: str) -> None:
        with pytest.raises(SystemExit) as ended:
            main(["tail", f"--slower-than={time}"])
        assert ended.value.code == MISUSED
        assert (
            f"argument --slower-than: '{time}': expected a whole number with us, ms, s or m, such as 500ms"
            in capsys.readouterr().err
        )

    def test_an_agent_that_cannot_be_followed(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise tail.TailError("127.0.0.1:9464 refuses")

        monkeypatch.setattr(tail, "follow", refuse)
        assert main(["tail"]) == FAILED
        assert capsys.readouterr().err == "haproxy-telemetry-agent: 127.0.0.1:9464 refuses\n"

    def test_ctrl_c_is_an_ordinary_end(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(tail, "follow", interrupt)
        assert main(["tail"]) == OK
        assert capsys.readouterr().err == ""


class TestUsage:
    @pytest.mark.parametrize("arguments", [[], ["start"], ["config", "--section", "backend"], ["version", "--config", "x"]])
    def test_wrong(self, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == MISUSED
        assert "usage: haproxy-telemetry-agent" in capsys.readouterr().err

    def test_help_names_every_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main(["--help"])
        assert ended.value.code == OK
        words = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()]
        assert {"run", "tail", "config", "check-config", "schema", "version"} <= set(words)


def test_an_address_that_cannot_be_had_is_a_failure_to_start(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_options: object) -> int:
        raise cli.ListenError("listen.spop: 127.0.0.1:12345 is in use")

    monkeypatch.setattr(cli, "_version", refuse)
    assert main(["version"]) == FAILED
    assert capsys.readouterr().err == "haproxy-telemetry-agent: listen.spop: 127.0.0.1:12345 is in use\n"
