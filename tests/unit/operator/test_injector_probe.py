"""Whether an injector answers, over TLS with the authorities that are known."""

import datetime
import ssl
from pathlib import Path

import pytest
from aiohttp import web

from haproxy_telemetry_operator.certificates import Pair, make_pair
from haproxy_telemetry_operator.injector_probe import InjectorProbe
from support.ports import free_port


@pytest.fixture
def pair() -> Pair:
    return make_pair(["127.0.0.1"], datetime.datetime.now(datetime.UTC))


async def serve(pair: Pair, tmp_path: Path, port: int, status: int) -> web.AppRunner:
    (tmp_path / "tls.crt").write_bytes(pair.certificate)
    (tmp_path / "tls.key").write_bytes(pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    application = web.Application()

    async def readyz(_request: web.Request) -> web.Response:
        return web.Response(status=status, text="the resources have not been read yet\n" if status != 200 else "ok\n")

    application.router.add_get("/readyz", readyz)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    return runner


@pytest.mark.parametrize(("status", "problem"), [(200, None), (503, "No injector is ready: the resources have not been read yet.")])
async def test_it_says_what_the_injector_says(pair: Pair, tmp_path: Path, status: int, problem: str | None) -> None:
    port = free_port()
    runner = await serve(pair, tmp_path, port, status)
    try:
        assert await InjectorProbe(f"https://127.0.0.1:{port}/", lambda: pair.authority).problem() == problem
    finally:
        await runner.cleanup()


async def test_a_stranger_is_no_injector(pair: Pair, tmp_path: Path) -> None:
    port = free_port()
    other = make_pair(["127.0.0.1"], datetime.datetime.now(datetime.UTC))
    runner = await serve(pair, tmp_path, port, 200)
    try:
        problem = await InjectorProbe(f"https://127.0.0.1:{port}", lambda: other.authority).problem()
    finally:
        await runner.cleanup()
    assert problem is not None
    assert problem.startswith(f"No injector answers at https://127.0.0.1:{port}: ")


async def test_without_one_and_without_a_certificate(pair: Pair) -> None:
    url = f"https://127.0.0.1:{free_port()}"
    assert (await InjectorProbe(url, lambda: pair.authority).problem() or "").startswith("No injector answers at ")
    assert await InjectorProbe(url, lambda: b"").problem() == "There is no certificate for the injector yet."
