"""Looks at a namespace: in which order things are done, and that nothing is done twice.

The cluster is a double; Deployments do what they are told when a test says so.
"""

import copy
import datetime
from collections.abc import AsyncIterator, Sequence
from itertools import count
from typing import Any

import pytest

from haproxy_telemetry_operator.agents import Agents
from haproxy_telemetry_operator.cluster import CONFIG_MAPS, EVENTS, PODS, TELEMETRIES, WEBHOOK_CONFIGURATIONS, WORKLOADS, ApiError
from haproxy_telemetry_operator.inventory import Inventory
from haproxy_telemetry_operator.names import ANNOTATION_CONFIG_HASH, ANNOTATION_INJECTED, FINALIZER
from haproxy_telemetry_operator.reconciliation import Reconciler
from haproxy_telemetry_operator.settings import OperatorSettings
from haproxy_telemetry_operator.state.sightings import Sighting
from haproxy_telemetry_operator.state.workload import Pod
from haproxy_telemetry_operator.webhooks import Webhooks
from support import cluster_objects
from support.cluster_objects import FACTS, NAMESPACE, deployment, ingress, telemetry_body
from support.fake_cluster import FakeCluster

MINUTE = datetime.timedelta(minutes=1)
DEPLOYMENTS = WORKLOADS["Deployment"]
FINALIZE = "PATCH haproxytelemetries/edge"
STATUS = "PATCH haproxytelemetries/edge/status"
PAYLOAD = "PATCH configmaps/haproxy-telemetry-edge"
ROUTES = "PATCH configmaps/haproxy-telemetry-edge-routes"
BLOCK = "PATCH configmaps/controller"
WEBHOOK = "PATCH mutatingwebhookconfigurations/haproxy-telemetry"
RESTART = "PATCH deployments/web"


