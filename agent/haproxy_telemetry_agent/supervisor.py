"""The supervisor: a process that never ends before it is told to, and keeps one worker running.

A container that exits takes its pod out of service, and HAProxy with it, although HAProxy needs no agent. So PID 1 of a sidecar is
this, and the agent is its child: when that ends, for whatever reason, it is started again in place, later and later while it keeps
ending at once. Wrong settings are such a reason too: their error is in the log, and the next worker reads the mended file.

SIGTERM and SIGINT end the worker, with time to drain, and then the supervisor. SIGHUP is handed on; while no worker runs, it starts
one at once. Orphans that PID 1 inherits are reaped.

It is run as a file by an interpreter without ``site``, and imports next to nothing, so that it stays small where the worker grows.
Signals are blocked and waited for: no handler, no race. (PID 1 has no default actions, but blocked signals reach it.)
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence

__all__ = ["RESTARTS_VARIABLE", "Supervisor", "delay_seconds", "main", "supervise"]

RESTARTS_VARIABLE = "HAPROXY_TELEMETRY_WORKER_RESTARTS"
"""Tells the worker how often it has been restarted."""

_FIRST_DELAY_SECONDS = 0.2
_MAX_DELAY_SECONDS = 15.0
_STEADY_SECONDS = 30.0
"""A worker that has lived so long has started well: its end is the first one again."""
_NEVER_SECONDS = 3600.0
_END = frozenset({signal.SIGTERM, signal.SIGINT})
_SIGNALS = _END | {signal.SIGHUP, signal.SIGCHLD}
_OK, _FAILED = 0, 1


def delay_seconds(ends: int) -> float:
    """How long to wait after so many ends in a row, the first being 1: from 0.2 to 15 s."""
    return min(_FIRST_DELAY_SECONDS * 2.0 ** min(ends - 1, 16), _MAX_DELAY_SECONDS)


class Supervisor:
    """Runs one worker after the other.

    Args:
        command: the worker's; the first is a program's path.
        environ: its environment, but for ``RESTARTS_VARIABLE``.
        kill_after_seconds: how long it may take to end after SIGTERM.
        log: takes one line.
    """

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str], *, kill_after_seconds: float, log: Callable[[str], None]
    ) -> None:
        self._command = command
        self._environ = environ
        self._kill_after_seconds = kill_after_seconds
        self._log = log
        self._pid: int | None = None
        self._started_seconds = 0.0
        self._restarts = -1
        self._ends = 0
        self._ending = False
        self._exit_code = _OK
        self._due_seconds: float | None = 0.0
        """When the next thing is to be done: a start, or the kill of a worker that does not end."""

    def run(self) -> int:
        """Run until told to end; returns the exit code: 0 if the last worker ended well."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        while not self._ending or self._pid is not None:
            now_seconds = time.monotonic()
            if self._due_seconds is not None and now_seconds >= self._due_seconds:
                self._due_seconds = None
                self._act()
                continue
            wait_seconds = _NEVER_SECONDS if self._due_seconds is None else self._due_seconds - now_seconds
            received = signal.sigtimedwait(_SIGNALS, wait_seconds)
            if received is not None:
                self._receive(received.si_signo)
        return self._exit_code

    def _act(self) -> None:
        if not self._ending:
            self._start()
        elif self._pid is not None:
            self._log(f"worker {self._pid} has not ended within {self._kill_after_seconds:g} s and is killed")
            os.kill(self._pid, signal.SIGKILL)

    def _start(self) -> None:
        self._restarts += 1
        self._started_seconds = time.monotonic()
        environ = {**self._environ, RESTARTS_VARIABLE: str(self._restarts)}
        try:
            self._pid = os.posix_spawn(self._command[0], list(self._command), environ, setsigmask=(), setsigdef=_SIGNALS)
        except OSError as error:
            self._ended(f"the worker can't be started: {error.strerror}")
        else:
            self._log(f"worker {self._pid} started")

    def _receive(self, number: int) -> None:
        if number == signal.SIGCHLD:
            self._reap()
        elif number == signal.SIGHUP:
            if self._pid is not None:
                os.kill(self._pid, signal.SIGHUP)
            elif not self._ending:
                self._due_seconds = 0.0
        elif not self._ending:
            self._ending = True
            if self._pid is not None:
                os.kill(self._pid, signal.SIGTERM)
                self._due_seconds = time.monotonic() + self._kill_after_seconds

    def _reap(self) -> None:
        """One SIGCHLD may stand for several ends."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._pid:
                self._pid = None
                code = os.waitstatus_to_exitcode(status)
                how = f"exit code {code}" if code >= 0 else f"signal {-code}"
                if self._ending:
                    # SIGTERM ends a worker that has not yet begun: nothing was lost.
                    self._exit_code = _OK if code in {0, -signal.SIGTERM} else _FAILED
                else:
                    self._ended(f"worker {pid} ended with {how}")

    def _ended(self, what: str) -> None:
        now_seconds = time.monotonic()
        self._ends = 1 if now_seconds - self._started_seconds >= _STEADY_SECONDS else self._ends + 1
        delay = delay_seconds(self._ends)
        self._due_seconds = now_seconds + delay
        self._log(f"{what}; restart {self._restarts + 1} in {delay:g} s")


def supervise(worker: Sequence[str], *, kill_after_seconds: float) -> None:
    """Become the supervisor of ``haproxy-telemetry-agent <worker>``: this process goes on as another program, and never returns."""
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, "-P", "-m", "haproxy_telemetry_agent", *worker]
    os.execv(sys.executable, [sys.executable, "-I", "-S", __file__, str(kill_after_seconds), *command])  # noqa: S606 - ourselves


def main(arguments: Sequence[str]) -> int:
    """``kill_after_seconds`` and the worker's command; returns the exit code."""
    kill_after_seconds, *command = arguments

    def log(line: str) -> None:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        # Who reads our log may be gone: no reason to end.
        with contextlib.suppress(OSError):
            os.write(2, f"{moment} haproxy-telemetry-agent supervisor: {line}\n".encode())

    return Supervisor(command, os.environ, kill_after_seconds=float(kill_after_seconds), log=log).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
