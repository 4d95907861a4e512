"""A fingerprint is the same for the same table everywhere, and another for any other table."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Any

import pytest
import rfc8785
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite as sqlite_dialect

from landscape_compat.schema.catalogue.sqlite import read_stored
from landscape_compat.schema.declared import declared_schema
from landscape_compat.schema.fingerprint import TableFingerprint, fingerprint_table
from landscape_compat.schema.shape import ColumnShape, TableShape
from support.drifts import Case, cases

DIALECT = sqlite_dialect.dialect()
TOKENS = """
    CREATE TABLE tokens (
        token_id VARCHAR(64) NOT NULL,
        row_id VARCHAR(64) NOT NULL,
        fork_group_id VARCHAR(64),
        join_group_id VARCHAR(64),
        branch_name VARCHAR(64),
        step_in_pipeline INTEGER,
        created_at DATETIME NOT NULL,
        PRIMARY KEY (token_id),
        FOREIGN KEY(row_id) REFERENCES rows (row_id))"""
ODD = """
    CREATE TABLE odd ("sel""ect" , "\u212a" blob, "k" TEXT GENERATED ALWAYS AS (1),
        "\U0001f642" double  precision, PRIMARY KEY ("\u212a", "\U0001f642"))"""
PLAIN = "CREATE TABLE plain (id INTEGER PRIMARY KEY, name VARCHAR(64) NOT NULL, n NUMERIC(10, 2))"
VIEW = "CREATE TABLE t (a INTEGER, b VARCHAR(64)); CREATE VIEW seen AS SELECT b, a FROM t"


def stored(script: str, name: str) -> TableShape:
    database = sqlite3.connect(":memory:")
    database.executescript(script)
    table = read_stored(database).table(name)
    database.close()
    assert table is not None
    return table


def digest(script: str, name: str = "t") -> str:
    return fingerprint_table(stored(script, name)).digest


@pytest.mark.parametrize(
    ("script", "name", "expected"),
    [
        (TOKENS, "tokens", "eab50563c353750476cc12907f0a71ce5b78fc9abee475f3697eb28ebd44d5d8"),
        (ODD, "odd", "3f237507a9bd4dab2e2a341e15e06e502c73340428ad681a90f8a4e76fe5f59a"),
        (PLAIN, "plain", "a3acaee9c21ee74e24d0cb8485067a3d198f630a86ba8fb6d133076b857d1a73"),
        (VIEW, "seen", "0e5e90d6237b903770ab5323fc6074c7ba728c3ab9f48f1bdf360b98834b8778"),
    ],
)
def test_digests_never_change(script: str, name: str, expected: str) -> None:
    """The same on every version of Python, SQLAlchemy and SQLite, so written down once."""
    assert digest(script, name) == expected


@pytest.mark.parametrize(
    "other",
    [
        "CREATE TABLE t (b TEXT, a INTEGER PRIMARY KEY, c NUMERIC(10,2))",
        "CREATE TABLE t (A integer primary key, B text, C numeric(10,2))",
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c NUMERIC ( 10 ,2 ))",
        "CREATE TABLE t (a INTEGER NOT NULL PRIMARY KEY, b TEXT, c NUMERIC(10, 2))",
        "CREATE TABLE t (a INTEGER, b TEXT DEFAULT 'x', c NUMERIC(10, 2) CHECK (c > 0), "
        "PRIMARY KEY (a))",
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); ALTER TABLE t ADD COLUMN c NUMERIC(10, 2)",
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT UNIQUE, c NUMERIC(10, 2)); "
        "CREATE INDEX i ON t (c)",
        "CREATE TABLE x (a INTEGER PRIMARY KEY, b TEXT, c NUMERIC(10, 2)); "
        "ALTER TABLE x RENAME TO t",
        "CREATE TABLE T (a INTEGER PRIMARY KEY, b /* text */ TEXT, c NUMERIC(10, 2)) WITHOUT ROWID",
    ],
)
def test_what_does_not_count(other: str) -> None:
    """Order, letter case, spacing, defaults, checks, indexes, how the table came to be."""
    assert digest(other) == digest(
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c NUMERIC(10, 2))"
    )


@pytest.mark.parametrize(
    "other",
    [
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)",
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c TEXT, d TEXT)",
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, d TEXT)",
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, \u0441 TEXT)",
        "CREATE TABLE t (a INTEGER, b TEXT, c TEXT)",
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL, c TEXT)",
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b VARCHAR(9), c TEXT)",
        "CREATE TABLE t (a INTEGER, b TEXT, c TEXT, PRIMARY KEY (a, b))",
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c TEXT AS (b))",
        "CREATE TABLE x (a INTEGER PRIMARY KEY, b TEXT, c TEXT); CREATE VIEW t AS SELECT * FROM x",
    ],
)
def test_what_counts(other: str) -> None:
    assert digest(other) != digest("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c TEXT)")


@given(st.permutations(range(5)), st.booleans())
def test_any_order_of_columns_gives_one_digest(order: list[int], upper: bool) -> None:
    columns = [ColumnShape(f"c{n}", ("TEXT", "integer")[n % 2], n > 2, n < 1) for n in range(5)]
    mixed = [
        columns[n]._replace(name=columns[n].name.upper(), type=f" {columns[n].type.lower()}")
        if upper
        else columns[n]
        for n in order
    ]
    one, other = TableShape("t", tuple(columns)), TableShape("T", tuple(mixed))
    assert fingerprint_table(one).digest == fingerprint_table(other).digest


@given(cases())
def test_a_declared_table_has_the_fingerprint_of_the_one_made_of_it(case: Case) -> None:
    metadata = case.metadata()
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine)
    raw = engine.raw_connection()
    made = read_stored(raw.dbapi_connection)
    raw.close()
    engine.dispose()
    declared = declared_schema(metadata, DIALECT)
    assert len(made) == len(declared)
    for table in declared:
        found = made.table(table.name)
        assert found is not None
        assert fingerprint_table(found).digest == fingerprint_table(table).digest


def test_the_form_is_that_of_rfc_8785() -> None:
    """Whatever characters a name has: what is digested is what `rfc8785` would write."""
    name = "".join(map(chr, range(0x80, 0x800))) + "\u2028\uffff\U0010ffff"
    name += "".join(map(chr, range(0x80))).replace("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "")
    columns: list[Any] = [["", "BLOB", True, False, False], [name, "INT", False, True, False]]
    canonical = rfc8785.dumps({"kind": "view", "columns": columns})
    seen = (ColumnShape(name, "INT", False, True), ColumnShape("", "BLOB"))
    found = fingerprint_table(TableShape("t", seen, "view"))
    assert found.digest == hashlib.sha256(canonical).hexdigest()


def test_it_is_shown_short() -> None:
    fingerprint = TableFingerprint("tokens", "0123456789abcdef" * 4)
    assert str(fingerprint) == "0123456789ab"
