"""The token that travels through HAProxy: it comes back as it went, or not at all."""

import re
from base64 import urlsafe_b64encode

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.state import MAX_TOKEN_CHARACTERS, VERSION, State, decode_state, encode_state

MICROSECONDS = st.one_of(st.none(), st.integers(-(2**63), 2**64 - 1))
PARENTS = st.one_of(st.none(), st.binary(min_size=8, max_size=8))
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"


def states(texts: st.SearchStrategy[str]) -> st.SearchStrategy[State]:
    optional = st.one_of(st.none(), texts)
    return st.builds(
        State,
        st.just(VERSION),
        MICROSECONDS,
        MICROSECONDS,
        PARENTS,
        optional,
        optional,
        extras=st.one_of(st.none(), st.dictionaries(st.sampled_from(["q.a", "q.b", "x.c"]), texts, max_size=3)),
        stamps=st.one_of(st.none(), st.lists(st.one_of(st.none(), st.integers(0, 2**53)), max_size=8)),
        reason=st.sampled_from([None, "forced"]),
        excluded=st.booleans(),
        link=st.sampled_from([None, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]),
    )


def token_of(*elements: object) -> str:
    return urlsafe_b64encode(msgspec.msgpack.encode(elements)).decode()


@given(state=states(st.text(max_size=80)))
def test_round_trip(state: State) -> None:
    assert decode_state(encode_state(state)) == state


def test_the_token_of_this_version() -> None:
    """An agent reads what another one wrote: another text here needs another version."""
    state = State(1, 1_795_355_434_119_025, None, bytes.fromhex("b7ad6b7169203331"), "example.com", "curl/8")
    token = "lgHPAAZg3cLlb3HAxAi3rWtxaSAzMatleGFtcGxlLmNvbaZjdXJsLzg="
    assert encode_state(state) == token
    assert decode_state(token) == state


@given(state=states(st.one_of(st.text(min_size=400), st.integers(300, 70_000).map("é".__mul__))))
@example(
    state=State(VERSION, host="h" * 60_000, user_agent="\U0001f600" * 60_000, start_unix_micro=2**64 - 1, parent_span_id=bytes(8))
)
def test_long_text_is_cut_and_everything_else_stays(state: State) -> None:
    token = encode_state(state)
    assert len(token) <= MAX_TOKEN_CHARACTERS
    decoded = decode_state(token)
    assert decoded is not None
    assert msgspec.structs.replace(decoded, host=None, user_agent=None, extras=None) == msgspec.structs.replace(
        state, host=None, user_agent=None, extras=None
    )
    for key, kept_text in (decoded.extras or {}).items():
        assert state.extras is not None
        assert state.extras[key].startswith(kept_text)
        assert key.startswith("q.") or state.extras[key] == kept_text
    for kept, whole in ((decoded.host, state.host), (decoded.user_agent, state.user_agent)):
        assert (kept is None) == (whole is None)
        assert (whole or "").startswith(kept or "")


def test_a_text_that_is_too_long_does_not_keep_out_the_others() -> None:
    """A header that is shown is cut; one that says where the client is, is left out: half of it would say another client."""
    extras = {"q.a": "1", "q.long": "x" * 8000, "long": "y" * 8000, "q.b": "2"}
    decoded = decode_state(encode_state(State(VERSION, extras=extras)))
    assert decoded is not None
    assert decoded.extras == {"q.a": "1", "q.long": "x" * 512, "q.b": "2"}


@given(state=states(st.text(max_size=400)))
def test_haproxy_has_nothing_to_escape_in_it(state: State) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_=-]+", encode_state(state))


def test_an_ordinary_token_is_short() -> None:
    """HAProxy pays for each byte twice: up to 250 cost it little (measured)."""
    state = State(
        VERSION, start_unix_micro=1_795_355_434_119_025, parent_span_id=bytes(8), host="shop.example.com:8443", user_agent=CHROME
    )
    assert len(encode_state(state)) <= 250


def test_elements_of_a_later_agent_are_ignored() -> None:
    assert decode_state(
        token_of(*msgspec.structs.astuple(State(VERSION, 7, None, None, "host", "agent")), "new", {"newer": [1]})
    ) == State(VERSION, start_unix_micro=7, host="host", user_agent="agent")


def test_elements_of_an_earlier_agent_are_enough() -> None:
    assert decode_state(token_of(VERSION, 7)) == State(VERSION, start_unix_micro=7)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(token_of(VERSION + 1, 7), id="later version"),
        pytest.param(token_of(0, 7), id="version 0"),
        pytest.param(token_of(), id="no version"),
        pytest.param(token_of("1"), id="version is text"),
        pytest.param(token_of(VERSION, "7"), id="start is text"),
        pytest.param(token_of(VERSION, None, None, "parent"), id="parent is text"),
        pytest.param(token_of(VERSION, 1.5), id="start is no whole number"),
        pytest.param(urlsafe_b64encode(msgspec.msgpack.encode({"version": 1})).decode(), id="a map"),
        pytest.param(urlsafe_b64encode(msgspec.msgpack.encode([VERSION]) + b"\x00").decode(), id="more behind it"),
        pytest.param(token_of(VERSION, 7)[:-2], id="cut"),
        pytest.param(token_of(VERSION, 7, 8, None, "h" * 3100), id="longer than any of ours"),
        pytest.param("", id="empty"),
        pytest.param("-", id="absent"),
        pytest.param("!!!!", id="no base64"),
        pytest.param("é", id="no ASCII"),
        pytest.param(urlsafe_b64encode(bytes((0x97, VERSION)) + b"\xc0" * 5 + b"\x91" * 5000).decode(), id="nested too deeply"),
    ],
)
def test_what_is_no_token_of_ours(token: str) -> None:
    assert decode_state(token) is None


@given(token=st.one_of(st.text(max_size=40), st.binary(max_size=40).map(lambda raw: urlsafe_b64encode(raw).decode())))
def test_any_text_is_a_state_or_none(token: str) -> None:
    state = decode_state(token)
    assert state is None or state.version == VERSION


def test_a_long_text_does_not_take_the_place_of_those_behind_it() -> None:
    extras = {"q.short": "a", "x-forwarded-for": "b" * 3_000, "q.last": "c"}
    decoded = decode_state(encode_state(State(1, extras=extras)))
    assert decoded is not None
    assert decoded.extras == {"q.short": "a", "q.last": "c"}


def test_of_a_long_header_the_beginning_is_taken() -> None:
    decoded = decode_state(encode_state(State(1, extras={"q.long": "b" * 3_000})))
    assert decoded is not None
    assert decoded.extras == {"q.long": "b" * 512}
