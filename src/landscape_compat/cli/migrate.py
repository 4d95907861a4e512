"""Make a new database in the wanted shape from an old one, and the proof that both are the same."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from landscape_compat.cli.standins import add_stand_ins
from landscape_compat.cli.talk import print_json
from landscape_compat.errors import ExitCode, RowsRefusedError, count_of, printable

if TYPE_CHECKING:
    from landscape_compat.migrate.making import Migration

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "database", metavar="DB", help="a path, or a SQLAlchemy URL of SQLite or PostgreSQL"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="NEW",
        required=True,
        help="the file to make; the proof gets its name with .intoto.json behind it. Or the URL of "
        "an empty database on PostgreSQL",
    )
    parser.add_argument(
        "--proof", metavar="FILE", help="where the proof of a database on a server goes"
    )
    wanted = parser.add_mutually_exclusive_group()
    wanted.add_argument(
        "--to",
        metavar="SHAPE",
        help="the wanted shape: a name, commit, epoch or date (see `versions`); the newest if "
        "not given",
    )
    wanted.add_argument(
        "--host",
        action="store_true",
        help="have the ELSPETH that is installed beside this make the empty database",
    )
    parser.add_argument(
        "--keep-extra",
        action="store_true",
        help="carry tables and columns that the new shape does not know",
    )
    parser.add_argument(
        "--quarantine",
        action="store_true",
        help="write rows that the new shape refuses to side tables instead of stopping",
    )
    add_stand_ins(
        parser,
        "with --host: what is to stand in a column that the host does not let be NULL and that "
        "was never recorded; once for each",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(says_all=True)  # the result says what the events would


def run(options: argparse.Namespace) -> int:
    """Migrate a database."""
    from landscape_compat.migrate.migration import migrate_database

    try:
        made = migrate_database(
            options.database,
            options.output,
            to=options.to,
            host=options.host,
            keep_extra=options.keep_extra,
            quarantine=options.quarantine,
            stand_ins=dict(options.stand_ins),
            proof=options.proof,
        )
    except RowsRefusedError as error:
        if options.json:
            print_json("migrate", {"path": None, "refused": list(error.rows)})
        else:
            print("".join(f"refused   {row}\n" for row in error.rows), end="")
        raise
    if options.json:
        paths = {"path": printable(made.path), "proof": printable(made.proof)}
        print_json("migrate", {**paths, "target": made.target, **made.done.to_dict()})
    else:
        _print(made)
    return ExitCode.DONE


def _print(made: Migration) -> None:
    done = made.done
    print(f"made      {printable(made.path)}")
    print(f"as        {made.target}")
    proven = f"{count_of(done.rows, 'row')} in {count_of(len(done.tables), 'table')}"
    print(f"proven    {proven}, the same on both sides")
    print(f"proof     {printable(made.proof)}")
    for table, columns in done.filled.items():
        for told in columns:
            print(f"filled    {printable(table)}.{printable(told['column'])} ({told['rule']})")
    for name in done.absent_tables:
        print(f"absent    {printable(name)}: empty, because the old database has no such table")
    for name in done.absent:
        note = ", which the new shape says is never NULL" if name in done.relaxed else ""
        print(f"absent    {printable(name)}: NULL throughout{note}")
    copied = {table.name for table in done.tables}
    for name, count in done.left_out.items():
        if name.startswith(("view ", "trigger ", "index ")):
            what = "definition"
        else:  # of a table's column, or of a table, which may have a dot in its name, too
            what = "value" if name.partition(".")[0] in copied else "row"
        if count:
            print(f"left out  {printable(name)}: {count_of(count, what)}")
    for table, count in done.own.items():
        old = count_of(count, "old row")
        print(f"host's    {printable(table)}: the host's own; {old} not copied")
    for row in done.quarantined:
        print(f"refused   {printable(row)}")
