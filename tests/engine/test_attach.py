"""An attached engine reads what an older database lacks, refuses to write to it, and lets go."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    column,
    create_engine,
    event,
    insert,
    inspect,
    select,
    table,
    text,
    update,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, registry
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from landscape_compat.engine import hooks, opening
from landscape_compat.engine.attach import attach, attachment_of, detach
from landscape_compat.engine.notices import REMEDY
from landscape_compat.engine.stamps import settle
from landscape_compat.errors import (
    AttachError,
    DegradedDatabaseError,
    DegradedReadWarning,
    OpeningRefusedError,
    SourceChangedError,
    UnreadableError,
    WriteRefusedError,
)
from landscape_compat.projection.rules import derived, mapped
from landscape_compat.schema.fingerprint import fingerprint_table
from landscape_compat.schema.known import KnownShape
from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape
from support.untouched import untouched
from support.wal import STATES, left_alone, make_state, writing

METADATA = MetaData()
ROWS = Table(
    "rows",
    METADATA,
    Column("row_id", String(64), primary_key=True),
    Column("run_id", String(64), nullable=False),
)
TOKENS = Table(
    "tokens",
    METADATA,
    Column("token_id", String(64), primary_key=True),
    Column("row_id", String(64), ForeignKey("rows.row_id")),
    Column("run_id", String(64)),
    Column("expand_group_id", String(32)),
)
OUTCOMES = Table("token_outcomes", METADATA, Column("outcome_id", String(64), primary_key=True))

OLD = """
    CREATE TABLE rows (row_id VARCHAR(64) NOT NULL PRIMARY KEY, run_id VARCHAR(64) NOT NULL);
    CREATE TABLE tokens (token_id VARCHAR(64) NOT NULL PRIMARY KEY, row_id VARCHAR(64));
    INSERT INTO rows VALUES ('r1', 'A'), ('r2', 'B');
    INSERT INTO tokens VALUES ('t1', 'r1'), ('t2', 'r2');
"""
NEW = """
    ALTER TABLE tokens ADD COLUMN run_id VARCHAR(64);
    ALTER TABLE tokens ADD COLUMN expand_group_id VARCHAR(32);
    UPDATE tokens SET expand_group_id = 'real';
    CREATE TABLE token_outcomes (outcome_id VARCHAR(64) NOT NULL PRIMARY KEY);
"""
_ROWS, _TOKENS = (
    table("rows", column("row_id"), column("run_id")),
    table("tokens", column("row_id")),
)
RULES = (
    derived(
        "tokens.run_id",
        select(_ROWS.c.run_id).where(_ROWS.c.row_id == _TOKENS.c.row_id),
        essential=True,
    ),
)
_KEY = ColumnShape("row_id", "VARCHAR(64)", nullable=False, primary_key=True)
STORED = (
    TableShape("rows", (_KEY, ColumnShape("run_id", "VARCHAR(64)", nullable=False))),
    TableShape("tokens", (_KEY._replace(name="token_id"), ColumnShape("row_id", "VARCHAR(64)"))),
)
KNOWN = KnownShape(
    "2026-01-18/0123456",
    "0123456",
    date(2026, 1, 18),
    "0123456",
    date(2026, 1, 18),
    (),
    SchemaShape.of(*STORED),
)
READ = select(TOKENS).order_by(TOKENS.c.token_id)
PROJECTED = [("t1", "r1", "A", None), ("t2", "r2", "B", None)]

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


def run_script(path: Path, script: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()


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


def read(engine: Engine, statement: Any = READ) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(statement)]


def test_the_defect_that_started_it(old: Path, engine: Engine) -> None:
    """A read of a column that is not stored fails without the shim and is right with it."""
    with untouched(old):
        with pytest.raises(OperationalError, match=r"no such column: tokens\.run_id"):
            read(engine)
        with attach(engine, METADATA, rules=RULES):
            assert read(engine) == PROJECTED
        engine.dispose()


def test_a_write_never_reaches_the_database(old: Path, engine: Engine) -> None:
    """Every way to write raises the typed error, and the driver is sent nothing."""
    sent: list[str] = []
    attach(engine, METADATA, rules=RULES)
    with untouched(old):
        with engine.connect() as connection:
            raw: Any = connection.connection.dbapi_connection
            raw.set_trace_callback(sent.append)
            writes: list[Any] = [
                insert(TOKENS).values(token_id="t3"),
                update(TOKENS).values(row_id="x"),
                TOKENS.delete(),
                text("REPLACE INTO rows VALUES ('r9', 'Z')"),
                text("WITH x AS (SELECT 1) DELETE FROM rows"),
                text("CREATE TABLE z (a)"),
                text("VACUUM"),
            ]
            for write in writes:
                with pytest.raises(WriteRefusedError, match="read-only"):
                    connection.execute(write)
            with pytest.raises(WriteRefusedError) as caught:
                connection.execute(insert(TOKENS), [{"token_id": "a"}, {"token_id": "b"}])
            assert caught.value.__cause__ is None  # SQLite was not even asked
            with pytest.raises(WriteRefusedError):
                METADATA.create_all(connection)
            raw.set_trace_callback(None)
        engine.dispose()
    assert not [sql for sql in sent if not sql.upper().startswith(("PRAGMA", "BEGIN"))]


def test_what_slips_past_the_text_is_refused_by_the_database(old: Path, engine: Engine) -> None:
    """A pragma that writes is the database's own refusal, in our words, and told as any."""
    attach(engine, METADATA, rules=RULES)
    with untouched(old), engine.connect() as connection:
        with (
            structlog.testing.capture_logs() as logs,
            pytest.raises(WriteRefusedError, match=r".") as caught,
        ):
            connection.exec_driver_sql("PRAGMA user_version = 7")
        assert caught.value.remedy
    refused = ("landscape_compat.write_refused", caught.value.reason)
    assert [(log["event"], log["reason"]) for log in logs] == [refused]


