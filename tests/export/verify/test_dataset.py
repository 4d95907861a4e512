"""Verifying a dataset names each thing that is not as it was written, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from landscape_compat.cli import main
from landscape_compat.errors import LandscapeCompatError, OutputError, UnreadableError
from landscape_compat.export.dataset.dataset import export_dataset
from landscape_compat.export.records.selection import Selection
from landscape_compat.export.verify.dataset import is_dataset, verify_dataset
from support.hiding import hidden
from support.legacy import Written
from support.untouched import untouched

parquet = pytest.importorskip("pyarrow.parquet")
pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

STATEMENT = "_landscape/dataset.json"
OF_R1 = "token/run=r1/part-0.parquet"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a database, and a dataset of it, once."""
    folder = tmp_path_factory.mktemp("made")
    path = folder / "audit.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE runs (run_id TEXT PRIMARY KEY, status TEXT);
            INSERT INTO runs VALUES ('r1', 'completed'), ('r2', NULL);
            CREATE TABLE rows (row_id TEXT PRIMARY KEY, run_id TEXT);
            INSERT INTO rows VALUES ('w1', 'r1'), ('w2', 'r2');
            CREATE TABLE tokens (token_id TEXT PRIMARY KEY, row_id TEXT, number INTEGER);
            INSERT INTO tokens VALUES ('t1', 'w1', 1), ('t2', 'w1', NULL), ('t3', 'w2', 3);
            """
        )
    export_dataset(path, folder / "tables")
    return folder


@pytest.fixture
def database(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy2(made / "audit.db", tmp_path))


@pytest.fixture
def dataset(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "tables", tmp_path / "tables"))


def told(found: Any) -> list[str]:
    return [str(finding) for finding in found.findings]


def rewrite(dataset: Path, name: str, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Write other records to a file, as Parquet of the same form."""
    import pyarrow

    table = parquet.read_table(dataset / name, partitioning=None)
    records = table.to_pylist()
    change(records)
    parquet.write_table(pyarrow.Table.from_pylist(records, table.schema), dataset / name)


def forge(dataset: Path, change: Callable[[dict[str, Any]], object] = lambda _: None) -> None:
    """Write another statement, which is about the files as they are but for what is changed."""
    import hashlib

    path = dataset / STATEMENT
    statement = json.loads(path.read_bytes())
    for file, subject in zip(statement["predicate"]["files"], statement["subject"], strict=True):
        data = (dataset / file["name"]).read_bytes()
        file["bytes"] = len(data)
        file["sha256"] = subject["digest"]["sha256"] = hashlib.sha256(data).hexdigest()
    change(statement)
    path.write_bytes(rfc8785.dumps(statement))


def test_what_was_written_is_sound(legacy: Written, tmp_path: Path) -> None:
    """Of a database of every kind of value, compared with its source."""
    place = tmp_path / "tables"
    with untouched(legacy.path):
        made = export_dataset(legacy.path, place, absent="mark", filled=True)
        found = verify_dataset(place, source=legacy.path)
    assert told(found) == []
    assert found.unchecked == []
    records = sum(made.records.values())
    assert f"{records} records of {legacy.path.name} against the dataset" in found.checked


def test_chosen_runs_are_compared_with_those_runs(database: Path, tmp_path: Path) -> None:
    export_dataset(database, tmp_path / "tables", selection=Selection(run_ids=("r1",)))
    found = verify_dataset(tmp_path / "tables", source=database)
    assert told(found) == []
    assert "4 records of audit.db against the dataset" in found.checked


def test_a_byte_that_is_flipped_is_named(dataset: Path) -> None:
    path = dataset / OF_R1
    data = path.read_bytes()
    for at in range(0, len(data), 61):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert OF_R1 in {finding.where for finding in verify_dataset(dataset).findings}, at
    path.write_bytes(data)
    assert verify_dataset(dataset).is_sound


