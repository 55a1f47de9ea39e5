"""A trial is one fault under load, from one quiet moment to the next, and what it cost.

At a quiet moment no request is on its way and every span that will come has come. So what a fault cost is the difference of two of
them, exactly.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from soak.fault import Fault, Loss
from soak.ledger import SPANS_OF_AN_EXCHANGE, Account
from soak.load import Request
from soak.stage import BATCH_DELAY_SECONDS, Stage
from support.probe import until

__all__ = ["MACHINE_SECONDS", "Outcome", "try_fault"]

MACHINE_SECONDS = 0.25
"""What a busy machine may add to a request that nobody delays."""
_STILL_SECONDS = 1.5
_SETTLE_TIMEOUT_SECONDS = 60.0
_BEFORE_ANSWERS = 30
_AFTER_ANSWERS = 50
_RELOADS_LOSE_EXCHANGES = 3
"""Of each old worker: it has two threads, and leaves at times before it has sent its last records."""
_KILLED_LOSES_SECONDS = BATCH_DELAY_SECONDS + 1.0
"""A span waits for its batch, for the request before that, and before both for a turn of the loop."""
_RING_KEEPS_EXCHANGES = 200
"""At least, of the ring's size on this stage."""

Metrics = Mapping[str, float]


@dataclass(kw_only=True)
class Outcome:
    """What one fault cost."""

    fault: str
    seconds: float
    requests: list[Request]
    spans: Account
    counted: int | None
    """Lost spans, as the agent counts them; None: nobody is left who could."""
    rss_bytes: int
    complaints: list[str] = field(default_factory=list)
    """What should not be so."""


async def try_fault(stage: Stage, name: str, fault: Fault, seconds: float) -> Outcome:
    """Has one fault happen, and waits until all is quiet again."""
    load = stage.load
    before = await stage.agent.metrics()
    first = len(load.requests)
    tracebacks = stage.tracebacks
    load.late_seconds = 0.0
    load.resume()
    await load.wait_for_answers(_BEFORE_ANSWERS)
    start_seconds = time.monotonic()
    await fault.act(stage, seconds)
    lasted_seconds = time.monotonic() - start_seconds
    await load.wait_for_answers(_AFTER_ANSWERS)
    await load.pause()
    asked_seconds = time.monotonic() - start_seconds
    requests = load.requests[first:]
    late_seconds = load.late_seconds
    account = await _settle(stage, requests, fault)
    after = await stage.agent.metrics()
    outcome = Outcome(
        fault=name,
        seconds=lasted_seconds,
        requests=requests,
        spans=account,
        counted=_counted(fault, before, after),
        rss_bytes=stage.rss_bytes,
    )
    outcome.complaints += _of_requests(stage, fault, requests, late_seconds)
    outcome.complaints += _of_spans(fault, outcome, rate_per_second=len(requests) / asked_seconds, forgets=stage.version < (2, 8))
    if stage.tracebacks > tracebacks:
        outcome.complaints.append("the agent has logged a traceback")
    stage.ledger.forget(requests)
    return outcome


async def _settle(stage: Stage, requests: list[Request], fault: Fault) -> Account:
    """Waits until nothing moves any more; where nothing may be lost, until all is there."""
    account = Account(expected=0)
    last: object = None
    since_seconds = time.monotonic()

    async def is_quiet() -> bool:
        nonlocal account, last, since_seconds
        stage.read_spans()
        account = stage.ledger.account(requests)
        metrics = await stage.metrics()
        if metrics is None:
            return False
        now = (account.seen, account.twice, _recorded(metrics), metrics["spans_exported_total"], _dropped(metrics))
        if now != last:
            last, since_seconds = now, time.monotonic()
        made = sum(value for name, value in metrics.items() if name.startswith("spans_made_total"))
        if made != metrics["spans_exported_total"] + _dropped(metrics):
            return False
        return (account.lost == 0 and not fault.twice) or time.monotonic() - since_seconds > _STILL_SECONDS

    try:
        await until(is_quiet, what="all spans have come", timeout_seconds=_SETTLE_TIMEOUT_SECONDS, every_seconds=0.1)
    except TimeoutError:
        account.wrong.append("the agent does not come to rest: it still has spans that it neither exports nor drops")
    return account


