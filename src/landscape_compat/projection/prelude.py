"""The prelude: the common table expression that shows a stored table in its declared shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, column, select
from sqlalchemy import table as table_clause
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql import visitors
from sqlalchemy.sql.expression import Alias, ColumnClause, TableClause

from landscape_compat.errors import RuleError, UnreadableError
from landscape_compat.projection.rules import Rule, RuleKind
from landscape_compat.schema.shape import ColumnShape, TableShape, fold_name

__all__ = ["ProjectedColumn", "Projection", "render_rule"]

# Source: https://www.sqlite.org/limits.html, SQLITE_MAX_COLUMN.
_MOST_COLUMNS = {"sqlite": 2000, "postgresql": 1600}
_ROWIDS = ("rowid", "oid", "_rowid_")


@dataclass(frozen=True, slots=True)
class ProjectedColumn:
    """One declared column that is not shown as it is stored.

    Args:
        column: The declared column.
        sql: Its value, in the dialect's SQL over the stored table under the projection's alias.
        kind: What the value is owed to.
        rule: The rule, or None where no rule says anything and NULL stands.
        replaces: Whether a stored column's values are replaced.
        refusal: Why it cannot be read, if it cannot.
    """

    column: ColumnShape
    sql: str
    kind: RuleKind = RuleKind.ABSENT
    rule: Rule | None = None
    replaces: bool = False
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Projection:
    """How one declared table is read from what is stored.

    Args:
        name: The declared name.
        source: The stored table's full name in SQL, with its schema; "" for a missing table.
        stored: The stored table, or None for a missing one.
        columns: The columns that are not shown as they are stored.
        dialect: The dialect it is written for.
        alias: The stored table's name within the projection.
    """

    name: str
    source: str
    stored: TableShape | None
    columns: tuple[ProjectedColumn, ...]
    dialect: Dialect
    alias: str = "t"
    _quote: Callable[[str], str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_quote", self.dialect.identifier_preparer.quote)

    def render(self, cte: str, named: frozenset[str], *, everything: bool) -> str:
        """Write the common table expression for one statement.

        Args:
            cte: The name it gets.
            named: The folded names that the statement mentions.
            everything: Whether the statement may read columns it does not name (`*`, NATURAL).

        Raises:
            UnreadableError: The statement needs a column that cannot be projected faithfully.
        """
        body = self._empty() if self.stored is None else self._select(named, everything)
        # Without the hint, a table used twice is copied whole before the first row is read.
        return f"{self._quote(cte)} AS NOT MATERIALIZED ({body})"

    def _empty(self) -> str:
        columns = ", ".join(f"{c.sql} AS {self._quote(c.column.name)}" for c in self.columns)
        never = "0" if self.dialect.name == "sqlite" else "false"
        return f"SELECT {columns} WHERE {never}"

    def _select(self, named: frozenset[str], everything: bool) -> str:
        assert self.stored is not None
        wanted = [c for c in self.columns if everything or fold_name(c.column.name) in named]
        for c in wanted:
            if c.refusal:
                raise UnreadableError(
                    c.refusal,
                    table=self.name,
                    column=c.column.name,
                    remedy="Read the other columns, or give a rule that derives this one.",
                )
        # Only what is asked for: a derived column may cost much, and a name that the scan had
        # overlooked fails at the database, where a NULL in its place would be believed.
        added = [c for c in wanted if not c.replaces]
        most = _MOST_COLUMNS.get(self.dialect.name)
        if most is not None and len(self.stored.columns) + len(added) > most:
            raise UnreadableError(
                f"The stored table has {len(self.stored.columns)} columns already, so the "
                "missing ones that this statement reads do not fit beside them.",
                table=self.name,
                remedy="Read fewer of the missing columns in one statement.",
            )
        items = self._stored_items(wanted)
        items += [f"{c.sql} AS {self._quote(c.column.name)}" for c in added]
        items += self._rowids(named, everything)
        return f"SELECT {', '.join(items)} FROM {self.source} AS {self.alias}"

    def _stored_items(self, wanted: list[ProjectedColumn]) -> list[str]:
        """Take `t.*`, so that a column which appears meanwhile is seen, unless one is replaced."""
        assert self.stored is not None
        replaced = {fold_name(c.column.name): c.sql for c in wanted if c.replaces}
        if not replaced:
            return [f"{self.alias}.*"]
        return [
            f"{replaced[fold_name(name)]} AS {self._quote(name)}"
            if fold_name(name) in replaced
            else f"{self.alias}.{self._quote(name)}"
            for name in self.stored.column_names
        ]

    def _rowids(self, named: frozenset[str], everything: bool) -> list[str]:
        """Carry SQLite's row number along, which a common table expression does not have."""
        if self.dialect.name != "sqlite" or self.stored is None or not self.stored.has_rowid:
            return []
        declared = {fold_name(c.column.name) for c in self.columns}
        asked = [
            name
            for name in _ROWIDS
            if name in named and self.stored.column(name) is None and name not in declared
        ]
        if asked and everything:
            raise UnreadableError(
                f"The statement reads {asked[0]!r} and every column at once; the row number "
                "would be shown among the columns.",
                table=self.name,
                column=asked[0],
                remedy="Name the columns instead of `*`.",
            )
        return [f"{self.alias}.{name} AS {name}" for name in asked]


