"""Fixtures of the tests against MariaDB: its servers, and a database that lost a column."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, create_engine

from landscape_compat.errors import DegradedReadWarning
from support.mariadb import MariaDatabase, MariaServer, find_server, running_mariadb

METADATA = sa.MetaData()
TOKENS = sa.Table(
    "tokens",
    METADATA,
    sa.Column("token_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(20)),
    sa.Column("grp", sa.String(20)),
)
OLD = """
CREATE TABLE tokens (token_id int PRIMARY KEY, name varchar(20));
INSERT INTO tokens VALUES (1, 'one'), (2, 'Two'), (3, NULL)
"""
MIGRATE = "ALTER TABLE tokens ADD COLUMN grp varchar(20) DEFAULT 'new'"


def _running() -> Iterator[MariaServer]:
    if find_server() is None:
        pytest.skip("MariaDB IS NOT TESTED: no mariadbd here; install the package mariadb-server")
    with running_mariadb() as server:
        yield server


@pytest.fixture(scope="session")
def maria_server() -> Iterator[MariaServer]:
    """Run one server for all tests of the session that ask for it."""
    yield from _running()


@pytest.fixture(scope="session")
def maria_twin() -> Iterator[MariaServer]:
    """Run another one."""
    yield from _running()


@pytest.fixture
def maria(maria_server: MariaServer) -> Iterator[MariaDatabase]:
    """Give a database of the test's own."""
    name = maria_server.create_database()
    yield MariaDatabase(maria_server, name)
    maria_server.run(f"DROP DATABASE {name}")


@pytest.fixture(params=["mysql+pymysql", "mariadb+pymysql"])
def engine(request: pytest.FixtureRequest, maria: MariaDatabase) -> Iterator[Engine]:
    """Give an engine on it, by each name that SQLAlchemy has for the dialect."""
    engine = create_engine(maria.url(request.param))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegradedReadWarning)
        yield engine
    engine.dispose()
