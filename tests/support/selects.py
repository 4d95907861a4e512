"""SELECT constructs of SQLAlchemy over the declared tables of a drawn case."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa

from support.drifts import KINDS, Case, Draw

__all__ = ["Selected", "draw_select"]

Columns: TypeAlias = Sequence[sa.ColumnElement[Any]]


@dataclass(frozen=True, slots=True)
class Selected:
    """A statement, and whether the order of its rows is settled."""

    statement: sa.Executable
    ordered: bool = False


def draw_select(draw: Draw, case: Case, metadata: sa.MetaData) -> Selected:
    """Draw a reading statement built with SQLAlchemy.

    Args:
        draw: Makes the choices.
        case: Whose tables it reads.
        metadata: Their declarations.
    """
    return _Builder(draw, [metadata.tables[table.name] for table in case.tables]).query()


class _Builder:
    def __init__(self, draw: Draw, tables: list[sa.Table]) -> None:
        self._draw = draw
        self._tables = tables
        self._ctes: list[sa.CTE] = []
        self._count = 0
        self._size = 1  # of the last SELECT built
        self._sizes: dict[sa.FromClause, int] = {}

    def query(self) -> Selected:
        draw = self._draw
        if draw.chance(3):
            self._ctes.append(self._cte())
        width = 1 + draw.below(3)
        if draw.chance(5):
            table = draw.pick(self._tables)
            return Selected(sa.select(table).where(self._predicate(list(table.c), 0)))
        found: sa.Select[Any] | sa.CompoundSelect[Any] = self._select(width, [], 0)
        if draw.chance(4):
            combine = draw.pick((sa.union_all, sa.union, sa.intersect, sa.except_))
            found = combine(found, self._select(width, [], 0))
        if not draw.chance(2):
            return Selected(found)
        keys = [sa.literal_column(str(number), sa.Integer()) for number in range(1, width + 1)]
        # By their places: a compound has no other names for its columns.
        found = found.order_by(*(draw.pick((key.asc(), key.desc())) for key in keys))
        if draw.chance(2):
            found = found.limit(1 + draw.below(3)).offset(draw.below(2))
        return Selected(found, ordered=True)

    def _name(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    # Sources --------------------------------------------------------------------------------

    def _cte(self) -> sa.CTE:
        draw = self._draw
        if draw.chance(3):
            table = draw.pick(self._tables)
            value = draw.pick(list(table.c))
            first = sa.select(sa.literal(0).label("depth"), value.label("v"))
            cte = first.cte(self._name("r"), recursive=True)
            return cte.union(sa.select(cte.c.depth + 1, cte.c.v).where(cte.c.depth < 2))
        # Also under the name of a table, which it hides then.
        name = draw.pick(self._tables).name if draw.chance(6) else self._name("c")
        cte = self._select(1 + draw.below(2), [], 1).cte(name)
        self._sizes[cte] = self._size
        return cte

    def _source(self, depth: int) -> sa.FromClause:
        draw = self._draw
        how = draw.below(8)
        if how == 7 and depth < 2:
            found = self._select(1 + draw.below(2), [], depth + 1).subquery(self._name("s"))
            self._sizes[found] = self._size
            return found
        if how == 6 and self._ctes:
            cte = draw.pick(self._ctes)
            alias = cte.alias(self._name("a"))
            self._sizes[alias] = self._sizes.get(cte, 18)
            return alias
        table = draw.pick(self._tables)
        # Without an alias, a subquery takes a table of the outer query's for that one.
        is_bare = how <= 2 and depth == 0
        return table if is_bare else table.alias(self._name("a"))

    def _from(self, depth: int) -> tuple[sa.FromClause, list[sa.ColumnElement[Any]]]:
        draw = self._draw
        found = self._source(depth)
        columns: list[sa.ColumnElement[Any]] = list(found.c)
        used = {found}
        size = self._sizes.get(found, 6)
        for _ in range(draw.pick((0, 0, 1, 1, 2)) if depth < 2 else 0):
            if size > (40, 6, 1)[depth]:
                break
            other = self._source(depth)
            if other in used:
                other = other.alias(self._name("a"))
            used.add(other)
            size *= self._sizes.get(other, 6)
            others: list[sa.ColumnElement[Any]] = list(other.c)
            match = draw.pick(columns) == draw.pick(others)
            if draw.chance(3):
                match = self._predicate(columns + others, depth + 1)
            outer = draw.pick((False, False, True))
            full = draw.chance(6)
            if draw.chance(6):
                found = other.join(found, match, isouter=outer, full=full)
            else:
                found = found.join(other, match, isouter=outer, full=full)
            columns += others
        self._size = size
        return found, columns

    # Expressions ------------------------------------------------------------------------------

    def _values(self, column: sa.ColumnElement[Any] | None, count: int) -> list[Any]:
        # The driver of SQLite warns of a date that meets a column of another type.
        kinds = [kind for kind in KINDS.values() if kind.name != "time"]
        if column is not None and not self._draw.chance(5):
            alike = [k for k in KINDS.values() if isinstance(column.type, type(k.make()))]
            kinds = alike or kinds
        kind = self._draw.pick(kinds)
        values: list[Any] = [self._draw.pick(kind.values) for _ in range(count)]
        if kind.name == "time":
            return [datetime.datetime.fromisoformat(value) for value in values]
        return [bool(value) for value in values] if kind.name == "bool" else values

    def _literal(self, column: sa.ColumnElement[Any] | None = None) -> sa.ColumnElement[Any]:
        return sa.literal(self._values(column, 1)[0])

    def _expression(self, columns: Columns, depth: int) -> sa.ColumnElement[Any]:
        draw = self._draw
        column = draw.pick(columns)
        how = draw.below(14) if depth < 3 else 0
        match how:
            case 8:
                return sa.func.coalesce(column, self._literal(column))
            case 9:
                when = self._predicate(columns, depth + 1)
                return sa.case((when, column), else_=self._literal(column))
            case 10:
                return sa.cast(column, draw.pick((sa.Text, sa.Integer))())
            case 11:
                return sa.func.typeof(column)
            case 12:
                return self._scalar(columns, depth + 1)
            case 13:
                return sa.type_coerce(self._predicate(columns, depth + 1), sa.Integer)
            case _:
                return column

    def _scalar(self, outer: Columns, depth: int) -> sa.ColumnElement[Any]:
        source, columns = self._from(depth + 1)
        value = self._draw.pick((sa.func.count(), sa.func.max(self._draw.pick(columns))))
        where = self._draw.pick(columns) == self._draw.pick(outer)
        found = sa.select(value).select_from(source).where(where)
        return found.scalar_subquery()

    def _predicate(self, columns: Columns, depth: int) -> sa.ColumnElement[bool]:
        draw = self._draw
        column, other = draw.pick(columns), draw.pick(columns)
        how = draw.below(12) if depth < 3 else draw.below(5)
        match how:
            case 0:
                return column == self._literal(column)
            case 1:
                return draw.pick((column < other, column == other, column != other))
            case 2:
                return draw.pick((column.is_(None), column.is_not(None)))
            case 3:
                return column.in_(self._values(column, 2))
            case 4:
                return draw.pick(
                    (column >= self._literal(column), column.is_distinct_from(self._literal()))
                )
            case 5:
                return sa.cast(column, sa.Text).like(draw.pick(("a%", "%5", "%")))
            case 6:
                return column.in_(self._select(1, [], depth + 1))
            case 7:
                source, found = self._from(depth + 1)
                match = draw.pick(found) == column
                return sa.exists(sa.select(1).select_from(source).where(match))
            case 8:
                return sa.not_(self._predicate(columns, depth + 1))
            case 9:
                parts = self._predicate(columns, depth + 1), self._predicate(columns, depth + 1)
                return draw.pick((sa.and_, sa.or_))(*parts)
            case 10:
                return column.between(self._literal(column), self._literal(column))
            case _:
                return sa.tuple_(column, other) == sa.tuple_(self._literal(column), other)

    # Selects ----------------------------------------------------------------------------------

    def _select(self, width: int, outer: Columns, depth: int) -> sa.Select[Any]:
        draw = self._draw
        source, columns = self._from(depth)
        size = self._size
        how = draw.below(8)
        keys = [draw.pick(columns) for _ in range(width - 1)]
        if how == 6:
            value = draw.pick(columns)
            aggregates = (
                sa.func.count(),
                sa.func.count(value.distinct()),
                sa.func.max(value),
                sa.func.min(value),
            )
            items = [*keys, draw.pick(aggregates)]
        elif how == 7:
            value = draw.pick(columns)
            windows = (
                sa.func.rank().over(order_by=value),
                sa.func.count().over(partition_by=value, order_by=draw.pick(columns)),
                sa.func.max(value).over(partition_by=draw.pick(columns)),
            )
            items = [*keys, draw.pick(windows)]
        else:
            items = [self._expression(columns, depth + 1) for _ in range(width)]
        found = sa.select(*(item.label(f"v{n}") for n, item in enumerate(items)))
        found = found.select_from(source)
        if draw.chance(3):
            found = found.where(self._predicate(columns, depth + 1))
        if how == 6 and keys:
            found = found.group_by(*keys)
            if draw.chance(3):
                found = found.having(sa.func.count() > draw.below(3))
        self._size = size
        return found.distinct() if draw.chance(5) else found
