"""Selectors."""

from typing import Any

import pytest

from haproxy_telemetry_operator.resource import SpecProblem
from haproxy_telemetry_operator.resource.selector import check_selector
from support.cluster_objects import telemetry


def check(selector: dict[str, Any]) -> None:
    telemetry({"target": {"selector": selector}}).spec()


def test_none() -> None:
    check_selector(None)


@pytest.mark.parametrize(
    "selector",
    [
        {},
        {"matchLabels": {"app": "web", "example.com/app.name": "", "a": "x" * 63}},
        {"matchLabels": {"a" * 63: "A_b.c-1"}},
        {"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}, {"key": "x/y", "operator": "Exists"}]},
        {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": [""]}, {"key": "x", "operator": "DoesNotExist"}]},
    ],
)
def test_good(selector: dict[str, Any]) -> None:
    check(selector)


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ({"matchLabels": {"a b": "c"}}, "matchLabels: 'a b' is no label's key"),
        ({"matchLabels": {"": "c"}}, "matchLabels: '' is no label's key"),
        ({"matchLabels": {"a" * 64: "c"}}, "is no label's key"),
        ({"matchLabels": {"/a": "c"}}, "'/a' is no label's key"),
        ({"matchLabels": {"Upper.example/a": "c"}}, "is no label's key"),
        ({"matchLabels": {"x/y/z": "c"}}, "is no label's key"),
        ({"matchLabels": {"a": "b c"}}, "matchLabels[a]: 'b c' is no label's value"),
        ({"matchLabels": {"a": "-b"}}, "is no label's value"),
        ({"matchExpressions": [{"key": "a"}]}, "operator: missing"),
        ({"matchExpressions": [{"key": "a", "operator": "In"}]}, "matchExpressions[0].values: required by"),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": []}]}, "matchExpressions[0].values: required by"),
        ({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}, "values: required by, and only allowed with"),
        ({"matchExpressions": [{"key": "a\n", "operator": "Exists"}]}, "matchExpressions[0].key: 'a\\n' is no label's key"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["ok", "b\n"]}]}, "matchExpressions[0].values: 'b\\n'"),
    ],
)
def test_what_would_be_refused_for_everybody_is_refused_here(selector: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecProblem) as problem:
        check(selector)
    assert str(problem.value).startswith("spec.target.selector")
    assert message in str(problem.value)


def test_reason() -> None:
    with pytest.raises(SpecProblem) as problem:
        check({"matchLabels": {"a b": "c"}})
    assert problem.value.reason == "InvalidSelector"
