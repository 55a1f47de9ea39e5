"""An OpenTelemetry Collector is the real one (`make otelcol` builds it): it takes what the agent exports, over TLS if told to,
and sends it on to a sink.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import yaml

from support.ports import ADDRESS, free_port
from support.probe import accepts, until
from support.process import Process

__all__ = ["Otelcol", "otelcol_path"]

_BUILT = Path(__file__).resolve().parents[2] / ".cache" / "otelcol" / "otelcol"


def otelcol_path() -> Path | None:
    """The program; None on a machine without Go, on which nobody can have built it."""
    if _BUILT.exists():
        return _BUILT
    assert not (os.environ.get("CI") and shutil.which("go")), "`make otelcol` comes before the tests"
    return None


class Otelcol:
    """A running collector: `async with Otelcol(path, folder, destination=sink.endpoint) as collector`, then
    `collector.endpoints["grpc"]` or `collector.endpoints["http/protobuf"]`.
    """

    def __init__(self, path: Path, folder: Path, *, destination: str, tls: Mapping[str, str] | None = None) -> None:
        """`tls` is what its configuration says of both receivers: `cert_file`, `key_file`, `client_ca_file`, ..."""
        ports = {"grpc": free_port(), "http": free_port()}
        security = {"tls": dict(tls)} if tls else {}
        receiver = {protocol: {"endpoint": f"{ADDRESS}:{port}", **security} for protocol, port in ports.items()}
        config = folder / "otelcol.yaml"
        document = {
            "receivers": {"otlp": {"protocols": receiver}},
            "exporters": {"otlp_http": {"endpoint": destination}},
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlp_http"]}},
            },
        }
        config.write_text(yaml.safe_dump(document))
        scheme = "https" if tls else "http"
        self.endpoints = {
            "grpc": f"{scheme}://{ADDRESS}:{ports['grpc']}",
            "http/protobuf": f"{scheme}://{ADDRESS}:{ports['http']}",
        }
        self._ports = list(ports.values())
        self._process = Process("otelcol", [path, "--config", f"file:{config}"])

    async def __aenter__(self) -> Self:
        await self._process.start()
        listening = until(self._is_listening, what="otelcol listens", timeout_seconds=20)
        await self._process.while_alive(listening, what="otelcol's start", timeout_seconds=20)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._process.stop()

    async def _is_listening(self) -> bool:
        return all([await accepts(ADDRESS, port) for port in self._ports])