def test_what_is_missing_or_added_is_named(dataset: Path) -> None:
    (dataset / OF_R1).rename(dataset / "token" / "run=r1" / "other.parquet")
    os.mkfifo(dataset / "pipe")
    (dataset / "run" / "link").symlink_to(dataset / STATEMENT)
    (dataset / "_landscape" / "unfinished").touch()
    assert sorted(told(verify_dataset(dataset))) == [
        "_landscape/unfinished: is there: an export to this place has not come to its end",
        "pipe: is no regular file, which no dataset holds",
        "run/link: is a symlink, which no dataset holds",
        "token/run=r1/other.parquet: is not named by the statement",
        f"{OF_R1}: is named by the statement and missing",
    ]


def test_without_a_statement_it_is_not_complete(dataset: Path) -> None:
    (dataset / STATEMENT).unlink()
    (finding,) = told(verify_dataset(dataset))
    assert finding == f"{STATEMENT}: is missing, so the dataset is not complete"
    with pytest.raises(OutputError, match="is not there"):
        verify_dataset(dataset / "nowhere")


def test_an_altered_record_is_found_by_its_source(dataset: Path, database: Path) -> None:
    """Also where statement and digests were made to agree with it."""

    def alter(records: list[dict[str, Any]]) -> None:
        records[0]["number"] = 7

    rewrite(dataset, OF_R1, alter)
    forge(dataset)
    assert told(verify_dataset(dataset)) == []
    (finding,) = told(verify_dataset(dataset, source=database))
    assert finding.startswith(f"{OF_R1}: record 1 of the source differs: number of")
    assert "is 1, and 7 in the export" in finding


def test_a_record_that_was_taken_out_is_found(dataset: Path, database: Path) -> None:
    """By its number; where that was lowered too, by the table's rows; then by the source."""
    rewrite(dataset, OF_R1, lambda records: records.pop())
    forge(dataset)
    (finding,) = told(verify_dataset(dataset))
    assert finding == f"{OF_R1}: holds 1 record, and the statement says 2"

    def lower(statement: dict[str, Any]) -> None:
        predicate = statement["predicate"]
        (file,) = (file for file in predicate["files"] if file["name"] == OF_R1)
        (table,) = (t for t in predicate["source"]["tables"] if t["table"] == "tokens")
        for counted in (file, table, predicate):
            counted["records"] -= 1

    forge(dataset, lower)
    (finding,) = told(verify_dataset(dataset))
    assert "has 2 records of 3 rows, though all were wanted" in finding

    def lower_rows(statement: dict[str, Any]) -> None:
        (table,) = (t for t in statement["predicate"]["source"]["tables"] if t["table"] == "tokens")
        table["rows"] -= 1

    forge(dataset, lower_rows)
    assert told(verify_dataset(dataset)) == []
    (finding,) = told(verify_dataset(dataset, source=database))
    assert finding.startswith("audit.db: holds a record that the export does not")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda s: s["subject"].reverse(), "/subject: does not name the files"),
        (lambda s: s["predicate"].update(records=1), "/predicate/records: says 1"),
        (
            lambda s: s["predicate"]["files"][0].update(record_type="other"),
            "would be called other/",
        ),
        (
            lambda s: s["predicate"]["source"]["tables"][0].update(records=9),
            "and of its tables 9",
        ),
        (
            lambda s: s["predicate"]["source"]["files_after"][0].update(sha256="0" * 64),
            "was not the same before and after it was read",
        ),
        (lambda s: s["predicate"].update(more=1), "more"),
        (
            lambda s: (
                s["predicate"]["files"].append(s["predicate"]["files"][0]),
                s["subject"].append(s["subject"][0]),
            ),
            "names a file twice",
        ),
    ],
)
def test_a_statement_that_contradicts_itself_is_told(
    dataset: Path, change: Callable[[dict[str, Any]], object], expected: str
) -> None:
    forge(dataset, change)
    assert any(expected in finding for finding in told(verify_dataset(dataset)))


