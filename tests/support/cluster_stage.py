"""A stage on a real Kubernetes: the operator and the injector as programs of this machine, a collector, and a namespace a case.

The API server reaches the injector at the node's address, which must be one of this machine's (the cluster runs on it). Everything
is in namespaces with the session's own prefix, and goes with them.
"""

import asyncio
import base64
import contextlib
import json
import os
import re
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from support import cluster_manifests
from support.cluster_manifests import Object
from support.kube_api import ApiRefused, KubeApi
from support.load import SteadyLoad
from support.ports import free_port
from support.probe import until
from support.process import Process

__all__ = ["Program", "Site", "Snapshot", "Span", "Stage", "open_stage"]

ROOT = Path(__file__).parents[2]
AGENT_IMAGE = os.environ.get("AGENT_IMAGE", "haproxy-telemetry/agent:test")
GROUP = "haproxy-telemetry.io"
INJECTED = f"{GROUP}/injected"
CONFIG_HASH = f"{GROUP}/config-hash"
_EVERY_SECONDS = 0.25
_PATIENCE_SECONDS = 90.0


class Program:
    """The operator or the injector; may be killed and started again."""

    def __init__(self, name: str, arguments: Sequence[str], http_port: int) -> None:
        self.name = name
        self.http_port = http_port
        self._arguments = arguments
        self._process: Process | None = None
        self._before: list[str] = []

    @property
    def lines(self) -> list[str]:
        """All it has said."""
        return [*self._before, *(self._process.lines if self._process else ())]

    async def start(self, *, wait: bool = True) -> None:
        """Starts it, and waits until it is ready."""
        environment = dict(os.environ) | {"PYTHONPATH": f"{ROOT}/operator:{ROOT}/agent", "PYTHONSAFEPATH": "1"}
        command = [sys.executable, "-m", "haproxy_telemetry_operator", *self._arguments, "--http-port", str(self.http_port)]
        self._process = Process(self.name, command, environment=environment, folder=ROOT)
        await self._process.start()
        if wait:
            await self.until_ready()

    async def until_ready(self) -> None:
        """Waits until its probe says so."""
        assert self._process is not None

        async def asked() -> bool:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with aiohttp.ClientSession() as session:
                    async with session.get(f"http://127.0.0.1:{self.http_port}/readyz") as response:
                        return response.status == 200
            return False

        waiting = until(asked, what="ready", timeout_seconds=30, every_seconds=0.1)
        await self._process.while_alive(waiting, what="ready", timeout_seconds=31)

    async def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        await self._process.ended()
        self._before += [*self._process.lines, f"--- {self.name} was killed"]
        self._process = None

    async def stop(self) -> None:
        """SIGTERM."""
        if self._process is not None:
            status = await self._process.stop(timeout_seconds=15)
            self._before += [*self._process.lines, f"--- {self.name} ended with {status}"]
            self._process = None


@dataclass(frozen=True, slots=True)
class Span:
    """A span as the collector got it."""

    name: str
    kind: int
    """OTLP's: 2 SERVER, 3 CLIENT."""
    span_id: str
    parent_id: str
    resource: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What of the user's objects must be as it was, byte for byte."""

    template: str
    config_map: str


@dataclass
class Stage:
    """What all cases share."""

    api: KubeApi
    kubeconfig: str
    own_namespace: str
    operator: Program
    injector: Program
    endpoint: str = ""
    """The collector's."""
    upstream: str = ""
    """``address:port`` of an app."""
    spans: dict[str, list[Span]] = field(default_factory=dict)
    """By trace id."""

    @contextlib.asynccontextmanager
    async def site(self, name: str, labels: Mapping[str, str] | None = None) -> AsyncIterator["Site"]:
        """A namespace; what happened in it is added to an error's words."""
        site = Site(self, f"{self.own_namespace}-{name}")
        try:
            await self.api.apply(cluster_manifests.namespace(site.namespace, labels or {}))
            yield site
        except BaseException as error:
            if not isinstance(error, asyncio.CancelledError):
                error.add_note(await site.report())
            raise
        finally:
            await site.remove()

    async def follow_collector(self) -> None:
        """Reads spans from the collector's log, until cancelled."""
        pod = (await self.api.all("Pod", self.own_namespace, labels="app=otelcol"))[0]["metadata"]["name"]
        command = ["kubectl", "-n", self.own_namespace, "logs", "-f", pod]
        child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, limit=1 << 24)
        assert child.stdout is not None
        try:
            async for line in child.stdout:
                if line.startswith(b'{"resourceSpans"'):
                    self._see(json.loads(line))
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()

    def _see(self, document: Mapping[str, Any]) -> None:
        for resource_spans in document["resourceSpans"]:
            attributes = {
                entry["key"]: next(iter(entry["value"].values()), None) for entry in resource_spans["resource"]["attributes"]
            }
            for scope in resource_spans["scopeSpans"]:
                for span in scope["spans"]:
                    seen = Span(span["name"], span["kind"], span["spanId"], span.get("parentSpanId", ""), attributes)
                    self.spans.setdefault(span["traceId"], []).append(seen)

    async def webhook_namespaces(self) -> set[str]:
        """Those that the API server asks the injector for."""
        found = await self.api.get("MutatingWebhookConfiguration", None, "haproxy-telemetry")
        return {entry["namespaceSelector"]["matchExpressions"][0]["values"][0] for entry in (found or {}).get("webhooks") or ()}


