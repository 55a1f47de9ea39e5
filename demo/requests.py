"""The requests are a fixed set, one for each way that an exchange can go; whoever wants to can repeat them with curl."""

from dataclasses import dataclass

import aiohttp

from demo.doors import DOOR_HEADER, url

__all__ = ["REQUESTS", "DemoRequest"]

_LIMIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRequest:
    """A request that a client sends to a door of the edge."""

    name: str
    says: str
    """What happens to it."""
    path: str
    status: int | None
    """What the client must get; None when it leaves before there is an answer."""
    patience_seconds: float | None = None
    """How long the client waits before it leaves."""
    inner_untraced: bool = False
    """Whether the edge is asked to take the inner HAProxy's untraced door."""

    def curl(self, port: int) -> str:
        """The command that sends the same request."""
        options = [f"--max-time {self.patience_seconds:g}"] if self.patience_seconds else []
        options += [f"-H '{DOOR_HEADER}: untraced'"] if self.inner_untraced else []
        return " ".join(["curl", *options, url(port, self.path)])

    async def send(self, port: int) -> int | None:
        """Sends it on a connection of its own; the status of the answer, None without one."""
        timeout = aiohttp.ClientTimeout(total=self.patience_seconds or _LIMIT_SECONDS)
        headers = {DOOR_HEADER: "untraced"} if self.inner_untraced else {}
        async with aiohttp.ClientSession(timeout=timeout) as client:
            try:
                async with client.get(url(port, self.path), headers=headers) as response:
                    await response.read()
                    return response.status
            except (TimeoutError, aiohttp.ClientError):
                return None


REQUESTS = (
    DemoRequest(name="good", says="goes all the way and is answered", path="/good", status=200),
    DemoRequest(name="denied", says="is denied by a rule of the edge", path="/denied", status=403),
    DemoRequest(name="upstream error", says="meets an exception in the server", path="/error", status=500),
    DemoRequest(name="no server", says="comes to a backend that has no server left", path="/no-server", status=503),
    DemoRequest(name="slow", says="keeps the server busy for 300 ms", path="/slow", status=200),
    DemoRequest(
        name="client abort", says="is given up by its client after 100 ms", path="/slow", status=None, patience_seconds=0.1
    ),
)
