"""Every format holds the same records: read back, they are what was stored, value by value."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from landscape_compat.errors import LandscapeCompatError, OutputError
from landscape_compat.export.formats.writers import FORMATS, Writers, formats_of
from landscape_compat.export.output.files import FolderFiles
from landscape_compat.export.records.selection import Selection
from landscape_compat.export.records.stream import export_selection
from landscape_compat.export.records.values import Field, form_of
from landscape_compat.export.verify.verify import verify_bag
from landscape_compat.export.whole import export_bag
from landscape_compat.landscape.database import open_landscape
from support.failing import room_for
from support.legacy import Written
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

COMPRESSED = [f"{name}.{how}" for name in ("jsonl", "json", "csv") for how in ("gz", "zst")]


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Path]:
    """Give a database with what formats stumble over, as far as every format has a form for it."""
    folder = tmp_path / "record"
    folder.mkdir()
    path = folder / "audit.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE runs (run_id TEXT PRIMARY KEY, started_at DATETIME, big INTEGER, "
            "number REAL, flag BOOLEAN, settings_json JSON, 'odd, \"name\"' TEXT)"
        )
        connection.execute("CREATE TABLE tokens (token_id TEXT PRIMARY KEY, row_id TEXT)")
        connection.execute("INSERT INTO tokens VALUES ('orphan', 'nowhere'), ('', NULL)")
        texts = ["", "null", "absent", 'say "x", \\n', "one\r\ntwo\n", "1", "true"]
        texts.append("é\u2028🙂\x00\x1f")
        numbers = [0.1 + 0.2, 1e308, 5e-324, -0.0, 1e16, 1e-7, 1.0, None]
        times = ["2026-01-18 09:15:42.123456", "2026-01-18 09:15:42.000000", None]
        for at, text in enumerate(texts):
            connection.execute(
                "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    f"r{at}",
                    times[at % 3],
                    [2**63 - 1, -(2**63), 2**53 + 1, 0][at % 4],
                    numbers[at],
                    [True, False, None][at % 3],
                    '{"a": [1, 2.50]}' if at % 2 else None,
                    text,
                ),
            )
        connection.commit()
    with untouched(path):
        yield path


CASES = [(name, absent) for name in FORMATS for absent in ("omit", "null", "mark")]


@pytest.mark.parametrize(("name", "absent"), [*CASES, *((name, "omit") for name in COMPRESSED)])
def test_what_was_stored_is_read_back(odd: Path, tmp_path: Path, name: str, absent: Any) -> None:
    with open_landscape(odd) as db:
        export_bag(db, tmp_path / "bag", formats=(name,), absent=absent, page=False)
    found = verify_bag(tmp_path / "bag", sources=[odd])
    assert (found.findings, found.unchecked) == ([], [])
    assert f"10 records of audit.db against the {name.partition('.')[0]}" in found.checked


@pytest.mark.parametrize("order", ["host", "table"])
@pytest.mark.parametrize("filled", [False, True])
def test_all_formats_hold_all_of_a_record(
    legacy: Written, tmp_path: Path, order: Any, filled: bool
) -> None:
    # Not Parquet: the generator stores texts where numbers belong, which a typed file refuses.
    formats = ("jsonl", "json", "csv.gz", "sqlite")
    with open_landscape(legacy.path) as db:
        export_bag(
            db, tmp_path / "bag.zip", formats=formats, order=order, filled=filled, page=False
        )
    found = verify_bag(tmp_path / "bag.zip", sources=[legacy.path])
    assert (found.findings, found.unchecked) == ([], [])
    rows = sum(len(table.rows) for table in legacy.tables.values())
    for name in formats:
        assert f"{rows} records of audit.db against the {name.partition('.')[0]}" in found.checked


def test_parquet_is_typed_for_others(odd: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with open_landscape(odd) as db:
        export_bag(db, tmp_path / "bag", formats=("parquet",))
    file = parquet.ParquetFile(tmp_path / "bag" / "data" / "run.parquet")
    types = {field.name: str(field.type) for field in file.schema_arrow}
    assert types["started_at"] == "timestamp[us]"
    assert (types["big"], types["number"], types["flag"]) == ("int64", "double", "bool")
    column = file.metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"
    assert "RLE_DICTIONARY" in column.encodings


def test_sqlite_keeps_absent_null_and_empty_apart(odd: Path, tmp_path: Path) -> None:
    with open_landscape(odd) as db:
        export_bag(db, tmp_path / "bag", formats=("sqlite",), absent="mark")
    path = tmp_path / "bag" / "data" / "records.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        row = connection.execute(
            "SELECT row_id, \"absent.branch_name\" FROM token WHERE token_id = ''"
        ).fetchone()
        assert row == (None, 1)
        names = [column[1] for column in connection.execute("PRAGMA table_info(token)")]
    assert "branch_name" not in names


@pytest.mark.parametrize(
    ("column", "value", "refused"),
    [
        ("number", float("inf"), {"jsonl", "json"}),
        ("number", b"\x00\xff", {"csv", "parquet"}),
        ("big", "text", {"parquet"}),
        ("big", 1.5, {"parquet"}),
        ("flag", 2, {"parquet"}),
        ("started_at", "2026-01-18 09:15:42,5", {"parquet"}),
        ("started_at", "yesterday", {"parquet"}),
        ("started_at", "2026-01-18 09:15:42+00:00", {"parquet"}),
        ("started_at", "0000-01-01 00:00:00.000000", {"parquet"}),
        ("started_at", "2026-01-18 24:00:00.000000", {"parquet"}),
        ("started_at", "0001-01-01 00:00:00.000000", set()),
        ("started_at", "2026-01-18 09:15:42", set()),
        ("started_at", 1768727742, {"parquet"}),
        ("settings_json", b"{}", {"csv", "parquet"}),
    ],
)
@pytest.mark.parametrize("name", FORMATS)
def test_a_value_survives_or_is_refused_by_name(
    tmp_path: Path, odd: Path, name: str, column: str, value: Any, refused: set[str]
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    path = folder / "audit.db"
    path.write_bytes(odd.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE runs SET {column} = ? WHERE run_id = 'r3'", (value,))
        connection.commit()
    with open_landscape(path) as db:
        if name in refused:
            with pytest.raises(OutputError) as caught:
                export_bag(db, tmp_path / "bag", formats=(name,))
            assert (caught.value.table, caught.value.column) == ("run", column)
            assert not (tmp_path / "bag").exists()
            return
        export_bag(db, tmp_path / "bag", formats=(name,))
    assert verify_bag(tmp_path / "bag", sources=[path]).findings == []


def test_a_filled_value_is_named_with_its_rule(legacy: Written) -> None:
    with open_landscape(legacy.path) as db:
        plain = list(export_selection(db, Selection(tables=("tokens",))))
        filled = list(export_selection(db, Selection(tables=("tokens",)), filled=True))
    assert [{k: v for k, v in r.items() if not k.startswith("filled.")} for r in filled] == plain
    assert {k for r in filled for k in r if k.startswith("filled.")} == {"filled.derived.run_id"}
    assert all(r["filled.derived.run_id"] == r["run_id"] for r in filled)


@pytest.mark.parametrize("name", ["xml", "parquet.gz", "jsonl.bz2", "jsonl.", ""])
def test_no_such_format(name: str) -> None:
    with pytest.raises(ValueError, match=r"jsonl|compressed"):
        formats_of([name])


def test_one_format_is_not_compressed_in_two_ways() -> None:
    with pytest.raises(ValueError, match="wanted twice"):
        formats_of(["jsonl", "csv", "jsonl.gz"])
    assert [str(format_) for format_ in formats_of(["jsonl.gz", "csv", "jsonl.gz"])] == [
        "jsonl.gz",
        "csv",
    ]


def test_parquet_is_said_to_be_missing_before_any_work(
    odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    (tmp_path / "out").mkdir()
    with open_landscape(odd) as db, pytest.raises(LandscapeCompatError) as caught:
        export_bag(db, tmp_path / "out" / "bag", formats=("parquet",))
    assert "landscape-compat[parquet]" in str(caught.value.remedy)
    assert list((tmp_path / "out").iterdir()) == []


def filled(folder: Path, rows: int, text: str = "") -> Path:
    """Make a database of so many runs."""
    path = folder / "audit.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE runs (run_id TEXT PRIMARY KEY, status TEXT)")
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "INSERT INTO runs SELECT printf('%06d', i), ? FROM n",
            (rows, text),
        )
        connection.commit()
    return path


def test_what_is_written_lot_by_lot_is_whole_and_in_its_order(tmp_path: Path) -> None:
    """More rows than go into a file at a time."""
    parquet = pytest.importorskip("pyarrow.parquet")
    form = form_of("row", ("x",), None, [Field("x", "INTEGER", at=1)])
    with FolderFiles(tmp_path) as files:
        for format_ in formats_of(["parquet", "sqlite"]):
            writer = format_.writer(files)
            encode = writer.encoder(form)
            writer.write([encode((0, number), None) for number in range(20_001)])
            writer.finish()
    assert [file.records for file in files] == [20_001, 20_001]
    file = parquet.ParquetFile(tmp_path / "row.parquet")
    lots = [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)]
    assert lots == [20_000, 1]
    assert file.read()["x"].to_pylist() == list(range(20_001))
    with closing(sqlite3.connect(tmp_path / "records.sqlite")) as connection:
        found = connection.execute("SELECT x FROM row ORDER BY rowid").fetchall()
    assert found == [(number,) for number in range(20_001)]


def test_parquet_holds_few_bytes_however_long_its_rows_are(tmp_path: Path) -> None:
    """Rows of two types by turns, of which neither fills a group: the larger is written early."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    forms = [
        form_of(kind, ("x", "y"), None, [Field("x", "INTEGER", at=1), Field("y", "TEXT", at=2)])
        for kind in ("row", "token")
    ]
    before = most = pyarrow.total_allocated_bytes()
    with FolderFiles(tmp_path) as files:
        (format_,) = formats_of(["parquet"])
        writer = format_.writer(files)
        encoders = [writer.encoder(form) for form in forms]
        for start in range(0, 4_000, 100):
            lot = [
                encode((0, number, f"{number:020}" * length), None)
                for number in range(start, start + 100)
                for encode, length in zip(encoders, (50, 1_000), strict=True)
            ]
            writer.write(lot)
            most = max(most, pyarrow.total_allocated_bytes())
        writer.finish()
    assert [file.records for file in files] == [4_000, 4_000]
    assert most - before < 60e6  # what it is given is 84e6
    row, token = (parquet.ParquetFile(tmp_path / f"{kind}.parquet") for kind in ("row", "token"))
    assert (row.num_row_groups, token.num_row_groups) == (1, 4)
    for file, length in ((row, 50), (token, 1_000)):
        found = file.read()
        assert found["x"].to_pylist() == list(range(4_000))
        assert found["y"].to_pylist() == [f"{number:020}" * length for number in range(4_000)]


