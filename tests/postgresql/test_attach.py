"""An engine on PostgreSQL reads a database that lacks what is declared, and changes nothing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, event, select
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.exc import DBAPIError

from landscape_compat import (
    DegradedDatabaseError,
    DegradedReadWarning,
    UnreadableError,
    WriteRefusedError,
    absent,
    attach,
    derived,
    mapped,
    neutral,
    renamed,
)
from support.postgres import READER, PostgresDatabase

METADATA = sa.MetaData()
TOKENS = sa.Table(
    "tokens",
    METADATA,
    sa.Column("token_id", sa.String(8), primary_key=True),
    sa.Column("row_id", sa.String(8)),
    sa.Column("weight", sa.Numeric(10, 2)),
    sa.Column("grp", sa.String(4)),
)
ROWS = sa.Table(
    "rows",
    METADATA,
    sa.Column("row_id", sa.String(8), primary_key=True),
    sa.Column("run_id", sa.String(8)),
)
OLD = """
    CREATE TABLE tokens (token_id varchar(8) PRIMARY KEY, row_id varchar(8));
    CREATE TABLE rows (row_id varchar(8) PRIMARY KEY, run_id varchar(8));
    INSERT INTO rows VALUES ('r1', 'run'), ('r2', NULL);
    INSERT INTO tokens VALUES ('t1', 'r1'), ('t2', 'r2'), ('t3', NULL)"""


@contextmanager
def unchanged(postgres: PostgresDatabase) -> Iterator[None]:
    """Check that the block changes nothing that is stored."""
    before = postgres.content()
    yield
    assert postgres.content() == before


def rows(engine: Engine, statement: Any, parameters: Any = None) -> list[tuple[Any, ...]]:
    """Execute a statement in a transaction of its own."""
    if isinstance(statement, str):
        statement = sa.text(statement)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(statement, parameters or {})]


def test_missing_columns_and_tables_read_as_absent(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """Core, text and driver SQL alike; filters on what is missing find nothing."""
    postgres.run(OLD + "; DROP TABLE rows")
    with unchanged(postgres), attach(engine, METADATA):
        assert rows(engine, select(TOKENS).order_by(TOKENS.c.token_id)) == [
            ("t1", "r1", None, None),
            ("t2", "r2", None, None),
            ("t3", None, None, None),
        ]
        assert rows(engine, select(TOKENS.c.token_id).where(TOKENS.c.grp == "x")) == []
        assert rows(engine, select(ROWS)) == []
        assert rows(engine, "SELECT count(*), count(grp) FROM tokens") == [(3, 0)]
        star = "SELECT t.* FROM public.tokens AS t WHERE row_id = :r"
        assert rows(engine, star, {"r": "r1"}) == [("t1", "r1", None, None)]
        with engine.connect() as connection:
            found = connection.exec_driver_sql(
                "SELECT grp FROM tokens WHERE token_id LIKE %s", ("t%",)
            )
            assert len(found.all()) == 3


def test_every_null_has_its_declared_type(postgres: PostgresDatabase, engine: Engine) -> None:
    """So that set operations, functions and result types are those of a migrated copy."""
    metadata = sa.MetaData()
    columns: dict[str, sa.types.TypeEngine[Any]] = {
        "a": sa.Integer(),
        "b": sa.DateTime(timezone=True),
        "c": pg.JSONB(),
        "d": pg.ARRAY(sa.Text()),
        "e": sa.Enum("x", "y", name="new_enum"),
        "f": sa.LargeBinary(),
        "g": sa.Boolean(),
        "h": sa.Uuid(),
        "i": pg.INTERVAL(),
        "j": pg.DOMAIN("new_domain", sa.Numeric(6, 2)),
        "k": sa.CHAR(3),
        "l": pg.ARRAY(sa.Enum("x", name="new_enum")),
        "m": sa.Float(),
        "n": pg.INT4RANGE(),
    }
    table = sa.Table("t", metadata, *(sa.Column(name, type_) for name, type_ in columns.items()))
    postgres.run("CREATE TABLE t (own int); INSERT INTO t VALUES (1)")
    with unchanged(postgres), attach(engine, metadata):
        assert rows(engine, select(table)) == [(None,) * len(columns)]
        types = ", ".join(f"pg_typeof({name})::text" for name in columns)
        assert rows(engine, f"SELECT {types} FROM t") == [
            (
                "integer",
                "timestamp with time zone",
                "jsonb",
                "text[]",
                "text",  # an older database has no such type
                "bytea",
                "boolean",
                "uuid",
                "interval",
                "numeric",
                "character",
                "text[]",
                "double precision",
                "int4range",
            )
        ]
        assert rows(engine, "SELECT a + 1 FROM t UNION SELECT 7 ORDER BY 1") == [(7,), (None,)]


def test_rules_give_values(postgres: PostgresDatabase, engine: Engine) -> None:
    """Renamed, derived from another table, mapped: each over stored columns only."""
    postgres.run(OLD)
    rows_ = sa.table("rows", sa.column("row_id"), sa.column("run_id"))
    tokens = sa.table("tokens", sa.column("row_id"), sa.column("token_id"))
    rules = [
        derived(
            "tokens.grp",
            select(sa.func.upper(rows_.c.run_id)).where(rows_.c.row_id == tokens.c.row_id),
        ),
        mapped("rows.run_id", {"run": "100% mapped"}),
        absent("tokens.weight"),
    ]
    with unchanged(postgres), attach(engine, METADATA, rules=rules):
        assert rows(engine, select(TOKENS.c.token_id, TOKENS.c.grp).order_by("token_id")) == [
            ("t1", "RUN"),
            ("t2", None),
            ("t3", None),
        ]
        assert rows(engine, select(ROWS.c.run_id).order_by("row_id")) == [("100% mapped",), (None,)]
        joined = select(TOKENS.c.token_id).join(ROWS, ROWS.c.row_id == TOKENS.c.row_id)
        assert rows(engine, joined.where(TOKENS.c.grp == "RUN")) == [("t1",)]


def test_a_renamed_column_keeps_its_length(postgres: PostgresDatabase, engine: Engine) -> None:
    """A cast to the declared length would cut longer values without a word."""
    postgres.run("CREATE TABLE tokens (token_id text, old text); CREATE TABLE rows (row_id text)")
    postgres.run("INSERT INTO tokens VALUES ('t1', 'much longer than declared')")
    with attach(engine, METADATA, rules=[renamed("tokens.grp", "old")]):
        assert rows(engine, select(TOKENS.c.grp)) == [("much longer than declared",)]


@pytest.mark.parametrize("name", ["50%", "a:b", 'q"u', "Mixed", "select", "s p", "\u00e9t\u00e9"])
def test_names_of_all_kinds(postgres: PostgresDatabase, engine: Engine, name: str) -> None:
    """For drivers that take a percent sign for a placeholder it is doubled, and only for them."""
    metadata = sa.MetaData()
    table = sa.Table(
        name, metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column(name, sa.Text)
    )
    quoted = '"' + name.replace('"', '""') + '"'
    with postgres.server.connect(postgres.name, "owner") as connection:
        connection.execute(f"CREATE TABLE {quoted} (id int PRIMARY KEY)".encode())
        connection.execute(f"INSERT INTO {quoted} VALUES (7)".encode())
    with unchanged(postgres), attach(engine, metadata):
        assert rows(engine, select(table)) == [(7, None)]
        assert rows(engine, select(table.c.id).where(table.c[name].is_(None))) == [(7,)]
        alias = table.alias("x%y")
        assert rows(engine, select(alias.c[name]).where(alias.c.id == 7)) == [(None,)]
    newer = sa.MetaData()
    wanted = sa.Table(name, newer, sa.Column("number", sa.Integer), sa.Column("twice", sa.Integer))
    with postgres.server.connect(postgres.name, "owner") as connection:
        connection.execute(f"ALTER TABLE {quoted} RENAME COLUMN id TO {quoted}".encode())
    of = sa.table(name, sa.column(name))
    twice = derived(f"{name}.twice", of.c[name] * 2)
    with attach(engine, newer, rules=[renamed(f"{name}.number", name), twice]):
        assert rows(engine, select(wanted)) == [(7, 14)]


def test_a_common_table_expression_of_a_tables_name(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """Within its own body the name still means the table, as it does without the shim."""
    postgres.run(OLD)
    shadow = "WITH tokens AS (SELECT token_id, grp FROM tokens WHERE row_id IS NULL) "
    with attach(engine, METADATA):
        assert rows(engine, f"{shadow} SELECT * FROM tokens; -- end") == [("t3", None)]
        assert rows(engine, f"{shadow} SELECT t.grp FROM public.tokens AS t, tokens LIMIT 1") == [
            (None,)
        ]
        both = "WITH a AS (SELECT * FROM tokens), tokens AS (SELECT count(grp) AS n FROM a)"
        assert rows(engine, f"EXPLAIN (COSTS off) {both} SELECT n FROM tokens") != []
        assert rows(engine, f"{both} SELECT n FROM tokens") == [(0,)]
        deep = "WITH RECURSIVE tokens(n) AS (SELECT 1 UNION SELECT n + 1 FROM tokens WHERE n < 3)"
        assert rows(engine, f"{deep} SELECT count(*) FROM tokens") == [(3,)]


def test_names_that_differ_in_case_are_two(postgres: PostgresDatabase, engine: Engine) -> None:
    """Of tables and of columns; a rule for one says nothing of the other."""
    metadata = sa.MetaData()
    small = sa.Table("t", metadata, sa.Column("k", sa.Text), sa.Column("K", sa.Text))
    large = sa.Table("T", metadata, sa.Column("k", sa.Text), sa.Column("K", sa.Text))
    postgres.run("""CREATE TABLE t (k text); INSERT INTO t VALUES ('small');
        CREATE TABLE "T" ("K" text); INSERT INTO "T" VALUES ('LARGE')""")
    with attach(engine, metadata, rules=[mapped("t.k", {"small": "mapped"})]):
        assert rows(engine, select(small)) == [("mapped", None)]
        assert rows(engine, select(large)) == [(None, "LARGE")]
        assert rows(engine, "SELECT T.k FROM T") == [("mapped",)]
        assert rows(engine, 'SELECT "T".k FROM "T"') == [(None,)]


def test_writes_are_refused_before_they_reach_the_server(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """Also where they hide in a common table expression, or lock rows."""
    postgres.run(OLD)
    statements: list[Any] = [
        TOKENS.insert().values(token_id="x"),
        TOKENS.update().values(row_id="x"),
        TOKENS.delete(),
        sa.text("WITH gone AS (DELETE FROM tokens RETURNING *) SELECT * FROM gone"),
        sa.text("SELECT * INTO copy FROM tokens"),
        sa.text("TRUNCATE tokens"),
        sa.text("DROP TABLE tokens"),
        sa.text("DO $$ BEGIN DELETE FROM tokens; END $$"),
        sa.text("EXPLAIN ANALYZE DELETE FROM tokens"),
        select(TOKENS).with_for_update(),
    ]
    sent = []
    with unchanged(postgres), attach(engine, METADATA):
        event.listen(engine, "after_cursor_execute", lambda *args: sent.append(args[2]))
        for statement in statements:
            with engine.connect() as connection, pytest.raises(WriteRefusedError):
                connection.execute(statement)
        with engine.connect() as connection, pytest.raises(WriteRefusedError):
            METADATA.drop_all(connection)
    assert not [text for text in sent if "pg_catalog" not in text and "LOCK" not in text], sent


def test_what_writes_in_disguise_is_refused_by_the_server(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """A function that writes looks like any other."""
    postgres.run(OLD)
    postgres.run(
        """CREATE FUNCTION sly() RETURNS int LANGUAGE sql AS
        $$ INSERT INTO tokens VALUES ('sly') RETURNING 1 $$; CREATE SEQUENCE numbers"""
    )
    with unchanged(postgres), attach(engine, METADATA):
        for text in ("SELECT sly()", "SELECT nextval('numbers')", "SELECT sly() FROM tokens"):
            with engine.connect() as connection:
                with pytest.raises(WriteRefusedError, match="transactions that only read"):
                    connection.execute(sa.text(text))
                connection.rollback()
                assert connection.execute(sa.text("SELECT count(*) FROM tokens")).scalar() == 3


UNLOCK = (
    "SET TRANSACTION READ WRITE",
    "SET default_transaction_read_only TO off",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "SET transaction_read_only = off",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "COMMIT",
)


@pytest.mark.parametrize("level", [None, "AUTOCOMMIT", "READ COMMITTED", "SERIALIZABLE"])
def test_the_lock_cannot_be_taken_off_by_sql(
    postgres: PostgresDatabase, engine: Engine, level: Any
) -> None:
    """Whatever the isolation level that the program asks for."""
    postgres.run(OLD)
    postgres.run(
        """CREATE FUNCTION sly() RETURNS int LANGUAGE sql AS
        $$ INSERT INTO tokens VALUES ('sly') RETURNING 1 $$"""
    )
    options = {"isolation_level": level} if level else {}
    with unchanged(postgres), attach(engine, METADATA):
        for unlock, first in product(UNLOCK, ("SELECT 1", None)):
            with engine.connect().execution_options(**options) as connection:
                for text in filter(None, (first, unlock)):
                    try:
                        connection.execute(sa.text(text))
                    except (DBAPIError, WriteRefusedError):
                        connection.rollback()
                with pytest.raises(WriteRefusedError):
                    connection.execute(sa.text("SELECT sly() FROM tokens"))


def test_a_current_database_stays_as_it_is(postgres: PostgresDatabase, engine: Engine) -> None:
    """Readable, writable, and with no listener on its statements."""
    with postgres.server.connect(postgres.name):
        METADATA.create_all(engine)
    with attach(engine, METADATA) as attachment, engine.begin() as connection:
        connection.execute(TOKENS.insert().values(token_id="t9"))
        level = connection.exec_driver_sql("SHOW transaction_isolation").scalar()
        assert level == "read committed"
        assert not attachment.report().degraded
        assert not engine.dispatch.before_cursor_execute
    assert rows(engine, select(TOKENS.c.token_id)) == [("t9",)]


def test_a_current_database_that_changes_is_looked_at_again(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """By each new connection: it stays current, or is read as degraded from then on."""
    postgres.run(OLD + "; ALTER TABLE tokens ADD weight numeric(10, 2), ADD grp varchar(4)")
    with attach(engine, METADATA) as attachment, engine.connect(), engine.connect():
        assert not attachment.report().degraded
        postgres.run("ALTER TABLE tokens ADD more text")
        with engine.begin() as connection:
            connection.execute(TOKENS.insert().values(token_id="t9", grp="x"))
        postgres.run("ALTER TABLE tokens DROP grp")
        with engine.connect(), engine.connect() as connection:  # the first is a pooled one
            assert connection.execute(select(TOKENS.c.grp)).scalars().all() == [None] * 4
            with pytest.raises(WriteRefusedError):
                connection.execute(TOKENS.delete())


def test_a_fresh_database_can_be_filled(postgres: PostgresDatabase, engine: Engine) -> None:
    """A database that stores none of the declared tables is new, not degraded."""
    with attach(engine, METADATA):
        METADATA.create_all(engine)
        with engine.begin() as connection:
            connection.execute(ROWS.insert().values(row_id="r"))
        assert rows(engine, select(ROWS)) == [("r", None)]


def test_reading_only_what_is_fresh(postgres: PostgresDatabase, engine: Engine) -> None:
    """There is no table to lock yet."""
    with unchanged(postgres), attach(engine, METADATA, read_only=True):
        assert rows(engine, select(ROWS)) == []
        with engine.begin() as connection, pytest.raises(WriteRefusedError):
            METADATA.create_all(connection)


def test_what_is_read_for_many_parameters_is_rewritten(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """Also where somebody listens after us; nothing is given back, as without the shim."""
    postgres.run(OLD)
    seen: list[str] = []
    each = sa.text("SELECT set_config('app.' || token_id, coalesce(grp, :value), true) FROM tokens")
    with unchanged(postgres), attach(engine, METADATA), engine.connect() as connection:
        for value in ("a", "b"):
            connection.execute(each, [{"value": "first"}, {"value": value}])
            connection.execute(sa.text("SELECT 1"))
            kept = sa.text("SELECT current_setting('app.t1')")
            assert connection.execute(kept).scalar() == value
            event.listen(engine, "do_executemany", lambda *got: seen.append(got[1]))
    assert ["AS NOT MATERIALIZED" in statement for statement in seen] == [True]


def test_questions_about_the_connection_can_be_answered(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """The control of transactions, by who attached; nothing that reads a table."""
    postgres.run(OLD)
    asked: list[str] = []

    def answer(statement: str, connection: Any) -> str | None:
        asked.append(statement)
        return "SELECT 'not yet'" if statement == "COMMIT" else None

    with attach(engine, METADATA) as attachment, engine.connect() as connection:
        attachment.answer_by(answer)
        assert len(connection.execute(select(TOKENS)).all()) == 3
        assert connection.exec_driver_sql("COMMIT").scalar() == "not yet"
        connection.exec_driver_sql("SAVEPOINT one")
        assert len(connection.execute(select(TOKENS)).all()) == 3
    assert asked == ["COMMIT", "SAVEPOINT one"]


def test_an_error_on_a_connection_that_writes_is_the_drivers(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """Also where others of the engine only read."""
    postgres.run(OLD)
    with attach(engine, METADATA), engine.connect() as reading:
        assert len(reading.execute(select(TOKENS)).all()) == 3
        reading.rollback()
        postgres.run("ALTER TABLE tokens ADD weight numeric(10, 2), ADD grp varchar(4)")
        with engine.connect() as writing:
            with pytest.raises(DBAPIError, match="nowhere"):
                writing.exec_driver_sql("SELECT * FROM nowhere")
            writing.rollback()
            writing.exec_driver_sql("SET TRANSACTION READ ONLY")
            with pytest.raises(DBAPIError, match="read-only transaction"):
                writing.execute(TOKENS.delete())


def test_refusing_is_a_posture(postgres: PostgresDatabase, engine: Engine) -> None:
    """The mismatch is then known before any work."""
    postgres.run(OLD)
    with (
        attach(engine, METADATA, posture="refuse"),
        pytest.raises(DegradedDatabaseError, match="1 table: tokens"),
    ):
        engine.connect()


def test_detaching_gives_the_engine_back(postgres: PostgresDatabase, engine: Engine) -> None:
    """It then sees what is stored, and writes again."""
    postgres.run(OLD)
    with attach(engine, METADATA):
        assert len(rows(engine, select(TOKENS))) == 3
    with pytest.raises(DBAPIError, match="does not exist"):
        rows(engine, select(TOKENS))
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM tokens")
    assert rows(engine, "SELECT count(*) FROM tokens") == [(0,)]


def test_one_warning_a_table_and_a_report(postgres: PostgresDatabase, engine: Engine) -> None:
    """The password is nowhere in them."""
    postgres.run(OLD)
    with attach(engine, METADATA) as attachment, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(3):
            rows(engine, select(TOKENS.c.grp, ROWS.c.run_id).join_from(TOKENS, ROWS, sa.true()))
        report = attachment.report()
    (warning,) = told
    assert isinstance(warning.message, DegradedReadWarning)
    assert (warning.message.table, warning.message.missing) == ("tokens", ("weight", "grp"))
    assert report.dialect == "postgresql"
    assert [table.name for table in report.tables if table.is_degraded] == ["tokens"]


def test_a_role_that_may_only_select_is_enough(postgres: PostgresDatabase) -> None:
    """Nothing is asked for that only an owner may do."""
    postgres.run(OLD)
    engine = sa.create_engine(postgres.url(user=READER))
    with unchanged(postgres), attach(engine, METADATA), pytest.warns(DegradedReadWarning):
        assert len(rows(engine, select(TOKENS))) == 3
    engine.dispose()


def test_server_side_cursors_read_bit_by_bit(postgres: PostgresDatabase, engine: Engine) -> None:
    """The prelude is part of what the cursor is declared for."""
    postgres.run("CREATE TABLE tokens (token_id varchar(8)); CREATE TABLE rows (row_id text)")
    postgres.run("INSERT INTO tokens SELECT 't' || n FROM generate_series(1, 2500) AS n")
    with attach(engine, METADATA), engine.connect() as connection:
        streamed = connection.execution_options(stream_results=True, max_row_buffer=100)
        found = streamed.execute(select(TOKENS.c.token_id, TOKENS.c.grp))
        first = found.fetchmany(3)
        assert len(first) == 3
        assert len(found.fetchall()) == 2497
        parts = streamed.execution_options(yield_per=400).execute(select(TOKENS)).partitions()
        assert [len(part) for part in parts] == [400] * 6 + [100]
        free = engine.connect().execution_options(isolation_level="AUTOCOMMIT", yield_per=400)
        with free:
            parts = free.execute(select(TOKENS)).partitions()
            assert [len(part) for part in parts] == [400] * 6 + [100]


def test_the_same_statement_is_always_the_same_text(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """So that a statement prepared once serves every time."""
    postgres.run(OLD)
    sent: list[str] = []
    with attach(engine, METADATA), engine.connect() as connection:
        event.listen(engine, "do_execute", lambda *args: sent.append(args[1]))
        for value in range(12):
            connection.execute(select(TOKENS).where(TOKENS.c.grp == str(value)))
        preparing = connection.exec_driver_sql("SELECT statement FROM pg_prepared_statements")
        prepared = [text for (text,) in preparing if "AS NOT MATERIALIZED" in text]
    assert len({text for text in sent if "AS NOT MATERIALIZED" in text}) == 1
    assert not engine._has_events  # which would slow down every statement, for good
    assert len(prepared) == (1 if engine.dialect.driver == "psycopg" else 0)


def test_an_essential_column_that_cannot_be_had_is_refused(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """Readers filter on it, so NULL would lose rows without a word."""
    postgres.run(OLD)
    rules = [absent("tokens.grp", essential=True)]
    with attach(engine, METADATA, rules=rules), engine.connect() as connection:
        with pytest.raises(UnreadableError, match=r"tokens\.grp"):
            connection.execute(select(TOKENS.c.grp))
        assert connection.execute(select(TOKENS.c.token_id)).first()


def test_a_text_that_is_sent_as_it_is(postgres: PostgresDatabase, engine: Engine) -> None:
    """It got the percent sign of a rule's value twice."""
    postgres.run(OLD)
    rules = [neutral("tokens.grp", sa.literal("5%"))]
    text = "SELECT grp, '%s%%', 7 %(SELECT 4 FROM tokens WHERE grp = '5%' LIMIT 1)s FROM tokens"
    options = {"no_parameters": True}
    with attach(engine, METADATA, rules=rules), engine.connect() as connection:
        found = connection.exec_driver_sql(text, execution_options=options).first()
        assert found == ("5%", "%s%%", 3)
