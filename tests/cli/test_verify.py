"""`verify` says what it looked at, names what is wrong, and exits with 4."""

from __future__ import annotations

from pathlib import Path

import pytest

from landscape_compat.errors import ExitCode
from support.commands import Run
from support.legacy import Written
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


@pytest.fixture
def bag(run: Run, legacy: Written, tmp_path: Path) -> Path:
    assert run("export", legacy.path, "-o", tmp_path / "bag", "-q").code == ExitCode.DONE
    return tmp_path / "bag"


def test_a_sound_bag(run: Run, bag: Path, legacy: Written) -> None:
    with untouched(legacy.path), untouched(bag / "bagit.txt"):
        outcome = run("verify", bag, "--source", legacy.path)
    assert outcome.code == ExitCode.DONE
    assert outcome.out.splitlines()[-1] == f"{bag} is sound"
    assert "records of audit.db against the jsonl" in outcome.out
    assert outcome.err == ""


def test_an_altered_bag(run: Run, bag: Path) -> None:
    path = bag / "data" / "records.jsonl"
    path.write_bytes(path.read_bytes().replace(b"run", b"ran", 1))
    outcome = run("verify", bag)
    assert outcome.code == ExitCode.INTEGRITY
    wrong = [line for line in outcome.out.splitlines() if line.startswith("WRONG")]
    assert "data/records.jsonl: its SHA-256 is" in wrong[0]
    assert outcome.out.splitlines()[-1] == f"{bag} is NOT sound"


def test_as_json(run: Run, bag: Path) -> None:
    assert run("verify", bag, "--json").json["sound"] is True
    (bag / "bagit.txt").unlink()
    outcome = run("verify", bag, "--json")
    assert outcome.code == ExitCode.INTEGRITY
    assert {"where": "bagit.txt", "what": "is missing"} in outcome.json["findings"]


def test_no_bag(run: Run, tmp_path: Path) -> None:
    outcome = run("verify", tmp_path / "nowhere")
    assert (outcome.code, outcome.out) == (ExitCode.OPERATIONAL, "")
    assert "is not there" in outcome.err
