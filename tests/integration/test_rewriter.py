"""Rewritten configurations before every real HAProxy: as valid as they were, without a new warning; and live: traced, with the
user's own log as it was, byte for byte.
"""

import asyncio
import contextlib
import random
import re
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from haproxy_telemetry_agent.wiring import Capture, Plan, render_spoe
from haproxy_telemetry_operator.rewriter import Insertions, rewrite
from haproxy_telemetry_operator.rewriter.tokens import read_words
from support.agent import Agent
from support.configurations import CONFIGURATIONS, FILES, Configuration
from support.haproxies import FoundHAProxy
from support.haproxy import HAProxy
from support.otlp_sink import OtlpSink
from support.ports import ADDRESS, free_port
from support.raw_client import request_head, single_request
from support.upstream import Upstream

CAPTURES = (Capture("r.content-type", "res.fhdr(content-type)", "response"),)
"""So that there are lines for the end of a section, too."""
PLANS = {
    "Standard": Plan(spoe_path="spoe.cfg", captures=CAPTURES),
    "Stream": Plan("Stream", spoe_path="spoe.cfg", captures=CAPTURES),
}
VALID = (0, 2)
"""HAProxy says 2 of a configuration without a listener."""


class Verdict(NamedTuple):
    """What `haproxy -c` says."""

    status: int
    complaints: Counter[str]
    """Warnings and alerts, without line numbers."""


def check(found: FoundHAProxy, folder: Path, texts: Sequence[str], environment: Mapping[str, str]) -> Verdict:
    folder.mkdir()
    for name, text in {**FILES, "spoe.cfg": render_spoe(PLANS["Standard"])}.items():
        (folder / name).write_text(text)
    arguments: list[str] = []
    for number, text in enumerate(texts):
        (folder / f"{number}.cfg").write_bytes(text.encode("utf-8", "surrogateescape"))
        arguments += ["-f", f"{number}.cfg"]
    run = subprocess.run([found.path, "-c", *arguments], cwd=folder, env=environment, capture_output=True, timeout=20, check=False)
    output = (run.stdout + run.stderr).decode(errors="replace")
    # Behind a SPOE filter HAProxy forgets in which kind of section it is.
    plain = re.sub(r":\d+|\(\d+\)", "", re.sub(r"in (section )?'(frontend|listen|\(null\))'", "in it", output))
    return Verdict(run.returncode, Counter(re.findall(r"^\[(?:WARNING|ALERT)\].*$", plain, re.MULTILINE)))


