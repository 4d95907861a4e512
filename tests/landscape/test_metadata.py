"""Every known shape can be declared, created and read back as SQLAlchemy knows tables."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine, event, make_url, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from landscape_compat.errors import RuleError
from landscape_compat.landscape.history import foreign_keys, known_shapes
from landscape_compat.landscape.metadata import every_table, metadata_of
from landscape_compat.schema.catalogue import catalogue_for
from landscape_compat.schema.declared import declared_schema
from landscape_compat.schema.known import KnownShape
from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape

SHAPES = known_shapes()
POSTGRESQL = make_url("postgresql://").get_dialect()()


@pytest.mark.parametrize("known", SHAPES, ids=lambda known: known.name)
def test_what_is_created_is_stored_as_the_history_has_it(known: KnownShape) -> None:
    metadata = metadata_of(known)
    assert dict(declared_schema(metadata, sqlite.dialect()).tables) == dict(known.shape.tables)
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.connect() as connection:
        stored = catalogue_for("sqlite").read_stored(connection.connection.driver_connection)
    assert dict(stored.tables) == dict(known.shape.tables)
    engine.dispose()


@pytest.mark.parametrize("known", SHAPES, ids=lambda known: known.name)
def test_foreign_keys_are_declared_and_hold(known: KnownShape) -> None:
    metadata = metadata_of(known)
    for name, keys in foreign_keys(known).items():
        declared = {
            (tuple(constraint.column_keys), constraint.referred_table.name)
            for constraint in metadata.tables[name].foreign_key_constraints
        }
        assert declared == {(key.columns, key.table) for key in keys}
    engine = create_engine("sqlite://")
    event.listen(engine, "connect", lambda dbapi, _: dbapi.execute("PRAGMA foreign_keys=ON"))
    metadata.create_all(engine)
    with engine.begin() as connection:
        # SQLite finds a key that leads to columns which are not unique only when it is used.
        for table in metadata.sorted_tables:
            connection.execute(table.delete())
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
    engine.dispose()


@pytest.mark.parametrize("known", SHAPES, ids=lambda known: known.name)
def test_every_table_can_be_written_for_postgresql(known: KnownShape) -> None:
    for table in metadata_of(known).sorted_tables:
        ddl = str(CreateTable(table).compile(dialect=POSTGRESQL))
        assert "SERIAL" not in ddl
        assert "DATETIME" not in ddl


def test_values_come_back_as_they_went_in() -> None:
    engine = create_engine("sqlite://")
    metadata = metadata_of(SHAPES[-1])
    metadata.create_all(engine)
    artifacts = metadata.tables["artifacts"]
    values = {
        column.name: "x" * 8 for column in artifacts.columns if column.type.python_type is str
    }
    times = {"created_at": datetime(2026, 7, 18, 1, 2, 3, 4, tzinfo=UTC)}
    numbers = {"size_bytes": 2**62, "publication_performed": True}
    with engine.begin() as connection:
        connection.execute(artifacts.insert().values(**values, **times, **numbers))
        row = connection.execute(select(artifacts)).mappings().one()
    engine.dispose()
    assert row["created_at"] == times["created_at"].replace(tzinfo=None)
    assert row["size_bytes"] == 2**62
    assert row["publication_performed"] is True


def test_a_type_that_cannot_be_declared_is_refused() -> None:
    odd = SchemaShape.of(TableShape("a", (ColumnShape("b", "GEOMETRY"),)))
    first = SHAPES[0]
    known = KnownShape("mine", "1", first.first_date, "1", first.last_date, (), odd)
    with pytest.raises(RuleError, match="GEOMETRY"):
        metadata_of(known)


def test_every_column_of_every_shape_can_be_named_in_a_rule() -> None:
    tables = every_table()
    for known in SHAPES:
        for table in known.shape:
            assert set(table.column_names) <= set(getattr(tables, table.name).c.keys())
    assert tables.tokens.c.row_id.table is tables.tokens
    assert tables is every_table()


def test_a_table_that_no_shape_has_is_a_mistake() -> None:
    with pytest.raises(AttributeError, match="'token'"):
        _ = every_table().token
