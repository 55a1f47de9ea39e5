"""Which context of a request counts, and that each format brings one through unchanged."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from haproxy_telemetry_agent.tracing.context import SpanContext, SpanId, TraceId
from haproxy_telemetry_agent.tracing.propagation.propagation import NO_INBOUND, ExtractCounts, Inbound, Mode, Propagation
from haproxy_telemetry_agent.tracing.propagation.tracecontext import format_traceparent
from haproxy_telemetry_agent.wiring.formats import FORMATS, PROPAGATORS
from haproxy_telemetry_agent.wiring.propagation import injection_lines

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
TRACEPARENT = {"traceparent_1": f"00-{TRACE}-{SPAN}-01"}
W3C = SpanContext(TraceId(bytes.fromhex(TRACE)), SpanId(bytes.fromhex(SPAN)), 1)
OTHER = SpanContext(TraceId(bytes.fromhex(TRACE)[::-1]), SpanId(bytes.fromhex(SPAN)[::-1]), 0)
ALL = [name for name in PROPAGATORS if name != "baggage"]
MULTI = {"b3_traceid": TRACE, "b3_spanid": SPAN, "b3_sampled": "1"}

IDS = st.tuples(st.binary(min_size=16, max_size=16).filter(any), st.binary(min_size=8, max_size=8).filter(any))
CONTEXTS = st.builds(lambda ids, flags: SpanContext(TraceId(ids[0]), SpanId(ids[1]), flags), IDS, st.integers(0, 1))
SPOP_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=70), st.binary(max_size=9), st.just(IPv4Address("192.0.2.1"))
)


def sent(context: SpanContext, *propagators: str) -> dict[str, object]:
    """The arguments of the next agent: a variable has the name of the argument its header comes back in."""
    return {**dict(Propagation(propagators).inject(context))}


class TestCounts:
    """Each propagator that is asked counts once: it found a context, no header, or a header without one."""

    @pytest.mark.parametrize(
        ("propagators", "arguments", "counted"),
        [
            (["tracecontext"], TRACEPARENT, {"tracecontext ok"}),
            (["tracecontext"], {}, {"tracecontext none"}),
            (["tracecontext"], {"traceparent_1": "", "tracestate_1": "a=1"}, {"tracecontext none"}),
            (["tracecontext"], {"traceparent_1": 7}, {"tracecontext none"}),
            (["tracecontext"], {"traceparent_1": "garbage"}, {"tracecontext invalid"}),
            (["tracecontext"], {**TRACEPARENT, "traceparent_2": f"00-{TRACE}-{SPAN}-01"}, {"tracecontext invalid"}),
            (["b3", "b3multi"], MULTI, {"b3 ok"}),
            (["b3multi"], {}, {"b3multi none"}),
            (["b3"], {"b3": "0"}, {"b3 none"}),
            (["b3"], {"b3": "d"}, {"b3 none"}),
            (["b3"], {"b3_sampled": "0"}, {"b3 none"}),
            (["b3"], {"b3": "garbage"}, {"b3 invalid"}),
            (["b3"], {"b3_traceid": TRACE}, {"b3 invalid"}),
            (["b3"], {"b3_spanid": SPAN}, {"b3 invalid"}),
            (["jaeger"], {"jaeger": "1:2"}, {"jaeger invalid"}),
            (["xray"], {"xray": "Root=1"}, {"xray invalid"}),
            (["jaeger", "xray"], {}, {"jaeger none", "xray none"}),
            (["b3", "tracecontext", "xray"], {**TRACEPARENT, "b3": "garbage"}, {"b3 invalid", "tracecontext ok"}),
            (["none"], TRACEPARENT, set()),
        ],
    )
    def test_once(self, propagators: list[str], arguments: dict[str, object], counted: set[str]) -> None:
        counts: ExtractCounts = {}
        Propagation(propagators, counts=counts).extract(arguments)
        assert {" ".join(key) for key, count in counts.items() if count} == counted
        assert sum(counts.values()) == len(counted)

    def test_what_may_occur_is_there_and_what_was_counted_stays(self) -> None:
        counts: ExtractCounts = {("b3", "ok"): 5}
        Propagation(["tracecontext", "baggage"], counts=counts)
        assert counts == {("b3", "ok"): 5} | {("tracecontext", result): 0 for result in ("ok", "none", "invalid")}
        Propagation(["tracecontext", "b3"], mode="Inject", counts=counts)
        assert len(counts) == 4

    def test_a_client_that_nobody_believes_is_not_counted(self) -> None:
        counts: ExtractCounts = {}
        address = IPv4Address("192.0.2.1")
        Propagation(trusted_networks=["10.0.0.0/8"], counts=counts).extract(TRACEPARENT, address)
        assert sum(counts.values()) == 0
        Propagation(trusted_networks=["10.0.0.0/8"], link_untrusted=True, counts=counts).extract(TRACEPARENT, address)
        assert counts["tracecontext", "ok"] == 1


class TestTracecontext:
    def test_parent(self) -> None:
        assert Propagation().extract(TRACEPARENT) == Inbound(W3C)

    def test_tracestate_comes_with_it(self) -> None:
        arguments = {**TRACEPARENT, "tracestate_1": "a=1", "tracestate_2": None, "tracestate_3": "b=2"}
        parent = Propagation().extract(arguments).parent
        assert parent is not None
        assert parent.tracestate == "a=1,b=2"

    @pytest.mark.parametrize(
        "arguments",
        [
            pytest.param({}, id="no header"),
            pytest.param({**TRACEPARENT, "traceparent_2": f"00-{TRACE}-{SPAN}-01"}, id="two headers, even of the same"),
            pytest.param({**TRACEPARENT, "traceparent_2": ""}, id="an empty second header"),
            pytest.param({"traceparent_1": "garbage", "tracestate_1": "a=1"}, id="not valid"),
            pytest.param({"traceparent_1": 7}, id="no text"),
            pytest.param({"tracestate_1": "a=1"}, id="tracestate alone"),
            pytest.param({"b3": f"{TRACE}-{SPAN}-1", "jaeger": f"{TRACE}:{SPAN}:0:1"}, id="formats that are not configured"),
        ],
    )
    def test_none(self, arguments: Mapping[str, object]) -> None:
        assert Propagation().extract(arguments) == NO_INBOUND

    @given(
        header=st.one_of(
            CONTEXTS.map(format_traceparent),
            st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?", fullmatch=True),
            st.text("0123456789abcdefF-", min_size=53, max_size=57),
        )
    )
    def test_reads_the_same_as_opentelemetry(self, header: str) -> None:
        theirs = trace.get_current_span(
            TraceContextTextMapPropagator().extract({"traceparent": header}, Context())
        ).get_span_context()
        parent = Propagation().extract({"traceparent_1": header}).parent
        if parent is None:
            # Theirs does not look behind a line feed, which no header has.
            assert not theirs.is_valid or "\n" in header
            return
        assert theirs.trace_id == int.from_bytes(parent.trace_id, "big")
        assert theirs.span_id == int.from_bytes(parent.span_id, "big")
        # Theirs passes on flags that mean nothing yet.
        assert theirs.trace_flags & 0x03 == parent.flags


class TestFormats:
    @pytest.mark.parametrize("propagator", [name for name in ALL if name != "tracecontext"])
    @given(context=CONTEXTS)
    def test_what_goes_out_comes_in_unchanged(self, propagator: str, context: SpanContext) -> None:
        assert Propagation([propagator]).extract(sent(context, propagator)) == Inbound(context)

    @pytest.mark.parametrize("propagator", ["b3", "b3multi", "jaeger"])
    def test_so_does_debug(self, propagator: str) -> None:
        context = SpanContext(W3C.trace_id, W3C.span_id, 1, debug=True)
        assert Propagation([propagator]).extract(sent(context, propagator)) == Inbound(context)

    @pytest.mark.parametrize("propagator", ["b3", "b3multi", "xray"])
    def test_so_does_a_decision_that_is_left_to_others(self, propagator: str) -> None:
        context = SpanContext(W3C.trace_id, W3C.span_id, 0, deferred=True)
        assert Propagation([propagator]).extract(sent(context, propagator)) == Inbound(context)

    def test_arguments_and_variables_are_those_that_haproxy_knows(self) -> None:
        known = {field.name for row in FORMATS for field in row.arguments}
        lines = "\n".join(injection_lines(PROPAGATORS))
        debug = SpanContext(W3C.trace_id, W3C.span_id, 1, debug=True)
        variables = {name for context in (W3C, debug) for name, _value in Propagation(PROPAGATORS).inject(context)}
        assert variables == {header.variable for row in FORMATS for header in row.headers}
        assert variables <= known
        assert all(f"%[var(txn.otel.{name})]" in lines for name in variables)

    @pytest.mark.parametrize("propagator", ["b3", "b3multi"])
    def test_both_kinds_of_b3_are_read_the_single_header_first(self, propagator: str) -> None:
        propagation = Propagation([propagator])
        assert propagation.extract(MULTI) == Inbound(W3C)
        assert propagation.extract({**MULTI, **sent(OTHER, "b3")}) == Inbound(OTHER)

    def test_a_single_header_that_is_not_valid_hides_nothing(self) -> None:
        """Nor does it deny what the others say. OpenTelemetry's reads no other then."""
        assert Propagation(["b3"]).extract({**MULTI, "b3": "garbage"}) == Inbound(W3C)
        assert Propagation(["b3"]).extract({**MULTI, "b3": "0"}) == Inbound(W3C)