@pytest.mark.parametrize("configuration", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_a_rewritten_configuration_is_as_valid_as_before(
    found_haproxy: FoundHAProxy, configuration: Configuration, tmp_path: Path
) -> None:
    before = check(found_haproxy, tmp_path / "before", configuration.texts, configuration.environment)
    assert (before.status in VALID) is configuration.is_valid_for(found_haproxy.version), before
    for name, plan in PLANS.items():
        rewriting = rewrite(configuration.texts, Insertions.of_plan(plan))
        after = check(found_haproxy, tmp_path / name, rewriting.texts, configuration.environment)
        assert after.status == before.status, after
        assert after.complaints - before.complaints == Counter()


PIECES = [
    *" \t\v\f#'\"\\$x{}[]*-4b\r",
    '"',
    '"',
    "''",
    "\\x41",
    "${A}",
    '\\"',
    '"$A"',
    '"${A-b c}"',
    '"${A[*]}"',
    "\\$",
    "\\ ",
    "\\q",
]


UNREADABLE = re.compile(r"parsing \[x.cfg:(\d+)\]: (?:unmatched|truncated|forbidden)")


def lines_of_words(count: int) -> dict[str, str]:
    """Lines of whatever means something to HAProxy, by a word at their beginning."""
    chosen = random.Random(count)
    lines = {}
    for number in range(count):
        text = "".join(chosen.choice(PIECES) for _ in range(chosen.randint(0, 12)))
        # Of these two together nobody knows what HAProxy makes.
        lines[f"v{number}"] = text.replace("\r", " ") if '"$' in text else text
    return lines


def test_words_are_those_that_haproxy_reads(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    lines = lines_of_words(1500)
    words = {name: read_words(f"setenv {name} x{text}") for name, text in lines.items()}
    # HAProxy gives up after some errors.
    unreadable = [name for name, read in words.items() if read is None]
    for start in range(0, len(unreadable), 10):
        names = unreadable[start : start + 10]
        output = dump(found_haproxy, tmp_path / "x.cfg", names, lines)
        assert {int(number) for number in UNREADABLE.findall(output)} == set(range(2, 2 + len(names))), [
            lines[name] for name in names
        ]
    readable = [name for name, read in words.items() if read is not None]
    output = dump(found_haproxy, tmp_path / "x.cfg", readable, lines)
    assert UNREADABLE.findall(output) == []
    dumped = dict(re.findall(r"^\tsetenv (v\d+) (.*)$", output, re.MULTILINE))
    # HAProxy 2.6 does not know the option.
    assert len(dumped) == (0 if found_haproxy.version.startswith("2.6") else len(readable))
    for name, text in dumped.items():
        read = words[name] or ()
        if not any(word.expands for word in read):
            mine = " ".join(word.text for word in read[2:]).rstrip(" ")
            # Shown is what stands behind an empty word as well, although it means nothing.
            may_have_empty = any(empty in lines[name] for empty in ("''", '""', '"$'))
            assert text.rstrip(" ") == mine or (may_have_empty and text.startswith(f"{mine}  ")), lines[name]
    assert len(unreadable) > 200
    assert len(readable) > 500


def dump(found: FoundHAProxy, path: Path, names: Sequence[str], lines: Mapping[str, str]) -> str:
    """What HAProxy understands of some lines, and what it says of them."""
    path.write_bytes("".join(["global\n", *(f"setenv {name} x{lines[name]}\n" for name in names)]).encode())
    arguments = ["-c", *(() if found.version.startswith("2.6") else ("-dC",)), "-f", path.name]
    run = subprocess.run([found.path, *arguments], cwd=path.parent, env={}, capture_output=True, timeout=20, check=False)
    return (run.stdout + run.stderr).decode().replace("\r", "<CR>")


class Log(asyncio.DatagramProtocol):
    """A log target of the user's."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.lines.append(data)
        task = asyncio.create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def wait_for(self, count: int) -> list[bytes]:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: len(self.lines) >= count)
        return self.lines


@contextlib.asynccontextmanager
async def log_target() -> AsyncIterator[tuple[Log, str]]:
    transport, log = await asyncio.get_running_loop().create_datagram_endpoint(Log, local_addr=(ADDRESS, 0))
    try:
        yield log, f"{ADDRESS}:{transport.get_extra_info('sockname')[1]}"
    finally:
        transport.close()


def users_configuration(log: str, upstream: str, ports: Mapping[str, int]) -> str:
    """Of a user who knows nothing of tracing; nothing in the log changes from run to run."""
    return f"""\
global
    log {log} format raw local0
cache small
    total-max-size 4
    max-age 60
defaults
    mode http
    log global
    timeout connect 1s
    timeout client 3s
    timeout server 3s
    log-format "%ft %b %s %ST %ts %HM %HP %hr"
    compression algo gzip
frontend web
    bind {ADDRESS}:{ports["web"]}
    http-request deny if {{ path /denied }}
    http-request capture req.hdr(user-agent) len 8
    http-request cache-use small if {{ path /cached }}
    http-response set-header cache-control max-age=60 if {{ status 200 }}
    http-response cache-store small
    default_backend app
listen both
    bind {ADDRESS}:{ports["both"]}
    no log
    log {log} format raw local1
    server app1 {upstream}
frontend silent
    bind {ADDRESS}:{ports["silent"]}
    no log
    default_backend app
frontend raw
    mode tcp
    bind {ADDRESS}:{ports["raw"]}
    log-format "%ft %b %s %ts"
    default_backend raw
frontend structured
    bind {ADDRESS}:{ports["structured"]}
    log {log} format rfc5424 local2
    log-format "%ST"
    default_backend app
backend app
    server app1 {upstream}
backend raw
    mode tcp
    server app1 {upstream}
"""


REQUESTS = [
    *(("web", path) for path in ("/", "/status/404", "/denied", "/cached", "/cached", "/close")),
    *(("both", "/status/503"), ("silent", "/"), ("raw", "/"), ("structured", "/")),
]
LOG_LINES = 10
"""None of `silent`, two of `structured`."""
WITHOUT_TIME = re.compile(rb"^<\d+>1 \S+ (\S+ \S+) \d+ ")


async def say_all(ports: Mapping[str, int]) -> None:
    for frontend, path in REQUESTS:
        await single_request(ports[frontend], request_head(path))


def comparable(lines: Sequence[bytes]) -> list[bytes]:
    """All of them, without the time and process id that rfc5424 puts in front."""
    return sorted(WITHOUT_TIME.sub(rb"\1 ", line) for line in lines)


@pytest.mark.asyncio
async def test_a_rewritten_configuration_is_traced_and_logs_as_before(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    ports = {name: free_port() for name in ("web", "both", "silent", "raw", "structured")}
    async with OtlpSink() as sink, Upstream() as upstream, Agent(tmp_path, endpoint=sink.endpoint) as agent:
        agent.spoe_path.write_text(agent.wiring("spoe"))
        # A busy machine's agent may be slow to answer a health check.
        sections = agent.wiring("sections").replace("timeout check 100ms", "timeout check 5s")
        insertions = Insertions(agent.wiring("frontend"), agent.wiring("tcp-frontend"), sections)

        async def logged(rewritten: Callable[[str], str], name: str) -> list[bytes]:
            async with log_target() as (log, address):
                config = rewritten(users_configuration(address, upstream.address, ports))
                async with HAProxy(config, tmp_path / name, binary=found_haproxy.path):
                    await say_all(ports)
                    lines = await log.wait_for(LOG_LINES)
                # HAProxy has ended: what there is to log has been sent.
                await asyncio.sleep(0)
                return comparable(lines)

        def with_tracing(text: str) -> str:
            rewriting = rewrite([text], insertions)
            reasons = {section.name: section.reason and section.reason.code for section in rewriting.sections}
            assert reasons == {"web": None, "both": None, "silent": None, "raw": None, "structured": "LogTargetRfc5424"}
            return rewriting.texts[0]

        before = await logged(str, "before")
        assert len(before) == LOG_LINES
        assert sink.spans == []
        assert await logged(with_tracing, "after") == before

        spans = await sink.wait_for(
            lambda spans: sum(span.kind == "SERVER" for span in spans) >= len(REQUESTS) - 1, timeout_seconds=15
        )
        servers = Counter(span.attributes["haproxy.frontend.name"] for span in spans if span.kind == "SERVER")
        assert servers == Counter(frontend for frontend, _ in REQUESTS if frontend != "structured")
        traced = [request for request in upstream.requests if request.header("traceparent")]
        assert Counter(request.path for request in traced) == {
            "/": 2,
            "/status/404": 1,
            "/cached": 1,
            "/close": 1,
            "/status/503": 1,
        }
