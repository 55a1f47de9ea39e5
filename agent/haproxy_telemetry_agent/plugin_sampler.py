"""Samplers of the OpenTelemetry SDK's kind, its own and installed ones, at the place of ours: the slow path.

A plugin is an entry point of the group ``opentelemetry_traces_sampler``, called with its argument as the SDK calls it. It is asked
with the SDK's objects, made for each request, which alone is some ten times what our own samplers cost. What of its answer is used:
the decision (recorded but not sampled is not sampled), its attributes, and ``th`` in the ``ot`` member of its tracestate. Whatever
else it does to the tracestate is not.

Source: OpenTelemetry specification, trace/sdk "Sampler"; opentelemetry-sdk, trace/sampling.py.
"""

import logging
from collections.abc import Mapping
from importlib.metadata import entry_points

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision as SdkDecision
from opentelemetry.sdk.trace.sampling import Sampler as SdkSampler
from opentelemetry.sdk.trace.sampling import SamplingResult
from opentelemetry.trace import NonRecordingSpan, SpanKind, TraceFlags, TraceState, set_span_in_context
from opentelemetry.trace import SpanContext as SdkSpanContext

from .tracing.authority import split_authority
from .tracing.context import SpanContext, SpanId, TraceId
from .tracing.request import Request
from .tracing.sampling import Decision, consistent_threshold
from .tracing.semconv import HTTP_REQUEST_METHOD, SERVER_ADDRESS, URL_PATH
from .tracing.span import Attribute

__all__ = ["ENTRY_POINT_GROUP", "PluginError", "PluginSampler", "load_plugin_sampler"]

_logger = logging.getLogger(__name__)

ENTRY_POINT_GROUP = "opentelemetry_traces_sampler"
_RATIO_SAMPLERS = ("traceidratio", "parentbased_traceidratio")
"""The SDK's own ones whose argument is a number."""
_NOT_SAMPLED = Decision(sampled=False, threshold=None)
_MAX_ATTRIBUTES = 16
_MAX_TEXT_CHARACTERS = 256
"""HAProxy carries what a sampler says from the start of an exchange to its end: that must not be long."""
_NO_PARENT = Context()
_ANY_SPAN_ID = SpanId(bytes(8))


class PluginError(Exception):
    """A plugin can't be used, for this reason."""


class PluginSampler:
    """Asks a sampler of the SDK's kind.

    One that fails does not fail the request: the trace is not sampled then, the failure is counted, and the first one is logged.

    Args:
        sampler: the plugin.
    """

    __slots__ = ("_sampler", "failures")

    def __init__(self, sampler: SdkSampler) -> None:
        self._sampler = sampler
        self.failures = 0
        """Exceptions out of the plugin, and answers that were none."""

    def decide(self, trace_id: TraceId, parent: SpanContext | None, request: Request) -> Decision:
        """See ``tracing.sampling.Sampler``."""
        try:
            # No further arguments: the SDK gives these, and plugins are written for the SDK.
            result = self._sampler.should_sample(
                _parent_context(parent),
                int.from_bytes(trace_id, "big"),
                request.method or "HTTP",
                SpanKind.SERVER,
                _attributes(request),
                (),
            )
            return _decision(trace_id, result)
        except Exception:
            self.failures += 1
            if self.failures == 1:
                _logger.exception("sampler %s failed: its traces are not sampled; further failures are counted", self._sampler)
            return _NOT_SAMPLED


def load_plugin_sampler(name: str, argument: str | None) -> PluginSampler:
    """The sampler of an entry point's name.

    Raises:
        PluginError: there is none, it can't be made, or it is no sampler.
    """
    found = entry_points(group=ENTRY_POINT_GROUP)
    if name not in found.names:
        raise PluginError(f"is not installed; installed are {', '.join(sorted(found.names))}")
    try:
        factory = found[name].load()
        sampler = factory(float(argument or 1) if name in _RATIO_SAMPLERS else argument)
    except Exception as error:
        raise PluginError(f"can't be made: {type(error).__name__}: {error}") from error
    if not isinstance(sampler, SdkSampler):
        raise PluginError(f"made {type(sampler).__name__}, which is no sampler of opentelemetry.sdk")
    return PluginSampler(sampler)


def _parent_context(parent: SpanContext | None) -> Context:
    # The SDK has no word for a caller who left the decision to us: that is a trace without a caller.
    if parent is None or parent.deferred:
        return _NO_PARENT
    context = SdkSpanContext(
        int.from_bytes(parent.trace_id, "big"),
        int.from_bytes(parent.span_id, "big"),
        is_remote=True,
        trace_flags=TraceFlags(parent.flags),
        trace_state=TraceState.from_header([parent.tracestate]) if parent.tracestate else None,
    )
    return set_span_in_context(NonRecordingSpan(context), _NO_PARENT)


def _attributes(request: Request) -> dict[str, str]:
    attributes = {}
    if request.method is not None:
        attributes[HTTP_REQUEST_METHOD] = request.method
    if request.path is not None:
        attributes[URL_PATH] = request.path
    if request.host is not None:
        attributes[SERVER_ADDRESS] = split_authority(request.host)[0]
    return attributes


def _decision(trace_id: TraceId, result: SamplingResult) -> Decision:
    if result.decision is not SdkDecision.RECORD_AND_SAMPLE:
        return _NOT_SAMPLED
    threshold = None
    if result.trace_state:
        told = SpanContext(trace_id, _ANY_SPAN_ID, 0, result.trace_state.to_header())
        threshold = consistent_threshold(trace_id, told)
    return Decision(sampled=True, threshold=threshold, attributes=_plain(result.attributes))


def _plain(attributes: Mapping[str, object]) -> tuple[tuple[str, Attribute], ...]:
    """Attributes as our spans have them, the first ones; a value that can't stand in one is left out."""
    plain: list[tuple[str, Attribute]] = []
    for name, value in attributes.items():
        if isinstance(value, str):
            plain.append((name, value[:_MAX_TEXT_CHARACTERS]))
        elif isinstance(value, float) or (isinstance(value, int) and value.bit_length() < 64):
            plain.append((name, value))
        elif isinstance(value, list | tuple):
            plain.append((name, [str(part)[:_MAX_TEXT_CHARACTERS] for part in value[:_MAX_ATTRIBUTES]]))
    return tuple(plain[:_MAX_ATTRIBUTES])
