"""W3C Trace Context Level 2: the cases of the specification and of its own test suite (github.com/w3c/trace-context, test/)."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.context import SpanContext, SpanId, TraceId
from haproxy_telemetry_agent.tracing.propagation.tracecontext import (
    format_traceparent,
    parse_traceparent,
    parse_tracestate,
    set_member,
)

TRACE = "12345678901234567890123456789012"
SPAN = "1234567890123456"

IDS = st.tuples(st.binary(min_size=16, max_size=16).filter(any), st.binary(min_size=8, max_size=8).filter(any))


class TestTraceparent:
    @pytest.mark.parametrize(
        ("header", "flags"),
        [
            (f"00-{TRACE}-{SPAN}-00", 0),
            (f"00-{TRACE}-{SPAN}-01", 1),
            (f"00-{TRACE}-{SPAN}-02", 2),
            (f"00-{TRACE}-{SPAN}-03", 3),
            # Flags that have no meaning yet must not go on.
            (f"00-{TRACE}-{SPAN}-09", 1),
            (f"00-{TRACE}-{SPAN}-fc", 0),
            (f"00-{TRACE}-{SPAN}-ff", 3),
            # A later version may have more fields behind a dash.
            (f"01-{TRACE}-{SPAN}-01", 1),
            (f"cc-{TRACE}-{SPAN}-01", 1),
            (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", 1),
            (f"fe-{TRACE}-{SPAN}-01-", 1),
            # White space around a header's value is not part of it.
            (f" 00-{TRACE}-{SPAN}-01", 1),
            (f"\t00-{TRACE}-{SPAN}-01\t ", 1),
        ],
    )
    def test_valid(self, header: str, flags: int) -> None:
        assert parse_traceparent(header) == SpanContext(TraceId(bytes.fromhex(TRACE)), SpanId(bytes.fromhex(SPAN)), flags)

    @pytest.mark.parametrize(
        "header",
        [
            pytest.param("", id="empty"),
            pytest.param(f"00-{TRACE}-{SPAN}", id="no flags"),
            pytest.param(f"00-{TRACE}-{SPAN}-01.", id="version 00 and a character more"),
            pytest.param(f"00-{TRACE}-{SPAN}-01-", id="version 00 and a dash more"),
            pytest.param(f"00-{TRACE}-{SPAN}-01-more", id="version 00 and a field more"),
            pytest.param(f"cc-{TRACE}-{SPAN}-01.what-the-future-will-not-be-like", id="later version, more without a dash"),
            pytest.param(f"cc-{TRACE}-{SPAN}-0", id="later version, shorter than ours"),
            pytest.param(f"ff-{TRACE}-{SPAN}-01", id="version ff"),
            pytest.param(f".0-{TRACE}-{SPAN}-01", id="version is no number"),
            pytest.param(f"0-{TRACE}-{SPAN}-01", id="version too short"),
            pytest.param(f"000-{TRACE}-{SPAN}-01", id="version too long"),
            pytest.param(f"CC-{TRACE}-{SPAN}-01", id="version in upper case"),
            pytest.param(f"00-{'0' * 32}-{SPAN}-01", id="trace id zero"),
            pytest.param(f"00-{TRACE}-{'0' * 16}-01", id="span id zero"),
            pytest.param(f"00-{TRACE[:-1]}-{SPAN}-01", id="trace id too short"),
            pytest.param(f"00-{TRACE}0-{SPAN}-01", id="trace id too long"),
            pytest.param(f"00-{TRACE[:-1]}.-{SPAN}-01", id="trace id is no number"),
            pytest.param(f"00-{TRACE[:-1]}A-{SPAN}-01", id="trace id in upper case"),
            pytest.param(f"00-{TRACE}-{SPAN[:-1]}-01", id="span id too short"),
            pytest.param(f"00-{TRACE}-{SPAN}0-01", id="span id too long"),
            pytest.param(f"00-{TRACE}-{SPAN[:-1]}F-01", id="span id in upper case"),
            pytest.param(f"00-{TRACE}-{SPAN}-.0", id="flags are no number"),
            pytest.param(f"00-{TRACE}-{SPAN}-0A", id="flags in upper case"),
            pytest.param(f"00-{TRACE}-{SPAN}-1", id="flags too short"),
            pytest.param(f"00-{TRACE}-{SPAN}-011", id="flags too long"),
            pytest.param(f"00_{TRACE}_{SPAN}_01", id="other delimiters"),
            pytest.param(f"00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01", id="two in one header"),
            pytest.param(f"00-{TRACE}-{SPAN}-01\n", id="line feed"),
            pytest.param(f"cc-{TRACE}-{SPAN}-01-a\nb", id="line feed in a later version"),
            pytest.param(f"\u00a000-{TRACE}-{SPAN}-01", id="another kind of space"),
            pytest.param(f"00-{TRACE[:-1]}\uff12-{SPAN}-01", id="full-width digit"),
        ],
    )
    def test_invalid(self, header: str) -> None:
        assert parse_traceparent(header) is None

    @given(ids=IDS, flags=st.integers(0, 3))
    def test_round_trip(self, ids: tuple[bytes, bytes], flags: int) -> None:
        context = SpanContext(TraceId(ids[0]), SpanId(ids[1]), flags)
        header = format_traceparent(context)
        assert header == f"00-{ids[0].hex()}-{ids[1].hex()}-0{flags}"
        assert parse_traceparent(header) == context

    @given(header=st.one_of(st.text(max_size=60), st.text("0123456789abcdef-", min_size=50, max_size=60)))
    def test_any_text_is_a_context_or_none(self, header: str) -> None:
        context = parse_traceparent(header)
        assert context is None or (any(context.trace_id) and any(context.span_id))


KEYS_OF_LEVEL_2 = [
    "1special",
    "special@",
    "special@@vendor",
    "special@vendor@tenant",
    "0" * 256,
    string.ascii_lowercase + string.digits + "_-*/@",
]
MEMBERS_OF_512 = ["a=" + "v" * 126, *(f"{key}=" + "v" * 125 for key in "bcd")]
ALL_VALUE_CHARACTERS = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in ",=")


class TestTracestate:
    @pytest.mark.parametrize(
        ("headers", "joined"),
        [
            ([], ""),
            ([""], ""),
            (["a=1"], "a=1"),
            (["a=1,b=2"], "a=1,b=2"),
            (["a=1", "b=2"], "a=1,b=2"),
            (["b=2", "a=1"], "b=2,a=1"),
            (["", "a=1", ""], "a=1"),
            (["a=1, \t b=2"], "a=1,b=2"),
            ([" a=1\t"], "a=1"),
            (["a=1,,b=2,  ,\t"], "a=1,b=2"),
            (["a=1,b=2", "c=3,d=4"], "a=1,b=2,c=3,d=4"),
            (["a= 1"], "a= 1"),
            (["a=1 2"], "a=1 2"),
            (["t61@rojo=x"], "t61@rojo=x"),
            (["a_-*/z09=1"], "a_-*/z09=1"),
            ([f"a={ALL_VALUE_CHARACTERS}"], f"a={ALL_VALUE_CHARACTERS}"),
            (["z" * 256 + "=1"], "z" * 256 + "=1"),
            (["a=" + "v" * 256], "a=" + "v" * 256),
            ([",".join(f"k{number}=1" for number in range(32))], ",".join(f"k{number}=1" for number in range(32))),
            *(pytest.param([f"{key}=1"], f"{key}=1") for key in KEYS_OF_LEVEL_2),
        ],
    )
    def test_valid(self, headers: list[str], joined: str) -> None:
        assert parse_tracestate(headers) == joined

    @pytest.mark.parametrize(
        "headers",
        [
            pytest.param(["foobarbaz"], id="no equals sign"),
            pytest.param(["=1"], id="no key"),
            pytest.param(["a="], id="no value"),
            pytest.param(["a =1"], id="space behind the key"),
            pytest.param(["A=1"], id="upper case"),
            pytest.param(["a.b=1"], id="dot in the key"),
            pytest.param(["@vendor=1"], id="at sign first"),
            pytest.param(["z" * 257 + "=1"], id="key too long"),
            pytest.param(["a=" + "v" * 257], id="value too long"),
            pytest.param(["a=b=c"], id="equals sign in the value"),
            pytest.param(["a=\x7f"], id="control character"),
            pytest.param(["a=\u00e9"], id="no ASCII"),
            pytest.param(["a=1\nb=2"], id="line feed"),
            pytest.param(["a=1,a=2"], id="key twice"),
            pytest.param(["a=1", "a=1"], id="key twice, in two headers"),
            pytest.param(["a=1,B=2,c=3"], id="one bad member among good ones"),
            pytest.param([",".join(f"k{number}=1" for number in range(33))], id="33 members"),
            pytest.param([",".join(f"k{number}=1" for number in range(32)), "one=more"], id="33 members in two headers"),
        ],
    )
    def test_invalid(self, headers: list[str]) -> None:
        assert parse_tracestate(headers) == ""

    def test_512_characters_are_kept_and_one_more_costs_the_last_member(self) -> None:
        assert len(",".join(MEMBERS_OF_512)) == 512
        assert parse_tracestate([",".join(MEMBERS_OF_512)]) == ",".join(MEMBERS_OF_512)
        assert parse_tracestate([",".join(MEMBERS_OF_512) + "v"]) == ",".join(MEMBERS_OF_512[:-1])

    def test_of_too_many_characters_members_above_128_go_first(self) -> None:
        assert {len(member) for member in MEMBERS_OF_512} == {127, 128}
        long = "long=" + "v" * 124
        assert len(long) == 129
        assert parse_tracestate([",".join([long, *MEMBERS_OF_512])]) == ",".join(MEMBERS_OF_512)

    def test_of_too_many_characters_the_last_members_go_next(self) -> None:
        members = [f"k{number}={'v' * 100}" for number in range(6)]
        assert parse_tracestate([",".join(members)]) == ",".join(members[:4])

    @given(headers=st.lists(st.one_of(st.text(max_size=30), st.text("ab1=,@ \t", max_size=30)), max_size=4))
    def test_any_headers_give_a_tracestate_that_is_valid_itself(self, headers: list[str]) -> None:
        tracestate = parse_tracestate(headers)
        assert parse_tracestate([tracestate]) == tracestate


class TestSetMember:
    @pytest.mark.parametrize(
        ("before", "value", "after"),
        [
            ("", "th:0", "ot=th:0"),
            ("a=1", "th:0", "ot=th:0,a=1"),
            ("a=1,ot=th:c,b=2", "th:0", "ot=th:0,a=1,b=2"),
            ("ot=th:c,a=1", "th:c", "ot=th:c,a=1"),
            # A key that only begins with ours is another vendor's.
            ("foot=1,ot2=1", "th:0", "ot=th:0,foot=1,ot2=1"),
            ("a=1,ot=th:c", "", "a=1"),
            ("ot=th:c", "", ""),
            ("a=1", "", "a=1"),
        ],
    )
    def test_what_changed_goes_to_the_front(self, before: str, value: str, after: str) -> None:
        assert set_member(before, "ot", value) == after

    def test_the_last_of_32_members_gives_way(self) -> None:
        members = [f"k{number}=1" for number in range(32)]
        assert set_member(",".join(members), "ot", "th:0") == ",".join(["ot=th:0", *members[:31]])

    def test_too_many_characters_cost_the_last_member(self) -> None:
        members = [f"k{number:02}={'v' * 59}" for number in range(8)]
        assert set_member(",".join(members), "ot", "th:0") == ",".join(["ot=th:0", *members[:7]])
