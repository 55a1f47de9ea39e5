"""What an error says about a list of networks; which are refused is in tracing/test_networks.py."""

import pytest

from haproxy_telemetry_agent.settings import SettingsError
from haproxy_telemetry_agent.settings.networks import check_networks


def test_names_field_value_and_fix() -> None:
    with pytest.raises(SettingsError) as caught:
        check_networks("a.b", ["10.0.0.0/8", "10.1.2.3/8"])
    assert str(caught.value) == "a.b[1]: '10.1.2.3/8': this is an address within a network: write 10.0.0.0/8"


def test_a_single_address_stands_only_where_it_may() -> None:
    check_networks("a.b", ["10.0.0.1", "::1"])
    with pytest.raises(SettingsError) as caught:
        check_networks("a.b", ["10.0.0.1"], single=False)
    assert str(caught.value) == "a.b[0]: '10.0.0.1': this is an address: write 10.0.0.1/32"


def test_the_word_unix_stands_only_where_it_may() -> None:
    check_networks("a.b", ["unix", "10.0.0.0/8"], unix=True)
    with pytest.raises(SettingsError) as caught:
        check_networks("a.b", ["unix"])
    assert str(caught.value).startswith("a.b[0]: 'unix': expected a network in CIDR notation")
