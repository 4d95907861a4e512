"""A database is looked at before the host does, cheaply and without a trace, and opened to read."""

from __future__ import annotations

import os
import shutil
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, create_engine, make_url
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import NullPool

from landscape_compat.engine import private_copy
from landscape_compat.engine.attach import attachment_of
from landscape_compat.errors import (
    AttachError,
    OpeningRefusedError,
    UnreadableError,
    WriteRefusedError,
)
from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.host import find_host
from landscape_compat.landscape.rescue import (
    Finding,
    examine,
    furnish,
    open_degraded,
    verdict_of,
)
from landscape_compat.landscape.rules import landscape_rules
from landscape_compat.projection.plan import make_plan
from landscape_compat.schema.known import KnownShape
from support.host_eras import ERAS
from support.hosts import OLD, Place, PutInPlace, build_record, url_of
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

ROLLBACK = "PRAGMA journal_mode = delete"


def look(
    placed: PutInPlace, url: Any, options: dict[str, Any] | None = None, *, creating: bool = False
) -> Finding | None:
    """Look at a database for a host."""
    return examine(find_host(placed.load()), placed.db, url, options or {}, creating=creating)


# What is none of our business ---------------------------------------------------------------------


@pytest.mark.parametrize("known", known_shapes(), ids=lambda known: known.name)
def test_no_shape_needs_a_rule_to_be_read_as_itself(known: KnownShape) -> None:
    """What stores exactly what is declared is whole, so planning for it can be left out."""
    plan = make_plan(known.shape, known.shape, landscape_rules(), sqlite.dialect(), "main")
    assert not plan.is_degraded
    assert not plan.projections


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("creating", [True, False])
def test_a_current_database_is_left_to_the_host(
    place: Place, tmp_path: Path, era: str, creating: bool
) -> None:
    """Nothing is found of what the host made itself, and the look leaves no trace."""
    placed = place(era)
    path = tmp_path / "record" / "audit.db"
    url = placed.own(path)
    with untouched(path):
        assert look(placed, url, creating=creating) is None
        assert look(placed, make_url(url), creating=creating) is None
    assert placed.writes == []


def test_validation_is_asked_once(place: Place, tmp_path: Path) -> None:
    """What it let pass it is not asked about again, until the database is another."""
    placed = place("epochs")
    host = find_host(placed.load())
    path = tmp_path / "record" / "audit.db"
    url = placed.own(path)
    calls = placed.load().calls
    for _ in range(3):
        assert examine(host, placed.db, url, {}, creating=False) is None
    assert calls == ["validate"]
    for number, changed in enumerate(
        ("DROP INDEX ix_tokens_created_at", "PRAGMA user_version = 9")
    ):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(changed)
        found = examine(host, placed.db, url, {}, creating=False)
        assert found is not None
        assert found.reasons == ()
        assert len(calls) == number + 2


def test_the_memory_of_what_passed_is_bounded(place: Place, tmp_path: Path) -> None:
    """A program that opens ever new databases does not fill the memory."""
    placed = place("epochs")
    host = find_host(placed.load())
    path = tmp_path / "record" / "audit.db"
    url = placed.own(path)
    with closing(sqlite3.connect(path)) as connection:
        for number in range(70):
            connection.execute(f"CREATE TABLE foreign_{number} (id)")
            connection.commit()
            assert examine(host, placed.db, url, {}, creating=False) is None
    assert 0 < len(host.passed) <= 64


def test_what_the_newest_host_marked_as_its_own_is_not_even_validated(
    place: Place, tmp_path: Path
) -> None:
    """A database that says that this very version made it is the host's, whatever it lacks."""
    placed = place("newest")
    for number, spoiled in enumerate(
        ("SELECT 1", "DROP TABLE auth_events", "PRAGMA user_version=0")
    ):
        url = placed.own(tmp_path / f"record{number}" / "audit.db", spoiled)
        assert look(placed, url) is None
        assert placed.load().calls == []


def test_what_is_not_a_file_of_ours(place: Place, tmp_path: Path) -> None:
    """Another server, memory, nothing, a folder, text, another database: the host says it best."""
    placed = place("newest")
    (tmp_path / "record").mkdir()
    empty, text, other = (tmp_path / "record" / name for name in ("empty", "text", "other"))
    empty.touch()
    text.write_bytes(b"This is a letter, not a database.\n" * 60)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE people (name)")
    noise = tmp_path / "record" / "encrypted"
    noise.write_bytes(os.urandom(8192))
    torn = tmp_path / "record" / "torn"
    torn.write_bytes(other.read_bytes()[:3000] + os.urandom(9000))
    with untouched(other):
        for url in (
            "sqlite://",
            "sqlite:///:memory:",
            "sqlite:///file:x?mode=memory&uri=true",
            "postgresql://user:secret@host/db",
            "sqlite+aiosqlite:////nowhere.db",
            "nonsense",
            "nonsense://x",
            url_of(tmp_path / "absent.db"),
            url_of(tmp_path),
            url_of(tmp_path / ("x" * 300)),
            *map(url_of, (empty, text, other, noise, torn)),
        ):
            assert look(placed, url) is None, url


