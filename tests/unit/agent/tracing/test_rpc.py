"""gRPC calls, as far as a proxy can tell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.semconv._incubating.attributes.rpc_attributes import RpcGrpcStatusCodeValues

from haproxy_telemetry_agent.tracing.outcome import Outcome
from haproxy_telemetry_agent.tracing.rpc import RpcCall, read_rpc
from haproxy_telemetry_agent.tracing.span import SpanStatus

GRPC = "application/grpc"
PATH = "/shop.v1.Cart/AddItem"
METHOD = "shop.v1.Cart/AddItem"
FINE = Outcome(SpanStatus.UNSET, None)


def call(path: str = PATH, grpc_status: str | None = None, status_code: int | None = 200) -> RpcCall:
    found = read_rpc(path, GRPC, grpc_status, status_code)
    assert found is not None
    return found


@pytest.mark.parametrize("content_type", [GRPC, "application/grpc+proto", "application/grpc;charset=x", "Application/gRPC"])
def test_content_types_of_a_call(content_type: str) -> None:
    assert read_rpc(PATH, content_type, None, 200) == RpcCall(METHOD, None, None)


@pytest.mark.parametrize("content_type", [None, "", "-", "application/grpc-web", "application/json", "x"])
def test_other_requests_are_no_calls(content_type: str | None) -> None:
    assert read_rpc(PATH, content_type, "0", 200) is None


def test_attributes_of_a_call_whose_status_is_in_the_trailers() -> None:
    assert call().attributes() == [("rpc.system.name", "grpc"), ("rpc.method", METHOD)]
    assert call().span_name == METHOD


def test_attributes_of_a_call_whose_status_was_seen() -> None:
    assert call(grpc_status="14").attributes() == [
        ("rpc.system.name", "grpc"),
        ("rpc.method", METHOD),
        ("rpc.response.status_code", "UNAVAILABLE"),
    ]


@pytest.mark.parametrize(
    ("path", "grpc_status", "status_code"),
    [
        (PATH, "12", 200),
        (PATH, None, 404),
        (PATH, None, 503),
        (PATH, None, None),
        ("/", None, 200),
        ("/index.html", None, 200),
        ("/a/b/c", None, 200),
        ("/a.b/", None, 200),
        ("/1a.B/c", None, 200),
        ("/a..B/c", None, 200),
        (f"/a.B/{'c' * 300}", None, 200),
    ],
)
def test_a_method_that_nobody_knows(path: str, grpc_status: str | None, status_code: int | None) -> None:
    found = call(path, grpc_status, status_code)
    assert (found.method, found.original) == ("_OTHER", path[1:])
    assert found.span_name == "grpc"
    assert found.attributes()[1:3] == [("rpc.method", "_OTHER"), ("rpc.method_original", path[1:])]


def test_a_service_needs_no_package() -> None:
    assert call("/Echo/Say").method == "Echo/Say"


@pytest.mark.parametrize("status", RpcGrpcStatusCodeValues, ids=lambda status: status.name)
def test_names_of_statuses(status: RpcGrpcStatusCodeValues) -> None:
    assert call(grpc_status=str(status.value)).status_code == status.name


@pytest.mark.parametrize("text", ["", "-", "17", "-1", "00", "x", "1.0", "²", "99999999999"])
def test_what_is_no_status_is_not_seen(text: str) -> None:
    assert call(grpc_status=text).status_code is None


@pytest.mark.parametrize(
    ("status", "server", "client"),
    [
        (None, None, None),
        ("0", None, None),
        ("1", None, "CANCELLED"),
        ("2", "UNKNOWN", "UNKNOWN"),
        ("3", None, "INVALID_ARGUMENT"),
        ("4", "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
        ("5", None, "NOT_FOUND"),
        ("6", None, "ALREADY_EXISTS"),
        ("7", None, "PERMISSION_DENIED"),
        ("8", None, "RESOURCE_EXHAUSTED"),
        ("9", None, "FAILED_PRECONDITION"),
        ("10", None, "ABORTED"),
        ("11", None, "OUT_OF_RANGE"),
        ("12", "UNIMPLEMENTED", "UNIMPLEMENTED"),
        ("13", "INTERNAL", "INTERNAL"),
        ("14", "UNAVAILABLE", "UNAVAILABLE"),
        ("15", "DATA_LOSS", "DATA_LOSS"),
        ("16", None, "UNAUTHENTICATED"),
    ],
)
def test_errors_of_each_side(status: str | None, server: str | None, client: str | None) -> None:
    found = call(grpc_status=status)
    assert found.server_outcome(FINE) == (FINE if server is None else Outcome(SpanStatus.ERROR, server))
    assert found.client_outcome(FINE) == (FINE if client is None else Outcome(SpanStatus.ERROR, client))


def test_an_error_of_http_stays() -> None:
    broken = Outcome(SpanStatus.ERROR, "503")
    assert call(grpc_status="14").server_outcome(broken) == broken
    assert call(grpc_status="14").client_outcome(broken) == broken


@given(path=st.text(max_size=40), content_type=st.none() | st.text(max_size=20), status=st.none() | st.text(max_size=3))
def test_any_text_is_a_call_or_none(path: str, content_type: str | None, status: str | None) -> None:
    read_rpc(path, content_type, status, 200)
    found = call(path, status)
    assert found.method in ("_OTHER", path[1:])
