"""What stands beside the tables of an old database: the views, triggers and indexes of somebody."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator

from sqlalchemy import Connection, text

from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.stored import read
from landscape_compat.schema.shape import SchemaShape, fold_name

__all__ = ["attendants"]

# Every index and trigger of every public build of ELSPETH is named so. They are a part of its
# schema, which the history holds by its columns, and not what somebody added to a database.
_PROGRAMS_OWN = {"index": ("ix_", "uq_"), "trigger": ("trg_audit_export_",)}
_OBJECTS = "FROM main.sqlite_master WHERE type IN ('trigger', 'index') AND sql IS NOT NULL"


def attendants(
    old: Connection, new: sqlite3.Connection, stored: SchemaShape, copied: Collection[str]
) -> Iterator[str]:
    """Name what somebody made beside the tables, and the new database does not have.

    On a server only the views are told.

    Args:
        old: A connection of an attached engine to the old database, in a transaction.
        new: The new database.
        stored: What the old one stores.
        copied: The names of what is copied, folded.

    Yields:
        Each by its kind and name: `view report`.
    """
    for shape in stored:
        if shape.kind == "view" and fold_name(shape.name) not in copied:
            yield f"view {shape.name}"
    if old.dialect.name == "sqlite":
        there = {
            (kind, fold_name(name)) for kind, name in new.execute(f"SELECT type, name {_OBJECTS}")
        }
        found = read(old, text(f"SELECT type, name, tbl_name {_OBJECTS} ORDER BY rowid"))
        for kind, name, table in found:
            if (kind, fold_name(name)) not in there and not _is_programs(kind, name, table):
                yield f"{kind} {name}"


def _is_programs(kind: str, name: str, table: str) -> bool:
    known = any(shape.shape.table(table) for shape in known_shapes())
    return known and fold_name(name).startswith(_PROGRAMS_OWN[kind])
