"""The window: what it remembers, and for how long. What it shows is tested by running the agent."""

import asyncio

import pytest

from haproxy_telemetry_agent import window as module
from haproxy_telemetry_agent.settings import Debug, Settings, parse_settings
from haproxy_telemetry_agent.telemetry import Telemetry
from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder
from haproxy_telemetry_agent.window import Window
from support.made import passed
from support.probe import until


class Agent:
    """Whose settings can change."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.window = Window(
            settings=lambda: self.settings,
            attributes=AttributeBuilder,
            service_name=lambda: "edge",
            collect=Telemetry().registry.collect,
            listening={},
        )


async def test_what_was_slow_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TURN_SECONDS", 0.01)
    window = Agent().window
    window.recent.add(*passed(Ta="900"))
    assert len(list(window.recent.slowest())) == 1
    window.start()

    async def forgotten() -> bool:
        return not list(window.recent.slowest())

    await until(forgotten, what="it is forgotten")
    window.stop()
    pending = [handle for handle in asyncio.get_running_loop()._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
    assert pending == []


def test_nothing_is_remembered_if_nobody_may_look() -> None:
    agent = Agent()
    assert agent.window.recent_if_wanted() is agent.window.recent
    agent.window.recent.add(*passed())
    agent.settings = parse_settings({"debug": {"enabled": False}})
    assert agent.settings.debug == Debug(enabled=False)
    assert agent.window.recent_if_wanted() is None
    assert list(agent.window.recent.latest()) == []
    agent.window.stop()
