"""The agent's own metrics, as Prometheus reads them."""

import random
from collections.abc import Callable, Iterable

import pytest
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from haproxy_telemetry_agent import telemetry as telemetry_module
from haproxy_telemetry_agent.export import Result, SpanQueue, Verdict
from haproxy_telemetry_agent.memory import MemoryGuard
from haproxy_telemetry_agent.records import SkipReason
from haproxy_telemetry_agent.request_metrics import RequestMetrics
from haproxy_telemetry_agent.spop import StatusCode
from haproxy_telemetry_agent.spop.errors import RemoteProtocolError
from haproxy_telemetry_agent.telemetry import PREFIX, Telemetry
from haproxy_telemetry_agent.tracing import (
    AlwaysOn,
    Attribute,
    IdGenerator,
    MiniLanguage,
    MiniLimits,
    Propagation,
    Span,
    SpanId,
    SpanKind,
    TraceId,
    WarningReason,
)
from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder

Samples = dict[str, float]
"""Values by series, as ``name{label=value}`` without our prefix."""

HELLO: Samples = {"frames_total{direction=received,type=haproxy_hello}": 1, "frames_total{direction=sent,type=agent_hello}": 1}
DISCONNECT_RECEIVED: Samples = {"frames_total{direction=received,type=haproxy_disconnect}": 1}
DISCONNECT_SENT: Samples = {"frames_total{direction=sent,type=agent_disconnect}": 1}
OK = Result(Verdict.DELIVERED, "200")
BUCKETS = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf"]


def spans_of(*kinds: SpanKind) -> list[Span]:
    """One span of each kind."""
    return [Span(TraceId(bytes(16)), SpanId(bytes(8)), None, 0, False, "", "", kind, 0, 0) for kind in kinds]


@pytest.fixture
def telemetry() -> Telemetry:
    """Metrics of an agent that has just started."""
    return Telemetry()


def families_of(telemetry: Telemetry) -> list[Metric]:
    """Our own families, scraped; not those of the process."""
    families: Iterable[Metric] = text_string_to_metric_families(generate_latest(telemetry.registry).decode())
    return [family for family in families if family.name.startswith(PREFIX)]


def samples_of(telemetry: Telemetry) -> Samples:
    samples = [sample for family in families_of(telemetry) for sample in family.samples]
    by_series = {}
    for sample in samples:
        labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
        by_series[sample.name.removeprefix(PREFIX) + (f"{{{labels}}}" if labels else "")] = sample.value
    assert len(by_series) == len(samples), "each series once"
    return by_series


def what_changed(telemetry: Telemetry, act: Callable[[], None]) -> Samples:
    before = samples_of(telemetry)
    act()
    after = samples_of(telemetry)
    return {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key)}


