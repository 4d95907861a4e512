"""Run a Python console command, such as `elspeth explain ...`, with the shim installed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from landscape_compat.errors import LandscapeCompatError

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--posture",
        choices=("degrade", "refuse"),
        default="degrade",
        help="what a degraded database gets: opened read-only (the default), or an error",
    )
    parser.add_argument(
        "words",
        metavar="COMMAND",
        nargs=argparse.REMAINDER,
        help="behind `--`: a console command and its arguments, or `-m MODULE ...`",
    )


def run(options: argparse.Namespace) -> int:
    """Run the command in this process; it exits as if it had been started by itself."""
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        from landscape_compat.cli.talk import complain
        from landscape_compat.errors import ExitCode

        complain("run needs a command, as in: landscape-compat run -- elspeth explain ...")
        return ExitCode.USAGE

    from landscape_compat.landscape.install import install

    install(posture=options.posture)
    command = _command(words)
    result = command()
    # As the script that an installer makes for a command does.
    sys.exit(result)


def _command(words: list[str]) -> Callable[[], Any]:
    if words[0] == "-m":
        return lambda: _run_module(words[1:])
    from importlib.metadata import entry_points

    found = list(entry_points(group="console_scripts", name=words[0]))
    if not found:
        raise LandscapeCompatError(
            f"No Python console command {words[0]!r} is installed beside landscape-compat.",
            remedy="Install both in one environment, or run a module: run -- -m MODULE ...",
        )
    sys.argv = words
    command: Callable[[], Any] = found[0].load()
    return command


def _run_module(words: list[str]) -> None:
    import runpy

    if not words:
        raise LandscapeCompatError("-m needs the name of a module.")
    sys.argv = words
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)
