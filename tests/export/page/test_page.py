"""A page says what a database is, lacks and holds, loads nothing, and cannot be broken out of."""

from __future__ import annotations

import re
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from landscape_compat.errors import LandscapeCompatError, OutputError, RunNotFoundError
from landscape_compat.export.page import make_page, write_page
from landscape_compat.landscape.database import open_landscape
from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.recorder import ReadOnlyRecorder
from landscape_compat.schema.known import KnownShape
from support.legacy import Written, build_shape
from support.untouched import untouched
from test_legacy_generator import example

MADE_AT = datetime(2026, 7, 20, 12, 0, tzinfo=UTC)
HOSTILE = "</title></style></svg><script>alert(1)</script><img src=x onerror=alert(1)>'\"&"
GOOD_RUN = "6de5bd111d4ac677b8ba20d9aef4195b"


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Give the example database."""
    path = tmp_path / "record" / "audit.db"
    path.parent.mkdir()
    example().build(path)
    return path


def page(path: Path, **options: str) -> str:
    with untouched(path), open_landscape(path) as db:
        return make_page(db, made_at=MADE_AT, digests={path.name: "ab" * 32}, **options)


def parsed(text: str) -> ElementTree.Element:
    """Read a page as XML: whatever is not closed, quoted or escaped as it should be, fails."""
    return ElementTree.fromstring(text.removeprefix("<!doctype html>\n"))


def words(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def section(text: str, name: str) -> ElementTree.Element:
    (found,) = (e for e in parsed(text).iter("section") if e.get("aria-labelledby") == name)
    return found


def test_what_it_is(database: Path) -> None:
    """The page names the shape, the target, the verdict, and how the file was opened."""
    said = words(parsed(page(database)))
    assert "Audit database audit.db" in said
    assert str(database.parent) not in said
    assert "exactly those of 2026-01-18/df2fa70fb" in said
    assert "this database: 2026-01-18/df2fa70fb" in said
    assert "degraded" in said
    assert "leaves nothing behind" in said
    assert "Made on 2026-07-20 at 12:00:00 UTC" in said


def test_by_force_the_database_itself_was_replaced_by_its_page(
    legacy: Written, tmp_path: Path
) -> None:
    """Only a page is replaced; and a page by the page of today."""
    (tmp_path / "notes.html").write_text("<!doctype html>\n<title>mine</title>")
    with open_landscape(legacy.path) as db, untouched(legacy.path):
        for place in (legacy.path, tmp_path / "notes.html"):
            with pytest.raises(OutputError, match="is not a page"):
                write_page(db, place, force=True)
        for _ in range(2):
            write_page(db, tmp_path / "page.html", force=True)


def test_a_folder_is_not_a_page(legacy: Written, tmp_path: Path) -> None:
    """What is in it is left, whatever its name."""
    note = tmp_path / "page.html" / "note.txt"
    note.parent.mkdir()
    note.write_text("mine")
    with (
        open_landscape(legacy.path) as db,
        untouched(legacy.path),
        untouched(note),
        pytest.raises(OutputError, match=r"page\.html is not a page"),
    ):
        write_page(db, note.parent, force=True)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_comes_near_to_a_known_shape_is_said_to(database: Path) -> None:
    """With how far it is from it."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("ALTER TABLE tokens DROP COLUMN branch_name")
    said = words(section(page(database), "what"))
    assert "It comes nearest to 2026-01-18/df2fa70fb: 1 column or whole table differs." in said
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DROP TABLE artifacts")
    said = words(section(page(database), "what"))
    assert "It comes nearest to 2026-01-18/df2fa70fb: 2 columns or whole tables differ." in said


def test_what_it_lacks(database: Path) -> None:
    """Each missing column is there with its kind and its reason, each missing table by name."""
    said = words(section(page(database), "drift"))
    assert "expand_group_id absent One row could not be expanded" in said
    assert "run_id derived A token belongs to the run of its row" in said
    assert "Tables that are not stored; they read as no rows (25)" in said
    assert "token_outcomes" in said