def test_a_host_hook_that_sets_wal_changes_nothing(old: Path, engine: Engine) -> None:
    """The pragma that rewrites an old file's header becomes a no-op, though the host sends it."""

    @event.listens_for(engine, "connect")
    def host(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    attach(engine, METADATA, rules=RULES)
    with untouched(old):
        assert read(engine) == PROJECTED
        engine.dispose()


def test_a_current_database_is_left_as_it_is(tmp_path: Path) -> None:
    """Nothing is missing: it can be written, and no statement pays for a listener."""
    path = tmp_path / "current.db"
    run_script(path, OLD + NEW)
    engine = create_engine(f"sqlite:///{path}")
    attach(engine, METADATA, rules=RULES)
    with engine.begin() as connection:
        connection.execute(insert(ROWS).values(row_id="r3", run_id="C"))
    assert read(engine, select(ROWS.c.run_id)) == [("A",), ("B",), ("C",)]
    assert not engine._has_events
    engine.dispose()


def test_the_definitions_of_a_current_file_that_stays_as_it_is_are_not_read_again(
    tmp_path: Path,
) -> None:
    """Once it has been still for so long that any change of it would be seen in its times."""
    path = tmp_path / "current.db"
    run_script(path, OLD + NEW)
    sent: list[str] = []

    def watch(raw: sqlite3.Connection, record: object) -> None:
        raw.set_trace_callback(sent.append)

    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with attach(engine, METADATA, rules=RULES):
        event.listen(engine, "connect", watch, insert=True)
        assert settle(path)
        for _ in range(2):
            assert len(read(engine)) == 2
        assert [statement for statement in sent if "sqlite_master" in statement]
        sent.clear()
        assert len(read(engine)) == 2
        assert [statement for statement in sent if "sqlite_master" in statement] == []


def test_a_fresh_file_can_be_filled(tmp_path: Path) -> None:
    """A file that is not there yet, or is empty, is the program's own to fill."""
    for name in ("absent.db", "empty.db"):
        path = tmp_path / name
        if name == "empty.db":
            path.touch()
        engine = create_engine(f"sqlite:///{path}")
        attach(engine, METADATA)
        METADATA.create_all(engine)
        with engine.begin() as connection:
            connection.execute(insert(ROWS).values(row_id="r", run_id="R"))
        assert read(engine, select(ROWS)) == [("r", "R")]
        engine.dispose()


def test_a_file_that_an_older_program_fills_later_is_read_as_degraded(tmp_path: Path) -> None:
    """What stored none of the declared tables was not current, so nothing is amiss."""
    path = tmp_path / "fresh.db"
    run_script(path, "CREATE TABLE stranger (a)")
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    attach(engine, METADATA, rules=RULES)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO stranger VALUES (1)"))
    run_script(path, OLD)
    assert read(engine) == PROJECTED


def test_what_the_driver_says_best_is_left_to_it(tmp_path: Path) -> None:
    """Of what is no database, or cannot be opened; nothing of it was degraded."""
    folder = tmp_path / "folder.db"
    folder.mkdir()
    deep = tmp_path.joinpath(*["d" * 100] * 5)
    deep.mkdir(parents=True)
    letter = deep / ("l" * 100)  # a path that SQLite does not open
    letter.write_text("Dear reader,\n" * 99)
    for path in (folder, letter):
        engine = create_engine(f"sqlite:///{path}")
        attach(engine, METADATA)
        with pytest.raises(OperationalError, match="unable to open database file"):
            engine.connect()
        engine.dispose()
    assert letter.read_text() == "Dear reader,\n" * 99


def test_a_current_database_that_another_program_adds_to(tmp_path: Path) -> None:
    """It is looked at again, by the next connection and by the next error, and stays current."""
    path = tmp_path / "current.db"
    run_script(path, OLD + NEW)
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    attach(engine, METADATA, rules=RULES)
    assert len(read(engine)) == 2
    run_script(path, "CREATE TABLE stranger (a)")
    with engine.begin() as connection:
        connection.execute(insert(ROWS).values(row_id="r3", run_id="C"))
        with pytest.raises(OperationalError, match="no such table: elsewhere"):
            connection.execute(text("SELECT 1 FROM elsewhere"))
        connection.exec_driver_sql("CREATE TABLE own (a)")
        with pytest.raises(OperationalError, match="no such table: elsewhere"):
            connection.execute(text("SELECT 1 FROM elsewhere"))
    assert len(read(engine, select(ROWS))) == 3


def test_an_error_of_a_current_database_that_cannot_be_looked_at_again(tmp_path: Path) -> None:
    """What went wrong first is told, in the driver's words."""
    path = tmp_path / "current.db"
    run_script(path, OLD + NEW)
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 0.05})
    attach(engine, METADATA, rules=RULES)
    assert len(read(engine)) == 2
    with writing(path) as writer:
        writer.run("BEGIN EXCLUSIVE")
        with pytest.raises(OperationalError, match="database is locked"):
            read(engine)
    assert len(read(engine)) == 2
    engine.dispose()


def test_an_error_on_a_connection_that_only_reads_says_nothing_of_the_others(
    old: Path, engine: Engine
) -> None:
    """It was made for a degraded database, which meanwhile was current for another."""
    attach(engine, METADATA, rules=RULES)
    with engine.connect() as reading:
        assert len(reading.execute(READ).all()) == 2
        reading.rollback()
        run_script(old, NEW)
        assert len(read(engine)) == 2
        run_script(old, "ALTER TABLE tokens DROP COLUMN expand_group_id")
        with pytest.raises(OperationalError, match="no such table: elsewhere"):
            reading.execute(text("SELECT 1 FROM elsewhere"))
        assert [row.expand_group_id for row in reading.execute(READ)] == [None, None]


