import pytest

from haproxy_telemetry_operator.cli import main


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == "haproxy-telemetry-operator 0.1.0\n"
