"""The command line: ``run``, ``config``, ``check-config``, ``schema``, ``attributes``, ``metrics``, ``version``.

Exit codes: 0 fine, 1 the agent could not start, 2 wrong usage or wrong settings.
"""

import argparse
import asyncio
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from .guide import render_guide
from .listener import ListenError
from .logs import configure_logging
from .planning import make_plan
from .reference import render_reference
from .settings import Loaded, SettingsError, load_settings, schema, with_profile
from .version import VERSION
from .wiring import Plan, Profile, render_frontend, render_sections, render_spoe, render_tcp_frontend

__all__ = ["main"]

PROGRAM = "haproxy-telemetry-agent"
_OK, _FAILED, _MISUSED = 0, 1, 2
_GARBAGE_COLLECTION_THRESHOLD = 20_000


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

    command("run", _run, "Run the agent until SIGTERM or SIGINT.")
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


def _run(options: argparse.Namespace) -> int:
    loaded = load_settings(options.config, os.environ)
    settings = loaded.settings
    configure_logging(level=settings.log.level, format=settings.log.format, stream=sys.stderr)
    logger = logging.getLogger(PROGRAM)
    logger.info("%s %s, profile %s", PROGRAM, VERSION, settings.profile)
    for warning in loaded.warnings:
        logger.warning("%s", warning)
    return asyncio.run(_serve(loaded))


async def _serve(loaded: Loaded) -> int:
    # Imported here: `config` and `version` need neither the SDK nor aiohttp.
    from .service import Service, describe  # noqa: PLC0415

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    service = Service(loaded.settings, os.environ)
    for line in describe(loaded.settings, loaded.sources):
        logging.getLogger(PROGRAM).info("setting: %s", line)
    loop.add_signal_handler(signal.SIGHUP, service.reload_routes)
    await service.start()
    # What exists now lives as long as the process, what a request makes goes by itself: neither is worth a search for cycles.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_COLLECTION_THRESHOLD, 10, 10)
    await stop.wait()
    await service.stop()
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
    from .service import describe, make_tls  # noqa: PLC0415 - as in _serve

    make_tls(loaded.settings)
    for warning in loaded.warnings:
        print(f"warning: {warning}")  # noqa: T201
    for line in describe(loaded.settings, loaded.sources):
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
