"""Small databases of records, and the order in which their records come."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path

from sqlalchemy import create_engine, event

from landscape_compat.export.records.order import RecordOrder
from landscape_compat.export.records.values import Record
from landscape_compat.landscape.tables import TABLES
from landscape_compat.schema.catalogue import catalogue_for
from support.untouched import untouched

__all__ = ["CHAIN", "KEYS", "everything", "make", "name", "order_of", "records_of"]

KEYS = {facts.record_type: facts.key for facts in TABLES}


@contextmanager
def order_of(path: Path, window: int = 1000) -> Iterator[tuple[RecordOrder, list[str]]]:
    """Open a database read-only; give its records' order and the statements that were sent."""
    engine = create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    sent: list[str] = []
    try:
        with untouched(path), engine.connect() as connection, connection.begin():
            stored = catalogue_for("sqlite").read_stored(connection.connection.dbapi_connection)
            event.listen(engine, "before_cursor_execute", lambda *args: sent.append(args[2]))
            yield RecordOrder(connection, stored, window=window), sent
    finally:
        engine.dispose()


def records_of(order: RecordOrder, run_id: str) -> Iterator[Record]:
    return chain.from_iterable(order.run_lists(run_id))


def everything(order: RecordOrder) -> list[Record]:
    records = chain.from_iterable(records_of(order, run_id) for run_id in order.run_ids())
    return [*records, *chain.from_iterable(order.database_lists()), *order.unreached()]


def make(folder: Path, *statements: str) -> Path:
    own = folder / "record"
    own.mkdir()
    path = own / "audit.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(";\n".join(statements))
    return path


def name(record: Record) -> str:
    """Name a record by its type and its key without the run, as `token t1`."""
    key = [str(record.get(column)) for column in KEYS[record["record_type"]] if column != "run_id"]
    return " ".join([record["record_type"], *key])


# A row of each kind names its parent, by keys of any type.
CHAIN = (
    "CREATE TABLE runs (run_id)",
    "CREATE TABLE rows (row_id, run_id)",
    "CREATE TABLE tokens (token_id, row_id, run_id)",
    "CREATE TABLE scheduler_events (event_id, run_id, token_id)",
    "CREATE TABLE operations (operation_id, run_id)",
    "CREATE TABLE node_states (state_id, token_id)",
    "CREATE TABLE calls (call_id, state_id, operation_id)",
    "INSERT INTO runs VALUES ('r1'), ('r2')",
)
