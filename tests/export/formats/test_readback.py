"""What was written is read back as records; anything else is refused by its place."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest

from landscape_compat.export.formats import readback
from landscape_compat.export.formats.readback import BadPayloadError
from support.untouched import untouched


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "line 1 does not begin an array"),
        (b"{}\n", "line 1 does not begin an array"),
        (b"[\n", "the array has no end"),
        (b'[\n{"record_type":"run"},\n', "the array has no end"),
        (b'[\n{"record_type":"run"}', "line 2 has no end"),
        (b'[\n{"record_type":"run"}\n]', "line 3 has no end"),
        (
            b'[\n{"record_type":"run"}\n]\n{"record_type":"run"}\n',
            "line 4 is behind the end",
        ),
    ],
)
def test_an_array_is_read_to_its_end_and_not_beyond(content: bytes, what: str) -> None:
    with pytest.raises(BadPayloadError, match=what):
        list(readback.read_json_array(BytesIO(content)))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"])
def test_what_is_no_parquet_is_refused(content: bytes) -> None:
    with pytest.raises(BadPayloadError, match="is no Parquet that can be read"):
        list(readback.read_parquet(BytesIO(content)))


def test_of_two_values_under_one_name_one_was_passed_over() -> None:
    with pytest.raises(BadPayloadError, match="a name is there twice"):
        list(readback.read_json_lines(BytesIO(b'{"record_type":"run","a":1,"a":2}\n')))
    with pytest.raises(BadPayloadError, match="names a field twice"):
        list(readback.read_csv(BytesIO(b'record_type,"a",a\r\n"run",1,2\r\n')))


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    for content in (b"", b"SQLite format 3\0" + bytes(100), b"nothing of the kind"):
        path.write_bytes(content)
        with pytest.raises(BadPayloadError, match="holds no records of run to be read"):
            list(readback.read_sqlite(path, "run", frozenset()))
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE run (a TEXT)")
        connection.execute("INSERT INTO run VALUES (CAST(x'ff' AS TEXT))")
        connection.commit()
    with pytest.raises(BadPayloadError, match="holds no records of run to be read"):
        list(readback.read_sqlite(path, "run", frozenset()))


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("CREATE VIEW token AS SELECT * FROM run", "holds a view 'token', which is none"),
        ("CREATE TABLE other (a)", "holds a table 'other', which is none"),
        ("CREATE INDEX i ON run (a)", "holds a index 'i', which is none"),
    ],
)
def test_a_database_that_shows_more_than_its_records_is_refused(
    tmp_path: Path, sql: str, what: str
) -> None:
    path = tmp_path / "records.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE run (a TEXT)")
    readback.require_only(path, {"run", "token"})
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql)
    with untouched(path), pytest.raises(BadPayloadError, match=what):
        readback.require_only(path, {"run", "token"})


@pytest.mark.parametrize("content", [b"SQLite format 3\0" + bytes(100), b"nothing of the kind"])
def test_what_is_no_database_shows_nothing_that_could_be_let_pass(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "records.sqlite"
    path.write_bytes(content)
    with untouched(path), pytest.raises(BadPayloadError, match="is no SQLite database that can"):
        readback.require_only(path, {"run"})


def test_a_text_of_many_lines_took_time_by_the_square_of_them() -> None:
    """Each was looked at again for each that came behind it; minutes, where a moment is enough."""
    text = "x\n" * 300_000
    content = f'"record_type","a"\r\n"t","{text}"\r\n'.encode()
    assert [*readback.read_csv(BytesIO(content))] == [{"record_type": "t", "a": text}]


@pytest.mark.parametrize(
    "value", ['{"hex":"00"}', '{"base64":"AA==","more":""}', "{}", '{"base64":7}']
)
def test_a_value_of_no_known_form_is_refused(value: str) -> None:
    line = b'{"record_type":"run","big":{"base64":"AA=="},"x":%b}\n' % value.encode()
    with pytest.raises(BadPayloadError, match="line 1: x is no value"):
        list(readback.READERS["jsonl"](BytesIO(line)))
