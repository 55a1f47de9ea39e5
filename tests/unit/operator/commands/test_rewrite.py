import json
from pathlib import Path

import pytest

from haproxy_telemetry_operator.cli import main


def run(folder: Path, source: str = "source") -> int:
    return main(
        [
            "rewrite",
            f"--plan={folder}/plan",
            "--mount",
            "/etc/haproxy",
            f"{folder}/{source}",
            f"{folder}/volume",
            "--file=/etc/haproxy/a.cfg",
            f"--message={folder}/message",
        ]
    )


def test_the_report_is_said_thrice(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "message").touch()
    assert run(tmp_path) == 0
    output = capsysbinary.readouterr()
    assert json.loads(output.out)["reason"] == "PlanMissing"
    assert output.out == (tmp_path / "message").read_bytes() + b"\n"
    assert output.err.startswith(b"nothing is traced, every file is as it was: PlanMissing: ")


def test_a_pod_without_a_place_for_messages(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    assert run(tmp_path) == 0
    assert not (tmp_path / "message").exists()


def test_a_message_that_can_not_be_written_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "message").mkdir()
    assert run(tmp_path) == 0


def test_no_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "none") == 1
    assert capsys.readouterr().err.startswith("haproxy-telemetry-operator: ")
