"""Export the records of databases as they are stored, read-only, in the host's order."""

from __future__ import annotations

import argparse
import gc
import sys
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from landscape_compat.cli.passphrase import ask_passphrase
from landscape_compat.cli.runs import naming_runs
from landscape_compat.cli.talk import at_least_one, counted, print_json, print_table, say
from landscape_compat.errors import ExitCode, LandscapeCompatError, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from landscape_compat.export.output.watching import Watch
    from landscape_compat.export.records.selection import Selection
    from landscape_compat.export.signing.signing import SigningKey
    from landscape_compat.export.whole import ExportedBag
    from landscape_compat.landscape.database import Landscape

__all__ = ["configure", "run"]

_FORMATS = ("jsonl", "json", "csv", "parquet", "sqlite")
_STREAMED = ("jsonl", "json")
_FILES_OF_BAGS = ("csv", "parquet", "sqlite")
# So many rows are never held at once.
_COLLECTED_AFTER = 100_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "database", metavar="DB", nargs="+", help="paths or SQLAlchemy URLs; all go into one bag"
    )
    places = parser.add_mutually_exclusive_group(required=True)
    places.add_argument(
        "-o",
        "--output",
        metavar="PLACE",
        help="the folder to make, or a zip file (NAME.zip); or one file of records without a bag "
        "(NAME.jsonl or NAME.json, with .gz or .zst behind to compress it), or `-` for standard "
        "output",
    )
    places.add_argument(
        "--dataset",
        metavar="TARGET",
        help="instead of that, a Parquet dataset for each type of record, partitioned by run: in "
        "a folder, or at a URL that fsspec understands (extra `remote`)",
    )
    _configure_selection(parser)
    parser.add_argument(
        "--format",
        metavar="LIST",
        type=_formats,
        help=f"formats to write, separated by commas, of: {', '.join(_FORMATS)}; the first three "
        "with .gz or .zst behind to compress them (default: jsonl, or as PLACE ends)",
    )
    parser.add_argument(
        "--order",
        choices=("host", "table"),
        default="host",
        help="as the host exports a run (the default), or table by table, which is faster",
    )
    parser.add_argument(
        "--absent",
        choices=("omit", "null", "mark"),
        default="omit",
        help="what stands for a column that the database does not have: nothing (the default), "
        "a NULL, or true under absent.COLUMN",
    )
    parser.add_argument(
        "--filled",
        action="store_true",
        help="show also what rules give for such columns, under filled.RULE.COLUMN",
    )
    _configure_signing(parser)
    parser.add_argument(
        "--no-page",
        dest="page",
        action="store_false",
        help="leave out the page of HTML that shows what each database is",
    )
    parser.add_argument(
        "-j",
        "--jobs",
        type=at_least_one,
        metavar="N",
        default=1,
        help="export so many of several databases at a time, or with --dataset so many runs of "
        "one (default: 1)",
    )
    parser.add_argument("--force", action="store_true", help="replace an earlier export")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--strict", action="store_true", help="exit with 5 if a database is degraded"
    )


def _configure_selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--run",
        metavar="RUN",
        dest="run_ids",
        action="append",
        default=[],
        help="export the run of this id only (not `latest`); may be given several times",
    )
    parser.add_argument(
        "--all", action="store_true", help="export everything that is stored (the default)"
    )
    parser.add_argument(
        "--since", metavar="TIME", type=_time, help="only runs that began at this time or later"
    )
    parser.add_argument(
        "--until", metavar="TIME", type=_time, help="only runs that began before this time"
    )
    parser.add_argument(
        "--status",
        metavar="STATUS",
        dest="statuses",
        action="append",
        default=[],
        help="only runs with this status; may be given several times",
    )
    parser.add_argument(
        "--table",
        metavar="TABLE",
        dest="tables",
        action="append",
        default=[],
        help="only records of this table, or of this type; may be given several times",
    )


