"""An exported bag is complete or not there, says what it is, and replaces nothing that is none."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sqlite3
import subprocess
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from html import escape
from pathlib import Path
from typing import Any

import bagit
import pytest

from landscape_compat.errors import OutputError, RunNotFoundError, SourceChangedError
from landscape_compat.export import part
from landscape_compat.export.formats.writers import FORMATS
from landscape_compat.export.records.selection import Selection
from landscape_compat.export.records.stream import export_selection
from landscape_compat.export.whole import ExportedBag, export_bag
from landscape_compat.landscape.database import Landscape, open_landscape
from landscape_compat.landscape.history import shape_named
from support.legacy import Written, build_shape
from support.untouched import untouched
from support.wal import left_alone, writing

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


@pytest.fixture
def landscape(legacy: Written) -> Iterator[Landscape]:
    with untouched(legacy.path), open_landscape(legacy.path) as landscape:
        yield landscape


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "export"


def is_valid(bag: Path) -> bool:
    """Ask bagit-python, which calls `re.sub` as Python 3.13 wishes it did not."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'count' is passed", DeprecationWarning)
        return bool(bagit.Bag(str(bag)).validate())


def statement_in(bag: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((bag / "metadata" / "export.intoto.json").read_bytes())
    return read


def records_in(bag: Path) -> list[dict[str, Any]]:
    lines = (bag / "data" / "records.jsonl").read_text("utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


def test_standard_tools_accept_the_bag(landscape: Landscape, place: Path) -> None:
    export_bag(landscape, place, formats=("jsonl", "csv"))
    assert is_valid(place)
    for manifest in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
        command = ["sha256sum", "--strict", "--quiet", "-c", manifest]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_every_file_is_a_subject_of_the_statement(landscape: Landscape, place: Path) -> None:
    export_bag(landscape, place, formats=("jsonl", "csv"))
    statement = statement_in(place)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    told = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    payload = [path for path in (place / "data").rglob("*") if path.is_file()]
    assert told == {
        path.relative_to(place).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in payload
    }


def test_all_that_is_stored_is_counted(landscape: Landscape, legacy: Written, place: Path) -> None:
    done = export_bag(landscape, place, formats=("jsonl", "csv"))
    records = records_in(place)
    assert done.records == Counter(record["record_type"] for record in records)
    assert len(records) == sum(len(table.rows) for table in legacy.tables.values())
    predicate = statement_in(place)["predicate"]
    assert predicate["records"] == len(records)
    (source,) = predicate["sources"]
    assert {t["table"]: t["records"] for t in source["tables"]} == {
        name: len(table.rows) for name, table in legacy.tables.items()
    }


def test_the_source_is_told_as_it_was(landscape: Landscape, legacy: Written, place: Path) -> None:
    export_bag(landscape, place)
    (source,) = statement_in(place)["predicate"]["sources"]
    digest = hashlib.sha256(legacy.path.read_bytes()).hexdigest()
    stat = legacy.path.stat()
    assert source["files_before"] == source["files_after"]
    assert source["files_after"] == [
        {
            "name": "audit.db",
            "size": stat.st_size,
            "mtime_ns": str(stat.st_mtime_ns),
            "sha256": digest,
        }
    ]
    assert source["shape"]["exact"][0]["name"] == "2026-01-18/df2fa70fb"
    assert "operations" in source["absent_tables"]


def test_each_column_is_said_to_be_stored_or_absent(landscape: Landscape, place: Path) -> None:
    """Beside a table's records lies what says so; the statement says the same."""
    export_bag(landscape, place, formats=("csv",))
    schema = json.loads((place / "data" / "token.schema.json").read_bytes())
    (told,) = schema["records"].values()
    states = {column["column"]: column["state"] for column in told["columns"]}
    assert states["branch_name"] == "stored"
    assert states["expand_group_id"] == "absent"
    rules = {column["column"]: column.get("rule") for column in told["columns"]}
    assert (rules["branch_name"], rules["run_id"]) == (None, "derived")
    (source,) = statement_in(place)["predicate"]["sources"]
    (table,) = [t for t in source["tables"] if t["record_type"] == "token"]
    assert table["columns"] == told["columns"]


def test_a_wal_belongs_to_the_source(tmp_path: Path, place: Path) -> None:
    folder = tmp_path / "record"
    folder.mkdir()
    path = folder / "audit.db"
    build_shape(path, shape_named("2026-01-18/df2fa70fb").shape, rows=1, runs=1)
    with writing(path) as writer:
        writer.run("PRAGMA journal_mode = WAL")
        writer.run("UPDATE runs SET status = 'by wal'")
        with left_alone(path), open_landscape(path) as landscape:
            export_bag(landscape, place)
        (source,) = statement_in(place)["predicate"]["sources"]
        names = {file["name"]: file["sha256"] for file in source["files_before"]}
        wal = hashlib.sha256(Path(f"{path}-wal").read_bytes()).hexdigest()
        assert names["audit.db-wal"] == wal
        assert names["audit.db-shm"] is None
    assert [r["status"] for r in records_in(place) if r["record_type"] == "run"] == ["by wal"]


def test_a_source_that_changes_meanwhile_leaves_no_bag(
    legacy: Written, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where each read by itself saw one moment only."""
    real = export_selection

    def changing(*args: Any, **kwargs: Any) -> Any:
        with closing(sqlite3.connect(legacy.path)) as writer:
            writer.execute("UPDATE runs SET status = 'changed'")
            writer.commit()
        return real(*args, **kwargs)

    monkeypatch.setattr(part, "export_selection", changing)
    with open_landscape(legacy.path) as landscape, pytest.raises(SourceChangedError) as caught:
        export_bag(landscape, place)
    assert "audit.db" in caught.value.reason
    assert caught.value.exit_code == 4
    assert not list(place.parent.iterdir())


def test_several_databases_go_into_one_bag(
    landscape: Landscape, tmp_path: Path, place: Path
) -> None:
    other = build_shape(tmp_path / "audit.db", shape_named("2026-02-03/aa555c7cb").shape)
    with open_landscape(other.path) as second:
        done = export_bag([landscape, second], place)
    first, last = statement_in(place)["predicate"]["sources"]
    assert (first["place"], last["place"]) == ("data/001-audit", "data/002-audit")
    assert first["shape"]["exact"] != last["shape"]["exact"]
    lines = [
        line
        for source in (first, last)
        for line in (place / source["place"] / "records.jsonl").read_bytes().splitlines()
    ]
    assert len(lines) == sum(done.records.values())


def test_the_same_database_gives_the_same_payload(landscape: Landscape, place: Path) -> None:
    again = place.with_name("again")
    for folder in (place, again):
        export_bag(landscape, folder, formats=tuple(FORMATS))
    for path in (place / "data").iterdir():
        assert path.read_bytes() == (again / "data" / path.name).read_bytes(), path.name


def test_no_records_are_an_export_too(landscape: Landscape, place: Path) -> None:
    export_bag(landscape, place, selection=Selection(tables=("operations",)))
    assert (place / "data" / "records.jsonl").read_bytes() == b""
    assert is_valid(place)


@pytest.mark.parametrize("formats", [(), ("xml",), ("jsonl", "xml")])
def test_a_format_that_is_not_known_is_refused_before_anything_is_written(
    landscape: Landscape, place: Path, formats: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="jsonl, "):
        export_bag(landscape, place, formats=formats)
    assert not list(place.parent.iterdir())


@pytest.mark.parametrize("error", [RuntimeError("stop"), KeyboardInterrupt(), GeneratorExit()])
def test_an_export_that_is_broken_off_leaves_nothing_behind(
    landscape: Landscape, place: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside: list[str] = []

    def broken(*_: Any) -> None:
        beside.extend(path.name for path in place.parent.iterdir())
        raise error

    monkeypatch.setattr(part, "require_unchanged", broken)
    with pytest.raises(type(error)):
        export_bag(landscape, place, formats=tuple(FORMATS))
    assert len(beside) == 1
    assert beside[0].startswith(".export.partial-")
    assert not list(place.parent.iterdir())


def test_a_run_that_is_not_there_leaves_nothing_behind(landscape: Landscape, place: Path) -> None:
    with pytest.raises(RunNotFoundError):
        export_bag(landscape, place, selection=Selection(run_ids=("another",)))
    assert not list(place.parent.iterdir())


# What is there already --------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["empty folder", "folder", "export", "file", "link", "broken link"]
)
def test_what_exists_is_left_as_it_is(landscape: Landscape, place: Path, kind: str) -> None:
    occupy(landscape, place, kind)
    before = listing(place.parent)
    with pytest.raises(OutputError, match="exists already") as caught:
        export_bag(landscape, place)
    assert str(place) in caught.value.reason
    assert caught.value.remedy
    assert listing(place.parent) == before


@pytest.mark.parametrize("kind", ["folder", "file", "link", "broken link", "foreign statement"])
def test_what_is_no_export_is_not_replaced_by_force_either(
    landscape: Landscape, place: Path, kind: str
) -> None:
    occupy(landscape, place, kind)
    before = listing(place.parent)
    with pytest.raises(OutputError, match="not an earlier export") as caught:
        export_bag(landscape, place, force=True)
    assert caught.value.remedy
    assert listing(place.parent) == before


def test_what_somebody_put_beside_an_earlier_export_was_deleted_with_it(
    legacy: Written, tmp_path: Path
) -> None:
    """The database itself, if it was kept there."""
    bag = tmp_path / "case"
    with open_landscape(legacy.path) as db:
        export_bag(db, bag)
    kept = legacy.path.rename(bag / "audit.db")
    refused = pytest.raises(OutputError, match="not an earlier export")
    with untouched(kept), open_landscape(kept) as db, refused:
        export_bag(db, bag, force=True)


@pytest.mark.parametrize("kind", ["empty folder", "export"])
def test_an_earlier_export_is_replaced_by_force_when_the_new_one_is_complete(
    landscape: Landscape, place: Path, kind: str
) -> None:
    occupy(landscape, place, kind)
    before = listing(place.parent)
    with pytest.raises(RunNotFoundError):
        export_bag(landscape, place, selection=Selection(run_ids=("x",)), force=True)
    assert listing(place.parent) == before
    done = export_bag(landscape, place, force=True)
    assert statement_in(place)["predicate"]["records"] == sum(done.records.values()) > 1
    assert [path.name for path in place.parent.iterdir()] == ["export"]


def test_what_came_there_meanwhile_is_left_as_it_is(
    landscape: Landscape, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "require_unchanged", lambda *_: occupy(landscape, place, "folder"))
    with pytest.raises(OutputError, match="exists already"):
        export_bag(landscape, place)
    assert [path.name for path in place.parent.iterdir()] == ["export"]
    assert (place / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("where", ["missing/export", "file/export", "n" * 300])
def test_a_place_that_cannot_be_written_is_told(
    landscape: Landscape, place: Path, where: str
) -> None:
    (place.parent / "file").write_text("")
    before = listing(place.parent)
    with pytest.raises(OutputError, match="cannot be written") as caught:
        export_bag(landscape, place.parent / where)
    assert caught.value.remedy
    assert listing(place.parent) == before


@pytest.mark.parametrize("name", ["export", "export.zip"])
def test_a_disk_that_fills_as_the_bag_is_begun_is_told(
    landscape: Landscape, place: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.mkdir

    def full(folder: Path, *args: Any, **more: Any) -> None:
        if ".partial-" in folder.parent.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(folder, *args, **more)

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(OutputError, match=f"{name} cannot be written: No space left"):
        export_bag(landscape, place.with_name(name))
    assert not list(place.parent.iterdir())


def test_a_folder_that_must_not_be_written_is_told(landscape: Landscape) -> None:
    # The kernel's own folders refuse everyone, the administrator too.
    with pytest.raises(OutputError, match="cannot be written"):
        export_bag(landscape, "/proc/export")


def occupy(landscape: Landscape, place: Path, kind: str) -> None:
    if kind == "file":
        place.write_text("mine")
    elif kind == "link":
        target = place.with_name("target")
        small(landscape, target)
        place.symlink_to(target)
    elif kind == "broken link":
        place.symlink_to(place.with_name("nowhere"))
    elif kind == "export":
        small(landscape, place)
    else:
        place.mkdir()
        if kind == "folder":
            (place / "mine.txt").write_text("mine")
        elif kind == "foreign statement":
            (place / "metadata").mkdir()
            (place / "metadata" / "export.intoto.json").write_text('["not ours"]')


def small(landscape: Landscape, place: Path) -> ExportedBag:
    return export_bag(landscape, place, selection=Selection(tables=("runs",)))


def listing(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Say of everything under a folder what it is and when it was last written."""
    found = {}
    for at, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(at, name)
            stat = path.lstat()
            found[str(path)] = (stat.st_mode, stat.st_size, stat.st_mtime_ns)
    return found


def test_a_page_shows_each_database(legacy: Written, tmp_path: Path) -> None:
    """Beside the statement lies a page about each database, listed among the tag files."""
    with untouched(legacy.path), open_landscape(legacy.path) as db:
        export_bag(db, tmp_path / "one", selection=Selection(run_ids=legacy.run_ids[1:2]))
        export_bag([db, db], tmp_path / "two")
        export_bag(db, tmp_path / "none", page=False)
    text = (tmp_path / "one" / "metadata" / "page.html").read_text(encoding="utf-8")
    assert hashlib.sha256(legacy.path.read_bytes()).hexdigest() in text
    assert f"Run <code>{escape(legacy.run_ids[1])}</code>" in text
    assert "metadata/page.html" in (tmp_path / "one" / "tagmanifest-sha256.txt").read_text()
    names = {path.name for path in (tmp_path / "two" / "metadata").iterdir()}
    assert names == {"001-audit.html", "002-audit.html", "export.intoto.json"}
    assert {path.name for path in (tmp_path / "none" / "metadata").iterdir()} == {
        "export.intoto.json"
    }
