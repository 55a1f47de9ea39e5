"""The agent's settings file, from a resource: its own parts as they stand there, with files for Secrets and addresses for ports.

Only what the resource says is written, so that an older sidecar takes a newer operator's file as long as it can.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from haproxy_telemetry_agent.settings import Settings, SettingsError, parse_settings
from haproxy_telemetry_agent.settings.exporter import Batch

from ..resource import SpecProblem
from ..resource.destination import Destination
from ..resource.spec import Spec
from .credentials import credential_files, destinations
from .places import ROUTES_DIRECTORY, ROUTES_FILE, SOCKET_DIRECTORY, SPILL_DIRECTORY

__all__ = ["Transport", "agent_document", "agent_settings", "memory_limit_bytes"]

Transport = Literal["TCP", "Unix"]

_VERBATIM = ("sampling", "propagation", "spans", "metrics", "debug", "resource")
"""Sections that mean the same in both."""
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(Ki|Mi|Gi|Ti|k|M|G|T)?")
_FACTORS = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
_SHARE_OF_MEMORY = 0.625
"""Of the container's limit: a limit that is reached takes the supervisor too, and with it the pod out of service."""
_LEAST_MEMORY_BYTES = 64 * 1024 * 1024


def agent_document(document: Mapping[str, Any], spec: Spec, *, transport: Transport) -> dict[str, Any]:
    """The settings file as plain mappings.

    Args:
        document: the spec as it was written.
        spec: the same, with defaults.
        transport: how HAProxy asks. Records come over TCP in any case: HAProxy 3.0 never opens a ring's Unix socket again.
    """
    injection = spec.injection
    exporter, *others = [_exporter(folder, destination) for folder, destination in destinations(spec)]
    settings: dict[str, Any] = {
        "profile": injection.profile,
        "processingTimeout": injection.processing_timeout,
        "listen": {
            "spop": f"127.0.0.1:{injection.spop_port}" if transport == "TCP" else f"unix:{SOCKET_DIRECTORY}/spoa.sock",
            "records": f"127.0.0.1:{injection.records_port}",
            "http": f":{injection.http_port}",
        },
        "exporter": exporter,
        "log": {"level": spec.sidecar.log_level, "format": "json"},
    }
    if others:
        settings["exporters"] = others
    for name in _VERBATIM:
        if document.get(name):
            settings[name] = msgspec.to_builtins(document[name])
    settings.setdefault("spans", {}).setdefault("routesFile", f"{ROUTES_DIRECTORY}/{ROUTES_FILE}")
    if spec.logs.enabled:
        settings["logs"] = dict(document["logs"])
    limit = memory_limit_bytes(spec)
    if limit is not None:
        settings["limits"] = {"maxMemoryBytes": max(_LEAST_MEMORY_BYTES, int(limit * _SHARE_OF_MEMORY))}
    return settings


def agent_settings(document: Mapping[str, Any]) -> Settings:
    """What the agent makes of its file.

    Raises:
        SpecProblem: it would refuse it; the message names the field of the resource.
    """
    try:
        return parse_settings(document)
    except SettingsError as error:
        raise SpecProblem(f"spec.{error}") from None


def memory_limit_bytes(spec: Spec) -> int | None:
    """The sidecar's memory limit; None if there is none, or one that can't be understood."""
    match = _QUANTITY.fullmatch(str(spec.sidecar.resources.limits.get("memory", "")))
    return None if match is None else int(float(match[1]) * _FACTORS[match[2] or ""])


def _exporter(folder: str, destination: Destination) -> dict[str, Any]:
    files = credential_files(folder, destination)
    exporter: dict[str, Any] = {
        "type": destination.type,
        "protocol": destination.protocol,
        "compression": destination.compression,
        "timeout": destination.timeout,
    }
    if destination.endpoint is not None:
        exporter["endpoint"] = destination.endpoint
    if destination.traces_endpoint is not None:
        exporter["tracesEndpoint"] = destination.traces_endpoint
    if destination.headers:
        exporter["headers"] = [
            {"name": header.name, "value": header.value}
            if header.value is not None
            else {"name": header.name, "valueFile": files[f"header-{index}"].absolute_path}
            for index, header in enumerate(destination.headers)
            if header.value is not None or header.secret_key_ref is not None
        ]
    tls = {f"{name}File": files[name].absolute_path for name in ("ca", "certificate", "key") if name in files}
    if tls or (destination.tls is not None and destination.tls.insecure_skip_verify):
        skip = {"insecureSkipVerify": True} if destination.tls is not None and destination.tls.insecure_skip_verify else {}
        exporter["tls"] = tls | skip
    ours, usual = msgspec.to_builtins(destination.batch), msgspec.to_builtins(Batch())
    batch = {name: value for name, value in ours.items() if value != usual[name]}
    if batch:
        exporter["batch"] = batch
    if destination.spill.enabled:
        exporter["spill"] = {"directory": f"{SPILL_DIRECTORY}/{folder}", "maxBytes": destination.spill.max_bytes}
    return exporter
