"""Whose word is taken for who the client is."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing import forwarded as forwarded_module
from haproxy_telemetry_agent.tracing.forwarded import (
    MAX_HEADER_CHARACTERS,
    MAX_HOPS,
    NOT_FORWARDED,
    Forwarded,
    ForwardedReader,
    Headers,
    Trust,
)

PROXY, OTHER_PROXY, CLIENT, FORGED = "10.0.0.1", "10.0.0.2", "192.0.2.7", "6.6.6.6"
NETWORKS = ["10.0.0.0/8", "2001:db8::/32"]
TRUSTED = ForwardedReader(Trust.TRUSTED_NETWORKS, NETWORKS)
ALL = ForwardedReader(Trust.ALL)


def test_by_default_nobody_is_believed() -> None:
    extras = {"forwarded": f"for={CLIENT}", "x-forwarded-for": CLIENT, "x-forwarded-proto": "https"}
    assert ForwardedReader().read(PROXY, extras) == NOT_FORWARDED == Forwarded()


@pytest.mark.parametrize("peer", [CLIENT, "2001:db9::1", "unix", "", "not-an-address", None])
def test_a_peer_that_is_no_proxy_is_not_believed(peer: str | None) -> None:
    assert TRUSTED.read(peer, {"x-forwarded-for": CLIENT, "forwarded": f"for={CLIENT}"}) == NOT_FORWARDED


@pytest.mark.parametrize("peer", [PROXY, "2001:db8::1", "::ffff:10.0.0.1"])
def test_a_peer_that_is_one_is(peer: str) -> None:
    assert TRUSTED.read(peer, {"x-forwarded-for": CLIENT}) == Forwarded(CLIENT)


def test_a_unix_socket_can_be_trusted() -> None:
    assert ForwardedReader(Trust.TRUSTED_NETWORKS, ["unix"]).read("unix", {"x-forwarded-for": CLIENT}) == Forwarded(CLIENT)


def test_nothing_said_is_nothing_known() -> None:
    assert TRUSTED.read(PROXY, {}) == NOT_FORWARDED
    assert TRUSTED.read(PROXY, {"q.accept": "*/*"}) == NOT_FORWARDED


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (CLIENT, Forwarded(CLIENT)),
        (f"{CLIENT}:4711", Forwarded(CLIENT, 4711)),
        ("[2001:db9::7]:4711", Forwarded("2001:db9::7", 4711)),
        ("2001:DB9:0::7", Forwarded("2001:db9::7")),
        ("::ffff:192.0.2.7", Forwarded(CLIENT)),
        (f" {CLIENT} ,\t{OTHER_PROXY} ", Forwarded(CLIENT)),
        # The client may have written anything; what counts is whom a proxy saw.
        (f"{FORGED}, {CLIENT}, {OTHER_PROXY}", Forwarded(CLIENT)),
        (f"{FORGED}, {CLIENT}", Forwarded(CLIENT)),
        # All of them are proxies: the first one is as far as it goes.
        (f"{OTHER_PROXY}, {PROXY}", Forwarded(OTHER_PROXY)),
        # Who is hidden can't be trusted to have told the truth.
        (f"{FORGED}, unknown, {OTHER_PROXY}", Forwarded(OTHER_PROXY)),
        (f"{FORGED}, , {OTHER_PROXY}", Forwarded(OTHER_PROXY)),
        ("unknown", NOT_FORWARDED),
        ("_hidden", NOT_FORWARDED),
        ("999.1.1.1", NOT_FORWARDED),
        ("fe80::1%eth0", NOT_FORWARDED),
        (f"{CLIENT}:99999", Forwarded(CLIENT)),
        (f"{CLIENT}:0", Forwarded(CLIENT)),
        ("", NOT_FORWARDED),
        ("-", NOT_FORWARDED),
    ],
)
def test_x_forwarded_for(header: str, expected: Forwarded) -> None:
    assert TRUSTED.read(PROXY, {"x-forwarded-for": header}) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"for={CLIENT}", Forwarded(CLIENT)),
        (f'For="{CLIENT}:4711"', Forwarded(CLIENT, 4711)),
        ('for="[2001:db9::7]:4711"', Forwarded("2001:db9::7", 4711)),
        ('for="[2001:db9::7]"', Forwarded("2001:db9::7")),
        (f"for={CLIENT};proto=HTTPS;host=shop.example;by={PROXY}", Forwarded(CLIENT, None, "https", "shop.example")),
        (f'for={CLIENT} ; host="shop.example:8443"', Forwarded(CLIENT, None, None, "shop.example", 8443)),
        (f'for={CLIENT};host="[2001:db9::7]:8443"', Forwarded(CLIENT, None, None, "2001:db9::7", 8443)),
        # The hop that saw the client tells scheme and host.
        (
            f"for={CLIENT};proto=https;host=a, for={OTHER_PROXY};proto=http;host=b",
            Forwarded(CLIENT, None, "https", "a"),
        ),
        (f"for={FORGED};proto=http, for={CLIENT};proto=https", Forwarded(CLIENT, None, "https")),
        (f"for={CLIENT}, for=_hidden", NOT_FORWARDED),
        ("proto=https", Forwarded(scheme="https")),
        # A quotation mark that a client left open hides nothing.
        (f'for="x, for={CLIENT}', Forwarded(CLIENT)),
        (f'host="a, b";for={FORGED}, for={CLIENT}', Forwarded(CLIENT)),
        (f'for={CLIENT};secret="a, \\" b"', Forwarded(CLIENT)),
        (f"for={CLIENT};for={FORGED}", Forwarded(CLIENT)),
        # Garbage.
        (f"{CLIENT}", NOT_FORWARDED),
        (f"for={CLIENT};", Forwarded(CLIENT)),
        ("for=", NOT_FORWARDED),
        (",,,", NOT_FORWARDED),
        (f'for={CLIENT};proto=gopher;host="<script>"', Forwarded(CLIENT)),
        ("", NOT_FORWARDED),
    ],
)
def test_forwarded(header: str, expected: Forwarded) -> None:
    assert TRUSTED.read(PROXY, {"forwarded": header}) == expected


@pytest.mark.parametrize(
    ("extras", "expected"),
    [
        ({"x-forwarded-proto": "https"}, Forwarded(scheme="https")),
        ({"x-forwarded-port": "8443"}, Forwarded(host_port=8443)),
        ({"x-forwarded-for": CLIENT, "x-forwarded-host": "shop.example"}, Forwarded(CLIENT, None, None, "shop.example")),
        ({"x-forwarded-host": "shop.example:81", "x-forwarded-port": "82"}, Forwarded(host="shop.example", host_port=81)),
        ({"x-forwarded-host": "shop.example", "x-forwarded-port": "82"}, Forwarded(host="shop.example", host_port=82)),
        ({"x-forwarded-port": "0"}, NOT_FORWARDED),
        ({"x-forwarded-port": "99999"}, NOT_FORWARDED),
        ({"x-forwarded-proto": "gopher", "x-forwarded-host": "a b"}, NOT_FORWARDED),
        # One entry from each proxy: the one of the hop that saw the client.
        (
            {"x-forwarded-for": f"{FORGED}, {CLIENT}, {OTHER_PROXY}", "x-forwarded-proto": "http, https, http"},
            Forwarded(CLIENT, None, "https"),
        ),
        # Not as many: the last one, which a proxy wrote.
        ({"x-forwarded-for": f"{CLIENT}", "x-forwarded-proto": "http, https"}, Forwarded(CLIENT, None, "https")),
    ],
)
def test_the_other_x_headers(extras: dict[str, str], expected: Forwarded) -> None:
    assert TRUSTED.read(PROXY, extras) == expected


def test_trusting_all_takes_the_first_one() -> None:
    assert ALL.read(FORGED, {"x-forwarded-for": f"{CLIENT}, 9.9.9.9, {PROXY}"}) == Forwarded(CLIENT)
    assert ALL.read(None, {"forwarded": f"for={CLIENT};proto=https, for=9.9.9.9"}) == Forwarded(CLIENT, None, "https")
    assert ALL.read(None, {"x-forwarded-for": f"unknown, {CLIENT}"}) == Forwarded(CLIENT)


class TestBothKinds:
    BOTH = {"forwarded": f"for={FORGED};proto=https", "x-forwarded-for": CLIENT, "x-forwarded-proto": "http"}  # noqa: RUF012

    def test_the_more_usual_one_is_believed_if_they_disagree(self) -> None:
        assert TRUSTED.read(PROXY, self.BOTH) == Forwarded(CLIENT, None, "http")

    def test_the_standard_one_is_if_they_agree(self) -> None:
        extras = {"forwarded": f"for={CLIENT};proto=https", "x-forwarded-for": CLIENT}
        assert TRUSTED.read(PROXY, extras) == Forwarded(CLIENT, None, "https")

    @pytest.mark.parametrize(("headers", "address"), [(Headers.FORWARDED, FORGED), (Headers.X_FORWARDED, CLIENT)])
    def test_only_one_can_be_read(self, headers: Headers, address: str) -> None:
        reader = ForwardedReader(Trust.TRUSTED_NETWORKS, NETWORKS, headers)
        assert reader.read(PROXY, self.BOTH).address == address
        other = "x-forwarded-for" if headers is Headers.FORWARDED else "forwarded"
        assert reader.read(PROXY, {other: f"for={CLIENT}" if other == "forwarded" else CLIENT}) == NOT_FORWARDED


class TestBounds:
    @pytest.mark.parametrize("key", ["forwarded", "x-forwarded-for"])
    def test_a_header_that_is_too_long_is_ignored(self, key: str) -> None:
        entry = f"for={CLIENT}" if key == "forwarded" else CLIENT
        header = f"{'x' * MAX_HEADER_CHARACTERS},{entry}"
        assert ALL.read(None, {key: header}) == NOT_FORWARDED

    @pytest.mark.parametrize("key", ["forwarded", "x-forwarded-for"])
    def test_no_more_than_so_many_hops_are_looked_at(self, key: str) -> None:
        entries = [f"10.0.{number}.1" for number in range(2 * MAX_HOPS)]
        header = ", ".join(f"for={entry}" if key == "forwarded" else entry for entry in entries)
        assert TRUSTED.read(PROXY, {key: header}) == Forwarded(entries[-MAX_HOPS])


@pytest.mark.parametrize("network", ["10.0.0.1/8", "10.0.0.0/33", "localhost", "10.0.0.0-10"])
def test_what_is_no_network_is_refused(network: str) -> None:
    with pytest.raises(ValueError, match=network):
        ForwardedReader(Trust.TRUSTED_NETWORKS, [network])


ADDRESSES = st.one_of(st.ip_addresses(), st.ip_addresses(network="10.0.0.0/8"))


@given(addresses=st.lists(ADDRESSES, min_size=1, max_size=8))
def test_the_client_is_the_last_address_that_is_no_proxy(addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> None:
    networks = [ipaddress.ip_network(network) for network in NETWORKS]
    plain = [getattr(address, "ipv4_mapped", None) or address for address in addresses]
    strangers = [address for address in plain if not any(address in network for network in networks)]
    expected = str(strangers[-1] if strangers else plain[0])
    assert TRUSTED.read(PROXY, {"x-forwarded-for": ", ".join(map(str, addresses))}).address == expected
    quoted = [f'for="[{address}]"' if address.version == 6 else f"for={address}" for address in addresses]
    assert TRUSTED.read(PROXY, {"forwarded": ", ".join(quoted)}).address == expected


@given(forwarded=st.text(max_size=60) | st.text('for=",;:[]. 1\\', max_size=60), others=st.text(',.:[]1 "', max_size=30))
def test_any_text_is_read_or_ignored(forwarded: str, others: str) -> None:
    keys = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port")
    for reader in (TRUSTED, ALL):
        found = reader.read(PROXY, {"forwarded": forwarded, **dict.fromkeys(keys, others)})
        assert found.address is None or ipaddress.ip_address(found.address)
        assert found.scheme in (None, "http", "https")


def test_what_is_too_long_for_an_address_is_not_remembered() -> None:
    forwarded_module._read_node.cache_clear()
    assert ALL.read(PROXY, {"x-forwarded-for": "1" * 4000}) == Forwarded()
    assert forwarded_module._read_node.cache_info().currsize == 0
