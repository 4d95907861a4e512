"""A host with the shim in it reads what any version wrote, and does all else as without it."""

from __future__ import annotations

import copy
import importlib
import pickle
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import MetaData, create_engine, make_url
from sqlalchemy.exc import OperationalError
from support.hosts import ERAS, PutInPlace, put_in_place
from support.legacy import Written, build_shape
from support.untouched import untouched

from landscape_compat import install, uninstall, wrap
from landscape_compat.engine.attach import attachment_of
from landscape_compat.errors import (
    AttachError,
    DegradedDatabaseError,
    LandscapeCompatError,
    UnreadableError,
    WriteRefusedError,
)
from landscape_compat.landscape.history import shape_named
from landscape_compat.schema.shape import SchemaShape

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

OLD, NEW = "2026-01-14/75de5bfee", "2026-07-18/84d296d5b"
# The eras whose readers say that they create no tables, and those before.
EARLY = ("seed", "january")
LATE = tuple(name for name in ERAS if name not in EARLY)
COMMANDS = ("run", "resume", "join", "export_resume")


@pytest.fixture(autouse=True)
def leave_no_shim() -> Iterator[None]:
    """Whatever a test installs is gone after it."""
    yield
    uninstall()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Callable[[str], PutInPlace]]:
    """Put a host of an era in place."""
    with put_in_place(tmp_path / "first", ERAS["rc2"]):
        pass  # so that the stack of the test below is all that is there
    stack: list[Any] = []

    def place(name: str) -> PutInPlace:
        stack.append(put_in_place(tmp_path / f"host-{name}", ERAS[name]))
        placed: PutInPlace = stack[-1].__enter__()
        return placed

    yield place
    while stack:
        stack.pop().__exit__(None, None, None)