class TestOrder:
    """OpenTelemetry's composite propagator lets the last one win; here it is the first, as the names are written."""

    def test_the_first_wins(self) -> None:
        arguments = {**TRACEPARENT, **sent(OTHER, "b3", "jaeger", "xray")}
        assert Propagation(["tracecontext", "b3"]).extract(arguments) == Inbound(W3C)
        for first in ("b3", "jaeger", "xray"):
            assert Propagation([first, "tracecontext"]).extract(arguments) == Inbound(OTHER)

    @pytest.mark.parametrize(
        "garbage", [{"b3": "x", "jaeger": "x", "xray": "x"}, {"b3": 1, "jaeger": b"x", "xray": None}, {"b3": ""}]
    )
    def test_one_that_finds_nothing_valid_is_passed_over(self, garbage: dict[str, object]) -> None:
        assert Propagation(["b3", "jaeger", "xray", "tracecontext"]).extract({**garbage, **TRACEPARENT}) == Inbound(W3C)

    def test_all_are_written_in_order(self) -> None:
        variables = [name for name, _value in Propagation(["xray", "tracecontext", "b3", "xray"]).inject(W3C)]
        assert variables == ["xray", "b3"]

    @pytest.mark.parametrize("propagators", [["tracecontext", "baggage"], ["none"], ["baggage"]])
    def test_nothing_more_to_write(self, propagators: list[str]) -> None:
        assert Propagation(propagators).inject(W3C) == []

    def test_none_reads_nothing(self) -> None:
        assert Propagation(["none"]).extract(TRACEPARENT) == NO_INBOUND


