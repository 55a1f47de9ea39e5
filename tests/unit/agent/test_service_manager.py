"""What systemd is told, on a socket of its kind."""

import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from haproxy_telemetry_agent.service_manager import ServiceManager


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{tmp_path}/notify" if request.param == "path" else f"@haproxy-telemetry-{secrets.token_hex(8)}"


@pytest.fixture
def listening(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address.replace("@", "\0"))
        listening.setblocking(False)
        yield listening


def test_each_state_is_one_datagram(listening: socket.socket, address: str) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": address}, pid=1)
    manager.ready()
    manager.reloading(12.345678901)
    manager.stopping()
    manager.alive()
    assert [listening.recv(100) for _ in range(4)] == [
        b"READY=1",
        b"RELOADING=1\nMONOTONIC_USEC=12345678",
        b"STOPPING=1",
        b"WATCHDOG=1",
    ]


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/no/such"}, {"NOTIFY_SOCKET": "vsock:2:1"}])
def test_nobody_there_is_no_error(environ: dict[str, str]) -> None:
    ServiceManager(environ, pid=1).ready()


def test_a_manager_that_does_not_read_never_makes_us_wait(listening: socket.socket, address: str) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": address}, pid=1)
    for _ in range(5_000):
        manager.alive()
    assert listening.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_ours_if_it_names_us(environ: dict[str, str], seconds: float | None) -> None:
    assert ServiceManager({"NOTIFY_SOCKET": "/x", **environ}, pid=7).watchdog_seconds == seconds
    assert ServiceManager(environ, pid=7).watchdog_seconds is None