def test_memory_by_a_creator_is_left_alone() -> None:
    """There is no file that could be degraded."""
    engine = create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(":memory:"), poolclass=StaticPool
    )
    attach(engine, METADATA)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE rows (row_id)")
        connection.exec_driver_sql("INSERT INTO rows VALUES ('r1')")
        assert connection.exec_driver_sql("SELECT * FROM rows").all() == [("r1",)]
    engine.dispose()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///file:m?mode=memory&uri=true"])
def test_memory_is_left_alone(url: str) -> None:
    """A database in memory is never looked at, even if it is older."""
    engine = create_engine(url, poolclass=StaticPool)
    with engine.begin() as connection:
        for statement in OLD.strip().rstrip(";").split(";"):
            connection.exec_driver_sql(statement)
    attach(engine, METADATA)
    with engine.begin() as connection:
        connection.execute(insert(ROWS).values(row_id="r3", run_id="C"))
        assert len(connection.execute(select(ROWS)).all()) == 3
    with pytest.raises(AttachError, match="left alone"):
        attach(engine, METADATA).report()
    engine.dispose()


def test_attaching_twice_is_once(engine: Engine) -> None:
    """The same arguments give the same attachment; others are refused."""
    first = attach(engine, METADATA, rules=RULES)
    assert attach(engine, METADATA, rules=RULES) is first
    others: list[dict[str, Any]] = [
        {"rules": ()},
        {"metadata": MetaData()},
        {"posture": "refuse"},
        {"read_only": True},
        {"known": tuple},
        {"schemas": ("archive",)},
    ]
    for other in others:
        with pytest.raises(AttachError, match="another"):
            attach(engine, **{"metadata": METADATA, "rules": RULES, **other})
    with pytest.raises(AttachError, match="posture"):
        attach(engine, METADATA, posture="maybe")  # type: ignore[arg-type]


def test_an_engine_with_options_is_the_one_it_was_made_of(old: Path, engine: Engine) -> None:
    """They share connections: attached twice, a statement would be rewritten twice."""
    first = attach(engine.execution_options(made="before"), METADATA, rules=RULES)
    assert attach(engine, METADATA, rules=RULES) is first
    later = engine.execution_options(made="after").execution_options(made="later still")
    assert attachment_of(later) is first
    assert read(engine) == read(later) == PROJECTED
    detach(later)
    assert attachment_of(engine) is None
    with pytest.raises(OperationalError, match="no such column"):
        read(engine)


