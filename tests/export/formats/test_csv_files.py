"""CSV keeps one file a record type, and NULL, an empty text, texts and numbers apart."""

from __future__ import annotations

import csv
import re
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from landscape_compat.errors import OutputError
from landscape_compat.export.formats.csv_files import CsvWriter
from landscape_compat.export.formats.jsonl import json_line
from landscape_compat.export.formats.sqlite_file import SqliteWriter
from landscape_compat.export.output.files import FolderFiles
from landscape_compat.export.records.values import Field, form_of
from support.records import write_all


def write(folder: Path, *records: dict[str, Any]) -> dict[str, bytes]:
    with FolderFiles(folder) as files:
        write_all(CsvWriter(files), records)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def row(**cells: Any) -> dict[str, Any]:
    return {"record_type": "row", "run_id": "r", **cells}


def test_each_type_has_its_file_with_its_own_columns(tmp_path: Path) -> None:
    found = write(
        tmp_path,
        row(n=1),
        {"record_type": "token", "run_id": "r", "token_id": "t"},
        row(n=2),
    )
    assert found == {
        "row.csv": b'record_type,run_id,n\r\n"row","r",1\r\n"row","r",2\r\n',
        "token.csv": b'record_type,run_id,token_id\r\n"token","r","t"\r\n',
    }


def test_null_is_nothing_at_all_and_an_empty_text_is_in_quotes(tmp_path: Path) -> None:
    (data,) = write(tmp_path, row(a=None, b="", c=None)).values()
    assert data.splitlines()[1] == b'"row","r",,"",'


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1, "1"),
        (-(2**63), "-9223372036854775808"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e308, "1e+308"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (float("inf"), "inf"),
        (True, "true"),
        (False, "false"),
        ("1", '"1"'),
        ("true", '"true"'),
        ("NULL", '"NULL"'),
        ('a,"b"', '"a,""b"""'),
        ("one\ntwo\r\nthree", '"one\ntwo\r\nthree"'),
        ("=1+1", '"=1+1"'),
        (" é🙂 ", '" é🙂 "'),
    ],
)
def test_texts_are_in_quotes_and_all_else_stands_bare(
    tmp_path: Path, value: Any, written: str
) -> None:
    (data,) = write(tmp_path, row(x=value)).values()
    assert data.decode() == f'record_type,run_id,x\r\n"row","r",{written}\r\n'


def test_a_run_that_is_a_number_stands_bare_beside_rows_that_store_none(tmp_path: Path) -> None:
    form = form_of("row", ("n",), None, [Field("n", "INTEGER", at=1)])
    with FolderFiles(tmp_path) as files:
        writer = CsvWriter(files)
        encode = writer.encoder(form)
        writer.write([encode((0, 1), 7), encode((0, 2), None)])
        writer.finish()
    assert (tmp_path / "row.csv").read_bytes().splitlines()[1:] == [b'"row",7,1', b'"row",,2']


def test_any_reader_of_csv_reads_it(tmp_path: Path) -> None:
    values = ['a,"b"', "one\ntwo\r\nthree\rfour", "", "\u2028", '"', ",", "é"]
    records = [row(x=value, n=at) for at, value in enumerate(values)]
    write(tmp_path, *records)
    with (tmp_path / "row.csv").open(newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file, strict=True))
    assert [line["x"] for line in read] == values
    assert [int(line["n"]) for line in read] == list(range(len(values)))


def test_odd_names_of_columns_are_in_quotes(tmp_path: Path) -> None:
    names = {'a b"c': 1, "x,y": 2, "é": 3, "plain_1": 4, "": 5}
    write(tmp_path, row(**names))
    with (tmp_path / "row.csv").open(newline="", encoding="utf-8") as file:
        header = next(csv.reader(file, strict=True))
    assert header == ["record_type", "run_id", *names]


def test_a_row_that_no_run_reaches_has_nothing_for_its_run(tmp_path: Path) -> None:
    """Its table does not store one, but the rows before it were reached from one."""
    orphan = {"record_type": "token", "token_id": "t2"}
    reached = {"record_type": "token", "run_id": "r", "token_id": "t1"}
    (data,) = write(tmp_path, reached, orphan).values()
    assert data.splitlines() == [
        b"record_type,run_id,token_id",
        b'"token","r","t1"',
        b'"token",,"t2"',
    ]


def test_of_infinity_and_bytes_each_remedy_led_to_the_other_refusal(tmp_path: Path) -> None:
    """JSON lines sent to CSV, and CSV to JSON lines; the format that is named holds both."""
    record = row(number=float("inf"), data=b"\0\xff")
    (tmp_path / "csv").mkdir()
    for refuse in (json_line, partial(write, tmp_path / "csv")):
        with pytest.raises(OutputError) as caught:
            refuse(record)
        assert "--format sqlite" in str(caught.value.remedy)
    (tmp_path / "sqlite").mkdir()
    with FolderFiles(tmp_path / "sqlite") as files:
        write_all(SqliteWriter(files), [record])
    with closing(sqlite3.connect(tmp_path / "sqlite" / "records.sqlite")) as connection:
        assert connection.execute("SELECT number, data FROM row").fetchall() == [
            (float("inf"), b"\0\xff")
        ]


def test_bytes_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        write(tmp_path, row(x=1, blob=b"\x00"))
    assert (caught.value.table, caught.value.column) == ("row", "blob")
    assert "--format sqlite" in str(caught.value.remedy)


def test_a_text_that_utf8_cannot_say_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="UTF-8") as caught:
        write(tmp_path, row(x="\ud800"))
    assert caught.value.table == "row"


@pytest.mark.parametrize(
    "record_type",
    [
        "../up/and/over",
        "..",
        ".hidden",
        "a/b",
        "a\\b",
        "nul\x00",
        "line\nbreak",
        "é🙂",
        "%2E",
        "x" * 400,
        "é" * 200,
        "con:",
        "",
        "records",
    ],
)
def test_a_type_called_anything_gets_a_file_of_its_own_in_the_folder(
    tmp_path: Path, record_type: str
) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    others = [record_type + "x", record_type.upper() + "y", "row"]
    found = write(folder, *({"record_type": name, "a": 1} for name in (record_type, *others)))
    assert len(found) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    for name in found:
        assert re.fullmatch(r"[\w.=~-]{1,200}", name, re.ASCII)
        assert name.endswith(".csv")
        assert not name.startswith(("..", "records."))
