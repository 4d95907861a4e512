"""A host with the shim in it reads what any version wrote, and does all else as without it."""

from __future__ import annotations

import importlib
import pickle
import re
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import OperationalError

from landscape_compat import install, uninstall, wrap
from landscape_compat.engine.attach import attachment_of
from landscape_compat.errors import (
    AttachError,
    DegradedDatabaseError,
    LandscapeCompatError,
    UnreadableError,
    WriteRefusedError,
)
from landscape_compat.landscape.host import DATABASE_MODULE
from support.host_eras import ERAS, configure
from support.hosts import PutInPlace, build_record, places, url_of
from support.untouched import untouched

Place = Callable[[str], PutInPlace]

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
def place(tmp_path: Path) -> Iterator[Place]:
    """Put a host of an era in place."""
    with places(tmp_path) as place:
        yield place


def ids(rows: list[dict[str, Any]], column: str) -> list[Any]:
    return sorted(row[column] for row in rows)


# Reading ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
def test_an_older_database_is_read_and_nothing_is_written(
    place: Place, tmp_path: Path, era: str, journal_mode: Any
) -> None:
    """Every era's readers see every row, and the host's ways of opening are not taken."""
    written = build_record(tmp_path / "record", OLD, journal_mode=journal_mode)
    host = place(era)
    install()
    with untouched(written.path):
        db = host.db.from_url(url_of(written.path), create_tables=False)
        assert type(db) is host.db
        assert db.connection_string == url_of(written.path)
        for table, key in (("nodes", "node_id"), ("tokens", "token_id"), ("runs", "run_id")):
            assert ids(host.read(db, table), key) == ids(written.tables[table].dicts(), key)
        assert host.read(db, "checkpoints") == []
        db.close()
    assert host.writes == []
    assert getattr(db, "assembled", False) is ERAS[era].parts


@pytest.mark.parametrize("era", [name for name in ERAS if name != "newest"])
def test_a_newer_database_is_read(place: Place, tmp_path: Path, era: str) -> None:
    """Readers of every era see the rows of the newest database."""
    written = build_record(tmp_path / "record", NEW, journal_mode="wal", user_version=29)
    host = place(era)
    install()
    with untouched(written.path):
        db = host.db.from_url(url_of(written.path), create_tables=False)
        keys = ids(written.tables["tokens"].dicts(), "token_id")
        assert ids(host.read(db), "token_id") == keys
        db.close()
    assert host.writes == []


@pytest.mark.parametrize("era", ERAS)
def test_without_the_shim_it_fails(place: Place, tmp_path: Path, era: str) -> None:
    """What is read above is refused, or trips over a column, if the host is left alone."""
    written = build_record(tmp_path / "record", OLD)
    host = place(era)
    errors = (OperationalError, getattr(host.load(), "SchemaCompatibilityError", OperationalError))

    def opened() -> None:
        with host.db.from_url(url_of(written.path), create_tables=False) as db:
            host.read(db, "nodes")

    with pytest.raises(errors):
        opened()


def test_what_only_the_validation_refuses_is_read(place: Place, tmp_path: Path) -> None:
    """A database that has every column and another epoch, or no index, is read in place."""
    host = place("epochs")
    for number, spoiled in enumerate(
        ("PRAGMA user_version = 1", "DROP INDEX ix_tokens_created_at")
    ):
        path = tmp_path / f"record{number}" / "audit.db"
        url = host.own(path, spoiled, "PRAGMA journal_mode = delete")
        install()
        with untouched(path):
            db = host.db.from_url(url, create_tables=False)
            assert host.read(db) == []
            db.close()
            with pytest.raises(WriteRefusedError, match="schema is outdated"):
                host.db.from_url(url)
        assert host.writes == []
        uninstall()


def test_a_foreign_table_is_no_harm_to_a_reader(place: Place, tmp_path: Path) -> None:
    """What a rollback by the host's own instructions leaves behind does not hide the record."""
    host = place("newest")
    path = tmp_path / "record" / "audit.db"
    url = host.own(path, "CREATE TABLE rollback_attestations (id)", "PRAGMA journal_mode = delete")
    install()
    with untouched(path):
        db = host.db.from_url(url, create_tables=False)
        assert host.read(db) == []
        db.close()
        with pytest.raises(WriteRefusedError, match="foreign tables"):
            host.db(url)


