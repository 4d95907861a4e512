"""Every statement of a degraded engine is rewritten, at the dialect, whoever else listens there."""

from __future__ import annotations

import asyncio
import gc
import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Engine,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import OperationalError, ProgrammingError, StatementError
from structlog.testing import capture_logs

from landscape_compat.engine.attach import attach, detach
from landscape_compat.errors import (
    AttachError,
    OpeningRefusedError,
    SourceChangedError,
    UnreadableError,
    WriteRefusedError,
)
from support.untouched import untouched
from support.wal import left_alone, make_database, writing

METADATA = MetaData()
TOKENS = Table(
    "tokens",
    METADATA,
    Column("token_id", String(64), primary_key=True),
    Column("expand_group_id", String(32)),
)
OLD = """
    CREATE TABLE tokens (token_id VARCHAR(64) NOT NULL PRIMARY KEY);
    INSERT INTO tokens VALUES ('t1'), ('t2');
"""
READ = select(TOKENS).order_by(TOKENS.c.token_id)
PROJECTED = [("t1", None), ("t2", None)]
_PRELUDE = "WITH tokens AS NOT MATERIALIZED"

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    run_script(folder / "old.db", OLD)
    return folder / "old.db"


@pytest.fixture
def engine(old: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{old}")
    yield engine
    engine.dispose()


def run_script(path: Path, script: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()


def read(engine: Engine, statement: Any = READ) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(statement)]


def test_no_statement_pays_for_a_listener_on_connections(old: Path, engine: Engine) -> None:
    """SQLAlchemy's flag that slows every statement of an engine, for good, is never set."""
    attach(engine, METADATA)
    with untouched(old):
        assert read(engine) == PROJECTED
        assert not engine._has_events
        engine.dispose()


def test_all_ways_to_execute_are_rewritten(old: Path, engine: Engine) -> None:
    """With parameters, without, and with percent signs of the statement's own."""
    attach(engine, METADATA)
    with untouched(old):
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT expand_group_id FROM tokens").all()
            bare = connection.execution_options(no_parameters=True)
            sql = "SELECT token_id, expand_group_id FROM tokens WHERE token_id LIKE 't%' ORDER BY 1"
            assert [tuple(row) for row in bare.exec_driver_sql(sql)] == PROJECTED
        engine.dispose()


def test_writes_of_many_rows_are_refused(old: Path, engine: Engine) -> None:
    """By the driver's executemany, and by SQLAlchemy's batches of VALUES."""
    attach(engine, METADATA)
    rows = [{"token_id": f"n{number}"} for number in range(3)]
    with untouched(old):
        with engine.connect() as connection:
            for statement in (insert(TOKENS), insert(TOKENS).returning(TOKENS.c.token_id)):
                with pytest.raises(WriteRefusedError):
                    connection.execute(statement, rows)
        engine.dispose()


def test_what_is_read_for_many_parameters_is_rewritten(old: Path, engine: Engine) -> None:
    """SQLite's driver refuses to read so; who executes it for himself gets the rewritten text."""
    attach(engine, METADATA)
    each = text("SELECT expand_group_id FROM tokens WHERE token_id = :id")
    seen: list[str] = []

    def execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        seen.append(statement)
        for one in parameters:
            cursor.execute(statement, one)
        return True

    with untouched(old):
        with engine.connect() as connection:
            with pytest.raises(ProgrammingError, match="executemany"):
                connection.execute(each, [{"id": "t1"}, {"id": "t2"}])
            event.listen(engine, "do_executemany", lambda _, statement, *__: seen.append(statement))
            event.listen(engine, "do_executemany", execute)
            connection.execute(each, [{"id": "t1"}, {"id": "t2"}])
        engine.dispose()
    assert [statement.startswith(_PRELUDE) for statement in seen] == [True, True]


def test_many_rows_are_written_to_a_database_that_was_migrated(old: Path, engine: Engine) -> None:
    attach(engine, METADATA)
    assert read(engine) == PROJECTED
    run_script(old, "ALTER TABLE tokens ADD COLUMN expand_group_id VARCHAR(32)")
    assert read(engine) == PROJECTED
    with engine.begin() as connection:
        connection.execute(insert(TOKENS), [{"token_id": "t3"}, {"token_id": "t4"}])
    assert read(engine) == [*PROJECTED, ("t3", None), ("t4", None)]


class _Asking(SQLiteDialect_pysqlite):
    """A dialect of the program's own, which asks the database before any connection is pooled."""

    supports_statement_cache = True
    found: Sequence[Any] = ()

    def initialize(self, connection: Any) -> None:
        super().initialize(connection)
        self.found = connection.exec_driver_sql("SELECT * FROM tokens ORDER BY 1").all()


def test_a_dialect_that_asks_the_database_itself(engine: Engine) -> None:
    """It sees what is stored: there is no transaction yet that a plan could be for."""
    dialect: Any = engine.dialect
    dialect.__class__ = _Asking
    attach(engine, METADATA)
    assert read(engine) == PROJECTED
    assert dialect.found == [("t1",), ("t2",)]


def test_a_connection_that_was_lost_and_cannot_be_made_anew(old: Path, engine: Engine) -> None:
    """What keeps it from being made is told, by SQLAlchemy's error around it; it is tried once."""
    tries: list[Any] = []
    event.listen(engine, "do_connect", lambda *given: tries.append(given))
    attach(engine, METADATA)
    with engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(READ)] == PROJECTED
        connection.invalidate()
        connection.rollback()
        old.with_name("second.db").hardlink_to(old)
        with pytest.raises(StatementError, match="has several names") as lost:
            connection.execute(READ)
        assert isinstance(lost.value.orig, OpeningRefusedError)
        assert len(tries) == 2
        old.with_name("second.db").unlink()
        assert [tuple(row) for row in connection.execute(READ)] == PROJECTED


