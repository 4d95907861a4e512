"""Rows of SQLite that are found by an index and taken from the table itself, by row number.

An index that disagrees with its table loses rows, or gives other values, and SQLite never says so.
Here a row's number is all that is taken from an index: what the row holds, and what it belongs to,
is then read in the table. What an index lost, or has twice, shows when the numbers are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    TextClause,
    and_,
    false,
    func,
    literal_column,
    or_,
    select,
    text,
    true,
)

from landscape_compat.landscape.stored import StoredSchema, StoredTable, holds, read
from landscape_compat.landscape.tables import RUNS, Link

__all__ = ["ByRowid", "Numbers", "sorts_as_python"]

_ENTRY: Final = "entry"
_ROW: Final = "row"
# Row numbers are ticked off in one byte each, so that they may not lie too far apart.
_ROOM: Final = 1 << 20
_FOLD: Final = 4


def sorts_as_python(connection: Connection) -> bool:
    """Tell whether SQLite compares texts here as Python does: code point by code point.

    Args:
        connection: A connection to it.
    """
    if connection.dialect.name != "sqlite":
        return False
    ((encoding,),) = read(connection, text("PRAGMA encoding"))
    said = text("SELECT 1 FROM sqlite_master WHERE instr(lower(sql), 'collate') LIMIT 1")
    return encoding == "UTF-8" and not list(read(connection, said))


class ByRowid:
    """One stored table of SQLite's, each row read by its number.

    Args:
        connection: The connection.
        schema: All that is stored.
        table: The table; it has a row number and no values of rules.
    """

    def __init__(self, connection: Connection, schema: StoredSchema, table: StoredTable) -> None:
        assert table.rowid
        self._rowid = table.rowid
        self._quote = connection.dialect.identifier_preparer.quote_identifier
        self._connection = connection
        self._schema = schema
        self._table = table
        #: Where rows are found: nothing of it becomes part of a record.
        self.entry = replace(table, clause=table.clause.alias(_ENTRY))

    def select(self, columns: Sequence[str]) -> Select[Any]:
        """Select the number and the columns of each row that an entry of an index leads to.

        Args:
            columns: Their stored names.
        """
        rowid = self._of(_ROW, self._rowid)
        statement = select(rowid, *(self._of(_ROW, name) for name in columns))
        statement = statement.select_from(self.entry.clause, self._unindexed(self._table, _ROW))
        return statement.where(rowid == self.entry.clause.c[self._rowid])

    def belongs(self, link: Link, key: ColumnElement[Any]) -> ColumnElement[bool]:
        """Say which entries lead to a row that has a key of a list; the row itself may not.

        Args:
            link: The link by which it belongs to something.
            key: The keys, as a column.
        """
        # In this form, a table without an index is gone through once, not once for each key.
        return and_(
            self.entry.key(link.key).in_(select(key)),
            holds(self.entry, link),
            self._holds(self._table, _ROW, link),
        )

    def of_run(self, run_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Say which entries lead to a row of a run, and which of those rows are of it.

        Args:
            run_id: The run's id.
        """
        return and_(
            self._schema.of_run(self.entry, run_id), self._of_run(self._table, _ROW, run_id, 0)
        )

    def numbers(self, count: int) -> Numbers | None:
        """Begin to tick off row numbers; None if they lie too far apart for that.

        Args:
            count: How many rows are stored.
        """
        rowid = self._of(_ROW, self._rowid)
        unindexed = self._unindexed(self._table, _ROW)
        # Each for itself, which asks the two ends of the table instead of all of it.
        ((least,),) = self._read(select(func.min(rowid)).select_from(unindexed))
        ((most,),) = self._read(select(func.max(rowid)).select_from(unindexed))
        if not count:
            return Numbers(0, 0)
        span = int(most) - int(least) + 1
        return Numbers(int(least), span) if span <= _FOLD * count + _ROOM else None

    def _of_run(
        self, table: StoredTable, alias: str, run_id: ColumnElement[Any], depth: int
    ) -> ColumnElement[bool]:
        if table.facts and table.facts.table == RUNS:
            known = table.shape.column("run_id")
            return self._key(table, alias, "run_id") == run_id if known else false()
        ways = []
        for link, parent in self._schema.links(table):
            own = self._key(table, alias, link.key)
            if link.parent == RUNS:
                way = own == run_id
            else:
                way = self._reaches(own, parent, link, run_id, depth + 1)
            ways.append(and_(way, self._holds(table, alias, link)))
        return or_(false(), *ways)

    def _reaches(
        self,
        own: ColumnElement[Any],
        parent: StoredTable,
        link: Link,
        run_id: ColumnElement[Any],
        depth: int,
    ) -> ColumnElement[bool]:
        """Say that a row of the run has the key that another row names as its parent's."""
        if not parent.rowid:
            return false()
        entry, row = f"{_ENTRY}{depth}", f"{_ROW}{depth}"
        found = replace(parent, clause=parent.clause.alias(entry))
        above: Select[Any] = select(literal_column("1")).select_from(
            found.clause, self._unindexed(parent, row)
        )
        above = above.where(
            found.key(link.parent_key) == own,
            self._of(row, parent.rowid) == found.clause.c[parent.rowid],
            self._key(parent, row, link.parent_key) == own,
            self._of_run(parent, row, run_id, depth),
        )
        return above.exists()

    def _holds(self, table: StoredTable, alias: str, link: Link) -> ColumnElement[bool]:
        other = table.shape.column(link.unless) if link.unless else None
        return true() if other is None else self._of(alias, other.name).is_(None)

    def _key(self, table: StoredTable, alias: str, folded: str) -> ColumnElement[Any]:
        shape = table.shape.column(folded)
        assert shape is not None
        return self._of(alias, shape.name).collate("BINARY")

    def _of(self, alias: str, name: str) -> ColumnElement[Any]:
        return literal_column(f"{alias}.{self._quote(name)}")

    def _unindexed(self, table: StoredTable, alias: str) -> TextClause:
        # `NOT INDEXED` leaves the row's number as the only way to a single row.
        name = f"{self._quote(table.name)} AS {alias} NOT INDEXED"
        return text(name.replace(":", r"\:"))

    def _read(self, statement: Select[Any]) -> Iterator[Any]:
        return read(self._connection, statement, table=self._table.name)


class Numbers:
    """The row numbers of one table, ticked off as its rows are given.

    Args:
        least: The least of them.
        span: How far they reach.
    """

    def __init__(self, least: int, span: int) -> None:
        self._least = least
        self._given = bytearray(span)

    def tick(self, rows: Sequence[Any]) -> None:
        """Tick off rows, each of which begins with its number.

        Args:
            rows: The rows.
        """
        given, least = self._given, self._least
        for row in rows:
            given[row[0] - least] = 1

    @property
    def count(self) -> int:
        """Count the rows that were ticked off."""
        return self._given.count(1)
