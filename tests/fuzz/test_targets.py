"""A short run of every target of the fuzzers: what they begin with, what they have found, and bytes near to it."""

import logging
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
SEEDS = sorted(path for path in CORPUS.rglob("*") if path.is_file())

each_target = pytest.mark.parametrize("name", TARGETS)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """What is said of bad input is of no interest here."""
    caplog.set_level(logging.CRITICAL)


def test_every_target_has_something_to_begin_with() -> None:
    assert {path.parent.name for path in SEEDS} == set(TARGETS)
    assert all(path.stat().st_size <= 2048 for path in SEEDS), "the corpus is to stay small"


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_corpus(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


@each_target
@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
def test_any_bytes(name: str, data: bytes) -> None:
    TARGETS[name](data)


@each_target
@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.data())
def test_anything_within_what_is_right(name: str, changes: st.DataObject) -> None:
    """Some bytes of a seed replaced, taken out, or put in between."""
    data = changes.draw(st.sampled_from([path.read_bytes() for path in SEEDS if path.parent.name == name]))
    for _ in range(changes.draw(st.integers(1, 3))):
        start = changes.draw(st.integers(0, len(data)))
        end = changes.draw(st.integers(start, min(len(data), start + 8)))
        data = data[:start] + changes.draw(st.binary(max_size=8)) + data[end:]
    TARGETS[name](data)
