"""Sightings: what agents say of themselves."""

from collections.abc import Sequence

import pytest

from haproxy_telemetry_operator.state.sightings import Sighting, config_verdict, exporting_verdict, sighting_of

P = "haproxy_telemetry_agent_"
Samples = Sequence[tuple[str, dict[str, str], float]]


def test_of_metrics() -> None:
    samples: Samples = [
        (f"{P}open_connections", {"kind": "spop"}, 2),
        (f"{P}open_connections", {"kind": "records"}, 1),
        (f"{P}open_connections", {"kind": "other"}, 9),
        (f"{P}exchanges_recorded_total", {"start": "answered"}, 5),
        (f"{P}exchanges_recorded_total", {"start": "unanswered"}, 1),
        (f"{P}spans_exported_total", {}, 12),
        (f"{P}export_requests_total", {"code": "200"}, 3),
        (f"{P}export_requests_total", {"code": "OK"}, 4),
        (f"{P}export_requests_total", {"code": "202"}, 4),
        (f"{P}export_requests_total", {"code": "503"}, 2),
        (f"{P}export_requests_total", {"code": "timeout"}, 3),
        (f"{P}export_requests_total", {"code": "refused"}, 0),
        (f"{P}export_requests_total", {"code": "503", "destination": "b"}, 2),
        ("python_info", {}, 1),
    ]
    assert sighting_of(samples) == Sighting(3, 6, 12, 7, "503")
    assert sighting_of([]) == Sighting(0, 0, 0, 0)


def sighting(connections: float = 0, recorded: float = 0, exported: float = 0, failed: float = 0, last: str = "") -> Sighting:
    return Sighting(connections, recorded, exported, failed, last)


@pytest.mark.parametrize(
    ("sightings", "unseen", "expected"),
    [
        ([], 0, ("Unknown", "NoPods")),
        ([], 2, ("Unknown", "AgentsNotReachable")),
        ([sighting(connections=1)], 1, ("True", "Connected")),
        ([sighting(recorded=1)], 0, ("True", "Connected")),
        ([sighting(connections=1), sighting()], 0, ("False", "NoSpoeConnection")),
    ],
)
def test_connected(sightings: list[Sighting], unseen: int, expected: tuple[str, str]) -> None:
    verdict = config_verdict(sightings, unseen)
    assert verdict.type == "Connected"
    assert (verdict.status, verdict.reason) == expected


@pytest.mark.parametrize(
    ("sightings", "before", "expected"),
    [
        ([], [], ("Unknown", "NoSpansYet")),
        ([sighting(exported=1)], [], ("True", "Exporting")),
        ([sighting(failed=1, last="503")], [], ("False", "ExportFailing")),
        ([sighting(exported=5, failed=2)], [sighting(exported=4, failed=1)], ("True", "Exporting")),
        ([sighting(exported=5, failed=2)], [sighting(exported=5, failed=1)], ("False", "ExportFailing")),
        ([sighting(exported=5, failed=2)], [sighting(exported=5, failed=2)], ("True", "Exporting")),
    ],
)
def test_exporting(sightings: list[Sighting], before: list[Sighting], expected: tuple[str, str]) -> None:
    verdict = exporting_verdict(sightings, before)
    assert verdict.type == "Exporting"
    assert (verdict.status, verdict.reason) == expected


def test_the_commonest_failure_is_named() -> None:
    assert "no spans: 503." in exporting_verdict([sighting(failed=1, last="timeout"), sighting(failed=2, last="503")], []).message
