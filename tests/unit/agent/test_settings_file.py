"""The settings file: a change counts when it has stayed for two looks."""

import os
from pathlib import Path

import pytest

from haproxy_telemetry_agent.settings import SettingsError
from haproxy_telemetry_agent.settings_file import SettingsFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "agent.yaml"
    path.write_text("drainTimeout: 1s")
    return path


@pytest.fixture
def file(path: Path) -> SettingsFile:
    file = SettingsFile(path, {"OTEL_LOG_LEVEL": "debug"})
    file.load()
    return file


def replace(path: Path, text: str) -> None:
    other = path.with_suffix(".new")
    other.write_text(text)
    other.replace(path)


def looks(file: SettingsFile, count: int = 3) -> list[bool]:
    return [file.changed() for _ in range(count)]


def test_the_file_lies_over_the_environment(file: SettingsFile) -> None:
    loaded = file.load()
    assert (loaded.settings.drain_timeout, loaded.settings.log.level) == ("1s", "debug")


def test_what_stays_has_not_changed(file: SettingsFile) -> None:
    assert looks(file) == [False, False, False]


def test_a_change_counts_at_the_second_look_until_it_is_read(file: SettingsFile, path: Path) -> None:
    replace(path, "drainTimeout: 2s")
    assert looks(file) == [False, True, True]
    assert file.load().settings.drain_timeout == "2s"
    assert looks(file) == [False, False, False]


def test_a_file_that_is_still_being_written_waits(file: SettingsFile, path: Path) -> None:
    for text in ("", "drain", "drainTimeout: 3s"):
        path.write_text(text)
        assert not file.changed()
    assert file.changed()
    assert file.load().settings.drain_timeout == "3s"


def test_the_same_size_at_another_time_is_a_change(file: SettingsFile, path: Path) -> None:
    path.write_text("drainTimeout: 4s")
    os.utime(path, ns=(1, 1))
    assert looks(file, 2) == [False, True]


def test_a_link_that_leads_elsewhere_is_a_change(tmp_path: Path) -> None:
    """As a ConfigMap's volume does it: agent.yaml -> ..data/agent.yaml, ..data -> ..2026_1."""
    for name, text in (("..2026_1", "drainTimeout: 1s"), ("..2026_2", "drainTimeout: 2s")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "agent.yaml").write_text(text)
        os.utime(tmp_path / name / "agent.yaml", ns=(1, 1))
    data = tmp_path / "..data"
    data.symlink_to("..2026_1")
    (tmp_path / "agent.yaml").symlink_to("..data/agent.yaml")
    file = SettingsFile(tmp_path / "agent.yaml", {})
    assert file.load().settings.drain_timeout == "1s"
    (tmp_path / "..data_tmp").symlink_to("..2026_2")
    (tmp_path / "..data_tmp").replace(data)
    assert looks(file, 2) == [False, True]
    assert file.load().settings.drain_timeout == "2s"


def test_a_file_that_is_gone_is_an_error_once(file: SettingsFile, path: Path) -> None:
    path.unlink()
    assert looks(file, 2) == [False, True]
    with pytest.raises(SettingsError, match="can't be read: No such file"):
        file.load()
    assert looks(file) == [False, False, False]


def test_a_bad_file_is_an_error_once_and_mended_by_a_change(file: SettingsFile, path: Path) -> None:
    replace(path, "drainTimeout: soon")
    assert looks(file, 2) == [False, True]
    with pytest.raises(SettingsError, match="drainTimeout: 'soon'"):
        file.load()
    assert looks(file) == [False, False, False]
    replace(path, "drainTimeout: 2s")
    assert looks(file, 2) == [False, True]
    assert file.load().settings.drain_timeout == "2s"


def test_without_a_file_nothing_changes() -> None:
    file = SettingsFile(None, {"OTEL_LOG_LEVEL": "debug"})
    assert file.load().settings.log.level == "debug"
    assert looks(file) == [False, False, False]