class Site:
    """A namespace of one case's."""

    def __init__(self, stage: Stage, namespace: str) -> None:
        self.stage = stage
        self.namespace = namespace
        self._wide: list[tuple[str, str]] = []
        """Objects of no namespace."""

    @property
    def _api(self) -> KubeApi:
        return self.stage.api

    async def put(self, objects: Sequence[Object], *, wait: bool = True) -> None:
        """Makes objects, and waits until their workloads serve."""
        for body in objects:
            if body["metadata"].get("namespace") is None:
                self._wide.append((body["kind"], body["metadata"]["name"]))
            for _ in range(20):
                try:
                    await self._api.apply(body)
                    break
                except ApiRefused as error:
                    # A namespace's own parts come a moment after it.
                    if error.status != 403:
                        raise
                    await asyncio.sleep(0.1)
        for body in objects:
            if wait and body["kind"] in ("Deployment", "DaemonSet", "StatefulSet"):
                await self.until_rolled_out(body["kind"], body["metadata"]["name"])

    async def remove(self) -> None:
        """Asks for the end of it all."""
        for kind, name in self._wide:
            await self._api.delete(kind, None, name)
        await self._api.delete("Namespace", None, self.namespace)

    # The resource.

    async def create(self, name: str = "edge", **spec: Any) -> None:
        """Makes a HAProxyTelemetry."""
        await self._api.apply(cluster_manifests.resource(self.namespace, name, self.stage.endpoint, **spec))

    async def edit(self, name: str = "edge", **spec: Any) -> None:
        """Changes fields of its spec; None takes one out."""
        await self._api.merge("HAProxyTelemetry", self.namespace, name, {"spec": spec})

    async def delete(self, name: str = "edge") -> None:
        """Asks for its end."""
        await self._api.delete("HAProxyTelemetry", self.namespace, name)

    async def telemetry(self, name: str = "edge") -> dict[str, Any] | None:
        """As it is."""
        return await self._api.get("HAProxyTelemetry", self.namespace, name)

    async def until_condition(
        self, kind: str, status: str, *reasons: str, name: str = "edge", timeout_seconds: float = _PATIENCE_SECONDS
    ) -> str:
        """Waits for a condition, of the spec as it is now; gives its message."""

        async def asked() -> Any:
            found = await self.telemetry(name) or {}
            generation = (found.get("metadata") or {}).get("generation")
            told = (found.get("status") or {}).get("conditions") or []
            entries = {entry["type"]: entry for entry in told}
            entry = entries.get(kind, {})
            fits = entry.get("status") == status and entry.get("observedGeneration") == generation
            seen[:] = [f"{entry['type']}={entry['status']}/{entry['reason']}: {entry['message']}" for entry in told]
            return entry if fits and (not reasons or entry["reason"] in reasons) else None

        seen: list[str] = []
        wanted = f"{self.namespace}/{name}: {kind}={status} {' or '.join(reasons)}"
        try:
            found = await until(asked, what=wanted, timeout_seconds=timeout_seconds, every_seconds=_EVERY_SECONDS)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; {seen}") from None
        return str(found["message"])

    async def until_ready(self, name: str = "edge", *, timeout_seconds: float = _PATIENCE_SECONDS) -> None:
        """Waits until it is Ready."""
        await self.until_condition("Ready", "True", name=name, timeout_seconds=timeout_seconds)

    async def kubectl_wait(self, name: str = "edge", *, timeout_seconds: float = _PATIENCE_SECONDS) -> None:
        """The same, by the command that users type."""
        arguments = ["wait", "--for=condition=Ready", f"hapt/{name}", f"--timeout={timeout_seconds:.0f}s"]
        child = await asyncio.create_subprocess_exec(
            "kubectl", "-n", self.namespace, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await child.communicate()
        assert child.returncode == 0, output.decode()

    async def until_gone(self, name: str = "edge", *, timeout_seconds: float = _PATIENCE_SECONDS) -> None:
        """Waits until there is no such resource."""

        async def asked() -> bool:
            return await self.telemetry(name) is None

        await until(asked, what=f"{self.namespace}/{name} is gone", timeout_seconds=timeout_seconds, every_seconds=_EVERY_SECONDS)

    # Workloads and pods.

    async def until_rolled_out(self, kind: str, name: str, *, timeout_seconds: float = _PATIENCE_SECONDS) -> None:
        """Waits until all of a workload's pods are as it says, and serve."""

        async def asked() -> bool:
            found = await self._api.get(kind, self.namespace, name) or {}
            spec, status = found.get("spec") or {}, found.get("status") or {}
            if status.get("observedGeneration", 0) < found["metadata"]["generation"]:
                return False
            if kind == "DaemonSet":
                wanted = status.get("desiredNumberScheduled", 0)
                return bool(wanted) and wanted == status.get("updatedNumberScheduled") == status.get("numberAvailable")
            wanted = spec["replicas"]
            return bool(wanted == status.get("updatedReplicas") == status.get("availableReplicas") == status.get("replicas"))

        what = f"{self.namespace}: {kind} {name} is rolled out"
        await until(asked, what=what, timeout_seconds=timeout_seconds, every_seconds=_EVERY_SECONDS)

    async def pods(self, app: str) -> list[dict[str, Any]]:
        """Those of a workload that live."""
        found = await self._api.all("Pod", self.namespace, labels=f"app={app}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    async def uids(self, app: str) -> set[str]:
        """Of its pods."""
        return {pod["metadata"]["uid"] for pod in await self.pods(app)}

    async def injected(self, app: str) -> list[str | None]:
        """Of each of its pods: the resource whose agent is in it."""
        return [(pod["metadata"].get("annotations") or {}).get(INJECTED) for pod in await self.pods(app)]

    async def until_true(
        self, probe: Callable[[], Awaitable[Any]], what: str, *, timeout_seconds: float = _PATIENCE_SECONDS
    ) -> Any:
        """Waits for an answer that is true."""
        return await until(probe, what=f"{self.namespace}: {what}", timeout_seconds=timeout_seconds, every_seconds=_EVERY_SECONDS)

    async def snapshot(self, kind: str, name: str) -> Snapshot:
        """Of the user's objects."""
        workload = await self._api.get(kind, self.namespace, name)
        config_map = await self._api.get("ConfigMap", self.namespace, name)
        assert workload is not None
        assert config_map is not None
        metadata = config_map["metadata"]
        kept = {key: metadata.get(key) or {} for key in ("labels", "annotations", "ownerReferences")}
        return Snapshot(
            json.dumps(workload["spec"], sort_keys=True),
            json.dumps({"data": config_map.get("data") or {}} | kept, sort_keys=True),
        )

    async def leftovers(self) -> list[str]:
        """Whatever of ours is still in the namespace."""
        found = [f"ConfigMap {body['metadata']['name']}" for body in await self._api.all("ConfigMap", self.namespace)]
        ours = [name for name in found if "haproxy-telemetry" in name]
        if self.namespace in await self.stage.webhook_namespaces():
            ours.append("webhook entry")
        for pod in await self._api.all("Pod", self.namespace):
            metadata = pod["metadata"]
            if INJECTED in (metadata.get("annotations") or {}) and "deletionTimestamp" not in metadata:
                ours.append(f"agent in pod {metadata['name']}")
        return ours

    # Requests.

    async def address(self, service: str) -> str:
        """Of a Service: its cluster IP."""
        found = await self._api.get("Service", self.namespace, service)
        assert found is not None
        address: str = found["spec"]["clusterIP"]
        return address

    @contextlib.asynccontextmanager
    async def load(self, service: str, *, host: str | None = None) -> AsyncIterator[SteadyLoad]:
        """Requests through a Service all the time, each on a connection of its own; none may fail.

        Their callers did not sample them, so that they make no spans.
        """
        headers = {"traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"} | ({"Host": host} if host else {})
        address = await self.address(service)
        await self.until_answered(service, host=host)
        async with SteadyLoad(80, address=address, headers=headers, clients=1, pause_seconds=0.1, reconnect=True) as load:
            await load.wait_for_answers(3)
            yield load
            await load.wait_for_answers(3)
        failed = [answer for answer in load.answers if answer.status != 200]
        begin = load.answers[0].start_seconds
        words = [f"{answer.start_seconds - begin:.1f} s: {answer.status} {answer.error}" for answer in failed]
        assert failed == [], f"{len(failed)} of {len(load.answers)} requests failed: {words[:5]}"

    async def until_answered(self, service: str, *, host: str | None = None) -> None:
        """Waits until nodes know of the Service, and a controller of the Ingress."""

        async def asked() -> bool:
            with contextlib.suppress(aiohttp.ClientError, AssertionError, TimeoutError):
                # Each of two pods, most likely.
                return all([await self.request(service, host=host) for _ in range(8)])
            return False

        await self.until_true(asked, f"{service} answers")

    async def request(
        self, service: str, *, host: str | None = None, trace_id: str | None = None
    ) -> tuple[str, str, dict[str, str]]:
        """A request that its caller sampled: ``(trace id, caller's span id, the headers that the app got)``."""
        trace, span = trace_id or secrets.token_hex(16), secrets.token_hex(8)
        headers = {"traceparent": f"00-{trace}-{span}-01", "Connection": "close"} | ({"Host": host} if host else {})
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            async with session.get(f"http://{await self.address(service)}/", headers=headers) as response:
                assert response.status == 200, response.status
                got: dict[str, str] = json.loads(await response.read())
                return trace, span, got

    async def check_traced(self, service: str, *, host: str | None = None) -> list[Span]:
        """A request gives the caller, HAProxy's two spans and the app, each below the one before."""
        trace = caller = ""
        got: dict[str, str] = {}

        async def asked() -> bool:
            # A pod on its way out may be asked still, and does what it was made for.
            nonlocal trace, caller, got
            with contextlib.suppress(aiohttp.ClientConnectionError):
                trace, caller, got = await self.request(service, host=host)
            return bool(got) and caller not in got["traceparent"] and got["traceparent"].endswith("-01")

        await self.until_true(asked, "the app gets a sampled traceparent of HAProxy's", timeout_seconds=15)

        async def arrived() -> list[Span] | None:
            spans = self.stage.spans.get(trace, [])
            return spans if len(spans) >= 2 else None

        spans: list[Span] = await self.until_true(
            arrived, f"spans of {trace} (the app got {got.get('traceparent')})", timeout_seconds=15
        )
        server, client = sorted(spans, key=lambda span: span.kind)
        assert (server.kind, client.kind) == (2, 3)
        assert server.parent_id == caller
        assert client.parent_id == server.span_id
        assert got["traceparent"] == f"00-{trace}-{client.span_id}-01"
        assert server.resource["k8s.namespace.name"] == self.namespace
        return [server, client]

    async def check_untraced(self, service: str, *, host: str | None = None) -> None:
        """The app gets what the caller sent; soon, for a pod on its way out may still be asked."""

        async def asked() -> bool:
            with contextlib.suppress(aiohttp.ClientError, AssertionError):
                trace, caller, got = await self.request(service, host=host)
                return got["traceparent"] == f"00-{trace}-{caller}-01"
            return False

        await self.until_true(asked, "the app gets the caller's traceparent", timeout_seconds=15)

    # Failures.

    async def report(self) -> str:
        """What there is to know of a namespace."""
        lines = [f"--- {self.namespace}"]
        with contextlib.suppress(ApiRefused, aiohttp.ClientError, TimeoutError):
            resources = await self._api.all("HAProxyTelemetry", self.namespace)
            lines += [json.dumps({key: body.get(key) for key in ("metadata", "spec", "status")}) for body in resources]
            for kind in ("Deployment", "DaemonSet", "StatefulSet"):
                for body in await self._api.all(kind, self.namespace):
                    annotations = body["spec"]["template"]["metadata"].get("annotations")
                    lines.append(f"{kind} {body['metadata']['name']}: {annotations} {json.dumps(body.get('status'))}")
            for pod in await self._api.all("Pod", self.namespace):
                status = pod["status"]
                states = {
                    entry["name"]: entry.get("state")
                    for entry in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
                }
                annotations = pod["metadata"].get("annotations")
                lines.append(f"Pod {pod['metadata']['name']}: {status.get('phase')} {annotations} {json.dumps(states)}")
                lines += [f"    {line}" for line in await _counters(status.get("podIP", ""))] if annotations else []
                for name in states:
                    if name.startswith("haproxy-telemetry"):
                        log = await self._api.log(self.namespace, pod["metadata"]["name"], name, tail=30)
                        lines += [f"    {name}: {line}" for line in log.splitlines() if '"setting: ' not in line]
                    else:
                        log = await self._api.log(self.namespace, pod["metadata"]["name"], name, tail=1000)
                        lines += [f"    {name}: {line}" for line in log.splitlines() if _is_slow_or_failed(line)][-8:]
            events = sorted(await self._api.all("Event", self.namespace), key=lambda body: body.get("lastTimestamp") or "")
            lines += [f"Event {body['involvedObject']['name']}: {body['reason']}: {body['message']}" for body in events[-40:]]
        for program in (self.stage.operator, self.stage.injector):
            said = [line for line in program.lines if self.namespace in line or "---" in line or "Traceback" in line]
            lines += [f"{program.name}: {line}" for line in said[-40:]]
        return "\n".join(line[:2000] for line in lines)


@contextlib.asynccontextmanager
async def open_stage(kubeconfig: str) -> AsyncIterator[Stage]:
    """Everything that cases share, up; and down again.

    Raises:
        LookupError: this cluster won't do; says why.
    """
    name = f"ct-{secrets.token_hex(2)}"
    async with contextlib.AsyncExitStack() as stack:
        api = await stack.enter_async_context(KubeApi(kubeconfig))
        address = await _address(api)
        if await api.get("CustomResourceDefinition", None, f"haproxytelemetries.{GROUP}") is None:
            raise LookupError(
                "the CustomResourceDefinition is not there: haproxy-telemetry-operator crd | kubectl apply --server-side -f -"
            )
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        common = ["--image", AGENT_IMAGE, "--log-format", "console"]
        port = free_port()
        run = ["run", *common, "--namespace", name, "--injector-url", f"https://{address}:{port}"]
        inject = ["inject", *common, "--port", str(port), "--certificate-directory", str(folder)]
        stage = Stage(api, kubeconfig, name, Program("operator", run, free_port()), Program("injector", inject, free_port()))
        site = Site(stage, name)
        await api.apply(cluster_manifests.namespace(name, {}))
        try:
            await stage.operator.start(wait=False)
            await site.put([*cluster_manifests.collector(name), *cluster_manifests.echo(name)])
            stage.endpoint = f"http://{await site.address('otelcol')}:4318"
            stage.upstream = f"{await site.address('echo')}:80"
            await stage.operator.until_ready()
            await _take_certificate(stage, folder)
            await stage.injector.start()
            follower = asyncio.create_task(stage.follow_collector())
            try:
                yield stage
            finally:
                follower.cancel()
                await asyncio.gather(follower, return_exceptions=True)
                await _until_all_gone(stage)
        finally:
            await stage.operator.stop()
            await stage.injector.stop()
            await site.remove()


def _is_slow_or_failed(line: str) -> bool:
    """Of HAProxy's access log."""
    timers = re.search(r" -?\d+/-?\d+/-?\d+/-?\d+/\+?(\d+) (-?\d+) ", line)
    return timers is not None and (int(timers[1]) > 1000 or timers[2] != "200")


async def _counters(address: str) -> list[str]:
    """What an agent has counted."""
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            async with session.get(f"http://{address}:9464/metrics") as response:
                text = await response.text()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return [f"no metrics: {error!r}"]
    lines = [line for line in text.splitlines() if not line.startswith("#") and not line.endswith(" 0.0")]
    told = ("_exchanges_", "_spans_", "_records_", "_spoe_", "_export_", "_open_connections")
    return [line for line in lines if any(word in line for word in told) and "_bucket" not in line and "_created" not in line]


async def _address(api: KubeApi) -> str:
    """Of a node that is this machine."""
    addresses = [
        entry["address"] for node in await api.all("Node") for entry in node["status"]["addresses"] if entry["type"] == "InternalIP"
    ]
    for address in addresses:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((address, 0))
            return str(address)
    raise LookupError(
        f"no node of this cluster is this machine ({', '.join(addresses)}): the API server could not reach an injector here"
    )


async def _take_certificate(stage: Stage, folder: Path) -> None:
    """What the kubelet does for an injector in the cluster."""

    async def asked() -> Any:
        found = await stage.api.get("Secret", stage.own_namespace, "haproxy-telemetry-injector-tls")
        return (found or {}).get("data")

    data = await until(asked, what="the injector's certificate", timeout_seconds=20, every_seconds=0.1)
    for key in ("tls.crt", "tls.key"):
        (folder / key).write_bytes(base64.b64decode(data[key]))


async def _until_all_gone(stage: Stage) -> None:
    """Namespaces of cases go while the operator can let their resources go."""

    async def asked() -> bool:
        names = {body["metadata"]["name"] for body in await stage.api.all("Namespace")}
        return not any(name.startswith(f"{stage.own_namespace}-") for name in names)

    await until(asked, what="namespaces of all cases are gone", timeout_seconds=60, every_seconds=0.5)
