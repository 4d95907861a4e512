"""Comparing a bag with the databases that it was made from: its records, and what it says."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from sqlalchemy import URL

from landscape_compat.errors import LandscapeCompatError, UnreadableError, count_of
from landscape_compat.export.bag.witness import state_of_source
from landscape_compat.export.formats.readback import BadPayloadError, same_record
from landscape_compat.export.records.selection import Selection
from landscape_compat.export.records.source import Source
from landscape_compat.export.records.stream import export_selection
from landscape_compat.export.records.values import RECORD_TYPE, Record
from landscape_compat.export.verify.account import compare_account
from landscape_compat.export.verify.bag_files import UNREADABLE, BagFiles
from landscape_compat.export.verify.findings import Verification
from landscape_compat.export.verify.payload import is_signed, readable, records_of
from landscape_compat.landscape.database import Landscape, open_landscape

__all__ = ["compare_records", "compare_with_source", "note_other_bytes", "stated_selection"]


def compare_with_source(
    bag: BagFiles,
    predicate: Mapping[str, Any],
    sources: Sequence[str | os.PathLike[str] | URL],
    found: Verification,
    passphrase: str | None = None,
) -> None:
    """Export the databases again, and compare with that each record, and what the statement says.

    Args:
        bag: The bag.
        predicate: What its statement says.
        sources: The databases, in the order of the statement.
        found: Takes what is wrong.
        passphrase: What a file is encrypted by, if it is; of no effect if not.

    Raises:
        LandscapeCompatError: There are more databases, or fewer, than the bag was made from; or
            one cannot be read.
    """
    if len(sources) != len(predicate["sources"]):
        raise LandscapeCompatError(
            f"The bag was made from {count_of(len(predicate['sources']), 'database')}, and "
            f"what is given is {count_of(len(sources), 'database')}.",
            remedy="Give each of them, in the order in which they were exported.",
        )
    formats = dict.fromkeys(file["format"] for file in predicate["payload"])
    formats.pop("schema", None)
    # Of a bag without any files nothing is there, which is to be compared, too.
    formats = formats or {"payload": None}
    for at, (source, told) in enumerate(zip(sources, predicate["sources"], strict=True)):
        with open_landscape(source, passphrase=passphrase) as db:
            note_other_bytes(db, told, found)
            given: tuple[Source, ...] | None = None
            for name in formats:
                files = [
                    file
                    for file in predicate["payload"]
                    if (file["format"], file["source"]) == (name, at) and file["name"] in bag.sizes
                ]
                if all(map(readable, files)):
                    given = _compare(bag, predicate, files, db, told, name, found) or given
            compare_account(db, predicate, at, given, found)


def note_other_bytes(db: Landscape, told: Mapping[str, Any], found: Verification) -> None:
    """Note that a database is not the file that was exported.

    Args:
        db: The database.
        told: What the statement says of it.
        found: Takes the note.
    """
    before = [file["sha256"] for file in told["files_before"] if file["sha256"] is not None]
    if before != [file.sha256 for file in state_of_source(db).data]:
        found.unchecked.append(
            f"{told['name']} byte by byte: it is not the file that was exported any more, so "
            "what it holds was compared"
        )


def stated_selection(predicate: Mapping[str, Any]) -> Selection:
    """Read which records a statement says were wanted.

    Args:
        predicate: What the statement says.
    """
    told = predicate["selection"]
    return Selection(
        run_ids=tuple(told["runs"] or ()),
        since=datetime.fromisoformat(told["since"]) if told["since"] else None,
        until=datetime.fromisoformat(told["until"]) if told["until"] else None,
        statuses=tuple(told["statuses"] or ()),
        tables=tuple(told["tables"] or ()),
    )


def _compare(
    bag: BagFiles,
    predicate: Mapping[str, Any],
    files: list[dict[str, Any]],
    db: Landscape,
    told: Mapping[str, Any],
    format_: str,
    found: Verification,
) -> tuple[Source, ...] | None:
    """Compare the files of one format; give the tables if all their records were given again."""
    wrong = len(found.findings)
    try:
        with ExitStack() as stack:
            # Of a file that holds all types, under None; of one that holds one, under that.
            bagged: dict[str | None, tuple[str, Iterator[Record]]] = {}
            for file in files:
                parts = stack.enter_context(
                    records_of(bag, file, told["tables"], signed=is_signed(file, predicate))
                )
                bagged.update({kind: (file["name"], part) for kind, part in parts.items()})
            try:
                stored = export_selection(
                    db,
                    stated_selection(predicate),
                    order=predicate["order"],
                    absent=predicate["absent"],
                    filled=predicate["filled"],
                )
            except UnreadableError:
                raise
            except (ValueError, LandscapeCompatError) as error:
                what = f"what the statement says was exported is not there: {error}"
                found.find(told["name"], what)
                return None
            stack.callback(stored.close)
            signed = any(is_signed(file, predicate) for file in files)
            count = compare_records(stored, bagged, told["name"], found, signed=signed)
    except (BadPayloadError, *UNREADABLE) as error:
        found.find(", ".join(file["name"] for file in files), str(error))
        return None
    found.checked.append(f"{count_of(count, 'record')} of {told['name']} against the {format_}")
    return stored.sources if len(found.findings) == wrong else None


def compare_records(
    stored: Iterator[Record],
    bagged: Mapping[str | None, tuple[str, Iterator[Record]]],
    source: str,
    found: Verification,
    *,
    signed: bool,
) -> int:
    """Compare record by record, up to the first that differs; tell how many were compared.

    Args:
        stored: The records of the database.
        bagged: The file and the records of each type; under None, of all.
        source: The database's name.
        found: Takes what is wrong.
        signed: Whether the form of RFC 8785 was between them.
    """
    count = 0
    for count, record in enumerate(stored, 1):
        name, kept = bagged.get(None) or bagged.get(record[RECORD_TYPE]) or ("", iter(()))
        other = next(kept, None)
        if other is None:
            found.find(source, f"holds a record that the export does not: {_named(record)}")
            return count
        if not same_record(record, other, canonical=signed):
            differing = _differing(record, other, canonical=signed)
            found.find(name, f"record {count} of the source differs: {differing}")
            return count
    for name, kept in bagged.values():
        if (more := next(kept, None)) is not None:
            found.find(name, f"holds a record that {source} does not: {_named(more)}")
    return count


def _named(record: Record) -> str:
    return ", ".join(f"{name} {value!r}" for name, value in list(record.items())[:4])


def _differing(stored: Record, bagged: Record, *, canonical: bool) -> str:
    if set(stored) != set(bagged) or not (canonical or list(stored) == list(bagged)):
        return f"{_named(stored)} is {_named(bagged)} in the export"
    name = next(
        name
        for name, value in stored.items()
        if not same_record({name: value}, {name: bagged[name]}, canonical=canonical)
    )
    return f"{name} of {_named(stored)} is {stored[name]!r}, and {bagged[name]!r} in the export"