class TestDenial:
    @pytest.mark.parametrize("arguments", [{"b3": "0"}, {"b3_sampled": "0"}, {"b3_sampled": "false"}])
    @pytest.mark.parametrize("propagators", [["b3"], ["tracecontext", "b3multi"]])
    def test_denied(self, arguments: dict[str, object], propagators: list[str]) -> None:
        assert Propagation(propagators).extract(arguments) == Inbound(denied=True)

    def test_only_counts_where_there_is_no_context(self) -> None:
        assert Propagation(["b3", "tracecontext"]).extract({"b3": "0", **TRACEPARENT}) == Inbound(W3C)

    @pytest.mark.parametrize("propagation", [Propagation(), Propagation(["b3"], mode="Inject")])
    def test_is_not_read_where_b3_is_not(self, propagation: Propagation) -> None:
        assert propagation.extract({"b3": "0"}) == NO_INBOUND

    def test_is_not_taken_from_anybody(self) -> None:
        propagation = Propagation(["b3"], trusted_networks=["10.0.0.0/8"], link_untrusted=True)
        assert propagation.extract({"b3": "0"}, "192.0.2.1") == NO_INBOUND
        assert propagation.extract({"b3": "0"}, "10.0.0.1") == Inbound(denied=True)


class TestMode:
    @pytest.mark.parametrize(
        ("mode", "reads", "writes"),
        [("Propagate", True, True), ("Extract", True, False), ("Inject", False, True), ("Ignore", False, False)],
    )
    def test_reads_and_writes(self, mode: Mode, reads: bool, writes: bool) -> None:
        for networks in ([], ["10.0.0.0/8"]):
            propagation = Propagation(["tracecontext", "b3"], mode=mode, trusted_networks=networks, link_untrusted=True)
            assert propagation.extract(TRACEPARENT, "10.0.0.1") == (Inbound(W3C) if reads else NO_INBOUND)
            assert bool(propagation.inject(W3C)) == writes

    def test_what_is_never_read_is_no_link_either(self) -> None:
        propagation = Propagation(mode="Inject", trusted_networks=["10.0.0.0/8"], link_untrusted=True)
        assert propagation.extract(TRACEPARENT, "192.0.2.1") == NO_INBOUND


