"""Limits of a span: how many attributes, events and links it may have, and how long a text.

What is too much is left out at the end and counted; a text that is too long is cut. A span within its limits costs three
comparisons. Source: OpenTelemetry specification, common "Attribute Limits" and trace/sdk "Span Limits".
"""

import msgspec

from .span import Attribute, Attributes, Span

__all__ = ["DEFAULT_COUNT", "SpanLimits"]

DEFAULT_COUNT = 128


class SpanLimits(msgspec.Struct, frozen=True, gc=False):
    """The limits of one configuration."""

    attribute_count: int = DEFAULT_COUNT
    attribute_value_length: int | None = None
    """Characters; None: no limit."""
    event_count: int = DEFAULT_COUNT
    link_count: int = DEFAULT_COUNT

    def apply(self, span: Span) -> None:
        """Bring the span within the limits; it keeps the first of each kind."""
        excess = len(span.attributes) - self.attribute_count
        if excess > 0:
            del span.attributes[self.attribute_count :]
            span.dropped_attributes_count += excess
        if len(span.events) > self.event_count:
            span.dropped_events_count += len(span.events) - self.event_count
            del span.events[self.event_count :]
        if len(span.links) > self.link_count:
            span.dropped_links_count += len(span.links) - self.link_count
            del span.links[self.link_count :]
        if self.attribute_value_length is not None:
            _cut_all(span.attributes, self.attribute_value_length)
            for event in span.events:
                _cut_all(event.attributes, self.attribute_value_length)
            for link in span.links:
                _cut_all(link.attributes, self.attribute_value_length)


def _cut_all(attributes: Attributes, length: int) -> None:
    for index, (name, value) in enumerate(attributes):
        cut = _cut(value, length)
        if cut is not value:
            attributes[index] = (name, cut)


def _cut(value: Attribute, length: int) -> Attribute:
    if isinstance(value, str):
        return value[:length] if len(value) > length else value
    if isinstance(value, list) and any(len(text) > length for text in value):
        return [text[:length] for text in value]
    return value
