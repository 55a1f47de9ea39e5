"""A port is a number that nobody else will take before its listener does.

Asking the kernel for port 0 gives a number of the ephemeral range, where any outgoing connection may land between the asking
and the binding. These ports lie below that range. Each process claims them by blocks: a block is claimed by holding the UDP
port of its first number, so several test runs on one machine get different blocks, and a claim ends with its process.
"""

import itertools
import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

__all__ = ["ADDRESS", "free_port", "free_ports", "is_free"]

ADDRESS = "127.0.0.1"
"""Everything listens and connects here and nowhere else."""

_LOWEST = 10_000
_BLOCK_SIZE = 50
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL_LOW_BY_DEFAULT = 32_768


def _ephemeral_low() -> int:
    try:
        return int(_EPHEMERAL_RANGE.read_text().split()[0])
    except OSError:
        return _EPHEMERAL_LOW_BY_DEFAULT


def _claimed_blocks() -> Iterator[range]:
    """Blocks of numbers that this process alone hands out."""
    starts = list(range(_LOWEST, _ephemeral_low() - _BLOCK_SIZE, _BLOCK_SIZE))
    random.shuffle(starts)
    for start in starts:
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind((ADDRESS, start))
        except OSError:
            claim.close()
            continue
        claim.detach()  # held by its bare descriptor until the process ends
        yield range(start, start + _BLOCK_SIZE)


_pid = os.getpid()
_numbers = itertools.chain.from_iterable(_claimed_blocks())


def is_free(port: int, address: str = ADDRESS) -> bool:
    """Whether nobody listens on the port, not even a process that would share it (SO_REUSEPORT)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections in TIME_WAIT do not count
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A TCP port that is free and that no other caller, in this process or in another, is given too."""
    assert os.getpid() == _pid, "a forked process would be given its parent's ports"
    for number in _numbers:
        if is_free(number, "") and is_free(number):
            return number
    raise RuntimeError("every port below the ephemeral range is taken")


def free_ports(count: int) -> range:
    """So many in a row."""
    while True:
        ports = [free_port() for _ in range(count)]
        if ports[-1] - ports[0] == count - 1:
            return range(ports[0], ports[0] + count)
