"""Credentials: which keys of the user's Secrets and ConfigMaps the agent finds as which files.

All of them are optional for Kubernetes: a Secret that is not there must not keep HAProxy from starting. The agent then says what it
misses, and the resource that it does not export.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..resource.destination import Destination
from ..resource.spec import Spec
from .places import CREDENTIALS_DIRECTORY

__all__ = ["CredentialFile", "credential_files", "destinations", "projected_sources"]


class CredentialFile(NamedTuple):
    """One file below ``CREDENTIALS_DIRECTORY``."""

    kind: str
    """``secret`` or ``configMap``, as a projected volume names its sources."""
    object_name: str
    key: str
    path: str
    """Relative to the directory, such as ``exporter/ca.crt``."""

    @property
    def absolute_path(self) -> str:
        """Where the agent opens it."""
        return f"{CREDENTIALS_DIRECTORY}/{self.path}"


def destinations(spec: Spec) -> list[tuple[str, Destination]]:
    """``(folder, destination)`` of each."""
    return [("exporter", spec.exporter), *((f"exporters-{index}", other) for index, other in enumerate(spec.exporters))]


def credential_files(folder: str, destination: Destination) -> dict[str, CredentialFile]:
    """What a destination needs; keys are ``header-0``, ``ca``, ``certificate`` and ``key``."""
    files: dict[str, CredentialFile] = {}
    for index, header in enumerate(destination.headers):
        if header.secret_key_ref is not None:
            reference = header.secret_key_ref
            files[f"header-{index}"] = CredentialFile("secret", reference.name, reference.key, f"{folder}/header-{index}")
    tls = destination.tls
    if tls is None:
        return files
    if tls.ca_secret_ref is not None:
        files["ca"] = CredentialFile("secret", tls.ca_secret_ref.name, tls.ca_secret_ref.key, f"{folder}/ca.crt")
    if tls.ca_config_map_ref is not None:
        files["ca"] = CredentialFile("configMap", tls.ca_config_map_ref.name, tls.ca_config_map_ref.key, f"{folder}/ca.crt")
    if tls.client_cert_secret_ref is not None:
        for key, name in (("certificate", "tls.crt"), ("key", "tls.key")):
            files[key] = CredentialFile("secret", tls.client_cert_secret_ref.name, name, f"{folder}/{name}")
    return files


def projected_sources(spec: Spec) -> list[dict[str, Any]]:
    """The sources of the projected volume; empty if nothing is referred to."""
    return list(_sources(spec))


def _sources(spec: Spec) -> Iterator[dict[str, Any]]:
    by_object: dict[tuple[str, str], list[dict[str, str]]] = {}
    for folder, destination in destinations(spec):
        for file in credential_files(folder, destination).values():
            by_object.setdefault((file.kind, file.object_name), []).append({"key": file.key, "path": file.path})
    for (kind, name), items in sorted(by_object.items()):
        yield {kind: {"name": name, "items": items, "optional": True}}
