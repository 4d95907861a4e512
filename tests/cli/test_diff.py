"""`diff` prints what only one of two databases has, and writes to neither."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from landscape_compat import diff_databases
from landscape_compat.errors import ExitCode
from landscape_compat.landscape.history import shape_named
from support.commands import Run
from support.legacy import Written, build_small
from support.untouched import untouched


@pytest.fixture
def later(tmp_path: Path) -> Path:
    return build_small(tmp_path / "later.db", shape_named("2026-01-21").shape).path


def test_as_text(run: Run, legacy: Written, later: Path) -> None:
    """In the manner of a diff of texts: a head with both, then a line each difference."""
    with untouched(legacy.path):
        outcome = run("diff", legacy.path, later)
    assert outcome.out.splitlines() == [
        f"--- {legacy.path}  2026-01-18/df2fa70fb",
        f"+++ {later}  2026-01-21/3dd0e981e",
        "+ token_outcomes",
        "+ tokens.expand_group_id VARCHAR(32)",
    ]
    assert (outcome.code, outcome.err) == (ExitCode.DONE, "")
    assert run("diff", later, legacy.path).out.splitlines()[2:] == [
        "- token_outcomes",
        "- tokens.expand_group_id VARCHAR(32)",
    ]


def test_the_same_schema(run: Run, legacy: Written) -> None:
    outcome = run("diff", legacy.path, legacy.path, "--exit-code")
    assert outcome.out.endswith("The schemas are the same.\n")
    assert outcome.code == ExitCode.DONE


def test_the_exit_code_if_asked_for(run: Run, legacy: Written, later: Path) -> None:
    assert run("diff", legacy.path, later, "--exit-code").code == ExitCode.DEGRADED


DIFFERENT = {
    "one.db": """
        CREATE TABLE t (
            a INTEGER PRIMARY KEY, b TEXT, c VARCHAR(10) NOT NULL, d, e INTEGER, "f\x1b[31m" TEXT
        );
        CREATE TABLE "only\n" (a);
        CREATE VIEW v AS SELECT a FROM t;
        CREATE TABLE w (a INTEGER);
        CREATE TABLE X (a);
        CREATE VIEW same AS SELECT a FROM w;
    """,
    "two.db": """
        CREATE TABLE T (a INTEGER, b BLOB, c VARCHAR(20), d INTEGER, e, g);
        CREATE TABLE v (a INTEGER);
        CREATE VIEW w AS SELECT a FROM v;
        CREATE TABLE x (a);
        CREATE VIEW same AS SELECT a FROM w;
    """,
}
LINES = r"""
- only\n
! v: view -> table
! w: table -> view
- T.f\x1b[31m TEXT
+ T.g
! T.b: TEXT -> BLOB
! T.d: no type -> INTEGER
! T.e: INTEGER -> no type
! T.a: primary key -> not in the primary key
! T.c: VARCHAR(10) -> VARCHAR(20)
! T.c: NOT NULL -> NULL allowed
"""


def test_every_kind_of_difference(run: Run, tmp_path: Path) -> None:
    """Of databases of anybody, in WAL mode too: no trace of it, and nothing acts on a terminal."""
    one, two = tmp_path / "one.db", tmp_path / "\x1b" / "two.db"
    two.parent.mkdir()
    for path in (one, two):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(DIFFERENT[path.name])
    with untouched(one), untouched(two):
        outcome = run("diff", one, two)
    head, other, *lines = outcome.out.splitlines()
    assert head == f"--- {one}  no known shape"
    assert other == f"+++ {tmp_path}/\\x1b/two.db  no known shape"
    assert lines == LINES.split("\n")[1:-1]
    assert outcome.code == ExitCode.DONE


def test_the_json_is_the_python_result(run: Run, legacy: Written, later: Path) -> None:
    result = run("diff", legacy.path, later, "--json").json
    assert result == {"kind": "diff", "version": 1, **diff_databases(legacy.path, later).to_dict()}
    assert result["tables"][0]["only_second"] == ["expand_group_id"]
