"""The pages as HTML, in parts that each take less than a millisecond: HAProxy gets its answers in between.

All that comes from outside goes through ``text``: there is no other way into the page.
"""

from collections.abc import Iterator, Sequence
from html import escape
from urllib.parse import quote

from ..settings.effective import DEFAULT
from .agent_view import AgentView, OpenView
from .counters import CounterView
from .exchange_view import ExchangeView
from .style import STYLE
from .words import bytes_text, duration_text, moment_text, number_text, visible, way_text

__all__ = [
    "exchange_rows",
    "render_agent",
    "render_counters",
    "render_end",
    "render_footer",
    "render_head",
    "render_list",
    "render_settings",
    "text",
]

_MAX_CHARACTERS = 1_000
_MAX_NAME_CHARACTERS = 160
_ROWS_PER_PART = 10
_NANOSECONDS_PER_SECOND = 1_000_000_000


def render_head(title: str, *, refresh_seconds: int | None = None) -> str:
    """Everything up to the page's content."""
    refresh = "" if refresh_seconds is None else f'<meta http-equiv="refresh" content="{refresh_seconds}">'
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"{refresh}<title>{text(title)}</title><style>{STYLE}</style></head><body><main>"
    )


def render_end() -> str:
    """What closes the page."""
    return "</main></body></html>\n"


def render_agent(agent: AgentView, *, refreshing: bool) -> Iterator[str]:
    """Who the agent is, what is worth a look, and what is open just now."""
    identity = agent.identity
    up = duration_text(max(agent.now_unix_seconds - identity.started_unix_seconds, 0))
    yield (
        f'<h1>{text(identity.service_name)} <small class="dim">haproxy-telemetry-agent {text(identity.version)}</small></h1>'
        f'<div class="dim">profile {text(agent.profile)} · up {up} · pid {identity.pid} · Python {text(identity.python)} · '
        f"as of {_moment(agent.now_unix_seconds)} UTC · exports to {text(identity.exports_to)}</div>"
        '<nav><a href="#latest">Latest</a><a href="#failed">Failed</a><a href="#slowest">Slowest</a>'
        '<a href="#counters">Counters</a><a href="#settings">Settings</a>'
        + ('<a href="/debug">Stop refreshing</a>' if refreshing else '<a href="/debug?refresh=5">Refresh every 5 s</a>')
        + "</nav>"
    )
    for note in agent.notes:
        refused = " bad" if agent.settings.error is not None and note is agent.notes[0] else ""
        yield f'<div class="note{refused}">{text(note)}</div>'
    yield f'<h2>Just now</h2><div class="cards">{"".join(_cards(agent))}</div>'
    yield '<p class="dim">The agent keeps no open exchange: what it has answered and has no record of is still open, or lost.</p>'


def _cards(agent: AgentView) -> Iterator[str]:
    opened = agent.open
    answers, lag = agent.answer_seconds_99, agent.loop_lag_seconds_99
    last = agent.last_export_unix_seconds
    yield _card(number_text(opened.spop_connections), "connections of HAProxy that ask")
    yield _card(number_text(opened.record_connections), "connections that bring records")
    yield _card(*_unrecorded(opened))
    yield _card("none" if answers is None else f"≤ {answers * 1000:g} ms", "99 % of answers to HAProxy")
    yield _card("none" if lag is None else f"≤ {lag * 1000:g} ms", "99 % of event loop lags")
    yield _card(f"{number_text(opened.queue_spans)}", f"spans wait, of at most {number_text(opened.queue_capacity_spans)}")
    yield _card(f"{duration_text(max(agent.now_unix_seconds - last, 0))} ago" if last else "never", "a destination last took spans")
    if opened.minilanguage_exchanges:
        yield _card(number_text(opened.minilanguage_exchanges), "exchanges open in the mini-language")
    if opened.tails:
        yield _card(number_text(opened.tails), "follow by tail")


def _unrecorded(opened: OpenView) -> tuple[str, str]:
    count = opened.exchanges_unrecorded
    if count < 0:
        return number_text(-count), "recorded here, answered by another worker or a predecessor"
    return number_text(count), "exchanges still open, or lost"


def _card(value: str, what: str) -> str:
    return f'<div class="card"><b>{text(value)}</b><span>{text(what)}</span></div>'


def render_list(name: str, title: str, explanation: str, exchanges: Iterator[ExchangeView]) -> Iterator[str]:
    """One list of exchanges, which are worked out as they are needed."""
    yield f'<h2 id="{text(name)}">{text(title)} <small>{text(explanation)}</small></h2><div class="sheet rows">'
    number = 0
    part: list[str] = []
    for number, exchange in enumerate(exchanges, 1):
        if number == 1:
            part.append(
                '<table><thead><tr><th>Time (UTC)</th><th>Status</th><th>Exchange</th><th class="n">Took</th><th>Way</th>'
                '<th>End</th><th>Sampled</th><th class="id">Trace</th></tr></thead><tbody>'
            )
        part.append(exchange_rows(exchange))
        if len(part) >= _ROWS_PER_PART:
            yield "".join(part)
            part.clear()
    yield "".join(part) + ("</tbody></table></div>" if number else '<div class="empty">None yet.</div></div>')


