import subprocess
import sys

import pytest

from haproxy_telemetry_operator.cli import main


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["nothing"])
    assert caught.value.code == 2
    assert "invalid choice: 'nothing'" in capsys.readouterr().err


def test_help_lists_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    output = capsys.readouterr().out
    assert all(name in output for name in ("rewrite", "crd", "version"))


def test_rewrite_needs_only_what_the_agents_image_has() -> None:
    """Whatever the rest of the operator needs is not even looked for."""
    code = """
import sys
from importlib.abc import MetaPathFinder
class Finder(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in "aiohttp cryptography jsonpatch kopf kubernetes opentelemetry prometheus_client".split():
            raise AssertionError(name)
sys.meta_path.insert(0, Finder())
from haproxy_telemetry_operator.cli import main
main(sys.argv[1:])
assert "asyncio" not in sys.modules
"""
    arguments = ["rewrite", "--plan", "/none", "--mount", "/a", "/nowhere", "/proc/nowhere", "--file", "/a/b"]
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stderr.startswith("haproxy-telemetry-operator: /proc/nowhere can't be written to: ")


def test_a_reader_that_has_had_enough() -> None:
    program = f"{sys.executable} -m haproxy_telemetry_operator"
    run = subprocess.run(["/bin/sh", "-c", f"{program} crd | head -c 1"], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("a", "")
