"""The injector as a program and as a server, with a stand-in for the API server that knows one resource."""

import asyncio
import contextlib
import datetime
import io
import json
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from haproxy_telemetry_operator.certificates import Pair, dns_names, make_pair
from haproxy_telemetry_operator.injector import MAX_BODY_BYTES, Injector
from haproxy_telemetry_operator.injector_connections import BoundedRunner
from haproxy_telemetry_operator.injector_telemetry import InjectorTelemetry
from haproxy_telemetry_operator.pod_decision import Refusal
from haproxy_telemetry_operator.resource_cache import ResourceCache
from haproxy_telemetry_operator.serving_tls import ServingTls
from support import fake_injector
from support.ports import ADDRESS, free_port
from support.probe import until
from support.process import Process

NAMES = dns_names("injector", "telemetry")
PATH = "/inject/native/edge/edge"
RESOURCE = {"metadata": {"namespace": "edge", "name": "edge", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {}}
POD = {"metadata": {"name": "edge-1"}, "spec": {"containers": [{"name": "haproxy"}]}}
QUESTION = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {"uid": "u", "namespace": "edge", "operation": "CREATE", "object": POD},
}


def new_pair(*, age: datetime.timedelta = datetime.timedelta(0)) -> Pair:
    return make_pair(NAMES, datetime.datetime.now(datetime.UTC) - age)


@pytest.fixture
async def kubeconfig(tmp_path: Path) -> AsyncIterator[Path]:
    """Of an API server that lists one resource, and whose watch says nothing."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.json_response({"metadata": {"resourceVersion": "1"}, "items": [RESOURCE]})
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    application = web.Application()
    application.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, ADDRESS, port).start()
    settings = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": f"http://{ADDRESS}:{port}"}}],
        "users": [{"name": "c", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(settings))
    yield path
    await runner.cleanup()


class Program:
    """The program, its certificate in a folder."""

    def __init__(self, folder: Path, kubeconfig: Path | None, *options: str) -> None:
        self.folder = folder
        self.port, self.http_port = free_port(), free_port()
        arguments = [
            *(sys.executable, fake_injector.__file__, "inject", "--image", "agent:test", "--host", ADDRESS),
            *("--port", str(self.port), "--http-port", str(self.http_port), "--certificate-directory", str(folder), *options),
        ]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("KUBE")}
        self.process = Process(
            "injector", arguments, environment=environment | ({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {})
        )

    def write(self, pair: Pair) -> None:
        (self.folder / "tls.crt").write_bytes(pair.certificate)
        (self.folder / "tls.key").write_bytes(pair.key)

    async def readiness(self) -> str:
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://{ADDRESS}:{self.http_port}/readyz") as response,
            ):
                return (await response.text()).strip()
        except aiohttp.ClientConnectionError:
            return ""

    async def says(self, words: str) -> None:
        async def said() -> bool:
            return words in await self.readiness()

        await self.process.while_alive(until(said, what=words, timeout_seconds=15), what=words, timeout_seconds=16)

    async def ask(self, pair: Pair, question: object = QUESTION) -> dict[str, Any]:
        async with asking(self.port, pair) as session, session.post(PATH, json=question) as response:
            assert response.status == 200
            answer: dict[str, Any] = (await response.json())["response"]
            return answer


@contextlib.asynccontextmanager
async def asking(port: int, pair: Pair) -> AsyncIterator[aiohttp.ClientSession]:
    """As an API server does: by the Service's name, which it finds by itself."""
    context = ssl.create_default_context(cadata=pair.authority.decode())
    connector = aiohttp.TCPConnector(ssl=context, resolver=_Loopback())
    async with aiohttp.ClientSession(f"https://{NAMES[0]}:{port}", connector=connector) as session:
        yield session


