"""The table of trace context formats, HAProxy's side: what it sends to the agent, reads by itself, and writes for the server.

One row a propagator of ``OTEL_PROPAGATORS``:

* its **arguments** of the SPOE message, so that this carries no header of a format nobody asked for;
* its **readings**: how HAProxy finds a caller's context without the agent, as conditions and sample expressions. They take less
  than the agent does (no white space within X-Ray's header, for example), never more;
* its **headers**. For each, the agent's answer has a variable; where there is none, HAProxy makes the header from ``traceparent``.
  The agent alone knows of debug flags: without it, debug goes on as sampled.

HAProxy parses a text several times. A comma or parenthesis within a converter's argument needs double quotes of the inner parser,
hence backslashes before them for the outer one. POSIX expressions only: not every HAProxy is built with PCRE.

Everything is valid, and does what it says, on HAProxy 2.6 and later (measured on 2.6, 2.8, 3.0 and 3.2).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .field import Field
from .names import variable_name

__all__ = [
    "FORMATS",
    "PROPAGATORS",
    "Format",
    "Header",
    "Reading",
    "extraction_lines",
    "injection_lines",
    "link_lines",
    "propagation_arguments",
    "trust_lines",
    "trusted_condition",
]

_LINK = variable_name("link")
_TRACEPARENT = variable_name("traceparent")
_TRACESTATE = variable_name("tracestate")
_PARENT = variable_name("parent")
_SPAN_ID = variable_name("span_id")
_TRUSTED = variable_name("trusted")
_NETWORKS_IN_A_LINE = 32
_HAS_LINK = f"{{ var({_LINK}) -m found }}"
_IS_LINK_WITHOUT_FLAGS = f"{{ var({_LINK}) -m len {len(f'00-{0:032}-{0:016}-')} }}"
_HAS_CONTEXT = f"{{ var({_TRACEPARENT}) -m found }}"
_HAS_PARENT = f"{{ var({_PARENT}) -m found }}"

_OUR_TRACE_ID = f"%[var({_TRACEPARENT}),field(2,-)]"
_OUR_SPAN_ID = f"%[var({_TRACEPARENT}),field(3,-)]"
_OUR_SAMPLED = f"%[var({_TRACEPARENT}),field(4,-),hex2i,and(1)]"


@dataclass(frozen=True, slots=True)
class Reading:
    """How HAProxy itself reads a caller's context."""

    valid: str
    """Condition: the header is there and valid. All below is meant where this holds."""
    trace_id: str
    """Sample expression, 32 digits."""
    span_id: str
    """Sample expression, 16 digits."""
    flags: str = ""
    """Sample expression, two digits; empty: the conditions below tell."""
    unsampled: str = ""
    """Condition: the caller does not record."""
    deferred: str = ""
    """Condition: the caller leaves the decision to us; empty: it never does. Otherwise it is sampled."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header for the server."""

    name: str
    variable: str
    """Of the agent's answer; without scope and prefix."""
    otherwise: str = ""
    """Log-format string that makes it from ``traceparent``; empty: only the agent knows it."""
    instead: str = ""
    """A variable of the agent's answer that stands in this one's place: with it, the header is not sent."""


@dataclass(frozen=True, slots=True)
class Format:
    """One row; see the module's text."""

    propagator: str
    arguments: tuple[Field, ...]
    readings: tuple[Reading, ...] = ()
    denied: tuple[str, ...] = ()
    """Conditions: no context, and yet the caller says that nothing is to be recorded."""
    headers: tuple[Header, ...] = ()
    removed: tuple[str, ...] = ()
    """What ``del-header`` takes away from the client's headers, before ours are set."""


def _padded(expression: str, digits: int) -> str:
    """The last ``digits`` of a number with zeros in front."""
    return f'{expression},lower,regsub(^,{"0" * digits}),regsub(\\"^.*(.{{{digits}}})$\\",\\"\\1\\")'