def _recorded(metrics: Metrics) -> float:
    return sum(value for name, value in metrics.items() if name.startswith("exchanges_recorded_total"))


def _dropped(metrics: Metrics) -> float:
    return sum(value for name, value in metrics.items() if name.startswith("spans_dropped_total"))


def _unrecorded(metrics: Metrics) -> float:
    """Exchanges whose start was answered and whose record has not come."""
    answered = sum(value for name, value in metrics.items() if name.startswith("exchanges_answered_total"))
    return answered - metrics['exchanges_recorded_total{start="answered"}']


def _counted(fault: Fault, before: Metrics, after: Metrics) -> int | None:
    if fault.loss is Loss.RING and after["records_lost_total"]:
        return SPANS_OF_AN_EXCHANGE * int(after["records_lost_total"])  # a new agent's: it began at 0
    if fault.loss in (Loss.MEMORY, Loss.RING):
        return None
    counted = _dropped(after) - _dropped(before)
    if fault.loss is Loss.RECORDS:
        # What was answered too late for HAProxy has a record, too: one of an unanswered exchange.
        late = sum(value - before.get(name, 0.0) for name, value in after.items() if name.startswith("spoe_errors_total"))
        counted += SPANS_OF_AN_EXCHANGE * max(0.0, _unrecorded(after) - _unrecorded(before) - late)
    return int(counted)


def _of_requests(stage: Stage, fault: Fault, requests: list[Request], late_seconds: float) -> list[str]:
    complaints = []
    failed = [request for request in requests if request.failed]
    if failed:
        kinds = sorted({str(request.status or request.error) for request in failed})
        complaints.append(f"{len(failed)} of {len(requests)} requests failed: {', '.join(kinds)}")
    budget_seconds = MACHINE_SECONDS + late_seconds + (stage.processing_timeout_seconds if fault.asks_late else 0.0)
    slowest_seconds = max(request.duration_seconds or 0.0 for request in requests)
    if slowest_seconds > budget_seconds:
        complaints.append(f"a request took {slowest_seconds * 1000:.0f} ms; {budget_seconds * 1000:.0f} ms are allowed")
    return complaints


def _of_spans(fault: Fault, outcome: Outcome, *, rate_per_second: float, forgets: bool) -> list[str]:
    """`forgets`: whether an HAProxy that stops neither asks nor tells, so that nobody can count what is lost."""
    account = outcome.spans
    complaints = account.wrong[:5]
    if account.twice and not fault.twice:
        complaints.append(f"{account.twice} spans came twice")
    if account.half and fault.loss not in (Loss.DROPPED, Loss.MEMORY):
        complaints.append(f"{len(account.half)} traces have one span of two, such as {account.half[0]}")
    in_memory = SPANS_OF_AN_EXCHANGE * rate_per_second * _KILLED_LOSES_SECONDS
    allowed: float = 0
    if fault.loss is Loss.DROPPED:
        allowed = account.expected
    elif fault.loss is Loss.RECORDS:
        allowed = SPANS_OF_AN_EXCHANGE * _RELOADS_LOSE_EXCHANGES * 20
    elif fault.loss is Loss.MEMORY:
        allowed = in_memory
    elif fault.loss is Loss.RING:
        allowed = account.expected - SPANS_OF_AN_EXCHANGE * _RING_KEEPS_EXCHANGES
        if account.lost < SPANS_OF_AN_EXCHANGE * rate_per_second:
            complaints.append("the ring was hardly full: nothing was tried")
    if account.lost > allowed:
        complaints.append(f"{account.lost} of {account.expected} spans are lost; {allowed:.0f} are allowed")
    counted = outcome.counted
    if fault.loss is Loss.RING and counted is not None:
        if not 0 <= account.lost - counted <= in_memory:
            complaints.append(
                f"{account.lost} spans are lost, HAProxy tells of {counted}, and at most {in_memory:.0f} are the agent's"
            )
    elif counted is not None and not (
        counted == account.lost or (fault.loss is Loss.RECORDS and forgets and counted < account.lost)
    ):
        complaints.append(f"{account.lost} spans are lost, and {counted} are counted as lost")
    return complaints
