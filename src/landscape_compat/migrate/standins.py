"""Stand-ins: what an operator has put where the host insists on a text that nobody recorded."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import MetaData, literal
from sqlalchemy.dialects import sqlite

from landscape_compat.errors import LandscapeCompatError, printable
from landscape_compat.landscape.rules import landscape_rules
from landscape_compat.projection.rules import RuleKind, RuleSet, neutral
from landscape_compat.schema.declared import declared_schema
from landscape_compat.schema.shape import SchemaShape

__all__ = ["rules_with"]

_TEXTS = ("VARCHAR", "TEXT", "CHAR")
_WHY = (
    "The record never held a value here, and the host takes a database only if this column is "
    "never NULL: the operator who had it migrated named this value to stand in."
)


def rules_with(stand_ins: Mapping[str, str], metadata: MetaData) -> RuleSet:
    """Give the rules by which a database is read to fill one that the host made.

    They are those of any reader, and no value is made up by them. A stand-in is used where the
    old database does not store its column; one that is not needed changes nothing.

    Args:
        stand_ins: What the operator named: a text for each `table.column`.
        metadata: What the host declares.

    Raises:
        LandscapeCompatError: A column is not declared, may be NULL, is of no text, or has
            values that follow from the record; or the text cannot be shown.
    """
    rules = landscape_rules()
    if not stand_ins:
        return rules
    declared = declared_schema(metadata, sqlite.dialect(), "main")
    named = {_declared_as(path, text, declared, rules): text for path, text in stand_ins.items()}
    return RuleSet(
        [
            *(rule for rule in rules if rule.target not in named),
            *(neutral(path, literal(text), why=_WHY) for path, text in named.items()),
        ]
    )


def _declared_as(path: str, text: str, declared: SchemaShape, rules: RuleSet) -> str:
    table, _, name = path.partition(".")
    found = declared.table(table)
    column = found.column(name) if found else None
    if found is None or column is None:
        raise _useless(path, "the host declares no such column")
    if column.nullable:
        raise _useless(path, "the host lets it be NULL, which says that nothing was recorded")
    if not column.type.startswith(_TEXTS):
        raise _useless(path, f"it holds no text ({column.type})")
    if not text.isprintable():
        raise _useless(path, "what was named has characters that cannot be shown")
    target = f"{found.name}.{column.name}"
    if any(rule.kind != RuleKind.ABSENT for rule in rules if rule.target == target):
        raise _useless(path, "its values follow from the record, by a rule")
    return target


def _useless(path: str, why: str) -> LandscapeCompatError:
    return LandscapeCompatError(
        f"Nothing can stand in for {printable(path)}: {why}.",
        remedy="Name a column that an error of a migration by the host named.",
    )
