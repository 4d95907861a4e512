"""The proof of a migration: both databases read again, row by row, and a statement of it."""

from __future__ import annotations

import hashlib
import sqlite3
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from landscape_compat.errors import ProofFailedError, printable
from landscape_compat.export.statement import make_statement
from landscape_compat.migrate.copying import TableCopy, quarantined, rows_of
from landscape_compat.migrate.target import quoted

__all__ = ["PREDICATE", "ProvenTable", "prove_table", "statement"]

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
    """

    name: str
    rows: int
    quarantined: int
    sha256: str
    columns: tuple[str, ...]
    filled: Mapping[str, int]


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
    aside = quarantined(target, copy)
    nothing: tuple[int, tuple[Any, ...]] = (-1, ())
    place, set_aside = next(aside, nothing)
    aside_count = 0
    names = ", ".join(map(quoted, copy.columns))
    new = iter(target.execute(f"SELECT {names} FROM {quoted(copy.name)} ORDER BY rowid"))
    digest, counts, position = hashlib.sha256(), dict.fromkeys(filled, 0), -1
    columns = [(copy.columns.index(name), name) for name in filled]
    for position, old in enumerate(rows_of(source, copy)):
        row = row_bytes(old)
        found: Any
        if position == place:
            found, aside_count = set_aside, aside_count + 1
            place, set_aside = next(aside, nothing)
        else:
            found = next(new, None)
        if found is None or row_bytes(found) != row:
            raise _differs(copy, position, old, found)
        digest.update(row)
        for at, name in columns:
            counts[name] += old[at] is not None
    more = set_aside if place >= 0 else next(new, None)
    if more is not None:
        raise _differs(copy, position + 1, None, more)
    return ProvenTable(
        copy.name, position + 1, aside_count, digest.hexdigest(), copy.columns, counts
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


def statement(target: Path, digest: str, predicate: Mapping[str, Any]) -> bytes:
    """Write an in-toto Statement about a new database, in RFC 8785 form.

    Args:
        target: The new database.
        digest: Its SHA-256, in hexadecimal.
        predicate: What is stated of it.
    """
    return make_statement({printable(target.name): digest}, PREDICATE, predicate)
