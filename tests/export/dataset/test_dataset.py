"""A dataset holds every record once, with its own run, for every reader of Hive's partitions."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from landscape_compat.errors import OutputError, RunNotFoundError, UnreadableError
from landscape_compat.export.dataset.dataset import export_dataset
from landscape_compat.export.records.selection import Selection
from landscape_compat.landscape.history import shape_named
from support.datasets import (
    by_arrow,
    by_duckdb,
    content_of,
    is_complete,
    record_types,
    statement_of,
    stored_records,
    texts,
)
from support.legacy import Written, build_shape
from support.untouched import untouched

parquet = pytest.importorskip("pyarrow.parquet")
pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

ODD = (
    "",
    "007",
    "42",
    "..",
    ".hidden",
    "_hidden",
    "a/b=c%d",
    "a%2Fb",
    "\u00fcn\u00efc\u00f6d\u00e9 \U0001f642",
    "__HIVE_DEFAULT_PARTITION__",
    "x" * 400,
    "x" * 401,
)


def make(folder: Path, *statements: str) -> Path:
    (folder / "record").mkdir()
    path = folder / "record" / "audit.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(";\n".join(statements))
    return path


def test_readers_find_every_record(legacy: Written, tmp_path: Path) -> None:
    """What pyarrow.dataset and DuckDB read are the records of the database, and their runs."""
    with closing(sqlite3.connect(legacy.path)) as connection:
        connection.execute("CREATE TABLE mine (number INTEGER, text TEXT)")
        connection.execute("INSERT INTO mine VALUES (1, 'of no run')")
        connection.commit()
    target = tmp_path / "a folder" / "ds"
    target.parent.mkdir()
    with untouched(legacy.path):
        made = export_dataset(legacy.path, target)
    expected = texts(stored_records(legacy.path))
    for found in (list(by_arrow(target)), list(by_duckdb(target))):
        assert texts(record for _, record in found) == expected
        runs = {run for run, _ in found}
        assert runs == {*legacy.run_ids, None} == set(made.partitions)
        assert all(run == record["run_id"] for run, record in found if run is not None)
    assert sum(made.records.values()) == len(expected)


def test_the_statement_says_what_is_there(legacy: Written, tmp_path: Path) -> None:
    """Every file with its digest, every table with its rows, and the source as it is."""
    with untouched(legacy.path):
        made = export_dataset(legacy.path, tmp_path / "ds")
    statement = statement_of(tmp_path / "ds")
    files = content_of(tmp_path / "ds")
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    assert {s["name"]: s["digest"]["sha256"] for s in statement["subject"]} == digests
    assert {file.name: (file.sha256, file.size) for file in made.files} == {
        name: (digests[name], len(data)) for name, data in files.items()
    }
    said = statement["predicate"]
    assert [file.to_dict() for file in made.files] == said["files"]
    assert said["source"]["files_before"] == said["source"]["files_after"] == made.source.to_list()
    tables = {table["table"]: table for table in said["source"]["tables"]}
    assert {name: table["rows"] for name, table in tables.items()} == {
        name: len(table.rows) for name, table in legacy.tables.items()
    }
    assert all(table["records"] == table["rows"] for table in tables.values())
    lacks = [c["column"] for c in tables["tokens"]["columns"] if c["state"] == "absent"]
    assert "expand_group_id" in lacks


def test_the_same_input_gives_the_same_bytes(legacy: Written, tmp_path: Path) -> None:
    """Also over an earlier dataset in that place."""
    for name in ("one", "two", "one"):
        export_dataset(legacy.path, tmp_path / name, force=True)
    assert content_of(tmp_path / "one") == content_of(tmp_path / "two") != {}


def test_a_database_may_be_named_by_a_uri(tmp_path: Path) -> None:
    """Which is left as it is: it is no path that could be made absolute."""
    path = make(
        tmp_path, "CREATE TABLE runs (run_id TEXT PRIMARY KEY)", "INSERT INTO runs VALUES ('r')"
    )
    export_dataset(path, tmp_path / "path")
    with untouched(path):
        export_dataset(f"sqlite:///file:{path}?mode=ro&uri=true", tmp_path / "uri")
    assert content_of(tmp_path / "uri") == content_of(tmp_path / "path") != {}


def test_all_files_of_a_type_have_one_schema(legacy: Written, tmp_path: Path) -> None:
    """A column that is NULL in every row of a run keeps its type there."""
    with closing(sqlite3.connect(legacy.path)) as connection:
        connection.execute("UPDATE tokens SET branch_name = NULL")
        connection.execute("UPDATE runs SET completed_at = NULL WHERE run_id LIKE 'run %'")
        connection.commit()
    export_dataset(legacy.path, tmp_path / "ds")
    for folder in record_types(tmp_path / "ds"):
        schemas = [parquet.read_schema(file) for file in folder.rglob("*.parquet")]
        assert all(schema.equals(schemas[0], check_metadata=True) for schema in schemas), folder


def test_odd_ids_of_runs_are_read_back(tmp_path: Path) -> None:
    """As they are stored, whatever a folder can be called and a reader makes of that."""
    path = make(
        tmp_path,
        "CREATE TABLE runs (run_id TEXT PRIMARY KEY, status TEXT)",
        "CREATE TABLE rows (row_id TEXT PRIMARY KEY, run_id TEXT)",
    )
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany("INSERT INTO runs VALUES (?, NULL)", [(run,) for run in ODD])
        connection.executemany("INSERT INTO rows VALUES (?, ?)", [(f"row {r}", r) for r in ODD])
        connection.commit()
    target = tmp_path / "ds"
    with untouched(path):
        export_dataset(path, target)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ds", "record"]
    for found in (list(by_arrow(target)), list(by_duckdb(target))):
        for kind in ("run", "row"):
            told = [(run, r["run_id"]) for run, r in found if r["record_type"] == kind]
            assert sorted(run_id for _, run_id in told) == sorted(ODD)
            # What has no folder of its own, or a shortened name, is found by its column.
            plain = {(r, r) for r in ODD if r and "HIVE" not in r and len(r) < 400}
            assert plain <= set(told)
    assert len(list((target / "run").iterdir())) == len(ODD)


def test_a_row_keeps_the_run_that_it_tells(tmp_path: Path) -> None:
    """Though no run reaches it, or another does: the folder says where it belongs, not the row."""
    path = make(
        tmp_path,
        "CREATE TABLE runs (run_id TEXT PRIMARY KEY)",
        "CREATE TABLE rows (row_id TEXT PRIMARY KEY, run_id TEXT)",
        "CREATE TABLE tokens (token_id TEXT PRIMARY KEY, row_id TEXT, run_id TEXT)",
        "INSERT INTO runs VALUES ('r')",
        "INSERT INTO rows VALUES ('w1', 'r'), ('w2', 'gone')",
        "INSERT INTO tokens VALUES ('t1', 'w1', 'other'), ('t2', 'w2', 'gone')",
    )
    made = export_dataset(path, tmp_path / "ds")
    for found in (by_arrow(tmp_path / "ds"), by_duckdb(tmp_path / "ds")):
        told = {r.get("token_id") or r.get("row_id"): (run, r["run_id"]) for run, r in found}
        assert told["w2"] == told["t2"] == (None, "gone")
        assert told["t1"] == ("r", "other")
    tables = made.predicate["source"]["tables"]
    assert {t["table"]: t["unreached"] for t in tables} == {"runs": 0, "rows": 1, "tokens": 1}


def test_a_table_may_have_a_column_called_as_the_folders(tmp_path: Path) -> None:
    """Then these are called otherwise, and tables of any name have a folder of theirs."""
    path = make(
        tmp_path,
        "CREATE TABLE runs (run_id TEXT PRIMARY KEY)",
        "INSERT INTO runs VALUES ('r')",
        'CREATE TABLE "_odd/a=b" ("Run" TEXT)',
        "INSERT INTO \"_odd/a=b\" VALUES ('mine')",
    )
    made = export_dataset(path, tmp_path / "ds")
    assert made.predicate["partition_key"] == "run_"
    assert [file.name.partition("/")[0] for file in made.files] == ["%5Fodd%2Fa%3Db", "run"]
    for found in (by_arrow(tmp_path / "ds", "run_"), by_duckdb(tmp_path / "ds", "run_")):
        assert (None, "mine") in [(run, record.get("Run")) for run, record in found]


def test_rows_without_a_parent_are_told(tmp_path: Path) -> None:
    known = shape_named("2026-01-18/df2fa70fb")
    (tmp_path / "record").mkdir()
    written = build_shape(
        tmp_path / "record" / "audit.db", known.shape, rows=3, runs=5, orphans=True, long_text=False
    )
    with untouched(written.path):
        made = export_dataset(written.path, tmp_path / "ds")
    found = list(by_arrow(tmp_path / "ds"))
    assert texts(record for _, record in found) == texts(stored_records(written.path))
    assert any(table["unreached"] for table in made.predicate["source"]["tables"])


def test_runs_and_tables_can_be_chosen(legacy: Written, tmp_path: Path) -> None:
    """What belongs to no run is left out with runs; what was asked for is said."""
    run = legacy.run_ids[2]
    made = export_dataset(legacy.path, tmp_path / "one", selection=Selection(run_ids=(run,)))
    assert list(made.partitions) == [run]
    expected = [r for r in stored_records(legacy.path) if r.get("run_id") == run]
    assert texts(r for _, r in by_arrow(tmp_path / "one")) == texts(expected)
    made = export_dataset(legacy.path, tmp_path / "two", selection=Selection(tables=("tokens",)))
    assert dict(made.records) == {"token": len(legacy.tables["tokens"].rows)}
    assert statement_of(tmp_path / "two")["predicate"]["selection"]["tables"] == ["tokens"]
    with pytest.raises(RunNotFoundError):
        export_dataset(legacy.path, tmp_path / "no", selection=Selection(run_ids=("nobody",)))
    assert not (tmp_path / "no").exists()


def test_what_is_absent_and_filled_is_shown_where_asked_for(
    legacy: Written, tmp_path: Path
) -> None:
    export_dataset(legacy.path, tmp_path / "ds", absent="mark", filled=True)
    (token, *_) = [r for _, r in by_arrow(tmp_path / "ds") if r["record_type"] == "token"]
    assert token["absent.expand_group_id"] is True
    assert any(name.startswith("filled.") for name in token)


def test_a_row_that_two_runs_claim_is_no_row_twice(tmp_path: Path) -> None:
    """The record is damaged, its order cannot be told, and nothing says that it is complete."""
    path = make(
        tmp_path,
        "CREATE TABLE runs (run_id TEXT PRIMARY KEY)",
        "INSERT INTO runs VALUES ('a'), ('b')",
        "CREATE TABLE rows (row_id TEXT, run_id TEXT)",
        "INSERT INTO rows VALUES ('w', 'a'), ('w', 'b')",
        "CREATE TABLE tokens (token_id TEXT PRIMARY KEY, row_id TEXT)",
        "INSERT INTO tokens VALUES ('t', 'w')",
    )
    with untouched(path), pytest.raises(UnreadableError, match="Of 1 row that the table has, 2"):
        export_dataset(path, tmp_path / "ds")
    assert not is_complete(tmp_path / "ds")
    assert content_of(tmp_path / "ds") == {}


def test_an_id_that_names_no_folder_is_refused(tmp_path: Path) -> None:
    path = make(
        tmp_path,
        "CREATE TABLE runs (run_id)",
        "INSERT INTO runs VALUES (5), ('5')",
    )
    with pytest.raises(OutputError, match="Two runs are called 5"):
        export_dataset(path, tmp_path / "ds")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE runs SET run_id = x'00ff'")
        connection.commit()
    with pytest.raises(OutputError, match="is no text"):
        export_dataset(path, tmp_path / "ds")
    assert not (tmp_path / "ds").exists()