def test_what_it_holds(database: Path) -> None:
    """The counts are those of the database, and the digest is shown."""
    text = page(database)
    cells = [words(cell) for cell in section(text, "counts").iter() if cell.tag in {"th", "td"}]
    shown = dict(zip(cells[2::2], cells[3::2], strict=True))
    with closing(sqlite3.connect(database)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            (number,) = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()
            assert shown[name] == f"{number:,}"
    assert "ab" * 32 in words(section(text, "digests"))


def test_the_graph_counts_what_was_routed(database: Path) -> None:
    """The edges of the run that is asked for carry the number of their routing events."""
    said = [words(e) for e in section(page(database, run_id=GOOD_RUN), "graph").iter("text")]
    assert "continue · 8" in said
    assert "path_a · 8" in said
    assert "true" in said  # an edge that nobody took
    assert said.count("8 completed") == 5


def test_the_way_of_one_row(database: Path) -> None:
    """A row's tokens are there, each with the nodes it went to, its parents above it."""
    text = page(database, run_id=GOOD_RUN)
    way = section(text, "lineage")
    cards = [e for e in way.iter("g") if e.get("class", "").startswith("card")]
    assert len(cards) == 4
    assert len([e for e in way.iter("path") if e.get("class", "").startswith("arrow")]) == 4
    assert "has no table of outcomes" in words(way)
    with open_landscape(database) as db:
        row = ReadOnlyRecorder(db).get_rows(GOOD_RUN)[3]
    assert row.row_id in words(
        section(page(database, run_id=GOOD_RUN, row_id=row.row_id), "lineage")
    )


def test_what_is_not_there_is_refused(database: Path) -> None:
    """A run or a row that the database does not hold is an error, not an empty drawing."""
    with pytest.raises(RunNotFoundError):
        page(database, run_id="none")
    with pytest.raises(LandscapeCompatError, match="no row 'none'"):
        page(database, row_id="none")


@pytest.mark.parametrize("known", known_shapes()[::7], ids=lambda known: known.name)
def test_every_shape_has_a_page(known: KnownShape, tmp_path: Path) -> None:
    """A database of any time is shown, well formed and with all its sections."""
    (tmp_path / "record").mkdir()
    written = build_shape(tmp_path / "record" / "audit.db", known.shape, rows=6, runs=4)
    text = page(written.path)
    names = [e.get("aria-labelledby") for e in parsed(text).iter("section")]
    assert names[:5] == ["what", "drift", "counts", "digests", "runs"]
    assert known.name in text


def test_a_page_loads_nothing_and_runs_nothing(database: Path) -> None:
    """No script, no handler, nothing from elsewhere; and the browser is told to allow none."""
    text = page(database)
    root = parsed(text)
    assert not [e for e in root.iter() if e.tag in {"script", "link", "img", "iframe", "object"}]
    names = {name for e in root.iter() for name in e.attrib}
    assert not {name for name in names if name.startswith("on") or name in {"src", "style"}}
    assert all(e.get("href", "").startswith("#") for e in root.iter("a"))
    assert not re.search(r"url\((?!#)|@import", text)
    (policy,) = (e.get("content", "") for e in root.iter("meta") if e.get("http-equiv"))
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


def test_hostile_names_stay_text(database: Path) -> None:
    """Names that try to break out of every place they are put in come back as they are."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE nodes SET plugin_name = ?, node_type = ?", (HOSTILE, HOSTILE))
        connection.execute("UPDATE edges SET label = ?, default_mode = ?", (HOSTILE, HOSTILE))
        connection.execute("UPDATE runs SET status = ?", (HOSTILE,))
        connection.execute("UPDATE tokens SET branch_name = ?", (HOSTILE,))
        connection.execute("UPDATE node_states SET status = ?", (HOSTILE,))
        quoted = HOSTILE.replace('"', '""')
        connection.execute(f'CREATE TABLE "{quoted}" (x)')
        connection.execute(f'ALTER TABLE tokens ADD COLUMN "{quoted}" TEXT')
    root = parsed(page(database))
    assert not [e for e in root.iter() if e.tag in {"script", "img"}]
    assert not [name for e in root.iter() for name in e.attrib if name.startswith("on")]
    assert words(root).count(HOSTILE) > 4


def test_parts_are_named_once(database: Path) -> None:
    """Every link within the page, and every name that something is labelled by, leads to one."""
    root = parsed(page(database))
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    links = {e.get("href", "")[1:] for e in root.iter("a")}
    labels = {e.get("aria-labelledby") for e in root.iter() if e.get("aria-labelledby")}
    assert links | labels <= set(ids)
