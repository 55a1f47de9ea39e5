"""From settings to exporters."""

import builtins
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.exporters import (
    Exporters,
    check_exporters,
    describe_destinations,
    grpc_target,
    make_exporters,
    make_replacements,
)
from haproxy_telemetry_agent.settings import Settings, SettingsError, parse_settings
from haproxy_telemetry_agent.telemetry import Telemetry
from support.probe import until


def settings(exporter: dict[str, Any], *others: dict[str, Any], logs: dict[str, Any] | None = None) -> Settings:
    of_logs = {} if logs is None else {"enabled": True, **logs}
    return parse_settings({"exporter": exporter, "exporters": list(others), "logs": of_logs})


@pytest.mark.parametrize(
    ("exporters", "description"),
    [
        ([{}], "http://localhost:4318/v1/traces"),
        ([{"protocol": "grpc"}], "http://localhost:4317"),
        ([{"endpoint": "https://me:s3cret@collector"}], "https://collector/v1/traces"),
        ([{"endpoint": "https://collector/base/"}], "https://collector/base/v1/traces"),
        ([{"endpoint": "https://collector", "tracesEndpoint": "https://other/as/it/is"}], "https://other/as/it/is"),
        ([{"endpoint": "unix:/run/collector.sock"}], "unix:/run/collector.sock (/v1/traces)"),
        ([{"endpoint": "unix:/run/collector.sock", "protocol": "grpc"}], "unix:/run/collector.sock"),
        ([{"type": "console"}], "standard output"),
        ([{}, {"type": "file", "file": {"path": "/t"}}], "http://localhost:4318/v1/traces, /t"),
        ([{"type": "plugin", "plugin": "console"}], "plug-in console"),
        ([{"type": "none"}], "nowhere"),
        ([{"type": "none"}, {"type": "console"}], "standard output"),
    ],
)
def test_where_spans_go(exporters: list[dict[str, Any]], description: str) -> None:
    assert describe_destinations(settings(*exporters)) == description


@pytest.mark.parametrize(
    ("exporter", "logs", "description"),
    [
        ({}, {}, "http://localhost:4318/v1/logs"),
        ({"endpoint": "https://c/base/", "tracesEndpoint": "https://traces"}, {}, "https://c/base/v1/logs"),
        ({"endpoint": "unix:/run/c.sock"}, {}, "unix:/run/c.sock (/v1/logs)"),
        ({"endpoint": "http://c:4317", "protocol": "grpc"}, {}, "http://c:4317"),
        ({"endpoint": "http://c:4317", "protocol": "grpc"}, {"endpoint": "http://l/as/it/is"}, "http://l/as/it/is"),
        ({"type": "none"}, {"protocol": "grpc"}, "http://localhost:4317"),
    ],
)
def test_where_the_access_log_goes(exporter: dict[str, Any], logs: dict[str, Any], description: str) -> None:
    assert describe_destinations(settings(exporter, logs=logs)).endswith(f", access log to {description}")


async def test_the_access_log_has_a_queue_of_its_own() -> None:
    telemetry = Telemetry()
    exporters = make_exporters(
        settings({}, logs={"batch": {"maxQueueRecords": 3, "maxBatchRecords": 3}}), telemetry.destination, telemetry.watch_logs()
    )
    assert exporters.offer_log_record is not None
    exporters.offer(b"span")
    for _ in range(5):
        exporters.offer_log_record(b"record")
    assert exporters.waiting() == 4
    assert [len(queue) for queue in exporters.queues] == [1]
    exporters.replace(make_replacements(settings({}, logs={"batch": {"maxQueueRecords": 9, "maxBatchRecords": 9}})))
    exporters.offer_log_record(b"record")
    assert exporters.waiting() == 5
    exporters.shed()
    exporters.offer_log_record(b"record")
    assert exporters.waiting() == 2
    exporters.resume()
    exporters.offer_log_record(b"record")
    await exporters.close(0.1)
    exporters.offer_log_record(b"record")
    counted = {
        sample.labels["reason"]: sample.value
        for family in telemetry.collect()
        if family.name.endswith("log_records_dropped")
        for sample in family.samples
    }
    assert counted == {"queue_full": 2, "memory": 3, "shutdown": 4, "rejected": 0, "retry_exhausted": 0}


async def test_there_is_none_unless_somebody_counts_it() -> None:
    exporters = make_exporters(settings({"type": "none"}), Telemetry().destination)
    assert exporters.offer_log_record is None
    assert make_replacements(settings({"type": "none"})) == []
    await exporters.close(0)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://collector:4317", "collector:4317"),
        ("https://collector:4317/ignored/path", "collector:4317"),
        ("https://collector", "collector:443"),
        ("http://collector", "collector:80"),
        ("http://[::1]:4317", "[::1]:4317"),
        ("unix:/run/collector.sock", "unix:/run/collector.sock"),
    ],
)
def test_target_of_grpc(url: str, target: str) -> None:
    assert grpc_target(url) == target