@pytest.mark.parametrize(
    ("act", "changes"),
    [
        (lambda it: it.connected("spop"), {"open_connections{kind=spop}": 1, "connections_total{kind=spop,result=ok}": 1}),
        (lambda it: it.disconnected("records"), {"open_connections{kind=records}": -1}),
        (lambda it: it.refused("records"), {"connections_total{kind=records,result=limit}": 1}),
        (lambda it: it.given_up("http", "unread"), {"connections_given_up_total{kind=http,reason=unread}": 1}),
        (lambda it: it.http_request_refused(), {"http_requests_refused_total": 1}),
        (lambda it: it.spop_hello(healthcheck=False), HELLO),
        (lambda it: it.spop_hello(healthcheck=True), {**HELLO, "health_checks_total": 1}),
        (lambda it: it.hello_timed_out(), {"hello_timeouts_total": 1}),
        (lambda it: it.spop_disconnect(0), {**DISCONNECT_RECEIVED, **DISCONNECT_SENT, "disconnects_total{code=normal}": 1}),
        (lambda it: it.spop_disconnect(4), {**DISCONNECT_RECEIVED, **DISCONNECT_SENT, "disconnects_total{code=invalid}": 1}),
        (lambda it: it.spop_disconnect(99), {**DISCONNECT_RECEIVED, **DISCONNECT_SENT, "disconnects_total{code=unknown}": 1}),
        (lambda it: it.spop_disconnect(-5), {**DISCONNECT_RECEIVED, **DISCONNECT_SENT, "disconnects_total{code=unknown}": 1}),
        (lambda it: it.spop_closed(), {**DISCONNECT_SENT, "disconnects_total{code=normal}": 1}),
        (
            lambda it: it.spop_violated(3),
            {**DISCONNECT_SENT, "disconnects_total{code=too_big}": 1, "frame_errors_total{code=too_big}": 1},
        ),
        (lambda it: it.frames_ignored(3), {"frames_total{direction=received,type=other}": 3}),
        (lambda it: it.message("other"), {"messages_total{message=other}": 1}),
        (lambda it: it.answer_too_long(), {"answers_too_long_total": 1}),
        (lambda it: it.decided("rule checkout"), {"sampling_reasons_total{reason=rule}": 1}),
        (lambda it: it.answered(sampled=True, has_parent=False), {"exchanges_answered_total{parent=none,sampled=true}": 1}),
        (lambda it: it.answered(sampled=False, has_parent=True), {"exchanges_answered_total{parent=remote,sampled=false}": 1}),
        (lambda it: it.recorded("answered"), {"exchanges_recorded_total{start=answered}": 1}),
        (lambda it: it.recorded("no_request"), {"exchanges_recorded_total{start=no_request}": 1}),
        (lambda it: it.recorded("connection"), {"exchanges_recorded_total{start=connection}": 1}),
        (lambda it: it.record_skipped(SkipReason.TRUNCATED), {"records_skipped_total{reason=truncated}": 1}),
        (lambda it: it.record_cut(), {"records_cut_total": 1}),
        (lambda it: it.records_lost(892), {"records_lost_total": 892}),
        (lambda it: it.record_skipped(SkipReason.TOO_LONG, 3), {"records_skipped_total{reason=too_long}": 3}),
        (lambda it: it.spoe_failed("259"), {"spoe_errors_total{code=259}": 1}),
        (lambda it: it.spans_made([]), {}),
        (lambda it: it.spans_made(spans_of(SpanKind.SERVER)), {"spans_made_total{kind=server}": 1}),
        (
            lambda it: it.spans_made(spans_of(*SpanKind)),
            {f"spans_made_total{{kind={kind}}}": 1 for kind in ("server", "client", "internal")},
        ),
        (lambda it: it.minilang_span_made(SpanKind.SERVER), {"minilang_spans_made_total{kind=server}": 1}),
        (lambda it: it.minilang_span_made(SpanKind.INTERNAL), {"minilang_spans_made_total{kind=internal}": 1}),
        (lambda it: it.minilang_warned("no_id"), {"minilang_warnings_total{reason=no_id}": 1}),
        (lambda it: it.reloaded(ok=False), {"config_last_reload_successful": -1, "config_reloads_total{result=refused}": 1}),
        (lambda it: it.dropped(7, "queue_full"), {"spans_dropped_total{reason=queue_full}": 7}),
    ],
)
def test_what_counts_what(telemetry: Telemetry, act: Callable[[Telemetry], None], changes: Samples) -> None:
    assert what_changed(telemetry, lambda: act(telemetry)) == changes


def test_an_export_is_counted_and_its_time_kept(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry_module.time, "time", lambda: 1_795_355_434.5)
    assert what_changed(telemetry, lambda: telemetry.exported(5)) == {
        "spans_exported_total": 5,
        "last_export_success_timestamp_seconds": 1_795_355_434.5,
    }


