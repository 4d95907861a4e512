"""A Landscape is opened by what people name it by, which means the same file ever after."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import make_url

from landscape_compat import ReadOnlyRecorder, export_bag, open_landscape
from landscape_compat.landscape.database import database_url
from support.legacy import Written
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("sqlite:///audit.db", "{folder}/audit.db"),
        ("sqlite:///sub/audit.db", "{folder}/sub/audit.db"),
        ("sqlite:////elsewhere/audit.db", "/elsewhere/audit.db"),
        ("sqlite:///file:audit.db?uri=true", "file:{quoted}/audit.db"),
        ("sqlite:///file:audit.db?mode=ro&uri=true", "file:{quoted}/audit.db"),
        ("sqlite:///file:/elsewhere/audit.db?uri=true", "file:/elsewhere/audit.db"),
        ("sqlite:///file:shared?mode=memory&uri=true", "file:shared"),
        ("sqlite:///file::memory:?uri=true", "file::memory:"),
        ("sqlite:///file:audit.db?uri=false", "{folder}/file:audit.db"),
        ("sqlite:///file:audit.db?uri=nonsense", "{folder}/file:audit.db"),
        ("sqlite:///:memory:", ":memory:"),
        ("sqlite://", None),
    ],
)
def test_a_relative_name_is_of_the_folder_that_it_was_given_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, meant: str | None
) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    wanted = meant and meant.format(folder=folder, quoted=str(folder).replace(" ", "%20"))
    for url in (database_url(given), database_url(make_url(given))):
        assert url.database == wanted
        assert url.query == make_url(given).query


def test_in_the_root_the_first_folder_of_a_name_was_taken_for_a_host(
    legacy: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    relative = str(legacy.path.relative_to("/"))
    assert database_url("sqlite:///file:a/b.db?uri=true").database == "file:/a/b.db"
    with untouched(legacy.path), open_landscape(f"sqlite:///file:{relative}?uri=true") as db:
        assert ReadOnlyRecorder(db).list_runs()


@pytest.fixture
def two(
    legacy: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, Path]]:
    """Give two databases of one name, and go to the folder of the first."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        shutil.copy(legacy.path, tmp_path / name / "audit.db")
        shutil.copy(legacy.path, tmp_path / name / "second.db")
    here, there = tmp_path / "here" / "audit.db", tmp_path / "there" / "audit.db"
    with closing(sqlite3.connect(there)) as connection, connection:
        connection.execute("UPDATE runs SET status = 'changed'")
    monkeypatch.chdir(here.parent)
    with untouched(here), untouched(there):
        yield here, there


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("name", ["sqlite:///audit.db", "sqlite:///file:audit.db?uri=true"])
def test_another_file_was_exported_or_digested_when_the_program_went_to_another_folder(
    two: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, jobs: int
) -> None:
    here, there = two
    with open_landscape(name) as db, open_landscape("sqlite:///second.db") as second:
        monkeypatch.chdir(there.parent)
        bag = export_bag([db, second], tmp_path / "bag", jobs=jobs, page=False)
    (told, _) = bag.predicate["sources"]
    assert told["files_before"][0]["sha256"] == sha256(here.read_bytes()).hexdigest()
    (payload,) = (tmp_path / "bag").glob("data/001-*/records.jsonl")
    lines = payload.read_bytes().splitlines()
    runs = [one for one in map(json.loads, lines) if one["record_type"] == "run"]
    assert runs
    assert "changed" not in {run["status"] for run in runs}
