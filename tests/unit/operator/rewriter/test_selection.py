"""Globs of names."""

import pytest

from haproxy_telemetry_operator.rewriter.selection import Selection


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), {"web", "web-internal", "Web"}),
        (Selection(include=("web*",)), {"web", "web-internal"}),
        (Selection(exclude=("*-internal",)), {"web", "Web"}),
        (Selection(include=("web", "W?b"), exclude=("web",)), {"Web"}),
        (Selection(include=()), set()),
    ],
)
def test_globs(selection: Selection, taken: set[str]) -> None:
    assert {name for name in ("web", "web-internal", "Web") if selection.takes(name)} == taken


def test_only_the_glob_for_everything_is_everything() -> None:
    assert Selection().is_everything
    assert Selection(include=("a", "*")).is_everything
    assert not Selection(include=("w*",)).is_everything
    assert not Selection(exclude=("a",)).is_everything