class TestTrust:
    NETWORKS = ("10.0.0.0/8", "192.0.2.7/32", "fd00::/8")

    @pytest.mark.parametrize(
        "address",
        ["10.0.0.1", "10.255.255.255", "192.0.2.7", "fd00::1", "::ffff:10.0.0.1", IPv4Address("10.1.2.3"), IPv6Address("fdff::")],
    )
    def test_a_client_within_is_a_parent(self, address: Any) -> None:
        assert Propagation(trusted_networks=self.NETWORKS).extract(TRACEPARENT, address) == Inbound(W3C)

    @pytest.mark.parametrize(
        "address", ["11.0.0.1", "192.0.2.8", "fe00::1", "::ffff:11.0.0.1", "", "unix", None, IPv4Address("0.0.0.0")]
    )
    def test_a_client_without_is_none(self, address: Any) -> None:
        assert Propagation(trusted_networks=self.NETWORKS).extract(TRACEPARENT, address) == NO_INBOUND
        linked = Propagation(trusted_networks=self.NETWORKS, link_untrusted=True).extract(TRACEPARENT, address)
        assert linked == Inbound(link=W3C)

    @pytest.mark.parametrize("address", ["192.0.2.1", "", None])
    def test_without_networks_everybody_is_within(self, address: str | None) -> None:
        assert Propagation(link_untrusted=True).extract(TRACEPARENT, address) == Inbound(W3C)


@given(
    arguments=st.dictionaries(st.sampled_from(sorted({field.name for row in FORMATS for field in row.arguments})), SPOP_VALUES),
    address=st.one_of(st.none(), st.text(max_size=20), st.ip_addresses()),
    order=st.permutations(PROPAGATORS),
)
def test_whatever_comes_there_is_an_answer(arguments: dict[str, object], address: Any, order: list[str]) -> None:
    for networks in ([], ["0.0.0.0/1"]):
        inbound = Propagation(order, trusted_networks=networks, link_untrusted=True).extract(arguments, address)
        assert inbound.parent is None or inbound.link is None
