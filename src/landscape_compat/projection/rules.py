"""Rules: where a declared column that is not stored as declared gets its value from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import BindParameter, ClauseElement, ColumnElement, Over, Select, case, column
from sqlalchemy import table as table_clause
from sqlalchemy.sql import visitors
from sqlalchemy.sql.expression import (
    Alias,
    AliasedReturnsRows,
    ColumnClause,
    FunctionElement,
    SelectBase,
    TableClause,
)
from sqlalchemy.sql.visitors import ExternallyTraversible

from landscape_compat.errors import RuleError
from landscape_compat.schema.shape import SchemaShape, fold_name

__all__ = [
    "Rule",
    "RuleKind",
    "RuleSet",
    "absent",
    "derived",
    "mapped",
    "neutral",
    "renamed",
]

_AGGREGATES = frozenset(
    """any_value array_agg avg bit_and bit_or bool_and bool_or count every group_concat json_agg
    json_group_array json_group_object json_object_agg jsonb_agg jsonb_group_array
    jsonb_group_object jsonb_object_agg max median min percentile percentile_cont
    percentile_disc string_agg sum total""".split()
)


class RuleKind(StrEnum):
    """What a value that is not stored is owed to."""

    ABSENT = "absent"
    RENAMED = "renamed"
    DERIVED = "derived"
    MAPPED = "mapped"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One rule for one declared column. Make it with `absent`, `renamed`, `derived`, ...

    Args:
        table: The declared table.
        column: The declared column.
        kind: What the value is owed to.
        expression: The value, over columns of the stored table and of other stored tables, all
            named by their bare stored names; None for NULL.
        stored: Paths (`table` or `table.column`) that must be stored for the rule to fire.
            What the expression reads is added by itself.
        not_stored: Paths that must not be stored for the rule to fire.
        declared: Paths that the reader must declare for the rule to fire.
        not_declared: Paths that the reader must not declare for the rule to fire.
        replaces: Whether the rule replaces the values of a column that *is* stored.
        essential: Whether readers filter on the column, so that NULL would lose records
            silently: where no rule fires, reading the column is refused.
        why: Why the value is right, for people.
        evidence: Where that can be checked.
        aliases: The names that the expression gives to tables, folded; found by itself.
    """

    table: str
    column: str
    kind: RuleKind
    expression: ColumnElement[Any] | None = None
    stored: frozenset[str] = frozenset()
    not_stored: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()
    not_declared: frozenset[str] = frozenset()
    replaces: bool = False
    essential: bool = False
    why: str = ""
    evidence: str = ""
    aliases: frozenset[str] = frozenset()

    @property
    def target(self) -> str:
        """Name the column as `table.column`."""
        return f"{self.table}.{self.column}"

    def fires(self, stored: SchemaShape, declared: SchemaShape) -> bool:
        """Tell whether this rule applies to a database read with these declarations.

        Args:
            stored: The stored schema.
            declared: The declared schema.
        """
        return (
            stored.has(self.target) is self.replaces  # decides most often, so it is asked first
            and stored.has(self.table)
            and declared.has(self.target)
            and all(map(stored.has, self.stored))
            and not any(map(stored.has, self.not_stored))
            and all(map(declared.has, self.declared))
            and not any(map(declared.has, self.not_declared))
        )


def absent(target: str, **details: Any) -> Rule:
    """Say that the record never held this column: it reads as NULL.

    Args:
        target: The declared column, as `table.column`.
        details: Further fields of `Rule`.

    Raises:
        RuleError: `target` is not of the form `table.column`.
    """
    return _rule(target, RuleKind.ABSENT, None, details)


