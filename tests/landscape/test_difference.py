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
    paths = tmp_path / "one.db", tmp_path / "other.db"
    ddl = "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)", "CREATE TABLE t (a TEXT, b TEXT)"
    for path, sql in zip(paths, ddl, strict=True):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(sql)
    (drift,) = diff_databases(*paths).tables
    assert [(c.name, c.stored, c.declared) for c in drift.changed_types] == [
        ("a", "INTEGER", "TEXT")
    ]
    assert [c.name for c in drift.noted] == ["a"]
