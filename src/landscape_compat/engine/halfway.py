"""Reading again where SQLite met a writer halfway."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["begin_snapshot", "is_halfway", "settled"]

_T = TypeVar("_T")
# Seconds before another try. A writer needs microseconds, unless it is suspended meanwhile.
_PAUSES = (0.0, 0.001, 0.005, 0.02, 0.1)
# Source: https://www.sqlite.org/rescode.html#readonly_recovery.
_READONLY_RECOVERY = 264


def is_halfway(error: Exception) -> bool:
    """Tell whether an error may say no more than that a writer was met halfway.

    Args:
        error: The driver's own.
    """
    return getattr(error, "sqlite_errorcode", None) == _READONLY_RECOVERY


def settled(read: Callable[[], _T]) -> _T:
    """Make a read that begins a snapshot, again where a writer was met halfway.

    Who may not write to the index of a write-ahead log (`-shm`) and finds its header half written
    asks for the writer's lock. If the writer has let go of it by then, SQLite takes the header for
    what a writer that died left, and says that the log needs recovery: once in some ten thousand
    reads beside a busy writer.

    Args:
        read: Reads; nothing of it is kept when it fails.

    Returns:
        What it gives.

    Raises:
        Exception: What `read` raises; SQLite's own error if the log needs recovery indeed.
    """
    for pause in _PAUSES:
        try:
            return read()
        except Exception as error:
            if not is_halfway(error):
                raise
            time.sleep(pause)
    return read()


def begin_snapshot(connection: Any) -> None:
    """Begin a transaction, in which all that is read is of this moment.

    Args:
        connection: The driver's own, in no transaction.

    Raises:
        Exception: SQLite's own error.
    """
    connection.execute("BEGIN")
    # Only a read takes the snapshot.
    settled(lambda: connection.execute("PRAGMA schema_version").fetchall())
