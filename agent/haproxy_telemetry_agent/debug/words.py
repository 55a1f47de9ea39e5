"""Numbers, moments and foreign texts in words, for the page and for terminals."""

from datetime import UTC, datetime

__all__ = ["bytes_text", "duration_text", "moment_text", "number_text", "visible", "way_text"]

_NANOSECONDS_PER_SECOND = 1_000_000_000


def duration_text(seconds: float) -> str:
    """Three digits that matter: ``0.42 ms``, ``21.6 ms``, ``1.24 s``, ``3 min 05 s``, ``2 h 05 min``, ``3 d 04 h``."""
    milliseconds = seconds * 1000
    if milliseconds < 9.995:
        return f"{milliseconds:.2f} ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.1f} ms" if milliseconds < 99.95 else f"{milliseconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    if (minutes := round(seconds / 60)) < 60:
        whole = round(seconds)
        return f"{whole // 60} min {whole % 60:02} s"
    if minutes < 1_440:
        return f"{minutes // 60} h {minutes % 60:02} min"
    hours = round(seconds / 3_600)
    return f"{hours // 24} d {hours % 24:02} h"


def moment_text(unix_nano: int) -> str:
    """The time of the day, UTC: ``13:50:34.119``."""
    seconds, rest = divmod(unix_nano, _NANOSECONDS_PER_SECOND)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S}.{rest // 1_000_000:03}"
    except (OverflowError, ValueError, OSError):
        return "?"


def bytes_text(count: float) -> str:
    """``512 B``, ``48.1 MiB``."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def number_text(value: float) -> str:
    """``12,345``."""
    return f"{value:,.0f}"


def visible(text: str) -> str:
    """The same text, with what can't be seen (and could steer a terminal, or turn text around) as escapes."""
    return text if text.isprintable() else "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def way_text(frontend: str | None, backend: str | None, server: str | None) -> str:
    """``frontend > backend/server``, as far as it went; empty where it is not known. A ``listen`` section is named once."""
    if frontend is None:
        return ""
    behind = backend if backend is not None and (backend != frontend or server is not None) else ""
    if server is not None:
        behind += f"/{server}"
    return f"{frontend} > {behind}" if behind else frontend
