"""``OTEL_*`` variables by the rules of the OpenTelemetry specification: what can't be understood is warned of, never fatal."""

from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.settings import environment as environment_module
from haproxy_telemetry_agent.settings.environment import read_environment
from haproxy_telemetry_agent.settings.sources import load_settings

OTLP, TRACES, LOGS = "OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_LOGS_"
OF_LOGS = ("PROTOCOL", "COMPRESSION", "TIMEOUT", "HEADERS", "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY", "INSECURE")
VARIABLES = sorted(
    {name for _field, names, _parse in environment_module._VARIABLES for name in names}
    | {"OTEL_TRACES_SAMPLER_ARG", "OTEL_PROPAGATORS", "OTEL_TRACES_EXPORTER", f"{OTLP}INSECURE", f"{TRACES}INSECURE"}
    | {f"{LOGS}{suffix}" for suffix in OF_LOGS}
)


def value_at(document: dict[str, Any], field: str) -> Any:
    value: Any = document
    for name in field.split("."):
        value = value[name]
    return value


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        (f"{OTLP}ENDPOINT", "http://collector:4318", "exporter.endpoint", "http://collector:4318"),
        (f"{OTLP}ENDPOINT", "https://collector/base/", "exporter.endpoint", "https://collector/base/"),
        (f"{TRACES}ENDPOINT", "http://collector:4318/custom", "exporter.tracesEndpoint", "http://collector:4318/custom"),
        (f"{TRACES}ENDPOINT", "http://collector:4318", "exporter.tracesEndpoint", "http://collector:4318/"),
        (f"{OTLP}ENDPOINT", "unix:/run/collector.sock", "exporter.endpoint", "unix:/run/collector.sock"),
        (f"{OTLP}PROTOCOL", "HTTP/Protobuf", "exporter.protocol", "http/protobuf"),
        (f"{TRACES}PROTOCOL", "grpc", "exporter.protocol", "grpc"),
        ("OTEL_TRACES_EXPORTER", "OTLP", "exporter.type", "otlp"),
        ("OTEL_TRACES_EXPORTER", "none", "exporter.type", "none"),
        ("OTEL_TRACES_EXPORTER", "otlp/stdout", "exporter.type", "console"),
        (f"{OTLP}COMPRESSION", "GZIP", "exporter.compression", "gzip"),
        (f"{OTLP}COMPRESSION", "none", "exporter.compression", "none"),
        (f"{OTLP}TIMEOUT", "1500", "exporter.timeout", "1500ms"),
        (f"{OTLP}CERTIFICATE", "/ca.pem", "exporter.tls.caFile", "/ca.pem"),
        (f"{OTLP}CLIENT_CERTIFICATE", "/cert.pem", "exporter.tls.certificateFile", "/cert.pem"),
        (f"{OTLP}CLIENT_KEY", "/key.pem", "exporter.tls.keyFile", "/key.pem"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0", "exporter.batch.delay", "0ms"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "30000", "exporter.batch.retry", "30000ms"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "2048", "exporter.batch.maxQueueSpans", 2048),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "512", "exporter.batch.maxBatchSpans", 512),
        ("OTEL_TRACES_SAMPLER", "always_on", "sampling.type", "AlwaysOn"),
        ("OTEL_TRACES_SAMPLER", "always_off", "sampling.type", "AlwaysOff"),
        ("OTEL_TRACES_SAMPLER", "traceidratio", "sampling.type", "TraceIDRatio"),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_on", "sampling.type", "ParentBasedAlwaysOn"),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_off", "sampling.type", "ParentBasedAlwaysOff"),
        ("OTEL_TRACES_SAMPLER", "ParentBased_TraceIdRatio", "sampling.type", "ParentBasedTraceIDRatio"),
        ("OTEL_PROPAGATORS", "tracecontext,baggage", "propagation.propagators", ["tracecontext", "baggage"]),
        ("OTEL_PROPAGATORS", " TraceContext , tracecontext,, b3 ", "propagation.propagators", ["tracecontext", "b3"]),
        ("OTEL_PROPAGATORS", "xray,jaeger,b3multi,xray", "propagation.propagators", ["xray", "jaeger", "b3multi"]),
        ("OTEL_PROPAGATORS", "None", "propagation.propagators", ["none"]),
        ("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "GET, BREW,,", "spans.knownMethods", ["GET", "BREW"]),
        ("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", "X-A,x-b,x-a", "spans.requestHeaders", ["x-a", "x-b"]),
        ("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE", "Age", "spans.responseHeaders", ["age"]),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "64", "spans.limits.attributeCount", 64),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0", "spans.limits.attributeCount", 0),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "256", "spans.limits.attributeValueLength", 256),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "12", "spans.limits.attributeValueLength", 12),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "1", "spans.limits.eventCount", 1),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "2", "spans.limits.linkCount", 2),
        ("OTEL_METRIC_EXPORT_INTERVAL", "5000", "metrics.push.interval", "5000ms"),
        (f"{OTLP}METRICS_ENDPOINT", "http://collector:4318/m", "metrics.push.endpoint", "http://collector:4318/m"),
        ("OTEL_LOGS_EXPORTER", "OTLP", "logs.enabled", True),
        ("OTEL_LOGS_EXPORTER", "none", "logs.enabled", False),
        (f"{LOGS}ENDPOINT", "http://collector:4318/l", "logs.endpoint", "http://collector:4318/l"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "200", "logs.batch.delay", "200ms"),
        ("OTEL_BLRP_EXPORT_TIMEOUT", "30000", "logs.batch.retry", "30000ms"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "2048", "logs.batch.maxQueueRecords", 2048),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "512", "logs.batch.maxBatchRecords", 512),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "trace_based", "metrics.exemplars", True),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "always_off", "metrics.exemplars", False),
        ("OTEL_LOG_LEVEL", "WARN", "log.level", "warn"),
        ("OTEL_LOG_LEVEL", "warning", "log.level", "warn"),
        ("OTEL_LOG_LEVEL", "fatal", "log.level", "error"),
        ("OTEL_LOG_LEVEL", "trace", "log.level", "debug"),
    ],
)
def test_variable(variable: str, text: str, field: str, value: object) -> None:
    document, sources, warnings = read_environment({variable: f" {text} "})
    assert value_at(document, field) == value
    assert sources == {field: variable}
    assert warnings == []