def test_settings_that_were_taken_have_a_time(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry_module.time, "time", lambda: 1_795_355_434.5)
    telemetry.configured()
    assert samples_of(telemetry)["config_reload_timestamp_seconds"] == 1_795_355_434.5
    monkeypatch.setattr(telemetry_module.time, "time", lambda: 1_795_355_435.5)
    telemetry.reloaded(ok=False)
    assert samples_of(telemetry)["config_reload_timestamp_seconds"] == 1_795_355_434.5
    assert what_changed(telemetry, lambda: telemetry.reloaded(ok=True)) == {
        "config_last_reload_successful": 1,
        "config_reload_timestamp_seconds": 1,
        "config_reloads_total{result=ok}": 1,
    }


def test_a_supervisors_restarts_are_told() -> None:
    assert samples_of(Telemetry(worker_restarts=3))["worker_restarts_total"] == 3


def test_durations_fall_into_the_bucket_of_their_upper_bound(telemetry: Telemetry) -> None:
    telemetry.requested(OK, 0.01)
    telemetry.requested(Result(Verdict.RETRY, "503"), 0.02)
    telemetry.requested(OK, 99)
    samples = samples_of(telemetry)
    assert [samples[f"export_duration_seconds_bucket{{le={bound}}}"] for bound in BUCKETS] == [0, 1, *[2] * 9, 3]
    assert samples["export_duration_seconds_count"] == 3
    assert samples["export_duration_seconds_sum"] == pytest.approx(99.03)
    assert samples["export_requests_total{code=200}"] == 2
    assert samples["export_requests_total{code=503}"] == 1


def test_messages_that_were_answered_together_count_each(telemetry: Telemetry) -> None:
    telemetry.messages_answered(4, 0.001)
    samples = samples_of(telemetry)
    assert samples["message_duration_seconds_count"] == 4
    assert samples["message_duration_seconds_sum"] == pytest.approx(0.004)
    assert samples["message_duration_seconds_bucket{le=0.0005}"] == 0
    assert samples["message_duration_seconds_bucket{le=0.001}"] == 4
    assert samples["frames_total{direction=received,type=notify}"] == 4
    assert samples["frames_total{direction=sent,type=ack}"] == 4


def test_the_lateness_of_the_loop_is_a_histogram(telemetry: Telemetry) -> None:
    for seconds in (0.0, 0.003, 5.0):
        telemetry.loop_was_late(seconds)
    samples = samples_of(telemetry)
    assert [samples[f"event_loop_lag_seconds_bucket{{le={bound}}}"] for bound in ("0.001", "0.0025", "0.005", "1.0", "+Inf")] == [
        1,
        1,
        2,
        2,
        3,
    ]
    assert samples["event_loop_lag_seconds_sum"] == pytest.approx(5.003)


@pytest.mark.parametrize(
    ("attributes", "labels"),
    [
        ({"service.name": "edge", "process.pid": 7, "x": True}, {"service_name": "edge", "process_pid": "7", "x": "true"}),
        ({"a.b": "1", "a_b": "2"}, {"a_b": "1;2"}),
        ({"list": ["a", 'b"']}, {"list": '["a", "b\\""]'}),
        ({"1st": "a", "stra\u00dfe": "b"}, {"_1st": "a", "stra_e": "b"}),
    ],
)
def test_the_resource_is_told_as_target_info(
    telemetry: Telemetry, attributes: dict[str, Attribute], labels: dict[str, str]
) -> None:
    assert "target_info" not in generate_latest(telemetry.registry).decode()
    telemetry.describe_resource(attributes)
    families = text_string_to_metric_families(generate_latest(telemetry.registry).decode())
    (sample,) = (sample for family in families if family.name == "target_info" for sample in family.samples)
    assert (sample.value, sample.labels) == (1, labels)
    parsed = {family.name: family for family in parse_openmetrics(generate_openmetrics(telemetry.registry).decode())}
    assert parsed["target"].type == "info"


def test_request_metrics_are_shown_once_they_are_known(telemetry: Telemetry) -> None:
    assert not any(series.startswith("request_") for series in samples_of(telemetry))
    telemetry.watch_requests(RequestMetrics(attributes=AttributeBuilder()))
    samples = samples_of(telemetry)
    assert (samples["request_series"], samples["request_series_overflowed_total"]) == (0, 0)


