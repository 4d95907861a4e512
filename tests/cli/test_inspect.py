"""`inspect` tells which schema a database has and what it lacks, and writes nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from landscape_compat.errors import ExitCode
from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.inspection import inspect_database, inspect_landscape
from support.commands import Run
from support.legacy import Written, build_shape
from support.untouched import untouched


def test_an_old_database(run: Run, legacy: Written) -> None:
    """Its shape is named exactly, and every table that lacks something is listed."""
    with untouched(legacy.path):
        outcome = run("inspect", legacy.path)
    assert (outcome.code, outcome.err) == (ExitCode.DONE, "")
    assert "2026-01-18/df2fa70fb (exactly;" in outcome.out
    assert "verdict   degraded" in outcome.out
    assert "run_id (derived), expand_group_id (absent)" in outcome.out
    assert "token_outcomes" in outcome.out


def test_a_current_database(run: Run, tmp_path: Path) -> None:
    """Nothing is listed for a database of the newest shape."""
    path = tmp_path / "audit.db"
    build_shape(path, known_shapes()[-1].shape, rows=2, long_text=False)
    with untouched(path):
        outcome = run("inspect", path, "--exit-code")
    assert outcome.code == ExitCode.DONE
    assert "verdict   current" in outcome.out
    assert "TABLE" not in outcome.out


def test_the_json_is_the_python_report(run: Run, legacy: Written) -> None:
    """The command and the function are twins."""
    with untouched(legacy.path):
        result = run("inspect", legacy.path, "--json").json
        report = inspect_database(legacy.path)
    assert result == {"kind": "inspect", "version": 1, **report.to_dict()}
    assert result["degraded"] is True
    assert result["shape"]["confidence"] == "exact"


def test_against_another_target(run: Run, legacy: Written) -> None:
    """Measured against its own shape, an old database lacks nothing; against a later one, some."""
    with untouched(legacy.path):
        own = run("inspect", legacy.path, "--target", "df2fa70fb")
        later = run("inspect", legacy.path, "--target", "2026-01-20", "--exit-code")
        report = inspect_landscape(legacy.path, target="2026-01-20")
    assert "verdict   current" in own.out
    assert later.code == ExitCode.DEGRADED
    assert "expand_group_id (absent)" in later.out
    assert [t.name for t in report.tables if t.is_degraded] == ["tokens"]


def test_an_unknown_target_names_close_ones(run: Run, legacy: Written) -> None:
    """A shape that nobody knows is an error that helps."""
    outcome = run("inspect", legacy.path, "--target", "2026-01-18/df2fa70f0")
    assert outcome.code == ExitCode.OPERATIONAL
    assert "2026-01-18/df2fa70fb" in outcome.err


def test_one_table(run: Run, legacy: Written) -> None:
    """One table is shown with the reason behind each value that is not stored."""
    with untouched(legacy.path):
        outcome = run("inspect", legacy.path, "--table", "tokens")
        result = run("inspect", legacy.path, "--table", "TOKENS", "--json").json["tables"][0]
        missing = run("inspect", legacy.path, "--table", "token_outcomes")
        unknown = run("inspect", legacy.path, "--table", "nonsense")
    assert "run_id: derived. " in outcome.out
    assert result["missing_columns"] == ["run_id", "expand_group_id", "token_data_ref"]
    assert len(result["fingerprint"]) == 64
    assert "whole table is missing" in missing.out
    assert unknown.code == ExitCode.OPERATIONAL
    assert "nonsense" in unknown.err


def test_a_database_of_nobody_that_is_known(run: Run, tmp_path: Path) -> None:
    """What only looks a little like an audit database is not given the name of one."""
    path = tmp_path / "audit.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE runs (run_id)")
        connection.execute("CREATE TABLE nodes (node_id, run_id)")
    with untouched(path):
        outcome = run("inspect", path)
    assert (outcome.code, outcome.err) == (ExitCode.DONE, "")
    assert "shape     none of the known ones comes near\n" in outcome.out


def test_what_is_stored_in_another_way_than_declared(run: Run, legacy: Written) -> None:
    """Another type, and columns that are no one's, are shown beside what is missing."""
    with closing(sqlite3.connect(legacy.path)) as connection:
        connection.execute("ALTER TABLE edges RENAME COLUMN label TO former")
        connection.execute("ALTER TABLE edges ADD COLUMN label INTEGER")
    with untouched(legacy.path):
        outcome = run("inspect", legacy.path, "--table", "edges")
    assert outcome.code == ExitCode.DONE
    assert outcome.out.splitlines()[-3:] == [
        "label: stored INTEGER, declared VARCHAR(64)",
        "label: stored NULL allowed, declared NOT NULL",
        "former: stored but not declared",
    ]


@pytest.mark.parametrize("name", ["a b.db", "q?x.db", "p%20.db", "h#.db", "ünïcode.db", "a&b=c.db"])
def test_odd_paths(run: Run, tmp_path: Path, name: str) -> None:
    """A path means itself, whatever characters are in it."""
    path = tmp_path / name
    build_shape(path, known_shapes()[11].shape, rows=2, long_text=False)
    with untouched(path):
        outcome = run("inspect", path)
    assert outcome.code == ExitCode.DONE
    assert name in outcome.out


def test_a_page_to_look_at(run: Run, legacy: Written, tmp_path: Path) -> None:
    """`--html` writes one page, complete or not at all, and replaces none unasked."""
    page = tmp_path / "page.html"
    with untouched(legacy.path):
        outcome = run("inspect", legacy.path, "--html", page, "--exit-code")
    assert (outcome.code, outcome.out) == (ExitCode.DEGRADED, f"written to {page}\n")
    text = page.read_text(encoding="utf-8")
    assert text.endswith("</html>\n")
    assert sha256(legacy.path.read_bytes()).hexdigest() in text
    assert run("inspect", legacy.path, "--html", page).code == ExitCode.OPERATIONAL
    assert run("inspect", legacy.path, "--html", page, "--force").code == 0
    missing = run("inspect", legacy.path, "--html", tmp_path / "none.html", "--run", "none")
    assert missing.code == ExitCode.OPERATIONAL
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "record"]


def test_a_page_goes_with_nothing_else(run: Run, legacy: Written, tmp_path: Path) -> None:
    """What belongs to the page is refused without it, and the other way round."""
    for words in (["--run", "x"], ["--row", "x"], ["--force"]):
        assert run("inspect", legacy.path, *words).code == ExitCode.USAGE
    for words in (["--json"], ["--table", "rows"], ["--target", "df2fa70fb"]):
        both = run("inspect", legacy.path, "--html", tmp_path / "page.html", *words)
        assert both.code == ExitCode.USAGE


def test_an_empty_name_was_passed_over(run: Run, legacy: Written, tmp_path: Path) -> None:
    """A script whose variable was empty got what it had not asked for."""
    assert run("inspect", legacy.path, "--table", "").code == ExitCode.OPERATIONAL
    page = ("--html", tmp_path / "page.html")
    for words in (("--run", ""), ("--row", ""), (*page, "--table", ""), (*page, "--target", "")):
        assert run("inspect", legacy.path, *words).code == ExitCode.USAGE


def test_a_page_for_standard_output_became_a_file_of_that_name(
    run: Run, legacy: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No page is written there, and that is told."""
    monkeypatch.chdir(tmp_path)
    told = run("inspect", legacy.path, "--html", "-")
    assert (told.code, told.out) == (ExitCode.USAGE, "")
    assert "standard output" in told.err
    assert [*tmp_path.iterdir()] == [legacy.path.parent]
