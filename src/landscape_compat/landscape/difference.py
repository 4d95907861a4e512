"""The difference between the schemas of two databases."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, MetaData

from landscape_compat.engine.attach import attach
from landscape_compat.engine.encryption import make_engine
from landscape_compat.errors import printable
from landscape_compat.landscape.database import database_url
from landscape_compat.landscape.history import known_shapes
from landscape_compat.schema.drift import TableDrift, compare_tables
from landscape_compat.schema.known import identify
from landscape_compat.schema.shape import SchemaShape, fold_name

__all__ = ["SchemaDifference", "diff_databases"]


@dataclass(frozen=True, slots=True)
class SchemaDifference:
    """How the schema of one database differs from that of another.

    Args:
        databases: The names of both, passwords hidden.
        shapes: The nearest known shapes of the first and of the second.
        only_first: The tables that only the first has.
        only_second: The tables that only the second has.
        tables: The tables that both have and that differ: what of the second the first lacks
            (`missing_columns`), what only it has (`extra_columns`), and what is declared
            otherwise, the first as `stored` and the second as `declared`.
    """

    databases: tuple[str, str]
    shapes: tuple[tuple[str, ...], tuple[str, ...]]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    tables: tuple[TableDrift, ...]

    def __bool__(self) -> bool:
        return bool(self.only_first or self.only_second or self.tables)

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain JSON values."""
        return {
            "databases": list(self.databases),
            "same": not self,
            "shapes": [list(shapes) for shapes in self.shapes],
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
            "tables": [
                {
                    "table": drift.table,
                    "only_first": [column.name for column in drift.extra_columns],
                    "only_second": [column.name for column in drift.missing_columns],
                    "changed": [
                        {"column": c.name, "first": c.stored, "second": c.declared}
                        for c in (*drift.changed_types, *drift.noted)
                    ],
                }
                for drift in self.tables
            ],
        }


def diff_databases(
    first: str | os.PathLike[str] | URL,
    second: str | os.PathLike[str] | URL,
    *,
    passphrase: str | None = None,
) -> SchemaDifference:
    """Tell how the schemas of two databases differ, without writing to either.

    They need not be Landscapes.

    Args:
        first: A path or a SQLAlchemy URL.
        second: Another.
        passphrase: What a file is encrypted by, if it is; of no effect if not.

    Raises:
        OpeningRefusedError: One cannot be opened without a trace or a risk; says why.
        AttachError: The dialect of one is not known.
    """
    (one, dialect), (other, _) = (_stored(each, passphrase) for each in (first, second))
    drifts = [
        compare_tables(table, wanted, dialect)
        for table in one
        if (wanted := other.table(table.name)) is not None
    ]
    return SchemaDifference(
        databases=(_name(first), _name(second)),
        shapes=(_shapes(one), _shapes(other)),
        only_first=_beyond(one, other),
        only_second=_beyond(other, one),
        tables=tuple(drift for drift in drifts if drift),
    )


def _name(database: str | os.PathLike[str] | URL) -> str:
    url = database_url(database)
    if url.get_backend_name() == "sqlite" and url.database and not url.query:
        return printable(url.database)
    return printable(url.render_as_string(hide_password=True))


def _stored(
    database: str | os.PathLike[str] | URL, passphrase: str | None
) -> tuple[SchemaShape, str]:
    engine = make_engine(database_url(database), passphrase)
    try:
        stored = attach(engine, MetaData(), read_only=True).plan().stored
        return stored, engine.dialect.name
    finally:
        engine.dispose()


def _shapes(stored: SchemaShape) -> tuple[str, ...]:
    return tuple(known.name for known in identify(stored, known_shapes()).nearest)


def _beyond(one: SchemaShape, other: SchemaShape) -> tuple[str, ...]:
    names = {fold_name(table.name) for table in other}
    return tuple(table.name for table in one if fold_name(table.name) not in names)
