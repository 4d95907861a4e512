"""A header that a writer had half written is read again, and is no damage and no refused write."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, String, Table, create_engine, func, select

from landscape_compat import attach
from landscape_compat.engine import diagnosis
from landscape_compat.engine.halfway import settled
from landscape_compat.engine.locks import lock_sqlite
from landscape_compat.engine.lookout import Lookout
from landscape_compat.errors import SourceChangedError
from landscape_compat.landscape import peeking
from landscape_compat.landscape.peeking import Way, look
from landscape_compat.projection.rules import RuleSet
from landscape_compat.schema.catalogue import catalogue_for
from support import wal

METADATA = MetaData()
WORDS = Table("t", METADATA, Column("word", String(9)), Column("added", String(9)))
STATEMENT = select(func.count(), func.min(WORDS.c.word), func.max(WORDS.c.added))
# Source: https://www.sqlite.org/walformat.html, "WAL-Index Header": twice 48 bytes, which are
# the same unless one is being written. In a process of its own: to close the file is to drop the
# locks of SQLite's on it.
_FLIP = """
import os, sys
with open(sys.argv[1], "r+b", buffering=0) as file:
    byte = os.pread(file.fileno(), 1, 56)[0]
    os.pwrite(file.fileno(), bytes([byte ^ 255]), 56)
"""


class Index:
    """The index of a database that a writer has open."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self._torn = False
        self.stays_torn = False
        self.healed = 0
        self._pause = time.sleep
        monkeypatch.setattr("time.sleep", self.heal)

    def tear(self) -> None:
        """Leave its header half written."""
        assert not self._torn
        self._flip()

    def heal(self, seconds: float) -> None:
        """Have it whole after a pause."""
        self._pause(seconds)
        if self._torn and not self.stays_torn:
            self.healed += 1
            self._flip()

    def torn_after(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """Have it torn whenever something was done."""

        def torn(*arguments: Any, **keywords: Any) -> Any:
            done = work(*arguments, **keywords)
            self.tear()
            return done

        return torn

    def _flip(self) -> None:
        subprocess.run([sys.executable, "-c", _FLIP, f"{self.path}-shm"], check=True)
        self._torn = not self._torn


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """Have a degraded database that a writer has open."""
    path = tmp_path / "a.db"
    wal.make_database(path, "wal")
    with wal.writing(path) as writer:
        writer.run("UPDATE t SET word = 'new'")
        yield Index(path, monkeypatch)


@pytest.fixture
def connection(index: Index) -> Iterator[sqlite3.Connection]:
    """Connect to it, and read once."""
    uri = f"{index.path.as_uri()}?mode=ro&readonly_shm=1"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        connection.execute("PRAGMA schema_version").fetchall()
        yield connection


def test_sqlite_takes_a_header_in_the_making_for_one_of_a_writer_that_died(
    index: Index, connection: sqlite3.Connection
) -> None:
    index.tear()
    with pytest.raises(sqlite3.OperationalError, match="readonly") as caught:
        connection.execute("PRAGMA schema_version")
    assert caught.value.sqlite_errorname == "SQLITE_READONLY_RECOVERY"
    index.heal(0)
    assert settled(lambda: connection.execute("PRAGMA schema_version").fetchall())


def test_what_stays_so_is_told(index: Index, connection: sqlite3.Connection) -> None:
    index.tear()
    index.stays_torn = True
    lookout = Lookout(str(index.path), METADATA, RuleSet(()), catalogue_for("sqlite"), None)
    with pytest.raises(SourceChangedError, match="READONLY_RECOVERY"):
        lookout.look(connection, create_engine("sqlite://").dialect)


def test_a_look_is_taken_again(index: Index, connection: sqlite3.Connection) -> None:
    """It was the driver's own error, in the words of a refused write."""
    index.tear()
    lookout = Lookout(str(index.path), METADATA, RuleSet(()), catalogue_for("sqlite"), None)
    prepared, _ = lookout.look(connection, create_engine("sqlite://").dialect)
    assert prepared.plan.is_degraded
    assert index.healed == 1


@pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")
def test_a_transaction_is_begun_again(index: Index) -> None:
    """The connection was given up, and the statement failed."""
    engine = create_engine(f"sqlite:///{index.path}")
    attach(engine, METADATA)
    with engine.connect() as connection:
        connection.execute(STATEMENT)
    index.tear()
    with engine.connect() as connection:
        assert connection.execute(STATEMENT).one() == (600, "new", None)
    assert index.healed == 1
    engine.dispose()


def test_a_diagnosis_calls_it_no_damage(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "lock_sqlite", index.torn_after(lock_sqlite))
    found = diagnosis.diagnose_file(index.path)
    assert found.problems == ()
    assert index.healed == 1


def test_a_peek_sees_what_is_stored(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peeking, "lock_sqlite", index.torn_after(lock_sqlite))
    with peeking.peeking(index.path, Way()) as connection:
        assert connection is not None
        seen = look(connection, Way())
    assert seen is not None
    assert seen.stored.has("t.word")
    assert index.healed == 1


def test_any_other_error_is_raised_at_once(index: Index) -> None:
    with (
        closing(sqlite3.connect(":memory:")) as connection,
        pytest.raises(sqlite3.OperationalError, match="no such table"),
    ):
        settled(lambda: connection.execute("SELECT * FROM tokens"))
    assert index.healed == 0
