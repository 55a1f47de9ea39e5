"""A site is everything of one traced HAProxy: the sink, the server behind it, the agent beside it and HAProxy itself.

Its configuration has a way to every end an exchange can have: answered, denied, refused, timed out, cut.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

from support.agent import Agent
from support.haproxies import FoundHAProxy
from support.haproxy import HAProxy
from support.otlp_sink import OtlpSink, SinkSpan
from support.ports import ADDRESS, free_port
from support.probe import until
from support.upstream import Upstream

__all__ = ["Site", "haproxy_config", "running_site"]

SERVER_TIMEOUT_SECONDS = 0.8
_EXCHANGES = ("answered", "unanswered", "unasked")


@dataclass(frozen=True, slots=True)
class Site:
    """What runs."""

    sink: OtlpSink
    upstream: Upstream
    agent: Agent
    haproxy: HAProxy
    version: tuple[int, int]
    """HAProxy's, as (2, 6)."""
    http_port: int
    http2_port: int
    """HTTP/2 with prior knowledge."""
    https_port: int | None
    listen_port: int
    """Another frontend, a `listen` section: frontend and backend in one."""

    async def spans_of(self, exchanges: int) -> list[SinkSpan]:
        """All spans, as soon as so many exchanges are recorded and whatever was made of them has arrived."""

        async def arrived() -> bool:
            metrics = await self.agent.metrics()
            recorded = sum(metrics[f'exchanges_recorded_total{{start="{start}"}}'] for start in _EXCHANGES)
            made = sum(metrics[f'spans_made_total{{kind="{kind}"}}'] for kind in ("server", "client", "internal"))
            return recorded >= exchanges and metrics["spans_exported_total"] == made

        await until(arrived, what=f"{exchanges} exchanges are recorded and exported", timeout_seconds=15)
        return list(self.sink.spans)


def haproxy_config(
    agent: Agent,
    upstream: Upstream,
    *,
    http_port: int,
    http2_port: int,
    https_bind: str = "",
    listen_port: int | None = None,
    threads: int = 1,
    patient: bool = True,
) -> str:
    """The text of haproxy.cfg; a patient one gives the agent longer to answer a health check than users' do."""
    sections = agent.wiring("sections")
    if patient:
        sections = sections.replace("timeout check 100ms", "timeout check 5s")
    closed = f"{ADDRESS}:{free_port()}"
    frontend = indent(agent.wiring("frontend"), "    ")
    listen = f"""
listen both
    bind {ADDRESS}:{listen_port}
{frontend}
    server app1 {upstream.address}
"""
    return f"""
global
    nbthread {threads}
defaults
    mode http
    option httplog
    timeout connect 500ms
    timeout client 3s
    timeout server {round(SERVER_TIMEOUT_SECONDS * 1000)}ms
    timeout http-request 1s
    timeout tunnel 30s
    retries 2
frontend edge
    bind {ADDRESS}:{http_port}
    bind {ADDRESS}:{http2_port} proto h2
    {https_bind}
{frontend}
    http-request deny if {{ path /deny }}
    http-request return status 204 if {{ path /return }}
    http-request redirect location /elsewhere if {{ path /redirect }}
    use_backend none if {{ path /none }}
    use_backend refused if {{ path /refused }}
    use_backend redispatched if {{ path /redispatched }}
    use_backend cached if {{ path /cached }}
    default_backend app
backend app
    http-request set-timeout server 30s if {{ path /hold }}
    server app1 {upstream.address}
backend none
    server gone {closed} disabled
backend refused
    server closed {closed}
backend redispatched
    balance first
    option redispatch 1
    server closed {closed}
    server app1 {upstream.address}
cache small
    total-max-size 4
    max-age 60
backend cached
    http-request cache-use small
    http-response set-header cache-control max-age=60
    http-response cache-store small
    server app1 {upstream.address}
{listen if listen_port is not None else ""}
{sections}"""


@contextlib.asynccontextmanager
async def running_site(
    found: FoundHAProxy,
    folder: Path,
    *,
    certificate: Path | None = None,
    endpoint: str | None = None,
    settings: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Site]:
    """Starts all four, ends all four; `endpoint` is where the agent exports to, if not to the sink, `settings` and `environment`
    are the agent's.
    """
    http_port, http2_port, listen_port = free_port(), free_port(), free_port()
    https_port = None if certificate is None else free_port()
    https_bind = "" if certificate is None else f"bind {ADDRESS}:{https_port} ssl crt {certificate} alpn h2,http/1.1"
    async with (
        OtlpSink() as sink,
        Upstream() as upstream,
        Agent(folder, endpoint=endpoint or sink.endpoint, settings=settings, environment=environment) as agent,
    ):
        if agent.settings.get("profile") != "Stream":
            agent.spoe_path.write_text(agent.wiring("spoe"))
        config = haproxy_config(
            agent, upstream, http_port=http_port, http2_port=http2_port, https_bind=https_bind, listen_port=listen_port
        )
        async with HAProxy(config, folder, binary=found.path) as haproxy:
            major, minor = found.version.split(".")[:2]
            version = (int(major), int(minor.partition("-")[0]))
            yield Site(sink, upstream, agent, haproxy, version, http_port, http2_port, https_port, listen_port)
