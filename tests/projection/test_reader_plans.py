"""No statement of the host's readers is planned worse through the prelude than when migrated.

`reader_statements.json` has what four versions of the host sent when they read databases of other
versions, as SQLAlchemy's events told it, and the long lists of columns apart. Each is planned on
older shapes of the database by the prelude, and on the same database with the missing columns and
tables added. What is compared does not depend on the rows: without statistics, SQLite plans by the
schema alone.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from landscape_compat.errors import UnreadableError
from landscape_compat.landscape.history import known_shapes, shape_named
from landscape_compat.landscape.metadata import metadata_of
from landscape_compat.landscape.rules import landscape_rules
from landscape_compat.projection.rewrite import rewrite_statement
from landscape_compat.schema.known import KnownShape
from support.planned import plan_for

# Reader, and the day of the schema that it declares.
READERS = {
    "83e1b90f": "2026-01-23",
    "427b07c18": "2026-03-01",
    "07fd5977e": "2026-05-20",
    "0.7.2": "2026-07-18",
}
_WORST = ("SCAN", "MATERIALIZE", "AUTOMATIC")


@cache
def statements(reader: str) -> tuple[str, ...]:
    found = json.loads(Path(__file__).with_name("reader_statements.json").read_text())
    return tuple(
        re.sub(r"@(\d+)@", lambda mark: found["lists"][int(mark[1])], text)
        for text in found["readers"][reader]
    )


def older_than(reader: KnownShape) -> list[KnownShape]:
    """Every tenth shape before it, and the first and last."""
    shapes = [*known_shapes()]
    before = shapes[: shapes.index(reader)]
    return [*before[:-1:10], *before[-1:]]


def created(connection: sqlite3.Connection, shape: KnownShape) -> None:
    """Make the tables of a shape, each column that names a record indexed, as the host has it."""
    for table in metadata_of(shape).tables.values():
        connection.execute(str(CreateTable(table).compile(dialect=sqlite.dialect())))
        for column in table.columns:
            if column.name.endswith("_id") and not column.primary_key:
                name = f"by_{table.name}_{column.name}"
                connection.execute(f'CREATE INDEX "{name}" ON "{table.name}" ("{column.name}")')


def migrated(connection: sqlite3.Connection, reader: KnownShape) -> None:
    """Add what a reader's shape has more."""
    for table in metadata_of(reader).tables.values():
        stored = [row[1] for row in connection.execute(f'PRAGMA table_info("{table.name}")')]
        if not stored:
            connection.execute(str(CreateTable(table).compile(dialect=sqlite.dialect())))
        for column in table.columns if stored else ():
            if column.name not in stored:
                type_ = column.type.compile(sqlite.dialect())
                connection.execute(f'ALTER TABLE "{table.name}" ADD COLUMN "{column.name}" {type_}')


def steps(connection: sqlite3.Connection, text: str, missing: frozenset[str]) -> Counter[str]:
    """Count the steps of a plan that go through a table, copy one, or index one for once.

    A table that is not stored is one row that is never there, whatever is done to it.
    """
    values = ["1"] * text.count("?")
    plan = [row[3].split() for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", values)]
    return Counter(
        word
        for step in plan
        for word in _WORST
        if word in step and step[1] not in missing and step[1] != "CONSTANT"
    )


def cases() -> Iterator[tuple[str, str]]:
    for reader, day in READERS.items():
        for older in older_than(shape_named(day)):
            yield reader, older.name


@pytest.mark.parametrize(("reader", "older"), list(cases()))
def test_no_plan_is_worse_than_on_a_migrated_copy(reader: str, older: str) -> None:
    """As many tables gone through, none copied, and none indexed for one statement."""
    declared, stored = shape_named(READERS[reader]), shape_named(older)
    with sqlite3.connect(":memory:") as old, sqlite3.connect(":memory:") as copy:
        created(old, stored)
        created(copy, stored)
        migrated(copy, declared)
        plan = plan_for(old, metadata_of(declared), [*landscape_rules()])
        missing = frozenset(p.name for p in plan.projections.values() if p.stored is None)
        worse = {}
        for text in statements(reader):
            try:
                rewritten = rewrite_statement(text, plan).text
            except UnreadableError:
                continue
            found, expected = steps(old, rewritten, missing), steps(copy, text, frozenset())
            if found - expected:
                worse[text] = (rewritten, found, expected)
    old.close()
    copy.close()
    assert not worse
