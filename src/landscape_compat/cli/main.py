"""The parser, and what becomes of a command's result: an exit code."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import NoReturn

from landscape_compat.cli import (
    alembic,
    check,
    completion,
    diff,
    doctor,
    explain,
    export,
    inspect,
    migrate,
    reset,
    run,
    verify,
    versions,
)
from landscape_compat.cli.passphrase import VARIABLE
from landscape_compat.cli.talk import complain, say, set_up_logging
from landscape_compat.errors import (
    DegradedDatabaseError,
    ExitCode,
    LandscapeCompatError,
    NotALandscapeError,
    OpeningRefusedError,
    UnreadableError,
)

__all__ = ["main", "make_parser"]

_COMMANDS = (
    inspect,
    check,
    doctor,
    diff,
    explain,
    export,
    verify,
    migrate,
    alembic,
    reset,
    run,
    versions,
    completion,
)

# What a person may ask next, where a command could not do its work.
_NEXT = {
    OpeningRefusedError: "doctor {}",
    UnreadableError: "doctor {}",
    NotALandscapeError: "doctor {}",
    DegradedDatabaseError: "inspect {}",
}


_LAST_STREAM = 2  # the descriptor of standard error

# They write a database, which they never encrypt.
_NEVER_DECRYPTING = frozenset({"migrate", "reset", "alembic"})


class _Parser(argparse.ArgumentParser):
    """A parser that says what a mistyped word may have meant, and where to read on."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        # Before Python 3.14, argparse does not guess.
        wrong = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if wrong and "did you mean" not in message:
            import difflib

            choices = [choice.strip(" '") for choice in wrong[2].split(",")]
            close = difflib.get_close_matches(wrong[1], choices, n=1)
            message += f"; did you mean {close[0]!r}?" if close else ""
        say(f"{self.prog}: {message}")
        say(f"See: {self.prog} --help")
        self.exit(ExitCode.USAGE)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the whole command line."""
    parser = _Parser(
        prog="landscape-compat",
        description="Read any ELSPETH audit database, of any version, without changing it.",
        epilog="Exit: 0 done, 1 operational error, 2 usage, 3 interrupted, 4 integrity, "
        "5 degraded (by check, or where asked for), 6 unreadable.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for command in _COMMANDS:
        name = command.__name__.rpartition(".")[2]
        summary = (command.__doc__ or "").splitlines()[0].rstrip(".")
        sub = commands.add_parser(
            name, help=summary[0].lower() + summary[1:], description=command.__doc__
        )
        command.configure(sub)
        sub.add_argument(
            "-q", "--quiet", action="store_true", help="leave out warnings and progress"
        )
        sub.set_defaults(run=command.run, says_all=sub.get_default("says_all") or False)
    parser.set_defaults(parser=parser)  # for what speaks of the whole command line
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The arguments after the program's name; those of the process if not given.

    Returns:
        The exit code.
    """
    _have_streams()
    try:
        code = _run(arguments)
        sys.stdout.flush()  # of help and version, too
    except OSError as error:
        return _told(error, argparse.Namespace())
    except KeyboardInterrupt as stop:
        what = "Interrupted; no file was left half-written, and what was done stays done."
        done = (getattr(error, "__notes__", ()) for error in (stop, stop.__cause__))
        complain(" ".join((what, *chain.from_iterable(done))))
        _wait_for_no_reader()
        return ExitCode.INTERRUPTED
    return code


