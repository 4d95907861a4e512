"""Refusing a server's database that does not say which encoding its texts are in."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy import Engine, event

from landscape_compat.engine.faults import NAME_ENCODING
from landscape_compat.engine.lookout import database_name
from landscape_compat.errors import UnreadableError

__all__ = ["refuse_no_encoding"]


def refuse_no_encoding(engine: Engine) -> None:
    """Have a connection by psycopg to a database in SQL_ASCII fail by an error that says why.

    That driver gives bytes for each text there, of which SQLAlchemy can read none, its first look
    at the server included. psycopg2 reads what is ASCII, and raises at other texts.

    Args:
        engine: An engine of our own; another driver's is left as it is.
    """
    if engine.dialect.driver == "psycopg":
        # Before SQLAlchemy's first look.
        event.listen(engine, "connect", partial(_look, database_name(engine)), insert=True)


def _look(database: str, connection: Any, record: Any) -> None:
    if connection.info.parameter_status("client_encoding") != "SQL_ASCII":
        return
    with suppress(Exception):
        connection.close()  # which SQLAlchemy leaves to whoever collects garbage
    raise UnreadableError(
        f"{database} does not say which encoding its texts are in (SQL_ASCII), so none can be read "
        "without a guess.",
        remedy=NAME_ENCODING,
    )
