"""``render``: all that would be written for a resource, without any cluster."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ..injection import Facts, mutate
from ..names import API_VERSION, KIND
from ..rendering import payload_object, render, render_block, webhook_configuration
from ..rendering.payload import Rendering
from ..rendering.webhook_configuration import webhook_entry
from ..resource import SpecProblem, TelemetryResource
from ..targets import Kind, block_lines, managed_key
from .options import add_image_options

__all__ = ["add_arguments", "run"]

PROGRAM = "haproxy-telemetry-operator"
_OK, _FAILED, _MISUSED = 0, 1, 2
_CONTROLLERS: Sequence[Kind] = ("KubernetesIngress", "HAProxyIngress")
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command."""
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="YAML with an HAProxyTelemetry, and with the Deployments, StatefulSets, DaemonSets or Pods to see as they would be; "
        "- is standard input",
    )
    parser.add_argument("--no-native-sidecar", action="store_true", help="as for a cluster before Kubernetes 1.29")
    add_image_options(parser)


def run(options: argparse.Namespace) -> int:
    """Prints YAML; 2 if the file can't be used."""
    try:
        text = sys.stdin.read() if str(options.file) == "-" else options.file.read_text()
        documents = [document for document in yaml.safe_load_all(text) if isinstance(document, dict)]
        resource = _resource(documents)
        rendering = render(resource)
        pods = [pod for document in documents if (pod := _pod_of(document)) is not None]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return _complain(f"{options.file}: {' '.join(str(error).split())}")
    except (SpecProblem, ValueError) as error:
        return _complain(f"{options.file}: {error}")
    facts = Facts(options.image, options.image_pull_policy, not options.no_native_sidecar, not options.no_user)
    for title, body in _bodies(resource, rendering, pods, facts):
        print(f"---\n# {title}")  # noqa: T201
        print(yaml.dump(body, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000), end="")  # noqa: T201
    return _OK


def _bodies(
    resource: TelemetryResource, rendering: Rendering, pods: Sequence[tuple[str, dict[str, Any]]], facts: Facts
) -> Iterator[tuple[str, Any]]:
    payload = payload_object(resource, rendering)
    del payload["metadata"]["ownerReferences"]
    yield "What HAProxy and the agent read", payload
    for kind in _CONTROLLERS:
        if rendering.spec.target.type in ("Auto", "Manual", kind):
            block = render_block(block_lines(kind, rendering.frontend_lines, {}, ""))
            yield f"{kind}: appended to this key of the controller's ConfigMap", {managed_key(kind): block}
    where = {"service": {"name": "haproxy-telemetry-injector", "namespace": "haproxy-telemetry"}, "caBundle": ""}
    entry = webhook_entry(resource, rendering.spec, client_config=where, native_sidecar=facts.native_sidecar)
    yield "Which new pods the API server asks the injector about", webhook_configuration([entry])
    for name, pod in pods:
        mutation = mutate(pod, namespace=resource.namespace, resource=resource, facts=facts)
        if mutation.pod is None:
            yield f"A pod of {name} stays as it is: {mutation.message or mutation.result}", {}
        else:
            yield f"A pod of {name}", mutation.pod


def _pod_of(document: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """``(name, pod)`` of a workload, or of a Pod; None for any other kind.

    Raises:
        ValueError: there is no pod in it; names the field.
    """
    kind = document.get("kind")
    if kind not in (*_WORKLOADS, "Pod"):
        return None
    metadata = _mapping(document.get("metadata"))
    name = f"{kind} {metadata.get('name', '')}".rstrip()
    place, template = "spec", dict(document)
    if kind != "Pod":
        place, template = "spec.template.spec", _mapping(_mapping(document.get("spec")).get("template"))
        owner = {"controller": True, "kind": "ReplicaSet" if kind == "Deployment" else kind, "name": metadata.get("name", "")}
        template = {"metadata": {**_mapping(template.get("metadata")), "ownerReferences": [owner]}, "spec": template.get("spec")}
    containers = _mapping(template.get("spec")).get("containers")
    if not isinstance(containers, list) or not containers:
        raise ValueError(f"{name}: {place}.containers is missing: give the whole manifest")
    for index, container in enumerate(containers):
        if "name" not in _mapping(container):
            raise ValueError(f"{name}: {place}.containers[{index}].name is missing")
    return name, template


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _resource(documents: Sequence[Mapping[str, Any]]) -> TelemetryResource:
    found = [document for document in documents if document.get("kind") == KIND]
    if len(found) != 1:
        raise ValueError(f"expected exactly one {KIND} ({API_VERSION}), found {len(found)}")
    metadata = _mapping(found[0].get("metadata"))
    if not metadata.get("name"):
        raise ValueError(f"the {KIND} has no metadata.name")
    # Nothing else of it matters here, such as times, which YAML makes objects of.
    kept = {"name": str(metadata["name"]), "namespace": str(metadata.get("namespace") or "default")}
    return TelemetryResource.of_body({"metadata": kept, "spec": found[0].get("spec")})


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as such, and no references."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _complain(text: str) -> int:
    print(f"{PROGRAM}: {text}", file=sys.stderr)  # noqa: T201
    return _MISUSED
