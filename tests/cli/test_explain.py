"""`explain` prints the lineage of a row or token as a tree, with what is absent marked."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from landscape_compat import explain, open_landscape
from landscape_compat.cli.explain import _print_rich
from landscape_compat.errors import ExitCode
from landscape_compat.landscape.history import shape_named
from support.chains import LENGTH, add_chain
from support.commands import Run
from support.legacy import Written, build_small
from support.terminal import in_terminal
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


@pytest.fixture
def names(legacy: Written) -> tuple[str, str, str]:
    """Name a run, a row of it that has a token, and that token."""
    run_id = legacy.run_ids[0]
    token = legacy.tables["tokens"].dicts(run_id)[0]
    return run_id, str(token["row_id"]), str(token["token_id"])


def test_a_row_as_text(run: Run, legacy: Written, names: tuple[str, str, str]) -> None:
    run_id, row_id, token_id = names
    with untouched(legacy.path):
        outcome = run("explain", legacy.path, "--run", run_id, "--row", row_id)
    lines = outcome.out.splitlines()
    assert lines[0].startswith(f"run  run_id={run_id}")
    assert lines[1].startswith(f"└─ row  row_id={row_id}")
    (token,) = [line for line in lines if f"  token_id={token_id}" in line]
    assert token.lstrip("│└├─ ").startswith("token  ")
    assert "(absent: expand_group_id)" in token
    assert any(
        "token outcome  (absent: the database does not hold token_outcomes)" in x for x in lines
    )
    assert (outcome.code, outcome.err) == (ExitCode.DONE, "")


def test_a_token_as_text(run: Run, legacy: Written, names: tuple[str, str, str]) -> None:
    run_id, _, token_id = names
    outcome = run("explain", legacy.path, "--run", run_id, "--token", token_id)
    assert f"token  token_id={token_id}" in outcome.out


def test_a_run_as_text(run: Run, legacy: Written, names: tuple[str, str, str]) -> None:
    """Without a row or token: the run and its pipeline."""
    outcome = run("explain", legacy.path, "--run", names[0])
    lines = outcome.out.splitlines()
    assert len(lines) == 1 + len(legacy.tables["nodes"].dicts(names[0]))
    assert all("node  node_id=" in line for line in lines[1:])


def test_the_json_is_the_python_result(
    run: Run, legacy: Written, names: tuple[str, str, str]
) -> None:
    run_id, row_id, _ = names
    result = run("explain", legacy.path, "--run", run_id, "--row", row_id, "--json").json
    with open_landscape(legacy.path) as db:
        lineage = explain(db, run_id, row=row_id).to_dict()
    assert result == {"kind": "explain", "version": 1, "lineage": lineage}


def test_what_is_shown_of_a_value(run: Run, legacy: Written) -> None:
    """No NULL, of a long one its beginning, and nothing that acts on a terminal."""
    with closing(sqlite3.connect(legacy.path)) as connection, connection:
        connection.execute(
            "UPDATE runs SET completed_at = NULL, status = 'a\x1b[31m', reproducibility_grade = ?",
            ("g" * 161,),
        )
    line = run("explain", legacy.path, "--run", legacy.run_ids[0]).out.splitlines()[0]
    assert "completed_at" not in line
    assert "  status=a\\x1b[31m  " in line
    assert line.endswith(f"  reproducibility_grade={'g' * 159}…")


@pytest.mark.parametrize(
    ("shape", "held", "twin"),
    [("2026-01-25", "is_terminal", "completed"), ("2026-07-18", "completed", "is_terminal")],
)
def test_one_flag_under_two_names(
    run: Run, shape: str, held: str, twin: str, tmp_path: Path
) -> None:
    """The name that a database does not hold is not missing."""
    written = build_small(tmp_path / "audit.db", shape_named(shape).shape)
    run_id, token_id = (
        written.tables["token_outcomes"].dicts(written.run_ids[0])[0][name]
        for name in ("run_id", "token_id")
    )
    out = run("explain", written.path, "--run", run_id, "--token", token_id).out
    outcomes = [line for line in out.splitlines() if "token outcome  " in line]
    assert outcomes
    for line in outcomes:
        assert f"  {held}=" in line
        assert twin not in line


@pytest.mark.parametrize(
    "words", [(), ("--run", "r", "--row", "a", "--token", "b")], ids=["no run", "row and token"]
)
def test_what_is_asked_must_be_one_thing(run: Run, legacy: Written, words: tuple[str, ...]) -> None:
    assert run("explain", legacy.path, *words).code == ExitCode.USAGE


def test_on_a_terminal(legacy: Written, names: tuple[str, str, str]) -> None:
    """A tree in rich text, what is absent dim; the plain one if asked for, or without rich."""
    words = ("explain", legacy.path, "--run", names[0], "--row", names[1])
    plain = in_terminal((*words, "--plain"), columns=400)
    assert "\x1b[" not in plain.text
    without = in_terminal(words, columns=400, without=("rich.console", "rich.tree"))
    assert without.text == plain.text
    pytest.importorskip("rich", reason="rich is not installed")
    rich = in_terminal(words, columns=400)
    assert rich.code == ExitCode.DONE
    assert "\x1b[1mrun\x1b[0m  run_id=" in rich.text
    assert "\x1b[2mtoken outcome\x1b[0m  (absent: " in rich.text


def test_a_chain_longer_than_calls_go_deep(
    run: Run, legacy: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    """The text has all of it, and so has the rich one; that JSON cannot is said."""
    run_id, row_id = add_chain(legacy)
    words = ("explain", legacy.path, "--run", run_id, "--row", row_id)
    with untouched(legacy.path):
        text, as_json = run(*words), run(*words, "--json")
    (last,) = [line for line in text.out.splitlines() if f"  token_id=T{LENGTH}" in line]
    assert last.index("token  ") == 3 * (LENGTH + 1)
    assert (text.code, text.err) == (ExitCode.DONE, "")
    # Some Pythons write it at that depth, too.
    if as_json.code:
        assert (as_json.code, as_json.out) == (ExitCode.OPERATIONAL, "")
        assert "Leave out --json" in as_json.err
    pytest.importorskip("rich", reason="rich is not installed")
    with open_landscape(legacy.path) as db:
        assert _print_rich(explain(db, run_id, row=row_id))
    assert capsys.readouterr().out.startswith("run")


def test_what_is_not_there(run: Run, legacy: Written) -> None:
    outcome = run("explain", legacy.path, "--run", "none")
    assert (outcome.code, outcome.out) == (ExitCode.OPERATIONAL, "")
    assert "no run 'none'" in outcome.err


def test_a_run_that_cannot_be_read_hid_that_another_is_not_there(run: Run, legacy: Written) -> None:
    with closing(sqlite3.connect(legacy.path)) as connection, connection:
        connection.execute("UPDATE runs SET status = CAST(x'ff' AS TEXT) WHERE rowid = 1")
    outcome = run("explain", legacy.path, "--run", "none")
    assert outcome.code == ExitCode.OPERATIONAL
    assert "no run 'none'" in outcome.err


def test_with_rich_and_without(
    legacy: Written,
    names: tuple[str, str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where rich is installed a terminal gets its tree; elsewhere the plain one stands in."""
    with open_landscape(legacy.path) as db:
        tree = explain(db, names[0], row=names[1])
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert not _print_rich(tree)
    monkeypatch.undo()
    pytest.importorskip("rich", reason="rich is not installed")
    monkeypatch.setenv("COLUMNS", "400")
    assert _print_rich(tree)
    out = capsys.readouterr().out
    assert out.startswith("run  run_id=")
    assert "(absent: expand_group_id)" in out
