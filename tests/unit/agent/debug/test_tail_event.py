"""The lines between an agent and who follows it."""

import pytest

from haproxy_telemetry_agent.debug.exchange_view import view_exchange
from haproxy_telemetry_agent.debug.tail_event import Greeting, TailEvent, decode_event, encode_event
from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder
from support.made import exchange

EXCHANGE = view_exchange(exchange(), AttributeBuilder(), follows_parent=True, with_spans=True)


@pytest.mark.parametrize(
    "event",
    [
        TailEvent(agent=Greeting(service_name="edge", version="1")),
        TailEvent(exchange=EXCHANGE),
        TailEvent(lost=7),
        TailEvent(end="the agent stops"),
    ],
)
def test_one_line_each_way(event: TailEvent) -> None:
    line = encode_event(event)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert decode_event(line) == event


def test_an_empty_line_says_nothing() -> None:
    assert decode_event(b"\n") is None


def test_what_a_newer_agent_says_besides_is_no_obstacle() -> None:
    assert decode_event(b'{"lost":1,"mood":"good"}') == TailEvent(lost=1)


@pytest.mark.parametrize("line", [b"<html>", b"[]", b'{"lost":"many"}', b'{"exchange":{}}', b"\xff"])
def test_what_is_no_event(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_event(line)