def build(folder: Path, shape: str, **options: Any) -> Written:
    """Build a small database in a folder of its own."""
    folder.mkdir()
    known = shape_named(shape)
    options = {"rows": 2, "runs": 4, "long_text": False, **options}
    return build_shape(folder / "audit.db", known.shape, **options)


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def own(host: PutInPlace, path: Path, *statements: str) -> str:
    """Let a host make a database of its own, without the shim, and spoil it."""
    path.parent.mkdir(exist_ok=True)
    host.db.from_url(url_of(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(";".join(statements))
    host.load().calls.clear()
    return url_of(path)


def done(host: PutInPlace) -> list[str]:
    """Tell what the host did that writes, or may."""
    return [call for call in host.load().calls if call != "validate"]


def read(host: PutInPlace, db: Any, table: str = "tokens") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = host.load("core.landscape.factory").RecorderFactory(db).read(table)
    return rows


def ids(rows: list[dict[str, Any]], column: str) -> list[Any]:
    return sorted(row[column] for row in rows)


# Reading ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
def test_an_older_database_is_read_and_nothing_is_written(
    place: Any, tmp_path: Path, era: str, journal_mode: Any
) -> None:
    """Every era's readers see every row, and the host's ways of opening are not taken."""
    written = build(tmp_path / "record", OLD, journal_mode=journal_mode)
    host = place(era)
    install()
    with untouched(written.path):
        db = host.db.from_url(url_of(written.path), create_tables=False)
        assert type(db) is host.db
        assert db.connection_string == url_of(written.path)
        for table, key in (("nodes", "node_id"), ("tokens", "token_id"), ("runs", "run_id")):
            assert ids(read(host, db, table), key) == ids(written.tables[table].dicts(), key)
        assert read(host, db, "checkpoints") == []
        db.close()
    assert done(host) == []
    assert getattr(db, "assembled", False) is ERAS[era].parts


@pytest.mark.parametrize("era", [name for name in ERAS if name != "newest"])
def test_a_newer_database_is_read(place: Any, tmp_path: Path, era: str) -> None:
    """Readers of every era see the rows of the newest database."""
    written = build(tmp_path / "record", NEW, journal_mode="wal", user_version=29)
    host = place(era)
    install()
    with untouched(written.path):
        db = host.db.from_url(url_of(written.path), create_tables=False)
        keys = ids(written.tables["tokens"].dicts(), "token_id")
        assert ids(read(host, db), "token_id") == keys
        db.close()
    assert done(host) == []


@pytest.mark.parametrize("era", ERAS)
def test_without_the_shim_it_fails(place: Any, tmp_path: Path, era: str) -> None:
    """What is read above is refused, or trips over a column, if the host is left alone."""
    written = build(tmp_path / "record", OLD)
    host = place(era)
    errors = (OperationalError, getattr(host.load(), "SchemaCompatibilityError", OperationalError))

    def opened() -> None:
        with host.db.from_url(url_of(written.path), create_tables=False) as db:
            read(host, db, "nodes")

    with pytest.raises(errors):
        opened()


def test_what_only_the_validation_refuses_is_read(place: Any, tmp_path: Path) -> None:
    """A database that has every column and another epoch, or no index, is read in place."""
    host = place("epochs")
    for number, spoiled in enumerate(("PRAGMA user_version = 1", "DROP INDEX ix_tokens_created_at")):
        path = tmp_path / f"record{number}" / "audit.db"
        url = own(host, path, spoiled, "PRAGMA journal_mode = delete")
        install()
        with untouched(path):
            db = host.db.from_url(url, create_tables=False)
            assert read(host, db) == []
            db.close()
            with pytest.raises(WriteRefusedError, match="schema is outdated"):
                host.db.from_url(url)
        assert done(host) == []
        uninstall()


def test_a_foreign_table_is_no_harm_to_a_reader(place: Any, tmp_path: Path) -> None:
    """What a rollback by the host's own instructions leaves behind does not hide the record."""
    host = place("newest")
    path = tmp_path / "record" / "audit.db"
    url = own(host, path, "CREATE TABLE rollback_attestations (id)", "PRAGMA journal_mode = delete")
    install()
    with untouched(path):
        db = host.db.from_url(url, create_tables=False)
        assert read(host, db) == []
        db.close()
        with pytest.raises(WriteRefusedError, match="foreign tables"):
            host.db(url)


def test_a_migrating_build_does_not_migrate(place: Any, tmp_path: Path) -> None:
    """A build that alters older databases when it opens them is kept from it."""
    written = build(tmp_path / "record", "2026-07-14/09cc47c23", user_version=23)
    host = place("july-16")
    install()
    with untouched(written.path):
        db = host.db.from_url(url_of(written.path), create_tables=False)
        assert len(read(host, db)) == len(written.tables["tokens"].rows)
        db.close()
        with pytest.raises(WriteRefusedError):
            host.db.from_url(url_of(written.path))


def test_pragmas_are_answered_as_readers_want_them(place: Any, tmp_path: Path) -> None:
    """A build that insists on WAL reads a file in another mode, which stays in it."""
    written = build(tmp_path / "record", OLD, journal_mode="delete")
    host = place("late-spring")
    install()
    with untouched(written.path):
        db = host.db.from_url(url_of(written.path), create_tables=False)
        with db.connection() as connection:
            pragmas = {
                name: connection.exec_driver_sql(f"PRAGMA {name};").scalar()
                for name in ("journal_mode", "foreign_keys", "busy_timeout")
            }
        db.close()
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 5000}


def test_a_reader_may_begin_by_itself(place: Any, tmp_path: Path) -> None:
    """To begin on a connection that we have begun on is no error, and reading goes on."""
    written = build(tmp_path / "record", OLD)
    host = place("newest")
    install()
    with host.db.from_url(url_of(written.path), create_tables=False) as db:
        for begin in ("BEGIN", "begin deferred;", "BEGIN  TRANSACTION"):
            with db.engine.begin() as connection:
                connection.exec_driver_sql("SELECT * FROM tokens")
                connection.exec_driver_sql(begin)
                count = connection.exec_driver_sql("SELECT count(*) FROM tokens").scalar()
                connection.exec_driver_sql("COMMIT")
                connection.exec_driver_sql(begin)
                assert connection.exec_driver_sql("SELECT count(*) FROM tokens").scalar() == count


# What works without the shim ----------------------------------------------------------------------


@pytest.mark.parametrize("era", ERAS)
def test_a_current_database_goes_the_hosts_own_way(place: Any, tmp_path: Path, era: str) -> None:
    """The host does the same, in the same order, and may write; the engine is its own."""
    host = place(era)
    calls = []
    for number, prepare in enumerate((uninstall, install)):
        url = own(host, tmp_path / f"record{number}" / "audit.db")
        prepare()
        for open_it in (
            lambda url: host.db.from_url(url, create_tables=False),
            lambda url: host.db.from_url(url),
            lambda url: host.db(url),
        ):
            with open_it(url) as db:
                assert attachment_of(db.engine) is None
                assert not db._read_only
                with db.engine.begin() as connection:
                    connection.exec_driver_sql("UPDATE runs SET status = 'written'")
        calls.append(done(host))
    assert calls[0] == calls[1] != []


@pytest.mark.parametrize("era", ERAS)
def test_a_fresh_database_is_made_by_the_host(place: Any, tmp_path: Path, era: str) -> None:
    """No file, an empty file, and no file at all: the host makes its tables there."""
    host = place(era)
    install()
    (tmp_path / "empty.db").touch()
    for path in (tmp_path / "absent.db", tmp_path / "empty.db"):
        with host.db.from_url(url_of(path)) as db:
            assert read(host, db) == []
            assert attachment_of(db.engine) is None
    with host.db.in_memory() as db:
        assert read(host, db, "runs") == []
    assert done(host).count("create_all") == 2
    assert "in_memory" in done(host)


@pytest.mark.parametrize(
    ("era", "table", "creates"),
    [
        ("seed", "checkpoints", True),
        ("january", "checkpoints", True),
        ("rc2", "operations", True),
        ("passphrase", "operations", False),
        ("additive", "auth_events", True),
        ("additive", "operations", False),
        ("newest", "run_sources", False),
    ],
)
def test_tables_that_the_host_is_about_to_make(
    place: Any, tmp_path: Path, era: str, table: str, creates: bool
) -> None:
    """Where only tables are missing and the host would make them, it does; else it is refused."""
    host = place(era)
    path = tmp_path / "record" / "audit.db"
    url = own(host, path, f"DROP TABLE {table}", "DROP TABLE IF EXISTS elspeth_schema_identity")
    install()
    if creates:
        with host.db.from_url(url) as db:
            assert attachment_of(db.engine) is None
        with closing(sqlite3.connect(path)) as connection:
            names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
        assert table in names
    else:
        with untouched(path), pytest.raises(WriteRefusedError, match=f"the table {table} is miss"):
            host.db.from_url(url)


def test_a_missing_table_reads_as_empty_where_none_is_made(place: Any, tmp_path: Path) -> None:
    """A reader that says that it creates nothing sees no rows of a table that is not there."""
    host = place("rc2")
    path = tmp_path / "record" / "audit.db"
    url = own(host, path, "DROP TABLE operations", "PRAGMA journal_mode = delete")
    install()
    with untouched(path):
        db = host.db.from_url(url, create_tables=False)
        assert read(host, db, "operations") == []
        db.close()


def test_a_host_that_lacks_only_words_may_write(place: Any, tmp_path: Path) -> None:
    """A newer database in which nothing is missing is written to, as without the shim."""
    written = build(tmp_path / "record", "2026-01-21/3dd0e981e", journal_mode="wal")
    host = place("seed")
    install()
    with untouched(written.path):
        db = host.db.from_url(url_of(written.path))  # nobody knows what for
        assert len(read(host, db, "node_states")) == len(written.tables["node_states"].rows)
        db.close()
    host.load("cli").run(url_of(written.path))
    assert "create_all" in done(host)


# Writing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", LATE)
@pytest.mark.parametrize("way", ["from_url", "constructor", "journal"])
def test_to_open_for_writing_is_refused(place: Any, tmp_path: Path, era: str, way: str) -> None:
    """The refusal names the drift and the remedies, quotes the host, and is of its family."""
    written = build(tmp_path / "record", OLD)
    host = place(era)
    install()
    url = url_of(written.path)
    ways: dict[str, Callable[[], Any]] = {
        "from_url": lambda: host.db.from_url(url),
        "constructor": lambda: host.db(url),
        "journal": lambda: host.db.from_url(url, create_tables=False, dump_to_jsonl=True),
    }
    with untouched(written.path), pytest.raises(WriteRefusedError) as caught:
        ways[way]()
    assert isinstance(caught.value, host.load().SchemaCompatibilityError)
    message = str(caught.value)
    assert "nodes.determinism is missing" in message
    assert "opened for writing" in message
    assert "Missing column: nodes.determinism" in message  # the host's own words
    assert message.endswith("start a fresh database.")
    assert all(word in message for word in ("landscape-compat export", "migrate a copy"))
    assert done(host) == []


@pytest.mark.parametrize("era", EARLY)
def test_early_readers_say_nothing_of_what_they_want(
    place: Any, tmp_path: Path, era: str
) -> None:
    """Where readers and writers open alike, the database is read, and the first write refused."""
    written = build(tmp_path / "record", OLD)
    host = place(era)
    install()
    with untouched(written.path):
        for open_it in (host.db, host.db.from_url):
            db = open_it(url_of(written.path))
            assert len(read(host, db)) == len(written.tables["tokens"].rows)
            with pytest.raises(WriteRefusedError), db.connection() as connection:
                connection.exec_driver_sql("INSERT INTO runs (run_id) VALUES ('new')")
            db.close()
    assert done(host) == []


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_that_write_are_refused(
    place: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], era: str, command: str
) -> None:
    """The host reports the refusal in its own way, and ends with an exit code that is not 0."""
    written = build(tmp_path / "record", OLD)
    host = place(era)
    install()
    with untouched(written.path), pytest.raises(SystemExit) as ended:
        getattr(host.load("cli"), command)(url_of(written.path))
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "Error connecting to database" in said
    assert "nodes.determinism is missing" in said
    assert "which writes" in said
    assert done(host) == []