def test_what_sqlite_cannot_even_open(place: Place, tmp_path: Path) -> None:
    """A path longer than it takes any; the host says it best, and nothing is left open."""
    placed = place("newest")
    folder = tmp_path / "/".join(["x" * 200] * 3)
    folder.mkdir(parents=True)
    path = Path(shutil.copy(build_record(tmp_path / "record", OLD).path, folder))
    with untouched(path):
        assert look(placed, url_of(path)) is None
        assert verdict_of(find_host(placed.load()), path) == "it cannot be read"


@pytest.mark.parametrize(
    "options", [{"creator": None}, {"pool": None}, {"nonsense": True}, {"connect_args": 7}]
)
def test_engine_options_that_are_the_hosts_affair(
    place: Place, tmp_path: Path, options: dict[str, Any]
) -> None:
    """Who opens by a way of his own, or by options that no engine takes, is left alone."""
    written = build_record(tmp_path / "record", OLD)
    with untouched(written.path):
        assert look(place("newest"), url_of(written.path), options) is None


# What is found ------------------------------------------------------------------------------------


@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
def test_what_is_missing_is_named(place: Place, tmp_path: Path, journal_mode: Any) -> None:
    """Columns come first, then tables, then words of another era; the host's words are kept."""
    written = build_record(tmp_path / "record", OLD, journal_mode=journal_mode)
    placed = place("passphrase")
    with untouched(written.path):
        found = look(placed, url_of(written.path))
    assert found is not None
    assert (found.lacks_columns, found.lacks_tables, found.shifts_values) == (True, True, True)
    kinds = [
        "table" if reason.startswith("the table") else reason.rpartition(" ")[2]
        for reason in found.reasons
    ]
    assert kinds == sorted(kinds, key=["missing", "table", "words"].index)
    assert "tokens.expand_group_id is missing" in found.reasons
    assert "the table token_outcomes is missing" in found.reasons
    assert "Missing column: tokens.expand_group_id" in found.verdict
    assert not found.lets_the_host_write(creating=True)
    assert placed.writes == []


@pytest.mark.parametrize(
    ("era", "spoiled", "creating", "writes"),
    [
        ("seed", "DROP TABLE checkpoints", True, True),
        ("seed", "DROP TABLE checkpoints", False, False),
        ("january", "DROP TABLE checkpoints", True, True),
        ("passphrase", "DROP TABLE checkpoints", True, False),
        ("additive", "DROP TABLE auth_events", True, True),
        ("additive", "DROP TABLE auth_events", False, False),
        ("seed", "ALTER TABLE tokens DROP COLUMN branch_name", True, False),
        ("rc2", "ALTER TABLE tokens DROP COLUMN branch_name", True, False),
        ("epochs", "PRAGMA user_version = 1", True, False),
    ],
)
def test_whether_the_host_gets_along(
    place: Place, tmp_path: Path, era: str, spoiled: str, creating: bool, writes: bool
) -> None:
    """It does if only tables are missing that it makes; its own validation has the last word."""
    placed = place(era)
    url = placed.own(tmp_path / "record" / "audit.db", spoiled, ROLLBACK)
    with untouched(tmp_path / "record" / "audit.db"):
        found = look(placed, url, creating=creating)
    assert found is not None
    assert found.lets_the_host_write(creating=creating) is writes


def test_words_alone_keep_nobody_from_writing(place: Place, tmp_path: Path) -> None:
    """A newer database that lacks nothing is found, and the host would get along with it."""
    written = build_record(tmp_path / "record", "2026-01-21/3dd0e981e")
    found = look(place("seed"), url_of(written.path), creating=True)
    assert found is not None
    assert found.reasons == ("node_states.status holds other words",)
    assert found.shifts_values
    assert found.lets_the_host_write(creating=False)