def test_what_is_no_engine_is_refused(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(AttachError, match="not a Connection"):
        attach(connection, METADATA)


def test_detaching_leaves_nothing_behind(old: Path, engine: Engine) -> None:
    """No listener stays, reads fail as before, and the database can be written again."""
    events: list[tuple[Any, tuple[str, ...]]] = [
        (engine.pool.dispatch, ("connect", "close")),
        (engine.dispatch, ("begin", "commit", "rollback", "before_cursor_execute")),
        (
            engine.dialect.dispatch,
            ("do_connect", "do_execute", "do_execute_no_params", "do_executemany", "handle_error"),
        ),
    ]

    def listeners() -> dict[str, int]:
        return {
            name: len(list(getattr(dispatch, name))) for dispatch, names in events for name in names
        }

    before = listeners()
    attachment = attach(engine, METADATA, rules=RULES)
    with engine.connect():  # so that the next is another one
        assert read(engine) == PROJECTED
    assert listeners() != before
    attachment.detach()
    attachment.detach()
    detach(engine)
    assert listeners() == before
    with pytest.raises(OperationalError, match="no such column"):
        read(engine)
    with engine.begin() as connection:
        connection.execute(insert(ROWS).values(row_id="r3", run_id="C"))
    with attach(engine, METADATA, rules=RULES):
        attachment.detach()  # which is not that one
        assert read(engine) == PROJECTED


def test_threads_that_race_to_attach_get_one_attachment(engine: Engine) -> None:
    """However they are interrupted, so that no statement is rewritten twice."""
    barrier = threading.Barrier(8)

    def work() -> Any:
        barrier.wait()
        return attach(engine, METADATA, rules=RULES)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = [thread.result() for thread in [pool.submit(work) for _ in range(8)]]
    finally:
        sys.setswitchinterval(before)
    assert len(set(found)) == 1
    assert read(engine) == PROJECTED


def test_an_engine_is_not_kept_alive(old: Path) -> None:
    """An engine that nobody wants is collected, its attachment too."""
    engine = create_engine(f"sqlite:///{old}")
    attachment = attach(engine, METADATA, rules=RULES)
    assert read(engine) == PROJECTED
    engine.dispose()
    gone = weakref.ref(engine)
    del engine
    gc.collect()
    assert gone() is None
    with pytest.raises(AttachError, match="gone"):
        attachment.report()
    attachment.detach()


@pytest.mark.parametrize("pool", [QueuePool, NullPool, StaticPool])
def test_connections_pooled_before_are_not_used_again(old: Path, pool: Any) -> None:
    """An engine with connections in its pool works from the next checkout on."""
    engine = create_engine(f"sqlite:///{old}", poolclass=pool)
    with engine.connect() as connection:
        connection.execute(select(ROWS))
    with untouched(old):
        attach(engine, METADATA, rules=RULES)
        assert read(engine) == PROJECTED
        with pytest.raises(WriteRefusedError), engine.begin() as connection:
            connection.execute(insert(ROWS).values(row_id="x", run_id="x"))
        engine.dispose()


def test_threads_that_race_for_first_use(old: Path, engine: Engine) -> None:
    """Each thread reads right, and each table warns once."""
    attach(engine, METADATA, rules=RULES)
    barrier = threading.Barrier(32)
    results: list[list[tuple[Any, ...]]] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            barrier.wait()
            results.extend(read(engine) for _ in range(5))
        except BaseException as error:
            errors.append(error)

    with warnings.catch_warnings(record=True) as caught, untouched(old):
        warnings.simplefilter("always")
        threads = [threading.Thread(target=work) for _ in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        engine.dispose()
    assert not errors
    assert results == [PROJECTED] * 160
    assert [w.category for w in caught] == [DegradedReadWarning]


def test_a_database_migrated_meanwhile_is_seen(old: Path, engine: Engine) -> None:
    """Within a transaction nothing changes; the next one sees the real values, and may write."""
    attach(engine, METADATA, rules=RULES)
    assert read(engine) == PROJECTED
    run_script(old, NEW)
    migrated = [("t1", "r1", None, "real"), ("t2", "r2", None, "real")]
    assert read(engine) == migrated
    with engine.begin() as connection:
        connection.execute(insert(ROWS).values(row_id="r3", run_id="C"))
    assert read(engine) == migrated


@pytest.mark.parametrize("first", [select(OUTCOMES), READ], ids=["sent before", "new"])
def test_a_table_that_is_made_meanwhile_is_not_read_as_missing(
    old: Path, engine: Engine, first: Any
) -> None:
    """Not even by a statement whose rewriting is remembered from when it was."""
    attach(engine, METADATA, rules=RULES)
    read(engine, first)
    run_script(old, "CREATE TABLE token_outcomes AS SELECT 'made' AS outcome_id")
    assert read(engine, select(OUTCOMES)) == [("made",)]


def test_a_transaction_keeps_the_schema_it_began_with(old: Path, engine: Engine) -> None:
    """A writer that alters a WAL database between two reads does not mix into them."""
    run_script(old, "PRAGMA journal_mode=WAL")
    writer = sqlite3.connect(old)
    writer.execute("SELECT 1 FROM rows").fetchall()
    attach(engine, METADATA, rules=RULES)
    with engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(READ)] == PROJECTED
        writer.executescript(NEW)
        assert [tuple(row) for row in connection.execute(READ)] == PROJECTED
        connection.rollback()
        assert [row.expand_group_id for row in connection.execute(READ)] == ["real", "real"]
    writer.close()


def test_a_file_replaced_meanwhile_is_not_mixed(old: Path, engine: Engine) -> None:
    """The first transaction after a rename over the file fails; the next reads the new one."""
    attach(engine, METADATA, rules=RULES)
    assert read(engine) == PROJECTED
    other = old.with_name("other.db")
    run_script(other, OLD + "DELETE FROM tokens WHERE token_id = 't1'")
    other.replace(old)
    with pytest.raises(SourceChangedError, match="replaced"):
        read(engine)
    assert read(engine) == PROJECTED[1:]


def test_a_database_that_degrades_later_is_noticed(tmp_path: Path) -> None:
    """A current file that another program alters raises once and is then read as degraded."""
    path = tmp_path / "a.db"
    run_script(path, OLD + NEW)
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    attach(engine, METADATA, rules=RULES)
    assert len(read(engine)) == 2
    run_script(path, "ALTER TABLE tokens DROP COLUMN expand_group_id")
    with untouched(path), pytest.raises(SourceChangedError):
        read(engine)
    with engine.connect() as connection:
        assert [row.expand_group_id for row in connection.execute(READ)] == [None, None]


def test_a_definition_that_is_no_text_keeps_nobody_from_a_current_file(tmp_path: Path) -> None:
    """A trigger is none of what is declared; read as text, it ended in the driver's error."""
    path = tmp_path / "a.db"
    run_script(path, "CREATE TABLE made (id INTEGER PRIMARY KEY); CREATE TABLE log (word TEXT)")
    with closing(sqlite3.connect(path)) as connection:
        trigger = "CREATE TRIGGER t AFTER INSERT ON made BEGIN INSERT INTO log VALUES ('caf?'); END"
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "INSERT INTO sqlite_master VALUES ('trigger', 't', 'made', 0, CAST(? AS TEXT))",
            (trigger.encode().replace(b"?", b"\xe9"),),
        )
        connection.commit()
    metadata = MetaData()
    made = Table("made", metadata, Column("id", Integer, primary_key=True))
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with attach(engine, metadata):
        for number in (1, 2):
            with engine.begin() as connection:
                connection.execute(made.insert().values(id=number))
        assert read(engine, select(made)) == [(1,), (2,)]


def test_a_file_replaced_while_another_thread_connects_was_written_to(tmp_path: Path) -> None:
    """It had been found current, and then another thread found that it no longer was."""
    path, older = tmp_path / "a.db", tmp_path / "b.db"
    run_script(path, "CREATE TABLE made (id INTEGER PRIMARY KEY, grp TEXT)")
    run_script(older, "CREATE TABLE made (id INTEGER PRIMARY KEY)")
    metadata = MetaData()
    made = Table("made", metadata, Column("id", Integer, primary_key=True), Column("grp", String))
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    once = iter([True])

    def meanwhile(*_: Any) -> None:
        if next(once, False):
            older.replace(path)
            with engine.connect():
                pass  # it sees that, and opens the file read-only

    with attach(engine, metadata):
        assert read(engine, select(made)) == []
        event.listen(engine, "do_connect", meanwhile)
        with pytest.raises(SourceChangedError):
            engine.connect()
        with engine.connect() as connection, pytest.raises(WriteRefusedError):
            connection.exec_driver_sql("INSERT INTO made VALUES (1)")


def test_what_could_not_be_read_can_be_when_the_schema_says_so(tmp_path: Path) -> None:
    """It was refused by the former plan, for as long as nothing else was read."""
    path = tmp_path / "a.db"
    run_script(path, "CREATE TABLE made (grp TEXT); INSERT INTO made VALUES ('a')")
    metadata = MetaData()
    made = Table("made", metadata, Column("id", Integer, primary_key=True), Column("grp", String))
    engine = create_engine(f"sqlite:///{path}")
    attach(engine, metadata)
    with engine.connect() as connection:
        for _ in range(2):
            with untouched(path), pytest.raises(UnreadableError, match="primary key"):
                connection.execute(select(made))
        connection.rollback()
        run_script(path, "ALTER TABLE made ADD COLUMN id INTEGER; UPDATE made SET id = 7")
        assert connection.execute(select(made)).all() == [(7, "a")]
    engine.dispose()


