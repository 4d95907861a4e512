"""A shape of query costs by the prelude at most three times of what it does migrated, or is named.

The shapes, the older database and its copy are those of `benchmarks/plans.py`, which measures them;
here SQLite's instructions are counted, and nothing is timed. Each answers as the copy does, too.
"""

from __future__ import annotations

import importlib
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from landscape_compat.projection.rewrite import rewrite_statement
from support.planned import plan_for

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
# What SQLite cannot do, as the documentation says. The copy has an index of the very column; or a
# condition on a derived column meets an outer join, where it is worked out for each row.
WORSE = {
    "derived in two steps, count",
    "outer join of two, derived column filtered",
    "inner join of two derived columns",
    "all rows, in order",
    "distinct derived column",
    "grouped by the derived column",
    "ordered by the derived column",
    "greatest of the missing column",
    "outer join on the missing column alone",
}


def benchmark(name: str) -> Any:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(BENCHMARKS))


SHAPES: dict[str, str] = benchmark("shapes").SHAPES


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, ...]]:
    data = benchmark("data")
    paths = data.make_sqlite(tmp_path_factory.mktemp("shapes"), 2000)
    with closing(sqlite3.connect(paths[0])) as old, closing(sqlite3.connect(paths[1])) as copy:
        for connection in (old, copy):
            connection.execute("CREATE INDEX by_run ON rows (run_id)")
            connection.execute("CREATE INDEX by_place ON rows (row_index)")
        for column in ("tokens (run_id)", "tokens (expand_group_id)", "node_states (run_id)"):
            copy.execute(f'CREATE INDEX "by {column}" ON {column}')
        yield old, copy, plan_for(old, data.METADATA, [*data.RULES])


@pytest.mark.parametrize("name", SHAPES)
def test_it_costs_no_more_than_three_times_the_copys(databases: tuple[Any, ...], name: str) -> None:
    """Or it is named here and in the documentation, and is worth naming."""
    old, copy, plan = databases
    text = SHAPES[name]
    count = benchmark("plans").instructions
    factor = count(old, rewrite_statement(text, plan).text) / count(copy, text)
    # Versions of SQLite differ a little.
    assert factor > 2.5 if name in WORSE else factor < 3.5


@pytest.mark.parametrize("name", SHAPES)
def test_the_answer_is_the_copys(databases: tuple[Any, ...], name: str) -> None:
    old, copy, plan = databases
    text = SHAPES[name]
    found = old.execute(rewrite_statement(text, plan).text).fetchall()
    expected = copy.execute(text).fetchall()
    assert found == expected if "ORDER BY" in text else Counter(found) == Counter(expected)
