"""What is counted of the access log."""

from haproxy_telemetry_agent.export import Result, SpanQueue, Verdict
from haproxy_telemetry_agent.log_telemetry import LogTelemetry
from haproxy_telemetry_agent.metric_families import PREFIX
from haproxy_telemetry_agent.tracing import Severity


def samples_of(telemetry: LogTelemetry) -> dict[str, float]:
    return {
        " ".join([sample.name.removeprefix(PREFIX), *sample.labels.values()]): sample.value
        for family in telemetry.collect()
        for sample in family.samples
    }


def test_counts() -> None:
    telemetry = LogTelemetry(drop_reasons=("queue_full", "rejected"))
    assert samples_of(telemetry) == {
        "log_records_made_total info": 0,
        "log_records_made_total error": 0,
        "log_records_exported_total": 0,
        "log_records_dropped_total queue_full": 0,
        "log_records_dropped_total rejected": 0,
        "log_export_requests_total 200": 0,
    }
    for severity in (Severity.INFO, Severity.INFO, Severity.ERROR):
        telemetry.made(severity)
    telemetry.exported(2)
    telemetry.dropped(1, "rejected")
    telemetry.requested(Result(Verdict.DELIVERED, "OK"), 0.1)
    samples = samples_of(telemetry)
    assert (samples["log_records_made_total info"], samples["log_records_made_total error"]) == (2, 1)
    assert (samples["log_records_exported_total"], samples["log_records_dropped_total rejected"]) == (2, 1)
    assert samples["log_export_requests_total OK"] == 1


def test_the_queue_is_shown_once_it_is_known() -> None:
    telemetry = LogTelemetry(drop_reasons=())
    queue = SpanQueue(max_spans=7, max_bytes=100)
    queue.offer(b"12345")
    telemetry.watch_queue(queue)
    samples = samples_of(telemetry)
    assert (samples["log_queue_size"], samples["log_queue_size_bytes"], samples["log_queue_capacity"]) == (1, 5, 7)
