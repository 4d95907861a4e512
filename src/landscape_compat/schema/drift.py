"""Drift: what a reader declares and a database does not store, table by table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from landscape_compat.schema.shape import ColumnShape, TableShape
from landscape_compat.schema.types import normalize_type, type_class

__all__ = ["ChangedColumn", "TableDrift", "compare_tables"]


class ChangedColumn(NamedTuple):
    """A column that is stored in another way than it is declared."""

    name: str
    stored: str
    declared: str


@dataclass(frozen=True, slots=True)
class TableDrift:
    """How one table differs from its declaration.

    Args:
        table: The declared name.
        missing_table: Whether the whole table is missing.
        missing_columns: Declared columns that are not stored.
        changed_types: Columns whose stored type is of another class than the declared one.
        extra_columns: Stored columns that are not declared.
        noted: Other differences (length, nullability, primary key), which no read trips over.
        kind: What stands under the name, if not a table: `view` or `virtual`.
    """

    table: str
    missing_table: bool = False
    missing_columns: tuple[ColumnShape, ...] = ()
    changed_types: tuple[ChangedColumn, ...] = ()
    extra_columns: tuple[ColumnShape, ...] = ()
    noted: tuple[ChangedColumn, ...] = ()
    kind: str = "table"

    @property
    def is_degraded(self) -> bool:
        """Tell whether a declared read would trip over it."""
        return self.missing_table or bool(self.missing_columns or self.changed_types)

    def __bool__(self) -> bool:
        return self.is_degraded or bool(self.extra_columns or self.noted) or self.kind != "table"


def compare_tables(stored: TableShape | None, declared: TableShape, dialect: str) -> TableDrift:
    """Compare one table as stored with its declaration.

    Args:
        stored: The stored table, or None if there is none.
        declared: The declared table.
        dialect: SQLAlchemy's name of the dialect.
    """
    if stored is None:
        return TableDrift(declared.name, missing_table=True, missing_columns=declared.columns)
    if stored.columns == declared.columns:
        return TableDrift(declared.name, kind=stored.kind)
    missing, changed, noted = [], [], []
    for column in declared.columns:
        found = stored.column(column.name)
        if found is None:
            missing.append(column)
            continue
        before, after = normalize_type(found.type), normalize_type(column.type)
        if before != after and after:
            kinds = {type_class(type_, dialect) for type_ in (before, found.base) if type_}
            if type_class(after, dialect) in kinds:
                noted.append(ChangedColumn(column.name, before, after))
            else:
                changed.append(ChangedColumn(column.name, before, after))
        if found.primary_key is not column.primary_key:
            noted.append(_key_note(found, column))
        elif found.nullable is not column.nullable:
            noted.append(_null_note(found, column))
    extra = tuple(column for column in stored.columns if declared.column(column.name) is None)
    return TableDrift(
        declared.name,
        missing_columns=tuple(missing),
        changed_types=tuple(changed),
        extra_columns=extra,
        noted=tuple(noted),
        kind=stored.kind,
    )


def _key_note(stored: ColumnShape, declared: ColumnShape) -> ChangedColumn:
    def say(column: ColumnShape) -> str:
        return "primary key" if column.primary_key else "not in the primary key"

    return ChangedColumn(declared.name, say(stored), say(declared))


def _null_note(stored: ColumnShape, declared: ColumnShape) -> ChangedColumn:
    def say(column: ColumnShape) -> str:
        return "NULL allowed" if column.nullable else "NOT NULL"

    return ChangedColumn(declared.name, say(stored), say(declared))
