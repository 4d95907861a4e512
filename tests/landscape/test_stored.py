"""Statements over what is stored quote every name, sort always alike, and follow every tie."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, literal, select
from sqlalchemy.exc import OperationalError

from landscape_compat.errors import UnreadableError
from landscape_compat.landscape.stored import StoredSchema, StoredTable, read
from landscape_compat.schema.catalogue import catalogue_for
from support.untouched import untouched


@contextmanager
def stored(folder: Path, *statements: str) -> Iterator[tuple[Connection, StoredSchema]]:
    """Make a database of statements, open it read-only, and prove that it was left alone."""
    own = folder / "record"
    own.mkdir()
    path = own / "audit.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(";\n".join(statements))
    engine = create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    try:
        with untouched(path), engine.connect() as connection, connection.begin():
            shape = catalogue_for("sqlite").read_stored(connection.connection.dbapi_connection)
            yield connection, StoredSchema(shape, "sqlite")
    finally:
        engine.dispose()


def table(schema: StoredSchema, name: str) -> StoredTable:
    found = schema.table(name)
    assert found is not None
    return found


def rows(connection: Connection, stored_table: StoredTable, *where: Any) -> list[tuple[Any, ...]]:
    statement = select(*stored_table.columns).where(*where).order_by(*stored_table.order())
    return [tuple(row) for row in read(connection, statement, table=stored_table.name)]


def test_every_name_is_quoted_whatever_it_is(tmp_path: Path) -> None:
    odd = ('a b"c', "select", "ROWS", "%s", "?", ":x", "'", "1", "é🙂", "x.y")
    names = ", ".join('"' + name.replace('"', '""') + '"' for name in odd)
    values = ", ".join(str(n) for n in range(len(odd)))
    with stored(
        tmp_path,
        f'CREATE TABLE "or""der" ({names})',
        f'INSERT INTO "or""der" VALUES ({values})',
    ) as (connection, schema):
        found = table(schema, 'OR"DER')
        assert rows(connection, found) == [tuple(range(len(odd)))]


def test_a_column_is_found_by_its_folded_name_and_only_if_it_is_stored(tmp_path: Path) -> None:
    with stored(tmp_path, "CREATE TABLE Tokens (Token_ID)") as (_, schema):
        tokens = table(schema, "tokens")
        assert tokens.get("token_id").name == "Token_ID"
        assert tokens.column("run_id") is None
        with pytest.raises(KeyError):
            tokens.get("run_id")


def test_views_and_virtual_tables_are_no_tables(tmp_path: Path) -> None:
    with stored(
        tmp_path,
        "CREATE TABLE t (a)",
        "CREATE VIEW v AS SELECT * FROM t",
        "CREATE VIRTUAL TABLE r USING rtree (id, low, high)",
    ) as (_, schema):
        names = {found.name for found in schema}
        assert "t" in names
        assert not names & {"v", "r"}


def test_rows_are_sorted_as_the_host_sorts_them(tmp_path: Path) -> None:
    """By place in the pipeline, nodes without one last, then by when they were registered."""
    with stored(
        tmp_path,
        "CREATE TABLE nodes (node_id, registered_at, sequence_in_pipeline)",
        "INSERT INTO nodes VALUES ('a', 3, NULL), ('b', 1, 2), ('c', 2, 1), ('d', 1, NULL), "
        "('e', NULL, 1)",
    ) as (connection, schema):
        found = [row[0] for row in rows(connection, table(schema, "nodes"))]
        assert found == ["e", "c", "b", "d", "a"]


def test_what_no_column_tells_apart_keeps_the_order_it_was_stored_in(tmp_path: Path) -> None:
    """Also where a column takes one of the names of SQLite's row number."""
    with stored(
        tmp_path,
        "CREATE TABLE batch_members (batch_id, ordinal, rowid, _rowid_)",
        "INSERT INTO batch_members VALUES ('b', 0, 3, 1), ('b', 0, 2, 2), ('b', 0, 1, 3)",
    ) as (connection, schema):
        members = table(schema, "batch_members")
        assert members.rowid == "oid"
        assert [row[2] for row in rows(connection, members)] == [3, 2, 1]


@pytest.mark.parametrize(
    ("ddl", "rowid"),
    [
        ("(a)", "rowid"),
        ("(a TEXT PRIMARY KEY) WITHOUT ROWID", None),
        ("(rowid, oid)", "_rowid_"),
        ("(rowid, _rowid_, OID)", None),
    ],
)
def test_the_row_number_is_used_where_it_has_a_name(
    tmp_path: Path, ddl: str, rowid: str | None
) -> None:
    with stored(tmp_path, f"CREATE TABLE t {ddl}") as (connection, schema):
        assert table(schema, "t").rowid == rowid
        assert rows(connection, table(schema, "t")) == []