def test_what_propagation_counts_is_shown(telemetry: Telemetry) -> None:
    Propagation(counts=telemetry.extracts).extract({"traceparent_1": "garbage"})
    samples = samples_of(telemetry)
    assert samples["propagation_extract_total{propagator=tracecontext,result=invalid}"] == 1
    assert samples["propagation_extract_total{propagator=tracecontext,result=ok}"] == 0


def test_the_access_log_is_shown_once_there_is_one(telemetry: Telemetry) -> None:
    assert not any(series.startswith("log_") for series in samples_of(telemetry))
    telemetry.watch_logs().dropped(3, "memory")
    samples = samples_of(telemetry)
    assert samples["log_records_dropped_total{reason=memory}"] == 3
    assert samples["log_records_dropped_total{reason=shutdown}"] == samples["spans_dropped_total{reason=memory}"] == 0


def test_a_queue_is_shown_once_it_is_known(telemetry: Telemetry) -> None:
    assert not any(series.startswith("queue_") for series in samples_of(telemetry))
    queue = SpanQueue(max_spans=7, max_bytes=100)
    queue.offer(b"12345")
    telemetry.watch_queues([queue])
    samples = samples_of(telemetry)
    assert (samples["queue_size"], samples["queue_size_bytes"], samples["queue_capacity"]) == (1, 5, 7)


def test_the_memory_bound_is_shown_once_it_is_known(telemetry: Telemetry) -> None:
    assert "memory_shedding" not in samples_of(telemetry)
    guard = MemoryGuard(
        max_bytes=1, read=lambda: 2, waiting=lambda: 1, shed=lambda: None, resume=lambda: None, release=lambda: None
    )
    telemetry.watch_memory(guard)
    assert samples_of(telemetry)["memory_shedding"] == 0
    guard.check()
    assert samples_of(telemetry)["memory_shedding"] == 1


def test_each_destination_counts_by_itself_and_for_all(telemetry: Telemetry) -> None:
    first, second = telemetry.destination("exporter"), telemetry.destination("exporters[0]")
    first.exported(5)
    second.exported(3)
    second.dropped(2, "queue_full")
    second.requested(OK, 0.01)
    samples = samples_of(telemetry)
    assert samples["destination_spans_total{destination=exporter,result=exported}"] == 5
    assert samples["destination_spans_total{destination=exporter,result=dropped}"] == 0
    assert samples["destination_spans_total{destination=exporters[0],result=exported}"] == 3
    assert samples["destination_spans_total{destination=exporters[0],result=dropped}"] == 2
    assert (samples["spans_exported_total"], samples["spans_dropped_total{reason=queue_full}"]) == (8, 2)
    assert samples["export_requests_total{code=200}"] == 1


def test_the_queues_of_several_destinations_are_shown_together(telemetry: Telemetry) -> None:
    queues = [SpanQueue(max_spans=7, max_bytes=100), SpanQueue(max_spans=3, max_bytes=100)]
    for queue in queues:
        queue.offer(b"12345")
    telemetry.watch_queues(queues)
    samples = samples_of(telemetry)
    assert (samples["queue_size"], samples["queue_size_bytes"], samples["queue_capacity"]) == (2, 10, 10)


def test_the_minilanguage_is_shown_once_it_is_known(telemetry: Telemetry) -> None:
    assert not any(series.startswith("minilang_exchanges") for series in samples_of(telemetry))
    limits = MiniLimits(
        max_exchanges=1,
        max_bytes=100_000,
        max_spans=1,
        max_tags=1,
        max_text_characters=100,
        request_silence_seconds=1,
        server_silence_seconds=1,
        upgraded_silence_seconds=1,
    )
    minilanguage = MiniLanguage(sampler=AlwaysOn(), ids=IdGenerator(random.Random(1).getrandbits), limits=limits)
    telemetry.watch_minilanguage(minilanguage)
    for number in range(3):
        minilanguage.receive("message", [("id", number), ("span", "root")], number)
    samples = samples_of(telemetry)
    assert samples["minilang_exchanges_open"] == 1
    assert samples["minilang_exchanges_open_bytes"] == minilanguage.size_bytes > 0
    assert [samples[f"minilang_exchanges_expired_total{{reason={reason}}}"] for reason in ("time", "limit", "shutdown")] == [
        0,
        2,
        0,
    ]


