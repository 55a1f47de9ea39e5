"""The supervisor: a process that never ends before it is told to, and keeps workers running: one, or as many as it was told.

A container that exits takes its pod out of service, and HAProxy with it, although HAProxy needs no agent. So PID 1 of a sidecar is
this, and the agent is its child: when that ends, for whatever reason, it is started again in place, later and later while it keeps
ending at once. Wrong settings are such a reason too: their error is in the log, and the next worker reads the mended file.

SIGTERM and SIGINT end the workers, with time to drain, and then the supervisor. SIGHUP is handed on; a worker that does not run is
started at once. Orphans that PID 1 inherits are reaped.

It is run as a file by an interpreter without ``site``, and imports next to nothing, so that it stays small where the worker grows.
Signals are blocked and waited for: no handler, no race. (PID 1 has no default actions, but blocked signals reach it.)
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence

__all__ = ["RESTARTS_VARIABLE", "WORKER_VARIABLE", "Supervisor", "delay_seconds", "main", "supervise"]

RESTARTS_VARIABLE = "HAPROXY_TELEMETRY_WORKER_RESTARTS"
"""Tells a worker how often it has been restarted."""
WORKER_VARIABLE = "HAPROXY_TELEMETRY_WORKER"
"""Tells a worker which of them it is, such as ``0/4``, the first of four."""

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


class _Worker:
    """One place for a worker, and who is there."""

    __slots__ = ("due_seconds", "ends", "number", "pid", "restarts", "started_seconds")

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid: int | None = None
        self.started_seconds = 0.0
        self.restarts = -1
        self.ends = 0
        """In a row, each soon after its start."""
        self.due_seconds: float | None = 0.0
        """When the next thing is to be done: a start, or the kill of a worker that does not end."""


class Supervisor:
    """Runs one worker after the other, in each of its places.

    Args:
        command: the workers'; the first is a program's path.
        environ: their environment, but for ``RESTARTS_VARIABLE`` and ``WORKER_VARIABLE``.
        kill_after_seconds: how long one may take to end after SIGTERM.
        log: takes one line.
        workers: how many run at a time.
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        *,
        kill_after_seconds: float,
        log: Callable[[str], None],
        workers: int = 1,
    ) -> None:
        self._command = command
        self._environ = environ
        self._kill_after_seconds = kill_after_seconds
        self._log = log
        self._workers = [_Worker(number) for number in range(workers)]
        self._ending = False
        self._exit_code = _OK

    def run(self) -> int:
        """Run until told to end; returns the exit code: 0 if the last workers ended well."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        while not self._ending or any(worker.pid is not None for worker in self._workers):
            now_seconds = time.monotonic()
            wait_seconds = _NEVER_SECONDS
            for worker in self._workers:
                if worker.due_seconds is not None and now_seconds >= worker.due_seconds:
                    worker.due_seconds = None
                    self._act(worker)
                if worker.due_seconds is not None:
                    wait_seconds = min(wait_seconds, max(worker.due_seconds - now_seconds, 0.0))
            received = signal.sigtimedwait(_SIGNALS, wait_seconds)
            if received is not None:
                self._receive(received.si_signo)
        return self._exit_code

    def _act(self, worker: _Worker) -> None:
        if not self._ending:
            self._start(worker)
        elif worker.pid is not None:
            self._log(f"worker {worker.pid} has not ended within {self._kill_after_seconds:g} s and is killed")
            os.kill(worker.pid, signal.SIGKILL)

    def _start(self, worker: _Worker) -> None:
        worker.restarts += 1
        worker.started_seconds = time.monotonic()
        environ = {
            **self._environ,
            RESTARTS_VARIABLE: str(worker.restarts),
            WORKER_VARIABLE: f"{worker.number}/{len(self._workers)}",
        }
        try:
            worker.pid = os.posix_spawn(self._command[0], list(self._command), environ, setsigmask=(), setsigdef=_SIGNALS)
        except OSError as error:
            self._ended(worker, f"the worker can't be started: {error.strerror}")
        else:
            self._log(f"worker {worker.pid} started")

    def _receive(self, number: int) -> None:
        if number == signal.SIGCHLD:
            self._reap()
        elif number == signal.SIGHUP:
            for worker in self._workers:
                if worker.pid is not None:
                    os.kill(worker.pid, signal.SIGHUP)
                elif not self._ending:
                    worker.due_seconds = 0.0
        elif not self._ending:
            self._ending = True
            for worker in self._workers:
                worker.due_seconds = None
                if worker.pid is not None:
                    os.kill(worker.pid, signal.SIGTERM)
                    worker.due_seconds = time.monotonic() + self._kill_after_seconds

    def _reap(self) -> None:
        """One SIGCHLD may stand for several ends."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            worker = next((worker for worker in self._workers if worker.pid == pid), None)
            if worker is None:
                continue
            worker.pid = None
            code = os.waitstatus_to_exitcode(status)
            if self._ending:
                worker.due_seconds = None
                # SIGTERM ends a worker that has not yet begun: nothing was lost.
                if code not in {0, -signal.SIGTERM}:
                    self._exit_code = _FAILED
            else:
                how = f"exit code {code}" if code >= 0 else f"signal {-code}"
                self._ended(worker, f"worker {pid} ended with {how}")

    def _ended(self, worker: _Worker, what: str) -> None:
        now_seconds = time.monotonic()
        worker.ends = 1 if now_seconds - worker.started_seconds >= _STEADY_SECONDS else worker.ends + 1
        delay = delay_seconds(worker.ends)
        worker.due_seconds = now_seconds + delay
        self._log(f"{what}; restart {worker.restarts + 1} in {delay:g} s")


def supervise(worker: Sequence[str], *, kill_after_seconds: float, workers: int = 1) -> None:
    """Become the supervisor of ``haproxy-telemetry-agent <worker>``: this process goes on as another program, and never returns."""
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, "-P", "-m", "haproxy_telemetry_agent", *worker]
    arguments = [str(kill_after_seconds), str(workers), *command]
    os.execv(sys.executable, [sys.executable, "-I", "-S", __file__, *arguments])  # noqa: S606 - ourselves


def main(arguments: Sequence[str]) -> int:
    """``kill_after_seconds``, how many workers, and their command; returns the exit code."""
    kill_after_seconds, workers, *command = arguments

    def log(line: str) -> None:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        # Who reads our log may be gone: no reason to end.
        with contextlib.suppress(OSError):
            os.write(2, f"{moment} haproxy-telemetry-agent supervisor: {line}\n".encode())

    supervisor = Supervisor(command, os.environ, kill_after_seconds=float(kill_after_seconds), log=log, workers=int(workers))
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
