"""Reading typed records: one method for every question that a recorder is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, literal, literal_column, select

from landscape_compat.errors import UnreadableError
from landscape_compat.landscape.absent import ABSENT, Absent
from landscape_compat.landscape.database import Landscape
from landscape_compat.landscape.loading import RecordLoader
from landscape_compat.landscape.records import Record
from landscape_compat.landscape.stored import StoredSchema, StoredTable, read
from landscape_compat.schema.shape import SchemaShape

__all__ = ["AbsentRecords", "Reader"]

RecordT = TypeVar("RecordT", bound=Record)
Terms = Callable[[StoredSchema, StoredTable], Sequence[ColumnElement[Any]]]

# SQLite takes at least 999 parameters a statement, however it was built.
_MOST_KEYS = 500


class AbsentRecords(list[RecordT]):
    """No records, because the database holds no such table, or no such column to find them by.

    It is an empty list, so that a loop over it does nothing; what an empty list would hide is
    in `missing`.

    Args:
        missing: What is not stored, as `table` or `table.column`.
    """

    def __init__(self, missing: str) -> None:
        super().__init__()
        self.missing = missing

    def __repr__(self) -> str:
        return f"AbsentRecords({self.missing!r})"

    def __reduce__(self) -> tuple[type[AbsentRecords[Any]], tuple[str]]:
        return AbsentRecords, (self.missing,)


class Reader:
    """Reads records as they are stored, past every projection.

    Args:
        db: The database.
    """

    def __init__(self, db: Landscape) -> None:
        self._db = db
        self._told: set[str] = set()
        self._of: tuple[SchemaShape, StoredSchema] | None = None
        self._loaders: dict[type[Record], RecordLoader[Any]] = {}

    def is_absent(self, path: str) -> bool:
        """Tell whether a table or a column is not stored.

        Args:
            path: `table` or `table.column`.
        """
        return not self._db.stored.has(path)

    def many(
        self,
        kind: type[RecordT],
        *,
        run_id: str | None = None,
        order: Sequence[str] | Terms = (),
        where: Terms | None = None,
        limit: int | None = None,
        offset: int | None = None,
        **equal: Any,
    ) -> list[RecordT]:
        """Read records of one class.

        Args:
            kind: The class.
            run_id: The run that must reach them, through whatever they belong to.
            order: The columns to sort by, or what makes the terms; the host's order without.
            where: Makes further conditions.
            limit: How many at most.
            offset: How many to pass over first.
            equal: Column to the value that it must hold, or to a list of which it must hold one.

        Returns:
            The records; `AbsentRecords` where the table or a column of `equal` is not stored.
        """
        with self._open() as (connection, schema):
            table = self._table(schema, kind)
            if table is None:
                return AbsentRecords(kind.TABLE)
            conditions = list(where(schema, table)) if where else []
            for name, value in equal.items():
                own = table.column(name)
                if own is None:
                    return AbsentRecords(f"{kind.TABLE}.{name}")
                conditions.append(own.in_(value) if isinstance(value, list) else own == value)
            if run_id is not None:
                conditions.append(schema.of_run(table, literal(run_id)))
            loader = self._loader(kind, table)
            terms = order(schema, table) if callable(order) else table.order(*order)
            statement = select(*loader.columns).where(*conditions).order_by(*terms)
            rows = read(connection, statement.limit(limit).offset(offset), table=table.name)
            with closing(rows):  # before its connection, also where a value cannot be loaded
                return [loader.load(row) for row in rows]

    def one(self, kind: type[RecordT], **wanted: Any) -> RecordT | None:
        """Read one record of a table that every known schema has.

        Args:
            kind: The class.
            wanted: What `many` takes.

        Raises:
            UnreadableError: The table, or a column needed to find the record, is not stored.
        """
        found = self.one_or_absent(kind, **wanted)
        if found is ABSENT:
            raise _lost(kind)
        return found

    def one_or_absent(self, kind: type[RecordT], **wanted: Any) -> RecordT | Absent | None:
        """Read one record.

        Args:
            kind: The class.
            wanted: What `many` takes.

        Returns:
            The record, None where there is none, `ABSENT` where the database holds no table,
            or no column to find it by.
        """
        found = self.many(kind, limit=1, **wanted)
        if isinstance(found, AbsentRecords):
            return ABSENT
        return found[0] if found else None

    def many_by_keys(
        self, kind: type[RecordT], column: str, keys: Sequence[str], **wanted: Any
    ) -> list[RecordT]:
        """Read the records that a column names one of many keys in.

        Args:
            kind: The class.
            column: The column.
            keys: The keys; one given twice counts once.
            wanted: What `many` takes besides.
        """
        distinct = list(dict.fromkeys(keys))
        found: list[RecordT] = []
        for start in range(0, max(1, len(distinct)), _MOST_KEYS):
            part = self.many(kind, **{**wanted, column: distinct[start : start + _MOST_KEYS]})
            if isinstance(part, AbsentRecords):
                return part
            found += part
        return found

    def windows(self, kind: type[RecordT], size: int, *, run_id: str) -> Iterator[list[RecordT]]:
        """Read the records of a run bit by bit.

        Args:
            kind: The class.
            size: How many records at a time.
            run_id: The run.

        Raises:
            UnreadableError: The table is not stored.
        """
        with self._open() as (connection, schema):
            table = self._table(schema, kind)
            if table is None:
                raise _lost(kind)
            loader = self._loader(kind, table)
            statement = select(*loader.columns).where(schema.of_run(table, literal(run_id)))
            window: list[RecordT] = []
            for row in read(connection, statement.order_by(*table.order()), table=table.name):
                window.append(loader.load(row))
                if len(window) == size:
                    yield window
                    window = []
            if window:
                yield window

    @contextmanager
    def _open(self) -> Iterator[tuple[Connection, StoredSchema]]:
        with self._db.connection() as connection:
            # The first statement takes the snapshot, and notices a schema that changed.
            first: Select[Any] = select(literal_column("1"))
            list(read(connection, first))
            stored = self._db.stored
            if self._of is None or self._of[0] is not stored:
                self._of = stored, StoredSchema(stored, connection.dialect.name)
                self._loaders.clear()
            yield connection, self._of[1]

    def _table(self, schema: StoredSchema, kind: type[Record]) -> StoredTable | None:
        if kind.TABLE not in self._told:
            self._db.tell(kind.TABLE)
            self._told.add(kind.TABLE)
        return schema.table(kind.TABLE)

    def _loader(self, kind: type[RecordT], table: StoredTable) -> RecordLoader[RecordT]:
        if kind not in self._loaders:
            self._loaders[kind] = RecordLoader(kind, table)
        return self._loaders[kind]


def _lost(kind: type[Record]) -> UnreadableError:
    return UnreadableError(
        "Every known version of the database has this table with all its keys; this one has "
        "not, so what it recorded here cannot be told.",
        table=kind.TABLE,
        remedy="Export the database, which gives what is there, and look for a backup.",
    )
