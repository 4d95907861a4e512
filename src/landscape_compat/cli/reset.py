"""Move a stale database aside, so that the host can begin a fresh one; nothing is deleted."""

from __future__ import annotations

import argparse

from landscape_compat.cli.talk import print_json, say
from landscape_compat.errors import ExitCode, printable

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "database", metavar="DB", help="a path or a SQLAlchemy URL of a SQLite file"
    )
    parser.add_argument(
        "--target",
        metavar="SHAPE",
        help="the schema of the host that is to run: a name, commit, epoch or date (see "
        "`versions`); the newest if not given",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(says_all=True)  # why it is stale is not what was asked


def run(options: argparse.Namespace) -> int:
    """Move a database aside."""
    from landscape_compat.migrate.aside import reset_database

    moved = reset_database(options.database, target=options.target)
    if options.json:
        print_json(
            "reset",
            {
                "database": printable(moved.database),
                "aside": printable(moved.aside),
                "sidecars": list(moved.sidecars),
                "sha256": moved.sha256,
                "shape": list(moved.shape),
            },
        )
        return ExitCode.DONE
    for suffix in ("", *moved.sidecars):
        print(f"{printable(moved.database)}{suffix} -> {printable(moved.aside)}{suffix}")
    if not options.quiet:
        say("The host makes a fresh database in its place when it next runs.")
    return ExitCode.DONE
