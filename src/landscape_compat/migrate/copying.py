"""Copying tables from an old database, through the shim, into a new one, row by row in order."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, column, select
from sqlalchemy import table as table_clause
from sqlalchemy.sql import quoted_name

from landscape_compat.landscape.stored import StoredTable, read
from landscape_compat.migrate.forms import filed
from landscape_compat.migrate.target import defined, key_of_rows, rowid_of
from landscape_compat.schema.shape import TableShape, fold_name, quote_name
from landscape_compat.schema.types import type_class

__all__ = [
    "RefusedRow",
    "TableCopy",
    "copy_table",
    "find_orphans",
    "laid_out",
    "new_rows",
    "refused_row",
    "rows_of",
]

_BATCH = 500


@dataclass(frozen=True, slots=True)
class TableCopy:
    """One table to copy.

    Args:
        name: Its name in the new database.
        columns: The columns that are copied, in the order of the new table.
        stored: The old table.
        as_stored: Whether it is read past every rule, because the new schema does not know it.
        side: The name of its side table, made when a row is refused; None if it has none.
        key: The column that the new database numbers and orders the rows by, if there is one.
    """

    name: str
    columns: tuple[str, ...]
    stored: TableShape
    as_stored: bool = False
    side: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that the new schema does not take.

    Args:
        table: Its table.
        position: Its place among the rows of the old table, from 0.
        key: What tells it from others: its primary key, or all of it.
        constraint: What it violates, in SQLite's words.
    """

    table: str
    position: int
    key: str
    constraint: str

    def __str__(self) -> str:
        return f"{self.table} ({self.key}): {self.constraint}"


def rows_of(source: Connection, copy: TableCopy) -> Iterator[Any]:
    """Read the rows of an old table as the new one declares it, in the order the new one has.

    That is the order in which they were written, unless a column numbers them.

    Args:
        source: A connection of an attached engine, in a transaction.
        copy: The table.

    Raises:
        UnreadableError: A column cannot be projected, or a value is not valid text.
    """
    dialect = source.dialect.name
    stored = StoredTable.of(copy.stored, dialect)
    names = [quoted_name(name, quote=True) for name in copy.columns]
    first = [] if copy.key is None else [quoted_name(copy.key, quote=True)]
    keys = list(dict.fromkeys([*first, *_order(stored)]))
    clause = table_clause(
        quoted_name(copy.name, quote=True), *map(column, names), *map(column, keys)
    )
    order = [_term(clause.c[name], stored.shape, dialect) for name in keys]
    statement = select(*(clause.c[name] for name in copy.columns)).order_by(*order)
    rows = read(source, statement, table=copy.name, as_stored=copy.as_stored)
    return rows if dialect == "sqlite" else (tuple(map(filed, row)) for row in rows)


def _order(stored: StoredTable) -> list[str]:
    if stored.rowid and stored.shape.kind == "table":
        return [stored.rowid]
    return [quoted_name(c.name, quote=True) for c in stored.shape.columns if c.primary_key]


def _term(key: ColumnElement[Any], shape: TableShape, dialect: str) -> ColumnElement[Any]:
    found = shape.column(str(key.key))
    if dialect != "sqlite" and found and type_class(found.type, dialect) == "text":
        return key.collate("C")  # in the order of its bytes, whatever language the server sorts by
    return key


def copy_table(
    source: Connection, target: sqlite3.Connection, copy: TableCopy, *, quarantine: bool
) -> list[RefusedRow]:
    """Copy one table in one transaction.

    Args:
        source: A connection of an attached engine, in a transaction.
        target: The new database, in autocommit mode.
        copy: The table.
        quarantine: Whether the rows that it refuses go to its side table.

    Returns:
        The rows that the new table refused.

    Raises:
        sqlite3.Error: The new database cannot be written to.
    """
    insert = _insert(copy.name, copy.columns)
    rows, done, refused = rows_of(source, copy), 0, list[RefusedRow]()
    target.execute("BEGIN")
    while batch := [tuple(row) for row in islice(rows, _BATCH)]:
        target.execute("SAVEPOINT batch")
        try:
            target.executemany(insert, batch)
        except sqlite3.IntegrityError:
            target.execute("ROLLBACK TO batch")
            for position, row in enumerate(batch, done):
                try:
                    target.execute(insert, row)
                except sqlite3.IntegrityError as error:
                    refused.append(refused_row(copy, position, row, str(error)))
                    if quarantine:
                        _set_aside(target, copy, position, str(error), row)
        target.execute("RELEASE batch")
        done += len(batch)
    target.execute("COMMIT")
    return refused


def _insert(table: str, columns: Sequence[str]) -> str:
    names, holes = ", ".join(map(quote_name, columns)), ", ".join("?" * len(columns))
    return f"INSERT INTO {quote_name(table)} ({names}) VALUES ({holes})"