def test_a_listener_that_only_watches_before_us(engine: Engine) -> None:
    """Who listened to the dialect before gets the statement as written, and we still rewrite."""
    seen: list[str] = []
    event.listen(engine, "do_execute", lambda _, statement, *__: seen.append(statement))
    attach(engine, METADATA)
    assert read(engine) == PROJECTED
    assert any("expand_group_id" in statement for statement in seen)
    detach(engine)
    with pytest.raises(OperationalError):
        read(engine)


def test_a_listener_that_executes_before_us(engine: Engine) -> None:
    """Who executes by himself, before we would see it, is given the rewritten text."""

    @event.listens_for(engine, "do_execute")
    def execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        cursor.execute(statement + " -- mine", parameters)
        return True

    attach(engine, METADATA)
    assert read(engine) == PROJECTED
    with pytest.raises(WriteRefusedError), engine.begin() as connection:
        connection.execute(TOKENS.delete())


@pytest.mark.parametrize("handles", [True, False])
def test_a_listener_after_us_is_still_asked(engine: Engine, handles: bool) -> None:
    """Saying that we executed would keep it from ever being called."""
    seen: list[str] = []
    attach(engine, METADATA)
    assert read(engine) == PROJECTED

    def watch(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        seen.append(statement)
        if handles:
            cursor.execute(statement, parameters)
        return handles

    def watch_bare(cursor: Any, statement: str, context: Any) -> bool:
        return watch(cursor, statement, (), context)

    event.listen(engine, "do_execute", watch)
    event.listen(engine, "do_execute_no_params", watch_bare)
    assert read(engine) == PROJECTED
    with engine.connect() as connection:
        bare = connection.execution_options(no_parameters=True)
        bare.exec_driver_sql("SELECT expand_group_id FROM tokens").all()
    assert [statement.startswith(_PRELUDE) for statement in seen] == [True, True]


def test_programs_see_the_statement_as_they_wrote_it(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """The log, listeners of others and errors show the program's statement."""
    seen: list[str] = []
    attach(engine, METADATA)
    read(engine)
    event.listen(engine, "after_cursor_execute", lambda *got: seen.append(got[2]))
    with caplog.at_level(logging.INFO, logger="sqlalchemy.engine"):
        engine.echo = True
        assert read(engine) == PROJECTED
    engine.echo = False
    assert seen[0].startswith("SELECT")
    assert any(record.getMessage().startswith("SELECT tokens") for record in caplog.records)
    assert not any("MATERIALIZED" in record.getMessage() for record in caplog.records)


def test_questions_about_the_connection_can_be_answered(engine: Engine) -> None:
    """Pragmas and the control of transactions, by who attached; nothing that reads a table."""
    asked: list[str] = []

    def answer(statement: str, connection: Any) -> str | None:
        asked.append(statement)
        return "SELECT 'wal'" if "journal_mode" in statement else None

    attach(engine, METADATA).answer_by(answer)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA query_only").scalar_one() == 1
        assert [tuple(row) for row in connection.execute(READ)] == PROJECTED
    assert asked == ["PRAGMA journal_mode", "PRAGMA query_only"]
    assert not engine._has_events


def test_errors_are_wrapped_as_without_us(engine: Engine) -> None:
    """A database's error is SQLAlchemy's, with the program's statement; ours stays ours."""
    attach(engine, METADATA)
    with engine.connect() as connection:
        sql = "SELECT missing FROM tokens"
        with pytest.raises(OperationalError, match="no such column: missing") as caught:
            connection.execute(text(sql))
        assert caught.value.statement == sql
        with pytest.raises(UnreadableError):
            connection.execute(text("SELECT 1 FROM tokens; SELECT 2"))
        assert [tuple(row) for row in connection.execute(READ)] == PROJECTED


def test_what_fails_on_connecting_and_is_no_refusal_is_told_as_it_is(
    old: Path, engine: Engine
) -> None:
    """A listener of the program's own may ask for what no version has."""

    def ask(connection: sqlite3.Connection, _: Any) -> None:
        connection.execute("SELECT 1 FROM elsewhere")

    attach(engine, METADATA)
    event.listen(engine, "connect", ask)
    with untouched(old):
        for _ in range(2):
            with pytest.raises(OperationalError, match="no such table: elsewhere"):
                engine.connect()
        event.remove(engine, "connect", ask)
        assert read(engine) == PROJECTED
        engine.dispose()


def test_two_engines_of_one_dialect(old: Path, tmp_path: Path, engine: Engine) -> None:
    """What is rewritten is decided by the connection, not by the dialect it shares."""
    run_script(tmp_path / "other.db", OLD)
    other = create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    other.dialect = engine.dialect
    attach(engine, METADATA)
    assert read(engine) == PROJECTED
    with pytest.raises(OperationalError, match="no such column"):
        read(other)
    other.dispose()


def changes(logs: Sequence[Mapping[str, Any]], path: Path) -> list[str]:
    told = [log for log in logs if log["event"] == "landscape_compat.source_changed"]
    assert all(log["database"] == str(path) for log in told)
    return [log["what"] for log in told]


def test_a_transaction_ended_behind_sqlalchemy(old: Path, engine: Engine) -> None:
    """Committed at the driver, what follows is checked anew, and sees a migration."""
    attach(engine, METADATA)
    with capture_logs() as logs, engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(READ)] == PROJECTED
        connection.connection.commit()
        run_script(old, "ALTER TABLE tokens ADD COLUMN expand_group_id VARCHAR(32) DEFAULT 'real'")
        assert [tuple(row) for row in connection.execute(READ)] == [("t1", "real"), ("t2", "real")]
    assert changes(logs, old) == ["the schema was changed"]


@pytest.mark.parametrize("how", ["commit", "rollback", "close", "text"])
def test_a_torn_read_is_told_when_its_transaction_ends(old: Path, engine: Engine, how: str) -> None:
    """Read without locks, because nobody had it open, and written to before the last row."""
    run_script(old, "PRAGMA journal_mode=WAL")
    attach(engine, METADATA)
    assert read(engine) == PROJECTED
    connection = engine.connect()
    rows = connection.execute(READ)
    writer = sqlite3.connect(old)
    writer.execute("INSERT INTO tokens VALUES ('t3')")
    writer.commit()
    assert len(rows.all()) == 2
    ways: dict[str, Callable[[], Any]] = {
        "commit": connection.commit,
        "rollback": connection.rollback,
        "close": connection.close,
        "text": lambda: connection.exec_driver_sql("COMMIT"),
    }
    with (
        capture_logs() as logs,
        pytest.raises(SourceChangedError, match=r"was (changed|written to)"),
    ):
        ways[how]()
    connection.close()
    assert changes(logs, old) == ["the file was replaced or written to"]
    assert len(read(engine)) == 3
    writer.close()


def test_a_database_that_its_writer_left_half_written(tmp_path: Path) -> None:
    """A connection that could read it before says so, and the next reads what was committed."""
    path = tmp_path / "audit.db"
    make_database(path)
    engine = create_engine(f"sqlite:///{path}")
    half = Table("t", MetaData(), Column("word", String(9)), Column("gone", String(9)))
    attach(engine, half.metadata)
    question = select(half).distinct()
    assert read(engine, question) == [("old", None)]
    with writing(path) as writer:
        writer.run("PRAGMA cache_size = 5", "BEGIN", "UPDATE t SET word = 'torn'")
    with (
        left_alone(path),
        capture_logs() as logs,
        pytest.raises(SourceChangedError, match="left by its writer"),
    ):
        read(engine, question)
    assert changes(logs, path) == ["its writer left it in another state"]
    with left_alone(path):
        assert read(engine, question) == [("old", None)]
        engine.dispose()


def test_a_torn_read_of_an_async_engine(old: Path) -> None:
    """The asynchronous driver ends its transaction in a thread of its own."""
    from sqlalchemy.ext.asyncio import create_async_engine

    run_script(old, "PRAGMA journal_mode=WAL")

    async def work() -> int:
        engine = create_async_engine(f"sqlite+aiosqlite:///{old}")
        attach(engine, METADATA)
        async with engine.connect() as connection:
            assert len((await connection.execute(READ)).all()) == 2
            assert len((await connection.execute(READ)).all()) == 2
        assert not engine.sync_engine._has_events
        connection = await engine.connect()
        await connection.execute(READ)
        run_script(old, "INSERT INTO tokens VALUES ('t3')")
        with pytest.raises(SourceChangedError):
            await connection.close()
        await connection.close()
        async with engine.connect() as connection:
            count = len((await connection.execute(READ)).all())
        await engine.dispose()
        return count

    assert asyncio.run(work()) == 3


def test_a_current_database_that_degrades_under_a_pooled_connection(old: Path) -> None:
    """Nothing is paid to watch it; the first statement that trips over it says what happened."""
    run_script(old, "ALTER TABLE tokens ADD COLUMN expand_group_id VARCHAR(32) DEFAULT 'real'")
    engine = create_engine(f"sqlite:///{old}")
    attach(engine, METADATA)
    assert read(engine) == [("t1", "real"), ("t2", "real")]
    with pytest.raises(OperationalError, match="no such table"):
        read(engine, text("SELECT 1 FROM elsewhere"))
    run_script(old, "ALTER TABLE tokens DROP COLUMN expand_group_id")
    with capture_logs() as logs, pytest.raises(SourceChangedError, match="was current") as caught:
        read(engine)
    assert changes(logs, old) == ["the schema is no longer the declared one"]
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    with untouched(old):
        assert read(engine) == PROJECTED
        engine.dispose()


def test_an_unclosed_connection_goes_back_to_its_pool(engine: Engine) -> None:
    """What we remember of a transaction keeps nobody alive."""
    attach(engine, METADATA)
    connection = engine.connect()
    connection.execute(READ).all()
    assert engine.pool.checkedout() == 1  # type: ignore[attr-defined]
    del connection
    gc.collect()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_connection_class_of_the_programs_own(old: Path) -> None:
    """A class is kept, and what it does too; a function in its place is refused."""

    class Own(sqlite3.Connection):
        commits = 0

        def commit(self) -> None:
            type(self).commits += 1
            super().commit()

    engine = create_engine(f"sqlite:///{old}", connect_args={"factory": Own})
    attach(engine, METADATA)
    with engine.begin() as connection:
        raw: Any = connection.connection.dbapi_connection
        assert isinstance(raw, Own)
        assert [tuple(row) for row in connection.execute(READ)] == PROJECTED
    assert raw.commits == 1
    engine.dispose()
    engine = create_engine(f"sqlite:///{old}", connect_args={"factory": lambda *a, **k: Own(*a)})
    attach(engine, METADATA)
    with untouched(old), pytest.raises(AttachError, match="an option of the engine's own"):
        engine.connect()
    engine.dispose()
