"""Whether the indexes of a database say what its tables say, before rows are found by them."""

from __future__ import annotations

from sqlalchemy import Connection, text

from landscape_compat.errors import UnreadableError, printable
from landscape_compat.landscape.stored import read

__all__ = ["require_sound_indexes"]


def require_sound_indexes(connection: Connection) -> None:
    """Refuse a SQLite database one of whose indexes disagrees with its table.

    SQLite takes rows, and values too, from an index where it can, and never notices that the
    table says otherwise. So what is exported would depend on the way it is read.

    Args:
        connection: A connection inside the transaction that reads.

    Raises:
        UnreadableError: An index disagrees with its table, or the database is damaged.
    """
    if connection.dialect.name != "sqlite":
        return
    # A constraint is an expression of anybody's, which may take any time; and no index.
    connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
    found = read(connection, text("PRAGMA integrity_check"))
    lines = [line for (said,) in found for line in str(said).splitlines()]
    wrong = [line for line in lines if " index " in line and "non-unique" not in line]
    if wrong:
        raise UnreadableError(
            f"The database is damaged: an index disagrees with its table ({printable(wrong[0])}), "
            "so rows or values would be lost or mistaken without a word.",
            remedy="Export it table by table (`--order table`), which reads no index, or a copy on "
            "which `REINDEX` was run; keep this one.",
        )
