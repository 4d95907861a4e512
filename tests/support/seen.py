"""What a reader of one age sees of rows that a database of another age stores."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from sqlalchemy.dialects import sqlite

from landscape_compat.landscape.history import known_shapes, shape_named
from landscape_compat.landscape.rules import landscape_rules
from landscape_compat.projection.render import render_rule
from landscape_compat.projection.rules import Rule, RuleKind
from landscape_compat.schema.shape import SchemaShape

__all__ = ["Rows", "rule_sql", "seen_by", "without"]

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def rule_sql(rule: Rule) -> str:
    """Write a rule's value for SQLite, over its table under the name `t`."""
    declared = next(
        column
        for known in reversed(known_shapes())
        if (table := known.shape.table(rule.table)) and (column := table.column(rule.column))
    )
    return render_rule(rule, declared, sqlite.dialect(), alias="t", schema="main", spelling={})


def without(shape: SchemaShape, path: str) -> SchemaShape:
    """Take a column out of a schema."""
    name, _, column = path.partition(".")
    return SchemaShape.of(
        *(
            replace(table, columns=tuple(c for c in table.columns if c.name != column))
            if table.name == name
            else table
            for table in shape
        )
    )


def seen_by(
    target: str, stored: str, declared: str, rows: Rows, *, lost: str = ""
) -> list[tuple[Any, RuleKind | None]]:
    """Show a column of every stored row as a reader sees it, and the kind of the rule.

    Args:
        target: The column, as `table.column`.
        stored: The shape of the database, by name, commit or epoch.
        declared: The shape that the reader declares.
        rows: Table to the rows it stores; what is not given is NULL.
        lost: A column that the database has lost.
    """
    table, _, name = target.partition(".")
    shape, reader = without(shape_named(stored).shape, lost), shape_named(declared).shape
    assert reader.has(target), f"{declared} does not declare {target}"
    rule = landscape_rules().rule_for(table, name, shape, reader)
    sql = f't."{name}"' if rule is None else rule_sql(rule)
    with closing(sqlite3.connect(":memory:")) as connection:
        for each in shape:
            columns = ", ".join(f'"{c.name}" {c.type}' for c in each.columns)
            connection.execute(f'CREATE TABLE "{each.name}" ({columns})')
        for into, given in rows.items():
            for row in given:
                names = ", ".join(f'"{key}"' for key in row)
                holes = ", ".join("?" * len(row))
                connection.execute(
                    f'INSERT INTO "{into}" ({names}) VALUES ({holes})', tuple(row.values())
                )
        found = connection.execute(f'SELECT {sql} FROM main."{table}" AS t ORDER BY t.rowid')
        return [(row[0], rule.kind if rule else None) for row in found]
