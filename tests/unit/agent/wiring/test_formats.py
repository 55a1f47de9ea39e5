"""The table of formats; what HAProxy does with it is in tests/integration/test_formats.py."""

import re

from haproxy_telemetry_agent.wiring.formats import FORMATS, PROPAGATORS


def test_each_propagator_has_one_row() -> None:
    assert len(set(PROPAGATORS)) == len(PROPAGATORS) == len(FORMATS) == 6


def test_only_what_is_read_is_written() -> None:
    for row in FORMATS:
        assert row.readings or not row.headers
        assert row.propagator == "tracecontext" or bool(row.readings) == bool(row.headers)


def test_names_are_what_haproxy_takes_as_such() -> None:
    for row in FORMATS:
        for name in [*(field.name for field in row.arguments), *(header.variable for header in row.headers)]:
            assert re.fullmatch(r"[a-zA-Z0-9_]+", name)
