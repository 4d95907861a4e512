"""The difference between the schemas of two databases."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import URL, MetaData

from landscape_compat.engine.attach import attach
from landscape_compat.engine.encryption import make_engine
from landscape_compat.errors import printable
from landscape_compat.landscape.database import database_url
from landscape_compat.landscape.history import known_shapes
from landscape_compat.schema.drift import ChangedColumn, TableDrift, compare_tables
from landscape_compat.schema.known import identify
from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableKind, TableShape, fold_name
from landscape_compat.schema.types import normalize_type

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
        kinds: The names under which the two have things of different kinds (`table`, `view`,
            `virtual`, `partition`), each with that of the first and that of the second.
    """

    databases: tuple[str, str]
    shapes: tuple[tuple[str, ...], tuple[str, ...]]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    tables: tuple[TableDrift, ...]
    kinds: tuple[tuple[str, TableKind, TableKind], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.only_first or self.only_second or self.tables or self.kinds)

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
            "kinds": [
                {"table": name, "first": first, "second": second}
                for name, first, second in self.kinds
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
    (one, dialect), (other, another) = (_stored(each, passphrase) for each in (first, second))
    both = [(table, found) for table in one if (found := other.table(table.name)) is not None]
    met = {table.name for _, table in both}
    drifts = [_compare(*tables, dialect, has_orders=dialect == another) for tables in both]
    return SchemaDifference(
        databases=(_name(first), _name(second)),
        shapes=(_shapes(one), _shapes(other)),
        only_first=tuple(table.name for table in one if other.table(table.name) is None),
        only_second=tuple(table.name for table in other if table.name not in met),
        tables=tuple(drift for drift in drifts if drift),
        kinds=tuple((a.name, a.kind, b.kind) for a, b in both if a.kind != b.kind),
    )


def _compare(one: TableShape, other: TableShape, dialect: str, *, has_orders: bool) -> TableDrift:
    """Compare two stored tables, of which neither is more than the other."""
    drift = compare_tables(one, other, dialect)
    # To declare no type asks for none; to store a column without one is a difference.
    untyped = tuple(
        ChangedColumn(column.name, normalize_type(found.type), "")
        for column in other.columns
        if not column.type and (found := one.column(column.name)) is not None and found.type
    )
    # Of a view no order is told, and two kinds of database have no orders in common.
    ways = (_source, _order) if has_orders and one.kind == other.kind else (_source,)
    otherwise = tuple(
        ChangedColumn(column.name, say(found), say(column))
        for column in other.columns
        for say in ways
        if (found := one.column(column.name)) is not None and say(found) != say(column)
    )
    return replace(
        drift,
        kind="table",
        changed_types=(*drift.changed_types, *untyped),
        noted=(*drift.noted, *otherwise),
    )


def _source(column: ColumnShape) -> str:
    if column.computed:
        return "generated at each reading"
    return "generated and stored" if column.generated else "not generated"


def _order(column: ColumnShape) -> str:
    # That is what SQLite compares by where nothing is said.
    name = "" if fold_name(column.collation) == "binary" else column.collation
    return f"collation {name.upper()}" if name else "no collation of its own"


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
