"""What PostgreSQL stores is read as the search path finds it, with what each column really is."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import MetaData

from landscape_compat.errors import AttachError
from landscape_compat.schema.catalogue import Catalogue, Wanted, catalogue_for
from landscape_compat.schema.catalogue import postgresql as catalogue
from landscape_compat.schema.shape import ColumnShape, SchemaShape
from support.postgres import OWNER, READER, PostgresDatabase


def stored(postgres: PostgresDatabase, path: str = "public", *wanted: str) -> SchemaShape:
    """Read what is stored as somebody with this search path sees it."""
    catalogue = catalogue_for("postgresql", Wanted(frozenset(wanted), frozenset({"other"})))
    with postgres.server.connect(postgres.name, OWNER) as connection:
        connection.execute("SELECT set_config('search_path', %s, false)", (path,))
        return catalogue.read_stored(connection)


def columns(shape: SchemaShape, table: str) -> tuple[ColumnShape, ...]:
    """Give the columns of a table that is there."""
    found = shape.table(table)
    assert found is not None
    return found.columns


def see_each(catalogue: Catalogue, connection: Any, *changes: str, undo: str) -> None:
    """Require another version after each change, but for the one that undoes others."""
    seen = {catalogue.read_version(connection)}
    for change in changes:
        connection.execute(change)
        version = catalogue.read_version(connection)
        assert version not in seen or change == undo, change
        assert version == catalogue.read_version(connection)
        seen.add(version)


def test_columns_have_type_nullability_key_and_generation(postgres: PostgresDatabase) -> None:
    """Dropped columns are gone, whatever hole they leave in the numbering."""
    postgres.run(
        """CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, gone int, name varchar(64) NOT NULL,
            shout text GENERATED ALWAYS AS (upper(name)) STORED, PRIMARY KEY (id, name));
        ALTER TABLE t DROP COLUMN gone"""
    )
    assert columns(stored(postgres), "t") == (
        ColumnShape("id", "INTEGER", nullable=False, primary_key=True),
        ColumnShape("name", "VARCHAR(64)", nullable=False, primary_key=True),
        ColumnShape("shout", "TEXT", generated=True),
    )


def test_every_kind_of_type_is_told(postgres: PostgresDatabase) -> None:
    """A domain has the type beneath it at its side; a type's own letter case is kept."""
    postgres.run(
        """CREATE DOMAIN email AS varchar(90) CHECK (value LIKE '%@%');
        CREATE TYPE "Mood" AS ENUM ('glad', 'sad');
        CREATE TABLE t (a email, b "Mood", c int[], d jsonb, e timestamp(3) with time zone,
            f numeric(10, 2), g character(3), h double precision, i "Mood"[])"""
    )
    shape = stored(postgres)
    assert [(column.type, column.base) for column in columns(shape, "t")] == [
        ("EMAIL", "VARCHAR(90)"),
        ('"Mood"', ""),
        ("INTEGER[]", ""),
        ("JSONB", ""),
        ("TIMESTAMP(3)WITH TIME ZONE", ""),
        ("NUMERIC(10,2)", ""),
        ("CHAR(3)", ""),
        ("DOUBLE PRECISION", ""),
        ('"Mood"[]', ""),
    ]
    assert shape.types == {"EMAIL", '"Mood"'}


def test_the_search_path_decides_which_table_a_name_means(postgres: PostgresDatabase) -> None:
    """The first schema wins, and what only a later one has is found there."""
    postgres.server.connect(postgres.name).execute(
        f"CREATE SCHEMA app AUTHORIZATION {OWNER}; CREATE SCHEMA other AUTHORIZATION {OWNER}"
    ).connection.close()
    postgres.run(
        """CREATE TABLE public.t (a int); CREATE TABLE public.only (a int);
        CREATE TABLE app.t (b int); CREATE TABLE other.t (c int); CREATE TABLE other.u (c int)"""
    )
    shape = stored(postgres, "app, public", "t")
    assert shape.schema == "app"
    assert {table.name: table.schema for table in shape} == {"t": "app", "only": "public"}
    assert [column.name for column in columns(shape, "t")] == ["b"]
    # Of a schema besides, only what is wanted.
    assert list(shape.elsewhere["other"].tables) == ["t"]
    assert stored(postgres, "public").schema == "public"
    assert list(stored(postgres, "").tables) == []


