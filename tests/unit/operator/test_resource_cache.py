from typing import Any

import pytest

from haproxy_telemetry_operator.resource_cache import ResourceCache


def body(namespace: str, name: str, created: str = "2026-01-01T00:00:00Z", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": namespace, "name": name, "creationTimestamp": created} | metadata,
        "spec": {"profile": "Full"},
    }


def test_a_list_replaces_all_there_was() -> None:
    cache = ResourceCache()
    (scope,) = cache.scopes
    assert not cache.synced
    scope.replace([body("a", "x"), body("b", "y")])
    assert cache.synced
    scope.replace([body("b", "y"), body("b", "z")])
    assert cache.keys(None) == [("b", "y"), ("b", "z")]
    assert len(cache) == 2
    assert cache.get("a", "x") is None


def test_events_change_it() -> None:
    cache = ResourceCache()
    (scope,) = cache.scopes
    scope.replace([])
    scope.apply("ADDED", body("a", "x", generation=1))
    scope.apply("MODIFIED", body("a", "x", generation=2))
    resource = cache.get("a", "x")
    assert resource is not None
    assert resource.generation == 2
    scope.apply("DELETED", body("a", "x"))
    scope.apply("DELETED", body("a", "x"))
    assert len(cache) == 0
    assert cache.in_charge("a") is None


def test_the_oldest_is_in_charge_then_the_first_by_name() -> None:
    cache = ResourceCache()
    for resource in (
        body("a", "z"),
        body("a", "y"),
        body("a", "a", "2026-02-01T00:00:00Z"),
        body("b", "b", "2025-01-01T00:00:00Z"),
    ):
        cache.put(resource)
    winner = cache.in_charge("a")
    assert winner is not None
    assert winner.name == "y"


def test_each_namespace_is_listed_by_itself() -> None:
    cache = ResourceCache(["a", "b", "a"])
    first, second = cache.scopes
    first.replace([body("a", "x")])
    assert not cache.synced
    second.replace([body("b", "y")])
    first.replace([])
    assert cache.synced
    assert cache.keys(None) == [("b", "y")]


def test_it_is_bounded_and_what_is_left_out_is_counted() -> None:
    cache = ResourceCache(max_resources=1)
    (scope,) = cache.scopes
    scope.replace([body("a", "x"), body("a", "y")])
    assert (len(cache), cache.refused) == (1, 1)
    # One that is known may still change, and room is made before it is taken.
    scope.apply("MODIFIED", body("a", "x"))
    scope.replace([body("a", "y")])
    assert (cache.keys("a"), cache.refused) == ([("a", "y")], 1)


@pytest.mark.parametrize("broken", [{}, {"metadata": None}, {"metadata": {"name": "x"}}])
def test_what_can_not_be_read_is_counted(broken: dict[str, Any]) -> None:
    cache = ResourceCache()
    cache.scopes[0].replace([broken, body("a", "x")])
    assert (len(cache), cache.refused) == (1, 1)