def _configure_signing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sign",
        metavar="KEY_ID",
        help="sign each record and the statement, under this name of the key, by the key in "
        "$ELSPETH_SIGNING_KEY or --key-file",
    )
    parser.add_argument("--key-file", metavar="FILE", help="the file that holds the key to sign by")
    parser.add_argument(
        "--ssh-key", metavar="FILE", type=Path, help="sign the statement by ssh-keygen -Y sign"
    )
    parser.add_argument(
        "--pem-key",
        metavar="FILE",
        type=Path,
        help="sign the statement by a private key in PEM, as a DSSE envelope for cosign",
    )


def run(options: argparse.Namespace) -> int:
    """Export databases."""
    from landscape_compat.export.records.selection import Selection
    from landscape_compat.export.single import format_of_file

    single = format_of_file(options.output) if options.output else None
    usual = "parquet" if options.dataset else str(single or "jsonl")
    options.format = options.format or (usual,)
    selection = Selection(
        run_ids=tuple(dict.fromkeys(options.run_ids)),
        since=options.since,
        until=options.until,
        statuses=tuple(dict.fromkeys(options.statuses)),
        tables=tuple(dict.fromkeys(options.tables)),
    )
    if mistake := _mistake(options, selection, str(single) if single else None):
        say(f"landscape-compat: {mistake}")
        return ExitCode.USAGE

    from landscape_compat.landscape.database import open_landscape

    passphrase = ask_passphrase(options.database)
    with ExitStack() as stack:
        stack.enter_context(_rarely_collecting())
        databases = [
            stack.enter_context(open_landscape(name, passphrase=passphrase))
            for name in options.database
        ]
        with naming_runs(databases) if options.run_ids else nullcontext():
            if options.dataset:
                _write_dataset(databases[0], selection, options, passphrase)
            elif options.output == "-":
                _stream(databases[0], selection, options)
            elif single:
                _write_file(databases[0], selection, options)
            else:
                _export(databases, selection, options, passphrase)
        degraded = any(db.report().degraded for db in databases)
    return ExitCode.DEGRADED if options.strict and degraded else ExitCode.DONE


