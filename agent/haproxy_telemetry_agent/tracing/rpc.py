"""gRPC calls seen from a proxy: what the path, the content type and a status in the headers tell of one.

HAProxy sees ``grpc-status`` only in replies without a body, which are errors for the most part; in all others it is in the
trailers. A method stands in span names only if somebody seems to know it: the path is chosen by the client.

Source: semantic conventions 1.44.0 (release candidate), rpc-spans and grpc; gRPC over HTTP/2 "Requests".
"""

import re

import msgspec

from .outcome import Outcome
from .semconv import RPC_METHOD, RPC_METHOD_ORIGINAL, RPC_RESPONSE_STATUS_CODE, RPC_SYSTEM_NAME
from .span import Attributes, SpanStatus

__all__ = ["RpcCall", "read_rpc"]

_SYSTEM = "grpc"
_OTHER = "_OTHER"
_CONTENT_TYPE = re.compile(r"application/grpc(?:[+;].*)?", re.IGNORECASE | re.DOTALL)
"""Not ``application/grpc-web``: that is another protocol."""
_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
_METHOD = re.compile(rf"(?:{_IDENTIFIER}\.)*{_IDENTIFIER}/{_IDENTIFIER}")
_MAX_METHOD_CHARACTERS = 256
_STATUS = re.compile(r"1[0-6]|[0-9]")
_NAMES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
_SERVER_ERRORS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})


class RpcCall(msgspec.Struct, frozen=True, gc=False):
    """One call."""

    method: str
    """``package.Service/Method``, or ``_OTHER``."""
    original: str | None
    """What the path says, where the method is ``_OTHER``."""
    status_code: str | None
    """The name of ``grpc-status``; None if it was not seen."""

    @property
    def span_name(self) -> str:
        """The name of both spans."""
        return _SYSTEM if self.method == _OTHER else self.method

    def attributes(self) -> Attributes:
        """The same ones on both spans."""
        attributes: Attributes = [(RPC_SYSTEM_NAME, _SYSTEM), (RPC_METHOD, self.method)]
        if self.original is not None:
            attributes.append((RPC_METHOD_ORIGINAL, self.original))
        if self.status_code is not None:
            attributes.append((RPC_RESPONSE_STATUS_CODE, self.status_code))
        return attributes

    def server_outcome(self, outcome: Outcome) -> Outcome:
        """The SERVER span's outcome: HTTP's if that is an error, else by the status, if it is the server's fault."""
        return self._outcome(outcome, error=self.status_code in _SERVER_ERRORS)

    def client_outcome(self, outcome: Outcome) -> Outcome:
        """The CLIENT span's outcome: HTTP's if that is an error, else by the status: all but OK are errors."""
        return self._outcome(outcome, error=self.status_code not in (None, "OK"))

    def _outcome(self, outcome: Outcome, *, error: bool) -> Outcome:
        if outcome.status is SpanStatus.ERROR or not error:
            return outcome
        return Outcome(SpanStatus.ERROR, self.status_code)


def read_rpc(path: str, content_type: str | None, grpc_status: str | None, status_code: int | None) -> RpcCall | None:
    """The call; None if the request is not one of gRPC.

    Args:
        path: of the request, already scrubbed.
        content_type: of the request.
        grpc_status: the header of the response, a number as text.
        status_code: HTTP's.
    """
    if content_type is None or _CONTENT_TYPE.fullmatch(content_type) is None:
        return None
    status = None
    if grpc_status is not None and _STATUS.fullmatch(grpc_status):
        status = _NAMES[int(grpc_status)]
    method = path.removeprefix("/")
    # A method that exists is answered with 200 and some other status, wherever that is.
    known = status_code == 200 and status != "UNIMPLEMENTED"
    if known and len(method) <= _MAX_METHOD_CHARACTERS and _METHOD.fullmatch(method):
        return RpcCall(method, None, status)
    return RpcCall(_OTHER, method, status)
