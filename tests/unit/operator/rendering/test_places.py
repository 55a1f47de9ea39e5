"""Places."""

from haproxy_telemetry_operator.rendering import places


def test_none_is_within_another() -> None:
    directories = [getattr(places, name) for name in places.__all__ if name.endswith("_DIRECTORY")]
    assert [
        (outer, inner) for outer in directories for inner in directories if outer != inner and inner.startswith(f"{outer}/")
    ] == []
