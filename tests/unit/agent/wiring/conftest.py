"""Golden files: the exact texts, so that a change of one is seen, and read, in review.

They are rewritten by ``REWRITE_GOLDEN=1 pytest tests/unit/agent/wiring``; look at the difference before it is committed.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def assert_golden() -> Callable[[str, str], None]:
    """Compares a text with the golden file of that name."""
    rewrite = bool(os.environ.get("REWRITE_GOLDEN"))

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if rewrite:
            path.write_text(text)
        assert text == path.read_text()

    return compare
