"""`doctor` prints the diagnosis that Python gives, and its exit code says how bad it is."""

from __future__ import annotations

import os
from pathlib import Path

from landscape_compat import diagnose_database
from landscape_compat.errors import ExitCode
from support.commands import Run
from support.legacy import Written
from support.untouched import untouched
from support.wal import make_state


def _lines(text: str) -> dict[str, str]:
    lines = [line.split("  ", 1) for line in text.split("\n\n")[0].splitlines()]
    return {head: rest.strip() for head, rest in lines if head}


def test_a_sound_database(run: Run, legacy: Written) -> None:
    with untouched(legacy.path):
        outcome = run("doctor", legacy.path)
    assert (outcome.code, outcome.err) == (ExitCode.DONE, "")
    lines = _lines(outcome.out)
    assert lines["database"] == str(legacy.path)
    assert lines["verdict"] == "can be read safely"
    assert (lines["state"], lines["opened"]) == ("rollback", "read-only")
    assert lines["why"].startswith("The file uses a rollback journal and needs no recovery")
    assert lines["journal"] == "rollback; no -wal, no -shm, no hot -journal"
    assert lines["used by"] == "nobody, as far as locks tell"
    assert lines["encryption"] == "none"
    assert lines["integrity"] == "no damage found"
    assert "authorizer" in lines["locked by"]
    assert "sqlite 3." in lines["versions"]
    assert outcome.out.splitlines()[-1].split()[0] == legacy.path.name


def test_a_database_that_is_in_use_with_a_wal(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    with make_state("wal_live_idle", path):
        lines = _lines(run("doctor", path).out)
    assert (lines["state"], lines["opened"]) == ("wal-live", "read-only-shm")
    assert lines["journal"] == "WAL; -wal frames, -shm readable, no hot -journal"
    assert lines["used by"] == "a program that has it open and is not writing at this moment"


def test_a_database_whose_writer_died(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    with make_state("journal_hot", path):
        outcome = run("doctor", path)
    lines = _lines(outcome.out)
    assert outcome.code == ExitCode.DONE
    assert (lines["state"], lines["opened"]) == ("hot-journal", "private-copy")
    assert "TMPDIR" in lines["next"]


def test_a_database_that_cannot_be_read_is_reported_on_stdout(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    path.touch()
    outcome = run("doctor", path)
    assert (outcome.code, outcome.err) == (ExitCode.OPERATIONAL, "")
    lines = _lines(outcome.out)
    assert (lines["verdict"], lines["refusal"]) == ("cannot be read safely", "empty")
    assert lines["next"].endswith("restore it from a backup if it is.")
    assert "state" not in lines


def test_a_damaged_database(run: Run, legacy: Written) -> None:
    size = legacy.path.stat().st_size
    descriptor = os.open(legacy.path, os.O_WRONLY)
    os.pwrite(descriptor, b"\xa5" * 4096, size - 4096)
    os.close(descriptor)
    with untouched(legacy.path):
        outcome = run("doctor", legacy.path)
    assert outcome.code == ExitCode.INTEGRITY
    lines = _lines(outcome.out)
    assert lines["verdict"] == "can be read safely, but is damaged"
    assert lines["integrity"] == "damaged"
    assert run("doctor", "--check", "none", legacy.path).code == ExitCode.DONE


def test_the_json_is_the_python_diagnosis(run: Run, legacy: Written) -> None:
    found = run("doctor", "--json", legacy.path).json
    assert (found.pop("kind"), found.pop("version")) == ("doctor", 1)
    expected = diagnose_database(legacy.path).to_dict()
    assert found.pop("files") == [dict(each) for each in expected.pop("files")]
    assert {**found, "locks": tuple(found["locks"]), "problems": ()} == expected
