"""On DuckDB, too, a read returns what it would on a copy with the columns migrated."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from landscape_compat import attach
from landscape_compat.errors import LandscapeCompatError
from support.drifts import Draw
from support.pg_cases import DUCKDB, PgCase, draw_pg_case, draw_pg_query

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")
QUERIES = 8
OUTCOMES: Counter[str] = Counter()


@st.composite
def problems(draw: st.DrawFn) -> tuple[PgCase, tuple[tuple[str, bool], ...]]:
    """Draw an older database, and what is asked of it."""
    choices = Draw(draw)
    case = draw_pg_case(choices, DUCKDB)
    return case, tuple(draw_pg_query(choices, case) for _ in range(QUERIES))


def ask(connection: Connection, text: str) -> list[str] | Exception:
    """Ask one question: the rows, each cell with its type, or why there are none."""
    try:
        found = connection.exec_driver_sql(text)
        return [repr([(type(cell).__name__, cell) for cell in row]) for row in found]
    except (SQLAlchemyError, LandscapeCompatError) as error:
        return error
    finally:
        connection.rollback()


def make(file: Path, script: str) -> None:
    """Make a database."""
    with duckdb.connect(str(file)) as connection:
        connection.execute(script)


@settings(
    max_examples=int(os.environ.get("LANDSCAPE_COMPAT_EXAMPLES", "40")),
    # Not the phase that explains: it traces every line of SQLAlchemy's.
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(problems())
def check(problem: tuple[PgCase, tuple[tuple[str, bool], ...]]) -> None:
    """Ask one set of questions of both."""
    case, questions = problem
    note(repr(case))
    with TemporaryDirectory() as folder:
        make(Path(folder, "older.duckdb"), case.old())
        make(Path(folder, "copy.duckdb"), case.migrated())
        before = Path(folder, "older.duckdb").read_bytes()
        older, copy = (
            sa.create_engine(f"duckdb:///{folder}/{name}.duckdb") for name in ("older", "copy")
        )
        try:
            with (
                attach(older, case.metadata(), rules=case.rules()),
                older.connect() as found,
                copy.connect() as expected,
            ):
                for text, ordered in questions:
                    note(f"\n{text}")
                    OUTCOMES[compare(ask(expected, text), ask(found, text), ordered=ordered)] += 1
        finally:
            older.dispose()
            copy.dispose()
        assert Path(folder, "older.duckdb").read_bytes() == before
        assert {file.name for file in Path(folder).iterdir()} == {"copy.duckdb", "older.duckdb"}


# What DuckDB 2.0 says of `schema.table.*`; by the prelude it is `table.*`, which it reads.
_UNPARSED = "more than one column in front of a star"


def compare(expected: Any, found: Any, *, ordered: bool) -> str:
    """Compare two answers; tell what came of it.

    Raises:
        AssertionError: They differ.
    """
    if _UNPARSED in str(expected) and not isinstance(found, Exception):
        return "unparsed"
    if isinstance(expected, Exception):
        assert isinstance(found, Exception), f"{found} where the copy says {expected}"
        return "error"
    assert not isinstance(found, Exception), repr(found)
    if ordered:
        assert found == expected
    else:
        assert Counter(found) == Counter(expected)
    return "rows" if found else "no rows"


def test_any_query_answers_as_on_a_migrated_copy() -> None:
    """Each drawn query is asked of both databases, and most of them have something to say."""
    OUTCOMES.clear()
    try:
        check()
    finally:
        print(OUTCOMES)
    asked = sum(OUTCOMES.values())
    assert OUTCOMES["rows"] > asked / 10
    assert OUTCOMES["error"] < asked / 3
