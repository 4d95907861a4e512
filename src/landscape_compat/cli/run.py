"""Run a Python console command, such as `elspeth explain ...`, with the shim installed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from landscape_compat.cli.standins import add_stand_ins
from landscape_compat.errors import ExitCode, LandscapeCompatError

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--posture",
        choices=("degrade", "refuse", "migrate"),
        default="degrade",
        help="what a degraded database gets: opened read-only (the default), an error, or, for "
        "writing, brought forward with the original kept beside it",
    )
    add_stand_ins(
        parser,
        "with --posture migrate: what is to stand in a column that the host does not let be NULL "
        "and that was never recorded; once for each",
    )
    parser.add_argument(
        "words",
        metavar="COMMAND",
        nargs=argparse.REMAINDER,
        help="behind `--`: a console command and its arguments, or `-m MODULE ...`",
    )


def run(options: argparse.Namespace) -> int:
    """Run the command in this process; it ends as if it had been started by itself."""
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        from landscape_compat.cli.talk import complain

        complain("run needs a command, as in: landscape-compat run -- elspeth explain ...")
        return ExitCode.USAGE

    from landscape_compat.migrate.posture import install

    _hand_over_logging()
    install(posture=options.posture, stand_ins=dict(options.stand_ins))
    try:
        result = _command(words)()
    except (LandscapeCompatError, SystemExit):
        raise
    except BaseException as error:
        _die_of(error)
    # As the script that an installer makes for a command does.
    sys.exit(result)


def _command(words: list[str]) -> Callable[[], Any]:
    if words[0] == "-m":
        return _module(words[1:])
    from importlib.metadata import entry_points
    from pathlib import Path

    # People also name a command by its path.
    found = list(entry_points(group="console_scripts", name=Path(words[0]).name))
    if not found:
        raise LandscapeCompatError(
            f"No Python console command {words[0]!r} is installed beside landscape-compat.",
            remedy="Install both in one environment, or run a module: run -- -m MODULE ...",
        )
    sys.argv = words
    # Programs name themselves by this; run by `python -m`, it would be our name.
    sys.modules["__main__"].__package__ = None
    command: Callable[[], Any] = found[0].load()
    return command


def _module(words: list[str]) -> Callable[[], Any]:
    import runpy
    from importlib.util import find_spec
    from pathlib import Path

    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as `python -m` does
    if not words:
        raise LandscapeCompatError(
            "-m needs the name of a module.", remedy="Give it: run -- -m MODULE ..."
        )
    name = words[0]
    try:
        found, why = find_spec(name) is not None, ""
    except (ImportError, ValueError) as error:
        found, why = False, f" ({error})"
    if not found:
        raise LandscapeCompatError(
            f"There is no module {name!r} to run{why}.",
            remedy="Check the name, and that it can be imported from here.",
        )
    sys.argv = words
    return lambda: runpy.run_module(name, run_name="__main__", alter_sys=True) and None


def _hand_over_logging() -> None:
    """Leave logging to the command, as it finds it when it is started by itself."""
    import structlog

    from landscape_compat.engine import notices

    logger = structlog.get_logger("landscape_compat").bind()
    structlog.reset_defaults()

    def tell(event: str, **fields: Any) -> None:
        logger.warning(f"landscape_compat.{event}", **fields)

    # Not through what the command sets up: that may print to standard output, which is its own.
    notices.emit = tell


def _die_of(error: BaseException) -> NoReturn:
    """End as the interpreter does when nobody catches an error, our own frames left out."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    sys.excepthook(type(error), error.with_traceback(trace), trace)
    if isinstance(error, KeyboardInterrupt):  # pragma: no cover - ends by it, test_signals
        import atexit
        import signal

        # So that whoever started us sees that it was the signal.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    sys.exit(1)
