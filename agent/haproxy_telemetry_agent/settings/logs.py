"""Settings of the access log: a log record of each exchange, exported as OTLP beside the spans."""

from typing import Annotated, Literal

import msgspec

from .endpoints import check_url
from .explanation import SettingsError
from .exporter import Batch, Exporter, Header, Tls, check_exporter
from .types import Duration, Struct, Url

__all__ = ["LogBatch", "Logs", "check_logs", "log_exporter"]


class LogBatch(Struct, frozen=True):
    """Batching and the queue of log records; there is one for each exchange, so as large as those of spans."""

    max_queue_records: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 20_480
    max_queue_bytes: Annotated[int, msgspec.Meta(ge=1024)] = 16 * 1024 * 1024
    max_batch_records: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 2_048
    drop_policy: Literal["Newest", "Oldest"] = "Newest"
    """Which log records are dropped while the queue is full."""
    delay: Duration = "1s"
    retry: Duration = "5m"
    """How long a batch is tried again."""


class Logs(Struct, frozen=True):
    """An access log as OTLP log records, each with the ids of its SERVER span. What is not set here is as in exporter."""

    enabled: bool = False
    excluded_requests: bool = False
    """Log requests that sampling.exclude leaves without a trace, such as health checks."""
    endpoint: Url | None = None
    """Full URL, used as it is; default: exporter.endpoint, with http/protobuf and /v1/logs behind it."""
    protocol: Literal["http/protobuf", "grpc"] | None = None
    compression: Literal["none", "gzip"] | None = None
    timeout: Duration | None = None
    headers: list[Header] | None = None
    """A list of its own, an empty one too, takes the place of exporter.headers."""
    tls: Tls | None = None
    """A mapping of its own, an empty one too, takes the place of exporter.tls."""
    batch: LogBatch = msgspec.field(default_factory=LogBatch)


def log_exporter(logs: Logs, exporter: Exporter) -> Exporter:
    """Where log records go, in the words of an exporter: ``endpoint`` is the base URL, ``traces_endpoint`` the full one, if set."""
    batch = logs.batch
    return Exporter(
        endpoint=exporter.endpoint,
        traces_endpoint=logs.endpoint,
        protocol=logs.protocol or exporter.protocol,
        compression=logs.compression or exporter.compression,
        timeout=logs.timeout or exporter.timeout,
        headers=exporter.headers if logs.headers is None else logs.headers,
        tls=exporter.tls if logs.tls is None else logs.tls,
        batch=Batch(
            max_queue_spans=batch.max_queue_records,
            max_queue_bytes=batch.max_queue_bytes,
            max_batch_spans=batch.max_batch_records,
            drop_policy=batch.drop_policy,
            delay=batch.delay,
            retry=batch.retry,
        ),
    )


def check_logs(logs: Logs, exporter: Exporter) -> None:
    """What types can't say.

    Raises:
        SettingsError: names the field, its value and the fix.
    """
    batch = logs.batch
    if batch.max_batch_records > batch.max_queue_records:
        raise SettingsError(
            f"logs.batch.maxBatchRecords: {batch.max_batch_records} is more than maxQueueRecords {batch.max_queue_records}: "
            "a batch must fit in the queue"
        )
    check_url(logs.endpoint, "logs.endpoint")
    if logs.enabled:
        check_exporter(log_exporter(logs, exporter), "logs")
