"""Statements over what a Landscape stores, past every projection and every rule."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Connection,
    Executable,
    FromClause,
    Select,
    and_,
    column,
    false,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy import table as table_clause
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import quoted_name

from landscape_compat.engine.faults import explain_fault, explain_server
from landscape_compat.engine.lookout import database_name
from landscape_compat.engine.statements import AS_STORED
from landscape_compat.landscape.tables import RUNS, Link, RecordTable, facts_for
from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape, fold_name

__all__ = ["StoredSchema", "StoredTable", "free_rowid", "holds", "read", "read_chunks"]

_CHUNK: Final = 256
_ROWID_NAMES: Final = ("rowid", "_rowid_", "oid")


def read(
    connection: Connection,
    statement: Executable,
    parameters: Mapping[str, Any] | None = None,
    *,
    table: str | None = None,
    as_stored: bool = True,
) -> Generator[Any, None, None]:
    """Run a statement over what is stored and give its rows as they come.

    Args:
        connection: A connection inside a read transaction.
        statement: A SELECT over stored columns only, unless it goes through the shim.
        parameters: Its parameters.
        table: The table read, for errors.
        as_stored: Whether to read past every projection and rule.

    Raises:
        UnreadableError: A value is not valid text or has no form in Python, the database is
            damaged, or its server does not give it.
        OpeningRefusedError: A writer keeps it to itself.
        LandscapeCompatError: The connection to its server ended.
    """
    chunks = read_chunks(connection, statement, parameters, table=table, as_stored=as_stored)
    with closing(chunks):
        for rows in chunks:
            yield from rows


def read_chunks(
    connection: Connection,
    statement: Executable,
    parameters: Mapping[str, Any] | None = None,
    *,
    table: str | None = None,
    as_stored: bool = True,
    size: int = _CHUNK,
) -> Generator[Sequence[Any], None, None]:
    """Run a statement as `read` does, and give its rows in lists as they come.

    Args:
        connection: A connection inside a read transaction.
        statement: A SELECT over stored columns only, unless it goes through the shim.
        parameters: Its parameters.
        table: The table read, for errors.
        as_stored: Whether to read past every projection and rule.
        size: How many rows a list has at most.

    Raises:
        LandscapeCompatError: What `read` raises.
    """
    # SQLite's rows come one by one anyhow, and a buffer around its cursor would keep some back.
    raw = connection.dialect.name == "sqlite"
    options = {AS_STORED: as_stored, "stream_results": not raw}
    try:
        with connection.execute(statement, parameters, execution_options=options) as result:
            # Nothing is to be done with a row as it comes, and SQLAlchemy's rows take more time
            # than the reading. A server's cursor is left to it.
            if raw:
                while rows := result.cursor.fetchmany(size):
                    yield rows
                return
            # Each of these asks the server.
            while rows := result.fetchmany(size * max(1, _CHUNK // size)):
                for start in range(0, len(rows), size):
                    yield rows[start : start + size]
    # The error of a driver that makes a value of Python's from what is no such value, too.
    except (DBAPIError, connection.dialect.loaded_dbapi.Error, ValueError, OverflowError) as error:
        database = database_name(connection.engine)
        explain = explain_fault if raw else explain_server
        explained = explain(error, database, table=table)
        if explained is not None:
            raise explained from error
        if isinstance(error, (DBAPIError, ValueError, OverflowError)):
            raise
        driver: Any = connection.dialect.loaded_dbapi
        raise DBAPIError.instance(None, None, error, driver.Error) from error


def free_rowid(columns: Iterable[str]) -> str | None:
    """Name SQLite's hidden row number as no column is named; None if all its names are taken.

    Args:
        columns: The names of the table's columns.
    """
    taken = set(map(fold_name, columns))
    return next((name for name in _ROWID_NAMES if name not in taken), None)


@dataclass(frozen=True, slots=True, eq=False)
class StoredTable:
    """A table as it is stored, ready to be selected from.

    Args:
        shape: What is stored.
        facts: What it is in the record; None for a table of nobody's.
        clause: It, with exactly its stored columns, every name quoted.
        rowid: The name that SQLite's hidden row number goes by, if it can be used.
        collation: What to compare keys by, if it must be said.
        filled: The names of columns beside the stored ones, with values that rules give.
    """

    shape: TableShape
    facts: RecordTable | None
    clause: FromClause
    rowid: str | None
    collation: str | None
    filled: tuple[str, ...] = ()

    @classmethod
    def of(cls, shape: TableShape, dialect: str, *, computed: bool = True) -> StoredTable:
        """Make one of a stored shape.

        Args:
            shape: The shape, with the columns that are computed.
            dialect: SQLAlchemy's name of the dialect.
            computed: Whether to have those that are computed at each reading, of which nothing
                is stored. What computes them may be anybody's, and take any time and memory.
        """
        hidden = shape.has_rowid and dialect == "sqlite"
        rowid = free_rowid(shape.column_names) if hidden else None
        if not computed:
            shape = replace(shape, columns=tuple(c for c in shape.columns if not c.computed))
        columns: list[ColumnClause[Any]] = [
            column(quoted_name(name, quote=True)) for name in shape.column_names
        ]
        if rowid:
            columns.append(column(rowid))
        # Said outright: the search path may change under a program's hands.
        schema = quoted_name(shape.schema, quote=True) if shape.schema else None
        clause = table_clause(quoted_name(shape.name, quote=True), *columns, schema=schema)
        collation = "BINARY" if dialect == "sqlite" else None
        return cls(shape, facts_for(shape.name), clause, rowid, collation)

    @property
    def name(self) -> str:
        """Name the table as it is stored."""
        return self.shape.name

    @property
    def columns(self) -> list[ColumnElement[Any]]:
        """Give the stored columns, in stored order."""
        return [self.clause.c[name] for name in self.shape.column_names]

    def column(self, name: str) -> ColumnElement[Any] | None:
        """Find a stored column by its folded name."""
        found = self.shape.column(name)
        return None if found is None else self.clause.c[found.name]

    def get(self, name: str) -> ColumnElement[Any]:
        """Find a column by its folded name.

        Raises:
            KeyError: It is not stored.
        """
        found = self.column(name)
        if found is None:
            raise KeyError(name)
        return found

    def key(self, name: str) -> ColumnElement[Any]:
        """Find a column by its folded name, to be compared with a key.

        Two keys are one only if they are the same text, whatever a column says of case.

        Raises:
            KeyError: It is not stored.
        """
        found = self.get(name)
        return found.collate(self.collation) if self.collation else found

    def order(self, *wanted: str) -> list[ColumnElement[Any]]:
        """Give the terms that sort the rows, and always in the same way.

        Args:
            wanted: The columns to sort by; those not stored are passed over. Without any, the
                order that the host sorts siblings in.
        """
        terms = [self._term(shape) for shape in self.order_columns(*wanted)]
        if not self._has_key and self.rowid:
            terms.append(self.clause.c[self.rowid])
        return terms

    def order_columns(self, *wanted: str) -> list[ColumnShape]:
        """Give the columns that the rows are sorted by; behind them, the row number sorts.

        Args:
            wanted: As `order` takes them.
        """
        names = wanted or (self.facts.order if self.facts else ())
        found = [shape for name in names if (shape := self.shape.column(name))]
        keys = [shape for shape in self.shape.columns if shape.primary_key]
        return list(dict.fromkeys((*found, *keys)))

    def sorts_null_last(self, shape: ColumnShape) -> bool:
        """Tell whether NULL sorts last in a column instead of first."""
        return self.facts is not None and fold_name(shape.name) in self.facts.nulls_last

    def _term(self, shape: ColumnShape) -> ColumnElement[Any]:
        term: ColumnElement[Any] = self.clause.c[shape.name]
        if not shape.nullable:
            return term
        # Said outright, because the databases do not agree on where NULL sorts.
        return term.nulls_last() if self.sorts_null_last(shape) else term.nulls_first()

    @property
    def _has_key(self) -> bool:
        return any(shape.primary_key for shape in self.shape.columns)

    def is_named_by(self, name: str) -> bool:
        """Tell whether one column is the primary key, so that its values cannot repeat."""
        keys = [shape.name for shape in self.shape.columns if shape.primary_key]
        return len(keys) == 1 and fold_name(keys[0]) == fold_name(name)


class StoredSchema:
    """All that one database stores, and how its rows belong to runs.

    Args:
        stored: What it stores.
        dialect: SQLAlchemy's name of its dialect.
    """

    def __init__(self, stored: SchemaShape, dialect: str) -> None:
        self._dialect = dialect
        self._shapes = {
            fold_name(shape.name): shape
            for shape in stored
            if shape.kind == "table" and shape.columns
        }
        self._tables: dict[str, StoredTable] = {}

    def __iter__(self) -> Iterator[StoredTable]:
        for name in self._shapes:
            table = self.table(name)
            assert table is not None
            yield table

    def table(self, name: str) -> StoredTable | None:
        """Find a table by its folded name; views and virtual tables are none."""
        folded = fold_name(name)
        if folded not in self._tables and folded in self._shapes:
            self._tables[folded] = StoredTable.of(
                self._shapes[folded], self._dialect, computed=False
            )
        return self._tables.get(folded)

    def of_run(self, table: StoredTable, run_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Say which rows of a table a run reaches, through whatever they belong to.

        Args:
            table: The table.
            run_id: The run's id.
        """
        if _is_runs(table):
            return table.key("run_id") == run_id if table.shape.column("run_id") else false()
        ways = []
        for link, parent in self.links(table):
            own = table.key(link.key)
            if link.parent == RUNS:
                way = own == run_id
            else:
                keys = select(parent.get(link.parent_key)).where(self.of_run(parent, run_id))
                way = own.in_(keys.correlate(None))
            ways.append(and_(way, holds(table, link)))
        return or_(false(), *ways)

    def reached(self, table: StoredTable) -> ColumnElement[bool]:
        """Say which rows of a table any run reaches."""
        if _is_runs(table):
            key = table.column("run_id")
            return false() if key is None else key.is_not(None)
        ways = []
        for link, parent in self.links(table):
            same = parent.key(link.parent_key) == table.get(link.key)
            above: Select[Any] = select(literal_column("1")).select_from(parent.clause)
            above = above.where(same, self.reached(parent)).correlate(table.clause)
            ways.append(and_(above.exists(), holds(table, link)))
        return or_(false(), *ways)

    def links(self, table: StoredTable) -> Iterator[tuple[Link, StoredTable]]:
        """Give what the rows of a table belong to, as far as both sides are stored."""
        for link in table.facts.links if table.facts else ():
            parent = self.table(link.parent)
            if parent and parent.shape.column(link.parent_key) and table.shape.column(link.key):
                yield link, parent


def holds(table: StoredTable, link: Link) -> ColumnElement[bool]:
    """Say for which rows of a table a link is the one that counts."""
    other = table.column(link.unless) if link.unless else None
    return true() if other is None else other.is_(None)


def _is_runs(table: StoredTable) -> bool:
    return table.facts is not None and table.facts.table == RUNS
