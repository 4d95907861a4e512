"""A list of keys finds its rows in the list's order, whatever the keys are."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    column,
    create_engine,
    event,
    select,
    table,
)
from sqlalchemy.engine import Engine

from landscape_compat.export.records.lists import ListQuery, takes_json

CHILDREN = table("children", column("parent"), column("name"))


def by_list(position: ColumnElement[int], key: ColumnElement[Any]) -> Select[Any]:
    found = select(position, CHILDREN.c.parent, CHILDREN.c.name)
    return found.where(CHILDREN.c.parent == key).order_by(position, CHILDREN.c.name)


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://")
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE children (parent, name)")
        yield connection


def fill(connection: Connection, keys: list[Any]) -> None:
    for key in keys:
        for name in ("b", "a"):
            connection.exec_driver_sql("INSERT INTO children VALUES (?, ?)", (key, name))


def ask(connection: Connection, keys: list[Any], *, json_lists: bool) -> list[tuple[Any, ...]]:
    query = ListQuery(by_list, "children", json_lists=json_lists)
    return [tuple(row) for row in query.read(connection, keys, {})]


KEYS: list[Any] = [
    "plain",
    "",
    " ",
    "it's",
    'say "x"',
    "back\\slash",
    "line\nbreak\r\t",
    "\x01\x7f",
    "\u2028",
    "é",
    "e\u0301",
    "🙂",
    "null",
    "true",
    "7",
    7,
    -1,
    2**63 - 1,
    -(2**63),
]
UNFIT: list[Any] = [b"", b"\x00\xff", b"plain", "nul\x00in", "\\u0000", 0.1, 1e308, -0.5]


@pytest.mark.parametrize("json_lists", [True, False])
def test_every_key_finds_what_is_its_own_in_the_order_of_the_list(
    connection: Connection, json_lists: bool
) -> None:
    fill(connection, [*KEYS, *UNFIT])
    for keys in (KEYS, KEYS[::-1], UNFIT, [*KEYS, *UNFIT]):
        found = ask(connection, keys, json_lists=json_lists)
        wanted = [(at, key, name) for at, key in enumerate(keys) for name in ("a", "b")]
        assert found == wanted
        assert [type(row[1]) for row in found] == [type(row[1]) for row in wanted]


def test_without_orjson_every_key_finds_what_is_its_own(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "orjson", None)
    test_every_key_finds_what_is_its_own_in_the_order_of_the_list(connection, json_lists=True)


@pytest.mark.parametrize("json_lists", [True, False])
def test_none_finds_nothing_and_keeps_its_place(connection: Connection, json_lists: bool) -> None:
    fill(connection, [None, "x"])
    found = ask(connection, [None, "x", None, "unknown"], json_lists=json_lists)
    assert found == [(1, "x", "a"), (1, "x", "b")]
    assert ask(connection, [None], json_lists=json_lists) == []
    assert ask(connection, [], json_lists=json_lists) == []


@pytest.mark.parametrize("json_lists", [True, False])
def test_a_long_list_keeps_its_order(connection: Connection, json_lists: bool) -> None:
    keys = [f"key {n * 7919 % 1501}" for n in range(1501)]
    fill(connection, keys)
    found = ask(connection, keys, json_lists=json_lists)
    assert found == [(at, key, name) for at, key in enumerate(keys) for name in ("a", "b")]


def test_a_list_that_json_can_hold_is_one_statement_however_long(
    engine: Engine, connection: Connection
) -> None:
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: sent.append(args[2]))
    ask(connection, [f"key {n}" for n in range(5000)], json_lists=True)
    assert len(sent) == 1
    ask(connection, [f"key {n}" for n in range(5000)], json_lists=False)
    assert len(sent) > 2


def test_whether_a_database_takes_json_is_found_by_asking_it(connection: Connection) -> None:
    assert takes_json(connection) is True
    raw = connection.connection.dbapi_connection
    assert isinstance(raw, sqlite3.Connection)
    raw.set_authorizer(
        lambda _, first, *rest: sqlite3.SQLITE_DENY if "json_each" in (first, *rest) else 0
    )
    assert takes_json(connection) is False
