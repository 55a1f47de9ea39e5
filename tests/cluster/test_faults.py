"""What goes wrong around the operator, one thing a namespace: requests are answered all the same, and the condition says why."""

from typing import Any

from support import cluster_manifests
from support.at_once import at_once
from support.cluster_manifests import Object
from support.cluster_stage import Site, Stage

_KEY = "frontend-config-snippet"
_USERS = "http-response set-header x-user 1\n"
_END = "# <<< haproxy-telemetry"


def _plain(site: Site, *, replicas: int = 2, name: str = "haproxy") -> list[Object]:
    return cluster_manifests.plain("Deployment", site.namespace, name, site.stage.upstream, replicas=replicas)


@at_once
async def test_a_block_that_others_change(stage: Stage) -> None:
    async with stage.site("block") as site:
        name = "kubernetes-ingress"
        objects = cluster_manifests.ingress_controller(name, site.namespace, replicas=1, data={_KEY: _USERS})
        await site.put([*cluster_manifests.echo(site.namespace), *objects])

        async def text() -> str:
            found = await stage.api.get("ConfigMap", site.namespace, name)
            assert found is not None
            return str(found["data"][_KEY])

        async def write(value: str) -> str:
            body = await stage.api.merge("ConfigMap", site.namespace, name, {"data": {_KEY: value}})
            return str(body["metadata"]["resourceVersion"])

        async def whole() -> bool:
            return _END in await text()

        await site.create()
        await site.until_ready()
        ours = await text()
        assert ours.startswith(_USERS)

        version = await write(ours.replace(_END, "# nothing"))
        message = await site.until_condition("ConfigInjected", "False", "MarkersDamaged")
        assert f"key {_KEY}, line 2" in message
        found = await stage.api.get("ConfigMap", site.namespace, name)
        assert found is not None
        assert found["metadata"]["resourceVersion"] == version

        for _ in range(3):
            await write(_USERS)
            await site.until_true(whole, "our lines are back", timeout_seconds=15)
            assert await text() == ours
        await write(_USERS)
        message = await site.until_condition("ConfigInjected", "False", "ContendedByFieldManager")
        assert "cluster-tests" in message
        assert await text() == _USERS

        await site.delete()
        await site.until_gone()
        assert await text() == _USERS
        assert await site.leftovers() == []


@at_once
async def test_two_resources(stage: Stage) -> None:
    async with stage.site("two") as site:
        await site.put(_plain(site))
        async with site.load("haproxy"):
            await site.create("first")
            await site.until_ready("first")
            await site.create("second")
            assert "first" in await site.until_condition("Accepted", "False", "Conflicted", name="second")
            assert await site.injected("haproxy") == ["first", "first"]
            await site.delete("first")
            await site.until_gone("first")
            await site.until_ready("second")
            assert await site.injected("haproxy") == ["second", "second"]
            assert await stage.api.get("ConfigMap", site.namespace, "haproxy-telemetry-first") is None
            await site.check_traced("haproxy")


@at_once
async def test_an_image_that_does_not_exist(stage: Stage) -> None:
    async with stage.site("image") as site:
        await site.put(_plain(site))
        uids = await site.uids("haproxy")
        async with site.load("haproxy"):
            await site.create(sidecar={"image": "haproxy-telemetry/nowhere:none"})
            message = await site.until_condition("SidecarsInjected", "False", "RolloutStalled")
            assert "Pull" in message
            assert "haproxy-telemetry/nowhere:none" in message
            assert uids <= await site.uids("haproxy")
            await site.edit(sidecar=None)
            await site.until_ready()
            await site.check_traced("haproxy")
            assert not uids & await site.uids("haproxy")


@at_once
async def test_a_quota_that_leaves_no_room(stage: Stage) -> None:
    async with stage.site("quota") as site:
        await site.put(_plain(site))
        await stage.api.merge("Deployment", site.namespace, "haproxy", {"spec": {"progressDeadlineSeconds": 5}})
        quota: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "pods", "namespace": site.namespace},
        }
        await stage.api.apply(quota | {"spec": {"hard": {"pods": "2"}}})
        uids = await site.uids("haproxy")
        async with site.load("haproxy"):
            await site.create()
            message = await site.until_condition("SidecarsInjected", "False", "RolloutStalled")
            assert "quota" in message
            assert await site.uids("haproxy") == uids
            await stage.api.apply(quota | {"spec": {"hard": {"pods": "6"}}})
            await site.until_ready()
            await site.check_traced("haproxy")


@at_once
async def test_a_namespace_that_is_deleted(stage: Stage) -> None:
    async with stage.site("namespace") as site:
        await site.put(_plain(site, replicas=1))
        await site.create()
        await site.until_ready()
        await stage.api.delete("Namespace", None, site.namespace)

        async def gone() -> bool:
            return await stage.api.get("Namespace", None, site.namespace) is None

        await site.until_true(gone, "it is gone", timeout_seconds=60)

        async def forgotten() -> bool:
            return site.namespace not in await stage.webhook_namespaces()

        await site.until_true(forgotten, "the API server asks nobody about it", timeout_seconds=5)


@at_once
async def test_a_setting_that_only_we_judge(stage: Stage) -> None:
    async with stage.site("invalid") as site:
        await site.put(_plain(site, replicas=1))
        before, uids = await site.snapshot("Deployment", "haproxy"), await site.uids("haproxy")
        await site.create(spans={"peerService": True, "servicePeerName": "Off"})
        assert "spec.spans.peerService" in await site.until_condition("Accepted", "False", "InvalidSpec")
        found = await site.telemetry()
        assert found is not None
        assert "finalizers" not in found["metadata"]
        assert await site.leftovers() == []
        assert (await site.snapshot("Deployment", "haproxy"), await site.uids("haproxy")) == (before, uids)
        await site.edit(spans=None)
        await site.until_ready()
        await site.check_traced("haproxy")
