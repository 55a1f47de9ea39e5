"""What is said of the agent itself: who it is, what is open, what it has counted, its settings, and what of it is worth a look.

The agent keeps no open exchange, so it can't list them. What it has answered and not yet seen a record of is still open, or lost.
"""

from collections.abc import Iterator, Mapping

import msgspec

from ..settings import EffectiveSetting, Settings, SettingsOrigin, effective_settings, without_credentials
from .counters import CounterView, Values, quantile_bound, view_counters

__all__ = ["AgentView", "Identity", "OpenView", "SettingsView", "view_agent"]


class View(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A mapping of the JSON."""


class Identity(View, frozen=True):
    """Which agent this is."""

    service_name: str
    version: str
    python: str
    pid: int
    started_unix_seconds: float
    listening: dict[str, str]
    exports_to: str


class OpenView(View, frozen=True):
    """What is open just now."""

    spop_connections: int
    """From HAProxy, for questions."""
    record_connections: int
    """From HAProxy, for records."""
    exchanges_unrecorded: int
    """Answered at their start and not recorded: still open, or lost. Negative: a predecessor or another worker has answered some of
    those that were recorded here."""
    minilanguage_exchanges: int
    queue_spans: int
    queue_capacity_spans: int
    queue_bytes: int
    tails: int


class SettingsView(View, frozen=True):
    """The settings in use, and what has not become of the file."""

    path: str | None
    taken_unix_seconds: float
    """When they were last taken."""
    error: str | None
    waiting: list[str]
    """Fields that are taken at the next start."""
    effective: list[EffectiveSetting]


class AgentView(View, frozen=True):
    """All of it."""

    identity: Identity
    now_unix_seconds: float
    profile: str
    notes: list[str]
    """What is worth a look."""
    open: OpenView
    answer_seconds_99: float | None
    """Below this are 99 of 100 answers to HAProxy; None if there was none."""
    loop_lag_seconds_99: float | None
    last_export_unix_seconds: float
    """0 if there was none."""
    counters: list[CounterView]
    exchanges_passed_over: int
    """Too large to be remembered."""
    settings: SettingsView


def view_agent(
    identity: Identity,
    settings: Settings,
    origin: SettingsOrigin,
    values: Values,
    *,
    now_unix_seconds: float,
    tails: int,
    exchanges_passed_over: int,
) -> AgentView:
    """What is said of an agent.

    Args:
        identity: which agent.
        settings: those in use.
        origin: how they came to be.
        values: its metrics.
        now_unix_seconds: the time.
        tails: how many follow it.
        exchanges_passed_over: see ``Recent.passed_over``.
    """
    unrecorded = _sum(values, "exchanges_answered_total") - _one(values, "exchanges_recorded_total", "answered")
    opened = OpenView(
        spop_connections=int(_one(values, "open_connections", "spop")),
        record_connections=int(_one(values, "open_connections", "records")),
        exchanges_unrecorded=int(unrecorded),
        minilanguage_exchanges=int(_sum(values, "minilang_exchanges_open")),
        queue_spans=int(_sum(values, "queue_size")),
        queue_capacity_spans=int(_sum(values, "queue_capacity")),
        queue_bytes=int(_sum(values, "queue_size_bytes")),
        tails=tails,
    )
    error = None if origin.error is None else without_credentials(origin.error)
    counters = view_counters(values)
    return AgentView(
        identity=identity,
        now_unix_seconds=now_unix_seconds,
        profile=settings.profile,
        notes=list(_notes(settings, origin, opened, counters, values)),
        open=opened,
        answer_seconds_99=_finite(quantile_bound(values, "message_duration_seconds", 0.99)),
        loop_lag_seconds_99=_finite(quantile_bound(values, "event_loop_lag_seconds", 0.99)),
        last_export_unix_seconds=_sum(values, "last_export_success_timestamp_seconds"),
        counters=counters,
        exchanges_passed_over=exchanges_passed_over,
        settings=SettingsView(
            path=origin.path,
            taken_unix_seconds=_sum(values, "config_reload_timestamp_seconds"),
            error=error,
            waiting=list(origin.waiting),
            effective=effective_settings(settings, origin.sources),
        ),
    )


def _notes(
    settings: Settings, origin: SettingsOrigin, opened: OpenView, counters: list[CounterView], values: Values
) -> Iterator[str]:
    if origin.error is not None:
        yield f"The settings file is refused, the old settings go on: {without_credentials(origin.error)}"
    if origin.waiting:
        yield f"Settings wait for a restart of the agent: {', '.join(origin.waiting)}"
    asks = settings.profile != "Stream"
    asked = values.get("frames_total", {}).get(("haproxy_hello", "received"), 0) > 0
    if not opened.record_connections and not asked:
        yield "No HAProxy is connected: has it been told what `haproxy-telemetry-agent config` prints?"
    elif not opened.record_connections:
        yield "HAProxy asks, but brings no records just now, and without them there are no spans: does it have the ring?"
    elif asks and not asked:
        yield "HAProxy brings records, but has never asked: does it have the SPOE file, its filter and its backend?"
    if _sum(values, "memory_shedding"):
        yield "Spans are dropped for want of memory (limits.maxMemoryBytes)."
    for counter in counters:
        if counter.is_trouble and counter.metric.endswith("_spans_dropped_total"):
            yield f"Spans were lost: {_parts(counter.parts)}."
        elif counter.is_trouble and counter.metric.endswith("_records_skipped_total"):
            yield f"Records were of no use: {_parts(counter.parts)}. The agent's log shows them."


def _parts(parts: Mapping[str, float]) -> str:
    return ", ".join(f"{count:g} {label}" for label, count in parts.items())


def _sum(values: Values, name: str) -> float:
    return sum(values.get(name, {}).values())


def _one(values: Values, name: str, label: str) -> float:
    return values.get(name, {}).get((label,), 0.0)


def _finite(seconds: float | None) -> float | None:
    """JSON knows no infinity: what lies above the last bound is not told."""
    return None if seconds is None or seconds == float("inf") else seconds