def test_nothing_set_is_nothing_said() -> None:
    assert read_environment({}) == ({}, {}, [])


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("text", ["", " ", "\t"])
def test_empty_is_unset(variable: str, text: str) -> None:
    assert read_environment({variable: text}) == ({}, {}, [])


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        (f"{OTLP}ENDPOINT", "collector:4317", "a http:// or https:// URL"),
        (f"{TRACES}ENDPOINT", "grpc://collector", "a http:// or https:// URL"),
        (f"{TRACES}ENDPOINT", "unix:/run/collector.sock", "a http:// or https:// URL"),
        (f"{TRACES}PROTOCOL", "http/json", "one of http/protobuf, grpc"),
        (f"{OTLP}COMPRESSION", "zstd", "one of none, gzip"),
        (f"{OTLP}TIMEOUT", "10s", "a whole number of at least 0"),
        (f"{OTLP}TIMEOUT", "-1", "a whole number of at least 0"),
        (f"{OTLP}TIMEOUT", "²", "a whole number of at least 0"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "a whole number of at least 1"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1e3", "a whole number of at least 1"),
        ("OTEL_METRICS_EXPORTER", "console", "one of prometheus, otlp, none"),
        ("OTEL_LOGS_EXPORTER", "console", "one of otlp, none"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "0", "a whole number of at least 1"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "always_on", "one of trace_based, always_off"),
        ("OTEL_TRACES_SAMPLER", "two words", "one of always_on, always_off, traceidratio"),
        ("OTEL_TRACES_SAMPLER", "a=b", "one of always_on, always_off, traceidratio"),
        ("OTEL_LOG_LEVEL", "loud", "one of trace, debug, info"),
    ],
)
def test_what_cannot_be_understood_is_ignored_with_a_warning(variable: str, text: str, expected: str) -> None:
    document, sources, (warning,) = read_environment({variable: text})
    assert (document, sources) == ({}, {})
    assert warning.startswith(f"{variable}={text!r} is ignored: expected {expected}")


