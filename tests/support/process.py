"""A process is a child program with its own process group, whose every line is kept.

It is ended by its own id and nothing else, first politely (SIGTERM), after a limit with its whole group (SIGKILL). Whoever waits
for something the process should bring about waits with `while_alive`, and so hears at once, in the process' own words, that it
has died instead.
"""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

__all__ = ["Process", "ProcessEndedError"]

T = TypeVar("T")

_LONGEST_LINE_BYTES = 1 << 20
_NEVER_STARTED = 127  # as a shell says of a program that it cannot find
_END_AFTER_ERROR_SECONDS = 0.5  # a broken connection is often the first sign of an end; its reason is in the log


class ProcessEndedError(Exception):
    """A process ended by itself while something was still expected of it."""

    def __init__(self, name: str, status: int | None, lines: Sequence[str]) -> None:
        super().__init__(f"{name} ended with status {status}" + (": " + lines[-1] if lines else " and not a word"))
        self.status = status
        self.lines = tuple(lines)


class Process:
    """A child program: `async with Process(...)` starts it and ends it."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str | Path],
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.lines: list[str] = []
        """What it wrote, to standard output and standard error together, in order."""
        self._arguments = arguments
        self._folder = folder
        self._environment = environment
        self._pass_fds = pass_fds
        self._child: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()

    async def start(self) -> None:
        """Starts the program; that it is ready for anything is for the caller to find out."""
        self._child = await asyncio.create_subprocess_exec(
            *map(str, self._arguments),
            cwd=self._folder,
            env=self._environment,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            pass_fds=self._pass_fds,
            start_new_session=True,  # Ctrl-C in the terminal is for the parent, which ends its children in order
            limit=_LONGEST_LINE_BYTES,
        )
        self._reader = asyncio.create_task(self._read(self._child), name=f"log of {self.name}")

    async def _read(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdout is not None
        async for line in child.stdout:
            await self._add(line.decode(errors="replace").rstrip())
        await child.wait()
        async with self._changed:
            self._changed.notify_all()

    async def _add(self, line: str) -> None:
        async with self._changed:
            self.lines.append(line)
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        """The program's process id, which is also its group's."""
        assert self._child is not None, f"{self.name} was not started"
        return self._child.pid

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal; None while it runs or before it was started."""
        return None if self._child is None else self._child.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal to the program itself."""
        os.kill(self.pid, number)

    async def wait_for_line(self, *wanted: str, since: int = 0, timeout_seconds: float = 5.0) -> str:
        """The first line from number `since` on that has one of the wanted texts in it."""

        def found() -> str | None:
            return next((line for line in self.lines[since:] if any(text in line for text in wanted)), None)

        async def wait() -> str | None:
            async with self._changed:
                return await self._changed.wait_for(found)

        line = await self.while_alive(wait(), timeout_seconds=timeout_seconds, what=f"a line with {' or '.join(map(repr, wanted))}")
        assert line is not None
        return line

    async def while_alive(self, work: Coroutine[Any, Any, T], *, what: str, timeout_seconds: float = 5.0) -> T:
        """What `work` gives; ProcessEndedError as soon as the process ends first, TimeoutError when both take too long."""
        assert self._reader is not None, f"{self.name} was not started"
        task = asyncio.create_task(work)
        try:
            await asyncio.wait({task, self._reader}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
            if task.done() and isinstance(task.exception(), OSError):
                await asyncio.wait({self._reader}, timeout=_END_AFTER_ERROR_SECONDS)
            if task.done() and not (task.exception() and self._reader.done()):
                return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._reader.done():
            raise ProcessEndedError(self.name, self.status, self.lines)
        raise TimeoutError(f"{self.name}: {what}: not so within {timeout_seconds:g} s; its last words: {self.lines[-3:]}")

    async def ended(self, *, timeout_seconds: float = 5.0) -> int:
        """Waits until the program ends by itself; its exit status."""
        assert self._child is not None, f"{self.name} was not started"
        assert self._reader is not None
        async with asyncio.timeout(timeout_seconds):
            await asyncio.shield(self._reader)
        return await self._child.wait()

    async def stop(self, *, timeout_seconds: float = 5.0) -> int:
        """Ends the program and gives its exit status. A program that ignores SIGTERM is killed with its group."""
        if self._child is None or self._reader is None:
            return _NEVER_STARTED
        if self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.send_signal(signal.SIGTERM)
                self.send_signal(signal.SIGCONT)  # a program that a test has stopped hears the SIGTERM only then
        try:
            await asyncio.wait_for(asyncio.shield(self._reader), timeout_seconds)
        except TimeoutError:  # the program, or one that it started and that still writes to its log
            os.killpg(self.pid, signal.SIGKILL)
            await self._reader
        return await self._child.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
