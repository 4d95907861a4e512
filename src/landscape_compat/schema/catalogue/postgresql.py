"""The catalogue of PostgreSQL: what the search path leads to, and the schemas named besides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, partial
from typing import Any

from landscape_compat.errors import AttachError
from landscape_compat.schema.catalogue.base import Catalogue, Moment, Wanted, ask
from landscape_compat.schema.shape import (
    ColumnShape,
    Hindrance,
    SchemaShape,
    TableKind,
    TableShape,
    quote_name,
)
from landscape_compat.schema.types import normalize_type, spelled_type

__all__ = ["catalogue", "lock_statement", "read_moment", "read_stored", "read_version"]

# NOT MATERIALIZED, and generated columns, came with PostgreSQL 12.
_OLDEST = 12_00_00
_SESSION = """
    SELECT current_setting('server_version_num')::int, current_schemas(true)::text[],
        coalesce(current_setting('standard_conforming_strings', true), 'on') = 'on'"""
# Source: PostgreSQL manual, 53.11 pg_class and 53.7 pg_attribute. A left join: a table without
# columns is a table.
_COLUMNS = """
    SELECT n.nspname::text, c.relname::text, c.relkind::text,
        c.relispartition OR EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhrelid = c.oid),
        has_table_privilege(c.oid, 'SELECT'), a.attname::text,
        format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated <> '',
        coalesce(a.attnum = ANY (i.indkey::int2[]), false),
        CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) END
    FROM pg_catalog.pg_namespace AS n
    JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid
    LEFT JOIN pg_catalog.pg_attribute AS a
        ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_catalog.pg_index AS i ON i.indrelid = c.oid AND i.indisprimary
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
        AND (n.nspname = ANY (current_schemas(true)) AND n.nspname <> 'pg_catalog'
            OR n.nspname = ANY ({schemas}) AND c.relname = ANY ({tables}))
    ORDER BY n.nspname, c.oid, a.attnum"""
# Types of no extension and no program have lower numbers; arrays go by their elements.
_TYPES = """
    FROM pg_catalog.pg_type AS t
    WHERE t.oid >= 16384 AND t.typtype IN ('b', 'd', 'e', 'r', 'm') AND t.typelem = 0"""
# Each hash begins from the one inside it, so that columns cannot make up for each other in the sum;
# a third of the time that it takes to write them all out and digest that.
_VERSION = """
    SELECT concat_ws(' ', count(*), sum(
            hashnameextended(n.nspname, hashnameextended(c.relname, hashoidextended(c.oid,
            hashcharextended(c.relkind, hashint2extended(coalesce(a.attnum, 0::int2),
            hashnameextended(coalesce(a.attname, ''), hashoidextended(coalesce(a.atttypid, 0),
            hashint4extended(coalesce(a.atttypmod, 0),
            hashcharextended(coalesce(a.attgenerated, ''),
            coalesce(a.attnotnull, false)::int)))))))))), current_schemas(true),
            current_setting('standard_conforming_strings', true),
            (SELECT sum(hashtextextended(format_type(t.oid, NULL), 0)) {types})),
        current_setting('transaction_read_only') = 'on'
            AND current_setting('transaction_isolation') IN ('repeatable read', 'serializable')
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_attribute AS a
        ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname = ANY ({tables})
        AND (n.nspname = ANY (current_schemas(true)) OR n.nspname = ANY ({schemas}))"""
# Else a backslash may hide the end of a string, and so the tables behind it.
_STRINGS = Hindrance(
    "The session reads a backslash in a string as one that escapes (standard_conforming_strings is "
    "off), so where a string ends cannot be told from the statement alone.",
    "Connect with `options=-c standard_conforming_strings=on`, as every server since 9.1 begins.",
)
_KINDS: dict[str, TableKind] = {"r": "table", "p": "table", "v": "view", "m": "view"}


def catalogue(wanted: Wanted) -> Catalogue:
    """Make the catalogue reader for one reader's tables.

    Args:
        wanted: What the reader means of all that is stored.
    """
    return Catalogue(
        "public",
        partial(read_stored, wanted=wanted),
        partial(read_version, wanted=wanted),
        partial(read_moment, wanted=wanted),
        partial(lock_statement, wanted=wanted),
        has_schemas=True,
    )


def read_stored(connection: Any, wanted: Wanted) -> SchemaShape:
    """Read every table that an unqualified name can mean, and the wanted ones of other schemas.

    A partition, or a table that inherits from another, is of a kind of its own: its rows are
    rows of the other table, too.

    Args:
        connection: A raw DBAPI connection.
        wanted: What the reader means of all that is stored.

    Raises:
        AttachError: The server is older than PostgreSQL 12.
    """
    ((version, path, is_standard),) = ask(connection, _SESSION)
    if version < _OLDEST:
        raise AttachError(
            f"PostgreSQL {version // 10_000} copies a common table expression whole before it "
            "reads from it, so reading through one would take very long.",
            remedy="Use PostgreSQL 12 or later, for instance by restoring a dump there.",
        )
    rows = ask(connection, _COLUMNS.format(**_lists(wanted)))
    types = frozenset(
        normalize_type(name)
        for (name,) in ask(connection, f"SELECT format_type(t.oid, NULL) {_TYPES}")
    )
    schemas: dict[str, dict[str, TableShape]] = {}
    for table in _tables(rows):
        schemas.setdefault(table.schema, {})[table.name] = table
    found: dict[str, TableShape] = {}
    for schema in path:
        for name, table in schemas.get(schema, {}).items():
            found.setdefault(name, table)
    searched = [schema for schema in path if not schema.startswith(("pg_catalog", "pg_temp_"))]
    return SchemaShape.of(
        *found.values(),
        schema=searched[0] if searched else "public",
        types=types,
        elsewhere={
            schema: SchemaShape.of(
                *schemas.get(schema, {}).values(), schema=schema, types=types, exact=True
            )
            for schema in sorted(wanted.schemas)
        },
        exact=True,
        hindrance=None if is_standard else _STRINGS,
    )


def read_version(connection: Any, wanted: Wanted) -> str:
    """Read a digest of all that a plan depends on: search path, wanted tables, types, strings.

    Args:
        connection: A raw DBAPI connection.
        wanted: What the reader means of all that is stored.
    """
    return str(read_moment(connection, wanted).version)


def read_moment(connection: Any, wanted: Wanted) -> Moment:
    """Read that digest, and whether the transaction reads only, from one snapshot.

    Args:
        connection: A raw DBAPI connection.
        wanted: What the reader means of all that is stored.
    """
    ((version, is_fixed),) = ask(connection, _question(wanted))
    return Moment(version, bool(is_fixed))


def lock_statement(stored: SchemaShape, views: bool, wanted: Wanted) -> str:
    """Write the statement that keeps the wanted tables from being altered.

    It takes the lock that every SELECT takes, and takes no snapshot, so that what is read after
    it is what stays.

    Args:
        stored: What is stored.
        views: Whether views are locked, too. Their owners must then be able to read what they show.
        wanted: What the reader means of all that is stored.
    """
    names = [
        f"{'ONLY ' * (table.kind != 'view')}{quote_name(table.schema)}.{quote_name(table.name)}"
        for schema in (stored, *stored.elsewhere.values())
        for table in schema
        if table.name in wanted.tables and table.readable and _can_be_locked(table, views)
    ]
    return f"LOCK TABLE {', '.join(names)} IN ACCESS SHARE MODE" if names else ""


def _can_be_locked(table: TableShape, views: bool) -> bool:
    # A view that holds rows cannot, and a foreign table lies elsewhere.
    is_view = table.kind == "view" and not table.has_rowid
    return table.kind in ("table", "partition") or (views and is_view)


def _tables(rows: Iterable[Sequence[Any]]) -> Iterable[TableShape]:
    columns: dict[tuple[Any, ...], list[ColumnShape]] = {}
    for *head, name, type_, not_null, generated, key, base in rows:
        found = columns.setdefault(tuple(head), [])
        if name is not None:
            found.append(
                ColumnShape(
                    name=name,
                    type=spelled_type(type_),
                    nullable=not (not_null or key),
                    primary_key=key,
                    generated=generated,
                    base=spelled_type(base or ""),
                )
            )
    for (schema, table, kind, is_part, readable), found in columns.items():
        yield TableShape(
            name=table,
            columns=tuple(found),
            # What lies on another server is read through this one, as a virtual table is.
            kind="partition" if is_part else _KINDS.get(kind, "virtual"),
            has_rowid=kind != "v",
            schema=schema,
            exact=True,
            readable=readable,
        )


@cache
def _question(wanted: Wanted) -> str:
    return _VERSION.format(types=_TYPES, **_lists(wanted))


def _lists(wanted: Wanted) -> dict[str, str]:
    return {"tables": _names(wanted.tables), "schemas": _names(wanted.schemas)}


def _names(names: Iterable[str]) -> str:
    # In one order, so that the same question is always the same text.
    return f"ARRAY[{', '.join(map(_literal, sorted(names)))}]::name[]"


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'" if "\\" in text else f"'{escaped}'"
