"""On PostgreSQL, all who write a dataset read one snapshot, whatever is committed meanwhile."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from landscape_compat.errors import LandscapeCompatError
from landscape_compat.export.dataset.dataset import export_dataset
from landscape_compat.landscape.history import shape_named
from support.datasets import by_arrow, is_complete, statement_of, stored_records, texts
from support.legacy import build_shape
from support.postgres import READER, PostgresDatabase
from support.postgres_landscape import copy_landscape

pytest.importorskip("pyarrow")
pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

SHAPE = "2026-01-18/df2fa70fb"


@pytest.fixture
def landscape(tmp_path: Path, postgres: PostgresDatabase) -> PostgresDatabase:
    known = shape_named(SHAPE)
    written = build_shape(tmp_path / "audit.db", known.shape, rows=3, runs=5, long_text=False)
    copy_landscape(written, known, postgres)
    return postgres


class Committing(Executor):
    """Gives tasks to two processes, and has somebody commit before each is begun.

    Args:
        pool: The processes.
        postgres: The database.
    """

    def __init__(self, pool: ProcessPoolExecutor, postgres: PostgresDatabase) -> None:
        self._pool = pool
        self._postgres = postgres
        self.commits = 0

    def submit(self, fn: Any, /, *args: Any, **more: Any) -> Future[Any]:
        """Commit, and submit a task."""
        self._postgres.run(
            "UPDATE runs SET status = status || '!';"
            "DELETE FROM token_parents;"
            "INSERT INTO nodes SELECT (jsonb_populate_record(n, jsonb_build_object("
            "'node_id', left(md5(random()::text), 30)))).* FROM nodes n LIMIT 3"
        )
        self.commits += 1
        return self._pool.submit(fn, *args, **more)


@pytest.fixture
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_one_snapshot(
    landscape: PostgresDatabase, pool: ProcessPoolExecutor, tmp_path: Path, driver: str
) -> None:
    """A role that may only SELECT is enough, and nothing is changed by it."""
    url = landscape.url(driver, user=READER)
    before = texts(_in_utc(record) for record in stored_records(url))
    executor = Committing(pool, landscape)
    export_dataset(url, tmp_path / "ds", executor=executor)
    found = list(by_arrow(tmp_path / "ds"))
    assert executor.commits > 3
    assert texts(_in_utc(record) for _, record in found) == before
    assert texts(_in_utc(record) for record in stored_records(url)) != before
    tables = statement_of(tmp_path / "ds")["predicate"]["source"]["tables"]
    assert all(table["records"] == table["rows"] for table in tables)
    content = landscape.content()
    export_dataset(url, tmp_path / "again")
    assert landscape.content() == content
    with landscape.server.connect(landscape.name) as connection:
        (left,) = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            # What dumped the content ends its transaction by going, which may take a moment.
            f"AND state = 'idle in transaction' AND usename = '{READER}'"
        ).fetchone() or (None,)
    assert left == 0


def test_a_snapshot_that_is_gone_is_told(landscape: PostgresDatabase, tmp_path: Path) -> None:
    """By an error that says so; nothing is read from another one."""

    class Ending(Executor):
        """Ends the transaction that holds the snapshot before the first task is begun."""

        def submit(self, fn: Any, /, *args: Any, **more: Any) -> Future[Any]:
            """End it, and run a task."""
            with landscape.server.connect(landscape.name) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND state = 'idle in transaction'"
                )
            future: Future[Any] = Future()
            try:
                future.set_result(fn(*args, **more))
            except Exception as error:
                future.set_exception(error)
            return future

    with pytest.raises(LandscapeCompatError, match="snapshot was to be read from has ended"):
        export_dataset(landscape.url(user=READER), tmp_path / "ds", executor=Ending())
    assert not is_complete(tmp_path / "ds")


def _in_utc(record: dict[str, Any]) -> dict[str, Any]:
    """Give moments as texts, and in UTC without saying so, as a file holds them."""
    told = {
        name: getattr(value, "isoformat", lambda v=value: v)() for name, value in record.items()
    }
    return {
        name: value.removesuffix("+00:00") if isinstance(value, str) else value
        for name, value in told.items()
    }
