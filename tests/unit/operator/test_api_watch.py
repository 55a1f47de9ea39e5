import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio import client

from haproxy_telemetry_operator.api_watch import (
    Event,
    Gone,
    ResourceSource,
    SecretSource,
    Source,
    WatchError,
    back_off_seconds,
    follow,
)
from support.ports import ADDRESS, free_port


def body(version: str, name: str = "x") -> dict[str, Any]:
    return {"metadata": {"namespace": "edge", "name": name, "resourceVersion": version}}


class Told:
    """Sink and observer in one."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def replace(self, bodies: Iterable[Mapping[str, Any]]) -> None:
        self.said.append(("all", [each["metadata"]["name"] for each in bodies]))

    def apply(self, kind: str, body: Mapping[str, Any]) -> None:
        self.said.append((kind, body["metadata"]["name"]))

    def watch_heard(self, name: str, *, events: int) -> None:
        self.said.append(("heard", events))

    def watch_failed(self, name: str) -> None:
        self.said.append("failed")


class Scripted:
    """Each read and each watch does the next thing of a script."""

    name = "things"

    def __init__(self, reads: list[Any], watches: list[list[Any]]) -> None:
        self._reads = reads
        self._watches = watches
        self.versions: list[str] = []
        self.ended = asyncio.Event()

    async def read(self) -> tuple[list[Mapping[str, Any]], str]:
        read = self._reads.pop(0)
        if isinstance(read, Exception):
            raise read
        return [body(read)], read

    async def watch(self, version: str) -> AsyncGenerator[Event, None]:
        self.versions.append(version)
        if not self._watches:
            self.ended.set()
            await asyncio.Event().wait()
        for step in self._watches.pop(0):
            if isinstance(step, Exception):
                raise step
            yield step


async def followed(source: Scripted) -> tuple[Told, list[float]]:
    told, slept = Told(), []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    task = asyncio.create_task(follow(source, told, told, sleep=sleep))
    await asyncio.wait([task, asyncio.ensure_future(source.ended.wait())], return_when=asyncio.FIRST_COMPLETED)
    assert not task.done(), task.exception()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return told, slept


async def test_a_watch_that_ends_goes_on_where_it_was() -> None:
    source = Scripted(["1"], [[Event("ADDED", body("2")), Event("BOOKMARK", body("9"))], []])
    told, slept = await followed(source)
    assert source.versions == ["1", "9", "9"]
    assert told.said == [("all", ["x"]), ("heard", 0), ("ADDED", "x"), ("heard", 1), ("heard", 0)]
    # Even a server that ends each watch at once is not asked without a pause.
    assert len(slept) == 2
    assert all(0.1 < seconds < 0.3 for seconds in slept)


@pytest.mark.parametrize(
    ("problem", "counted"),
    [(Gone("too old"), False), (WatchError("403: no"), True), (ConnectionResetError(), True), (TimeoutError(), True)],
)
async def test_after_a_problem_all_is_read_again(problem: Exception, counted: bool) -> None:
    source = Scripted(["1", "5"], [[Event("ADDED", body("2")), problem]])
    told, _ = await followed(source)
    assert source.versions == ["1", "5"]
    assert told.said.count(("all", ["x"])) == 2
    assert ("failed" in told.said) is counted


async def test_an_api_server_that_is_away_is_asked_less_and_less_often() -> None:
    source = Scripted([OSError("no route")] * 5 + [client.ApiException(status=500)] + ["1"], [])
    told, slept = await followed(source)
    assert told.said.count("failed") == 6
    assert slept[-1] > 3 * slept[0]
    assert back_off_seconds(100, 1.0) == 30.0
    assert back_off_seconds(0, 0.0) == 0.125


async def test_an_event_without_a_version_is_a_problem_and_no_end() -> None:
    source = Scripted(["1", "5"], [[Event("ADDED", {})]])
    told, _ = await followed(source)
    assert "failed" in told.said


@pytest.fixture
async def api() -> AsyncIterator[tuple[list[dict[str, str]], list[web.Response], client.ApiClient]]:
    """What was asked, what to answer, and a client."""
    asked: list[dict[str, str]] = []
    answers: list[web.Response] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append({"path": request.path, **request.query})
        return answers.pop(0)

    application = web.Application()
    application.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, ADDRESS, port).start()
    configuration = client.Configuration()
    configuration.host = f"http://{ADDRESS}:{port}"
    async with client.ApiClient(configuration) as api_client:
        yield asked, answers, api_client
    await runner.cleanup()


def lines(*events: dict[str, Any]) -> web.Response:
    return web.Response(text="".join(json.dumps(event) + "\n" for event in events))


def listed(*names: str, more: str = "") -> web.Response:
    return web.json_response({"metadata": {"resourceVersion": "7", "continue": more}, "items": [body("1", name) for name in names]})


async def watched(source: Source, version: str) -> list[Event]:
    return [event async for event in source.watch(version)]


async def test_resources_are_read_page_by_page(api: Any) -> None:
    asked, answers, api_client = api
    answers += [listed("a", "b", more="token"), listed("c")]
    bodies, version = await ResourceSource(api_client, None).read()
    assert ([each["metadata"]["name"] for each in bodies], version) == (["a", "b", "c"], "7")
    assert [question.get("continue") for question in asked] == [None, "token"]
    assert asked[0]["path"] == "/apis/haproxy-telemetry.io/v1alpha1/haproxytelemetries"


async def test_resources_of_one_namespace(api: Any) -> None:
    asked, answers, api_client = api
    # An event may be larger than any buffer of the client's.
    large = {"type": "MODIFIED", "object": body("9") | {"spec": {"x": "y" * 1_500_000}}}
    answers += [listed(), lines({"type": "ADDED", "object": body("8")}, large)]
    source = ResourceSource(api_client, "edge")
    await source.read()
    assert [event.kind for event in await watched(source, "7")] == ["ADDED", "MODIFIED"]
    assert asked[1]["path"] == "/apis/haproxy-telemetry.io/v1alpha1/namespaces/edge/haproxytelemetries"
    assert asked[1]["resourceVersion"] == "7"
    assert (asked[1]["watch"], asked[1]["allowWatchBookmarks"]) == ("true", "true")


async def test_a_version_that_is_too_old(api: Any) -> None:
    _, answers, api_client = api
    source = ResourceSource(api_client, None)
    answers.append(lines({"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}}))
    with pytest.raises(Gone, match="too old"):
        await watched(source, "7")
    answers.append(web.Response(status=410, text="too old"))
    with pytest.raises(Gone):
        await watched(source, "7")
    answers.append(lines({"type": "ERROR", "object": {"code": 500}}))
    with pytest.raises(WatchError, match="500"):
        await watched(source, "7")
    answers.append(web.Response(status=403, text="forbidden"))
    with pytest.raises(WatchError, match="403: forbidden"):
        await source.read()


async def test_a_secret_is_asked_for_by_its_name_alone(api: Any) -> None:
    asked, answers, api_client = api
    source = SecretSource(api_client, "telemetry", "tls")
    answers += [web.json_response(body("3", "tls")), lines({"type": "MODIFIED", "object": body("4", "tls")})]
    bodies, version = await source.read()
    assert (len(bodies), version) == (1, "3")
    assert len(await watched(source, version)) == 1
    assert asked[0]["path"] == "/api/v1/namespaces/telemetry/secrets/tls"
    assert asked[1]["fieldSelector"] == "metadata.name=tls"


async def test_a_secret_that_is_not_there_yet_is_waited_for(api: Any) -> None:
    asked, answers, api_client = api
    source = SecretSource(api_client, "telemetry", "tls")
    answers += [web.Response(status=404), lines({"type": "ADDED", "object": body("4", "tls")})]
    assert await source.read() == ([], "")
    assert len(await watched(source, "")) == 1
    assert "resourceVersion" not in asked[1]
