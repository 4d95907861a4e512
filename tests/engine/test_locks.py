"""A locked connection can do nothing but read, and each of its locks holds by itself."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, exc, text

from landscape_compat.engine.locks import (
    IGNORED_PRAGMAS,
    ON_PRAGMAS,
    QUERY_PRAGMAS,
    READ_PRAGMAS,
    REFUSED_ACTIONS,
    REFUSED_FUNCTIONS,
    SESSION_PRAGMAS,
    authorize,
    explain_refusal,
    lock_sqlite,
)
from landscape_compat.engine.opening import open_readonly
from landscape_compat.errors import OpeningRefusedError, WriteRefusedError
from support import wal
from support.untouched import untouched


@pytest.fixture(params=["delete", "wal"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Make a database with a view and an index, in a folder of its own."""
    folder = tmp_path / "source"
    folder.mkdir()
    path = folder / "audit.db"
    wal.make_database(path, request.param)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("CREATE VIEW v AS SELECT id, word FROM t")
    connection.execute("CREATE INDEX i ON t (word)")
    connection.close()
    return path


@contextmanager
def _connected(
    path: Path, *locks: Callable[[sqlite3.Connection], object], options: str = ""
) -> Any:
    """Connect for reading and writing, with these locks only, beside a connection that stays.

    The one that stays keeps a WAL database as it is when the other closes.
    """
    other = sqlite3.connect(path)
    other.execute(wal.ANSWER).fetchone()
    connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True, isolation_level=None)
    try:
        connection.execute(wal.ANSWER).fetchone()
        for lock in locks:
            lock(connection)
        yield connection
    finally:
        connection.close()
        other.close()


def _authorizer(connection: sqlite3.Connection) -> None:
    connection.set_authorizer(authorize)


def _query_only(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only = ON")


def _attached_limit(connection: sqlite3.Connection) -> None:
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)


# Each writes something somewhere, or opens the way to it, on a connection without locks.
WRITES = [
    "INSERT INTO t VALUES (9999, 'x', '')",
    "REPLACE INTO t VALUES (1, 'x', '')",
    "UPDATE t SET word = 'x'",
    "DELETE FROM t",
    "WITH n AS (SELECT 1) DELETE FROM t WHERE id IN (SELECT * FROM n)",
    "INSERT INTO t SELECT id + 9999, word, fill FROM t",
    "CREATE TABLE z (a)",
    "CREATE TABLE z AS SELECT * FROM t",
    "CREATE VIEW z AS SELECT 1",
    "CREATE INDEX z ON t (fill)",
    "CREATE TRIGGER z AFTER INSERT ON t BEGIN DELETE FROM t; END",
    "CREATE VIRTUAL TABLE z USING fts5(a)",
    "DROP TABLE t",
    "DROP VIEW v",
    "DROP INDEX i",
    "ALTER TABLE t ADD COLUMN z",
    "ALTER TABLE t RENAME TO z",
    "ALTER TABLE t RENAME COLUMN word TO z",
    "ALTER TABLE t DROP COLUMN fill",
    "REINDEX",
    "ANALYZE",
    "VACUUM",
    "PRAGMA user_version = 9",
    "PRAGMA application_id = 9",
    "PRAGMA schema_version = 99",
]
TEMPORARY = [
    "CREATE TEMP TABLE t (a)",
    "CREATE TEMP VIEW t AS SELECT 1",
    "CREATE TEMP TRIGGER z AFTER INSERT ON t BEGIN DELETE FROM t; END",
    "CREATE TABLE temp.z (a)",
]
ATTACHING = [
    "ATTACH '{path}' AS other",
    "ATTACH 'file:{path}?mode=rw' AS other",
    "ATTACH '{path}.new' AS other",
    "ATTACH ':memory:' AS other",
    "ATTACH '' AS other",
    "VACUUM INTO '{path}.new'",
    "VACUUM main INTO '{path}.new'",
]
UNLOCKING = [
    "DETACH main",
    "PRAGMA writable_schema = ON",
    "PRAGMA writable_schema = RESET",
    "PRAGMA trusted_schema = ON",
    "PRAGMA cell_size_check = OFF",
    "PRAGMA wal_checkpoint",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "PRAGMA main.wal_checkpoint",
    "PRAGMA incremental_vacuum",
    "PRAGMA default_cache_size = 5",
    "PRAGMA encoding = 'UTF-16'",
    "PRAGMA max_page_count = 5",
    "PRAGMA hard_heap_limit = 1000000",
    "PRAGMA temp_store_directory = '/'",
    "PRAGMA data_store_directory = '/'",
    "PRAGMA legacy_alter_table = ON",
    "PRAGMA a_pragma_of_tomorrow",
    "PRAGMA a_pragma_of_tomorrow = 1",
    "SELECT load_extension('x')",
    "SELECT LOAD_EXTENSION('x')",
    "SELECT fts3_tokenizer('simple')",
]
SCHEMA_WRITES = ["UPDATE sqlite_master SET sql = 'x'", "DELETE FROM sqlite_schema"]