@pytest.mark.parametrize("era", ERAS)
def test_purge_destroys_nothing(place: Any, tmp_path: Path, era: str) -> None:
    """The command that deletes files before it writes is refused before it deletes."""
    written = build(tmp_path / "record", OLD)
    (tmp_path / "payloads").mkdir()
    payload = tmp_path / "payloads" / "payload"
    payload.write_text("evidence")
    host = place(era)
    install()
    with untouched(written.path), untouched(payload):
        with pytest.raises(SystemExit):
            host.load("cli").purge(url_of(written.path), payload.parent)
        # A program that does the same by itself is no command that could be recognised.
        db = host.db.from_url(url_of(written.path), create_tables=False)
        manager = host.load("core.retention.purge").PurgeManager(db, payload.parent)
        with pytest.raises(WriteRefusedError, match="Deleting payloads was refused"):
            manager.purge_payloads([payload.name])
        orchestrator = host.load("engine.orchestrator").Orchestrator
        for call in (lambda: orchestrator(db), lambda: orchestrator(db=db, clock=None)):
            with pytest.raises(WriteRefusedError, match="Running a pipeline was refused"):
                call()
        db.close()


def test_purge_and_run_work_where_they_may(place: Any, tmp_path: Path) -> None:
    """On a current database both do what they do."""
    host = place("newest")
    url = own(host, tmp_path / "audit.db")
    (tmp_path / "payloads").mkdir()
    (tmp_path / "payloads" / "old").touch()
    install()
    cli = host.load("cli")
    cli.run(url)
    cli.purge(url, tmp_path / "payloads")
    assert list((tmp_path / "payloads").iterdir()) == []
    with pytest.raises(TypeError):
        host.load("engine.orchestrator").Orchestrator()
    host.load("engine.orchestrator").Orchestrator(object())


