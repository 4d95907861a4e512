"""The records of a run or of a whole database, as a stream."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

from sqlalchemy import Connection, Select, literal, literal_column, select

from landscape_compat.errors import RunNotFoundError
from landscape_compat.export.order import RecordOrder
from landscape_compat.export.source import Source
from landscape_compat.export.values import Record
from landscape_compat.landscape.database import Landscape
from landscape_compat.landscape.stored import StoredSchema, read, tell
from landscape_compat.landscape.tables import RUNS, TABLES
from landscape_compat.schema.shape import SchemaShape

__all__ = ["RecordStream", "export_database", "export_run"]


class RecordStream(Iterator[Record]):
    """Records, one after another, and how many there were of each type.

    The database is read, in one transaction, from the first record to the last. A stream that
    is not read to its end should be closed.

    Args:
        db: The database.
        records: Gives the records.
    """

    def __init__(self, db: Landscape, records: Callable[[RecordOrder], Iterator[Record]]) -> None:
        self._orders: list[RecordOrder] = []
        # Without a reference to this object, so that forgetting it gives the connection back.
        self._records = _read(db, records, self._orders)

    def __iter__(self) -> RecordStream:
        return self

    def __next__(self) -> Record:
        return next(self._records)

    def close(self) -> None:
        """Stop reading, and give the connection back."""
        self._records.close()

    @property
    def counts(self) -> dict[str, int]:
        """Count the records given so far, by type."""
        return {source.record_type: source.given for source in self._sources() if source.given}

    @property
    def unreached(self) -> dict[str, int]:
        """Count those of them that no run reaches, though they say that they belong to one."""
        found = self._sources()
        return {source.record_type: source.unreached for source in found if source.unreached}

    def _sources(self) -> Iterator[Source]:
        return (source for order in self._orders for source in order.sources)


def _read(
    db: Landscape,
    records: Callable[[RecordOrder], Iterator[Record]],
    orders: list[RecordOrder],
) -> Generator[Record, None, None]:
    with db.connection() as connection:
        # The first statement takes the snapshot, and notices a schema that changed.
        list(read(connection, select(literal_column("1"))))
        stored = db.stored
        for facts in TABLES:
            tell(connection, stored, db.declared, facts.table)
        orders.append(RecordOrder(connection, stored))
        yield from records(orders[0])


def export_run(db: Landscape, run_id: str) -> RecordStream:
    """Give every record of one run, as stored, in the host's order.

    A record is a flat dictionary: `record_type`, `run_id`, then every stored column under its
    stored name. Timestamps are in the host's ISO form, booleans are true or false, everything
    else is as stored, JSON as its text. A column that is not stored is left out.

    Args:
        db: The database.
        run_id: The run.

    Raises:
        RunNotFoundError: The database holds no such run.
    """
    with db.connection() as connection:
        if not _holds_run(connection, db.stored, run_id):
            raise RunNotFoundError(
                f"The database holds no run {run_id!r}, so there is nothing to export.",
                table="runs",
                remedy="Check the run's id and the database; "
                "`ReadOnlyRecorder(db).list_runs()` lists the runs that it holds.",
            )
    return RecordStream(db, lambda order: order.run(run_id))


def export_database(db: Landscape) -> RecordStream:
    """Give every row of every table, once, in the order of `export_run` run by run.

    The runs come in the order in which they began, then the tables that belong to no run, the
    host's before any other, and last the rows that no run reaches: their parent or their run is
    not stored. Views and virtual tables store nothing of their own, and are left out.

    Args:
        db: The database.
    """
    return RecordStream(db, _everything)


def _holds_run(connection: Connection, stored: SchemaShape, run_id: str) -> bool:
    schema = StoredSchema(stored, connection.dialect.name)
    runs = schema.table(RUNS)
    if runs is None:
        return False
    key: Select[Any] = select(literal_column("1")).select_from(runs.clause)
    found = key.where(schema.of_run(runs, literal(run_id))).limit(1)
    return bool(list(read(connection, found, table=RUNS)))


def _everything(order: RecordOrder) -> Iterator[Record]:
    for run_id in order.run_ids():
        yield from order.run(run_id)
    yield from order.of_database()
    yield from order.unreached()
