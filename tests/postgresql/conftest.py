"""Fixtures of the tests against PostgreSQL, and a table that lost a column and gets it back."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, create_engine

from landscape_compat.errors import DegradedReadWarning
from support.postgres import PostgresDatabase

METADATA = sa.MetaData()
TOKENS = sa.Table(
    "tokens",
    METADATA,
    sa.Column("token_id", sa.Integer, primary_key=True),
    sa.Column("grp", sa.Text),
)
OLD = "CREATE TABLE tokens (token_id int PRIMARY KEY); INSERT INTO tokens VALUES (1)"
MIGRATE = "ALTER TABLE tokens ADD COLUMN grp text DEFAULT 'new'"


@pytest.fixture(params=["psycopg", "psycopg2"])
def engine(request: pytest.FixtureRequest, postgres: PostgresDatabase) -> Iterator[Engine]:
    """Give an engine on the test's database, for each synchronous driver."""
    engine = create_engine(postgres.url(request.param))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegradedReadWarning)
        yield engine
    engine.dispose()
