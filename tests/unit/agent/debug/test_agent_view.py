"""What is said of the agent itself."""

import msgspec
import pytest

from haproxy_telemetry_agent.debug.agent_view import AgentView, Identity, view_agent
from haproxy_telemetry_agent.debug.counters import read_values
from haproxy_telemetry_agent.records import SkipReason
from haproxy_telemetry_agent.settings import Settings, SettingsOrigin, parse_settings
from haproxy_telemetry_agent.telemetry import Telemetry

IDENTITY = Identity(
    service_name="edge",
    version="1",
    python="3",
    pid=1,
    started_unix_seconds=1_000.0,
    listening={"http": "127.0.0.1:9464"},
    exports_to="http://collector:4318/v1/traces",
)


def view(telemetry: Telemetry, settings: Settings | None = None, origin: SettingsOrigin | None = None) -> AgentView:
    return view_agent(
        IDENTITY,
        settings or Settings(),
        origin or SettingsOrigin(),
        read_values(telemetry.registry.collect()),
        now_unix_seconds=1_060.0,
        tails=1,
        exchanges_passed_over=2,
    )


@pytest.fixture
def telemetry() -> Telemetry:
    """Of an agent that an HAProxy is connected to."""
    telemetry = Telemetry()
    for kind in ("spop", "spop", "records"):
        telemetry.connected(kind)
    telemetry.spop_hello(healthcheck=False)
    return telemetry


def test_what_is_open(telemetry: Telemetry) -> None:
    for _ in range(3):
        telemetry.answered(sampled=True, has_parent=True)
    telemetry.recorded("answered")
    telemetry.recorded("unanswered")
    opened = view(telemetry).open
    assert (opened.spop_connections, opened.record_connections, opened.exchanges_unrecorded, opened.tails) == (2, 1, 2, 1)
    for _ in range(3):
        telemetry.recorded("answered")
    assert view(telemetry).open.exchanges_unrecorded == -1


def test_times(telemetry: Telemetry) -> None:
    assert (view(telemetry).answer_seconds_99, view(telemetry).loop_lag_seconds_99) == (None, None)
    telemetry.messages_answered(1, 0.0002)
    telemetry.loop_was_late(99)
    assert (view(telemetry).answer_seconds_99, view(telemetry).loop_lag_seconds_99) == (0.00025, None)


def test_nothing_is_worth_a_look_when_all_is_well(telemetry: Telemetry) -> None:
    assert view(telemetry).notes == []


@pytest.mark.parametrize(
    ("profile", "kinds", "asked", "note"),
    [
        ("Standard", [], False, "No HAProxy is connected"),
        ("Stream", [], False, "No HAProxy is connected"),
        ("Standard", ["spop"], True, "brings no records"),
        ("Standard", ["records"], False, "has never asked"),
        ("Stream", ["records"], False, None),
        ("Standard", ["records"], True, None),
    ],
)
def test_an_haproxy_that_is_not_there(profile: str, kinds: list[str], asked: bool, note: str | None) -> None:
    telemetry = Telemetry()
    for kind in kinds:
        telemetry.connected(kind)
    if asked:
        telemetry.spop_hello(healthcheck=True)
    notes = view(telemetry, parse_settings({"profile": profile})).notes
    assert (notes == []) if note is None else (len(notes) == 1 and note in notes[0])


def test_losses_are_worth_a_look(telemetry: Telemetry) -> None:
    telemetry.dropped(3, "queue_full")
    telemetry.dropped(2, "memory")
    telemetry.record_skipped(SkipReason.FOREIGN)
    assert view(telemetry).notes == [
        "Spans were lost: 2 memory, 3 queue_full.",
        "Records were of no use: 1 foreign. The agent's log shows them.",
    ]


def test_settings_that_are_refused_or_wait(telemetry: Telemetry) -> None:
    error = "exporter.endpoint: 'htp://user:s3cret@collector': expected a http:// or https:// URL"
    origin = SettingsOrigin("/etc/agent.yaml", {"profile": "file"}, error, ["listen.http"])
    shown = view(telemetry, origin=origin)
    hidden = "exporter.endpoint: 'htp://***@collector': expected a http:// or https:// URL"
    assert shown.settings.error == hidden
    assert shown.notes == [
        f"The settings file is refused, the old settings go on: {hidden}",
        "Settings wait for a restart of the agent: listen.http",
    ]
    assert (shown.settings.path, shown.settings.waiting) == ("/etc/agent.yaml", ["listen.http"])
    assert ("profile", "Standard", "file") in shown.settings.effective
    assert b"s3cret" not in msgspec.json.encode(shown)


def test_want_of_memory_is_worth_a_look(telemetry: Telemetry) -> None:
    values = read_values(telemetry.registry.collect()) | {"memory_shedding": {(): 1.0}}
    shown = view_agent(IDENTITY, Settings(), SettingsOrigin(), values, now_unix_seconds=0, tails=0, exchanges_passed_over=0)
    assert shown.notes == ["Spans are dropped for want of memory (limits.maxMemoryBytes)."]
