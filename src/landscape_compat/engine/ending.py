"""Being told that a driver's transaction ends, by the driver's own connection.

SQLAlchemy has events for it, but any listener to them costs every statement of the engine.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import cache
from typing import Any

from sqlalchemy.engine.interfaces import Dialect

__all__ = ["connection_class", "tell_of_ends"]


def connection_class(dialect: Dialect, given: type | None) -> type:
    """Make the class of connections that tell when a transaction ends.

    Args:
        dialect: Whose driver it is.
        given: The class that the engine's own options ask for, if they do.
    """
    # The asynchronous driver wraps a connection of the standard library's.
    own: Any = sqlite3 if dialect.is_async else dialect.loaded_dbapi
    return _telling(given or own.Connection)


def tell_of_ends(connection: Any, listener: Callable[[], None]) -> None:
    """Have a connection call a listener before it ends a transaction.

    Args:
        connection: The driver's own connection, of a class that `connection_class` made.
        listener: Called before a commit or rollback; what it raises is raised after that.
    """
    connection.ends = listener


@cache
def _telling(base: Any) -> type:
    class TellingConnection(base):  # type: ignore[misc]
        """A driver's connection that tells when a transaction ends."""

        def ends(self) -> None:
            """Stand for the listener as long as there is none."""

        def commit(self) -> None:
            try:
                self.ends()
            finally:
                base.commit(self)

        def rollback(self) -> None:
            try:
                self.ends()
            finally:
                base.rollback(self)

    return TellingConnection