@pytest.mark.parametrize("in_place", [False, True], ids=["by a rename", "in place"])
def test_an_older_file_with_the_same_number_of_changes_was_written_to(
    tmp_path: Path, *, in_place: bool
) -> None:
    """Put in the place of a current one, it was taken for that: their schemas' versions agree."""
    path, older = tmp_path / "a.db", tmp_path / "b.db"
    for file, more in ((path, ", grp TEXT"), (older, "")):
        run_script(file, f"CREATE TABLE made (id INTEGER PRIMARY KEY{more})")
    metadata = MetaData()
    made = Table(
        "made", metadata, Column("id", Integer, primary_key=True), Column("grp", String(8))
    )
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    attach(engine, metadata)
    with engine.begin() as connection:
        connection.execute(made.insert().values(id=1, grp="a"))
    if in_place:
        path.write_bytes(older.read_bytes())
    else:
        older.replace(path)
    with untouched(path):
        if in_place:
            with pytest.raises(SourceChangedError):
                engine.connect()
        with engine.connect() as connection:
            assert connection.execute(select(made)).all() == []
            with pytest.raises(WriteRefusedError):
                connection.exec_driver_sql("INSERT INTO made VALUES (2)")


def test_posture_refuse(old: Path, engine: Engine) -> None:
    """A degraded database raises when it is opened, naming what it lacks."""
    attach(engine, METADATA, rules=RULES, posture="refuse")
    with untouched(old), pytest.raises(DegradedDatabaseError, match="token_outcomes, tokens"):
        engine.connect()


def test_a_refused_database_is_let_go(
    old: Path, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and with the private copy that it took to look at it."""
    with writing(old) as writer:
        writer.run("PRAGMA journal_mode = WAL", "PRAGMA wal_autocheckpoint = 0")
        writer.run("CREATE TABLE more (a)")
    Path(f"{old}-shm").unlink()
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    attach(engine, METADATA, rules=RULES, posture="refuse")
    with untouched(old), pytest.raises(DegradedDatabaseError) as caught:
        engine.connect()
    assert caught.tb
    assert list(folder.iterdir()) == []


def test_a_creator_is_refused_where_it_matters(old: Path, tmp_path: Path) -> None:
    """How such an engine opens a file cannot be chosen: fine if current, refused if not."""
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(old), poolclass=NullPool)
    attach(engine, METADATA, rules=RULES)
    with untouched(old), pytest.raises(AttachError, match="creator"):
        engine.connect()
    detach(engine)
    attach(engine, METADATA, rules=RULES, posture="refuse")
    with untouched(old), pytest.raises(DegradedDatabaseError, match="token_outcomes, tokens"):
        engine.connect()
    current = tmp_path / "current.db"
    run_script(current, OLD + NEW)
    engine = create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(current), poolclass=NullPool
    )
    attach(engine, METADATA, rules=RULES)
    assert len(read(engine)) == 2


def leave_frames(path: Path) -> None:
    with writing(path) as writer:
        writer.run("PRAGMA journal_mode = WAL", "PRAGMA wal_autocheckpoint = 0")
        writer.run("CREATE TABLE more (a)")
    assert Path(f"{path}-wal").stat().st_size


def test_a_creators_connection_was_read_and_closing_it_wrote_to_the_file(
    old: Path, tmp_path: Path
) -> None:
    """What waits in the `-wal` stays there: the file is looked at on a connection of ours."""
    leave_frames(old)
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(old), poolclass=NullPool)
    attach(engine, METADATA, rules=RULES)
    with left_alone(old), pytest.raises(AttachError, match=r"old\.db is degraded.*creator"):
        engine.connect()
    current = tmp_path / "current.db"
    run_script(current, OLD + NEW)
    leave_frames(current)
    engine = create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(current), poolclass=NullPool
    )
    attach(engine, METADATA, rules=RULES)
    time.sleep(0.05)  # until no change could go unseen
    for _ in range(2):
        assert len(read(engine)) == 2
    run_script(current, "DROP TABLE token_outcomes")
    with left_alone(current), pytest.raises(AttachError, match="creator"):
        engine.connect()


def test_a_creators_current_file_is_looked_at_again_only_where_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each connection would pay for a second one that reads the schema; a change is still seen."""
    current, looks, real = tmp_path / "current.db", list[Path](), opening.open_readonly
    run_script(current, OLD + NEW)

    def counted(path: Path, *words: Any, **more: Any) -> Any:
        looks.append(path)
        return real(path, *words, **more)

    monkeypatch.setattr(hooks, "open_readonly", counted)
    engine = create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(current), poolclass=NullPool
    )
    attach(engine, METADATA, rules=RULES)
    time.sleep(0.05)  # until no change could go unseen
    with untouched(current):
        for _ in range(3):
            assert len(read(engine)) == 2
    assert looks == [current]
    run_script(current, "DROP TABLE token_outcomes")
    with untouched(current), pytest.raises(AttachError, match="creator"):
        engine.connect()
    assert looks == [current, current]


def test_a_creators_file_that_cannot_be_opened_safely_is_refused_if_it_is_degraded(
    old: Path, tmp_path: Path
) -> None:
    """As one of two names; one that is no database at all is left to who opens it."""
    current, other = tmp_path / "current.db", tmp_path / "other.db"
    run_script(current, OLD + NEW)
    other.write_text("this is no database, and it is long enough to look at " * 20)
    engines = []
    for path in (old, current, other):
        path.with_name(f"{path.name}.second").hardlink_to(path)
        engine = create_engine(
            "sqlite://", creator=partial(sqlite3.connect, path), poolclass=NullPool
        )
        attach(engine, METADATA, rules=RULES)
        engines.append(engine)
    with untouched(old), pytest.raises(AttachError, match="creator"):
        engines[0].connect()
    assert len(read(engines[1])) == 2
    with engines[2].connect() as connection, pytest.raises(Exception, match="not a database"):
        connection.execute(select(ROWS))