def _refused(connection: sqlite3.Connection, statement: str) -> WriteRefusedError:
    with pytest.raises(sqlite3.Error) as caught:
        connection.execute(statement).fetchall()
    refusal = explain_refusal(caught.value)
    assert refusal is not None, (statement, caught.value)
    return refusal


# One lock at a time ---------------------------------------------------------------------------


def test_without_locks_what_is_refused_below_would_be_done(path: Path) -> None:
    """Else the tests of the locks would prove nothing."""
    for statement in [*WRITES, *TEMPORARY, *ATTACHING]:
        with _connected(path) as connection:
            if "VACUUM" not in statement and "ATTACH" not in statement:
                connection.execute("SAVEPOINT before")
            connection.execute(statement.format(path=path)).fetchall()
        Path(f"{path}.new").unlink(missing_ok=True)


@pytest.mark.parametrize("name", ["rollback", "wal_clean", "wal_frames", "wal_live_idle"])
def test_read_only_opening_alone_keeps_the_file(name: str, tmp_path: Path) -> None:
    """It is for the file alone: it keeps nobody from attaching the same file for writing."""
    path = tmp_path / "a.db"
    with wal.make_state(name, path), wal.left_alone(path):
        connection, opening = open_readonly(path, wal.connect)
        for statement in [*WRITES, *SCHEMA_WRITES]:
            with suppress(sqlite3.Error):
                connection.execute(statement).fetchall()
        for statement in ("INSERT INTO t VALUES (9999, 'x', '')", "CREATE TABLE z (a)"):
            _refused(connection, statement)
        connection.close()
        opening.close()


@pytest.mark.parametrize("statement", [*WRITES, *TEMPORARY])
def test_query_only_alone_keeps_the_file(statement: str, path: Path) -> None:
    with _connected(path, _query_only) as connection, untouched(path):
        _refused(connection, statement)


@pytest.mark.parametrize("statement", [*WRITES, *TEMPORARY, *ATTACHING, *UNLOCKING, *SCHEMA_WRITES])
def test_the_authorizer_alone_keeps_the_file(statement: str, path: Path) -> None:
    with _connected(path, _authorizer) as connection, untouched(path):
        _refused(connection, statement.format(path=path))
        assert connection.execute(wal.ANSWER).fetchone() == wal.OLD
        assert connection.execute("PRAGMA database_list").fetchall() == [(0, "main", str(path))]


@pytest.mark.parametrize("statement", ATTACHING)
def test_the_limit_on_attaching_alone_keeps_others_out(statement: str, path: Path) -> None:
    with _connected(path, _attached_limit) as connection, untouched(path):
        assert "attaches" in _refused(connection, statement.format(path=path)).reason


@pytest.mark.parametrize("statement", ATTACHING)
def test_attaching_stays_refused_when_the_authorizer_is_taken_away(
    statement: str, path: Path
) -> None:
    with _connected(path, lock_sqlite) as connection, untouched(path):
        connection.set_authorizer(None)
        _refused(connection, statement.format(path=path))