@pytest.mark.parametrize("era", ERAS)
def test_explain_reads(
    place: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], era: str
) -> None:
    """The command that only reads does, though it opens as those that write."""
    written = build(tmp_path / "record", OLD)
    host = place(era)
    install()
    with untouched(written.path):
        host.load("cli").explain(url_of(written.path))
    assert capsys.readouterr().out == f"{len(written.tables['tokens'].rows)} tokens\n"


@pytest.mark.parametrize("era", ERAS)
def test_the_first_write_is_refused(place: Any, tmp_path: Path, era: str) -> None:
    """A handle that was opened to read does not write."""
    written = build(tmp_path / "record", OLD)
    host = place(era)
    install()
    with untouched(written.path):
        db = host.db.from_url(url_of(written.path), create_tables=False)
        with pytest.raises(WriteRefusedError), db.connection() as connection:
            connection.exec_driver_sql("DELETE FROM tokens")
        if ERAS[era].read_only:
            assert db.is_read_only
            with pytest.raises(RuntimeError, match="read-only"), db.write_connection():
                pass
        db.close()


# How it is called ---------------------------------------------------------------------------------


def test_every_way_of_calling(place: Any, tmp_path: Path) -> None:
    """By keyword, through an instance, a subclass, a URL object, a relative path, a symlink."""
    written = build(tmp_path / "record", OLD)
    host = place("newest")
    link = tmp_path / "link.db"
    link.symlink_to(written.path)
    url = url_of(written.path)
    install()

    class Plain(host.db):  # type: ignore[misc,name-defined]
        pass

    class Overriding(host.db):  # type: ignore[misc,name-defined]
        @classmethod
        def from_url(cls, url: str, **options: Any) -> Any:
            db = super().from_url(url, create_tables=False, **options)
            db.extra = True
            return db

    current = host.db.in_memory()
    ways: dict[str, Callable[[], Any]] = {
        "keyword": lambda: host.db.from_url(create_tables=False, url=url),
        "instance": lambda: current.from_url(url, create_tables=False),
        "subclass": lambda: Plain.from_url(url, create_tables=False),
        "override": lambda: Overriding.from_url(url, echo=False),
        "object": lambda: host.db.from_url(make_url(url), create_tables=False),
        "symlink": lambda: host.db.from_url(url_of(link), create_tables=False),
        "uri": lambda: host.db.from_url(
            f"sqlite:///file:{written.path}?mode=rw&uri=true", create_tables=False
        ),
        "read_only": lambda: host.db.from_url(url, create_tables=False, read_only=True),
        "engine": lambda: host.db.from_url(
            url, create_tables=False, pool_size=2, connect_args={"timeout": 1}
        ),
    }
    with untouched(written.path):
        for name, call in ways.items():
            with call() as db:
                assert isinstance(db, host.db), name
                assert len(read(host, db)) == len(written.tables["tokens"].rows), name
            kinds = {"subclass": Plain, "override": Overriding}
            assert type(db) is kinds.get(name, host.db)
            assert hasattr(db, "extra") is (name == "override")
    assert done(host) == ["in_memory"]
    current.close()