def test_a_validation_that_fails_otherwise_has_nothing_to_say(place: Place, tmp_path: Path) -> None:
    """An error that is no refusal is left for the host to raise when it opens."""
    placed = place("epochs")
    url = placed.own(tmp_path / "record" / "audit.db")

    def broken(self: Any) -> None:
        raise ZeroDivisionError

    placed.db._validate_schema = broken
    assert look(placed, url) is None

    def silent(self: Any) -> None:
        raise placed.load().SchemaCompatibilityError

    placed.db._validate_schema = silent
    found = look(placed, url)
    assert found is not None
    assert found.verdict == "it gives no reason"


def test_validation_cannot_write(place: Place, tmp_path: Path) -> None:
    """Whatever the host's validation does, it does on a connection that is locked."""
    placed = place("epochs")
    path = tmp_path / "record" / "audit.db"
    url = placed.own(path, ROLLBACK)
    tried = []

    def writing(self: Any) -> None:
        tried.append(self._read_only)
        with self.engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE trace (id)")

    placed.db._validate_schema = writing
    with untouched(path):
        assert look(placed, url) is None
    assert tried == [True]


@pytest.mark.parametrize("era", ["rc2", "identity", "newest"])
def test_a_store_of_another_kind(place: Place, tmp_path: Path, era: str) -> None:
    """A database that says that it is something else is no audit database, whatever its tables."""
    written = build_record(tmp_path / "record", "2026-07-17/16017e9fe")
    with closing(sqlite3.connect(written.path)) as connection, connection:
        connection.execute("UPDATE elspeth_schema_identity SET store_kind = 'ses\x1bsions'")
    placed = place(era)
    said = pytest.raises(UnreadableError, match=r"store 'ses\\+x1bsions' of 'elspeth'")
    with untouched(written.path), said:
        look(placed, url_of(written.path))


# Cheap and careful --------------------------------------------------------------------------------


def _crash(path: Path, *statements: str) -> None:
    """Leave a database as a writer that died leaves it: frames in the -wal and no -shm."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        wal = Path(f"{path}-wal").read_bytes()
        whole = path.read_bytes()
    path.write_bytes(whole)
    Path(f"{path}-wal").write_bytes(wal)


def test_a_current_database_is_never_copied(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large it is, and in whatever state a writer left it, looking costs the same."""
    placed = place("january")
    path = tmp_path / "record" / "audit.db"
    url = placed.own(path, "UPDATE runs SET status = 'x'")
    _crash(
        path, "INSERT INTO nodes (node_id, run_id) SELECT 1, 2 WHERE 0", "CREATE TABLE extra (id)"
    )

    def copied(*arguments: Any) -> Any:
        raise AssertionError("copied")

    monkeypatch.setattr("landscape_compat.engine.opening.copy_privately", copied)
    assert private_copy.copy_privately is not copied
    with untouched(path):
        assert look(placed, url) is None


def test_rows_that_wait_in_the_wal_are_read(place: Place, tmp_path: Path) -> None:
    """A degraded database that a writer left behind is read whole, from a copy of its own."""
    written = build_record(tmp_path / "record", OLD, journal_mode="wal")
    _crash(written.path, "UPDATE nodes SET plugin_name = 'waiting'")
    placed = place("rc2")
    host = find_host(placed.load())
    with untouched(written.path):
        assert look(placed, url_of(written.path)) is not None
        engine = open_degraded(host, url_of(written.path), {})
        with engine.connect() as connection:
            names = connection.exec_driver_sql("SELECT DISTINCT plugin_name FROM nodes").scalars()
            assert names.all() == ["waiting"]
        engine.dispose()


def test_a_file_of_two_names_is_looked_at_and_not_opened(place: Place, tmp_path: Path) -> None:
    """Whether it is degraded can be told; to read it would risk rows in a sidecar elsewhere."""
    written = build_record(tmp_path / "record", OLD)
    (tmp_path / "twin").hardlink_to(written.path)
    placed = place("rc2")
    with untouched(written.path):
        assert look(placed, url_of(written.path)) is not None
        with pytest.raises(OpeningRefusedError, match="several names"):
            open_degraded(find_host(placed.load()), url_of(written.path), {})


def test_a_name_that_a_uri_would_misread(place: Place, tmp_path: Path) -> None:
    """A path with `?`, `#`, `%` and spaces is the path that it is, also when looked at twice."""
    folder = tmp_path / "a?b#c%20d e"
    written = build_record(folder, OLD)
    (tmp_path / "twin").hardlink_to(written.path)  # so that the first way of looking fails
    url = URL.create("sqlite", database=str(written.path))
    with untouched(written.path):
        assert look(place("rc2"), url) is not None