@pytest.mark.parametrize(("text", "requests", "push"), [("prometheus", True, False), ("OTLP", True, True), ("none", False, False)])
def test_a_metrics_exporter_says_whether_requests_are_measured_and_whether_that_is_pushed(
    text: str, requests: bool, push: bool
) -> None:
    document, sources, warnings = read_environment({"OTEL_METRICS_EXPORTER": text})
    assert document == {"metrics": {"requests": requests, "push": {"enabled": push}}}
    assert set(sources.values()) == {"OTEL_METRICS_EXPORTER"}
    assert warnings == []


@pytest.mark.parametrize("direction", ["REQUEST", "RESPONSE"])
def test_headers_with_secrets_are_for_the_file_only(direction: str) -> None:
    variable = f"OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_{direction}"
    document, sources, (warning,) = read_environment({variable: "x-a,Authorization"})
    assert (document, sources) == ({}, {})
    assert warning.startswith(f"{variable} is ignored: authorization carries secrets: only the settings file can list it")


@pytest.mark.parametrize("name", ["COUNT", "VALUE_LENGTH"])
def test_the_limit_of_spans_beats_the_general_one(name: str) -> None:
    document, sources, _warnings = read_environment({f"OTEL_SPAN_ATTRIBUTE_{name}_LIMIT": "1", f"OTEL_ATTRIBUTE_{name}_LIMIT": "2"})
    assert [*document["spans"]["limits"].values()] == [1]
    assert [*sources.values()] == [f"OTEL_SPAN_ATTRIBUTE_{name}_LIMIT"]


@pytest.mark.parametrize(
    ("name", "traces", "general", "field", "value"),
    [
        ("COMPRESSION", "gzip", "none", "exporter.compression", "gzip"),
        ("TIMEOUT", "1", "2", "exporter.timeout", "1ms"),
        ("CERTIFICATE", "/traces", "/general", "exporter.tls.caFile", "/traces"),
        ("HEADERS", "a=traces", "a=general", "exporter.headers", [{"name": "a", "value": "traces"}]),
    ],
)
class TestSignal:
    """A variable of the traces signal beats the general one, as long as it says something."""

    def test_beats_general(self, name: str, traces: str, general: str, field: str, value: object) -> None:
        document, sources, _warnings = read_environment({TRACES + name: traces, OTLP + name: general})
        assert value_at(document, field) == value
        assert sources == {field: TRACES + name}

    def test_general_counts_where_it_is_empty(self, name: str, traces: str, general: str, field: str, value: object) -> None:
        _document, sources, _warnings = read_environment({TRACES + name: "", OTLP + name: general})
        assert sources == {field: OTLP + name}


def test_general_counts_where_the_signals_own_cannot_be_understood() -> None:
    document, sources, warnings = read_environment({f"{TRACES}TIMEOUT": "soon", f"{OTLP}TIMEOUT": "2"})
    assert document == {"exporter": {"timeout": "2ms"}}
    assert sources == {"exporter.timeout": f"{OTLP}TIMEOUT"}
    assert len(warnings) == 1


class TestHeaders:
    @pytest.mark.parametrize(
        ("text", "headers"),
        [
            ("api-key=secret", [("api-key", "secret")]),
            ("Api-Key=secret,X-Scope=one", [("api-key", "secret"), ("x-scope", "one")]),
            (" api-key = secret , ", [("api-key", "secret")]),
            ("authorization=Bearer%20abc%3D%3D", [("authorization", "Bearer abc==")]),
            ("authorization=Basic dXNlcjpwYXNz==", [("authorization", "Basic dXNlcjpwYXNz==")]),
            ("a=b%2Cc", [("a", "b,c")]),
            ("a=", [("a", "")]),
            ("a=1+1", [("a", "1+1")]),
        ],
    )
    def test_names_and_percent_encoded_values(self, text: str, headers: list[tuple[str, str]]) -> None:
        document, _sources, warnings = read_environment({f"{OTLP}HEADERS": text})
        assert document["exporter"]["headers"] == [{"name": name, "value": value} for name, value in headers]
        assert warnings == []

    @pytest.mark.parametrize("text", ["s3cret", "=s3cret", "a=b,s3cret", "a=b; =s3cret,=c"])
    @pytest.mark.parametrize("variable", [f"{OTLP}HEADERS", f"{TRACES}HEADERS"])
    def test_a_warning_never_shows_them(self, variable: str, text: str) -> None:
        document, _sources, (warning,) = read_environment({variable: text})
        assert document == {}
        assert warning == f"{variable} is ignored: expected name=value,name=value with percent-encoded values"


