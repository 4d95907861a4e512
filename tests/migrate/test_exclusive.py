"""One process at a time migrates a database, and nobody else has it open while it is replaced."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import sys
import time
from pathlib import Path

import pytest

from landscape_compat.errors import LandscapeCompatError
from landscape_compat.migrate.exclusive import alone_with, one_at_a_time, writers_of
from support.failing import CALLS
from support.untouched import untouched
from support.wal import ANSWER, make_database, run_child, writing

KERNEL_CAN_REFUSE = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in CALLS,
    reason="the kernel is not told here which calls to refuse",
)
LINUX_TELLS = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="tells of open files: Linux only"
)


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_who_waits_too_long_is_told(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    with one_at_a_time(path, patience=0):
        before = descriptors()
        with (
            pytest.raises(LandscapeCompatError, match="Somebody else has been migrating"),
            one_at_a_time(path, patience=0),
        ):
            pass
        assert descriptors() == before
    with one_at_a_time(path, patience=0):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_whose_name_was_taken_away_is_nobodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who had it before us ends in the moment that we get it, and somebody else begins."""
    path, real = tmp_path / "audit.db", fcntl.flock
    place = path.with_name(".audit.db.migration-lock")

    def flock(descriptor: int, operation: int) -> None:
        real(descriptor, operation)
        monkeypatch.setattr(fcntl, "flock", real)
        place.unlink()
        place.touch()

    monkeypatch.setattr(fcntl, "flock", flock)
    before = descriptors()
    with (
        one_at_a_time(path, patience=10),
        pytest.raises(LandscapeCompatError, match="Somebody else"),
        one_at_a_time(path, patience=0),
    ):
        pass
    assert descriptors() == before


REFUSED = """
import os
from landscape_compat.migrate import exclusive
from support.failing import Failure, fail_call
fail_call(Failure({call!r}, {number}, {command}, argument=1))
before = len(os.listdir("/dev/fd"))
try:
    with exclusive.{name}(path, patience=0):
        said = "nothing"
except (LandscapeCompatError, OSError) as error:
    said = str(error)
print(json.dumps([said, len(os.listdir("/dev/fd")) - before]))
"""


@KERNEL_CAN_REFUSE
@pytest.mark.parametrize(
    ("name", "call", "number", "command", "why"),
    [
        ("one_at_a_time", "flock", errno.ENOLCK, None, os.strerror(errno.ENOLCK)),
        # F_OFD_SETLK, which SQLite does not use.
        ("alone_with", "fcntl", errno.EINVAL, 37, "refuses to lock"),
        ("alone_with", "fcntl", errno.EAGAIN, 37, "is in use"),
    ],
)
def test_a_file_system_without_such_locks(
    tmp_path: Path, name: str, call: str, number: int, command: int | None, why: str
) -> None:
    """It is told, and the file is let go of."""
    path = tmp_path / "audit.db"
    make_database(path)
    code = REFUSED.format(name=name, call=call, number=number, command=command)
    said, left = run_child(code, path)
    assert why in said
    assert left == 0


@LINUX_TELLS
def test_somebody_who_has_it_open_and_is_idle_keeps_us_from_it(tmp_path: Path) -> None:
    """No lock of his tells of him; he is named, and can go on.

    This process was once named beside him, which the operator was to end, too.
    """
    path = tmp_path / "audit.db"
    make_database(path)
    with writing(path) as writer:
        writer.run(ANSWER)
        found = path.stat()
        (process,) = writers_of((found.st_dev, found.st_ino))
        with untouched(path):  # by a process that the first of them starts
            before = descriptors()
            with (
                pytest.raises(LandscapeCompatError, match=rf"in use by process {process}, so"),
                alone_with(path, patience=0.1),
            ):
                pass
            assert descriptors() == before
        writer.run("UPDATE t SET word = 'new'")


@LINUX_TELLS
def test_somebody_who_opens_it_meanwhile_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He cannot begin to read it; when he has given up, nobody has it."""
    path, real, waited = tmp_path / "audit.db", time.sleep, list[float]()
    make_database(path)
    with untouched(path), alone_with(path, patience=0) as unused:
        assert unused(0)
        with writing(path) as writer:
            word, what = writer.attempt("PRAGMA busy_timeout = 0")
            assert (word, what) == ("ok", [[0]])
            assert writer.attempt(ANSWER) == ("error", "database is locked")
            assert not unused(0)

            def sleep(seconds: float) -> None:
                waited.append(seconds)
                writer.close()
                real(seconds)

            monkeypatch.setattr(time, "sleep", sleep)
            assert unused(10)
        assert waited
