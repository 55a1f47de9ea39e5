"""The injector as API servers know it: behind a Service, with a webhook, a Secret, and no more rights than it needs."""

import asyncio
import base64
import contextlib
import datetime
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from kubernetes.aio import client

from haproxy_telemetry_operator.certificate_secret import OVERLAP, Plan, Step, current, read_data, secret_body
from haproxy_telemetry_operator.certificates import LIFE, dns_names, make_pair, split_bundle
from haproxy_telemetry_operator.names import API_VERSION, GROUP, KIND, PLURAL, VERSION
from support import fake_injector
from support.cluster import Cluster, own_namespace
from support.ports import free_port
from support.probe import until
from support.process import Process

SERVICE = "injector"
SECRET = "injector-tls"
RESOURCE = "edge"
IMAGE = "haproxy-telemetry/agent:test"
NEVER = datetime.timedelta(0)


class Installed:
    """An injector of one namespace, and what the operator does for it."""

    def __init__(self, cluster: Cluster, namespace: str, folder: Path) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.names = dns_names(SERVICE, namespace)
        self.port = free_port()
        self.http_port = free_port()
        self._kubeconfig = folder / "kubeconfig"
        self.process = self._make_process()

    def _make_process(self) -> Process:
        arguments = [
            *(sys.executable, fake_injector.__file__, "inject", "--image", IMAGE, "--drain-seconds", "0.2"),
            *("--host", self.cluster.host_address, "--port", str(self.port), "--http-port", str(self.http_port)),
            *("--certificate-secret", f"{self.namespace}/{SECRET}", "--log-level", "debug"),
        ]
        return Process("injector", arguments, environment=os.environ | {"KUBECONFIG": str(self._kubeconfig)})

    async def prepare(self) -> None:
        """Service, rights and the resource."""
        core, namespace = self.cluster.core, self.namespace
        await core.create_namespaced_service(namespace, {"metadata": {"name": SERVICE}, "spec": {"ports": [{"port": 443}]}})
        endpoints = {
            "metadata": {"name": SERVICE, "labels": {"kubernetes.io/service-name": SERVICE}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [self.cluster.host_address], "conditions": {"ready": True}}],
            "ports": [{"port": self.port, "protocol": "TCP", "name": ""}],
        }
        await self.cluster.discovery.create_namespaced_endpoint_slice(namespace, endpoints)
        await core.create_namespaced_service_account(namespace, {"metadata": {"name": SERVICE}})
        rules = [
            {"apiGroups": [GROUP], "resources": [PLURAL], "verbs": ["get", "list", "watch"]},
        ]
        subject = {"kind": "ServiceAccount", "name": SERVICE, "namespace": namespace}
        await self.cluster.rbac.create_cluster_role({"metadata": {"name": namespace}, "rules": rules})
        role_ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": namespace}
        await self.cluster.rbac.create_cluster_role_binding(
            {"metadata": {"name": namespace}, "roleRef": role_ref, "subjects": [subject]}
        )
        own = [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [SECRET], "verbs": ["get", "watch"]}]
        await self.cluster.rbac.create_namespaced_role(namespace, {"metadata": {"name": SERVICE}, "rules": own})
        role_ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": SERVICE}
        await self.cluster.rbac.create_namespaced_role_binding(
            namespace, {"metadata": {"name": SERVICE}, "roleRef": role_ref, "subjects": [subject]}
        )
        request = {"spec": {"expirationSeconds": 3600}}
        token = await core.create_namespaced_service_account_token(SERVICE, namespace, request)
        self._kubeconfig.write_text(self.cluster.kubeconfig_for(token.status.token))
        await self.make_resource(RESOURCE)

    async def make_resource(self, name: str) -> None:
        # Suspended: an operator that runs in this cluster as well shall leave it alone.
        spec = {"suspend": True, "target": {"type": "Manual"}, "exporter": {"endpoint": "http://127.0.0.1:4318"}}
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}
        await self.cluster.custom.create_namespaced_custom_object(GROUP, VERSION, self.namespace, PLURAL, body)

    async def remove(self) -> None:
        """What is in no namespace."""
        for delete in (
            self.cluster.admission.delete_mutating_webhook_configuration,
            self.cluster.rbac.delete_cluster_role_binding,
            self.cluster.rbac.delete_cluster_role,
        ):
            with contextlib.suppress(client.ApiException):
                await delete(self.namespace)

    async def secret(self) -> Any:
        try:
            found = await self.cluster.core.read_namespaced_secret(SECRET, self.namespace)
        except client.ApiException as error:
            if error.status != 404:
                raise
            return None
        return self.cluster.api_client.sanitize_for_serialization(found)

    async def keep_certificate(self, *, published: bool = True, overlap: datetime.timedelta = OVERLAP) -> Plan:
        """What the operator does with the Secret."""
        secret = await self.secret()
        now = datetime.datetime.now(datetime.UTC)
        planned = current(read_data(secret), now, names=self.names, published=published, overlap=overlap)
        if planned.data is not None:
            await self.write_secret(planned.data, None if secret is None else secret["metadata"]["resourceVersion"])
        return planned

    async def write_secret(self, data: dict[str, bytes], version: str | None) -> None:
        body = secret_body(self.namespace, SECRET, data, version)
        if version is None:
            await self.cluster.core.create_namespaced_secret(self.namespace, body)
        else:
            await self.cluster.core.replace_namespaced_secret(SECRET, self.namespace, body)

    async def write_webhook(self, bundle: bytes, *, name: str = RESOURCE, timeout_seconds: int = 5) -> None:
        """The webhook of the resource, as the operator writes it."""
        service = {"namespace": self.namespace, "name": SERVICE, "path": f"/inject/native/{self.namespace}/{name}", "port": 443}
        webhook = {
            "name": "inject.haproxy-telemetry.io",
            "clientConfig": {"service": service, "caBundle": base64.b64encode(bundle).decode()},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}},
            "rules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"], "scope": "Namespaced"}
            ],
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "timeoutSeconds": timeout_seconds,
            "failurePolicy": "Ignore",
            "reinvocationPolicy": "IfNeeded",
        }
        body: dict[str, Any] = {"metadata": {"name": self.namespace}, "webhooks": [webhook]}
        try:
            await self.cluster.admission.create_mutating_webhook_configuration(body)
        except client.ApiException as error:
            if error.status != 409:
                raise
            found = await self.cluster.admission.read_mutating_webhook_configuration(self.namespace)
            body["metadata"]["resourceVersion"] = found.metadata.resource_version
            await self.cluster.admission.replace_mutating_webhook_configuration(self.namespace, body)

    async def make_pod(self, *, dry_run: bool = False, labels: dict[str, str] | None = None) -> dict[str, Any]:
        spec = {"schedulerName": "nobody", "containers": [{"name": "haproxy", "image": "haproxy:3.2"}]}
        body = {"metadata": {"generateName": "edge-", "labels": labels or {}}, "spec": spec}
        pod = await self.cluster.core.create_namespaced_pod(self.namespace, body, **({"dry_run": "All"} if dry_run else {}))
        made: dict[str, Any] = self.cluster.api_client.sanitize_for_serialization(pod)
        return made

    async def reaches(self) -> bool:
        """Whether the API server's questions arrive: rules of a new Service and of a new webhook take their time."""
        return injected(await self.make_pod(dry_run=True))

    async def get(self, path: str) -> tuple[int, str]:
        url = f"http://{self.cluster.host_address}:{self.http_port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status, await response.text()

    async def is_ready(self) -> bool:
        try:
            return (await self.get("/readyz"))[0] == 200
        except aiohttp.ClientConnectionError:
            return False

    async def metric(self, sample: str) -> float:
        _, text = await self.get("/metrics")
        line = next(line for line in text.splitlines() if line.startswith(f"haproxy_telemetry_injector_{sample} "))
        return float(line.rpartition(" ")[2])

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Process]:
        """The injector, ready."""
        self.process = self._make_process()
        async with self.process:
            await self.process.while_alive(until(self.is_ready, what="ready", timeout_seconds=20), what="ready", timeout_seconds=21)
            yield self.process


