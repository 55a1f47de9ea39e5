"""Names are looked up without anybody waiting for it at the end."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from haproxy_telemetry_agent.export.resolver import Resolver


async def test_the_systems_answers() -> None:
    (found, *_) = await Resolver().resolve("localhost", 4318, socket.AF_INET)
    assert (found["hostname"], found["host"], found["port"], found["family"]) == ("localhost", "127.0.0.1", 4318, socket.AF_INET)
    await Resolver().close()


async def test_an_address_of_a_link_keeps_its_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    address = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 4318, 0, 7))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address])
    (found,) = await Resolver().resolve("collector", 4318, socket.AF_INET6)
    assert found["host"] == "fe80::1%7"


async def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(OSError, match="Name or service not known"):
        await Resolver().resolve("collector")


async def test_one_that_hangs_is_in_no_thread_that_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, asked = threading.Event(), threading.Event()

    def hang(*_: Any, **__: Any) -> list[Any]:
        asked.set()
        answer.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    task = asyncio.create_task(Resolver().resolve("collector"))
    await asyncio.to_thread(asked.wait, 5)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "export"]
    assert thread.daemon
    task.cancel()
    answer.set()
