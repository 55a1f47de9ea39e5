import pytest

from haproxy_telemetry_operator.cli import main
from haproxy_telemetry_operator.resource.reference import render_reference


def test_what_is_printed_is_the_reference(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reference"]) == 0
    assert capsys.readouterr().out == render_reference()
