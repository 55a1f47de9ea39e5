"""Attribute names against OpenTelemetry's own package of them."""

import importlib
import pkgutil
from dataclasses import FrozenInstanceError
from types import ModuleType

import pytest
from opentelemetry.semconv import _incubating, attributes
from opentelemetry.semconv.attributes.http_attributes import HttpRequestMethodValues
from opentelemetry.semconv.schemas import Schemas

from haproxy_telemetry_agent.tracing import semconv
from haproxy_telemetry_agent.tracing.semconv import ATTRIBUTES, Definition, Stability, collision

NAMES = {
    name: value
    for name, value in vars(semconv).items()
    if name.isupper() and isinstance(value, str) and name != "SCHEMA_URL" and not name.startswith("_")
}
OUR_OWN = "haproxy."
TEMPLATE = ".<key>"


def names_of(package: ModuleType) -> set[str]:
    """All attribute names of a package of constants."""
    modules = [importlib.import_module(info.name) for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")]
    return {value for module in modules for name, value in vars(module).items() if name.isupper() and isinstance(value, str)}


def names(*stabilities: Stability) -> set[str]:
    return {definition.name.removesuffix(TEMPLATE) for definition in ATTRIBUTES if definition.stability in stabilities}


def test_the_schema_is_one_that_exists() -> None:
    assert Schemas.V1_44_0.value == semconv.SCHEMA_URL


@pytest.mark.parametrize(("constant", "name"), NAMES.items())
def test_a_constant_is_called_like_its_value(constant: str, name: str) -> None:
    assert constant == name.upper().replace(".", "_")


def test_the_table_has_every_constant_once() -> None:
    assert sorted(definition.name.removesuffix(TEMPLATE) for definition in ATTRIBUTES) == sorted(NAMES.values())


def test_what_is_ours_is_below_haproxy_and_nothing_else_is() -> None:
    assert {name for name in NAMES.values() if name.startswith(OUR_OWN)} == names(Stability.OURS)


def test_stable_names_are_those_of_the_stable_package() -> None:
    theirs = {name for name in NAMES.values() if not name.startswith(OUR_OWN)}
    assert theirs & names_of(attributes) == names(Stability.STABLE)


def test_all_other_names_exist_as_well() -> None:
    incubating = names_of(importlib.import_module(f"{_incubating.__name__}.attributes"))
    assert names(Stability.RELEASE_CANDIDATE, Stability.DEVELOPMENT, Stability.DEPRECATED) <= incubating


def test_no_name_is_another_ones_prefix() -> None:
    """Backends that build objects of dotted names could not store both."""
    all_names = [*NAMES.values()]
    assert len(set(all_names)) == len(all_names)
    assert not [(one, other) for one in all_names for other in all_names if other.startswith(f"{one}.")]


@pytest.mark.parametrize("definition", ATTRIBUTES, ids=lambda definition: definition.name)
def test_a_definition_is_whole(definition: Definition) -> None:
    assert definition.type in {"string", "string[]", "int", "double", "boolean"}
    assert set(definition.spans.split(", ")) <= {"SERVER", "CLIENT", "links"}
    assert definition.meaning
    assert definition.when
    with pytest.raises(FrozenInstanceError):
        definition.name = "other"  # type: ignore[misc]


def test_known_methods_are_the_conventions_own() -> None:
    assert {method.value for method in HttpRequestMethodValues} - {"_OTHER"} == semconv.KNOWN_METHODS


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("url.path", "url.path"),
        ("haproxy.time", "haproxy.time.request"),
        ("url.path.first", "url.path"),
        ("http.request.header.x", "http.request.header"),
        ("url.paths", None),
        ("k8s.ingress.name", None),
        ("haproxy.country", None),
    ],
)
def test_collision(name: str, other: str | None) -> None:
    assert collision(name) == other


def test_collision_with_names_given() -> None:
    assert collision("a.b", ["x", "a.b.c"]) == "a.b.c"
    assert collision("url.path", ["x"]) is None
