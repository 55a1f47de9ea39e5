"""A worker is one of several agents that share the ports of HAProxy's two channels.

No exchange is kept in an agent: any worker can take any event and any record, so the kernel deals HAProxy's connections out among
them (SO_REUSEPORT), and none knows of the others. What can't be shared is the HTTP endpoint, because each worker counts for itself:
worker ``n`` has it ``n`` ports higher. Nor is a directory on disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import msgspec

from .settings import SettingsError
from .settings.model import Listen
from .supervisor import WORKER_VARIABLE

__all__ = ["Worker"]


@dataclass(frozen=True, slots=True)
class Worker:
    """Which one of how many: the first is number 0."""

    number: int = 0
    count: int = 1

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """As the supervisor says; the only one, if it says nothing."""
        number, _, count = environ.get(WORKER_VARIABLE, "").partition("/")
        if number.isascii() and number.isdecimal() and count.isascii() and count.isdecimal() and int(number) < int(count):
            return cls(int(number), int(count))
        return cls()

    @property
    def shares(self) -> bool:
        """Whether there are others."""
        return self.count > 1

    def own_path(self, path: str) -> str:
        """Where this one has what can't be shared: the first has it where the settings say."""
        return f"{path}.{self.number}" if self.number else path

    def addresses(self, listen: Listen) -> Listen:
        """Where this one listens.

        Raises:
            SettingsError: the settings' addresses can't be shared by so many.
        """
        if not self.shares:
            return listen
        for name, address in (("spop", listen.spop), ("records", listen.records)):
            if address.startswith("unix:"):
                raise SettingsError(
                    f"listen.{name}: {address!r}: a unix socket can't be shared by {self.count} workers: use host:port"
                )
        if listen.http.startswith("unix:"):
            return msgspec.structs.replace(listen, http=self.own_path(listen.http))
        host, _, port = listen.http.rpartition(":")
        ports = range(int(port), int(port) + self.count)
        taken = {int(address.rpartition(":")[2]) for address in (listen.spop, listen.records)}
        if ports[-1] > 65_535 or not taken.isdisjoint(ports):
            reason = f"{self.count} workers need the ports {ports[0]} to {ports[-1]}: choose a port with so many free ones above it"
            raise SettingsError(f"listen.http: {listen.http!r}: {reason}")
        return msgspec.structs.replace(listen, http=f"{host}:{ports[self.number]}")