def render_rule(
    rule: Rule | None,
    declared: ColumnShape,
    dialect: Dialect,
    *,
    alias: str,
    schema: str,
    spelling: Mapping[str, str],
) -> str:
    """Write the value that a rule gives a column, in the dialect's SQL.

    Args:
        rule: The rule, or None for NULL.
        declared: The declared column.
        dialect: The dialect.
        alias: The stored table's name within the projection.
        schema: The schema of the other stored tables.
        spelling: Folded table name to the name as stored.

    Raises:
        RuleError: The dialect cannot express the rule.
    """
    if rule is None or rule.expression is None:
        return "NULL" if dialect.name == "sqlite" else f"CAST(NULL AS {declared.type})"
    own = table_clause(alias)
    expression = _bind(rule.expression, rule.table, own, schema, spelling)
    # Only within a SELECT from its own table does a subquery know that table as the outer one.
    around = select(expression.label("value")).select_from(own)
    try:
        compiled = around.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    except SQLAlchemyError as error:
        raise RuleError(
            f"The rule for {rule.target} cannot be written for {dialect.name}: {error}.",
            table=rule.table,
            column=rule.column,
            remedy="Use constructs that the dialect has, and values that can be written out.",
        ) from error
    sql = str(compiled).removeprefix("SELECT ").rpartition(" AS value")[0]
    if dialect.name != "sqlite":
        return f"CAST({sql} AS {declared.type})"
    # A stored column has its type's affinity and an expression has none: compared with a
    # number, the two would differ.
    if isinstance(expression, ColumnClause) or not _is_text(declared):
        return sql
    return f"CAST({sql} AS TEXT)"


def _is_text(declared: ColumnShape) -> bool:
    return any(word in declared.type for word in ("CHAR", "TEXT", "CLOB"))


def _bind(
    expression: ColumnElement[Any],
    subject: str,
    own: TableClause,
    schema: str,
    spelling: Mapping[str, str],
) -> ColumnElement[Any]:
    """Point a rule's bare names at what is stored: its own table at `own`, others fully."""
    others: dict[str, TableClause] = {}
    aliases: dict[int, Any] = {}

    def stored(name: str) -> TableClause:
        if fold_name(name) == fold_name(subject):
            return own
        if name not in others:
            others[name] = table_clause(spelling.get(fold_name(name), name), schema=schema)
        return others[name]

    def source(element: Any) -> Any:
        if isinstance(element, TableClause):
            return stored(element.name)
        if isinstance(element, Alias) and isinstance(element.element, TableClause):
            if id(element) not in aliases:
                name = element.element.name
                table = table_clause(spelling.get(fold_name(name), name), schema=schema)
                aliases[id(element)] = table.alias(element.name)
            return aliases[id(element)]
        return None

    def point(element: Any, **_: Any) -> Any:
        if isinstance(element, ColumnClause) and element.table is not None:
            table = source(element.table)
            if table is not None:
                return column(element.name, element.type, _selectable=table)
            return None
        return source(element)

    bound: ColumnElement[Any] = visitors.replacement_traverse(expression, {}, point)
    return bound
