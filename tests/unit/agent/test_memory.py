"""The memory bound: when spans are shed, and when no longer."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.memory import MemoryGuard, read_rss_bytes, return_free_memory

MAX = 1000


class Process:
    """One whose memory is what a test says."""

    def __init__(self) -> None:
        self.used_bytes: int | None = 0
        self.waiting = 1
        self.acts: list[str] = []
        self.guard = MemoryGuard(
            max_bytes=MAX,
            read=lambda: self.used_bytes,
            waiting=lambda: self.waiting,
            shed=lambda: self.acts.append("shed"),
            resume=lambda: self.acts.append("resume"),
            release=lambda: self.acts.append("release"),
        )

    def check(self, *used_bytes: int | None) -> list[str]:
        self.acts.clear()
        for used in used_bytes:
            self.used_bytes = used
            self.guard.check()
        return self.acts


@pytest.mark.parametrize(
    ("used_bytes", "acts"),
    [
        ([0, MAX, 500], []),
        ([MAX + 1], ["shed", "release"]),
        ([MAX + 1, MAX + 1], ["shed", "release", "shed", "release"]),
        ([MAX + 1, 950, 900], ["shed", "release"]),
        ([MAX + 1, 899], ["shed", "release", "resume"]),
        ([MAX + 1, 899, 950, MAX], ["shed", "release", "resume"]),
        ([None, None], []),
    ],
)
def test_what_is_done(used_bytes: list[int | None], acts: list[str]) -> None:
    assert Process().check(*used_bytes) == acts


def test_with_nothing_left_to_drop_below_the_limit_is_enough() -> None:
    process = Process()
    process.waiting = 0
    assert process.check(MAX + 1, MAX + 1, MAX) == ["shed", "release", "shed", "release", "resume"]


@given(used_bytes=st.lists(st.integers(0, 2 * MAX), min_size=1))
def test_above_the_limit_it_always_sheds_and_well_below_never(used_bytes: list[int]) -> None:
    process = Process()
    process.check(*used_bytes)
    if used_bytes[-1] > MAX:
        assert process.guard.shedding
        assert process.acts[-2:] == ["shed", "release"]
    elif used_bytes[-1] < MAX * 0.9:
        assert not process.guard.shedding


def test_it_is_told_once_each_way(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Process().check(MAX + 1, MAX + 1, MAX + 1, 10, 10)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_the_kernel_knows_what_we_take() -> None:
    before = read_rss_bytes()
    held = bytearray(b"x") * (64 << 20)
    after = read_rss_bytes()
    assert before is not None
    assert after is not None
    assert 48 << 20 < after - before < 80 << 20
    del held
    return_free_memory()
