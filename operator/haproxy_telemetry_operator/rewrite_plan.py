"""Rewrite plans: what the operator tells the rewriter in a pod, as a file of the payload.

The operator renders it where it knows the resource; the init container parses it where it sees the configuration. The lines stand
in it as the agent's wiring wrote them, so the two images need not be of one version.
"""

import msgspec

from haproxy_telemetry_agent.wiring import Plan

from .rewriter import Insertions, Selection

__all__ = ["RewritePlan", "RewritePlanError"]


class RewritePlanError(ValueError):
    """A plan that can't be read; the message names the field."""


class RewritePlan(msgspec.Struct, frozen=True, rename="camel"):
    """What is inserted, and into which sections."""

    frontend: str
    """Lines for sections in mode http."""
    sections: str
    """Sections behind all others."""
    tcp_frontend: str = ""
    """Lines for sections in mode tcp; empty: these are left alone."""
    include: list[str] = msgspec.field(default_factory=lambda: ["*"])
    """Globs on names of sections."""
    exclude: list[str] = msgspec.field(default_factory=list)

    @classmethod
    def of_plan(cls, plan: Plan, selection: Selection, *, with_tcp: bool = True) -> "RewritePlan":
        """What a plan of the agent's asks for, in the sections that were chosen."""
        insertions = Insertions.of_plan(plan, with_tcp=with_tcp)
        return cls(
            insertions.frontend, insertions.sections, insertions.tcp_frontend, list(selection.include), list(selection.exclude)
        )

    @classmethod
    def parse(cls, data: bytes) -> "RewritePlan":
        """Reads the file. Raises RewritePlanError. Fields of a later version are passed over."""
        try:
            plan = msgspec.json.decode(data, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RewritePlanError(str(error)) from None
        for name, text in (("frontend", plan.frontend), ("sections", plan.sections)):
            if not text.strip():
                raise RewritePlanError(f"{name} is empty: nothing could be inserted")
        return plan

    def render(self) -> str:
        """The file, always the same for the same plan."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode() + "\n"

    @property
    def insertions(self) -> Insertions:
        """What is inserted, for the rewriter."""
        return Insertions(self.frontend, self.tcp_frontend, self.sections)

    @property
    def selection(self) -> Selection:
        """Which sections were chosen, for the rewriter."""
        return Selection(tuple(self.include), tuple(self.exclude))
