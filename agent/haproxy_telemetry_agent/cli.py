"""The command line: ``run``, ``tail``, ``config``, ``check-config``, ``schema``, ``attributes``, ``metrics``, ``version``.

Exit codes: 0 fine, 1 the agent could not start or be followed, 2 wrong usage or wrong settings.
"""

import argparse
import asyncio
import contextlib
import gc
import io
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import get_args

import msgspec

from .guide import render_guide
from .listener import ListenError
from .live_settings import LiveSettings
from .logs import configure_logging
from .planning import make_plan
from .reference import render_reference
from .service_manager import ServiceManager
from .settings import (
    Change,
    Loaded,
    Settings,
    SettingsError,
    changed_settings,
    duration_seconds,
    load_settings,
    schema,
    with_profile,
)
from .settings.types import Duration
from .settings_file import SettingsFile
from .supervisor import RESTARTS_VARIABLE, supervise
from .version import VERSION
from .wiring import Plan, Profile, render_frontend, render_sections, render_spoe, render_tcp_frontend

__all__ = ["main"]

PROGRAM = "haproxy-telemetry-agent"
_OK, _FAILED, _MISUSED = 0, 1, 2
_GARBAGE_COLLECTION_THRESHOLD = 20_000
_LOOK_SECONDS = 1.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_MAX_KILL_AFTER_SECONDS = 86_400.0
_MAX_WORKERS = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        exit_code: int = options.run(options)
    except SettingsError as error:
        return _complain(str(error), _MISUSED)
    except ListenError as error:
        return _complain(str(error), _FAILED)
    except BrokenPipeError:
        # What reads our output has had enough; nothing more may be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _OK
    return exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="OpenTelemetry traces from a stock HAProxy.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, text: str, *, settings: bool = True) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        if settings:
            sub.add_argument("--config", type=Path, metavar="FILE", help="settings file (YAML); everything has a default")
        return sub

    run = command("run", _run, "Run the agent until SIGTERM or SIGINT.")
    run.add_argument("--supervise", action="store_true", help="stay, as PID 1 of a container does, and restart the agent in place")
    run.add_argument(
        "--kill-after",
        type=_seconds,
        default=25.0,
        metavar="SECONDS",
        help="with --supervise: how long the agent may take to end after SIGTERM (%(default)g)",
    )
    run.add_argument(
        "--workers",
        type=_worker_count,
        default=1,
        metavar="N",
        help="with --supervise: how many agents share the ports; each has a port of its own for HTTP, from listen.http upwards",
    )
    tail = command("tail", _tail, "Follow a running agent: its exchanges as they end, with their spans.")
    tail.add_argument("--url", metavar="URL", help="where the agent's listen.http is (default: what the settings say)")
    tail.add_argument("--errors", action="store_true", help="only errors")
    tail.add_argument("--slower-than", type=_duration, metavar="TIME", help="only what took at least as long, such as 500ms")
    tail.add_argument("--frontend", metavar="NAME", help="only what came to this frontend of HAProxy's")
    tail.add_argument("--unsampled", action="store_true", help="what was not sampled, too: it has no spans")
    tail.add_argument("--ca-file", metavar="FILE", help="whose certificates the agent may have (default: its own, or the system's)")
    tail.add_argument("--certificate-file", metavar="FILE", help="our certificate, for an agent that asks for one")
    tail.add_argument("--key-file", metavar="FILE", help="its key")
    tail.add_argument("--json", action="store_true", help="a line of JSON for each exchange")
    config = command("config", _config, "Print what goes into HAProxy's configuration, and where.")
    config.add_argument(
        "--profile", choices=get_args(Profile), help="as `profile` in the settings, which must say the same to `run`"
    )
    config.add_argument(
        "--section", choices=("spoe", "sections", "frontend", "tcp-frontend"), help="print only this part, ready for a file"
    )
    config.add_argument(
        "--spoe-path", default=Plan().spoe_path, metavar="PATH", help="where HAProxy finds the SPOE file (%(default)s)"
    )
    command("check-config", _check_config, "Check the settings and say where each is from.")
    command("schema", _schema, "Print the JSON Schema of the settings file.", settings=False)
    command("attributes", _attributes, "Print what spans say: a reference of all attributes, in Markdown.", settings=False)
    command("metrics", _metrics, "Print what /metrics says: a reference of all metrics, in Markdown.", settings=False)
    command("version", _version, "Print the version.", settings=False)
    return parser


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= (seconds := float(text)) <= _MAX_KILL_AFTER_SECONDS:
            return seconds
    raise argparse.ArgumentTypeError(f"{text!r}: expected 0 to {_MAX_KILL_AFTER_SECONDS:g} seconds")


