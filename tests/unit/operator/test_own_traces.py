"""The operator's own spans, as a collector gets them."""

import asyncio

import pytest

from haproxy_telemetry_agent.version import VERSION
from haproxy_telemetry_operator.own_traces import OwnTraces
from support.otlp_sink import OtlpSink


@pytest.mark.parametrize("name", ["", "my-operator"])
async def test_a_span_for_each_look(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    sink = OtlpSink()
    await sink.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint)
    traces = OwnTraces({"OTEL_TRACES_EXPORTER": " OTLP ", "OTEL_SERVICE_NAME": name})
    with traces.reconcile("shop"):
        pass
    with pytest.raises(ValueError, match="no such thing"):
        with traces.reconcile("bank"):
            raise ValueError("no such thing")
    with pytest.raises(asyncio.CancelledError):
        with traces.reconcile("end"):
            raise asyncio.CancelledError
    await asyncio.to_thread(traces.close)
    spans = await sink.wait_for(lambda spans: len(spans) == 3)
    await sink.stop()
    assert [(span.name, span.attributes["k8s.namespace.name"], span.status_code, span.status_message) for span in spans] == [
        ("reconcile", "shop", "UNSET", ""),
        ("reconcile", "bank", "ERROR", "no such thing"),
        ("reconcile", "end", "UNSET", ""),
    ]
    assert spans[0].resource["service.name"] == (name or "haproxy-telemetry-operator")
    assert spans[0].resource["service.version"] == VERSION
    assert len({span.trace_id for span in spans}) == 3


@pytest.mark.parametrize("environ", [{}, {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_TRACES_EXPORTER": ""}])
def test_off_by_default(environ: dict[str, str]) -> None:
    traces = OwnTraces(environ)
    with traces.reconcile("shop"):
        pass
    with pytest.raises(ValueError, match="no such thing"):
        with traces.reconcile("shop"):
            raise ValueError("no such thing")
    traces.close()
