"""A trace as text: the tree of its spans, and all that they say, in words that are the same whenever the same exchange happens.

What varies from one run to the next (ids, ports, times) is replaced by a word in angle brackets. That something was said stays
visible, and whether it was said of the right span.
"""

import json
from collections.abc import Iterable, Iterator, Sequence

from support.otlp_sink import AttributeValue, SinkLink, SinkSpan

__all__ = ["trace_text"]

_INDENT = "    "
_FLAGS = ((0x01, "sampled"), (0x02, "random trace id"), (0x200, "remote parent"))
"""Bits of OTLP's `Span.flags`: those of W3C Trace Context, and `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`."""
_WORDS = {"network.peer.port": "<port>"}
_BYTES = frozenset({"http.request.size", "http.response.size"})


def trace_text(spans: Sequence[SinkSpan], *, measured_bytes: bool = False) -> str:
    """The spans of one trace, a parent before its children, and these in the order of their arrival.

    `measured_bytes` says that the sizes vary, too.
    """
    names = {span.span_id: span.name for span in spans}
    assert len(names) == len(spans), "a span came twice"
    lines: list[str] = []

    def add(children: Iterable[SinkSpan], depth: int) -> None:
        for span in children:
            lines.extend(_INDENT * depth + line for line in _span_lines(span, names, measured_bytes=measured_bytes))
            add([child for child in spans if child.parent_span_id == span.span_id], depth + 1)

    add([span for span in spans if span.parent_span_id not in names], 0)
    return "\n".join(lines) + "\n"


def _span_lines(span: SinkSpan, names: dict[str, str], *, measured_bytes: bool) -> Iterator[str]:
    yield f"{span.name} [{span.kind}, {span.status_code}]"
    if span.parent_span_id not in names:
        yield f"  parent: {'<caller>' if span.parent_span_id else 'none'}"
    yield f"  flags: {', '.join(word for bit, word in _FLAGS if span.flags & bit) or 'none'}"
    if span.trace_state:
        yield f"  tracestate: {span.trace_state}"
    if span.status_message:
        yield f"  status message: {span.status_message}"
    for link in span.links:
        yield f"  link: {_link(link, span, names)}"
    for event in span.events:
        yield f"  event: {event.name} {_attributes(event.attributes)}"
    for name, value in sorted(span.attributes.items()):
        yield f"  {name} = {_value(name, value, measured_bytes=measured_bytes)}"


def _link(link: SinkLink, span: SinkSpan, names: dict[str, str]) -> str:
    target = names.get(link.span_id, "<span>") if link.trace_id == span.trace_id else "<span of another trace>"
    return f"{target} {_attributes(link.attributes)}"


def _attributes(attributes: dict[str, AttributeValue]) -> str:
    return json.dumps(attributes, ensure_ascii=False, sort_keys=True)


def _value(name: str, value: AttributeValue, *, measured_bytes: bool) -> str:
    if name.startswith("haproxy.time."):
        return "<seconds>"
    if measured_bytes and name in _BYTES:
        return "<bytes>"
    return _WORDS.get(name) or json.dumps(value, ensure_ascii=False)
