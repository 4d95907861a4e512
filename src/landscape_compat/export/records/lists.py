"""Queries by a list of keys, so that one statement serves a whole window of parents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.exc import DBAPIError

from landscape_compat.landscape.stored import read, read_chunks

__all__ = ["ListQuery", "takes_json"]

# Makes the statement, of the position in the list and the key at that position.
ByList: TypeAlias = Callable[[ColumnElement[int], ColumnElement[Any]], Select[Any]]

# A compound SELECT has at most 500 arms in SQLite as it is usually built.
_ARMS = 200
_CHUNK = 256


def takes_json(connection: Connection) -> bool:
    """Tell whether a database takes a list of keys as one JSON text.

    Args:
        connection: A connection to it.
    """
    if connection.dialect.name != "sqlite":
        return connection.dialect.name == "postgresql"
    each = func.json_each("[7]").table_valued("value")
    try:
        return list(read(connection, select(each.c.value))) == [(7,)]
    except DBAPIError:
        return False


class ListQuery:
    """One query by a list of keys.

    Args:
        by_list: Makes the statement.
        table: The table that it reads, for errors.
        json_lists: Whether the database takes a list as one JSON text.
    """

    def __init__(self, by_list: ByList, table: str, *, json_lists: bool) -> None:
        self._by_list = by_list
        self._table = table
        self._json_lists = json_lists
        self._statement: Select[Any] | None = None

    def read(
        self, connection: Connection, keys: Sequence[Any], parameters: Mapping[str, Any]
    ) -> Iterator[Any]:
        """Read the rows for a list of keys, as the statement sorts them.

        Args:
            connection: The connection to read by.
            keys: The keys; None finds nothing.
            parameters: The statement's other parameters.
        """
        for rows in self.chunks(connection, keys, parameters):
            yield from rows

    def chunks(
        self,
        connection: Connection,
        keys: Sequence[Any],
        parameters: Mapping[str, Any],
        *,
        size: int = _CHUNK,
    ) -> Iterator[Sequence[Any]]:
        """Read the rows for a list of keys, in lists of at most this size.

        Args:
            connection: The connection to read by.
            keys: The keys; None finds nothing.
            parameters: The statement's other parameters.
            size: How many rows a list has at most.
        """
        on_server = connection.dialect.name == "postgresql"
        given = _as_json(keys, texts_only=on_server) if self._json_lists else None
        if given is not None:
            if self._statement is None:
                self._statement = self._by_list(*(_elements() if on_server else _each()))
            values = {**parameters, "keys": given}
            yield from read_chunks(
                connection, self._statement, values, table=self._table, size=size
            )
            return
        for start in range(0, len(keys), _ARMS):
            arms = [
                select(literal(start + at).label("position"), literal(key).label("key"))
                for at, key in enumerate(keys[start : start + _ARMS])
                if key is not None
            ]
            if arms:
                one = union_all(*arms).subquery("given")
                statement = self._by_list(one.c.position, one.c.key)
                yield from read_chunks(
                    connection, statement, parameters, table=self._table, size=size
                )


def _each() -> tuple[ColumnElement[int], ColumnElement[Any]]:
    """Give the position and the key of each element of a JSON list, as SQLite has them."""
    each = func.json_each(bindparam("keys")).table_valued(
        column("key", Integer), column("value"), name="given"
    )
    return each.c.key, each.c.value


def _elements() -> tuple[ColumnElement[int], ColumnElement[Any]]:
    """Give the position and the key of each element of a JSON list, as PostgreSQL has them."""
    each = func.json_array_elements_text(cast(bindparam("keys", type_=Text()), JSON)).table_valued(
        column("key", Text), with_ordinality="number", name="given"
    )
    each = each.render_derived()
    return cast(each.c.number, Integer) - 1, each.c.key


def _as_json(keys: Sequence[Any], *, texts_only: bool) -> str | None:
    """Write keys as JSON, or give up where JSON, or a database's reading of it, would alter one."""
    kinds = {str, type(None)} if texts_only else {str, int, type(None)}
    if not kinds.issuperset(map(type, keys)):
        return None
    text = _dumps(keys)
    return None if "\\u0000" in text else text


def _dumps(keys: Sequence[Any]) -> str:
    with suppress(ImportError):
        import orjson

        return orjson.dumps(keys).decode()
    return json.dumps(keys, ensure_ascii=False, separators=(",", ":"))
