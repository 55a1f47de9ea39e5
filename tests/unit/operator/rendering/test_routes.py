"""The table of routes."""

import copy
import json
from typing import Any

import pytest

from haproxy_telemetry_agent.tracing.routes import RouteTable, parse_routes
from haproxy_telemetry_operator.rendering import routes
from haproxy_telemetry_operator.rendering.routes import IngressClasses, render_routes
from support.cluster_objects import ingress

ALL = IngressClasses(None)


def table(*ingresses: dict[str, Any], classes: IngressClasses = ALL) -> RouteTable:
    text, left_out = render_routes(ingresses, classes)
    assert left_out == 0
    return parse_routes(json.loads(text))


def name_of(found: RouteTable, host: str, path: str) -> str | None:
    route = found.match(host, path)
    return None if route is None else str(dict(route.attributes)["haproxy.ingress.name"])


def test_an_entry() -> None:
    text, _ = render_routes([ingress("shop", ("Shop.example.com", "/api", "Prefix"), ingressClassName="haproxy")], ALL)
    assert json.loads(text) == {
        "routes": [
            {
                "host": "shop.example.com",
                "path": "/api",
                "pathType": "Prefix",
                "attributes": {
                    "haproxy.ingress.name": "shop",
                    "haproxy.ingress.namespace": "shop",
                    "haproxy.ingress.class": "haproxy",
                    "haproxy.ingress.service.name": "shop-service",
                },
            }
        ]
    }


def test_the_agent_takes_it() -> None:
    found = table(
        ingress(
            "a",
            ("a.example", "/", "Prefix"),
            ("a.example", "/exact", "Exact"),
            ("*.b.example", "/", "Prefix"),
            ("", "/x", "Prefix"),
        ),
        ingress("b", ("a.example", "/api", "ImplementationSpecific")),
    )
    assert found.size == 5
    assert name_of(found, "a.example", "/") == "a"
    assert name_of(found, "a.example:443", "/api/v1") == "b"
    assert name_of(found, "w.b.example", "/") == "a"
    assert name_of(found, "other.example", "/x/y") == "a"
    assert name_of(found, "other.example", "/") is None
    exact = found.match("a.example", "/exact")
    assert exact is not None
    assert exact.route == "/exact"


def test_nothing_makes_an_empty_table() -> None:
    assert table().size == 0


@pytest.mark.parametrize("paths", [("/a", "/a"), ("/a/", "/a"), ("/a", "/a/")])
def test_of_two_for_the_same_the_older_one_counts(paths: tuple[str, str]) -> None:
    young = ingress("a-young", ("h", paths[0], "Prefix"), created="2026-02-01T00:00:00Z")
    old = ingress("b-old", ("h", paths[1], "Prefix"), created="2026-01-01T00:00:00Z")
    assert name_of(table(young, old), "h", "/a/b") == "b-old"
    assert name_of(table(old, young), "h", "/a/b") == "b-old"


def test_the_order_of_what_is_seen_does_not_matter() -> None:
    entries = [ingress(name, ("h", f"/{name}", "Prefix"), ("", "/", "Exact")) for name in "cab"]
    assert render_routes(entries, ALL) == render_routes(reversed(entries), ALL)


def test_rules_without_a_path_or_a_service() -> None:
    bare = ingress("bare")
    bare["spec"]["rules"] = [
        {"host": "a"},
        {"http": {"paths": [{"backend": {"resource": {}}}, {"path": "no-slash"}]}},
        {"http": None},
    ]
    assert table(bare, {"metadata": bare["metadata"]}).size == 1


def test_long_paths() -> None:
    found = table(ingress("long", ("h", "/" + "x" * 400, "Prefix"), ("h", "/" + "y" * 2000, "Prefix")))
    assert found.size == 1
    route = found.match("h", "/" + "x" * 400)
    assert route is not None
    assert len(route.route) == 256


def test_a_table_has_a_bound_and_what_is_left_out_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "MAX_ROUTES_BYTES", 1000)
    ingresses = [ingress(f"i{number:02}", ("h", f"/{number:02}", "Prefix")) for number in range(20)]
    text, left_out = render_routes(ingresses, ALL)
    assert len(text.encode()) <= 1000 + 20
    assert parse_routes(json.loads(text)).size == 20 - left_out
    assert 0 < left_out < 20


def test_the_bound_leaves_room_in_a_config_map() -> None:
    assert routes.MAX_ROUTES_BYTES < 1024 * 1024 - 50_000


@pytest.mark.parametrize(
    ("names", "without_class", "spec", "annotations", "taken"),
    [
        (None, False, {}, {}, True),
        (None, False, {"ingressClassName": "x"}, {}, True),
        (["haproxy"], False, {"ingressClassName": "haproxy"}, {}, True),
        (["haproxy"], False, {"ingressClassName": "nginx"}, {}, False),
        (["haproxy"], False, {}, {}, False),
        (["haproxy"], True, {}, {}, True),
        (["haproxy"], False, {}, {"kubernetes.io/ingress.class": "haproxy"}, True),
        (["haproxy"], True, {}, {"kubernetes.io/ingress.class": "nginx"}, False),
        (["haproxy"], False, {}, {"haproxy.org/ingress.class": "haproxy"}, True),
        (["haproxy"], False, {"ingressClassName": "haproxy"}, {"kubernetes.io/ingress.class": "nginx"}, True),
    ],
)
def test_classes(names: list[str] | None, without_class: bool, spec: Any, annotations: Any, taken: bool) -> None:
    found = copy.deepcopy(ingress("a", ("h", "/", "Prefix"), **spec))
    found["metadata"]["annotations"] = annotations
    classes = IngressClasses(None if names is None else frozenset(names), without_class=without_class)
    assert classes.takes(found) is taken
    assert table(found, classes=classes).size == int(taken)
