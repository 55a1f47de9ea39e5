"""The operator and the injector end when it suits least, and come back: these cases run alone."""

import pytest

from support import cluster_manifests
from support.cluster_stage import CONFIG_HASH, Site, Stage

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300), pytest.mark.alone]


async def _kill(stage: Stage) -> None:
    await stage.operator.kill()
    await stage.operator.start(wait=False)


async def _template(site: Site) -> dict[str, str]:
    found = await site.stage.api.get("Deployment", site.namespace, "haproxy")
    assert found is not None
    return found["spec"]["template"]["metadata"].get("annotations") or {}


async def test_an_operator_that_is_killed(stage: Stage) -> None:
    async with stage.site("killed") as site:
        await site.put(cluster_manifests.plain("Deployment", site.namespace, "haproxy", stage.upstream))
        before = await site.snapshot("Deployment", "haproxy")

        async def marked() -> bool:
            return CONFIG_HASH in await _template(site)

        async def unmarked() -> bool:
            return not await marked()

        async with site.load("haproxy"):
            await site.create()
            await _kill(stage)
            await site.until_true(marked, "the rollout has begun")
            await _kill(stage)
            await site.until_ready()
            assert (await _template(site))["haproxy-telemetry.io/restarts"] == "1"
            await site.check_traced("haproxy")

            await site.delete()
            await _kill(stage)
            await site.until_true(unmarked, "the way back has begun")
            await _kill(stage)
            await site.until_gone()
            await site.until_rolled_out("Deployment", "haproxy")
            assert await site.snapshot("Deployment", "haproxy") == before
            assert await site.leftovers() == []


async def test_an_injector_that_is_down(stage: Stage) -> None:
    async with stage.site("down") as site:
        await site.put(cluster_manifests.plain("Deployment", site.namespace, "haproxy", stage.upstream))
        before = await site.snapshot("Deployment", "haproxy")
        async with site.load("haproxy"):
            await stage.injector.kill()
            try:
                await site.create()
                # Nothing is restarted for an agent that could not come; pods that are made meanwhile start as they always did.
                await site.until_condition("SidecarsInjected", "False", "InjectorUnavailable")
                await site.until_condition("Ready", "False", "InjectorUnavailable")
                template = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}
                await stage.api.merge("Deployment", site.namespace, "haproxy", {"spec": {"template": template}})
                await site.until_rolled_out("Deployment", "haproxy")
                assert await site.injected("haproxy") == [None, None]
                await site.check_untraced("haproxy")
            finally:
                await stage.injector.start()
            # It goes on by itself.
            await site.until_ready()
            await site.check_traced("haproxy")
            template = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": None}}}
            await stage.api.merge("Deployment", site.namespace, "haproxy", {"spec": {"template": template}})
            await site.delete()
            await site.until_gone()
            assert await site.snapshot("Deployment", "haproxy") == before
            assert await site.leftovers() == []
