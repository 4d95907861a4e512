"""`doctor` prints the diagnosis that Python gives, and its exit code says how bad it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import make_url

from landscape_compat import diagnose_database
from landscape_compat.errors import ExitCode, LandscapeCompatError
from support.commands import Run
from support.legacy import Written
from support.untouched import state_of, untouched
from support.wal import left_alone, lose_from_index, make_database, make_state, run_child


def _lines(text: str) -> dict[str, str]:
    lines = [line.split("  ", 1) for line in text.split("\n\n")[0].splitlines()]
    return {head: rest.strip() for head, rest in lines if head}


def _below(text: str) -> list[str]:
    """Give the lines that go on with the one above them."""
    return [line.strip() for line in text.splitlines() if line.startswith(" " * 12)]


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
    found = diagnose_database(legacy.path)
    assert lines["locked by"] == ", ".join(found.locks)
    assert lines["header"] == ", ".join(f"{name} {value}" for name, value in found.header.items())
    assert "sqlite 3." in lines["versions"]
    assert lines.keys().isdisjoint({"file", "next"})
    assert _below(outcome.out) == []


READING = "a program that has it open and is not writing at this moment"
IN_WORDS = {
    "journal_reserved": (
        *("rollback", "read-only", "rollback; no -wal, no -shm, no hot -journal"),
        "a program that is writing",
    ),
    "journal_hot": (
        *("hot-journal", "private-copy", "rollback; no -wal, no -shm, -journal hot"),
        "nobody, as far as locks tell",
    ),
    "wal_live_idle": (
        *("wal-live", "read-only-shm", "WAL; -wal frames, -shm readable, no hot -journal"),
        READING,
    ),
}


@pytest.mark.parametrize("name", IN_WORDS)
def test_a_state_in_words(name: str, run: Run, tmp_path: Path) -> None:
    """Which journal it has, who uses it, and each of its files with its bytes and permissions."""
    path = tmp_path / "audit.db"
    with make_state(name, path), left_alone(path):
        outcome = run("doctor", path)
        files = state_of(path).listing
    lines = _lines(outcome.out)
    told = (lines["state"], lines["opened"], lines["journal"], lines["used by"])
    assert told == IN_WORDS[name]
    head, *table = [line.split() for line in outcome.out.split("\n\n")[1].splitlines()]
    assert head == ["FILE", "BYTES", "MODE"]
    assert {name: (size, mode) for name, size, mode in table} == {
        name: (str(file.size), file.mode) for name, file in files.items()
    }


DOCTOR = """
from contextlib import redirect_stdout
from io import StringIO
from landscape_compat.cli import main
with redirect_stdout(StringIO()) as out:
    main(["doctor", str(path)])
print(json.dumps(out.getvalue()))
"""


@pytest.mark.parametrize(
    ("before", "code", "told"),
    [
        ("", "wal.forbid_locks(37)", "not to be told: this file system cannot lock"),
        (
            *("import fcntl; del fcntl.F_OFD_GETLK, fcntl.F_OFD_SETLK\n", ""),
            "not to be told on this platform",
        ),
    ],
    ids=["failing", "unknown"],
)
def test_locks_that_tell_nothing(before: str, code: str, told: str, tmp_path: Path) -> None:
    """Nobody is said to have a file of which that cannot be told."""
    path = tmp_path / "audit.db"
    make_database(path, "wal")
    with untouched(path):
        lines = _lines(run_child(f"{code}\n{DOCTOR}", path, before=before))
    assert (lines["state"], lines["used by"]) == ("wal-clean", told)


def test_a_symlink_and_the_file_it_leads_to(run: Run, legacy: Written, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(legacy.path)
    with untouched(legacy.path):
        lines = _lines(run("doctor", link).out)
    assert (lines["database"], lines["file"]) == (str(link), str(legacy.path))


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
    assert lines["why"] == f"{path} is empty, so there is nothing to read."
    assert lines["next"].endswith("restore it from a backup if it is.")
    assert lines["encryption"] == "not looked at"
    assert lines.keys().isdisjoint({"state", "journal", "integrity", "header"})
    assert outcome.out.splitlines()[-1].split()[:2] == ["audit.db", "0"]


def test_what_is_no_file_has_no_diagnosis() -> None:
    """A server, or memory; nobody is connected to."""
    for url in ("postgresql://nobody@localhost/x", "sqlite://"):
        with pytest.raises(LandscapeCompatError, match="Only a SQLite database in a file"):
            diagnose_database(make_url(url))


def test_a_database_that_is_not_there_has_no_files(run: Run, tmp_path: Path) -> None:
    outcome = run("doctor", tmp_path / "audit.db")
    assert (outcome.code, outcome.err) == (ExitCode.OPERATIONAL, "")
    assert _lines(outcome.out)["refusal"] == "absent"
    assert outcome.out.splitlines()[-1].startswith("versions ")


def test_random_bytes_may_be_encrypted(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    path.write_bytes(bytes(range(256)) * 64)
    lines = _lines(run("doctor", path).out)
    assert lines["encryption"] == "suspected: it does not begin as a SQLite database"


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
    assert _below(outcome.out) == list(diagnose_database(legacy.path).problems or ())
    outcome = run("doctor", "--check", "none", legacy.path)
    assert outcome.code == ExitCode.DONE
    assert "integrity" not in _lines(outcome.out)


def test_the_full_check_compares_indexes(run: Run, tmp_path: Path) -> None:
    """With their tables, which the quick one, made if none is asked for, does not."""
    path = tmp_path / "audit.db"
    make_database(path)
    lose_from_index(path, "i")
    for words, code in (
        ((), ExitCode.DONE),
        (("--check", "quick"), ExitCode.DONE),
        (("--check", "full"), ExitCode.INTEGRITY),
    ):
        assert run("doctor", path, *words).code == code


def test_the_json_is_the_python_diagnosis(run: Run, legacy: Written) -> None:
    found = run("doctor", "--json", legacy.path).json
    assert (found.pop("kind"), found.pop("version")) == ("doctor", 1)
    expected = diagnose_database(legacy.path).to_dict()
    assert found.pop("files") == [dict(each) for each in expected.pop("files")]
    assert {**found, "locks": tuple(found["locks"]), "problems": ()} == expected
