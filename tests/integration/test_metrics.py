"""Requests are measured, all of them, whatever becomes of their traces; and a real Prometheus reads it, exemplars and all."""

import asyncio
import os
import secrets
import ssl
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
import yaml
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from haproxy_telemetry_agent.wiring import Profile
from support.agent import Agent
from support.haproxies import FoundHAProxy
from support.ports import free_port
from support.prometheus import Prometheus, check_metrics, program_path
from support.raw_client import request_head, single_request
from support.site import Site, running_site

HISTOGRAM = "http_server_request_duration_seconds"
CALLER = "00f067aa0ba902b7"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
SETTINGS: dict[str, Any] = {"metrics": {"requests": True}, "sampling": {"exclude": {"paths": ["/healthz"]}}}


def program(name: str) -> Path:
    path = program_path(name)
    if path is None:
        reason = f"there is no {name} on this machine: `make prometheus` fetches Debian's"
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)
    return path


async def ask(site: Site, target: str, *, sampled: bool = True, method: str = "GET") -> None:
    traceparent = f"00-{secrets.token_hex(16)}-{CALLER}-0{int(sampled)}"
    await single_request(site.http_port, request_head(target, method=method, headers={"traceparent": traceparent}))


async def page(site: Site, accept: str = "text/plain") -> str:
    url = f"http://{site.agent.listen['http']}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url, headers={"Accept": accept}) as response:
        assert response.headers["Content-Type"].startswith(accept.partition(";")[0])
        return await response.text()


async def counts(site: Site, *labels: str) -> Counter[tuple[str, ...]]:
    """Requests by the values of these labels; "-" where there is none."""
    found: Counter[tuple[str, ...]] = Counter()
    for family in parse_openmetrics(await page(site, OPENMETRICS)):
        for sample in family.samples:
            if sample.name == f"{HISTOGRAM}_count":
                found[tuple(sample.labels.get(label, "-") for label in labels)] += int(sample.value)
    return found


@pytest.mark.parametrize("profile", ["Standard", "Full", "Stream"])
async def test_every_request_counts_once_sampled_or_not(found_haproxy: FoundHAProxy, profile: Profile, tmp_path: Path) -> None:
    routes = tmp_path / "routes.yaml"
    routes.write_text(yaml.safe_dump({"routes": [{"path": "/status"}]}))
    settings = SETTINGS | {"profile": profile, "spans": {"routesFile": str(routes)}}
    async with running_site(found_haproxy, tmp_path, settings=settings) as site:
        for sampled in (True, False, False):
            await ask(site, "/", sampled=sampled)
            await ask(site, "/status/404", sampled=sampled)
            await ask(site, "/status/500", sampled=sampled, method="BREW")
            await ask(site, "/deny", sampled=sampled)
            await ask(site, "/healthz", sampled=sampled)
            await ask(site, "/slow?ms=3000", sampled=sampled)
        spans = await site.spans_of(18)
        labels = ("http_request_method", "http_response_status_code", "error_type", "http_route", "haproxy_backend_name")
        assert await counts(site, *labels) == {
            ("GET", "200", "-", "-", "app"): 6,
            ("GET", "404", "-", "/status", "app"): 3,
            ("_OTHER", "500", "500", "/status", "app"): 3,
            ("GET", "403", "-", "-", "edge"): 3,
            ("GET", "504", "504", "-", "app"): 3,
        }
        assert await counts(site, "haproxy_frontend_name", "url_scheme", "network_protocol_version") == {
            ("edge", "http", "1.1"): 18
        }
        assert len([span for span in spans if span.kind == "SERVER"]) == 5
        # Those of the exemplars are spans that were exported, and took as long as it says.
        by_id = {(span.trace_id, span.span_id): span for span in spans}
        exemplars = [
            sample.exemplar
            for family in parse_openmetrics(await page(site, OPENMETRICS))
            if family.name == HISTOGRAM
            for sample in family.samples
            if sample.exemplar is not None
        ]
        assert len(exemplars) == 5
        for exemplar in exemplars:
            span = by_id[exemplar.labels["trace_id"], exemplar.labels["span_id"]]
            assert span.kind == "SERVER"
            if profile == "Full":
                # The span begins with the session, the request a little later: with its first byte.
                assert 0 < exemplar.value <= span.seconds + 0.001
            else:
                assert exemplar.value == pytest.approx(span.seconds, abs=1e-6)
        assert "trace_id" not in await page(site)


