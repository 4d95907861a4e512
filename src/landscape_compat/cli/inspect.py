"""Tell which schema a database has, and what it lacks against the newest known one."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from landscape_compat.cli.passphrase import ask_passphrase
from landscape_compat.cli.runs import naming_runs
from landscape_compat.cli.talk import print_json, print_pairs, print_table, say
from landscape_compat.errors import ExitCode, LandscapeCompatError, count_of, printable

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
    page = parser.add_argument_group("a page to look at")
    page.add_argument(
        "--html", metavar="FILE", help="write one self-contained page of HTML instead"
    )
    page.add_argument("--run", metavar="RUN", dest="run_id", help="draw this run (the latest)")
    page.add_argument(
        "--row", metavar="ROW", dest="row_id", help="draw the way of this row (one that forks)"
    )
    page.add_argument("--force", action="store_true", help="replace an earlier page")
    parser.add_argument(
        "--exit-code", action="store_true", help="exit with 5 if the database is degraded"
    )
    parser.set_defaults(says_all=True)  # the report says what the events would


def run(options: argparse.Namespace) -> int:
    """Inspect a database."""
    if options.html is not None:
        return _page(options)
    if options.run_id is not None or options.row_id is not None or options.force:
        say("landscape-compat: --run, --row and --force belong to --html.")
        return ExitCode.USAGE
    from landscape_compat.landscape.inspection import inspect_landscape

    passphrase = ask_passphrase((options.database,))
    report = inspect_landscape(options.database, target=options.target, passphrase=passphrase)
    if options.table is not None:
        try:
            table = report.table(options.table)
        except KeyError:
            raise _no_table(report, options.table) from None
        if options.json:
            print_json("inspect-table", {"tables": [table.to_dict()]})
        else:
            _print_table(table)
    elif options.json:
        print_json("inspect", report.to_dict())
    else:
        _print_report(report)
    return _code(options, degraded=report.degraded)


def _no_table(report: SchemaReport, name: str) -> LandscapeCompatError:
    import difflib

    close = difflib.get_close_matches(name, [table.name for table in report.tables], n=1)
    meant = f"Did you mean {close[0]!r}? " if close else ""
    return LandscapeCompatError(
        f"The target declares no table {printable(name)!r}.",
        remedy=f"{meant}See the tables by `inspect` without --table.",
    )


def _page(options: argparse.Namespace) -> int:
    if options.table is not None or options.json or options.target is not None:
        say("landscape-compat: --html takes neither --table, --json nor --target.")
        return ExitCode.USAGE
    if options.html == "-":
        say("landscape-compat: a page is not written to standard output; give a file's name.")
        return ExitCode.USAGE
    from landscape_compat.export.page import write_page
    from landscape_compat.landscape.database import open_landscape

    passphrase = ask_passphrase((options.database,))
    with open_landscape(options.database, passphrase=passphrase) as db:
        with naming_runs((db,)):
            path = write_page(
                db, options.html, run_id=options.run_id, row_id=options.row_id, force=options.force
            )
        degraded = db.report().degraded
    print(f"written to {printable(path)}")
    return _code(options, degraded=degraded)


def _code(options: argparse.Namespace, *, degraded: bool) -> int:
    return ExitCode.DEGRADED if options.exit_code and degraded else ExitCode.DONE


def _print_report(report: SchemaReport) -> None:
    shapes = _shape(report.identification) if report.identification else ()
    print_pairs(
        (
            ("database", report.database),
            ("opened", report.opened),
            *shapes,
            ("target", report.target),
            ("verdict", "degraded" if report.degraded else "current"),
        )
    )
    degraded = [table for table in report.tables if table.is_degraded]
    stored = [table for table in degraded if not table.drift.missing_table]
    if stored:
        print()
        print_table(
            ("TABLE", "FINGERPRINT", "MISSING OR REPLACED"),
            ((t.name, t.fingerprint or "-", _summary(t)) for t in stored),
        )
    missing = [table.name for table in degraded if table.drift.missing_table]
    extra = [f"{t.name}.{c.name}" for t in report.tables for c in t.drift.extra_columns]
    lists = {
        f"tables not stored ({len(missing)})": missing,
        "stored but not declared": [*(f"table {name}" for name in report.extra_tables), *extra],
    }
    for term, names in lists.items():
        if names:
            print()
            print_pairs([(f"{term}:", ", ".join(map(printable, names)))])


def _shape(found: Identification) -> Iterator[tuple[str, str]]:
    said = {"exact": "exactly", "tie": "exactly, and not to be told apart", "nearest": "nearest"}
    for known in found.nearest:
        dates = f"{known.first_date} to {known.last_date}"
        epochs = ", ".join(map(str, known.epochs)) or "none"
        away = f", {count_of(found.distance, 'column')} away" if found.distance else ""
        told = f"{said[found.confidence]}{away}; {dates}; epochs {epochs}"
        yield "shape", f"{known.name} ({told})"
    if not found.nearest:
        yield "shape", "none of the known ones comes near"
    for note in found.notes:
        yield "note", note


def _summary(table: TableReport) -> str:
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
