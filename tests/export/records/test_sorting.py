"""Rows are sorted as SQLite sorts them, values of all kinds side by side."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from landscape_compat.export.records.sorting import Sorting

VALUES = st.one_of(
    st.none(),
    st.sampled_from([0, -0.0, 1, 1.0, 2**53, float(2**53), 2**53 + 1, 2**63 - 1, float(2**63)]),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    st.binary(max_size=3),
)


@given(values=st.lists(st.tuples(VALUES, VALUES), max_size=12), last=st.booleans())
def test_rows_come_as_sqlite_sorts_them(values: list[tuple[Any, Any]], last: bool) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (a, b, n INTEGER PRIMARY KEY)")
        connection.executemany("INSERT INTO t (a, b) VALUES (?, ?)", values)
        stored = connection.execute("SELECT n, a, b FROM t").fetchall()
        nulls = "LAST" if last else "FIRST"
        wanted = connection.execute(
            f"SELECT n, a, b FROM t ORDER BY a NULLS {nulls}, b, n"
        ).fetchall()
    sorting = Sorting([(1, last), (2, False), (0, False)])
    kept = sorting.is_kept(stored)
    sorting.sort(stored)
    assert repr(stored) == repr(wanted)
    assert sorting.is_kept(stored)
    assert kept == ([row[0] for row in wanted] == sorted(row[0] for row in wanted))
