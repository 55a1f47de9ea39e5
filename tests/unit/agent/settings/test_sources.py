"""File over environment over default, and which of them it was."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from haproxy_telemetry_agent.settings import Settings, SettingsError
from haproxy_telemetry_agent.settings.environment import read_environment
from haproxy_telemetry_agent.settings.exporter import Tls
from haproxy_telemetry_agent.settings.sources import Loaded, _fit_together, load_settings

ENDPOINT, TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"

Load = Callable[..., Loaded]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads a file of this text over these variables."""

    def load_text(text: str, **environ: str) -> Loaded:
        path = tmp_path / "agent.yaml"
        path.write_text(text)
        return load_settings(path, environ)

    return load_text


def test_defaults() -> None:
    assert load_settings(None, {}) == Loaded(Settings(), {}, [])


def test_environment_over_default() -> None:
    loaded = load_settings(None, {ENDPOINT: "http://env:4318", "OTEL_LOG_LEVEL": "loud"})
    assert loaded.settings.exporter.endpoint == "http://env:4318"
    assert loaded.settings.exporter.timeout == "10s"
    assert loaded.sources == {"exporter.endpoint": ENDPOINT}
    assert len(loaded.warnings) == 1


def test_file_over_environment(load: Load) -> None:
    loaded = load(
        "{exporter: {timeout: 3s}, log: {level: debug}}", OTEL_EXPORTER_OTLP_TIMEOUT="1", OTEL_EXPORTER_OTLP_COMPRESSION="none"
    )
    assert loaded.settings.exporter.timeout == "3s"
    assert loaded.settings.exporter.compression == "none"
    assert loaded.sources == {
        "exporter.timeout": "file",
        "exporter.compression": "OTEL_EXPORTER_OTLP_COMPRESSION",
        "log.level": "file",
    }


def test_a_list_of_the_file_replaces_the_whole_list_of_the_environment(load: Load) -> None:
    loaded = load("exporter: {headers: [{name: file, value: x}]}", OTEL_EXPORTER_OTLP_HEADERS="env=y")
    assert [header.name for header in loaded.settings.exporter.headers] == ["file"]


