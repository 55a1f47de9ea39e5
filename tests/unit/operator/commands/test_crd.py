import pytest
import yaml

from haproxy_telemetry_operator.cli import main
from haproxy_telemetry_operator.resource import custom_resource_definition


def test_what_is_printed_is_the_definition(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crd"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == custom_resource_definition()
