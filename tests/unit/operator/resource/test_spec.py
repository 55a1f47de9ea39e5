"""The spec, and that it is in step with what the agent can be told."""

from typing import Any

import msgspec
import pytest

from haproxy_telemetry_agent.settings import Settings
from haproxy_telemetry_agent.settings import exporter as agent_exporter
from haproxy_telemetry_agent.settings import logs as agent_logs
from haproxy_telemetry_operator.rendering import agent_settings
from haproxy_telemetry_operator.resource import destination, spec
from support.cluster_objects import telemetry

LEFT_OUT_OF_SPEC = {
    "profile": "spec.injection.profile",
    "processing_timeout": "spec.injection.processingTimeout",
    "listen": "ports are spec.injection's, addresses follow from the transport, and a pod's own metrics need no TLS of their own",
    "minilanguage": "for SPOE files written for spoa-opentracing, which nobody injects",
    "log": "its level is spec.sidecar.logLevel, its format is JSON",
    "limits": "memory follows from spec.sidecar.resources, and one HAProxy is the only peer",
    "shutdown_timeout": "the pod's own grace period is the bound",
    "drain_timeout": "the sidecar ends after HAProxy",
}
LEFT_OUT_OF_EXPORTER = {
    "file": "nobody reads a file in a pod: spec.exporter.type console",
    "plugin": "the agent's image has none",
}
LEFT_OUT_OF_LOGS = {
    "compression": "that of spec.exporter",
    "timeout": "that of spec.exporter",
    "headers": "those of spec.exporter",
    "tls": "that of spec.exporter",
}
ONLY_IN_SPEC = {"suspend", "target", "injection", "sidecar"}


def fields(type_: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(type_)}


def test_every_setting_of_the_agents_is_in_the_spec_or_left_out_for_a_reason() -> None:
    ours, theirs = set(fields(spec.Spec)), set(fields(Settings))
    assert theirs - ours == set(LEFT_OUT_OF_SPEC)
    assert ours - theirs == ONLY_IN_SPEC


def test_sections_that_are_handed_on_as_they_are_have_one_type() -> None:
    for name in agent_settings._VERBATIM:
        given = fields(spec.Spec)[name]
        given = getattr(given, "__origin__", given)
        assert given is fields(Settings)[name], name


def test_the_exporter() -> None:
    ours, theirs = fields(destination.Destination), fields(agent_exporter.Exporter)
    assert set(theirs) - set(ours) == set(LEFT_OUT_OF_EXPORTER)
    assert set(ours) <= set(theirs)
    for name in ("protocol", "compression", "timeout", "batch", "traces_endpoint"):
        assert default(destination.Destination, name) == default(agent_exporter.Exporter, name), name
    assert set(fields(destination.Header)) - {"secret_key_ref"} == set(fields(agent_exporter.Header)) - {"value_file"}
    assert set(fields(destination.SpillVolume)) - {"enabled"} == set(fields(agent_exporter.Spill)) - {"directory"}
    assert default(destination.SpillVolume, "max_bytes") == default(agent_exporter.Spill, "max_bytes")
    assert set(fields(destination.Tls)) & set(fields(agent_exporter.Tls)) == {"insecure_skip_verify"}


def test_logs() -> None:
    ours, theirs = fields(spec.Logs), fields(agent_logs.Logs)
    assert set(theirs) - set(ours) == set(LEFT_OUT_OF_LOGS)
    assert set(ours) <= set(theirs)
    for name in ours:
        assert ours[name] == theirs[name], name
        assert default(spec.Logs, name) == default(agent_logs.Logs, name), name


def default(type_: type[msgspec.Struct], name: str) -> object:
    field = next(field for field in msgspec.structs.fields(type_) if field.name == name)
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def test_reasons_are_given() -> None:
    assert all(LEFT_OUT_OF_SPEC.values())
    assert all(LEFT_OUT_OF_EXPORTER.values())
    assert all(LEFT_OUT_OF_LOGS.values())


def test_defaults() -> None:
    found = telemetry().spec()
    assert (found.target.type, found.injection.profile, found.injection.rollout) == ("Auto", "Standard", "Automatic")
    assert (found.injection.config_strategy, found.injection.native_sidecar, found.injection.transport) == ("Merge", "Auto", "Auto")
    assert (found.injection.spop_port, found.injection.records_port, found.injection.http_port) == (12345, 10514, 9464)
    assert not found.suspend
    assert found.sidecar.resources.limits == {"memory": "256Mi"}
    assert "cpu" not in found.sidecar.resources.limits, "an agent that is throttled has HAProxy wait"


@pytest.mark.parametrize("value", ["5ms", "20ms", "1s", "500us"])
def test_processing_timeouts(value: str) -> None:
    assert telemetry({"injection": {"processingTimeout": value}}).spec().injection.processing_timeout == value