def test_a_migrating_build_does_not_migrate(place: Place, tmp_path: Path) -> None:
    """A build that alters older databases when it opens them is kept from it."""
    written = build_record(tmp_path / "record", "2026-07-14/09cc47c23", user_version=23)
    host = place("july-16")
    install()
    with untouched(written.path):
        db = host.db.from_url(url_of(written.path), create_tables=False)
        assert len(host.read(db)) == len(written.tables["tokens"].rows)
        db.close()
        with pytest.raises(WriteRefusedError):
            host.db.from_url(url_of(written.path))


# What works without the shim ----------------------------------------------------------------------


@pytest.mark.parametrize("era", ERAS)
def test_a_current_database_goes_the_hosts_own_way(place: Place, tmp_path: Path, era: str) -> None:
    """The host does the same, in the same order, and may write; the engine is its own."""
    host = place(era)
    calls = []
    for number, prepare in enumerate((uninstall, install)):
        url = host.own(tmp_path / f"record{number}" / "audit.db")
        prepare()
        opened = (
            partial(host.db.from_url, create_tables=False),
            host.db.from_url,
            host.db,
        )
        for open_it in opened:
            with open_it(url) as db:
                assert attachment_of(db.engine) is None
                assert not db._read_only
                with db.engine.begin() as connection:
                    connection.exec_driver_sql("UPDATE runs SET status = 'written'")
        calls.append(host.writes)
    assert calls[0] == calls[1] != []


@pytest.mark.parametrize("era", ERAS)
def test_a_fresh_database_is_made_by_the_host(place: Place, tmp_path: Path, era: str) -> None:
    """No file, an empty file, and no file at all: the host makes its tables there."""
    host = place(era)
    install()
    (tmp_path / "empty.db").touch()
    for path in (tmp_path / "absent.db", tmp_path / "empty.db"):
        with host.db.from_url(url_of(path)) as db:
            assert host.read(db) == []
            assert attachment_of(db.engine) is None
    with host.db.in_memory() as db:
        assert host.read(db, "runs") == []
    assert host.writes.count("create_all") == 2
    assert "in_memory" in host.writes


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
    place: Place, tmp_path: Path, era: str, table: str, creates: bool
) -> None:
    """Where only tables are missing and the host would make them, it does; else it is refused."""
    host = place(era)
    path = tmp_path / "record" / "audit.db"
    url = host.own(path, f"DROP TABLE {table}", "DROP TABLE IF EXISTS elspeth_schema_identity")
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


def test_a_missing_table_reads_as_empty_where_none_is_made(place: Place, tmp_path: Path) -> None:
    """A reader that says that it creates nothing sees no rows of a table that is not there."""
    host = place("rc2")
    path = tmp_path / "record" / "audit.db"
    url = host.own(path, "DROP TABLE operations", "PRAGMA journal_mode = delete")
    install()
    with untouched(path):
        db = host.db.from_url(url, create_tables=False)
        assert host.read(db, "operations") == []
        db.close()


def test_a_host_that_lacks_only_words_may_write(place: Place, tmp_path: Path) -> None:
    """A newer database in which nothing is missing is written to, as without the shim."""
    written = build_record(tmp_path / "record", "2026-01-21/3dd0e981e", journal_mode="wal")
    host = place("seed")
    install()
    with untouched(written.path):
        db = host.db.from_url(url_of(written.path))  # nobody knows what for
        assert len(host.read(db, "node_states")) == len(written.tables["node_states"].rows)
        db.close()
    host.load("cli").run(url_of(written.path))
    assert "create_all" in host.writes