class TestLogs:
    """The access log has variables of its own over the general ones; those of traces are not for it."""

    ON: ClassVar[dict[str, str]] = {"OTEL_LOGS_EXPORTER": "otlp"}

    def logs(self, environ: dict[str, str]) -> dict[str, Any]:
        document, sources, warnings = read_environment(self.ON | environ)
        assert warnings == []
        assert {name for field, name in sources.items() if field.startswith("logs.")} <= {*self.ON, *environ}
        logs: dict[str, Any] = document["logs"]
        assert logs.pop("enabled") is True
        return logs

    @pytest.mark.parametrize(
        ("name", "text", "field", "value"),
        [
            ("PROTOCOL", "grpc", "protocol", "grpc"),
            ("COMPRESSION", "none", "compression", "none"),
            ("TIMEOUT", "7", "timeout", "7ms"),
            ("HEADERS", "a=b", "headers", [{"name": "a", "value": "b"}]),
            ("CERTIFICATE", "/ca", "tls", {"caFile": "/ca"}),
            ("CLIENT_KEY", "/key", "tls", {"keyFile": "/key"}),
        ],
    )
    def test_its_own_one_counts(self, name: str, text: str, field: str, value: object) -> None:
        assert self.logs({LOGS + name: text}) == {field: value}
        others = {"PROTOCOL": "http/protobuf", "COMPRESSION": "gzip", "HEADERS": "c=d"}.get(name, "9")
        own = self.logs({LOGS + name: text, OTLP + name: others, TRACES + name: others})
        assert own[field] == value

    @pytest.mark.parametrize("name", OF_LOGS)
    def test_a_general_one_comes_by_way_of_the_exporter(self, name: str) -> None:
        assert self.logs({OTLP + name: {"PROTOCOL": "grpc", "COMPRESSION": "none", "HEADERS": "a=b"}.get(name, "1")}) == {}

    @pytest.mark.parametrize(
        ("name", "of_traces", "general", "field", "value"),
        [
            ("PROTOCOL", "grpc", "http/protobuf", "protocol", "http/protobuf"),
            ("COMPRESSION", "gzip", "none", "compression", "none"),
            ("TIMEOUT", "1", "2", "timeout", "2ms"),
            ("HEADERS", "a=traces", "a=general", "headers", [{"name": "a", "value": "general"}]),
            ("CERTIFICATE", "/traces", "/general", "tls", {"caFile": "/general"}),
        ],
    )
    def test_a_general_one_counts_where_traces_have_their_own(
        self, name: str, of_traces: str, general: str, field: str, value: object
    ) -> None:
        assert self.logs({TRACES + name: of_traces, OTLP + name: general}) == {field: value}

    @pytest.mark.parametrize(
        ("name", "of_traces", "field", "value"),
        [
            ("PROTOCOL", "grpc", "protocol", "http/protobuf"),
            ("COMPRESSION", "none", "compression", "gzip"),
            ("TIMEOUT", "1", "timeout", "10s"),
            ("HEADERS", "authorization=s3cret", "headers", []),
            ("CLIENT_CERTIFICATE", "/traces", "tls", {}),
        ],
    )
    def test_one_of_traces_alone_is_not_for_it(self, name: str, of_traces: str, field: str, value: object) -> None:
        assert self.logs({TRACES + name: of_traces}) == {field: value}

    def test_nobody_looks_at_them_without_need(self) -> None:
        environ = {f"{LOGS}{name}": "nonsense" for name in OF_LOGS} | {f"{TRACES}HEADERS": "a=b"}
        document, _sources, warnings = read_environment(environ)
        assert "logs" not in document
        assert warnings == []
        assert "logs" in read_environment(environ, logs=True)[0]

    @pytest.mark.parametrize(("insecure", "scheme"), [("", "https"), ("true", "http")])
    def test_an_endpoint_of_grpc_may_be_without_a_scheme(self, insecure: str, scheme: str) -> None:
        environ = {f"{LOGS}PROTOCOL": "grpc", f"{LOGS}ENDPOINT": "logs:4317", f"{LOGS}INSECURE": insecure}
        assert self.logs(environ) == {"protocol": "grpc", "endpoint": f"{scheme}://logs:4317/"}

    def test_a_warning_never_shows_a_header(self) -> None:
        _document, _sources, (warning,) = read_environment(self.ON | {f"{LOGS}HEADERS": "s3cret"})
        assert warning == f"{LOGS}HEADERS is ignored: expected name=value,name=value with percent-encoded values"


