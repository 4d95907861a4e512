"""A hot standby is read as its primary is, and what is migrated there is seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.ext.asyncio import create_async_engine

from landscape_compat import SchemaReport, WriteRefusedError, attach, open_landscape
from landscape_compat.export.records.stream import export_database
from landscape_compat.landscape.history import shape_named
from support.legacy import build_shape
from support.postgres import (
    OWNER,
    READER,
    PostgresDatabase,
    PostgresServer,
    running_server,
)
from support.postgres_landscape import copy_landscape

from .conftest import METADATA, MIGRATE, OLD, TOKENS

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

SHAPE = "2026-01-18/df2fa70fb"
_LONGEST = 60.0


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """Run a server, and a standby of it that follows."""
    with running_server() as primary, running_server(standby_of=primary) as standby:
        yield primary, standby


def change(primary: PostgresServer, name: str, statement: str) -> None:
    """Have the primary write a change down, which the servers of tests do after they answer."""
    with primary.connect(name, OWNER) as connection:
        connection.execute("SET synchronous_commit = on")
        connection.execute(statement)


def follow(primary: PostgresServer, standby: PostgresServer) -> None:
    """Wait until the standby has what the primary has."""
    with primary.connect("postgres") as connection:
        (position,) = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone() or ("",)
    ends = time.monotonic() + _LONGEST
    with standby.connect("postgres") as connection:
        while time.monotonic() < ends:
            reached = connection.execute(
                "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (position,)
            ).fetchone()
            if reached == (True,):
                return
            time.sleep(0.02)
    raise AssertionError("the standby does not follow")


@pytest.mark.parametrize("user", [OWNER, READER])
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_hot_standby_is_read(
    pair: tuple[PostgresServer, PostgresServer], driver: str, user: str
) -> None:
    """It takes no lock that a standby does not grant, and writes nothing."""
    primary, standby = pair
    name = primary.create_database()
    change(primary, name, OLD)
    follow(primary, standby)
    engine: Engine = create_engine(standby.url(name, driver, user))
    with ExitStack() as ends, attach(engine, METADATA) as attachment:
        ends.callback(engine.dispose)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar() is True
            assert connection.execute(select(TOKENS)).all() == [(1, None)]
            with pytest.raises(WriteRefusedError):
                connection.execute(TOKENS.delete())
        report: SchemaReport = attachment.report()
        assert report.degraded
        change(primary, name, MIGRATE)
        follow(primary, standby)
        with engine.connect() as connection:
            assert connection.execute(select(TOKENS)).all() == [(1, "new")]


def test_an_asynchronous_program_reads_it(pair: tuple[PostgresServer, PostgresServer]) -> None:
    """With a role that may only SELECT."""
    primary, standby = pair
    name = primary.create_database()
    change(primary, name, OLD)
    follow(primary, standby)

    async def program() -> None:
        engine = create_async_engine(standby.url(name, "asyncpg", READER))
        attach(engine, METADATA)
        async with engine.connect() as connection:
            assert (await connection.execute(select(TOKENS))).all() == [(1, None)]
            with pytest.raises(WriteRefusedError):
                await connection.execute(TOKENS.delete())
        await engine.dispose()

    asyncio.run(program())


def test_a_landscape_there_is_exported_as_one_moment(
    pair: tuple[PostgresServer, PostgresServer], tmp_path: Path
) -> None:
    """Whole, with a role that may only SELECT, whatever comes from the primary meanwhile."""
    primary, standby = pair
    postgres = PostgresDatabase(primary, primary.create_database())
    known = shape_named(SHAPE)
    written = build_shape(tmp_path / "audit.db", known.shape, rows=2, runs=2, long_text=False)
    copy_landscape(written, known, postgres)
    change(primary, postgres.name, "CREATE TABLE later (a int)")
    follow(primary, standby)
    with open_landscape(standby.url(postgres.name, user=READER)) as here:
        expected = list(export_database(here))
        records = export_database(here)
        found = [next(records)]
        change(primary, postgres.name, "UPDATE runs SET status = 'altered'")
        follow(primary, standby)
        found += records
        assert found == expected
        assert list(export_database(here)) != expected
