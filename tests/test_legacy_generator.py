"""A generated legacy database holds what its generator says, in rows that fit together."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from shutil import copy2
from types import ModuleType

import pytest

from landscape_compat.landscape.history import foreign_keys, known_shapes, shape_named
from landscape_compat.schema.known import KnownShape
from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape
from support.legacy import Written, build_shape, build_small
from support.untouched import state_of, untouched
from support.values import pool

ROOT = Path(__file__).resolve().parent.parent
SHAPES = pytest.mark.parametrize("known", known_shapes(), ids=lambda known: known.name)


def read(written: Written) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(written.path)) as connection:
        return {
            name: connection.execute(f'SELECT * FROM "{name}"').fetchall()
            for name in written.tables
        }


def dangling(written: Written, known: KnownShape) -> int:
    count = 0
    with closing(sqlite3.connect(written.path)) as connection:
        for table, keys in foreign_keys(known).items():
            for key in keys:
                pairs = list(zip(key.columns, key.references, strict=True))
                same = " AND ".join(f'p."{its}" = c."{own}"' for own, its in pairs)
                whole = " AND ".join(f'c."{own}" IS NOT NULL' for own in key.columns)
                count += connection.execute(
                    f'SELECT count(*) FROM "{table}" AS c WHERE {whole}'
                    f' AND NOT EXISTS (SELECT 1 FROM "{key.table}" AS p WHERE {same})'
                ).fetchone()[0]
    return count


@SHAPES
def test_every_shape_holds_just_what_was_written(known: KnownShape, tmp_path: Path) -> None:
    """Every cell of every table reads back as it was said to be, to the sign of a zero."""
    written = build_shape(tmp_path / "audit.db", known.shape)
    stored = read(written)
    assert stored.keys() == {table.name for table in known.shape}
    for name, table in written.tables.items():
        assert table.rows, name
        assert Counter(map(repr, stored[name])) == Counter(map(repr, table.rows)), name


@SHAPES
def test_every_shape_has_rows_that_fit_together(known: KnownShape, tmp_path: Path) -> None:
    """No foreign key of the shape dangles, and rows with a run belong to one that exists."""
    written = build_small(tmp_path / "audit.db", known.shape)
    assert dangling(written, known) == 0
    for table in written.tables.values():
        if "run_id" in table.columns:
            place = table.columns.index("run_id")
            owners = list(zip([row[place] for row in table.rows], table.run_ids, strict=True))
            assert all(own == said and own in written.run_ids for own, said in owners), table.name


def test_every_column_holds_every_class_of_value(tmp_path: Path) -> None:
    """What is no key and no reference takes on every value that its type allows."""
    known = known_shapes()[-1]
    written = build_shape(tmp_path / "audit.db", known.shape)
    bound = {
        (table, column)
        for table, keys in foreign_keys(known).items()
        for key in keys
        for column in key.columns
    }
    # These name rows of other tables too, though no foreign key says so.
    bound |= {
        ("coalesce_branch_losses", "row_id"),
        ("coalesce_branch_losses", "token_id"),
        ("coalesce_effects", "coalesce_node_id"),
        ("scheduler_events", "work_item_id"),
    }
    checked = 0
    for table in known.shape:
        if table.name == "elspeth_schema_identity":
            continue
        for at, column in enumerate(table.columns):
            values = {row[at] for row in written.tables[table.name].rows}
            if column.nullable:
                assert None in values, f"{table.name}.{column.name}"
            if not column.primary_key and (table.name, column.name) not in bound:
                assert values >= set(pool(table.name, column)), f"{table.name}.{column.name}"
                checked += 1
    assert checked > 200


def test_a_seed_gives_the_same_database_everywhere(tmp_path: Path) -> None:
    """The rows of a seed are known beforehand, whichever Python builds them."""
    shape = shape_named("2026-01-18/df2fa70fb").shape
    written = build_shape(tmp_path / "audit.db", shape, seed=7)
    rows = repr([(t.name, t.rows, t.run_ids) for t in written.tables.values()])
    assert sha256(rows.encode()).hexdigest()[:16] == "653fd3e081bdafdf"
    other = build_shape(tmp_path / "other.db", shape, seed=8)
    assert other.tables["runs"].rows != written.tables["runs"].rows


def test_orphans_dangle_and_stay_in_the_database(tmp_path: Path) -> None:
    """With orphans, children name parents and a run that are not there."""
    known = shape_named("2026-01-18/df2fa70fb")
    written = build_shape(tmp_path / "audit.db", known.shape, orphans=True)
    assert dangling(written, known) > 50
    owners = set(written.tables["nodes"].run_ids)
    assert len(owners - set(written.run_ids)) == 1
    assert Counter(map(repr, read(written)["tokens"])) == Counter(
        map(repr, written.tables["tokens"].rows)
    )


def test_extra_tables_and_columns_are_filled_too(tmp_path: Path) -> None:
    """What nobody declared is stored as well, with bytes and the sign of a zero."""
    extra = SchemaShape.of(
        TableShape("tokens", (ColumnShape("odd column", ""),)),
        TableShape("strangers", (ColumnShape("run_id", "TEXT"), ColumnShape("data", "BLOB"))),
    )
    shape = shape_named("2026-01-18/df2fa70fb").shape
    written = build_shape(tmp_path / "audit.db", shape, extra=extra)
    stored = read(written)
    assert "-0.0" in {repr(row[-1]) for row in stored["tokens"]}
    assert Counter(map(repr, stored["strangers"])) == Counter(
        map(repr, written.tables["strangers"].rows)
    )
    assert b"\xff\xfe\x00bytes" in {row[-1] for row in stored["strangers"]}


@pytest.mark.parametrize(("mode", "version"), [("delete", 1), ("wal", 2)])
def test_the_journal_mode_is_in_the_file_and_nothing_lies_beside_it(
    mode: str, version: int, tmp_path: Path
) -> None:
    """A WAL database is left cleanly closed, its mode in its header."""
    path = tmp_path / "audit.db"
    shape = known_shapes()[0].shape
    build_shape(path, shape, journal_mode="wal" if mode == "wal" else "delete", user_version=21)
    assert path.read_bytes()[18:20] == bytes([version, version])
    assert [file.name for file in tmp_path.iterdir()] == ["audit.db"]
    with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (21,)


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    """Nothing is ever built over something."""
    path = tmp_path / "audit.db"
    path.write_bytes(b"precious")
    with untouched(path), pytest.raises(FileExistsError):
        build_small(path, known_shapes()[0].shape)


class TestUntouched:
    """`untouched` sees whatever happens to a file and to its folder."""

    @pytest.mark.parametrize(
        ("harm", "told"),
        [
            (lambda file: file.write_bytes(b"other"), "sha256"),
            (lambda file: file.touch(), "mtime_ns"),
            (lambda file: file.chmod(0o600), "mode -rw-r--r-- ->"),
            (lambda file: file.with_name("audit.db-wal").touch(), "'audit.db-wal' is new"),
            (lambda file: file.with_name("beside").unlink(), "'beside' is gone"),
            (lambda file: file.with_name("beside").write_bytes(b"12"), "'beside' size 1 -> 2"),
            (lambda file: _come_and_go(file), "a name came or went"),
            (lambda file: _touch_unseen(file), "ctime_ns"),
            (lambda file: _replace_by_copy(file), r"inode \d+ ->"),
            (lambda file: (file.parent.parent / "link").hardlink_to(file), "links 1 -> 2"),
        ],
        ids=[
            "bytes",
            "mtime",
            "mode",
            "new",
            "gone",
            "beside",
            "passing",
            "ctime",
            "inode",
            "links",
        ],
    )
    def test_harm_is_told(self, harm: object, told: str, tmp_path: Path) -> None:
        """Each kind of harm raises, and the message says which it was."""
        file = tmp_path / "record" / "audit.db"
        file.parent.mkdir()
        file.write_bytes(b"bytes")
        file.chmod(0o644)
        file.with_name("beside").write_bytes(b"1")
        assert callable(harm)
        with pytest.raises(AssertionError, match=told), untouched(file):
            harm(file)

    @pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
    def test_other_bytes_beside_it_are_told(self, suffix: str, tmp_path: Path) -> None:
        """By themselves: what is written through shared memory may leave every stamp."""
        file = tmp_path / "audit.db"
        file.write_bytes(b"bytes")
        beside = tmp_path / f"audit.db{suffix}"
        beside.write_bytes(b"bytes")
        with pytest.raises(AssertionError, match=f"{suffix}' sha256"), untouched(file):
            beside.write_bytes(b"other")

    def test_a_lock_of_this_process_is_kept(self, tmp_path: Path) -> None:
        """Describing a database drops no lock that SQLite holds on it here."""
        written = build_small(tmp_path / "audit.db", known_shapes()[0].shape)
        with closing(sqlite3.connect(written.path, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            state_of(written.path)
            assert _is_locked_elsewhere(written.path)


def _come_and_go(file: Path) -> None:
    passing = file.with_name("passing")
    passing.touch()
    passing.unlink()


def _touch_unseen(file: Path) -> None:
    found = file.stat()
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))


def _replace_by_copy(file: Path) -> None:
    copy = file.with_name("copy")
    copy2(file, copy)
    copy.replace(file)


def _is_locked_elsewhere(path: Path) -> bool:
    # Within one process SQLite keeps its own books; only another one sees the locks.
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute(sys.argv[2])"
    command = [sys.executable, "-c", code, str(path), "SELECT count(*) FROM runs"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return "database is locked" in done.stderr


def example() -> ModuleType:
    path = ROOT / "docs" / "examples" / "legacy_audit.py"
    spec = importlib.util.spec_from_file_location("legacy_audit", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_database_has_the_shape_of_its_date(tmp_path: Path) -> None:
    """The documented example has the tables, columns, types and keys of 2026-01-18."""
    path = tmp_path / "audit.db"
    run_ids = example().build(path)
    shape = shape_named("2026-01-18/df2fa70fb").shape
    with closing(sqlite3.connect(path)) as connection:
        for table in shape:
            stored = connection.execute(f"PRAGMA table_info({table.name})").fetchall()
            assert [
                ColumnShape(name, kind, nullable=not required, primary_key=bool(key))
                for _, name, kind, required, _, key in stored
            ] == list(table.columns), table.name
            assert connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'")
        assert tables.fetchone() == (len(shape),)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        runs = connection.execute("SELECT run_id, status FROM runs ORDER BY started_at").fetchall()
    assert runs == list(zip(run_ids, ["completed", "completed", "failed", "running"], strict=True))