class TestLogs:
    """What the access log takes from ``exporter`` is what the file says there, if it does."""

    TRACES = "OTEL_EXPORTER_OTLP_TRACES_"

    def test_a_file_beats_what_would_keep_it_from_that(self, load: Load) -> None:
        environ = {f"{self.TRACES}HEADERS": "a=b", f"{self.TRACES}TIMEOUT": "1", f"{self.TRACES}CERTIFICATE": "/ca"}
        text = "{logs: {enabled: true}, exporter: {headers: [{name: c, value: d}], tls: {caFile: /file}}}"
        logs, sources = load(text, **environ).settings.logs, load(text, **environ).sources
        assert (logs.headers, logs.tls, logs.timeout) == (None, None, "10s")
        assert sources["logs.timeout"] == f"{self.TRACES}TIMEOUT"
        assert not {"logs.headers", "logs.tls"} & sources.keys()

    def test_but_not_its_own_variables(self, load: Load) -> None:
        text = "{logs: {enabled: true, batch: {delay: 2s}}, exporter: {timeout: 3s, batch: {delay: 5s}}}"
        logs = load(text, OTEL_EXPORTER_OTLP_LOGS_TIMEOUT="7", OTEL_BLRP_EXPORT_TIMEOUT="8").settings.logs
        assert (logs.timeout, logs.batch.delay, logs.batch.retry) == ("7ms", "2s", "8ms")

    def test_half_a_certificate_is_ignored(self) -> None:
        environ = {"OTEL_LOGS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY": "/key"}
        settings, _sources, (warning,) = load_settings(None, environ)
        assert (settings.logs.tls, settings.exporter.tls) == (Tls(), Tls())
        assert warning.startswith("OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY is ignored: a certificate and its key belong together")

    def test_a_batch_is_made_to_fit(self) -> None:
        settings, _sources, warnings = load_settings(None, {"OTEL_BLRP_MAX_QUEUE_SIZE": "9"})
        assert (settings.logs.batch.max_batch_records, settings.exporter.batch.max_batch_spans) == (9, 2_048)
        assert warnings == []
        _settings, _sources, (warning,) = load_settings(None, {"OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "50000"})
        assert warning == "a batch of 50000 records does not fit in a queue of 20480: it is made as small"


class TestTogether:
    """Fields that only make sense together come from one source."""

    def test_an_endpoint_of_the_file_beats_any_of_the_environment(self, load: Load) -> None:
        exporter = load("exporter: {endpoint: 'http://file:4318'}", **{TRACES_ENDPOINT: "http://env/traces"}).settings.exporter
        assert (exporter.endpoint, exporter.traces_endpoint) == ("http://file:4318", None)

    def test_a_ratio_of_the_file_suits_a_sampler_of_the_environment(self, load: Load) -> None:
        sampling = load(
            "sampling: {ratio: 0.5}", OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="0.1"
        ).settings.sampling
        assert (sampling.type, sampling.ratio) == ("TraceIDRatio", 0.5)

    def test_a_sampler_of_the_file_needs_no_ratio_of_the_environment(self, load: Load) -> None:
        sampling = load(
            "sampling: {type: AlwaysOn}", OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="0.1"
        ).settings.sampling
        assert (sampling.type, sampling.ratio) == ("AlwaysOn", None)

    def test_a_sampler_of_the_file_needs_no_plugin_of_the_environment(self, load: Load) -> None:
        loaded = load("sampling: {type: AlwaysOn}", OTEL_TRACES_SAMPLER="company", OTEL_TRACES_SAMPLER_ARG="x")
        sampling = loaded.settings.sampling
        assert (sampling.type, sampling.plugin, sampling.plugin_argument) == ("AlwaysOn", None, None)

    def test_a_plugin_of_the_environment_gives_way_to_haproxy_where_that_decides(self) -> None:
        environ = {"OTEL_TRACES_SAMPLER": "company", "OTEL_TRACES_SAMPLER_ARG": "x"}
        document, sources, warnings = read_environment(environ)
        document["profile"] = "Stream"
        _fit_together(document, sources, warnings)
        assert document == {"profile": "Stream", "sampling": {}}
        assert sources == {}
        assert warnings == ["OTEL_TRACES_SAMPLER is ignored: with profile Stream HAProxy decides, and runs no plugin"]

    def test_an_exporter_of_the_file_needs_no_plugin_of_the_environment(self, load: Load) -> None:
        exporter = load("exporter: {type: console}", OTEL_TRACES_EXPORTER="otlp_proto_http").settings.exporter
        assert (exporter.type, exporter.plugin) == ("console", None)

    def test_a_plugin_of_the_environment_is_one_that_is_installed(self) -> None:
        exporter = load_settings(None, {"OTEL_TRACES_EXPORTER": "otlp_proto_http"}).settings.exporter
        assert (exporter.type, exporter.plugin) == ("plugin", "otlp_proto_http")

    @pytest.mark.parametrize(
        ("text", "environ", "sources"),
        [
            (
                "sampling: {type: AlwaysOn}",
                {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"},
                {"sampling.type": "file"},
            ),
            ("exporter: {endpoint: 'http://file:4318'}", {TRACES_ENDPOINT: "http://env/traces"}, {"exporter.endpoint": "file"}),
        ],
    )
    def test_and_are_said_to(self, load: Load, text: str, environ: dict[str, str], sources: dict[str, str]) -> None:
        assert load(text, **environ).sources == sources


class TestVariablesThatDoNotFit:
    """What a file would be refused for is warned of when it is from the environment, and never fatal."""

    @pytest.mark.parametrize(
        ("variable", "text", "reason"),
        [
            (ENDPOINT, "http://", "exporter.endpoint: 'http://': expected a http:// or https:// URL, such as"),
            (
                "OTEL_EXPORTER_OTLP_TIMEOUT",
                "10000000000",
                "exporter.timeout: '10000000000ms': expected a whole number with us, ms, s or m",
            ),
            (
                "OTEL_BSP_MAX_QUEUE_SIZE",
                "100000000",
                "exporter.batch.maxQueueSpans: 100000000: expected a whole number <= 10000000",
            ),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cret%0A", "expected name=value,name=value with percent-encoded values"),
            (
                "OTEL_EXPORTER_OTLP_CLIENT_KEY",
                "/key.pem",
                "a certificate and its key belong together, and exporter.tls.certificateFile is not set",
            ),
            (
                "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
                "/cert.pem",
                "a certificate and its key belong together, and exporter.tls.keyFile is not set",
            ),
        ],
    )
    def test_are_ignored(self, variable: str, text: str, reason: str) -> None:
        settings, sources, (warning,) = load_settings(None, {variable: text})
        assert (settings, sources) == (Settings(), {})
        assert warning.startswith(f"{variable} is ignored: {reason}")

    def test_only_what_does_not_fit_is(self) -> None:
        loaded = load_settings(None, {ENDPOINT: "http://", "OTEL_EXPORTER_OTLP_TIMEOUT": "500"})
        assert loaded.sources == {"exporter.timeout": "OTEL_EXPORTER_OTLP_TIMEOUT"}
        assert loaded.settings.exporter.timeout == "500ms"

    def test_a_certificate_of_the_environment_may_have_its_key_in_the_file(self, load: Load) -> None:
        loaded = load("exporter: {tls: {keyFile: /key.pem}}", OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE="/cert.pem")
        assert (loaded.settings.exporter.tls.certificate_file, loaded.settings.exporter.tls.key_file) == ("/cert.pem", "/key.pem")
        assert loaded.warnings == []

    @pytest.mark.parametrize(
        ("text", "environ", "size", "warned"),
        [
            pytest.param("", {"OTEL_BSP_MAX_QUEUE_SIZE": "1000"}, 1000, False, id="only the default is too large"),
            pytest.param("", {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "50000"}, 20_480, True, id="larger than the default"),
            pytest.param(
                "",
                {"OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "50"},
                10,
                True,
                id="larger than the other one",
            ),
            pytest.param("", {"OTEL_BSP_MAX_QUEUE_SIZE": "50", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "50"}, 50, False, id="just right"),
            pytest.param(
                "exporter: {batch: {maxQueueSpans: 100}}",
                {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "50000"},
                100,
                True,
                id="larger than the file's queue",
            ),
        ],
    )
    def test_a_batch_is_made_as_small_as_the_queue(
        self, load: Load, text: str, environ: dict[str, str], size: int, warned: bool
    ) -> None:
        loaded = load(text, **environ)
        assert (loaded.settings.exporter.batch.max_queue_spans, loaded.settings.exporter.batch.max_batch_spans) == (size, size)
        assert len(loaded.warnings) == warned

    def test_in_a_file_it_stays_an_error(self, load: Load) -> None:
        with pytest.raises(SettingsError, match=r"^exporter\.batch\.maxBatchSpans: 2048 is more than maxQueueSpans 1000"):
            load("exporter: {batch: {maxQueueSpans: 1000}}")

    @pytest.mark.parametrize(
        "text", ["exporter: null", "exporter: x", "exporter: {batch: []}", "sampling: 7", "exporter: {tls: 1}"]
    )
    def test_nor_does_the_environment_hide_a_wrong_section(self, load: Load, text: str) -> None:
        environ = {
            "OTEL_BSP_MAX_QUEUE_SIZE": "10",
            "OTEL_EXPORTER_OTLP_CLIENT_KEY": "/key.pem",
            "OTEL_TRACES_SAMPLER": "traceidratio",
        }
        with pytest.raises(SettingsError, match=r"expected a mapping"):
            load(text, **environ)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}", "null"])
def test_an_empty_file_is_one_with_defaults(load: Load, text: str) -> None:
    assert load(text) == Loaded(Settings(), {}, [])


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[1, 2]", "expected a mapping of settings at the top, found list"),
        ("just text", "expected a mapping of settings at the top, found str"),
        ("exporter: {endpoint: ", "is no YAML"),
        ("a: b: c", "is no YAML"),
        ("\x00", "is no YAML"),
        ("a: !!python/object/apply:os.getcwd []", "is no YAML"),
    ],
)
def test_a_file_that_is_none(load: Load, tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(text)
    assert str(raised.value).startswith(f"{tmp_path / 'agent.yaml'}: {error}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("name", "reason"), [("missing.yaml", "No such file or directory"), ("", "Is a directory")])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, reason: str) -> None:
    path = tmp_path / name
    with pytest.raises(SettingsError) as raised:
        load_settings(path, {})
    assert str(raised.value) == f"{path}: can't be read: {reason}"


def test_a_wrong_field_of_the_file(load: Load) -> None:
    with pytest.raises(SettingsError, match=r"^exporter\.timeout: 'soon': expected a whole number with us, ms, s or m"):
        load("exporter: {timeout: soon}")


def test_an_error_of_yaml_says_where_but_not_the_line_which_may_hold_a_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text("exporter:\n  headers: [{name: a, value: s3cret: x}]\n")
    # The loader without C quotes the line.
    monkeypatch.delattr(yaml, "CSafeLoader")
    with pytest.raises(SettingsError, match=r"is no YAML: .+: line 2, column \d+$") as raised:
        load_settings(path, {})
    assert "s3cret" not in str(raised.value)
