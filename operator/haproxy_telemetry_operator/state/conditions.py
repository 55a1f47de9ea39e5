"""Conditions: what the status says, in the reasons that tools wait for and the words that people read.

Each condition is decided from what was seen; nothing is assumed, and nothing flips because the API server could not be asked for a
moment. ``Ready`` is all of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from .rollout import Phase, Progress

__all__ = ["Verdict", "conditions", "injected_verdict", "ready_verdict"]

_MAX_MESSAGE_CHARACTERS = 1024
_HARMLESS = frozenset(("NoSpansYet", "NoPods"))


class Verdict(NamedTuple):
    """One condition, without its times."""

    type: str
    status: str
    """``True``, ``False`` or ``Unknown``."""
    reason: str
    message: str


def injected_verdict(progresses: Sequence[Progress], problems: Sequence[str], *, suspended: bool = False) -> Verdict:
    """``SidecarsInjected``.

    Args:
        progresses: of all workloads that are meant.
        problems: pods that are meant and can't be instrumented, each in a sentence.
        suspended: nothing is to be in any pod.
    """
    kind = "SidecarsInjected"
    pods = sum(progress.pods for progress in progresses)
    instrumented = sum(progress.instrumented - progress.outdated for progress in progresses)
    by_phase: dict[Phase, list[Progress]] = {}
    for progress in progresses:
        by_phase.setdefault(progress.phase, []).append(progress)
    for phase, reason in (
        (Phase.STALLED, "RolloutStalled"),
        (Phase.GIVEN_UP, "PodsNotInjected"),
        (Phase.MISSED, "PodsNotInjected"),
        (Phase.ROLLING, "RollingOut"),
        (Phase.NEEDED, "RollingOut"),
        (Phase.BUSY, "RollingOut"),
        (Phase.WAITING, "RestartNeeded"),
    ):
        if phase in by_phase:
            return Verdict(
                kind, "False", reason, f"{_named(by_phase[phase])}: {phase.value} {instrumented} of {pods} pods are done."
            )
    if suspended:
        return Verdict(kind, "False", "Suspended", "spec.suspend is true: no pod is instrumented.")
    if problems:
        return Verdict(kind, "False", "UnsupportedTarget", " ".join(problems))
    if not progresses:
        return Verdict(kind, "False", "NoPodsFound", "No workload of this namespace has an HAProxy that spec.target means.")
    if pods == 0:
        return Verdict(kind, "True", "NoPods", "The workloads have no pods at the moment.")
    return Verdict(kind, "True", "AllPods", f"All {pods} pods are instrumented.")


def ready_verdict(verdicts: Iterable[Verdict]) -> Verdict:
    """``Ready``: the first of the others that is not true, in their order. That no request has come yet is no fault."""
    others = [verdict for verdict in verdicts if verdict.status != "True" and verdict.reason not in _HARMLESS]
    for verdict in sorted(others, key=lambda entry: entry.status != "False"):
        return Verdict("Ready", verdict.status, verdict.reason, f"{verdict.type}: {verdict.message}")
    return Verdict("Ready", "True", "Ready", "Every exchange of the target's pods makes a trace.")


def conditions(
    verdicts: Iterable[Verdict], before: Sequence[Mapping[str, Any]], *, generation: int, now: datetime
) -> list[dict[str, Any]]:
    """As the API has them; a time changes with the status only."""
    earlier = {entry["type"]: entry for entry in before}
    result: list[dict[str, Any]] = []
    for verdict in verdicts:
        old = earlier.get(verdict.type)
        same = old is not None and old.get("status") == verdict.status
        result.append(
            {
                "type": verdict.type,
                "status": verdict.status,
                "reason": verdict.reason,
                "message": verdict.message[:_MAX_MESSAGE_CHARACTERS],
                "lastTransitionTime": old["lastTransitionTime"] if old is not None and same else now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "observedGeneration": generation,
            }
        )
    return result


def _named(progresses: Sequence[Progress]) -> str:
    names = [f"{progress.workload.kind} {progress.workload.name}" for progress in progresses]
    details = [progress.detail for progress in progresses if progress.detail]
    text = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"{text} ({details[0]})" if details else text
