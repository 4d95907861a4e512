"""Tables in schemas: declared with one, translated to one, or in an attached file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, create_engine, select

from landscape_compat import (
    DegradedDatabaseError,
    WriteRefusedError,
    attach,
    inspect_database,
    renamed,
)
from support.postgres import PostgresDatabase
from support.untouched import untouched

from .conftest import Older

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


def table(metadata: sa.MetaData, schema: str | None, name: str = "tokens") -> sa.Table:
    """Declare a table with a column that no schema here stores."""
    columns = (sa.Column("token_id", sa.Integer, primary_key=True), sa.Column("grp", sa.Text))
    return sa.Table(name, metadata, *columns, schema=schema)


def test_a_table_declared_with_the_schema_it_is_found_in(older: Older, engine: Engine) -> None:
    """Its statements name it with its schema, in every place."""
    metadata = sa.MetaData()
    tokens = table(metadata, "main" if older.file else "public")
    with attach(engine, metadata), engine.connect() as connection:
        both = tokens.alias()
        query = select(tokens, both.c.grp).join(both, both.c.token_id == tokens.c.token_id)
        query = query.where(tokens.c.grp.is_(None)).order_by(tokens.c.token_id)
        assert connection.execute(query).all() == [(n, None, None) for n in (1, 2, 3)]
        with pytest.raises(WriteRefusedError):
            connection.execute(tokens.delete())


@pytest.fixture
def tenants(postgres: PostgresDatabase) -> Iterator[Engine]:
    """Give a database with a table of one name in three schemas, in three shapes."""
    with postgres.server.connect(postgres.name) as connection:
        connection.execute("CREATE SCHEMA a AUTHORIZATION owner; CREATE SCHEMA b")
        connection.execute("ALTER SCHEMA b OWNER TO owner")
    postgres.run(
        """CREATE TABLE public.tokens (token_id int); INSERT INTO public.tokens VALUES (1);
        CREATE TABLE a.tokens (token_id int, was text); INSERT INTO a.tokens VALUES (2, 'a');
        CREATE TABLE b.tokens (token_id int, grp text); INSERT INTO b.tokens VALUES (3, 'b')"""
    )
    before = postgres.content()
    engine = create_engine(postgres.url())
    yield engine
    engine.dispose()
    assert postgres.content() == before


def test_tables_of_one_name_in_several_schemas(tenants: Engine) -> None:
    """Each is read from its own, also where one statement names them all."""
    metadata = sa.MetaData()
    here, a, b = (table(metadata, schema) for schema in (None, "a", "b"))
    with attach(tenants, metadata, rules=[renamed("tokens.grp", "was")]) as attachment:
        with tenants.connect() as connection:
            assert connection.execute(select(here)).all() == [(1, None)]
            assert connection.execute(select(a)).all() == [(2, "a")]
            assert connection.execute(select(b)).all() == [(3, "b")]
            every = select(here.c.grp, a.c.grp, b.c.grp).select_from(
                here.join(a, sa.true()).join(b, sa.true())
            )
            assert connection.execute(every).all() == [(None, "a", "b")]
            apart = select(a.c.grp, b.c.grp).select_from(a.join(b, a.c.grp < b.c.grp))
            assert connection.execute(apart).all() == [("a", "b")]
            text = "SELECT x.grp, tokens.grp FROM a.tokens x, public.tokens WHERE x.grp = 'a'"
            assert connection.execute(sa.text(text)).all() == [("a", None)]
            above = "SELECT FROM a.tokens WHERE a.tokens.token_id > t.token_id AND grp = 'a'"
            deep = f"SELECT token_id FROM tokens AS t WHERE EXISTS ({above})"
            assert connection.execute(sa.text(deep)).all() == [(1,)]
            with pytest.raises(WriteRefusedError):
                connection.execute(b.delete())
        report = attachment.report()
    assert [t.name for t in report.tables if t.is_degraded] == ["tokens", "a.tokens"]
    assert inspect_database(tenants, metadata).degraded


def test_a_translated_schema(tenants: Engine) -> None:
    """Where the schema is said only when a statement runs, it is named when attaching."""
    metadata = sa.MetaData()
    tokens = table(metadata, None)
    with attach(tenants, metadata, schemas=("a", "b"), rules=[renamed("tokens.grp", "was")]):
        for schema, expected in (("a", (2, "a")), ("b", (3, "b")), (None, (1, None))):
            translated = tenants.execution_options(schema_translate_map={None: schema})
            with translated.connect() as connection:
                assert connection.execute(select(tokens)).all() == [expected]
                assert connection.scalars(select(tokens.c.grp)).one() == expected[1]


@pytest.mark.parametrize("leads_to", ["the default", "its name"])
def test_a_schema_that_is_translated_to_the_default_one(
    older: Older, engine: Engine, leads_to: str
) -> None:
    """As tests do for a program that declares its tables with one; a namesake stays another."""
    home = "main" if older.file else "public"
    metadata = sa.MetaData()
    tokens = table(metadata, "app")
    for schema in ("app", "b"):
        table(metadata, schema, "runs")
    translated = engine.execution_options(
        schema_translate_map={"app": None if leads_to == "the default" else home}
    )
    with attach(engine, metadata, schemas=[home]) as attachment, translated.connect() as connection:
        query = select(tokens).where(tokens.c.grp.is_(None)).order_by(tokens.c.token_id)
        assert connection.execute(query).all() == [(1, None), (2, None), (3, None)]
        with pytest.raises(WriteRefusedError):
            connection.execute(tokens.delete())
        degraded = [table.name for table in attachment.report().tables if table.is_degraded]
        assert degraded[0] == "tokens"


def test_a_current_database_whose_schema_is_translated(postgres: PostgresDatabase) -> None:
    """Nothing of the schema that is declared is stored, and nothing is missing: it is written."""
    postgres.run("CREATE TABLE tokens (token_id int PRIMARY KEY, grp text)")
    metadata = sa.MetaData()
    tokens = table(metadata, "app")
    engine = create_engine(postgres.url())
    translated = engine.execution_options(schema_translate_map={"app": None})
    with attach(engine, metadata, schemas=["public"]) as attachment, translated.begin() as writing:
        writing.execute(tokens.insert().values(token_id=1, grp="new"))
        assert writing.execute(select(tokens)).all() == [(1, "new")]
        assert not attachment.report().degraded
    engine.dispose()


def test_a_schema_that_lacks_the_table_reads_as_no_rows(tenants: Engine) -> None:
    """The table is then reported missing from there."""
    metadata = sa.MetaData()
    table(metadata, "a")
    gone = table(metadata, "a", "gone")
    with attach(tenants, metadata) as attachment, tenants.connect() as connection:
        assert connection.execute(select(gone)).all() == []
        assert attachment.report().table("a.gone").drift.missing_table


@pytest.mark.parametrize(
    ("schemas", "told", "only"),
    [(("a", "b"), "1 table: a.tokens", "a.tokens"), (("b", "a", None), "a.tokens, tokens", None)],
)
def test_refusing_names_the_tables_of_every_schema(
    tenants: Engine, schemas: tuple[str | None, ...], told: str, only: str | None
) -> None:
    """Those that lack something, by name; the error is that of a table if there is but one."""
    metadata = sa.MetaData()
    for schema in schemas:
        table(metadata, schema)
    with (
        attach(tenants, metadata, posture="refuse"),
        pytest.raises(DegradedDatabaseError, match=rf"{told}\.") as caught,
    ):
        tenants.connect()
    assert caught.value.table == only


def test_an_attached_file_is_left_alone(tmp_path: Path) -> None:
    """Where the main database is current, another may be attached, read and written."""
    main, other = tmp_path / "main.db", tmp_path / "other.db"
    metadata = sa.MetaData()
    tokens = table(metadata, None)
    extra = sa.Table("extra", sa.MetaData(), sa.Column("a", sa.Integer), schema="other")
    for file in (main, other):
        with closing(sqlite3.connect(file)) as database:
            database.execute("CREATE TABLE tokens (token_id integer primary key, grp text)")
            database.execute("CREATE TABLE extra (a integer)")
    engine = create_engine(f"sqlite:///{main}")
    sa.event.listen(engine, "connect", lambda c, _: c.execute("ATTACH ? AS other", (str(other),)))
    with attach(engine, metadata), engine.begin() as connection:
        connection.execute(extra.insert().values(a=1))
        connection.execute(tokens.insert().values(token_id=1))
        assert connection.execute(select(extra)).all() == [(1,)]
    engine.dispose()


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_a_program_that_attaches_on_connecting(tmp_path: Path, first: str) -> None:
    """Of a degraded file it is told why that is refused, and both files stay as they are."""
    main, other = tmp_path / "main.db", tmp_path / "other.db"
    for file in (main, other):
        with closing(sqlite3.connect(file)) as database:
            database.execute("CREATE TABLE tokens (token_id integer primary key)")
    metadata = sa.MetaData()
    tokens = table(metadata, None)
    engine = create_engine(f"sqlite:///{main}")

    def add(connection: Any, _: Any) -> None:
        connection.execute("ATTACH ? AS other", (str(other),))

    if first == "theirs":
        sa.event.listen(engine, "connect", add)
    with untouched(main), untouched(other), attach(engine, metadata):
        if first == "ours":
            sa.event.listen(engine, "connect", add)
        with pytest.raises(WriteRefusedError, match="does more than read"):
            engine.connect()
        sa.event.remove(engine, "connect", add)
        with engine.connect() as connection:
            assert connection.execute(select(tokens)).all() == []
        engine.dispose()


def test_attaching_to_a_degraded_file_is_refused(tmp_path: Path) -> None:
    """An attached file would be open for writing, even the same one again."""
    file = tmp_path / "old.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE tokens (token_id integer primary key)")
    metadata = sa.MetaData()
    table(metadata, None)
    engine = create_engine(f"sqlite:///{file}")
    with untouched(file), attach(engine, metadata), engine.connect() as connection:
        with pytest.raises(WriteRefusedError):
            connection.exec_driver_sql("ATTACH 'other.db' AS other")
        connection.close()
        engine.dispose()