CHAIN = (
    "CREATE TABLE runs (run_id)",
    "CREATE TABLE rows (row_id, run_id)",
    "CREATE TABLE tokens (token_id, row_id, run_id)",
    "CREATE TABLE node_states (state_id, token_id, run_id)",
    "CREATE TABLE operations (operation_id, run_id)",
    "CREATE TABLE calls (call_id, state_id, operation_id)",
    "INSERT INTO runs VALUES ('r1'), ('r2'), (NULL)",
    "INSERT INTO rows VALUES ('w1', 'r1'), ('w2', 'r2'), ('w3', 'gone'), ('w4', NULL)",
    # What a row belongs to counts, not what it repeats of its run.
    "INSERT INTO tokens VALUES ('t1', 'w1', 'r1'), ('t2', 'w2', 'r1'), ('t3', 'w3', 'r1'), "
    "('t4', 'gone', 'r1'), ('t5', NULL, 'r1')",
    "INSERT INTO node_states VALUES ('s1', 't1', 'r2'), ('s2', 't2', NULL), ('s3', 't3', 'r1')",
    "INSERT INTO operations VALUES ('o1', 'r1'), ('o2', 'gone')",
    "INSERT INTO calls VALUES ('c1', 's1', NULL), ('c2', NULL, 'o1'), ('c3', 's2', 'o1'), "
    "('c4', 's3', NULL), ('c5', NULL, 'o2'), ('c6', 's1', 'o2'), ('c7', NULL, NULL)",
)


@pytest.mark.parametrize(
    ("name", "of_r1", "reached"),
    [
        ("runs", "r1", "r1 r2"),
        ("rows", "w1", "w1 w2"),
        ("tokens", "t1", "t1 t2"),
        ("node_states", "s1", "s1 s2"),
        ("operations", "o1", "o1"),
        # c3 and c6 name both parents: the operation is the one that counts.
        ("calls", "c1 c2 c3", "c1 c2 c3"),
    ],
)
def test_rows_belong_to_the_run_that_their_ties_lead_to(
    tmp_path: Path, name: str, of_r1: str, reached: str
) -> None:
    with stored(tmp_path, *CHAIN) as (connection, schema):
        found = table(schema, name)
        for condition, wanted in (
            (schema.of_run(found, literal("r1")), of_r1),
            (schema.reached(found), reached),
        ):
            assert [row[0] for row in rows(connection, found, condition)] == wanted.split()


def test_nothing_is_reached_through_a_table_or_a_column_that_is_not_stored(tmp_path: Path) -> None:
    with stored(
        tmp_path,
        "CREATE TABLE runs (started_at)",
        "CREATE TABLE rows (row_id, run_id)",
        "CREATE TABLE tokens (token_id)",
        "CREATE TABLE node_states (state_id, token_id)",
        "CREATE TABLE stranger (run_id)",
        *(f"INSERT INTO {name} DEFAULT VALUES" for name in ("runs", "rows", "tokens")),
        *(f"INSERT INTO {name} DEFAULT VALUES" for name in ("node_states", "stranger")),
    ) as (connection, schema):
        for found in schema:
            assert rows(connection, found) != []
            assert rows(connection, found, schema.reached(found)) == []
            assert rows(connection, found, schema.of_run(found, literal(None))) == []


def test_a_text_that_is_not_utf8_is_refused_by_name(tmp_path: Path) -> None:
    with stored(
        tmp_path,
        "CREATE TABLE tokens (token_id TEXT, branch_name TEXT)",
        "INSERT INTO tokens VALUES ('t', CAST(x'ff41' AS TEXT))",
    ) as (connection, schema):
        with pytest.raises(UnreadableError) as caught:
            rows(connection, table(schema, "tokens"))
        assert (caught.value.table, caught.value.column) == ("tokens", "branch_name")
        assert "UTF-8" in caught.value.reason
        assert caught.value.remedy


def test_a_read_that_is_interrupted_ends_as_every_statement_does(tmp_path: Path) -> None:
    """The driver's error comes from its cursor, past SQLAlchemy, and is wrapped as SQLAlchemy's."""
    with stored(
        tmp_path,
        "CREATE TABLE tokens (token_id)",
        "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
        " INSERT INTO tokens SELECT i FROM n",
    ) as (connection, schema):
        found = table(schema, "tokens")
        reading = read(connection, select(*found.columns), table=found.name)
        next(reading)
        raw: Any = connection.connection.dbapi_connection
        raw.interrupt()
        with pytest.raises(OperationalError, match="interrupted"):
            list(reading)


def test_a_damaged_database_is_told_as_such(tmp_path: Path) -> None:
    many = ", ".join(f"({n}, hex(randomblob(400)))" for n in range(200))
    path = tmp_path / "audit.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            f"CREATE TABLE tokens (token_id, x); INSERT INTO tokens VALUES {many}"
        )
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    engine = create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    with untouched(path), engine.connect() as connection:
        shape = catalogue_for("sqlite").read_stored(connection.connection.dbapi_connection)
        tokens = table(StoredSchema(shape, "sqlite"), "tokens")
        with pytest.raises(UnreadableError, match="damaged") as caught:
            rows(connection, tokens)
        assert caught.value.table == "tokens"
    engine.dispose()
