"""The shape of a table and of a schema, whether stored, declared or known from history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

__all__ = ["ColumnShape", "SchemaShape", "TableKind", "TableShape", "fold_name"]

TableKind = Literal["table", "view", "virtual"]

_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def fold_name(name: str) -> str:
    """Fold a name as SQLite compares names: ASCII letters only.

    `str.lower` would make one name of two tables that SQLite keeps apart (KELVIN SIGN and `k`).
    """
    return name.translate(_ASCII_LOWER)


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """One column as its table declares it.

    Args:
        name: The column's name as written.
        type: The type as written in DDL, upper case, single spaces; may be empty on SQLite.
        nullable: Whether NULL is allowed; never true for a primary key column.
        primary_key: Whether the column is part of the primary key.
        generated: Whether the database computes its values.
    """

    name: str
    type: str
    nullable: bool = True
    primary_key: bool = False
    generated: bool = False


@dataclass(frozen=True, slots=True)
class TableShape:
    """One table, view or virtual table: its name, columns in order, and what kind it is."""

    name: str
    columns: tuple[ColumnShape, ...]
    kind: TableKind = "table"
    has_rowid: bool = True

    @property
    def column_names(self) -> tuple[str, ...]:
        """Name the columns, in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> ColumnShape | None:
        """Find a column by its folded name."""
        wanted = fold_name(name)
        for column in self.columns:
            if fold_name(column.name) == wanted:
                return column
        return None


@dataclass(frozen=True, slots=True)
class SchemaShape:
    """A set of tables, found by name.

    Args:
        tables: Folded name to table. Use `of` to make one from tables.
    """

    tables: Mapping[str, TableShape] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def of(cls, *tables: TableShape) -> SchemaShape:
        """Make a schema of tables."""
        return cls(MappingProxyType({fold_name(table.name): table for table in tables}))

    def table(self, name: str) -> TableShape | None:
        """Find a table by its folded name."""
        return self.tables.get(fold_name(name))

    def has(self, path: str) -> bool:
        """Tell whether `table` or `table.column` exists here."""
        name, _, column = path.partition(".")
        table = self.table(name)
        return table is not None and (not column or table.column(column) is not None)

    def __iter__(self) -> Iterator[TableShape]:
        return iter(self.tables.values())

    def __len__(self) -> int:
        return len(self.tables)
