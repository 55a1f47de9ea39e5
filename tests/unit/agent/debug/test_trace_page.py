"""The page of one trace."""

import re

from haproxy_telemetry_agent.debug.exchange_view import ExchangeView, view_exchange
from haproxy_telemetry_agent.debug.recent import Made, Piece
from haproxy_telemetry_agent.debug.trace_page import render_trace
from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder
from haproxy_telemetry_agent.tracing.span import Event
from support.made import exchange, mini_span
from support.record_factory import TRACE_ID

HOSTILE = "<script>alert(1)</script>\"'&"


def view(made: Made) -> ExchangeView:
    return view_exchange(made, AttributeBuilder(), follows_parent=True, with_spans=True)


def page(*made: Made, is_all: bool = True) -> str:
    return "".join(render_trace(TRACE_ID, [view(one) for one in made], is_all=is_all))


def test_spans_stand_on_the_traces_own_axis() -> None:
    html = page(exchange(b="app", s="app1", Ta="20", TR="11", Tr="2"))
    assert re.findall(r'<rect class="(\w+)" x="(\d+)" y="0" width="(\d+)"', html) == [
        ("server", "0", "1000"),
        ("client", "500", "500"),
    ]
    for word in ("20.0 ms", "└ GET", "haproxy.server.name", "app1", "span id", f"/debug/exchanges/{TRACE_ID}"):
        assert word in html


def test_a_point_in_time_can_be_seen() -> None:
    html = page(exchange(b="app", s="app1", Ta="20", TR="30", Tr="0"))
    assert ("996", "4") in re.findall(r'x="(\d+)" y="0" width="(\d+)"', html)


def test_errors_are_red() -> None:
    assert page(exchange(ST="503", ts="SC", b="app", s="app1")).count('class="error"') == 2


def test_a_trace_that_was_not_sampled_has_no_spans() -> None:
    html = page(exchange(traceparent=f"00-{TRACE_ID}-00f067aa0ba902b7-00"))
    assert "None: it was not sampled." in html
    assert html.endswith("</main></body></html>\n")


def test_several_exchanges_of_one_trace() -> None:
    html = page(exchange(HPO="/first"), exchange(HPO="/second"), is_all=False)
    assert html.count("<details>") == 2
    assert "and earlier ones: see the JSON" in html
    assert "earlier ones" not in page(exchange())


def test_too_many_spans_are_cut() -> None:
    html = page(Piece([mini_span(f"s{number}", number=number) for number in range(1, 301)]))
    assert html.count("<details>") == 200
    assert "100 more: see the JSON" in html


def test_nothing_that_a_span_says_is_html() -> None:
    span = mini_span(HOSTILE)
    span.attributes = [(HOSTILE, HOSTILE), ("list", [HOSTILE, "two"])]
    span.status_message = span.tracestate = HOSTILE
    span.events = [Event(1, HOSTILE, [(HOSTILE, HOSTILE)])]
    html = page(Piece([span]), exchange(HPO=HOSTILE.replace('"', '\\"'), profile="Full", b=HOSTILE[:8], s="app1"))
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;" in html
    assert "ref link" not in html
    assert "<td>link</td>" in html
