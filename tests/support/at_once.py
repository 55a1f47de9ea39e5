"""Tests that run beside each other: the mark of a coroutine that is one.

The fixture `at_once_runs` begins all of them; a test waits for its own, and tells how long it took.
"""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

__all__ = ["at_once"]

_LIMIT_SECONDS = 400


def at_once(body: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    """A test of a coroutine ``body(stage, **parameters)``."""

    async def test(at_once_runs: Any, request: pytest.FixtureRequest, record_property: Any, **_: Any) -> None:
        seconds, error = await at_once_runs[request.node.nodeid]
        record_property("seconds", seconds)
        if error is not None:
            raise error

    _first, *parameters = inspect.signature(body).parameters.values()
    own = [
        parameter for parameter in inspect.signature(test).parameters.values() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    test.__signature__ = inspect.Signature([*own, *parameters])  # type: ignore[attr-defined]
    test.__name__, test.__qualname__, test.__doc__, test.__module__ = (
        body.__name__,
        body.__qualname__,
        body.__doc__,
        body.__module__,
    )
    test.body = body  # type: ignore[attr-defined]
    marked: Callable[..., Coroutine[Any, Any, None]] = pytest.mark.asyncio(loop_scope="session")(test)
    limited: Callable[..., Coroutine[Any, Any, None]] = pytest.mark.timeout(_LIMIT_SECONDS)(marked)
    return limited
