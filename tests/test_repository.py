"""What must hold for the repository as a whole: checks that belong to no module."""

import ast
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from haproxy_telemetry_operator.resource import custom_resource_definition

ROOT = Path(__file__).parent.parent
PACKAGES = {program: ROOT / program / f"haproxy_telemetry_{program}" for program in ("agent", "operator")}
MODULES = sorted(path for package in PACKAGES.values() for path in package.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MAX_LINES = 500

# Shells around sockets, and what only starts the program: tested by running it (tests/integration, tests/cluster).
TESTED_BY_RUNNING = {
    "__main__",
    "cluster",
    "commands.run",
    "endpoint",
    "endpoint_connections",
    "export.otlp_grpc",
    "export.otlp_http",
    "commands.inject",
    "handlers",
    "injector",
    "injector_connections",
    "listener",
    "operator_service",
    "record_server",
    "resource",
    "service",
    "spop_server",
    "stream_server",
}
# Nothing in them but names, numbers and types (those of settings are tested together, in settings/test_model.py).
NOTHING_TO_TEST = {
    "injection.facts",
    "injection.refusal",
    "records.errors",
    "resource.problems",
    "settings",
    "settings.debug",
    "settings.minilanguage",
    "settings.types",
    "spop.events",
    "spop.limits",
    "tracing.request",
    "tracing.span",
    "version",
    "wiring.field",
    "wiring.names",
}


def program_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


def module_name(path: Path) -> str:
    """The name below the package; empty for the package itself."""
    parts = path.relative_to(PACKAGES[program_of(path)]).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def full_name(path: Path) -> str:
    return f"{PACKAGES[program_of(path)].name}.{module_name(path)}".rstrip(".")


each_module = pytest.mark.parametrize("path", MODULES, ids=full_name)


def test_the_folder_operator_is_no_package() -> None:
    """``operator/__init__.py`` would shadow the standard library's ``operator`` for every Python started in the repository's root:
    ``python -m pytest`` there ends with "cannot import name 'eq' from 'operator'". A folder without it is harmless."""
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_there_are_no_packages_below_tests() -> None:
    """Test modules of one name may stand in several folders (``--import-mode=importlib``); an ``__init__.py`` would undo that."""
    assert [path for path in TESTS if path.name == "__init__.py"] == []


@each_module
def test_no_module_is_too_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


@each_module
def test_what_a_module_exports_exists_once_and_is_sorted(path: Path) -> None:
    module = importlib.import_module(full_name(path))
    names = getattr(module, "__all__", [])
    assert [name for name in names if not hasattr(module, name)] == []
    assert len(set(names)) == len(names)
    assert names == sorted(names, key=constants_classes_functions)


def constants_classes_functions(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.name == "__init__.py" and path.parent not in PACKAGES.values()], ids=full_name
)
def test_a_package_exports_all_that_it_imports_and_nothing_else(path: Path) -> None:
    imports = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom)]
    module = importlib.import_module(full_name(path))
    assert sorted(alias.name for node in imports for alias in node.names) == sorted(module.__all__)


@each_module
def test_every_module_has_a_test_of_its_name(path: Path) -> None:
    name = module_name(path)
    if path.name == "__init__.py" or name in TESTED_BY_RUNNING | NOTHING_TO_TEST:
        return
    *folders, last = name.split(".")
    assert (ROOT / "tests" / "unit" / program_of(path)).joinpath(*folders, f"test_{last}.py").is_file()


@pytest.mark.parametrize("program", PACKAGES)
def test_every_test_of_a_module_has_a_module_of_its_name(program: str) -> None:
    unit = ROOT / "tests" / "unit" / program
    tested = {path.relative_to(unit).with_name(path.name.removeprefix("test_")) for path in unit.rglob("test_*.py")}
    assert tested - {path.relative_to(PACKAGES[program]) for path in MODULES if program_of(path) == program} == set()


def test_import_rules() -> None:
    """The contracts in pyproject.toml, ``[tool.importlinter]``: who may import whom."""
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"].get("importlinter", {})
    assert configuration.get("contracts"), "no contracts are configured"
    program = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " 0 broken." in result.stdout


def test_the_manifest_of_the_definition_is_that_of_the_program() -> None:
    """`haproxy-telemetry-operator crd > manifests/crd.yaml` after a change of the resource."""
    written = yaml.safe_load((ROOT / "manifests" / "crd.yaml").read_text())
    assert written == custom_resource_definition()


def test_the_manifests_give_no_more_rights_than_are_described() -> None:
    """No Secret but our own, no exec, no pod is made, changed or deleted."""
    documents = list(yaml.safe_load_all((ROOT / "manifests" / "install.yaml").read_text()))
    rules = [
        (resource, set(rule["verbs"]), rule.get("resourceNames"))
        for document in documents
        if document["kind"] in ("ClusterRole", "Role")
        for rule in document["rules"]
        for resource in rule["resources"]
    ]
    assert {resource for resource, _, _ in rules if "/" in resource} == {
        "haproxytelemetries/status",
        "haproxytelemetries/finalizers",
    }
    for resource, verbs, names in rules:
        assert "*" not in verbs
        if resource == "pods":
            assert verbs == {"get", "list", "watch"}
        if resource == "secrets":
            assert verbs == {"create"} or names == ["haproxy-telemetry-injector-tls"]