def test_read_only_opening_and_query_only_leave_the_hole_that_the_authorizer_closes(
    path: Path,
) -> None:
    """Both bind the main database only, and SQL can switch query_only off."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"ATTACH '{path}' AS other")
    connection.execute("PRAGMA query_only = OFF")
    connection.execute("UPDATE other.t SET word = 'through the hole'")
    connection.close()
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    connection.set_authorizer(authorize)
    with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
        connection.execute(f"ATTACH '{path}' AS other")
    assert connection.execute("SELECT DISTINCT word FROM t").fetchall() == [("through the hole",)]
    connection.close()


@pytest.mark.parametrize("setting", ["journal_mode = DELETE", "journal_mode = WAL"])
def test_a_programs_journal_mode_does_nothing(setting: str, path: Path) -> None:
    """A program sends it to every connection it makes; it must neither write nor fail."""
    with _connected(path, _authorizer) as connection, untouched(path):
        assert connection.execute(f"PRAGMA {setting}").fetchall() == []
        assert connection.execute(f"PRAGMA main.{setting}").fetchall() == []


def test_writable_schema_is_taken_back(path: Path) -> None:
    with _connected(path) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        lock_sqlite(connection)
        assert connection.execute("PRAGMA writable_schema").fetchone() == (0,)
        with untouched(path):
            for statement in SCHEMA_WRITES:
                _refused(connection, statement)
            connection.set_authorizer(None)
            connection.execute("PRAGMA query_only = OFF")
            for statement in SCHEMA_WRITES:
                with pytest.raises(sqlite3.OperationalError, match="may not be modified"):
                    connection.execute(statement)


@pytest.mark.parametrize(
    "view",
    ["SELECT hostile() AS x", "SELECT name AS x FROM pragma_database_list"],
)
def test_trusted_schema_alone_keeps_a_view_from_the_programs_functions(
    view: str, path: Path
) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE VIEW hostile_view AS {view}")
    connection.close()
    calls: list[str] = []
    with _connected(path) as connection:
        connection.create_function("hostile", 0, lambda: calls.append("called"))
        connection.execute("SELECT * FROM hostile_view").fetchall()
        connection.execute("PRAGMA trusted_schema = OFF")
        calls.clear()
        with pytest.raises(sqlite3.OperationalError, match="unsafe use"):
            connection.execute("SELECT * FROM hostile_view").fetchall()
        assert calls == []


def _overrun(path: Path) -> None:
    """Have a row of the table reach beyond the end of its page."""
    with path.open("r+b") as file:
        for page in range(2, path.stat().st_size // 4096):
            file.seek(4096 * page)
            head = file.read(5)
            if head[:1] == b"\x0d" and head[3:] != b"\0\0":  # a leaf of a table, with rows
                file.seek(4096 * page + 8)
                file.write((4096 - 5).to_bytes(2, "big"))  # where its first row begins
                return
    raise AssertionError


def test_cell_size_check_alone_tells_damage_before_it_is_read(path: Path) -> None:
    """Without it, what is not asked of a damaged page is answered as if all were well."""
    _overrun(path)
    with wal.left_alone(path):
        connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        assert connection.execute("SELECT count(id) FROM t NOT INDEXED").fetchone() == (600,)
        connection.close()
        connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        connection.execute("PRAGMA cell_size_check = ON")
        with pytest.raises(sqlite3.DatabaseError, match="malformed"):
            connection.execute("SELECT count(id) FROM t NOT INDEXED").fetchone()
        connection.close()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 has no setconfig")
def test_defensive_mode_alone_keeps_the_schema_from_being_edited(path: Path) -> None:
    defensive: int = getattr(sqlite3, "SQLITE_DBCONFIG_DEFENSIVE")  # noqa: B009 - new in 3.12
    with _connected(path) as connection:
        connection.setconfig(defensive, True)
        connection.execute("PRAGMA writable_schema = ON")
        with untouched(path):
            for statement in SCHEMA_WRITES:
                with pytest.raises(sqlite3.OperationalError, match="may not be modified"):
                    connection.execute(statement)
        assert connection.execute("PRAGMA journal_mode = OFF").fetchone() != ("off",)
    with _connected(path, lock_sqlite) as connection:
        assert connection.getconfig(defensive)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="from Python 3.12 on it is tested above")
def test_without_defensive_mode_the_other_locks_are_all_there_is(path: Path) -> None:
    with _connected(path) as connection:
        assert not hasattr(connection, "setconfig")
        assert "defensive" not in lock_sqlite(connection)


@pytest.mark.parametrize(
    "value", ["zeroblob(900000000)", "hex(zeroblob(100000000))", "randomblob(900000000)"]
)
def test_the_length_limit_alone_keeps_the_memory_free(value: str, path: Path) -> None:
    with _connected(path) as connection:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 64 << 20)
        with pytest.raises(sqlite3.DataError, match="too big"):
            connection.execute(f"SELECT {value}").fetchone()


def test_the_length_limit_grows_with_the_file(path: Path) -> None:
    """A value can be as long as the file that it is stored in."""
    with _connected(path) as connection:
        lock_sqlite(connection, size=200 << 20)
        assert connection.getlimit(sqlite3.SQLITE_LIMIT_LENGTH) == 400 << 20
        lock_sqlite(connection, size=5 << 30)  # more than the limit can be told
        assert connection.getlimit(sqlite3.SQLITE_LIMIT_LENGTH) > 400 << 20
        lock_sqlite(connection, size=1)
        assert connection.getlimit(sqlite3.SQLITE_LIMIT_LENGTH) == 64 << 20


def test_extensions_stay_unloaded(path: Path) -> None:
    with _connected(path) as connection:
        if hasattr(connection, "enable_load_extension"):
            connection.enable_load_extension(True)
        lock_sqlite(connection)
        connection.set_authorizer(None)
        with pytest.raises(sqlite3.Error, match=r"not authorized|no such function"):
            connection.execute("SELECT load_extension('/nowhere.so')")


def test_the_locks_in_force_are_named(path: Path) -> None:
    """Each that this Python and its SQLite have, and no other."""
    with _connected(path) as connection:
        had = [
            *("query_only", "trusted_schema", "cell_size_check", "writable_schema", "mmap_size"),
            *(["no extensions"] if hasattr(connection, "enable_load_extension") else []),
            *("no attaching", "length limit"),
            *(["defensive"] if hasattr(connection, "setconfig") else []),
            "authorizer",
        ]
        assert list(lock_sqlite(connection)) == had


# All locks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", [*WRITES, *TEMPORARY, *ATTACHING, *UNLOCKING, *SCHEMA_WRITES])
def test_a_locked_connection_refuses_and_says_so(statement: str, path: Path) -> None:
    with _connected(path, lock_sqlite) as connection, untouched(path):
        refusal = _refused(connection, statement.format(path=path))
        assert "nothing was changed" in refusal.reason
        for way in ("Export the database as it is", "migrate a copy", "start a fresh database"):
            assert way in str(refusal.remedy)


READS = [
    wal.ANSWER,
    "SELECT count(*), upper(word), group_concat(id) FROM t GROUP BY word",
    "SELECT * FROM v",
    "SELECT word, row_number() OVER (ORDER BY id) FROM t",
    "WITH RECURSIVE g (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM g WHERE i < 9) SELECT * FROM g",
    "WITH t AS NOT MATERIALIZED (SELECT t.*, NULL AS z FROM main.t AS t) SELECT z FROM t",
    "SELECT value FROM json_each('[7]')",
    "SELECT key, atom FROM json_tree('{}')",
    "SELECT json_extract('{\"a\": 1}', '$.a')",
    "SELECT name FROM pragma_table_info('t')",
    "SELECT x.name FROM sqlite_master AS m, pragma_table_xinfo(m.name, 'main') AS x",
    "SELECT * FROM pragma_index_list('t')",
    "SELECT name FROM sqlite_schema",
    "EXPLAIN SELECT * FROM t",
    "EXPLAIN QUERY PLAN SELECT * FROM t",
    "VALUES (1), (2)",
    "BEGIN",
    "COMMIT",
    "SAVEPOINT s",
    "RELEASE s",
    "BEGIN IMMEDIATE",
    "ROLLBACK",
    "PRAGMA main.table_xinfo(t)",
    "PRAGMA TABLE_INFO(t)",
    "PRAGMA quick_check",
    "PRAGMA integrity_check(5)",
    "PRAGMA foreign_key_check",
    "PRAGMA journal_mode",
    "PRAGMA writable_schema",
    "PRAGMA query_only",
]


def test_a_locked_connection_reads_whatever_is_asked(path: Path) -> None:
    connection, opening = open_readonly(path, wal.connect)
    lock_sqlite(connection)
    plain = sqlite3.connect(f"file:{path}?immutable=1", uri=True, isolation_level=None)
    with untouched(path):
        for statement in READS:
            if statement == "BEGIN IMMEDIATE":
                with suppress(sqlite3.OperationalError):  # query_only refuses it
                    connection.execute(statement)
                connection.execute("BEGIN") if not connection.in_transaction else None
                plain.execute("BEGIN")
            elif statement not in ("PRAGMA query_only", "PRAGMA journal_mode"):
                answer = connection.execute(statement).fetchall()
                assert answer == plain.execute(statement).fetchall(), statement
            else:
                assert len(connection.execute(statement).fetchall()) == 1
    plain.close()
    connection.close()
    opening.close()


@pytest.mark.parametrize("pragma", sorted(SESSION_PRAGMAS))
def test_session_pragmas_are_accepted(pragma: str, path: Path) -> None:
    with _connected(path, lock_sqlite) as connection, untouched(path):
        connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.execute(f"PRAGMA {pragma} = 1").fetchall()
        connection.execute(f"PRAGMA {pragma.upper()}(1)").fetchall()


@pytest.mark.parametrize("pragma", sorted(IGNORED_PRAGMAS))
def test_ignored_pragmas_are_accepted_and_do_nothing(pragma: str, path: Path) -> None:
    with _connected(path, lock_sqlite) as connection, untouched(path):
        before = None if pragma == "optimize" else connection.execute(f"PRAGMA {pragma}").fetchall()
        for value in ("0", "7", "OFF", "WAL", "EXCLUSIVE", "0x10002"):
            assert connection.execute(f"PRAGMA {pragma} = {value}").fetchall() == []
        if before is not None:
            assert connection.execute(f"PRAGMA {pragma}").fetchall() == before


@pytest.mark.parametrize("pragma", sorted(QUERY_PRAGMAS))
def test_query_pragmas_answer_and_take_nothing(pragma: str, path: Path) -> None:
    with _connected(path, lock_sqlite) as connection, untouched(path):
        connection.execute(f"PRAGMA {pragma}").fetchall()
        _refused(connection, f"PRAGMA {pragma} = 1")


@pytest.mark.parametrize(("pragma", "on"), sorted(ON_PRAGMAS.items()))
def test_locks_can_be_set_again_but_not_undone(pragma: str, on: bool, path: Path) -> None:
    with _connected(path, lock_sqlite) as connection:
        for value in ("ON", "yes", "1", "true") if on else ("OFF", "no", "0", "false"):
            connection.execute(f"PRAGMA {pragma} = {value}").fetchall()
        for value in ("OFF", "0", "no") if on else ("ON", "1", "2", "yes"):
            with suppress(sqlite3.DatabaseError):
                connection.execute(f"PRAGMA {pragma} = {value}").fetchall()
        assert connection.execute(f"PRAGMA {pragma}").fetchone() == (int(on),)


def test_a_program_that_leaves_query_only_goes_on_reading(path: Path) -> None:
    """Hosts switch it on for a block that reads, and off behind it."""
    with _connected(path, lock_sqlite) as connection, untouched(path):
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA query_only = OFF")
        connection.set_authorizer(None)
        _refused(connection, "DELETE FROM t")


def test_locking_twice_is_locking_once(path: Path) -> None:
    with _connected(path, lock_sqlite, lock_sqlite) as connection, untouched(path):
        _refused(connection, "DELETE FROM t")


def test_a_connection_with_rows_of_its_own_kind_can_be_locked(path: Path) -> None:
    with _connected(path) as connection:
        connection.row_factory = lambda cursor, row: {"row": row}
        lock_sqlite(connection)
        assert connection.execute("SELECT 1").fetchone() == {"row": (1,)}


def test_memory_mapping_is_switched_off(path: Path) -> None:
    """A file that shrinks under a mapping ends the process."""
    with _connected(path) as connection:
        connection.execute("PRAGMA mmap_size = 1000000").fetchall()
        lock_sqlite(connection)
        assert connection.execute("PRAGMA mmap_size").fetchone() in ((0,), None)


class _Deaf(sqlite3.Connection):
    """A connection whose SQLite does not know `trusted_schema`."""

    def cursor(self, *arguments: Any, **keywords: Any) -> Any:
        return super().cursor(_DeafCursor)


class _DeafCursor(sqlite3.Cursor):
    def execute(self, sql: str, *arguments: Any) -> Any:
        return super().execute(sql.replace("trusted_schema", "not_a_pragma"), *arguments)


def test_a_sqlite_that_lacks_a_lock_is_refused(path: Path) -> None:
    connection = sqlite3.connect(path, factory=_Deaf)
    with pytest.raises(OpeningRefusedError, match="does not obey PRAGMA trusted_schema=OFF"):
        lock_sqlite(connection)
    connection.close()


# The data -------------------------------------------------------------------------------------


def test_every_action_of_sqlite_is_decided() -> None:
    reading = {"SELECT", "READ", "FUNCTION", "RECURSIVE", "TRANSACTION", "SAVEPOINT", "PRAGMA"}
    for name in reading:
        assert getattr(sqlite3, f"SQLITE_{name}") not in REFUSED_ACTIONS
    # Source: https://www.sqlite.org/c3ref/c_alter_table.html, 0 is not used any more.
    decided = {getattr(sqlite3, f"SQLITE_{name}") for name in reading} | set(REFUSED_ACTIONS)
    assert decided == set(range(1, 34))


@pytest.mark.parametrize("action", [*REFUSED_ACTIONS, 0, 34, 999])
def test_refused_actions_are_refused_whatever_they_concern(action: int) -> None:
    assert authorize(action, "t", "word", "main", None) == sqlite3.SQLITE_DENY
    assert authorize(action, None, None, None, None) == sqlite3.SQLITE_DENY


def test_optimizing_is_ignored_without_an_argument_too() -> None:
    """Other ignored pragmas only read then; it would store statistics."""
    asked = (sqlite3.SQLITE_PRAGMA, "optimize", None, "main", None)
    assert authorize(*asked) == sqlite3.SQLITE_IGNORE


def test_the_schema_of_another_database_is_not_declared_to() -> None:
    """SQLite asks of its own virtual tables as of a change of the main one's schema."""
    asked = (sqlite3.SQLITE_UPDATE, "sqlite_master", "sql")
    assert authorize(*asked, "main", None) == sqlite3.SQLITE_OK
    assert authorize(*asked, "other", None) == sqlite3.SQLITE_DENY