def renamed(target: str, stored_as: str, **details: Any) -> Rule:
    """Say that the column is stored under another name in the same table.

    Args:
        target: The declared column, as `table.column`.
        stored_as: The stored column's bare name.
        details: Further fields of `Rule`.

    Raises:
        RuleError: `target` is not of the form `table.column`, or names itself.
    """
    name, _, own = target.partition(".")
    if not stored_as:
        raise RuleError(f"The rule for {target} names no stored column.")
    if fold_name(own) == fold_name(stored_as):
        raise RuleError(f"The rule for {target} renames the column to itself.")
    expression: ColumnElement[Any] = table_clause(name, column(stored_as)).c[stored_as]
    return _rule(target, RuleKind.RENAMED, expression, details)


def derived(target: str, expression: ColumnElement[Any] | Select[Any], **details: Any) -> Rule:
    """Say that the value follows exactly from other stored data.

    Args:
        target: The declared column, as `table.column`.
        expression: A column expression, or a SELECT of one column. It may name the target's
            table, which then stands for the row in hand; leave `correlate()` out.
        details: Further fields of `Rule`.

    Raises:
        RuleError: `target` is not of the form `table.column`, or the expression reads it, or
            it gives not just one value for the row in hand.
    """
    return _rule(target, RuleKind.DERIVED, expression, details)


def mapped(target: str, expression: ColumnElement[Any] | dict[Any, Any], **details: Any) -> Rule:
    """Say that a published mapping gives the value.

    Args:
        target: The declared column, as `table.column`.
        expression: A column expression; or stored value to declared value, for a column that is
            stored under the same name: values not named stay as they are.
        details: Further fields of `Rule`.

    Raises:
        RuleError: `target` is not of the form `table.column`, or the mapping is empty.
    """
    if isinstance(expression, dict):
        if not expression:
            raise RuleError(f"The rule for {target} maps no value.")
        name, _, own = target.partition(".")
        stored: ColumnElement[Any] = table_clause(name, column(own)).c[own]
        expression = case(
            *((stored == before, after) for before, after in expression.items()), else_=stored
        )
        details.setdefault("replaces", True)
    return _rule(target, RuleKind.MAPPED, expression, details)


def neutral(target: str, expression: ColumnElement[Any], **details: Any) -> Rule:
    """Give the least value that the reader accepts, where the record never held one.

    Args:
        target: The declared column, as `table.column`.
        expression: A column expression.
        details: Further fields of `Rule`.

    Raises:
        RuleError: `target` is not of the form `table.column`.
    """
    return _rule(target, RuleKind.NEUTRAL, expression, details)


def _rule(
    target: str,
    kind: RuleKind,
    expression: ColumnElement[Any] | Select[Any] | None,
    details: dict[str, Any],
) -> Rule:
    name, dot, own = target.partition(".")
    if not (name and dot and own):
        raise RuleError(f"A rule's target is `table.column`, not {target!r}.")
    if kind is not RuleKind.ABSENT and not isinstance(expression, ColumnElement | Select):
        raise RuleError(
            f"The rule for {target} has a {type(expression).__name__} for its value.",
            remedy="Build the value with SQLAlchemy: a column, literal(...), func, or select(...).",
        )
    if isinstance(expression, Select):
        if len(expression.selected_columns) != 1:
            raise RuleError(f"The rule for {target} selects not just one column.")
        expression = expression.scalar_subquery()
    for paths in ("stored", "not_stored", "declared", "not_declared"):
        given = details.get(paths, ())
        details[paths] = frozenset([given] if isinstance(given, str) else given)
    reads = frozenset() if expression is None else columns_read(expression)
    if not details.get("replaces") and fold_name(target) in map(fold_name, reads):
        raise RuleError(f"The rule for {target} reads {target}, which is not stored.")
    if expression is not None:
        _check_row_by_row(expression, target)
        details["aliases"] = frozenset(
            fold_name(element.name)
            for element in visitors.iterate(expression)
            if isinstance(element, AliasedReturnsRows)
        )
    details["stored"] |= reads
    return Rule(table=name, column=own, kind=kind, expression=expression, **details)


