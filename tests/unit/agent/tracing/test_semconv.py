"""Attribute names against OpenTelemetry's own package of them."""

import importlib
import pkgutil
from types import ModuleType

import pytest
from opentelemetry.semconv import _incubating, attributes
from opentelemetry.semconv.attributes.http_attributes import HttpRequestMethodValues
from opentelemetry.semconv.schemas import Schemas

from haproxy_telemetry_agent.tracing import semconv

NAMES = {name: value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str) and name != "SCHEMA_URL"}
DEVELOPMENT = {"http.request.size", "http.response.size", "tls.cipher", "tls.next_protocol", "tls.protocol.version"}
OUR_OWN = "haproxy."


def names_of(package: ModuleType) -> set[str]:
    """All attribute names of a package of constants."""
    modules = [importlib.import_module(info.name) for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")]
    return {value for module in modules for name, value in vars(module).items() if name.isupper() and isinstance(value, str)}


def test_the_schema_is_one_that_exists() -> None:
    assert Schemas.V1_44_0.value == semconv.SCHEMA_URL


@pytest.mark.parametrize(("constant", "name"), NAMES.items())
def test_a_constant_is_called_like_its_value(constant: str, name: str) -> None:
    assert constant == name.upper().replace(".", "_")


def test_every_name_that_is_not_our_own_is_a_stable_one_or_known_not_to_be() -> None:
    theirs = {name for name in NAMES.values() if not name.startswith(OUR_OWN)}
    assert theirs - names_of(attributes) == DEVELOPMENT


def test_development_names_exist() -> None:
    incubating = importlib.import_module(f"{_incubating.__name__}.attributes")
    assert names_of(incubating) >= DEVELOPMENT


def test_no_name_is_another_ones_prefix() -> None:
    """Backends that build objects of dotted names could not store both."""
    names = [*NAMES.values()]
    assert len(set(names)) == len(names)
    assert not [(one, other) for one in names for other in names if other.startswith(f"{one}.")]


def test_known_methods_are_the_conventions_own() -> None:
    assert {method.value for method in HttpRequestMethodValues} - {"_OTHER"} == semconv.KNOWN_METHODS
