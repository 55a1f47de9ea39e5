"""A real HAProxy, made from a text: `async with HAProxy(config, folder, binary=...)` is one that runs.

Its configuration is checked first, and an HAProxy that refuses it says why in its own words. It is ready when its admin socket
answers. That socket is opened here and handed over, so the question can be asked before HAProxy is there to answer it, and
nothing has to be asked twice. After the end the ports must be free again: HAProxy binds with SO_REUSEPORT, and one that was left
over would silently take a share of the next test's connections.
"""

import asyncio
import csv
import re
import signal
import socket
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from support.haproxies import FoundHAProxy, found_haproxies, haproxy_at
from support.ports import free_port, is_free
from support.probe import until
from support.process import Process, ProcessEndedError

__all__ = [
    "FoundHAProxy",
    "HAProxy",
    "HAProxyConfigError",
    "ProcessEndedError",
    "found_haproxies",
    "free_port",
    "haproxy_at",
]

_ADMIN_SECTION = "global\n    stats socket fd@{fd} level admin expose-fd listeners\n"
_BIND = re.compile(r"^\s*bind\s+(?:ipv[46]@)?(?P<address>[\d.]*|\[[\da-f:]+\]|\*|localhost):(?P<port>\d+)\b", re.MULTILINE)
_NEW_WORKER = re.compile(r"(?:New|new) worker \((\d+)\)")
_LOADED = "Loading success"
_NOT_LOADED = ("Loading failure", "Failed to load worker")


class HAProxyConfigError(Exception):
    """HAProxy does not take a configuration; the message is its own."""


