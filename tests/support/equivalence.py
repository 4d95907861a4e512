"""One question asked of an older database through the shim, and of its migrated copy."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from landscape_compat.engine.attach import attach
from landscape_compat.errors import LandscapeCompatError, UnreadableError
from support.drifts import Case, Draw, draw_case
from support.queries import Query, draw_query
from support.selects import Selected, draw_select
from support.untouched import untouched

__all__ = ["Problem", "ask", "attached", "compare", "draw_problem", "migrated"]

# What the shim refuses though the copy answers; each is said in the documentation.
_REFUSALS = (
    "the row number would be shown among the columns",
    "with its schema in parentheses",
    "where it reads several tables",
    "that of a table further out",
    "reads two tables by one name",
)
# What SQLite says of an unqualified name before a NATURAL RIGHT JOIN, where it takes that of a
# table and refuses that of a common table expression: loud, and so not a wrong answer.
_LIMITS = ("ON clause references tables to its right",)


@dataclass(frozen=True)
class Problem:
    """An older database, and what is asked of it."""

    case: Case
    metadata: MetaData
    questions: tuple[Query | Selected, ...]


def draw_problem(draw: Draw) -> Problem:
    """Draw an older database and seven questions.

    Args:
        draw: Makes the choices.
    """
    case = draw_case(draw)
    metadata = case.metadata()
    texts = [draw_query(draw, case) for _ in range(4)]
    selects = [draw_select(draw, case, metadata) for _ in range(3)]
    return Problem(case, metadata, (*texts, *selects))


@dataclass(frozen=True)
class Answer:
    """The rows that a question gives, each cell with its type, or why it gives none."""

    names: tuple[str, ...] = ()
    rows: tuple[tuple[tuple[type, Any], ...], ...] = ()
    error: Exception | None = None


def ask(connection: Connection, question: Query | Selected) -> Answer:
    """Ask one question."""
    try:
        if isinstance(question, Query):
            result = connection.exec_driver_sql(question.sql)
        else:
            result = connection.execute(question.statement)
        rows = tuple(tuple((type(cell), cell) for cell in row) for row in result)
        return Answer(tuple(result.keys()), rows)
    except (SQLAlchemyError, LandscapeCompatError, ValueError, TypeError) as error:
        # The last two: a text where a type of SQLAlchemy's expects a date, say.
        connection.rollback()
        return Answer(error=error)


@contextmanager
def migrated(case: Case) -> Iterator[Engine]:
    """Give the copy, read as if there were no shim."""
    database = sqlite3.connect(":memory:", check_same_thread=False)
    case.write_migrated(database)
    engine = create_engine(
        "sqlite://", creator=lambda: database, poolclass=StaticPool, enable_from_linting=False
    )
    try:
        yield engine
    finally:
        engine.dispose()
        database.close()


@contextmanager
def attached(problem: Problem, path: Path) -> Iterator[Engine]:
    """Give the older database, read through the shim, which leaves the file alone."""
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path)
    database.execute("PRAGMA synchronous = OFF")
    problem.case.write_old(database)
    database.close()
    engine = create_engine(f"sqlite:///{path}", enable_from_linting=False)
    with untouched(path), attach(engine, problem.metadata, rules=problem.case.rules()):
        try:
            yield engine
        finally:
            engine.dispose()


def compare(copy: Connection, shim: Connection, question: Query | Selected) -> str:
    """Ask both; tell what came of it.

    Raises:
        AssertionError: They differ.
    """
    expected = ask(copy, question)
    found = ask(shim, question)
    if expected.error is not None:
        assert found.error is not None, f"{found} where the copy says {expected.error}"
        return "error"
    if isinstance(found.error, UnreadableError):
        assert any(reason in found.error.reason for reason in _REFUSALS), found.error
        return "refused"
    if found.error is not None and any(limit in str(found.error) for limit in _LIMITS):
        return "refused"
    assert found.error is None, repr(found.error)
    if question.ordered:
        assert found.rows == expected.rows
    else:
        assert Counter(found.rows) == Counter(expected.rows)
    if isinstance(question, Selected) or question.labelled:
        assert found.names == expected.names
    return "rows" if found.rows else "no rows"