@pytest.mark.parametrize("types", [["none"], ["file"], ["file", "file"], ["none", "file", "file"]])
async def test_every_destination_gets_every_span(tmp_path: Path, types: list[str]) -> None:
    documents = [
        {"type": kind, "file": {"path": str(tmp_path / f"{index}")}} if kind == "file" else {"type": kind}
        for index, kind in enumerate(types)
    ]
    telemetry = Telemetry()
    exporters = make_exporters(settings(*documents), telemetry.destination)
    exporters.start()
    for _ in range(3):
        exporters.offer(b"\x2a\x04name")
    assert [len(queue) for queue in exporters.queues] == [3] * types.count("file")
    await exporters.close(10)
    names = [
        [span["name"] for span in json.loads(path.read_text())["resourceSpans"][0]["scopeSpans"][0]["spans"]]
        for path in tmp_path.iterdir()
    ]
    assert names == [["name"] * 3] * types.count("file")


async def test_each_has_its_own_queue_and_drops_by_itself(tmp_path: Path) -> None:
    small = {"maxQueueSpans": 2, "maxBatchSpans": 2}
    file = {"type": "file", "file": {"path": str(tmp_path / "t")}}
    exporters = make_exporters(
        settings({**file, "batch": small}, file, {**file, "batch": {**small, "dropPolicy": "Oldest"}}), Telemetry().destination
    )
    for number in range(5):
        exporters.offer(b"%d" % number)
    assert [queue.take(9) for queue in exporters.queues] == [
        [b"0", b"1"],
        [b"0", b"1", b"2", b"3", b"4"],
        [b"3", b"4"],
    ]
    await exporters.close(1)


@pytest.mark.parametrize(
    ("exporter", "error"),
    [
        ({"tls": {"caFile": "/none"}}, "exporters[0].tls.caFile: '/none': can't be used: No such file or directory"),
        (
            {"tls": {"caFile": "/none"}, "endpoint": "https://c", "protocol": "grpc"},
            "exporters[0].tls.caFile: '/none': can't be used: No such file or directory",
        ),
        (
            {"headers": [{"name": "a", "valueFile": "/none"}]},
            "exporters[0].headers: header a: '/none' can't be read: No such file or directory",
        ),
        (
            {"type": "plugin", "plugin": "no such one"},
            "exporters[0].plugin: 'no such one': is not installed; installed are ",
        ),
        (
            {"type": "file", "file": {"path": "/no/such/folder/t"}},
            "exporters[0].file.path: '/no/such/folder/t': is in a folder that does not exist",
        ),
        ({"type": "file", "file": {"path": "/"}}, "exporters[0].file.path: '/': can't be written by this user"),
    ],
)
def test_what_cannot_be_used_is_named(exporter: dict[str, Any], error: str) -> None:
    with pytest.raises(SettingsError) as raised:
        check_exporters(settings({}, exporter))
    assert str(raised.value).startswith(error)


def test_what_the_access_log_cannot_use_is_named() -> None:
    with pytest.raises(SettingsError, match=r"^logs\.tls\.caFile: '/none': can't be used"):
        check_exporters(settings({}, logs={"tls": {"caFile": "/none"}}))
    with pytest.raises(SettingsError, match=r"^logs\.headers: header a: '/none' can't be read"):
        check_exporters(settings({"type": "none"}, logs={"headers": [{"name": "a", "valueFile": "/none"}]}))
    check_exporters(settings({}, logs={"protocol": "grpc"}))


@pytest.mark.parametrize(
    ("directory", "error"),
    [
        ("/no/such/folder", "is no folder, and in none"),
        ("/proc/spill", "can't be used: No such file or directory"),
        ("/dev/null", "is no folder, and in none"),
    ],
)
async def test_a_spill_that_can_not_be_had_is_named(directory: str, error: str) -> None:
    document = settings({"spill": {"directory": directory}})
    use = make_exporters if error.startswith("can't") else lambda document, _: check_exporters(document)
    with pytest.raises(SettingsError) as raised:
        use(document, Telemetry().destination)
    assert str(raised.value) == f"exporter.spill.directory: {directory!r}: {error}"