@pytest.mark.parametrize("rows", [100, 5_000])
def test_a_database_that_finds_no_room_is_told(tmp_path: Path, rows: int) -> None:
    """As rows are inserted, or only when they are written out."""
    path = filled(tmp_path, rows, 1_000 * "x")
    (tmp_path / "out").mkdir()
    with open_landscape(path) as db, room_for(50_000):
        with pytest.raises(OutputError, match=r"records\.sqlite cannot be written: ") as caught:
            export_bag(db, tmp_path / "out" / "bag", formats=("sqlite",), page=False)
        assert caught.value.remedy
    assert list((tmp_path / "out").iterdir()) == []


def test_a_table_that_is_too_wide_for_sqlite_is_refused_by_its_name(tmp_path: Path) -> None:
    """A record has two columns more than its row, which may have as many as SQLite takes."""
    path = filled(tmp_path, 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE wide ({', '.join(f'c{at}' for at in range(1_999))})")
    with open_landscape(path) as db:
        with pytest.raises(OutputError, match="too many columns") as caught:
            export_bag(db, tmp_path / "bag", formats=("sqlite",), page=False)
        assert caught.value.table == "wide"


@pytest.mark.parametrize(
    ("name", "type_", "value", "what"),
    [
        ("sqlite", "NUMERIC", 2**64, "too large for SQLite"),
        ("sqlite", "TEXT", "\ud800", "no form in UTF-8"),
        ("parquet", "INTEGER", 2**64, "no form in a column of integer"),
        ("parquet", "TEXT", "\ud800", "no form in a column of text"),
        ("parquet", "FLOAT", float("nan"), "nan"),
    ],
)
def test_a_value_that_no_sqlite_holds_is_refused(
    tmp_path: Path, name: str, type_: str, value: Any, what: str
) -> None:
    """Other databases have numbers of any length, and drivers texts of any kind."""
    form = form_of("row", ("x",), None, [Field("x", type_, at=1)])
    with FolderFiles(tmp_path) as files:
        writer = formats_of([name])[0].writer(files)
        writer.write([writer.encoder(form)((0, value), None)])
        with pytest.raises(OutputError, match=what) as caught:
            writer.finish()
        Writers([writer]).abandon()
    assert caught.value.table == "row"
    assert caught.value.remedy
