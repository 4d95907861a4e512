"""A Landscape migrates from a file to PostgreSQL and back, proven, or leaves nothing there."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import rfc8785
from sqlalchemy import create_engine, inspect

from landscape_compat import inspect_database, migrate_database, verify_migration
from landscape_compat.errors import (
    ExitCode,
    LandscapeCompatError,
    OutputError,
    ProofFailedError,
    RowsRefusedError,
    UnreadableError,
)
from landscape_compat.export.records.stream import export_database
from landscape_compat.landscape.database import open_landscape
from landscape_compat.landscape.history import known_shapes, shape_named
from landscape_compat.migrate import server
from support.commands import running
from support.killing import KILLED, in_child
from support.legacy import Written, build_shape
from support.postgres import PostgresDatabase
from support.postgres_landscape import copy_landscape
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

OLD, NEWEST = "2026-01-18/df2fa70fb", known_shapes()[-1].name


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Give an old record whose values a server has a place for: no number is too large."""
    folder = tmp_path / "old"
    folder.mkdir()
    shape = shape_named(OLD).shape
    found = build_shape(folder / "audit.db", shape, rows=3, runs=4, long_text=False)
    tables = {}
    with closing(sqlite3.connect(found.path)) as connection, connection:
        for table in shape:
            for column in table.columns:
                if column.type == "INTEGER":
                    name = f'"{column.name}"'
                    connection.execute(
                        f'UPDATE "{table.name}" SET {name} = {name} % 1000 WHERE {name} NOTNULL'
                    )
            rows = connection.execute(f'SELECT * FROM "{table.name}"').fetchall()
            tables[table.name] = replace(found.tables[table.name], rows=tuple(rows))
    return replace(found, tables=tables)


def tables_of(postgres: PostgresDatabase) -> list[str]:
    engine = create_engine(postgres.url())
    try:
        return inspect(engine).get_table_names()
    finally:
        engine.dispose()


def records(where: object) -> list[str]:
    """Export all of a database, in a form that does not depend on where it lies."""
    with open_landscape(where) as db:  # type: ignore[arg-type]
        found = [json.dumps(record, ensure_ascii=False) for record in export_database(db)]
    return sorted(text.replace('+00:00"', '"') for text in found)


def test_to_a_server_and_back(written: Written, tmp_path: Path, postgres: PostgresDatabase) -> None:
    """What comes back is what a migration from file to file gives; both keep their bytes."""
    proof, url = tmp_path / "proof.json", postgres.url()
    with untouched(written.path):
        there = migrate_database(written.path, url, proof=proof)
    report = inspect_database(url)
    assert report.identification is not None
    assert [known.name for known in report.identification.exact] == [NEWEST]
    assert not report.degraded
    told = json.loads(proof.read_bytes())
    assert [t["table"] for t in told["predicate"]["server"] if t["rows"]]
    before = postgres.content()
    back = migrate_database(url, tmp_path / "back.db")
    straight = migrate_database(written.path, tmp_path / "straight.db")
    assert postgres.content() == before
    assert there.done.rows == back.done.rows == straight.done.rows > 90
    assert records(tmp_path / "back.db") == records(tmp_path / "straight.db") == records(url)
    assert verify_migration(tmp_path / "back.db", source=url).is_sound


