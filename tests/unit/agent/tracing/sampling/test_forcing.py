"""Who may force a request to be recorded, and how."""

import pytest

from haproxy_telemetry_agent.tracing.context import SpanContext, SpanId, TraceId
from haproxy_telemetry_agent.tracing.request import Request
from haproxy_telemetry_agent.tracing.sampling.forcing import FORCED, Forced
from haproxy_telemetry_agent.tracing.sampling.sampler import AlwaysOff, ParentBased, child_context

TRACE_ID = TraceId(bytes(15) + b"\x01")
NOT_SAMPLED = AlwaysOff().decide(TRACE_ID, None, Request())


def forced(value: str | None = None) -> Forced:
    def trusts(request: Request) -> bool:
        return request.client_address == "10.0.0.1"

    return Forced(ParentBased(AlwaysOff()), trusts=trusts, header="X-Force", value=value)


def request(address: str = "10.0.0.1", **headers: str) -> Request:
    return Request(client_address=address, headers={name.replace("_", "-"): value for name, value in headers.items()})


def caller(*, debug: bool = False, flags: int = 0, tracestate: str = "") -> SpanContext:
    return SpanContext(TRACE_ID, SpanId(b"12345678"), flags, tracestate, debug=debug)


@pytest.mark.parametrize("parent", [None, caller(), caller(flags=1)])
def test_by_header_whatever_the_caller_decided(parent: SpanContext | None) -> None:
    assert forced().decide(TRACE_ID, parent, request(x_force="")) == FORCED


@pytest.mark.parametrize(("said", "sampled"), [("yes", True), ("no", False), ("", False), ("YES", False)])
def test_by_a_value(said: str, sampled: bool) -> None:
    assert forced("yes").decide(TRACE_ID, None, request(x_force=said)).sampled is sampled


def test_by_the_debug_flag() -> None:
    assert forced().decide(TRACE_ID, caller(debug=True), request()) == FORCED


@pytest.mark.parametrize("parent", [None, caller(debug=True)])
def test_only_who_is_trusted_may(parent: SpanContext | None) -> None:
    assert forced().decide(TRACE_ID, parent, request("10.0.0.2", x_force="1")) == NOT_SAMPLED


def test_the_rest_is_sampled_as_ever() -> None:
    assert forced().decide(TRACE_ID, None, request()) == NOT_SAMPLED
    assert forced().decide(TRACE_ID, caller(flags=1), request()).reason == ""


def test_its_probability_is_unknown() -> None:
    parent = caller(flags=1, tracestate="ot=th:0;x:y,rojo=1")
    assert child_context(parent, forced().decide(TRACE_ID, parent, request(x_force="1"))) == (1, "ot=x:y,rojo=1")