def columns_read(expression: ClauseElement) -> frozenset[str]:
    """Name the tables and columns that an expression reads, as `table` and `table.column`."""
    found = set()
    for element in visitors.iterate(expression):
        if isinstance(element, ColumnClause):
            table = element.table
            if isinstance(table, Alias):
                table = table.element
            if isinstance(table, TableClause):
                found.add(f"{table.name}.{element.name}")
        elif isinstance(element, TableClause):
            found.add(element.name)
    return frozenset(found)


def _check_row_by_row(
    expression: ExternallyTraversible, target: str, *, within: bool = False
) -> None:
    """Refuse what would make one row of many, or NULL of a value that was not given."""
    name = fold_name(target.partition(".")[0])
    if isinstance(expression, BindParameter) and expression.required:
        raise RuleError(f"The rule for {target} has a parameter without a value.")
    is_window = isinstance(expression, Over)
    if is_window or _is_aggregate(expression):
        columns = [e for e in visitors.iterate(expression) if isinstance(e, ColumnClause)]
        sources = [column.table for column in columns]
        own = all(isinstance(s, TableClause) and fold_name(s.name) == name for s in sources)
        # Within a subquery an aggregate over nothing but outer columns is the outer query's.
        if not within or (columns and own and not is_window):
            raise RuleError(
                f"The rule for {target} takes several rows of its own table together, so the "
                "other rows would be lost.",
                remedy="Aggregate an alias of the table in a SELECT of its own.",
            )
    if not isinstance(expression, ColumnClause) and not is_window:
        within = within or isinstance(expression, SelectBase)
        for child in expression.get_children():
            _check_row_by_row(child, target, within=within)


def _is_aggregate(element: ExternallyTraversible) -> bool:
    if not isinstance(element, FunctionElement):
        return False
    name = fold_name(str(getattr(element, "name", "")))
    # With several arguments, these two compare values of one row.
    return name in _AGGREGATES and not (name in ("max", "min") and len(element.clauses) > 1)


class RuleSet:
    """The rules a reader goes by, checked when made.

    Args:
        rules: The rules. Several may name one column, if at most one of them fires for any
            stored and declared schema; that is checked where it can be seen here, and else
            when a database is planned for.

    Raises:
        RuleError: Two rules name one column under the same conditions.
    """

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = tuple(rules)
        self._by_column: dict[tuple[str, str], list[Rule]] = {}
        seen = set()
        for rule in self._rules:
            where = (fold_name(rule.table), fold_name(rule.column))
            # `stored` is left out: rules that differ only in what they need can both fire.
            conditions = (*where, rule.not_stored, rule.declared, rule.not_declared, rule.replaces)
            if conditions in seen:
                raise RuleError(
                    "Two rules give this column a value under the same conditions.",
                    table=rule.table,
                    column=rule.column,
                    remedy="Keep one, or say by `not_stored`, `declared` or `not_declared` "
                    "when each fires.",
                )
            seen.add(conditions)
            self._by_column.setdefault(where, []).append(rule)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def rule_for(
        self, table: str, column: str, stored: SchemaShape, declared: SchemaShape
    ) -> Rule | None:
        """Find the one rule that fires for a column, if any does.

        Args:
            table: The declared table.
            column: The declared column.
            stored: The stored schema.
            declared: The declared schema.

        Raises:
            RuleError: More than one rule fires.
        """
        rules = self._by_column.get((fold_name(table), fold_name(column)))
        if not rules:
            return None
        if stored.exact:
            rules = [rule for rule in rules if (rule.table, rule.column) == (table, column)]
        firing = [rule for rule in rules if rule.fires(stored, declared)]
        if len(firing) > 1:
            raise RuleError(
                f"{len(firing)} rules give this column a value for this database.",
                table=table,
                column=column,
                remedy="Say by `not_stored`, `declared` or `not_declared` when each fires.",
            )
        return firing[0] if firing else None

    def is_essential(self, table: str, column: str) -> bool:
        """Tell whether readers filter on a column, so that NULL there would lose records."""
        rules = self._by_column.get((fold_name(table), fold_name(column)), ())
        return any(rule.essential for rule in rules)
