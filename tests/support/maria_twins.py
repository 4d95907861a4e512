"""A drawn older database on one MariaDB, its migrated copy on another, and questions to both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from landscape_compat.engine.attach import attach
from support.answers import ask, compare
from support.drifts import Draw
from support.maria_queries import draw_maria_query
from support.mariadb import MariaDatabase, MariaServer
from support.pg_cases import MARIADB, PgCase, draw_pg_case, draw_pg_query
from support.twins import Problem

__all__ = ["MariaTwins"]

_QUERIES = 6
# Else an assignment would see what the one before it made of the row.
_MODE = "SET sql_mode = concat(@@sql_mode, ',SIMULTANEOUS_ASSIGNMENT');"
# Each puts a part of the optimiser out of action.
_SWITCHES = (
    "semijoin=off",
    "materialization=off",
    "semijoin=off,materialization=off",
    "semijoin=off,in_to_exists=off",
    "derived_merge=off",
    "exists_to_in=off",
    "subquery_cache=off",
)


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

    def draw(self, draw: Draw) -> Problem:
        """Draw an older database, and what is asked of it."""
        case = draw_pg_case(draw, MARIADB)
        writers = (draw_pg_query, draw_maria_query)
        return case, tuple(writers[at % 2](draw, case) for at in range(_QUERIES))

    def ask(self, problem: Problem, say: Callable[[str], object] = lambda _: None) -> Counter[str]:
        """Make the databases of one problem, ask its questions, and count what came of them."""
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
                try:
                    outcome = compare(*answers, ordered=ordered, on_mariadb=True)
                except AssertionError:
                    if not self._is_of_the_copy(case, text, answers[1], ordered=ordered):
                        raise
                    outcome = "the server's own"
                outcomes[outcome] += 1
        assert MariaDatabase(self._older, "app").content() == content
        return outcomes

    def _is_of_the_copy(self, case: PgCase, text: str, found: Any, *, ordered: bool) -> bool:
        """Tell whether the copy also gives an answer, if it is only told to plan otherwise.

        MariaDB answers some statements wrongly, whatever they read. Then it depends on the plan,
        and so on the indexes and on what is merged, what it says.
        """
        ways = [(_whole(case, text), "")] + [(text, switch) for switch in _SWITCHES]
        for asked, switch in ways:
            with self._engine.connect() as copy:
                copy.exec_driver_sql(f"SET optimizer_switch = '{switch or 'default'}'")
                copy.commit()
                answer = ask(copy, asked)
            try:
                compare(answer, found, ordered=ordered, on_mariadb=True)
            except AssertionError:
                continue
            return not isinstance(answer, Exception)
        return False


def _whole(case: PgCase, text: str) -> str:
    """Have a statement read from tables that are worked out before it reads from them."""
    rows = "LIMIT 18446744073709551615"
    names = [case.form.quoted(table.name).replace("%", "%%") for table in case.tables]
    ctes = ", ".join(f"{name} AS (SELECT * FROM app.{name} {rows})" for name in names)
    head = next(word for word in ("WITH RECURSIVE ", "WITH ", "") if text.startswith(word))
    body = text.removeprefix(head).replace("app.`", "`")
    return f"{head or 'WITH '}{ctes}{', ' if head else ' '}{body}"
