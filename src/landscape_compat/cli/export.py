"""Export the records of a database as they are stored, read-only, in the host's order."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from landscape_compat.cli.talk import print_json, print_table, say
from landscape_compat.errors import ExitCode, RunNotFoundError, printable

if TYPE_CHECKING:
    from landscape_compat.export.whole import ExportedBag
    from landscape_compat.landscape.database import Landscape

__all__ = ["configure", "run"]

_FORMATS = ("jsonl", "csv")
_MOST_RUNS_NAMED = 5


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("database", metavar="DB", help="a path or a SQLAlchemy URL")
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        required=True,
        help="the folder to make, or `-` for JSON lines on standard output",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--run", metavar="RUN", dest="run_id", help="export this run only")
    which.add_argument(
        "--all", action="store_true", help="export everything that is stored (the default)"
    )
    parser.add_argument(
        "--format",
        metavar="LIST",
        type=_formats,
        default=("jsonl",),
        help=f"forms to write, separated by commas, of: {', '.join(_FORMATS)} (default: jsonl)",
    )
    parser.add_argument("--force", action="store_true", help="replace an earlier export")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--strict", action="store_true", help="exit with 5 if the database is degraded"
    )


def run(options: argparse.Namespace) -> int:
    """Export a database."""
    if options.output == "-" and (options.format != ("jsonl",) or options.json or options.force):
        say("landscape-compat: standard output takes JSON lines, and neither --json nor --force.")
        return ExitCode.USAGE

    from landscape_compat.landscape.database import open_landscape

    with open_landscape(options.database) as db:
        try:
            if options.output == "-":
                _stream(db, options.run_id)
            else:
                _export(db, options)
        except RunNotFoundError as error:
            raise RunNotFoundError(error.reason, table="runs", remedy=_which_runs(db)) from error
        degraded = db.report().degraded
    return ExitCode.DEGRADED if options.strict and degraded else ExitCode.DONE


def _stream(db: Landscape, run_id: str | None) -> None:
    from landscape_compat.export.jsonl import write_json_lines
    from landscape_compat.export.stream import export_database, export_run

    stream = export_database(db) if run_id is None else export_run(db, run_id)
    try:
        write_json_lines(stream, sys.stdout.buffer)
    finally:
        stream.close()


def _export(db: Landscape, options: argparse.Namespace) -> None:
    from landscape_compat.export.selection import Selection
    from landscape_compat.export.whole import export_bag

    exported = export_bag(
        db,
        options.output,
        selection=Selection(run_ids=(options.run_id,) if options.run_id else ()),
        formats=options.format,
        force=options.force,
    )
    if options.json:
        place = {"folder": printable(exported.path)}
        print_json("export", {**place, "by_type": dict(exported.records), **exported.predicate})
    else:
        _print_summary(exported)


def _print_summary(exported: ExportedBag) -> None:
    records = exported.records
    print_table(("RECORDS", "NUMBER"), (*records.items(), ("all", sum(records.values()))))
    for source in exported.predicate["sources"]:
        for table in source["tables"]:
            if number := table["unreached"]:
                kind = table["record_type"]
                say(f"{number} of the records of the type {kind} belong to no run that is stored.")
    print(f"\nwritten to {printable(exported.path)}")


def _which_runs(db: Landscape) -> str:
    from landscape_compat.landscape.recorder import ReadOnlyRecorder

    runs = [printable(run.run_id) for run in ReadOnlyRecorder(db).list_runs()]
    if not runs:
        return "This database holds no run at all; check the path."
    shown = ", ".join(runs[:_MOST_RUNS_NAMED])
    more = f" and {len(runs) - _MOST_RUNS_NAMED} more" if len(runs) > _MOST_RUNS_NAMED else ""
    return f"Give one of the runs that this database holds: {shown}{more}."


def _formats(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in _FORMATS:
            raise argparse.ArgumentTypeError(
                f"no format {name!r}; there are: {', '.join(_FORMATS)}"
            )
    return names
