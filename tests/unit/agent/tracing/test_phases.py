"""The nine spans: which there are, whose children they are, what they follow, and when they are."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.context import IdGenerator, SpanId, server_span_id
from haproxy_telemetry_agent.tracing.exchange import ExchangeTracer
from haproxy_telemetry_agent.tracing.sampling.sampler import AlwaysOn, ParentBased
from haproxy_telemetry_agent.tracing.span import Span, SpanKind, SpanStatus
from haproxy_telemetry_agent.tracing.state import VERSION, State, encode_state

Record = Callable[..., dict[str, str]]

START_MICRO = 1_795_355_434_000_000
END = (START_MICRO + 20_000) * 1000
PARENT = bytes.fromhex("b7ad6b7169203331")
CLIENT_ID = SpanId(bytes.fromhex("847aa2ddc6c50541"))
ALL = (0, 100, 200, 300, 400, 5_000, 5_100, 9_000)
NO_SERVER = {"s": "<NOSRV>", "si": "-", "sp": "-", "Tw": "-1", "Tc": "-1", "Tr": "-1"}
PARENTS = {
    "Client session": "HAProxy session",
    "Frontend TCP request": "Client session",
    "Frontend HTTP request": "Client session",
    "Backend TCP request": "Client session",
    "Backend HTTP request": "Client session",
    "Server session": "HAProxy session",
    "TCP response": "Server session",
    "HTTP response": "Server session",
}
FOLLOWS = {
    "Frontend HTTP request": "Frontend TCP request",
    "Backend TCP request": "Frontend HTTP request",
    "Backend HTTP request": "Backend TCP request",
    "HTTP response": "TCP response",
}
NINE = ["HAProxy session", *PARENTS]


def state_with(*stamps: int | None) -> str:
    """The token of a request whose events were so many microseconds after its start."""
    origin = next((stamp for stamp in stamps if stamp is not None), 0)
    first = [START_MICRO + stamp if stamp == origin else stamp - origin if stamp is not None else None for stamp in stamps]
    return encode_state(State(VERSION, START_MICRO, None, PARENT, "shop.example", None, stamps=first or None))


@pytest.fixture(scope="session")
def spans(record: Record) -> Callable[..., dict[str, Span]]:
    """The spans of a record in profile Full, by name."""

    def build(state: str, **parameters: str) -> dict[str, Span]:
        sampler = ParentBased(AlwaysOn())
        tracer = ExchangeTracer(sampler=sampler, ids=IdGenerator(random.Random(1).getrandbits), profile="Full")
        made = tracer.trace(END, record(state=state, Ta="20", **parameters)).spans
        assert len({span.name for span in made}) == len({span.span_id for span in made}) == len(made)
        return {span.name: span for span in made}

    return build


def check_tree(spans: dict[str, Span]) -> None:
    """Whichever spans there are: their parents and links are those of the mapping."""
    by_id = {span.span_id: span.name for span in spans.values()}
    for name, span in spans.items():
        if name == "HAProxy session":
            continue
        assert span.parent_span_id is not None
        assert by_id[span.parent_span_id] == PARENTS[name]
        followed = [by_id[link.span_id] for link in span.links]
        # An event that nobody answered is passed over.
        before = FOLLOWS.get(name)
        while before is not None and before not in spans:
            before = FOLLOWS.get(before)
        assert followed == ([] if before is None else [before])
        assert [link.attributes for link in span.links] == [[("opentracing.ref_type", "follows_from")]] * len(followed)


def milliseconds(span: Span) -> tuple[float, float]:
    return ((span.start_unix_nano / 1000 - START_MICRO) / 1000, (span.end_unix_nano / 1000 - START_MICRO) / 1000)


def test_all_nine(spans: Callable[..., dict[str, Span]]) -> None:
    nine = spans(state_with(*ALL))
    assert [*nine] == NINE
    check_tree(nine)
    assert {name: milliseconds(span) for name, span in nine.items()} == {
        "HAProxy session": (0, 20),
        "Client session": (0, 20),
        "Frontend TCP request": (0.1, 0.2),
        "Frontend HTTP request": (0.2, 0.3),
        "Backend TCP request": (0.3, 0.4),
        "Backend HTTP request": (0.4, 5),
        "Server session": (5, 20),
        "TCP response": (5.1, 9),
        "HTTP response": (9, 20),
    }
    haproxy, server = nine["HAProxy session"], nine["Server session"]
    assert (haproxy.kind, haproxy.parent_span_id, haproxy.parent_is_remote) == (SpanKind.SERVER, PARENT, True)
    # The span that the server's own span hangs under.
    assert (server.kind, server.span_id) == (SpanKind.CLIENT, CLIENT_ID)
    assert haproxy.span_id == server_span_id(CLIENT_ID)
    assert {span.kind for name, span in nine.items() if name not in ("HAProxy session", "Server session")} == {SpanKind.INTERNAL}
    assert dict(haproxy.attributes)["url.path"] == "/x/200"
    assert dict(server.attributes)["haproxy.server.name"] == "one"


def test_stamps_of_a_clock_that_was_set_tell_nothing(spans: Callable[..., dict[str, Span]]) -> None:
    """It was set forward by an hour while the server was at it: what was read before is an hour early, timers know better."""
    stamps: list[int | None] = [START_MICRO - 3_600_000_000, *ALL[1:5], 3_600_005_000, None, 3_600_009_000]
    state = State(VERSION, START_MICRO - 3_600_000_000, None, PARENT, "shop.example", None, stamps=stamps)
    made = spans(encode_state(state), TR="1", Tw="0", Tc="2", Tr="3")
    assert list(made) == ["HAProxy session", "Client session", "Server session", "TCP response", "HTTP response"]
    assert all(END - 20_000_000 <= span.start_unix_nano <= span.end_unix_nano <= END for span in made.values())
    assert made["HAProxy session"].start_unix_nano == END - 20_000_000
    assert made["HTTP response"].start_unix_nano == (START_MICRO + 9_000) * 1000


def test_where_haproxy_may_not_be_asked_its_timers_tell(spans: Callable[..., dict[str, Span]]) -> None:
    """HAProxy 3.1 and later: no on-server-session, no on-tcp-response."""
    nine = spans(state_with(0, 100, 200, 300, 400, None, None, 9_000), TR="0", Tw="1", Tc="3", Tr="4")
    assert [*nine] == NINE
    check_tree(nine)
    assert milliseconds(nine["Backend HTTP request"]) == (0.4, 2)
    assert milliseconds(nine["Server session"]) == (2, 20)
    assert milliseconds(nine["TCP response"]) == (2, 9)


@pytest.mark.parametrize(
    ("what", "stamps", "parameters", "names"),
    [
        ("denied", (0, 100, 200), {**NO_SERVER, "ts": "PR", "ST": "403"}, NINE[:4]),
        ("no server", (0, 100, 200, 300, 400), {**NO_SERVER, "ts": "SC", "ST": "503"}, NINE[:6]),
        ("refused", (0, 100, 200, 300, 400), {"Tc": "-1", "Tr": "-1", "ts": "SC", "ST": "503", "rc": "2"}, NINE[:6]),
        ("server timeout", ALL[:7], {"Tr": "-1", "ts": "sH", "ST": "504"}, NINE[:8]),
        ("refused answer", ALL[:7], {"Tr": "4", "ts": "PH", "ST": "502"}, NINE[:8]),
        ("answered from the cache", ALL, {**NO_SERVER, "s": "<CACHE>", "ts": "LR"}, NINE[:6]),
        (
            "nobody answered an event",
            (),
            {},
            ["HAProxy session", "Client session", "Server session", "TCP response", "HTTP response"],
        ),
    ],
)
def test_a_phase_that_was_not_reached_has_no_span(
    spans: Callable[..., dict[str, Span]], what: str, stamps: tuple[int, ...], parameters: dict[str, str], names: list[str]
) -> None:
    made = spans(state_with(*stamps, *[None] * (8 - len(stamps))) if stamps else "-", **parameters)
    assert [*made] == names, what
    check_tree(made)
    # Whatever was open ends with the exchange.
    last = [span for span in made.values() if span.name not in FOLLOWS.values()]
    assert all(span.end_unix_nano == END for span in last if span.name != "Backend HTTP request" or "Server session" not in made)


def test_a_server_that_was_never_reached_is_told_by_the_request_that_waited(spans: Callable[..., dict[str, Span]]) -> None:
    made = spans(state_with(0, 100, 200, 300, 400, None, None, None), Tc="-1", Tr="-1", ts="SC", ST="503", rc="2")
    waited = made["Backend HTTP request"]
    attributes = dict(waited.attributes)
    assert waited.status is SpanStatus.ERROR
    assert (attributes["haproxy.server.name"], attributes["haproxy.retries"]) == ("one", 2)
    assert attributes["error.type"] == "haproxy.connect"
    assert len(attributes) == len(waited.attributes)


@given(
    stamps=st.lists(st.one_of(st.none(), st.integers(0, 10**8)), min_size=8, max_size=8),
    timers=st.fixed_dictionaries({name: st.integers(-1, 100_000).map(str) for name in ("TR", "Tw", "Tc", "Tr")}),
    server=st.sampled_from(["one", "<NOSRV>"]),
)
def test_any_stamps_and_timers_make_a_tree_in_order(
    spans: Callable[..., dict[str, Span]], stamps: list[int | None], timers: dict[str, str], server: str
) -> None:
    made = spans(state_with(*stamps), s=server, **timers)
    check_tree(made)
    outer = made["HAProxy session"]
    for span in made.values():
        assert outer.start_unix_nano <= span.start_unix_nano <= span.end_unix_nano <= outer.end_unix_nano
    for name, before in FOLLOWS.items():
        if name in made and before in made:
            assert made[before].end_unix_nano == made[name].start_unix_nano
