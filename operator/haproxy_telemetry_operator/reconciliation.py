"""Reconciliation of a namespace: look, decide, do what can be done now, say how it is, and when to look again.

Level-triggered: nothing is remembered from one look to the next that could not be seen again, so that an operator that ends at any
point, or a lost event, is made good by the next look.

In: payload, block in the controller's ConfigMap (nothing, in pods without the agent), webhook entry, restart of one workload after
the other. Out: webhook entry, restart, and when no pod has the agent in it any more, block, payload, finalizer.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf
from typing import Any

from .agents import Agents
from .cluster import CONFIG_MAPS, TELEMETRIES, WORKLOADS, ApiError, Cluster
from .config_maps import ControllerConfigMaps
from .injection import Facts
from .inventory import Inventory
from .names import FIELD_MANAGER, FINALIZER, LABEL_MANAGED_BY, LABEL_RESOURCE, payload_name, routes_name
from .rendering import Rendering, payload_object, render
from .rendering.payload import owned
from .rendering.routes import IngressClasses, render_routes
from .reporting import Reporter
from .resource import SpecProblem, TelemetryResource
from .settings import OperatorSettings
from .state.conditions import Verdict, injected_verdict, ready_verdict
from .state.matching import Match, match
from .state.rollout import Phase, Progress, is_at_work, next_restart, progress_of, restart_annotations
from .state.sightings import config_verdict, exporting_verdict
from .state.workload import Workload
from .targets.command_line import option_values, words
from .webhooks import Webhooks

__all__ = ["Reconciler"]

_logger = logging.getLogger(__name__)
_BUSY_SECONDS = 5.0
"""While something is under way; its events come sooner, as a rule."""
_YOUNG_SECONDS = 15.0
_YOUTH = timedelta(minutes=10)


async def _no_problem() -> None:
    return None


@dataclass
class Reconciler:
    """Everything that a look at a namespace needs."""

    cluster: Cluster
    inventory: Inventory
    webhooks: Webhooks
    settings: OperatorSettings
    now: Callable[[], datetime]
    """UTC."""
    agents: Agents = field(default_factory=Agents)
    facts: Facts = field(default_factory=lambda: Facts(image=""))
    injector_problem: Callable[[], Awaitable[str | None]] = _no_problem
    """Why new pods would not be injected now."""

    def __post_init__(self) -> None:
        self._config_maps = ControllerConfigMaps(self.cluster, self.now)
        self._reporter = Reporter(self.cluster, self.now)
        self._applied: dict[tuple[str, str], str] = {}
        """What was applied last, by namespace and name: an object that stays the same is written once in a while only."""

    async def reconcile(self, namespace: str) -> float:
        """One look; returns the seconds until the next one that is due without any event.

        Raises:
            ApiError: the API server can't be asked, or refuses; to be tried again.
        """
        resources = self.inventory.resources(namespace)
        if not resources:
            await self.webhooks.update()
            return self.settings.resync_seconds
        in_charge, *others = resources
        for other in others:
            await self._conflicted(other, in_charge)
        if in_charge.deleting:
            return await self._revert(in_charge, _going(reason="Deleting"), final=True)
        try:
            rendering = render(in_charge)
        except SpecProblem as problem:
            await self.webhooks.update()
            verdict = Verdict("Accepted", "False", problem.reason, str(problem))
            await self._reporter.report(in_charge, [ready_verdict([verdict]), verdict])
            return self.settings.resync_seconds
        if not in_charge.has_finalizer:
            await self._set_finalizer(in_charge, present=True)
        if rendering.spec.target.type == "Manual":
            return await self._revert(in_charge, _manual(in_charge), final=False)
        if rendering.spec.suspend:
            return await self._revert(in_charge, _going(reason="Suspended"), final=False)
        return await self._inject(in_charge, rendering)

    async def _inject(self, resource: TelemetryResource, rendering: Rendering) -> float:
        accepted = Verdict("Accepted", "True", "Accepted", "The resource is in charge of its namespace.")
        namespace = resource.namespace
        matches = match(resource, rendering, self.inventory.workloads(namespace), self.inventory.pods(namespace), self.facts)
        await self._apply(payload_object(resource, rendering))
        await self._apply_routes(resource, matches)
        config = await self._inject_blocks(resource, rendering, matches)
        webhook = await self.webhooks.update()
        possible = [entry for entry in matches if entry.problem is None]
        automatic = rendering.spec.injection.rollout == "Automatic"
        progresses = self._progresses(possible, rendering.config_hash, automatic=automatic)
        # What was meant before, by another selector, and is no longer.
        meant = {entry.workload.key for entry in possible}
        leaving = self._progresses(
            [entry for entry in self._touched(resource) if entry.workload.key not in meant], None, automatic=automatic
        )
        unsettled_seconds = self.webhooks.unsettled_seconds(resource)
        restarted = None
        if unsettled_seconds == 0.0:
            restarted = await self._restart_next(resource, leaving, None)
            ready = config.status == "True" and webhook is None and restarted is None and not is_at_work(leaving)
            if ready and next_restart(progresses, self.now()) is not None:
                webhook = await self.injector_problem()
            if ready and webhook is None:
                restarted = await self._restart_next(resource, progresses, rendering.config_hash)
        injected = injected_verdict([*leaving, *progresses], [entry.problem for entry in matches if entry.problem is not None])
        if webhook is not None and injected.status != "True":
            injected = Verdict("SidecarsInjected", "False", "InjectorUnavailable", webhook)
        if restarted is not None:
            injected = Verdict(
                "SidecarsInjected", "False", "RollingOut", f"{restarted.kind} {restarted.name}: {Phase.ROLLING.value}"
            )
        verdicts = [accepted, config, injected, *await self._look(resource, rendering, possible)]
        await self._reporter.report(
            resource,
            [ready_verdict(verdicts), *verdicts],
            config_hash=rendering.config_hash,
            progresses=progresses,
            matches=matches,
        )
        if unsettled_seconds > 0.0:
            return unsettled_seconds
        busy = restarted is not None or injected.reason in ("RollingOut", "InjectorUnavailable")
        waiting = any(verdict.reason in ("NoSpoeConnection", "NoSpansYet", "AgentsNotReachable") for verdict in verdicts)
        soon = waiting and self._is_young(resource)
        return _BUSY_SECONDS if busy else min(self.settings.resync_seconds, _YOUNG_SECONDS if soon else inf)

    async def _inject_blocks(self, resource: TelemetryResource, rendering: Rendering, matches: Sequence[Match]) -> Verdict:
        """The first that went wrong, or any of the others."""
        recognitions = {
            (entry.recognition.config_map, entry.recognition.kind): entry.recognition
            for entry in matches
            if entry.recognition is not None and entry.problem is None
        }
        verdicts = [await self._config_maps.inject(resource, rendering, recognition) for recognition in recognitions.values()]
        failed = [verdict for verdict in verdicts if verdict.status != "True"]
        injected = [verdict for verdict in verdicts if verdict.reason == "Injected"]
        for verdict in (*failed, *injected, *verdicts):
            return verdict
        return Verdict("ConfigInjected", "True", "NotApplicable", "There is no ingress controller whose ConfigMap needs our lines.")

    async def _look(self, resource: TelemetryResource, rendering: Rendering, matches: Sequence[Match]) -> list[Verdict]:
        """What the agents say."""
        pods = [
            pod
            for entry in matches
            for pod in entry.pods
            if pod.ready and not pod.ending and pod.injected is not None and pod.config_hash == rendering.config_hash
        ]
        now, before, unseen = await self.agents.look(resource.key, pods, rendering.spec.injection.http_port)
        exporting = exporting_verdict(now, before)
        connected = config_verdict(now, unseen)
        return [connected, exporting]

    def _progresses(self, matches: Sequence[Match], wanted_hash: str | None, *, automatic: bool) -> list[Progress]:
        now = self.now()
        return [progress_of(entry.workload, entry.pods, wanted_hash=wanted_hash, automatic=automatic, now=now) for entry in matches]

    async def _restart_next(
        self, resource: TelemetryResource, progresses: Sequence[Progress], wanted_hash: str | None
    ) -> Workload | None:
        workload = next_restart(progresses, self.now())
        if workload is None:
            return None
        annotations = restart_annotations(workload, wanted_hash, self.now())
        patch = {
            # If what we know of it is old, this is refused: a second restart for the same reason would be one too many.
            "metadata": {"resourceVersion": self.inventory.workload_version(resource.namespace, workload)},
            "spec": {"template": {"metadata": {"annotations": dict(annotations)}}},
        }
        try:
            body = await self.cluster.merge(WORKLOADS[workload.kind], resource.namespace, workload.name, patch)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            return None
        self.inventory.see_workload(workload.kind, body)
        _logger.info("%s/%s: %s %s is restarted", resource.namespace, resource.name, workload.kind, workload.name)
        await self._reporter.event(
            resource,
            "Normal",
            "Restarted",
            f"{workload.kind} {workload.name} is restarted {'with' if wanted_hash else 'without'} the agent.",
        )
        return workload

    async def _revert(self, resource: TelemetryResource, accepted: Verdict, *, final: bool) -> float:
        """Takes everything out again; ``final``: and lets the resource go."""
        if final and not resource.has_finalizer:
            return self.settings.resync_seconds
        await self.webhooks.update()
        namespace = resource.namespace
        touched = self._touched(resource)
        progresses = self._progresses(touched, None, automatic=self._may_restart(resource))
        unsettled_seconds = self.webhooks.unsettled_seconds(resource)
        if unsettled_seconds == 0.0:
            await self._restart_next(resource, progresses, None)
        pods = [pod for pod in self.inventory.pods(namespace) if pod.injected == resource.name and not pod.ending]
        done = not pods and all(entry.workload.restarted_for is None for entry in touched)
        if not done and not (final and self._overdue(resource)):
            injected = injected_verdict(progresses, [], suspended=True)
            await self._reporter.report(resource, [ready_verdict([injected]), accepted, injected], progresses=progresses)
            return unsettled_seconds or _BUSY_SECONDS
        problems = await self._config_maps.revert(namespace)
        if pods:
            problems.append(f"{len(pods)} pods still have the agent in them, which does no harm: restart their workloads.")
        for problem in problems:
            _logger.warning("%s/%s: %s", namespace, resource.name, problem)
            await self._reporter.event(resource, "Warning", "NotReverted", problem)
        selector = f"{LABEL_MANAGED_BY}={FIELD_MANAGER},{LABEL_RESOURCE}={resource.name}"
        for ours in await self.cluster.all(CONFIG_MAPS, namespace, label_selector=selector):
            await self.cluster.delete(CONFIG_MAPS, namespace, ours["metadata"]["name"])
        for name in (payload_name(resource.name), routes_name(resource.name)):
            self._applied.pop((namespace, name), None)
        self.agents.forget(resource.key)
        if final:
            await self._set_finalizer(resource, present=False)
            self._reporter.forget(resource)
            return 0.0
        verdicts = [accepted]
        if accepted.reason != "Manual":
            verdicts.append(injected_verdict([], [], suspended=True))
        await self._reporter.report(resource, [ready_verdict(verdicts), *verdicts])
        return self.settings.resync_seconds

    def _touched(self, resource: TelemetryResource) -> list[Match]:
        """Workloads with the agent in their pods, or with a mark of ours; and these pods."""
        pods = [pod for pod in self.inventory.pods(resource.namespace) if pod.injected == resource.name and not pod.ending]
        owners = {pod.owner for pod in pods}
        return [
            Match(workload, [pod for pod in pods if pod.owner == workload.key], None)
            for workload in sorted(self.inventory.workloads(resource.namespace), key=lambda entry: entry.key)
            if workload.key in owners or workload.restarted_for is not None
        ]

    def _may_restart(self, resource: TelemetryResource) -> bool:
        injection = resource.document.get("injection") or {}
        return bool(injection.get("rollout", "Automatic") == "Automatic")

    def _is_young(self, resource: TelemetryResource) -> bool:
        """Whether somebody may be waiting to see it work."""
        try:
            return self.now() - datetime.fromisoformat(resource.created) < _YOUTH
        except ValueError:
            return False

    def _overdue(self, resource: TelemetryResource) -> bool:
        since = resource.deleted
        return since is not None and (self.now() - since).total_seconds() > self.settings.revert_timeout_seconds

    async def _conflicted(self, resource: TelemetryResource, in_charge: TelemetryResource) -> None:
        if resource.deleting:
            if resource.has_finalizer:
                await self._set_finalizer(resource, present=False)
            self._reporter.forget(resource)
            return
        verdict = Verdict(
            "Accepted", "False", "Conflicted", f"{in_charge.name} is older and in charge of this namespace: delete one of them."
        )
        await self._reporter.report(resource, [ready_verdict([verdict]), verdict])

    async def _set_finalizer(self, resource: TelemetryResource, *, present: bool) -> None:
        found = await self.cluster.get(TELEMETRIES, resource.namespace, resource.name)
        if found is None:
            return
        metadata = found["metadata"]
        others = [name for name in metadata.get("finalizers") or () if name != FINALIZER]
        patch = {
            "metadata": {
                "resourceVersion": metadata["resourceVersion"],
                "finalizers": [*others, FINALIZER] if present else others,
            }
        }
        try:
            body = await self.cluster.merge(TELEMETRIES, resource.namespace, resource.name, patch)
        except ApiError as error:
            if error.status != 404:
                raise
            return
        if present:
            self.inventory.see_resource(body)

    async def _apply(self, body: Mapping[str, Any]) -> None:
        """Writes an object of ours, if it is another one than before."""
        metadata = body["metadata"]
        key = (metadata["namespace"], metadata["name"])
        text = repr(body)
        if self._applied.get(key) != text:
            await self.cluster.apply(CONFIG_MAPS, body)
            self._applied[key] = text

    async def _apply_routes(self, resource: TelemetryResource, matches: Iterable[Match]) -> None:
        classes = _ingress_classes(matches)
        text, left_out = render_routes([] if classes is None else self.inventory.ingresses(), classes or IngressClasses(None))
        if left_out:
            _logger.warning("%s/%s: %d routes have no room in a ConfigMap", resource.namespace, resource.name, left_out)
        await self._apply(owned(resource, routes_name(resource.name), {"routes.json": text}))

    def forget_applied(self, namespace: str | None = None, name: str = "") -> None:
        """What somebody else has changed is written again: one object, or at a resync all."""
        if namespace is None:
            self._applied.clear()
        else:
            self._applied.pop((namespace, name), None)

    async def close(self) -> None:
        """Closes what it has open."""
        await asyncio.gather(self.agents.close())


def _going(*, reason: str) -> Verdict:
    return Verdict("Accepted", "True", reason, "The instrumentation is taken out.")


def _manual(resource: TelemetryResource) -> Verdict:
    return Verdict(
        "Accepted",
        "True",
        "Manual",
        f"Nothing is touched: `haproxy-telemetry-operator render` prints what to put where for {resource.name}.",
    )


def _ingress_classes(matches: Iterable[Match]) -> IngressClasses | None:
    """What the controllers take; None if there is no controller."""
    names: set[str] = set()
    any_class = without_class = found = False
    for entry in matches:
        if entry.recognition is None or entry.recognition.kind == "Plain":
            continue
        found = True
        spec = entry.workload.template.get("spec") or {}
        arguments = [word for container in spec.get("containers") or () for word in words(container)]
        values = [value for name in ("--ingress.class", "--ingress-class") for value in option_values(arguments, name)]
        names |= set(values)
        any_class = any_class or not values
        without_class = without_class or "--empty-ingress-class" in arguments or "--watch-ingress-without-class" in arguments
    if not found:
        return None
    return IngressClasses(None if any_class else frozenset(names), without_class=without_class)
