"""A collector is a real one (rotel, from PyPI): it takes what the agent exports and sends it on to a sink."""

import importlib.util
from pathlib import Path
from typing import Self

from support.ports import ADDRESS, free_port
from support.probe import accepts, until
from support.process import Process

__all__ = ["Collector", "collector_path"]


def collector_path() -> Path | None:
    """The program, if the package is there for this Python."""
    spec = importlib.util.find_spec("rotel")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).with_name("rotel-agent")
    return path if path.exists() else None


class Collector:
    """A running collector: `async with Collector(path, destination=sink.endpoint) as collector`, then `collector.endpoint`, or
    `collector.grpc_endpoint`.
    """

    def __init__(self, path: Path, *, destination: str) -> None:
        self._http_port, self._grpc_port = free_port(), free_port()
        arguments = [
            path,
            "start",
            "--otlp-grpc-endpoint",
            f"{ADDRESS}:{self._grpc_port}",
            "--otlp-http-endpoint",
            f"{ADDRESS}:{self._http_port}",
            "--exporter",
            "otlp",
            "--otlp-exporter-endpoint",
            destination,
            "--otlp-exporter-protocol",
            "http",
            "--batch-timeout",
            "50ms",
        ]
        self._process = Process("rotel", [str(argument) for argument in arguments])

    @property
    def endpoint(self) -> str:
        """The base URL for the agent."""
        return f"http://{ADDRESS}:{self._http_port}"

    @property
    def grpc_endpoint(self) -> str:
        """The same for gRPC."""
        return f"http://{ADDRESS}:{self._grpc_port}"

    async def __aenter__(self) -> Self:
        await self._process.start()
        listening = until(self._is_listening, what="rotel listens", timeout_seconds=15)
        await self._process.while_alive(listening, what="rotel's start", timeout_seconds=15)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._process.stop()

    async def _is_listening(self) -> bool:
        return await accepts(ADDRESS, self._http_port) and await accepts(ADDRESS, self._grpc_port)
