"""Conditions."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from haproxy_telemetry_operator.state.conditions import Verdict, conditions, injected_verdict, ready_verdict
from haproxy_telemetry_operator.state.rollout import Phase, Progress
from haproxy_telemetry_operator.state.workload import Workload
from support.cluster_objects import PODS, deployment

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def progress(
    phase: Phase, name: str = "web", *, pods: int = 2, instrumented: int = 2, outdated: int = 0, detail: str = ""
) -> Progress:
    workload = Workload.of_body("Deployment", deployment(PODS["plain-file"], name))
    return Progress(workload, phase, pods, instrumented, outdated, detail=detail)


@pytest.mark.parametrize(
    ("progresses", "problems", "expected"),
    [
        ([], [], ("False", "NoPodsFound")),
        ([progress(Phase.DONE, pods=0, instrumented=0)], [], ("True", "NoPods")),
        ([progress(Phase.DONE)], [], ("True", "AllPods")),
        ([progress(Phase.DONE)], ["Deployment x: no."], ("False", "UnsupportedTarget")),
        ([progress(Phase.DONE), progress(Phase.NEEDED)], [], ("False", "RollingOut")),
        ([progress(Phase.BUSY)], [], ("False", "RollingOut")),
        ([progress(Phase.ROLLING), progress(Phase.STALLED)], [], ("False", "RolloutStalled")),
        ([progress(Phase.WAITING)], [], ("False", "RestartNeeded")),
        ([progress(Phase.WAITING), progress(Phase.ROLLING)], [], ("False", "RollingOut")),
        ([progress(Phase.MISSED)], [], ("False", "PodsNotInjected")),
        ([progress(Phase.GIVEN_UP), progress(Phase.ROLLING)], [], ("False", "PodsNotInjected")),
    ],
)
def test_sidecars_injected(progresses: Sequence[Progress], problems: Sequence[str], expected: tuple[str, str]) -> None:
    verdict = injected_verdict(progresses, problems)
    assert verdict.type == "SidecarsInjected"
    assert (verdict.status, verdict.reason) == expected


def test_words() -> None:
    rolling = [
        progress(Phase.ROLLING, instrumented=2, outdated=1, detail="haproxy-telemetry: ErrImagePull: no"),
        progress(Phase.DONE),
    ]
    assert injected_verdict(rolling, []).message == (
        "Deployment web (haproxy-telemetry: ErrImagePull: no): It makes its pods anew. 3 of 4 pods are done."
    )
    many = [progress(Phase.NEEDED, f"w{number}") for number in range(7)]
    assert injected_verdict(many, []).message.startswith("Deployment w0, Deployment w1, ")
    assert " and 2 more: " in injected_verdict(many, []).message


def test_suspended() -> None:
    assert injected_verdict([], [], suspended=True).reason == "Suspended"
    assert injected_verdict([progress(Phase.ROLLING)], [], suspended=True).reason == "RollingOut"


ACCEPTED = Verdict("Accepted", "True", "Accepted", "a")
UNKNOWN = Verdict("Connected", "Unknown", "AgentsNotReachable", "u")
FALSE = Verdict("SidecarsInjected", "False", "RollingOut", "f")


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([ACCEPTED], Verdict("Ready", "True", "Ready", "Every exchange of the target's pods makes a trace.")),
        ([ACCEPTED, UNKNOWN], Verdict("Ready", "Unknown", "AgentsNotReachable", "Connected: u")),
        ([ACCEPTED, UNKNOWN, FALSE], Verdict("Ready", "False", "RollingOut", "SidecarsInjected: f")),
        (
            [FALSE, Verdict("Exporting", "False", "ExportFailing", "e")],
            Verdict("Ready", "False", "RollingOut", "SidecarsInjected: f"),
        ),
        (
            [ACCEPTED, Verdict("Exporting", "Unknown", "NoSpansYet", "n"), Verdict("Connected", "Unknown", "NoPods", "n")],
            Verdict("Ready", "True", "Ready", "Every exchange of the target's pods makes a trace."),
        ),
    ],
)
def test_ready_is_all_of_them(verdicts: list[Verdict], expected: Verdict) -> None:
    assert ready_verdict(verdicts) == expected


def test_a_time_changes_with_the_status_only() -> None:
    first = conditions([ACCEPTED, FALSE], [], generation=1, now=NOW)
    assert first[0] == {
        "type": "Accepted",
        "status": "True",
        "reason": "Accepted",
        "message": "a",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
        "observedGeneration": 1,
    }
    later = NOW.replace(hour=23)
    second = conditions(
        [ACCEPTED._replace(reason="Other", message="b"), FALSE._replace(status="True")], first, generation=2, now=later
    )
    assert [entry["lastTransitionTime"] for entry in second] == ["2026-01-02T03:04:05Z", "2026-01-02T23:04:05Z"]
    assert (second[0]["reason"], second[0]["message"], second[0]["observedGeneration"]) == ("Other", "b", 2)


def test_a_message_has_a_bound() -> None:
    assert len(conditions([ACCEPTED._replace(message="x" * 40_000)], [], generation=1, now=NOW)[0]["message"]) == 1024