def refused_row(copy: TableCopy, position: int, row: Sequence[Any], constraint: str) -> RefusedRow:
    """Name a row that is refused.

    Args:
        copy: Its table.
        position: Its place among the rows of the old table, from 0.
        row: Its values, in the order of the copy's columns.
        constraint: What it violates.
    """
    keys = {c.name for c in copy.stored.columns if c.primary_key}
    named = dict(zip(copy.columns, row, strict=True))
    shown = {name: value for name, value in named.items() if name in keys} or named
    key = ", ".join(f"{name}={value!r}" for name, value in shown.items())
    return RefusedRow(copy.name, position, key, constraint)


# --- what the new schema refuses ----------------------------------------------------------------

_OWN_COLUMNS = ("quarantine_position", "quarantine_constraint")


def laid_out(target: sqlite3.Connection, copies: Iterable[TableCopy]) -> Iterator[TableCopy]:
    """Say how each table lies in the new database: by which key, and beside which side table.

    A side table has a name that nothing else there has.

    Args:
        target: The new database, with every table that is copied.
        copies: The tables.
    """
    taken = {fold_name(name) for (name,) in target.execute("SELECT name FROM main.sqlite_master")}
    for copy in copies:
        plain = f"quarantine_{copy.name}"
        names = chain([plain], (f"{plain}_{number}" for number in count(2)))
        side = next(name for name in names if fold_name(name) not in taken)
        taken.add(fold_name(side))
        yield replace(copy, side=side, key=key_of_rows(target, copy.name))


def new_rows(
    target: sqlite3.Connection, name: str, columns: Sequence[str], side: str | None
) -> Iterator[tuple[tuple[Any, ...], bool]]:
    """Read a new table and its side table as the old one was read: each row in its place.

    Args:
        target: The new database.
        name: The table.
        columns: The columns to read.
        side: Its side table; None if it has none.

    Yields:
        Each row, and whether it lies in the side table.
    """
    names = ", ".join(map(quote_name, columns))
    number = rowid_of(target, name)
    found = iter(target.execute(f"SELECT {names} FROM {quote_name(name)} ORDER BY {number}"))
    position = 0
    if side and target.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (side,)).fetchone():
        place = _OWN_COLUMNS[0]
        aside = f"SELECT {place}, {names} FROM {quote_name(side)} ORDER BY {place}"
        for at, *row in target.execute(aside):
            for own in islice(found, at - position):
                yield own, False
            yield tuple(row), True
            position = at + 1
    for own in found:
        yield own, False


def _set_aside(
    target: sqlite3.Connection,
    copy: TableCopy,
    position: int,
    constraint: str,
    row: Sequence[Any],
) -> None:
    """Write a row to the side table, which has no constraint but that places are unique."""
    assert copy.side is not None
    types = dict(target.execute("SELECT name, type FROM pragma_table_info(?)", (copy.name,)))
    columns = ", ".join(defined(name, types[name]) for name in copy.columns)
    place, why = _OWN_COLUMNS
    target.execute(
        f"CREATE TABLE IF NOT EXISTS {quote_name(copy.side)} "
        f"({place} INTEGER PRIMARY KEY, {why} TEXT, {columns})"
    )
    target.execute(_insert(copy.side, (place, why, *copy.columns)), (position, constraint, *row))


def find_orphans(
    target: sqlite3.Connection,
    copies: Iterable[TableCopy],
    gone: Sequence[RefusedRow],
    *,
    quarantine: bool,
) -> list[RefusedRow]:
    """Find the rows whose foreign keys name no row of the new database.

    Args:
        target: The new database, in autocommit mode.
        copies: The tables.
        gone: The rows that were refused before, which are not in it.
        quarantine: Whether those found are moved to their side tables.
    """
    found = list[RefusedRow]()
    for copy in copies:
        missing = sorted(row.position for row in gone if row.table == copy.name)
        broken: dict[int, str] = {}
        check = "SELECT rowid, parent, fkid FROM pragma_foreign_key_check(?)"
        for rowid, parent, _ in target.execute(check, (copy.name,)):
            broken.setdefault(rowid, f"FOREIGN KEY constraint failed: no such row of {parent}")
        number = rowid_of(target, copy.name)
        names = ", ".join(map(quote_name, copy.columns))
        moved = list[tuple[int, str, tuple[Any, ...]]]()
        for rowid, constraint in sorted(broken.items()):
            below = f"SELECT count(*) FROM {quote_name(copy.name)} WHERE {number} < ?"
            ((position,),) = target.execute(below, (rowid,))
            for absent in missing:
                position += absent <= position
            one = f"SELECT {names} FROM {quote_name(copy.name)} WHERE {number} = ?"
            (row,) = target.execute(one, (rowid,)).fetchall()
            found.append(refused_row(copy, position, row, constraint))
            moved.append((position, constraint, row))
        if quarantine and moved:
            target.execute("BEGIN")
            for position, constraint, row in moved:
                _set_aside(target, copy, position, constraint, row)
            delete = f"DELETE FROM {quote_name(copy.name)} WHERE {number} = ?"
            target.executemany(delete, [(rowid,) for rowid in broken])
            target.execute("COMMIT")
    return found
