"""On PostgreSQL, too, a read returns what it would on a copy with the columns migrated."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from landscape_compat.engine.attach import attach
from support.answers import ask, compare
from support.drifts import Draw
from support.pg_cases import PATH, PgCase, draw_pg_case, draw_pg_query
from support.postgres import PostgresDatabase, PostgresServer

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")
QUERIES = 6


@st.composite
def problems(draw: st.DrawFn) -> tuple[PgCase, tuple[tuple[str, bool], ...]]:
    """Draw an older database, and what is asked of it."""
    choices = Draw(draw)
    case = draw_pg_case(choices)
    return case, tuple(draw_pg_query(choices, case) for _ in range(QUERIES))


@contextmanager
def engine_on(postgres: PostgresDatabase) -> Iterator[sa.Engine]:
    """Give an engine that looks for tables in two schemas."""
    url = postgres.url(user="postgres").update_query_dict(
        {"options": f"-csearch_path={','.join(PATH)}"}
    )
    engine = sa.create_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def test_any_query_answers_as_on_a_migrated_copy(postgres_server: PostgresServer) -> None:
    """Each drawn query is asked of both databases, and most of them have something to say."""
    outcomes = Counter[str]()
    older, copy = (
        PostgresDatabase(postgres_server, postgres_server.create_database()) for _ in range(2)
    )

    @settings(
        max_examples=int(os.environ.get("LANDSCAPE_COMPAT_EXAMPLES", "30")),
        deadline=None,
        # Not the phase that explains: it traces every line of SQLAlchemy's.
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(problems())
    def run(problem: tuple[PgCase, tuple[tuple[str, bool], ...]]) -> None:
        case, questions = problem
        note(repr(case))
        old.execute(case.old().encode())
        new.execute(case.migrated().encode())
        with (
            engine_on(older) as shim,
            attach(shim, case.metadata(), rules=case.rules()),
            shim.connect() as found,
            migrated.connect() as expected,
        ):
            for text, ordered in questions:
                note(f"\n{text}")
                outcomes[compare(ask(expected, text), ask(found, text), ordered=ordered)] += 1

    with (
        closing(older.server.connect(older.name)) as old,
        closing(copy.server.connect(copy.name)) as new,
        engine_on(copy) as migrated,
    ):
        try:
            # Types of the enumeration made anew are others to a statement prepared before.
            sa.event.listen(migrated, "connect", _prepare_nothing)
            run()
        finally:
            print(outcomes)
    for database in (older, copy):
        postgres_server.drop_database(database.name)
    asked = sum(outcomes.values())
    assert outcomes["rows"] > asked / 10
    assert outcomes["error"] < asked / 3


def _prepare_nothing(connection: Any, record: Any) -> None:
    connection.prepare_threshold = None