@pytest.mark.parametrize("exporter", [{"type": "file", "file": {"path": "/closed/x/t"}}, {"spill": {"directory": "/closed/x/t"}}])
def test_what_this_user_may_not_even_look_at_is_named(exporter: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.stat

    def stat(path: Any, *arguments: Any, **more: Any) -> os.stat_result:
        if str(path).startswith("/closed"):
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **more)

    monkeypatch.setattr(os, "stat", stat)
    with pytest.raises(SettingsError, match=r"^exporter\."):
        check_exporters(settings(exporter))


def test_a_spill_that_this_user_can_not_write_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haproxy_telemetry_agent.exporters.os.access", lambda *_: False)
    with pytest.raises(SettingsError, match=r"^exporter\.spill\.directory: .*: can't be written by this user$"):
        check_exporters(settings({"spill": {"directory": str(tmp_path)}}))


async def test_a_running_agents_spill_can_be_checked_but_not_shared(tmp_path: Path) -> None:
    document = settings({"type": "file", "file": {"path": str(tmp_path / "t")}, "spill": {"directory": str(tmp_path / "spill")}})
    check_exporters(document)
    assert not (tmp_path / "spill").exists()
    running = make_exporters(document, Telemetry().destination)
    check_exporters(document)
    with pytest.raises(SettingsError, match=r"^exporter\.spill\.directory: .*: is in use by another agent"):
        make_exporters(document, Telemetry().destination)
    await running.close(1)
    await make_exporters(document, Telemetry().destination).close(1)


async def test_spilled_spans_keep_the_resource_of_the_agent_that_made_them(tmp_path: Path) -> None:
    """The first agent's file can't be written, so its span goes to disk; the second one, called otherwise, writes both."""
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "t"

    def agent(name: str) -> Exporters:
        exporter = {"type": "file", "file": {"path": str(path)}, "spill": {"directory": str(tmp_path / "spill")}}
        made = parse_settings({"exporter": exporter, "resource": {"serviceName": name}})
        exporters = make_exporters(made, Telemetry().destination)
        exporters.replace(make_replacements(made))
        exporters.start()
        exporters.offer(b"\x2a\x04name")
        return exporters

    first = agent("first")
    path.mkdir()
    await first.close(5)
    path.rmdir()
    second = agent("second")

    async def is_written() -> bool:
        return path.exists()

    await until(is_written, what="a file is written")
    await second.close(5)
    names = []
    for line in path.read_text().splitlines():
        attributes = json.loads(line)["resourceSpans"][0]["resource"]["attributes"]
        names += [attribute["value"]["stringValue"] for attribute in attributes if attribute["key"] == "service.name"]
    assert sorted(names) == ["first", "second"]


def test_checking_makes_no_file(tmp_path: Path) -> None:
    check_exporters(settings({"type": "file", "file": {"path": str(tmp_path / "t")}}))
    assert list(tmp_path.iterdir()) == []


def test_without_grpcio_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def no_grpc(name: str, *arguments: Any, **more: Any) -> Any:
        if name.endswith("otlp_grpc"):
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", no_grpc)
    with pytest.raises(SettingsError, match=r"^exporter\.protocol: 'grpc': needs the package grpcio: install haproxy-telemetry\["):
        check_exporters(settings({"protocol": "grpc"}))


@given(host=st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True), port=st.integers(1, 65_535), secure=st.booleans())
def test_a_port_that_is_named_is_kept(host: str, port: int, secure: bool) -> None:
    assert grpc_target(f"http{'s' if secure else ''}://{host}:{port}") == f"{host}:{port}"


async def test_changed_settings_and_what_waits_goes_on(tmp_path: Path) -> None:
    def to(name: str, **batch: Any) -> dict[str, Any]:
        return {"type": "file", "file": {"path": str(tmp_path / name)}, "batch": {"delay": "60m", **batch}}

    exporters = make_exporters(settings(to("old"), {"type": "none"}, to("other")), Telemetry().destination)
    exporters.start()
    exporters.offer(b"\x2a\x04name")
    exporters.replace(
        make_replacements(settings(to("new"), {"type": "none"}, to("other", maxQueueSpans=1, maxBatchSpans=1, dropPolicy="Oldest")))
    )
    exporters.shed()
    exporters.offer(b"\x2a\x04name")
    assert [len(queue) for queue in exporters.queues] == [0, 0]
    exporters.resume()
    exporters.offer(b"\x2a\x04name")
    exporters.offer(b"\x2a\x04name")
    assert [len(queue) for queue in exporters.queues] == [2, 1]
    await exporters.close(5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "other"]


async def test_settings_that_can_not_be_had_replace_nothing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"exporter\.tls\.caFile"):
        make_replacements(settings({"endpoint": "https://a", "tls": {"caFile": str(tmp_path / "missing")}}))
