"""What holds for all tests."""

import asyncio
import gc


def pytest_configure() -> None:
    # pytest-asyncio asks for the current event loop at its first test, and leaves one behind that nobody closes: with warnings as
    # errors, whichever test runs when it is collected would fail for it.
    asyncio.set_event_loop(None)


def pytest_collection_finish() -> None:
    # Thousands of tests stay in memory. Looking through them for garbage again and again stops the test's event loop for 0.1 to
    # 0.6 s each time, which whoever measures there takes for HAProxy's.
    gc.collect()
    gc.freeze()
