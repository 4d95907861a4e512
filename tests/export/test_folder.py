"""An export folder is complete or not there, and nothing that is no export is ever replaced."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from landscape_compat.errors import OutputError
from landscape_compat.export.folder import FORMATS, write_folder
from landscape_compat.export.stream import export_database
from landscape_compat.landscape.database import open_landscape
from support.legacy import Written
from support.untouched import untouched

RECORDS: list[dict[str, Any]] = [
    {"record_type": "run", "run_id": "r"},
    {"record_type": "row", "run_id": "r", "row_id": "w1", "x": None},
    {"record_type": "row", "run_id": "r", "row_id": "w2", "x": "é"},
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "export"


def report_in(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return read


def test_records_and_a_report_with_their_digests_are_written(place: Path) -> None:
    done = write_folder(RECORDS, place, formats=("jsonl", "csv"), report={"shape": "é"})
    assert done.path == place
    assert done.records == {"run": 1, "row": 2}
    assert sorted(path.name for path in place.iterdir()) == [
        "records.jsonl",
        "report.json",
        "row.csv",
        "run.csv",
    ]
    report = report_in(place)
    assert report == done.report
    assert report["shape"] == "é"
    assert report["export"]["records"] == {"run": 1, "row": 2}
    told = {file["name"]: file for file in report["export"]["files"]}
    assert {name: file["records"] for name, file in told.items()} == {
        "records.jsonl": 3,
        "run.csv": 1,
        "row.csv": 2,
    }
    for name, file in told.items():
        data = (place / name).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


def test_json_lines_are_what_is_written_where_nothing_else_is_asked(place: Path) -> None:
    write_folder(RECORDS, place)
    assert sorted(path.name for path in place.iterdir()) == ["records.jsonl", "report.json"]


def test_the_same_records_give_the_same_bytes(place: Path, tmp_path: Path) -> None:
    for folder in (place, tmp_path / "again"):
        write_folder(iter(RECORDS), folder, formats=tuple(FORMATS))
    for path in place.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_a_report_can_be_made_when_all_is_read(place: Path) -> None:
    read: list[dict[str, Any]] = []

    def records() -> Iterator[dict[str, Any]]:
        for record in RECORDS:
            read.append(record)
            yield record

    done = write_folder(records(), place, report=lambda: {"read": len(read)})
    assert done.report["read"] == 3


def test_no_records_are_an_export_too(place: Path) -> None:
    write_folder([], place, formats=("csv", "jsonl"))
    assert sorted(path.name for path in place.iterdir()) == ["records.jsonl", "report.json"]
    assert (place / "records.jsonl").read_bytes() == b""


@pytest.mark.parametrize("formats", [(), ("parquet",), ("jsonl", "xml")])
def test_a_format_that_is_not_known_is_refused_before_anything_is_written(
    place: Path, formats: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="jsonl, csv"):
        write_folder(RECORDS, place, formats=formats)
    assert not list(place.parent.iterdir())


@pytest.mark.parametrize("error", [RuntimeError("stop"), KeyboardInterrupt(), GeneratorExit()])
def test_an_export_that_is_broken_off_leaves_nothing_behind(
    place: Path, error: BaseException
) -> None:
    beside: list[Path] = []

    def records() -> Iterator[dict[str, Any]]:
        yield from RECORDS
        beside.extend(place.parent.iterdir())
        raise error

    with pytest.raises(type(error)):
        write_folder(records(), place, formats=tuple(FORMATS))
    assert len(beside) == 1
    assert beside[0].name.startswith(".export.partial-")
    assert not list(place.parent.iterdir())


def test_a_value_that_cannot_be_written_leaves_nothing_behind(place: Path) -> None:
    with pytest.raises(OutputError):
        write_folder([*RECORDS, {"record_type": "row", "x": b""}], place, formats=("csv",))
    assert not list(place.parent.iterdir())


# What is there already --------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["empty folder", "folder", "export", "file", "link", "broken link"]
)
def test_what_exists_is_left_as_it_is(place: Path, kind: str) -> None:
    occupy(place, kind)
    before = listing(place.parent)
    with pytest.raises(OutputError, match="exists already") as caught:
        write_folder(never_read(), place)
    assert str(place) in caught.value.reason
    assert caught.value.remedy
    assert listing(place.parent) == before


@pytest.mark.parametrize("kind", ["folder", "file", "link", "broken link", "foreign report"])
def test_what_is_no_export_is_not_replaced_by_force_either(place: Path, kind: str) -> None:
    occupy(place, kind)
    before = listing(place.parent)
    with pytest.raises(OutputError, match="no earlier export") as caught:
        write_folder(never_read(), place, force=True)
    assert caught.value.remedy
    assert listing(place.parent) == before


@pytest.mark.parametrize("kind", ["empty folder", "export"])
def test_an_earlier_export_is_replaced_by_force_when_the_new_one_is_complete(
    place: Path, kind: str
) -> None:
    occupy(place, kind)
    before = listing(place.parent)

    def broken() -> Iterator[dict[str, Any]]:
        yield RECORDS[0]
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        write_folder(broken(), place, force=True)
    assert listing(place.parent) == before
    write_folder(RECORDS, place, force=True)
    assert report_in(place)["export"]["records"] == {"run": 1, "row": 2}
    assert [path.name for path in place.parent.iterdir()] == ["export"]


def test_what_came_there_meanwhile_is_left_as_it_is(place: Path) -> None:
    def records() -> Iterator[dict[str, Any]]:
        yield RECORDS[0]
        occupy(place, "folder")

    with pytest.raises(OutputError, match="exists already"):
        write_folder(records(), place)
    assert [path.name for path in place.parent.iterdir()] == ["export"]
    assert (place / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("where", ["missing/export", "file/export", "n" * 300])
def test_a_place_that_cannot_be_written_is_told(place: Path, where: str) -> None:
    (place.parent / "file").write_text("")
    before = listing(place.parent)
    with pytest.raises(OutputError, match="cannot be written") as caught:
        write_folder(never_read(), place.parent / where)
    assert caught.value.remedy
    assert listing(place.parent) == before


def test_a_folder_that_must_not_be_written_is_told(place: Path) -> None:
    # The kernel's own folders refuse everyone, the administrator too.
    with pytest.raises(OutputError, match="cannot be written"):
        write_folder(never_read(), "/proc/export")


def never_read() -> Iterator[dict[str, Any]]:
    raise AssertionError("nothing should have been read")
    yield {}


def occupy(place: Path, kind: str) -> None:
    if kind == "file":
        place.write_text("mine")
    elif kind == "link":
        target = place.with_name("target")
        write_folder(RECORDS[:1], target)
        place.symlink_to(target)
    elif kind == "broken link":
        place.symlink_to(place.with_name("nowhere"))
    elif kind == "export":
        write_folder(RECORDS[:1], place)
    else:
        place.mkdir()
        if kind == "folder":
            (place / "mine.txt").write_text("mine")
        elif kind == "foreign report":
            (place / "report.json").write_text('["not ours"]')


def listing(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Say of everything under a folder what it is and when it was last written."""
    found = {}
    for at, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(at, name)
            stat = path.lstat()
            found[str(path)] = (stat.st_mode, stat.st_size, stat.st_mtime_ns)
    return found


# From a database --------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")
def test_a_whole_database_is_written_and_left_alone(legacy: Written, place: Path) -> None:
    with untouched(legacy.path), open_landscape(legacy.path) as landscape:
        stream = export_database(landscape)
        done = write_folder(
            stream,
            place,
            formats=("jsonl", "csv"),
            report=lambda: {**landscape.report().to_dict(), "unreached": stream.unreached},
        )
    assert done.records == stream.counts
    assert sum(done.records.values()) == sum(len(t.rows) for t in legacy.tables.values())
    lines = (place / "records.jsonl").read_bytes().splitlines()
    assert len(lines) == sum(done.records.values())
    assert report_in(place)["unreached"] == {}
    names = {path.stem for path in place.glob("*.csv")}
    assert names == {type_ for type_, count in done.records.items() if count}