class _Loopback(aiohttp.abc.AbstractResolver):
    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
        return [{"hostname": host, "host": ADDRESS, "port": port, "family": family, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        pass


async def test_it_waits_for_a_certificate_takes_a_new_one_and_ends_in_order(tmp_path: Path, kubeconfig: Path) -> None:
    program = Program(tmp_path, kubeconfig, "--drain-seconds", "60", "--log-format", "json")
    async with program.process as process:
        await program.says("there is no certificate")
        first, second = new_pair(age=datetime.timedelta(days=89, hours=12)), new_pair()
        program.write(first)
        # It serves, but not for long any more: better that others are asked.
        await program.says("the certificate ends")
        assert (await program.ask(first))["patchType"] == "JSONPatch"
        program.write(second)
        await program.says("ok")
        assert (await program.ask(second))["patchType"] == "JSONPatch"
        assert (await program.ask(second, {}))["allowed"] is True
        # It still answers while others stop asking, and a second signal is an impatient one.
        process.send_signal(signal.SIGTERM)
        await program.says("ending")
        assert (await program.ask(second))["patchType"] == "JSONPatch"
        process.send_signal(signal.SIGTERM)
        assert await process.ended() == 0
    entries = [json.loads(line) for line in process.lines]
    assert any(entry["message"] == "edge/edge-1 injected, for edge/edge" for entry in entries)
    assert any("stays as it is, for edge/edge: KeyError" in entry["message"] for entry in entries)
    assert not any("exception" in entry for entry in entries)


@pytest.mark.parametrize(
    ("options", "words", "status"),
    [
        ((), "no way to the Kubernetes API", 1),
        (("--port", "0"), "argument --port: '0': expected 1 to 65535", 2),
        (("--drain-seconds", "-1"), "argument --drain-seconds: '-1': expected 0 to 600 seconds", 2),
        (("--certificate-secret", "tls"), "expected NAMESPACE/NAME", 2),
        (("--certificate-secret", "a/b"), "not allowed with argument", 2),
    ],
)
async def test_what_is_wrong_is_said_in_a_line(tmp_path: Path, options: tuple[str, ...], words: str, status: int) -> None:
    program = Program(tmp_path, None, *options)
    async with program.process as process:
        assert await process.ended(timeout_seconds=15) == status
    assert words in process.lines[-1]


async def test_a_port_that_is_taken(tmp_path: Path, kubeconfig: Path) -> None:
    program = Program(tmp_path, kubeconfig)
    taken = await asyncio.start_server(lambda *_: None, ADDRESS, program.port)
    async with taken, program.process as process:
        assert await process.ended(timeout_seconds=15) == 1
    assert "address already in use" in process.lines[-1]
    assert not any("Traceback" in line for line in process.lines)


class Server:
    def __init__(self, pair: Pair, decide: Callable[..., Any], *, body_seconds: float) -> None:
        self.cache = ResourceCache()
        self.cache.scopes[0].replace([RESOURCE])
        self.telemetry = InjectorTelemetry(resources=lambda: (1, 0), certificate_not_after=lambda: None)
        tls = ServingTls(self.telemetry)
        tls.use(pair.certificate, pair.key)
        self.port, self.http_port = free_port(), free_port()
        self.injector = Injector(
            resources=self.cache, change=decide, telemetry=self.telemetry, tls=tls, ready=lambda: "", body_seconds=body_seconds
        )

    def count(self, result: str) -> float | None:
        return self.telemetry.registry.get_sample_value("haproxy_telemetry_injector_admissions_total", {"result": result})


@contextlib.asynccontextmanager
async def serving(pair: Pair, *, body_seconds: float = 4.0) -> AsyncIterator[Server]:
    server = Server(pair, lambda *_: Refusal("unchanged", ""), body_seconds=body_seconds)
    await server.injector.start(host=ADDRESS, port=server.port, http_port=server.http_port)
    try:
        yield server
    finally:
        await server.injector.close()


async def test_a_question_that_is_too_large_is_turned_away() -> None:
    pair = new_pair()
    async with serving(pair) as server, asking(server.port, pair) as session:
        async with session.post(PATH, data=io.BytesIO(b"x" * (MAX_BODY_BYTES + 1))) as response:
            assert response.status == 413
        assert server.count("too_large") == 1
        # As large as may be is malformed, not too large.
        async with session.post(PATH, data=io.BytesIO(b"x" * MAX_BODY_BYTES)) as response:
            assert response.status == 200
        assert server.count("malformed") == 1


async def test_a_question_that_takes_too_long_is_turned_away() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    pair = new_pair()
    async with serving(pair, body_seconds=0.05) as server, asking(server.port, pair) as session:
        async with session.post(PATH, data=slow()) as response:
            assert response.status == 503
        assert server.count("too_slow") == 1


@pytest.mark.parametrize(
    ("path", "status"), [("/inject/other/edge/edge", 404), ("/inject/native/edge", 404), ("/metrics", 404), ("/healthz", 405)]
)
async def test_nothing_else_is_answered(path: str, status: int) -> None:
    pair = new_pair()
    async with serving(pair) as server, asking(server.port, pair) as session:
        async with session.post(path, json=QUESTION) as response:
            assert response.status == status


async def test_a_connection_ends_with_its_next_answer_once_it_drains() -> None:
    pair = new_pair()
    async with serving(pair) as server, asking(server.port, pair) as session:
        async with session.post(PATH, json=QUESTION) as response:
            assert response.headers.get("Connection") != "close"
        server.injector.drain()
        async with session.post(PATH, json=QUESTION) as response:
            assert response.headers["Connection"] == "close"
            assert (await response.json())["response"]["allowed"] is True


async def test_metrics_are_in_the_clear_on_a_port_of_their_own() -> None:
    async with serving(new_pair()) as server, aiohttp.ClientSession() as session:
        async with session.get(f"http://{ADDRESS}:{server.http_port}/metrics") as response:
            assert 'haproxy_telemetry_injector_admissions_total{result="injected"} 0.0' in await response.text()


async def test_connections_are_bounded_and_none_is_open_for_nothing() -> None:
    given_up: list[None] = []
    runner = BoundedRunner(web.Application(), given_up=lambda: given_up.append(None), max_connections=1, first_seconds=0.3)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, ADDRESS, port).start()
    reader, writer = await asyncio.open_connection(ADDRESS, port)
    second_reader, second_writer = await asyncio.open_connection(ADDRESS, port)
    # One too many is closed at once, the first one when nothing has come on it.
    for ending, of_them in ((second_reader, 1), (reader, 2)):
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(ending.read(), 5) == b""
        assert len(given_up) == of_them
    # There is room again, and who asks is answered.
    third_reader, third_writer = await asyncio.open_connection(ADDRESS, port)
    third_writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"404" in await third_reader.readline()
    for each in (writer, second_writer, third_writer):
        each.close()
    await runner.cleanup()
    assert len(given_up) == 2
    assert runner.connections == 0
