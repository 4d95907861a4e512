"""What is asked of each dialect's catalogue."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from landscape_compat.schema.shape import SchemaShape

__all__ = ["Catalogue", "Moment", "Wanted", "ask"]


class Wanted(NamedTuple):
    """What a reader means of all that a server stores.

    Args:
        tables: The tables' names.
        schemas: The schemas that it names itself, besides the ones that are searched.
    """

    tables: frozenset[str] = frozenset()
    schemas: frozenset[str] = frozenset()


class Moment(NamedTuple):
    """What a running transaction sees.

    Args:
        version: The version of the schema.
        is_fixed: Whether the transaction only reads, and from one snapshot.
    """

    version: Hashable
    is_fixed: bool


class Catalogue(NamedTuple):
    """How one dialect tells what it stores; each function takes a raw DBAPI connection.

    Args:
        default_schema: The schema that unqualified names are found in.
        read_stored: Read every table and view of that schema.
        read_version: Read what changes with every change of the schema.
        read_moment: Read what the running transaction sees; None where a file is read.
        lock: Write the statement that keeps the tables and, if so wanted, the views as they are
            until the transaction ends; "" where none is needed.
        has_schemas: Whether the tables of other schemas are read, too.
    """

    default_schema: str
    read_stored: Callable[[Any], SchemaShape]
    read_version: Callable[[Any], Hashable]
    read_moment: Callable[[Any], Moment] | None = None
    lock: Callable[[SchemaShape, bool], str] = lambda *_: ""
    has_schemas: bool = False


def ask(connection: Any, sql: str) -> list[tuple[Any, ...]]:
    """Give every row of a question to a catalogue.

    Args:
        connection: A raw DBAPI connection.
        sql: The question, without parameters, so that no driver looks for a `%` in it.
    """
    cursor = connection.cursor()
    try:
        cursor.execute(sql)
        return list(map(tuple, cursor.fetchall()))
    finally:
        cursor.close()
