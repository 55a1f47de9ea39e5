"""Reporting: the status of a resource, and an Event whenever a condition turns."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from .cluster import EVENTS, TELEMETRIES, ApiError, Cluster
from .names import API_VERSION, FIELD_MANAGER, KIND
from .resource import TelemetryResource
from .state.conditions import Verdict, conditions
from .state.matching import Match
from .state.rollout import Phase, Progress

__all__ = ["Reporter"]

_logger = logging.getLogger(__name__)
_MOST_TARGETS = 256


class Reporter:
    """Writes what changed."""

    def __init__(self, cluster: Cluster, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._now = now
        self._written: dict[tuple[str, str, str], dict[str, Any]] = {}
        """By namespace, name and uid: the status that was written last."""

    async def report(
        self,
        resource: TelemetryResource,
        verdicts: Sequence[Verdict],
        *,
        config_hash: str | None = None,
        progresses: Sequence[Progress] = (),
        matches: Sequence[Match] = (),
    ) -> None:
        """Writes the status, if it is another one.

        Raises:
            ApiError: the API server can't be asked.
        """
        key = (*resource.key, resource.uid)
        before = self._written.get(key) or dict(resource.status)
        earlier = before.get("conditions") or []
        status: dict[str, Any] = {
            "observedGeneration": resource.generation,
            "configHash": config_hash,
            "conditions": conditions(verdicts, earlier, generation=resource.generation, now=self._now()),
            "matchedPods": sum(progress.pods for progress in progresses),
            "instrumentedPods": sum(progress.instrumented for progress in progresses),
            "targets": _targets(progresses, matches),
        }
        status["podsSummary"] = f"{status['instrumentedPods']}/{status['matchedPods']}"
        # The API server keeps nothing that is null.
        if _without_none(status) == _without_none(before):
            return
        try:
            await self._cluster.merge(TELEMETRIES, resource.namespace, resource.name, {"status": status}, subresource="status")
        except ApiError as error:
            if error.status != 404:
                raise
            self._written.pop(key, None)
            return
        self._written[key] = status
        turned = {entry["type"]: (entry["status"], entry["reason"]) for entry in earlier}
        for entry in status["conditions"]:
            if turned.get(entry["type"]) != (entry["status"], entry["reason"]):
                _logger.info("%s/%s: %s %s: %s", *resource.key, entry["type"], entry["reason"], entry["message"])
                kind = "Warning" if entry["status"] == "False" and entry["reason"] not in ("RollingOut", "Suspended") else "Normal"
                await self.event(resource, kind, entry["reason"], f"{entry['type']}: {entry['message']}")

    def forget(self, resource: TelemetryResource) -> None:
        """One that has gone."""
        self._written.pop((*resource.key, resource.uid), None)

    async def event(self, resource: TelemetryResource, kind: str, reason: str, message: str) -> None:
        """An Event on the resource. It is told for information: if it can't be, nothing is lost but that."""
        now = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{resource.name}.", "namespace": resource.namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": resource.name,
                "namespace": resource.namespace,
                "uid": resource.uid,
            },
            "type": kind,
            "reason": reason,
            "message": message[:1024],
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": FIELD_MANAGER,
            "reportingInstance": FIELD_MANAGER,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            await self._cluster.create(EVENTS, resource.namespace, body)
        except ApiError as error:
            _logger.warning("%s/%s: no event %s: %s", *resource.key, reason, error)


def _without_none(status: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in status.items() if value is not None}


def _targets(progresses: Sequence[Progress], matches: Sequence[Match]) -> list[dict[str, Any]]:
    by_key = {progress.workload.key: progress for progress in progresses}
    targets: list[dict[str, Any]] = []
    for entry in matches:
        progress = by_key.get(entry.workload.key)
        target: dict[str, Any] = {
            "kind": entry.workload.kind,
            "name": entry.workload.name,
            "pods": progress.pods if progress else len(entry.pods),
            "instrumented": progress.instrumented if progress else 0,
            "outdated": progress.outdated if progress else 0,
        }
        if entry.recognition is not None:
            target["type"] = entry.recognition.kind
            if entry.recognition.haproxy_version is not None:
                target["haproxyVersion"] = entry.recognition.haproxy_version
            if entry.recognition.config_map is not None:
                target["configMap"] = entry.recognition.config_map[1]
        message = entry.problem or (progress.phase.value if progress and progress.phase is not Phase.DONE else None)
        if message is not None:
            target["message"] = message
        targets.append(target)
    return targets[:_MOST_TARGETS]
