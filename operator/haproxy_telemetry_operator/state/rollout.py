"""The rollout: which workload is restarted next, if any. One at a time, each by its own update strategy; never a loop.

A restart is a change of annotations on the pod template, and going back is their removal, which makes the template what it was.
Pods are made anew by the workload's own controller, which honours its limits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from ..names import ANNOTATION_CONFIG_HASH, ANNOTATION_RESTARTED_AT
from .workload import ANNOTATION_ATTEMPTS, Pod, Workload

__all__ = ["Phase", "Progress", "is_at_work", "next_restart", "progress_of", "restart_annotations"]

_FIRST_BACKOFF = timedelta(minutes=10)
_MAX_ATTEMPTS = 4
_STALL = timedelta(minutes=10)
"""As long as a Deployment's own `progressDeadlineSeconds` by default."""


class Phase(Enum):
    """How far a workload is."""

    DONE = "All of its pods are as they should be."
    NEEDED = "It has to be restarted."
    WAITING = (
        "It has to be restarted, and that is left to you: by spec.injection.rollout, because it is paused, or set to OnDelete."
    )
    BUSY = "It is being rolled out for a reason of its own."
    ROLLING = "It makes its pods anew."
    STALLED = "Its new pods do not get ready; the old ones stay, and nothing else is restarted."
    MISSED = "It was restarted, and pods came as they were; it is restarted again later."
    GIVEN_UP = "It was restarted several times, and pods came as they were each time."


@dataclass(frozen=True, slots=True)
class Progress:
    """A workload, its pods, and how far they are."""

    workload: Workload
    phase: Phase
    pods: int
    instrumented: int
    outdated: int
    again_at: datetime | None = None
    """With MISSED: when it may be restarted again."""
    detail: str = ""
    """What a container of ours waits for, or why there is no new pod."""


def progress_of(workload: Workload, pods: Sequence[Pod], *, wanted_hash: str | None, automatic: bool, now: datetime) -> Progress:
    """How far a workload is.

    Args:
        workload: the workload.
        pods: all of its pods.
        wanted_hash: what they should have been injected with; None: nothing should be in them.
        automatic: whether we may restart it.
        now: in UTC.
    """
    living = [pod for pod in pods if not pod.ending]
    instrumented = [pod for pod in living if pod.injected is not None]
    current = [pod for pod in instrumented if pod.config_hash == wanted_hash]
    progress = Progress(
        workload,
        Phase.DONE,
        len(living),
        len(instrumented),
        len(instrumented) - len(current),
        detail=next((pod.waiting for pod in living if pod.waiting), ""),
    )
    right = not instrumented if wanted_hash is None else len(current) == len(living)
    since = _time(workload.restarted_at)
    asked = workload.restarted_for == wanted_hash
    is_ours = automatic and not workload.paused and not workload.on_delete
    needed = Phase.NEEDED if is_ours else Phase.WAITING
    if wanted_hash is None and not asked:
        # The way back waits for nothing: it may be the way out.
        return replace(progress, phase=needed)
    if workload.paused or workload.on_delete:
        # Whoever runs it decides when its pods are made anew, so it may be on its way for any time.
        return progress if right else replace(progress, phase=Phase.WAITING)
    if not workload.settled:
        ours = since is not None and _is_of_restart(living, since, wanted_hash, now)
        stalled = bool(progress.detail) or (ours and (workload.stuck or (since is not None and now - since > _STALL)))
        # A quota may have room again once an old pod has gone: it is told, and is no reason yet.
        progress = replace(progress, detail=progress.detail or workload.refused)
        if since is None or not (ours or stalled):
            return replace(progress, phase=Phase.BUSY)
        if asked:
            return replace(progress, phase=Phase.STALLED if stalled else Phase.ROLLING)
        return replace(progress, phase=needed if stalled else Phase.BUSY)
    if right:
        return progress
    if not asked or since is None:
        return replace(progress, phase=needed)
    if not is_ours:
        return replace(progress, phase=Phase.WAITING)
    if workload.attempts >= _MAX_ATTEMPTS:
        return replace(progress, phase=Phase.GIVEN_UP)
    return replace(progress, phase=Phase.MISSED, again_at=since + _FIRST_BACKOFF * 2 ** max(0, workload.attempts - 1))


def _is_of_restart(living: Sequence[Pod], since: datetime, wanted_hash: str | None, now: datetime) -> bool:
    """Whether pods come and go because of a restart of ours, and not of somebody else's some time after it.

    By what is left of it: pods from before it, or pods made by it that never got ready. Without any pod nothing tells.
    """
    if not living or now - since <= _STALL:
        return True
    for pod in living:
        created = _time(pod.created)
        is_old = pod.injected is not None if wanted_hash is None else pod.injected is None or pod.config_hash != wanted_hash
        if created is None or (is_old and created < since) or (not pod.ready and created <= since + _STALL):
            return True
    return False


def is_at_work(progresses: Sequence[Progress]) -> bool:
    """Whether one of them is being restarted by us, or stuck at it."""
    return any(progress.phase in (Phase.ROLLING, Phase.STALLED) for progress in progresses)


def next_restart(progresses: Sequence[Progress], now: datetime) -> Workload | None:
    """The workload to restart now; None while another one is at it, or stuck."""
    if is_at_work(progresses):
        return None
    needed = [progress.workload for progress in progresses if progress.phase is Phase.NEEDED]
    missed = [
        progress.workload
        for progress in progresses
        if progress.phase is Phase.MISSED and progress.again_at is not None and progress.again_at <= now
    ]
    return next(iter([*needed, *missed]), None)


def restart_annotations(workload: Workload, wanted_hash: str | None, now: datetime) -> Mapping[str, str | None]:
    """What a restart writes on the pod template; None is taken away.

    A workload whose pods came injected without a restart of ours has nothing that could be taken away: there a time stays behind,
    as `kubectl rollout restart` leaves one.
    """
    at = now.isoformat(timespec="seconds")
    if wanted_hash is None:
        ours = workload.restarted_for is not None
        again = not ours and workload.restarted_at is not None
        return {
            ANNOTATION_CONFIG_HASH: None,
            ANNOTATION_RESTARTED_AT: None if ours else at,
            # Where pods come injected time and again, by whomever, that ends as well.
            ANNOTATION_ATTEMPTS: str(workload.attempts + 1) if again else None,
        }
    attempts = workload.attempts + 1 if workload.restarted_for == wanted_hash else 1
    return {ANNOTATION_CONFIG_HASH: wanted_hash, ANNOTATION_RESTARTED_AT: at, ANNOTATION_ATTEMPTS: str(attempts)}


def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
