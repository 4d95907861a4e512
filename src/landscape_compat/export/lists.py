"""Queries by a list of keys, so that one statement serves a whole window of parents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    bindparam,
    column,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.exc import DBAPIError

from landscape_compat.landscape.stored import read

__all__ = ["ListQuery", "takes_json"]

# Makes the statement, of the position in the list and the key at that position.
ByList: TypeAlias = Callable[[ColumnElement[int], ColumnElement[Any]], Select[Any]]

# A compound SELECT has at most 500 arms in SQLite as it is usually built.
_ARMS = 200


def takes_json(connection: Connection) -> bool:
    """Tell whether a database takes a list of keys as one JSON text.

    Args:
        connection: A connection to it.
    """
    if connection.dialect.name != "sqlite":
        return False
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
        self._statement: Select[Any] | None = None
        if json_lists:
            each = func.json_each(bindparam("keys")).table_valued(
                column("key", Integer), column("value"), name="given"
            )
            self._statement = by_list(each.c.key, each.c.value)

    def read(
        self, connection: Connection, keys: Sequence[Any], parameters: Mapping[str, Any]
    ) -> Iterator[Any]:
        """Read the rows for a list of keys, as the statement sorts them.

        Args:
            connection: The connection to read by.
            keys: The keys; None finds nothing.
            parameters: The statement's other parameters.
        """
        given = _as_json(keys)
        if self._statement is not None and given is not None:
            values = {**parameters, "keys": given}
            yield from read(connection, self._statement, values, table=self._table)
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
                yield from read(connection, statement, parameters, table=self._table)


def _as_json(keys: Sequence[Any]) -> str | None:
    """Write keys as JSON, or give up where JSON, or SQLite's reading of it, would alter one."""
    if not all(type(key) in (str, int, type(None)) for key in keys):
        return None
    text = json.dumps(keys, ensure_ascii=False, separators=(",", ":"))
    return None if "\\u0000" in text else text
