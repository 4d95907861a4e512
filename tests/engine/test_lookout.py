"""A database is looked at until two looks agree, and what keeps them from it is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, String, Table, create_engine

from landscape_compat.engine.lookout import Lookout
from landscape_compat.errors import SourceChangedError
from landscape_compat.projection.rules import RuleSet
from landscape_compat.schema.catalogue import Catalogue, catalogue_for
from landscape_compat.schema.shape import SchemaShape

METADATA = MetaData()
Table("tokens", METADATA, Column("token_id", String(64)), Column("branch_name", String(64)))
DIALECT = create_engine("sqlite://").dialect


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make a database whose table lacks a column."""
    with closing(sqlite3.connect(tmp_path / "audit.db")) as connection:
        connection.execute("CREATE TABLE tokens (token_id VARCHAR(64))")
    return tmp_path / "audit.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    """Connect to it."""
    with closing(sqlite3.connect(path)) as connection:
        yield connection


def lookout_of(path: Path, catalogue: Catalogue) -> Lookout:
    return Lookout(str(path), METADATA, RuleSet(()), catalogue, None)


def meddled(path: Path, deed: Callable[[int], str], times: int) -> tuple[Catalogue, list[None]]:
    """Have another program change the schema while it is read, the first few times."""
    usual = catalogue_for("sqlite")
    reads: list[None] = []

    def read_stored(connection: Any) -> SchemaShape:
        stored = usual.read_stored(connection)
        reads.append(None)
        if len(reads) <= times:
            with closing(sqlite3.connect(path)) as other:
                other.execute(deed(len(reads)))
        return stored

    return usual._replace(read_stored=read_stored), reads


def test_a_schema_that_changes_while_it_is_read_is_read_again(
    path: Path, connection: sqlite3.Connection
) -> None:
    """What is planned for is what is stored by then."""
    catalogue, reads = meddled(
        path, lambda _: "ALTER TABLE tokens ADD COLUMN branch_name VARCHAR(64)", 1
    )
    prepared, version = lookout_of(path, catalogue).look(connection, DIALECT)
    assert len(reads) == 2
    assert not prepared.plan.is_degraded
    assert version == catalogue.read_version(connection)


def test_a_schema_that_keeps_changing_is_given_up(
    path: Path, connection: sqlite3.Connection
) -> None:
    catalogue, reads = meddled(path, lambda number: f"CREATE TABLE t{number} (a)", 99)
    with pytest.raises(SourceChangedError, match="keeps changing") as caught:
        lookout_of(path, catalogue).look(connection, DIALECT)
    assert str(path) in str(caught.value)
    assert len(reads) == 5


def test_an_error_that_is_not_the_databases_is_passed_on(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        lookout_of(path, catalogue_for("sqlite")).look(connection, DIALECT)
