"""The one table of what HAProxy tells the agent: SPOE arguments, record keys and the variables between them.

A row is a fact about an exchange. It can reach the agent in two ways, and its ``name`` is the same in both:

* as an **argument** of the SPOE message, at the start, while the request waits. What only the start can tell comes back in the
  state token (``txn.otel.state``), which the record carries;
  Some say nothing that outlives the answer (the method, the path): sampling looks at them;
* as a **parameter of the record**, at the end: a log-format expression of HAProxy's own, or a variable. Rows with a ``fallback``
  have a variable that HAProxy sets itself when the agent gave no answer, so that the record alone makes the spans.

Rows that come from a log-format alias bear the alias's name (``%ST`` is ``ST``): HAProxy's documentation explains them.
The order is the order in the record: what is needed most comes first, text chosen by clients last:
HAProxy cuts a record that is too long, and the spans are made of what is there.

Which fetch works where, and since which version: measured on 2.6 to 3.4.
"""

import re
from dataclasses import replace

from .field import Field
from .names import variable_name
from .plan import Capture, Plan
from .propagation import propagation_arguments

__all__ = ["FIELDS", "LONG_FIELDS", "arguments", "captured_at_response", "fallbacks", "record_fields"]


_BEGINNING = ",bytes(0,512)"
"""Behind a header that clients choose, where HAProxy keeps it for the record: a record that is too long for the ring is cut, and
what stands behind the cut is lost. The agent cuts what it puts into its token at the same place."""
_HEADER = re.compile(r"re[qs]\.fhdr\([^(),]*\)")
_HEADERS_SHOWN = ("q.", "r.")
"""What the keys of headers begin with that become attributes."""
_HEADERS_OF_PROXIES = ("forwarded", "x-forwarded-")
"""Those are read from their end: a cut one would name the wrong client. One that is too long is none, as for the agent."""


def _variable(name: str) -> str:
    return f"%[var({variable_name(name)})]"


FIELDS: tuple[Field, ...] = (
    # What the agent answered.
    Field("traceparent", "W3C trace context handed to the server", record=_variable("traceparent")),
    Field("state", "token: what the agent decided and what only the start could tell", record=_variable("state")),
    # What the end tells.
    Field("ST", "status code sent to the client, -1 or 0 if none", record="%ST"),
    Field("ts", "termination state: cause and phase", record="%ts"),
    Field("HM", "method, <BADREQ> if there was no parsable request", record="%HM"),
    Field("HV", "HTTP version", record="%HV"),
    Field("f", "frontend", record="%f"),
    Field("b", "backend; the frontend's own name if none was chosen", record="%b"),
    Field("s", "server; <NOSRV> and the like if none was chosen", record="%s"),
    Field("ci", "client address", record="%ci"),
    Field("cp", "client port", record="%cp"),
    Field("si", "server address", record="%si"),
    Field("sp", "server port", record="%sp"),
    Field("sslv", "TLS version of the client's connection, - without TLS", record="%sslv"),
    Field("ssl_bc", "1 if the server was reached by TLS", record="%[ssl_bc]"),
    Field("TR", "ms from the first byte of the request to the last of its headers", record="%TR"),
    Field("Tw", "ms in queues", record="%Tw"),
    Field("Tc", "ms to connect to the server, retries included", record="%Tc"),
    Field("Tr", "ms until the server's response headers, -1 if they never came", record="%Tr"),
    Field("Ta", "ms from the first byte of the request to the last of the response", record="%Ta"),
    Field("rc", "retries; + in front: the last one went to another server", record="%rc"),
    Field("bq", "requests ahead in the backend's queue", record="%bq"),
    Field("sq", "requests ahead in the server's queue", record="%sq"),
    Field("U", "bytes read from the client", record="%U"),
    Field("B", "bytes sent to the client", record="%B"),
    Field("error", "SPOE error: why the agent gave no answer", record=_variable("error")),
    # What the start tells: in the token, or in these variables if there was no answer.
    Field(
        "start",
        "us since the epoch at the first byte of the request",
        argument="request_date(us)",
        fallback="request_date(us)",
        record=_variable("start"),
        since=(3, 0),
    ),
    Field(
        "seen",
        "us since the epoch at the last byte of the request's headers",
        argument="date(0,us)",
        fallback="date(0,us)",
        record=_variable("seen"),
        before=(3, 0),
    ),
    Field("routed", "us since the epoch when the frontend's rules were through with the request", record=_variable("routed")),
    Field("parent", "span id of the caller, when HAProxy continued the trace itself", record=_variable("parent")),
    Field("HPO", "path", record="%HPO"),
    Field("HQ", "query with its question mark", record="%HQ"),
    # For the agent's decision only.
    Field("method", "method, for sampling", argument="method"),
    Field("path", "path, for sampling", argument="path"),
    Field("frontend", "frontend, for sampling", argument="fe_name"),
    Field("client", "client address, for sampling and trust", argument="src"),
    # Text that clients choose, of any length.
    Field(
        "host",
        "Host header or :authority",
        argument="req.fhdr(host)",
        fallback=f"req.fhdr(host){_BEGINNING}",
        record=_variable("host"),
    ),
    Field(
        "user_agent",
        "User-Agent header",
        argument="req.fhdr(user-agent)",
        fallback=f"req.fhdr(user-agent){_BEGINNING}",
        record=_variable("user_agent"),
    ),
    Field("ID", "unique id, if the user has a unique-id-format", record="%ID"),
    Field("tracestate", "tracestate handed to the server", record=_variable("tracestate")),
)
_FIRST_LONG = next(place for place, field in enumerate(FIELDS) if field.name == "host")
LONG_FIELDS = tuple(field.name for field in FIELDS[_FIRST_LONG:])
"""The last ones of the record, which are missing where HAProxy has cut it: texts that clients choose, of any length."""