def injected(pod: dict[str, Any]) -> bool:
    return fake_injector.ANNOTATION in pod["metadata"].get("annotations", {})


@pytest.fixture
async def installed(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Installed]:
    async with own_namespace(cluster, "injector-test") as namespace:
        made = Installed(cluster, namespace, tmp_path)
        try:
            await made.prepare()
            yield made
        finally:
            await made.remove()


async def test_a_pod_gets_the_agent_once_and_none_waits_for_an_injector_that_is_away(installed: Installed) -> None:
    await installed.process.start()
    try:
        # It starts without a certificate, waits for the Secret, and says so.
        async def says_why() -> str:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                status, text = await installed.get("/readyz")
                return text if status == 503 and "certificate" in text else ""
            return ""

        assert await until(says_why, what="no certificate", timeout_seconds=15) == "there is no certificate\n"
        assert (await installed.get("/healthz"))[0] == 200
        planned = await installed.keep_certificate()
        assert planned.step is Step.MAKE
        await until(installed.is_ready, what="ready with a certificate", timeout_seconds=5)
        await installed.write_webhook(planned.bundle)
        await until(installed.reaches, what="a pod injected", timeout_seconds=20, every_seconds=0.2)

        before = await installed.metric('admissions_total{result="unchanged"}')
        pod = await installed.make_pod()
        assert pod["metadata"]["annotations"][fake_injector.ANNOTATION] == RESOURCE
        assert [container["name"] for container in pod["spec"]["initContainers"]] == [fake_injector.SIDECAR]
        assert pod["spec"]["initContainers"][0]["image"] == IMAGE
        # The API server has asked again, since another admission changed the pod after us.
        assert await installed.metric('admissions_total{result="injected"}') == 1
        assert await installed.metric('admissions_total{result="unchanged"}') == before + 1
        assert await installed.metric('dry_runs_total{result="injected"}') >= 1
        assert await installed.metric("resources") >= 1
        assert (
            await installed.metric("certificate_expiry_timestamp_seconds")
            > datetime.datetime.now(datetime.UTC).timestamp() + 80 * 86_400
        )

        # A mistake of ours: the pod starts.
        assert not injected(await installed.make_pod(labels={"boom": "yes"}))
        assert await installed.metric('admissions_total{result="error"}') == 1

        # A second resource is younger, and not in charge.
        await installed.make_resource("second")
        await installed.write_webhook(planned.bundle, name="second")

        async def conflicted() -> bool:
            return (
                not injected(await installed.make_pod(dry_run=True))
                and await installed.metric('dry_runs_total{result="conflicted"}') > 0
            )

        await until(conflicted, what="the second resource is not in charge", timeout_seconds=10)
        await installed.write_webhook(planned.bundle)
        await until(installed.reaches, what="the first one is in charge", timeout_seconds=10)
    finally:
        installed.process.send_signal(signal.SIGTERM)
        assert await installed.process.ended() == 0
    assert not any("Traceback" in line for line in installed.process.lines)
    assert not injected(await installed.make_pod())
    # And when it is back, so is injection.
    async with installed.running():
        await until(installed.reaches, what="a pod injected again", timeout_seconds=20, every_seconds=0.2)


