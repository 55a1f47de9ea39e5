"""What of changed settings an agent can take while it runs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.settings import Settings, compare_settings, parse_settings

DEFAULT = parse_settings({})


@pytest.mark.parametrize(
    ("document", "live", "restart"),
    [
        ({}, [], []),
        ({"sampling": {"type": "AlwaysOff"}}, ["sampling.type"], []),
        ({"spans": {"forwarded": {"trust": "All"}}}, ["spans.forwarded.trust"], []),
        ({"exporter": {"headers": [{"name": "a", "value": "b"}]}}, ["exporter.headers"], []),
        ({"listen": {"http": "127.0.0.1:1"}}, [], ["listen.http"]),
        ({"metrics": {"requests": True}}, [], ["metrics.requests"]),
        ({"limits": {"maxConnections": 3}}, [], ["limits.maxConnections"]),
        ({"logs": {"enabled": True, "timeout": "3s"}}, [], ["logs.enabled", "logs.timeout"]),
        ({"logs": {"timeout": "3s"}}, ["logs.timeout"], []),
        ({"exporter": {"type": "none"}, "resource": {"serviceName": "a"}}, ["resource.serviceName"], ["exporter.type"]),
        ({"exporter": {"timeout": "3s"}, "exporters": [{"type": "console"}]}, [], ["exporter.timeout", "exporters"]),
        ({"exporter": {"timeout": "3s"}, "exporters": [{"type": "none"}]}, ["exporter.timeout", "exporters"], []),
        ({"minilanguage": {"maxSpans": 3}, "log": {"level": "debug"}}, ["log.level"], ["minilanguage.maxSpans"]),
    ],
)
def test_fields_are_named(document: dict[str, Any], live: list[str], restart: list[str]) -> None:
    change = compare_settings(DEFAULT, parse_settings(document))
    assert (change.live, change.restart) == (live, restart)


def test_a_spill_stays_as_it_was_and_the_rest_of_its_destination_changes() -> None:
    other = {"type": "console", "spill": {"maxBytes": 2_000_000}}
    running = parse_settings({"exporter": {"spill": {"directory": "/a"}}, "exporters": [other, {"type": "none"}]})
    wanted = parse_settings(
        {
            "exporter": {"timeout": "3s", "spill": {"directory": "/b"}},
            "exporters": [{"type": "console", "spill": {"directory": "/c"}}],
        }
    )
    change = compare_settings(running, wanted)
    assert change.effective == parse_settings({"exporter": {"timeout": "3s", "spill": {"directory": "/a"}}, "exporters": [other]})
    assert change.live == ["exporter.timeout", "exporters"]
    assert change.restart == ["exporter.spill.directory", "exporters[0].spill.directory", "exporters[0].spill.maxBytes"]


def test_what_needs_a_restart_stays_as_it_was() -> None:
    wanted = parse_settings({"listen": {"http": "127.0.0.1:1"}, "limits": {"maxRecordBytes": 2048}, "drainTimeout": "3s"})
    change = compare_settings(DEFAULT, wanted)
    assert change.effective == parse_settings({"drainTimeout": "3s"})


def test_a_header_is_a_whole_and_its_value_is_not_told() -> None:
    running = parse_settings({"exporter": {"headers": [{"name": "key", "value": "old-secret"}]}})
    wanted = parse_settings({"exporter": {"headers": [{"name": "key", "value": "new-secret"}]}})
    change = compare_settings(running, wanted)
    assert change.live == ["exporter.headers"]
    assert change.effective == wanted


DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "profile": st.sampled_from(["Standard", "Full"]),
        "listen": st.fixed_dictionaries({}, optional={"http": st.sampled_from([":1", ":2"]), "spop": st.just(":3")}),
        "resource": st.fixed_dictionaries({}, optional={"serviceName": st.sampled_from("ab")}),
        "limits": st.fixed_dictionaries({}, optional={"maxConnections": st.integers(1, 3)}),
        "shutdownTimeout": st.sampled_from(["1s", "2s"]),
    },
)


@given(running=DOCUMENTS.map(parse_settings), wanted=DOCUMENTS.map(parse_settings))
def test_nothing_is_left_unsaid(running: Settings, wanted: Settings) -> None:
    change = compare_settings(running, wanted)
    assert bool(change.live) == (change.effective != running)
    assert bool(change.restart) == (change.effective != wanted)
    # What is in use now needs nothing but a restart to be what is wanted.
    again = compare_settings(change.effective, wanted)
    assert (again.live, again.restart) == ([], change.restart)