def test_a_relative_path(place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is relative to the folder of the process, as it is for the host."""
    written = build(tmp_path / "record", OLD)
    host = place("rc2")
    install()
    monkeypatch.chdir(tmp_path)
    with untouched(written.path):
        db = host.db.from_url("sqlite:///record/audit.db", create_tables=False)
        monkeypatch.chdir(written.path.parent)
        assert len(read(host, db)) == len(written.tables["tokens"].rows)
        db.close()


def test_a_constructor_of_a_subclass(place: Any, tmp_path: Path) -> None:
    """A subclass that calls the host's constructor keeps what it adds."""
    written = build(tmp_path / "record", OLD)
    host = place("seed")
    install()

    class Labelled(host.db):  # type: ignore[misc,name-defined]
        def __init__(self, label: str, url: str) -> None:
            super().__init__(connection_string=url)
            self.label = label

    with untouched(written.path):
        db = Labelled("old", url_of(written.path))
        assert (db.label, len(read(host, db))) == ("old", len(written.tables["tokens"].rows))
        db.close()


def test_wrong_calls_are_told_by_the_host(place: Any, tmp_path: Path) -> None:
    """What the host does not take it refuses itself, also for a degraded database."""
    written = build(tmp_path / "record", OLD)
    url = url_of(written.path)
    host = place("rc2")
    install()
    with untouched(written.path):
        for call in (
            lambda: host.db.from_url(),
            lambda: host.db.from_url(url, pool_size=3),
            lambda: host.db.from_url(url, False),
            lambda: host.db(url, passphrase="x"),
        ):
            with pytest.raises(TypeError):
                call()
        for wrong in (None, 7, "no url"):
            with pytest.raises(Exception) as caught:  # noqa: PT011 - SQLAlchemy's own kinds
                host.db.from_url(wrong)
            assert not isinstance(caught.value, LandscapeCompatError)


def test_what_the_newest_host_refuses_together(place: Any, tmp_path: Path) -> None:
    """To open read-only and to create is the host's to refuse, and so is a bad engine option."""
    written = build(tmp_path / "record", OLD)
    url = url_of(written.path)
    host = place("newest")
    install()
    with untouched(written.path):
        with pytest.raises(ValueError, match="requires create_tables=False"):
            host.db.from_url(url, read_only=True)
        with pytest.raises(TypeError, match="nonsense"):
            host.db.from_url(url, create_tables=False, nonsense=True)
        with pytest.raises(ImportError, match="sqlcipher3"):
            host.db.from_url(url, create_tables=False, passphrase="secret")


def test_threads_open_at_once(place: Any, tmp_path: Path) -> None:
    """Many threads that open and read one database all see it whole."""
    written = build(tmp_path / "record", OLD, journal_mode="wal")
    host = place("newest")
    install()
    counts: list[int] = []

    def work() -> None:
        with host.db.from_url(url_of(written.path), create_tables=False) as db:
            counts.append(len(read(host, db)))

    host.load("core.landscape.factory")
    with untouched(written.path):
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert counts == [len(written.tables["tokens"].rows)] * 8


# What stays refused -------------------------------------------------------------------------------


def test_a_damaged_database_of_the_hosts_own(place: Any, tmp_path: Path) -> None:
    """One that says that this very version made it, and lacks something, is not old but damaged."""
    host = place("newest")
    url = own(host, tmp_path / "audit.db", "DROP TABLE auth_events")
    install()
    refusal = host.load().SchemaCompatibilityError
    with pytest.raises(refusal, match="Missing table: auth_events") as caught:
        host.db.from_url(url, create_tables=False)
    assert type(caught.value) is refusal


@pytest.mark.parametrize("era", ["rc2", "newest"])
def test_a_store_of_another_kind(place: Any, tmp_path: Path, era: str) -> None:
    """A database that says that it is something else is refused, in the host's family."""
    written = build(tmp_path / "record", "2026-07-16/f1fc58c71")
    with closing(sqlite3.connect(written.path)) as connection:
        connection.executescript(
            "UPDATE elspeth_schema_identity SET application_id = 'elspeth', "
            "store_kind = 'sessions'"
        )
    host = place(era)
    install()
    with untouched(written.path), pytest.raises(UnreadableError, match="store 'sessions'") as caught:
        host.db.from_url(url_of(written.path), create_tables=False)
    assert isinstance(caught.value, host.load().SchemaCompatibilityError)


@pytest.mark.parametrize("era", ["passphrase", "newest"])
def test_no_landscape_at_all(place: Any, tmp_path: Path, era: str) -> None:
    """A database of something else, and a file that is none, are the host's to refuse."""
    host = place(era)
    other, text = tmp_path / "other.db", tmp_path / "text.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE people (name)")
    text.write_text("This is a letter, not a database.\n" * 30)
    install()
    with pytest.raises(host.load().SchemaCompatibilityError) as caught:
        host.db.from_url(url_of(other), create_tables=False)
    assert not isinstance(caught.value, LandscapeCompatError)
    with pytest.raises(Exception, match="not a database") as odd:
        host.db.from_url(url_of(text), create_tables=False)
    assert not isinstance(odd.value, LandscapeCompatError)


