"""A table is copied after those that it refers to, in one transaction, a few rows at a time."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from landscape_compat import migrate_database, verify_migration
from landscape_compat.errors import LandscapeCompatError
from landscape_compat.landscape.history import known_shapes, shape_named
from landscape_compat.migrate import work
from landscape_compat.migrate.copying import copy_table
from landscape_compat.migrate.target import key_of_rows
from support.legacy import Written, build_shape, build_small
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

TYPES = "SELECT name, upper(type), pk FROM pragma_table_info('own')"
MEASURED = """
import resource, sys
from landscape_compat import migrate_database
made = migrate_database(sys.argv[1], sys.argv[2])
print(made.done.rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_those_that_others_refer_to_come_first(legacy: Written, tmp_path: Path) -> None:
    made = migrate_database(legacy.path, tmp_path / "new.db")
    names = [table.name for table in made.done.tables]
    chain = ["runs", "nodes", "rows", "tokens", "node_states", "calls"]
    assert [name for name in names if name in chain] == chain
    assert names.index("token_parents") > names.index("tokens")


def test_each_table_is_one_transaction(
    legacy: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, said = copy_table, dict[str, list[str]]()

    def copied(source: Any, target: sqlite3.Connection, copy: Any, **options: Any) -> Any:
        target.set_trace_callback(said.setdefault(copy.name, []).append)
        found = real(source, target, copy, **options)
        target.set_trace_callback(None)
        return found

    monkeypatch.setattr(work, "copy_table", copied)
    migrate_database(legacy.path, tmp_path / "new.db")
    assert {"runs", "tokens", "calls"} <= set(said)
    for statements in said.values():
        assert (statements[0], statements[-1]) == ("BEGIN", "COMMIT")
        assert not {"BEGIN", "COMMIT"} & set(statements[1:-1])


def test_what_was_migrated_with_side_tables_could_not_be_migrated_again(tmp_path: Path) -> None:
    """Its side tables are tables like any other now; new ones get names of their own."""
    folders = [tmp_path / name for name in ("old", "first", "second", "third")]
    for folder in folders:
        folder.mkdir()
    old, first, second, third = (folder / "audit.db" for folder in folders)
    build_small(old, known_shapes()[20].shape, orphans=True)
    sides = {
        table.name: table.side
        for table in migrate_database(old, first, quarantine=True).done.tables
        if table.side
    }
    assert sides == {name: f"quarantine_{name}" for name in sides}
    name, *_ = sides
    with untouched(first):
        carried = migrate_database(first, second, keep_extra=True).done
    assert carried.as_stored == set(sides.values())
    assert verify_migration(second, source=first).is_sound
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute(f'CREATE TABLE "QUARANTINE_{name}" (quarantine_position, x)')
        connection.execute(f'INSERT INTO "QUARANTINE_{name}" VALUES (0, 1)')
    with untouched(old):
        made = migrate_database(old, third, keep_extra=True, quarantine=True)
    told = json.loads(made.proof.read_bytes())["predicate"]["tables"]
    (side,) = (table["side_table"] for table in told if table["table"] == name)
    assert side == f"quarantine_{name}_2"
    with closing(sqlite3.connect(third)) as connection:
        assert connection.execute(f"SELECT count(*) FROM {side}").fetchone() > (0,)
    assert verify_migration(third, source=old).is_sound


@pytest.mark.parametrize(
    ("made", "rows"),
    [
        ("own (rowid TEXT, body)", [("b", 1), ("a", 2)]),
        ("own (a INTEGER PRIMARY KEY DESC, b)", [(None, 1), (5, 2), (3, 3)]),
        ("own (a INTEGER PRIMARY KEY, b) WITHOUT ROWID", [(5, 1), ("x", 2)]),
        ("own (a INTEGER PRIMARY KEY, b)", [(7, 1), (-2, 2)]),
        ('own (a "we(ird", b "not null unique")', [(None, 1), ("7", 1)]),
        ("own (a [x\"y], b 'VARCHAR(8)')", [(1, 2), ("7", 3)]),
    ],
)
def test_a_legal_table_of_nobodys_was_taken_for_a_copy_that_differs(
    legacy: Written, tmp_path: Path, made: str, rows: list[Any]
) -> None:
    """Whatever its columns are named and its key is, no row moves, and no number is made up."""
    with closing(sqlite3.connect(legacy.path)) as connection, connection:
        connection.execute(f"CREATE TABLE {made}")
        connection.executemany("INSERT INTO own VALUES (?, ?)", rows)
        wanted = connection.execute("SELECT * FROM own").fetchall()
        types = connection.execute(TYPES).fetchall()
    new = tmp_path / "new.db"
    with untouched(legacy.path):
        migrate_database(legacy.path, new, keep_extra=True)
        assert verify_migration(new, source=legacy.path).is_sound
    with closing(sqlite3.connect(new)) as connection:
        assert connection.execute("SELECT * FROM own NOT INDEXED").fetchall() == wanted
        assert connection.execute(TYPES).fetchall() == types
        numbered = key_of_rows(connection, "own")
    assert (numbered is not None) == made.endswith("INTEGER PRIMARY KEY, b)")


def test_rows_without_any_name_for_their_number_were_compared_in_some_order(
    legacy: Written, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(legacy.path)) as connection:
        connection.execute("CREATE TABLE own (rowid, OID, _rowid_)")
    (folder := tmp_path / "new").mkdir()
    with untouched(legacy.path), pytest.raises(LandscapeCompatError, match="own has columns of"):
        migrate_database(legacy.path, folder / "new.db", keep_extra=True)
    assert list(folder.iterdir()) == []


def test_an_orphan_in_a_table_that_has_a_column_named_rowid_was_another_row(tmp_path: Path) -> None:
    (folder := tmp_path / "old").mkdir()
    written = build_small(folder / "audit.db", known_shapes()[20].shape, orphans=True)
    names = [table.name for table in known_shapes()[20].shape]
    with closing(sqlite3.connect(written.path)) as connection, connection:
        for name in names:
            connection.execute(f"ALTER TABLE {name} ADD COLUMN rowid TEXT DEFAULT 'x'")
    new = tmp_path / "new.db"
    with untouched(written.path):
        made = migrate_database(written.path, new, keep_extra=True, quarantine=True)
        assert made.done.quarantined
        assert verify_migration(new, source=written.path).is_sound


def test_rows_that_a_column_numbers_were_compared_in_another_order(tmp_path: Path) -> None:
    """Somebody made the table anew by CREATE TABLE AS: it has no key, and the last row first."""
    (folder := tmp_path / "old").mkdir()
    written = build_small(folder / "audit.db", known_shapes()[-1].shape)
    name = "run_coordination_events"
    with closing(sqlite3.connect(written.path)) as connection, connection:
        connection.execute(f"CREATE TABLE other AS SELECT * FROM {name} ORDER BY seq DESC")
        connection.execute(f"DROP TABLE {name}")
        connection.execute(f"ALTER TABLE other RENAME TO {name}")
        numbers = connection.execute(f"SELECT seq FROM {name}").fetchall()
    new = tmp_path / "new.db"
    with untouched(written.path):
        migrate_database(written.path, new)
        assert verify_migration(new, source=written.path).is_sound
    with closing(sqlite3.connect(new)) as connection:
        assert connection.execute(f"SELECT seq FROM {name}").fetchall() == numbers[::-1]
    assert len(numbers) > 1


def measured(path: Path, new: Path) -> tuple[int, int]:
    """Migrate in a process of its own; give the rows, and the most memory it had, in KiB."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEASURED, path, new],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    rows, most = map(int, ended.stdout.split()[-2:])
    return rows, most


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in other units elsewhere")
def test_memory_does_not_grow_with_a_table(tmp_path: Path) -> None:
    """Sixty megabytes of rows are copied and proven in what a few rows take, and a little."""
    folder = tmp_path / "old"
    folder.mkdir()
    shape = shape_named("2026-01-18/df2fa70fb").shape
    path = build_shape(folder / "audit.db", shape, rows=3, runs=3, long_text=False).path
    few, little = measured(path, tmp_path / "few.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 15000) "
            "INSERT INTO nodes (node_id, run_id, plugin_name, node_type, plugin_version, "
            "determinism, config_hash, config_json, registered_at) "
            "SELECT 'n' || i, run_id, 'p', 'source', '1', 'deterministic', 'h', "
            "hex(zeroblob(2000)), '2026-01-18 00:00:00.000000' FROM n, "
            "(SELECT run_id FROM runs LIMIT 1)"
        )
    assert path.stat().st_size > 60_000_000
    many, most = measured(path, tmp_path / "many.db")
    assert many == few + 15_000
    assert most - little < 20_000
