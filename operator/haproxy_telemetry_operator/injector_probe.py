"""Is there an injector that answers? Asked before a workload is restarted: without one its pods would come as they were."""

import ssl
from collections.abc import Callable

import aiohttp

__all__ = ["InjectorProbe"]

_TIMEOUT = aiohttp.ClientTimeout(total=3.0)


class InjectorProbe:
    """Asks ``/readyz``, over the same way as API servers ask.

    Args:
        url: where; without a path.
        bundle: the authorities that its certificate may have, PEM; empty: none is known yet.
    """

    def __init__(self, url: str, bundle: Callable[[], bytes]) -> None:
        self._url = url.rstrip("/")
        self._bundle = bundle

    async def problem(self) -> str | None:
        """Why pods would not be injected now; None: they would."""
        bundle = self._bundle()
        if not bundle:
            # An empty one would mean the system's.
            return "There is no certificate for the injector yet."
        try:
            context = ssl.create_default_context(cadata=bundle.decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            return f"The bundle of the injector's authorities can't be used: {error}."
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=False) as session,
                session.get(f"{self._url}/readyz", ssl=context) as response,
            ):
                text = (await response.content.read(200)).decode(errors="replace").strip()
                return None if response.status == 200 else f"No injector is ready: {text}."
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return f"No injector answers at {self._url}: {_words(error)}."


def _words(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)
    return str(error)[:200] or type(error).__name__
