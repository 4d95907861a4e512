"""Values that MariaDB does not store, as a column of the declared type would show them.

Its CAST never fails: of a text that is no number it makes 0, of a number that is too large the
largest, of a letter that a character set lacks a question mark. So a value is shown only where its
own type tells that nothing of the kind can happen to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, Case, ColumnElement, ScalarSelect, Select, String
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import CompileError
from sqlalchemy.sql.elements import False_, Grouping, Label, Null, True_
from sqlalchemy.sql.expression import Alias, ColumnClause, FunctionElement, TableClause

from landscape_compat.projection.rules import Rule
from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape
from landscape_compat.schema.types import spelled_in_mariadb, type_class

__all__ = [
    "empty_table",
    "is_stored",
    "null_of",
    "of_a_row",
    "of_the_row",
    "refusal_of",
    "type_of",
    "value_of",
]

_INTEGER = re.compile(r"(?:TINY|SMALL|MEDIUM|BIG)?INT(?:EGER)?( UNSIGNED)?( ZEROFILL)?|YEAR")
_DECIMAL = re.compile(r"DECIMAL\((\d+)(?:,(\d+))?\)(?:UNSIGNED)?")
_REAL = re.compile(r"(FLOAT|DOUBLE|REAL)(?:\(\d+(?:,\d+)?\))?(?: ?UNSIGNED)?")
_MOMENT = re.compile(r"(DATE|TIME|DATETIME|TIMESTAMP)(\(\d\))?")
_TEXT = re.compile(
    r"(VARCHAR|CHAR|TINYTEXT|TEXT|MEDIUMTEXT|LONGTEXT)(?:\(\d+\))?(?: ?CHARACTER SET (\w+))?"
)
_BYTES = re.compile(r"(VARBINARY|BINARY|TINYBLOB|BLOB|MEDIUMBLOB|LONGBLOB)(?:\(\d+\))?")
_OTHER = frozenset({"INET4", "INET6", "UUID"})
_WORDS = re.compile(r"(?:ENUM|SET)\(")
_UNICODE = "utf8mb4"
_REMEDY = (
    "Give the value a type by sqlalchemy.cast(): what becomes of one that does not fit is then the "
    "rule's own word."
)


def null_of(declared: ColumnShape, collation: str, here: str = "") -> str:
    """Write the NULL of a declared type; "" where none can be written.

    Args:
        declared: The declared column.
        collation: The order of text that it gets where it is declared with none.
        here: A stored column of the row, if there is one.
    """
    target = _cast_target(declared, collation, widest=False)
    null = f"CAST(NULL AS {target})" if target else ""
    return of_the_row(null, here) if null else ""


def of_the_row(sql: str, here: str) -> str:
    """Have a constant not be one: of those alone MariaDB shows a row twice that it is to show once.

    Args:
        sql: The constant.
        here: A stored column of the row; "" where there is none.
    """
    # `IS NULL` would be worked out beforehand where the column never is.
    return f"CASE WHEN {here} <=> NULL THEN {sql} ELSE {sql} END" if here else sql


def of_a_row(sql: str, key: str) -> str:
    """Have a value be NULL where its row is none: behind an outer join, or of no rows at all.

    Args:
        sql: The value.
        key: A stored column of the row that is never NULL.
    """
    return f"CASE WHEN {key} <=> NULL THEN NULL ELSE {sql} END"


def type_of(declared: ColumnShape, collation: str) -> str:
    """Name the type that `empty_table` gives a column.

    Args:
        declared: The declared column.
        collation: The order of text that it gets where it is declared with none.
    """
    type_ = declared.type or "TEXT"
    if not _TEXT.fullmatch(type_):
        is_known = any(p.fullmatch(type_) for p in (_INTEGER, _DECIMAL, _REAL, _MOMENT, _BYTES))
        if is_known:
            return type_
        type_ = "VARCHAR(255)"
    order = _order(declared, collation)
    characters = _character_set(declared, collation)
    plain = re.sub(r" ?CHARACTER SET \w+", "", type_)
    return f"{plain} CHARACTER SET {characters}" + (f" COLLATE {order}" if order else "")


def empty_table(columns: Sequence[tuple[str, str]]) -> str:
    """Write a SELECT of no rows whose columns are those of a stored table.

    Not constants with a condition that is never true: MariaDB mistakes a table without rows for one
    that has the same row again and again, and forgets to leave out what it is to show once.

    Args:
        columns: The quoted name of each, and its type.
    """
    listed = ", ".join(f"{name} {type_} PATH '$'" for name, type_ in columns)
    return f"SELECT j.* FROM JSON_TABLE('[]', '$[*]' COLUMNS ({listed})) AS j"


def is_stored(rule: Rule | None) -> bool:
    """Tell whether a value is a stored column's, or NULL, and so NULL where its row is none.

    Of any other, MariaDB gives what it is worked out to be also to a row that an outer join makes
    up, where a window function or a subquery asks for it, and to the one row of an aggregate of no
    rows; unless it was worked out before.

    Args:
        rule: Where it comes from; None for NULL.
    """
    return rule is None or rule.expression is None or _is_column(rule.expression)


def refusal_of(
    rule: Rule | None, target: ColumnShape, stored: SchemaShape, dialect: Dialect, collation: str
) -> str | None:
    """Tell why a column cannot be shown, if it cannot.

    Args:
        rule: Where its value comes from; None for NULL.
        target: The column that it is shown as.
        stored: What is stored.
        dialect: The dialect.
        collation: The order of text that the column gets where it is declared with none.
    """
    if rule is None or rule.expression is None:
        if null_of(target, collation):
            return None
        return f"No NULL of the type {target.type} can be written, so it would compare otherwise."
    found = _sources(rule.expression, rule, stored, dialect)
    if found is None:
        return f"It cannot be told what type the rule's value has. {_REMEDY}"
    if all(_is_same(source, target, collation) for source in found):
        return None
    if not _cast_target(target, collation, widest=True) or target.type.startswith(
        ("CHAR", "BINARY", "ENUM", "SET")
    ):
        return f"MariaDB makes a value of the type {target.type} only of one that is stored so."
    kind = type_class(target.type, "mariadb")
    allowed = {kind} | ({"integer"} if kind in ("number", "text") else set())
    for source in found:
        given = type_class(source.type, "mariadb")
        if given not in allowed:
            return (
                f"The rule's value is of the type {source.type} and the column of {target.type}, "
                f"and MariaDB makes something of every value, whether it fits or not. {_REMEDY}"
            )
        if kind == "integer" and "UNSIGNED" in source.type and "UNSIGNED" not in target.type:
            return f"The rule's value is of the type {source.type}, which may not fit."
        if kind == "text" and not _fits(source, _character_set(target, collation)):
            return (
                "The rule's value may have letters that the column's character set does not have, "
                "of which MariaDB would make question marks."
            )
    return None


def value_of(
    rule: Rule,
    sql: str,
    target: ColumnShape,
    stored: SchemaShape,
    dialect: Dialect,
    collation: str,
) -> str:
    """Write what a rule gives as a value of the column's type, order of text included.

    Args:
        rule: The rule, which `refusal_of` has nothing against.
        sql: What it says, in SQL.
        target: The column that it is shown as.
        stored: What is stored.
        dialect: The dialect.
        collation: The order of text that the column gets where it is declared with none.
    """
    assert rule.expression is not None
    found = _sources(rule.expression, rule, stored, dialect)
    kept = found is not None and all(_is_same(source, target, collation) for source in found)
    is_bare = _is_column(rule.expression)
    # As it is, a column's index can be used; and no cast is needed between whole numbers.
    if (kept and (is_bare or not _TEXT.fullmatch(target.type))) or _INTEGER.fullmatch(target.type):
        return sql
    return f"CAST({sql} AS {_cast_target(target, collation, widest=True)})"


def _cast_target(column: ColumnShape, collation: str, *, widest: bool) -> str:
    """Name the type to cast to; "" where there is none that the declared one is alike."""
    type_ = column.type or "TEXT"
    if found := _INTEGER.fullmatch(type_):
        return "UNSIGNED" if found[1] or type_ == "YEAR" else "SIGNED"
    if found := _DECIMAL.fullmatch(type_):
        # None is too large for it.
        return f"DECIMAL({65 if widest else found[1]},{found[2] or 0})"
    if found := _REAL.fullmatch(type_):
        return "FLOAT" if found[1] == "FLOAT" and not widest else "DOUBLE"
    if found := _MOMENT.fullmatch(type_):
        return ("DATETIME" if found[1] == "TIMESTAMP" else found[1]) + (found[2] or "")
    if _BYTES.fullmatch(type_):
        # One of a fixed length pads what it is put together with.
        return "" if type_.startswith("BINARY") else "BINARY"
    if type_ in _OTHER:
        return type_
    if _TEXT.fullmatch(type_) or _WORDS.match(type_):
        order = _order(column, collation)
        characters = _character_set(column, collation)
        return f"CHAR CHARACTER SET {characters}" + (f" COLLATE {order}" if order else "")
    return ""


def _order(column: ColumnShape, collation: str) -> str:
    """Name the order of a column's text; "" for the usual one of its character set."""
    if column.collation:
        return column.collation
    found = _TEXT.fullmatch(column.type)
    return "" if found and found[2] else collation


