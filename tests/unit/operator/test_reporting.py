"""Status and Events of a resource."""

import datetime
from typing import Any

import pytest

from haproxy_telemetry_operator.cluster import EVENTS, TELEMETRIES, ApiError
from haproxy_telemetry_operator.reporting import Reporter
from haproxy_telemetry_operator.resource import TelemetryResource
from haproxy_telemetry_operator.state.conditions import Verdict
from haproxy_telemetry_operator.state.matching import Match
from haproxy_telemetry_operator.state.rollout import Phase, Progress
from haproxy_telemetry_operator.state.workload import Workload
from haproxy_telemetry_operator.targets import Recognition
from support.cluster_objects import NAMESPACE, PODS, deployment, telemetry_body
from support.fake_cluster import FakeCluster

STATUS = "PATCH haproxytelemetries/edge/status"
GOOD = Verdict("Exporting", "True", "Exporting", "The collector takes spans.")
BAD = Verdict("Exporting", "False", "ExportFailing", "The collector takes no spans.")


class Case:
    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.time = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
        self.reporter = Reporter(self.cluster, lambda: self.time)
        self.cluster.put(TELEMETRIES, telemetry_body())

    @property
    def resource(self) -> TelemetryResource:
        found = self.cluster.find(TELEMETRIES, NAMESPACE, "edge")
        assert found is not None
        return TelemetryResource.of_body(found)

    async def report(self, *verdicts: Verdict, **more: Any) -> None:
        self.time += datetime.timedelta(minutes=1)
        await self.reporter.report(self.resource, verdicts, **more)

    @property
    def events(self) -> list[tuple[str, str, str]]:
        return [(entry["type"], entry["reason"], entry["message"]) for entry in self.cluster.objects(EVENTS)]

    def condition(self) -> dict[str, Any]:
        (entry,) = self.resource.status["conditions"]
        return dict(entry)


@pytest.fixture
def case() -> Case:
    return Case()


async def test_a_status_is_written_when_it_is_another_one(case: Case) -> None:
    await case.report(GOOD, config_hash="abc")
    assert case.resource.status == {
        "observedGeneration": 1,
        "configHash": "abc",
        "conditions": [
            {
                "type": "Exporting",
                "status": "True",
                "reason": "Exporting",
                "message": "The collector takes spans.",
                "lastTransitionTime": "2026-11-24T12:01:00Z",
                "observedGeneration": 1,
            }
        ],
        "matchedPods": 0,
        "instrumentedPods": 0,
        "targets": [],
        "podsSummary": "0/0",
    }
    assert case.cluster.writes() == [STATUS, "POST events"]
    await case.report(GOOD, config_hash="abc")
    assert case.cluster.writes() == []


async def test_the_next_operator_writes_nothing_new(case: Case) -> None:
    await case.report(GOOD, config_hash="abc")
    case.cluster.writes()
    case.reporter = Reporter(case.cluster, lambda: case.time)
    await case.report(GOOD, config_hash="abc")
    assert case.cluster.writes() == []


async def test_a_hash_that_there_is_none_of_any_more_is_taken_away(case: Case) -> None:
    await case.report(GOOD, config_hash="abc")
    await case.report(GOOD)
    assert "configHash" not in case.resource.status
    case.cluster.writes()
    case.reporter = Reporter(case.cluster, lambda: case.time)
    await case.report(GOOD)
    assert case.cluster.writes() == []


async def test_an_event_for_each_turn_and_times_are_kept_while_the_status_is(case: Case) -> None:
    await case.report(GOOD)
    await case.report(GOOD._replace(message="Still."))
    assert case.condition()["lastTransitionTime"] == "2026-11-24T12:01:00Z"
    assert case.condition()["message"] == "Still."
    await case.report(BAD)
    await case.report(BAD._replace(reason="Other"))
    assert case.condition()["lastTransitionTime"] == "2026-11-24T12:03:00Z"
    await case.report(BAD._replace(reason="RollingOut"))
    await case.report(GOOD)
    assert case.events == [
        ("Normal", "Exporting", "Exporting: The collector takes spans."),
        ("Warning", "ExportFailing", "Exporting: The collector takes no spans."),
        ("Warning", "Other", "Exporting: The collector takes no spans."),
        ("Normal", "RollingOut", "Exporting: The collector takes no spans."),
        ("Normal", "Exporting", "Exporting: The collector takes spans."),
    ]
    event = case.cluster.objects(EVENTS)[0]
    assert event["involvedObject"]["uid"] == case.resource.uid
    assert event["metadata"]["namespace"] == NAMESPACE
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-11-24T12:01:00Z"


async def test_events_that_can_not_be_made_are_no_harm_and_have_bounds(case: Case) -> None:
    case.cluster.fail("POST", 403)
    await case.report(GOOD)
    assert case.condition()["status"] == "True"
    await case.reporter.event(case.resource, "Normal", "Long", "x" * 5000)
    ((_, _, message),) = case.events
    assert len(message) == 1024


async def test_a_resource_that_has_gone(case: Case) -> None:
    resource = case.resource
    case.cluster.remove(TELEMETRIES, NAMESPACE, "edge")
    await case.reporter.report(resource, [GOOD])
    assert case.events == []


async def test_what_was_refused_is_written_the_next_time(case: Case) -> None:
    case.cluster.fail("PATCH", 500, "boom")
    with pytest.raises(ApiError, match="boom"):
        await case.report(GOOD)
    await case.report(GOOD)
    assert case.condition()["status"] == "True"


async def test_one_that_was_forgotten_is_known_by_what_it_says_itself(case: Case) -> None:
    await case.report(GOOD)
    case.reporter.forget(case.resource)
    case.cluster.put(TELEMETRIES, telemetry_body())
    await case.report(GOOD)
    assert case.condition()["lastTransitionTime"] == "2026-11-24T12:02:00Z"


def workload(name: str) -> Workload:
    return Workload.of_body("Deployment", deployment(PODS["plain-file"], name))


async def test_targets(case: Case) -> None:
    controller, plain, unfit = workload("a"), workload("b"), workload("c")
    recognition = Recognition("KubernetesIngress", ("x",), config_map=(NAMESPACE, "controller"), haproxy_version="3.2.4")
    await case.report(
        GOOD,
        progresses=[Progress(controller, Phase.DONE, 3, 3, 0), Progress(plain, Phase.ROLLING, 2, 1, 1)],
        matches=[
            Match(controller, [], recognition),
            Match(plain, [], Recognition("Plain", ("x",))),
            Match(unfit, [], None, "HAProxy is in several containers"),
        ],
    )
    status = case.resource.status
    assert (status["matchedPods"], status["instrumentedPods"], status["podsSummary"]) == (5, 4, "4/5")
    assert status["targets"] == [
        {
            "kind": "Deployment",
            "name": "a",
            "pods": 3,
            "instrumented": 3,
            "outdated": 0,
            "type": "KubernetesIngress",
            "haproxyVersion": "3.2.4",
            "configMap": "controller",
        },
        {
            "kind": "Deployment",
            "name": "b",
            "pods": 2,
            "instrumented": 1,
            "outdated": 1,
            "type": "Plain",
            "message": "It makes its pods anew.",
        },
        {
            "kind": "Deployment",
            "name": "c",
            "pods": 0,
            "instrumented": 0,
            "outdated": 0,
            "message": "HAProxy is in several containers",
        },
    ]


async def test_not_more_targets_than_the_schema_takes(case: Case) -> None:
    matches = [Match(workload(f"w{number}"), [], None, "no") for number in range(300)]
    await case.report(GOOD, matches=matches)
    assert len(case.resource.status["targets"]) == 256
