"""Each operation on a SQLite file in each state sees what was committed, and leaves no trace."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from landscape_compat import diagnose_database, inspect_database, migrate_database, open_landscape
from landscape_compat.errors import LandscapeCompatError, OpeningRefusedError
from landscape_compat.export.records.stream import export_database
from support import states_page, wal
from support.wal import EXPECTED, LIVE_STATES, left_alone, make_state

Answer = tuple[int, int, str]


def _inspect(path: Path, out: Path) -> Answer | None:
    report = inspect_database(path)
    assert report.extra_tables == ("t",)
    return None


def _doctor(path: Path, out: Path) -> Answer | None:
    found = diagnose_database(path)
    if not found.readable:
        assert found.refusal == "in-use"
        raise OpeningRefusedError(found.reason)
    assert found.problems == ()
    return None


def _read(path: Path, out: Path) -> Answer:
    with open_landscape(path) as db, db.connection() as connection:
        count, words, word = connection.exec_driver_sql(wal.ANSWER).one()
        return count, words, word


def _export(path: Path, out: Path) -> Answer:
    with open_landscape(path) as db:
        words = [record["word"] for record in export_database(db)]
    return len(words), len(set(words)), min(words)


def _migrate(path: Path, out: Path) -> Answer:
    migrate_database(path, out / "new.db", keep_extra=True)
    return _export(out / "new.db", out)


DEEDS: dict[str, Callable[[Path, Path], Answer | None]] = {
    "inspect": _inspect,
    "doctor": _doctor,
    "read": _read,
    "export": _export,
    "migrate": _migrate,
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("case", EXPECTED)
def test_each_operation_sees_all_rows_and_leaves_no_trace(case: str, tmp_path: Path) -> None:
    path = tmp_path / "source" / "audit.db"
    path.parent.mkdir()
    with make_state(case, path) as truth:
        for operation, deed in DEEDS.items():
            with left_alone(path):
                answer = deed(path, tmp_path)
            assert answer in (truth, None), operation


@pytest.mark.parametrize("case", LIVE_STATES)
def test_what_a_writer_keeps_to_itself_is_refused_without_a_trace(
    case: str, tmp_path: Path
) -> None:
    path = tmp_path / "source" / "audit.db"
    path.parent.mkdir()
    with make_state(case, path):
        for operation, deed in DEEDS.items():
            with left_alone(path), pytest.raises(LandscapeCompatError) as caught:
                deed(path, tmp_path)
            assert "in use" in str(caught.value), operation
    assert not (tmp_path / "new.db").exists()


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_trace_is_seen(suffix: str, is_there: bool, tmp_path: Path) -> None:
    """Of the database and of each file beside it: one that is new, and one that was touched."""
    path = tmp_path / "audit.db"
    path.touch()
    traced = Path(f"{path}{suffix}")
    if is_there:
        traced.touch()
    with pytest.raises(AssertionError), left_alone(path):
        os.utime(traced, ns=(0, 0)) if traced.exists() else traced.touch()


# The page ----------------------------------------------------------------------------------------


def test_the_page_says_what_is_tested() -> None:
    assert states_page.PAGE.read_text(encoding="utf-8") == states_page.render(), (
        "run: python tests/support/states_page.py"
    )
    assert tuple(DEEDS) == states_page.OPERATIONS
    assert states_page.WORDS.keys() == EXPECTED.keys() | LIVE_STATES.keys()


def test_every_test_that_the_page_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", states_page.render())
    assert named
    for file, test in named:
        text = (states_page.ROOT / file).read_text(encoding="utf-8")
        assert not test or f"def {test}(" in text, test