@pytest.mark.parametrize("function", REFUSED_FUNCTIONS)
def test_refused_functions_are_refused_in_any_case(function: str) -> None:
    for name in (function, function.upper(), function.title()):
        assert authorize(sqlite3.SQLITE_FUNCTION, None, name, None, None) == sqlite3.SQLITE_DENY


def test_no_pragma_is_decided_twice() -> None:
    sets = [READ_PRAGMAS, QUERY_PRAGMAS, set(SESSION_PRAGMAS), set(IGNORED_PRAGMAS)]
    assert sum(map(len, sets)) == len(set().union(*sets))
    # Switching it on is obeyed, off is ignored.
    assert set(ON_PRAGMAS) & set().union(*sets) == {"query_only"}


# Explaining -----------------------------------------------------------------------------------


def test_sqlalchemys_error_is_looked_into(path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        lock_sqlite(raw)
        with pytest.raises(exc.DatabaseError) as caught:
            connection.execute(text("DELETE FROM t"))
        refusal = explain_refusal(caught.value)
        assert isinstance(refusal, WriteRefusedError)
        assert "it does more than read (not authorized)" in refusal.reason
    engine.dispose()


@pytest.mark.parametrize(
    "statement",
    ["SELECT * FROM nothing", "SELECT nothing FROM t", "SELEC", "SELECT 1 +", "COMMIT"],
)
def test_other_errors_are_not_explained(statement: str, path: Path) -> None:
    with (
        _connected(path, lock_sqlite) as connection,
        pytest.raises(sqlite3.Error) as caught,
    ):
        connection.execute(statement)
    assert explain_refusal(caught.value) is None


def test_a_file_that_cannot_be_read_is_no_refused_write(tmp_path: Path) -> None:
    """SQLite says `attempt to write a readonly database` of a hot journal, too."""
    path = tmp_path / "a.db"
    with wal.make_state("journal_hot", path):
        connection = wal.connect(f"file:{path}?mode=ro")
        with pytest.raises(sqlite3.OperationalError, match="attempt to write a readonly") as caught:
            connection.execute(wal.ANSWER)
        connection.close()
    assert explain_refusal(caught.value) is None


def test_a_broken_database_is_no_refused_write(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    connection = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
    lock_sqlite(connection)
    with pytest.raises(sqlite3.DatabaseError, match="malformed") as caught:
        connection.execute(wal.ANSWER).fetchall()
    connection.close()
    assert explain_refusal(caught.value) is None


class DatabaseError(Exception):
    """An error as of a driver that gives no codes."""


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        ("not authorized", True),
        ("authorization denied", True),
        ("attempt to write a readonly database", True),
        ("not authorized to use function: load_extension", True),
        ("table sqlite_master may not be modified", True),
        ("no such column: word", False),
        ("database disk image is malformed", False),
    ],
)
def test_a_driver_without_error_codes_is_understood_by_its_words(
    message: str, refused: bool
) -> None:
    assert (explain_refusal(DatabaseError(message)) is not None) is refused


def test_words_of_another_error_are_no_refused_write() -> None:
    """A name in a damaged schema may be any words; what is quoted cannot act on a terminal."""
    error = DatabaseError("malformed database schema (not authorized \x1b[31m)")
    refusal = explain_refusal(error)
    assert refusal is not None
    assert refusal.reason.isprintable()
    error.sqlite_errorcode = 11  # type: ignore[attr-defined]
    assert explain_refusal(error) is None


def test_an_error_that_is_not_the_databases_is_not_explained() -> None:
    assert explain_refusal(ValueError("not authorized")) is None