def _character_set(column: ColumnShape, collation: str) -> str:
    found = _TEXT.fullmatch(column.type)
    if found and found[2]:
        return found[2].lower()
    return (column.collation or collation or _UNICODE).partition("_")[0].lower()


def _is_same(source: ColumnShape, target: ColumnShape, collation: str) -> bool:
    """Tell whether a value of one type is a value of the other with nothing done to it."""
    if not source.name:
        return False  # only said to be: 7 is no 7.00
    if _TEXT.fullmatch(target.type) is None and not _WORDS.match(target.type):
        return source.type == target.type
    return (
        re.sub(r" ?CHARACTER SET \w+", "", target.type) == source.type
        and source.collation != ""
        and source.collation == _order(target, collation)
    )


def _fits(source: ColumnShape, characters: str) -> bool:
    """Tell whether a character set has every letter of a value."""
    if characters == _UNICODE or source.base == "ascii" or _INTEGER.fullmatch(source.type):
        return True
    return bool(source.collation) and source.collation.partition("_")[0] == characters


def _sources(
    expression: ColumnElement[Any], rule: Rule, stored: SchemaShape, dialect: Dialect
) -> list[ColumnShape] | None:
    """Find the types that a rule's value may have, each as a column's; None if one is not known."""
    if isinstance(expression, Label | Grouping):
        within: Any = expression.element
        return _sources(within, rule, stored, dialect)
    if isinstance(expression, Null):
        return []
    if isinstance(expression, True_ | False_):
        return [ColumnShape("", "TINYINT", base="ascii")]
    if isinstance(expression, Case):
        results: list[Any] = [result for _, result in expression.whens]
        results += [] if expression.else_ is None else [expression.else_]
        found = [_sources(result, rule, stored, dialect) for result in results]
        return None if None in found else [one for some in found if some for one in some]
    if isinstance(expression, BindParameter):
        is_plain = expression.value is None or str(expression.value).isascii()
        known = _of_type(expression, dialect)
        return (
            [] if expression.value is None else [k._replace(base="ascii" * is_plain) for k in known]
        )
    if isinstance(expression, ScalarSelect) and isinstance(expression.element, Select):
        (value,) = expression.element.selected_columns
        return _sources(value, rule, stored, dialect)
    if isinstance(expression, FunctionElement) and expression.name in ("max", "min", "coalesce"):
        arguments: Any = expression.clauses
        parts = [_sources(part, rule, stored, dialect) for part in arguments]
        return None if None in parts else [one for some in parts if some for one in some]
    if isinstance(expression, ColumnClause):
        column = _stored_column(expression, stored)
        if column is not None:
            return [column]
    return _of_type(expression, dialect) or None


def _of_type(expression: ColumnElement[Any], dialect: Dialect) -> list[ColumnShape]:
    try:
        type_ = spelled_in_mariadb(expression.type.compile(dialect))
    except CompileError:
        type_ = "VARCHAR" if isinstance(expression.type, String) else ""  # of no length
    # What has no type of its own is compiled to NULL.
    return [] if type_ in ("", "NULL") else [ColumnShape("", type_.partition(" COLLATE ")[0])]


def _is_column(expression: ColumnElement[Any]) -> bool:
    # What is written as text is of the same class, and of no table.
    return isinstance(expression, ColumnClause) and isinstance(expression.table, TableClause)


def _stored_column(expression: ColumnClause[Any], stored: SchemaShape) -> ColumnShape | None:
    table: Any = expression.table
    if isinstance(table, Alias):
        table = table.element
    shape: TableShape | None = stored.table(table.name) if isinstance(table, TableClause) else None
    return shape.column(expression.name) if shape is not None else None