async def test_too_many_series_are_counted_together(one_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    settings = {"metrics": {"requests": True, "maxSeries": 3, "labels": ["http.response.status_code"]}}
    async with running_site(one_haproxy, tmp_path, settings=settings) as site:
        for code in (200, 201, 202, 203, 200):
            await ask(site, f"/status/{code}")
        await site.spans_of(5)
        found = await counts(site, "http_response_status_code", "otel_metric_overflow")
        assert found == {("200", "-"): 2, ("201", "-"): 1, ("-", "true"): 2}
        metrics = await site.agent.metrics()
        assert (metrics["request_series"], metrics["request_series_overflowed_total"]) == (3, 2)


async def test_nobody_is_measured_unasked(one_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    async with running_site(one_haproxy, tmp_path) as site:
        await ask(site, "/")
        await site.spans_of(1)
        assert HISTOGRAM not in await page(site)


async def test_frames_lag_and_the_resource_are_told(one_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    settings = {"resource": {"serviceName": "edge", "attributes": {"deployment.environment.name": "test"}}}
    async with running_site(one_haproxy, tmp_path, settings=settings) as site:
        for _ in range(3):
            await ask(site, "/")
        await site.spans_of(3)
        await site.agent.wait_for_metric("event_loop_lag_seconds_count", 2)
        metrics = await site.agent.metrics()
        assert metrics['propagation_extract_total{propagator="tracecontext",result="ok"}'] == 3
        assert metrics['frames_total{direction="received",type="notify"}'] == 3
        assert metrics['frames_total{direction="sent",type="ack"}'] == 3
        hellos = metrics['frames_total{direction="received",type="haproxy_hello"}']
        assert hellos == metrics['frames_total{direction="sent",type="agent_hello"}'] > metrics["health_checks_total"]
        assert sum(value for name, value in metrics.items() if name.startswith("frame_errors_total")) == 0
        target = next(name for name in metrics if name.startswith("target_info"))
        assert 'service_name="edge"' in target
        assert 'deployment_environment_name="test"' in target


async def test_a_real_prometheus(one_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    prometheus_program = program("prometheus")
    async with running_site(one_haproxy, tmp_path, settings=SETTINGS) as site:
        target = site.agent.listen["http"]
        async with Prometheus(prometheus_program, tmp_path, target=target) as prometheus:
            await asyncio.gather(*(ask(site, "/", sampled=number % 2 == 0) for number in range(10)))
            await asyncio.gather(*(ask(site, "/slow?ms=120") for _ in range(5)))
            spans = await site.spans_of(15)
            await prometheus.wait_for(f"sum({HISTOGRAM}_count)", 15)
            ((labels, seconds),) = await prometheus.query(f"{HISTOGRAM}_sum")
            assert labels == {
                "__name__": f"{HISTOGRAM}_sum",
                "instance": target,
                "job": "agent",
                "http_request_method": "GET",
                "http_response_status_code": "200",
                "url_scheme": "http",
                "network_protocol_version": "1.1",
                "haproxy_frontend_name": "edge",
                "haproxy_backend_name": "app",
            }
            assert 0.6 <= seconds <= 15
            buckets = {float(found["le"]): count for found, count in await prometheus.query(f"{HISTOGRAM}_bucket")}
            in_order = [buckets[bound] for bound in sorted(buckets)]
            assert len(in_order) == 15
            assert in_order == sorted(in_order)
            assert in_order[-1] == 15
            assert buckets[0.1] <= 10
            ((_labels, slow),) = await prometheus.query(f"histogram_quantile(0.99, sum by (le) ({HISTOGRAM}_bucket))")
            assert slow > 0.1

            (metadata,) = (await prometheus.ask("metadata", metric=HISTOGRAM))[HISTOGRAM]
            assert metadata["type"] == "histogram"
            assert metadata["unit"] == "seconds"
            ((info, one),) = await prometheus.query("target_info")
            assert (info["service_name"], one) == ("edge", 1)

            of_series = await prometheus.ask("query_exemplars", query=f"{HISTOGRAM}_bucket", start="0", end="4000000000")
            exemplars = [exemplar for series in of_series for exemplar in series["exemplars"]]
            exported = {(span.trace_id, span.span_id): span for span in spans if span.kind == "SERVER"}
            assert exemplars
            for exemplar in exemplars:
                span = exported[exemplar["labels"]["trace_id"], exemplar["labels"]["span_id"]]
                assert float(exemplar["value"]) == pytest.approx(span.seconds, abs=1e-6)
                assert exemplar["timestamp"] == pytest.approx(span.end_unix_nano / 1e9, abs=0.002)


async def test_a_real_prometheus_by_tls_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    prometheus_program = program("prometheus")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    for name, host in (("server", "127.0.0.1"), ("prometheus", "prometheus@example.org")):
        certificate = authority.issue_cert(host)
        certificate.cert_chain_pems[0].write_to_path(str(tmp_path / f"{name}.pem"))
        certificate.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
    listen = {
        "httpTls": {
            "certificateFile": str(tmp_path / "server.pem"),
            "keyFile": str(tmp_path / "server.key"),
            "clientCaFile": str(tmp_path / "ca.pem"),
        }
    }
    trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    scrape: dict[str, Any] = {"scheme": "https", "tls_config": {"ca_file": str(tmp_path / "ca.pem")}}
    own = {"cert_file": str(tmp_path / "prometheus.pem"), "key_file": str(tmp_path / "prometheus.key")}
    async with Agent(tmp_path, endpoint="http://127.0.0.1:1", listen=listen, trust=trust) as agent:
        target = agent.listen["http"]
        for folder, tls_config, up in (("without", {}, 0), ("with", own, 1)):
            (tmp_path / folder).mkdir()
            job = scrape | {"tls_config": scrape["tls_config"] | tls_config}
            async with Prometheus(prometheus_program, tmp_path / folder, target=target, scrape=job) as prometheus:
                await prometheus.wait_for("up", up)
                builds = await prometheus.query("haproxy_telemetry_agent_build_info")
                assert len(builds) == up
        assert not [line for line in agent.process.lines if "Traceback" in line]


def pushed(requests: list[ExportMetricsServiceRequest]) -> dict[str, Metric]:
    """The metrics of the last push, by name."""
    return {
        metric.name: metric
        for of_resource in requests[-1].resource_metrics
        for of_scope in of_resource.scope_metrics
        for metric in of_scope.metrics
    }


async def test_metrics_are_pushed(one_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    settings = {"metrics": {"requests": True, "push": {"enabled": True, "interval": "1s"}}}

    def arrived(requests: list[ExportMetricsServiceRequest]) -> bool:
        duration = pushed(requests).get("http.server.request.duration") if requests else None
        return duration is not None and sum(point.count for point in duration.histogram.data_points) == 3

    async with running_site(one_haproxy, tmp_path, settings=settings) as site:
        await ask(site, "/")
        await ask(site, "/", sampled=False)
        await ask(site, "/status/500")
        spans = await site.spans_of(3)
        await site.sink.wait_for_metrics(arrived)
        by_code = {
            attribute.value.int_value: point
            for point in pushed(site.sink.metrics)["http.server.request.duration"].histogram.data_points
            for attribute in point.attributes
            if attribute.key == "http.response.status_code"
        }
        assert {code: point.count for code, point in by_code.items()} == {200: 2, 500: 1}
        (exemplar,) = by_code[500].exemplars
        assert (exemplar.trace_id.hex(), exemplar.span_id.hex()) in {(span.trace_id, span.span_id) for span in spans}
        (resource,) = (of_resource.resource for of_resource in site.sink.metrics[-1].resource_metrics)
        assert {attribute.key: attribute.value.string_value for attribute in resource.attributes}["service.name"] == "edge"
        assert "haproxy_telemetry_agent_exchanges_recorded" in pushed(site.sink.metrics)
        await site.agent.wait_for_metric('metrics_pushed_total{result="ok"}', 1)
        before = len(site.sink.metrics)
        await ask(site, "/")
        await site.spans_of(4)
        assert await site.agent.stop() == 0
        assert len(site.sink.metrics) > before, "what came last is pushed at the end"
        assert sum(point.count for point in pushed(site.sink.metrics)["http.server.request.duration"].histogram.data_points) == 4
        assert not [line for line in site.agent.process.lines if "Traceback" in line]


async def test_a_collector_that_is_away_is_counted_and_holds_nobody_up(one_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    push = {"enabled": True, "interval": "1s", "endpoint": f"http://127.0.0.1:{free_port()}/v1/metrics"}
    exporter = {"endpoint": "http://127.0.0.1:1", "timeout": "1s"}
    settings = {"exporter": exporter, "metrics": {"push": push}, "shutdownTimeout": "2s"}
    async with Agent(tmp_path, endpoint="", settings=settings) as agent:
        await agent.wait_for_metric('metrics_pushed_total{result="failed"}', 1, timeout_seconds=15)
        async with asyncio.timeout(4):
            assert await agent.stop() == 0
        assert not [line for line in agent.process.lines if "Traceback" in line]


async def test_promtool_has_nothing_to_say(one_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    promtool = program("promtool")
    async with running_site(one_haproxy, tmp_path, settings=SETTINGS) as site:
        await ask(site, "/")
        await site.spans_of(1)
        text = await page(site)
        assert f"{HISTOGRAM}_count" in text
        assert check_metrics(promtool, text) == ""
