"""What a process has used: CPU time, to the nanosecond and with all its threads, and memory."""

import ctypes
import os
import time
from pathlib import Path

__all__ = ["cpu_seconds", "resident_mebibytes"]

_libc = ctypes.CDLL(None, use_errno=True)


def cpu_seconds(process_id: int) -> float:
    """User and system time of a whole process, ended threads included.

    From the process's CPU-time clock: ``/proc/PID/stat`` counts in steps of 10 ms.
    """
    clock_id = ctypes.c_int()
    error = _libc.clock_getcpuclockid(process_id, ctypes.byref(clock_id))
    if error:
        raise OSError(error, f"no CPU clock of process {process_id}: {os.strerror(error)}")
    return time.clock_gettime(clock_id.value)


def resident_mebibytes(process_id: int) -> float:
    """Resident set size."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(f"process {process_id} has no memory")