def test_what_cannot_be_opened_without_risk(place: Any, tmp_path: Path) -> None:
    """A degraded file of two names is not left to a host that would write to it."""
    written = build(tmp_path / "record", OLD)
    (tmp_path / "twin.db").hardlink_to(written.path)
    for era in ("seed", "newest"):
        host = place(era)
        install()
        with untouched(written.path), pytest.raises(LandscapeCompatError, match="several names"):
            host.db.from_url(url_of(written.path), create_tables=False)
        assert done(host) == []
        uninstall()


def test_a_program_that_chose_how_to_open(place: Any, tmp_path: Path) -> None:
    """A degraded file with an option that cannot be kept is refused, not opened as asked."""
    written = build(tmp_path / "record", OLD)
    host = place("rc2")
    install()
    url = f"sqlite:///file:{written.path}?nolock=1&uri=true"
    with untouched(written.path), pytest.raises(AttachError, match="option of its own"):
        host.db.from_url(url, create_tables=False)


# Posture ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ERAS)
def test_the_posture_refuse(place: Any, tmp_path: Path, era: str) -> None:
    """A degraded database raises when it is opened; a current one is none of its business."""
    written = build(tmp_path / "record", OLD)
    host = place(era)
    current = own(host, tmp_path / "current" / "audit.db")
    install(posture="refuse")
    with untouched(written.path), pytest.raises(DegradedDatabaseError) as caught:
        host.db.from_url(url_of(written.path), create_tables=False)
    assert "The posture is `refuse`" in str(caught.value)
    refusal = getattr(host.load(), "SchemaCompatibilityError", Exception)
    assert isinstance(caught.value, refusal)
    assert done(host) == []
    host.db.from_url(current).close()


def test_errors_can_be_pickled(place: Any, tmp_path: Path) -> None:
    """An error in the host's family travels between processes as one of ours."""
    written = build(tmp_path / "record", OLD)
    host = place("newest")
    install()
    with pytest.raises(WriteRefusedError) as caught:
        host.db(url_of(written.path))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (WriteRefusedError, str(caught.value))


# Installing ---------------------------------------------------------------------------------------


def test_before_and_after_the_import(place: Any, tmp_path: Path) -> None:
    """Installed first, or last, names that were imported earlier are those that are wrapped."""
    written = build(tmp_path / "record", OLD)
    for order in ("before", "after"):
        host = place("rc2")
        if order == "before":
            install()
            name = importlib.import_module("elspeth.core.landscape").LandscapeDB
        else:
            name = importlib.import_module("elspeth.core.landscape").LandscapeDB
            install()
        with name.from_url(url_of(written.path), create_tables=False) as db:
            assert len(read(host, db)) == len(written.tables["tokens"].rows)
        uninstall()


def test_it_leaves_no_trace(place: Any) -> None:
    """Afterwards the host's classes hold the very objects they held, and imports are as before."""
    host = place("newest")
    finders = list(sys.meta_path)
    names = {"core.landscape.database": "LandscapeDB", "core.landscape.exporter": "LandscapeExporter"}
    names |= {"core.retention.purge": "PurgeManager", "engine.orchestrator": "Orchestrator"}
    classes = [getattr(host.load(module), name) for module, name in names.items()]
    before = [dict(vars(kind)) for kind in classes]
    install()
    install()
    assert all(dict(vars(kind)) != held for kind, held in zip(classes, before, strict=True))
    uninstall()
    uninstall()
    for kind, held in zip(classes, before, strict=True):
        assert list(vars(kind)) == list(held)
        assert all(vars(kind)[name] is value for name, value in held.items())
    assert sys.meta_path == finders


def test_an_import_leaves_no_trace(place: Any) -> None:
    """A module that was watched has its own loader, and one imported later is not touched."""
    host = place("newest")
    install()
    module = host.load()
    assert type(module.__loader__).__name__ == "SourceFileLoader"
    assert module.__spec__.loader is module.__loader__
    wrapped = vars(module.LandscapeDB)["from_url"]
    assert type(wrapped) is not classmethod
    importlib.reload(module)
    assert type(vars(module.LandscapeDB)["from_url"]) is type(wrapped)
    uninstall()
    importlib.reload(module)
    assert type(vars(module.LandscapeDB)["from_url"]) is classmethod
    assert "find" not in repr(module.__spec__.loader)


def test_installed_again_it_watches_again(place: Any, tmp_path: Path) -> None:
    """Installed, removed and installed again, a host that is imported then is wrapped."""
    written = build(tmp_path / "record", OLD)
    install()
    host = place("rc2")
    host.load()
    uninstall()
    install()
    other = place("passphrase")
    with other.db.from_url(url_of(written.path), create_tables=False) as db:
        assert len(read(other, db)) == len(written.tables["tokens"].rows)