class TestFirstScrape:
    """What can be known beforehand is there at 0: ``rate()`` sees the first event."""

    @pytest.mark.parametrize(
        ("name", "label", "values"),
        [
            ("open_connections", "kind", ["spop", "records", "http"]),
            ("records_skipped_total", "reason", [reason.value for reason in SkipReason]),
            (
                "frame_errors_total",
                "code",
                sorted({error.status_code.name.lower() for error in RemoteProtocolError.__subclasses__()}),
            ),
            (
                "spans_dropped_total",
                "reason",
                ["memory", "queue_full", "rejected", "retry_exhausted", "shutdown", "spill_failed", "spill_full"],
            ),
            ("config_reloads_total", "result", ["ok", "refused"]),
            ("spans_made_total", "kind", ["server", "client", "internal"]),
            ("exchanges_recorded_total", "start", ["answered", "unanswered", "unasked", "no_request", "connection", "probe"]),
            ("minilang_spans_made_total", "kind", ["server", "internal"]),
            ("minilang_warnings_total", "reason", [reason.value for reason in WarningReason]),
            (
                "exchanges_answered_total",
                "parent",
                ["none,sampled=true", "none,sampled=false", "remote,sampled=true", "remote,sampled=false"],
            ),
        ],
    )
    def test_label_values_are_known(self, telemetry: Telemetry, name: str, label: str, values: list[str]) -> None:
        of_this_name = {series: value for series, value in samples_of(telemetry).items() if series.startswith(f"{name}{{")}
        assert of_this_name == {f"{name}{{{label}={value}}}": 0 for value in values}

    def test_what_runs_is_told(self, telemetry: Telemetry) -> None:
        (build,) = (family for family in families_of(telemetry) if family.name == f"{PREFIX}build_info")
        (sample,) = build.samples
        assert sample.value == 1
        assert set(sample.labels) == {"version", "python"}

    def test_the_process_is_in_it_too(self, telemetry: Telemetry) -> None:
        names = {family.name for family in text_string_to_metric_families(generate_latest(telemetry.registry).decode())}
        assert {"process_cpu_seconds", "python_info"} <= names


def test_every_disconnect_code_has_a_word(telemetry: Telemetry) -> None:
    for code in StatusCode:
        telemetry.spop_disconnect(code)
    samples = samples_of(telemetry)
    assert [samples[f"disconnects_total{{code={code.name.lower()}}}"] for code in StatusCode] == [1] * len(StatusCode)


def test_error_codes_that_a_record_makes_up_cost_bounded_memory(telemetry: Telemetry) -> None:
    for code in range(1000):
        telemetry.spoe_failed(str(code))
    errors = {series: value for series, value in samples_of(telemetry).items() if series.startswith("spoe_errors_total")}
    assert len(errors) == 65
    assert errors["spoe_errors_total{code=other}"] == 1000 - 64


def test_reasons_that_a_token_makes_up_are_one(telemetry: Telemetry) -> None:
    for number in range(100):
        telemetry.decided(f"made-up-{number}")
    assert samples_of(telemetry)["sampling_reasons_total{reason=other}"] == 100
    assert not [series for series in samples_of(telemetry) if "made-up" in series]


def test_every_family_has_a_help_text(telemetry: Telemetry) -> None:
    assert [family.name for family in families_of(telemetry) if not family.documentation] == []


def test_openmetrics_parses_too(telemetry: Telemetry) -> None:
    """What Prometheus asks for first; stricter than its own text."""
    telemetry.requested(OK, 0.01)
    text = generate_openmetrics(telemetry.registry).decode()
    assert f"{PREFIX}export_duration_seconds" in {family.name for family in parse_openmetrics(text)}
