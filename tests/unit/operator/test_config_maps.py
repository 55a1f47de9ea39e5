"""Our block in ConfigMaps of the user's: in, kept, out again byte for byte, and never over what somebody else wrote."""

import datetime
import json
from typing import Any

import pytest

from haproxy_telemetry_operator.cluster import CONFIG_MAPS, ApiError
from haproxy_telemetry_operator.config_maps import ControllerConfigMaps
from haproxy_telemetry_operator.names import ANNOTATION_MANAGED
from haproxy_telemetry_operator.rendering import render
from haproxy_telemetry_operator.rendering.block import BEGIN, END
from haproxy_telemetry_operator.state.conditions import Verdict
from haproxy_telemetry_operator.targets import Kind, Recognition
from support.cluster_objects import NAMESPACE, telemetry
from support.fake_cluster import FakeCluster

KEY = "frontend-config-snippet"
MINUTE = datetime.timedelta(minutes=1)


class Case:
    """A cluster, a clock, and the one ConfigMap."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.time = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
        self.config_maps = ControllerConfigMaps(self.cluster, lambda: self.time)

    def put(self, data: dict[str, str] | None, **metadata: Any) -> None:
        body: dict[str, Any] = {"kind": "ConfigMap", "metadata": {"name": "controller", "namespace": NAMESPACE, **metadata}}
        self.cluster.put(CONFIG_MAPS, body if data is None else body | {"data": data})

    @property
    def found(self) -> dict[str, Any]:
        found = self.cluster.find(CONFIG_MAPS, NAMESPACE, "controller")
        assert found is not None
        return found

    @property
    def data(self) -> dict[str, str]:
        data: dict[str, str] = self.found.get("data") or {}
        return data

    def edit(self, data: dict[str, str]) -> None:
        """By somebody who knows nothing of our annotation, and leaves it alone."""
        self.cluster.put(CONFIG_MAPS, self.found | {"data": data})

    async def inject(self, *, strategy: str = "Merge", kind: Kind = "KubernetesIngress", **recognition: Any) -> Verdict:
        resource = telemetry({"injection": {"configStrategy": strategy}})
        fields = {"config_map": (NAMESPACE, "controller")} | recognition
        return await self.config_maps.inject(resource, render(resource), Recognition(kind, ("haproxy",), **fields))

    async def revert(self) -> list[str]:
        return await self.config_maps.revert(NAMESPACE)


@pytest.fixture
def case() -> Case:
    return Case()


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {KEY: ""},
        {KEY: "http-request deny if { path /x }"},
        {KEY: "http-request deny if { path /x }\n"},
        {KEY: "\n\n# a comment \r\n\t", "other": "stays ä"},
    ],
)
async def test_it_comes_stays_and_leaves_everything_as_it_was(case: Case, data: dict[str, str] | None) -> None:
    case.put(data)
    verdict = await case.inject()
    assert (verdict.status, verdict.reason) == ("True", "Injected")
    injected = case.data[KEY]
    assert injected.startswith((data or {}).get(KEY, ""))
    assert injected.count(BEGIN) == injected.count(END) == 1
    assert json.loads(case.found["metadata"]["annotations"][ANNOTATION_MANAGED]) == {KEY: {"created": KEY not in (data or {})}}
    assert case.cluster.writes() == ["PATCH configmaps/controller"]
    assert (await case.inject()).reason == "Injected"
    assert case.cluster.writes() == []
    assert await case.revert() == []
    assert case.data == (data or {})
    assert not case.found["metadata"]["annotations"]
    assert case.cluster.writes() == ["PATCH configmaps/controller"]
    assert await case.revert() == []
    assert case.cluster.writes() == []


async def test_other_annotations_stay(case: Case) -> None:
    case.put({}, annotations={"a/b~c": "kept"})
    await case.inject()
    await case.revert()
    assert case.found["metadata"]["annotations"] == {"a/b~c": "kept"}


async def test_what_the_user_writes_beside_the_block_stays(case: Case) -> None:
    case.put({})
    await case.inject()
    case.edit({KEY: "# the user's\n" + case.data[KEY]})
    assert (await case.inject()).reason == "Injected"
    assert await case.revert() == []
    assert case.data == {KEY: "# the user's\n"}


async def test_a_key_that_has_gone_in_between(case: Case) -> None:
    case.put({})
    await case.inject()
    case.edit({"other": "1"})
    assert await case.revert() == []
    assert case.data == {"other": "1"}
    assert not case.found["metadata"]["annotations"]


async def test_the_annotation_is_put_back_beside_the_block(case: Case) -> None:
    case.put({KEY: "theirs\n"})
    await case.inject()
    case.put(case.data)
    case.cluster.writes()
    await case.inject()
    assert case.cluster.writes() == ["PATCH configmaps/controller"]
    assert await case.revert() == []
    assert case.data == {KEY: "theirs\n"}


async def test_who_made_the_key_is_remembered_over_changes_of_the_block(case: Case) -> None:
    case.put({})
    await case.inject()
    case.edit({KEY: f"{BEGIN}\n# older lines\n{END}\n"})
    await case.inject()
    assert await case.revert() == []
    assert case.data == {}


async def test_the_other_controller_has_a_key_of_its_own_and_a_log_format(case: Case) -> None:
    case.put({})
    await case.inject(kind="HAProxyIngress")
    assert list(case.data) == ["config-frontend-early"]
    assert "option httplog\n" in case.data["config-frontend-early"]


@pytest.mark.parametrize("text", [f"{BEGIN}\nabc\n", f"abc\n{END}\n", f"{BEGIN}\n{BEGIN}\n{END}"])
async def test_damaged_markers_are_left_alone(case: Case, text: str) -> None:
    case.put({KEY: text}, annotations={ANNOTATION_MANAGED: json.dumps({KEY: {"created": True}})})
    verdict = await case.inject()
    assert (verdict.status, verdict.reason) == ("False", "MarkersDamaged")
    assert "controller, key frontend-config-snippet, line " in verdict.message
    assert case.cluster.writes() == []
    (problem,) = await case.revert()
    assert problem.startswith("controller: key frontend-config-snippet, line ")
    assert case.data == {KEY: text}


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"frontend-config-snippet": 1}'])
async def test_an_annotation_that_somebody_has_broken(case: Case, text: str) -> None:
    case.put({KEY: "a\n"}, annotations={ANNOTATION_MANAGED: text})
    assert (await case.inject()).reason == "Injected"
    assert await case.revert() == []
    assert case.data == {KEY: "a\n"}


@pytest.mark.parametrize("keeps_annotations", [True, False])
async def test_who_takes_it_out_again_and_again_is_let(case: Case, keeps_annotations: bool) -> None:
    case.put({}, managedFields=[{"manager": "argocd"}, {"manager": "haproxy-telemetry-operator"}])
    assert (await case.inject()).reason == "Injected"
    reasons = []
    for _ in range(5):
        if keeps_annotations:
            case.edit({})
        else:
            case.put({}, managedFields=[{"manager": "argocd"}])
        case.time += MINUTE
        verdict = await case.inject()
        reasons.append(verdict.reason)
    assert reasons == ["Injected"] * 3 + ["ContendedByFieldManager"] * 2
    assert "(argocd)" in verdict.message
    assert KEY not in case.data
    case.time += 9 * MINUTE
    assert (await case.inject()).reason == "Injected"


async def test_a_change_of_the_block_is_no_contention(case: Case) -> None:
    case.put({})
    for _ in range(6):
        await case.inject()
        case.edit({KEY: f"{BEGIN}\n# older lines\n{END}\n"})
    assert (await case.inject()).reason == "Injected"


async def test_the_way_back_is_no_contention(case: Case) -> None:
    case.put({})
    for _ in range(6):
        assert (await case.inject()).reason == "Injected"
        assert await case.revert() == []


async def test_writes_that_fail_are_no_contention(case: Case) -> None:
    case.put({})
    await case.inject()
    case.edit({})
    case.cluster.fail("PATCH", 409, times=4)
    assert (await case.inject()).reason == "Injected"


async def test_a_write_in_between_is_kept(case: Case) -> None:
    case.put({KEY: "first\n"})
    case.cluster.meanwhile.append(lambda: case.edit({KEY: "second\n", "other": "1"}))
    assert (await case.inject()).reason == "Injected"
    assert case.data[KEY].startswith(f"second\n{BEGIN}")
    assert case.data["other"] == "1"
    case.cluster.meanwhile.append(lambda: case.edit(case.data | {"third": "3"}))
    assert await case.revert() == []
    assert case.data == {KEY: "second\n", "other": "1", "third": "3"}


async def test_a_config_map_that_changes_all_the_time(case: Case) -> None:
    case.put({})
    case.cluster.fail("PATCH", 409, times=5)
    verdict = await case.inject()
    assert (verdict.status, verdict.reason) == ("False", "Contended")
    await case.inject()
    case.cluster.fail("PATCH", 422, times=5)
    assert await case.revert() == ["controller changes faster than it can be written."]


async def test_a_config_map_that_goes_in_between(case: Case) -> None:
    case.put({})
    await case.inject()
    case.cluster.meanwhile.append(lambda: case.cluster.remove(CONFIG_MAPS, NAMESPACE, "controller"))
    assert await case.revert() == []


async def test_refusals_are_told(case: Case) -> None:
    case.put({})
    case.cluster.fail("PATCH", 403, "no right")
    with pytest.raises(ApiError, match="no right"):
        await case.inject()
    await case.inject()
    case.cluster.fail("PATCH", 403, "no right")
    with pytest.raises(ApiError, match="no right"):
        await case.revert()


async def test_the_shadow_is_a_copy_and_the_original_stays(case: Case) -> None:
    case.put({KEY: "theirs\n", "other": "1"})
    assert (await case.inject(strategy="Shadow")).reason == "Injected"
    assert case.cluster.writes() == ["PATCH configmaps/controller-haproxy-telemetry"]
    assert case.data == {KEY: "theirs\n", "other": "1"}
    shadow = case.cluster.find(CONFIG_MAPS, NAMESPACE, "controller-haproxy-telemetry")
    assert shadow is not None
    assert shadow["data"]["other"] == "1"
    assert shadow["data"][KEY].startswith(f"theirs\n{BEGIN}")
    await case.inject(strategy="Shadow")
    assert case.cluster.writes() == []
    case.edit({"other": "2"})
    await case.inject(strategy="Shadow")
    assert case.cluster.writes() == ["PATCH configmaps/controller-haproxy-telemetry"]


@pytest.mark.parametrize(
    ("recognition", "status", "reason"),
    [
        ({"config_map": None}, "True", "NotApplicable"),
        ({"snippets_disabled": True}, "False", "SnippetsDisabled"),
        ({"config_map": ("elsewhere", "controller")}, "False", "ConfigMapElsewhere"),
        ({"config_map": (NAMESPACE, "other")}, "False", "ConfigMapNotFound"),
    ],
)
async def test_nothing_to_write_to(case: Case, recognition: dict[str, Any], status: str, reason: str) -> None:
    case.put({})
    verdict = await case.inject(**recognition)
    assert (verdict.type, verdict.status, verdict.reason) == ("ConfigInjected", status, reason)
    assert case.cluster.writes() == []
