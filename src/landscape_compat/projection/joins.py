"""Derived values as joins, for statements that filter on them.

SQLite evaluates a scalar subquery for every row that nothing else rules out. By a join it can begin
at the other end: with the rows of the run that is asked for, say. The price is that the common
table expression is a join itself, which SQLite copies whole where it stands on the right of an
outer join; so a statement that has one keeps the subquery.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import ScalarSelect, Select, select
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression
from sqlalchemy.sql.expression import ColumnClause, Join, TableClause

from landscape_compat.projection.rules import Rule
from landscape_compat.projection.tokens import Syntax, TokenKind, tokenize
from landscape_compat.schema.shape import ColumnShape, SchemaShape, fold_name
from landscape_compat.schema.types import affinity

__all__ = ["Joined", "filtered_names", "join_for"]

# Before, a join in parentheses was copied whole.
# Source: https://www.sqlite.org/releaselog/3_39_0.html.
_NESTS = (3, 39, 0)


class Joined(NamedTuple):
    """A derived value as a column of a joined table.

    Args:
        value: The value, as `alias.column`.
        clause: The join that goes behind the stored table.
    """

    value: str
    clause: str


def join_for(
    rule: Rule,
    declared: ColumnShape,
    stored: SchemaShape,
    dialect: Dialect,
    *,
    alias: str,
    prefix: str,
    schema: str,
    quote: Callable[[str], str],
) -> Joined | None:
    """Write a rule as a join, if it is the lookup of one row by its key, or a chain of them.

    Args:
        rule: The rule.
        declared: The declared column.
        stored: What is stored.
        dialect: The dialect; only SQLite's is known here.
        alias: The stored table's name within the projection.
        prefix: What the names of joined tables begin with.
        schema: The schema that the tables are in.
        quote: Quotes a name where the dialect needs it.

    Returns:
        The join; None where a join could give another row, another value or a second row.
    """
    lookup = None if dialect.name != "sqlite" or rule.replaces else _lookup(rule)
    if lookup is None:
        return None
    tables = [name for name, _, _ in lookup.hops]
    if len(tables) > 1 and _version(dialect) < _NESTS:
        return None
    shapes = [stored.table(name) for name in tables]
    for (_, key, _), shape in zip(lookup.hops, shapes, strict=True):
        keys = () if shape is None else [c.name for c in shape.columns if c.primary_key]
        if shape is None or shape.kind != "table" or [*map(fold_name, keys)] != [fold_name(key)]:
            return None
    if not all(_is_unique_as_compared(on, stored) for _, _, on in lookup.hops):
        return None
    value = shapes[-1].column(lookup.value) if shapes[-1] else None
    if value is None or affinity(value.type) != affinity(declared.type):
        return None
    if value.collation != declared.collation:
        return None
    names = {name: f"{prefix}_{number}" for number, name in enumerate(tables, 1)}
    names[rule.table] = alias

    def side(column: Any) -> str:
        return f"{names[_table_of(column)]}.{quote(column.name)}"

    sources = [
        f"{quote(schema)}.{quote(shape.name)} AS {names[name]}"
        for name, shape in zip(tables, shapes, strict=True)
        if shape is not None
    ]
    conditions = [f"{side(on.left)} = {side(on.right)}" for _, _, on in lookup.hops]
    inner = "".join(
        f" JOIN {source} ON {condition}"
        for source, condition in zip(sources[1:], conditions[1:], strict=True)
    )
    target = f"({sources[0]}{inner})" if inner else sources[0]
    return Joined(
        f"{names[tables[-1]]}.{quote(value.name)}", f" LEFT JOIN {target} ON {conditions[0]}"
    )


def _is_unique_as_compared(condition: BinaryExpression[Any], stored: SchemaShape) -> bool:
    """Tell whether a key that has each value once also equals a value of the other column once.

    A number equals '5' and '05', and under NOCASE 'a' equals 'A': a join would give both rows.
    """
    found = []
    sides: tuple[Any, Any] = (condition.left, condition.right)
    for side in sides:
        shape = stored.table(_table_of(side))
        column = shape.column(side.name) if shape else None
        if column is None or column.collation:
            return False
        found.append(affinity(column.type))
    return found[0] == found[1]


class _Lookup(NamedTuple):
    """A column of the last of a chain of tables: each its name, its key, and the condition."""

    value: str
    hops: tuple[tuple[str, str, BinaryExpression[Any]], ...]


def _lookup(rule: Rule) -> _Lookup | None:
    expression = rule.expression
    if not isinstance(expression, ScalarSelect) or not isinstance(expression.element, Select):
        return None
    chosen = expression.element
    (value,), froms, where = chosen.selected_columns, chosen.get_final_froms(), chosen.whereclause
    # The row in hand is named in the condition alone.
    froms = [f for f in froms if not (isinstance(f, TableClause) and f.name == rule.table)]
    if not isinstance(value, ColumnClause) or len(froms) != 1 or where is None:
        return None
    if str(chosen) != str(select(value).select_from(froms[0]).where(where)):
        return None  # it does more than that
    conditions = [where, *_conditions(froms[0])]
    hops: list[tuple[str, str, BinaryExpression[Any]]] = []
    known = rule.table
    for condition in conditions:
        found = _hop(condition, known)
        if found is None or found[0] in [name for name, _, _ in hops]:
            return None
        hops.append(found)
        known = found[0]
    if len(hops) != _count(froms[0]) or _table_of(value) != known:
        return None
    return _Lookup(value.name, tuple(hops))


def _conditions(source: Any) -> list[Any]:
    """List the conditions of a chain of inner joins, beginning at its left end."""
    if not isinstance(source, Join):
        return []
    if source.isouter or source.full or not isinstance(source.right, TableClause):
        return [None]
    return [*_conditions(source.left), source.onclause]


def _count(source: Any) -> int:
    return 1 + _count(source.left) if isinstance(source, Join) else isinstance(source, TableClause)


def _hop(condition: Any, known: str) -> tuple[str, str, BinaryExpression[Any]] | None:
    """Read `new.key = known.column`, in either order."""
    if not isinstance(condition, BinaryExpression) or condition.operator is not operators.eq:
        return None
    for new, old in ((condition.left, condition.right), (condition.right, condition.left)):
        if not (isinstance(new, ColumnClause) and isinstance(old, ColumnClause)):
            return None
        if _table_of(old) == known and _table_of(new) not in ("", known):
            return _table_of(new), new.name, condition
    return None


def _table_of(column: ColumnClause[Any]) -> str:
    return column.table.name if isinstance(column.table, TableClause) else ""


def _version(dialect: Dialect) -> tuple[int, ...]:
    driver: Any = dialect.dbapi or sqlite3
    return tuple(driver.sqlite_version_info)


_BEGINS = frozenset({"WHERE", "ON", "HAVING", "USING"})
_ENDS = frozenset(
    """SELECT FROM JOIN INNER CROSS LEFT GROUP ORDER LIMIT UNION EXCEPT INTERSECT WINDOW
    VALUES""".split()
)


def filtered_names(text: str, syntax: Syntax) -> frozenset[tuple[str, str]]:
    """Find the names that stand in a condition of a statement.

    Args:
        text: The statement.
        syntax: The dialect's lexical rules.

    Returns:
        Each name, folded, behind what stands before it with a point; "" where nothing does.
    """
    found: set[tuple[str, str]] = set()
    levels = [False]
    before, pointed = "", False
    for token in tokenize(text, syntax):
        is_operator = token.kind is TokenKind.OPERATOR
        if is_operator:
            if token.text == "(":
                levels.append(levels[-1])
            elif token.text == ")" and len(levels) > 1:
                levels.pop()
        elif token.kind is TokenKind.WORD and token.text in _BEGINS and not pointed:
            levels[-1] = True
        elif token.kind is TokenKind.WORD and token.text in _ENDS and not pointed:
            levels[-1] = False
        elif levels[-1] and token.name:
            found.add((before if pointed else "", token.name))
        pointed = is_operator and token.text == "."
        if not is_operator:
            before = token.name
    return frozenset(found)
