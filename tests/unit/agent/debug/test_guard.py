"""Who may look, and who may not, and what they are told."""

import pytest
from multidict import CIMultiDict

from haproxy_telemetry_agent.debug.guard import refusal

HERE = ("127.0.0.1", 4711)
THERE = ("10.1.2.3", 4711)


@pytest.mark.parametrize(
    "peer",
    [HERE, ("127.8.9.10", 1), ("::1", 1, 0, 0), ("::ffff:127.0.0.1", 1, 0, 0), "", "/run/agent.sock", None, ()],
)
def test_this_machine_may_look(peer: object) -> None:
    assert refusal(peer, {"Host": "localhost:9464"}, remote=False) is None


@pytest.mark.parametrize("peer", [THERE, ("fe80::1%eth0", 1, 0, 2), ("::ffff:10.1.2.3", 1, 0, 0), ("nonsense", 1), ("0.0.0.0", 1)])
def test_others_may_not_but_by_the_setting(peer: tuple[object, ...]) -> None:
    refused = refusal(peer, {"Host": "localhost"}, remote=False)
    assert refused is not None
    assert refused.startswith(f"only this machine may look, and you are {peer[0]}: `debug: {{remote: true}}`")
    assert refusal(peer, {"Host": "attacker.example", "Via": "1.1 x"}, remote=True) is None


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.:9464", "agent.localhost", "127.0.0.1", "127.0.0.1:9464", "[::1]:9464", "10.1.2.3", "", None]
)
def test_hosts_that_no_name_server_is_asked_about(host: str | None) -> None:
    assert refusal(HERE, {} if host is None else {"Host": host}, remote=False) is None


@pytest.mark.parametrize(
    "host", ["attacker.example", "attacker.example:9464", "localhost.attacker.example", "127.0.0.1.nip.io", "[x]"]
)
def test_names_may_have_been_rebound(host: str) -> None:
    refused = refusal(HERE, CIMultiDict({"host": host}), remote=False)
    assert refused is not None
    assert refused.startswith(f"Host '{host}' is neither localhost nor an IP address: ")


def test_a_host_that_is_shown_is_harmless() -> None:
    refused = refusal(HERE, {"Host": "\x1b[31m\u202e" + "x" * 1_000}, remote=False)
    assert refused is not None
    assert refused.isascii()
    assert refused.isprintable()
    assert len(refused) < 400


@pytest.mark.parametrize("header", ["X-Forwarded-For", "forwarded", "Via"])
def test_what_comes_through_a_proxy_is_not_from_here(header: str) -> None:
    refused = refusal(HERE, CIMultiDict({header: "10.1.2.3", "Host": "127.0.0.1"}), remote=False)
    assert refused is not None
    assert f"header {header.title()} says that you come through a proxy: " in refused


@pytest.mark.parametrize(
    ("site", "mode", "may"),
    [
        ("none", "navigate", True),
        ("same-origin", "cors", True),
        ("cross-site", "navigate", True),
        ("cross-site", "no-cors", False),
        ("same-site", "cors", False),
        ("cross-site", None, False),
    ],
)
def test_other_pages_may_link_but_not_ask(site: str, mode: str | None, may: bool) -> None:
    headers = CIMultiDict({"Host": "127.0.0.1", "sec-fetch-site": site})
    if mode is not None:
        headers["sec-fetch-mode"] = mode
    refused = refusal(HERE, headers, remote=False)
    assert refused is None if may else str(refused).startswith("another web page may not ask for this one: ")
