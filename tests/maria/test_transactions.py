"""A transaction on a degraded MariaDB reads one moment, and by a plan that was made for it."""

from __future__ import annotations

from collections.abc import Iterator

import pymysql
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from landscape_compat import SourceChangedError, WriteRefusedError, attach
from support.mariadb import MariaDatabase

from .conftest import METADATA, MIGRATE, OLD, TOKENS

DECLARED = sa.MetaData()
TOKENS.to_metadata(DECLARED)
NOTES = sa.Table("notes", DECLARED, sa.Column("note", sa.String(20)))


@pytest.fixture
def older(maria: MariaDatabase, engine: Engine) -> Iterator[Engine]:
    """Give an engine, attached, on a database that lacks a column and a table."""
    maria.run(OLD)
    with attach(engine, DECLARED):
        yield engine


def test_one_snapshot(older: Engine, maria: MariaDatabase) -> None:
    """From the first statement on, whatever table it reads; the next transaction sees more."""
    maria.run("CREATE TABLE other (a int); INSERT INTO other VALUES (1)")
    with older.connect() as connection:
        assert len(connection.execute(select(TOKENS)).all()) == 3
        maria.run("INSERT INTO tokens VALUES (4, 'x'); DELETE FROM other")
        assert len(connection.execute(select(TOKENS)).all()) == 3
        assert connection.exec_driver_sql("SELECT count(*) FROM other").scalar() == 1
        connection.rollback()
        assert len(connection.execute(select(TOKENS)).all()) == 4
        connection.rollback()
        # Also where that one reads no table at all.
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
        maria.run("INSERT INTO tokens VALUES (5, 'y')")
        assert len(connection.execute(select(TOKENS)).all()) == 4


def test_a_migration_waits_and_is_noticed(older: Engine, maria: MariaDatabase) -> None:
    """No statement runs with a plan that is older than what it reads."""
    with older.connect() as connection:
        assert {row.grp for row in connection.execute(select(TOKENS))} == {None}
        with pytest.raises(pymysql.OperationalError, match="Lock wait timeout"):
            maria.run(f"SET lock_wait_timeout = 1; {MIGRATE}")
        connection.rollback()
        maria.run(MIGRATE)
        assert {row.grp for row in connection.execute(select(TOKENS))} == {"new"}


def test_every_declared_table_waits(older: Engine, maria: MariaDatabase) -> None:
    """Also one that the transaction has not read yet."""
    with older.connect() as connection:
        connection.execute(select(NOTES)).all()
        with pytest.raises(pymysql.OperationalError, match="Lock wait timeout"):
            maria.run(f"SET lock_wait_timeout = 1; {MIGRATE}")


def test_a_migration_between_two_connections(older: Engine, maria: MariaDatabase) -> None:
    """The pooled one is looked at again; when nothing is missing, the next one may write."""
    with older.connect() as connection:
        connection.execute(select(TOKENS)).all()
    maria.run(f"{MIGRATE}; CREATE TABLE notes (note varchar(20)); INSERT INTO notes VALUES ('n')")
    with older.connect() as connection:
        assert connection.execute(select(NOTES)).all() == [("n",)]
        assert {row.grp for row in connection.execute(select(TOKENS))} == {"new"}
    with older.begin() as connection:
        connection.execute(TOKENS.insert(), {"token_id": 9})
    assert maria.rows("SELECT count(*) FROM tokens") == ((4,),)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("ALTER TABLE tokens DROP COLUMN name", [(1, None, None)]),
        ("ALTER TABLE tokens RENAME COLUMN name TO grp", [(1, None, "one")]),
        ("RENAME TABLE tokens TO former", []),
        ("DROP TABLE tokens", []),
        ("DROP TABLE tokens; CREATE TABLE tokens (token_id int, grp varchar(9))", []),
    ],
)
def test_whatever_else_is_done_to_it(
    older: Engine, maria: MariaDatabase, script: str, said: list[object]
) -> None:
    """Is seen by the next transaction."""
    maria.run("CREATE TABLE notes (other int)")
    with older.connect() as connection:
        connection.execute(select(TOKENS)).all()
        connection.rollback()
        maria.run(script)
        assert connection.execute(select(TOKENS).order_by(TOKENS.c.token_id)).all()[:1] == said


def test_a_table_that_is_made_meanwhile(older: Engine, maria: MariaDatabase) -> None:
    """Was not there at the transaction's moment; the next one reads it."""
    with older.connect() as connection:
        connection.execute(select(TOKENS)).all()
        maria.run("CREATE TABLE notes (note varchar(20)); INSERT INTO notes VALUES ('n')")
        maria.run("CREATE TABLE more (a int)")
        assert connection.execute(select(NOTES)).all() == []
        with pytest.raises(SourceChangedError, match="after this transaction began"):
            connection.exec_driver_sql("SELECT a FROM more").all()
        connection.rollback()
        assert connection.execute(select(NOTES)).all() == [("n",)]


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_transaction_that_the_driver_was_told_to_end(
    older: Engine, maria: MariaDatabase, end: str
) -> None:
    """What comes after it is another, which was read by the plan of the first."""
    with older.connect() as connection:
        assert {row.grp for row in connection.execute(select(TOKENS))} == {None}
        getattr(connection.connection, end)()
        maria.run(MIGRATE)
        assert {row.grp for row in connection.execute(select(TOKENS))} == {"new"}


