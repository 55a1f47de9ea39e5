"""Selectors: what the API server takes as one, by the rules of its own labels.

A selector of a resource becomes part of an object that all resources share (the webhook's configuration): one that is refused there
would keep everybody else's out as well. So it is looked at before.

Source: Kubernetes, "Labels and Selectors", syntax and character set.
"""

import re

from .problems import SpecProblem
from .spec import LabelSelector

__all__ = ["check_selector"]

_PREFIX = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
_FIELD = "spec.target.selector"


def check_selector(selector: LabelSelector | None) -> None:
    """Whether the API server would take it.

    Raises:
        SpecProblem: it would not; names the field and the fix.
    """
    if selector is None:
        return
    for key, value in selector.match_labels.items():
        _check_key(key, f"{_FIELD}.matchLabels")
        _check_value(value, f"{_FIELD}.matchLabels[{key}]")
    for index, requirement in enumerate(selector.match_expressions):
        field = f"{_FIELD}.matchExpressions[{index}]"
        _check_key(requirement.key, f"{field}.key")
        if (requirement.operator in ("In", "NotIn")) != bool(requirement.values):
            raise _problem(f"{field}.values: required by, and only allowed with, operator In and NotIn")
        for value in requirement.values:
            _check_value(value, f"{field}.values")


def _check_key(key: str, field: str) -> None:
    prefix, slash, name = key.rpartition("/")
    prefix_is_right = not slash or (len(prefix) <= 253 and _PREFIX.fullmatch(prefix) is not None)
    if not prefix_is_right or len(name) > 63 or _NAME.fullmatch(name) is None:
        raise _problem(f"{field}: {key!r} is no label's key: expected a name such as app, or example.com/app")


def _check_value(value: str, field: str) -> None:
    if value and (len(value) > 63 or _NAME.fullmatch(value) is None):
        raise _problem(f"{field}: {value!r} is no label's value: expected at most 63 letters, digits, '-', '_' and '.'")


def _problem(message: str) -> SpecProblem:
    return SpecProblem(message, "InvalidSelector")
