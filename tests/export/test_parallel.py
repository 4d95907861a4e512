"""Several databases exported at a time give the bag that one after another gives, or none."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from landscape_compat.errors import LandscapeCompatError, OutputError
from landscape_compat.export.signing.signing import SigningKey
from landscape_compat.export.verify.seals import Verifiers
from landscape_compat.export.verify.verify import verify_bag
from landscape_compat.export.whole import export_bag
from landscape_compat.landscape.database import Landscape, open_landscape
from support.legacy import Written
from support.untouched import untouched
from test_legacy_generator import example

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


@pytest.fixture
def databases(legacy: Written, tmp_path: Path) -> list[Path]:
    paths = []
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        paths.append(tmp_path / name / "audit.db")
        shutil.copyfile(legacy.path, paths[-1])
    return paths


@contextmanager
def opened(paths: list[Path]) -> Iterator[list[Landscape]]:
    with ExitStack() as stack:
        for path in paths:
            stack.enter_context(untouched(path))
        yield [stack.enter_context(open_landscape(path)) for path in paths]


def content(bag: Path) -> dict[str, Any]:
    """Give every file of the payload, and the statement but for the times in it."""
    found: dict[str, Any] = {
        path.relative_to(bag).as_posix(): path.read_bytes()
        for path in bag.rglob("*")
        if path.is_file() and "data" in path.parts
    }
    statement = json.loads((bag / "metadata" / "export.intoto.json").read_bytes())
    statement["predicate"].pop("exported_at")
    return {**found, "statement": statement}


def test_the_bag_and_what_is_told_are_the_same(
    databases: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told, logged = [], []
    for jobs in (1, 2):
        with opened(databases) as dbs, warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            export_bag(dbs, tmp_path / f"bag{jobs}", formats=("jsonl", "csv.gz"), jobs=jobs)
        logged.append([record.args for record in caplog.records])
        caplog.clear()
        told.append([(type(one.message), str(one.message)) for one in warned])
    assert content(tmp_path / "bag1") == content(tmp_path / "bag2")
    assert len(content(tmp_path / "bag2")) > 9
    assert told[0] == told[1] != []
    assert logged[0] == logged[1]
    assert len(logged[1]) >= 2 * len(databases)
    assert verify_bag(tmp_path / "bag2", sources=databases).findings == []
    assert len(list((tmp_path / "bag2" / "metadata").glob("*.html"))) == 3


LOGGING = """
import logging, sys, warnings
logging.basicConfig(level=logging.WARNING, format="%(message).60s")
warnings.simplefilter("ignore")
from landscape_compat import export_bag, open_landscape
if __name__ == "__main__":
    *paths, place, jobs = sys.argv[1:]
    export_bag([open_landscape(p) for p in paths], place, jobs=int(jobs), page=False)
"""


def test_a_script_that_sets_up_logging_at_its_top_was_told_all_twice(
    databases: list[Path], tmp_path: Path
) -> None:
    """What spawns a process imports the script there, too."""
    (tmp_path / "script.py").write_text(LOGGING)
    logged = []
    for jobs in ("1", "2"):
        command = [sys.executable, tmp_path / "script.py", *databases, tmp_path / jobs, jobs]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        logged.append(sorted(done.stderr.splitlines()))
    assert logged[0] == logged[1] != []


def test_records_are_signed_by_each_process(tmp_path: Path) -> None:
    (tmp_path / "dbs").mkdir()
    paths = [tmp_path / "dbs" / "a.db", tmp_path / "dbs" / "b.db"]
    for path in paths:
        example().build(path)
    with opened(paths) as dbs:
        signer = SigningKey("key-1", b"secret")
        export_bag(dbs, tmp_path / "bag.zip", signer=signer, page=False, jobs=9)
    told = verify_bag(tmp_path / "bag.zip", sources=paths, verifiers=Verifiers(key=b"secret"))
    assert (told.findings, told.unchecked) == ([], [])
    assert verify_bag(tmp_path / "bag.zip", verifiers=Verifiers(key=b"another")).findings


def test_nothing_is_left_where_one_of_them_fails(databases: list[Path], tmp_path: Path) -> None:
    """The error is the one that a single process raises."""
    with closing(sqlite3.connect(databases[1])) as connection:
        connection.execute("CREATE TABLE mine (number FLOAT)")
        connection.execute("INSERT INTO mine VALUES (9e999)")
        connection.commit()
    (tmp_path / "out").mkdir()
    for jobs in (1, 2):
        with opened(databases) as dbs, pytest.raises(OutputError, match=r"mine\.number: .*inf"):
            export_bag(dbs, tmp_path / "out" / "bag", page=False, jobs=jobs)
        assert list((tmp_path / "out").iterdir()) == []
    assert multiprocessing.active_children() == []


def test_nothing_is_left_where_one_of_them_is_killed(databases: list[Path], tmp_path: Path) -> None:
    """It takes longer to start two than to find and kill one, so that it never comes to its end."""
    (tmp_path / "out").mkdir()
    killed: list[int] = []

    def kill() -> None:
        # Python 3.11.7 waits forever where one dies while another is started.
        while len(children := multiprocessing.active_children()) < 2:
            time.sleep(0.001)
        time.sleep(0.02)
        killed.extend(child.pid for child in children[:1] if child.pid is not None)
        os.kill(killed[0], signal.SIGKILL)

    with opened(databases) as dbs:
        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(LandscapeCompatError, match="was ended from outside") as caught:
            export_bag(dbs, tmp_path / "out" / "bag", jobs=2)
        killer.join()
    assert "001-audit" in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []
    assert multiprocessing.active_children() == []


def test_the_command_takes_jobs(databases: list[Path], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "landscape_compat", "export", *map(str, databases)]
    command += ["-o", str(tmp_path / "bag"), "--jobs", "2", "--no-page"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warning: tokens: not stored as declared" in done.stderr
    assert verify_bag(tmp_path / "bag", sources=databases).findings == []
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == OutputError.exit_code
    command[command.index("2")] = "0"
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2
