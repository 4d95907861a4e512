"""PostgreSQL itself takes every adversarial statement as the scanner is said to."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from landscape_compat.projection.scan import Effect, scan_statement
from landscape_compat.projection.tokens import POSTGRESQL
from projection.statements import POSTGRESQL_SCHEMA, STATEMENTS, Statement
from support.postgres import OWNER, PostgresDatabase, PostgresServer

ASKED = [s for s in STATEMENTS if s.dialect == "postgresql" and s.accepted is not None]
# What a transaction has opened so far, of ours; no index.
OPENED = """
SELECT c.relname FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND c.relkind <> 'i' AND c.relnamespace = 'public'::regnamespace"""


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    """Give a database with the tables that the statements name."""
    postgres = PostgresDatabase(postgres_server, postgres_server.create_database())
    postgres.run(POSTGRESQL_SCHEMA)
    yield postgres
    postgres_server.drop_database(postgres.name)


@pytest.mark.parametrize("statement", ASKED, ids=lambda statement: statement.id)
def test_the_server_takes_a_statement_as_the_scanner_does(
    database: PostgresDatabase, statement: Statement
) -> None:
    """It accepts it or not; what is said to read writes nothing, and opens no table unseen."""
    reads = statement.effect is Effect.READS
    # Where values are to be put, the server knows only in what it prepares.
    prepare = "PREPARE unseen AS " if "$1" in statement.sql and reads else ""
    with database.server.connect(database.name, OWNER) as connection:
        connection.autocommit = False
        connection.read_only = reads and not statement.multiple
        try:
            connection.execute((prepare + statement.sql).encode())
        except psycopg.Error as refused:
            error = f"{refused.sqlstate}: {refused}"
        else:
            error = ""
        assert bool(statement.accepted) is not bool(error), error
        if reads and not error:
            opened = {name for (name,) in connection.execute(OPENED)}
            assert opened <= scan_statement(statement.sql, POSTGRESQL).names
        connection.rollback()
