"""Status and ``error.type`` of both spans: the table of the conventions, crossed with HAProxy's termination states."""

from itertools import product
from typing import NamedTuple

import pytest

from haproxy_telemetry_agent.tracing.outcome import Outcome, client_outcome, connection_outcome, server_outcome
from haproxy_telemetry_agent.tracing.span import SpanStatus

FINE = Outcome(SpanStatus.UNSET, None)

CAUSES = "CScsPLRIDUK-"
PHASES = "RQCHDLT-"
STATUS_CODES = [None, 101, 200, 304, 399, 400, 404, 499, 500, 503, 599]


def error(error_type: str) -> Outcome:
    return Outcome(SpanStatus.ERROR, error_type)


class Case(NamedTuple):
    """One exchange that HAProxy ended like this."""

    what: str
    status_code: int | None
    termination_state: str
    server: Outcome
    client: Outcome


CASES = [
    # Complete: the status code decides alone.
    Case("continue", 100, "--", FINE, FINE),
    Case("websocket", 101, "--", FINE, FINE),
    Case("ok", 200, "--", FINE, FINE),
    Case("redirect", 301, "--", FINE, FINE),
    Case("not found", 404, "--", FINE, error("404")),
    Case("too many requests", 429, "--", FINE, error("429")),
    Case("server error", 500, "--", error("500"), error("500")),
    Case("server says unavailable", 503, "--", error("503"), error("503")),
    # HAProxy's own answers.
    Case("denied", 403, "PR", FINE, error("403")),
    Case("denied with 200", 200, "PR", FINE, FINE),
    Case("unparsable request", 400, "PR", FINE, error("400")),
    Case("redirect by HAProxy", 302, "LR", FINE, FINE),
    Case("return", 200, "LR", FINE, FINE),
    Case("return 503", 503, "LR", error("503"), error("503")),
    # What the server never answered: HAProxy's code for the client, none from the server.
    Case("connection refused", 503, "SC", error("503"), error("503")),
    # The caller went away.
    Case("client aborts while it waits", None, "CH", error("haproxy.client_abort"), FINE),
    Case("client aborts in the queue", None, "CQ", error("haproxy.client_abort"), FINE),
    Case("client aborts a download", 200, "CD", FINE, FINE),
    Case("client is too slow for a download", 200, "cD", FINE, FINE),
    Case("client never sent its request", 408, "cR", FINE, error("408")),
    Case("client never sent its request and got nothing", None, "cR", error("haproxy.client_timeout"), FINE),
    Case("client aborts an error page", 502, "CD", error("502"), error("502")),
    # Cut short after the status code was sent.
    Case("server closes in the middle", 200, "SD", error("haproxy.server_abort"), error("haproxy.server_abort")),
    Case("server stalls in the middle", 200, "sD", error("haproxy.server_timeout"), error("haproxy.server_timeout")),
    Case("server closes at the last bytes", 200, "SL", error("haproxy.server_abort"), error("haproxy.server_abort")),
    Case("switched, then cut", 101, "SD", error("haproxy.server_abort"), error("haproxy.server_abort")),
    Case("server closes in the middle of a 404", 404, "SD", FINE, error("404")),
    Case("server closes in the middle of a 500", 500, "SD", error("500"), error("500")),
    Case("server went down", 200, "DD", error("haproxy.server_down"), error("haproxy.server_down")),
    Case("backup server was replaced", 200, "UD", error("haproxy.server_up"), error("haproxy.server_up")),
    Case("killed by an admin", 200, "KD", error("haproxy.killed"), error("haproxy.killed")),
    Case("out of resources", 200, "RD", error("haproxy.resource"), error("haproxy.resource")),
    Case("internal error", 200, "ID", error("haproxy.internal"), error("haproxy.internal")),
    # No status code at all.
    Case("server closes", None, "SH", error("haproxy.server_abort"), error("haproxy.server_abort")),
    Case("server does not answer", None, "sH", error("haproxy.server_timeout"), error("haproxy.server_timeout")),
    Case("cannot connect", None, "SC", error("haproxy.connect"), error("haproxy.connect")),
    Case("connects too slowly", None, "sC", error("haproxy.connect"), error("haproxy.connect")),
    Case("queue full", None, "SQ", error("haproxy.queue"), error("haproxy.queue")),
    Case("queued too long", None, "sQ", error("haproxy.queue"), error("haproxy.queue")),
    Case("answer refused", None, "PH", error("haproxy.denied"), error("haproxy.denied")),
    Case("silently dropped", None, "LR", error("haproxy.local"), error("haproxy.local")),
    Case("out of resources, no answer", None, "RC", error("haproxy.resource"), error("haproxy.resource")),
    Case("nobody knows", None, "--", error("_OTHER"), error("_OTHER")),
    Case("no termination state", None, "", error("_OTHER"), error("_OTHER")),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.what} {case.status_code} {case.termination_state}")