_FULL: tuple[Field, ...] = (
    Field("session", "token of the events before this one", argument="var(txn.otel.session)"),
    Field("now", "us since the epoch at the event", argument="date(0,us)"),
)
"""Further arguments of the request's message in profile Full."""


_BAGGAGE = Field("baggage", "baggage header", fallback="req.fhdr(baggage),bytes(0,2048)", record=_variable("baggage"))
"""For the record alone: the agent is sent all headers of it, and keeps what is wanted."""


def arguments(plan: Plan) -> list[Field]:
    """The rows of the request's SPOE message, in its order: the table's, the propagators', and what the user asked for."""
    rows = [field for field in (*FIELDS, *(_FULL if plan.profile == "Full" else ())) if field.argument is not None]
    headers = propagation_arguments(plan.extracted_propagators, with_baggage=plan.with_baggage)
    return [*rows, *headers, *_captured(plan, "request"), *_captured(plan, "decision")]


def record_fields(plan: Plan) -> list[Field]:
    """The rows of the record, in its order; what the user asked for stands in front of text that clients choose."""
    rows = [field for field in FIELDS if field.record is not None]
    place = next(place for place, field in enumerate(rows) if field.name == LONG_FIELDS[0])
    own = [
        *([Field("excluded", "no span is wanted", record=_variable("excluded"))] if plan.sampling.excludes else []),
        *([Field("link", "traceparent of a caller that is not believed", record=_variable("link"))] if plan.link_untrusted else []),
    ]
    own += [_BAGGAGE] if plan.with_baggage else []
    captured = [field for number, capture in enumerate(plan.captures) if (field := _capture(number, capture)).record is not None]
    return [*rows[:place], *own, *captured, *rows[place:]]


def fallbacks(plan: Plan) -> list[Field]:
    """The rows whose variable HAProxy fills itself when the agent gave no answer."""
    rows = (*FIELDS, *([_BAGGAGE] if plan.with_baggage else []), *_captured(plan, "request"))
    return [field for field in rows if field.fallback is not None]


def captured_at_response(plan: Plan) -> list[Field]:
    """The rows whose variable HAProxy fills when an answer leaves; ``fallback`` says how."""
    return [replace(field, argument=None) for field in _captured(plan, "response")]


def _captured(plan: Plan, at: str) -> list[Field]:
    return [_capture(number, capture) for number, capture in enumerate(plan.captures) if capture.at == at]


def _capture(number: int, capture: Capture) -> Field:
    # A variable's name has only letters, digits, dots and underscores, a header's name has more: the variables are numbered.
    variable = variable_name(f"c{number}")
    if capture.at == "decision":
        return Field(capture.key, "asked for by the user, for sampling", argument=capture.fetch)
    if capture.at == "end":
        return Field(capture.key, "asked for by the user", record=f"%[{capture.fetch}]", variable=variable)
    return Field(
        capture.key,
        "asked for by the user",
        argument=capture.fetch,
        fallback=_beginning(capture),
        condition=f"{{ {capture.fetch} -m len 0:1024 }}" if capture.key.startswith(_HEADERS_OF_PROXIES) else "",
        record=f"%[var({variable})]",
        variable=variable,
    )


def _beginning(capture: Capture) -> str:
    is_text = capture.key.startswith(_HEADERS_SHOWN) and _HEADER.fullmatch(capture.fetch) is not None
    return capture.fetch + (_BEGINNING if is_text else "")