def test_verified_on_the_server(
    written: Written, tmp_path: Path, postgres: PostgresDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against its proof, and against the old database; both are left as they are."""
    proof, url = tmp_path / "proof.json", postgres.url()
    migrate_database(written.path, url, proof=proof, to="2026-04-15")
    before = postgres.content()
    with untouched(written.path):
        alone = verify_migration(url, proof=proof)
        both = verify_migration(url, proof=proof, source=written.path)
        with running(capsys) as run:
            text = url.render_as_string(hide_password=False)
            said = run("verify", text, "--proof", proof, "--source", written.path)
    assert postgres.content() == before
    assert alone.is_sound
    assert both.is_sound, both.to_dict()
    assert len(alone.unchecked) == 1
    assert both.unchecked == []
    assert len(both.checked) == len(alone.checked) + 1
    assert said.code == ExitCode.DONE, said.err
    assert said.out.endswith(" is sound\n")


def test_verified_with_side_tables_and_tables_of_nobody(
    written: Written, tmp_path: Path, postgres: PostgresDatabase
) -> None:
    with closing(sqlite3.connect(written.path)) as connection, connection:
        connection.execute("UPDATE tokens SET row_id = 'gone' WHERE rowid = 1")
        connection.execute("CREATE TABLE own (id INTEGER PRIMARY KEY, b BLOB)")
        connection.execute("INSERT INTO own VALUES (7, x'00')")
    proof, url = tmp_path / "proof.json", postgres.url()
    made = migrate_database(written.path, url, proof=proof, quarantine=True, keep_extra=True)
    assert made.done.quarantined
    found = verify_migration(url, proof=proof, source=written.path)
    assert found.is_sound, found.to_dict()


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ("UPDATE tokens SET branch_name = 'x'", "tokens"),
        ("DELETE FROM artifacts", "artifacts"),
        ("DROP TABLE artifacts", "artifacts"),
        ("ALTER TABLE artifacts DROP COLUMN content_hash", "artifacts"),
        ("ALTER TABLE artifacts ALTER created_at TYPE date", "artifacts"),
        (
            "ALTER TABLE artifacts ALTER content_hash TYPE jsonb USING "
            "jsonb_build_object('hash', content_hash)",
            "artifacts",
        ),
    ],
)
def test_changed_on_the_server(
    written: Written, tmp_path: Path, postgres: PostgresDatabase, change: str, where: str
) -> None:
    proof, url = tmp_path / "proof.json", postgres.url()
    migrate_database(written.path, url, proof=proof, to="2026-04-15")
    postgres.run(change)
    for source in (None, written.path):
        found = verify_migration(url, proof=proof, source=source)
        assert {finding.where for finding in found.findings} == {where}


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        ("DROP TABLE own", "own", "is not made of"),
        ("ALTER TABLE own ADD COLUMN more", "own", "is not made of"),
        ("UPDATE own SET b = 'text'", "own", "is no bytes"),
    ],
)
def test_the_source_of_a_server_that_lacks_something(
    written: Written,
    tmp_path: Path,
    postgres: PostgresDatabase,
    change: str,
    where: str,
    what: str,
) -> None:
    """What it is made again of does not fit what is on the server; the others are compared."""
    proof, url = tmp_path / "proof.json", postgres.url()
    with closing(sqlite3.connect(written.path)) as connection, connection:
        connection.execute("CREATE TABLE own (id INTEGER PRIMARY KEY, b BLOB)")
        connection.execute("INSERT INTO own VALUES (7, x'00')")
    migrate_database(written.path, url, proof=proof, to="2026-04-15", keep_extra=True)
    with closing(sqlite3.connect(written.path)) as connection, connection:
        connection.execute(change)
    found = verify_migration(url, proof=proof, source=written.path)
    (other, lacking) = found.findings
    assert (other.where, lacking.where) == ("audit.db", where)
    assert what in lacking.what


@pytest.mark.parametrize(
    ("alter", "why"),
    [
        ({"target": {"known": None}}, "not known here"),
        ({"asked": {"stand_ins": {"runs.status": "x"}}}, "stand-ins were named"),
    ],
)
def test_what_cannot_be_made_again(
    written: Written,
    tmp_path: Path,
    postgres: PostgresDatabase,
    alter: dict[str, dict[str, object]],
    why: str,
) -> None:
    """The old rows are not compared then, and it is said that they were not."""
    proof, url = tmp_path / "proof.json", postgres.url()
    migrate_database(written.path, url, proof=proof, to="2026-04-15")
    told = json.loads(proof.read_bytes())
    for name, values in alter.items():
        told["predicate"][name] |= values
    proof.write_bytes(rfc8785.dumps(told))
    found = verify_migration(url, proof=proof, source=written.path)
    assert found.is_sound, found.to_dict()
    assert [text for text in found.unchecked if why in text]
    assert not [text for text in found.checked if "old database" in text]


def test_another_source_than_the_servers(
    written: Written, tmp_path: Path, postgres: PostgresDatabase
) -> None:
    proof, url = tmp_path / "proof.json", postgres.url()
    migrate_database(written.path, url, proof=proof, to="2026-04-15")
    with closing(sqlite3.connect(written.path)) as connection, connection:
        connection.execute("UPDATE runs SET status = 'x' WHERE rowid = 1")
    found = verify_migration(url, proof=proof, source=written.path)
    assert {finding.where for finding in found.findings} == {"audit.db", "runs"}
    assert verify_migration(url, proof=proof).is_sound


def test_a_proof_that_is_not_the_servers(
    written: Written, tmp_path: Path, postgres: PostgresDatabase
) -> None:
    """One of a file, one whose figures were changed, and none."""
    proof, url = tmp_path / "proof.json", postgres.url()
    made = migrate_database(written.path, tmp_path / "new.db")
    assert not verify_migration(url, proof=made.proof).is_sound
    proof.write_bytes(b"{}")
    assert not verify_migration(url, proof=proof).is_sound
    with pytest.raises(OutputError, match="exists already and is no statement"):
        migrate_database(written.path, url, proof=proof, to="2026-04-15")
    proof.unlink()
    migrate_database(written.path, url, proof=proof, to="2026-04-15")
    with pytest.raises(LandscapeCompatError, match="could not be read"):
        verify_migration(url.set(database="nobody's"), proof=proof)
    told = json.loads(proof.read_bytes())
    told["predicate"]["server"][0]["rows"] += 1
    proof.write_bytes(rfc8785.dumps(told))
    assert not verify_migration(url, proof=proof).is_sound
    with pytest.raises(LandscapeCompatError, match="--proof"):
        verify_migration(url)
    with pytest.raises(OutputError, match="does not exist"):
        verify_migration(url, proof=tmp_path / "none.json")


def test_an_old_one_on_a_server(
    written: Written, tmp_path: Path, postgres: PostgresDatabase
) -> None:
    """It is read through the shim, and becomes the newest in a file, and on another server."""
    copy_landscape(written, shape_named(OLD), postgres)
    before = postgres.content()
    made = migrate_database(postgres.url(), tmp_path / "new.db")
    assert postgres.content() == before
    assert made.done.rows == sum(len(table.rows) for table in written.tables.values())
    straight = migrate_database(written.path, tmp_path / "straight.db")
    assert records(tmp_path / "new.db") == records(tmp_path / "straight.db")
    assert [t.name for t in made.done.tables] == [t.name for t in straight.done.tables]
    assert verify_migration(tmp_path / "new.db", source=postgres.url()).is_sound


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_what_a_file_has_other_forms_for(
    written: Written, tmp_path: Path, postgres: PostgresDatabase, driver: str
) -> None:
    """In a table of nobody's, as text that stays text; bytes by every driver.

    SQLite once made another number of a decimal, and the proof failed.
    """
    copy_landscape(written, shape_named(OLD), postgres)
    postgres.run(
        "CREATE TABLE own (id int PRIMARY KEY, d date, t time, u uuid, n numeric, "
        "w name, f float, b bytea);"
        "INSERT INTO own VALUES (1, '2026-01-18', '12:30', "
        "'3f2a9c11-d0e4-4000-8000-000000000000', 1.50, '7', 2.5, '\\x00ff')"
    )
    migrate_database(postgres.url(driver), tmp_path / "new.db", keep_extra=True)
    with closing(sqlite3.connect(tmp_path / "new.db")) as connection:
        (row,) = connection.execute("SELECT * FROM own").fetchall()
    uuid = "3f2a9c11-d0e4-4000-8000-000000000000"
    assert row == (1, "2026-01-18", "12:30:00", uuid, "1.50", "7", 2.5, b"\0\xff")
    assert verify_migration(tmp_path / "new.db", source=postgres.url(driver)).is_sound


def test_what_a_file_has_no_form_for(
    written: Written, tmp_path: Path, postgres: PostgresDatabase
) -> None:
    """It is told, and nothing is made; it once ended as a fault of the program."""
    copy_landscape(written, shape_named(OLD), postgres)
    postgres.run("CREATE TABLE own (j jsonb); INSERT INTO own VALUES ('[\"a\", 1]')")
    with pytest.raises(UnreadableError, match="no form for a value of the kind list"):
        migrate_database(postgres.url(), tmp_path / "new.db", keep_extra=True)
    assert not (tmp_path / "new.db").exists()
    migrate_database(postgres.url(), tmp_path / "new.db")


def test_what_a_server_has_no_place_for(
    written: Written, tmp_path: Path, postgres: PostgresDatabase
) -> None:
    """A NUL in a text, a text in place of a time, a number too large: named, and nothing made."""
    with closing(sqlite3.connect(written.path)) as connection, connection:
        connection.execute("UPDATE tokens SET branch_name = 'a' || char(0) WHERE rowid = 1")
        connection.execute("UPDATE runs SET started_at = 'yesterday' WHERE rowid = 1")
        connection.execute("UPDATE rows SET row_index = 1e10 WHERE rowid = 1")
    with untouched(written.path), pytest.raises(RowsRefusedError) as caught:
        migrate_database(written.path, postgres.url(), proof=tmp_path / "proof.json")
    assert len(caught.value.rows) == 3
    assert "NUL" in str(caught.value)
    assert "'yesterday' is no timestamp" in str(caught.value)
    assert "out of range" in str(caught.value)
    assert tables_of(postgres) == []
    assert not (tmp_path / "proof.json").exists()


def test_a_large_whole_number_in_a_column_of_nobodys_was_rounded(
    written: Written, tmp_path: Path, postgres: PostgresDatabase
) -> None:
    """By the server's type, and the proof compared what was rounded with itself."""
    with closing(sqlite3.connect(written.path)) as connection, connection:
        connection.execute("CREATE TABLE mine (id INTEGER PRIMARY KEY, amount NUMERIC)")
        connection.execute("INSERT INTO mine VALUES (1, 9007199254740992), (2, 9007199254740993)")
    with untouched(written.path), pytest.raises(RowsRefusedError, match="would round") as caught:
        migrate_database(
            written.path, postgres.url(), keep_extra=True, proof=tmp_path / "proof.json"
        )
    assert len(caught.value.rows) == 1


def test_a_server_has_no_place_for_any_row_of_a_table(
    written: Written, tmp_path: Path, postgres: PostgresDatabase
) -> None:
    with closing(sqlite3.connect(written.path)) as connection, connection:
        count = connection.execute("UPDATE runs SET status = 'a' || char(0)").rowcount
    with pytest.raises(RowsRefusedError) as caught:
        migrate_database(written.path, postgres.url(), proof=tmp_path / "proof.json")
    assert len(caught.value.rows) == count > 0
    assert tables_of(postgres) == []


def test_no_such_server_and_no_folder_for_the_proof(
    written: Written, tmp_path: Path, postgres: PostgresDatabase
) -> None:
    """Each is told by its name, and nothing is kept anywhere."""
    proof = tmp_path / "proof.json"
    with pytest.raises(OutputError, match=r"nobody(%27|')s.* could not be written to"):
        migrate_database(written.path, postgres.url().set(database="nobody's"), proof=proof)
    assert not proof.exists()
    with pytest.raises(OutputError, match=r"none/proof\.json cannot be written"):
        migrate_database(written.path, postgres.url(), proof=tmp_path / "none" / "proof.json")
    assert tables_of(postgres) == []


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE runs SET status = 'another' WHERE run_id = (SELECT min(run_id) FROM runs)",
        "DELETE FROM artifacts WHERE artifact_id = (SELECT max(artifact_id) FROM artifacts)",
        "INSERT INTO secret_resolutions (resolution_id, run_id, timestamp, env_var_name, source, "
        "fingerprint) SELECT 'x', run_id, 1.5, 'e', 's', 'f' FROM runs LIMIT 1",
    ],
)
def test_a_server_that_holds_something_else(
    written: Written,
    tmp_path: Path,
    postgres: PostgresDatabase,
    monkeypatch: pytest.MonkeyPatch,
    spoil: str,
) -> None:
    """By a value, by a row less or more: what was loaded is read again, and all is taken back."""
    real = server._Load._prove

    def prove(load: server._Load, *words: object) -> object:
        monkeypatch.setattr(server._Load, "_prove", real)
        load.new.exec_driver_sql(spoil)
        return real(load, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(server._Load, "_prove", prove)
    with pytest.raises(ProofFailedError, match="does not give back"):
        migrate_database(written.path, postgres.url(), proof=tmp_path / "p.json", to="2026-04-15")
    assert tables_of(postgres) == []
    assert not (tmp_path / "p.json").exists()


def test_the_statement_followed_a_symlink_beside_its_place(
    written: Written, tmp_path: Path, postgres: PostgresDatabase
) -> None:
    """It is made in a folder of its own, and nothing is left beside it."""
    folder, theirs = tmp_path / "proofs", tmp_path / "theirs"
    folder.mkdir()
    theirs.write_text("kept")
    (folder / f".p.json.{os.getpid()}").symlink_to(theirs)
    migrate_database(written.path, postgres.url(), proof=folder / "p.json", to="2026-04-15")
    assert theirs.read_text() == "kept"
    assert len([*folder.iterdir()]) == 2
    assert verify_migration(postgres.url(), proof=folder / "p.json").is_sound


def test_a_place_that_is_taken(
    written: Written, tmp_path: Path, postgres: PostgresDatabase
) -> None:
    postgres.run("CREATE TABLE runs (a int)")
    with pytest.raises(OutputError, match="has runs already"):
        migrate_database(written.path, postgres.url(), proof=tmp_path / "proof.json")
    assert tables_of(postgres) == ["runs"]


def test_killed_on_the_way(
    written: Written, tmp_path: Path, postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the transaction ends, nobody sees a table; the copy left behind goes with the next."""
    proof, temporary = tmp_path / "proof.json", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    def die(*words: object) -> None:
        os._exit(KILLED)

    def migrate() -> None:
        monkeypatch.setattr(server, "_state", die)
        migrate_database(written.path, postgres.url(), proof=proof)

    assert in_child(migrate) == KILLED
    assert tables_of(postgres) == []
    [left] = temporary.iterdir()
    assert (left / "new.db").exists()
    assert stat.S_IMODE(left.stat().st_mode) == 0o700
    migrate_database(written.path, postgres.url(), proof=proof)
    assert proof.exists()
    assert list(temporary.iterdir()) == []


def test_what_cannot_be_asked_for(
    written: Written, tmp_path: Path, postgres: PostgresDatabase
) -> None:
    proof = tmp_path / "proof.json"
    with pytest.raises(LandscapeCompatError, match="--proof"):
        migrate_database(written.path, postgres.url())
    with pytest.raises(LandscapeCompatError, match="in a file only"):
        migrate_database(written.path, postgres.url(), proof=proof, host=True)
    with pytest.raises(LandscapeCompatError, match="cannot be made on"):
        migrate_database(written.path, "sqlite:///x.db", proof=proof)


def test_the_command_hides_the_password(
    written: Written,
    tmp_path: Path,
    postgres: PostgresDatabase,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = postgres.url().set(password="pa55word").render_as_string(hide_password=False)
    with running(capsys) as run:
        outcome = run("migrate", written.path, "-o", url, "--proof", tmp_path / "proof.json")
    assert outcome.code == 0, outcome.err
    assert "proven" in outcome.out
    assert "pa55word" not in outcome.out + outcome.err + (tmp_path / "proof.json").read_text()