def _worker_count(text: str) -> int:
    if text.isascii() and text.isdecimal() and 1 <= (count := int(text[:9])) <= _MAX_WORKERS:
        return count
    raise argparse.ArgumentTypeError(f"{text!r}: expected 1 to {_MAX_WORKERS}")


def _duration(text: str) -> float:
    try:
        return duration_seconds(msgspec.convert(text, Duration))
    except msgspec.ValidationError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number with us, ms, s or m, such as 500ms") from None


def _run(options: argparse.Namespace) -> int:
    if options.supervise:
        config = [] if options.config is None else ["--config", str(options.config)]
        supervise(["run", *config], kill_after_seconds=options.kill_after, workers=options.workers)
    elif options.workers > 1:
        return _complain("--workers: several of them need --supervise, which keeps them running", _MISUSED)
    # Until there is something to be read again; the default would be the end.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    file = SettingsFile(options.config, os.environ)
    loaded = file.load()
    settings = loaded.settings
    _configure_logging(settings)
    logger = logging.getLogger(PROGRAM)
    logger.info("%s %s, profile %s", PROGRAM, VERSION, settings.profile)
    for warning in loaded.warnings:
        logger.warning("%s", warning)
    return asyncio.run(_serve(file, loaded))


async def _serve(file: SettingsFile, loaded: Loaded) -> int:
    # Imported here: `config` and `version` need neither the SDK nor aiohttp.
    from .service import Service  # noqa: PLC0415
    from .worker import Worker  # noqa: PLC0415

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    worker = Worker.from_environ(os.environ)
    service = Service(loaded.settings, os.environ, worker_restarts=_worker_restarts(os.environ), worker=worker)
    for line in changed_settings(loaded.settings, loaded.sources):
        logging.getLogger(PROGRAM).info("setting: %s", line)
    manager = ServiceManager(os.environ, pid=os.getpid())

    def apply(settings: Settings) -> Change:
        change = service.apply(settings)
        if any(field.startswith("log.") for field in change.live):
            _configure_logging(settings)
        return change

    def reload() -> None:
        if stop.is_set():
            return
        manager.reloading(time.monotonic())
        service.reload_routes()
        live.reload()
        manager.ready()

    live = LiveSettings(file=file, loaded=loaded, apply=apply, telemetry=service.telemetry)
    service.window.origin = lambda: live.origin
    loop.add_signal_handler(signal.SIGHUP, reload)
    await service.start()
    manager.ready()
    tasks = [asyncio.create_task(_every(_LOOK_SECONDS, live.look))]
    if manager.watchdog_seconds is not None:
        tasks.append(asyncio.create_task(_every(manager.watchdog_seconds / 2, manager.alive)))
    # What exists now lives as long as the process, what a request makes goes by itself: neither is worth a search for cycles.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_COLLECTION_THRESHOLD, 10, 10)
    await stop.wait()
    manager.stopping()
    for task in tasks:
        task.cancel()
    await service.stop()
    _ignore_signals(loop)
    return _OK


