"""A migrated database holds what its old one shows, or is not there; the old one is untouched."""

from __future__ import annotations

import errno
import json
import os
import pickle
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import column, select
from sqlalchemy import table as table_clause

from landscape_compat import (
    inspect_database,
    migrate_database,
    open_landscape,
)
from landscape_compat.errors import (
    LandscapeCompatError,
    NotALandscapeError,
    OpeningRefusedError,
    OutputError,
    ProofFailedError,
    RowsRefusedError,
    SourceChangedError,
)
from landscape_compat.landscape.history import known_shapes
from landscape_compat.migrate import proof, work
from landscape_compat.migrate.making import told_of
from landscape_compat.migrate.placing import put_in_place
from landscape_compat.schema.known import KnownShape
from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape
from support.failing import room_for, run_failing
from support.killing import ended_at_every_step, killed_at
from support.legacy import Written, build_shape, build_small
from support.untouched import state_of, untouched
from support.wal import left_alone, writing

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

NEWEST = known_shapes()[-1]


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Give a place for a new database, in a folder of its own."""
    folder = tmp_path / "a new place"
    folder.mkdir()
    return folder / "new.db"


def stored_rows(path: Path, name: str, columns: list[str]) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        names = ", ".join(f'"{c}"' for c in columns)
        return connection.execute(f'SELECT {names} FROM "{name}" ORDER BY rowid').fetchall()


def shown(path: Path) -> Iterator[tuple[str, list[str], list[tuple[Any, ...]]]]:
    """Read every newest table of an old database through the shim, as one statement."""
    with open_landscape(path) as db, db.connection() as connection:
        for declared in NEWEST.shape:
            names = list(declared.column_names)
            clause = table_clause(declared.name, *map(column, names))
            stored = db.stored.table(declared.name)
            order: list[Any] = [column("rowid")] if stored is not None else []
            found = connection.execute(select(*clause.c).order_by(*order))
            yield declared.name, names, [tuple(row) for row in found]


def test_it_holds_what_a_read_of_the_old_one_shows(legacy: Written, new: Path) -> None:
    """Every row of every table, in order, with the class of each value; nothing else is made."""
    with untouched(legacy.path):
        made = migrate_database(legacy.path, new)
        expected = list(shown(legacy.path))
    assert sum(len(rows) for _, _, rows in expected) == made.done.rows > 100
    for name, columns, rows in expected:
        found = stored_rows(new, name, columns)
        assert [[(type(v), v) for v in row] for row in found] == [
            [(type(v), v) for v in row] for row in rows
        ]
    assert sorted(p.name for p in new.parent.iterdir()) == ["new.db", "new.db.intoto.json"]
    report = inspect_database(new)
    assert not report.degraded
    assert report.identification is not None
    assert [known.name for known in report.identification.exact] == [NEWEST.name]


def test_the_statement_tells_both_digests_and_every_rule(legacy: Written, new: Path) -> None:
    made = migrate_database(legacy.path, new)
    told = json.loads(made.proof.read_bytes())
    predicate = told["predicate"]
    assert told["subject"] == [{"digest": {"sha256": state_of(new).file.sha256}, "name": "new.db"}]
    assert predicate["source"]["sha256"] == state_of(legacy.path).file.sha256
    target = {"by_host": False, "epoch": 29, "known": NEWEST.name, "shape": NEWEST.name}
    assert predicate["target"] == target
    assert predicate["tools"]["sqlite"] == sqlite3.sqlite_version
    assert set(predicate["tools"]) == {"landscape-compat", "python", "sqlalchemy", "sqlite"}
    assert "token_outcomes" in predicate["absent_tables"]
    assert "tokens.expand_group_id" in predicate["absent"]
    tables = {table["table"]: table for table in predicate["tables"]}
    (told,) = (c for c in tables["tokens"]["filled"] if c["column"] == "run_id")
    assert (told["rule"], told["rows"]) == ("derived", tables["tokens"]["rows"])


def test_a_value_that_was_never_recorded_is_null_where_the_shape_says_never(
    legacy: Written, new: Path
) -> None:
    """The new table lets it be, says so, and lets nothing else be."""
    made = migrate_database(legacy.path, new)
    assert made.done.relaxed == (
        "runs.openrouter_catalog_sha256",
        "runs.openrouter_catalog_source",
        "checkpoints.upstream_topology_hash",
    )
    assert {*stored_rows(new, "runs", ["openrouter_catalog_source"])} == {(None,)}
    runs = NEWEST.shape.table("runs")
    assert runs is not None
    with closing(sqlite3.connect(new)) as connection:
        found = connection.execute("SELECT name FROM pragma_table_info('runs') WHERE \"notnull\"")
        strict = {name for (name,) in found}
    relaxed = {name.removeprefix("runs.") for name in made.done.relaxed}
    assert strict == {c.name for c in runs.columns if not c.nullable} - relaxed


@pytest.mark.parametrize("known", known_shapes()[::7], ids=lambda known: known.name)
def test_each_shape_becomes_the_newest(known: KnownShape, tmp_path: Path, new: Path) -> None:
    """As many rows as were written, none of them left out in silence."""
    folder = tmp_path / "old"
    folder.mkdir()
    written = build_small(folder / "audit.db", known.shape)
    with untouched(written.path):
        made = migrate_database(written.path, new, quarantine=True)
    rows = sum(len(table.rows) for table in written.tables.values())
    left = sum(count for name, count in made.done.left_out.items() if "." not in name)
    assert made.done.rows + left == rows


def test_what_was_migrated_is_migrated_again(legacy: Written, new: Path, tmp_path: Path) -> None:
    """What the first one let be NULL, the next does; the rows are the same."""
    once = migrate_database(legacy.path, new)
    twice = migrate_database(new, tmp_path / "twice.db")
    assert twice.done.relaxed == once.done.relaxed
    assert [t.sha256 for t in twice.done.tables if t.rows] == [
        t.sha256 for t in once.done.tables if t.rows
    ]


def test_into_a_shape_in_between(legacy: Written, new: Path) -> None:
    """By any name that a shape goes by."""
    made = migrate_database(legacy.path, new, to="2026-04-15")
    assert made.target == "2026-04-15/f05ba9ad3"
    report = inspect_database(new)
    assert report.identification is not None
    assert [known.name for known in report.identification.exact] == [made.target]


# --- what does not fit --------------------------------------------------------------------------

EXTRA = SchemaShape.of(
    TableShape("tokens", (ColumnShape("note here", "VARCHAR(8)"),)),
    TableShape("own", (ColumnShape("id", "INTEGER", primary_key=True), ColumnShape("b", "BLOB"))),
)


@pytest.fixture
def extra(tmp_path: Path) -> Written:
    """Give a database with a column and a table that no shape knows."""
    folder = tmp_path / "extra"
    folder.mkdir()
    shape = known_shapes()[10].shape
    return build_shape(folder / "audit.db", shape, rows=3, runs=3, long_text=False, extra=EXTRA)


def test_what_the_shape_does_not_know_is_counted(extra: Written, new: Path) -> None:
    """Left out, but not without a word."""
    left = migrate_database(extra.path, new).done.left_out
    tokens = extra.tables["tokens"]
    at = tokens.columns.index("note here")
    assert left["own"] == len(extra.tables["own"].rows) > 0
    assert left["tokens.note here"] == sum(row[at] is not None for row in tokens.rows) > 0


def test_what_the_shape_does_not_know_is_carried_if_wanted(extra: Written, new: Path) -> None:
    with untouched(extra.path):
        made = migrate_database(extra.path, new, keep_extra=True)
    assert not {"own", "tokens.note here"} & made.done.left_out.keys()
    for name, columns in (("own", ["id", "b"]), ("tokens", ["note here"])):
        assert stored_rows(new, name, columns) == stored_rows(extra.path, name, columns)


@pytest.fixture
def orphaned(tmp_path: Path) -> Written:
    """Give a database whose rows refer to rows that are not there."""
    folder = tmp_path / "orphaned"
    folder.mkdir()
    return build_small(folder / "audit.db", known_shapes()[20].shape, orphans=True)


def test_refused_rows_stop_it_and_are_named(orphaned: Written, new: Path) -> None:
    with untouched(orphaned.path), pytest.raises(RowsRefusedError) as caught:
        migrate_database(orphaned.path, new)
    assert "FOREIGN KEY constraint failed: no such row of" in str(caught.value)
    assert "--quarantine" in str(caught.value)
    assert list(new.parent.iterdir()) == []


def test_the_refusal_travels_between_processes(orphaned: Written, new: Path) -> None:
    """As another program's workers give theirs back: with each row and the remedy."""
    with pytest.raises(RowsRefusedError) as caught:
        migrate_database(orphaned.path, new)
    error = pickle.loads(pickle.dumps(caught.value))
    assert type(error) is RowsRefusedError
    assert (str(error), error.rows) == (str(caught.value), caught.value.rows)
    assert error.remedy == caught.value.remedy


