"""The page as HTML: whole, plain, and deaf to what clients say."""

from collections.abc import Iterator
from html.parser import HTMLParser

import pytest

from haproxy_telemetry_agent.debug.agent_view import AgentView, Identity, view_agent
from haproxy_telemetry_agent.debug.counters import read_values
from haproxy_telemetry_agent.debug.exchange_view import ExchangeView, view_exchange
from haproxy_telemetry_agent.debug.page import (
    exchange_rows,
    render_agent,
    render_counters,
    render_end,
    render_footer,
    render_head,
    render_list,
    render_settings,
    text,
)
from haproxy_telemetry_agent.debug.recent import Made
from haproxy_telemetry_agent.settings import Settings, SettingsOrigin, parse_settings
from haproxy_telemetry_agent.telemetry import Telemetry
from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder
from haproxy_telemetry_agent.tracing.state import State, encode_state
from support.made import connection, exchange
from support.record_factory import TRACE_ID

HOSTILE = "</title></style><script>alert(1)</script><img src=x onerror='alert(1)'>\"'&amp;"
VOID = {"meta", "rect"}


class Page(HTMLParser):
    """What a browser would see: elements, their attributes, and text; fails where elements do not close."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _value in attrs}
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def view(made: Made) -> ExchangeView:
    return view_exchange(made, AttributeBuilder(), follows_parent=True, with_spans=False)


def agent(
    telemetry: Telemetry | None = None,
    settings: Settings | None = None,
    origin: SettingsOrigin | None = None,
    service: str = "edge",
) -> AgentView:
    identity = Identity(
        service_name=service, version="1", python="3", pid=7, started_unix_seconds=1_000.0, listening={}, exports_to="nowhere"
    )
    values = read_values((telemetry or Telemetry()).registry.collect())
    return view_agent(
        identity,
        settings or Settings(),
        origin or SettingsOrigin(),
        values,
        now_unix_seconds=1_185.0,
        tails=0,
        exchanges_passed_over=0,
    )


def whole(shown: AgentView, exchanges: list[ExchangeView] | None = None, *, refresh_seconds: int | None = None) -> Page:
    def parts() -> Iterator[str]:
        yield render_head(shown.identity.service_name, refresh_seconds=refresh_seconds)
        yield from render_agent(shown, refreshing=refresh_seconds is not None)
        yield from render_list("latest", "Latest", "the newest first", iter(exchanges or ()))
        yield from render_counters(shown)
        yield from render_settings(shown)
        yield render_footer() + render_end()

    return Page("".join(parts()))


def test_the_page_of_an_agent_that_has_seen_nothing() -> None:
    page = whole(agent())
    assert "up 3 min 05 s" in page.text
    assert "No HAProxy is connected" in page.text
    assert "None yet." in page.text
    assert "never" in page.text
    assert "script" not in page.elements
    assert not {name for name in page.attributes if name.startswith("on") or name in ("style", "src")}


def test_exchanges_are_rows() -> None:
    page = whole(agent(), [view(exchange(HPO="/checkout", b="app", s="app1", ST="503", ts="SC", Ta="21"))] * 25)
    assert page.text.count("GET /checkout") == 25
    for word in ("13:50:34.119", "503", "21.0 ms", "edge > app/app1", "SC", "yes, HAProxy", TRACE_ID):
        assert word in page.text


def test_rows_come_in_small_parts() -> None:
    parts = list(render_list("latest", "Latest", "", iter([view(exchange())] * 100)))
    assert max(part.count("<tr") for part in parts) <= 10
    assert sum(part.count("<tr class") for part in parts) == 100


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (exchange(traceparent=f"00-{TRACE_ID}-00f067aa0ba902b7-00"), "no, HAProxy"),
        (exchange(ST="-1", ts="CC"), "haproxy.client_abort"),
        (connection(), "mail > imap/one"),
        (exchange(state=encode_state(State(1, excluded=True))), "no, excluded"),
    ],
)
def test_a_row_of_each_kind(made: Made, words: str) -> None:
    assert words in Page(exchange_rows(view(made))).text


def test_an_exchange_without_a_trace_has_no_link() -> None:
    assert "<a " not in exchange_rows(view(exchange(state=encode_state(State(1, excluded=True)), traceparent="-")))
    assert f'<a href="/debug/traces/{TRACE_ID}">' in exchange_rows(view(exchange()))


def test_nothing_that_clients_or_settings_say_is_html() -> None:
    hostile = [view(exchange(HPO=HOSTILE.replace('"', '\\"'), HM="<b>", f="<i>", b="<u>", s="<s>", ts="<>"))]
    settings = parse_settings({"resource": {"serviceName": HOSTILE[:255], "attributes": {HOSTILE: HOSTILE}}})
    origin = SettingsOrigin(HOSTILE, {"resource.attributes": HOSTILE}, HOSTILE, [HOSTILE])
    telemetry = Telemetry()
    telemetry.spoe_failed(HOSTILE)
    plain = whole(agent(), [view(exchange())])
    page = whole(agent(telemetry, settings, origin, service=HOSTILE), hostile)
    assert page.elements <= plain.elements
    assert page.attributes <= plain.attributes
    assert page.text.count("<script>alert(1)</script>") >= 5


def test_what_cannot_be_seen_is_shown_and_what_is_too_long_cut() -> None:
    assert text("a\x00\x1b\u202e<") == r"a\x00\x1b\u202e&lt;"
    assert text("x" * 5_000) == "x" * 1_000 + "…"


def test_it_refreshes_if_asked_to() -> None:
    assert '<meta http-equiv="refresh" content="5">' in render_head("t", refresh_seconds=5)
    assert "refresh" not in render_head("t")
    assert "Stop refreshing" in whole(agent(), refresh_seconds=5).text


def test_trouble_is_told() -> None:
    telemetry = Telemetry()
    telemetry.dropped(1_234, "queue_full")
    telemetry.messages_answered(1, 0.0002)
    telemetry.loop_was_late(0.002)
    telemetry.exported(1)
    page = whole(agent(telemetry))
    for word in ("queue_full 1,234", "≤ 0.25 ms", "≤ 2.5 ms", " ago"):
        assert word in page.text


def test_exchanges_that_another_worker_has_answered() -> None:
    telemetry = Telemetry()
    telemetry.recorded("answered")
    assert "1recorded here, answered by another worker or a predecessor" in whole(agent(telemetry)).text
    telemetry.answered(sampled=True, has_parent=True)
    telemetry.answered(sampled=True, has_parent=True)
    assert "1exchanges still open, or lost" in whole(agent(telemetry)).text


def test_what_is_open_now_and_then_is_told_when_it_is() -> None:
    shown = agent()
    opened = type(shown.open)(
        spop_connections=1,
        record_connections=1,
        exchanges_unrecorded=0,
        minilanguage_exchanges=3,
        queue_spans=0,
        queue_capacity_spans=0,
        queue_bytes=0,
        tails=2,
    )
    html = "".join(
        render_agent(
            AgentView(**{name: getattr(shown, name) for name in shown.__struct_fields__} | {"open": opened}), refreshing=False
        )
    )
    assert "3exchanges open in the mini-language" in Page(html).text
    assert "2follow by tail" in Page(html).text


def test_settings_say_where_they_are_from_and_what_waits() -> None:
    settings = parse_settings({"profile": "Full", "listen": {"http": "127.0.0.1:1"}})
    origin = SettingsOrigin(
        "/etc/agent.yaml", {"profile": "OTEL_X", "listen.http": "file"}, None, ["listen.http", "limits.maxRecordBytes"]
    )
    page = whole(agent(settings=settings, origin=origin))
    for words in (
        "from /etc/agent.yaml",
        "profileFullOTEL_X",
        "listen.http waits for a restart127.0.0.1:1file",
        "limits.maxRecordBytes waits for a restart65535",
        "with their defaults",
    ):
        assert words in page.text
    assert "from the environment and defaults" in whole(agent()).text
