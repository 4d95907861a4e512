"""`reset` says what was moved where, and moves nothing that it should not."""

from __future__ import annotations

from pathlib import Path

import pytest

from landscape_compat.errors import ExitCode
from support.commands import Run
from support.legacy import Written
from support.untouched import untouched
from support.wal import writing


def test_as_text(run: Run, legacy: Written) -> None:
    """A line a file on stdout, what comes next on stderr, nothing of what is missing."""
    outcome = run("reset", legacy.path)
    assert outcome.code == ExitCode.DONE
    old, arrow, new = outcome.out.split()
    assert (old, arrow) == (str(legacy.path), "->")
    assert Path(new).exists()
    assert not legacy.path.exists()
    assert outcome.err == "The host makes a fresh database in its place when it next runs.\n"


def test_as_json(run: Run, legacy: Written) -> None:
    """One object with what `reset_database` returns."""
    result = run("reset", "--json", legacy.path).json
    assert (result["kind"], result["version"]) == ("reset", 1)
    assert result["database"] == str(legacy.path)
    assert Path(result["aside"]).exists()
    assert result["sidecars"] == []
    assert len(result["sha256"]) == 64
    assert result["shape"] == ["2026-01-18/df2fa70fb"]


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_every_file_is_told(words: tuple[str, ...], run: Run, legacy: Written) -> None:
    """What lies beside the database, too, and by names that cannot act on a terminal."""
    path = legacy.path.with_name("a\x1b[31m.db")
    legacy.path.rename(path)
    with writing(path) as writer:
        writer.run("PRAGMA journal_mode = WAL", "DELETE FROM calls")
    outcome = run("reset", path, *words)
    name = str(path).replace("\x1b", "\\x1b")
    suffixes = ["", "-wal", "-shm"]
    if words:
        assert outcome.json["sidecars"] == suffixes[1:]
        told = [
            f"{outcome.json['database']}{end} -> {outcome.json['aside']}{end}" for end in suffixes
        ]
    else:
        told = outcome.out.splitlines()
    (moved,) = (str(file) for file in path.parent.iterdir() if file.suffix == ".db")
    moved = moved.replace("\x1b", "\\x1b")
    assert told == [f"{name}{end} -> {moved}{end}" for end in suffixes]


def test_quiet(run: Run, legacy: Written) -> None:
    assert run("reset", "-q", legacy.path).err == ""


def test_a_database_that_is_current_for_the_host_stays(run: Run, legacy: Written) -> None:
    """By the target one says which host is to run."""
    with untouched(legacy.path):
        outcome = run("reset", legacy.path, "--target", "2026-01-18/df2fa70fb")
    assert outcome.code == ExitCode.OPERATIONAL
    assert outcome.out == ""
    assert "nothing was moved" in outcome.err
