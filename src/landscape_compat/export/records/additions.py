"""Fields that a record has besides what is stored: marks of what is absent, and filled values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sqlalchemy import ColumnElement, literal_column, select
from sqlalchemy.sql import quoted_name

from landscape_compat.export.records.values import RUN_ID, Field, State, kind_of
from landscape_compat.landscape.stored import StoredTable
from landscape_compat.projection.prelude import ProjectedColumn, Projection
from landscape_compat.projection.rules import RuleKind
from landscape_compat.schema.shape import SchemaShape, fold_name

__all__ = ["AbsentMode", "Additions"]

AbsentMode = Literal["omit", "null", "mark"]


@dataclass(frozen=True, slots=True)
class Additions:
    """What records show besides what is stored.

    Args:
        absent: What stands for a column that is declared and not stored: nothing (`omit`), a NULL
            under its name (`null`), or true under `absent.COLUMN` (`mark`).
        filled: Whether values that rules give stand under `filled.RULE.COLUMN`.
        declared: What is declared.
        projections: How each declared table is read from what is stored, by folded name.
    """

    absent: AbsentMode = "omit"
    filled: bool = False
    declared: SchemaShape = field(default_factory=SchemaShape)
    projections: Mapping[str, Projection] = field(default_factory=dict)

    def to(self, table: StoredTable) -> tuple[StoredTable, tuple[Field, ...]]:
        """Add to a table what is to be selected from it, and say which fields that makes.

        Args:
            table: The table as it is stored.
        """
        projection = self.projections.get(fold_name(table.name))
        filled = list(_filled(projection)) if self.filled and projection else []
        fields = [
            Field(
                _name(c),
                c.column.type,
                kind_of(c.column.type),
                at,
                column=c.column.name,
                state=State.FILLED,
            )
            for at, c in enumerate(filled, 1 + len(table.shape.columns))
        ]
        told = {fold_name(c.column.name) for c in filled}
        declared = self.declared.table(table.name)
        if declared and self.absent != "omit":
            fields += [
                Field(
                    c.name if self.absent == "null" else f"absent.{c.name}",
                    c.type,
                    constant=None if self.absent == "null" else True,
                    column=c.name,
                    state=State.ABSENT,
                )
                for c in declared.columns
                if table.shape.column(c.name) is None
                and fold_name(c.name) not in told
                # Every record has a place for its run, which is that it was reached from.
                and not (self.absent == "null" and fold_name(c.name) == RUN_ID)
            ]
        if filled and projection:
            table = _with(table, filled, projection.alias)
        return table, tuple(fields)


def _filled(projection: Projection) -> Iterator[ProjectedColumn]:
    for c in projection.columns:
        if c.kind != RuleKind.ABSENT and c.rule and not c.refusal:
            yield c


def _with(table: StoredTable, filled: list[ProjectedColumn], alias: str) -> StoredTable:
    """Put the values that rules give beside the stored ones."""
    stored = table.clause.alias(alias)
    columns: list[ColumnElement[Any]] = [
        stored.c[c.name].label(quoted_name(c.name, quote=True)) for c in table.clause.c
    ]
    columns += [literal_column(c.sql).label(_name(c)) for c in filled]
    return replace(
        table,
        clause=select(*columns).select_from(stored).subquery(quoted_name(table.name, quote=True)),
        filled=tuple(map(_name, filled)),
    )


def _name(column: ProjectedColumn) -> str:
    return f"filled.{column.kind}.{column.column.name}"
