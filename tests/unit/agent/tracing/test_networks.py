"""Networks, against those of the standard library."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.networks import Networks, network_fault, parse_address

CIDR_NOTATION = "expected a network in CIDR notation, such as 10.0.0.0/8 or fd00::/8"

ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
NETWORKS = st.one_of(st.tuples(st.ip_addresses(v=4), st.integers(0, 32)), st.tuples(st.ip_addresses(v=6), st.integers(0, 128))).map(
    lambda pair: ipaddress.ip_network(pair, strict=False)
)


class TestContain:
    @given(networks=st.lists(NETWORKS, max_size=4), data=st.data())
    def test_are_those_of_the_standard_library(
        self, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network], data: st.DataObject
    ) -> None:
        inside = [st.integers(0, network.num_addresses - 1).map(network.__getitem__) for network in networks]
        address = data.draw(st.one_of(ADDRESSES, *inside))
        # An IPv4 address is its mapped IPv6 one too, and the other way round, as for HAProxy.
        mapped = address.ipv4_mapped if address.version == 6 else ipaddress.IPv6Address(f"::ffff:{address}")
        expected = any(each in network for network in networks for each in (address, mapped) if each is not None)
        for each in (str(address), address):
            assert Networks(map(str, networks)).contain(each) is expected

    @pytest.mark.parametrize("address", [None, "", "unix", "localhost", "1.2.3", "1.2.3.4.5"])
    def test_what_is_no_address_is_nowhere(self, address: str | None) -> None:
        assert not Networks(["0.0.0.0/0", "::/0"]).contain(address)

    def test_what_is_too_long_for_an_address_is_not_remembered(self) -> None:
        networks = Networks(["0.0.0.0/0"])
        assert not networks.contain("1" * 5000)
        assert networks._look_up.cache_info().currsize == 0

    def test_an_ipv4_client_of_a_socket_for_both(self) -> None:
        assert Networks(["192.0.2.0/24"]).contain("::ffff:192.0.2.1")
        assert not Networks(["192.0.2.0/24"]).contain("::192.0.2.1")

    @pytest.mark.parametrize("unix", [False, True])
    def test_a_unix_socket_is_in_none_that_does_not_say_so(self, unix: bool) -> None:
        assert not Networks(["0.0.0.0/0", "::/0"], unix=unix).contain("unix")

    def test_a_unix_socket_may_be_one_of_them(self) -> None:
        networks = Networks(["10.0.0.0/8", "unix"], unix=True)
        assert networks.contain("unix")
        assert networks.contain("10.0.0.1")
        assert not networks.contain("192.0.2.1")

    def test_none_is_nobody(self) -> None:
        assert not Networks([]).contain("10.0.0.1")


class TestFault:
    @pytest.mark.parametrize("cidr", ["10.0.0.0/8", "192.0.2.1/32", "0.0.0.0/0", "fd00::/8", "::1/128", "::/0", "10.0.0.1", "::1"])
    def test_of_a_network_there_is_none(self, cidr: str) -> None:
        assert network_fault(cidr) is None

    @pytest.mark.parametrize(
        ("cidr", "fault"),
        [
            ("10.1.2.3/8", "this is an address within a network: write 10.0.0.0/8"),
            ("2001:db8::1/32", "this is an address within a network: write 2001:db8::/32"),
            ("", CIDR_NOTATION),
            ("x", CIDR_NOTATION),
            ("unix", CIDR_NOTATION),
            ("10.0.0.0/", CIDR_NOTATION),
            ("10.0.0.0/33", CIDR_NOTATION),
            ("10.0.0.0/255.0.0.0", CIDR_NOTATION),
            ("fe80::%eth0/10", CIDR_NOTATION),
            ("10.0.0.0-10", CIDR_NOTATION),
        ],
    )
    def test_says_what_to_write(self, cidr: str, fault: str) -> None:
        assert network_fault(cidr) == fault
        with pytest.raises(ValueError, match=r".+") as caught:
            Networks(["10.0.0.0/8", cidr])
        assert str(caught.value) == f"{cidr!r}: {fault}"

    def test_of_an_address_where_only_networks_may_stand(self) -> None:
        assert network_fault("10.0.0.1", single=False) == "this is an address: write 10.0.0.1/32"
        assert network_fault("::1", single=False) == "this is an address: write ::1/128"
        assert network_fault("::1/128", single=False) is None

    def test_where_unix_may_stand(self) -> None:
        assert network_fault("unix", unix=True) is None
        assert network_fault("x", unix=True) == f"{CIDR_NOTATION}, or unix"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("::192.0.2.1", "::c000:201"),
        ("", None),
        ("unix", None),
        ("1.2.3", None),
    ],
)
def test_an_address_is_read(text: str, address: str | None) -> None:
    assert parse_address(text) == (None if address is None else ipaddress.ip_address(address))
