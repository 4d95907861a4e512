"""What SQLite reports of a file that changed its state is told apart from a refused write."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, String, Table, create_engine, func, select, text

from landscape_compat import attach, open_landscape
from landscape_compat.engine.faults import explain_change, explain_fault
from landscape_compat.errors import OpeningRefusedError, SourceChangedError, UnreadableError
from landscape_compat.landscape.stored import read
from support import wal
from support.legacy import Written
from support.untouched import untouched

WORDS = Table("t", MetaData(), Column("word", String(9)), Column("added", String(9)))


@pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")
def test_a_writer_that_died_meanwhile_is_a_change_and_the_next_connection_reads(
    tmp_path: Path,
) -> None:
    """It was the driver's own error, in the words of a refused write."""
    path = tmp_path / "a.db"
    wal.make_database(path)
    engine = create_engine(f"sqlite:///{path}")
    attach(engine, WORDS.metadata)
    statement = select(func.count(), func.min(WORDS.c.word), func.max(WORDS.c.added))
    with engine.connect() as connection:
        assert connection.execute(statement).one() == (600, "old", None)
    half = "UPDATE t SET word = 'torn' WHERE id < 300"
    with wal.writing(path) as writer:
        writer.run("PRAGMA cache_size = 5", "BEGIN", half)
    with wal.left_alone(path):
        with engine.connect() as connection, pytest.raises(SourceChangedError) as caught:
            connection.execute(statement)
        assert "SQLITE_READONLY_ROLLBACK" in str(caught.value)
        with engine.connect() as connection:
            assert connection.execute(statement).one() == (600, "old", None)
        engine.dispose()


def test_an_error_of_the_statements_is_no_fault_of_the_database() -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("SELECT nothing")
    connection.close()
    assert explain_fault(caught.value, "a.db") is None
    assert explain_change(caught.value, "a.db") is None


def test_an_error_without_words_is_a_fault_of_the_database() -> None:
    """What SQLCipher 4.12 says of a page that was tampered with."""
    error = sqlite3.OperationalError("SQL logic error")
    error.sqlite_errorcode = 1
    assert isinstance(explain_fault(error, "a.db"), UnreadableError)


@pytest.mark.parametrize(
    "words",
    [
        "database disk image is malformed",
        "file is not a database",
        "string or blob too big",
    ],
)
def test_an_error_without_a_code_is_told_by_its_words(words: str) -> None:
    """As those of other drivers are."""
    assert isinstance(explain_fault(sqlite3.DatabaseError(words), "a.db"), UnreadableError)


def test_an_error_of_pythons_own_is_no_fault_of_the_database() -> None:
    connection = sqlite3.connect(":memory:")
    connection.close()
    with pytest.raises(sqlite3.ProgrammingError) as caught:
        connection.execute("SELECT 1")
    assert explain_fault(caught.value, "a.db") is None


def test_a_writer_that_keeps_it_to_himself_by_now(legacy: Written) -> None:
    """It could be opened and cannot be read; the next to open it is told by the opening itself."""
    with (
        open_landscape(legacy.path) as db,
        db.connection() as connection,
        wal.writing(legacy.path) as writer,
    ):
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")
        writer.run("BEGIN EXCLUSIVE")
        with pytest.raises(OpeningRefusedError, match="is in use") as caught:
            list(read(connection, text("SELECT * FROM runs"), table="runs"))
        assert caught.value.table == "runs"


def test_a_schema_that_asks_for_more_than_reading(tmp_path: Path) -> None:
    """A column whose values are made by a function that nothing in a file may call."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (word)")
        connection.execute("CREATE VIEW v AS SELECT no_such_function(word) AS word FROM t")
    with closing(sqlite3.connect(path)) as connection:
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("SELECT * FROM v")
        explained = explain_fault(caught.value, "a.db", table="v")
    assert isinstance(explained, UnreadableError)
    assert "a.db has a schema that cannot be read safely (SQLite says: no such function" in str(
        explained
    )


@pytest.mark.parametrize("mark", ["{", "}", "{}", "{0}", "%s"])
def test_braces_in_a_damaged_schema_or_a_path_were_an_error_of_ours(
    mark: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a{mark}.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (word)")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET name = ?, sql = 'CREATE x'", (f"t{mark}",))
        connection.commit()
    engine = create_engine(f"sqlite:///{path}")
    attach(engine, WORDS.metadata)
    with untouched(path), pytest.raises(UnreadableError) as caught, engine.connect():
        pass
    assert f"a{mark}.db is damaged" in str(caught.value)
    assert f"t{mark}" in str(caught.value)
    engine.dispose()