def _ignore_signals(loop: asyncio.AbstractEventLoop) -> None:
    """The loop gives its signals back when it closes: one that comes then must not spoil the exit code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    for number in _SIGNALS:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)


async def _every(seconds: float, act: Callable[[], object]) -> None:
    while True:
        await asyncio.sleep(seconds)
        act()


def _configure_logging(settings: Settings) -> None:
    configure_logging(level=settings.log.level, format=settings.log.format, stream=sys.stderr)


def _worker_restarts(environ: Mapping[str, str]) -> int:
    text = environ.get(RESTARTS_VARIABLE, "")
    return int(text) if text.isascii() and text.isdecimal() else 0


def _tail(options: argparse.Namespace) -> int:
    from .tail import TailError, TlsOptions, follow, target_of_address, target_of_url, write_events  # noqa: PLC0415 - only this needs it

    wanted = {
        "errors": "true" if options.errors else None,
        "slowerThanSeconds": None if options.slower_than is None else repr(options.slower_than),
        "frontend": options.frontend,
        "unsampled": "true" if options.unsampled else None,
    }
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        if options.url is None:
            listen = load_settings(options.config, os.environ).settings.listen
            target = target_of_address(listen.http, listen.http_tls.certificate_file)
        else:
            target = target_of_url(options.url)
        tls = TlsOptions(options.ca_file, options.certificate_file, options.key_file)
        lines = follow(target, {name: value for name, value in wanted.items() if value is not None}, tls)
        write_events(lines, sys.stdout, sys.stderr, as_json=options.json, environ=os.environ)
    except ValueError as error:
        return _complain(f"--url: {error}", _MISUSED)
    except TailError as error:
        return _complain(str(error), _FAILED)
    except KeyboardInterrupt:
        pass
    return _OK


def _config(options: argparse.Namespace) -> int:
    settings = load_settings(options.config, os.environ).settings
    if options.profile is not None:
        settings = with_profile(settings, options.profile)
    plan = make_plan(settings, spoe_path=options.spoe_path)
    if options.section == "spoe" and plan.profile == "Stream":
        raise SettingsError("profile: 'Stream': has no SPOE file, HAProxy never asks: leave `--section spoe` and the file out")
    render: dict[str, Callable[[Plan], str]] = {
        "spoe": render_spoe,
        "sections": render_sections,
        "frontend": render_frontend,
        "tcp-frontend": lambda _plan: render_tcp_frontend(),
    }
    print(render[options.section](plan) if options.section else render_guide(plan), end="")  # noqa: T201
    return _OK


def _check_config(options: argparse.Namespace) -> int:
    loaded = load_settings(options.config, os.environ)
    from .endpoint_tls import make_endpoint_tls  # noqa: PLC0415 - as in _serve
    from .exporters import check_exporters  # noqa: PLC0415
    from .parts import load_routes  # noqa: PLC0415
    from .samplers import make_sampler  # noqa: PLC0415

    check_exporters(loaded.settings)
    make_sampler(loaded.settings.sampling)
    make_endpoint_tls(loaded.settings.listen.http_tls)
    load_routes(loaded.settings)
    for warning in loaded.warnings:
        print(f"warning: {warning}")  # noqa: T201
    for line in changed_settings(loaded.settings, loaded.sources):
        print(line)  # noqa: T201
    print("The settings are valid; what is not listed has its default.")  # noqa: T201
    return _OK


def _schema(_options: argparse.Namespace) -> int:
    print(json.dumps(schema(), indent=2))  # noqa: T201
    return _OK


def _attributes(_options: argparse.Namespace) -> int:
    print(render_reference(), end="")  # noqa: T201
    return _OK


def _metrics(_options: argparse.Namespace) -> int:
    from .metrics_reference import render_metrics_reference  # noqa: PLC0415 - as in _serve

    print(render_metrics_reference(), end="")  # noqa: T201
    return _OK


def _version(_options: argparse.Namespace) -> int:
    print(f"{PROGRAM} {VERSION}")  # noqa: T201
    return _OK


def _complain(text: str, exit_code: int) -> int:
    print(f"{PROGRAM}: {text}", file=sys.stderr)  # noqa: T201
    return exit_code
