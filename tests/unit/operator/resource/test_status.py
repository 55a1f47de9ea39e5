"""The status: what the operator writes is what the schema knows."""

from datetime import UTC, datetime

import msgspec
import pytest

from haproxy_telemetry_operator.resource.status import Condition, Status
from haproxy_telemetry_operator.state.conditions import Verdict, conditions


def test_conditions_as_they_are_written() -> None:
    written = conditions([Verdict("Ready", "True", "Ready", "m")], [], generation=1, now=datetime(2026, 1, 1, tzinfo=UTC))
    found = msgspec.convert({"conditions": written}, Status).conditions
    assert found == [
        Condition(
            type="Ready",
            status="True",
            last_transition_time="2026-01-01T00:00:00Z",
            reason="Ready",
            message="m",
            observed_generation=1,
        )
    ]


def test_what_is_not_known_is_not_written() -> None:
    assert msgspec.to_builtins(Status(matched_pods=0)) == {"matchedPods": 0}


def test_a_reason_is_one_word() -> None:
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": "x", "reason": "two words", "message": ""}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(condition, Condition)
