"""A Chromium is a real one (Debian's), without a window: it says what has become of a page, and takes its picture."""

import asyncio
import os
import shutil
import signal
import struct
import tempfile
from pathlib import Path

import pytest

__all__ = ["Chromium", "chromium"]

_LIMIT_SECONDS = 60.0
_PNG_SIZE = slice(16, 24)


class Chromium:
    """Looks at pages of this machine, each with a profile of its own."""

    def __init__(self, program: str) -> None:
        self._program = program

    async def dom(self, url: str, *, dark: bool = False) -> str:
        """The document as it is in the end, when all scripts have run, as HTML."""
        return (await self._run("--dump-dom", url, dark=dark, columns=1_400, rows=900)).decode()

    async def picture(self, url: str, path: Path, *, columns: int, rows: int, dark: bool = False) -> tuple[int, int]:
        """A picture of the page, of so many pixels; gives its size as it is."""
        await self._run(f"--screenshot={path}", url, dark=dark, columns=columns, rows=rows)
        width, height = struct.unpack(">II", path.read_bytes()[_PNG_SIZE])
        return width, height

    async def _run(self, action: str, url: str, *, dark: bool, columns: int, rows: int) -> bytes:
        with tempfile.TemporaryDirectory(prefix="chromium-") as profile:
            arguments = [
                "--headless",
                "--disable-gpu",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
                f"--window-size={columns},{rows}",
                # Nothing but this machine can be reached, whatever a page or the browser itself wants.
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                "--disable-background-networking",
                "--no-first-run",
                f"--blink-settings=preferredColorScheme={0 if dark else 1}",
                *(["--no-sandbox"] if os.geteuid() == 0 else []),
                action,
                url,
            ]
            process = await asyncio.create_subprocess_exec(
                self._program,
                *arguments,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            try:
                out, err = await asyncio.wait_for(process.communicate(), _LIMIT_SECONDS)
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)  # it has many children, all of its group
                    await process.wait()
            assert process.returncode == 0, err.decode(errors="replace")
            return out


def chromium() -> Chromium:
    """The one of this machine; skips the test if there is none, and fails it in CI."""
    program = shutil.which("chromium")
    if program is None:
        reason = "there is no chromium on this machine: `make chromium` installs Debian's"
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)
    return Chromium(program)
