"""The rollout, as a table."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_operator.names import ANNOTATION_CONFIG_HASH, ANNOTATION_RESTARTED_AT
from haproxy_telemetry_operator.state.rollout import Phase, Progress, next_restart, progress_of, restart_annotations
from haproxy_telemetry_operator.state.workload import ANNOTATION_ATTEMPTS, Pod, Workload
from support.cluster_objects import PODS, deployment

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NEW, OLD = "new-hash", "old-hash"


def workload(
    restarted_for: str | None = None,
    minutes_ago: float | None = None,
    attempts: int | None = None,
    name: str = "web",
    **changes: Any,
) -> Workload:
    body = deployment(PODS["plain-file"], name)
    annotations = {
        ANNOTATION_CONFIG_HASH: restarted_for,
        ANNOTATION_RESTARTED_AT: None if minutes_ago is None else (NOW - minutes_ago * MINUTE).isoformat(),
        ANNOTATION_ATTEMPTS: None if attempts is None else str(attempts),
    }
    body["spec"]["template"]["metadata"]["annotations"] = {key: value for key, value in annotations.items() if value is not None}
    return replace(Workload.of_body("Deployment", body), **changes)


def pod(
    config_hash: str | None, minutes_ago: float = 60, *, ready: bool = True, ending: bool = False, waiting: str | None = None
) -> Pod:
    created = (NOW - minutes_ago * MINUTE).strftime("%Y-%m-%dT%H:%M:%SZ")
    injected = None if config_hash is None else "edge"
    return Pod("p", "u", ("Deployment", "web"), {}, injected, config_hash, ready, ending, "", created, waiting)


SETTLING = {"updated": 1}


@pytest.mark.parametrize(
    ("workload", "pods", "phase"),
    [
        # Settled.
        pytest.param(workload(), [pod(NEW), pod(NEW)], Phase.DONE, id="as it should be"),
        pytest.param(workload(), [pod(NEW), pod(NEW), pod(None, ending=True)], Phase.DONE, id="what ends does not count"),
        pytest.param(workload(), [pod(None), pod(None)], Phase.NEEDED, id="never injected"),
        pytest.param(workload(OLD, 90, 1), [pod(OLD), pod(OLD)], Phase.NEEDED, id="injected otherwise"),
        pytest.param(workload(), [pod(NEW), pod(None)], Phase.NEEDED, id="one pod only"),
        pytest.param(workload(replicas=0, updated=0, available=0, current=0), [], Phase.DONE, id="scaled to zero"),
        pytest.param(workload(NEW, 1, 1), [pod(None), pod(None)], Phase.MISSED, id="restarted in vain"),
        pytest.param(workload(NEW, 999, 3), [pod(None)], Phase.MISSED, id="three times in vain"),
        pytest.param(workload(NEW, 999, 4), [pod(None)], Phase.GIVEN_UP, id="four times in vain"),
        pytest.param(workload(OLD, 999, 4), [pod(OLD)], Phase.NEEDED, id="another hash is another try"),
        pytest.param(workload(NEW), [pod(None)], Phase.NEEDED, id="a hash without a time"),
        # Not settled, and ours.
        pytest.param(workload(NEW, 1, 1, **SETTLING), [pod(NEW, 0.5), pod(None)], Phase.ROLLING, id="under way"),
        pytest.param(workload(NEW, 1, 1, **SETTLING), [pod(NEW, 0.5, ready=False)], Phase.ROLLING, id="the last pod comes"),
        pytest.param(workload(NEW, 11, 1, **SETTLING), [pod(NEW, 10, ready=False), pod(None)], Phase.STALLED, id="ten minutes"),
        pytest.param(workload(NEW, 11, 1, **SETTLING), [pod(NEW, 10, ready=False)], Phase.STALLED, id="the last one never ready"),
        pytest.param(workload(NEW, 11, 1, **SETTLING), [], Phase.STALLED, id="no pod comes at all"),
        pytest.param(
            workload(NEW, 1, 1, stuck=True, **SETTLING), [pod(NEW, 0.5, ready=False)], Phase.STALLED, id="given up by its own"
        ),
        pytest.param(workload(NEW, 1, 1, **SETTLING), [pod(NEW, 0.5, waiting="x: ErrImagePull")], Phase.STALLED, id="no image"),
        pytest.param(
            workload(OLD, 1, 1, **SETTLING), [pod(OLD, 0.5), pod(None)], Phase.BUSY, id="let the last one come to its end"
        ),
        pytest.param(
            workload(OLD, 11, 1, **SETTLING), [pod(OLD, 10, ready=False), pod(None)], Phase.NEEDED, id="the way out of a stall"
        ),
        # Not settled, and the user's.
        pytest.param(workload(**SETTLING), [pod(None)], Phase.BUSY, id="a deployment before ours"),
        pytest.param(workload(stuck=True, **SETTLING), [pod(None)], Phase.BUSY, id="broken before us"),
        pytest.param(
            workload(NEW, 600, 1, **SETTLING), [pod(NEW, 599), pod(NEW, 0.5, ready=False)], Phase.BUSY, id="a deployment after ours"
        ),
        pytest.param(
            workload(NEW, 600, 1, stuck=True, **SETTLING),
            [pod(NEW, 599), pod(NEW, 20, ready=False)],
            Phase.BUSY,
            id="theirs is stuck",
        ),
        pytest.param(
            workload(OLD, 600, 1, **SETTLING), [pod(OLD, 599), pod(OLD, 0.5)], Phase.BUSY, id="theirs, and ours waits for it"
        ),
        pytest.param(
            workload(NEW, 600, 1, **SETTLING),
            [pod(NEW, 599), pod(NEW, 1, waiting="x: ErrImagePull")],
            Phase.STALLED,
            id="our image is gone",
        ),
        # Left to somebody else.
        pytest.param(workload(paused=True), [pod(None)], Phase.WAITING, id="paused"),
        pytest.param(workload(on_delete=True), [pod(None)], Phase.WAITING, id="OnDelete"),
        pytest.param(workload(on_delete=True, **SETTLING), [pod(None), pod(NEW)], Phase.WAITING, id="OnDelete, half of it"),
        pytest.param(workload(on_delete=True, **SETTLING), [pod(NEW), pod(NEW)], Phase.DONE, id="OnDelete, all of it"),
        pytest.param(workload(NEW, 11, 1, paused=True, **SETTLING), [pod(None)], Phase.WAITING, id="paused on its way"),
    ],
)
def test_in(workload: Workload, pods: list[Pod], phase: Phase) -> None:
    assert progress_of(workload, pods, wanted_hash=NEW, automatic=True, now=NOW).phase is phase


@pytest.mark.parametrize(
    ("workload", "pods", "phase"),
    [
        pytest.param(workload(), [pod(None)], Phase.DONE, id="never injected"),
        pytest.param(workload(NEW, 60, 1), [pod(NEW)], Phase.NEEDED, id="injected"),
        pytest.param(workload(NEW, 60, 1), [], Phase.NEEDED, id="no pods, and a template of ours"),
        pytest.param(workload(NEW, 1, 1, **SETTLING), [pod(NEW)], Phase.NEEDED, id="waits for nothing"),
        pytest.param(workload(NEW, 60, 1, stuck=True, **SETTLING), [pod(NEW)], Phase.NEEDED, id="the way out"),
        pytest.param(workload(NEW, 60, 1, paused=True), [pod(NEW)], Phase.WAITING, id="paused"),
        pytest.param(workload(), [pod(NEW)], Phase.NEEDED, id="injected without a restart"),
        pytest.param(workload(None, 1, **SETTLING), [pod(NEW)], Phase.ROLLING, id="that one under way"),
        pytest.param(workload(None, 1), [pod(None)], Phase.DONE, id="that one done"),
        pytest.param(workload(None, 1), [pod(NEW, 0.5)], Phase.MISSED, id="that one in vain"),
        pytest.param(workload(None, 999, 4), [pod(NEW, 0.5)], Phase.GIVEN_UP, id="never a loop"),
        pytest.param(workload(None, 600, **SETTLING), [pod(None, 1, ready=False)], Phase.BUSY, id="a deployment long after"),
        pytest.param(workload(**SETTLING), [pod(None)], Phase.BUSY, id="a deployment of a workload that was never ours"),
    ],
)
def test_out(workload: Workload, pods: list[Pod], phase: Phase) -> None:
    assert progress_of(workload, pods, wanted_hash=None, automatic=True, now=NOW).phase is phase


@pytest.mark.parametrize(
    ("workload", "pods", "wanted", "phase"),
    [
        (workload(), [pod(None)], NEW, Phase.WAITING),
        (workload(NEW, 60, 1), [pod(NEW)], None, Phase.WAITING),
        (workload(NEW, 60, 1), [pod(None)], NEW, Phase.WAITING),
        (workload(), [pod(NEW)], NEW, Phase.DONE),
    ],
)
def test_on_delete_of_the_resource(workload: Workload, pods: list[Pod], wanted: str | None, phase: Phase) -> None:
    assert progress_of(workload, pods, wanted_hash=wanted, automatic=False, now=NOW).phase is phase


def test_counts_and_details() -> None:
    pods = [pod(NEW), pod(OLD), pod(None, waiting="x: ErrImagePull"), pod(NEW, ending=True)]
    progress = progress_of(workload(), pods, wanted_hash=NEW, automatic=True, now=NOW)
    assert (progress.pods, progress.instrumented, progress.outdated, progress.detail) == (3, 2, 1, "x: ErrImagePull")


@pytest.mark.parametrize(("attempts", "minutes"), [(1, 10), (2, 20), (3, 40)])
def test_a_missed_restart_is_made_again_later_and_later(attempts: int, minutes: int) -> None:
    progress = progress_of(workload(NEW, 0, attempts), [pod(None)], wanted_hash=NEW, automatic=True, now=NOW)
    assert progress.again_at == NOW + minutes * MINUTE
    assert next_restart([progress], NOW + (minutes - 1) * MINUTE) is None
    assert next_restart([progress], NOW + minutes * MINUTE) == progress.workload


def progress(phase: Phase, name: str, again_at: datetime | None = None) -> Progress:
    return Progress(workload(name=name), phase, 1, 0, 0, again_at)


@pytest.mark.parametrize(
    ("progresses", "name"),
    [
        ([], None),
        ([progress(Phase.DONE, "a"), progress(Phase.WAITING, "b"), progress(Phase.GIVEN_UP, "c")], None),
        ([progress(Phase.DONE, "a"), progress(Phase.NEEDED, "b"), progress(Phase.NEEDED, "c")], "b"),
        ([progress(Phase.MISSED, "a", NOW), progress(Phase.NEEDED, "b")], "b"),
        ([progress(Phase.BUSY, "a"), progress(Phase.NEEDED, "b")], "b"),
        ([progress(Phase.NEEDED, "a"), progress(Phase.ROLLING, "b")], None),
        ([progress(Phase.NEEDED, "a"), progress(Phase.STALLED, "b")], None),
        ([progress(Phase.MISSED, "a", NOW), progress(Phase.ROLLING, "b")], None),
    ],
)
def test_one_at_a_time(progresses: list[Progress], name: str | None) -> None:
    found = next_restart(progresses, NOW)
    assert (found and found.name) == name


@pytest.mark.parametrize(
    ("workload", "wanted", "restarted_at", "attempts"),
    [
        (workload(), NEW, True, "1"),
        (workload(OLD, 60, 3), NEW, True, "1"),
        (workload(NEW, 60, 2), NEW, True, "3"),
        (workload(NEW, 60, 2), None, False, None),
        (workload(), None, True, None),
        (workload(None, 60), None, True, "1"),
        (workload(None, 60, 1), None, True, "2"),
    ],
)
def test_annotations(workload: Workload, wanted: str | None, restarted_at: bool, attempts: str | None) -> None:
    assert restart_annotations(workload, wanted, NOW) == {
        ANNOTATION_CONFIG_HASH: wanted,
        ANNOTATION_RESTARTED_AT: "2026-01-02T12:00:00+00:00" if restarted_at else None,
        ANNOTATION_ATTEMPTS: attempts,
    }


def test_going_back_makes_the_template_what_it_was() -> None:
    template = {key: value for key, value in restart_annotations(workload(NEW, 60, 1), None, NOW).items() if value is not None}
    assert template == {}


@given(wanted=st.sampled_from([NEW, None]), hits=st.lists(st.booleans(), max_size=40), step=st.integers(1, 500))
def test_a_workload_is_restarted_a_few_times_at_most_whatever_its_pods_become(
    wanted: str | None, hits: list[bool], step: int
) -> None:
    """Each look some minutes after the one before; each restart may bring pods that are right, or not."""
    other = NEW if wanted is None else None
    annotations: dict[str, str] = {}
    pods, restarts, now = [pod(other)], 0, NOW
    for hit in [*hits, *([False] * 40)]:
        body = deployment(PODS["plain-file"])
        body["spec"]["template"]["metadata"]["annotations"] = annotations
        found = Workload.of_body("Deployment", body)
        if next_restart([progress_of(found, pods, wanted_hash=wanted, automatic=True, now=now)], now) is not None:
            restarts += 1
            for key, value in restart_annotations(found, wanted, now).items():
                annotations.pop(key, None)
                if value is not None:
                    annotations[key] = value
            pods = [pod(wanted if hit else other)]
        now += step * MINUTE
    assert restarts <= 5


@pytest.mark.parametrize("text", ["", "yesterday"])
def test_a_time_that_can_not_be_read_is_none(text: str) -> None:
    body = deployment(PODS["plain-file"])
    body["spec"]["template"]["metadata"]["annotations"] = {ANNOTATION_CONFIG_HASH: NEW, ANNOTATION_RESTARTED_AT: text}
    found = Workload.of_body("Deployment", body)
    assert progress_of(found, [pod(None)], wanted_hash=NEW, automatic=True, now=NOW).phase is Phase.NEEDED
