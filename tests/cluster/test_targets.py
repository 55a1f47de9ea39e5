"""Which pods are meant, and which are not: what is not meant is not touched, and what is meant no longer is made what it was."""

import pytest

from support import cluster_manifests
from support.at_once import at_once
from support.cluster_stage import Stage
from support.ports import free_port


@at_once
async def test_the_network_of_the_node(stage: Stage) -> None:
    """No port of the node's is taken by what HAProxy asks: that goes over a Unix socket."""
    async with stage.site("host") as site:
        port, metrics = free_port(), free_port()
        await site.put(cluster_manifests.plain("Deployment", site.namespace, "haproxy", stage.upstream, replicas=1, host_port=port))
        before = await site.snapshot("Deployment", "haproxy")
        await site.create(injection={"httpPort": metrics})
        await site.until_ready()
        await site.check_traced("haproxy")
        (pod,) = await site.pods("haproxy")
        (sidecar,) = [entry for entry in pod["spec"]["initContainers"] if entry["name"] == "haproxy-telemetry"]
        assert "ports" not in sidecar
        assert "haproxy-telemetry-run" in {mount["name"] for mount in sidecar["volumeMounts"]}
        await site.delete()
        await site.until_gone()
        assert await site.snapshot("Deployment", "haproxy") == before
        assert await site.leftovers() == []


@pytest.mark.parametrize(
    ("name", "labels", "spec", "condition"),
    [
        ("opted-out", {"haproxy-telemetry.io/inject": "false"}, {}, ("SidecarsInjected", "False", "NoPodsFound")),
        ("manual", {}, {"target": {"type": "Manual"}}, ("Accepted", "True", "Manual")),
    ],
)
@at_once
async def test_nothing_is_touched(
    stage: Stage, name: str, labels: dict[str, str], spec: dict[str, object], condition: tuple[str, ...]
) -> None:
    async with stage.site(name) as site:
        await site.put(cluster_manifests.plain("Deployment", site.namespace, "haproxy", stage.upstream, replicas=1, labels=labels))
        before, uids = await site.snapshot("Deployment", "haproxy"), await site.uids("haproxy")
        await site.create(**spec)
        await site.until_condition(*condition)
        assert (await site.snapshot("Deployment", "haproxy"), await site.uids("haproxy")) == (before, uids)
        # A pod that is made now comes as it would.
        await stage.api.delete("Pod", site.namespace, (await site.pods("haproxy"))[0]["metadata"]["name"])

        async def made_anew() -> bool:
            return len(pods := await site.uids("haproxy")) == 1 and pods != uids

        await site.until_true(made_anew, "there is another pod")
        assert await site.injected("haproxy") == [None]
        await site.check_untraced("haproxy")


@at_once
async def test_what_is_meant_no_longer(stage: Stage) -> None:
    """By its selector first, then because nothing is to be touched any more."""
    async with stage.site("selector") as site:
        for name in ("one", "two"):
            await site.put(cluster_manifests.plain("Deployment", site.namespace, name, stage.upstream, replicas=1))
        before = {name: await site.snapshot("Deployment", name) for name in ("one", "two")}
        async with site.load("one"), site.load("two"):
            await site.create(target={"selector": {"matchLabels": {"app": "one"}}})
            await site.until_ready()
            assert await site.injected("two") == [None]
            await site.edit(target={"selector": {"matchLabels": {"app": "two"}}})

            async def one_is_as_it_was() -> bool:
                return await site.snapshot("Deployment", "one") == before["one"] and await site.injected("one") == [None]

            await site.until_true(one_is_as_it_was, "the first is as it was", timeout_seconds=60)
            await site.until_ready()
            assert await site.injected("two") == ["edge"]

            await site.edit(target={"selector": None, "type": "Manual"})

            async def two_is_as_it_was() -> bool:
                return await site.snapshot("Deployment", "two") == before["two"] and await site.leftovers() == []

            await site.until_true(two_is_as_it_was, "the second is as it was", timeout_seconds=60)
            await site.until_condition("Accepted", "True", "Manual")