async def test_the_certificate_is_changed_under_load_and_no_pod_is_missed(installed: Installed) -> None:
    # Two thirds of its life are over.
    old = make_pair(installed.names, datetime.datetime.now(datetime.UTC) - LIFE * 2 / 3)
    await installed.write_secret({"tls.crt": old.certificate, "tls.key": old.key, "ca.crt": old.authority}, None)
    await installed.write_webhook(old.authority)
    async with installed.running() as process:
        await until(installed.reaches, what="a pod injected", timeout_seconds=20, every_seconds=0.2)
        pods = missed = 0
        changed = asyncio.Event()

        async def load() -> None:
            nonlocal pods, missed
            while not changed.is_set():
                pods += 1
                missed += not injected(await installed.make_pod(dry_run=True))

        async def wait_for_pods(more: int) -> None:
            wanted = pods + more

            async def enough() -> bool:
                return pods >= wanted

            await until(enough, what=f"{more} more pods", timeout_seconds=30)

        loads = [asyncio.create_task(load()) for _ in range(4)]
        try:
            steps = []
            while steps[-1:] != [Step.PRUNE]:
                planned = await installed.keep_certificate(overlap=NEVER)
                steps.append(planned.step)
                if planned.step is Step.PROMOTE:
                    await until(lambda: _served_is_new(installed, old.certificate), what="the new certificate", timeout_seconds=5)
                # A new bundle makes the API server connect anew.
                await installed.write_webhook(planned.bundle)
                await wait_for_pods(20)
        finally:
            changed.set()
            await asyncio.gather(*loads)
        assert steps == [Step.STAGE, Step.PROMOTE, Step.PRUNE]
        assert (missed, pods > 60) == (0, True)
        assert len(split_bundle(planned.bundle)) == 1
        # The last bundle vouches for the new one alone: the old authority is no good any more. The comment makes the API server
        # connect anew: with each bundle that it has had it goes on with a connection that is open.
        await installed.write_webhook(old.authority + b"# once more\n")

        async def refused() -> bool:
            return not injected(await installed.make_pod(dry_run=True))

        await until(refused, what="the old authority vouches no more", timeout_seconds=10)
        await process.wait_for_line("serving with a certificate")
        assert await installed.metric('certificate_reads_total{result="ok"}') == 2


async def test_of_two_operators_one_writes_the_secret(installed: Installed) -> None:
    now = datetime.datetime.now(datetime.UTC)
    plans = [current(None, now, names=installed.names, published=False) for _ in range(2)]
    results = await asyncio.gather(
        *(installed.write_secret(planned.data, None) for planned in plans if planned.data), return_exceptions=True
    )
    (lost,) = [result for result in results if isinstance(result, client.ApiException)]
    assert lost.status == 409
    assert (await installed.keep_certificate()).step is Step.KEEP
    # The same with one that is written over.
    version = (await installed.secret())["metadata"]["resourceVersion"]
    data = read_data(await installed.secret())
    assert data is not None
    await installed.write_secret(data | {"since": b"x"}, version)
    with pytest.raises(client.ApiException) as error:
        await installed.write_secret(data, version)
    assert error.value.status == 409


async def _served_is_new(installed: Installed, old: bytes) -> bool:
    served = await asyncio.to_thread(ssl.get_server_certificate, (installed.cluster.host_address, installed.port))
    return served.split() != old.decode().split()
