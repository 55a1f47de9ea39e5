"""Short lines to insert, one of each kind that the agent's wiring has, so that golden files can be read."""

from collections.abc import Callable
from pathlib import Path

import pytest

from haproxy_telemetry_operator.rewriter.insertions import Insertions
from haproxy_telemetry_operator.rewriter.sections import Configuration, read_configuration
from support.golden import assert_text

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def insertions() -> Insertions:
    return Insertions(
        frontend="""\
log ring@ours format rfc5424 local0
log-format-sd "[http]"
filter spoe engine ours config /spoe.cfg
.if version_atleast(3.0)
http-request set-var(txn.newer) bool(true)
.else
http-request set-var(txn.older) bool(true)
.endif
http-request set-header traceparent x
http-after-response set-var(txn.type) res.fhdr(content-type)
""",
        tcp_frontend="""\
log ring@ours format rfc5424 local0
.if version_atleast(3.0)
log-format-sd "[tcp]"
.else
log-format-sd "[old-tcp]"
.endif
tcp-request content set-var(txn.routed) date(0,us)
""",
        sections="""\
ring ours
    format rfc5424

backend ours-spoa
    server agent 127.0.0.1:1
""",
    )


@pytest.fixture(scope="session")
def read() -> Callable[..., Configuration]:
    """Reads the files of a configuration."""
    return lambda *texts: read_configuration(texts)


@pytest.fixture(scope="session")
def assert_golden() -> Callable[[str, str], None]:
    """Compares a text with the golden file of that name; `REWRITE_GOLDEN=1` writes it."""
    return lambda name, text: assert_text(GOLDEN / name, text)
