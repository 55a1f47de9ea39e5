"""Propagation, HAProxy's side, from the table of formats: lines that read a caller's trace context, and lines that write ours."""

from collections.abc import Callable, Iterable, Sequence

from .field import Field
from .formats import FORMATS, Format
from .names import variable_name

__all__ = ["extraction_lines", "injection_lines", "link_lines", "propagation_arguments", "trust_lines", "trusted_condition"]

_TRACEPARENT = variable_name("traceparent")
_TRACESTATE = variable_name("tracestate")
_PARENT = variable_name("parent")
_SPAN_ID = variable_name("span_id")
_TRUSTED = variable_name("trusted")
_NETWORKS_IN_A_LINE = 32
_LINK = variable_name("link")
_HAS_LINK = f"{{ var({_LINK}) -m found }}"
_IS_LINK_WITHOUT_FLAGS = f"{{ var({_LINK}) -m len {len(f'00-{0:032}-{0:016}-')} }}"
_HAS_CONTEXT = f"{{ var({_TRACEPARENT}) -m found }}"
_HAS_PARENT = f"{{ var({_PARENT}) -m found }}"
_TRACESTATE_FITS = "{ req.fhdr(tracestate) -m len 0:2048 }"
"""A record that is too long for the ring is cut. W3C has nobody propagate more than 512 characters."""
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
            lines.append(f"http-request set-var({_TRACESTATE}) req.fhdr(tracestate) if {continued} {_TRACESTATE_FITS}")
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
