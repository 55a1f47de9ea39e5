"""What holds for all tests."""

import asyncio


def pytest_configure() -> None:
    # pytest-asyncio asks for the current event loop at its first test, and leaves one behind that nobody closes: with warnings as
    # errors, whichever test runs when it is collected would fail for it.
    asyncio.set_event_loop(None)
