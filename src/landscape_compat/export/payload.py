"""Checking the payload of a bag: that each file holds the records that the statement counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from landscape_compat.export.bag_files import UNREADABLE, BagFiles
from landscape_compat.export.contents import schema_file
from landscape_compat.export.findings import Verification
from landscape_compat.export.readback import READERS, BadPayloadError
from landscape_compat.export.values import RECORD_TYPE, RUN_ID, Record

__all__ = ["check_payload", "read_records"]

_MOST_SCHEMA_BYTES = 1 << 26


def check_payload(bag: BagFiles, predicate: Mapping[str, Any], found: Verification) -> None:
    """Check each file of the payload by what it holds.

    Args:
        bag: The bag.
        predicate: What the statement says, in the form that its schema wants.
        found: Takes what is wrong.
    """
    records = 0
    for file in predicate["payload"]:
        name = file["name"]
        if name not in bag.sizes or file["source"] >= len(predicate["sources"]):
            continue
        tables = predicate["sources"][file["source"]]["tables"]
        try:
            if file["format"] == "schema":
                expected = schema_file(tables, file["record_type"])
                with bag.open(name) as opened:
                    if opened.read(_MOST_SCHEMA_BYTES) != expected:
                        found.find(name, "does not say of the columns what the statement says")
                continue
            if file["format"] not in READERS:
                found.unchecked.append(f"the records in {name}: no reader of its format is here")
                continue
            counts = Counter(record[RECORD_TYPE] for record in read_records(bag, file, tables))
        except (BadPayloadError, *UNREADABLE) as error:
            found.find(name, str(error))
            continue
        records += counts.total()
        for what in _miscounts(file, tables, counts):
            found.find(name, what)
    found.checked.append(f"{records} records, read back and counted")


def read_records(
    bag: BagFiles, file: Mapping[str, Any], tables: list[dict[str, Any]]
) -> Generator[Record, None, None]:
    """Read the records of a file of the payload, as they were before they were written.

    Args:
        bag: The bag.
        file: What the statement says of the file.
        tables: What it says of the tables.

    Raises:
        BadPayloadError: It is not as the writer of its format writes it.
    """
    stores_run = {
        table["record_type"]: any(column["field"] == RUN_ID for column in table["columns"])
        for table in tables
    }
    with bag.open(file["name"]) as opened:
        for record in READERS[file["format"]](opened):
            kind = record.get(RECORD_TYPE)
            if kind not in stores_run or file["record_type"] not in (None, kind):
                raise BadPayloadError(f"holds a record of the type {kind!r}, which is none of its")
            # Where a column is for all, a record without a run has NULL for one that is not
            # stored, and so cannot be.
            if not stores_run[kind] and record.get(RUN_ID, "") is None:
                del record[RUN_ID]
            yield record


def _miscounts(
    file: Mapping[str, Any], tables: list[dict[str, Any]], counts: Counter[str]
) -> Iterator[str]:
    if counts.total() != file["records"]:
        yield f"holds {counts.total()} records, and the statement says {file['records']}"
    if file["record_type"] is None:
        for table in tables:
            kind, stated = table["record_type"], table["records"]
            if counts[kind] != stated:
                yield f"holds {counts[kind]} records of {kind}, and the statement says {stated}"
