"""Fixtures of the tests against PostgreSQL."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine

from landscape_compat.errors import DegradedReadWarning
from support.postgres import PostgresDatabase


@pytest.fixture(params=["psycopg", "psycopg2"])
def engine(request: pytest.FixtureRequest, postgres: PostgresDatabase) -> Iterator[Engine]:
    """Give an engine on the test's database, for each synchronous driver."""
    engine = create_engine(postgres.url(request.param))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegradedReadWarning)
        yield engine
    engine.dispose()
