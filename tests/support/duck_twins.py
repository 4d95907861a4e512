"""A drawn older database of DuckDB's, its migrated copy, and questions to both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import sqlalchemy as sa

from landscape_compat.engine.attach import attach
from support.answers import ask, compare, named_alike
from support.drifts import Draw
from support.pg_cases import DUCKDB, draw_pg_case, draw_pg_query
from support.twins import Problem

__all__ = ["DuckTwins"]

_QUERIES = 8
# What DuckDB 2.0 says of `schema.table.*`; by the prelude it is `table.*`, which it reads.
_UNPARSED = "more than one column in front of a star"


class DuckTwins:
    """Two files, made anew for each problem."""

    def draw(self, draw: Draw) -> Problem:
        """Draw an older database, and what is asked of it."""
        case = draw_pg_case(draw, DUCKDB)
        return case, tuple(draw_pg_query(draw, case) for _ in range(_QUERIES))

    def ask(self, problem: Problem, say: Callable[[str], object] = lambda _: None) -> Counter[str]:
        """Make the databases of one problem, ask its questions, and count what came of them."""
        case, questions = problem
        outcomes = Counter[str]()
        say(repr(case))
        with TemporaryDirectory() as folder:
            files = [Path(folder, f"{name}.duckdb") for name in ("older", "copy")]
            for file, script in zip(files, (case.old(), case.migrated()), strict=True):
                with duckdb.connect(str(file)) as connection:
                    connection.execute(script)
            before = files[0].read_bytes()
            older, copy = (sa.create_engine(f"duckdb:///{file}") for file in files)
            try:
                with (
                    attach(older, case.metadata(), rules=case.rules()),
                    older.connect() as found,
                    copy.connect() as expected,
                ):
                    for text, ordered in questions:
                        say(f"\n{text}")
                        answers = ask(expected, text), ask(found, text)
                        outcomes[_compare(*answers, ordered=ordered)] += 1
            finally:
                older.dispose()
                copy.dispose()
            assert files[0].read_bytes() == before
            assert {file.name for file in Path(folder).iterdir()} == {f.name for f in files}
        return outcomes


def _compare(expected: Any, found: Any, *, ordered: bool) -> str:
    if _UNPARSED in str(expected) and not isinstance(found, Exception):
        return "unparsed"
    if isinstance(expected, list) and isinstance(found, list):
        assert named_alike(found[0], expected[0]), f"{found[0]} where the copy says {expected[0]}"
        expected = [found[0], *expected[1:]]
    return compare(expected, found, ordered=ordered)
