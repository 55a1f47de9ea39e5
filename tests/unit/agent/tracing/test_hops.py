"""What all hops say; whole spans are in test_attributes.py and test_connection.py."""

import pytest

from haproxy_telemetry_agent.tracing.hops import add_peer, add_timer, add_tries
from haproxy_telemetry_agent.tracing.span import Attributes


class Ending:
    """One that was not quick."""

    def __init__(self, retries: int = 0, redispatched: bool = False, backend_queue: int = 0, server_queue: int = 0) -> None:
        self.retries = retries
        self.redispatched = redispatched
        self.backend_queue = backend_queue
        self.server_queue = server_queue


@pytest.mark.parametrize(
    ("address", "port", "said"),
    [
        ("192.0.2.1", 443, [("network.peer.address", "192.0.2.1"), ("network.peer.port", 443)]),
        ("unix", None, [("network.peer.address", "unix")]),
        (None, None, []),
        (None, 443, []),
    ],
)
def test_a_peer(address: str | None, port: int | None, said: Attributes) -> None:
    attributes: Attributes = []
    add_peer(attributes.append, address, port)
    assert attributes == said


@pytest.mark.parametrize(("milliseconds", "said"), [(1500, [("t", 1.5)]), (0, [("t", 0.0)]), (-1, [])])
def test_a_timer(milliseconds: int, said: Attributes) -> None:
    attributes: Attributes = []
    add_timer(attributes.append, "t", milliseconds)
    assert attributes == said


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (Ending(), []),
        (Ending(redispatched=True), []),
        (Ending(retries=2), [("haproxy.retries", 2), ("haproxy.redispatched", False)]),
        (Ending(retries=1, redispatched=True), [("haproxy.retries", 1), ("haproxy.redispatched", True)]),
        (Ending(backend_queue=3, server_queue=4), [("haproxy.queue.backend", 3), ("haproxy.queue.server", 4)]),
    ],
)
def test_tries(ending: Ending, said: Attributes) -> None:
    attributes: Attributes = []
    add_tries(attributes.append, ending)
    assert attributes == said