def test_refused_rows_go_to_side_tables_if_wanted(orphaned: Written, new: Path) -> None:
    """Every row is in the table or beside it; what is in it satisfies every constraint."""
    with untouched(orphaned.path):
        made = migrate_database(orphaned.path, new, quarantine=True)
    assert made.done.quarantined
    for table in made.done.tables:
        here = len(stored_rows(new, table.name, ["rowid"]))
        assert here + table.quarantined == table.rows == len(orphaned.tables[table.name].rows)
    row = made.done.quarantined[0]
    side = stored_rows(new, f"quarantine_{row.table}", ["quarantine_position"])
    assert (row.position,) in side
    with closing(sqlite3.connect(new)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


# --- what goes wrong ----------------------------------------------------------------------------

SPOILT = [
    "UPDATE tokens SET row_id = row_id || ' ' WHERE rowid = 5",
    "UPDATE rows SET row_index = CAST(row_index AS BLOB) WHERE rowid = 2",
    "UPDATE tokens SET run_id = 'another' WHERE rowid = 1",
    "DELETE FROM tokens WHERE rowid = (SELECT max(rowid) FROM tokens)",
    "DELETE FROM tokens WHERE rowid = 1",
    "INSERT INTO tokens (token_id, row_id, run_id, created_at) SELECT token_id || 'x', row_id, "
    "run_id, created_at FROM tokens WHERE rowid = 1",
    "UPDATE nodes SET config_json = CAST(config_json AS BLOB) WHERE rowid = 1",
]


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_copy_that_differs_is_not_kept(
    spoil: str, legacy: Written, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one value, in its class, by a row more or less: the proof fails, and says where."""
    real = proof.prove_table

    def prove(source: Any, target: sqlite3.Connection, *rest: Any) -> Any:
        if spoil:
            target.execute("PRAGMA foreign_keys = OFF")
            assert target.execute(spoil).rowcount == 1
            monkeypatch.setattr(work, "prove_table", real)
        return real(source, target, *rest)

    monkeypatch.setattr(work, "prove_table", prove)
    with untouched(legacy.path), pytest.raises(ProofFailedError, match=r"^(tokens|rows|nodes): "):
        migrate_database(legacy.path, new)
    assert list(new.parent.iterdir()) == []


def test_a_source_that_changes_meanwhile(
    legacy: Written, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer in WAL mode is not stopped by a reader; what was copied is older than its record."""
    real = proof.prove_table
    with writing(legacy.path) as writer:
        writer.run("PRAGMA journal_mode=WAL", "UPDATE runs SET status = status")

        def prove(*words: Any) -> Any:
            writer.run("UPDATE runs SET status = 'failed'")
            return real(*words)

        monkeypatch.setattr(work, "prove_table", prove)
        with pytest.raises(SourceChangedError):
            migrate_database(legacy.path, new)
    assert list(new.parent.iterdir()) == []


@pytest.mark.parametrize("suffix", ["", "-wal", "-journal"])
def test_a_place_that_is_taken(legacy: Written, new: Path, suffix: str) -> None:
    """Also by the `-wal` of a database that is gone, which SQLite would play into the new one."""
    taken = Path(f"{new}{suffix}")
    taken.write_text("mine")
    with left_alone(legacy.path), pytest.raises(OutputError, match="exists already"):
        migrate_database(legacy.path, new)
    assert taken.read_text() == "mine"
    assert list(new.parent.iterdir()) == [taken]


def test_somebodys_file_in_the_place_of_the_proof_was_replaced(
    legacy: Written, tmp_path: Path
) -> None:
    """One that a killed migration left there is not in the way."""
    beside = tmp_path / "new.db.intoto.json"
    beside.write_text("somebody's attestation")
    with untouched(legacy.path), pytest.raises(OutputError, match="is no statement"):
        migrate_database(legacy.path, tmp_path / "new.db")
    assert beside.read_text() == "somebody's attestation"
    beside.unlink()
    migrate_database(legacy.path, tmp_path / "new.db")
    (tmp_path / "new.db").unlink()
    migrate_database(legacy.path, tmp_path / "new.db")


@pytest.mark.parametrize("number", [0, errno.EPERM], ids=["", "one name only"])
def test_a_place_that_is_taken_meanwhile(
    legacy: Written, new: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Whoever comes first keeps the place, also where a file system gives a file one name only."""
    real = proof.prove_table

    def link(*words: Any, **more: Any) -> None:
        raise OSError(number, os.strerror(number))

    if number:
        monkeypatch.setattr(os, "link", link)

    def prove(*words: Any) -> Any:
        new.write_text("mine")
        return real(*words)

    monkeypatch.setattr(work, "prove_table", prove)
    with pytest.raises(OutputError, match="meanwhile"):
        migrate_database(legacy.path, new)
    assert new.read_text() == "mine"


def test_no_folder_for_it(legacy: Written, tmp_path: Path) -> None:
    with untouched(legacy.path), pytest.raises(OutputError, match="cannot be written"):
        migrate_database(legacy.path, tmp_path / "none" / "new.db")


def test_no_room_for_it(legacy: Written, new: Path) -> None:
    """A disk that is full, or a quota: one clear error, and nothing is left."""
    with untouched(legacy.path):
        ended = run_failing("limit_files(200_000)", "migrate", legacy.path, "-o", new)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "cannot be written" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert list(new.parent.iterdir()) == []


def test_no_room_for_its_tables(legacy: Written, new: Path) -> None:
    """What SQLAlchemy wraps is told as a failure of the new file too."""
    with (
        untouched(legacy.path),
        room_for(20_000),
        pytest.raises(OutputError, match=r"new\.db cannot be written"),
    ):
        migrate_database(legacy.path, new)
    assert list(new.parent.iterdir()) == []


def test_a_folder_that_goes_before_it_is_put_there(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.touch()
    with pytest.raises(OutputError, match="cannot be written"):
        put_in_place(made, tmp_path / "gone" / "new.db")
    assert made.exists()


def test_an_error_of_ours_is_not_the_disks(tmp_path: Path) -> None:
    """A constraint that no row may break is no lack of room; the place is not blamed for it."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (a UNIQUE)")
        with pytest.raises(sqlite3.IntegrityError), told_of(tmp_path):
            connection.execute("INSERT INTO t VALUES (1), (1)")


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE u (a) we(ird", "SELECT a FROM nowhere", "SELECT CAST(x'ff' AS TEXT)"],
)
def test_a_wrong_statement_was_taken_for_a_disk_that_fails(tmp_path: Path, statement: str) -> None:
    with (
        closing(sqlite3.connect(":memory:")) as connection,
        pytest.raises(sqlite3.OperationalError),
        told_of(tmp_path),
    ):
        connection.execute(statement).fetchall()


def test_a_page_that_is_not_what_was_written_is_the_disks(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    path.write_bytes(b"no database at all, but long enough for one " * 30)
    with (
        untouched(path),
        closing(sqlite3.connect(path)) as connection,
        pytest.raises(OutputError, match="Check that the disk is sound"),
        told_of(path),
    ):
        connection.execute("SELECT * FROM sqlite_master")


def test_a_place_on_another_file_system(legacy: Written) -> None:
    """It is made beside its place, wherever that is, so nothing is moved between two."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == legacy.path.stat().st_dev:
        pytest.skip("there is no second file system here to write to")
    with tempfile.TemporaryDirectory(dir=memory) as folder, untouched(legacy.path):
        new = Path(folder) / "new.db"
        migrate_database(legacy.path, new)
        assert new.stat().st_dev == memory.stat().st_dev
        assert len(list(Path(folder).iterdir())) == 2


def test_a_file_system_that_gives_a_file_one_name_only(
    legacy: Written, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*words: Any, **more: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    migrate_database(legacy.path, new)
    assert sorted(p.name for p in new.parent.iterdir()) == ["new.db", "new.db.intoto.json"]


def test_what_is_no_landscape(tmp_path: Path, new: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a)")
    with pytest.raises(NotALandscapeError):
        migrate_database(path, new)
    with pytest.raises(OpeningRefusedError):
        migrate_database(tmp_path / "none.db", new)
    with pytest.raises(LandscapeCompatError, match="Only a SQLite file"):
        migrate_database("sqlite://", new)
    assert list(new.parent.iterdir()) == []


def test_killed_at_every_step(legacy: Written, new: Path) -> None:
    """The new database is whole, with its proof, or not there; a rerun makes it, and cleans up."""
    seen = set()
    for killed in ended_at_every_step(killed_at, lambda: migrate_database(legacy.path, new)):
        seen.add((new.exists(), killed))
        if new.exists():
            told = json.loads(new.with_name("new.db.intoto.json").read_bytes())
            assert told["subject"][0]["digest"]["sha256"] == state_of(new).file.sha256
            new.unlink()
    assert seen == {(False, True), (True, True), (True, False)}
    migrate_database(legacy.path, new)
    assert sorted(p.name for p in new.parent.iterdir()) == ["new.db", "new.db.intoto.json"]