def test_another_posture_is_refused(place: Any) -> None:
    """Installed with one posture, it is not installed with another beside it."""
    place("rc2")
    install()
    with pytest.raises(AttachError, match="posture 'degrade'"):
        install(posture="refuse")
    with pytest.raises(AttachError, match="no posture 'migrate'"):
        install(posture="migrate")  # type: ignore[arg-type]
    uninstall()
    install(posture="refuse")


def test_two_threads_install_while_the_host_is_imported(place: Any) -> None:
    """However import and installation interleave, each method is wrapped once."""
    for _ in range(10):
        host = place("newest")
        gate = threading.Barrier(3)
        failed: list[BaseException] = []

        def work(action: Callable[[], Any], gate: Any = gate, failed: Any = failed) -> None:
            gate.wait()
            try:
                action()
            except BaseException as error:
                failed.append(error)

        threads = [
            threading.Thread(target=work, args=(action,)) for action in (install, install, host.load)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        method = vars(host.db)["from_url"]
        assert type(method.__wrapped__) is classmethod
        uninstall()
        assert type(vars(host.db)["from_url"]) is classmethod


def test_methods_are_what_they_were(place: Any) -> None:
    """Signature, name, documentation, pickle and copy of a method are as without the shim."""
    host = place("newest")
    import inspect

    method, plain = host.db.from_url, host.db.__init__
    before = [(inspect.signature(m), m.__name__, m.__qualname__, m.__doc__) for m in (method, plain)]
    install()
    method, plain = host.db.from_url, host.db.__init__
    after = [(inspect.signature(m), m.__name__, m.__qualname__, m.__doc__) for m in (method, plain)]
    assert before == after
    assert inspect.ismethod(method)
    assert inspect.isfunction(plain)
    for again in (copy.copy(method), copy.deepcopy(method), pickle.loads(pickle.dumps(method))):
        assert again.__self__ is host.db
        assert again == method
    for again in (copy.copy(plain), copy.deepcopy(plain), pickle.loads(pickle.dumps(plain))):
        assert again == plain
    pickled = pickle.dumps(host.db)
    assert pickle.loads(pickled) is host.db
    uninstall()
    assert pickle.loads(pickle.dumps(host.db.from_url)) == host.db.from_url


def test_who_wraps_ours_keeps_what_he_has(place: Any, tmp_path: Path) -> None:
    """Removed from under another wrapper, ours passes on; put back, it works once."""
    written = build(tmp_path / "record", OLD)
    host = place("rc2")
    install()
    ours = vars(host.db)["from_url"]
    seen = []

    def outer(cls: Any, *args: Any, **options: Any) -> Any:
        seen.append(args)
        return ours.__get__(None, cls)(*args, **options)

    host.db.from_url = classmethod(outer)
    uninstall()
    with pytest.raises(host.load().SchemaCompatibilityError) as caught:
        host.db.from_url(url_of(written.path), create_tables=False)
    assert not isinstance(caught.value, LandscapeCompatError)
    assert len(seen) == 1


def strange(**names: Any) -> ModuleType:
    module = ModuleType("elspeth.core.landscape.database")
    vars(module).update(names)
    return module


class _Slotted:
    __slots__ = ("engine",)

    def __init__(self) -> None: ...

    @classmethod
    def from_url(cls, url: str) -> Any: ...


class _Inheriting(_Slotted):
    pass


class _Usual:
    def __init__(self) -> None: ...

    @classmethod
    def from_url(cls, url: str) -> Any: ...


STRANGE: list[tuple[dict[str, Any], str]] = [
    ({}, "no class LandscapeDB"),
    ({"LandscapeDB": lambda url: None, "metadata": MetaData()}, "no class LandscapeDB"),
    ({"LandscapeDB": _Inheriting, "metadata": MetaData()}, "no class method from_url"),
    ({"LandscapeDB": _Slotted, "metadata": MetaData()}, "no place for attributes"),
    ({"LandscapeDB": _Usual}, "declares no tables"),
    ({"LandscapeDB": _Usual, "metadata": {}}, "declares no tables"),
]


@pytest.mark.parametrize(("names", "said"), STRANGE, ids=[said for _, said in STRANGE])
def test_a_strange_host(monkeypatch: pytest.MonkeyPatch, names: dict[str, Any], said: str) -> None:
    """A host of no known kind is left as it is, and that is said."""
    monkeypatch.setitem(sys.modules, "elspeth.core.landscape.database", strange(**names))
    finders = list(sys.meta_path)
    with pytest.raises(AttachError, match=said) as caught:
        install()
    assert "landscape-compat export" in str(caught.value)
    assert sys.meta_path == finders
    assert type(vars(_Usual)["from_url"]) is classmethod


def test_a_strange_host_is_told_when_it_is_imported(place: Any) -> None:
    """Installed before, the error comes with the import, and the next import says it again."""
    host = place("rc2")
    database = host.folder / "elspeth" / "core" / "landscape" / "database.py"
    database.write_text("LandscapeDB = None\n")
    install()
    for _ in range(2):
        with pytest.raises(AttachError, match="no class LandscapeDB"):
            host.load()


def test_a_host_that_hides_its_engine(place: Any, tmp_path: Path) -> None:
    """A class that keeps its engine elsewhere is found out before anybody reads through it."""
    written = build(tmp_path / "record", OLD)
    host = place("seed")
    host.db.engine = property(lambda self: None)
    install()
    with untouched(written.path), pytest.raises(AttachError, match="keeps its engine"):
        host.db.from_url(url_of(written.path), create_tables=False)


# Signing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ERAS)
def test_a_signed_export_is_refused_where_values_are_filled(
    place: Any, tmp_path: Path, era: str
) -> None:
    """No signature vouches for what is not stored; unsigned, and on a current database, all is well."""
    written = build(tmp_path / "record", OLD)
    host = place(era)
    current = own(host, tmp_path / "current" / "audit.db")
    install()
    exporter = host.load("core.landscape.exporter").LandscapeExporter
    with untouched(written.path):
        db = host.db.from_url(url_of(written.path), create_tables=False)
        exporting = exporter(db, signing_key=b"key")
        assert len(list(exporting.export_run("x"))) == len(written.tables["tokens"].rows)
        for call in (
            lambda: list(exporting.export_run("x", True)),
            lambda: list(exporting.export_run(run_id="x", sign=True)),
        ):
            with pytest.raises(WriteRefusedError, match="a signature would vouch"):
                call()
        db.close()
    with host.db.from_url(current) as db, host.db.in_memory() as memory:
        for opened in (db, wrap(memory)):
            assert list(exporter(opened, b"key").export_run("x", sign=True)) == []
    assert list(exporter.__init__.__code__.co_varnames)[:2] == ["self", "db"]


# Wrapping one -------------------------------------------------------------------------------------


def test_one_that_is_open_is_wrapped(place: Any, tmp_path: Path) -> None:
    """A database that is open already is read as declared, its own connections renewed."""
    written = build(tmp_path / "record", OLD, journal_mode="wal")
    for era in ("seed", "late-spring", "newest"):
        host = place(era)
        engine = create_engine(url_of(written.path))
        db = host.db.__new__(host.db)
        db.connection_string, db._engine, db._read_only = url_of(written.path), engine, False
        with untouched(written.path):
            assert wrap(db) is db
            assert wrap(db) is db
            assert len(read(host, db)) == len(written.tables["tokens"].rows)
            with pytest.raises(WriteRefusedError), db.engine.begin() as connection:
                connection.exec_driver_sql("DELETE FROM tokens")
            db.close()


def test_what_needs_no_wrapping(place: Any, tmp_path: Path) -> None:
    """A current database stays writable, one in memory too, and one that is wrapped is so already."""
    host = place("newest")
    with wrap(host.db.from_url(own(host, tmp_path / "audit.db"))) as db:
        assert not db.is_read_only
        with db.write_connection() as connection:
            connection.exec_driver_sql("UPDATE runs SET status = 'written'")
    with wrap(host.db.in_memory()) as db:
        assert read(host, db) == []
    written = build(tmp_path / "record", OLD)
    install()
    with host.db.from_url(url_of(written.path), create_tables=False) as db:
        attachment = attachment_of(db.engine)
        assert attachment_of(wrap(db).engine) is attachment


def test_what_cannot_be_wrapped(place: Any) -> None:
    """Something that is no LandscapeDB is told apart."""
    place("newest")
    with pytest.raises(AttachError, match="object is no LandscapeDB"):
        wrap(object())


def test_nothing_is_wrapped_of_a_host_that_lacks_it(tmp_path: Path, place: Any) -> None:
    """An exporter, a purge or an orchestrator of another kind is left as it is."""
    host = place("rc2")
    for name in ("core/landscape/exporter.py", "core/retention/purge.py", "engine/orchestrator.py"):
        (host.folder / "elspeth" / name).write_text("LandscapeExporter = PurgeManager = None\n")
    install()
    for module in ("core.landscape.exporter", "core.retention.purge", "engine.orchestrator"):
        host.load(module)


def test_shapes_need_no_rule_for_themselves() -> None:
    """A database that stores exactly what is declared is never degraded, in any shape."""
    from sqlalchemy.dialects import sqlite

    from landscape_compat.landscape.history import known_shapes
    from landscape_compat.landscape.rules import landscape_rules
    from landscape_compat.projection.plan import make_plan

    for known in known_shapes():
        shape: SchemaShape = known.shape
        plan = make_plan(shape, shape, landscape_rules(), sqlite.dialect(), "main")
        assert not plan.is_degraded, known.name
        assert not plan.projections, known.name
