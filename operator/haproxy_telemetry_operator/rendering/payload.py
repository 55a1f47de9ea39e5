"""The payload: all texts that pods read, as one ConfigMap of the resource's namespace; the hash of what a running pod can't take.

Keys of the ConfigMap: ``enabled`` (the guard variable's value), ``spoe.cfg``, and for each way HAProxy may reach the agent
(``-unix`` behind the name for Unix sockets) ``agent.yaml``, ``haproxy-aux.cfg`` (the guarded sections for ingress controllers) and
``insertions.json`` (what is inserted into a plain HAProxy's configuration).

``spoe.cfg`` is there with every profile: an HAProxy that was started with another one may still name it, and would refuse to
reload.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import yaml

from haproxy_telemetry_agent.planning import make_plan
from haproxy_telemetry_agent.wiring import (
    Plan,
    Sampling,
    render_frontend,
    render_sections,
    render_spoe,
)

from ..names import API_VERSION, FIELD_MANAGER, KIND, LABEL_MANAGED_BY, LABEL_RESOURCE, payload_name
from ..resource import Spec, TelemetryResource
from ..rewrite_plan import RewritePlan
from ..rewriter import Selection
from .agent_settings import Transport, agent_document, agent_settings
from .block import guarded
from .credentials import destinations, projected_sources
from .places import PAYLOAD_DIRECTORY

__all__ = ["ENABLED_KEY", "Rendering", "key_of", "owned", "payload_object", "render"]

ENABLED_KEY = "enabled"
_TRANSPORTS: tuple[Transport, ...] = ("TCP", "Unix")
_HASH_CHARACTERS = 12


@dataclass(frozen=True)
class Rendering:
    """What a resource comes to."""

    spec: Spec
    data: Mapping[str, str]
    """Of the payload."""
    frontend_lines: tuple[str, ...]
    """For the frontends of ingress controllers."""
    config_hash: str
    """Of all that a pod has to be made anew for."""


def key_of(name: str, transport: Transport) -> str:
    """The payload's key for a way to the agent: ``agent.yaml`` or ``agent-unix.yaml``."""
    stem, _, suffix = name.rpartition(".")
    return name if transport == "TCP" else f"{stem}-unix.{suffix}"


def render(resource: TelemetryResource) -> Rendering:
    """All texts of a resource.

    Raises:
        SpecProblem: the spec can't be used; names the field and the fix.
    """
    spec = resource.spec()
    data = {ENABLED_KEY: "1"}
    wanted: dict[str, Any] = {"pod": _what_makes_the_pod(spec)}
    lines: tuple[str, ...] = ()
    for transport in _TRANSPORTS:
        document = agent_document(resource.document, spec, transport=transport)
        plan = make_plan(agent_settings(document), spoe_path=f"{PAYLOAD_DIRECTORY}/spoe.cfg")
        texts = _texts(spec, plan)
        data |= {key_of(name, transport): text for name, text in texts.items() if name != "spoe.cfg"}
        data["spoe.cfg"] = texts["spoe.cfg"]
        data[key_of("agent.yaml", transport)] = yaml.safe_dump(document, sort_keys=True, allow_unicode=True, width=10_000)
        lines = tuple(render_frontend(plan).splitlines())
        # The agent decides on sampling, and takes changes of it as they come; HAProxy's own decision is for when there is no agent.
        steady = plan if plan.profile == "Stream" else replace(plan, sampling=Sampling())
        wanted[transport] = {"listen": document["listen"], "frontend": render_frontend(steady), **_texts(spec, steady)}
    return Rendering(spec, data, lines, _hash(wanted))


def payload_object(resource: TelemetryResource, rendering: Rendering) -> dict[str, Any]:
    """The ConfigMap."""
    return owned(resource, payload_name(resource.name), dict(rendering.data))


def owned(resource: TelemetryResource, name: str, data: Mapping[str, str]) -> dict[str, Any]:
    """A ConfigMap of ours that goes when the resource goes."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": resource.namespace,
            "labels": {LABEL_MANAGED_BY: FIELD_MANAGER, LABEL_RESOURCE: resource.name},
            "ownerReferences": [
                {"apiVersion": API_VERSION, "kind": KIND, "name": resource.name, "uid": resource.uid, "controller": True}
            ],
        },
        "data": dict(data),
    }


def _texts(spec: Spec, plan: Plan) -> dict[str, str]:
    sections = render_sections(plan)
    frontends = spec.target.frontends
    selection = Selection(tuple(frontends.include), tuple(frontends.exclude))
    return {
        "spoe.cfg": render_spoe(replace(plan, profile="Standard") if plan.profile == "Stream" else plan),
        "haproxy-aux.cfg": f"# managed by {FIELD_MANAGER}\n{guarded(sections)}",
        "insertions.json": RewritePlan.of_plan(plan, selection, with_tcp=frontends.tcp).render(),
    }


def _what_makes_the_pod(spec: Spec) -> dict[str, Any]:
    """What of the spec is in the pod itself."""
    target, injection, sidecar = spec.target, spec.injection, spec.sidecar
    return {
        "target": [target.type, target.container_name, target.config_path],
        "injection": [
            injection.config_strategy,
            injection.native_sidecar,
            injection.transport,
            injection.spop_port,
            injection.records_port,
            injection.http_port,
        ],
        "sidecar": [sidecar.image, sidecar.image_pull_policy, sidecar.env, msgspec.to_builtins(sidecar.resources)],
        "credentials": projected_sources(spec),
        "spill": any(destination.spill.enabled for _, destination in destinations(spec)),
        "serviceName": spec.resource.service_name,
    }


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARACTERS]
