"""`migrate` says what it made, what it left out, and which rows the new shape refuses."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from landscape_compat.errors import ExitCode, count_of
from landscape_compat.landscape.history import known_shapes
from support.commands import Run
from support.hosts import build_record, places
from support.legacy import Written, build_small
from support.untouched import untouched


@pytest.fixture
def orphaned(tmp_path: Path) -> Iterator[Written]:
    """Give a database whose rows refer to rows that are not there, and see that it stays so."""
    folder = tmp_path / "orphaned"
    folder.mkdir()
    written = build_small(folder / "audit.db", known_shapes()[20].shape, orphans=True)
    with untouched(written.path):
        yield written


def test_rows_that_are_refused_are_the_result(run: Run, orphaned: Written, tmp_path: Path) -> None:
    """Each on a line of its own, or as JSON; the error is beside it, and nothing is made."""
    new = tmp_path / "new.db"
    outcome = run("migrate", orphaned.path, "-o", new)
    assert outcome.code == ExitCode.INTEGRITY
    lines = outcome.out.splitlines()
    assert lines
    assert all(line.startswith("refused   ") for line in lines)
    assert "FOREIGN KEY constraint failed" in lines[-1]
    assert "--quarantine" in outcome.err
    told = run("migrate", orphaned.path, "-o", new, "--json")
    assert told.code == ExitCode.INTEGRITY
    assert told.json == {
        "kind": "migrate",
        "version": 1,
        "path": None,
        "refused": [line.removeprefix("refused   ") for line in lines],
    }
    assert not new.exists()


def test_rows_in_quarantine_are_named(run: Run, orphaned: Written, tmp_path: Path) -> None:
    """Last of all, each on a line, as the proof names them."""
    new = tmp_path / "new.db"
    outcome = run("migrate", orphaned.path, "-o", new, "--quarantine")
    assert outcome.code == ExitCode.DONE
    assert outcome.out.startswith(f"made      {new}\n")
    proof = json.loads(Path(f"{new}.intoto.json").read_bytes())
    named = proof["predicate"]["quarantined"]
    assert named
    assert outcome.out.splitlines()[-len(named) :] == [f"refused   {row}" for row in named]


def test_what_is_left_out_was_counted_by_a_dot_in_its_name(run: Run, tmp_path: Path) -> None:
    """A table's rows were told as values, one of them as several, and none as something."""
    folder = tmp_path / "record"
    folder.mkdir()
    written = build_small(folder / "audit.db", known_shapes()[-1].shape)
    with closing(sqlite3.connect(written.path)) as connection, connection:
        connection.execute('CREATE TABLE ".hidden" AS SELECT 1 AS a')
        connection.execute('CREATE TABLE "two.rows" AS SELECT 1 AS a UNION SELECT 2')
        connection.execute("CREATE TABLE empty (a)")
        connection.execute("ALTER TABLE runs ADD COLUMN mine")
        connection.execute("UPDATE runs SET mine = 1")
        ((runs,),) = connection.execute("SELECT count(*) FROM runs")
    with untouched(written.path):
        outcome = run("migrate", written.path, "-o", tmp_path / "new.db")
    assert outcome.code == ExitCode.DONE, outcome.err
    lines = [line for line in outcome.out.splitlines() if line.startswith("left out")]
    assert lines == [
        f"left out  runs.mine: {count_of(runs, 'value')}",
        "left out  .hidden: 1 row",
        "left out  two.rows: 2 rows",
    ]


def test_rows_that_the_host_makes_itself_are_counted(run: Run, tmp_path: Path) -> None:
    """The old ones are not copied over them."""
    written = build_record(tmp_path / "record", known_shapes()[-1].name)
    with places(tmp_path) as place, untouched(written.path):
        place("newest")
        outcome = run("migrate", written.path, "-o", tmp_path / "new.db", "--host")
    assert outcome.code == ExitCode.DONE, outcome.err
    count = len(written.tables["elspeth_schema_identity"].rows)
    old = count_of(count, "old row")
    said = f"elspeth_schema_identity: the host's own; {old} not copied"
    assert f"host's    {said}\n" in outcome.out
