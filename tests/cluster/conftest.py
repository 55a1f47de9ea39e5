"""Tests against a real API server; skipped where there is none."""

from collections.abc import AsyncIterator

import pytest

from support.cluster import Cluster, open_cluster, why_no_cluster


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    if reason := why_no_cluster():
        pytest.skip(reason)
    async with open_cluster() as opened:
        yield opened