def test_a_creators_file_that_lost_its_name_is_looked_at_by_its_own_connection(old: Path) -> None:
    """It was taken for none of ours, and read without what it lacks."""

    def create() -> sqlite3.Connection:
        connection = sqlite3.connect(old)
        old.unlink()
        return connection

    engine = create_engine("sqlite://", creator=create, poolclass=NullPool)
    attach(engine, METADATA, rules=RULES)
    with pytest.raises(AttachError, match="creator"):
        engine.connect()


def test_a_current_file_that_its_creator_keeps_to_itself_was_refused(tmp_path: Path) -> None:
    """What it lacks in its file lies in its `-wal` still, which only that connection may read."""
    path = tmp_path / "current.db"

    def create() -> sqlite3.Connection:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            connection.executescript(OLD)
            connection.execute("PRAGMA wal_checkpoint")
            connection.executescript(NEW)
        return connection

    engine = create_engine("sqlite://", creator=create, poolclass=NullPool)
    attach(engine, METADATA, rules=RULES)
    assert len(read(engine)) == 2


def test_detached_from_a_current_database_it_keeps_its_connections(tmp_path: Path) -> None:
    """Only those that were opened read-only are closed."""
    path = tmp_path / "current.db"
    run_script(path, OLD + NEW)
    engine = create_engine(f"sqlite:///{path}", poolclass=QueuePool)
    attach(engine, METADATA, rules=RULES)
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TEMP TABLE mine AS SELECT 7 AS a")
    detach(engine)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT a FROM mine").scalar() == 7
    engine.dispose()


@pytest.mark.parametrize("state", STATES)
def test_a_creators_degraded_file_is_left_alone_in_every_state(tmp_path: Path, state: str) -> None:
    declared = MetaData()
    Table("t", declared, Column("id", Integer, primary_key=True), Column("lacking", Integer))
    path = tmp_path / "source" / "audit.db"
    path.parent.mkdir()
    with make_state(state, path):
        engine = create_engine(
            "sqlite://", creator=lambda: sqlite3.connect(path), poolclass=NullPool
        )
        attach(engine, declared)
        with left_alone(path), pytest.raises(AttachError, match="creator"):
            engine.connect()


def test_a_connection_begun_before_it_was_attached_to_wrote_to_the_file(old: Path) -> None:
    """By another thread, so that it was opened for writing; it is refused as a creator's is."""
    leave_frames(old)
    begun, attached, told = threading.Event(), threading.Event(), list[str]()

    class Slow(sqlite3.Connection):
        def __init__(self, *words: Any, **more: Any) -> None:
            super().__init__(*words, **more)
            begun.set()
            assert attached.wait(60)

    engine = create_engine(f"sqlite:///{old}", connect_args={"factory": Slow})

    def connect() -> None:
        with pytest.raises(AttachError, match="before the shim was attached"):
            engine.connect()
        told.append("refused")

    with left_alone(old):
        thread = threading.Thread(target=connect)
        thread.start()
        assert begun.wait(60)
        attach(engine, METADATA, rules=RULES)
        attached.set()
        thread.join()
    assert told == ["refused"]
    assert len(read(engine)) == 2
    engine.dispose()


# SQLAlchemy drops a connection whose listeners change while they are called, and leaves it to be
# collected, of which Python warns from 3.13 on.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("name", "at"), [("open_readonly", 1), ("on_driver", 2)])
def test_detached_while_another_thread_connected_the_engine_could_not_write(
    old: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch, name: str, at: int
) -> None:
    """Nor were all listeners gone; what that thread has is closed when it gives it back."""
    begun, detached, calls = threading.Event(), threading.Event(), list[int]()
    real = getattr(hooks, name)

    def slow(*words: Any, **more: Any) -> Any:
        result = real(*words, **more)
        calls.append(1)
        if len(calls) == at:
            begun.set()
            assert detached.wait(60)
        return result

    monkeypatch.setattr(hooks, name, slow)
    attached = attach(engine, METADATA, rules=RULES)

    def connect() -> None:
        with suppress(Exception), engine.connect():
            pass

    thread = threading.Thread(target=connect)
    thread.start()
    assert begun.wait(60)
    attached.detach()
    detached.set()
    thread.join()
    gc.collect()
    listening = ("do_connect", "do_execute", "do_execute_no_params", "do_executemany")
    assert not any(len(getattr(engine.dialect.dispatch, event)) for event in listening)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rows SET run_id = run_id")


def test_a_hard_link_is_refused_only_if_degraded(old: Path, tmp_path: Path) -> None:
    """What cannot be read safely raises if we would have to read it, and else is not ours."""
    (tmp_path / "second.db").hardlink_to(old)
    engine = create_engine(f"sqlite:///{old}")
    attach(engine, METADATA, rules=RULES)
    with pytest.raises(OpeningRefusedError, match="hard link"):
        read(engine)
    current = tmp_path / "current.db"
    run_script(current, OLD + NEW)
    (tmp_path / "third.db").hardlink_to(current)
    engine = create_engine(f"sqlite:///{current}")
    attach(engine, METADATA, rules=RULES)
    assert len(read(engine)) == 2
    engine.dispose()


def test_not_a_database_keeps_the_drivers_error(tmp_path: Path) -> None:
    """A file that is none of our business fails as it does without the shim."""
    path = tmp_path / "text.db"
    path.write_text("this is no database, and it is long enough to look at " * 20)
    engine = create_engine(f"sqlite:///{path}")
    attach(engine, METADATA)
    with pytest.raises(Exception, match="file is not a database"):
        read(engine, select(ROWS))
    engine.dispose()