def exchange_rows(exchange: ExchangeView) -> str:
    """One exchange as a row of a table."""
    trace_id = exchange.trace_id or ""
    link = f'<a href="/debug/traces/{quote(trace_id, safe="")}">' if trace_id else ""
    classes = " ".join(("bad" if exchange.is_error else "", "" if exchange.sampled else "unsampled")).strip()
    end = exchange.termination_state or ""
    return (
        f'<tr class="{classes}"><td class="t">{moment_text(exchange.end_unix_nano)}</td>'
        f'<td class="s">{_status(exchange)}</td>'
        f'<td class="what">{link}{text(exchange.name, _MAX_NAME_CHARACTERS)}{"</a>" if link else ""}{_route(exchange)}</td>'
        f'<td class="n">{duration_text(exchange.duration_seconds)}</td>'
        f'<td class="way">{text(way_text(exchange.frontend, exchange.backend, exchange.server))}</td>'
        f'<td class="end mono">{"" if end == "--" else text(end)}</td>'
        f'<td class="why">{"yes" if exchange.sampled else "no"}, {text(exchange.decided_by)}</td>'
        f'<td class="id mono">{text(trace_id)}</td></tr>'
    )


def _status(exchange: ExchangeView) -> str:
    if exchange.status_code is not None:
        return str(exchange.status_code)
    return text(exchange.error_type or ("none" if exchange.kind == "http" else exchange.kind))


def _route(exchange: ExchangeView) -> str:
    return f' <span class="dim">{text(exchange.route)}</span>' if exchange.route else ""


def render_counters(agent: AgentView) -> Iterator[str]:
    """The counters, by groups."""
    yield '<h2 id="counters">Counters <small>since the start; all of them are at <a href="/metrics">/metrics</a></small></h2>'
    groups: dict[str, list[CounterView]] = {}
    for counter in agent.counters:
        groups.setdefault(counter.group, []).append(counter)
    parts = ['<div class="groups">']
    for name, counters in groups.items():
        rows = "".join(_counter_row(counter) for counter in counters)
        parts.append(
            f'<div class="sheet"><table><thead><tr><th>{text(name)}</th><th></th></tr></thead><tbody>{rows}</tbody></table></div>'
        )
    yield "".join(parts) + "</div>"


def _counter_row(counter: CounterView) -> str:
    value = bytes_text(counter.value) if counter.unit == "bytes" else number_text(counter.value)
    parts = ", ".join(f"{label} {number_text(count)}" for label, count in counter.parts.items())
    more = f'<div class="dim">{text(parts)}</div>' if parts else ""
    trouble = " bad" if counter.is_trouble else ""
    return f'<tr title="{text(counter.metric)}"><td>{text(counter.text)}{more}</td><td class="n{trouble}">{value}</td></tr>'


def render_settings(agent: AgentView) -> Iterator[str]:
    """The settings in use: those that somebody has set, and the defaults folded up."""
    settings = agent.settings
    where = "from the environment and defaults" if settings.path is None else f"from {settings.path}"
    taken = f", taken at {_moment(settings.taken_unix_seconds)} UTC" if settings.taken_unix_seconds else ""
    yield f'<h2 id="settings">Settings <small>{text(where + taken)}</small></h2><div class="sheet settings">'
    own = [setting for setting in settings.effective if setting.source != DEFAULT]
    defaults = [setting for setting in settings.effective if setting.source == DEFAULT]
    rows = [
        f'<tr><td class="mono">{text(field)}{_waits(field, settings.waiting)}</td><td class="mono">{text(value)}</td>'
        f'<td class="dim">{text(source)}</td></tr>'
        for field, value, source in own
    ]
    if rows:
        yield (
            "<table><thead><tr><th>Setting</th><th>Value</th><th>From</th></tr></thead><tbody>" + "".join(rows) + "</tbody></table>"
        )
    yield f"<details><summary>{len(defaults)} with their defaults</summary><table><tbody>"
    for first in range(0, len(defaults), _ROWS_PER_PART):
        yield "".join(
            f'<tr><td class="mono">{text(field)}{_waits(field, settings.waiting)}</td><td class="mono">{text(value)}</td></tr>'
            for field, value, _source in defaults[first : first + _ROWS_PER_PART]
        )
    yield "</tbody></table></details></div>"


def _waits(field: str, waiting: Sequence[str]) -> str:
    waits = any(field == name or field.startswith((f"{name}.", f"{name}[")) for name in waiting)
    return ' <span class="bad">waits for a restart</span>' if waits else ""


def render_footer() -> str:
    """Where else to look."""
    return (
        '<footer>The same as JSON: <a href="/debug/agent">agent</a>, <a href="/debug/exchanges">exchanges</a>. '
        "Live in a terminal: <code>haproxy-telemetry-agent tail</code></footer>"
    )


def text(foreign: str, max_characters: int = _MAX_CHARACTERS) -> str:
    """A text from anywhere, as it may stand in an element or in a quoted attribute."""
    if len(foreign) > max_characters:
        foreign = foreign[:max_characters] + "…"
    return escape(visible(foreign), quote=True)


def _moment(unix_seconds: float) -> str:
    return moment_text(int(unix_seconds * _NANOSECONDS_PER_SECOND))[:8]
