"""The prelude: the common table expression that shows a stored table in its declared shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeGuard

from sqlalchemy import BindParameter, ColumnElement, Select, column, literal_column, select
from sqlalchemy import table as table_clause
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql import quoted_name, visitors
from sqlalchemy.sql.expression import Alias, ColumnClause, False_, TableClause, True_

from landscape_compat.errors import RuleError, UnreadableError
from landscape_compat.projection import mariadb
from landscape_compat.projection.joins import Joined
from landscape_compat.projection.rules import Rule, RuleKind
from landscape_compat.schema.shape import (
    ColumnShape,
    SchemaShape,
    TableShape,
    fold_letters,
    fold_name,
)
from landscape_compat.schema.types import affinity, is_mariadb, unbounded_type

__all__ = [
    "ProjectedColumn",
    "Projection",
    "quote_name",
    "render_rule",
    "shown_as",
]

# Source: https://www.sqlite.org/limits.html, SQLITE_MAX_COLUMN.
_MOST_COLUMNS = {"sqlite": 2000, "postgresql": 1600, "mariadb": 4096, "mysql": 4096}
# With a limit, MariaDB works a common table expression out before it reads from it.
_ALL_ROWS = " LIMIT 18446744073709551615"
# SQLite's own words that SQLAlchemy takes for ordinary names.
_UNKNOWN_WORDS = frozenset({"nothing", "recursive", "returning", "window"})
# Those that every connection has. Source: https://www.sqlite.org/datatype3.html, section 7.
_COLLATIONS = frozenset({"binary", "nocase", "rtrim"})
# SQLite gives a column of a common table expression that is named so another name.
_UNNAMEABLE = frozenset({"true", "false"})


@dataclass(frozen=True, eq=False)
class ProjectedColumn:
    """One declared column that is not shown as it is stored.

    Args:
        column: The declared column.
        write: Writes its value, when a statement first reads it.
        kind: What the value is owed to.
        rule: The rule, or None where no rule says anything and NULL stands.
        replaces: Whether a stored column's values are replaced.
        refusal: Why it cannot be read, if it cannot.
        join: Writes the same value as a join, if that can be; None if it cannot.
        is_made: Whether MariaDB must work it out before an outer join makes up rows.
        is_loose: Whether it must do so always, as no column tells a row that was made up.
    """

    column: ColumnShape
    write: Callable[[], str]
    kind: RuleKind = RuleKind.ABSENT
    rule: Rule | None = None
    replaces: bool = False
    refusal: str | None = None
    join: Callable[[], Joined | None] | None = None
    is_made: bool = False
    is_loose: bool = False

    @cached_property
    def sql(self) -> str:
        """Give the value in the dialect's SQL, over the stored table by the projection's alias.

        Raises:
            RuleError: The dialect cannot express the rule.
        """
        return self.write()

    @cached_property
    def joined(self) -> Joined | None:
        """Give the value as a join, for statements that filter on it; None if there is none."""
        return self.join() if self.join else None


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
        schema: The schema that the table is in, or is looked for in.
        label: What people call the table: with its schema, where that must be said.
    """

    name: str
    source: str
    stored: TableShape | None
    columns: tuple[ProjectedColumn, ...]
    dialect: Dialect
    alias: str = "t"
    schema: str = ""
    label: str = ""
    _quote: Callable[[str], str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_quote", partial(quote_name, self.dialect))
        object.__setattr__(self, "label", self.label or self.name)

    def _fold(self, name: str) -> str:
        if self.dialect.name == "postgresql":
            return name
        return fold_letters(name) if is_mariadb(self.dialect.name) else fold_name(name)

    def render(
        self,
        cte: str,
        named: frozenset[str],
        *,
        everything: bool,
        row_numbers: frozenset[str] = frozenset(),
        filtered: frozenset[str] = frozenset(),
        has_outer_join: bool = False,
        has_null_safe: bool = False,
        is_whole: bool = False,
    ) -> str:
        """Write the common table expression for one statement.

        Args:
            cte: The name it gets.
            named: The folded names that the statement mentions.
            everything: Whether the statement may read columns it does not name (`*`, NATURAL).
            row_numbers: The names by which it may read the table's hidden row number.
            filtered: The folded names by which rows are looked for, where that may be by a join.
            has_outer_join: Whether it may have an outer join.
            has_null_safe: Whether it compares by `<=>`.
            is_whole: Whether MariaDB is to work the projection out before it reads from it.

        Raises:
            UnreadableError: The statement needs a column that cannot be projected faithfully.
        """
        self._refuse_unnameable(named, everything)
        if self.stored is None:
            body, made_up = self._empty(row_numbers, everything), False
        else:
            wanted = self._wanted(named, everything)
            body = self._select(wanted, named, row_numbers, everything, filtered)
            made_up = any(c.is_loose or (has_outer_join and c.is_made) for c in wanted)
            # Of `a = b AND a <=> c`, where b and c are one column, MariaDB forgets the first.
            made_up |= has_null_safe and self._shows_twice(wanted, named)
        if is_whole or made_up:
            body += _ALL_ROWS
        # Without the hint, a table used twice is copied whole before the first row is read.
        # MariaDB has none, and merges what is as plain as this into the statement.
        hint = "" if is_mariadb(self.dialect.name) else " NOT MATERIALIZED"
        return f"{self._quote(cte)} AS{hint} ({body})"

    def _refuse_unnameable(self, named: frozenset[str], everything: bool) -> None:
        if self.dialect.name != "sqlite":
            return
        stored = self.stored.column_names if self.stored else ()
        for name in (*stored, *(c.column.name for c in self.columns)):
            if fold_name(name) in _UNNAMEABLE and (everything or fold_name(name) in named):
                raise UnreadableError(
                    "SQLite cannot show a column of this name through a common table "
                    f"expression, and would take {name!r} for a constant.",
                    table=self.name,
                    column=name,
                    remedy="Read the other columns by their names.",
                )

    def _empty(self, row_numbers: frozenset[str], everything: bool) -> str:
        if is_mariadb(self.dialect.name):
            return mariadb.empty_table([(self._quote(c.column.name), c.sql) for c in self.columns])
        items = [f"{c.sql} AS {self._quote(c.column.name)}" for c in self.columns]
        carried = self._carried(row_numbers, everything)
        items += [f"CAST(NULL AS INTEGER) AS {name}" for name in carried]
        never = "0" if self.dialect.name == "sqlite" else "false"
        return f"SELECT {', '.join(items)} WHERE {never}"

    def _shows_twice(self, wanted: list[ProjectedColumn], named: frozenset[str]) -> bool:
        """Tell whether a statement may mention a stored column by two names."""
        renamed = [
            self._fold(c.rule.expression.name)
            for c in wanted
            if c.rule is not None and isinstance(c.rule.expression, ColumnClause)
        ]
        return len(set(renamed)) < len(renamed) or any(name in named for name in renamed)

    def _wanted(self, named: frozenset[str], everything: bool) -> list[ProjectedColumn]:
        wanted = [c for c in self.columns if everything or self._fold(c.column.name) in named]
        for c in wanted:
            if c.refusal:
                raise UnreadableError(
                    c.refusal,
                    table=self.name,
                    column=c.column.name,
                    remedy="Read the other columns, or give a rule that derives this one.",
                )
        return wanted

    def _select(
        self,
        wanted: list[ProjectedColumn],
        named: frozenset[str],
        row_numbers: frozenset[str],
        everything: bool,
        filtered: frozenset[str],
    ) -> str:
        assert self.stored is not None
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
        items = self._stored_items(wanted, self._unhidden(named, everything))
        source = f"{self.source} AS {self.alias}"
        for c in added:
            joined = c.joined if self._fold(c.column.name) in filtered else None
            items.append(f"{joined.value if joined else c.sql} AS {self._quote(c.column.name)}")
            source += joined.clause if joined else ""
        carried = self._carried(row_numbers, everything)
        items += [f"{self.alias}.{name} AS {name}" for name in carried]
        return f"SELECT {', '.join(items)} FROM {source}"

    def _stored_items(self, wanted: list[ProjectedColumn], unhidden: list[str]) -> list[str]:
        """Take `t.*`, so that a column which appears meanwhile is seen, unless one is replaced."""
        assert self.stored is not None
        replaced = {self._fold(c.column.name): c.sql for c in wanted if c.replaces}
        if not replaced:
            return [f"{self.alias}.*", *(f"{self.alias}.{self._quote(name)}" for name in unhidden)]
        return [
            f"{replaced[self._fold(c.name)]} AS {self._quote(c.name)}"
            if self._fold(c.name) in replaced
            else f"{self.alias}.{self._quote(c.name)}"
            for c in self.stored.columns
            if not c.hidden or c.name in unhidden
        ]

    def _unhidden(self, named: frozenset[str], everything: bool) -> list[str]:
        """Name the columns that `*` leaves out and the statement names."""
        assert self.stored is not None
        asked = [c.name for c in self.stored.columns if c.hidden and self._fold(c.name) in named]
        if asked and everything:
            raise UnreadableError(
                "The statement reads an invisible column and every other at once; it would be "
                "shown among them.",
                table=self.name,
                column=asked[0],
                remedy="Name the columns instead of `*`.",
            )
        return asked

    def row_numbers(self, names: frozenset[str]) -> list[str]:
        """Tell by which of the names the table's hidden row number is read.

        Args:
            names: Names of a row number.
        """
        if self.stored and not self.stored.has_rowid:
            return []
        columns = [*(c.column for c in self.columns), *(self.stored.columns if self.stored else ())]
        return sorted(names - {fold_name(column.name) for column in columns})

    def _carried(self, names: frozenset[str], everything: bool) -> list[str]:
        """Carry the row number along, which a common table expression does not have."""
        asked = self.row_numbers(names)
        if asked and everything:
            raise UnreadableError(
                f"The statement reads {asked[0]!r} and every column at once; the row number "
                "would be shown among the columns.",
                table=self.name,
                column=asked[0],
                remedy="Name the columns instead of `*`.",
            )
        return asked


def render_rule(
    rule: Rule | None,
    declared: ColumnShape,
    dialect: Dialect,
    *,
    alias: str,
    schema: str,
    spelling: Mapping[str, str],
    homes: Mapping[str, str] | None = None,
    stored: TableShape | None = None,
    everything: SchemaShape | None = None,
) -> str:
    """Write the value that a rule gives a column, in the dialect's SQL.

    Args:
        rule: The rule, or None for NULL.
        declared: The declared column.
        dialect: The dialect.
        alias: The stored table's name within the projection.
        schema: The schema of the other stored tables.
        spelling: Folded table name to the name as stored.
        homes: Name as stored to the schema of a table that is in another one.
        stored: The stored table; None for a missing one.
        everything: All that is stored.

    Raises:
        RuleError: The dialect cannot express the rule.
    """
    own = table_clause(alias)
    if is_mariadb(dialect.name):
        assert everything is not None
        shown, order = shown_as(declared, rule, stored, everything)
        first = stored.column_names[0] if stored and stored.column_names else ""
        here = f"{alias}.{quote_name(dialect, first)}" if first else ""
        if rule is None or rule.expression is None:
            return mariadb.null_of(shown, order, here)
        bound = _bind(rule.expression, rule.table, own, dialect, schema, spelling, homes or {})
        sql = _compile(rule, bound, own, dialect)
        value = mariadb.value_of(rule, sql, shown, everything, dialect, order)
        if mariadb.is_stored(rule):
            return value
        if stored is not None and (key := stored.never_null):
            return mariadb.of_a_row(value, f"{alias}.{quote_name(dialect, key)}")
        return value if f"{alias}." in sql else mariadb.of_the_row(value, here)
    if dialect.name == "sqlite":
        type_ = affinity(declared.type)
    elif dialect.name == "duckdb":
        type_ = declared.base or declared.type or "VARCHAR"  # it has no lengths of text
    else:
        type_ = unbounded_type(declared.base or declared.type) or "TEXT"
    collated = _collated(declared, dialect)
    if rule is None or rule.expression is None:
        # Without a type, or the order of text, a UNION with other values would compare in another
        # way. An order that the database does not know would make an error of every read.
        is_known = dialect.name == "sqlite" and fold_name(declared.collation) in _COLLATIONS
        return f"CAST(NULL AS {type_}){collated if is_known else ''}"
    expression = rule.expression
    bound = _bind(expression, rule.table, own, dialect, schema, spelling, homes or {})
    sql = _compile(rule, bound, own, dialect)
    if dialect.name != "sqlite":
        return f"CAST({sql} AS {type_}){collated}"
    replaced = stored.column(rule.column) if stored and rule.replaces else None
    if replaced is not None:
        type_, collated = affinity(replaced.type), _collated(replaced, dialect)
    is_own = _is_column_of(rule.table, expression)
    kept = stored.column(expression.name) if stored and is_own else None
    if kept is not None and affinity(kept.type) == type_:
        return f"{sql}{collated}"
    # A view whose columns the database cannot tell has none; asking it for rows tells why.
    first = stored.column_names[0] if stored and stored.column_names else ""
    here = f"{alias}.{quote_name(dialect, first)}" if first else ""
    return f"{_stored_as(type_, sql, expression, here)}{collated}"


def shown_as(
    declared: ColumnShape, rule: Rule | None, stored: TableShape | None, everything: SchemaShape
) -> tuple[ColumnShape, str]:
    """Give the column as which a value is shown, and the order of text it has if none is declared.

    Args:
        declared: The declared column.
        rule: Where its value comes from.
        stored: The stored table; None for a missing one.
        everything: All that is stored.
    """
    replaced = stored.column(declared.name) if stored and rule and rule.replaces else None
    order = stored.collation if stored is not None else everything.collation
    return replaced or declared, order or everything.collation


def _collated(column: ColumnShape, dialect: Dialect) -> str:
    return f" COLLATE {quote_name(dialect, column.collation)}" if column.collation else ""


def _is_column_of(table: str, expression: ColumnElement[Any]) -> TypeGuard[ColumnClause[Any]]:
    return (
        isinstance(expression, ColumnClause)
        and isinstance(expression.table, TableClause)
        and fold_name(expression.table.name) == fold_name(table)
    )


def _stored_as(type_: str, sql: str, expression: ColumnElement[Any], here: str) -> str:
    """Make of a value what SQLite makes of it when a column of an affinity takes it in.

    A column also has an affinity where an expression has none: compared with a number or a text,
    the two would differ. CAST gives it one, but would make a number of any text, too.

    Args:
        type_: The affinity.
        sql: The value.
        expression: What it was written from.
        here: A stored column of the row; "" for a missing table, which has none.

    Source: https://www.sqlite.org/datatype3.html, section 3.
    """
    if type_ == "TEXT" or _is_integer(expression):
        return f"CAST({sql} AS {type_})"
    if type_ == "BLOB":
        value = "v"
    elif type_ == "REAL":
        # What is added makes 0.0 of -0.0.
        value = "CASE WHEN CAST(v AS NUMERIC) = v THEN CAST(v AS REAL) + 0.0 ELSE v END"
    else:
        value = (
            "CASE WHEN CAST(v AS INTEGER) = v THEN CAST(v AS INTEGER) "
            "WHEN CAST(v AS NUMERIC) = v THEN CAST(v AS NUMERIC) ELSE v END"
        )
    # Of a compound, the last SELECT gives the affinity. That it names a column of the row keeps
    # SQLite from working the value out only once: behind an outer join, 3.40 overwrites that by
    # the NULL of the first row without a partner, for all the rows after it (3.42 does not).
    never = f"typeof({here}) = ''" if here else "0"
    typed = f"SELECT CAST(NULL AS {type_}) WHERE {never}"
    return f"(SELECT {value} FROM (SELECT {sql} AS v) UNION ALL {typed})"


def _is_integer(expression: ColumnElement[Any]) -> bool:
    if isinstance(expression, BindParameter):
        return isinstance(expression.value, int)
    return isinstance(expression, True_ | False_)


def quote_name(dialect: Dialect, name: str) -> str:
    """Quote a name where the dialect needs it.

    Args:
        dialect: The dialect.
        name: The bare name.
    """
    if is_mariadb(dialect.name):
        # Which words are reserved differs from version to version.
        return dialect.identifier_preparer.quote_identifier(name)
    return dialect.identifier_preparer.quote(_quotable(name))


def _quotable(name: str) -> str:
    return quoted_name(name, quote=True) if fold_name(name) in _UNKNOWN_WORDS else name


def _compile(rule: Rule, bound: ColumnElement[Any], own: TableClause, dialect: Dialect) -> str:
    around = select(bound.label("value")).select_from(own)
    if around.get_final_froms() != [own]:
        raise _rule_error(rule, "reads another table outside of a SELECT")
    for inner in visitors.iterate(bound):
        if isinstance(inner, Select) and any(
            element is own
            for source in inner.get_final_froms()
            for element in visitors.iterate(source)
        ):
            raise _rule_error(rule, "selects from its own table, which is the row in hand there")
    try:
        compiled = around.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    except SQLAlchemyError as error:
        raise _rule_error(rule, f"cannot be written for {dialect.name}: {error}") from error
    sql = str(compiled)
    if not sql.startswith("SELECT "):
        raise _rule_error(rule, "has a common table expression outside of its SELECT")
    return sql.removeprefix("SELECT ").rpartition(" AS value")[0]


def _rule_error(rule: Rule, what: str) -> RuleError:
    return RuleError(
        f"The rule for {rule.target} {what}.",
        table=rule.table,
        column=rule.column,
        remedy="Use constructs that the dialect has and values that can be written out, SELECT "
        "from aliases of the rule's own table, and nest common table expressions.",
    )


def _bind(
    expression: ColumnElement[Any],
    subject: str,
    own: TableClause,
    dialect: Dialect,
    schema: str,
    spelling: Mapping[str, str],
    homes: Mapping[str, str],
) -> ColumnElement[Any]:
    """Point a rule's bare names at what is stored: its own table at `own`, others fully."""
    others: dict[str, TableClause] = {}
    aliases: dict[Any, Any] = {}

    def is_own(name: str) -> bool:
        return fold_name(name) == fold_name(subject)

    def stored(name: str) -> TableClause:
        found = others.get(name)
        if found is None:
            spelled = spelling.get(fold_name(name), name)
            home = homes.get(spelled, schema)
            found = others[name] = table_clause(_quotable(spelled), schema=home)
        return found

    def source(element: Any) -> Any:
        if isinstance(element, TableClause):
            return own if is_own(element.name) else stored(element.name)
        if isinstance(element, Alias) and isinstance(element.element, TableClause):
            if element not in aliases:
                aliases[element] = stored(element.element.name).alias(element.name)
            return aliases[element]
        return None

    def point(element: Any, **_: Any) -> Any:
        if not isinstance(element, ColumnClause) or element.table is None:
            return source(element)
        table = source(element.table)
        if table is own:
            # As text: at any depth it is the row in hand, and no SELECT takes it for a source.
            name = f"{own.name}.{quote_name(dialect, element.name)}"
            if dialect.paramstyle in ("format", "pyformat"):
                name = name.replace("%%", "%")  # text is escaped when it is compiled
            return literal_column(name, element.type)
        if table is None:
            return None
        return column(_quotable(element.name), element.type, _selectable=table)

    bound: ColumnElement[Any] = visitors.replacement_traverse(expression, {}, point)
    return bound
