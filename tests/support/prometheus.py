"""A Prometheus is a real one (Debian's): it scrapes the agent, and is asked by its own API what it has seen."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml

from support.ports import ADDRESS, free_port
from support.probe import until
from support.process import Process

__all__ = ["Prometheus", "check_metrics", "program_path"]

_UNPACKED = Path(__file__).resolve().parents[2] / ".cache" / "prometheus" / "usr" / "bin"

Labels = dict[str, str]


def program_path(name: str) -> Path | None:
    """`prometheus` or `promtool`: this machine's, or the one that `make prometheus` unpacks."""
    path = shutil.which(name) or shutil.which(name, path=_UNPACKED)
    return None if path is None else Path(path)


def check_metrics(promtool: Path, text: str) -> str:
    """What `promtool check metrics` has to say against a text; nothing if all is well."""
    run = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=30, check=False)
    return run.stdout + run.stderr if run.returncode or run.stderr else ""


class Prometheus:
    """A running Prometheus that scrapes one target four times a second: `async with Prometheus(path, folder, target=...) as it`.

    `scrape` is more of its scrape_config.
    """

    def __init__(self, path: Path, folder: Path, *, target: str, scrape: Mapping[str, Any] | None = None) -> None:
        self._port = free_port()
        job = {
            "job_name": "agent",
            "scrape_interval": "250ms",
            "scrape_timeout": "250ms",
            "static_configs": [{"targets": [target]}],
            **(scrape or {}),
        }
        config = folder / "prometheus.yml"
        config.write_text(yaml.safe_dump({"scrape_configs": [job]}))
        arguments: list[str | Path] = [
            path,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address={ADDRESS}:{self._port}",
            "--enable-feature=exemplar-storage",
        ]
        self._process = Process("prometheus", arguments)

    async def ask(self, question: str, **parameters: str) -> Any:
        """The `data` of an answer of the API: `await prometheus.ask("query", query="up")`."""
        url = f"http://{ADDRESS}:{self._port}/api/v1/{question}"
        async with aiohttp.ClientSession() as session, session.get(url, params=parameters) as response:
            answer = await response.json()
        assert answer["status"] == "success", answer
        return answer["data"]

    async def query(self, query: str) -> list[tuple[Labels, float]]:
        """The values of an expression, as of now."""
        data = await self.ask("query", query=query)
        return [(sample["metric"], float(sample["value"][1])) for sample in data["result"]]

    async def wait_for(self, query: str, value: float) -> None:
        """Waits until an expression has one result, and this value."""

        async def reached() -> bool:
            return [found for _labels, found in await self.query(query)] == [value]

        await until(reached, what=f"{query} is {value:g}", timeout_seconds=15, every_seconds=0.1)

    async def _is_ready(self) -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"http://{ADDRESS}:{self._port}/-/ready") as response:
                return bool(response.status == 200)
        except aiohttp.ClientError:
            return False

    async def __aenter__(self) -> Self:
        await self._process.start()
        ready = until(self._is_ready, what="Prometheus is ready", timeout_seconds=30)
        try:
            await self._process.while_alive(ready, what="Prometheus' start", timeout_seconds=30)
        except BaseException:
            await self._process.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._process.stop(timeout_seconds=20)
