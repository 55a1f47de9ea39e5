"""What the pipeline makes of records and messages, made here of what HAProxy would write, for tests of what looks at it."""

import random
from typing import NamedTuple

from haproxy_telemetry_agent.records import parse_record
from haproxy_telemetry_agent.tracing import (
    AlwaysOff,
    AlwaysOn,
    Connection,
    ConnectionTracer,
    Exchange,
    ExchangeTracer,
    IdGenerator,
    Span,
    SpanId,
    SpanKind,
    SpanStatus,
    TraceId,
)
from haproxy_telemetry_agent.tracing.sampling.keep import Keeper
from haproxy_telemetry_agent.wiring import CONNECTION_FIELDS, Profile
from support.record_factory import record

__all__ = ["END_UNIX_NANO", "Passed", "connection", "exchange", "mini_span", "passed"]

END_UNIX_NANO = 1_795_355_434_119_025_000
"""2026-11-22 13:50:34.119025 UTC: when every record ends that is not told otherwise."""
_IDS = IdGenerator(random.Random(1).getrandbits)
_CONNECTION = {
    **dict.fromkeys(("fc_err", "Th", "Tw", "Tc", "Tt", "rc", "bq", "sq", "ssl_bc"), "0"),
    "id": "4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
    "ts": "--",
    "f": "mail",
    "b": "imap",
    "s": "one",
    "U": "1",
    "B": "2",
}


class Passed(NamedTuple):
    """An exchange, and what it was made of."""

    exchange: Exchange
    record: bytes
    tracer: ExchangeTracer


def passed(
    *, end_unix_nano: int = END_UNIX_NANO, profile: Profile = "Standard", keeper: Keeper | None = None, **values: str
) -> Passed:
    """One exchange; `values` are parameters of its record, such as `ST`, `HPO` or `Ta`, its milliseconds."""
    data = record(**values)
    tracer = ExchangeTracer(sampler=AlwaysOn(), ids=_IDS, profile=profile, keeper=keeper)
    return Passed(tracer.trace(end_unix_nano, parse_record(data, frozenset({b"ht@1"})).fields), data, tracer)


def exchange(*, end_unix_nano: int = END_UNIX_NANO, profile: Profile = "Standard", **values: str) -> Exchange:
    """One exchange; see `passed`."""
    return passed(end_unix_nano=end_unix_nano, profile=profile, keeper=None, **values).exchange


def connection(*, sampled: bool = True, end_unix_nano: int = END_UNIX_NANO, **values: str) -> Connection:
    """One connection of a TCP frontend."""
    fields = {field.name: "-" for field in CONNECTION_FIELDS} | _CONNECTION | values
    return ConnectionTracer(sampler=AlwaysOn() if sampled else AlwaysOff()).trace(end_unix_nano, fields)


def mini_span(
    name: str, *, trace: int = 1, number: int = 1, parent: int | None = None, end_unix_nano: int = 2_000, failed: bool = False
) -> Span:
    """A span as one of the mini-language; it begins `number` nanoseconds after the epoch."""
    return Span(
        TraceId(trace.to_bytes(16, "big")),
        SpanId(number.to_bytes(8, "big")),
        None if parent is None else SpanId(parent.to_bytes(8, "big")),
        1,
        parent_is_remote=False,
        tracestate="",
        name=name,
        kind=SpanKind.INTERNAL if parent else SpanKind.SERVER,
        start_unix_nano=number,
        end_unix_nano=end_unix_nano,
        status=SpanStatus.ERROR if failed else SpanStatus.UNSET,
    )
