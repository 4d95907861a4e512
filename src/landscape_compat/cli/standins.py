"""The option that names what is to stand where the host insists on a value nobody recorded."""

from __future__ import annotations

import argparse

__all__ = ["add_stand_ins"]


def add_stand_ins(parser: argparse.ArgumentParser, help_: str) -> None:
    """Add `--stand-in`, which may be given once for each column.

    Args:
        parser: The command's arguments.
        help_: What it does there.
    """
    parser.add_argument(
        "--stand-in",
        metavar="TABLE.COLUMN=TEXT",
        dest="stand_ins",
        type=_stand_in,
        action="append",
        default=[],
        help=help_,
    )


def _stand_in(given: str) -> tuple[str, str]:
    path, equals, text = given.partition("=")
    if not equals or not all(path.partition(".")):
        raise argparse.ArgumentTypeError(f"{given!r} is not of the form TABLE.COLUMN=TEXT")
    return path, text