_HEX = "[0-9a-fA-F]"

# The first line of each, as the agent is sent; there should be one.
_B3 = "req.fhdr(b3,1)"
_B3_TRACE_ID, _B3_SPAN_ID = "req.fhdr(x-b3-traceid,1)", "req.fhdr(x-b3-spanid,1)"
_B3_SAMPLED, _B3_FLAGS = "req.fhdr(x-b3-sampled,1)", "req.fhdr(x-b3-flags,1)"
_UBER_TRACE_ID = "req.fhdr(uber-trace-id,1),regsub(%3[aA],:,g)"
_XRAY = "req.fhdr(x-amzn-trace-id,1)"

_B3_STATE = "(0|1|d|true|True|false|False)"
_B3_UNSAMPLED = "-m str 0 false False"
_B3_ARGUMENTS = (
    Field("b3", "first b3 header", argument=_B3),
    Field("b3_traceid", "first X-B3-TraceId header", argument=_B3_TRACE_ID),
    Field("b3_spanid", "first X-B3-SpanId header", argument=_B3_SPAN_ID),
    Field("b3_sampled", "first X-B3-Sampled header", argument=_B3_SAMPLED),
    Field("b3_flags", "first X-B3-Flags header", argument=_B3_FLAGS),
)
# The specification wants both forms read, the single header first, whichever is written.
_B3_READINGS = (
    Reading(
        valid=f"{{ {_B3} -m reg ^({_HEX}{{16}}|{_HEX}{{32}})-{_HEX}{{16}}(-{_B3_STATE}(-{_HEX}{{16}})?)?$ }} "
        f"!{{ {_B3} -m reg ^0+-|^[^-]*-0{{16}}(-|$) }}",
        trace_id=_padded(f"{_B3},field(1,-)", 32),
        span_id=f"{_B3},field(2,-),lower",
        unsampled=f"{{ {_B3},field(3,-) {_B3_UNSAMPLED} }}",
        deferred=f"!{{ {_B3},field(3,-) -m found }}",
    ),
    Reading(
        # Of a sampling state that is valid, nothing is left over.
        valid=f"{{ {_B3_TRACE_ID} -m reg ^({_HEX}{{16}}|{_HEX}{{32}})$ }} !{{ {_B3_TRACE_ID} -m reg ^0+$ }} "
        f"{{ {_B3_SPAN_ID} -m reg ^{_HEX}{{16}}$ }} !{{ {_B3_SPAN_ID} -m reg ^0+$ }} "
        f'!{{ {_B3_SAMPLED},regsub(\\"^{_B3_STATE}$\\",) -m reg . }}',
        trace_id=_padded(_B3_TRACE_ID, 32),
        span_id=f"{_B3_SPAN_ID},lower",
        unsampled=f"{{ {_B3_SAMPLED} {_B3_UNSAMPLED} }} !{{ {_B3_FLAGS} -m str 1 }}",
        deferred=f"!{{ {_B3_SAMPLED} -m reg . }} !{{ {_B3_FLAGS} -m str 1 }}",
    ),
)
_B3_DENIED = (
    f"{{ {_B3} {_B3_UNSAMPLED} }}",
    f"{{ {_B3_SAMPLED} {_B3_UNSAMPLED} }} !{{ {_B3} -m reg . }} !{{ {_B3_TRACE_ID} -m reg . }} !{{ {_B3_SPAN_ID} -m reg . }}",
)

