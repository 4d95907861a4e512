"""Each transaction on a degraded database is checked against the catalogue, and sees one moment."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, LiteralString

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from structlog.testing import capture_logs

from landscape_compat import AttachError, SourceChangedError, UnreadableError, attach
from landscape_compat.engine.servers import SERVERS
from support.postgres import OWNER, PostgresDatabase

from .conftest import METADATA, MIGRATE, OLD, TOKENS


@pytest.fixture(params=[False, True], ids=["alone", "beside another"])
def somebody_listens(request: pytest.FixtureRequest, engine: Engine) -> None:
    """Have another listener on the dialect, or none: it decides where ours is."""
    if request.param:
        sa.event.listen(engine, "do_execute", lambda *_: None)


@contextmanager
def watching(connection: Connection, on_statement: Callable[[str], object]) -> Iterator[None]:
    """Be told of each statement that is about to be sent, also by a cursor of the driver's."""
    raw: Any = connection.connection.dbapi_connection
    base: Any = type(raw.cursor())

    class Watched(base):  # type: ignore[misc]
        def execute(self, query: Any, *arguments: Any, **keywords: Any) -> Any:
            on_statement(str(query))
            return super().execute(query, *arguments, **keywords)

    usual, raw.cursor_factory = raw.cursor_factory, Watched
    yield
    raw.cursor_factory = usual


def test_a_transaction_sees_one_moment(postgres: PostgresDatabase, engine: Engine) -> None:
    """What is committed meanwhile is seen by the next one."""
    postgres.run(OLD)
    count = sa.text("SELECT count(*) FROM tokens")
    with attach(engine, METADATA), engine.connect() as connection:
        assert connection.execute(count).scalar() == 1
        postgres.run("INSERT INTO tokens VALUES (2)")
        assert connection.execute(count).scalar() == 1
        connection.rollback()
        assert connection.execute(count).scalar() == 2


