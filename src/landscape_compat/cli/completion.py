"""Print a script that lets a shell complete commands, options and paths."""

from __future__ import annotations

import argparse

from landscape_compat.errors import ExitCode, LandscapeCompatError

__all__ = ["configure", "run"]

_SHELLS = ("bash", "zsh", "fish", "tcsh")
_PATHS = frozenset({"DB", "DIR", "FILE", "BAG", "NEW"})


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("shell", metavar="SHELL", choices=_SHELLS, help=f"one of {_named()}")


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    try:
        import shtab
    except ImportError:
        raise LandscapeCompatError(
            "Completion scripts are made by shtab, which is not installed.",
            remedy="Install it: pip install 'landscape-compat[completion]'.",
        ) from None
    _take_paths(options.parser, shtab.FILE)
    print(shtab.complete(options.parser, shell=options.shell))
    return ExitCode.DONE


def _take_paths(parser: argparse.ArgumentParser, how: object) -> None:
    """Say of every argument that takes a path that it does."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _take_paths(command, how)
        elif str(action.metavar).rstrip("12.") in _PATHS:
            action.complete = how  # type: ignore[attr-defined]


def _named() -> str:
    return ", ".join(_SHELLS)
