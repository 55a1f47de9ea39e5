"""The lines of a TCP frontend."""

import re
from collections.abc import Callable

from haproxy_telemetry_agent.wiring.connection_fields import CONNECTION_FIELDS
from haproxy_telemetry_agent.wiring.names import RING
from haproxy_telemetry_agent.wiring.tcp import render_tcp_frontend

MAX_LINE_CHARACTERS, MAX_LINE_WORDS = 2048, 64
"""HAProxy's LINESIZE and MAX_LINE_ARGS."""

TEXT = render_tcp_frontend()
NEWER, OLDER = (line for line in TEXT.splitlines() if line.startswith("log-format-sd"))


def test_text(assert_golden: Callable[[str, str], None]) -> None:
    assert_golden("tcp-frontend.cfg", TEXT)


def test_records_go_into_the_ring() -> None:
    assert f"log ring@{RING} " in TEXT


def test_both_records_have_each_parameter_once_and_in_order() -> None:
    names = [field.name for field in CONNECTION_FIELDS]
    assert re.findall(r'(\w+)=\\"', NEWER) == re.findall(r'(\w+)=\\"', OLDER) == names


def test_an_older_haproxy_is_not_asked_for_what_it_does_not_know() -> None:
    newer = [field for field in CONNECTION_FIELDS if field.since is not None]
    assert newer
    for field in newer:
        assert f'{field.name}=\\"{field.record}\\"' in NEWER
        assert f'{field.name}=\\"-\\"' in OLDER


def test_every_variable_that_is_read_is_set_and_the_other_way_round() -> None:
    for record in (NEWER, OLDER):
        assert set(re.findall(r"%\[var\(([^)]*)\)\]", record)) == set(re.findall(r"set-var\(([^)]*)\)", TEXT))


def test_no_rule_makes_a_connection_wait() -> None:
    """A condition on bytes would, and so would a delay of ours."""
    rules = [line for line in TEXT.splitlines() if line.startswith("tcp-request")]
    assert len(rules) == 2
    for rule in rules:
        assert rule.startswith("tcp-request content set-var(")
        assert not {"if", "unless"} & set(rule.split())


def test_haproxys_parser_takes_every_line() -> None:
    for line in TEXT.splitlines():
        assert len(line) < MAX_LINE_CHARACTERS
        assert len(re.findall(r'"(?:[^"\\]|\\.)*"|\S+', line)) < MAX_LINE_WORDS
