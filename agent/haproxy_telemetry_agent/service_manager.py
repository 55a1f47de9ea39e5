"""Word to systemd of how the agent is: ready, reloading, stopping, alive. sd_notify(3), a datagram each; no library.

Without ``NOTIFY_SOCKET`` in the environment nobody wants to know. What can't be sent is lost: nothing of the agent hangs on it.
"""

import contextlib
import socket
from collections.abc import Mapping

__all__ = ["ServiceManager"]


class ServiceManager:
    """Tells the service manager, if there is one.

    Args:
        environ: ``NOTIFY_SOCKET``, ``WATCHDOG_USEC``, ``WATCHDOG_PID``.
        pid: ours.
    """

    def __init__(self, environ: Mapping[str, str], *, pid: int) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # An @ is an abstract address; others are paths, and vsock is of no use here.
        self._address = "\0" + address[1:] if address.startswith("@") else address if address.startswith("/") else None
        self.watchdog_seconds: float | None = None
        """How often it wants to hear that we are alive, at least; None if it does not."""
        microseconds = environ.get("WATCHDOG_USEC", "")
        if self._address and microseconds.isdecimal() and int(microseconds) and environ.get("WATCHDOG_PID", str(pid)) == str(pid):
            self.watchdog_seconds = int(microseconds) / 1e6

    def ready(self) -> None:
        """The agent listens, or has read its settings again."""
        self._send("READY=1")

    def reloading(self, monotonic_seconds: float) -> None:
        """It reads its settings again; ``ready`` follows. The time is CLOCK_MONOTONIC's."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(monotonic_seconds * 1e6)}")

    def stopping(self) -> None:
        """It ends."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Its loop turns."""
        self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if self._address is None:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)  # noqa: FBT003 - the socket module's own way
            sender.sendto(state.encode(), self._address)
