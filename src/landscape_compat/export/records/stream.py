"""The records of runs, or of a whole database, as a stream."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import chain, islice
from operator import attrgetter
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, literal_column, select

from landscape_compat.export.records.additions import AbsentMode, Additions
from landscape_compat.export.records.order import RecordOrder
from landscape_compat.export.records.selection import EVERYTHING, Selection
from landscape_compat.export.records.source import CHUNK, MakeOf, Source
from landscape_compat.export.records.tuning import tuned
from landscape_compat.export.records.values import Record
from landscape_compat.landscape.database import Landscape
from landscape_compat.landscape.stored import read
from landscape_compat.landscape.tables import TABLES

__all__ = [
    "Order",
    "RecordStream",
    "begin_order",
    "count_records",
    "export_database",
    "export_run",
    "export_selection",
]

Order = Literal["host", "table"]

# What stands for a record: itself, or whatever a writer makes of it.
T = TypeVar("T")


class RecordStream(Iterator[T]):
    """Records, one after another, and how many there were of each type.

    The database is read, in one transaction, from the first record to the last. A stream that
    is not read to its end should be closed.

    Args:
        db: The database.
        selection: Which records.
        order: In which order.
        absent: What stands for a column that is declared and not stored.
        filled: Whether values that rules give are shown too.
        make_of: Gives what makes a record of a row and its run, for each form.
        beyond_runs: Whether only what belongs to no run is wanted, of the selected tables: the
            tables of no run, and the rows that no run reaches.
    """

    def __init__(
        self,
        db: Landscape,
        selection: Selection,
        *,
        order: Order = "host",
        absent: AbsentMode = "omit",
        filled: bool = False,
        make_of: MakeOf = attrgetter("make"),
        beyond_runs: bool = False,
    ) -> None:
        self._orders: list[RecordOrder] = []
        # Without a reference to this object, so that forgetting it gives the connection back.
        additions = Additions(absent, filled, db.declared, db.projections)
        self._lists = _read(db, selection, order, additions, make_of, beyond_runs, self._orders)
        self._records: Iterator[T] = chain.from_iterable(self._lists)

    def __iter__(self) -> RecordStream[T]:
        return self

    def __next__(self) -> T:
        record: T = next(self._records)
        return record

    def close(self) -> None:
        """Stop reading, and give the connection back."""
        self._lists.close()
        self._records = iter(())

    def lists(self) -> Iterator[list[T]]:
        """Give the records in lists as they come, which takes less time than one by one."""
        return self._lists

    @property
    def sources(self) -> tuple[Source, ...]:
        """Give every table, and how many records of it were given so far."""
        return tuple(source for order in self._orders for source in order.sources)

    @property
    def counts(self) -> dict[str, int]:
        """Count the records read so far, by type: all that were given, and few beyond."""
        return {source.record_type: source.given for source in self.sources if source.given}

    @property
    def unreached(self) -> dict[str, int]:
        """Count those of them that no run reaches, though they say that they belong to one."""
        found = self.sources
        return {source.record_type: source.unreached for source in found if source.unreached}


def _read(
    db: Landscape,
    selection: Selection,
    order: Order,
    additions: Additions,
    make_of: MakeOf,
    beyond_runs: bool,
    orders: list[RecordOrder],
) -> Generator[list[Any], None, None]:
    with db.connection() as connection, tuned(connection):
        found = begin_order(
            db, connection, selection, additions, order, make_of, is_part=beyond_runs
        )
        orders.append(found)
        if beyond_runs:
            yield from found.database_lists()
            yield from _in_lists(found.beyond_runs())
            return
        runs = selection.find_runs(connection, db.stored)
        if order == "table":
            yield from found.table_lists(runs)
        elif runs is None:
            yield from _everything(found)
        else:
            for run_id in runs:
                yield from found.run_lists(run_id)


def begin_order(
    db: Landscape,
    connection: Connection,
    selection: Selection,
    additions: Additions,
    order: Order = "host",
    make_of: MakeOf = attrgetter("make"),
    *,
    is_part: bool = False,
    in_parts: bool = False,
) -> RecordOrder:
    """Begin to read records, and tell what the database lacks.

    Args:
        db: The database.
        connection: A connection of it, in a transaction in which nothing was read yet.
        selection: Which records.
        additions: What records have besides what is stored.
        order: In which order.
        make_of: Gives what makes a record of a row and its run, for each form.
        is_part: Whether somebody else has required that indexes are sound.
        in_parts: Whether others will read the records, relying on indexes.

    Raises:
        UnreadableError: The database is damaged; where everything is selected in the host's
            order, also if an index disagrees with its table.
        LandscapeCompatError: No such table is known.
    """
    # The first statement takes the snapshot, and notices a schema that changed.
    list(read(connection, select(literal_column("1"))))
    stored = db.stored
    for facts in TABLES:
        db.tell(facts.table)
    tables = selection.find_tables(stored, db.declared)
    # Table by table, no row and no value is taken from an index; those of rules may be.
    by_index = order == "host" or additions.filled
    found = RecordOrder(connection, stored, make_of=make_of, tables=tables, additions=additions)
    if by_index and selection == EVERYTHING and not is_part:
        found.prove(in_parts=in_parts)
    return found


def export_run(db: Landscape, run_id: str) -> RecordStream[Record]:
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
    return export_selection(db, Selection(run_ids=(run_id,)))


def export_database(db: Landscape) -> RecordStream[Record]:
    """Give every row of every table, once, in the order of `export_run` run by run.

    The runs come in the order in which they began, then the tables that belong to no run, the
    host's before any other, and last the rows that no run reaches: their parent or their run is
    not stored. Views and virtual tables store nothing of their own, and are left out.

    Args:
        db: The database.
    """
    return RecordStream(db, EVERYTHING)


def export_selection(
    db: Landscape,
    selection: Selection,
    *,
    order: Order = "host",
    absent: AbsentMode = "omit",
    filled: bool = False,
    make_of: MakeOf = attrgetter("make"),
) -> RecordStream[Any]:
    """Give the selected records.

    Args:
        db: The database.
        selection: Which.
        order: `host`, or `table`: table by table, as fast as a table can be read.
        absent: What stands for a column that the newest known schema declares and the database
            does not have: nothing (`omit`), a NULL (`null`), or a mark (`mark`).
        filled: Whether values that rules give are shown too, as `filled.RULE.COLUMN`.
        make_of: Gives what makes a record of a row and its run, for each form; dictionaries
            if not given.

    Raises:
        RunNotFoundError: A run that was asked for is not there, or none fits.
        UnreadableError: The database is damaged; where everything is selected in the host's
            order, also if an index disagrees with its table.
        LandscapeCompatError: No such table is known.
    """
    with db.connection() as connection:
        selection.find_tables(db.stored, db.declared)
        selection.find_runs(connection, db.stored)
    return RecordStream(db, selection, order=order, absent=absent, filled=filled, make_of=make_of)


def count_records(db: Landscape, selection: Selection) -> int | None:
    """Count the records that a selection will give, where that takes no longer than counting.

    Args:
        db: The database.
        selection: Which records.

    Returns:
        The number; None where runs are chosen, because their rows would have to be found.
    """
    if selection.is_of_runs:
        return None
    tables = selection.find_tables(db.stored, db.declared)
    with db.connection() as connection:
        order = RecordOrder(connection, db.stored, tables=tables)
        return sum(source.stored for source in order.sources.wanted())


def _everything(order: RecordOrder) -> Iterator[list[Any]]:
    for run_id in order.run_ids():
        yield from order.run_lists(run_id)
    yield from order.database_lists()
    yield from _in_lists(order.unreached())


def _in_lists(records: Iterator[Any]) -> Iterator[list[Any]]:
    while some := list(islice(records, CHUNK)):
        yield some
