"""Sampling's settings: what an error says about what may not stand there."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.settings import Settings, SettingsError, parse_settings
from haproxy_telemetry_agent.settings.sampling import PathPattern, Sampling, check_sampling, path_kind

RULE = {"name": "r", "ratio": 0.5}


def error_of(sampling: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as caught:
        parse_settings({"sampling": sampling})
    return str(caught.value)


def rules(*changes: dict[str, Any]) -> dict[str, Any]:
    """Good rules, the last of which is changed."""
    good = [{**RULE, "name": f"good{number}"} for number in range(2)]
    return {"rules": [*good, *({**RULE, **change} for change in changes)]}


@pytest.mark.parametrize(
    ("sampling", "error"),
    [
        # Rules.
        (rules({"name": "good1"}), "sampling.rules[2].name: 'good1': is the name of sampling.rules[1] already"),
        (rules({"name": "two words"}), "sampling.rules[2].name: 'two words': expected a name of letters, digits, . _ and -"),
        ({"rules": [{"name": "r"}]}, "sampling.rules[0].ratio: missing; it has no default"),
        (rules({"ratio": 1.5}), "sampling.rules[2].ratio: 1.5: expected a number <= 1.0"),
        (rules({"paths": "/"}), "sampling.rules[2].paths: unknown key; known here: name, ratio, host, path, method"),
        (rules({"host": "a:80"}), "sampling.rules[2].host: 'a:80': expected a host's name, or *. and what its names end in"),
        (rules({"host": "a.*"}), "sampling.rules[2].host: 'a.*': expected a host's name"),
        (rules({"method": "GET PUT"}), "sampling.rules[2].method: 'GET PUT': expected a method such as GET"),
        (rules({"frontend": "}"}), "sampling.rules[2].frontend: '}': HAProxy can't compare with a brace alone"),
        (rules({"header": {"value": "a"}}), "sampling.rules[2].header.name: missing"),
        (rules({"header": {"name": "a b"}}), "sampling.rules[2].header.name: 'a b': expected a header's name"),
        (rules({"header": {"name": "a", "value": "é"}}), "sampling.rules[2].header.value: 'é': expected printable ASCII"),
        (
            rules({"networks": ["::1", "10.0.0.1/8"]}),
            "sampling.rules[2].networks[1]: '10.0.0.1/8': this is an address within a network: write 10.0.0.0/8",
        ),
        (rules({"networks": ["x"]}), "sampling.rules[2].networks[0]: 'x': expected a network in CIDR notation, such as 10.0.0.0/8"),
        (rules({"networks": ["::1"] * 13}), "sampling.rules[2].networks: "),
        # Paths.
        (rules({"header": "x-canary"}), "sampling.rules[2].header: 'x-canary': expected a mapping, got text"),
        (rules({"path": 5}), "sampling.rules[2].path: 5: expected text or a mapping, got a whole number"),
        (rules({"path": "api"}), "sampling.rules[2].path: 'api': a path begins with /: write /api"),
        (rules({"path": ""}), "sampling.rules[2].path: '': expected 1 to 512 characters"),
        (rules({"path": "/\n"}), r"sampling.rules[2].path: '/\n': expected printable characters"),
        (rules({"path": {}}), "sampling.rules[2].path: nothing: set one of prefix, glob and regex"),
        (rules({"path": {"prefix": "/", "regex": "a"}}), "sampling.rules[2].path: prefix and regex: set one of"),
        (rules({"path": {"starts": "/"}}), "sampling.rules[2].path.starts: unknown key; known here: prefix, glob, regex"),
        (rules({"path": {"prefix": "api"}}), "sampling.rules[2].path.prefix: 'api': a path begins with /: write /api"),
        (rules({"path": {"glob": "api/*"}}), "sampling.rules[2].path.glob: 'api/*': a path begins with /: write /api/* or *api/*"),
        (rules({"path": {"glob": ""}}), "sampling.rules[2].path.glob: '': expected text of length >= 1"),
        (rules({"path": {"regex": 3}}), "sampling.rules[2].path.regex: 3: expected text, got a whole number"),
        (rules({"path": {"regex": "("}}), "sampling.rules[2].path.regex: '(': is no regular expression: missing )"),
        (rules({"path": {"regex": "(a+)+"}}), "sampling.rules[2].path.regex: '(a+)+': must not repeat a group"),
        (rules({"path": {"regex": "(?i)a"}}), "sampling.rules[2].path.regex: '(?i)a': has a group that is neither ( nor (?:"),
        (rules({"path": {"regex": "}"}}), "sampling.rules[2].path.regex: '}': HAProxy can't compare with a brace alone"),
        # Exclusion.
        ({"exclude": {"paths": ["/a", {"regex": "("}]}}, "sampling.exclude.paths[1].regex: '(': is no regular expression"),
        ({"exclude": {"paths": ["/a", "b"]}}, "sampling.exclude.paths[1]: 'b': a path begins with /: write /b"),
        ({"exclude": {"paths": ["/a", 3]}}, "sampling.exclude.paths[1]: 3: expected text or a mapping, got a whole number"),
        ({"exclude": {"paths": [{"x": 3}]}}, "sampling.exclude.paths[0].x: unknown key; known here: prefix, glob, regex"),
        ({"exclude": {"userAgents": ["a", "\n"]}}, r"sampling.exclude.userAgents[1]: '\n': expected printable characters"),
        # Caps.
        ({"maxTracesPerSecond": 0}, "sampling.maxTracesPerSecond: 0: expected a number > 0.0"),
        ({"keep": {"maxPerSecond": 0}}, "sampling.keep.maxPerSecond: 0: expected a number > 0.0"),
        ({"keep": {"slowerThan": "2"}}, "sampling.keep.slowerThan: '2': expected a whole number with us, ms, s or m"),
        ({"keep": {"slowerThan": "0ms"}}, "sampling.keep.slowerThan: '0ms': that is every exchange"),
        # Force.
        ({"force": {"header": "x"}}, "sampling.force.networks: []: who may send x? List networks such as 10.0.0.0/8"),
        ({"force": {"value": "x"}}, "sampling.force.header: None: value and networks need a header"),
        ({"force": {"networks": ["::1"]}}, "sampling.force.header: None: value and networks need a header"),
        ({"force": {"header": "x", "networks": ["y"]}}, "sampling.force.networks[0]: 'y': expected a network in CIDR notation"),
        ({"force": {"header": "x", "value": "}", "networks": ["::1"]}}, "sampling.force.value: '}': HAProxy can't compare"),
        # Plugins.
        ({"type": "Plugin"}, "sampling.plugin: None with type Plugin: a name is required by, and only allowed with, Plugin"),
        ({"plugin": "x"}, "sampling.plugin: 'x' with type ParentBasedAlwaysOn: a name is required by"),
        ({"pluginArgument": "x"}, "sampling.pluginArgument: 'x': only allowed with type Plugin"),
        ({"type": "Plugin", "plugin": "x y"}, "sampling.plugin: 'x y': expected the name of an entry point of the group"),
        ({"type": "Plugin", "plugin": "x", "ratio": 0.5}, "sampling.ratio: 0.5 with type Plugin: a ratio is required by"),
    ],
)
def test_names_field_value_and_fix(sampling: dict[str, Any], error: str) -> None:
    assert error_of(sampling).startswith(error)


@pytest.mark.parametrize(
    ("sampling", "error"),
    [
        (Sampling(type="Plugin", plugin="x"), "sampling.type: 'Plugin': with profile Stream HAProxy decides, and runs no plugin"),
        (Sampling(max_traces_per_second=5), "sampling.maxTracesPerSecond: 5: with profile Stream HAProxy decides"),
    ],
)
def test_what_haproxy_can_not_do_by_itself(sampling: Sampling, error: str) -> None:
    check_sampling(sampling, profile="Standard")
    with pytest.raises(SettingsError) as caught:
        check_sampling(sampling, profile="Stream")
    assert str(caught.value).startswith(error)


def test_nothing_is_set_at_first() -> None:
    sampling = Settings().sampling
    assert (sampling.rules, sampling.exclude.paths, sampling.force.header, sampling.keep.errors) == ([], [], None, False)
    check_sampling(sampling, profile="Stream")


@pytest.mark.parametrize(
    ("pattern", "kind"),
    [
        ("/a", ("prefix", "/a")),
        (PathPattern(prefix="/a"), ("prefix", "/a")),
        (PathPattern(glob="/a*"), ("glob", "/a*")),
        (PathPattern(regex="^/a"), ("regex", "^/a")),
    ],
)
def test_kind_of_a_path(pattern: str | PathPattern, kind: tuple[str, str]) -> None:
    assert path_kind(pattern) == kind


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from(["name", "ratio", "path", "paths", "regex", "header", "networks", "value"]), inner),
    ),
    max_leaves=6,
)


@given(sampling=st.dictionaries(st.sampled_from(["rules", "exclude", "force", "keep", "type"]), ANYTHING))
def test_any_document_is_settings_or_an_error_in_words(sampling: dict[str, Any]) -> None:
    assert re.match(r"[\w.\[\]]+: ", refusal(sampling) or "none: ")


def refusal(sampling: dict[str, Any]) -> str | None:
    try:
        parse_settings({"sampling": sampling})
    except SettingsError as error:
        return str(error)
    return None
