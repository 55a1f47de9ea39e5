"""The access log: a record of each exchange and connection, encoded and on its way, before anybody asks whether it was sampled."""

import time
from collections.abc import Callable

from .export import encode_log_record
from .log_telemetry import LogTelemetry
from .tracing import Connection, Exchange, log_connection, log_exchange

__all__ = ["AccessLog"]


class AccessLog:
    """What the pipeline tells of each record that HAProxy has sent.

    Args:
        offer: takes one encoded log record; must not wait.
        telemetry: counts.
        now_unix_nano: the clock.
    """

    __slots__ = ("_now_unix_nano", "_offer", "_telemetry")

    def __init__(
        self, *, offer: Callable[[bytes], None], telemetry: LogTelemetry, now_unix_nano: Callable[[], int] = time.time_ns
    ) -> None:
        self._offer = offer
        self._telemetry = telemetry
        self._now_unix_nano = now_unix_nano

    def write(self, made: Exchange | Connection) -> None:
        """Log what was made of one record; probes, and connections without a request, leave no trace here either."""
        now_unix_nano = self._now_unix_nano()
        record = log_connection(made, now_unix_nano) if isinstance(made, Connection) else log_exchange(made, now_unix_nano)
        if record is None:
            return
        self._telemetry.made(record.severity)
        self._offer(encode_log_record(record))
