"""The parts that settings make: each setting has arrived where it belongs."""

import random
from pathlib import Path

import pytest

from haproxy_telemetry_agent.parts import load_routes, make_parts
from haproxy_telemetry_agent.settings import SettingsError, parse_settings
from haproxy_telemetry_agent.tracing import ExtractCounts, IdGenerator
from haproxy_telemetry_agent.tracing.routes import NO_ROUTES
from haproxy_telemetry_agent.wiring import CONNECTION_FIELDS, Plan, record_fields

NUMBERS = ("ST", "TR", "Tw", "Tc", "Tr", "Ta", "rc", "bq", "sq", "U", "B", "Th", "Tt", "fc_err")
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def answer(document: dict[str, object], **arguments: str) -> dict[str, str]:
    ids = IdGenerator(random.Random(1).getrandbits)
    parts = make_parts(parse_settings(document), {}, ids=ids, routes=None)
    return dict(parts.answerer.answer(arguments).variables)


def test_sampling_and_propagation_are_the_settings() -> None:
    assert answer({"sampling": {"type": "AlwaysOn"}})["traceparent"][-1] in "13"
    assert answer({"sampling": {"type": "AlwaysOff"}})["traceparent"][-1] in "02"
    continued = answer({}, traceparent_1=CALLER, src="192.0.2.1")["traceparent"]
    begun = answer({"propagation": {"trustedNetworks": ["10.0.0.0/8"]}}, traceparent_1=CALLER, src="192.0.2.1")["traceparent"]
    assert (continued[:35] == CALLER[:35], begun[:35] == CALLER[:35]) == (True, False)
    assert "b3" in answer({"propagation": {"propagators": ["b3"]}})


def test_what_propagation_counts_goes_on_under_other_settings() -> None:
    counts: ExtractCounts = {}
    ids = IdGenerator(random.Random(1).getrandbits)
    for document in ({}, {"sampling": {"type": "AlwaysOff"}}):
        parts = make_parts(parse_settings(document), {}, ids=ids, routes=None, extracts=counts)
        parts.answerer.answer({"traceparent_1": CALLER})
    assert counts["tracecontext", "ok"] == 2


def test_the_file_of_routes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"
    settings = parse_settings({"spans": {"routesFile": str(path)}})
    with pytest.raises(SettingsError, match=r"^spans.routesFile: .*routes.yaml: can't be read"):
        load_routes(settings)
    waiting = load_routes(settings, tolerant=True)
    assert waiting is not None
    assert "can't be read" in (waiting.error or "")
    assert waiting.table.size == 0
    path.write_text("routes: [{path: /a}]")
    assert waiting.poll()
    assert waiting.error is None
    assert waiting.table.size == 1
    path.write_text("routes: []")
    routes = load_routes(settings)
    assert routes is not None
    parts = make_parts(settings, {}, ids=IdGenerator(random.Random(1).getrandbits), routes=routes)
    assert parts.attributes.routes is routes.table


@pytest.mark.parametrize(
    ("logs", "described"), [({}, []), ({"enabled": True}, ["/"]), ({"enabled": True, "excludedRequests": True}, ["/", "/healthz"])]
)
def test_what_has_no_spans_is_described_for_the_access_log(logs: dict[str, object], described: list[str]) -> None:
    settings = parse_settings({"logs": logs, "sampling": {"type": "AlwaysOff"}})
    parts = make_parts(settings, {}, ids=IdGenerator(random.Random(1).getrandbits), routes=None)
    fields = {field.name: "0" if field.name in NUMBERS else "-" for field in record_fields(Plan())} | {"HM": "GET", "HQ": ""}
    exchanges = [
        parts.tracer.trace(9, {**fields, "HPO": "/"}),
        parts.tracer.trace(9, {**fields, "HPO": "/healthz", "excluded": "1"}),
    ]
    servers = [exchange.server for exchange in exchanges if exchange.server is not None]
    assert [dict(server.attributes)["url.path"] for server in servers] == described
    connection_fields = {field.name: "0" if field.name in NUMBERS else "-" for field in CONNECTION_FIELDS}
    connection = parts.connection_tracer.trace(9, connection_fields | {"id": "4bf92f35-77b3-4da6-a3ce-929d0e0e4736", "s": "one"})
    assert (connection.server is not None) == bool(logs)


def test_without_one_there_are_no_routes() -> None:
    settings = parse_settings({})
    assert load_routes(settings) is None
    parts = make_parts(settings, {}, ids=IdGenerator(random.Random(1).getrandbits), routes=None)
    assert parts.attributes.routes is NO_ROUTES
