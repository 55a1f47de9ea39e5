"""The reference of metrics."""

from haproxy_telemetry_agent.metrics_reference import render_metrics_reference
from haproxy_telemetry_agent.telemetry import Telemetry


def rows() -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in render_metrics_reference().splitlines() if line.startswith("| `")]
    return {cells[0].strip("`"): cells for cells in lines}


def test_every_family_has_its_row_with_all_columns() -> None:
    names = {family.name for family in Telemetry().collect()}
    assert names <= {name.removesuffix("_total") for name in rows()}
    assert {len(cells) for cells in rows().values()} == {4}
    assert all(cells[3] for cells in rows().values())


def test_labels_come_with_what_is_known_of_them() -> None:
    assert rows()["haproxy_telemetry_agent_connections_total"][1:3] == ["counter", "`kind`: spop records http, `result`: ok limit"]
    assert rows()["haproxy_telemetry_agent_build_info"][2] == "`version`, `python`"
    assert rows()["haproxy_telemetry_agent_event_loop_lag_seconds"][1:3] == ["histogram", ""]
    propagators = "`propagator`: tracecontext b3 b3multi jaeger xray, `result`: ok none invalid"
    assert {*propagators.split()} - {"b3multi"} <= {*rows()["haproxy_telemetry_agent_propagation_extract_total"][2].split()}
    assert rows()["haproxy_telemetry_agent_queue_size"][1] == "gauge"
    assert rows()["haproxy_telemetry_agent_log_records_made_total"][2] == "`severity`: info error"


def test_requests_and_the_resource_are_in_it() -> None:
    assert {"http_server_request_duration_seconds", "target_info", "haproxy_telemetry_agent_request_series"} <= rows().keys()
    assert "`http_route`" in rows()["http_server_request_duration_seconds"][2]


def test_it_is_a_page() -> None:
    text = render_metrics_reference()
    assert text.startswith("# ")
    assert text.endswith("\n")
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= 132