class AgentsThatAreWell(Agents):
    """A double: every agent is connected and exports."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []

    async def look(self, resource: tuple[str, str], pods: Sequence[Pod], port: int) -> tuple[list[Sighting], list[Sighting], int]:
        self.asked.append([pod.name for pod in pods])
        return [Sighting(1, 1, 1, 0) for _ in pods], [], 0


class Case:
    """A namespace with one ingress controller, and an operator that has just begun."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.time = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
        self.config: dict[str, Any] | str = {"service": {"name": "injector", "namespace": "telemetry"}, "caBundle": "QQ=="}
        self.cluster.put(CONFIG_MAPS, {"metadata": {"name": "controller", "namespace": NAMESPACE}, "data": {"other": "1"}})
        self.cluster.put(DEPLOYMENTS, deployment(cluster_objects.PODS["kubernetes-ingress"]))
        self.agents = AgentsThatAreWell()
        self.begin()

    def begin(self) -> None:
        """An operator begins, and knows nothing."""
        self.inventory = Inventory()
        # Every look at the clock is ten seconds after the one before: what waits for a change to be known does not wait here.
        clock = count(0.0, 10.0)
        self.webhooks = Webhooks(self.cluster, self.inventory, self._client_config, lambda _: None, lambda: next(clock))
        self.reconciler = Reconciler(
            self.cluster,
            self.inventory,
            self.webhooks,
            OperatorSettings(image="agent:1"),
            lambda: self.time,
            agents=self.agents,
            facts=FACTS,
        )

    async def _client_config(self) -> dict[str, Any] | str:
        return self.config

    def put(self, spec: Any = None, **metadata: Any) -> None:
        self.cluster.put(TELEMETRIES, telemetry_body(spec, **metadata))

    def change(self, spec: Any) -> None:
        self.cluster.put(TELEMETRIES, self.resource | {"spec": self.resource["spec"] | spec})

    async def delete(self) -> None:
        await self.cluster.delete(TELEMETRIES, NAMESPACE, "edge")
        found = self.cluster.find(TELEMETRIES, NAMESPACE, "edge")
        if found is not None:
            found["metadata"]["deletionTimestamp"] = self.time.isoformat()
            self.cluster.put(TELEMETRIES, found)
        self.cluster.requests.clear()

    def see_all(self) -> None:
        """What watches tell."""
        for body in self.cluster.objects(TELEMETRIES):
            self.inventory.see_resource(body)
        self.inventory.forget("resources", lambda _: [body["metadata"]["name"] for body in self.cluster.objects(TELEMETRIES)])
        for body in self.cluster.objects(DEPLOYMENTS):
            self.inventory.see_workload("Deployment", body)
        for body in self.cluster.objects(PODS):
            self.inventory.see_pod(body)
        self.inventory.forget("pods", lambda _: [body["metadata"]["name"] for body in self.cluster.objects(PODS)])

    async def look(self) -> list[str]:
        """Writes of a look, but for Events."""
        self.see_all()
        self.cluster.writes()
        self.seconds = await self.reconciler.reconcile(NAMESPACE)
        return [write for write in self.cluster.writes() if write != "POST events"]

    @property
    def resource(self) -> dict[str, Any]:
        found = self.cluster.find(TELEMETRIES, NAMESPACE, "edge")
        assert found is not None
        return found

    def condition(self, kind: str, name: str = "edge") -> tuple[str, str]:
        found = self.cluster.find(TELEMETRIES, NAMESPACE, name)
        assert found is not None
        conditions = {entry["type"]: entry for entry in found["status"]["conditions"]}
        return conditions[kind]["status"], conditions[kind]["reason"]

    @property
    def events(self) -> list[str]:
        return [entry["reason"] for entry in self.cluster.objects(EVENTS)]

    @property
    def data(self) -> dict[str, str]:
        found = self.cluster.find(CONFIG_MAPS, NAMESPACE, "controller")
        assert found is not None
        data: dict[str, str] = found["data"]
        return data

    @property
    def entries(self) -> list[str]:
        found = self.cluster.find(WEBHOOK_CONFIGURATIONS, "", "haproxy-telemetry")
        return [] if found is None else [entry["name"] for entry in found["webhooks"]]

    def workload(self, name: str = "web") -> dict[str, Any]:
        found = self.cluster.find(DEPLOYMENTS, NAMESPACE, name)
        assert found is not None
        return found

    def restarted_for(self, name: str = "web") -> str | None:
        annotations = self.workload(name)["spec"]["template"]["metadata"].get("annotations") or {}
        value: str | None = annotations.get(ANNOTATION_CONFIG_HASH)
        return value

    def roll(self, name: str = "web") -> None:
        """The Deployment has made its pods anew; the API server has asked the injector if there is an entry for it."""
        body = self.workload(name)
        body["status"]["observedGeneration"] = body["metadata"]["generation"]
        self.cluster.put(DEPLOYMENTS, body)
        config_hash = self.resource.get("status", {}).get("configHash") if self.entries else None
        for number in range(2):
            annotations = {ANNOTATION_INJECTED: "edge", ANNOTATION_CONFIG_HASH: config_hash} if config_hash else {}
            self.pod(f"{name}-abc-{number}", f"{name}-abc", annotations=annotations)

    def pod(self, name: str, owner: str, **metadata: Any) -> None:
        self.cluster.put(
            PODS,
            {
                "metadata": {
                    "name": name,
                    "namespace": NAMESPACE,
                    "uid": name,
                    "labels": {"app": "web", "pod-template-hash": "abc"},
                    "creationTimestamp": self.time.isoformat(),
                    "ownerReferences": [{"kind": "ReplicaSet", "name": owner, "controller": True}],
                    **metadata,
                },
                "status": {"podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
            },
        )

    async def settle(self) -> None:
        """The operator gets a resource in, to the end."""
        self.put()
        self.roll()
        await self.look()
        self.time += MINUTE
        self.roll()
        await self.look()
        self.cluster.writes()


@pytest.fixture
async def case() -> AsyncIterator[Case]:
    case = Case()
    yield case
    await case.reconciler.close()


async def test_a_namespace_without_any(case: Case) -> None:
    assert await case.look() == ["DELETE mutatingwebhookconfigurations/haproxy-telemetry"]
    assert await case.look() == []
    assert case.seconds == 60


async def test_in_in_this_order_and_then_nothing_more(case: Case) -> None:
    case.put()
    case.roll()
    assert await case.look() == [FINALIZE, PAYLOAD, ROUTES, BLOCK, WEBHOOK, RESTART, STATUS]
    assert case.condition("SidecarsInjected") == ("False", "RollingOut")
    assert case.condition("ConfigInjected") == ("True", "Injected")
    assert case.seconds == 5
    assert await case.look() == [STATUS], "it says how far it is"
    assert await case.look() == []
    case.time += MINUTE
    case.roll()
    assert await case.look() == [STATUS]
    assert case.condition("Ready") == ("True", "Ready")
    assert case.resource["status"]["podsSummary"] == "2/2"
    assert case.agents.asked[-1] == ["web-abc-0", "web-abc-1"]
    assert case.seconds == 60
    for _ in range(3):
        case.time += 10 * MINUTE
        assert await case.look() == []
    assert case.events.count("Restarted") == 1


async def test_an_operator_that_begins_anew_finds_it_done(case: Case) -> None:
    await case.settle()
    case.begin()
    assert await case.look() == [PAYLOAD, ROUTES, WEBHOOK], "applied once, which changes nothing"
    assert case.events.count("Restarted") == 1


async def test_what_somebody_else_has_changed_is_written_again(case: Case) -> None:
    await case.settle()
    case.reconciler.forget_applied(NAMESPACE, "haproxy-telemetry-edge")
    assert await case.look() == [PAYLOAD]
    case.reconciler.forget_applied()
    assert await case.look() == [PAYLOAD, ROUTES]


async def test_out_in_this_order_and_nothing_is_left(case: Case) -> None:
    before = case.workload()["spec"], case.data
    await case.settle()
    assert case.workload()["spec"] != before[0]
    await case.delete()
    assert await case.look() == ["DELETE mutatingwebhookconfigurations/haproxy-telemetry", RESTART, STATUS]
    assert case.condition("Accepted") == ("True", "Deleting")
    assert case.seconds == 5
    assert "frontend-config-snippet" in case.data, "pods that have the agent in them still read it"
    await case.look()
    assert await case.look() == []
    assert FINALIZER in case.resource["metadata"]["finalizers"]
    case.time += MINUTE
    case.roll()
    assert await case.look() == [
        BLOCK,
        "DELETE configmaps/haproxy-telemetry-edge",
        "DELETE configmaps/haproxy-telemetry-edge-routes",
        FINALIZE,
    ]
    assert case.seconds == 0
    assert case.cluster.objects(TELEMETRIES) == []
    # merge patches leave an empty mapping behind, which the API server does not keep
    spec = copy.deepcopy(case.workload()["spec"])
    if not spec["template"]["metadata"].get("annotations"):
        spec["template"]["metadata"].pop("annotations", None)
    assert (spec, case.data) == before
    assert await case.look() == []


async def test_a_look_that_comes_after_the_last_one_does_nothing(case: Case) -> None:
    await case.settle()
    await case.delete()
    await case.look()
    case.time += MINUTE
    case.roll()
    await case.look()
    stale = telemetry_body(deletionTimestamp="2026-11-24T12:00:00Z", finalizers=[FINALIZER])
    case.inventory.see_resource(stale)
    case.cluster.writes()
    await case.reconciler.reconcile(NAMESPACE)
    assert case.cluster.writes() == []
    case.inventory.see_resource(telemetry_body(deletionTimestamp="2026-11-24T12:00:00Z", finalizers=["somebody/elses"]))
    await case.reconciler.reconcile(NAMESPACE)
    assert case.cluster.writes() == []


async def test_other_finalizers_stay(case: Case) -> None:
    case.put(finalizers=["somebody/elses"])
    await case.look()
    assert case.resource["metadata"]["finalizers"] == ["somebody/elses", FINALIZER]
    case.change({"suspend": True})
    await case.delete()
    for _ in range(3):
        case.time += MINUTE
        case.roll()
        await case.look()
    assert case.resource["metadata"]["finalizers"] == ["somebody/elses"]


async def test_a_deletion_does_not_wait_for_ever(case: Case) -> None:
    await case.settle()
    await case.delete()
    await case.look()
    case.time += 9 * MINUTE
    await case.look()
    assert case.cluster.objects(TELEMETRIES)
    case.time += 2 * MINUTE
    assert FINALIZE in await case.look()
    assert case.cluster.objects(TELEMETRIES) == []
    assert "NotReverted" in case.events
    assert case.data == {"other": "1"}


async def test_suspended_and_back(case: Case) -> None:
    await case.settle()
    case.change({"suspend": True})
    assert await case.look() == ["DELETE mutatingwebhookconfigurations/haproxy-telemetry", RESTART, STATUS]
    case.time += MINUTE
    case.roll()
    assert await case.look() == [
        BLOCK,
        "DELETE configmaps/haproxy-telemetry-edge",
        "DELETE configmaps/haproxy-telemetry-edge-routes",
        STATUS,
    ]
    assert case.condition("Ready") == ("False", "Suspended")
    assert case.data == {"other": "1"}
    assert await case.look() == []
    assert case.seconds == 60
    case.change({"suspend": False})
    assert await case.look() == [PAYLOAD, ROUTES, BLOCK, WEBHOOK, RESTART, STATUS]


async def test_of_two_the_older_is_in_charge(case: Case) -> None:
    await case.settle()
    case.put(name="younger", uid="2", creationTimestamp="2026-02-01T00:00:00Z")
    assert await case.look() == ["PATCH haproxytelemetries/younger/status"]
    assert case.condition("Ready", "younger") == ("False", "Conflicted")
    assert await case.look() == []
    younger = telemetry_body(name="younger", uid="2", creationTimestamp="2026-02-01T00:00:00Z", finalizers=[FINALIZER])
    younger["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    case.cluster.put(TELEMETRIES, younger)
    assert await case.look() == ["PATCH haproxytelemetries/younger"]
    assert len(case.cluster.objects(TELEMETRIES)) == 1


@pytest.mark.parametrize("spec", [{"exporter": {"endpoint": 1}}, {"target": {"type": "Apache"}}, {"sampling": {"ratio": 7}}])
async def test_a_spec_that_can_not_be_used_touches_nothing(case: Case, spec: Any) -> None:
    case.put(spec)
    assert await case.look() == ["DELETE mutatingwebhookconfigurations/haproxy-telemetry", STATUS], "and asks no injector"
    assert case.condition("Accepted") == ("False", "InvalidSpec")
    assert await case.look() == []
    assert case.seconds == 60


async def test_manual_touches_nothing_and_takes_no_part_in_admission(case: Case) -> None:
    case.put({"target": {"type": "Manual"}})
    assert await case.look() == [FINALIZE, "DELETE mutatingwebhookconfigurations/haproxy-telemetry", STATUS]
    assert case.condition("Accepted") == ("True", "Manual")
    assert await case.look() == []


async def test_nothing_is_restarted_while_no_injector_answers(case: Case) -> None:
    case.put()
    case.roll()
    problem: list[str | None] = ["No injector is ready: starting."]

    async def injector_problem() -> str | None:
        return problem[0]

    case.reconciler.injector_problem = injector_problem
    assert RESTART not in await case.look()
    assert case.condition("SidecarsInjected") == ("False", "InjectorUnavailable")
    assert case.seconds <= 5
    problem[0] = None
    assert RESTART in await case.look()


async def test_what_is_known_of_old_never_restarts_twice(case: Case) -> None:
    case.put()
    case.roll()
    case.see_all()
    old = case.workload()
    await case.reconciler.reconcile(NAMESPACE)
    assert case.restarted_for() is not None
    case.inventory.see_workload("Deployment", old)
    case.cluster.writes()
    await case.reconciler.reconcile(NAMESPACE)
    after = case.workload()
    assert RESTART in case.cluster.writes(), "it was tried, and refused"
    assert after["metadata"]["generation"] == old["metadata"]["generation"] + 1
    assert case.events.count("Restarted") == 1


async def test_a_workload_that_has_gone_in_between(case: Case) -> None:
    case.put()
    case.roll()
    case.see_all()
    case.cluster.remove(DEPLOYMENTS, NAMESPACE, "web")
    await case.reconciler.reconcile(NAMESPACE)
    assert "Restarted" not in case.events


async def test_nothing_is_restarted_before_the_block_is_in(case: Case) -> None:
    case.put()
    case.roll()
    case.cluster.remove(CONFIG_MAPS, NAMESPACE, "controller")
    assert RESTART not in await case.look()
    assert case.condition("ConfigInjected") == ("False", "ConfigMapNotFound")
    case.cluster.put(CONFIG_MAPS, {"metadata": {"name": "controller", "namespace": NAMESPACE}, "data": {}})
    assert RESTART in await case.look()


async def test_nothing_is_restarted_while_nobody_could_inject(case: Case) -> None:
    case.put()
    case.roll()
    case.config = "there is no certificate"
    assert await case.look() == [FINALIZE, PAYLOAD, ROUTES, BLOCK, STATUS]
    assert case.condition("SidecarsInjected") == ("False", "InjectorUnavailable")
    assert case.seconds == 5


async def test_one_workload_after_the_other(case: Case) -> None:
    case.cluster.put(DEPLOYMENTS, deployment(cluster_objects.PODS["plain-file"], "later"))
    case.put()
    case.roll("web")
    case.roll("later")
    assert [write for write in await case.look() if "deployments" in write] == ["PATCH deployments/later"]
    assert "deployments" not in " ".join(await case.look())
    case.time += MINUTE
    case.roll("later")
    assert [write for write in await case.look() if "deployments" in write] == [RESTART]


async def test_rollout_on_delete_is_left_to_the_user(case: Case) -> None:
    case.put({"injection": {"rollout": "OnDelete"}})
    case.roll()
    assert RESTART not in await case.look()
    assert case.condition("SidecarsInjected") == ("False", "RestartNeeded")


async def test_a_change_that_pods_have_to_be_made_anew_for_restarts_and_another_one_does_not(case: Case) -> None:
    await case.settle()
    before = case.restarted_for()
    case.change({"sampling": {"type": "TraceIDRatio", "ratio": 0.5}})
    assert await case.look() == [PAYLOAD, BLOCK, STATUS]
    assert case.restarted_for() == before
    case.change({"sidecar": {"image": "agent:2"}})
    assert RESTART in await case.look()
    assert case.restarted_for() != before


async def test_routes_are_those_of_the_controllers_classes(case: Case) -> None:
    await case.settle()
    body = case.workload()
    body["spec"]["template"]["spec"]["containers"][0]["args"].append("--ingress.class=haproxy")
    case.cluster.put(DEPLOYMENTS, body)
    case.inventory.see_ingress(ingress("mine", ("shop.example", "/", "Prefix"), ingressClassName="haproxy"))
    case.inventory.see_ingress(ingress("other", ("shop.example", "/x", "Prefix"), ingressClassName="nginx"))
    case.inventory.see_ingress(ingress("none", ("shop.example", "/y", "Prefix")))
    assert ROUTES in await case.look()
    routes = case.cluster.find(CONFIG_MAPS, NAMESPACE, "haproxy-telemetry-edge-routes")
    assert routes is not None
    assert '"mine"' in routes["data"]["routes.json"]
    assert '"other"' not in routes["data"]["routes.json"]
    assert '"none"' not in routes["data"]["routes.json"]
    case.inventory.see_ingress(ingress("mine", ("shop.example", "/", "Prefix"), ingressClassName="haproxy"), gone=True)
    assert ROUTES in await case.look()


async def test_plain_pods_need_no_config_map(case: Case) -> None:
    case.cluster.put(DEPLOYMENTS, deployment(cluster_objects.PODS["plain-file"]))
    case.put()
    case.roll()
    assert await case.look() == [FINALIZE, PAYLOAD, ROUTES, WEBHOOK, RESTART, STATUS]
    assert case.condition("ConfigInjected") == ("True", "NotApplicable")


@pytest.mark.parametrize(
    ("write", "status"), [("PATCH /apis/haproxy", 409), ("haproxy-telemetry-edge", 403), ("controller", 500), ("mutating", 0)]
)
async def test_whatever_fails_is_done_by_the_next_look(case: Case, write: str, status: int) -> None:
    case.put()
    case.roll()
    case.cluster.fail(write, status, "refused")
    with pytest.raises(ApiError, match="refused"):
        await case.look()
    await case.look()
    assert case.restarted_for() is not None
    assert case.condition("ConfigInjected") == ("True", "Injected")


async def test_a_resource_that_has_gone_in_between_is_left_alone(case: Case) -> None:
    case.put()
    case.see_all()
    case.cluster.remove(TELEMETRIES, NAMESPACE, "edge")
    await case.reconciler.reconcile(NAMESPACE)
    assert case.cluster.objects(TELEMETRIES) == []


async def test_the_first_minutes_are_looked_at_more_often(case: Case) -> None:
    class NobodyConnected(AgentsThatAreWell):
        async def look(
            self, resource: tuple[str, str], pods: Sequence[Pod], port: int
        ) -> tuple[list[Sighting], list[Sighting], int]:
            return [Sighting(0, 0, 0, 0) for _ in pods], [], 0

    await case.settle()
    case.agents = NobodyConnected()
    case.begin()
    await case.look()
    assert case.condition("Connected") == ("False", "NoSpoeConnection")
    assert case.seconds == 60
    case.cluster.put(
        TELEMETRIES,
        case.resource | {"metadata": case.resource["metadata"] | {"creationTimestamp": case.time.isoformat()}},
    )
    await case.look()
    assert case.seconds == 15


async def test_what_was_just_written_is_known_without_a_watch(case: Case) -> None:
    case.put()
    case.roll()
    case.see_all()
    await case.reconciler.reconcile(NAMESPACE)
    case.cluster.writes()
    await case.reconciler.reconcile(NAMESPACE)
    assert RESTART not in case.cluster.writes(), "not even tried"


async def test_only_agents_that_are_as_they_should_be_are_asked(case: Case) -> None:
    await case.settle()
    case.pod("web-abc-old", "web-abc", annotations={ANNOTATION_INJECTED: "edge", ANNOTATION_CONFIG_HASH: "old"})
    case.pod("web-abc-bare", "web-abc")
    await case.look()
    assert case.agents.asked[-1] == ["web-abc-0", "web-abc-1"]


async def test_once_our_finalizer_is_off_nothing_more_is_done(case: Case) -> None:
    case.put(finalizers=["somebody/elses"], deletionTimestamp="2026-11-24T12:00:00Z")
    case.see_all()
    await case.reconciler.reconcile(NAMESPACE)
    assert case.cluster.requests == []


async def test_a_controller_that_can_not_be_instrumented_is_said(case: Case) -> None:
    body = deployment(cluster_objects.PODS["plain-file"], "unfit")
    body["spec"]["template"]["spec"]["containers"][0]["args"] = ["-f", "relative.cfg"]
    case.cluster.put(DEPLOYMENTS, body)
    await case.settle()
    assert case.condition("SidecarsInjected") == ("False", "UnsupportedTarget")
    assert case.restarted_for() is not None
    assert case.restarted_for("unfit") is None


@pytest.mark.parametrize("created", ["", "no time"])
async def test_a_resource_of_unknown_age_is_not_young(case: Case, created: str) -> None:
    case.put(creationTimestamp=created)
    case.roll()
    await case.look()
    case.time += MINUTE
    case.cluster.put(DEPLOYMENTS, deployment(cluster_objects.PODS["plain-file"]))

    class NobodyAnswers(AgentsThatAreWell):
        async def look(
            self, resource: tuple[str, str], pods: Sequence[Pod], port: int
        ) -> tuple[list[Sighting], list[Sighting], int]:
            return [], [], 1

    await case.settle()
    case.put(creationTimestamp=created)
    case.agents = NobodyAnswers()
    case.begin()
    await case.look()
    await case.look()
    assert case.condition("Connected") == ("Unknown", "AgentsNotReachable")
    assert case.seconds == 60


async def test_routes_that_have_no_room_are_told(
    case: Case, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("haproxy_telemetry_operator.rendering.routes.MAX_ROUTES_BYTES", 10)
    case.put()
    case.inventory.see_ingress(ingress("mine", ("shop.example", "/", "Prefix")))
    await case.look()
    assert "shop/edge: 1 routes have no room in a ConfigMap" in caplog.text


async def test_a_conflict_with_the_resource_itself_is_for_the_next_look(case: Case) -> None:
    case.put()
    case.cluster.fail("PATCH /apis/haproxy-telemetry.io", 404)
    await case.look()
    assert case.resource["metadata"].get("finalizers") is None
    await case.look()
    assert case.resource["metadata"]["finalizers"] == [FINALIZER]


async def test_a_namespace_without_an_haproxy(case: Case) -> None:
    case.cluster.remove(DEPLOYMENTS, NAMESPACE, "web")
    case.put()
    await case.look()
    assert case.condition("SidecarsInjected") == ("False", "NoPodsFound")
    assert case.condition("ConfigInjected") == ("True", "NotApplicable")


async def test_a_restart_that_is_refused_is_tried_again(case: Case) -> None:
    case.put()
    case.roll()
    case.cluster.fail(RESTART.replace("PATCH ", ""), 403, "no right to patch deployments")
    with pytest.raises(ApiError, match="no right"):
        await case.look()
    assert RESTART in await case.look()


async def test_one_of_two_that_goes_for_good_is_let(case: Case) -> None:
    await case.settle()
    younger = telemetry_body(name="younger", uid="2", creationTimestamp="2026-02-01T00:00:00Z", finalizers=["somebody/elses"])
    younger["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    case.cluster.put(TELEMETRIES, younger)
    assert await case.look() == []
