"""Command lines."""

import pytest

from haproxy_telemetry_operator.targets.command_line import config_paths, option_values, words


def test_words() -> None:
    assert words({"command": ["a"], "args": ["b", "c"]}) == ["a", "b", "c"]
    assert words({"args": None}) == []


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        (["--configmap=a/b"], ["a/b"]),
        (["--configmap", "a/b"], ["a/b"]),
        (["-configmap=a/b"], ["a/b"]),
        (["-configmap", "a/b"], ["a/b"]),
        (["--configmap=a", "--x", "--configmap", "b"], ["a", "b"]),
        (["--configmap=a=b"], ["a=b"]),
        (["--configmap="], [""]),
        (["--configmap"], []),
        (["--configmap-tcp-services=a", "configmap", "b"], []),
    ],
)
def test_option_values(arguments: list[str], values: list[str]) -> None:
    assert option_values(arguments, "--configmap") == values


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        ("haproxy -f /a -f /b", ["/a", "/b"]),
        ("haproxy -W -db -S /run/master.sock,mode,600 -f /a", ["/a"]),
        ("haproxy -S -f -f /a", ["/a"]),
        ("haproxy -p -f -f /a", ["/a"]),
        ("haproxy -f /a -- /b /c -f", ["/a", "/b", "/c", "-f"]),
        ("haproxy -sf 1 2 3 -f /a", ["/a"]),
        ("haproxy -sf -f /a", ["/a"]),
        ("haproxy -f /a -x /run/sock -C /srv", ["/a"]),
        ("haproxy -f", []),
        ("haproxy /a", []),
        ("", []),
    ],
)
def test_config_paths(arguments: str, paths: list[str]) -> None:
    assert config_paths(arguments.split()) == paths
