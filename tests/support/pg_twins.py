"""A drawn older database on PostgreSQL, its migrated copy, and questions to both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa

from landscape_compat.engine.attach import attach
from support.answers import ask, compare
from support.drifts import Draw
from support.pg_cases import PATH, draw_pg_case, draw_pg_query
from support.postgres import PostgresDatabase, PostgresServer
from support.twins import Problem

__all__ = ["PgTwins", "pg_twins"]

_QUERIES = 6


class PgTwins:
    """Two databases of one server.

    Args:
        older: An engine on the older one.
        copy: An engine on its migrated copy.
        makers: A connection to each, to make its tables by.
    """

    def __init__(
        self, older: sa.Engine, copy: sa.Engine, makers: tuple[psycopg.Connection[Any], ...]
    ) -> None:
        self._older, self._copy, self._makers = older, copy, makers

    def draw(self, draw: Draw) -> Problem:
        """Draw an older database, and what is asked of it."""
        case = draw_pg_case(draw)
        return case, tuple(draw_pg_query(draw, case) for _ in range(_QUERIES))

    def ask(self, problem: Problem, say: Callable[[str], object] = lambda _: None) -> Counter[str]:
        """Make the databases of one problem, ask its questions, and count what came of them."""
        case, questions = problem
        outcomes = Counter[str]()
        say(repr(case))
        for maker, script in zip(self._makers, (case.old(), case.migrated()), strict=True):
            maker.execute(script.encode())
        self._older.dispose()  # what it had attached was another database
        with (
            attach(self._older, case.metadata(), rules=case.rules()),
            self._older.connect() as found,
            self._copy.connect() as expected,
        ):
            for text, ordered in questions:
                say(f"\n{text}")
                outcomes[compare(ask(expected, text), ask(found, text), ordered=ordered)] += 1
        return outcomes


@contextmanager
def pg_twins(server: PostgresServer) -> Iterator[PgTwins]:
    """Make two databases until the block ends, whose tables are looked for in two schemas.

    Args:
        server: Where they are made.
    """
    with ExitStack() as stack:
        engines: list[sa.Engine] = []
        makers: list[psycopg.Connection[Any]] = []
        for _ in range(2):
            database = PostgresDatabase(server, server.create_database())
            stack.callback(server.drop_database, database.name)
            path = {"options": f"-csearch_path={','.join(PATH)}"}
            url = database.url(user="postgres").update_query_dict(path)
            engines.append(sa.create_engine(url))
            stack.callback(engines[-1].dispose)
            makers.append(stack.enter_context(closing(server.connect(database.name))))
        # Types of the enumeration made anew are others to a statement prepared before.
        sa.event.listen(engines[1], "connect", _prepare_nothing)
        yield PgTwins(engines[0], engines[1], tuple(makers))


def _prepare_nothing(connection: Any, record: Any) -> None:
    connection.prepare_threshold = None