def test_the_host_validates_for_what_it_was_asked(place: Place, tmp_path: Path) -> None:
    """Its validation is told whether tables are about to be made, as its own opening tells it."""
    placed = place("newest")
    validate, told = placed.db._validate_schema, []

    def note(db: Any, **options: Any) -> None:
        told.append(db._require_existing_schema)
        validate(db, **options)

    placed.db._validate_schema = note
    written = build_record(tmp_path / "record", OLD)
    with untouched(written.path):
        for creating in (False, True):
            assert look(placed, url_of(written.path), creating=creating)
    assert told == [True, False]


def test_no_connection_is_left_open(place: Place, tmp_path: Path) -> None:
    """Looking closes what it opens, whether something is found or not."""
    placed = place("newest")
    written = build_record(tmp_path / "record", OLD)
    current = placed.own(tmp_path / "current" / "audit.db")
    before = _open_files()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        for _ in range(5):
            assert look(placed, url_of(written.path)) is not None
            assert look(placed, current) is None
    # The engine room keeps one descriptor a file, lest closing it drops SQLite's locks.
    assert len(_open_files() - before) <= 2


def _open_files() -> set[str]:
    folder = Path("/proc/self/fd")
    return {file.name for file in folder.iterdir()} if folder.exists() else set()


# Opening ------------------------------------------------------------------------------------------


def test_what_is_opened_reads_as_declared_and_writes_nothing(place: Place, tmp_path: Path) -> None:
    """The engine has the options asked for, shows declared columns, and refuses to write."""
    written = build_record(tmp_path / "record", OLD)
    placed = place("newest")
    host = find_host(placed.load())
    nodes = host.metadata.tables["nodes"]
    with untouched(written.path):
        engine = open_degraded(host, url_of(written.path), {"poolclass": NullPool})
        assert isinstance(engine.pool, NullPool)
        with engine.connect() as connection:
            found = connection.execute(nodes.select()).mappings().all()
            assert {row["determinism"] for row in found} == {"non_deterministic"}
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
            assert connection.exec_driver_sql("pragma  journal_mode ;").scalar() == "wal"
            with pytest.raises(WriteRefusedError):
                connection.execute(nodes.delete())
        engine.dispose()
    assert len(found) == len(written.tables["nodes"].rows)


def test_an_engine_that_could_not_be_opened_keeps_nothing(place: Place, tmp_path: Path) -> None:
    """What cannot be opened is told at once, and no connection stays."""
    placed = place("newest")
    path = tmp_path / "text.db"
    path.write_bytes(b"no database" * 600)
    with untouched(path), pytest.raises(OpeningRefusedError):
        open_degraded(find_host(placed.load()), url_of(path), {})


def test_to_begin_is_answered_only_within_a_transaction(place: Place, tmp_path: Path) -> None:
    """The first BEGIN reaches the database; one within a transaction that we began does not."""
    written = build_record(tmp_path / "record", OLD)
    host = find_host(place("newest").load())
    engine = open_degraded(host, url_of(written.path), {})
    sent: list[str] = []
    with engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        raw.set_trace_callback(sent.append)
        for statement in ("BEGIN", "SELECT 1", "COMMIT", "SELECT 2", "begin deferred;", "COMMIT"):
            connection.exec_driver_sql(statement)
        raw.set_trace_callback(None)
    engine.dispose()
    begun = [statement for statement in sent if statement.lower().startswith("begin")]
    assert begun == ["BEGIN", "BEGIN"]


@pytest.mark.parametrize("era", ERAS)
def test_an_instance_is_furnished(place: Place, tmp_path: Path, era: str) -> None:
    """An instance gets what its readers look for, by the host's own way if it has one."""
    written = build_record(tmp_path / "record", OLD)
    placed = place(era)
    host = find_host(placed.load())
    url = url_of(written.path)
    with untouched(written.path):
        engine = open_degraded(host, url, {})
        db = placed.db.__new__(placed.db)
        furnish(db, url, engine)
        assert (db.connection_string, db.engine, db._read_only) == (url, engine, True)
        assert (db._passphrase, db._journal, db._require_existing_schema) == (None, None, True)
        assert hasattr(db, "assembled") is ERAS[era].parts
        assert attachment_of(db.engine) is not None
        db.close()


def test_an_instance_that_hides_its_engine(place: Place) -> None:
    """A class that keeps its engine elsewhere is told before anybody reads through it."""
    placed = place("seed")
    placed.db.engine = property(lambda self: None)
    with pytest.raises(AttachError, match="keeps its engine in a way that is not known"):
        furnish(placed.db.__new__(placed.db), "sqlite://", create_engine("sqlite://"))
