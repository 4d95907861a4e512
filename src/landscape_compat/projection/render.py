"""The value that a rule gives a column, written in the SQL of a dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from sqlalchemy import BindParameter, ColumnElement, Select, column, literal_column, select
from sqlalchemy import table as table_clause
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql import quoted_name, visitors
from sqlalchemy.sql.expression import Alias, ColumnClause, False_, TableClause, True_

from landscape_compat.errors import RuleError
from landscape_compat.projection import mariadb
from landscape_compat.projection.rules import Rule
from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape, fold_name
from landscape_compat.schema.types import affinity, is_mariadb, unbounded_type

__all__ = ["quote_name", "render_rule", "shown_as"]

# SQLite's own words that SQLAlchemy takes for ordinary names.
_UNKNOWN_WORDS = frozenset({"nothing", "recursive", "returning", "window"})
# Those that every connection has. Source: https://www.sqlite.org/datatype3.html, section 7.
_COLLATIONS = frozenset({"binary", "nocase", "rtrim"})


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
    # A view whose columns the database cannot tell has none; asking it for rows tells why.
    first = stored.column_names[0] if stored and stored.column_names else ""
    here = f"{alias}.{quote_name(dialect, first)}" if first else ""
    if rule is None or rule.expression is None:
        if is_mariadb(dialect.name):
            assert everything is not None
            return mariadb.null_of(*shown_as(declared, rule, stored, everything), here)
        return _null(declared, dialect)
    own = table_clause(alias)
    bound = _bind(rule.expression, rule.table, own, dialect, schema, spelling, homes or {})
    sql = _compile(rule, bound, own, dialect)
    if is_mariadb(dialect.name):
        assert everything is not None
        return _in_mariadb(rule, declared, sql, dialect, alias, stored, everything, here)
    if dialect.name == "sqlite":
        return _in_sqlite(rule, rule.expression, declared, sql, dialect, stored, here)
    return f"CAST({sql} AS {_type(declared, dialect)}){_collated(declared, dialect)}"


def _null(declared: ColumnShape, dialect: Dialect) -> str:
    """Write the NULL of a declared column.

    Without a type, or the order of text, a UNION with other values would compare in another way.
    An order that the database does not know would make an error of every read.
    """
    is_known = dialect.name == "sqlite" and fold_name(declared.collation) in _COLLATIONS
    collated = _collated(declared, dialect) if is_known else ""
    return f"CAST(NULL AS {_type(declared, dialect)}){collated}"


def _type(declared: ColumnShape, dialect: Dialect) -> str:
    if dialect.name == "sqlite":
        return affinity(declared.type)
    if dialect.name == "duckdb":
        return declared.base or declared.type or "VARCHAR"  # it has no lengths of text
    return unbounded_type(declared.base or declared.type) or "TEXT"


def _in_sqlite(
    rule: Rule,
    expression: ColumnElement[Any],
    declared: ColumnShape,
    sql: str,
    dialect: Dialect,
    stored: TableShape | None,
    here: str,
) -> str:
    shown = _shown(declared, rule, stored)
    type_, collated = affinity(shown.type), _collated(shown, dialect)
    is_own = _is_column_of(rule.table, expression)
    kept = stored.column(expression.name) if stored and is_own else None
    if kept is not None and affinity(kept.type) == type_:
        return f"{sql}{collated}"
    return f"{_stored_as(type_, sql, expression, here)}{collated}"


def _in_mariadb(
    rule: Rule,
    declared: ColumnShape,
    sql: str,
    dialect: Dialect,
    alias: str,
    stored: TableShape | None,
    everything: SchemaShape,
    here: str,
) -> str:
    shown, order = shown_as(declared, rule, stored, everything)
    value = mariadb.value_of(rule, sql, shown, everything, dialect, order)
    if mariadb.is_stored(rule):
        return value
    if stored is not None and (key := stored.never_null):
        return mariadb.of_a_row(value, f"{alias}.{quote_name(dialect, key)}")
    return value if f"{alias}." in sql else mariadb.of_the_row(value, here)


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
    order = stored.collation if stored is not None else everything.collation
    return _shown(declared, rule, stored), order or everything.collation


def _shown(declared: ColumnShape, rule: Rule | None, stored: TableShape | None) -> ColumnShape:
    replaced = stored.column(declared.name) if stored and rule and rule.replaces else None
    return replaced or declared


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