def test_one_warning_a_table_that_points_at_the_caller(old: Path, engine: Engine) -> None:
    """The warning is raised at the line that reads, once for each table of the engine."""
    attach(engine, METADATA, rules=RULES, known=lambda: (KNOWN,))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            with engine.connect() as connection:
                connection.execute(select(TOKENS)).all()
                connection.execute(select(OUTCOMES)).all()
                connection.execute(select(ROWS)).all()
    assert [(w.category, w.filename) for w in caught] == [(DegradedReadWarning, __file__)] * 2
    first: Any = caught[0].message
    assert (first.table, first.missing) == ("tokens", ("run_id", "expand_group_id"))
    said = f"in {old} (schema 2026-01-18/0123456 (exact)):"
    assert [str(w.message) for w in caught] == [
        f"tokens {said} not stored as declared: run_id (derived), expand_group_id (absent). "
        f"{REMEDY}",
        f"token_outcomes {said} the table is not stored and reads as no rows. {REMEDY}",
    ]


def test_warnings_as_errors_are_a_strict_mode(engine: Engine) -> None:
    """A program that makes the warning an error has every degraded read refused."""
    attach(engine, METADATA, rules=RULES)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DegradedReadWarning)
        for _ in range(2):
            with pytest.raises(DegradedReadWarning):
                read(engine)
        assert read(engine, select(ROWS.c.row_id)) == [("r1",), ("r2",)]


def test_connections_share_what_was_planned_and_rewritten(old: Path) -> None:
    """Only the first one pays for it."""
    engine = create_engine(f"sqlite:///{old}", poolclass=NullPool)
    attachment = attach(engine, METADATA, rules=RULES)
    plan = attachment.plan()
    assert read(engine) == PROJECTED
    assert attachment.plan() is plan


