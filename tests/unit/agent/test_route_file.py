"""The file of routes: read again when it is another one, and never given up for one that can't be used."""

import json
import os
from pathlib import Path

import pytest

from haproxy_telemetry_agent import route_file as module
from haproxy_telemetry_agent.route_file import RouteFile
from haproxy_telemetry_agent.tracing.routes import NO_ROUTES, RoutesError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of one route, /a."""
    path = tmp_path / "routes.yaml"
    path.write_text("routes: [{path: /a}]")
    return path


def route(routes: RouteFile, path: str) -> str | None:
    found = routes.table.match(None, path)
    return None if found is None else found.route


def replace(path: Path, text: str) -> None:
    """As those do who care: write beside, then rename."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


@pytest.mark.parametrize(
    "text",
    [
        "routes:\n- path: /b\n  pathType: Exact\n",
        json.dumps({"routes": [{"path": "/b"}]}),
        "\n {routes: [{path: /b}]}",
    ],
)
def test_yaml_and_json(path: Path, text: str) -> None:
    path.write_text(text)
    routes = RouteFile(path)
    assert routes.table is NO_ROUTES
    routes.load()
    assert route(routes, "/b") == "/b"
    assert routes.error is None


def test_a_file_that_is_the_same_is_not_read_again(path: Path) -> None:
    routes = RouteFile(path)
    routes.load()
    before = routes.table
    assert routes.poll() is False
    assert routes.table is before


def test_a_file_that_was_replaced_is(path: Path) -> None:
    routes = RouteFile(path)
    routes.load()
    replace(path, "routes: [{path: /b}]")
    assert routes.poll() is True
    assert (route(routes, "/a"), route(routes, "/b")) == (None, "/b")
    assert routes.poll() is False


def test_a_file_that_was_written_over_is(path: Path) -> None:
    routes = RouteFile(path)
    routes.load()
    path.write_text("routes: [{path: /b}]")
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))
    assert routes.poll() is True
    assert route(routes, "/b") == "/b"


def test_a_link_that_points_elsewhere_is_another_file(path: Path, tmp_path: Path) -> None:
    """So do the volumes of ConfigMaps change."""
    other, link = tmp_path / "other.yaml", tmp_path / "link"
    other.write_text("routes: [{path: /b}]")
    link.symlink_to(path)
    routes = RouteFile(link)
    routes.load()
    beside = tmp_path / "link.new"
    beside.symlink_to(other)
    beside.replace(link)
    assert routes.poll() is True
    assert route(routes, "/b") == "/b"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("routes: [{path: b}]", "routes[0].path: 'b': expected a path that begins with /"),
        ("{", "is neither YAML nor JSON"),
        ("", "routes: expected `object`, got `null`"),
        ("- path: /b", "routes: expected `object`, got `array`"),
        ("routes: !!python/object/apply:os.getcwd []", "is neither YAML nor JSON"),
        ("\x00", "is neither YAML nor JSON"),
        ('{"routes": ' + "[" * 100_000, "is neither YAML nor JSON"),
    ],
)
def test_a_file_that_can_not_be_used_leaves_the_table_as_it_was(path: Path, text: str, error: str) -> None:
    routes = RouteFile(path)
    routes.load()
    replace(path, text)
    assert routes.poll() is True
    assert routes.error is not None
    assert routes.error.startswith(f"{path}: {error}")
    assert route(routes, "/a") == "/a"
    # It is not read, and not complained of, again.
    assert routes.poll() is False
    replace(path, "routes: [{path: /c}]")
    assert routes.poll() is True
    assert routes.error is None
    assert route(routes, "/c") == "/c"


def test_at_start_it_is_an_error(path: Path) -> None:
    path.write_text("routes: [{path: b}]")
    with pytest.raises(RoutesError, match=r"routes\[0\].path"):
        RouteFile(path).load()
    path.unlink()
    with pytest.raises(RoutesError, match="can't be read: No such file"):
        RouteFile(path).load()


def test_a_file_that_goes_away_and_comes_back(path: Path) -> None:
    routes = RouteFile(path)
    routes.load()
    path.unlink()
    assert routes.poll() is True
    assert routes.error == f"{path}: can't be read: No such file or directory"
    assert routes.poll() is False
    assert route(routes, "/a") == "/a"
    path.write_text("routes: [{path: /a}]")
    assert routes.poll() is True
    assert routes.error is None


def test_a_file_that_is_too_large(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 10)
    with pytest.raises(RoutesError, match="is larger than 10 bytes"):
        RouteFile(path).load()
