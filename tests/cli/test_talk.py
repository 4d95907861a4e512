"""Results fit the terminal that shows them, and are the same everywhere else."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from landscape_compat import WriteRefusedError, open_landscape
from landscape_compat.cli.talk import counted, print_pairs, print_table, set_up_logging
from support.commands import running
from support.legacy import Written
from support.terminal import Shown, in_terminal
from support.untouched import untouched

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
PLAIN = ("rich",)


def test_a_table_that_is_not_shown_is_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    """In a file or a pipe rows are not folded, whatever their length."""
    print_table(("A", "B"), [("x", "word " * 99 + "word")])
    assert capsys.readouterr().out == f"A  B\nx  {'word ' * 99}word\n"


def test_pairs_that_are_not_shown_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    """Terms stand above one another, and what they are in one line behind them."""
    print_pairs([("a", "word " * 49 + "word"), ("long", "\x1b[31m")])
    assert capsys.readouterr().out == f"a     {'word ' * 49}word\nlong  \\x1b[31m\n"


@pytest.mark.parametrize("without", [PLAIN, ()], ids=["plain", "rich"])
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_terminal_is_not_run_over(legacy: Written, columns: int, without: tuple[str]) -> None:
    """However narrow the terminal, no line is longer, and no name is lost."""
    if not without:
        pytest.importorskip("rich")
    shown = in_terminal(["inspect", legacy.path], columns=columns, without=without)
    assert shown.code == 0
    lines = [COLOUR.sub("", line) for line in shown.lines]
    assert [line for line in lines if len(line.rstrip()) > columns] == []
    assert "expand_group_id" in re.sub(r"\s", "", "".join(lines))


def test_no_color_is_heeded(legacy: Written) -> None:
    """With NO_COLOR set, nothing is coloured; without it, heads may be set off."""
    pytest.importorskip("rich")
    quiet = {"NO_COLOR": "1"}
    shown = in_terminal(["versions"], columns=100, environment=quiet)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", shown.text)
    assert "\x1b[1m" in in_terminal(["versions"], columns=100).text


def test_plain_text_has_no_escapes(legacy: Written) -> None:
    """Without rich a terminal gets text and nothing else."""
    shown = in_terminal(["inspect", legacy.path], columns=80, without=PLAIN)
    assert "\x1b" not in shown.text


def test_brackets_in_names_are_no_markup(legacy: Written, tmp_path: Path) -> None:
    """What looks like markup of rich is shown as it is."""
    pytest.importorskip("rich")
    with closing(sqlite3.connect(legacy.path)) as connection, connection:
        connection.execute('CREATE TABLE "[red]x" (y)')
        connection.execute('INSERT INTO "[red]x" VALUES (1)')
    shown = in_terminal(["export", legacy.path, "-o", tmp_path / "out"], columns=200)
    assert shown.code == 0
    assert "[red]x" in shown.text


def test_progress_is_told_to_a_terminal_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """How far an export is, is shown while it lasts, and not at all where nobody looks."""
    items = range(100_000)
    assert list(counted(iter(items), "records", quiet=False)) == list(items)
    assert list(counted(iter(items), "records", quiet=True)) == list(items)
    assert capsys.readouterr() == ("", "")


SLOW = """
import sys, time
from landscape_compat.cli.talk import counted
def slow():
    for number in range(300):
        if number in (0, 200):
            time.sleep(0.25)
        yield number
total = int(sys.argv[1]) or None
found = list(counted(slow(), "records", quiet=len(sys.argv) > 2, total=total, size=lambda _: 2))
assert found == list(range(300))
"""


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        ("1200", ["256 of 1,200 records, N/s, N s left ", "512 of 1,200 records, N/s, N s left "]),
        ("500", ["256 of 500 records, N/s, N s left ", "512 of 500 records, N/s "]),
        ("0", ["256 records, N/s ", "512 records, N/s "]),
    ],
    ids=["so far", "more than expected", "no total"],
)
def test_progress_is_one_line_that_is_gone_at_the_end(total: str, expected: list[str]) -> None:
    """Told now and then, with how fast it goes and how long it will take, if that is known."""
    shown = in_terminal([total], columns=80, code=SLOW)
    assert shown.code == 0
    lines = [re.sub(r"[\d,]+(/s| s left)", r"N\1", line) for line in shown.text.split("\r\x1b[K")]
    assert lines == ["", *expected, ""]


def test_a_quiet_command_tells_no_progress() -> None:
    assert in_terminal(["500", "quiet"], columns=80, code=SLOW) == Shown(0, "")


def test_a_page_that_is_left_out_was_told_by_the_fields_of_its_event(
    legacy: Written, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with closing(sqlite3.connect(legacy.path)) as connection, connection:
        connection.execute("UPDATE runs SET started_at = 'garbage'")
    with running(capsys) as run, untouched(legacy.path):
        told = run("export", legacy.path, "-o", tmp_path / "out").err
    start = "warning: audit.db is exported without its page: The stored value 'garbage' is no "
    assert any(line.startswith(start) for line in told.splitlines())


def test_an_event_without_words_of_its_own_is_its_fields(
    legacy: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(capsys), open_landscape(legacy.path) as db:
        set_up_logging(quiet=False)
        with pytest.raises(WriteRefusedError) as refused, db.connection() as connection:
            connection.exec_driver_sql("DELETE FROM runs")
        (line,) = capsys.readouterr().err.splitlines()[-1:]
    start = f"warning: write_refused: database={legacy.path} reason={refused.value.reason}"
    assert line.startswith(start)
