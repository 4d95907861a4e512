"""The catalogue of SQLite: what `main` stores, read in one query."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from landscape_compat.schema.catalogue.base import Catalogue, ask
from landscape_compat.schema.letters import BEGINS_NAME, IN_NAME
from landscape_compat.schema.shape import (
    ColumnShape,
    SchemaShape,
    TableKind,
    TableShape,
    fold_name,
    quote_name,
)
from landscape_compat.schema.types import normalize_type

__all__ = ["CATALOGUE", "read_definitions", "read_stored", "read_version"]

_TABLES = """
    SELECT name, type, sql FROM main.sqlite_master
    WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"""
# A left join: a table whose columns cannot be told must not vanish. Its definition comes with its
# first column alone, for it can be longer than all of them.
_COLUMNS = f"""
    SELECT m.name, m.type, CASE WHEN x.cid > 0 THEN NULL ELSE m.sql END,
           x.name, x.type, x."notnull", x.pk, x.hidden
    FROM ({_TABLES}) AS m LEFT JOIN pragma_table_xinfo(m.name, 'main') AS x"""
# Source: https://www.sqlite.org/pragma.html#pragma_table_xinfo, column "hidden": 1 is a virtual
# table's own, 2 and 3 are generated columns, of which those of 2 are not stored.
_HIDDEN, _VIRTUAL, _GENERATED = 1, 2, (2, 3)
_DDL = re.compile(
    rf"""--[^\n]*|/\*.*?(?:\*/|\Z)
    |(?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|'(?:[^']|'')*'|\[[^\]]*\])
    |(?P<word>{BEGINS_NAME}{IN_NAME}*)|(?P<mark>[(),])""",
    re.VERBOSE | re.DOTALL,
)


def read_version(connection: Any) -> int:
    """Read SQLite's schema cookie, which grows with every change of the schema.

    Args:
        connection: A raw DBAPI connection.
    """
    return int(ask(connection, "PRAGMA main.schema_version")[0][0])


def read_definitions(connection: Any) -> str:
    """Read the text of everything that `main` stores, to be compared with another time's.

    Args:
        connection: A raw DBAPI connection.
    """
    # By its bytes: not all of it need be text.
    asked = "SELECT group_concat(hex(sql)) FROM main.sqlite_master"
    return str(ask(connection, asked)[0][0])


def read_stored(connection: Any) -> SchemaShape:
    """Read every table, view and virtual table of `main`, SQLite's own left out.

    Args:
        connection: A raw DBAPI connection.

    Returns:
        The stored schema, tables in the order they were made. A virtual table of a module that
        this SQLite does not know, and a view that no longer works, have no columns.
    """
    try:
        return _schema(ask(connection, _COLUMNS))
    except Exception as error:
        # One broken view or unknown module fails the query for all; asked one by one, it
        # fails alone. A broken database fails again here, with its own error.
        try:
            tables = ask(connection, _TABLES)
        except Exception:
            raise error from None
        return _schema(row for table in tables for row in _columns_of(connection, table))


def _columns_of(connection: Any, table: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    try:
        columns = ask(connection, f"PRAGMA main.table_xinfo({quote_name(str(table[0]))})")
    except Exception:
        if table[1] == "table" and not _is_virtual(table[2]):
            raise
        columns = []
    # cid, name, type, notnull, dflt_value, pk, hidden
    rows = [(*table, x[1], x[2], x[3], x[5], x[6]) for x in columns]
    return rows or [(*table, None, None, None, None, None)]


def _schema(rows: Iterable[tuple[Any, ...]]) -> SchemaShape:
    tables: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        tables.setdefault(row[0], []).append(row)
    return SchemaShape.of(*map(_table, tables.values()))


def _table(rows: list[tuple[Any, ...]]) -> TableShape:
    table, kind, sql = rows[0][:3]
    collations = _collations(sql) if kind == "table" else {}
    columns = tuple(
        ColumnShape(
            name,
            normalize_type(type_ or ""),
            not (not_null or key),
            bool(key),
            hidden in _GENERATED,
            "",
            collations.get(fold_name(name), "") if collations else "",
            hidden == _VIRTUAL,
        )
        for _, _, _, name, type_, not_null, key, hidden in rows
        if name is not None and hidden != _HIDDEN
    )
    has_rowid = kind == "table" and not _is_without_rowid(sql)
    return TableShape(table, columns, _kind(kind, sql), has_rowid)


def _kind(kind: str, sql: str | None) -> TableKind:
    if kind == "view":
        return "view"
    return "virtual" if _is_virtual(sql) else "table"


def _is_virtual(sql: str | None) -> bool:
    return str(sql or "").upper().split(None, 2)[1:2] == ["VIRTUAL"]


def _collations(sql: str | None) -> dict[str, str]:
    """Read off a table's definition which columns have a collation: no pragma tells.

    What a constraint of the whole table, an index or an expression says of collations stands in
    parentheses of its own.
    """
    text = str(sql or "")
    if "COLLATE" not in text.upper():
        return {}
    found: dict[str, str] = {}
    depth, column, follows, begins = 0, "", False, False
    for token in _DDL.finditer(text):
        if mark := token["mark"]:
            depth += {"(": 1, ")": -1, ",": 0}[mark]
            begins = depth == 1 and mark != ")"
        elif (name := token["word"] or _unquoted(token["quoted"] or "")) and depth == 1:
            if begins:
                column = fold_name(name)
            elif follows:
                found[column] = name
            follows = not begins and bool(token["word"]) and fold_name(name) == "collate"
            begins = False
    return found


def _unquoted(text: str) -> str:
    inner = text[1:-1]
    return inner if text[:1] == "[" else inner.replace(text[:1] * 2, text[:1])


def _is_without_rowid(sql: str | None) -> bool:
    """Tell by the words after the last parenthesis, where SQLite keeps the table's options."""
    text = str(sql or "")
    if "WITHOUT" not in text.upper():
        return False
    words: list[str] = []
    for token in _DDL.finditer(text):
        if token["mark"] == ")":
            words.clear()
        elif token["word"]:
            words.append(fold_name(token["word"]))
    return "without" in words and "rowid" in words


CATALOGUE = Catalogue("main", read_stored, read_version)
