"""The payload and the hash of what pods have to be made anew for."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from haproxy_telemetry_agent.settings import parse_settings
from haproxy_telemetry_operator.rendering import payload_object, render
from haproxy_telemetry_operator.rendering.payload import key_of
from haproxy_telemetry_operator.resource import SpecProblem
from support.cluster_objects import COLLECTOR, telemetry
from support.golden import assert_text

GOLDEN = Path(__file__).parent.parent / "golden"
PROFILES = ("Standard", "Full", "Stream")


@pytest.mark.parametrize("profile", PROFILES)
def test_objects(profile: str) -> None:
    resource = telemetry({"injection": {"profile": profile}})
    payload = payload_object(resource, render(resource))
    assert_text(GOLDEN / "payloads" / f"{profile.lower()}.yaml", text_of(payload))


def text_of(payload: dict[str, Any]) -> str:
    """Each text as it stands in its file."""
    head = {key: value for key, value in payload.items() if key != "data"}
    return yaml.safe_dump(head) + "".join(f"--- {key}\n{value.rstrip()}\n" for key, value in sorted(payload["data"].items()))


@pytest.mark.parametrize("profile", PROFILES)
def test_keys(profile: str) -> None:
    rendering = render(telemetry({"injection": {"profile": profile}}))
    assert set(rendering.data) == {
        "enabled",
        "spoe.cfg",
        "agent.yaml",
        "agent-unix.yaml",
        "haproxy-aux.cfg",
        "haproxy-aux-unix.cfg",
        "insertions.json",
        "insertions-unix.json",
    }
    assert rendering.data["spoe.cfg"].strip(), "an HAProxy of before may still name it"
    for key in ("agent.yaml", "agent-unix.yaml"):
        assert parse_settings(yaml.safe_load(rendering.data[key])).profile == profile
    assert "unix@/run/haproxy-telemetry/spoa.sock" in rendering.data["haproxy-aux-unix.cfg"] or profile == "Stream"
    assert rendering.frontend_lines
    assert rendering.data["haproxy-aux.cfg"].splitlines()[1] == ".if defined(HAPROXY_TELEMETRY)"
    assert ".if defined" not in json.loads(rendering.data["insertions.json"])["sections"]


def test_key_of() -> None:
    assert key_of("agent.yaml", "TCP") == "agent.yaml"
    assert key_of("haproxy-aux.cfg", "Unix") == "haproxy-aux-unix.cfg"


def test_frontends() -> None:
    frontends = {"include": ["public-*"], "exclude": ["*-internal"], "tcp": False}
    plan = json.loads(render(telemetry({"target": {"frontends": frontends}})).data["insertions.json"])
    assert (plan["include"], plan["exclude"], plan["tcpFrontend"]) == (["public-*"], ["*-internal"], "")


def test_a_spec_that_can_not_be_used() -> None:
    with pytest.raises(SpecProblem, match=r"^spec\.sampling"):
        render(telemetry({"sampling": {"type": "TraceIDRatio"}}))


def test_the_same_twice() -> None:
    assert render(telemetry()).data == render(telemetry(generation=7, uid="other")).data
    assert render(telemetry()).config_hash == render(telemetry(name="other")).config_hash


def hash_of(spec: dict[str, Any]) -> str:
    return render(telemetry(copy.deepcopy(spec))).config_hash


AGENTS_OWN = [
    {"sampling": {"type": "ParentBasedTraceIDRatio", "ratio": 0.25}},
    {"sampling": {"type": "AlwaysOff"}},
    {"sampling": {"rules": [{"name": "r", "path": "/api", "ratio": 0.5}]}},
    {"sampling": {"exclude": {"paths": ["/healthz"]}}},
]
LIVE = [
    {"exporter": {"endpoint": "http://other.example:4318"}},
    {"exporter": {"endpoint": COLLECTOR, "compression": "none", "timeout": "1s", "batch": {"delay": "2s"}}},
    {"exporter": {"endpoint": COLLECTOR, "headers": [{"name": "a", "value": "b"}]}},
    {"exporters": [{"type": "console"}]},
    {"resource": {"attributes": {"deployment.environment.name": "production"}}},
    {"spans": {"sensitiveQueryParameters": ["token"]}},
    {"spans": {"redactQuery": False}},
    {"spans": {"attributes": [{"name": "team", "value": "edge"}]}},
    {"logs": {"enabled": True}},
    {"metrics": {"requests": True}},
    {"sidecar": {"logLevel": "debug"}},
    {"injection": {"rollout": "OnDelete"}},
    {"target": {"selector": {"matchLabels": {"app": "web"}}}},
    {"target": {"configMapRef": {"name": "mine"}}},
    {"suspend": True},
]
POD = [
    {"sidecar": {"image": "mine:2"}},
    {"sidecar": {"imagePullPolicy": "Always"}},
    {"sidecar": {"env": [{"name": "A", "value": "1"}]}},
    {"sidecar": {"resources": {"limits": {"memory": "1Gi"}}}},
    {"injection": {"spopPort": 2001}},
    {"injection": {"recordsPort": 2001}},
    {"injection": {"httpPort": 2001}},
    {"injection": {"profile": "Full"}},
    {"injection": {"transport": "Unix"}},
    {"injection": {"nativeSidecar": "Disabled"}},
    {"injection": {"configStrategy": "Shadow"}},
    {"injection": {"processingTimeout": "5ms"}},
    {"propagation": {"propagators": ["b3"]}},
    {"propagation": {"mode": "Inject"}},
    {"spans": {"requestHeaders": ["x-request-id"]}},
    {"spans": {"responseHeaders": ["x-cache"]}},
    {"target": {"type": "Plain"}},
    {"target": {"containerName": "haproxy"}},
    {"target": {"configPath": "/etc/haproxy/haproxy.cfg"}},
    {"target": {"frontends": {"exclude": ["internal"]}}},
    {"resource": {"serviceName": "edge"}},
    {"exporter": {"endpoint": COLLECTOR, "spill": {"enabled": True}}},
    {"exporter": {"endpoint": COLLECTOR, "headers": [{"name": "a", "secretKeyRef": {"name": "s", "key": "k"}}]}},
    {"exporters": [{"endpoint": "https://b.example", "tls": {"caConfigMapRef": {"name": "ca"}}}]},
]


@pytest.mark.parametrize("change", [*AGENTS_OWN, *LIVE], ids=json.dumps)
@pytest.mark.parametrize("profile", ["Standard", "Full"])
def test_what_the_agent_takes_as_it_comes_restarts_nothing(profile: str, change: dict[str, Any]) -> None:
    base = {"injection": {"profile": profile}}
    changed = {**base, **change, "injection": base["injection"] | change.get("injection", {})}
    assert hash_of(changed) == hash_of(base)


@pytest.mark.parametrize("change", AGENTS_OWN, ids=json.dumps)
def test_where_haproxy_decides_sampling_restarts(change: dict[str, Any]) -> None:
    base = {"injection": {"profile": "Stream"}}
    assert hash_of(base | change) != hash_of(base)


@pytest.mark.parametrize("change", LIVE, ids=json.dumps)
def test_all_else_is_taken_as_it_comes_there_too(change: dict[str, Any]) -> None:
    base = {"injection": {"profile": "Stream"}}
    changed = {**base, **change, "injection": base["injection"] | change.get("injection", {})}
    assert hash_of(changed) == hash_of(base)


@pytest.mark.parametrize("change", POD, ids=json.dumps)
def test_what_is_in_the_pod_or_in_haproxys_configuration_restarts(change: dict[str, Any]) -> None:
    assert hash_of(change) != hash_of({})


def test_every_change_gives_another_hash() -> None:
    assert len({hash_of(change) for change in POD}) == len(POD)
