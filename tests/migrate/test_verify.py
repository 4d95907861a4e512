"""A migrated database is verified against its proof and its source; every change of it is found."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from landscape_compat import migrate_database, verify_migration
from landscape_compat.errors import ExitCode, LandscapeCompatError, OutputError
from landscape_compat.landscape.history import known_shapes
from landscape_compat.migrate.verify import is_migrated
from support.commands import Run, running
from support.hiding import hidden
from support.legacy import Written, build_small
from support.untouched import untouched
from support.wal import said_to_another_writer

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


@pytest.fixture
def new(legacy: Written, tmp_path: Path) -> Path:
    """Give a migrated database in a folder of its own."""
    folder = tmp_path / "new"
    folder.mkdir()
    migrate_database(legacy.path, folder / "new.db")
    return folder / "new.db"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    with running(capsys) as run:
        yield run


def test_a_sound_one(legacy: Written, new: Path) -> None:
    """By itself, by its proof, and against the old database; nothing is written."""
    with untouched(legacy.path), untouched(new):
        alone = verify_migration(new)
        assert verify_migration(f"{new}.intoto.json").to_dict() == alone.to_dict()
        assert verify_migration(f"{new}.intoto.json/").to_dict() == alone.to_dict()
        both = verify_migration(new, source=legacy.path)
    assert alone.is_sound
    assert both.is_sound
    assert len(alone.unchecked) == 1
    assert both.unchecked == []
    assert len(both.checked) == len(alone.checked) + 1


def test_verifying_took_the_locks_of_this_process_away(new: Path) -> None:
    """Another process could write amid a transaction of ours, and one of the two was lost."""
    with closing(sqlite3.connect(new, isolation_level=None)) as host:
        host.execute("BEGIN IMMEDIATE")
        assert verify_migration(new).is_sound
        assert "database is locked" in said_to_another_writer(new)
        host.execute("ROLLBACK")


def test_one_with_side_tables_and_tables_of_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "orphaned"
    folder.mkdir()
    written = build_small(folder / "audit.db", known_shapes()[20].shape, orphans=True)
    with closing(sqlite3.connect(written.path)) as connection, connection:
        connection.execute("CREATE TABLE own (id INTEGER PRIMARY KEY, b BLOB)")
        connection.execute("INSERT INTO own VALUES (7, x'00')")
    made = migrate_database(written.path, tmp_path / "new.db", quarantine=True, keep_extra=True)
    assert made.done.quarantined
    found = verify_migration(tmp_path / "new.db", source=written.path)
    assert found.is_sound, found.to_dict()


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ("UPDATE tokens SET branch_name = branch_name || 'x' WHERE rowid = 1", "tokens"),
        ("DELETE FROM calls WHERE rowid = 1", "calls"),
        ("DROP TABLE calls", "calls"),
        ("UPDATE runs SET openrouter_catalog_source = 'made up'", "runs"),
    ],
)
def test_a_changed_one(legacy: Written, new: Path, change: str, where: str) -> None:
    """The file is not the one proven, and the table that differs is named."""
    with closing(sqlite3.connect(new)) as connection, connection:
        connection.execute("UPDATE tokens SET branch_name = 'x' WHERE rowid = 1")
        connection.execute(change)
    for source in (None, legacy.path):
        found = verify_migration(new, source=source)
        assert {"new.db", where} <= {finding.where for finding in found.findings}


def test_another_source(legacy: Written, new: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(legacy.path)) as connection, connection:
        connection.execute("UPDATE runs SET status = 'x' WHERE rowid = 1")
    found = verify_migration(new, source=legacy.path)
    assert {finding.where for finding in found.findings} == {"audit.db", "runs"}
    assert verify_migration(new).is_sound


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        ("DROP TABLE calls", "calls", "is not in the old database"),
        ("DROP TABLE own", "own", "is not in the old database"),
        ('ALTER TABLE tokens DROP COLUMN "note here"', "tokens", "has no note here"),
        ("ALTER TABLE own DROP COLUMN b", "own", "has no b"),
        ("UPDATE runs SET status = CAST(x'ff' AS TEXT)", "runs", "cannot be read in the old"),
    ],
)
def test_a_source_that_lacks_something(tmp_path: Path, change: str, where: str, what: str) -> None:
    """Each table is told of, and the others are compared; it once ended at a missing column."""
    folder = tmp_path / "extra"
    folder.mkdir()
    written = build_small(folder / "audit.db", known_shapes()[10].shape)
    with closing(sqlite3.connect(written.path)) as connection, connection:
        connection.execute("CREATE TABLE own (id INTEGER PRIMARY KEY, b BLOB)")
        connection.execute("INSERT INTO own VALUES (7, x'00')")
        connection.execute('ALTER TABLE tokens ADD COLUMN "note here" TEXT')
    migrate_database(written.path, tmp_path / "new.db", keep_extra=True)
    with closing(sqlite3.connect(written.path)) as connection, connection:
        connection.execute(change)
    found = verify_migration(tmp_path / "new.db", source=written.path)
    (other, lacking) = found.findings
    assert (other.where, lacking.where) == ("audit.db", where)
    assert what in lacking.what


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_changes_that_wait_beside_it(new: Path, suffix: str) -> None:
    """SQLite would show them to whoever opens it; an empty file holds none."""
    beside = Path(f"{new}{suffix}")
    beside.touch()
    assert verify_migration(new).is_sound
    beside.write_bytes(bytes(512))
    (finding,) = verify_migration(new).findings
    assert (finding.where, finding.what[:13]) == (beside.name, "holds changes")


def test_a_new_shape_that_is_not_known(legacy: Written, new: Path) -> None:
    """The old rows cannot be read as it declares them, and it is said that they were not."""
    proof = new.with_name("new.db.intoto.json")
    told = json.loads(proof.read_bytes())
    told["predicate"]["target"]["known"] = None
    proof.write_bytes(rfc8785.dumps(told))
    found = verify_migration(new, source=legacy.path)
    assert found.is_sound
    assert [text for text in found.unchecked if "not known here" in text]
    assert not [text for text in found.checked if "old database" in text]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda told: {},
        lambda told: {**told, "predicateType": "urn:other"},
        lambda told: {**told, "subject": []},
        lambda told: [],
    ],
)
def test_a_proof_that_is_none(new: Path, spoil: object) -> None:
    proof = new.with_name("new.db.intoto.json")
    told = json.loads(proof.read_bytes())
    assert callable(spoil)
    proof.write_text(json.dumps(spoil(told)))
    assert not verify_migration(new).is_sound


def _places(value: Any, *at: str | int) -> Iterator[tuple[str | int, ...]]:
    """Every place in a JSON value, of each list the first."""
    if at:
        yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value[:1])
    for key, one in inner:
        yield from _places(one if isinstance(one, (dict, list)) else [], *at, key)


def test_whatever_stands_in_a_proof_is_told_by_its_place(legacy: Written, new: Path) -> None:
    """Someone wrote it by hand; what is missing, or is of another kind, is a finding."""
    proof = new.with_name("new.db.intoto.json")
    told = json.loads(proof.read_bytes())
    told["predicate"]["tables"] = [
        {**one, "columns": ["run_id", "seeded_from_cache"]}
        for one in told["predicate"]["tables"][:1]
    ]
    assert told["predicate"]["tables"][0]["filled"][0]["column"] == "seeded_from_cache"
    told["predicate"]["source"]["shape"] = None
    places = list(_places(told["predicate"]))
    assert len(places) > 40
    missing = set()
    puts: tuple[Any, ...] = ("", None, -1, [{}], ...)
    for number, place in enumerate(places):
        for put in puts:
            altered = json.loads(json.dumps(told))
            inside: Any = altered["predicate"]
            for key in place[:-1]:
                inside = inside[key]
            if put is ...:
                del inside[place[-1]]
            else:
                inside[place[-1]] = put
            proof.write_bytes(rfc8785.dumps(altered))
            source = legacy.path if number % 7 == 0 else None
            try:
                found = verify_migration(new, source=source)
            except LandscapeCompatError:
                continue
            missing |= {f.where.partition(" ")[2] for f in found.findings if "missing" in f.what}
    assert {"/predicate/asked", "/predicate/tables/0/filled", "/predicate/target/known"} <= missing


def test_a_proof_that_was_reformatted(new: Path) -> None:
    proof = new.with_name("new.db.intoto.json")
    proof.write_text(json.dumps(json.loads(proof.read_bytes()), indent=1))
    (finding,) = verify_migration(new).findings
    assert "RFC 8785" in finding.what


def test_no_proof(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        verify_migration(tmp_path / "none.db")


def test_a_folder_with_a_proof_was_said_not_to_exist(run: Run, tmp_path: Path) -> None:
    """A bag has no proof of a migration, which `--proof` is about."""
    outcome = run("verify", tmp_path, "--proof", "nosuch")
    assert outcome.code == ExitCode.OPERATIONAL
    assert f"{tmp_path} is a folder" in outcome.err
    assert "leave out --proof" in outcome.err


def test_where_nothing_may_be_seen_nothing_migrated_is_seen(tmp_path: Path) -> None:
    """Whoever reads the place says best why it cannot be read."""
    with hidden(tmp_path):
        assert not is_migrated(tmp_path / "new.db")


def test_the_command(run: Run, legacy: Written, new: Path) -> None:
    """The same `verify` that verifies bags."""
    outcome = run("verify", new, "--source", legacy.path)
    assert outcome.code == ExitCode.DONE
    assert outcome.out.endswith("new.db is sound\n")
    result = run("verify", new, "--json").json
    assert result["sound"] is True
    with closing(sqlite3.connect(new)) as connection, connection:
        connection.execute("DELETE FROM calls")
    assert run("verify", new).code == ExitCode.INTEGRITY
    assert run("verify", new, "--source", "a", "--source", "b").code == ExitCode.OPERATIONAL


def test_the_command_by_a_url(run: Run, new: Path) -> None:
    """Of a file, whose proof lies beside it, and of a server, where none does."""
    outcome = run("verify", f"sqlite:///{new}")
    assert (outcome.code, outcome.err) == (ExitCode.DONE, "")
    outcome = run("verify", "postgresql://nobody@localhost/x")
    assert outcome.code == ExitCode.OPERATIONAL
    assert "--proof" in outcome.err
