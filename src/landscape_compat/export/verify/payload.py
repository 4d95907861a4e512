"""Checking the payload of a bag: that each file holds the records that the statement counts."""

from __future__ import annotations

import gzip
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, Any

from landscape_compat.errors import count_of
from landscape_compat.export.bag.contents import schema_file
from landscape_compat.export.formats.readback import (
    READERS,
    BadPayloadError,
    can_read,
    read_sqlite,
    require_only,
)
from landscape_compat.export.records.values import (
    RECORD_TYPE,
    RUN_ID,
    SIGNATURE,
    Kind,
    Record,
    kind_of,
)
from landscape_compat.export.signing.signatures import is_manifest, wrong_signatures
from landscape_compat.export.verify.bag_files import UNREADABLE, BagFiles
from landscape_compat.export.verify.findings import Verification, find_all

__all__ = ["check_payload", "decompressed", "is_signed", "readable", "records_of"]

_MOST_SCHEMA_BYTES = 1 << 26


def check_payload(
    bag: BagFiles, predicate: Mapping[str, Any], key: bytes | None, found: Verification
) -> None:
    """Check each file of the payload by what it holds.

    Args:
        bag: The bag.
        predicate: What the statement says, in the form that its schema wants.
        key: The key that its records are signed by, if it is given.
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
            if not readable(file):
                found.unchecked.append(
                    f"the records in {name}: reading them needs a package that is not installed"
                )
                continue
            if is_signed(file, predicate):
                _check_signatures(bag, file, predicate, key, found)
            counts = Counter[str]()
            with records_of(bag, file, tables, signed=is_signed(file, predicate)) as parts:
                for part in parts.values():
                    counts.update(record[RECORD_TYPE] for record in part)
        except (BadPayloadError, *UNREADABLE) as error:
            found.find(name, str(error))
            continue
        records += counts.total()
        for what in _miscounts(file, tables, counts):
            found.find(name, what)
    found.checked.append(f"{count_of(records, 'record')}, read back and counted")


def readable(file: Mapping[str, Any]) -> bool:
    """Tell whether the records of a file of the payload can be read here.

    Args:
        file: What the statement says of the file.
    """
    if file["compression"] == "zst":
        try:
            import zstandard  # noqa: F401
        except ImportError:
            return False
    return can_read(file["format"])


@contextmanager
def records_of(
    bag: BagFiles,
    file: Mapping[str, Any],
    tables: Sequence[Mapping[str, Any]],
    *,
    signed: bool,
) -> Iterator[dict[str | None, Iterator[Record]]]:
    """Open a file of the payload to read its records, as they were before they were written.

    Args:
        bag: The bag.
        file: What the statement says of the file.
        tables: What it says of the tables.
        signed: Whether each of its records is signed.

    Returns:
        The records of each type that stand by themselves; under None, of all types.
    """
    with ExitStack() as stack:
        if file["format"] == "sqlite":
            path = stack.enter_context(bag.local(file["name"]))
            require_only(path, {table["record_type"] for table in tables})
            parts: dict[str | None, Iterator[Record]] = {
                table["record_type"]: read_sqlite(path, table["record_type"], _flags(table))
                for table in tables
            }
        else:
            opened = stack.enter_context(bag.open(file["name"]))
            plain = stack.enter_context(decompressed(opened, file["compression"]))
            parts = {file["record_type"]: READERS[file["format"]](plain)}
            if signed:
                parts = {None: _without_signatures(parts[None])}
        for part in parts.values():
            stack.callback(part.close)  # type: ignore[attr-defined]
        try:
            yield {kind: _as_made(part, file, tables) for kind, part in parts.items()}
        except MemoryError as error:
            raise BadPayloadError("holds more in one record than this machine can") from error


def _as_made(
    records: Iterator[Record], file: Mapping[str, Any], tables: Sequence[Mapping[str, Any]]
) -> Iterator[Record]:
    stores_run = {
        table["record_type"]: any(
            column["field"] == RUN_ID and column["state"] == "stored" for column in table["columns"]
        )
        for table in tables
    }
    for record in records:
        kind = record.get(RECORD_TYPE)
        if kind not in stores_run or file["record_type"] not in (None, kind):
            raise BadPayloadError(f"holds a record of the type {kind!r}, which is none of its")
        # Where a column is for all, a record without a run has NULL for one that is not
        # stored, and so cannot be.
        if not stores_run[kind] and record.get(RUN_ID, "") is None:
            del record[RUN_ID]
        yield record


def is_signed(file: Mapping[str, Any], predicate: Mapping[str, Any]) -> bool:
    """Tell whether each record of a file is signed.

    Args:
        file: What the statement says of the file.
        predicate: What it says of all.
    """
    return predicate["signing"] is not None and file["format"] == "jsonl"


def _check_signatures(
    bag: BagFiles,
    file: Mapping[str, Any],
    predicate: Mapping[str, Any],
    key: bytes | None,
    found: Verification,
) -> None:
    key_id = predicate["signing"]["key_id"]
    whole_runs = not predicate["selection"]["tables"]
    with bag.open(file["name"]) as opened, decompressed(opened, file["compression"]) as plain:
        wrong = wrong_signatures(plain, key_id, key, whole_runs=whole_runs)
        find_all(found, file["name"], (("", what) for what in wrong))
    if key:
        found.checked.append(f"the signature of each record in {file['name']} by {key_id}")
    else:
        found.unchecked.append(
            f"the signatures in {file['name']}: the key {key_id} was not given, so that only "
            "their chain was checked"
        )


def _without_signatures(records: Iterator[Record]) -> Iterator[Record]:
    for record in records:
        if record.pop(SIGNATURE, None) is not None and not is_manifest(record):
            yield record


def _flags(table: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(
        column["field"]
        for column in table["columns"]
        if column["field"]
        and (
            kind_of(column["type"]) is Kind.FLAG
            or (column["state"] == "absent" and column["field"] != column["column"])
        )
    )


@contextmanager
def decompressed(file: IO[bytes], compression: str | None) -> Iterator[IO[bytes]]:
    """Give a file to read what it was before it was compressed.

    Args:
        file: The file.
        compression: What it is compressed by; None if it is not.

    Raises:
        BadPayloadError: It is not compressed so.
    """
    if compression is None:
        yield file
    elif compression == "gz":
        with gzip.GzipFile(fileobj=file) as plain:
            yield io.BufferedReader(plain)
    else:
        import zstandard

        try:
            with zstandard.ZstdDecompressor().stream_reader(file) as reader:
                yield io.BufferedReader(reader)
        except zstandard.ZstdError as error:
            raise BadPayloadError(f"is no zstd that can be read: {error}") from error


def _miscounts(
    file: Mapping[str, Any], tables: Sequence[Mapping[str, Any]], counts: Counter[str]
) -> Iterator[str]:
    if counts.total() != file["records"]:
        held = count_of(counts.total(), "record")
        yield f"holds {held}, and the statement says {file['records']}"
    if file["record_type"] is None:
        for table in tables:
            kind, stated = table["record_type"], table["records"]
            if counts[kind] != stated:
                held = count_of(counts[kind], "record")
                yield f"holds {held} of {kind}, and the statement says {stated}"
