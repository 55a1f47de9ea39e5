"""Propagation: whose trace context is believed, in which formats it is read, and in which it goes on.

The configured propagators are asked in their order, and the first that finds a valid context wins: a request that carries two
formats usually carries the same context twice. A caller outside the trusted networks is no parent; its context is at most a link.

The arguments are those of the SPOE message, by the names of ``wiring.formats``; an absent or ill-typed one counts as no header.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from ..context import SpanContext
from ..networks import Address, Networks
from .b3 import B3Multi, denies_b3, format_b3, format_b3_multi, parse_b3, parse_b3_multi
from .jaeger import format_uber_trace_id, parse_uber_trace_id
from .tracecontext import parse_traceparent, parse_tracestate
from .xray import format_xray, parse_xray

__all__ = ["NO_INBOUND", "ExtractCounts", "Inbound", "Mode", "Propagation"]

Mode = Literal["Propagate", "Extract", "Inject", "Ignore"]
"""Whether an inbound context is read, and whether ours is sent: both, one of them, none."""
Arguments = Mapping[str, object]
ExtractCounts = dict[tuple[str, str], int]
"""Propagator and result -> how often it was asked, and with this result."""
_Read = Callable[[Arguments], SpanContext | None]


class Inbound(msgspec.Struct, frozen=True, gc=False):
    """What a request says about the trace it belongs to."""

    parent: SpanContext | None = None
    link: SpanContext | None = None
    """The context of a caller that is not trusted, if it is to be linked to."""
    denied: bool = False
    """The caller has no trace yet and wants none recorded (B3's ``b3: 0``)."""


NO_INBOUND = Inbound()
_DENIED = Inbound(denied=True)


class Propagation:
    """Reads and writes trace context.

    Args:
        propagators: names as in ``OTEL_PROPAGATORS``; ``none`` and ``baggage`` carry no trace context.
        mode: see ``Mode``.
        trusted_networks: CIDRs whose clients are believed; empty: all are. A client without an address (a unix socket) is in none.
        link_untrusted: whether the context of other clients is returned as a link.
        counts: is counted up by propagator and ``ok``, ``none`` or ``invalid``; those that may occur are put in. None: not wanted.

    Raises:
        ValueError: a network is none.
    """

    __slots__ = ("_counts", "_denials", "_link_untrusted", "_readers", "_trusted_networks", "_writers")

    def __init__(
        self,
        propagators: Sequence[str] = ("tracecontext", "baggage"),
        *,
        mode: Mode = "Propagate",
        trusted_networks: Sequence[str] = (),
        link_untrusted: bool = False,
        counts: ExtractCounts | None = None,
    ) -> None:
        reads, writes = mode in ("Propagate", "Extract"), mode in ("Propagate", "Inject")
        # Both kinds of B3 read either form: together they need to do it once.
        names: dict[_Read, str] = {}
        for name in propagators:
            if reads and name in _READERS:
                names.setdefault(_READERS[name], name)
        self._readers = tuple(
            (read, _IS_THERE[read], (name, "ok"), (name, "none"), (name, "invalid")) for read, name in names.items()
        )
        self._denials = _b3 in names
        self._counts: ExtractCounts = {} if counts is None else counts
        for _read, _is_there, *results in self._readers:
            for result in results:
                self._counts.setdefault(result, 0)
        self._writers = tuple(_WRITERS[name] for name in dict.fromkeys(propagators) if writes and name in _WRITERS)
        self._trusted_networks = Networks(trusted_networks) if trusted_networks else None
        self._link_untrusted = link_untrusted

    def extract(self, arguments: Arguments, client_address: Address | None = None) -> Inbound:
        """What the arguments of a request say; never raises, whatever they are."""
        trusted = self._trusted_networks is None or self._trusted_networks.contain(client_address)
        if not trusted and not self._link_untrusted:
            return NO_INBOUND
        for read, is_there, ok, none, invalid in self._readers:
            context = read(arguments)
            if context is not None:
                self._counts[ok] += 1
                return Inbound(context) if trusted else Inbound(None, context)
            self._counts[invalid if is_there(arguments) else none] += 1
        return _DENIED if self._denials and trusted and _denied(arguments) else NO_INBOUND

    def inject(self, context: SpanContext) -> list[tuple[str, str]]:
        """HAProxy variables (without scope and prefix) and values of all configured formats but W3C's, which is always sent."""
        if not self._writers:
            return []
        return [variable for write in self._writers for variable in write(context)]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _tracecontext(arguments: Arguments) -> SpanContext | None:
    traceparent = arguments.get("traceparent_1")
    # Two traceparent headers contradict each other: neither is valid.
    if not isinstance(traceparent, str) or arguments.get("traceparent_2") is not None:
        return None
    parent = parse_traceparent(traceparent)
    if parent is None:
        return None
    headers = [arguments.get("tracestate_1"), arguments.get("tracestate_2"), arguments.get("tracestate_3")]
    tracestate = parse_tracestate([header for header in headers if isinstance(header, str)])
    return msgspec.structs.replace(parent, tracestate=tracestate) if tracestate else parent


def _b3(arguments: Arguments) -> SpanContext | None:
    single = _text(arguments.get("b3"))
    context = None if single is None else parse_b3(single)
    return parse_b3_multi(_b3_multi(arguments)) if context is None else context


def _b3_multi(arguments: Arguments) -> B3Multi:
    return B3Multi(
        _text(arguments.get("b3_traceid")),
        _text(arguments.get("b3_spanid")),
        _text(arguments.get("b3_sampled")),
        _text(arguments.get("b3_flags")),
    )


def _denied(arguments: Arguments) -> bool:
    return denies_b3(_text(arguments.get("b3")), _b3_multi(arguments))


def _jaeger(arguments: Arguments) -> SpanContext | None:
    header = _text(arguments.get("jaeger"))
    return None if header is None else parse_uber_trace_id(header)


def _xray(arguments: Arguments) -> SpanContext | None:
    header = _text(arguments.get("xray"))
    return None if header is None else parse_xray(header)


def _b3_multi_variables(context: SpanContext) -> list[tuple[str, str]]:
    headers = format_b3_multi(context)
    variables = [
        ("b3_traceid", headers.trace_id),
        ("b3_spanid", headers.span_id),
        ("b3_sampled", headers.sampled),
        ("b3_flags", headers.flags),
    ]
    return [(name, value) for name, value in variables if value is not None]


def _has_b3(arguments: Arguments) -> bool:
    """A decision alone (``b3: 0``, ``X-B3-Sampled``) is valid, and no context."""
    single = arguments.get("b3")
    return (isinstance(single, str) and len(single) > 1) or _has_text(arguments, "b3_traceid") or _has_text(arguments, "b3_spanid")


def _has_text(arguments: Arguments, name: str) -> bool:
    return isinstance(arguments.get(name), str) and arguments[name] != ""


_READERS: dict[str, _Read] = {
    "tracecontext": _tracecontext,
    "b3": _b3,
    "b3multi": _b3,
    "jaeger": _jaeger,
    "xray": _xray,
}
_IS_THERE: dict[_Read, Callable[[Arguments], bool]] = {
    _tracecontext: lambda arguments: _has_text(arguments, "traceparent_1"),
    _b3: _has_b3,
    _jaeger: lambda arguments: _has_text(arguments, "jaeger"),
    _xray: lambda arguments: _has_text(arguments, "xray"),
}
"""Whether there is something that could be a context."""
_WRITERS: dict[str, Callable[[SpanContext], list[tuple[str, str]]]] = {
    "b3": lambda context: [("b3", format_b3(context))],
    "b3multi": _b3_multi_variables,
    "jaeger": lambda context: [("jaeger", format_uber_trace_id(context))],
    "xray": lambda context: [("xray", format_xray(context))],
}
