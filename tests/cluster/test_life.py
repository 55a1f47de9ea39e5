"""The life of a resource for each kind of target, under load: no request fails, and at the end nothing of ours is left."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from support import cluster_manifests
from support.at_once import at_once
from support.cluster_manifests import HOST, Object
from support.cluster_stage import CONFIG_HASH, Site, Stage

_KUBELET_SECONDS = 150.0
"""A kubelet brings a changed ConfigMap within 90 s; more where it has much to do."""


class Target(NamedTuple):
    kind: str
    name: str
    host: str | None = None
    labels: Mapping[str, str] = {}
    """Of its namespace."""


TARGETS = {
    "deployment": Target("Deployment", "haproxy", labels={"pod-security.kubernetes.io/enforce": "restricted"}),
    "daemonset": Target("DaemonSet", "haproxy"),
    "statefulset": Target("StatefulSet", "haproxy"),
    "kubernetes-ingress": Target("Deployment", "kubernetes-ingress", HOST),
    "haproxy-ingress": Target("Deployment", "haproxy-ingress", HOST),
}


def _objects(target: Target, site: Site) -> list[Object]:
    if target.host is None:
        return cluster_manifests.plain(target.kind, site.namespace, target.name, site.stage.upstream)
    return [*cluster_manifests.echo(site.namespace), *cluster_manifests.ingress_controller(target.name, site.namespace)]


@pytest.mark.parametrize("name", TARGETS)
@at_once
async def test_life(stage: Stage, name: str) -> None:
    target = TARGETS[name]
    async with stage.site(name, target.labels) as site:
        await site.put(_objects(target, site))
        before = await site.snapshot(target.kind, target.name)
        await site.until_answered(target.name, host=target.host)
        await site.check_untraced(target.name, host=target.host)
        async with site.load(target.name, host=target.host):
            await site.create()
            await site.kubectl_wait()
            await site.check_traced(target.name, host=target.host)
            uids, config_hash = await site.uids(target.name), await _hash(site, target)

            await site.edit(sampling={"type": "AlwaysOff"})
            await site.until_true(lambda: _samples(site, target, "00"), "agents sample nothing", timeout_seconds=_KUBELET_SECONDS)
            await site.until_ready()
            assert await site.uids(target.name) == uids

            # Pods made anew read what is there now: no waiting for the kubelet.
            await site.edit(sampling=None, injection={"processingTimeout": "50ms"})
            await site.until_ready()
            assert not await site.uids(target.name) & uids
            assert await _hash(site, target) != config_hash
            await site.check_traced(target.name, host=target.host)

            await site.edit(suspend=True)
            await site.until_condition("SidecarsInjected", "False", "Suspended")
            assert await site.leftovers() == []
            assert await site.snapshot(target.kind, target.name) == before
            await site.check_untraced(target.name, host=target.host)

            await site.edit(suspend=False)
            await site.until_ready()
            await site.check_traced(target.name, host=target.host)

            await site.delete()
            await site.until_gone()
            assert await site.leftovers() == []
            assert await site.snapshot(target.kind, target.name) == before
            await site.until_rolled_out(target.kind, target.name)
            await site.check_untraced(target.name, host=target.host)


async def _samples(site: Site, target: Target, flags: str) -> bool:
    """Whether all pods do: so many requests meet each of two."""
    got: list[dict[str, Any]] = [(await site.request(target.name, host=target.host))[2] for _ in range(12)]
    return all(headers["traceparent"].endswith(f"-{flags}") for headers in got)


async def _hash(site: Site, target: Target) -> str:
    """What its pods were injected with, all of them."""
    hashes = {pod["metadata"]["annotations"][CONFIG_HASH] for pod in await site.pods(target.name)}
    assert len(hashes) == 1
    return hashes.pop()
