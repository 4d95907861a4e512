"""Refusing a server's texts where it is not said which encoding they are in."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy import Engine, event

from landscape_compat.engine.lookout import database_name
from landscape_compat.errors import UnreadableError

__all__ = ["refuse_no_encoding"]


def refuse_no_encoding(engine: Engine) -> None:
    """Have a connection by psycopg whose encoding is SQL_ASCII fail by an error that says why.

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
        connection.close()  # which SQLAlchemy 2.0.0 leaves to whoever collects garbage
    raise UnreadableError(
        f"{database} gives its texts without saying which encoding they are in (SQL_ASCII), so "
        "none can be read without a guess.",
        remedy="Name it in the URL: by `?client_encoding=utf8`, what is not in UTF-8 is refused; "
        "an encoding of one byte a letter takes every text for its own.",
    )
