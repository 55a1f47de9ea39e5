"""Which route a request belongs to."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.routes import (
    MAX_ROUTES,
    NO_ROUTES,
    Route,
    RouteEntry,
    RoutesError,
    RouteTable,
    parse_routes,
)

Document = dict[str, Any]


def table(*entries: tuple[str, str, str]) -> RouteTable:
    """Of (host, type, path); each route is called by its place."""
    return parse_routes(
        {
            "routes": [
                {"host": host, "pathType": kind, "path": path, "route": f"r{number}"}
                for number, (host, kind, path) in enumerate(entries)
            ]
        }
    )


def name(route: Route | None) -> str | None:
    return None if route is None else route.route


class TestPrefix:
    @pytest.mark.parametrize("prefix", ["/a/b", "/a/b/"])
    @pytest.mark.parametrize(
        ("path", "matches"),
        [
            ("/a/b", True),
            ("/a/b/", True),
            ("/a/b/c", True),
            ("/a/b//c", True),
            ("/a/bc", False),
            ("/a", False),
            ("/", False),
            ("", False),
            ("/A/b", False),
            ("/x/a/b", False),
        ],
    )
    def test_matches_whole_elements(self, prefix: str, path: str, matches: bool) -> None:
        assert (table(("", "Prefix", prefix)).match(None, path) is not None) == matches

    @pytest.mark.parametrize("path", ["/", "/a", "", "*", "//"])
    def test_the_root_matches_everything(self, path: str) -> None:
        assert table(("", "Prefix", "/")).match(None, path) is not None

    def test_the_longest_wins(self) -> None:
        routes = table(("", "Prefix", "/"), ("", "Prefix", "/a/b/c"), ("", "Prefix", "/a"))
        assert [name(routes.match(None, path)) for path in ("/a/b/c/d", "/a/b", "/b", "/a/b/c")] == ["r1", "r2", "r0", "r1"]


class TestPrecedence:
    def test_exact_before_prefix_before_regex(self) -> None:
        routes = table(("", "Regex", "/a"), ("", "Prefix", "/a/b"), ("", "Exact", "/a/b"), ("", "Regex", "/a/c"))
        assert [name(routes.match(None, path)) for path in ("/a/b", "/a/b/", "/a/c")] == ["r2", "r1", "r0"]

    def test_the_first_of_equal_ones_counts(self) -> None:
        for kind in ("Exact", "Prefix", "Regex"):
            assert name(table(("", kind, "/a"), ("", kind, "/a")).match(None, "/a")) == "r0"

    def test_exact_host_before_wildcard_before_none(self) -> None:
        routes = table(("", "Exact", "/a"), ("*.example.com", "Prefix", "/"), ("shop.example.com", "Regex", ".*"))
        hosts = ["shop.example.com", "blog.example.com", "example.com", "other", None]
        assert [name(routes.match(host, "/a")) for host in hosts] == ["r2", "r1", "r0", "r0", "r0"]

    def test_a_host_without_a_path_that_fits_leaves_it_to_the_next(self) -> None:
        routes = table(("", "Prefix", "/"), ("shop.example.com", "Prefix", "/shop"))
        assert name(routes.match("shop.example.com", "/other")) == "r0"


class TestHost:
    @pytest.mark.parametrize("host", ["shop.example.com", "SHOP.Example.com", "shop.example.com:8443", "shop.example.com."])
    def test_case_port_and_last_dot_do_not_count(self, host: str) -> None:
        assert table(("Shop.example.COM", "Prefix", "/")).match(host, "/") is not None

    @pytest.mark.parametrize("host", ["example.com", "a.b.example.com", "xexample.com", ".com", ""])
    def test_a_wildcard_is_one_label(self, host: str) -> None:
        assert table(("*.example.com", "Prefix", "/")).match(host, "/") is None

    def test_an_address(self) -> None:
        routes = table(("[::1]", "Prefix", "/"), ("127.0.0.1", "Prefix", "/"))
        assert name(routes.match("[::1]:80", "/")) == "r0"
        assert name(routes.match("127.0.0.1:80", "/")) == "r1"


class TestRegex:
    def test_is_matched_from_the_beginning(self) -> None:
        routes = table(("", "Regex", "/a[0-9]"))
        assert routes.match(None, "/a1/b") is not None
        assert routes.match(None, "/x/a1") is None

    def test_sees_no_more_of_a_path_than_it_may_take_time_for(self) -> None:
        routes = table(("", "Regex", r"/x*\Z"))
        assert routes.match(None, "/" + "x" * 5000) is not None


def test_a_route_has_its_path_as_name_and_further_attributes() -> None:
    attributes = {"k8s.ingress.name": "shop", "weight": 3, "canary": True, "share": 0.5}
    routes = parse_routes({"routes": [{"path": "/api/", "attributes": attributes}]})
    assert routes.match("any", "/api/x") == Route("/api/", tuple(attributes.items()))


def test_no_routes_match_nothing() -> None:
    assert NO_ROUTES.match("shop.example.com", "/") is None
    assert NO_ROUTES.size == 0
    assert parse_routes({"routes": []}).match(None, "/") is None


def test_thousands_of_routes() -> None:
    entries = [
        RouteEntry(host=f"h{number % 100}.example.com", path=f"/a/{number}/b", route=str(number)) for number in range(10_000)
    ]
    routes = RouteTable(entries)
    assert routes.size == 10_000
    for number in range(0, 10_000, 7):
        assert name(routes.match(f"h{number % 100}.example.com:80", f"/a/{number}/b/c")) == str(number)
        assert routes.match(f"h{(number + 1) % 100}.example.com", f"/a/{number}/b") is None


def test_a_path_of_slashes_costs_no_more_than_the_longest_prefix() -> None:
    routes = table(("", "Prefix", "/a/b"))
    assert routes.match("h", "/a/b" + "/" * 5000) is not None
    assert routes.match("h", "/" * 5000) is None


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({}, "routes: object missing required field `routes`"),
        ([], "routes: expected `object`, got `array`"),
        ({"routes": {}}, "routes: expected `array`, got `object`"),
        ({"routes": [{}, {}, {}, {"path": 1}]}, "routes[3].path: expected `str`, got `int`"),
        ({"routes": [{"path": ""}]}, "routes[0].path: expected `str` of length >= 1"),
        ({"routes": [{}, {"path": "api"}]}, "routes[1].path: 'api': expected a path that begins with /"),
        ({"routes": [{"pathType": "Glob"}]}, "routes[0].pathType: invalid enum value 'Glob'"),
        ({"routes": [{"pathType": "Regex", "path": "("}]}, "routes[0].path: '(': is no regular expression"),
        ({"routes": [{"pathType": "Regex", "path": "(a+)+"}]}, "routes[0].path: '(a+)+': must not repeat a group"),
        ({"routes": [{"host": "shop.example:80"}]}, "routes[0].host: 'shop.example:80': expected a host"),
        ({"routes": [{"host": "*.*.example"}]}, "routes[0].host: '*.*.example': expected a host"),
        ({"routes": [{"hostname": "x"}]}, "routes[0]: object contains unknown field `hostname`"),
        ({"routes": [{"attributes": {"a b": 1}}]}, "routes[0].attributes: 'a b': expected the name of an attribute"),
        ({"routes": [{"attributes": {"a": []}}]}, "routes[0].attributes[...]: expected `bool | int | float | str`"),
        (
            {"routes": [{"attributes": {"url.path": "x"}}]},
            "routes[0].attributes.url.path: can't stand beside",
        ),
        ({"routes": [{"attributes": {"haproxy.time": 1}}]}, "routes[0].attributes.haproxy.time: can't stand beside"),
    ],
)
def test_an_error_names_the_field(document: object, error: str) -> None:
    with pytest.raises(RoutesError) as caught:
        parse_routes(document)
    assert str(caught.value).startswith(error)


def test_there_is_an_end_to_a_table() -> None:
    with pytest.raises(RoutesError, match="routes: expected `array` of length"):
        parse_routes({"routes": [{}] * (MAX_ROUTES + 1)})


PATHS = st.lists(st.sampled_from(["a", "b", ""]), max_size=4).map(lambda parts: "/" + "/".join(parts))
HOSTS = st.sampled_from(["", "x.y", "*.y", "z.y", "y"])
ENTRIES = st.lists(st.tuples(HOSTS, st.sampled_from(["Exact", "Prefix"]), PATHS), max_size=8)


@given(entries=ENTRIES, host=st.sampled_from(["x.y", "w.y", "y", "q", "a.x.y"]), path=PATHS)
def test_it_finds_what_trying_all_of_them_would(entries: list[tuple[str, str, str]], host: str, path: str) -> None:
    def rank(number: int) -> tuple[int, ...] | None:
        its_host, kind, its_path = entries[number]
        wildcard = its_host.startswith("*.") and host.partition(".")[2] == its_host[2:] and "." in host
        if its_host and its_host != host and not wildcard:
            return None
        prefix = its_path.rstrip("/")
        if path != its_path if kind == "Exact" else not f"{path}/".startswith(f"{prefix}/"):
            return None
        by_host = 0 if its_host == host else 1 if wildcard else 2
        return (by_host, 0 if kind == "Exact" else 1, -len(prefix) if kind == "Prefix" else 0, number)

    best = min((found for number in range(len(entries)) if (found := rank(number)) is not None), default=None)
    assert name(table(*entries).match(host, path)) == (None if best is None else f"r{best[-1]}")