def test_a_run_that_the_source_does_not_hold_is_told(dataset: Path, database: Path) -> None:
    forge(dataset, lambda s: s["predicate"]["selection"].update(runs=["r9"]))
    (finding,) = told(verify_dataset(dataset, source=database))
    assert "what the statement says was exported is not there" in finding


def test_a_source_that_grew_is_compared_and_named(dataset: Path, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT INTO runs VALUES ('r3', 'failed')")
    found = verify_dataset(dataset, source=database)
    assert told(found) == [
        "audit.db: holds records for run/run=r3/part-0.parquet, which is missing"
    ]
    assert "it is not the file that was exported any more" in found.unchecked[0]


def test_a_run_that_the_source_lost_is_told(dataset: Path, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM tokens WHERE token_id = 't3'")
    assert told(verify_dataset(dataset, source=database)) == [
        "token/run=r2/part-0.parquet: holds records of which audit.db has none"
    ]


def test_a_source_that_makes_no_dataset_any_more_is_an_error(dataset: Path, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT INTO runs VALUES (x'00', 'failed')")
    with pytest.raises(OutputError, match="is no text"):
        verify_dataset(dataset, source=database)


def test_what_is_no_parquet_is_told(dataset: Path, database: Path) -> None:
    """By itself, and beside the source, though its digest is the one that is stated."""
    (dataset / OF_R1).write_bytes(b"PAR1")
    forge(dataset)
    found = told(verify_dataset(dataset, source=database))
    assert len(found) == 2
    assert all(what.startswith(f"{OF_R1}: is no Parquet that can be read") for what in found)


def test_a_statement_that_is_too_long_is_not_read(dataset: Path) -> None:
    os.truncate(dataset / STATEMENT, (1 << 28) + 1)
    (finding,) = told(verify_dataset(dataset))
    assert finding.startswith(f"{STATEMENT}: is longer than")


@pytest.mark.parametrize("content", [b"no JSON", b'{"a": 1}', b"{}"])
def test_what_is_no_statement_is_told(dataset: Path, content: bytes) -> None:
    (dataset / STATEMENT).write_bytes(content)
    found = verify_dataset(dataset)
    assert {finding.where.partition(" ")[0] for finding in found.findings} == {STATEMENT}


def test_without_pyarrow_the_records_are_not_counted(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("landscape_compat.export.formats.readback.find_spec", lambda _: None)
    found = verify_dataset(dataset)
    assert found.is_sound
    assert "the records in the files: pyarrow is not installed" in found.unchecked
    assert "6 files, their digests" in found.checked


def test_a_file_that_cannot_be_read_is_told(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = pytest.importorskip("fsspec.implementations.memory").MemoryFileSystem
    export_dataset(database, "memory://unreadable/tables")
    real = memory._open

    def denied(self: Any, path: str, *args: Any, **more: Any) -> Any:
        if path.endswith(OF_R1):
            raise PermissionError(13, "Access Denied", path)
        return real(self, path, *args, **more)

    monkeypatch.setattr(memory, "_open", denied)
    (finding,) = told(verify_dataset("memory://unreadable/tables"))
    assert finding == f"{OF_R1}: cannot be read: PermissionError, Access Denied"


def test_a_place_that_fsspec_reaches_is_read_as_well(database: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    place = "memory://verified/tables"
    export_dataset(database, place)
    assert verify_dataset(place, source=database).is_sound
    system = fsspec.filesystem("memory")
    system.pipe_file(f"/verified/tables/{OF_R1}", b"PAR1")
    assert any(OF_R1 in finding for finding in told(verify_dataset(place)))
    with pytest.raises(OutputError, match="holds nothing"):
        verify_dataset("memory://verified/nowhere")


def test_the_command_finds_out_what_it_is_given(
    dataset: Path, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(dataset), "--source", str(database)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{dataset} is sound"
    (dataset / OF_R1).unlink()
    assert main(["verify", str(dataset)]) == 4
    assert f"WRONG      {OF_R1}: is named" in capsys.readouterr().out
    assert main(["verify", str(dataset), "--source", "a", "--source", "b"]) == 1
    assert "has one source" in capsys.readouterr().err
    assert main(["verify", str(dataset), "--pem-key", "key"]) == 1
    assert "a key verifies nothing in it" in capsys.readouterr().err


def test_which_places_are_taken_for_a_dataset(dataset: Path) -> None:
    assert is_dataset(dataset)
    assert is_dataset("s3://bucket/tables")
    assert not is_dataset("postgresql+psycopg://host/db")
    assert not is_dataset("sqlite:///audit.db")
    assert not is_dataset("mariadb+pymysql://host/db")
    assert not is_dataset("mysql+pymysql://host/db")
    shutil.rmtree(dataset / "_landscape")
    assert not is_dataset(dataset)


def test_an_empty_folder_in_a_bag_makes_no_dataset_of_it(tmp_path: Path) -> None:
    (tmp_path / "_landscape").mkdir()
    (tmp_path / "bagit.txt").touch()
    assert not is_dataset(tmp_path)


def test_where_nothing_may_be_seen_no_dataset_is_seen(tmp_path: Path) -> None:
    """Whoever reads the place says best why it cannot be read."""
    with hidden(tmp_path):
        assert not is_dataset(tmp_path / "tables")


def test_a_zip_file_is_no_dataset(dataset: Path, tmp_path: Path) -> None:
    """What is wrong with a zip file itself is told of a bag, and would not be of a dataset."""
    path = shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path, "tables")
    with pytest.raises(OutputError, match="is no folder, so it is no dataset"):
        verify_dataset(path)


def test_a_symlink_in_place_of_the_statement_is_named(dataset: Path, tmp_path: Path) -> None:
    shutil.move(dataset / "_landscape", tmp_path / "elsewhere")
    (dataset / "_landscape").symlink_to(tmp_path / "elsewhere")
    assert "_landscape: is a symlink, which no dataset holds" in told(verify_dataset(dataset))


def test_folders_in_folders_without_end_are_read(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(dataset)
    for _ in range(1500):
        os.mkdir("a")  # noqa: PTH102 - the whole path may be too long
        os.chdir("a")
    monkeypatch.chdir(dataset)
    try:
        assert verify_dataset(dataset).is_sound
    finally:
        # What removes the folders of old tests goes from one to the next by calling itself.
        for depth in range(1500, 0, -1):
            (dataset / ("a/" * depth)).rmdir()


def test_a_folder_that_cannot_be_listed_is_an_error_of_ours(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def denied(path: Any) -> Any:
        if str(path).rstrip("/").endswith("token"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(OutputError, match="Permission denied"):
        verify_dataset(dataset)


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(dataset: Path) -> None:
    from landscape_compat.export.verify.bag_files import bag_files

    with bag_files(dataset) as files:
        (dataset / OF_R1).unlink()
        os.mkfifo(dataset / OF_R1)
        with files.open(OF_R1) as opened:
            assert opened.read() == b""


def swap(dataset: Path, table: Any) -> None:
    """Put another table in the place of a file, and state it."""

    def state(statement: dict[str, Any]) -> None:
        (file,) = (f for f in statement["predicate"]["files"] if f["name"] == OF_R1)
        file["records"] = table.num_rows

    parquet.write_table(table, dataset / OF_R1, compression="zstd", store_schema=False)
    forge(dataset, state)


def test_a_column_of_another_type_is_told(dataset: Path, database: Path) -> None:
    """Though its values are the same: by the type, and where exports write it, by the source."""
    import pyarrow

    table = parquet.read_table(dataset / OF_R1, partitioning=None)
    at = table.schema.get_field_index("number")
    swap(dataset, table.set_column(at, "number", table["number"].cast(pyarrow.int32())))
    (finding,) = told(verify_dataset(dataset))
    assert finding == f"{OF_R1}: has a column that no export writes: number, int32"
    nulls = pyarrow.nulls(2, pyarrow.string())
    swap(dataset, table.set_column(at, "number", nulls))
    assert told(verify_dataset(dataset)) == []
    (finding,) = told(verify_dataset(dataset, source=database))
    assert finding == f"{OF_R1}: has the column number, string, where audit.db gives number, int64"


def test_a_moment_that_python_cannot_tell_is_told(dataset: Path) -> None:
    import io

    import pyarrow

    from landscape_compat.export.formats.readback import BadPayloadError, read_parquet

    file = io.BytesIO()
    far = pyarrow.array([1 << 62], pyarrow.timestamp("us"))
    parquet.write_table(pyarrow.table({"record_type": ["token"], "at": far}), file)
    with pytest.raises(BadPayloadError, match="is no Parquet that can be read"):
        list(read_parquet(file))


def test_records_without_a_type_are_no_payload() -> None:
    """What counts them by their type, as in a bag, would fail on them."""
    import io

    import pyarrow

    from landscape_compat.export.formats.readback import BadPayloadError, read_parquet

    file = io.BytesIO()
    parquet.write_table(pyarrow.table({"number": [1]}), file)
    with pytest.raises(BadPayloadError, match="has no record_type"):
        list(read_parquet(file))


def test_a_small_file_that_says_of_many_rows_one_long_text_is_no_bomb(
    dataset: Path, database: Path
) -> None:
    import pyarrow

    rows, size = 5000, 1 << 18
    text = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * rows, pyarrow.int32()), pyarrow.array(["x" * size])
    )
    names = ("record_type", "run_id", "token_id", "row_id")
    swap(dataset, pyarrow.table({**dict.fromkeys(names, text), "number": list(range(rows))}))
    assert (dataset / OF_R1).stat().st_size < 1 << 20
    before = pyarrow.default_memory_pool().max_memory()
    found = told(verify_dataset(dataset, source=database))
    assert any("record 1 of the source differs" in what for what in found)
    # As text of each row, every column is of more than a gigabyte.
    assert pyarrow.default_memory_pool().max_memory() < before + (rows * size) // 4


def test_rows_beyond_those_that_are_stated_are_not_read(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite(dataset, OF_R1, lambda records: records.extend(records * 5))
    forge(dataset)
    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", lambda *_: iter(()))
    assert f"{OF_R1}: holds 12 records, and the statement says 2" in told(verify_dataset(dataset))


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"])
def test_a_moment_at_the_end_of_the_calendar_is_compared(
    dataset: Path, database: Path, moment: str
) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("ALTER TABLE runs ADD COLUMN started_at DATETIME")
        connection.execute("UPDATE runs SET started_at = '2024-01-01 00:00:00.000000'")
    forge(dataset, lambda s: s["predicate"]["selection"].update(since=moment))
    verify_dataset(dataset, source=database)


def test_a_run_that_cannot_be_told_in_time_does_not_speak_against_the_dataset(
    dataset: Path, database: Path
) -> None:
    forge(dataset, lambda s: s["predicate"]["selection"].update(since="2024-01-01T00:00:00"))
    with pytest.raises(UnreadableError, match="cannot be told when it began"):
        verify_dataset(dataset, source=database)


def test_without_pyarrow_a_source_is_not_compared(
    dataset: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And that is no fault of the dataset's."""
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(LandscapeCompatError, match="needs a package that is not installed"):
        verify_dataset(dataset, source=database)


def test_a_missing_file_is_not_said_to_hold_what_the_source_lacks(
    dataset: Path, database: Path
) -> None:
    name = "token/run=r2/part-0.parquet"
    (dataset / name).unlink()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM tokens WHERE token_id = 't3'")
    (finding,) = told(verify_dataset(dataset, source=database))
    assert finding == f"{name}: is named by the statement and missing"


def test_an_empty_selection_is_one_of_everything(dataset: Path) -> None:
    def lower(statement: dict[str, Any]) -> None:
        statement["predicate"]["selection"].update(runs=[])
        (table,) = (t for t in statement["predicate"]["source"]["tables"] if t["table"] == "tokens")
        table["rows"] += 1

    forge(dataset, lower)
    (finding,) = told(verify_dataset(dataset))
    assert "has 3 records of 4 rows, though all were wanted" in finding


def test_rows_of_a_chosen_table_are_counted(database: Path, tmp_path: Path) -> None:
    place = tmp_path / "tables"
    export_dataset(database, place, selection=Selection(tables=("tokens",)))
    assert told(verify_dataset(place)) == []

    def raise_rows(statement: dict[str, Any]) -> None:
        (table,) = (t for t in statement["predicate"]["source"]["tables"] if t["table"] == "tokens")
        table["rows"] += 1

    forge(place, raise_rows)
    (finding,) = told(verify_dataset(place))
    assert "has 3 records of 4 rows" in finding


def test_errors_of_a_file_system_do_not_tell_its_password(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor need they be of a kind that Python knows, while a file is opened or read."""
    memory = pytest.importorskip("fsspec.implementations.memory")
    place = "memory://wordless/tables"
    export_dataset(database, place)

    class BrokenError(Exception):
        pass

    def read(*_: Any) -> bytes:
        raise BrokenError("https://user:secret@host/")

    real = memory.MemoryFileSystem._open

    def opened(self: Any, path: str, *args: Any, **more: Any) -> Any:
        if path.endswith("token/run=r1/part-0.parquet"):
            raise BrokenError("https://user:secret@host/")
        if path.endswith("token/run=r2/part-0.parquet"):
            return type("File", (memory.MemoryFile,), {"read": read})(self, path)
        return real(self, path, *args, **more)

    monkeypatch.setattr(memory.MemoryFileSystem, "_open", opened)
    found = told(verify_dataset(place))
    assert len(found) == 2
    assert all("cannot be read: BrokenError" in what for what in found)
    assert "secret" not in "".join(found)


def test_that_no_private_folder_can_be_made_is_an_error_of_ours(
    dataset: Path, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(OutputError, match="cannot be written: No such file"):
        verify_dataset(dataset, source=database)


def test_that_there_is_no_room_for_parquet_is_an_error_of_ours(
    dataset: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> Any:
        raise OSError("[errno 28] No space left on device")

    monkeypatch.setattr(parquet.ParquetWriter, "write_table", full)
    with pytest.raises(OutputError, match="No space left on device"):
        verify_dataset(dataset, source=database)


def test_what_a_statement_calls_its_source_does_not_steer_a_terminal(
    dataset: Path, database: Path
) -> None:
    forge(dataset, lambda s: s["predicate"]["source"].update(name="\x9b31mevil"))
    said = verify_dataset(dataset, source=database).to_dict()
    assert "\x9b" not in json.dumps(said, ensure_ascii=False)


def test_an_export_whose_mark_cannot_be_written_leaves_no_folder(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> Any:
        raise OutputError("No space left on device")

    monkeypatch.setattr("landscape_compat.export.dataset.target.WrittenFile.write", full)
    (tmp_path / "there").mkdir()
    for name in ("new", "there"):
        with pytest.raises(OutputError, match="No space"):
            export_dataset(database, tmp_path / name)
    assert not (tmp_path / "new").exists()
    assert list((tmp_path / "there").iterdir()) == []


@pytest.mark.parametrize(
    "place", ["dir:///tables", "zip://a::file:///nowhere.zip", "ftp://user:secret@localhost:1/a"]
)
def test_a_place_that_cannot_be_reached_is_an_error_of_ours(place: str) -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(OutputError) as told:
        verify_dataset(place)
    assert "secret" not in str(told.value)