def test_events_are_told_once_and_stdout_stays_empty(
    old: Path, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Opening, first use and a refused write are events with fields; nothing is printed."""
    rules = (*RULES, mapped("tokens.row_id", {"before": "after"}))
    attachment = attach(engine, METADATA, rules=rules, known=lambda: (KNOWN,))
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            read(engine)
            read(engine, select(OUTCOMES))
        with pytest.raises(WriteRefusedError) as refused, engine.begin() as connection:
            connection.execute(TOKENS.delete())
    report = attachment.report()
    always = {"database": str(old), "remedy": REMEDY, "log_level": "warning"}
    shape = {"shape": "2026-01-18/0123456 (exact)"}
    assert logs == [
        {
            "event": "landscape_compat.database_degraded",
            "degraded_tables": ["tokens"],
            "missing_tables": ["token_outcomes"],
            "opened": report.opened,
            **(always | shape),
        },
        {
            "event": "landscape_compat.table_degraded",
            "table": "tokens",
            "missing_table": False,
            "missing": ["run_id", "expand_group_id"],
            "replaced": ["row_id"],
            "rules": {"row_id": "mapped", "run_id": "derived", "expand_group_id": "absent"},
            "fingerprint": fingerprint_table(STORED[1]).digest,
            **(always | shape),
        },
        {
            "event": "landscape_compat.table_degraded",
            "table": "token_outcomes",
            "missing_table": True,
            "missing": [],
            "replaced": [],
            "rules": {},
            "fingerprint": "",
            **(always | shape),
        },
        {
            "event": "landscape_compat.write_refused",
            "reason": refused.value.reason,
            **always,
        },
    ]
    structlog.reset_defaults()
    other = create_engine(engine.url)
    attach(other, METADATA, rules=RULES)
    read(other)
    other.dispose()
    assert capsys.readouterr() == ("", "")


def test_what_changes_is_told_anew_and_nothing_else(old: Path, engine: Engine) -> None:
    """Each table for itself, however often the database is opened."""
    metadata = MetaData()
    tables = [table.to_metadata(metadata) for table in (ROWS, TOKENS, OUTCOMES)]
    tables.append(Table("more", metadata, Column("id", String(64), primary_key=True)))
    attach(engine, metadata)
    told = []
    for change in ("", "ALTER TABLE tokens ADD COLUMN run_id", "CREATE TABLE more (id TEXT)"):
        run_script(old, change)
        with structlog.testing.capture_logs() as logs:
            for _ in range(2):
                engine.dispose()
                for one in tables:
                    read(engine, select(one))
        told.append([log.get("table") or log["missing_tables"] for log in logs])
    assert told == [
        [["token_outcomes", "more"], "tokens", "token_outcomes", "more"],
        ["tokens"],
        [["token_outcomes"]],
    ]


_UNCONFIGURED = """
import logging, sys, warnings
from sqlalchemy import Column, MetaData, String, Table, create_engine, select
from landscape_compat.engine.attach import attach
before = list(warnings.filters)
tokens = Table("tokens", MetaData(), Column("token_id", String), Column("gone", String))
engine = create_engine("sqlite:///" + sys.argv[1])
attach(engine, tokens.metadata)
with engine.connect() as connection:
    assert len(connection.execute(select(tokens)).all()) == 2
assert warnings.filters == before
assert not logging.root.handlers
assert logging.getLogger("landscape_compat").level == logging.NOTSET
assert "structlog" not in sys.modules
"""


def test_a_program_that_set_up_no_logging_is_not_written_to(old: Path) -> None:
    """Neither stream gets an event, and logging, warnings and structlog stay as they are."""
    command = [sys.executable, "-W", "ignore", "-c", _UNCONFIGURED, str(old)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_structlog_events_are_records_of_the_standard_library(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning of the logger `landscape_compat`, with the event and its fields."""
    structlog.reset_defaults()
    attach(engine, METADATA)
    read(engine)
    found = [record for record in caplog.records if record.name == "landscape_compat"]
    assert {record.levelname for record in found} == {"WARNING"}
    first, second = (record.getMessage() for record in found)
    assert first.startswith("landscape_compat.database_degraded {'database': ")
    assert second.startswith("landscape_compat.table_degraded {'database': ")
    assert "'missing': ['run_id', 'expand_group_id']" in second


def test_the_report(engine: Engine) -> None:
    """The attachment tells per table what is missing and what stands in."""
    report = attach(engine, METADATA, rules=RULES).report()
    assert report.degraded
    assert not report.table("rows").is_degraded
    assert report.table("token_outcomes").drift.missing_table
    filled = {c.column: c.kind for c in report.table("tokens").filled}
    assert filled == {"run_id": "derived", "expand_group_id": "absent"}
    assert report.to_dict()["tables"][1]["missing_columns"] == ["run_id", "expand_group_id"]
    with pytest.raises(KeyError):
        report.table("nothing")


def test_an_underivable_column_is_refused_not_guessed(old: Path) -> None:
    """Without what it is derived from, a column that readers filter on is not read as NULL."""
    run_script(old, "ALTER TABLE rows RENAME COLUMN run_id TO something_else")
    engine = create_engine(f"sqlite:///{old}")
    attach(engine, METADATA, rules=RULES)
    with pytest.raises(UnreadableError, match=r"tokens\.run_id"):
        read(engine)
    assert read(engine, select(TOKENS.c.token_id, TOKENS.c.expand_group_id)) == [
        ("t1", None),
        ("t2", None),
    ]
    engine.dispose()


def test_every_kind_of_statement(old: Path, engine: Engine) -> None:
    """Text, driver SQL, ORM, streaming, children of the engine and reflection all see it."""
    attach(engine, METADATA, rules=RULES)
    mapper = registry(metadata=METADATA)

    class Token:
        token_id: str
        expand_group_id: str | None
        run_id: str

    mapper.map_imperatively(Token, TOKENS)
    with untouched(old):
        child = engine.execution_options(logging_token="child")
        assert read(child) == PROJECTED
        with engine.connect() as connection:
            rows = connection.execute(text("SELECT * FROM main.tokens AS x ORDER BY 1")).all()
            assert [tuple(row) for row in rows] == PROJECTED
            sql = "SELECT run_id FROM tokens WHERE token_id = ?"
            assert connection.exec_driver_sql(sql, ("t2",)).scalar_one() == "B"
            streamed = connection.execution_options(yield_per=1).execute(READ)
            assert [tuple(row) for row in streamed] == PROJECTED
            stored = connection.execute(
                text("SELECT * FROM tokens ORDER BY 1"),
                execution_options={"landscape_compat_stored": True},
            )
            assert [tuple(row) for row in stored] == [("t1", "r1"), ("t2", "r2")]
            assert [c["name"] for c in inspect(connection).get_columns("tokens")] == [
                "token_id",
                "row_id",
            ]
        with Session(engine) as session:
            found = session.get(Token, "t2")
            assert found is not None
            assert (found.run_id, found.expand_group_id) == ("B", None)
            found.expand_group_id = "x"
            with pytest.raises(WriteRefusedError):
                session.flush()
        with pytest.raises(UnreadableError, match="one by one"):
            read(engine, text("SELECT 1 FROM tokens; SELECT 2"))
        engine.dispose()
    mapper.dispose()


def test_a_program_that_begins_by_itself(old: Path) -> None:
    """A listener that sends BEGIN, as SQLAlchemy's documentation advises, is not disturbed."""
    engine = create_engine(f"sqlite:///{old}", connect_args={"isolation_level": None})

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    attach(engine, METADATA, rules=RULES)
    assert read(engine) == PROJECTED
    assert read(engine) == PROJECTED
    engine.dispose()


def test_autocommit(engine: Engine) -> None:
    """Statements outside of any transaction are projected and checked too."""
    attach(engine, METADATA, rules=RULES)
    free = engine.execution_options(isolation_level="AUTOCOMMIT")
    assert read(free) == PROJECTED
    assert read(engine) == PROJECTED


def test_read_only_also_where_nothing_is_missing(tmp_path: Path) -> None:
    """Asked for, a current database is opened read-only as well."""
    path = tmp_path / "current.db"
    run_script(path, OLD + NEW)
    engine = create_engine(f"sqlite:///{path}")
    attach(engine, METADATA, rules=RULES, read_only=True)
    with untouched(path):
        assert len(read(engine)) == 2
        with pytest.raises(WriteRefusedError), engine.begin() as connection:
            connection.execute(TOKENS.delete())
        engine.dispose()
    missing = create_engine(f"sqlite:///{tmp_path / 'missing.db'}")
    attach(missing, METADATA, read_only=True)
    with pytest.raises(OpeningRefusedError, match="does not exist"):
        missing.connect()
    assert not (tmp_path / "missing.db").exists()


def test_an_async_engine(old: Path) -> None:
    """An AsyncEngine is attached by its synchronous half."""
    from sqlalchemy.ext.asyncio import create_async_engine

    async def work() -> list[tuple[Any, ...]]:
        engine = create_async_engine(f"sqlite+aiosqlite:///{old}")
        attachment = attach(engine, METADATA, rules=RULES)
        async with engine.connect() as connection:
            rows = [tuple(row) for row in await connection.execute(READ)]
            with pytest.raises(WriteRefusedError):
                await connection.execute(TOKENS.delete())
        await engine.dispose()
        attachment.detach()
        return rows

    with untouched(old):
        assert asyncio.run(work()) == PROJECTED


def test_another_dialect_is_refused_not_guessed() -> None:
    """A dialect whose catalogue is not known is told so at once."""
    engine = create_engine("mssql+pymssql://", module=sqlite3)  # any driver: it does not connect
    with pytest.raises(AttachError, match="mssql"):
        attach(engine, METADATA)
