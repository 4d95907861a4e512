"""Snapshots of a server's database that several connections share."""

from __future__ import annotations

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from landscape_compat.errors import LandscapeCompatError, printable
from landscape_compat.landscape.stored import read

__all__ = ["export_snapshot", "import_snapshot"]


def export_snapshot(connection: Connection) -> str | None:
    """Let other connections see what this one's transaction sees, for as long as it runs.

    Args:
        connection: A connection inside a read transaction.

    Returns:
        What they are to be told; None where the database is a file, which has no such thing.
    """
    if connection.dialect.name == "sqlite":
        return None
    ((snapshot,),) = read(connection, select(func.pg_export_snapshot()))
    return str(snapshot)


def import_snapshot(connection: Connection, snapshot: str) -> None:
    """Let a transaction that has just begun see what another's sees.

    Args:
        connection: Its connection; nothing was read on it yet.
        snapshot: What `export_snapshot` gave.

    Raises:
        LandscapeCompatError: That other transaction has ended.
    """
    quoted = snapshot.replace("'", "''")
    try:
        connection.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{quoted}'")
    except DBAPIError as error:
        raise LandscapeCompatError(
            "The transaction whose snapshot was to be read from has ended, or is of another "
            f"server ({printable(error.orig).splitlines()[0]}), so nothing was read.",
            remedy="Begin again, and let the server not end transactions that are idle.",
        ) from error
