"""Following objects of the Kubernetes API: read all there is, then hear of each change, for good.

A watch ends often: API servers end it after the time asked for, are restarted, or have forgotten the version asked for (410: all is
read again). Nothing of it is an error, and none of it may become a storm of questions: each new try waits, longer after each
failure.
"""

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

import aiohttp
from kubernetes.aio import client

from .names import GROUP, PLURAL, VERSION

__all__ = [
    "Event",
    "Gone",
    "ResourceSource",
    "SecretSource",
    "Sink",
    "Source",
    "WatchError",
    "WatchObserver",
    "back_off_seconds",
    "follow",
]

_logger = logging.getLogger(__name__)

_WATCH_SECONDS = 240
"""How long the API server is asked to keep a watch. A connection that went away without a word is noticed no later."""
_READ_SECONDS = 30.0
_PAGE = 200
_FIRST_SECONDS = 0.25
_MAX_SECONDS = 30.0


class WatchError(Exception):
    """The API server said no."""


class Gone(WatchError):
    """It knows the version no more (410)."""


class Event(NamedTuple):
    """One line of a watch."""

    kind: str
    """ADDED, MODIFIED, DELETED or BOOKMARK."""
    body: Mapping[str, Any]


class Source(Protocol):
    """Where objects are from."""

    name: str

    async def read(self) -> tuple[list[Mapping[str, Any]], str]:
        """All there is, and the version to watch from."""
        ...

    def watch(self, version: str) -> AsyncGenerator[Event, None]:
        """What happens after a version, until the API server ends it."""
        ...


class Sink(Protocol):
    """Who is told."""

    def replace(self, bodies: Iterable[Mapping[str, Any]]) -> None:
        """These are all there is."""
        ...

    def apply(self, kind: str, body: Mapping[str, Any]) -> None:
        """One of them changed."""
        ...


class WatchObserver(Protocol):
    """Who counts."""

    def watch_heard(self, name: str, *, events: int) -> None:
        """The API server answered."""
        ...

    def watch_failed(self, name: str) -> None:
        """It did not, or refused."""
        ...


async def follow(
    source: Source, sink: Sink, observer: WatchObserver, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> None:
    """Keep a sink up to date; ends when cancelled."""
    version: str | None = None
    failures = 0
    while True:
        try:
            if version is None:
                bodies, version = await source.read()
                sink.replace(bodies)
                observer.watch_heard(source.name, events=0)
            async with contextlib.aclosing(source.watch(version)) as events:
                async for event in events:
                    version = event.body["metadata"]["resourceVersion"]
                    failures = 0
                    is_news = event.kind != "BOOKMARK"
                    if is_news:
                        sink.apply(event.kind, event.body)
                    observer.watch_heard(source.name, events=int(is_news))
            failures = 0
        except Gone:
            # Usual after a long silence; a server that always says so is asked less and less often.
            version = None
            failures += 1
        except (
            WatchError,
            client.ApiException,
            aiohttp.ClientError,
            OSError,
            TimeoutError,
            LookupError,
            TypeError,
            ValueError,
        ) as problem:
            version = None
            failures += 1
            observer.watch_failed(source.name)
            _logger.warning("watching %s: %s; trying again", source.name, _describe(problem))
        await sleep(back_off_seconds(failures, random.random()))  # noqa: S311 - to be out of step, no secret


def back_off_seconds(failures: int, chance: float) -> float:
    """How long to wait after so many failures in a row; ``chance`` from 0 to 1 puts several out of step."""
    return min(_MAX_SECONDS, _FIRST_SECONDS * 2.0 ** min(failures, 10)) * (0.5 + chance / 2)


class ResourceSource:
    """The resources HAProxyTelemetry of a namespace, or of all."""

    def __init__(self, api_client: client.ApiClient, namespace: str | None) -> None:
        self._api = client.CustomObjectsApi(api_client)
        self._namespace = namespace
        self.name = PLURAL if namespace is None else f"{PLURAL}/{namespace}"

    async def read(self) -> tuple[list[Mapping[str, Any]], str]:
        """See ``Source``."""
        bodies: list[Mapping[str, Any]] = []
        more = ""
        while True:
            response = await self._list(limit=_PAGE, **({"_continue": more} if more else {}), _request_timeout=_READ_SECONDS)
            page = await _json_of(response)
            bodies += page["items"]
            more = page["metadata"].get("continue", "")
            if not more:
                return bodies, page["metadata"]["resourceVersion"]

    async def watch(self, version: str) -> AsyncGenerator[Event, None]:
        """See ``Source``."""
        response = await self._list(resource_version=version, **_watching())
        async for event in _events_of(response):
            yield event

    async def _list(self, **parameters: Any) -> aiohttp.ClientResponse:
        if self._namespace is None:
            return await self._api.list_cluster_custom_object_without_preload_content(GROUP, VERSION, PLURAL, **parameters)
        return await self._api.list_namespaced_custom_object_without_preload_content(
            GROUP, VERSION, self._namespace, PLURAL, **parameters
        )


class SecretSource:
    """One Secret; needs the rights ``get`` and ``watch`` on that one alone."""

    def __init__(self, api_client: client.ApiClient, namespace: str, name: str) -> None:
        self._api = client.CoreV1Api(api_client)
        self._namespace = namespace
        self._name = name
        self.name = f"secrets/{namespace}/{name}"

    async def read(self) -> tuple[list[Mapping[str, Any]], str]:
        """See ``Source``; one or none."""
        response = await self._api.read_namespaced_secret_without_preload_content(
            self._name, self._namespace, _request_timeout=_READ_SECONDS
        )
        if response.status == 404:
            response.release()
            # Without a version a watch begins with what there is.
            return [], ""
        body = await _json_of(response)
        return [body], body["metadata"]["resourceVersion"]

    async def watch(self, version: str) -> AsyncGenerator[Event, None]:
        """See ``Source``."""
        response = await self._api.list_namespaced_secret_without_preload_content(
            self._namespace, field_selector=f"metadata.name={self._name}", resource_version=version or None, **_watching()
        )
        async for event in _events_of(response):
            yield event


def _watching() -> dict[str, Any]:
    return {
        "watch": True,
        "allow_watch_bookmarks": True,
        "timeout_seconds": _WATCH_SECONDS,
        "_request_timeout": _WATCH_SECONDS + _READ_SECONDS,
    }


async def _json_of(response: aiohttp.ClientResponse) -> dict[str, Any]:
    async with response:
        await _want_ok(response)
        body: dict[str, Any] = await response.json(content_type=None)
        return body


async def _events_of(response: aiohttp.ClientResponse) -> AsyncGenerator[Event, None]:
    async with response:
        await _want_ok(response)
        while line := await response.content.readline():
            event = json.loads(line)
            if event["type"] == "ERROR":
                status = event["object"]
                raise _error(status.get("code"), str(status.get("message")))
            yield Event(event["type"], event["object"])


async def _want_ok(response: aiohttp.ClientResponse) -> None:
    if response.status != 200:
        raise _error(response.status, (await response.text())[:500])


def _error(code: object, message: str) -> WatchError:
    return Gone(message) if code == 410 else WatchError(f"{code}: {message}")


def _describe(problem: Exception) -> str:
    return " ".join(f"{type(problem).__name__}: {problem}".split())[:300]
