"""Settings that change: what is taken, what is refused, how often, and what is said of it."""

import logging
from pathlib import Path

import pytest

from haproxy_telemetry_agent.live_settings import LiveSettings
from haproxy_telemetry_agent.settings import Change, Settings, SettingsError, SettingsOrigin, compare_settings
from haproxy_telemetry_agent.settings_file import SettingsFile
from haproxy_telemetry_agent.telemetry import PREFIX, Telemetry


class Site:
    """A file, and an agent that takes what it says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_text("sampling: {type: AlwaysOn}")
        self.telemetry = Telemetry()
        file = SettingsFile(path, {})
        loaded = file.load()
        self.running = loaded.settings
        self.refuses: str | None = None
        self.live = LiveSettings(file=file, loaded=loaded, apply=self.apply, telemetry=self.telemetry)

    def apply(self, settings: Settings) -> Change:
        if self.refuses is not None:
            raise SettingsError(self.refuses)
        change = compare_settings(self.running, settings)
        self.running = change.effective
        return change

    def write(self, text: str) -> None:
        other = self.path.with_suffix(".new")
        other.write_text(text)
        other.replace(self.path)

    def looks(self, count: int) -> list[bool]:
        return [self.live.look() for _ in range(count)]

    def reloads(self) -> tuple[float, float]:
        """How many were taken, how many refused."""
        values = {
            sample.labels["result"]: sample.value
            for family in self.telemetry.collect()
            for sample in family.samples
            if sample.name == f"{PREFIX}config_reloads_total"
        }
        return values["ok"], values["refused"]


@pytest.fixture
def site(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Site:
    caplog.set_level(logging.INFO)
    return Site(tmp_path / "agent.yaml")


def test_a_change_is_taken_and_named(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.write("sampling: {type: AlwaysOff}\nresource: {serviceName: edge}")
    assert site.looks(4) == [False, True, False, False]
    assert (site.running.sampling.type, site.running.resource.service_name) == ("AlwaysOff", "edge")
    assert "changed: resource.serviceName, sampling.type" in caplog.text
    assert site.reloads() == (1, 0)


def test_a_bad_file_is_refused_once_and_the_old_settings_go_on(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    before = site.running
    site.write("sampling: {type: Sometimes}")
    assert site.looks(5) == [False, True, False, False, False]
    assert site.running == before
    assert caplog.text.count("settings refused: sampling.type: 'Sometimes'") == 1
    assert "the old ones go on" in caplog.text
    assert site.reloads() == (0, 1)
    site.write("sampling: {type: AlwaysOff}")
    assert site.looks(3) == [False, True, False]
    assert site.running.sampling.type == "AlwaysOff"
    assert site.reloads() == (1, 1)


def test_what_the_file_names_may_come_later_than_the_file(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.refuses = "exporter.tls.caFile: '/ca.pem': can't be used"
    site.write("exporter: {tls: {caFile: /ca.pem}}")
    assert site.looks(4) == [False, True, False, False]
    assert caplog.text.count("exporter.tls.caFile") == 1
    site.refuses = "exporter.tls.caFile: '/ca.pem': is something else"
    assert site.looks(2) == [True, False]
    site.refuses = None
    assert site.looks(2) == [True, False]
    assert site.running.exporter.tls.ca_file == "/ca.pem"
    assert site.reloads() == (1, 2)


def test_a_refused_file_that_is_being_mended_is_not_read_half_written(site: Site) -> None:
    site.write("sampling: {type: Sometimes}")
    site.looks(2)
    site.path.write_text("")
    assert site.looks(1) == [False]
    site.path.write_text("sampling: {type: AlwaysOff}")
    assert site.looks(2) == [False, True]
    assert site.reloads() == (1, 1)


def test_a_reload_that_is_asked_for_is_done_at_once_and_always_told(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.live.reload()
    assert "changed: nothing" in caplog.text
    site.write("nonsense: 1")
    site.live.reload()
    site.live.reload()
    assert caplog.text.count("settings refused: nonsense: unknown key") == 2
    assert site.reloads() == (1, 2)


def test_what_needs_a_restart_is_said_until_it_is_done_or_undone(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        site.write("sampling: {type: AlwaysOn}\nlimits: {maxConnections: 5}")
        site.live.reload()
    assert caplog.text.count("wait for a restart of the agent: limits.maxConnections") == 2
    caplog.clear()
    site.write("sampling: {type: AlwaysOn}")
    site.live.reload()
    assert "restart" not in caplog.text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sampling: {type: AlwaysOn}\nspans: {requestHeaders: [X-Tenant]}", True),
        ("sampling: {type: AlwaysOn}\nprofile: Full", True),
        ("sampling: {type: AlwaysOn}\nexporter: {endpoint: 'http://other:4318'}", False),
    ],
)
def test_haproxy_must_be_told_what_its_texts_say(site: Site, caplog: pytest.LogCaptureFixture, text: str, *, told: bool) -> None:
    site.write(text)
    site.live.reload()
    site.live.reload()
    assert caplog.text.count("HAProxy must be told") == (1 if told else 0)


def test_variables_that_are_ignored_are_warned_of_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text("drainTimeout: 2s")
    file = SettingsFile(path, {"OTEL_LOG_LEVEL": "loud"})
    loaded = file.load()
    live = LiveSettings(
        file=file, loaded=loaded, apply=lambda settings: compare_settings(loaded.settings, settings), telemetry=Telemetry()
    )
    live.reload()
    assert "OTEL_LOG_LEVEL='loud' is ignored" in caplog.text


def test_how_the_settings_in_use_came_to_be_is_known(site: Site) -> None:
    assert site.live.origin == SettingsOrigin(str(site.path), {"sampling.type": "file"}, None, [])
    site.write("sampling: {type: AlwaysOff}\nlimits: {maxConnections: 7}\nresource: {serviceName: edge}")
    site.looks(3)
    # What waits for a restart is still from where it was.
    sources = {"sampling.type": "file", "resource.serviceName": "file"}
    assert site.live.origin == SettingsOrigin(str(site.path), sources, None, ["limits.maxConnections"])
    site.write("sampling: {type: Sometimes}")
    site.looks(3)
    error = site.live.origin.error
    assert error is not None
    assert error.startswith("sampling.type: 'Sometimes'")
    assert site.live.origin.sources == sources
    site.write("sampling: {type: AlwaysOff}")
    site.looks(3)
    assert site.live.origin == SettingsOrigin(str(site.path), {"sampling.type": "file"}, None, [])
