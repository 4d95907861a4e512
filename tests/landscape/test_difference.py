"""Two databases differ in schema just where their shapes do, whatever they are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from landscape_compat import diff_databases
from landscape_compat.landscape.history import known_shapes
from landscape_compat.schema.known import KnownShape
from support.legacy import build_small
from support.postgres import PostgresDatabase
from support.untouched import untouched


@pytest.mark.parametrize("pair", [*pairwise(known_shapes())][::8], ids=lambda p: p[1].name)
def test_neighbours_in_history(pair: tuple[KnownShape, KnownShape], tmp_path: Path) -> None:
    """Each table and column that came or went between them is named, once, on its side."""
    one = build_small(tmp_path / "one.db", pair[0].shape).path
    other = build_small(tmp_path / "other.db", pair[1].shape).path
    with untouched(one), untouched(other):
        found = diff_databases(one, other)
        back = diff_databases(other, one)
        assert not diff_databases(one, one)
    came, went = pair[1].paths - pair[0].paths, pair[0].paths - pair[1].paths
    tables = {table.name for table in pair[0].shape} ^ {table.name for table in pair[1].shape}
    assert {*found.only_first, *found.only_second} == tables
    assert (back.only_first, back.only_second) == (found.only_second, found.only_first)
    named = {f"{d.table}.{c.name}" for d in found.tables for c in d.missing_columns}
    assert named == {path for path in came if path.partition(".")[0] not in tables}
    named = {f"{d.table}.{c.name}" for d in found.tables for c in d.extra_columns}
    assert named == {path for path in went if path.partition(".")[0] not in tables}
    assert found.shapes[0] == back.shapes[1]


def test_databases_of_nobody(tmp_path: Path) -> None:
    """They need not be Landscapes; a changed type and a changed key are told apart."""
    paths = made(
        tmp_path,
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c)",
        "CREATE TABLE T (a TEXT, b TEXT, d)",
    )
    found = diff_databases(*paths)
    (drift,) = found.tables
    assert [(c.name, c.stored, c.declared) for c in drift.changed_types] == [
        ("a", "INTEGER", "TEXT")
    ]
    assert [c.name for c in drift.noted] == ["a"]
    assert found.to_dict()["tables"] == [
        {
            "table": "T",
            "only_first": ["c"],
            "only_second": ["d"],
            "changed": [
                {"column": "a", "first": "INTEGER", "second": "TEXT"},
                {"column": "a", "first": "primary key", "second": "not in the primary key"},
            ],
        }
    ]
    assert not found.to_dict()["same"]
    assert diff_databases(paths[0], paths[0]).to_dict()["same"]


def made(folder: Path, *scripts: str) -> list[Path]:
    """Make a database of each script."""
    paths = [folder / f"{number}.db" for number in range(len(scripts))]
    for path, script in zip(paths, scripts, strict=True):
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(script)
    return paths


def test_a_view_that_both_have_is_no_difference(tmp_path: Path) -> None:
    """It was one, even of a database from itself; and a view in place of a table was none."""
    script = "CREATE TABLE t (a); CREATE VIEW v AS SELECT a FROM t;"
    table, view = made(
        tmp_path, f"{script} CREATE TABLE x (a)", f"{script} CREATE VIEW x (a) AS SELECT 1"
    )
    assert not diff_databases(view, view)
    for pair, kinds in (((table, view), ("table", "view")), ((view, table), ("view", "table"))):
        found = diff_databases(*pair)
        assert found
        assert (found.tables, found.kinds) == ((), (("x", *kinds),))
        first, second = kinds
        assert found.to_dict()["kinds"] == [{"table": "x", "first": first, "second": second}]


def test_a_column_that_lost_its_type_differs_as_one_that_got_it(tmp_path: Path) -> None:
    """Seen from either database; the one that lost it was taken for the same."""
    typed, untyped = made(tmp_path, "CREATE TABLE t (a VARCHAR(3))", "CREATE TABLE t (a)")
    for pair, types in (
        ((typed, untyped), ("VARCHAR(3)", "")),
        ((untyped, typed), ("", "VARCHAR(3)")),
    ):
        (drift,) = diff_databases(*pair).tables
        assert [(c.stored, c.declared) for c in drift.changed_types] == [types]


def test_columns_that_differ_only_in_order_or_in_what_fills_them(tmp_path: Path) -> None:
    """They were the same; what is said outright and is so anyhow is no difference."""
    plain, other, same = made(
        tmp_path,
        "CREATE TABLE t (a TEXT, b INT NOT NULL, c INT)",
        "CREATE TABLE t (a TEXT COLLATE NOCASE, b INT NOT NULL GENERATED ALWAYS AS (1),"
        " c INT GENERATED ALWAYS AS (1) STORED)",
        "CREATE TABLE t (a TEXT COLLATE binary, b INT NOT NULL, c INT)",
    )
    with untouched(plain):
        (drift,) = diff_databases(plain, other).tables
        assert not diff_databases(plain, same)
    assert [(c.name, c.stored, c.declared) for c in drift.noted] == [
        ("a", "no collation of its own", "collation NOCASE"),
        ("b", "not generated", "generated at each reading"),
        ("c", "not generated", "generated and stored"),
    ]
    assert not drift.is_degraded


def test_the_order_of_text_differs_only_between_tables_of_one_kind_of_database(
    postgres: PostgresDatabase, tmp_path: Path
) -> None:
    postgres.run("CREATE TABLE t (a text)")
    table, view = made(
        tmp_path,
        "CREATE TABLE t (a TEXT COLLATE NOCASE)",
        "CREATE TABLE x (a TEXT COLLATE NOCASE); CREATE VIEW t AS SELECT a FROM x",
    )
    assert diff_databases(table, view).tables == ()
    assert not diff_databases(postgres.url(), table)


def test_two_names_that_a_server_tells_apart(postgres: PostgresDatabase, tmp_path: Path) -> None:
    """Tables whose names differ in case alone were both left out; a password is not told.

    To a file they are one name.
    """
    server = postgres.server
    other = PostgresDatabase(server, server.create_database())
    postgres.run('CREATE TABLE "T" (a int)')
    other.run("CREATE TABLE t (a int)")
    urls = [each.url().set(password="secret") for each in (postgres, other)]
    found = diff_databases(*urls)
    mixed = diff_databases(postgres.url(), *made(tmp_path, "CREATE TABLE t (a INTEGER)"))
    assert (mixed.only_first, mixed.only_second) == ((), ())
    server.drop_database(other.name)
    assert (found.only_first, found.only_second) == (("T",), ("t",))
    assert not [name for name in found.databases if "secret" in name]
