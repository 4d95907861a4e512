"""The proof of a migration: both databases read again, row by row, and a statement of it."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from landscape_compat.engine.digests import digest_source
from landscape_compat.errors import OutputError, ProofFailedError, printable
from landscape_compat.export.bag.json_schema import published_schema
from landscape_compat.export.bag.statement import make_statement, subjects_of
from landscape_compat.export.verify.findings import Verification, find_all
from landscape_compat.export.verify.form import read_statement as read_form
from landscape_compat.migrate.copying import TableCopy, new_rows, rows_of

__all__ = [
    "PREDICATE",
    "ProvenTable",
    "check_source",
    "digest_table",
    "prove_table",
    "read_statement",
    "require_own_proof",
    "statement",
]

PREDICATE = "urn:landscape-compat:migration:v1"


@dataclass(frozen=True, slots=True)
class ProvenTable:
    """One table that is the same on both sides.

    Args:
        name: Its name.
        rows: How many rows both have.
        quarantined: How many of them lie in the side table.
        sha256: The digest of all of them, in order, as `row_bytes` writes them.
        columns: The columns compared.
        filled: How many rows hold a value, for each column whose values a rule gave.
        side: The side table; None if no row lies in one.
    """

    name: str
    rows: int
    quarantined: int
    sha256: str
    columns: tuple[str, ...]
    filled: Mapping[str, int]
    side: str | None


def prove_table(
    source: Connection, target: sqlite3.Connection, copy: TableCopy, filled: Sequence[str]
) -> ProvenTable:
    """Compare one table of both databases, value by value with its class.

    Args:
        source: A connection of an attached engine to the old database, in a transaction.
        target: A connection to the new one, with no shim.
        copy: The table.
        filled: The columns whose values a rule gave.

    Raises:
        ProofFailedError: They differ; names the row.
    """
    tally = _Tally(copy.columns, filled)
    new = new_rows(target, copy.name, copy.columns, copy.side)
    for position, old in enumerate(rows_of(source, copy)):
        found, is_aside = next(new, (None, False))
        if found is None or row_bytes(found) != tally.add(old, is_aside=is_aside):
            raise _differs(copy, position, old, found)
    for more, _ in new:
        raise _differs(copy, tally.rows, None, more)
    return tally.proven(copy.name, copy.side)


def digest_table(
    target: sqlite3.Connection,
    name: str,
    columns: Sequence[str],
    filled: Sequence[str],
    side: str | None,
) -> ProvenTable:
    """Digest one table of a new database as `prove_table` does.

    Args:
        target: A connection to it, with no shim.
        name: The table.
        columns: The columns that were compared.
        filled: Those whose values a rule gave.
        side: Its side table; None if it has none.

    Raises:
        sqlite3.Error: It has no such table or columns.
    """
    tally = _Tally(tuple(columns), filled)
    for row, is_aside in new_rows(target, name, columns, side):
        tally.add(row, is_aside=is_aside)
    return tally.proven(name, side)


class _Tally:
    """The digest of the rows of a table, and what is counted in them."""

    def __init__(self, columns: tuple[str, ...], filled: Sequence[str]) -> None:
        self.rows = self._aside = 0
        self._columns = columns
        self._digest = hashlib.sha256()
        self._filled = dict.fromkeys(filled, 0)
        self._places = [(columns.index(name), name) for name in filled]

    def add(self, row: Sequence[Any], *, is_aside: bool) -> bytes:
        written = row_bytes(row)
        self._digest.update(written)
        self.rows += 1
        self._aside += is_aside
        for place, name in self._places:
            self._filled[name] += row[place] is not None
        return written

    def proven(self, name: str, side: str | None) -> ProvenTable:
        return ProvenTable(
            name,
            rows=self.rows,
            quarantined=self._aside,
            sha256=self._digest.hexdigest(),
            columns=self._columns,
            filled=self._filled,
            side=side if self._aside else None,
        )


def row_bytes(row: Sequence[Any]) -> bytes:
    """Write a row so that two rows give the same bytes only if they hold the same values.

    Each value is a letter for its class, the length of what follows in eight bytes, and the
    value: text as UTF-8, integers in decimals, floats as IEEE 754 has them, big-endian.

    Args:
        row: Values as Python's `sqlite3` gives them.
    """
    parts = []
    for value in row:
        match value:
            case None:
                letter, data = b"n", b""
            case int():
                letter, data = b"i", str(value).encode()
            case float():
                letter, data = b"f", struct.pack(">d", value)
            case str():
                letter, data = b"t", value.encode()
            case _:
                letter, data = b"b", bytes(value)
        parts.append(letter + len(data).to_bytes(8) + data)
    return len(parts).to_bytes(8) + b"".join(parts)


def _differs(copy: TableCopy, position: int, old: Any, new: Any) -> ProofFailedError:
    where = f"row {position + 1} of the old order"
    if old is None or new is None:
        what = f"{where} is only in the {'new' if old is None else 'old'} database"
    else:
        names = [
            name
            for name, one, other in zip(copy.columns, old, new, strict=True)
            if row_bytes([one]) != row_bytes([other])
        ]
        what = f"{where} differs in {', '.join(names)}"
    return ProofFailedError(
        f"The new database does not hold what the old one does: {what}. It was not kept.",
        table=printable(copy.name),
        remedy="Keep the old database; report this with its schema (`inspect --json`).",
    )


def statement(name: str, digest: str, predicate: Mapping[str, Any]) -> bytes:
    """Write an in-toto Statement about a new database, in RFC 8785 form.

    Args:
        name: The new database.
        digest: Its SHA-256, in hexadecimal.
        predicate: What is stated of it.
    """
    return make_statement({printable(name): digest}, PREDICATE, predicate)


def require_own_proof(place: Path, name: str) -> None:
    """Refuse a place for a statement where something else is than one about such a database.

    Args:
        place: The place.
        name: The database's name.

    Raises:
        OutputError: Something else is there.
    """
    if not os.path.lexists(place):
        return
    told = None
    with suppress(OSError):
        told = subjects_of(place.read_bytes(), PREDICATE)
    if told != (printable(name),):
        raise OutputError(
            f"{printable(place)} exists already and is no statement about the migration of "
            f"{printable(name)}, so it was left as it is.",
            remedy="Move it away, or give another place.",
        )


def read_statement(
    proof: Path, found: Verification
) -> tuple[Mapping[str, str], Mapping[str, Any]] | None:
    """Read the statement about a migration, and check its form.

    Args:
        proof: Its file.
        found: Where to say what is wrong with it.

    Returns:
        The digest of what it is about, by name, and what it states; None if it is none.
    """
    schema = published_schema("landscape_compat.migrate")
    told = read_form(proof.read_bytes(), proof.name, PREDICATE, schema, found)
    if told is None:
        return None
    predicate = told["predicate"]
    wrong = (
        (f"/predicate/tables/{at}/filled", f"names {one['column']!r}, which is no column of it")
        for at, table in enumerate(predicate["tables"])
        for one in table["filled"]
        if one["column"] not in table["columns"]
    )
    if find_all(found, proof.name, wrong):
        return None
    return {one["name"]: one["digest"]["sha256"] for one in told["subject"]}, predicate


def check_source(path: Path | None, predicate: Mapping[str, Any], found: Verification) -> None:
    """Check that the old database is, to the byte, the one that was migrated.

    Args:
        path: Its file; None for one on a server, which has no bytes to compare.
        predicate: What the proof states.
        found: Where to say that it is another.
    """
    digests = digest_source(path).to_dict() if path else {}
    if path and digests != {name: predicate["source"].get(name) for name in digests}:
        found.find(path.name, "is not, byte for byte, the database that was migrated")
