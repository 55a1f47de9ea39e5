"""A hop is one HAProxy on a request's way: what it says of an exchange, in each of the agent's profiles.

Standard and Stream have two spans for it, Full has the nine of its mapping, less those of phases that were never reached. Whatever
comes behind an HAProxy hangs below its CLIENT span, in every profile.
"""

from dataclasses import dataclass, replace
from typing import Literal

from demo.expectation import ExpectedSpan

__all__ = ["PROFILES", "Hops", "Profile"]

Profile = Literal["Standard", "Full", "Stream"]
PROFILES: dict[Profile, str] = {
    "Standard": "HAProxy asks the agent once, when a request begins; two spans for each HAProxy.",
    "Full": "HAProxy asks the agent at every event where that is safe; nine spans for each HAProxy.",
    "Stream": "HAProxy never asks, it makes the trace context itself; two spans for each HAProxy.",
}
"""What each profile is, for the user; the first is the default."""

_FRONTEND = ("Frontend TCP request", "Frontend HTTP request")
_BACKEND = ("Backend TCP request", "Backend HTTP request")


@dataclass(frozen=True, slots=True)
class Hops:
    """What an HAProxy says in a profile."""

    profile: Profile

    def answered(self, service: str, status: int, *below: ExpectedSpan, least_seconds: float = 0.0) -> ExpectedSpan:
        """The server answered, and HAProxy passed it on."""
        bad = status >= 500
        server, client = (
            ExpectedSpan(service=service, kind=kind, http_status=status, is_error=bad, least_seconds=least_seconds)
            for kind in ("SERVER", "CLIENT")
        )
        responses = (_phase(service, "TCP response"), _phase(service, "HTTP response", follows="TCP response", http_status=status))
        return self._hop(server, (*_FRONTEND, *_BACKEND), client, below, responses)

    def aborted(self, service: str, *below: ExpectedSpan) -> ExpectedSpan:
        """The client left before there was an answer: the server did no wrong."""
        server = ExpectedSpan(service=service, kind="SERVER", is_aborted=True)
        client = ExpectedSpan(service=service, kind="CLIENT")
        return self._hop(server, (*_FRONTEND, *_BACKEND), client, below, (_phase(service, "TCP response"),))

    def denied(self, service: str, status: int) -> ExpectedSpan:
        """A rule of the frontend answered."""
        return self._hop(ExpectedSpan(service=service, kind="SERVER", http_status=status), _FRONTEND)

    def without_server(self, service: str) -> ExpectedSpan:
        """The backend had no server left."""
        return self._hop(ExpectedSpan(service=service, kind="SERVER", http_status=503, is_error=True), (*_FRONTEND, *_BACKEND))

    def _hop(
        self,
        server: ExpectedSpan,
        requests: tuple[str, ...],
        client: ExpectedSpan | None = None,
        below: tuple[ExpectedSpan, ...] = (),
        responses: tuple[ExpectedSpan, ...] = (),
    ) -> ExpectedSpan:
        if self.profile != "Full":
            return replace(server, below=() if client is None else (replace(client, below=below),))
        service = server.service
        phases = tuple(_phase(service, name, follows=before) for before, name in zip((None, *requests[:-1]), requests, strict=True))
        session = _phase(service, "Client session", below=phases)
        sessions = () if client is None else (replace(client, name="Server session", below=(*responses, *below)),)
        return replace(server, name="HAProxy session", below=(session, *sessions))


def _phase(
    service: str,
    name: str,
    *,
    follows: str | None = None,
    http_status: int | None = None,
    below: tuple[ExpectedSpan, ...] = (),
) -> ExpectedSpan:
    return ExpectedSpan(service=service, kind="INTERNAL", name=name, follows=follows, http_status=http_status, below=below)
