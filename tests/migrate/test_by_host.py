"""The installed host makes the empty database; what it insists on is named, and not made up."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, MetaData, event

from landscape_compat import migrate_database, verify_migration
from landscape_compat.errors import LandscapeCompatError, RowsRefusedError
from landscape_compat.landscape.history import known_shapes
from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape
from support.hosts import STAND_INS, build_record, places
from support.legacy import Written
from support.untouched import state_of, untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

NEWEST = known_shapes()[-1]


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Give a place for a new database, in a folder of its own."""
    folder = tmp_path / "a new place"
    folder.mkdir()
    return folder / "new.db"


def stored_rows(path: Path, name: str, columns: list[str]) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        names = ", ".join(f'"{c}"' for c in columns)
        return connection.execute(f'SELECT {names} FROM "{name}" ORDER BY rowid').fetchall()


def test_the_host_makes_the_empty_database(legacy: Written, new: Path, tmp_path: Path) -> None:
    """With its own constraints, identity, epoch and journal; it then opens it with no shim."""
    with places(tmp_path) as place:
        host = place("newest")
        made = migrate_database(legacy.path, new, host=True, stand_ins=STAND_INS)
        assert made.target == "the installed host, epoch 29"
        before = state_of(new).file
        host.load().LandscapeDB.from_url(f"sqlite:///{new}", create_tables=False).close()
        # The proof once was not of the file any more as soon as the host had looked at it.
        assert state_of(new).file == before
    with closing(sqlite3.connect(new)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (29,)


def test_what_the_host_insists_on_is_not_made_up(
    legacy: Written, new: Path, tmp_path: Path
) -> None:
    """Each row is named, with the columns that nobody recorded and the constraint; nothing is made.

    A migration once wrote an empty catalogue digest and the word `bundled` into every old run,
    which the host's own code never writes.
    """
    with places(tmp_path) as place, untouched(legacy.path):
        place("newest")
        with pytest.raises(RowsRefusedError, match="nothing is made up here") as caught:
            migrate_database(legacy.path, new, host=True)
    assert "--stand-in runs.openrouter_catalog_sha256=TEXT" in str(caught.value)
    why = (
        "NOT NULL constraint failed: runs.openrouter_catalog_sha256, "
        "runs.openrouter_catalog_source, never recorded"
    )
    named = {row for row in caught.value.rows if row.startswith("runs ")}
    assert named == {f"runs (run_id={run_id!r}): {why}" for run_id in legacy.run_ids}
    of_checkpoints = [row for row in caught.value.rows if row.startswith("checkpoints ")]
    assert len(of_checkpoints) == len(legacy.tables["checkpoints"].rows)
    assert list(new.parent.iterdir()) == []


def test_one_stand_in_of_two(legacy: Written, new: Path, tmp_path: Path) -> None:
    """The column that none was named for is refused by itself."""
    with places(tmp_path) as place:
        place("newest")
        some = {path: text for path, text in STAND_INS.items() if not path.endswith("source")}
        with pytest.raises(RowsRefusedError, match=r"--stand-in runs\.openrouter_catalog_source="):
            migrate_database(legacy.path, new, host=True, stand_ins=some)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("runs.openrouter_catalog_sha", "declares no such column"),
        ("runs", "declares no such column"),
        ("runs.cache_key", "lets it be NULL"),
        ("runs.started_at", "holds no text"),
        ("nodes.determinism", "follow from the record"),
        ("validation_errors.destination", "cannot be shown"),
    ],
)
def test_what_nothing_can_stand_in_for(
    legacy: Written, new: Path, tmp_path: Path, path: str, why: str
) -> None:
    with places(tmp_path) as place, untouched(legacy.path):
        place("newest")
        text = "\udcff" if "shown" in why else "x"
        with pytest.raises(LandscapeCompatError, match=why):
            migrate_database(legacy.path, new, host=True, stand_ins={**STAND_INS, path: text})
    assert list(new.parent.iterdir()) == []


def test_a_known_shape_needs_no_stand_in(legacy: Written, new: Path) -> None:
    with pytest.raises(LandscapeCompatError, match="can hold NULL there"):
        migrate_database(legacy.path, new, stand_ins=STAND_INS)


