"""What is set on a connection for as long as an export reads from it, so that it reads faster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError

from landscape_compat.engine.faults import explain_server
from landscape_compat.engine.lookout import database_name

__all__ = ["tuned"]

# Below zero, SQLite takes it for KiB instead of pages.
_CACHE_KIB: Final = -32_000

# Every moment is told in UTC, and to make it so takes longer than to read it; and no number is to
# lose digits because somebody set that for the eyes of people. A question, because the shim sees to
# it that a transaction reads what it takes it for by the first question in it, not by a setting.
_SETTINGS: Final = (
    "SELECT set_config('TimeZone', 'UTC', true), set_config('extra_float_digits', '1', true)"
)
_TEXT: Final = 0
_BINARY: Final = 1
# The types of which psycopg makes the same values in either form, by the numbers that every
# PostgreSQL gives them: bool, bytea, int8, int2, int4, text, float8, varchar, date, timestamp,
# timestamptz. A float4 is another number in binary, and a type that psycopg does not know is bytes.
# Source: PostgreSQL, src/include/catalog/pg_type.dat.
_ALIKE: Final = frozenset({16, 17, 20, 21, 23, 25, 701, 1043, 1082, 1114, 1184})


@contextmanager
def tuned(connection: Connection) -> Iterator[None]:
    """Have a connection read much, and in order, as fast as it can.

    Args:
        connection: A connection to SQLite or PostgreSQL inside a read transaction, on which nothing
            else is done meanwhile.
    """
    if connection.dialect.name == "sqlite":
        with _much_cache(connection):
            yield
        return
    try:
        connection.exec_driver_sql(_SETTINGS).close()
    except DBAPIError as error:
        raise explain_server(error, database_name(connection.engine)) from error
    if connection.dialect.driver == "psycopg":
        _ask_in_binary(connection)
    yield


@contextmanager
def _much_cache(connection: Connection) -> Iterator[None]:
    """Let SQLite keep more pages of its indexes, which the host's order reads at random."""
    raw = connection.connection.driver_connection
    assert raw is not None
    ((before,),) = raw.execute("PRAGMA cache_size").fetchall()
    raw.execute(f"PRAGMA cache_size = {_CACHE_KIB}").close()
    try:
        yield
    finally:
        # SQLAlchemy closes what an interrupt reached while a statement ran.
        if not connection.invalidated:
            raw.execute(f"PRAGMA cache_size = {int(before)}").close()


def _ask_in_binary(connection: Connection) -> None:
    """Have the server's own cursors give their rows in binary, where that is the same."""
    otherwise: set[str] = set()

    # They go with the connection, which is one reading's alone.
    @event.listens_for(connection, "before_cursor_execute")
    def ask_in_binary(_: Connection, cursor: Any, statement: str, *_more: Any) -> None:
        # The others have no name, and may run what is no query.
        if hasattr(cursor, "name") and statement not in otherwise:
            cursor.format = _BINARY

    @event.listens_for(connection, "after_cursor_execute")
    def ask_again(_: Connection, cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        # The server has told the types by now, and sent no row of its cursor yet.
        if cursor.format == _BINARY and not _ALIKE.issuperset(
            column.type_code for column in cursor.description or ()
        ):
            otherwise.add(statement)
            cursor.format = _TEXT
            cursor.execute(statement, parameters)