FORMATS: tuple[Format, ...] = (
    Format(
        "tracecontext",
        arguments=(
            Field("traceparent_1", "first traceparent header", argument="req.fhdr(traceparent,1)"),
            Field("traceparent_2", "second traceparent header; if there is one, none is valid", argument="req.fhdr(traceparent,2)"),
            Field("tracestate_1", "first tracestate header", argument="req.fhdr(tracestate,1)"),
            Field("tracestate_2", "second tracestate header", argument="req.fhdr(tracestate,2)"),
            Field("tracestate_3", "third tracestate header", argument="req.fhdr(tracestate,3)"),
        ),
        readings=(
            Reading(
                valid="{ req.fhdr(traceparent) -m reg ^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$ } "
                "!{ req.fhdr(traceparent) -m reg ^00-0{32}-|-0{16}- } !{ req.fhdr_cnt(traceparent) gt 1 }",
                trace_id="req.fhdr(traceparent),field(2,-)",
                span_id="req.fhdr(traceparent),field(3,-)",
                flags="req.fhdr(traceparent),field(4,-)",
            ),
        ),
    ),
    Format(
        "baggage",
        arguments=(
            Field("baggage_1", "first baggage header", argument="req.fhdr(baggage,1)"),
            Field("baggage_2", "second baggage header", argument="req.fhdr(baggage,2)"),
            Field("baggage_3", "third baggage header", argument="req.fhdr(baggage,3)"),
        ),
    ),
    Format(
        "b3",
        arguments=_B3_ARGUMENTS,
        readings=_B3_READINGS,
        denied=_B3_DENIED,
        headers=(Header("b3", "b3", f"{_OUR_TRACE_ID}-{_OUR_SPAN_ID}-{_OUR_SAMPLED}"),),
        removed=("b3", "x-b3- -m beg"),
    ),
    Format(
        "b3multi",
        arguments=_B3_ARGUMENTS,
        readings=_B3_READINGS,
        denied=_B3_DENIED,
        headers=(
            Header("x-b3-traceid", "b3_traceid", _OUR_TRACE_ID),
            Header("x-b3-spanid", "b3_spanid", _OUR_SPAN_ID),
            Header("x-b3-sampled", "b3_sampled", _OUR_SAMPLED, instead="b3_flags"),
            Header("x-b3-flags", "b3_flags"),
        ),
        removed=("b3", "x-b3- -m beg"),
    ),
    Format(
        "jaeger",
        arguments=(Field("jaeger", "first uber-trace-id header", argument="req.fhdr(uber-trace-id,1)"),),
        readings=(
            Reading(
                valid=f"{{ {_UBER_TRACE_ID} -m reg ^{_HEX}{{1,32}}:{_HEX}{{1,16}}:{_HEX}{{0,16}}:{_HEX}{{1,2}}$ }} "
                f"!{{ {_UBER_TRACE_ID} -m reg ^0+:|^[^:]*:0+: }}",
                trace_id=_padded(f"{_UBER_TRACE_ID},field(1,:)", 32),
                span_id=_padded(f"{_UBER_TRACE_ID},field(2,:)", 16),
                # Neither of the two last bits, sampled and debug.
                unsampled=f"{{ {_UBER_TRACE_ID} -m reg [048cC]$ }}",
            ),
        ),
        headers=(Header("uber-trace-id", "jaeger", f"{_OUR_TRACE_ID}:{_OUR_SPAN_ID}:0:{_OUR_SAMPLED}"),),
    ),
    Format(
        "xray",
        arguments=(Field("xray", "first X-Amzn-Trace-Id header", argument=_XRAY),),
        readings=(
            Reading(
                valid=f"{{ {_XRAY} -m reg (^|;)Root=1-{_HEX}{{8}}-{_HEX}{{24}}(;|$) }} "
                f"{{ {_XRAY} -m reg (^|;)Parent={_HEX}{{16}}(;|$) }} "
                f"!{{ {_XRAY} -m reg Root=1-0{{8}}-0{{24}}|Parent=0{{16}}|Sampled=([^01?]|.[^;]|;|$) }}",
                trace_id=f'{_XRAY},regsub(\\"^(.*;)?Root=1-({_HEX}{{8}})-({_HEX}{{24}})(;.*)?$\\",\\"\\2\\3\\"),lower',
                span_id=f'{_XRAY},regsub(\\"^(.*;)?Parent=({_HEX}{{16}})(;.*)?$\\",\\"\\2\\"),lower',
                unsampled=f"{{ {_XRAY} -m reg (^|;)Sampled=0 }}",
                deferred=f"!{{ {_XRAY} -m reg (^|;)Sampled=[01] }}",
            ),
        ),
        headers=(
            Header(
                "x-amzn-trace-id",
                "xray",
                f"Root=1-%[var({_TRACEPARENT}),bytes(3,8)]-%[var({_TRACEPARENT}),bytes(11,24)]"
                f";Parent={_OUR_SPAN_ID};Sampled={_OUR_SAMPLED}",
            ),
        ),
    ),
)
PROPAGATORS = tuple(row.propagator for row in FORMATS)
_BY_PROPAGATOR = {row.propagator: row for row in FORMATS}


