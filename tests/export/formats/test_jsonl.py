"""A record is one line of strict JSON that reads back as it was, or is refused by name."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from landscape_compat.errors import OutputError
from landscape_compat.export.formats.jsonl import JsonLinesWriter, json_line
from landscape_compat.export.output.files import FolderFiles
from support.records import write_all


def row(**cells: Any) -> dict[str, Any]:
    return {"record_type": "row", "run_id": "r", **cells}


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def back(line: bytes) -> dict[str, Any]:
    """Read a line as strictly as JSON is defined."""
    read: dict[str, Any] = json.loads(line.decode("utf-8"), parse_constant=refuse)
    return read


def test_a_record_is_one_compact_line_in_its_own_order() -> None:
    line = json_line(row(z=1, a=None, b="x"))
    assert line == b'{"record_type":"row","run_id":"r","z":1,"a":null,"b":"x"}\n'


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "null",
        "one\ntwo\r\nthree\rfour\u2028five\u2029six\x85seven\x0beight\x1cnine",
        "\x00\x01\x1f\x7f",
        'say "x" \\ / \\n \\u0041 </script>',
        "é e\u0301 漢字 🙂 \u202e \ufeff",
        '{"a": 1}',
        0,
        -1,
        2**53 + 1,
        2**63 - 1,
        -(2**63),
        True,
        False,
        0.1 + 0.2,
        -0.0,
        1e308,
        5e-324,
        1e16,
        1e22,
        123456789.12345679,
        1.0,
    ],
)
def test_a_value_reads_back_as_it_was_with_its_type(value: Any) -> None:
    line = json_line(row(x=value))
    assert line.count(b"\n") == 1
    assert line.count(b"\r") == 0
    read = back(line)["x"]
    assert (type(read), repr(read)) == (type(value), repr(value))


@pytest.mark.parametrize("value", [b"", b"\x00\xff", memoryview(b"abc")])
def test_bytes_are_told_apart_from_every_text(value: Any) -> None:
    read = back(json_line(row(x=value)))["x"]
    assert read.keys() == {"base64"}
    assert base64.b64decode(read["base64"]) == bytes(value)
    assert back(json_line(row(x=json.dumps(read))))["x"] == json.dumps(read)


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
def test_a_number_that_json_cannot_say_is_refused_by_name(value: float) -> None:
    with pytest.raises(OutputError) as caught:
        json_line(row(fine=1.0, latency_ms=value))
    assert (caught.value.table, caught.value.column) == ("row", "latency_ms")
    assert "inf" in caught.value.reason
    assert "--format sqlite" in str(caught.value.remedy)


def test_a_text_that_utf8_cannot_say_is_refused() -> None:
    with pytest.raises(OutputError) as caught:
        json_line(row(x="\ud800"))
    assert caught.value.table == "row"
    assert "UTF-8" in caught.value.reason


def test_a_value_of_a_kind_that_json_has_not_is_refused_by_name() -> None:
    with pytest.raises(OutputError, match="complex") as caught:
        json_line(row(fine=1, x=1j))
    assert (caught.value.table, caught.value.column) == ("row", "x")


def test_in_a_folder_all_records_are_in_one_file(tmp_path: Path) -> None:
    records = [row(n=0), {"record_type": "token", "token_id": "t"}, row(n=1)]
    with FolderFiles(tmp_path) as files:
        write_all(JsonLinesWriter(files), records)
    (file,) = files
    assert file.records == 3
    lines = (tmp_path / "records.jsonl").read_bytes().splitlines()
    assert [back(line) for line in lines] == records
    assert [path.name for path in tmp_path.iterdir()] == ["records.jsonl"]
