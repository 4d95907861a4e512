"""Tell which schema a database has, and what it lacks against the newest known one."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from landscape_compat.cli.talk import print_json, print_table
from landscape_compat.errors import ExitCode, printable

if TYPE_CHECKING:
    from landscape_compat.engine.report import SchemaReport, TableReport
    from landscape_compat.schema.known import Identification

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("database", metavar="DB", help="a path or a SQLAlchemy URL")
    parser.add_argument(
        "--target",
        metavar="SHAPE",
        help="measure against this shape: a name, commit, epoch or date (see `versions`)",
    )
    parser.add_argument("--table", metavar="TABLE", help="show this table only")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--exit-code", action="store_true", help="exit with 5 if the database is degraded"
    )
    parser.set_defaults(says_all=True)  # the report says what the events would


def run(options: argparse.Namespace) -> int:
    """Inspect a database."""
    from landscape_compat.landscape.inspection import inspect_landscape

    report = inspect_landscape(options.database, target=options.target)
    if options.table:
        try:
            table = report.table(options.table)
        except KeyError:
            from landscape_compat.errors import LandscapeCompatError

            raise LandscapeCompatError(
                f"The target declares no table {printable(options.table)!r}.",
                remedy="See the tables by `inspect` without --table.",
            ) from None
        if options.json:
            print_json("inspect-table", table.to_dict())
        else:
            _print_table(table)
    elif options.json:
        print_json("inspect", report.to_dict())
    else:
        _print_report(report)
    return ExitCode.DEGRADED if options.exit_code and report.degraded else ExitCode.DONE


def _print_report(report: SchemaReport) -> None:
    print(f"database  {report.database}")
    print(f"opened    {report.opened}")
    if report.identification is not None:
        _print_shape(report.identification)
    print(f"target    {report.target}")
    print(f"verdict   {'degraded' if report.degraded else 'current'}")
    degraded = [table for table in report.tables if table.is_degraded]
    if degraded:
        print()
        print_table(
            ("TABLE", "FINGERPRINT", "MISSING OR REPLACED"),
            ((t.name, t.fingerprint or "-", _summary(t)) for t in degraded),
        )
    extra = [(t.name, c.name) for t in report.tables for c in t.drift.extra_columns]
    if extra or report.extra_tables:
        print()
        for table in report.extra_tables:
            print(f"stored but not declared: table {printable(table)}")
        for table, column in extra:
            print(f"stored but not declared: {printable(table)}.{printable(column)}")


def _print_shape(found: Identification) -> None:
    said = {"exact": "exactly", "tie": "exactly, and not to be told apart", "nearest": "nearest"}
    for known in found.nearest:
        dates = f"{known.first_date} to {known.last_date}"
        epochs = ", ".join(map(str, known.epochs)) or "none"
        away = f", {found.distance} columns away" if found.distance else ""
        print(f"shape     {known.name} ({said[found.confidence]}{away}; {dates}; epochs {epochs})")
    if not found.nearest:
        print("shape     none of the known ones comes near")
    for note in found.notes:
        print(f"note      {printable(note)}")


def _summary(table: TableReport) -> str:
    if table.drift.missing_table:
        return "the whole table"
    said = [f"{c.column} ({c.kind}{', stored' if c.stored else ''})" for c in table.filled]
    said += [f"{c.name} ({c.stored}, not {c.declared})" for c in table.drift.changed_types]
    return ", ".join(said)


def _print_table(table: TableReport) -> None:
    print(f"table        {printable(table.name)}")
    print(f"fingerprint  {table.fingerprint.digest if table.fingerprint else 'not stored'}")
    print(f"verdict      {'degraded' if table.is_degraded else 'as declared'}")
    if table.drift.missing_table:
        print("The whole table is missing: it reads as no rows, and is reported as absent.")
        return
    for column in table.filled:
        print(f"{column.column}: {column.kind}. {column.refusal or column.why}")
    for changed in (*table.drift.changed_types, *table.drift.noted):
        print(f"{printable(changed.name)}: stored {changed.stored}, declared {changed.declared}")
    for extra in table.drift.extra_columns:
        print(f"{printable(extra.name)}: stored but not declared")