class HAProxy:
    """A configuration that runs in an HAProxy of its own."""

    def __init__(
        self,
        config: str,
        folder: Path,
        *,
        binary: Path | str,
        files: Mapping[str, str] | None = None,
        extra_configs: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        master_worker: bool = False,
        name: str = "haproxy",
    ) -> None:
        """`files` are written beside the configuration (the working directory, so that it may call them by name);
        each of `extra_configs` is given to HAProxy too, after the configuration, with a `-f` of its own.
        """
        self.name = name
        self.folder = folder
        self.config = config
        self._binary = Path(binary).absolute()  # HAProxy runs in a folder of its own
        self._files = dict(files or {})
        self._extra_configs = dict(extra_configs or {})
        self._environment = environment
        self._master_worker = master_worker
        self._socket_folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        """The running program; the master in master-worker mode."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process

    @property
    def log(self) -> list[str]:
        """Every line HAProxy wrote to its standard output and error since its start."""
        return self.process.lines

    @property
    def admin_socket(self) -> Path:
        """The unix socket that takes HAProxy's runtime commands."""
        assert self._socket_folder is not None, f"{self.name} was not started"
        return Path(self._socket_folder.name) / "admin.sock"

    @property
    def master_socket(self) -> Path:
        """The unix socket that takes the master's commands, in master-worker mode."""
        return self.admin_socket.with_name("master.sock")

    @property
    def bound(self) -> list[tuple[str, int]]:
        """The addresses and ports of all `bind` lines."""
        text = "\n".join([self.config, *self._extra_configs.values()])
        return [(_plain_address(bind["address"]), int(bind["port"])) for bind in _BIND.finditer(text)]

    async def start(self) -> None:
        """Starts HAProxy and comes back when it answers; HAProxyConfigError when it does not take its configuration."""
        taken = [bound for bound in self.bound if not is_free(bound[1], bound[0])]
        if taken:
            raise HAProxyConfigError(f"{self.name}: somebody listens on {taken} already")
        self._socket_folder = tempfile.TemporaryDirectory(prefix="haproxy-")  # a unix socket's path must be short
        try:
            await self._launch()
        except BaseException:
            self._socket_folder.cleanup()
            raise

    async def _launch(self) -> None:
        with _listener(self.admin_socket) as admin, _listener(self.master_socket) as master:
            fds = [admin.fileno(), master.fileno()]
            arguments = self._write(admin.fileno())
            await self._check(arguments, fds)
            mode = ["-W", "-S", f"fd@{master.fileno()}"] if self._master_worker else ["-db"]
            self._process = Process(
                self.name, [self._binary, *mode, *arguments], folder=self.folder, environment=self._environment, pass_fds=fds
            )
            await self._process.start()
        try:
            await self._process.while_alive(self.command("show info"), what="its admin socket answers")
            if self._master_worker:
                await self._master_listens()
        except BaseException:
            await self._process.stop()
            raise

    async def _master_listens(self) -> None:
        """Comes back when the master is ready for signals: one that comes while it starts is lost."""
        await self.process.while_alive(_ask(self.master_socket, "show proc"), what="its master socket answers")

    def _write(self, admin_fd: int) -> list[str]:
        """Writes all files; the arguments that make HAProxy read those that are configurations."""
        configs = {"admin.cfg": _ADMIN_SECTION.format(fd=admin_fd), "haproxy.cfg": self.config, **self._extra_configs}
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in {**self._files, **configs}.items():
            (self.folder / name).write_text(text)
        return [argument for name in configs for argument in ("-f", name)]

    async def _check(self, arguments: list[str], fds: list[int]) -> None:
        check = await asyncio.create_subprocess_exec(
            self._binary,
            "-c",
            *arguments,
            cwd=self.folder,
            env=self._environment,
            pass_fds=fds,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
        )
        output, _ = await check.communicate()
        if check.returncode != 0:
            raise HAProxyConfigError(f"{self.name} refuses its configuration: {output.decode(errors='replace').strip()}")

    async def command(self, text: str, *, timeout_seconds: float = 5.0) -> str:
        """HAProxy's answer to a command of its admin socket, such as `show stat` or `get var proc.x`."""
        async with asyncio.timeout(timeout_seconds):
            return await _ask(self.admin_socket, text)

    async def information(self) -> dict[str, str]:
        """`show info`, by name."""
        lines = (await self.command("show info")).splitlines()
        return dict(line.split(": ", 1) for line in lines if ": " in line)

    async def statistics(self) -> dict[tuple[str, str], dict[str, str]]:
        """`show stat`: the columns by (proxy, server), where a server may be FRONTEND or BACKEND too."""
        rows = csv.DictReader((await self.command("show stat")).removeprefix("# ").splitlines())
        return {(row["pxname"], row["svname"]): row for row in rows}

    async def wait_for_server(self, backend: str, server: str, status: str, *, timeout_seconds: float = 10.0) -> None:
        """Comes back when a server's status begins with the given word (UP, DOWN, MAINT)."""

        async def has_status() -> bool:
            return (await self.statistics())[backend, server]["status"].startswith(status)

        await until(has_status, what=f"{self.name}: {backend}/{server} is {status}", timeout_seconds=timeout_seconds)

    async def reload(self, config: str | None = None) -> None:
        """Makes the master start a new worker, with a new configuration if one is given, as `systemctl reload` does.

        Comes back when the new worker answers; the old one ends by itself after its last exchange.
        """
        assert self._master_worker, "only a master has workers to replace"
        if config is not None:
            self.config = config
            (self.folder / "haproxy.cfg").write_text(config)
        start = len(self.log)
        self.process.send_signal(signal.SIGUSR2)
        outcome = await self.process.wait_for_line(_LOADED, *_NOT_LOADED, since=start)
        if _LOADED not in outcome:
            raise HAProxyConfigError(f"{self.name} refuses its new configuration: " + "\n".join(self.log[start:]))
        await self._master_listens()
        worker = next(found[1] for line in reversed(self.log) if (found := _NEW_WORKER.search(line)))

        async def new_worker_answers() -> bool:
            try:
                return (await self.information())["Pid"] == worker
            except ConnectionResetError:  # taken by the old worker on its way out
                return False

        await until(new_worker_answers, what=f"{self.name}: worker {worker} answers")

    async def stop(self, *, timeout_seconds: float = 5.0) -> None:
        """Ends HAProxy; AssertionError when it had ended by itself before, or when somebody still listens on its ports."""
        crashed = self.process.status is not None
        await self.process.stop(timeout_seconds=timeout_seconds)
        if self._socket_folder is not None:
            self._socket_folder.cleanup()
        assert not crashed, f"{self.name} had ended by itself (status {self.process.status}): {self.log[-5:]}"

        async def ports_are_free() -> bool:
            return all(is_free(port, address) for address, port in self.bound)

        try:
            await until(ports_are_free, what=f"{self.name}: nobody listens on {self.bound} any more", timeout_seconds=2.0)
        except TimeoutError as error:
            raise AssertionError(str(error)) from None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def _listener(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


async def _ask(path: Path, command: str) -> str:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(command.encode() + b"\n")
        writer.write_eof()  # a master would wait for more commands
        answer = await reader.read()
    finally:
        writer.close()
    if not answer:
        raise ConnectionResetError(f"{path.name} was closed instead of answering {command!r}")
    return answer.decode(errors="replace").strip()


def _plain_address(address: str) -> str:
    return {"*": "", "localhost": "127.0.0.1"}.get(address, address.strip("[]"))