def _have_streams() -> None:
    """Put what gives and takes nothing where whoever started the program closed a stream.

    What is said to no standard error would else be printed among the results, and a file that is
    opened later would get the descriptor, and with it what programs that we start say.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST_STREAM:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115


def _run(arguments: Sequence[str] | None) -> int:
    parser = make_parser()
    try:
        options = parser.parse_args(arguments)
    except SystemExit as stop:
        if stop.code == ExitCode.USAGE:
            _explain_dashes(sys.argv[1:] if arguments is None else arguments)
        return int(stop.code or 0)
    if options.version:
        from importlib.metadata import version

        print(f"landscape-compat {version('landscape-compat')}")
        return ExitCode.DONE
    if options.command is None:
        parser.print_help(sys.stderr)
        return ExitCode.USAGE
    with _noted_interrupts(options) as interrupts:
        try:
            set_up_logging(quiet=options.quiet or options.says_all)
            code = int(options.run(options))
            sys.stdout.flush()
        except Exception as error:
            if interrupts:
                raise KeyboardInterrupt from error
            return _told(error, options)
    return code


def _explain_dashes(words: Sequence[str]) -> None:
    """Say how to give a name that was taken for options."""
    # One that looks like a file's; of another, argparse says what is wrong.
    word = next((word for word in words if re.match("-[^-].*[./]", word)), None)
    if word is not None:
        say(f"If {word} is a name, put -- before it, or = between an option and it.")


@contextmanager
def _noted_interrupts(options: argparse.Namespace) -> Iterator[list[int]]:
    """Note each interrupt, also where it becomes another error on its way.

    Raised while SQLite asks whether a statement may run, an interrupt becomes "not authorized";
    while Python 3.11 makes a class, a RuntimeError; and cleaning up after it may fail.
    """
    noted: list[int] = []

    def interrupted(number: int, frame: FrameType | None) -> NoReturn:
        noted.append(number)
        raise KeyboardInterrupt

    usual = signal.getsignal(signal.SIGINT)
    # Only the main thread is interrupted. A program that `run` runs finds what Python set up, which
    # asyncio looks for.
    ours = (
        usual is signal.default_int_handler
        and options.run is not run.run
        and threading.current_thread() is threading.main_thread()
    )
    if ours:
        signal.signal(signal.SIGINT, interrupted)
    try:
        yield noted
    finally:
        if ours:
            signal.signal(signal.SIGINT, usual)


def _told(error: Exception, options: argparse.Namespace) -> int:
    """Give an error one line and its exit code; let a bug of ours be seen."""
    if isinstance(error, LandscapeCompatError):
        complain(f"{error}{_next_command(error, options)}")
        return error.exit_code
    if isinstance(error, OSError):
        _let_go_of_output()
        # Where it is a closed pipe, whoever read our output has seen enough.
        if not isinstance(error, BrokenPipeError):
            complain(f"{error.strerror or error}: {error.filename or 'the file in hand'}")
        return ExitCode.OPERATIONAL
    from sqlalchemy.exc import SQLAlchemyError

    if not isinstance(error, (SQLAlchemyError, UnicodeDecodeError)):
        raise error
    complain(f"The database could not be read: {str(error).splitlines()[0]}")
    return ExitCode.OPERATIONAL


def _let_go_of_output() -> None:
    """Forget what standard output does not take: Python would try again at exit, and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        _forget_output()


def _wait_for_no_reader() -> None:
    """Forget what standard output does not take at once; Python would wait for that at exit."""
    import select

    with suppress(OSError, ValueError):  # it is no file
        if not select.select((), (sys.stdout,), (), 0)[1]:
            _forget_output()


def _forget_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _next_command(error: LandscapeCompatError, options: argparse.Namespace) -> str:
    if isinstance(error, OpeningRefusedError) and error.refusal in ("encrypted", "wrong-key"):
        if options.command in _NEVER_DECRYPTING:
            return " This command reads no encrypted database: decrypt a copy."
        return (
            f" The passphrase is taken from the environment variable {VARIABLE}, or asked for on a "
            "terminal."
        )
    database = getattr(options, "database", None)
    command = next((text for kind, text in _NEXT.items() if isinstance(error, kind)), None)
    if command is None or not isinstance(database, str):
        return ""
    if command.partition(" ")[0] == options.command:
        return ""
    if "://" in database:
        database = "DB"  # a URL may hold a password
    return f" Next: landscape-compat {command.format(shlex.quote(database))}"