class TestExporters:
    @pytest.mark.parametrize(
        ("text", "document"),
        [
            ("otlp,console", {"exporter": {"type": "otlp"}, "exporters": [{"type": "console"}]}),
            ("console, OTLP", {"exporter": {"type": "otlp"}, "exporters": [{"type": "console"}]}),
            ("console,otlp/stdout", {"exporter": {"type": "console"}}),
        ],
    )
    def test_a_list_has_otlp_first(self, text: str, document: dict[str, Any]) -> None:
        read, sources, warnings = read_environment({"OTEL_TRACES_EXPORTER": text})
        assert read == document
        assert set(sources.values()) == {"OTEL_TRACES_EXPORTER"}
        assert warnings == []

    @pytest.mark.parametrize(
        ("text", "ignored"), [("zipkin,otlp", "zipkin"), ("none,otlp", "none"), ("x,otlp,jaeger", "x, jaeger")]
    )
    def test_unknown_ones_are_ignored_one_by_one(self, text: str, ignored: str) -> None:
        document, _sources, (warning,) = read_environment({"OTEL_TRACES_EXPORTER": text})
        assert document == {"exporter": {"type": "otlp"}}
        assert (
            warning
            == f"OTEL_TRACES_EXPORTER={text!r}: {ignored} is ignored: expected otlp, console, otlp/stdout, none (none alone)"
        )

    def test_of_unknown_ones_alone_nothing_is_set(self) -> None:
        document, sources, warnings = read_environment({"OTEL_TRACES_EXPORTER": "zipkin"})
        assert (document, sources, len(warnings)) == ({}, {}, 1)


class TestExporterPlugins:
    @pytest.mark.parametrize(
        ("text", "document"),
        [
            ("Company", {"exporter": {"type": "plugin", "plugin": "Company"}}),
            ("Company,otlp", {"exporter": {"type": "otlp"}, "exporters": [{"type": "plugin", "plugin": "Company"}]}),
            ("console", {"exporter": {"type": "console"}}),
        ],
    )
    def test_installed_ones_are_taken(self, text: str, document: dict[str, Any]) -> None:
        read, sources, warnings = read_environment({"OTEL_TRACES_EXPORTER": text}, exporter_plugins=lambda: {"Company", "console"})
        assert read == document
        assert set(sources.values()) == {"OTEL_TRACES_EXPORTER"}
        assert warnings == []

    def test_others_are_ignored_and_the_installed_ones_named(self) -> None:
        document, _sources, (warning,) = read_environment({"OTEL_TRACES_EXPORTER": "zipkin"}, exporter_plugins=lambda: {"company"})
        assert document == {}
        assert warning.endswith("zipkin is ignored: expected otlp, console, otlp/stdout, none, company (none alone)")

    def test_nobody_looks_for_them_without_need(self) -> None:
        def fail() -> set[str]:
            raise AssertionError

        assert read_environment({"OTEL_TRACES_EXPORTER": "otlp,console"}, exporter_plugins=fail)[2] == []

    def test_more_than_a_file_may_have_are_cut(self) -> None:
        names = {f"plugin{number}" for number in range(20)}
        document, _sources, _warnings = read_environment({"OTEL_TRACES_EXPORTER": ",".join(names)}, exporter_plugins=lambda: names)
        assert len(document["exporters"]) == 8