def test_a_stand_in_that_is_not_needed(new: Path, tmp_path: Path) -> None:
    """What was recorded stays as it was recorded."""
    written = build_record(tmp_path / "later", "2026-06-04/3c535e12f")
    with places(tmp_path) as place:
        place("newest")
        made = migrate_database(written.path, new, host=True, stand_ins=STAND_INS)
    assert {rule["column"] for rule in made.done.filled["runs"]}.isdisjoint(
        {"openrouter_catalog_sha256", "openrouter_catalog_source"}
    )
    columns = ["openrouter_catalog_sha256", "openrouter_catalog_source"]
    assert {*stored_rows(new, "runs", columns)} == {*stored_rows(written.path, "runs", columns)}


def test_what_the_operator_named_stands_in(legacy: Written, new: Path, tmp_path: Path) -> None:
    """The host's constraints stay as they are; what was named, and where it stands, is told."""
    with places(tmp_path) as place:
        place("newest")
        with untouched(legacy.path):
            made = migrate_database(legacy.path, new, host=True, stand_ins=STAND_INS)
    assert made.done.relaxed == ()
    told = {one["column"]: one["rule"] for one in made.done.filled["runs"]}
    assert told["openrouter_catalog_sha256"] == told["openrouter_catalog_source"] == "neutral"
    columns = ["openrouter_catalog_sha256", "openrouter_catalog_source"]
    assert {*stored_rows(new, "runs", columns)} == {("", "bundled")}
    runs = NEWEST.shape.table("runs")
    assert runs is not None
    with closing(sqlite3.connect(new)) as connection:
        found = connection.execute("SELECT name FROM pragma_table_info('runs') WHERE \"notnull\"")
        assert {name for (name,) in found} == {c.name for c in runs.columns if not c.nullable}
    stated = json.loads(made.proof.read_bytes())["predicate"]
    assert stated["asked"]["stand_ins"] == STAND_INS
    (runs_table,) = (table for table in stated["tables"] if table["table"] == "runs")
    neutral = [one for one in runs_table["filled"] if one["rule"] == "neutral"]
    assert {one["column"]: one["rows"] for one in neutral} == dict.fromkeys(
        columns, len(legacy.run_ids)
    )
    assert all("the operator" in one["why"] for one in neutral)
    assert verify_migration(new, source=legacy.path).is_sound


def test_what_the_host_would_not_take_is_not_kept(new: Path, tmp_path: Path) -> None:
    """Its own validation has the last word."""
    own = SchemaShape.of(TableShape("own", (ColumnShape("id", "INTEGER", primary_key=True),)))
    extra = build_record(tmp_path / "extra", NEWEST.name, extra=own)
    with places(tmp_path) as place, untouched(extra.path):
        place("newest")
        with pytest.raises(LandscapeCompatError, match="would not take"):
            migrate_database(extra.path, new, host=True, keep_extra=True)
    assert list(new.parent.iterdir()) == []


def test_what_the_host_does_when_it_records_is_not_done_again(
    legacy: Written, new: Path, tmp_path: Path
) -> None:
    """Its triggers are for what is recorded from now on: they are there, and have done nothing."""
    trigger = """
        CREATE TRIGGER "no ""second"" word" BEFORE INSERT ON runs
        BEGIN SELECT RAISE(ABORT, 'nothing is recorded here any more'); END
    """
    with places(tmp_path) as place:
        metadata = place("newest").load("core.landscape.schema").metadata

        @event.listens_for(metadata, "after_create")
        def make_trigger(target: MetaData, connection: Connection, **more: Any) -> None:
            connection.exec_driver_sql(trigger)

        migrate_database(legacy.path, new, host=True, stand_ins=STAND_INS)
    runs = stored_rows(legacy.path, "runs", ["run_id"])
    assert stored_rows(new, "runs", ["run_id"]) == runs
    with closing(sqlite3.connect(new)) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="nothing is recorded here any more"):
            connection.execute("INSERT INTO runs SELECT * FROM runs")
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        assert found.fetchall() == [('no "second" word',)]


def test_no_host_is_installed(legacy: Written, new: Path) -> None:
    with untouched(legacy.path), pytest.raises(LandscapeCompatError, match="not installed"):
        migrate_database(legacy.path, new, host=True)
    assert list(new.parent.iterdir()) == []