def propagation_arguments(propagators: Iterable[str], *, with_baggage: bool = False) -> list[Field]:
    """The rows of the SPOE message that these propagators need.

    Baggage passes through HAProxy by itself, whatever the propagators are; it is only sent for spans that show some of it.
    """
    names = [name for name in propagators if name != "baggage"] + (["baggage"] if with_baggage else [])
    return list(dict.fromkeys(field for row in _rows(names) for field in row.arguments))


def trust_lines(networks: Sequence[str], *, unanswered: str = "") -> list[str]:
    """Lines that find out whether a client is in one of these networks (CIDRs), for ``trusted_condition``; none for none.

    HAProxy allows 64 words in a line, so it may take several.
    """
    parts = [networks[start : start + _NETWORKS_IN_A_LINE] for start in range(0, len(networks), _NETWORKS_IN_A_LINE)]
    return [
        f"http-request set-var({_TRUSTED}) bool(true) if {_all(unanswered, '{ src ' + ' '.join(part) + ' }')}" for part in parts
    ]


def trusted_condition(networks: Sequence[str]) -> str:
    """The condition that ``trust_lines`` have found the client in one of these networks; empty, as they are, for everybody."""
    return f"{{ var({_TRUSTED}) -m found }}" if networks else ""


def extraction_lines(
    propagators: Iterable[str], *, unanswered: str = "", trusted: str = "", sampled: Callable[[str], str] | None = None
) -> list[str]:
    """Lines that continue a caller's trace without the agent; nothing is set where there is no caller, or none that is valid.

    They set ``parent`` (the caller's span id), ``tracestate`` and ``traceparent``, with the span id in ``span_id``, which must be
    set before. A caller that forbids recording without having begun a trace gets an unsampled one, with no parent.

    Args:
        propagators: in their order, as for the agent; unknown ones are ignored.
        unanswered: condition that the agent gave no answer; empty: it is never asked. Without "or".
        trusted: condition that the client is believed (``trusted_condition``). Without "or".
        sampled: for the expression of a trace id, the condition that it is sampled, for callers that leave the decision to us;
            None: all are.
    """
    rows = _rows(propagators)
    lines: list[str] = []
    for reading in dict.fromkeys(reading for row in rows for reading in row.readings):
        # What an earlier format, or the agent, has set is left alone.
        first = _all(unanswered, f"!{_HAS_CONTEXT}" if lines else "", trusted, reading.valid)
        continued = _all(_HAS_PARENT, f"!{_HAS_CONTEXT}" if lines or not reading.flags else "")
        lines.append(f"http-request set-var({_PARENT}) {reading.span_id} if {first}")
        context = f"http-request set-var-fmt({_TRACEPARENT}) 00-%[{reading.trace_id}]-%[var({_SPAN_ID})]"
        if reading.flags:
            lines.append(f"http-request set-var({_TRACESTATE}) req.fhdr(tracestate) if {continued}")
            lines.append(f"{context}-%[{reading.flags}] if {continued}")
            continue
        lines.append(f"{context}-00 if {continued} {reading.unsampled}")
        if reading.deferred and sampled is not None:
            lines.append(f"{context}-00 if {continued} {reading.deferred} !{sampled(reading.trace_id)}")
        lines.append(f"{context}-01 if {continued}")
    for denied in dict.fromkeys(denied for row in rows for denied in row.denied):
        condition = _all(unanswered, f"!{_HAS_CONTEXT}", trusted, denied)
        lines.append(f"http-request set-var-fmt({_TRACEPARENT}) 00-%[uuid(),regsub(-,,g)]-%[var({_SPAN_ID})]-02 if {condition}")
    return lines


