"""A drawn older database on one MariaDB, its migrated copy on another, and questions to both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import sqlalchemy as sa

from landscape_compat.engine.attach import attach
from support.answers import ask, compare
from support.drifts import Draw
from support.maria_queries import draw_maria_query
from support.mariadb import MariaDatabase, MariaServer
from support.pg_cases import MARIADB, PgCase, draw_pg_case, draw_pg_query

__all__ = ["MariaProblem", "MariaTwins", "draw_maria_problem"]

_QUERIES = 6
# Else an assignment would see what the one before it made of the row.
_MODE = "SET sql_mode = concat(@@sql_mode, ',SIMULTANEOUS_ASSIGNMENT');"
MariaProblem = tuple[PgCase, tuple[tuple[str, bool], ...]]


def draw_maria_problem(draw: Draw) -> MariaProblem:
    """Draw an older database, and what is asked of it."""
    case = draw_pg_case(draw, MARIADB)
    writers = (draw_pg_query, draw_maria_query)
    return case, tuple(writers[at % 2](draw, case) for at in range(_QUERIES))


class MariaTwins:
    """Two servers whose databases have the same names, so that one text can be asked of both.

    Args:
        older: The server of older databases.
        copy: The server of their migrated copies.
    """

    def __init__(self, older: MariaServer, copy: MariaServer) -> None:
        self._older, self._copy = older, copy
        self._engine = sa.create_engine(copy.url("app"), poolclass=sa.NullPool)
        for server in (older, copy):
            server.run("SET GLOBAL max_statement_time = 10")

    def ask(
        self, problem: MariaProblem, say: Callable[[str], object] = lambda _: None
    ) -> Counter[str]:
        """Make the databases of one problem, ask its questions, and count what came of them.

        Args:
            problem: The problem.
            say: Told of each question.

        Raises:
            AssertionError: Two answers differ.
        """
        case, questions = problem
        say(repr(case))
        self._older.run(case.old())
        self._copy.run(_MODE + case.migrated())
        outcomes = Counter[str]()
        content = MariaDatabase(self._older, "app").content()
        shim = sa.create_engine(self._older.url("app"), poolclass=sa.NullPool)
        with (
            attach(shim, case.metadata(), rules=case.rules()),
            shim.connect() as found,
            self._engine.connect() as expected,
        ):
            for text, ordered in questions:
                say(f"\n{text}")
                answers = ask(expected, text), ask(found, text)
                outcomes[compare(*answers, ordered=ordered, on_mariadb=True)] += 1
        assert MariaDatabase(self._older, "app").content() == content
        return outcomes
