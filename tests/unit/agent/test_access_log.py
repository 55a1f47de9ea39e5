"""The access log: what is made of an exchange is counted by its severity, and offered."""

import random

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as OtlpLogRecord

from haproxy_telemetry_agent.access_log import AccessLog
from haproxy_telemetry_agent.log_telemetry import LogTelemetry
from haproxy_telemetry_agent.tracing import AlwaysOff, AlwaysOn, ConnectionTracer, ExchangeTracer, IdGenerator, Sampler
from haproxy_telemetry_agent.wiring import CONNECTION_FIELDS, Plan, record_fields

NUMBERS = ("ST", "TR", "Tw", "Tc", "Tr", "Ta", "rc", "bq", "sq", "U", "B", "Th", "Tt", "fc_err")
FIELDS = {field.name: "0" if field.name in NUMBERS else "-" for field in record_fields(Plan())} | {
    "HM": "GET",
    "HPO": "/",
    "HQ": "",
}
CONNECTION = {field.name: "0" if field.name in NUMBERS else "-" for field in CONNECTION_FIELDS} | {
    "id": "4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
    "f": "mail",
    "s": "one",
}
NOW = 99


class Log:
    """An access log, and what came of it."""

    def __init__(self) -> None:
        self.telemetry = LogTelemetry(drop_reasons=("shutdown",))
        self.records: list[OtlpLogRecord] = []
        self.access_log = AccessLog(offer=self.offer, telemetry=self.telemetry, now_unix_nano=lambda: NOW)

    def offer(self, record: bytes) -> None:
        self.records.append(OtlpLogRecord.FromString(record))

    def made(self) -> dict[str, float]:
        (family,) = (family for family in self.telemetry.collect() if family.name.endswith("log_records_made"))
        return {sample.labels["severity"]: sample.value for sample in family.samples}


@pytest.mark.parametrize("sampler", [AlwaysOn(), AlwaysOff()])
def test_exchanges_and_connections(sampler: Sampler) -> None:
    log = Log()
    tracer = ExchangeTracer(sampler=sampler, ids=IdGenerator(random.Random(1).getrandbits), describe=True)
    log.access_log.write(tracer.trace(5, {**FIELDS, "ST": "200"}))
    log.access_log.write(tracer.trace(5, {**FIELDS, "ST": "500"}))
    log.access_log.write(ConnectionTracer(sampler=sampler, describe=True).trace(5, CONNECTION))
    assert [record.event_name for record in log.records] == ["haproxy.exchange", "haproxy.exchange", "haproxy.connection"]
    assert {(record.time_unix_nano, record.observed_time_unix_nano) for record in log.records} == {(5, NOW)}
    assert log.made() == {"info": 2, "error": 1}


def test_what_is_not_described_is_not_logged() -> None:
    log = Log()
    tracer = ExchangeTracer(sampler=AlwaysOff(), ids=IdGenerator(random.Random(1).getrandbits))
    log.access_log.write(tracer.trace(5, FIELDS))
    assert log.records == []
    assert log.made() == {"info": 0, "error": 0}