# Writing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", LATE)
def test_to_open_for_writing_is_refused(place: Place, tmp_path: Path, era: str) -> None:
    """The refusal names the drift and the remedies, quotes the host, and is of its family."""
    written = build_record(tmp_path / "record", OLD)
    host = place(era)
    install()
    url = url_of(written.path)
    ways: tuple[Callable[[], Any], ...] = (
        lambda: host.db.from_url(url),
        lambda: host.db(url),
        lambda: host.db.from_url(url, create_tables=False, dump_to_jsonl=True),
    )
    for open_it in ways:
        with untouched(written.path), pytest.raises(WriteRefusedError) as caught:
            open_it()
        assert isinstance(caught.value, host.load().SchemaCompatibilityError)
        message = str(caught.value)
        assert re.search(r"\b\w+\.\w+ is missing", message)
        assert "opened for writing" in message
        assert "Missing column: nodes.determinism" in message  # the host's own words
        assert message.endswith("start a fresh database.")
        assert all(words in message for words in ("landscape-compat export", "migrate a copy"))
        assert host.writes == []


@pytest.mark.parametrize("era", EARLY)
def test_early_readers_do_not_say_what_they_want(place: Place, tmp_path: Path, era: str) -> None:
    """Where readers and writers open alike, the database is read, and the first write refused."""
    written = build_record(tmp_path / "record", OLD)
    host = place(era)
    install()
    with untouched(written.path):
        for open_it in (host.db, host.db.from_url):
            db = open_it(url_of(written.path))
            assert len(host.read(db)) == len(written.tables["tokens"].rows)
            with pytest.raises(WriteRefusedError), db.connection() as connection:
                connection.exec_driver_sql("INSERT INTO runs (run_id) VALUES ('new')")
            db.close()
    assert host.writes == []


@pytest.mark.parametrize("era", ERAS)
def test_commands_that_write_are_refused(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], era: str
) -> None:
    """The host reports the refusal in its own way, and ends with an exit code that is not 0."""
    written = build_record(tmp_path / "record", OLD)
    host = place(era)
    install()
    for command in COMMANDS:
        with untouched(written.path), pytest.raises(SystemExit) as ended:
            getattr(host.load("cli"), command)(url_of(written.path))
        assert ended.value.code == 1
        said = capsys.readouterr().err
        assert "Error connecting to database" in said
        assert re.search(r"\b\w+\.\w+ is missing", said)
        assert f"by the command `{command}`, which writes" in said
        assert host.writes == []


@pytest.mark.parametrize("era", ERAS)
def test_purge_destroys_nothing(place: Place, tmp_path: Path, era: str) -> None:
    """The command that deletes files before it writes is refused before it deletes."""
    written = build_record(tmp_path / "record", OLD)
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
        for call in (partial(orchestrator, db), partial(orchestrator, db=db, clock=None)):
            with pytest.raises(WriteRefusedError, match="Running a pipeline was refused"):
                call()
        db.close()


def test_purge_and_run_work_where_they_may(place: Place, tmp_path: Path) -> None:
    """On a current database both do what they do."""
    host = place("newest")
    url = host.own(tmp_path / "audit.db")
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
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], era: str
) -> None:
    """The command that only reads does, though it opens as those that write."""
    written = build_record(tmp_path / "record", OLD)
    host = place(era)
    install()
    with untouched(written.path):
        host.load("cli").explain(url_of(written.path))
    assert capsys.readouterr().out == f"{len(written.tables['tokens'].rows)} tokens\n"


@pytest.mark.parametrize("era", ERAS)
def test_the_first_write_is_refused(place: Place, tmp_path: Path, era: str) -> None:
    """A handle that was opened to read does not write."""
    written = build_record(tmp_path / "record", OLD)
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


def test_every_way_of_calling(place: Place, tmp_path: Path) -> None:
    """By keyword, through an instance, a subclass, a URL object, a relative path, a symlink."""
    written = build_record(tmp_path / "record", OLD)
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
                assert len(host.read(db)) == len(written.tables["tokens"].rows), name
            kinds = {"subclass": Plain, "override": Overriding}
            assert type(db) is kinds.get(name, host.db)
            assert hasattr(db, "extra") is (name == "override")
    assert host.writes == ["wal", "in_memory"]
    current.close()


