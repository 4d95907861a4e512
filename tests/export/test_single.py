"""Records in one file, without a bag: the same as in a bag, compressed as the name says."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from landscape_compat.errors import ExitCode, OutputError, SourceChangedError
from landscape_compat.export.records.selection import Selection
from landscape_compat.export.records.stream import export_database
from landscape_compat.export.single import format_of_file, write_file
from landscape_compat.landscape.database import open_landscape
from support.commands import Run, running
from support.legacy import Written
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")
NAMES = ["a.jsonl", "a.json", "a.jsonl.gz", "a.json.gz", "a.jsonl.zst", "a.json.zst"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    with running(capsys) as run:
        yield run


def plain(path: Path) -> bytes:
    """Give what was compressed, read by others' means."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        zstandard = pytest.importorskip("zstandard")
        return bytes(zstandard.ZstdDecompressor().decompressobj().decompress(data))
    return data


@pytest.mark.parametrize("name", NAMES)
def test_a_file_holds_every_record(legacy: Written, tmp_path: Path, name: str) -> None:
    if name.endswith("zst"):
        pytest.importorskip("zstandard")
    place = tmp_path / "out" / name
    place.parent.mkdir()
    with untouched(legacy.path), open_landscape(legacy.path) as db:
        expected = json.loads(json.dumps(list(export_database(db))))
        counts = write_file(db, place, selection=Selection())
    text = plain(place).decode()
    lines = text.removesuffix("\n").split("\n")
    assert (list(map(json.loads, lines)) if "jsonl" in name else json.loads(text)) == expected
    assert sum(counts.values()) == len(expected)
    assert [path.name for path in place.parent.iterdir()] == [name]


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        *((name, name.removeprefix("a.")) for name in NAMES),
        *((name, None) for name in ("bag", "bag.zip", "a.csv", ".jsonl", "a.gz", "a.jsonl.xz")),
        *(("b.json.gz.d", None), ("x.y.jsonl", "jsonl"), ("a.jsonl\n", None), ("-", None)),
    ],
)
def test_a_name_says_what_a_file_holds(name: str, format_: str | None) -> None:
    found = format_of_file(name)
    assert (str(found) if found else None) == format_


def test_only_an_earlier_export_is_replaced(legacy: Written, tmp_path: Path, run: Run) -> None:
    place = tmp_path / "a.jsonl.gz"
    export = ("export", legacy.path, "-o", place, "-q")
    assert run(*export).code == ExitCode.DONE
    before = place.stat().st_ino
    assert run(*export).code == ExitCode.OPERATIONAL
    assert run(*export, "--force").code == ExitCode.DONE
    assert place.stat().st_ino != before
    for mine in (b"mine", gzip.compress(b"mine"), b""):
        place.write_bytes(mine)
        refused = run(*export, "--force")
        assert refused.code == ExitCode.OPERATIONAL
        assert "is not an earlier export" in refused.err
        assert place.read_bytes() == mine


def test_anybodys_array_of_json_was_replaced(legacy: Written, tmp_path: Path, run: Run) -> None:
    place = tmp_path / "invoices.json"
    place.write_bytes(b'[\n  {"invoice": 1}\n]\n')
    refused = run("export", legacy.path, "-o", place, "-q", "--force")
    assert "is not an earlier export" in refused.err
    assert place.read_bytes() == b'[\n  {"invoice": 1}\n]\n'
    place.unlink()
    for _ in range(2):
        assert run("export", legacy.path, "-o", place, "-q", "--force").code == ExitCode.DONE


def test_a_pipe_is_no_export_whatever_comes_out_of_it(
    legacy: Written, tmp_path: Path, run: Run
) -> None:
    place = tmp_path / "a.jsonl"
    os.mkfifo(place)
    pipe = os.open(place, os.O_RDWR)
    try:
        # However often it is looked at, an array begins there.
        os.write(pipe, b"[\n" * 30_000)
        refused = run("export", legacy.path, "-o", place, "-q", "--force")
    finally:
        os.close(pipe)
    assert refused.code == ExitCode.OPERATIONAL
    assert "is not an earlier export" in refused.err
    assert place.is_fifo()


def test_nothing_is_left_of_a_source_that_changed(legacy: Written, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()

    def meanwhile(items: Iterator[list[Any]], total: int | None) -> Iterator[list[Any]]:
        yield next(items)
        data = bytearray(legacy.path.read_bytes())
        data[60] ^= 1  # the user version, which no reader looks at
        legacy.path.write_bytes(data)
        yield from items

    with (
        pytest.raises(SourceChangedError),
        open_landscape(legacy.path) as db,
    ):
        write_file(db, folder / "a.jsonl", selection=Selection(), watch=meanwhile)
    assert list(folder.iterdir()) == []


def test_nothing_is_left_where_a_value_has_no_form(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "audit.db")) as connection:
        connection.execute("CREATE TABLE runs (run_id TEXT PRIMARY KEY, number FLOAT)")
        connection.execute("INSERT INTO runs VALUES ('r', 9e999)")
        connection.commit()
    (tmp_path / "out").mkdir()
    with open_landscape(tmp_path / "audit.db") as db, pytest.raises(OutputError):
        write_file(db, tmp_path / "out" / "a.jsonl.gz", selection=Selection())
    assert list((tmp_path / "out").iterdir()) == []


def test_a_name_without_a_format_is_refused(legacy: Written, tmp_path: Path) -> None:
    with open_landscape(legacy.path) as db, pytest.raises(ValueError, match="does not say"):
        write_file(db, tmp_path / "bag", selection=Selection())


@pytest.mark.parametrize(
    "words",
    [("--format", "csv"), ("--sign", "k"), ("--json",), ("--format", "jsonl.gz"), ("b.db",)],
)
def test_what_one_file_cannot_hold_is_a_usage_error(
    run: Run, legacy: Written, tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = run("export", legacy.path, "-o", tmp_path / "a.jsonl", *words)
    assert done.code == ExitCode.USAGE
    assert not (tmp_path / "a.jsonl").exists()


def test_the_format_may_be_said_twice(run: Run, legacy: Written, tmp_path: Path) -> None:
    done = run("export", legacy.path, "-o", tmp_path / "a.json.gz", "--format", "json.gz")
    assert done.code == ExitCode.DONE, done.err
    assert json.loads(gzip.decompress((tmp_path / "a.json.gz").read_bytes()))
    assert "written to" in done.out
