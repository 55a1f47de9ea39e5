"""An exchange as lines of text for a terminal: one that says what it was, and its waterfall.

Texts of clients are in there: what could steer a terminal is shown as an escape. Nothing is said by colours alone.
"""

from collections.abc import Iterator

from .exchange_view import ExchangeView
from .waterfall import Row, bar, branch, outcome, waterfall
from .words import duration_text, moment_text, visible, way_text

__all__ = ["exchange_lines"]

_LEAST_BAR_COLUMNS = 12
_MOST_NAME_CHARACTERS = 200
_GAP = "  "
_BOLD, _DIM, _RED, _BLUE, _CYAN = "1", "2", "31", "34", "36"
_COLORS = {"server": _CYAN, "client": _BLUE, "internal": _DIM}


def exchange_lines(exchange: ExchangeView, *, columns: int, colored: bool) -> Iterator[str]:
    """The lines of one exchange, without line feeds.

    Args:
        exchange: with its spans.
        columns: the terminal's width, which bars fill.
        colored: whether there are colours.
    """
    ends = exchange.termination_state if exchange.termination_state not in (None, "--") else None
    how = " ".join(str(word) for word in (exchange.status_code or exchange.error_type, ends) if word)
    words = [
        _paint(moment_text(exchange.end_unix_nano), _DIM, colored=colored),
        _paint(_cut(visible(exchange.name)), _RED if exchange.is_error else _BOLD, colored=colored),
        _paint(visible(how), _RED if exchange.is_error else "", colored=colored),
        duration_text(exchange.duration_seconds),
        visible(way_text(exchange.frontend, exchange.backend, exchange.server)),
        "" if exchange.trace_id is None else _paint(f"trace {visible(exchange.trace_id)}", _DIM, colored=colored),
        "" if exchange.sampled else _paint(f"not sampled: {visible(exchange.decided_by)}", _DIM, colored=colored),
    ]
    yield _GAP.join(word for word in words if word)
    rows = waterfall(exchange.spans or ())
    cells = [_cells(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    bar_columns = max(columns - sum(widths) - len(_GAP) * (len(widths) + 1), _LEAST_BAR_COLUMNS)
    for (name, kind, how, took), row in zip(cells, rows, strict=True):
        is_error = row.span.status == "error"
        yield _GAP + _GAP.join(
            (
                _paint(name.ljust(widths[0]), _RED if is_error else "", colored=colored),
                _paint(kind.ljust(widths[1]), _DIM, colored=colored),
                _paint(how.ljust(widths[2]), _RED if is_error else "", colored=colored),
                took.rjust(widths[3]),
                _paint(bar(row, bar_columns), _RED if is_error else _COLORS.get(row.span.kind, ""), colored=colored),
            )
        )


def _cells(row: Row) -> tuple[str, str, str, str]:
    span = row.span
    return (
        branch(row) + _cut(visible(span.name)),
        visible(span.kind).upper(),
        _cut(visible(outcome(span))),
        duration_text(row.seconds),
    )


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_NAME_CHARACTERS else text[:_MOST_NAME_CHARACTERS] + "…"


def _paint(text: str, code: str, *, colored: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if colored and code and text else text
