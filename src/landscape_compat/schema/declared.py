"""The declared schema: what a reader's `MetaData` says of its tables."""

from __future__ import annotations

from sqlalchemy import MetaData, Table
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import CompileError

from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape
from landscape_compat.schema.types import normalize_type

__all__ = ["declared_schema"]


def declared_schema(metadata: MetaData, dialect: Dialect, schema: str | None = None) -> SchemaShape:
    """Give the shape of the tables that a reader declares in one schema.

    Args:
        metadata: The reader's declarations.
        dialect: The dialect that renders their types.
        schema: The schema they are found in without being told, as `main` on SQLite: tables
            declared without a schema, or with this one.
    """
    return SchemaShape.of(
        *(
            _declared_table(table, dialect)
            for table in metadata.tables.values()
            if table.schema is None or table.schema == schema
        )
    )


def _declared_table(table: Table, dialect: Dialect) -> TableShape:
    columns = []
    for column in table.columns:
        try:
            type_ = normalize_type(column.type.compile(dialect))
        except CompileError:
            type_ = ""  # a column without a type, or one this dialect cannot have
        columns.append(
            ColumnShape(
                name=column.name,
                type=type_,
                nullable=bool(column.nullable) and not column.primary_key,
                primary_key=column.primary_key,
                generated=column.computed is not None,
            )
        )
    return TableShape(table.name, tuple(columns))
