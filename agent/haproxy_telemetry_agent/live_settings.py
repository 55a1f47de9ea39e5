"""Settings that change while the agent runs: looked for, read again, taken or refused, and told of.

A file that can't be used changes nothing. It is tried again quietly, because what it names (a certificate, the file of routes) may
come later than itself.
"""

import logging
from collections.abc import Callable

from .planning import make_plan
from .settings import Change, Loaded, Settings, SettingsError, SettingsOrigin
from .settings_file import SettingsFile
from .telemetry import Telemetry
from .wiring import Plan

__all__ = ["LiveSettings"]

_logger = logging.getLogger(__name__)


class LiveSettings:
    """Keeps an agent at what its file says.

    Args:
        file: the settings file.
        loaded: what it said at start.
        apply: takes new settings, or raises SettingsError and takes none of them.
        telemetry: counts.
    """

    def __init__(self, *, file: SettingsFile, loaded: Loaded, apply: Callable[[Settings], Change], telemetry: Telemetry) -> None:
        self._file = file
        self._wanted = loaded.settings
        self._sources = loaded.sources
        self._waiting: list[str] = []
        self._apply = apply
        self._telemetry = telemetry
        self._error: str | None = None

    @property
    def origin(self) -> SettingsOrigin:
        """How the settings in use came to be."""
        path = None if self._file.path is None else str(self._file.path)
        return SettingsOrigin(path, self._sources, self._error, self._waiting)

    def look(self) -> bool:
        """Read the file again if it is another one, or was refused; whether something came of it."""
        changed = self._file.changed()
        if not changed and (self._error is None or not self._file.settled):
            return False
        return self._read(quiet_about=None if changed else self._error)

    def reload(self) -> None:
        """Read the file again, whatever it is."""
        self._read(quiet_about=None)

    def _read(self, *, quiet_about: str | None) -> bool:
        try:
            loaded = self._file.load()
            change = self._apply(loaded.settings)
        except SettingsError as error:
            self._error = str(error)
        else:
            self._error = None
        if self._error is not None:
            if self._error == quiet_about:
                return False
            _logger.error("settings refused: %s; the old ones go on", self._error)
            self._telemetry.reloaded(ok=False)
            return True
        self._telemetry.reloaded(ok=True)
        self._tell(loaded, change)
        return True

    def _tell(self, loaded: Loaded, change: Change) -> None:
        before, self._wanted = self._wanted, loaded.settings
        waiting = {field.partition(".")[0] for field in change.restart}
        self._sources = {
            field: source
            for sources, is_waiting in ((self._sources, True), (loaded.sources, False))
            for field, source in sources.items()
            if (field.partition(".")[0] in waiting) is is_waiting
        }
        self._waiting = change.restart
        for warning in loaded.warnings:
            _logger.warning("%s", warning)
        _logger.info("settings read again; changed: %s", ", ".join(change.live) or "nothing")
        if change.restart:
            _logger.warning("settings that wait for a restart of the agent: %s", ", ".join(change.restart))
        if _plan(before) != _plan(self._wanted):
            _logger.warning("HAProxy must be told: print its texts anew by `haproxy-telemetry-agent config`, and reload it")


def _plan(settings: Settings) -> Plan:
    return make_plan(settings, spoe_path="")
