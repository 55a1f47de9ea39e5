"""Exchanges in a terminal."""

from haproxy_telemetry_agent.debug.exchange_view import view_exchange
from haproxy_telemetry_agent.debug.recent import Made, Piece
from haproxy_telemetry_agent.debug.tail_text import exchange_lines
from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder
from support.made import connection, exchange, mini_span
from support.record_factory import TRACE_ID


def lines(made: Made, *, columns: int = 60, colored: bool = False) -> list[str]:
    view = view_exchange(made, AttributeBuilder(), follows_parent=True, with_spans=True)
    return list(exchange_lines(view, columns=columns, colored=colored))


def test_a_request_and_its_waterfall() -> None:
    assert lines(exchange(HPO="/checkout", b="app", s="app1", Ta="20", TR="11", Tr="2")) == [
        f"13:50:34.119  GET /checkout  200  20.0 ms  edge > app/app1  trace {TRACE_ID}",
        "  GET    SERVER  200  20.0 ms  █████████████████████████████",
        "  └ GET  CLIENT  200  10.0 ms                ██████████████",
    ]


def test_an_error_that_a_client_did_not_hear_of() -> None:
    assert lines(exchange(ST="-1", ts="CC", Ta="20"))[0] == (
        f"13:50:34.119  GET /  haproxy.client_abort CC  20.0 ms  edge  trace {TRACE_ID}"
    )


def test_what_was_not_sampled_is_one_line() -> None:
    assert lines(exchange(traceparent=f"00-{TRACE_ID}-00f067aa0ba902b7-00")) == [
        f"13:50:34.119  GET /  200  0.00 ms  edge  trace {TRACE_ID}  not sampled: HAProxy"
    ]


def test_a_connection() -> None:
    assert lines(connection(Tt="1500"))[:2] == [
        f"13:50:34.119  tcp  1.50 s  mail > imap/one  trace {TRACE_ID}",
        "  tcp mail    SERVER    1.50 s  ████████████████████████████",
    ]


def test_the_minilanguage() -> None:
    assert lines(Piece([mini_span("root", end_unix_nano=2_000_000)]), columns=20) == [
        "00:00:00.002  root  2.00 ms  trace 00000000000000000000000000000001",
        "  root  SERVER    2.00 ms  ████████████",
    ]


def test_nothing_steers_the_terminal() -> None:
    text = "\n".join(lines(exchange(HPO="/\x1b[2J\u202egnp", f="\x1b]0;edge\x07")))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert r"GET /\x1b[2J\u202egnp" in text


def test_a_long_path_is_cut() -> None:
    assert len(lines(exchange(HPO="/" + "x" * 10_000))[0]) < 400


def test_colours_are_around_the_same_text() -> None:
    made = exchange(b="app", s="app1", Ta="20", ST="503", ts="SC")
    colored = "\n".join(lines(made, colored=True))
    plain = "\n".join(lines(made))
    for code in ("1", "2", "31", "34", "36"):
        colored = colored.replace(f"\x1b[{code}m", "")
    assert "\x1b[31m" in "\n".join(lines(made, colored=True))
    assert colored.replace("\x1b[0m", "") == plain