def link_lines(propagators: Iterable[str], *, unanswered: str = "", trusted: str) -> list[str]:
    """Lines that set ``link`` to the context, as a ``traceparent``, of a client that is not believed; arguments as in
    ``extraction_lines``.
    """
    lines: list[str] = []
    for reading in dict.fromkeys(reading for row in _rows(propagators) for reading in row.readings):
        first = _all(unanswered, f"!{trusted}", f"!{_HAS_LINK}" if lines else "", reading.valid)
        flags = f"%[{reading.flags}]" if reading.flags else ""
        lines.append(f"http-request set-var-fmt({_LINK}) 00-%[{reading.trace_id}]-%[{reading.span_id}]-{flags} if {first}")
        if reading.flags:
            continue
        # In lines of their own: one has room for 64 words.
        context = f"http-request set-var-fmt({_LINK}) %[var({_LINK})]"
        unsampled = [condition for condition in (reading.unsampled, reading.deferred) if condition]
        lines += [f"{context}00 if {_IS_LINK_WITHOUT_FLAGS} {condition}" for condition in unsampled]
        lines.append(f"{context}01 if {_IS_LINK_WITHOUT_FLAGS}")
    return lines


def injection_lines(propagators: Iterable[str]) -> list[str]:
    """Lines that hand our context to the server, from the agent's answer or from what ``extraction_lines`` and others have set.

    The client's own headers of these formats go, as far as they say another thing; of other formats they stay as they are.
    """
    rows = _rows(propagators)
    lines: list[str] = []
    if any(row.propagator == "tracecontext" for row in rows):
        lines += _w3c_headers()
        if any(row.readings for row in rows if row.propagator != "tracecontext"):
            # The tracestate of a traceparent that was not taken: another format came first.
            lines.append(f"http-request del-header tracestate if {_HAS_PARENT} !{{ var({_TRACESTATE}) -m found }}")
    removed = dict.fromkeys(each for row in rows for each in row.removed)
    lines += [f"http-request del-header {each} if {_HAS_CONTEXT}" for each in removed]
    for header in (header for row in rows for header in row.headers):
        answered = f"{{ var({variable_name(header.variable)}) -m found }}"
        lines.append(f"http-request set-header {header.name} %[var({variable_name(header.variable)})] if {answered}")
        if header.otherwise:
            condition = _all(_HAS_CONTEXT, f"!{answered}")
            if header.instead:
                condition = _all(condition, f"!{{ var({variable_name(header.instead)}) -m found }}")
            lines.append(f"http-request set-header {header.name} {header.otherwise} if {condition}")
    return lines


def _w3c_headers() -> list[str]:
    # A tracestate belongs to the context it came with: once the context is ours, the client's own goes.
    ours = f"{_HAS_CONTEXT} !{_HAS_PARENT}"
    return [
        f"http-request set-header traceparent %[var({_TRACEPARENT})] if {_HAS_CONTEXT}",
        f"http-request del-header tracestate if {ours}",
        f"http-request set-header tracestate %[var({_TRACESTATE})] if {ours} {{ var({_TRACESTATE}) -m found }}",
    ]


def _rows(propagators: Iterable[str]) -> list[Format]:
    return [_BY_PROPAGATOR[name] for name in dict.fromkeys(propagators) if name in _BY_PROPAGATOR]


def _all(*conditions: str) -> str:
    return " ".join(condition for condition in conditions if condition)