def test_a_server_that_would_copy_every_table_is_refused(
    postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such server can be had for tests any more, so this one is taken for it."""
    monkeypatch.setattr(catalogue, "_OLDEST", postgres.server.version + 1)
    with pytest.raises(AttachError, match=f"PostgreSQL {postgres.server.version // 10_000} copies"):
        stored(postgres)


def test_names_compare_as_they_are_written(postgres: PostgresDatabase) -> None:
    """Tables or columns that differ only in letter case are two."""
    postgres.run('CREATE TABLE t ("A" int, a int); CREATE TABLE "T" (b int)')
    shape = stored(postgres)
    assert [c.name for c in columns(shape, "t")] == ["A", "a"]
    assert [c.name for c in columns(shape, "T")] == ["b"]
    assert shape.has("t.A")
    assert not shape.has("T.a")


def test_kinds_are_told_apart(postgres: PostgresDatabase) -> None:
    """The rows of a partition, or of a table that inherits, are rows of another table, too."""
    postgres.run(
        """CREATE TABLE whole (a int) PARTITION BY RANGE (a);
        CREATE TABLE part PARTITION OF whole FOR VALUES FROM (0) TO (9);
        CREATE TABLE parent (a int); CREATE TABLE child (b int) INHERITS (parent);
        CREATE VIEW v AS SELECT 1 AS a; CREATE MATERIALIZED VIEW m AS SELECT 1 AS a;
        CREATE TABLE empty ()"""
    )
    shape = stored(postgres)
    assert {table.name: table.kind for table in shape} == {
        "whole": "table",
        "part": "partition",
        "parent": "table",
        "child": "partition",
        "v": "view",
        "m": "view",
        "empty": "table",
    }
    assert [column.name for column in columns(shape, "child")] == ["a", "b"]
    assert columns(shape, "empty") == ()


def test_the_version_changes_with_wanted_tables_and_the_path_alone(
    postgres: PostgresDatabase,
) -> None:
    """A change to somebody else's table costs nothing; every kind of change to ours is seen."""
    postgres.run("CREATE TABLE t (a int, b int); CREATE TABLE other (a int)")
    catalogue = catalogue_for("postgresql", Wanted(frozenset({"t", "later"})))
    with postgres.server.connect(postgres.name, OWNER) as connection:
        version = catalogue.read_version(connection)
        connection.execute("ALTER TABLE other ADD COLUMN b int; TRUNCATE other")
        connection.execute("ANALYZE t")
        assert catalogue.read_version(connection) == version
        see_each(
            catalogue,
            connection,
            "ALTER TABLE t ADD COLUMN c int",
            "ALTER TABLE t RENAME COLUMN c TO d",
            "ALTER TABLE t ALTER COLUMN d TYPE bigint",
            "ALTER TABLE t ALTER COLUMN d SET NOT NULL",
            "ALTER TABLE t DROP COLUMN d",
            "CREATE TABLE later (a int)",
            "DROP TABLE later; CREATE TABLE later (a int)",
            "SET search_path TO pg_catalog",
            undo="ALTER TABLE t DROP COLUMN d",
        )


@pytest.mark.parametrize(
    "swap",
    [
        ("TABLE one.t RENAME TO x", "TABLE one.u RENAME TO t", "TABLE one.x RENAME TO u"),
        ("SCHEMA one RENAME TO x", "SCHEMA two RENAME TO one", "SCHEMA x RENAME TO two"),
    ],
    ids=["tables", "schemas"],
)
def test_what_changed_its_name_with_another_is_seen(
    postgres: PostgresDatabase, swap: tuple[str, ...]
) -> None:
    """Two tables that had changed their names were read by the plans of each other."""
    wanted = Wanted(frozenset({"t", "u"}), frozenset({"one", "two"}))
    catalogue = catalogue_for("postgresql", wanted)
    with postgres.server.connect(postgres.name) as connection:
        connection.execute(
            """CREATE SCHEMA one; CREATE SCHEMA two;
            CREATE TABLE one.t (a int); CREATE TABLE one.u (b int); CREATE TABLE two.t (a int)"""
        )
        before = catalogue.read_version(connection)
        for change in swap:
            connection.execute(f"ALTER {change}".encode())
        assert catalogue.read_version(connection) != before


def test_types_and_tables_without_columns_are_seen(postgres: PostgresDatabase) -> None:
    """A plan writes types by name, and a table without columns has rows."""
    catalogue = catalogue_for("postgresql", Wanted(frozenset({"t"})))
    with postgres.server.connect(postgres.name, OWNER) as connection:
        see_each(
            catalogue,
            connection,
            "CREATE TYPE size AS ENUM ('small')",
            "ALTER TYPE size RENAME TO sizes",
            "DROP TYPE sizes",
            "CREATE TABLE t ()",
            "SET standard_conforming_strings = off",
            undo="DROP TYPE sizes",
        )


def test_a_role_that_may_not_read_a_table_is_told_so(postgres: PostgresDatabase) -> None:
    """Such a table cannot be locked, and is left out of the lock."""
    postgres.run("CREATE TABLE t (a int); CREATE TABLE hidden (a int)")
    postgres.run(f"REVOKE ALL ON hidden FROM {READER}")
    catalogue = catalogue_for("postgresql", Wanted(frozenset({"t", "hidden"})))
    with postgres.server.connect(postgres.name, READER) as connection:
        shape = catalogue.read_stored(connection)
        assert {table.name: table.readable for table in shape} == {"t": True, "hidden": False}
        lock = catalogue.lock(shape, True)
        assert lock == 'LOCK TABLE ONLY "public"."t" IN ACCESS SHARE MODE'
        with connection.transaction():
            connection.execute(lock.encode())


@pytest.mark.parametrize("name", ["it's", "back\\slash", 'quo"te', "50%", "a:b", "\u00e9t\u00e9"])
def test_odd_names_are_asked_for_as_they_are(postgres: PostgresDatabase, name: str) -> None:
    """Also in the text of the questions."""
    quoted = '"' + name.replace('"', '""') + '"'
    catalogue = catalogue_for("postgresql", Wanted(frozenset({name})))
    with postgres.server.connect(postgres.name, OWNER) as connection:
        before = catalogue.read_version(connection)
        connection.execute(f"CREATE TABLE {quoted} ({quoted} int)".encode())
        assert catalogue.read_version(connection) != before
        shape = catalogue.read_stored(connection)
        assert shape.has(f"{name}.{name}")
        with connection.transaction():
            connection.execute(catalogue.lock(shape, True).encode())


def test_nothing_declared_is_nothing_to_lock() -> None:
    """A reader without tables has no statement to send."""
    assert not MetaData().tables
    assert catalogue_for("postgresql").lock(SchemaShape.of(exact=True), True) == ""
