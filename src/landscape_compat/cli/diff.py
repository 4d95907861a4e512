"""Tell how the schemas of two databases differ."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from landscape_compat.cli.passphrase import ask_passphrase
from landscape_compat.cli.talk import print_json
from landscape_compat.errors import ExitCode, printable

if TYPE_CHECKING:
    from landscape_compat.landscape.difference import SchemaDifference

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("first", metavar="DB1", help="a path or a SQLAlchemy URL")
    parser.add_argument("second", metavar="DB2", help="another")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--exit-code", action="store_true", help="exit with 5 if they differ")
    parser.set_defaults(says_all=True)  # the result says what the events would


def run(options: argparse.Namespace) -> int:
    """Compare two schemas."""
    from landscape_compat.landscape.difference import diff_databases

    passphrase = ask_passphrase((options.first, options.second))
    found = diff_databases(options.first, options.second, passphrase=passphrase)
    if options.json:
        print_json("diff", found.to_dict())
    else:
        _print(found)
    return ExitCode.DEGRADED if options.exit_code and found else ExitCode.DONE


def _print(found: SchemaDifference) -> None:
    for mark, database, shapes in zip("-+", found.databases, found.shapes, strict=True):
        print(f"{mark * 3} {database}  {', '.join(shapes) or 'no known shape'}")
    for mark, names in (("-", found.only_first), ("+", found.only_second)):
        for name in names:
            print(f"{mark} {printable(name)}")
    for name, first, second in found.kinds:
        print(f"! {printable(name)}: {first} -> {second}")
    for drift in found.tables:
        table = printable(drift.table)
        for mark, columns in (("-", drift.extra_columns), ("+", drift.missing_columns)):
            for column in columns:
                print(f"{mark} {table}.{printable(column.name)} {printable(column.type)}".rstrip())
        for changed in (*drift.changed_types, *drift.noted):
            what = f"{changed.stored or 'no type'} -> {changed.declared or 'no type'}"
            print(f"! {table}.{printable(changed.name)}: {printable(what)}")
    if not found:
        print("The schemas are the same.")
