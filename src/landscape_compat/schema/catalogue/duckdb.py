"""The catalogue of DuckDB: what `main` stores, and the schemas that are named besides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from landscape_compat.errors import AttachError
from landscape_compat.schema.catalogue.base import Catalogue, Wanted, ask
from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape, fold_name
from landscape_compat.schema.types import normalize_type

__all__ = ["catalogue", "read_stored", "read_version"]

_SCHEMA = "main"
_SESSION = "SELECT current_catalog(), current_schema()"
# Source: https://duckdb.org/docs/current/sql/meta/duckdb_table_functions.
_COLUMNS = """
    SELECT c.schema_name, c.table_name, v.view_name IS NOT NULL, c.column_name, c.data_type,
        c.is_nullable, coalesce(list_contains(k.columns, c.column_name), false)
    FROM duckdb_columns() AS c
    LEFT JOIN duckdb_views() AS v
        ON v.database_name = c.database_name AND v.schema_name = c.schema_name
        AND v.view_name = c.table_name
    LEFT JOIN (
        SELECT schema_name, table_name, any_value(constraint_column_names) AS columns
        FROM duckdb_constraints()
        WHERE database_name = current_catalog() AND constraint_type = 'PRIMARY KEY'
        GROUP BY ALL
    ) AS k ON k.schema_name = c.schema_name AND k.table_name = c.table_name
    WHERE c.database_name = current_catalog() AND NOT c.internal
    ORDER BY c.schema_name, c.table_oid, c.table_name, c.column_index"""
_TYPES = "SELECT DISTINCT type_name FROM duckdb_types()"
_MACROS = """
    SELECT function_name, macro_definition FROM duckdb_functions()
    WHERE database_name = current_catalog() AND NOT internal AND macro_definition IS NOT NULL
    ORDER BY ALL"""


def catalogue(wanted: Wanted) -> Catalogue:
    """Make the catalogue reader for one reader's tables.

    Args:
        wanted: What the reader means of all that is stored.
    """
    return Catalogue(_SCHEMA, partial(read_stored, wanted=wanted), read_version, has_schemas=True)


def read_stored(connection: Any, wanted: Wanted) -> SchemaShape:
    """Read every table and view of `main`, and the wanted ones of other schemas.

    Args:
        connection: A raw DBAPI connection.
        wanted: What the reader means of all that is stored.

    Raises:
        AttachError: Bare names mean tables of another schema than `main`.
    """
    ((catalog, schema),) = ask(connection, _SESSION)
    if schema != _SCHEMA:
        raise AttachError(
            f"The connection looks for tables in the schema {schema!r}, and only in "
            f"{_SCHEMA!r} bare names are known to mean the declared tables.",
            remedy="Declare the tables with their schema, and leave the search path as it is.",
        )
    schemas: dict[str, list[TableShape]] = {}
    for table in _tables(ask(connection, _COLUMNS)):
        schemas.setdefault(table.schema, []).append(table)
    types = frozenset(normalize_type(name) for (name,) in ask(connection, _TYPES))
    routines: dict[str, str] = {}
    for name, definition in ask(connection, _MACROS):
        routines[fold_name(name)] = f"{routines.get(fold_name(name), '')} {definition}"
    return SchemaShape.of(
        *schemas.get(_SCHEMA, ()),
        schema=_SCHEMA,
        types=types,
        elsewhere={
            name: SchemaShape.of(*schemas.get(name, ()), schema=name, types=types)
            for name in sorted(wanted.schemas - {_SCHEMA})
        },
        catalog=catalog,
        routines=routines,
    )


def read_version(connection: Any) -> tuple[tuple[Any, ...], ...]:
    """Read the columns of every table, which tell all that a change of the schema changes.

    Args:
        connection: A raw DBAPI connection.
    """
    return tuple(ask(connection, _COLUMNS) + ask(connection, _MACROS))


def _tables(rows: Iterable[Sequence[Any]]) -> Iterable[TableShape]:
    columns: dict[tuple[str, str, bool], list[ColumnShape]] = {}
    for schema, table, is_view, name, type_, nullable, key in rows:
        columns.setdefault((schema, table, is_view), []).append(
            ColumnShape(
                name=name,
                type=normalize_type(type_),
                nullable=nullable and not key,
                primary_key=key,
            )
        )
    for (schema, table, is_view), found in columns.items():
        yield TableShape(
            name=table,
            columns=tuple(found),
            kind="view" if is_view else "table",
            has_rowid=not is_view,
            schema=schema,
        )