class TestEndpointsOfGrpc:
    """They may be without a scheme; whether they are encrypted then is a variable of its own."""

    @pytest.mark.parametrize("value", ["collector:4317", "[::1]:4317", "collector"])
    @pytest.mark.parametrize(("insecure", "scheme"), [("", "https"), ("false", "https"), ("1", "https"), ("TRUE", "http")])
    def test_get_one(self, value: str, insecure: str, scheme: str) -> None:
        document, _sources, warnings = read_environment(
            {f"{OTLP}PROTOCOL": "grpc", f"{OTLP}ENDPOINT": value, f"{OTLP}INSECURE": insecure}
        )
        assert document["exporter"] == {"protocol": "grpc", "endpoint": f"{scheme}://{value}"}
        assert warnings == []

    def test_of_traces_have_a_variable_of_their_own(self) -> None:
        environ = {
            f"{OTLP}PROTOCOL": "grpc",
            f"{OTLP}INSECURE": "false",
            f"{TRACES}INSECURE": "true",
            f"{OTLP}ENDPOINT": "general:4317",
            f"{TRACES}ENDPOINT": "traces:4317",
        }
        document, _sources, _warnings = read_environment(environ)
        assert (document["exporter"]["endpoint"], document["exporter"]["tracesEndpoint"]) == (
            "https://general:4317",
            "http://traces:4317/",
        )

    @pytest.mark.parametrize("value", ["http://collector:4317", "https://collector", "unix:/run/collector.sock"])
    def test_that_have_one_keep_it(self, value: str) -> None:
        document, _sources, _warnings = read_environment(
            {f"{OTLP}PROTOCOL": "grpc", f"{OTLP}ENDPOINT": value, f"{OTLP}INSECURE": "true"}
        )
        assert document["exporter"]["endpoint"] == value


class TestPropagators:
    @pytest.mark.parametrize(
        ("text", "propagators", "ignored"),
        [
            ("b3, ottrace", ["b3"], "ottrace"),
            ("W3C,b3,w3c,zipkin", ["b3"], "w3c, zipkin"),
            ("tracecontext,none", ["tracecontext"], "none"),
        ],
    )
    def test_unknown_ones_are_ignored_one_by_one(self, text: str, propagators: list[str], ignored: str) -> None:
        document, sources, (warning,) = read_environment({"OTEL_PROPAGATORS": text})
        assert document == {"propagation": {"propagators": propagators}}
        assert sources == {"propagation.propagators": "OTEL_PROPAGATORS"}
        assert warning == (
            f"OTEL_PROPAGATORS={text!r}: {ignored} is ignored: "
            "expected tracecontext, baggage, b3, b3multi, jaeger, xray, none (none alone)"
        )

    @pytest.mark.parametrize("text", ["ottrace", "a,b"])
    def test_of_unknown_ones_alone_nothing_is_set(self, text: str) -> None:
        document, sources, warnings = read_environment({"OTEL_PROPAGATORS": text})
        assert (document, sources, len(warnings)) == ({}, {}, 1)

    def test_none_stays_with_unknown_ones(self) -> None:
        document, _sources, warnings = read_environment({"OTEL_PROPAGATORS": "none,ottrace"})
        assert document == {"propagation": {"propagators": ["none"]}}
        assert len(warnings) == 1

    def test_commas_alone_are_nothing(self) -> None:
        assert read_environment({"OTEL_PROPAGATORS": " , ,"}) == ({}, {}, [])