def test_a_view_waits_too(older: Engine, maria: MariaDatabase) -> None:
    """It could be replaced amid a transaction, and was then read by the plan for the former one."""
    maria.run("CREATE TABLE stored (word int); CREATE VIEW notes AS SELECT word FROM stored")
    change = "CREATE OR REPLACE VIEW notes AS SELECT word, 'n' AS note FROM stored"
    with older.connect() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1
        with pytest.raises(pymysql.OperationalError, match="Lock wait timeout"):
            maria.run(f"SET lock_wait_timeout = 1; {change}")
        connection.rollback()
        maria.run(f"{change}; INSERT INTO stored VALUES (1)")
        assert connection.execute(select(NOTES)).all() == [("n",)]


@pytest.mark.parametrize(
    ("script", "later"),
    [
        (
            "CREATE TABLE log (a int); CREATE FUNCTION noted() RETURNS int MODIFIES SQL DATA "
            "BEGIN INSERT INTO log VALUES (1); RETURN 1; END;"
            "CREATE VIEW notes AS SELECT noted() AS note",
            "SELECT 1",
        ),
        (
            "CREATE OR REPLACE USER gone; GRANT ALL ON *.* TO gone; CREATE TABLE kept (note int);"
            "CREATE DEFINER = gone VIEW notes AS SELECT note FROM kept",
            "DROP USER gone",
        ),
    ],
    ids=["writes", "nobody's"],
)
def test_a_view_that_cannot_be_locked_keeps_nobody_from_the_tables(
    older: Engine, maria: MariaDatabase, script: str, later: str
) -> None:
    """One that does more than read, or whose definer is gone, did."""
    maria.run(script)
    with older.connect() as connection:
        assert len(connection.execute(select(TOKENS)).all()) == 3
        connection.rollback()
        maria.run(later)
        for _ in range(2):
            assert len(connection.execute(select(TOKENS)).all()) == 3
            with pytest.raises((SQLAlchemyError, WriteRefusedError)):
                connection.execute(select(NOTES)).all()
            connection.rollback()


def test_a_statement_that_is_cancelled_while_it_waits(older: Engine, maria: MariaDatabase) -> None:
    """It was tried again, and then told as a schema that keeps changing."""
    with older.connect() as connection, maria.server.connect(maria.name) as other:
        connection.exec_driver_sql("SET lock_wait_timeout = 1")
        connection.rollback()
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLES tokens WRITE")
            with pytest.raises(SQLAlchemyError, match="Lock wait timeout"):
                connection.execute(select(TOKENS))
            cursor.execute("UNLOCK TABLES")
        connection.rollback()
        assert len(connection.execute(select(TOKENS)).all()) == 3


def test_savepoints(older: Engine, maria: MariaDatabase) -> None:
    """Give up no lock that keeps the plan right."""
    with older.connect() as connection, connection.begin():
        for _ in range(2):
            nested = connection.begin_nested()
            connection.execute(select(TOKENS)).all()
            nested.rollback()
            with pytest.raises(pymysql.OperationalError, match="Lock wait timeout"):
                maria.run(f"SET lock_wait_timeout = 1; {MIGRATE}")
            with connection.begin_nested():
                assert len(connection.execute(select(TOKENS)).all()) == 3


def test_autocommit_reads_what_is_there_now(older: Engine, maria: MariaDatabase) -> None:
    """Each statement is a transaction, and holds nobody up after it."""
    with older.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        assert len(connection.execute(select(TOKENS)).all()) == 3
        maria.run(f"INSERT INTO tokens VALUES (4, 'x'); {MIGRATE}")
        assert {row.grp for row in connection.execute(select(TOKENS))} == {"new"}


def test_a_pooled_connection_that_goes_on(older: Engine, maria: MariaDatabase) -> None:
    """A statement that fails leaves the transaction as it is."""
    with older.connect() as connection:
        for _ in range(2):
            with pytest.raises(SQLAlchemyError):
                connection.exec_driver_sql("SELECT nothing FROM tokens")
            assert connection.execute(select(TOKENS.c.grp)).all() == [(None,)] * 3


def test_a_current_database_that_stops_being_one(maria: MariaDatabase, engine: Engine) -> None:
    """Is noticed when the next connection is made."""
    maria.run(f"{OLD}; {MIGRATE}")
    with attach(engine, METADATA):
        with engine.begin() as connection:
            connection.execute(TOKENS.insert(), {"token_id": 9})
        maria.run("ALTER TABLE tokens DROP COLUMN grp")
        engine.dispose()
        with engine.connect() as connection:
            assert len(connection.execute(select(TOKENS)).all()) == 4