@contextmanager
def _rarely_collecting() -> Iterator[None]:
    """Let Python look for cycles less often, in a process that is the command's own.

    Rows are read by the thousand and none is part of a cycle, yet each would be looked at.
    """
    before = gc.get_threshold()
    gc.set_threshold(_COLLECTED_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _mistake(options: argparse.Namespace, selection: Selection, single: str | None) -> str:
    if options.all and selection.is_of_runs:
        return "--all means every run, so no run can be chosen beside it."
    if options.key_file is not None and options.sign is None:
        return "--key-file belongs to --sign."
    if options.dataset:
        return _mistake_of_dataset(options)
    if options.sign and all(not name.startswith("jsonl") for name in options.format):
        return "only JSON lines hold signed records, so jsonl must be among the formats."
    if options.output != "-" and single is None:
        return _mistake_of_bag(options.output)
    if options.sign or options.ssh_key or options.pem_key:
        return "only a bag is signed; write a folder or a zip file."
    if single and options.format != (single,):
        return f"the name of the file says {single}, so no other format can go there."
    if len(options.format) > 1 or options.format[0].partition(".")[0] not in _STREAMED:
        return f"standard output takes one format, of: {', '.join(_STREAMED)}."
    if len(options.database) > 1 or options.json:
        return "without a bag there is one database, and no --json."
    if not single and (options.force or "." in options.format[0]):
        return "standard output takes neither compression nor --force."
    return ""


def _mistake_of_bag(place: str) -> str:
    kind = PurePath(place).suffix.removeprefix(".").lower()
    if kind in _FILES_OF_BAGS and not place.endswith("/"):
        return (
            f"the name says {kind}, and what is written is a folder with a file for each type "
            f"of record; give a folder's name, and --format {kind}."
        )
    return ""


def _mistake_of_dataset(options: argparse.Namespace) -> str:
    if options.format != ("parquet",):
        return "a dataset is of Parquet, so no other format can go there."
    if options.sign or options.ssh_key or options.pem_key:
        return "only a bag is signed; write a folder or a zip file by -o."
    if len(options.database) > 1:
        return "a dataset is of one database."
    if options.order != "host":
        return "each file of a dataset holds one table of one run, so there is no other order."
    return ""


def _stream(db: Landscape, selection: Selection, options: argparse.Namespace) -> None:
    from landscape_compat.export.single import write_records

    write_records(
        db,
        sys.stdout.buffer,
        selection=selection,
        format_=options.format[0],
        order=options.order,
        absent=options.absent,
        filled=options.filled,
    )


def _write_file(db: Landscape, selection: Selection, options: argparse.Namespace) -> None:
    from landscape_compat.export.single import write_file

    records = write_file(
        db,
        options.output,
        selection=selection,
        order=options.order,
        absent=options.absent,
        filled=options.filled,
        force=options.force,
        watch=_watch(options),
    )
    _print_records(records)
    print(f"\nwritten to {printable(options.output)}")


def _write_dataset(
    db: Landscape, selection: Selection, options: argparse.Namespace, passphrase: str | None
) -> None:
    from landscape_compat.export.dataset.dataset import export_dataset

    exported = export_dataset(
        db,
        options.dataset,
        selection=selection,
        jobs=options.jobs,
        absent=options.absent,
        filled=options.filled,
        force=options.force,
        passphrase=passphrase,
    )
    if options.json:
        told = {"place": exported.place, "by_type": dict(exported.records)}
        print_json("dataset", {**told, **exported.predicate})
    else:
        _print_records(exported.records)
        _say_unreached(exported.predicate["source"])
        print(f"\nwritten to {exported.place}")


def _watch(options: argparse.Namespace) -> Watch | None:
    if options.quiet or not sys.stderr.isatty():
        return None
    return lambda items, total: counted(items, "records", quiet=False, total=total, size=len)


def _export(
    databases: list[Landscape],
    selection: Selection,
    options: argparse.Namespace,
    passphrase: str | None,
) -> None:
    from landscape_compat.export.verify.seals import Seals
    from landscape_compat.export.whole import export_bag

    exported = export_bag(
        databases,
        options.output,
        selection=selection,
        formats=options.format,
        order=options.order,
        absent=options.absent,
        filled=options.filled,
        page=options.page,
        force=options.force,
        signer=_signer(options),
        seals=Seals(ssh_key=options.ssh_key, pem_key=options.pem_key),
        watch=_watch(options),
        jobs=options.jobs,
        passphrase=passphrase,
    )
    if options.json:
        place = {"folder": printable(exported.path)}
        print_json("export", {**place, "by_type": dict(exported.records), **exported.predicate})
    else:
        _print_summary(exported)


def _signer(options: argparse.Namespace) -> SigningKey | None:
    if options.sign is None:
        return None

    import os

    from landscape_compat.export.signing.signing import KEY_VARIABLE, SigningKey, read_key

    key = read_key(options.key_file, os.environ)
    if key is None:
        raise LandscapeCompatError(
            "There is no key to sign by.",
            remedy=f"Put it in the environment variable {KEY_VARIABLE}, or in a file (--key-file).",
        )
    return SigningKey(options.sign, key)


def _print_summary(exported: ExportedBag) -> None:
    _print_records(exported.records)
    for source in exported.predicate["sources"]:
        _say_unreached(source)
    print(f"\nwritten to {printable(exported.path)}")


def _say_unreached(source: Mapping[str, Any]) -> None:
    for table in source["tables"]:
        if number := table["unreached"]:
            kind = table["record_type"]
            say(f"{number} of the records of the type {kind} belong to no run that is stored.")


def _print_records(records: Mapping[str, int]) -> None:
    print_table(("RECORDS", "NUMBER"), (*records.items(), ("all", sum(records.values()))))


def _formats(text: str) -> tuple[str, ...]:
    from landscape_compat.export.formats.writers import formats_of

    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    try:
        formats_of(names)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return names


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"no time {text!r}; write 2026-01-18 or 2026-01-18T09:15:00, in UTC if no zone is named"
        ) from None
