"""ELSPETH's tables as SQLAlchemy knows tables: in any known shape, and all shapes at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    column,
)
from sqlalchemy import table as table_clause
from sqlalchemy.sql.expression import TableClause
from sqlalchemy.types import TypeEngine

from landscape_compat.errors import RuleError
from landscape_compat.landscape.history import ForeignKey, foreign_keys, known_shapes
from landscape_compat.schema.known import KnownShape

__all__ = ["EveryTable", "every_table", "metadata_of", "newest_metadata"]


def metadata_of(known: KnownShape) -> MetaData:
    """Declare the tables of a known shape, to create them or to read with.

    Args:
        known: The shape.

    Raises:
        RuleError: A column has a type that is not known here.
    """
    keys = foreign_keys(known)
    # What a foreign key refers to must be unique; the history holds no unique constraints.
    referred = {
        (key.table, key.references)
        for table in known.shape
        for key in keys.get(table.name, ())
        if set(key.references) != _primary_key(known, key.table)
    }
    circular = _circular(keys)
    metadata = MetaData()
    for table in known.shape:
        Table(
            table.name,
            metadata,
            *(
                Column(
                    shape.name,
                    _type(shape.type),
                    primary_key=shape.primary_key,
                    nullable=shape.nullable,
                    autoincrement=False,
                )
                for shape in table.columns
            ),
            *(
                _constraint(
                    key,
                    f"fk_{table.name}_{number}" if (table.name, key.table) in circular else None,
                )
                for number, key in enumerate(keys.get(table.name, ()))
            ),
            *(
                UniqueConstraint(*columns)
                for name, columns in sorted(referred)
                if name == table.name
            ),
        )
    return metadata


@cache
def newest_metadata() -> MetaData:
    """Give the tables of the newest known shape to read with, declared once for all databases."""
    return metadata_of(known_shapes()[-1])


class EveryTable:
    """Every table with every column that it has had in any shape, for writing rules.

    The tables are attributes: `every_table().tokens.c.row_id`.
    """

    def __init__(self, tables: dict[str, TableClause]) -> None:
        vars(self).update(tables)

    def __getattr__(self, name: str) -> TableClause:
        raise AttributeError(f"No known shape has a table {name!r}.")


@cache
def every_table() -> EveryTable:
    """Give every table with every column that it has had in any shape."""
    types: dict[str, dict[str, str]] = {}
    for known in known_shapes():
        for table in known.shape:
            types.setdefault(table.name, {}).update({c.name: c.type for c in table.columns})
    return EveryTable(
        {
            name: table_clause(name, *(column(c, _type(type_)) for c, type_ in columns.items()))
            for name, columns in types.items()
        }
    )


def _primary_key(known: KnownShape, name: str) -> set[str]:
    table = known.shape.table(name)
    return {c.name for c in table.columns if c.primary_key} if table else set()


def _circular(keys: Mapping[str, tuple[ForeignKey, ...]]) -> set[tuple[str, str]]:
    """Find the pairs of tables that no order puts right, the second before the first."""
    pairs = {(name, key.table) for name, own in keys.items() for key in own if key.table != name}
    while True:
        children, parents = ({pair[end] for pair in pairs} for end in (0, 1))
        inner = {pair for pair in pairs if pair[0] in parents and pair[1] in children}
        if inner == pairs:
            return pairs
        pairs = inner


def _constraint(key: ForeignKey, later: str | None) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        key.columns,
        [f"{key.table}.{name}" for name in key.references],
        # Added once both tables are there, for which it needs a name; SQLite writes it at once.
        use_alter=later is not None,
        name=later,
    )


def _type(ddl: str) -> TypeEngine[Any]:
    found = re.fullmatch(r"(\w+)(?:\((\d+)\))?", ddl)
    name, length = (found[1], found[2]) if found else (ddl, None)
    if name == "VARCHAR" and length:
        return String(int(length))
    # The host has always declared its times with a zone; SQLite has no place for one.
    types: dict[str, TypeEngine[Any]] = {
        "BOOLEAN": Boolean(),
        "DATETIME": DateTime(timezone=True),
        "FLOAT": Float(),
        "INTEGER": Integer(),
        "TEXT": Text(),
    }
    if name not in types:
        raise RuleError(f"The type {ddl!r} of a known shape is not one that can be declared.")
    return types[name]
