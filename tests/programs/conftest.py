"""Older databases for whole SQLAlchemy programs: a file of SQLite's, and one on PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, create_engine

from support.postgres import PostgresDatabase
from support.untouched import untouched

OLD = """
CREATE TABLE runs (run_id varchar(8) PRIMARY KEY, status text);
CREATE TABLE tokens (token_id integer PRIMARY KEY, run_id varchar(8), kind varchar(8), secret text);
INSERT INTO runs VALUES ('r1', 'done'), ('r2', 'failed');
INSERT INTO tokens VALUES
    (1, 'r1', 'plain', 's1'), (2, 'r1', 'forked', 's2'), (3, 'r2', 'plain', 's3');
"""
MIGRATE = "ALTER TABLE tokens ADD COLUMN grp text DEFAULT 'new'"


@dataclass(frozen=True)
class Older:
    """An older database, and how to reach it.

    Args:
        url: It, for a synchronous driver.
        async_url: It, for an asynchronous one.
        file: The file, if it is one.
        postgres: The server's database, if it is one.
    """

    url: URL
    async_url: URL
    file: Path | None = None
    postgres: PostgresDatabase | None = None

    def run(self, script: str) -> None:
        """Run a script as another program."""
        if self.postgres is not None:
            with self.postgres.server.connect(self.postgres.name, "owner") as connection:
                connection.execute(script.encode())
            return
        assert self.file is not None
        with closing(sqlite3.connect(self.file)) as database:
            database.executescript(script)


@pytest.fixture
def script() -> str:
    """Give what makes the older database; a module may have one of its own."""
    return OLD


@pytest.fixture(params=["sqlite", "postgresql"])
def older(request: pytest.FixtureRequest, tmp_path: Path, script: str) -> Iterator[Older]:
    """Give an older database, and see that it is left as it was."""
    if request.param == "postgresql":
        postgres: PostgresDatabase = request.getfixturevalue("postgres")
        found = Older(postgres.url(), postgres.url("asyncpg"), postgres=postgres)
        found.run(script)
        before = postgres.content()
        yield found
        assert postgres.content() == before
        return
    file = tmp_path / "older.db"
    url = URL.create("sqlite", database=str(file))
    found = Older(url, url.set(drivername="sqlite+aiosqlite"), file=file)
    found.run(script)
    with untouched(file):
        yield found


@pytest.fixture
def engine(older: Older) -> Iterator[Engine]:
    """Give an engine on it."""
    engine = create_engine(older.url)
    yield engine
    engine.dispose()