def test_outcome(case: Case) -> None:
    assert server_outcome(case.status_code, case.termination_state) == case.server
    assert client_outcome(case.status_code, case.termination_state) == case.client


ALL = [(status_code, cause + phase) for status_code, cause, phase in product(STATUS_CODES, CAUSES, PHASES)]


@pytest.mark.parametrize("outcome_of", [server_outcome, client_outcome])
def test_an_error_has_a_type_and_nothing_else_has(outcome_of: type[Outcome]) -> None:
    for status_code, termination_state in ALL:
        status, error_type = outcome_of(status_code, termination_state)
        assert (status is SpanStatus.ERROR) == (error_type is not None)
        assert status is not SpanStatus.OK, "that is the application's to say"


@pytest.mark.parametrize("outcome_of", [server_outcome, client_outcome])
def test_types_are_few(outcome_of: type[Outcome]) -> None:
    """The code itself where a code decides, else a word of a short list: ``error.type`` is a label of metrics."""
    words = {outcome_of(status_code, state)[1] for status_code, state in ALL if outcome_of(status_code, state)[1] is not None}
    assert {word for word in words if not word.isdigit()} <= {
        "_OTHER",
        *(f"haproxy.{word}" for word in ("client_abort", "client_timeout", "server_abort", "server_timeout", "queue", "connect")),
        *(f"haproxy.{word}" for word in ("denied", "local", "resource", "internal", "server_down", "server_up", "killed")),
    }


@pytest.mark.parametrize(
    ("status_code", "termination_state"), [pair for pair in ALL if pair[0] is not None and 400 <= pair[0] < 500]
)
def test_what_the_caller_did_wrong_is_no_error_of_the_frontend(status_code: int, termination_state: str) -> None:
    assert server_outcome(status_code, termination_state) == FINE
    assert client_outcome(status_code, termination_state) == error(str(status_code))


@pytest.mark.parametrize(
    ("termination_state", "with_server", "without"),
    [
        ("--", FINE, FINE),
        ("", FINE, FINE),
        ("CD", FINE, FINE),
        ("cD", FINE, FINE),
        ("CR", FINE, FINE),
        ("PR", error("haproxy.denied"), FINE),
        ("PD", error("haproxy.denied"), FINE),
        ("LR", FINE, FINE),
        ("SC", error("haproxy.connect"), error("haproxy.connect")),
        ("sC", error("haproxy.connect"), error("haproxy.connect")),
        ("sQ", error("haproxy.queue"), error("haproxy.queue")),
        ("SD", error("haproxy.server_abort"), error("haproxy.server_abort")),
        ("sD", error("haproxy.server_timeout"), error("haproxy.server_timeout")),
        ("RC", error("haproxy.resource"), error("haproxy.resource")),
        ("ID", error("haproxy.internal"), error("haproxy.internal")),
        ("DD", error("haproxy.server_down"), error("haproxy.server_down")),
        ("UD", error("haproxy.server_up"), error("haproxy.server_up")),
        ("KD", error("haproxy.killed"), error("haproxy.killed")),
    ],
)
def test_of_a_connection(termination_state: str, with_server: Outcome, without: Outcome) -> None:
    assert connection_outcome(termination_state, has_server=True) == with_server
    assert connection_outcome(termination_state, has_server=False) == without
