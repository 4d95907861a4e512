"""A hot standby is read as its primary is, and what is migrated there is seen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import Engine, create_engine, select

from landscape_compat import SchemaReport, WriteRefusedError, attach
from support.postgres import OWNER, PostgresServer, running_server

from .conftest import METADATA, MIGRATE, OLD, TOKENS

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

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


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_hot_standby_is_read(pair: tuple[PostgresServer, PostgresServer], driver: str) -> None:
    """It takes no lock that a standby does not grant, and writes nothing."""
    primary, standby = pair
    name = primary.create_database()
    change(primary, name, OLD)
    follow(primary, standby)
    engine: Engine = create_engine(standby.url(name, driver))
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
