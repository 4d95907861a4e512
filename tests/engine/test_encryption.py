"""A database that SQLCipher encrypted is read by its passphrase as any other, and kept as it is."""

from __future__ import annotations

import logging
import pickle
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, select, text
from sqlalchemy.pool import NullPool

from landscape_compat import attach, diagnose_database, inspect_database, open_landscape
from landscape_compat.engine.encryption import Passphrase, make_engine
from landscape_compat.errors import (
    AttachError,
    LandscapeCompatError,
    OpeningRefusedError,
    SourceChangedError,
    WriteRefusedError,
)
from landscape_compat.export.records.stream import export_database
from landscape_compat.landscape.database import database_url
from support import wal
from support.untouched import untouched
from support.wal import EXPECTED, KEY, encrypting, left_alone, make_database, make_state, writing

cipher = pytest.importorskip(
    "sqlcipher3.dbapi2",
    reason="NOT READ ENCRYPTED: sqlcipher3 is not installed (pip install 'landscape-compat[test]')",
)
# What shows it may quote the rest, so one word of it is looked for.
WORD = "brien"
SECRET = 'o\'brien "1" – ;--'


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a database in a folder of its own."""
    folder = tmp_path / "source"
    folder.mkdir()
    return folder / "audit.db"


def _make(path: Path, secret: str = SECRET, mode: str = "delete") -> None:
    connection = cipher.connect(path, isolation_level=None)
    quoted = secret.replace('"', '""')
    # As ELSPETH writes it: in double quotes.
    connection.execute(f'PRAGMA key = "{quoted}"')
    connection.execute(f"PRAGMA journal_mode = {mode}")
    connection.execute("CREATE TABLE runs (run_id VARCHAR(64) NOT NULL PRIMARY KEY, n INTEGER)")
    connection.execute("INSERT INTO runs VALUES ('r1', 7)")
    connection.close()


# Every state -----------------------------------------------------------------------------------

# What each state is opened as where its header cannot be read. One is left out: an encrypted
# file has no header that could be turned into another.
ENCRYPTED = {
    case: {
        "rollback": "encrypted-quiet",
        "wal-clean": "encrypted-quiet",
    }.get(state, state)
    for case, state in EXPECTED.items()
    if case != "wal_under_rollback_header"
} | {
    "rollback_reader": "encrypted-in-use",
    "journal_reserved": "encrypted-in-use",
    "journal_exclusive": "encrypted-in-use",
}


@pytest.mark.parametrize("case", ENCRYPTED)
def test_each_state_is_read_whole_and_without_a_trace(case: str, path: Path) -> None:
    with encrypting() as key, make_state(case, path) as truth:
        with left_alone(path):
            found = diagnose_database(path, passphrase=key)
        assert (found.readable, found.encryption, found.problems) == (True, "sqlcipher", ())
        assert found.state == ENCRYPTED[case]
        with left_alone(path):
            assert inspect_database(path, passphrase=key).extra_tables == ("t",)
        with left_alone(path), open_landscape(path, passphrase=key) as db:
            with db.connection() as connection:
                assert tuple(connection.exec_driver_sql(wal.ANSWER).one()) == truth
            words = [record["word"] for record in export_database(db)]
            assert (len(words), len(set(words)), min(words)) == truth


def test_what_a_writer_keeps_to_itself_is_refused_without_a_trace(path: Path) -> None:
    with encrypting() as key, make_state("wal_exclusive", path), left_alone(path):
        assert diagnose_database(path, passphrase=key).refusal == "in-use"


@pytest.mark.parametrize("case", ["wal_frames_without_shm", "journal_hot", "rollback_reader"])
def test_a_private_copy_is_encrypted_too(case: str, path: Path, tmp_path: Path) -> None:
    with encrypting() as key, make_state(case, path), pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path))
        with open_landscape(path, passphrase=key) as db, db.connection() as connection:
            connection.exec_driver_sql(wal.ANSWER).one()
            (copy,) = tmp_path.glob("landscape-compat-copy-*/copy.db")
            assert b"SQLite format 3" not in copy.read_bytes()
            assert b"CREATE TABLE" not in copy.read_bytes()
        assert not list(tmp_path.glob("landscape-compat-copy-*"))


def test_a_writer_that_comes_while_it_is_read_is_noticed(path: Path) -> None:
    with encrypting() as key:
        make_database(path, "wal")
        with open_landscape(path, passphrase=key) as db, writing(path) as writer:
            reading = db.connection()
            connection = reading.__enter__()
            connection.exec_driver_sql(wal.ANSWER).one()
            writer.run("UPDATE t SET word = 'new'")
            with pytest.raises(SourceChangedError):
                reading.__exit__(None, None, None)


# Keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_right_passphrase_reads(mode: str, path: Path) -> None:
    _make(path, mode=mode)
    with untouched(path), open_landscape(path, passphrase=SECRET) as db:
        with db.connection() as connection:
            assert connection.execute(text("SELECT run_id, n FROM runs")).all() == [("r1", 7)]
        assert db.report().table("runs").is_degraded


def test_a_wrong_passphrase_is_told_and_not_shown(path: Path) -> None:
    _make(path)
    wrong = SECRET[::-1]
    with untouched(path), pytest.raises(OpeningRefusedError) as caught:
        open_landscape(path, passphrase=wrong)
    assert caught.value.refusal == "wrong-key"
    assert WORD[::-1] not in "".join(traceback.format_exception(caught.value))
    with untouched(path):
        found = diagnose_database(path, passphrase=wrong)
    assert (found.readable, found.refusal, found.encryption) == (False, "wrong-key", "suspected")
    assert WORD[::-1] not in repr(found)


def test_a_missing_passphrase_is_told(path: Path) -> None:
    _make(path)
    with untouched(path), pytest.raises(OpeningRefusedError, match="give its passphrase") as caught:
        open_landscape(path)
    assert caught.value.refusal == "encrypted"


def test_random_bytes_are_a_wrong_passphrase(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 64)
    with untouched(path), pytest.raises(OpeningRefusedError) as caught:
        open_landscape(path, passphrase=SECRET)
    assert caught.value.refusal == "wrong-key"


def test_a_damaged_page_is_told(path: Path) -> None:
    with encrypting():
        make_database(path)
    content = bytearray(path.read_bytes())
    content[20 * 4096 + 100] ^= 1
    path.write_bytes(content)
    with untouched(path):
        assert diagnose_database(path, passphrase=KEY).problems
    with (
        untouched(path),
        open_landscape(path, passphrase=KEY) as db,
        pytest.raises(LandscapeCompatError, match=r"damaged|to its end"),
    ):
        list(export_database(db))


def test_a_passphrase_does_nothing_to_a_plain_file(path: Path) -> None:
    make_database(path)
    with untouched(path), open_landscape(path, passphrase=SECRET) as db:
        assert db.engine.dialect.driver == "pysqlite"
        assert "sqlcipher" not in repr(db.engine.dialect.loaded_dbapi)
        assert db.report().extra_tables == ("t",)
    assert diagnose_database(path, passphrase=SECRET).encryption == "none"


def test_a_file_that_is_plain_by_now_is_refused(path: Path) -> None:
    _make(path)
    with open_landscape(path, passphrase=SECRET) as db:
        db.engine.dispose()
        path.unlink()
        make_database(path)
        with pytest.raises(OpeningRefusedError) as caught, db.connection():
            pass
    assert caught.value.refusal == "not-encrypted"


@pytest.mark.parametrize("odd", ["", "a\0b", "\udcff"])
def test_what_is_no_passphrase_is_refused(odd: str, path: Path) -> None:
    _make(path)
    with untouched(path), pytest.raises(LandscapeCompatError, match="no text") as caught:
        open_landscape(path, passphrase=odd)
    assert not odd or odd not in str(caught.value)


def test_without_the_package_it_is_said_what_to_install(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make(path)
    monkeypatch.setitem(sys.modules, "sqlcipher3", None)
    with untouched(path), pytest.raises(OpeningRefusedError, match=r"pip install") as caught:
        open_landscape(path, passphrase=SECRET)
    assert caught.value.refusal == "no-sqlcipher"
    found = diagnose_database(path, passphrase=SECRET)
    assert (found.refusal, found.encryption) == ("no-sqlcipher", "suspected")


# Secrecy ---------------------------------------------------------------------------------------


def test_no_log_and_no_repr_shows_the_passphrase(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _make(path)
    caplog.set_level(logging.DEBUG)
    with open_landscape(path, passphrase=SECRET) as db:
        db.engine.echo = "debug"
        with db.connection() as connection:
            connection.execute(text("SELECT * FROM runs")).all()
        shown = [repr(db.engine), str(db.engine.url), db.connection_string, repr(db.report())]
    assert caplog.text
    assert WORD not in "".join([caplog.text, *shown, repr(Passphrase(SECRET))])


# Locks -----------------------------------------------------------------------------------------

WRITES = [
    "INSERT INTO runs VALUES ('r2', 1)",
    "CREATE TEMP TABLE x (a)",
    "ATTACH DATABASE 'stolen.db' AS plain KEY ''",
    "PRAGMA rekey = 'mine'",
    "PRAGMA key = 'mine'",
    "PRAGMA cipher_migrate",
    "PRAGMA cipher_plaintext_header_size = 32",
    "SELECT sqlcipher_export('main')",
]


def test_the_locks_hold_on_sqlciphers_connection_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make(path)
    monkeypatch.chdir(path.parent)
    with untouched(path), open_landscape(path, passphrase=SECRET) as db:
        raw = db.engine.raw_connection()
        driver = raw.driver_connection
        assert driver is not None
        try:
            for statement in WRITES:
                with pytest.raises(cipher.DatabaseError):
                    driver.execute(statement).fetchall()
                assert driver.execute("SELECT n FROM runs").fetchall() == [(7,)], statement
        finally:
            raw.close()


def test_a_refused_write_is_told_in_our_words(path: Path) -> None:
    _make(path)
    engine = make_engine(database_url(path), SECRET)
    with untouched(path):
        attach(engine, MetaData(), read_only=True)
        with engine.connect() as connection, pytest.raises(WriteRefusedError):
            connection.execute(text("/* first */ INSERT INTO runs VALUES ('r2', 1)"))
        engine.dispose()


def test_what_a_creator_opens_is_looked_at_by_its_own_connection(path: Path) -> None:
    """No other has the key."""
    _make(path)

    def create() -> object:
        connection = cipher.connect(path)
        quoted = SECRET.replace('"', '""')
        connection.execute(f'PRAGMA key = "{quoted}"')
        return connection

    declared = MetaData()
    runs = Table("runs", declared, Column("run_id", String, primary_key=True), Column("n", Integer))
    engine = create_engine("sqlite://", creator=create, poolclass=NullPool)
    attach(engine, declared)
    with untouched(path), engine.connect() as connection:
        assert [n for _, n in connection.execute(select(runs))] == [7]
    runs.append_column(Column("m", Integer))
    engine = create_engine("sqlite://", creator=create, poolclass=NullPool)
    attach(engine, declared)
    with untouched(path), pytest.raises(AttachError, match="creator"):
        engine.connect()


def test_an_error_survives_a_process_boundary(path: Path) -> None:
    _make(path)
    with pytest.raises(OpeningRefusedError) as caught:
        open_landscape(path, passphrase="wrong")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
