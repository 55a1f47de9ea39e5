"""The window into a running agent: what the service knows, made into what the pages below ``/debug`` show.

It only ever looks: the settings in use, the metrics, and the exchanges that the pipeline hands to ``recent``.
"""

import asyncio
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping

from .debug import Recent
from .debug.agent_view import AgentView, Identity, view_agent
from .debug.counters import Family, read_values
from .debug.exchange_view import ExchangeView, view_exchange
from .debug.pages import DebugPages
from .debug.recent import Made
from .exporters import describe_destinations
from .samplers import follows_parent
from .settings import Settings, SettingsOrigin, without_credentials
from .tracing.attributes import AttributeBuilder
from .version import VERSION

__all__ = ["Window"]

_TURN_SECONDS = 600.0


class Window:
    """What debug pages need.

    Args:
        settings: those in use.
        attributes: what spans would say.
        service_name: whose spans they are.
        collect: the metrics.
        listening: the addresses, by what they are for.

    Attributes:
        recent: remembers exchanges.
        pages: show them.
        origin: says how the settings came to be.
    """

    def __init__(
        self,
        *,
        settings: Callable[[], Settings],
        attributes: Callable[[], AttributeBuilder],
        service_name: Callable[[], str],
        collect: Callable[[], Iterable[Family]],
        listening: Mapping[str, str],
    ) -> None:
        self.recent = Recent()
        self.origin: Callable[[], SettingsOrigin] = SettingsOrigin
        self._settings = settings
        self._attributes = attributes
        self._service_name = service_name
        self._collect = collect
        self._listening = dict(listening)
        self._started_unix_seconds = time.time()
        self._turning: asyncio.TimerHandle | None = None
        self.pages = DebugPages(
            recent=self.recent,
            settings=lambda: self._settings().debug,
            view_agent=self._view_agent,
            view_exchange=self._view_exchange,
        )

    def start(self) -> None:
        """Let what was slow be forgotten in time."""
        self._turning = asyncio.get_running_loop().call_later(_TURN_SECONDS, self._turn)

    def stop(self) -> None:
        """Forget nothing any more."""
        if self._turning is not None:
            self._turning.cancel()

    def recent_if_wanted(self) -> Recent | None:
        """What is to remember exchanges; None, and nothing is remembered any more, if nobody may look."""
        if self._settings().debug.enabled:
            return self.recent
        self.recent.clear()
        return None

    def _turn(self) -> None:
        self.recent.turn()
        self.start()

    def _view_agent(self, tails: int) -> AgentView:
        settings = self._settings()
        identity = Identity(
            service_name=self._service_name(),
            version=VERSION,
            python=platform.python_version(),
            pid=os.getpid(),
            started_unix_seconds=self._started_unix_seconds,
            listening=self._listening,
            exports_to=without_credentials(describe_destinations(settings)),
        )
        return view_agent(
            identity,
            settings,
            self.origin(),
            read_values(self._collect()),
            now_unix_seconds=time.time(),
            tails=tails,
            exchanges_passed_over=self.recent.passed_over,
        )

    def _view_exchange(self, made: Made, *, with_spans: bool) -> ExchangeView:
        parents = follows_parent(self._settings().sampling)
        return view_exchange(made, self._attributes(), follows_parent=parents, with_spans=with_spans)
