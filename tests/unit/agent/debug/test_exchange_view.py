"""What is said of one exchange: the same words as its spans', and no more than they."""

import msgspec
import pytest

from haproxy_telemetry_agent.debug.exchange_view import ExchangeView, view_exchange
from haproxy_telemetry_agent.debug.recent import Made, Piece
from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder, AttributeOptions
from haproxy_telemetry_agent.tracing.redaction import Redactor
from haproxy_telemetry_agent.tracing.routes import RouteTable, parse_routes
from haproxy_telemetry_agent.tracing.state import State, encode_state
from support.made import END_UNIX_NANO, connection, exchange, mini_span
from support.record_factory import TRACE_ID

UNSAMPLED = f"00-{TRACE_ID}-00f067aa0ba902b7-00"
SERVED = {"b": "app", "s": "app1", "Ta": "21", "Tr": "2"}


def view(made: Made, *, follows_parent: bool = True, with_spans: bool = False) -> ExchangeView:
    return view_exchange(made, AttributeBuilder(), follows_parent=follows_parent, with_spans=with_spans)


def test_a_request() -> None:
    assert view(exchange(HPO="/checkout", HM="POST", **SERVED)) == ExchangeView(
        kind="http",
        trace_id=TRACE_ID,
        end_unix_nano=END_UNIX_NANO,
        duration_seconds=0.021,
        name="POST /checkout",
        sampled=True,
        decided_by="HAProxy",
        status_code=200,
        termination_state="--",
        frontend="edge",
        backend="app",
        server="app1",
    )


def test_its_spans() -> None:
    spans = view(exchange(HPO="/checkout", ST="503", ts="SC", **SERVED), with_spans=True).spans
    assert spans is not None
    assert [(span.kind, span.name, span.status) for span in spans] == [("server", "GET", "error"), ("client", "GET", "error")]
    assert spans[1].parent_span_id == spans[0].span_id
    assert spans[0].attributes["url.path"] == "/checkout"


def test_a_link_and_an_event_of_a_span() -> None:
    spans = view(exchange(profile="Full", **SERVED, Tw="1", Tc="1"), with_spans=True).spans
    assert spans is not None
    assert {link.span_id for span in spans for link in span.links} < {span.span_id for span in spans}
    assert any(span.links for span in spans)


def test_secrets_of_a_request_that_was_not_sampled_are_redacted_too() -> None:
    attributes = AttributeBuilder(AttributeOptions(redactor=Redactor(scrubs=[(r"/reset/\w+", "/reset/-")])))
    made = exchange(HPO="/reset/s3cret", HQ="?sig=s3cret", traceparent=UNSAMPLED)
    shown = view_exchange(made, attributes, follows_parent=True, with_spans=True)
    assert b"s3cret" not in msgspec.json.encode(shown)
    assert (shown.name, shown.spans) == ("GET /reset/-", [])


@pytest.mark.parametrize(
    ("values", "follows_parent", "sampled", "decided_by"),
    [
        ({"state": encode_state(State(1))}, True, True, "sampler"),
        ({"state": encode_state(State(1)), "traceparent": UNSAMPLED}, True, False, "sampler"),
        ({"state": encode_state(State(1, parent_span_id=bytes(7) + b"1"))}, True, True, "caller"),
        ({"state": encode_state(State(1, parent_span_id=bytes(7) + b"1"))}, False, True, "sampler"),
        ({"state": encode_state(State(1, reason="rule checkout"))}, True, True, "rule checkout"),
        ({"state": encode_state(State(1, excluded=True))}, True, False, "excluded"),
        ({}, True, True, "HAProxy"),
        ({"traceparent": "-"}, True, True, "sampler"),
    ],
)
def test_why(values: dict[str, str], follows_parent: bool, sampled: bool, decided_by: str) -> None:
    shown = view(exchange(**values), follows_parent=follows_parent)
    assert (shown.sampled, shown.decided_by) == (sampled, decided_by)


def test_routes_and_calls() -> None:
    attributes = AttributeBuilder(AttributeOptions(grpc=True), make_routes("/shop.Cart"))
    state = encode_state(State(1, extras={"content_type": "application/grpc", "grpc_status": "13"}))
    shown = view_exchange(exchange(HPO="/shop.Cart/Add", HM="POST", state=state), attributes, follows_parent=True, with_spans=False)
    assert (shown.route, shown.is_error, shown.error_type) == ("/shop.Cart", True, "INTERNAL")


def make_routes(path: str) -> RouteTable:
    return parse_routes({"routes": [{"path": path}]})


def test_an_error_says_which() -> None:
    shown = view(exchange(ST="503", ts="SC"))
    assert (shown.is_error, shown.error_type) == (True, "503")
    assert not view(exchange(ST="404")).is_error


def test_an_unparsable_request_has_no_path() -> None:
    assert view(exchange(HM="<BADREQ>", HPO="<BADREQ>", ts="PR", ST="400")).name == "<BADREQ>"


def test_a_connection() -> None:
    assert view(connection(Tt="1500", ts="SC")) == ExchangeView(
        kind="tcp",
        trace_id=TRACE_ID,
        end_unix_nano=END_UNIX_NANO,
        duration_seconds=1.5,
        name="tcp",
        sampled=True,
        decided_by="sampler",
        termination_state="SC",
        frontend="mail",
        backend="imap",
        server="one",
        is_error=True,
        error_type="haproxy.connect",
    )
    unsampled = view(connection(sampled=False, Tt="1500"))
    assert (unsampled.sampled, unsampled.duration_seconds, unsampled.is_error) == (False, 1.5, False)


def test_pieces_of_the_minilanguage() -> None:
    root = mini_span("root", number=1, end_unix_nano=2_000_000_001)
    failed = mini_span("child", number=1, parent=9, end_unix_nano=1_000, failed=True)
    shown = view(Piece([failed, root]), with_spans=True)
    assert (shown.kind, shown.name, shown.duration_seconds, shown.is_error) == ("minilanguage", "root", 2.0, True)
    assert (shown.frontend, shown.status_code, shown.decided_by) == (None, None, "sampler")
    assert shown.spans is not None
    assert [span.name for span in shown.spans] == ["child", "root"]


def test_it_comes_back_from_json() -> None:
    shown = view(exchange(**SERVED), with_spans=True)
    assert msgspec.json.decode(msgspec.json.encode(shown), type=ExchangeView) == shown
