"""What the settings of propagation say beyond their types."""

from typing import Any, get_args

import pytest

from haproxy_telemetry_agent.settings import environment as environment_module
from haproxy_telemetry_agent.settings.explanation import SettingsError
from haproxy_telemetry_agent.settings.model import parse_settings
from haproxy_telemetry_agent.settings.propagation import Propagation, PropagationMode, Propagator
from haproxy_telemetry_agent.tracing.propagation.propagation import Mode
from haproxy_telemetry_agent.wiring.formats import PROPAGATORS


def propagation(**fields: object) -> Propagation:
    return parse_settings({"propagation": fields}).propagation


def error_of(**fields: object) -> str:
    with pytest.raises(SettingsError) as caught:
        propagation(**fields)
    return str(caught.value)


def test_defaults() -> None:
    assert propagation() == Propagation(
        propagators=["tracecontext", "baggage"], mode="Propagate", trusted_networks=[], link_untrusted=False, baggage_attributes=[]
    )


def test_all_know_the_same_names() -> None:
    assert set(get_args(Propagator)) == {*PROPAGATORS, "none"} == set(environment_module._PROPAGATORS)
    assert get_args(PropagationMode) == get_args(Mode)


@pytest.mark.parametrize(
    "fields",
    [
        {"propagators": ["none"]},
        {"propagators": ["xray", "b3", "b3multi", "jaeger", "tracecontext", "baggage"]},
        {"mode": "Ignore"},
        {"trustedNetworks": ["10.0.0.0/8", "192.0.2.1/32", "0.0.0.0/0", "fd00::/8", "::1/128"]},
        {"trustedNetworks": ["10.0.0.0/8"], "linkUntrusted": True},
        {"baggageAttributes": ["tenant", "a.b-c_d"]},
    ],
)
def test_valid(fields: dict[str, Any]) -> None:
    propagation(**fields)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"mode": "propagate"}, "propagation.mode: 'propagate': expected one of Propagate, Extract, Inject, Ignore"),
        (
            {"propagators": ["none", "b3"]},
            "propagation.propagators: ['none', 'b3']: none excludes all others: drop it or them",
        ),
        ({"propagators": ["b3", "xray", "b3"]}, "propagation.propagators[2]: 'b3': stands there already: drop one"),
        (
            {"linkUntrusted": True, "trustedNetworks": ["10.0.0.0/8"], "mode": "Inject"},
            "propagation.linkUntrusted: true: with mode: Inject no context is read that could be linked: drop one of them",
        ),
        (
            {"linkUntrusted": True, "trustedNetworks": ["10.0.0.0/8"], "propagators": ["none"]},
            "propagation.linkUntrusted: true: with propagators: [none] no context is read that could be linked: drop one of them",
        ),
        ({"linkUntrusted": True}, "propagation.linkUntrusted: true: everybody is trusted: set propagation.trustedNetworks"),
        ({"baggageAttributes": ["a b"]}, "propagation.baggageAttributes[0]: 'a b': expected a baggage key, such as tenant"),
        (
            {"trustedNetworks": ["10.0.0.0/8", "10.1.2.3/8"]},
            "propagation.trustedNetworks[1]: '10.1.2.3/8': this is an address within a network: write 10.0.0.0/8",
        ),
        ({"trustedNetworks": ["10.0.0.0"]}, "propagation.trustedNetworks[0]: '10.0.0.0': this is an address: write 10.0.0.0/32"),
        ({"trustedNetworks": ["::1"]}, "propagation.trustedNetworks[0]: '::1': this is an address: write ::1/128"),
    ],
)
def test_names_field_value_and_fix(fields: dict[str, Any], error: str) -> None:
    assert error_of(**fields) == error


@pytest.mark.parametrize(
    "network",
    [
        "",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/-1",
        "fe80::%eth0/10",
        "all",
        "unix",
        "10.0.0.0/8\n",
        "a/8",
    ],
)
def test_what_is_no_network(network: str) -> None:
    assert error_of(trustedNetworks=[network]) == (
        f"propagation.trustedNetworks[0]: {network!r}: expected a network in CIDR notation, such as 10.0.0.0/8 or fd00::/8"
    )