def test_a_relative_path(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is relative to the folder of the process, as it is for the host."""
    written = build_record(tmp_path / "record", OLD)
    host = place("rc2")
    install()
    monkeypatch.chdir(tmp_path)
    with untouched(written.path):
        db = host.db.from_url("sqlite:///record/audit.db", create_tables=False)
        monkeypatch.chdir(written.path.parent)
        assert len(host.read(db)) == len(written.tables["tokens"].rows)
        db.close()


def test_a_constructor_of_a_subclass(place: Place, tmp_path: Path) -> None:
    """A subclass that calls the host's constructor keeps what it adds."""
    written = build_record(tmp_path / "record", OLD)
    host = place("seed")
    install()

    class Labelled(host.db):  # type: ignore[misc,name-defined]
        def __init__(self, label: str, url: str) -> None:
            super().__init__(connection_string=url)
            self.label = label

    with untouched(written.path):
        db = Labelled("old", url_of(written.path))
        assert (db.label, len(host.read(db))) == ("old", len(written.tables["tokens"].rows))
        db.close()


def test_wrong_calls_are_told_by_the_host(place: Place, tmp_path: Path) -> None:
    """What the host does not take it refuses itself, also for a degraded database."""
    written = build_record(tmp_path / "record", OLD)
    url = url_of(written.path)
    host = place("rc2")
    install()
    with untouched(written.path):
        for call in (
            host.db.from_url,
            partial(host.db.from_url, url, pool_size=3),
            partial(host.db.from_url, url, False),
            partial(host.db, url, passphrase="x"),
        ):
            with pytest.raises(TypeError):
                call()
        for wrong in (None, 7, "no url"):
            with pytest.raises(Exception) as caught:  # noqa: PT011 - SQLAlchemy's own kinds
                host.db.from_url(wrong)
            assert not isinstance(caught.value, LandscapeCompatError)


def test_what_the_newest_host_refuses_together(place: Place, tmp_path: Path) -> None:
    """To open read-only and to create is the host's to refuse, and so is a bad engine option."""
    written = build_record(tmp_path / "record", OLD)
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


def test_threads_open_at_once(place: Place, tmp_path: Path) -> None:
    """Many threads that open and read one database all see it whole."""
    written = build_record(tmp_path / "record", OLD, journal_mode="wal")
    host = place("newest")
    install()
    counts: list[int] = []

    def work() -> None:
        with host.db.from_url(url_of(written.path), create_tables=False) as db:
            counts.append(len(host.read(db)))

    host.load("core.landscape.factory")
    with untouched(written.path):
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert counts == [len(written.tables["tokens"].rows)] * 8


# What stays refused -------------------------------------------------------------------------------


def test_a_damaged_database_of_the_hosts_own(place: Place, tmp_path: Path) -> None:
    """One that says that this very version made it, and lacks something, is not old but damaged."""
    host = place("newest")
    url = host.own(tmp_path / "audit.db", "DROP TABLE auth_events")
    install()
    refusal = host.load().SchemaCompatibilityError
    with pytest.raises(refusal, match="Missing table: auth_events") as caught:
        host.db.from_url(url, create_tables=False)
    assert type(caught.value) is refusal


@pytest.mark.parametrize("era", ["rc2", "newest"])
def test_a_store_of_another_kind(place: Place, tmp_path: Path, era: str) -> None:
    """A database that says that it is something else is refused, in the host's family."""
    written = build_record(tmp_path / "record", "2026-07-16/f1fc58c71")
    with closing(sqlite3.connect(written.path)) as connection:
        connection.executescript("UPDATE elspeth_schema_identity SET store_kind = 'sessions'")
    host = place(era)
    install()
    with (
        untouched(written.path),
        pytest.raises(UnreadableError, match="store 'sessions'") as caught,
    ):
        host.db.from_url(url_of(written.path), create_tables=False)
    assert isinstance(caught.value, host.load().SchemaCompatibilityError)


@pytest.mark.parametrize("era", ["passphrase", "newest"])
def test_no_landscape_at_all(place: Place, tmp_path: Path, era: str) -> None:
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


def test_what_cannot_be_opened_without_risk(place: Place, tmp_path: Path) -> None:
    """A degraded file of two names is not left to a host that would write to it."""
    written = build_record(tmp_path / "record", OLD)
    (tmp_path / "twin.db").hardlink_to(written.path)
    for era in ("seed", "newest"):
        host = place(era)
        install()
        with untouched(written.path), pytest.raises(LandscapeCompatError, match="several names"):
            host.db.from_url(url_of(written.path), create_tables=False)
        assert host.writes == []
        uninstall()


def test_a_program_that_chose_how_to_open(place: Place, tmp_path: Path) -> None:
    """A degraded file with an option that cannot be kept is refused, not opened as asked."""
    written = build_record(tmp_path / "record", OLD)
    host = place("rc2")
    install()
    url = f"sqlite:///file:{written.path}?nolock=1&uri=true"
    with untouched(written.path), pytest.raises(AttachError, match="option of its own"):
        host.db.from_url(url, create_tables=False)


# Posture ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ERAS)
def test_the_posture_refuse(place: Place, tmp_path: Path, era: str) -> None:
    """A degraded database raises when it is opened; a current one is none of its business."""
    written = build_record(tmp_path / "record", OLD)
    host = place(era)
    current = host.own(tmp_path / "current" / "audit.db")
    install(posture="refuse")
    with untouched(written.path), pytest.raises(DegradedDatabaseError) as caught:
        host.db.from_url(url_of(written.path), create_tables=False)
    assert "The posture is `refuse`" in str(caught.value)
    refusal = getattr(host.load(), "SchemaCompatibilityError", Exception)
    assert isinstance(caught.value, refusal)
    assert host.writes == []
    host.db.from_url(current).close()


def test_errors_can_be_pickled(place: Place, tmp_path: Path) -> None:
    """An error in the host's family travels between processes as one of ours."""
    written = build_record(tmp_path / "record", OLD)
    host = place("newest")
    install()
    with pytest.raises(WriteRefusedError) as caught:
        host.db(url_of(written.path))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (WriteRefusedError, str(caught.value))


# Installing ---------------------------------------------------------------------------------------


def test_before_and_after_the_import(place: Place, tmp_path: Path) -> None:
    """Installed first, or last, names that were imported earlier are those that are wrapped."""
    written = build_record(tmp_path / "record", OLD)
    for order in ("before", "after"):
        host = place("rc2")
        if order == "before":
            install()
            name = importlib.import_module("elspeth.core.landscape").LandscapeDB
        else:
            name = importlib.import_module("elspeth.core.landscape").LandscapeDB
            install()
        with name.from_url(url_of(written.path), create_tables=False) as db:
            assert len(host.read(db)) == len(written.tables["tokens"].rows)
        uninstall()


def test_it_leaves_no_trace(place: Place) -> None:
    """Afterwards the host's classes hold the very objects they held, and imports are as before."""
    host = place("newest")
    finders = list(sys.meta_path)
    names = {
        "core.landscape.database": "LandscapeDB",
        "core.landscape.exporter": "LandscapeExporter",
    }
    names |= {"core.retention.purge": "PurgeManager", "engine.orchestrator": "Orchestrator"}
    classes = [getattr(host.load(module), name) for module, name in names.items()]
    before = [dict(vars(kind)) for kind in classes]
    install()
    install()
    for kind, held in zip(classes, before, strict=True):
        assert any(vars(kind)[name] is not value for name, value in held.items())
    uninstall()
    uninstall()
    for kind, held in zip(classes, before, strict=True):
        assert list(vars(kind)) == list(held)
        assert all(vars(kind)[name] is value for name, value in held.items())
    assert sys.meta_path == finders


def test_installed_again_it_watches_again(place: Place, tmp_path: Path) -> None:
    """Installed, removed and installed again, a host that is imported then is wrapped."""
    written = build_record(tmp_path / "record", OLD)
    install()
    host = place("rc2")
    host.load()
    uninstall()
    install()
    other = place("passphrase")
    with other.db.from_url(url_of(written.path), create_tables=False) as db:
        assert len(other.read(db)) == len(written.tables["tokens"].rows)


def test_another_posture_is_refused(place: Place) -> None:
    """Installed with one posture, it is not installed with another beside it."""
    place("rc2")
    install()
    with pytest.raises(AttachError, match="posture 'degrade'"):
        install(posture="refuse")
    with pytest.raises(AttachError, match="no posture 'mend'"):
        install(posture="mend")  # type: ignore[arg-type]
    uninstall()
    install(posture="refuse")


def test_a_strange_host_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host of no known kind is left as it is, that is said, and nothing is installed."""
    monkeypatch.setitem(sys.modules, DATABASE_MODULE, ModuleType(DATABASE_MODULE))
    finders = list(sys.meta_path)
    with pytest.raises(AttachError, match="no class LandscapeDB"):
        install()
    assert sys.meta_path == finders
    monkeypatch.delitem(sys.modules, DATABASE_MODULE)
    install(posture="refuse")


def test_a_strange_host_is_told_when_it_is_imported(place: Place) -> None:
    """Installed before, the error comes with the import, and the next import says it again."""
    host = place("rc2")
    database = host.folder / "elspeth" / "core" / "landscape" / "database.py"
    database.write_text("LandscapeDB = None\n")
    install()
    for _ in range(2):
        with pytest.raises(AttachError, match="no class LandscapeDB"):
            host.load()


# Signing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ERAS)
def test_a_signed_export_is_refused_where_values_are_filled(
    place: Place, tmp_path: Path, era: str
) -> None:
    """No signature vouches for what is not stored; without one, and elsewhere, all is well."""
    written = build_record(tmp_path / "record", OLD)
    host = place(era)
    current = host.own(tmp_path / "current" / "audit.db")
    install()
    exporter = host.load("core.landscape.exporter").LandscapeExporter
    with untouched(written.path):
        db = host.db.from_url(url_of(written.path), create_tables=False)
        exporting = exporter(db, signing_key=b"key")
        assert len(list(exporting.export_run("x"))) == len(written.tables["tokens"].rows)
        for call in (
            partial(exporting.export_run, "x", True),
            partial(exporting.export_run, run_id="x", sign=True),
        ):
            with pytest.raises(WriteRefusedError, match="a signature would vouch"):
                call()
        db.close()
    with host.db.from_url(current) as db, host.db.in_memory() as memory:
        for opened in (db, wrap(memory)):
            assert list(exporter(opened, b"key").export_run("x", sign=True)) == []
    assert list(exporter.__init__.__code__.co_varnames)[:2] == ["self", "db"]


# Wrapping one -------------------------------------------------------------------------------------


def test_one_that_is_open_is_wrapped(place: Place, tmp_path: Path) -> None:
    """A database that is open already is read as declared, its own connections renewed."""
    written = build_record(tmp_path / "record", OLD, journal_mode="wal")
    for era in ("seed", "late-spring", "newest"):
        host = place(era)
        engine = create_engine(url_of(written.path))
        configure(vars(host.load()), engine)
        db = host.db.__new__(host.db)
        db.connection_string, db._engine, db._read_only = url_of(written.path), engine, False
        with untouched(written.path):
            assert wrap(db) is db
            assert wrap(db) is db
            assert len(host.read(db)) == len(written.tables["tokens"].rows)
            with pytest.raises(WriteRefusedError), db.engine.begin() as connection:
                connection.exec_driver_sql("DELETE FROM tokens")
            db.close()


def test_what_needs_no_wrapping(place: Place, tmp_path: Path) -> None:
    """A current database stays writable, one in memory too; what is rescued is wrapped."""
    host = place("newest")
    with wrap(host.db.from_url(host.own(tmp_path / "audit.db"))) as db:
        assert not db.is_read_only
        with db.write_connection() as connection:
            connection.exec_driver_sql("UPDATE runs SET status = 'written'")
    with wrap(host.db.in_memory()) as db:
        assert host.read(db) == []
    written = build_record(tmp_path / "record", OLD)
    install()
    with host.db.from_url(url_of(written.path), create_tables=False) as db:
        attachment = attachment_of(db.engine)
        assert attachment_of(wrap(db).engine) is attachment


def test_nothing_is_wrapped_of_a_host_that_lacks_it(tmp_path: Path, place: Place) -> None:
    """An exporter, a purge or an orchestrator of another kind is left as it is, and not asked."""
    host = place("rc2")
    lazy = "\n\ndef __getattr__(name): raise ImportError(name)\n"
    for name in ("core/landscape/exporter.py", "core/retention/purge.py", "engine/orchestrator.py"):
        (host.folder / "elspeth" / name).write_text(
            f"LandscapeExporter = PurgeManager = None{lazy}"
        )
    install()
    for module in ("core.landscape.exporter", "core.retention.purge", "engine.orchestrator"):
        host.load(module)
