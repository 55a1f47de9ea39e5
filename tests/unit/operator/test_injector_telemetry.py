import datetime

from haproxy_telemetry_operator.injector_telemetry import InjectorTelemetry

END = datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)


def telemetry(end: datetime.datetime | None = END) -> InjectorTelemetry:
    return InjectorTelemetry(resources=lambda: (3, 1), certificate_not_after=lambda: end, unix_seconds=lambda: 1000.0)


def value(counted: InjectorTelemetry, name: str, **labels: str) -> float | None:
    return counted.registry.get_sample_value(f"haproxy_telemetry_injector_{name}", labels)


def test_all_starts_at_zero() -> None:
    counted = telemetry(None)
    counted.expect_watch("w")
    assert value(counted, "admissions_total", result="injected") == 0
    assert value(counted, "admissions_total", result="malformed") == 0
    assert value(counted, "dry_runs_total", result="injected") == 0
    assert value(counted, "certificate_reads_total", result="refused") == 0
    assert value(counted, "watch_failures_total", watch="w") == 0
    assert value(counted, "watch_events_total", watch="w") == 0
    assert value(counted, "watch_last_heard_timestamp_seconds", watch="w") is None
    assert value(counted, "certificate_expiry_timestamp_seconds") == 0
    assert value(counted, "resources") == 3
    assert value(counted, "resources_refused_total") == 1


def test_dry_runs_are_counted_by_themselves() -> None:
    counted = telemetry()
    counted.admitted("injected", 0.002)
    counted.admitted("injected", 0.2, dry_run=True)
    assert value(counted, "admissions_total", result="injected") == 1
    assert value(counted, "dry_runs_total", result="injected") == 1
    assert value(counted, "admission_duration_seconds_count") == 2
    assert value(counted, "admission_duration_seconds_bucket", le="0.0025") == 1
    assert value(counted, "admission_duration_seconds_sum") == 0.202


def test_results_are_bounded() -> None:
    counted = telemetry()
    for number in range(1000):
        counted.admitted(f"result-{number}", 0)
    assert value(counted, "admissions_total", result="other") == 1000 - (64 - 15)


def test_the_watch_and_the_certificate() -> None:
    counted = telemetry()
    counted.watch_heard("w", events=2)
    counted.watch_failed("w")
    counted.certificate_read("ok")
    counted.connection_given_up()
    assert value(counted, "connections_given_up_total") == 1
    assert value(counted, "watch_events_total", watch="w") == 2
    assert value(counted, "watch_failures_total", watch="w") == 1
    assert value(counted, "watch_last_heard_timestamp_seconds", watch="w") == 1000
    assert value(counted, "certificate_reads_total", result="ok") == 1
    assert value(counted, "certificate_expiry_timestamp_seconds") == END.timestamp()