class TestSamplerArgument:
    @pytest.mark.parametrize("sampler", ["traceidratio", "parentbased_traceidratio"])
    @pytest.mark.parametrize(("text", "ratio"), [("0.25", 0.25), ("0", 0), ("1", 1), ("1e-3", 0.001)])
    def test_of_a_ratio(self, sampler: str, text: str, ratio: float) -> None:
        document, sources, warnings = read_environment({"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": text})
        assert document["sampling"]["ratio"] == ratio
        assert sources["sampling.ratio"] == "OTEL_TRACES_SAMPLER_ARG"
        assert warnings == []

    def test_is_1_where_it_is_missing(self) -> None:
        document, sources, warnings = read_environment({"OTEL_TRACES_SAMPLER": "traceidratio"})
        assert document["sampling"] == {"type": "TraceIDRatio", "ratio": 1}
        assert "sampling.ratio" not in sources
        assert warnings == []

    @pytest.mark.parametrize("text", ["1.1", "-0.1", "half", "nan", "inf"])
    def test_is_1_where_it_is_none(self, text: str) -> None:
        document, sources, (warning,) = read_environment({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": text})
        assert document["sampling"]["ratio"] == 1
        assert "sampling.ratio" not in sources
        assert warning == f"OTEL_TRACES_SAMPLER_ARG={text!r} is ignored: expected a number from 0 to 1; 1 is used"

    @pytest.mark.parametrize("sampler", ["", "always_on", "parentbased_always_off", "not a sampler"])
    def test_means_nothing_to_other_samplers(self, sampler: str) -> None:
        document, _sources, warnings = read_environment({"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": "0.5"})
        assert "ratio" not in document.get("sampling", {})
        assert warnings[-1].startswith("OTEL_TRACES_SAMPLER_ARG='0.5' is ignored: only OTEL_TRACES_SAMPLER=traceidratio")

    def test_of_a_plugin_is_its_own_affair(self) -> None:
        document, sources, warnings = read_environment(
            {"OTEL_TRACES_SAMPLER": "jaeger_Remote", "OTEL_TRACES_SAMPLER_ARG": "endpoint=http://x,pollingIntervalMs=5000"}
        )
        assert document["sampling"] == {
            "type": "Plugin",
            "plugin": "jaeger_Remote",
            "pluginArgument": "endpoint=http://x,pollingIntervalMs=5000",
        }
        assert sources == {
            "sampling.type": "OTEL_TRACES_SAMPLER",
            "sampling.plugin": "OTEL_TRACES_SAMPLER",
            "sampling.pluginArgument": "OTEL_TRACES_SAMPLER_ARG",
        }
        assert warnings == []

    def test_of_a_plugin_may_be_missing(self) -> None:
        document, _sources, _warnings = read_environment({"OTEL_TRACES_SAMPLER": "company"})
        assert document["sampling"] == {"type": "Plugin", "plugin": "company"}


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({f"{OTLP}ENDPOINT": "HTTP://collector:4318"}),
        pytest.param({f"{OTLP}ENDPOINT": "http://"}),
        pytest.param({f"{OTLP}TIMEOUT": "10000000000"}),
        pytest.param({f"{OTLP}HEADERS": "two words=x"}),
        pytest.param({f"{OTLP}HEADERS": "a=%00"}),
        pytest.param({f"{OTLP}CLIENT_KEY": "/key.pem"}),
        pytest.param({"OTEL_PROPAGATORS": "none,b3,b3,ottrace"}),
        pytest.param({"OTEL_BSP_MAX_QUEUE_SIZE": "1000"}),
        pytest.param({"OTEL_BSP_MAX_QUEUE_SIZE": "100000000"}),
        pytest.param({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "50000"}),
        pytest.param({"OTEL_TRACES_SAMPLER": "x" * 256}),
        pytest.param({"OTEL_TRACES_SAMPLER": "x", "OTEL_TRACES_SAMPLER_ARG": "x" * 5000}),
    ],
    ids=str,
)
def test_no_variable_is_ever_fatal(environ: dict[str, str]) -> None:
    """The specification: never crash on a bad value. 1000 as the size of the queue is not even a bad one."""
    load_settings(None, environ)


@given(
    environ=st.dictionaries(
        st.sampled_from(VARIABLES), st.one_of(st.text(max_size=12), st.integers(0, 10**12).map(str)), max_size=6
    )
)
def test_nor_are_any_together(environ: dict[str, str]) -> None:
    load_settings(None, environ)


def test_no_warning_shows_a_header_that_was_written_wrongly() -> None:
    loaded = load_settings(None, {f"{OTLP}HEADERS": "authorization: Bearer s3cret=="})
    assert len(loaded.warnings) == 1
    assert "s3cret" not in loaded.warnings[0]


@given(environ=st.dictionaries(st.sampled_from(VARIABLES), st.text(max_size=12), max_size=5))
def test_any_values_are_read_or_warned_of(environ: dict[str, str]) -> None:
    _document, sources, warnings = read_environment(environ)
    assert set(sources.values()) <= set(environ)
    assert all(warning.partition("=")[0].partition(" ")[0] in environ for warning in warnings)
