"""The declared schema: what a reader's `MetaData` says of its tables."""

from __future__ import annotations

import re
from collections.abc import Collection

from sqlalchemy import MetaData, Table
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import CompileError
from sqlalchemy.types import TypeEngine

from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape
from landscape_compat.schema.types import (
    is_builtin,
    is_mariadb,
    normalize_type,
    spelled_in_mariadb,
    spelled_type,
)

__all__ = ["declared_for", "declared_schema"]

# SQLAlchemy before 2.1 leaves quotes in the name as they are.
_COLLATED = re.compile(r'(.*?) COLLATE (?:"(.+)"|(\w+))', re.DOTALL)

# What DuckDB keeps values in whose type it does not have.
_HELD_BY = {"JSONB": "JSON"}


def declared_schema(
    metadata: MetaData,
    dialect: Dialect,
    schema: str | None = None,
    others: Collection[str] = (),
) -> SchemaShape:
    """Give the shape of the tables that a reader declares in one schema.

    Args:
        metadata: The reader's declarations.
        dialect: The dialect that renders their types.
        schema: The schema they are found in without being told, as `main` on SQLite: tables
            declared without a schema, or with this one.
        others: The schemas that declared tables may be looked for in, besides their own.
    """
    return SchemaShape.of(
        *(
            _declared_table(table, dialect)
            for table in metadata.tables.values()
            if table.schema in (None, schema) or _is_led_to(schema, table, metadata, others)
        )
    )


def declared_for(
    metadata: MetaData, dialect: Dialect, stored: SchemaShape, others: Collection[str] = ()
) -> SchemaShape:
    """Give the shape of what a reader declares, measured by what a server stores.

    What is declared with the schema that an unqualified name leads to is meant by that name. In
    `elsewhere` are the tables declared with another schema, and in each of `others` those that
    SQLAlchemy's `schema_translate_map` may look for there.

    Args:
        metadata: The reader's declarations.
        dialect: The dialect that renders their types.
        stored: What is stored.
        others: The schemas that declared tables may be looked for in, besides their own.
    """
    here, elsewhere = list[TableShape](), dict[str, list[TableShape]]()
    for table in metadata.tables.values():
        shape = _declared_table(table, dialect, stored)
        found = stored.table(table.name)
        home = found.schema if found is not None else stored.schema
        if table.schema is None or table.schema == home:
            here.append(shape)
        else:
            elsewhere.setdefault(table.schema, []).append(shape)
            if _is_led_to(home, table, metadata, others):
                here.append(shape)
        for schema in others:
            if schema == home and table.schema is not None:
                continue
            if table.schema != schema and f"{schema}.{table.name}" not in metadata.tables:
                elsewhere.setdefault(schema, []).append(shape)
    return SchemaShape.of(
        *here,
        elsewhere={
            schema: SchemaShape.of(*tables, schema=schema, exact=stored.exact)
            for schema, tables in elsewhere.items()
        },
        exact=stored.exact,
    )


def _is_led_to(home: str | None, table: Table, metadata: MetaData, others: Collection[str]) -> bool:
    """Tell whether a table of a schema may be looked for by its bare name as well.

    Two of one name would be one there, and which of them is meant could not be told.
    """
    return home in others and not any(
        other.name == table.name and other is not table for other in metadata.tables.values()
    )


def _declared_table(
    table: Table, dialect: Dialect, stored: SchemaShape | None = None
) -> TableShape:
    columns = []
    for column in table.columns:
        declared = column.type
        compiled, collation = _compiled(declared, dialect)
        type_, base = _types(declared, compiled, dialect, stored)
        if compiled == "JSON" and is_mariadb(dialect.name):
            collation = "utf8mb4_bin"  # whatever that of the table is
        key = column.primary_key
        columns.append(
            ColumnShape(
                column.name,
                type_,
                bool(column.nullable) and not key,
                key,
                column.computed is not None,
                base,
                collation,
            )
        )
    # MariaDB compares the names of columns without regard to case, whatever it does for tables.
    exact = stored is not None and stored.exact and not is_mariadb(dialect.name)
    return TableShape(table.name, tuple(columns), exact=exact)


def _compiled(declared: TypeEngine[object], dialect: Dialect) -> tuple[str, str]:
    """Give a declared type, and the collation that SQLAlchemy calls part of it."""
    try:
        type_ = declared.compile(dialect)
    except CompileError:
        return "", ""  # a column without a type, or one this dialect cannot have
    found = _COLLATED.fullmatch(type_) if " COLLATE " in type_ else None
    if found is None:
        return type_, ""
    return found[1], (found[2] or "").replace('""', '"') or found[3]


def _types(
    declared: TypeEngine[object], compiled: str, dialect: Dialect, stored: SchemaShape | None
) -> tuple[str, str]:
    """Give a declared type, and what holds its values where the database has no such type."""
    type_ = normalize_type(compiled)
    if type_ and dialect.name == "duckdb" and stored is not None:
        word = re.split(r"[ (\[]", type_, maxsplit=1)[0]
        array = type_[type_.index("[") :] if type_.endswith("]") else ""
        return type_, "" if word in stored.types else _HELD_BY.get(word, "VARCHAR") + array
    if type_ and is_mariadb(dialect.name):
        return spelled_in_mariadb(type_), ""
    if not type_ or dialect.name != "postgresql" or stored is None:
        return type_, ""
    type_ = spelled_type(type_)
    element = type_.partition("[")[0]
    if is_builtin(element) or element in stored.types:
        return type_, ""
    beneath = getattr(declared, "data_type", None)  # of a DOMAIN
    if isinstance(beneath, TypeEngine):
        return type_, _types(beneath, _compiled(beneath, dialect)[0], dialect, stored)[0]
    return type_, "TEXT" + type_[len(element) :]