def test_a_migration_is_seen_by_the_next_transaction(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """The new column's values are not hidden; and the next connection may write again."""
    postgres.run(OLD)
    with attach(engine, METADATA):
        with engine.connect() as connection:
            assert connection.execute(select(TOKENS)).all() == [(1, None)]
            connection.commit()
            postgres.run(MIGRATE)
            assert connection.execute(select(TOKENS)).all() == [(1, "new")]
            connection.rollback()
            assert connection.execute(select(TOKENS)).all() == [(1, "new")]
        with engine.begin() as connection:
            connection.execute(TOKENS.update().values(grp="written"))
            assert connection.execute(select(TOKENS.c.grp)).scalar() == "written"


def test_a_column_that_is_lost_meanwhile_is_seen(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """By a connection that reads; also where a table is dropped whole."""
    postgres.run(OLD + "; ALTER TABLE tokens ADD COLUMN other text")
    metadata = sa.MetaData()
    sa.Table("missing", metadata, sa.Column("a", sa.Integer))
    tokens = sa.Table(
        "tokens", metadata, sa.Column("token_id", sa.Integer), sa.Column("other", sa.Text)
    )
    with attach(engine, metadata), engine.connect() as connection:
        assert connection.execute(select(tokens)).all() == [(1, None)]
        connection.rollback()
        postgres.run("ALTER TABLE tokens DROP COLUMN other")
        assert connection.execute(select(tokens)).all() == [(1, None)]
        connection.rollback()
        postgres.run("DROP TABLE tokens; CREATE TABLE missing (b int)")
        assert connection.execute(select(tokens)).all() == []
        connection.rollback()
        postgres.run("DROP TABLE missing; " + OLD)
        assert connection.execute(select(tokens)).all() == [(1, None)]


def test_no_migration_can_come_between(postgres: PostgresDatabase, engine: Engine) -> None:
    """The tables are locked against it before the catalogue is compared, until the end."""
    postgres.run(OLD)
    done = threading.Event()

    def migrate() -> None:
        with postgres.server.connect(postgres.name, OWNER) as connection:
            connection.execute(MIGRATE)
        done.set()

    with attach(engine, METADATA), engine.connect() as connection:
        # Only another table is read, so that it is our lock which holds the migration up.
        connection.execute(sa.text("SELECT 1"))
        with postgres.server.connect(postgres.name, OWNER) as other:
            other.execute("SET lock_timeout TO '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute(MIGRATE)
        migration = threading.Thread(target=migrate)
        migration.start()
        assert connection.execute(select(TOKENS)).all() == [(1, None)]
        assert not done.is_set()
        connection.rollback()
        migration.join()
        assert connection.execute(select(TOKENS)).all() == [(1, "new")]


def test_another_search_path_is_another_database(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """Set in the middle of a transaction, it never leads to another tenant's rows."""
    postgres.run(OLD)
    with postgres.server.connect(postgres.name) as connection:
        connection.execute(f"CREATE SCHEMA tenant AUTHORIZATION {OWNER}")
    postgres.run("CREATE TABLE tenant.tokens (token_id int, grp text)")
    postgres.run("INSERT INTO tenant.tokens VALUES (7, 'tenant')")
    with attach(engine, METADATA), engine.connect() as read:
        for setting in (
            "SET LOCAL search_path TO tenant",
            "SELECT set_config('search_path', 'tenant', true)",
        ):
            # First in a transaction, and after something was read.
            read.execute(sa.text(setting))
            assert read.execute(select(TOKENS)).all() == [(7, "tenant")]
            read.rollback()
            assert read.execute(select(TOKENS)).all() == [(1, None)]
            read.execute(sa.text(setting))
            assert read.execute(select(TOKENS)).all() == [(7, "tenant")]
            read.execute(sa.text("SET LOCAL search_path TO public"))
            assert read.execute(select(TOKENS)).all() == [(1, None)]
            read.rollback()


def test_a_search_path_in_another_order_is_another_database(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """Though all that it leads to is the same."""
    postgres.run(OLD)
    with postgres.server.connect(postgres.name) as connection:
        connection.execute(f"CREATE SCHEMA tenant AUTHORIZATION {OWNER}")
    postgres.run("CREATE TABLE tenant.tokens (token_id int); INSERT INTO tenant.tokens VALUES (7)")
    with attach(engine, METADATA), engine.connect() as read:
        for path, number in (("public, tenant", 1), ("tenant, public", 7), ("public, tenant", 1)):
            read.execute(sa.text(f"SET LOCAL search_path TO {path}"))
            assert read.execute(select(TOKENS)).all() == [(number, None)]


def test_a_search_path_that_the_program_sets_on_connecting(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """By a listener that was there before: what is looked at is what it leads to."""
    postgres.run("CREATE TABLE tokens (token_id int PRIMARY KEY, grp text)")
    with postgres.server.connect(postgres.name) as connection:
        connection.execute(f"CREATE SCHEMA tenant AUTHORIZATION {OWNER}")
    postgres.run("CREATE TABLE tenant.tokens (token_id int); INSERT INTO tenant.tokens VALUES (7)")

    def lead(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("SET search_path TO tenant")
        connection.commit()
        cursor.close()

    sa.event.listen(engine, "connect", lead)
    with attach(engine, METADATA) as attachment, engine.connect() as read:
        assert read.execute(select(TOKENS)).all() == [(7, None)]
        assert attachment.report().degraded


def test_savepoints_are_of_the_same_transaction(postgres: PostgresDatabase, engine: Engine) -> None:
    """Also where a savepoint is the first thing that is asked for."""
    postgres.run(OLD)
    with attach(engine, METADATA), engine.connect() as connection:
        with connection.begin_nested():
            assert connection.execute(select(TOKENS)).all() == [(1, None)]
            postgres.run("INSERT INTO tokens VALUES (2)")
        nested = connection.begin_nested()
        with pytest.raises(sa.exc.ProgrammingError):
            connection.execute(sa.text("SELECT nothing"))
        nested.rollback()
        assert connection.execute(select(TOKENS)).all() == [(1, None)]


@pytest.mark.parametrize("how", ["engine", "connection", "create_engine"])
def test_autocommit_sees_each_moment(postgres: PostgresDatabase, engine: Engine, how: str) -> None:
    """As it does without the shim; and it reads only all the same."""
    postgres.run(OLD)
    level: Any = "AUTOCOMMIT"
    made = None
    if how == "create_engine":
        made = engine = sa.create_engine(engine.url, isolation_level=level)
    with attach(engine, METADATA):
        used = engine.execution_options(isolation_level=level) if how == "engine" else engine
        with used.connect() as connection:
            if how == "connection":
                connection.execution_options(isolation_level=level)
            for number in (2, 3, 4):
                postgres.run(f"INSERT INTO tokens VALUES ({number})")
                assert len(connection.execute(select(TOKENS.c.token_id)).all()) == number
            postgres.run(MIGRATE)
            assert connection.execute(select(TOKENS.c.grp)).scalar() == "new"
            connection.commit()
            assert connection.execute(select(TOKENS.c.grp)).scalar() == "new"
        with engine.connect() as connection:
            assert connection.execute(select(TOKENS.c.grp)).scalar() == "new"
    if made is not None:
        made.dispose()


def test_nothing_is_set_in_the_session(postgres: PostgresDatabase, engine: Engine) -> None:
    """A pool of the server's, which hands sessions on, hands nothing of ours on."""
    postgres.run(OLD)
    with attach(engine, METADATA), engine.connect() as connection:
        connection.execute(select(TOKENS))
        for name in ("default_transaction_read_only", "default_transaction_isolation"):
            changed = f"SELECT source FROM pg_settings WHERE name = '{name}'"
            assert connection.exec_driver_sql(changed).scalar() == "default"


@pytest.mark.usefixtures("somebody_listens")
def test_a_lost_connection_is_told_as_sqlalchemy_tells_it(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """So that programs which then try again, do."""
    postgres.run(OLD)
    with attach(engine, METADATA):
        with engine.connect() as connection:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with postgres.server.connect("postgres") as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        with engine.connect() as connection, pytest.raises(OperationalError) as lost:
            connection.execute(select(TOKENS))
        assert lost.value.connection_invalidated
        with engine.connect() as connection:
            assert connection.execute(select(TOKENS)).all() == [(1, None)]


@pytest.mark.usefixtures("somebody_listens")
@pytest.mark.parametrize("timeout", ["lock_timeout", "statement_timeout"])
def test_a_table_that_stays_locked_is_told_of_once(
    postgres: PostgresDatabase, engine: Engine, timeout: str
) -> None:
    """It was waited for five times, and then told as a schema that keeps changing."""
    postgres.run(OLD)
    postgres.set(timeout, "200ms")
    sent: list[str] = []
    with (
        attach(engine, METADATA),
        engine.connect() as connection,
        postgres.server.connect(postgres.name, OWNER) as other,
        capture_logs() as logs,
    ):
        assert connection.execute(select(TOKENS)).all() == [(1, None)]
        connection.rollback()
        with other.transaction():
            other.execute("LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE")
            with (
                watching(connection, sent.append),
                pytest.raises(OperationalError, match="timeout") as caught,
            ):
                connection.execute(select(TOKENS))
        assert not caught.value.connection_invalidated
        assert len(sent) == 1
        connection.rollback()
        assert connection.execute(select(TOKENS)).all() == [(1, None)]
    assert [log for log in logs if log["event"] == "landscape_compat.source_changed"] == []


@pytest.fixture
def tenants(postgres: PostgresDatabase) -> PostgresDatabase:
    """Have tables of one name in two schemas."""
    postgres.run(OLD)
    with postgres.server.connect(postgres.name) as admin:
        admin.execute(
            f"""CREATE SCHEMA tenant AUTHORIZATION {OWNER}; SET ROLE {OWNER};
            CREATE TABLE tenant.tokens (token_id int PRIMARY KEY);
            INSERT INTO tenant.tokens VALUES (7)""".encode()
        )
    return postgres


@pytest.mark.usefixtures("somebody_listens")
@pytest.mark.parametrize("way", ["statement", "function", "cursor"])
def test_what_was_set_in_the_transaction_stays(
    tenants: PostgresDatabase, engine: Engine, way: str
) -> None:
    """The rows of another tenant were given: the check had rolled back what a listener set."""

    def begin(connection: Connection) -> None:
        if way == "cursor":
            raw: Any = connection.connection.dbapi_connection
            raw.cursor().execute("SET LOCAL search_path TO tenant")
        elif way == "function":
            connection.exec_driver_sql("SELECT set_config('search_path', 'tenant', true)")
        else:
            connection.exec_driver_sql("SET LOCAL search_path TO tenant")

    with attach(engine, METADATA), engine.connect() as connection:
        assert connection.execute(select(TOKENS)).all() == [(1, None)]
        connection.rollback()
        sa.event.listen(engine, "begin", begin)
        for _ in range(2):
            assert connection.execute(select(TOKENS)).all() == [(7, None)]
            connection.rollback()
        tenants.run("ALTER TABLE tenant.tokens ADD COLUMN grp text DEFAULT 'new'")
        assert connection.execute(select(TOKENS)).all() == [(7, "new")]


def test_what_was_set_stays_where_each_statement_is_committed(
    tenants: PostgresDatabase, engine: Engine
) -> None:
    """The rows of another tenant were given: what a statement set was rolled back behind it."""
    alone = engine.execution_options(isolation_level="AUTOCOMMIT")
    with attach(engine, METADATA), alone.connect() as connection:
        assert connection.execute(select(TOKENS)).all() == [(1, None)]
        connection.exec_driver_sql("SET search_path TO tenant")
        for _ in range(2):
            assert connection.execute(select(TOKENS)).all() == [(7, None)]
        raw: Any = connection.connection.dbapi_connection
        raw.cursor().execute("SET search_path TO public")
        assert connection.execute(select(TOKENS)).all() == [(1, None)]


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_transaction_that_the_driver_was_told_to_end(
    postgres: PostgresDatabase, engine: Engine, end: str
) -> None:
    """What comes after it is another, which was read by the plan of the first."""
    postgres.run(OLD)
    with attach(engine, METADATA), engine.connect() as connection:
        assert connection.execute(select(TOKENS)).all() == [(1, None)]
        getattr(connection.connection, end)()
        postgres.run(MIGRATE)
        assert connection.execute(select(TOKENS)).all() == [(1, "new")]


def test_a_view_stays_as_it_is_until_the_transaction_ends(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """It could be replaced amid it, and was then read by the plan for the former one."""
    postgres.run(
        """CREATE TABLE stored (token_id int, grp text);
        CREATE VIEW tokens AS SELECT token_id FROM stored"""
    )
    postgres.set("lock_timeout", "100ms")
    with attach(engine, METADATA), engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1
        with pytest.raises(psycopg.errors.LockNotAvailable):
            postgres.run("CREATE OR REPLACE VIEW tokens AS SELECT token_id, grp FROM stored")
        connection.rollback()
        postgres.run("CREATE OR REPLACE VIEW tokens AS SELECT token_id, grp FROM stored")
        assert connection.execute(select(TOKENS)).all() == []


@pytest.mark.parametrize("sets", [False, True])
def test_a_view_that_its_owner_may_not_read_keeps_nobody_from_the_tables(
    postgres: PostgresDatabase, engine: Engine, *, sets: bool
) -> None:
    """It cannot be locked, and each statement failed for that."""
    postgres.run(OLD)
    with postgres.server.connect(postgres.name) as admin:
        admin.execute(
            f"""CREATE TABLE secret (word int); CREATE VIEW notes AS SELECT word FROM secret;
            ALTER VIEW notes OWNER TO {OWNER};
            CREATE MATERIALIZED VIEW kept AS SELECT 1 AS word;
            ALTER MATERIALIZED VIEW kept OWNER TO {OWNER}""".encode()
        )
    metadata = sa.MetaData()
    TOKENS.to_metadata(metadata)
    views = [sa.Table(name, metadata, sa.Column("word", sa.Integer)) for name in ("notes", "kept")]
    if sets:
        sa.event.listen(engine, "begin", lambda c: c.exec_driver_sql("SET LOCAL work_mem = '1MB'"))
    with attach(engine, metadata), engine.connect() as connection:
        for _ in range(2):
            assert connection.execute(select(TOKENS)).all() == [(1, None)]
            assert connection.execute(select(views[1])).all() == [(1,)]
            with pytest.raises(ProgrammingError, match="denied"):
                connection.execute(select(views[0]))
            connection.rollback()


@pytest.mark.usefixtures("somebody_listens")
@pytest.mark.parametrize("change", ["DROP TABLE other", "REVOKE ALL ON other FROM PUBLIC, owner"])
@pytest.mark.parametrize("way", ["cursor", "statement"])
def test_what_is_lost_between_transactions_that_begin_with_a_setting(
    postgres: PostgresDatabase, engine: Engine, change: LiteralString, way: str
) -> None:
    """Every transaction failed, of all tables, as long as the pool lived."""
    postgres.run(OLD + "; CREATE TABLE other (a int)")
    metadata = sa.MetaData()
    TOKENS.to_metadata(metadata)
    sa.Table("other", metadata, sa.Column("a", sa.Integer))

    def begin(connection: Connection) -> None:
        if way == "statement":
            connection.exec_driver_sql("SET LOCAL work_mem = '1MB'")
        else:
            raw: Any = connection.connection.dbapi_connection
            raw.cursor().execute("SET LOCAL work_mem = '1MB'")

    sa.event.listen(engine, "begin", begin)
    with attach(engine, metadata), engine.connect() as connection:
        for deed in (None, change, None):
            if deed is not None:
                postgres.run(deed)
            assert connection.execute(select(TOKENS)).all() == [(1, None)]
            assert connection.scalar(sa.text("SHOW work_mem")) == "1MB"
            connection.rollback()


@pytest.mark.usefixtures("somebody_listens")
@pytest.mark.parametrize(
    "rewrites",
    [
        "ALTER TABLE tokens ALTER COLUMN token_id TYPE bigint",
        "CREATE TABLE made AS TABLE tokens; DROP TABLE tokens; ALTER TABLE made RENAME TO tokens",
        "TRUNCATE tokens; INSERT INTO tokens VALUES (1)",
    ],
)
def test_a_table_made_anew_behind_a_setting_was_shown_as_empty(
    postgres: PostgresDatabase, engine: Engine, rewrites: LiteralString
) -> None:
    """Where another table is lost, too: what was locked is looked at again, in the snapshot."""
    postgres.run(OLD + "; CREATE TABLE other (a int)")
    metadata = sa.MetaData()
    TOKENS.to_metadata(metadata)
    sa.Table("other", metadata, sa.Column("a", sa.Integer))
    begun: list[str] = []

    def on_statement(text: str) -> None:
        if text.startswith("SAVEPOINT"):
            begun.append(text)
            if len(begun) == 2:
                postgres.run(rewrites)

    with attach(engine, metadata), engine.connect() as connection:
        assert connection.execute(select(TOKENS)).all() == [(1, None)]
        connection.rollback()
        postgres.run("DROP TABLE other")
        connection.exec_driver_sql("SET LOCAL work_mem = '1MB'")
        refused = pytest.raises(SourceChangedError, match="made anew")
        with watching(connection, on_statement), refused:
            connection.execute(select(TOKENS))
        connection.rollback()
        assert connection.execute(select(TOKENS)).all() == [(1, None)]
    assert len(begun) == 2


def test_a_refusal_holds_nobody_up_where_each_statement_is_committed(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """It left a transaction open, with a lock on every table."""
    postgres.run("CREATE TABLE tokens (grp text)")
    postgres.set("lock_timeout", "200ms")
    alone = engine.execution_options(isolation_level="AUTOCOMMIT")
    with attach(engine, METADATA), alone.connect() as connection:
        with pytest.raises(UnreadableError, match="primary key"):
            connection.execute(select(TOKENS))
        postgres.run("ALTER TABLE tokens ADD COLUMN token_id int")
        assert connection.execute(select(TOKENS)).all() == []


def test_a_session_in_which_a_backslash_escapes_is_not_read_degraded(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """A table behind such a string was read as it is stored."""
    postgres.run(OLD)
    postgres.set("standard_conforming_strings", "off")
    with attach(engine, METADATA), pytest.raises(AttachError, match="standard_conforming") as told:
        engine.connect()
    assert told.tb  # which would keep the connection
    with postgres.server.connect("postgres") as admin:
        # None is left to whoever collects garbage.
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        for _ in range(100):
            left = admin.execute(asked, (postgres.name,)).fetchone()
            if left == (0,):
                break
            time.sleep(0.02)
        assert left == (0,)
    postgres.run(MIGRATE)
    with attach(engine, METADATA), engine.connect() as connection:
        assert connection.scalar(select(TOKENS.c.grp)) == "new"


@pytest.mark.usefixtures("somebody_listens")
def test_a_schema_that_changes_before_each_look_is_given_up(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    postgres.run(OLD)
    names = iter(range(99))

    def meddle(statement: str) -> None:
        if statement.startswith("LOCK TABLE"):
            with postgres.server.connect(postgres.name, OWNER) as other:
                other.execute(f"ALTER TABLE tokens ADD c{next(names)} int".encode())

    with attach(engine, METADATA), engine.connect() as connection:
        assert connection.execute(select(TOKENS)).all() == [(1, None)]
        connection.rollback()
        with (
            watching(connection, meddle),
            pytest.raises(SourceChangedError, match="keeps changing"),
        ):
            connection.execute(select(TOKENS))
        connection.rollback()
        assert connection.execute(select(TOKENS)).all() == [(1, None)]
    assert next(names) == 5


@pytest.mark.usefixtures("somebody_listens")
def test_a_connection_lost_while_it_is_looked_at_again(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """Is told as SQLAlchemy tells it, too."""
    postgres.run(OLD)

    def end(statement: str) -> None:
        if "transaction_isolation" in statement:
            with postgres.server.connect("postgres") as admin:
                admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    with attach(engine, METADATA), engine.connect() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        connection.rollback()
        postgres.run("DROP TABLE tokens")
        with watching(connection, end), pytest.raises(OperationalError) as lost:
            connection.execute(select(TOKENS))
        assert lost.value.connection_invalidated


@pytest.mark.usefixtures("somebody_listens")
def test_a_connection_lost_in_a_transaction_of_the_drivers(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """Was told in the driver's words alone by SQLAlchemy 2.0, so no program tried again."""
    postgres.run(OLD)
    engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    with attach(engine, METADATA), engine.connect() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        raw: Any = connection.connection.dbapi_connection
        raw.cursor().execute("BEGIN")
        with postgres.server.connect("postgres") as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        with pytest.raises(DBAPIError) as lost:
            connection.execute(select(TOKENS))
        assert lost.value.connection_invalidated


def test_whether_a_driver_is_in_a_transaction_may_not_be_known() -> None:
    """One that names it otherwise is not taken for one that is in none."""
    with closing(sqlite3.connect(":memory:")) as other:
        assert SERVERS["postgresql"].is_running(other) is None


def test_a_connection_that_was_lost_and_cannot_be_made_anew(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """What keeps it from being made is told, and it is tried once."""
    postgres.run(OLD)
    tries: list[Any] = []
    sa.event.listen(engine, "do_connect", lambda *given: tries.append(given))
    with attach(engine, METADATA), engine.connect() as connection:
        assert connection.execute(select(TOKENS)).all() == [(1, None)]
        connection.invalidate()
        connection.rollback()
        with postgres.server.connect("postgres") as admin:
            admin.execute(f"ALTER DATABASE {postgres.name} ALLOW_CONNECTIONS false".encode())
        with pytest.raises(OperationalError, match="not currently accepting connections"):
            connection.execute(select(TOKENS))
        assert len(tries) == 2
        with pytest.raises(OperationalError, match="not currently accepting connections"):
            engine.connect()


@pytest.mark.usefixtures("somebody_listens")
def test_the_check_is_two_statements_a_transaction(
    postgres: PostgresDatabase, engine: Engine
) -> None:
    """A lock and a question; nothing for the statements after it."""
    postgres.run(OLD)
    sent: list[str] = []
    with (
        attach(engine, METADATA),
        engine.connect() as connection,
        watching(connection, sent.append),
    ):
        for _ in range(5):
            connection.execute(select(TOKENS))
    assert len(sent) == 7
    assert sent[0].startswith("LOCK TABLE ONLY")
    assert "transaction_isolation" in sent[1]
