"""The page of one trace: what is remembered of it, its spans as a waterfall, and what each of them says."""

from collections.abc import Iterator, Sequence

from .exchange_view import ExchangeView, SpanView
from .page import exchange_rows, render_end, render_head, text
from .waterfall import Row, branch, outcome, waterfall
from .words import duration_text, moment_text

__all__ = ["render_trace"]

_AXIS_UNITS = 1_000
_LEAST_BAR_UNITS = 4
_MAX_SPANS = 200


def render_trace(trace_id: str, exchanges: Sequence[ExchangeView], *, is_all: bool = True) -> Iterator[str]:
    """The page, in parts.

    Args:
        trace_id: in hexadecimal digits.
        exchanges: what is remembered of it, with spans, the newest first.
        is_all: False if more of it is remembered than is good for a page.
    """
    yield render_head(f"Trace {trace_id}")
    yield f'<h1>Trace</h1><div class="mono">{text(trace_id)}</div><nav><a href="/debug">All exchanges</a>'
    yield f'<a href="/debug/exchanges/{text(trace_id)}">As JSON</a></nav><div class="sheet rows one"><table><tbody>'
    for exchange in exchanges:
        yield exchange_rows(exchange)
    more = "" if is_all else '<div class="empty">and earlier ones: see the JSON</div>'
    yield f"</tbody></table>{more}</div>"
    spans = [span for exchange in exchanges for span in exchange.spans or ()]
    if not spans:
        yield '<h2>Spans</h2><div class="sheet"><div class="empty">None: it was not sampled.</div></div>' + render_end()
        return
    rows = waterfall(spans)
    seconds = (max(span.end_unix_nano for span in spans) - min(span.start_unix_nano for span in spans)) / 1e9
    yield f"<h2>Spans <small>{len(rows)}, of this agent alone; a click shows what they say</small></h2>"
    yield (
        '<div class="sheet fall"><div class="axis"><span class="head">Span</span><span class="kind">Kind</span>'
        '<span class="head">Outcome</span><span class="head n">Took</span>'
        f'<span class="scale"><span>0</span><span>{duration_text(seconds / 2)}</span><span>{duration_text(seconds)}</span></span>'
        "</div>"
    )
    for row in rows[:_MAX_SPANS]:
        yield _span(row)
    if len(rows) > _MAX_SPANS:
        yield f'<div class="empty">… and {len(rows) - _MAX_SPANS} more: see the JSON</div>'
    yield "</div>" + render_end()


def _span(row: Row) -> str:
    span = row.span
    bad = " bad" if span.status == "error" else ""
    return (
        f'<details><summary><span class="tree mono{bad}">{text(branch(row) + span.name)}</span>'
        f'<span class="kind dim">{text(span.kind.upper())}</span><span class="{bad.strip()}">{text(outcome(span))}</span>'
        f'<span class="n">{duration_text(row.seconds)}</span>{_bar(row)}</summary>{_facts(span)}</details>'
    )


def _bar(row: Row) -> str:
    width = max(round(row.share * _AXIS_UNITS), _LEAST_BAR_UNITS)
    x = min(round(row.start * _AXIS_UNITS), _AXIS_UNITS - _LEAST_BAR_UNITS)
    color = "error" if row.span.status == "error" else row.span.kind
    return (
        f'<svg viewBox="0 0 {_AXIS_UNITS} 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{text(color)}" x="{x}" y="0" width="{min(width, _AXIS_UNITS - x)}" height="8"/></svg>'
    )


def _facts(span: SpanView) -> str:
    facts: list[tuple[str, object]] = [
        ("span id", span.span_id),
        ("parent", span.parent_span_id or "none"),
        ("begins", f"{moment_text(span.start_unix_nano)} UTC"),
        *span.attributes.items(),
    ]
    if span.status_message:
        facts.append(("status message", span.status_message))
    if span.tracestate:
        facts.append(("tracestate", span.tracestate))
    facts += [("link", f"{link.trace_id} {link.span_id}") for link in span.links]
    for event in span.events:
        facts.append((f"event {moment_text(event.time_unix_nano)}", f"{event.name} {event.attributes or ''}"))
    rows = "".join(f'<tr><td>{text(name)}</td><td class="mono">{text(_value(value))}</td></tr>' for name, value in facts)
    return f'<div class="facts"><table><tbody>{rows}</tbody></table></div>'


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
