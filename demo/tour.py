"""The tour sends the requests one by one, shows the trace of each, and keeps account of what was not as it should be."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

from demo.chain import Chain
from demo.expectation import ExpectedSpan, differences
from demo.expected import expected_of_doors, expected_of_requests
from demo.listing import listing
from demo.requests import REQUESTS, DemoRequest
from demo.trace import Trace
from demo.waterfall import FOLLOWS, waterfall

__all__ = ["Tour"]

_TRACE_SECONDS = 3.0  # how long a trace may take to arrive; normally it is there within 100 ms

_LEGEND = (
    "Behind a status: HAProxy's termination state, as in its log (PR a rule denied it, SC no server took it, C. the client left)."
)
_LINK_LEGEND = f"{FOLLOWS} in front of a name: it follows from the one above it at its level (a link, not a parent)."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    """A request that was sent, and what came of it."""

    request: DemoRequest
    expected: ExpectedSpan
    status: int | None
    """What the client got."""
    trace_ids: frozenset[str]
    """The traces that began with it."""

    def differences(self, traces: Sequence[Trace]) -> list[str]:
        """What is wrong, in words, if `traces` are all there are."""
        own = [trace for trace in traces if trace.trace_id in self.trace_ids]
        found = differences(self.expected, own)
        if self.status != self.request.status:
            found.append(f"the client got {self.status}, not {self.request.status}")
        return [f"{self.request.name}: {text}" for text in found]


@dataclass(slots=True)
class Tour:
    """One round of all requests."""

    chain: Chain
    console: Console
    _visits: list[_Visit] = field(default_factory=list)
    _known_ids: set[str] = field(default_factory=set)

    async def show_requests(self) -> None:
        """The fixed set of requests, all through doors with the agent, and the trace of each."""
        port = self.chain.doors.edge_traced
        expected = expected_of_requests(self.chain.profile)
        for request in REQUESTS:
            visit = await self._visit(request, port, expected[request.name])
            answer = "no answer" if visit.status is None else str(visit.status)
            self._say()
            self._say(Text.assemble((request.name, "bold"), f": a request that {request.says}"))
            self._say(Text(f"$ {request.curl(port)}   ({answer})", "dim"))
            for trace in self._traces_of(visit):
                self._show(trace)
            self._complain(visit)
        self._say()
        self._say(Text(_LEGEND, "dim"))
        if any(row.follows for trace in Trace.all_of(self.chain.sink.spans) for row in trace.rows()):
            self._say(Text(_LINK_LEGEND, "dim"))

    async def show_doors(self) -> None:
        """The same request through every pair of doors: with the agent and without, at the edge and at the inner HAProxy."""
        doors = self.chain.doors
        self._say()
        self._say(Text.assemble(("the doors", "bold"), ": one request by each way, with the agent and without"))
        visits, rows = [], [("edge", "inner", "the trace goes through", "linked", "spans", "$")]
        for edge_traced, inner_traced in ((True, True), (True, False), (False, True), (False, False)):
            port, edge = (doors.edge_traced, "with") if edge_traced else (doors.edge_untraced, "without")
            inner_port, inner = (doors.inner_traced, "with") if inner_traced else (doors.inner_untraced, "without")
            request = DemoRequest(
                name=f"{edge}/{inner}", says="takes these doors", path="/good", status=200, inner_untraced=not inner_traced
            )
            expected = expected_of_doors(self.chain.profile, edge=edge_traced, inner=inner_traced)
            visits.append(await self._visit(request, port, expected))
            traces = self._traces_of(visits[-1])
            linked = len(traces) == 1 and len(traces[0].roots) == 1
            ways = " | ".join(" > ".join(trace.services) for trace in traces) or "nowhere"
            one_trace = "one trace" if linked else "NO"
            count = str(sum(len(trace.spans) for trace in traces))
            rows.append((f"{port} {edge}", f"{inner_port} {inner}", ways, one_trace, count, request.curl(port)))
        head, *lines = listing(rows)
        self._say(Text("  " + head, "dim"))
        for line in lines:
            self._say(Text("  " + line))
        for visit in visits:
            self._complain(visit)

    def wrong(self) -> list[str]:
        """What is not as it should be by now, in words; spans that came late, twice or for no request count, too."""
        traces = Trace.all_of(self.chain.sink.spans)
        foreign = [trace for trace in traces if trace.trace_id not in self._known_ids]
        found = [text for visit in self._visits for text in visit.differences(traces)]
        return found + [f"trace {trace.trace_id} ({', '.join(trace.services)}) belongs to no request" for trace in foreign]

    async def _visit(self, request: DemoRequest, port: int, expected: ExpectedSpan) -> _Visit:
        """Sends a request and waits until its trace is as expected, or until it is too late for that."""
        status = await request.send(port)
        with contextlib.suppress(TimeoutError):  # what is wrong is said beside what has come
            await self.chain.sink.wait_for(lambda _: not differences(expected, self._new_traces()), _TRACE_SECONDS)
        ids = frozenset(trace.trace_id for trace in self._new_traces())
        visit = _Visit(request=request, expected=expected, status=status, trace_ids=ids)
        self._known_ids |= ids
        self._visits.append(visit)
        return visit

    def _new_traces(self) -> list[Trace]:
        return [trace for trace in Trace.all_of(self.chain.sink.spans) if trace.trace_id not in self._known_ids]

    def _traces_of(self, visit: _Visit) -> list[Trace]:
        return [trace for trace in Trace.all_of(self.chain.sink.spans) if trace.trace_id in visit.trace_ids]

    def _show(self, trace: Trace) -> None:
        count = f"{len(trace.spans)} linked spans" if len(trace.spans) > 1 else "one span"
        self._say(Text(f"trace {trace.trace_id}: {count}, {' > '.join(trace.services)}", "dim"))
        for line in waterfall(trace, columns=self.console.width - 2):
            self._say(Text("  ").append_text(line))

    def _complain(self, visit: _Visit) -> None:
        for text in visit.differences(self._traces_of(visit)):
            self._say(Text(f"  not as it should be: {text}", "bold red"))

    def _say(self, line: Text | str = "") -> None:
        self.console.print(line, soft_wrap=True)
