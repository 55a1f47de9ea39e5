"""A pod as far as files go: the volumes of a plain HAProxy's container, each replaced by one of ours, and its two init containers.

The rewriter runs as the program it is, the check as the shell runs it. What a mount would do is done by a link: HAProxy's container
sees the volume of ours at the path where it saw the user's.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from haproxy_telemetry_operator.pod_check import check_command

__all__ = ["Pod", "config_map"]

_OLD_VERSION = "..2026_11_24_12_00_00.1"


def config_map(folder: Path, files: Mapping[str, bytes], version: str = _OLD_VERSION) -> Path:
    """A ConfigMap as the kubelet lays it out: links through one link to the version that is valid."""
    for name, data in files.items():
        path = folder / version / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o644)
    (folder / "..new").symlink_to(version)
    (folder / "..new").rename(folder / "..data")
    for name in {name.partition("/")[0] for name in files}:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    return folder


class Pod:
    """Mounts by their number: `sources` are what the user had there."""

    def __init__(self, folder: Path, sources: Sequence[Path], paths: Sequence[str]) -> None:
        """`paths` are what HAProxy is given with -f: `0/haproxy.cfg` is in the first mount, `0` is that mount."""
        self.folder = folder
        self.sources = list(sources)
        self.root = folder / "root"
        self.root.mkdir(parents=True)
        self.message = folder / "termination-log"
        self.message.touch()
        self.paths = [str(self.root / path) for path in paths]
        self.volumes = [folder / f"volume-{number}" for number in range(len(sources))]
        for number, volume in enumerate(self.volumes):
            volume.mkdir()
            volume.chmod(0o777)
            (self.root / str(number)).symlink_to(volume if sources[number].is_dir() else volume / str(number))

    @property
    def plan(self) -> Path:
        """The payload's file, which may be missing."""
        return self.folder / "insertions.json"

    def rewrite(self, *, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """The first init container; `before` is put in front of its command."""
        command = [
            sys.executable,
            "-m",
            "haproxy_telemetry_operator",
            "rewrite",
            f"--plan={self.plan}",
            f"--message={self.message}",
        ]
        for number, (source, volume) in enumerate(zip(self.sources, self.volumes, strict=True)):
            command += ["--mount", str(self.root / str(number)), str(source), str(volume)]
        command += [f"--file={path}" for path in self.paths]
        return subprocess.run([*before, *command], capture_output=True, text=True, timeout=30, check=False)

    def rewritten(self) -> dict[str, Any]:
        """Runs the first init container, which must not fail; its report."""
        run = self.rewrite()
        assert run.returncode == 0, run.stderr
        assert "Traceback" not in run.stderr
        (line,) = run.stdout.splitlines()
        report: dict[str, Any] = json.loads(line)
        assert json.loads(self.message.read_bytes()) == report
        return report

    def check(
        self,
        haproxy: Path | str,
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        uid: int | None = None,
    ) -> str:
        """Runs the second init container, which must not fail; what it says."""
        arguments = [word for path in self.paths for word in ("-f", path)]
        command = check_command(list(map(str, self.volumes)), arguments, program=str(haproxy), message_path=str(self.message))
        run = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            user=uid,
            cwd=folder,
            env={**os.environ, **(environment or {})},
        )
        assert (run.returncode, run.stdout) == (0, ""), run
        return run.stderr

    def verdict(self) -> str:
        """The file that the check leaves when it has put the user's files back; empty without one."""
        for volume in self.volumes:
            path = volume / ".haproxy-telemetry" / "refused"
            if path.exists():
                return path.read_text()
        return ""

    def content(self, number: int = 0) -> dict[str, bytes]:
        """All that HAProxy sees of a mount, by relative path; a single file has the path `.`."""
        volume, single = self.volumes[number], self.volumes[number] / str(number)
        if single.is_file():
            return {".": single.read_bytes()}
        paths = (path.relative_to(volume) for path in sorted(volume.rglob("*")) if path.is_file())
        return {str(path): (volume / path).read_bytes() for path in paths if path.parts[0] != ".haproxy-telemetry"}
