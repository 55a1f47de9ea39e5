"""Two records' parameters as a real HAProxy 2.8 wrote them, and ids that are known."""

import random
from collections.abc import Callable

import pytest

from haproxy_telemetry_agent.tracing.context import IdGenerator

RECORD = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-847aa2ddc6c50541-01",
    "state": "-",
    "ST": "200",
    "ts": "--",
    "HM": "GET",
    "HV": "HTTP/1.1",
    "f": "fe",
    "b": "be",
    "s": "one",
    "ci": "192.0.2.10",
    "cp": "54614",
    "si": "192.0.2.20",
    "sp": "8080",
    "sslv": "-",
    "ssl_bc": "0",
    "TR": "0",
    "Tw": "0",
    "Tc": "0",
    "Tr": "3",
    "Ta": "3",
    "rc": "0",
    "bq": "0",
    "sq": "0",
    "U": "170",
    "B": "51",
    "error": "-",
    "start": "-",
    "seen": "-",
    "routed": "-",
    "parent": "-",
    "HPO": "/x/200",
    "HQ": "",
    "host": "-",
    "user_agent": "-",
    "ID": "-",
    "tracestate": "-",
}
"""GET /x/200, answered by server one with 200; no answer of the agent's, and nothing that only the start could tell."""

CONNECTION_RECORD = {
    "id": "4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
    "ts": "--",
    "fc_err": "0",
    "f": "mail",
    "b": "imap",
    "s": "one",
    "ci": "192.0.2.10",
    "cp": "54614",
    "fi": "192.0.2.1",
    "fp": "993",
    "si": "192.0.2.20",
    "sp": "143",
    "sslv": "-",
    "sslc": "-",
    "ssl_bc": "0",
    "Th": "0",
    "Tw": "1",
    "Tc": "0",
    "Tt": "12",
    "rc": "0",
    "bq": "0",
    "sq": "0",
    "U": "170",
    "B": "51",
    "start": "-",
    "routed": "-",
    "alpn": "-",
    "ssl_fc_sni": "-",
    "sni": "-",
    "ID": "-",
}
"""A connection to port 993 that server one took and that ended well; as HAProxy 2.8 writes it."""


@pytest.fixture(scope="session")
def record() -> Callable[..., dict[str, str]]:
    """The parameters of a record: the ordinary one, changed."""

    def build(**changes: str) -> dict[str, str]:
        assert changes.keys() <= RECORD.keys()
        return RECORD | changes

    return build


@pytest.fixture(scope="session")
def connection_record() -> Callable[..., dict[str, str]]:
    """The parameters of a connection's record: the ordinary one, changed."""

    def build(**changes: str) -> dict[str, str]:
        assert changes.keys() <= CONNECTION_RECORD.keys()
        return CONNECTION_RECORD | changes

    return build


@pytest.fixture
def ids() -> IdGenerator:
    """The same ids in every run."""
    return IdGenerator(random.Random(1).getrandbits)
