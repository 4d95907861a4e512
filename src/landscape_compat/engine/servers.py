"""What differs from server to server: how transactions are kept to reading, what errors tell."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy.engine.interfaces import Dialect

__all__ = ["SERVERS", "Server"]


class Server(NamedTuple):
    """One kind of server.

    Args:
        opened: How a degraded database is read, for people.
        keep_to_reading: Has the transactions of a raw connection read only, each from one snapshot.
        begin: The statement that begins one; "" where the driver does.
        code_of: Gives the code of a driver's error.
        read_only: The code of a statement that was refused because it writes.
        no_transaction: The code of one that was refused because no transaction runs.
        altered: The code of one that reads a table which is younger than its snapshot.
        outdated: The codes of a statement that names what is no longer there, or may no longer be
            read.
        denied: Those of them that may say no more than that a view cannot be locked.
        within: The statements before a lock that is taken within a transaction which must not be
            lost, after one that fails, and after one that is had.
        unseen: The question how many tables that are locked now were made, or made anew, since
            the snapshot was taken, which would show them empty; "" where the server says so.
        is_running: Tells whether a raw connection is in a transaction; None if that is not known.
        driver: The one driver whose way of writing parameters into a statement is known, if only
            one's is; "" where it is the server that takes them.
    """

    opened: str
    keep_to_reading: Callable[[Any, Dialect], None]
    begin: str
    code_of: Callable[[BaseException | None], object]
    read_only: object
    no_transaction: object = None
    altered: object = None
    outdated: Collection[object] = ()
    denied: Collection[object] = ()
    within: tuple[str, ...] = ("",)
    unseen: str = ""
    is_running: Callable[[Any], bool | None] = lambda _: None
    driver: str = ""


def _by_driver(connection: Any, dialect: Dialect) -> None:
    """Have the driver begin such transactions.

    Nothing is set in the session: where a pool of the server's hands that to other programs,
    they are not to find it read-only.
    """
    dialect.set_isolation_level(connection, "REPEATABLE READ")
    setter: Callable[[Any, bool], None] = dialect.set_readonly  # type: ignore[attr-defined]
    setter(connection, True)


def _by_session(connection: Any, dialect: Dialect) -> None:
    """Have the session begin such transactions, also where nobody says that one begins."""
    cursor = connection.cursor()
    try:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    finally:
        cursor.close()


def _runs_in_postgresql(connection: Any) -> bool | None:
    driver = getattr(connection, "driver_connection", connection)
    if hasattr(driver, "is_in_transaction"):  # asyncpg
        return bool(driver.is_in_transaction())
    if hasattr(driver, "pgconn"):  # psycopg
        return bool(driver.pgconn.transaction_status)
    if hasattr(driver, "get_transaction_status"):  # psycopg2
        return bool(driver.get_transaction_status())
    return None


# Source: https://mariadb.com/kb/en/ok_packet/, "Server Status Flag".
_IN_TRANSACTION = 1


def _runs_in_mariadb(connection: Any) -> bool | None:
    return bool(connection.server_status & _IN_TRANSACTION)


def _state_of(error: BaseException | None) -> object:
    return getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)


def _number_of(error: BaseException | None) -> object:
    return error.args[0] if error is not None and error.args else None


# Source: PostgreSQL manual, appendix A.
_POSTGRESQL = Server(
    "in transactions that only read, each from one snapshot, enforced by the server",
    _by_driver,
    "",
    _state_of,
    "25006",
    "25P01",
    # Of a table, a schema, a privilege, what was no table; and two that wait for each other.
    outdated=frozenset({"42P01", "3F000", "42501", "42809", "40P01"}),
    denied=frozenset({"42501"}),
    within=(
        "SAVEPOINT landscape_compat",
        "ROLLBACK TO SAVEPOINT landscape_compat",
        "RELEASE SAVEPOINT landscape_compat",
    ),
    # The catalogue is read as the snapshot has it, the function looks at what there is now.
    # Source: PostgreSQL manual, "Caveats" of concurrency control, and "Database Object Size".
    unseen="""
    SELECT count(*) FROM pg_catalog.pg_locks AS l
    LEFT JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
    WHERE l.locktype = 'relation' AND l.pid = pg_backend_pid() AND l.relation >= 16384
        AND (c.oid IS NULL
            OR c.relfilenode <> 0 AND pg_relation_filenode(c.oid) IS DISTINCT FROM c.relfilenode)
    """,
    is_running=_runs_in_postgresql,
)
# Source: https://mariadb.com/kb/en/mariadb-error-code-reference/.
_OF_A_VIEW = frozenset({1142, 1143, 1305, 1356, 1370, 1449, 1792})
_MARIADB = Server(
    "in a session and in transactions that only read, each from one snapshot, enforced by the "
    "server",
    _by_session,
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    _number_of,
    1792,
    altered=1412,
    # No such database, table or column, no privilege on it; and what a view may be lacking, which
    # may also do more than read.
    outdated=frozenset({1049, 1054, 1142, 1143, 1146, 1412, *_OF_A_VIEW}),
    denied=_OF_A_VIEW,
    is_running=_runs_in_mariadb,
    driver="pymysql",
)
SERVERS: Mapping[str, Server] = {
    "mariadb": _MARIADB,
    "mysql": _MARIADB,
    "postgresql": _POSTGRESQL,
}
