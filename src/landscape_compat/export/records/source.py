"""One stored table as a source of records, and what has been given of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    TextClause,
    func,
    literal_column,
    select,
    text,
)

from landscape_compat.export.records.additions import Additions
from landscape_compat.export.records.by_rowid import Numbers
from landscape_compat.export.records.sorting import Sorting
from landscape_compat.export.records.values import RecordForm, record_form
from landscape_compat.landscape.stored import StoredTable, read, read_chunks
from landscape_compat.landscape.tables import Link
from landscape_compat.schema.shape import fold_name

__all__ = ["CHUNK", "MakeOf", "Source"]

# For each form, what makes a record of a row and the run that it was reached from.
MakeOf: TypeAlias = Callable[[RecordForm], Callable[[Sequence[Any], Any], Any]]

# More in one piece makes the allocator give memory back and take it again, which takes longer
# than the reading.
CHUNK: Final = 32


class Source:
    """One stored table, read by one connection inside one transaction.

    Args:
        connection: The connection.
        table: The table.
        make_of: Gives what makes a record, in whatever form is wanted, of a row and its run.
        additions: What records have besides what is stored.

    Attributes:
        given: How many of its rows became records.
        unreached: How many of those no run reaches.
        numbers: The numbers of the rows given, where it is to be proved that those are all.
    """

    def __init__(
        self,
        connection: Connection,
        table: StoredTable,
        make_of: MakeOf,
        additions: Additions,
    ) -> None:
        self.table, more = additions.to(table)
        self.given = 0
        self.unreached = 0
        self.numbers: Numbers | None = None
        self._connection = connection
        self.form = record_form(table, more)
        self.make = make_of(self.form)
        self._claimed: set[tuple[str, Any]] = set()
        self._repeated: dict[str, frozenset[Any]] = {}

    @property
    def record_type(self) -> str:
        """Name the type of its records."""
        return self.form.record_type

    @cached_property
    def is_empty(self) -> bool:
        """Tell whether it holds no row, so that nothing below it need be asked for."""
        statement: Select[Any] = select(literal_column("1")).select_from(self._unindexed()).limit(1)
        return not list(self.read(statement))

    @cached_property
    def stored(self) -> int:
        """Count its rows, in the table itself: an index that lost some would lose them here too."""
        counted = select(func.count()).select_from(self._unindexed())
        ((count,),) = self.read(counted)
        return int(count)

    def _unindexed(self) -> FromClause | TextClause:
        dialect = self._connection.dialect
        if dialect.name != "sqlite":
            return self.table.clause
        name = dialect.identifier_preparer.format_table(self.table.clause)
        return text(f"{name} NOT INDEXED".replace(":", r"\:"))

    def select(self, position: ColumnElement[int] | None = None) -> Select[Any]:
        """Select what records are made of.

        Args:
            position: What the rows begin with; 0 without.
        """
        first = literal_column("0") if position is None else position
        stored = [self.table.get(name) for name in self.form.columns]
        return select(first, *stored, *(self.table.clause.c[name] for name in self.table.filled))

    def select_all(self) -> Select[Any]:
        """Select what records are made of, of every row, in the order they are stored in.

        Every row and value is then what the table itself says, whatever its indexes say; but
        not what rules give, which may look elsewhere.
        """
        statement = self.select_unindexed()
        if self.table.rowid:
            statement = statement.order_by(literal_column(self.table.rowid))
        return statement

    def select_unindexed(self) -> Select[Any]:
        """Select what records are made of, of every row, with no use of an index of SQLite's."""
        dialect = self._connection.dialect
        if dialect.name != "sqlite" or self.table.filled:
            return self.select()
        quote = dialect.identifier_preparer.quote_identifier
        stored: list[ColumnElement[Any]] = [
            literal_column(quote(name)) for name in self.form.columns
        ]
        return select(literal_column("0"), *stored).select_from(self._unindexed())

    @cached_property
    def sorting(self) -> Sorting:
        """Give the order of rows that begin with their number."""
        terms = [
            (self.position_of(shape.name), self.table.sorts_null_last(shape))
            for shape in self.table.order_columns()
        ]
        return Sorting([*terms, (0, False)])

    def read(
        self, statement: Select[Any], parameters: Mapping[str, Any] | None = None
    ) -> Iterator[Any]:
        """Run a statement over the table."""
        return read(self._connection, statement, parameters, table=self.table.name)

    def chunks(
        self,
        statement: Select[Any],
        parameters: Mapping[str, Any] | None = None,
        *,
        size: int = CHUNK,
    ) -> Iterator[Sequence[Any]]:
        """Run a statement over the table, and give its rows in lists of at most this size."""
        return read_chunks(
            self._connection, statement, parameters, table=self.table.name, size=size
        )

    def records(self, rows: Sequence[Any], run_id: Any) -> list[Any]:
        """Make the records of rows that `select` selected, and count them.

        Args:
            rows: The rows.
            run_id: The run that they were reached from, if they were.
        """
        make = self.make
        self.give(rows)
        return [make(row, run_id) for row in rows]

    def give(self, rows: Sequence[Any]) -> None:
        """Count rows that `select` selected as given.

        Args:
            rows: The rows.
        """
        self.given += len(rows)
        if self.numbers is not None:
            self.numbers.tick(rows)

    @property
    def is_all_given(self) -> bool:
        """Tell whether as many rows were given as are stored, and none of them twice."""
        once = self.numbers is None or self.numbers.count == self.stored
        return self.given == self.stored and once

    def record(self, row: Sequence[Any], run_id: Any) -> Any:
        """Make the record of a row that `select` selected, and count it.

        Args:
            row: The row.
            run_id: The run that it was reached from, if it was.
        """
        self.give((row,))
        return self.make(row, run_id)

    def claim(self, parent: Source, link: Link, window: Sequence[Any]) -> list[Any]:
        """List the keys by which a window of parents owns rows of this table.

        Where parents share a key, which only a table without its primary key allows, the first
        one owns what is below it; for the others the list holds None.

        Args:
            parent: The parents' table.
            link: The link to it.
            window: Rows that its `select` selected.
        """
        at = parent.position_of(link.parent_key)
        keys = [row[at] for row in window]
        repeated = parent.repeated(link.parent_key)
        if not repeated:
            return keys
        for place, key in enumerate(keys):
            if key in repeated:
                if (link.parent, key) in self._claimed:
                    keys[place] = None
                self._claimed.add((link.parent, key))
        return keys

    def position_of(self, column: str) -> int:
        """Tell where in a row that `select` selected a column is, by its folded name."""
        folded = [fold_name(name) for name in self.form.columns]
        return 1 + folded.index(fold_name(column))

    def repeated(self, column: str) -> frozenset[Any]:
        """Find the values that a column holds more than once.

        Args:
            column: The column's folded name.
        """
        if self.table.is_named_by(column):
            return frozenset()
        if column not in self._repeated:
            key = self.table.key(column)
            statement = select(key).group_by(key).having(func.count() > 1)
            self._repeated[column] = frozenset(value for (value,) in self.read(statement))
        return self._repeated[column]
