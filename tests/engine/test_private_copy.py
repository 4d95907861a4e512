"""A private copy is of one moment, for one user, and gone when it is not needed any more."""

from __future__ import annotations

import errno
import gc
import os
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, Table, Text, create_engine

from landscape_compat.engine.attach import Posture, attach
from landscape_compat.engine.descriptors import PENDING, SourceDescriptors, descriptors
from landscape_compat.engine.opening import open_readonly
from landscape_compat.engine.private_copy import PrivateCopy, copy_privately
from landscape_compat.engine.private_folder import sweep_leftovers
from landscape_compat.engine.stamps import Stamps, settle
from landscape_compat.errors import (
    DegradedDatabaseError,
    OpeningRefusedError,
    SourceChangedError,
    UnreadableError,
)
from support import wal
from support.wal import NEW, OLD, left_alone, make_database, make_state


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a database in a folder of its own."""
    folder = tmp_path / "source"
    folder.mkdir()
    return folder / "audit.db"


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Have temporary files go to a folder of their own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    monkeypatch.undo()


def _copy(path: Path) -> PrivateCopy:
    with descriptors().borrow(path) as source:
        return copy_privately(path, source)


def _recovered(copy: PrivateCopy) -> tuple[int, int, str]:
    connection = sqlite3.connect(copy.path, isolation_level=None)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return wal.answer_of(connection)
    finally:
        connection.close()


def _content(path: Path) -> dict[str, bytes]:
    return {
        suffix: Path(f"{path}{suffix}").read_bytes()
        for suffix in ("", "-wal", "-journal")
        if Path(f"{path}{suffix}").exists()
    }


# What is copied -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", wal.STATES | wal.LIVE_STATES)
def test_a_copy_of_any_state_holds_what_was_committed(name: str, path: Path, parent: Path) -> None:
    with make_state(name, path) as truth, left_alone(path):
        copy = _copy(path)
        assert _recovered(copy) == truth
        copy.close()
    assert list(parent.iterdir()) == []


@pytest.mark.parametrize("name", ["journal_hot", "wal_frames", "wal_frames_without_shm"])
def test_a_copy_has_the_bytes_of_its_source(name: str, path: Path, parent: Path) -> None:
    with make_state(name, path):
        copy = _copy(path)
        assert copy.stamps == Stamps.of(path)
        assert _content(copy.path) == _content(path)
        assert not Path(f"{copy.path}-shm").exists()
        copy.close()


def test_a_journal_that_is_hot_is_rolled_back_in_the_copy_alone(path: Path, parent: Path) -> None:
    with make_state("journal_hot", path), left_alone(path):
        connection, opening = open_readonly(path, wal.connect)
        assert opening.copy is not None
        assert wal.answer_of(connection) == OLD
        assert _content(opening.copy.path).keys() == {""}
        assert _content(opening.copy.path) != {"": path.read_bytes()}
        connection.close()
        opening.close()
        assert _content(path).keys() == {"", "-journal"}


def test_only_its_owner_can_reach_a_copy(path: Path, parent: Path) -> None:
    before = os.umask(0)
    try:
        with make_state("wal_frames_without_shm", path):
            path.chmod(0o666)
            connection, opening = open_readonly(path, wal.connect)
    finally:
        os.umask(before)
    [folder] = parent.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    connection.close()
    opening.close()


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_writer_that_races_the_copy_never_makes_it_torn(
    mode: str, tmp_path: Path, parent: Path
) -> None:
    seen: Counter[str] = Counter()
    with wal.churning(tmp_path, mode) as churn:
        while seen.total() < 25 or not seen["whole"]:
            try:
                copy = _copy(churn.path)
            except SourceChangedError:
                seen["gave up"] += 1
                continue
            rows, words, _ = _recovered(copy)
            seen["whole" if (rows, words) == (600, 1) else "torn"] += 1
            copy.close()
    assert seen["torn"] == 0
    assert list(parent.iterdir()) == []


def test_a_source_that_never_settles_is_given_up(
    path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_database(path)
    monkeypatch.setattr(time, "time_ns", lambda: path.stat().st_mtime_ns)
    assert settle(path) is None
    with pytest.raises(SourceChangedError, match="no copy is whole"):
        _copy(path)
    assert list(parent.iterdir()) == []


@pytest.mark.parametrize("call", ["pread", "write"])
@pytest.mark.parametrize("part", ["", "-wal"])
def test_a_source_touched_while_it_is_copied_is_given_up(
    part: str, call: str, path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if that was after its last byte was read."""
    with make_state("wal_frames" if part else "rollback", path):
        real = getattr(os, call)

        def touch(*words: Any) -> Any:
            os.utime(f"{path}{part}")
            return real(*words)

        tempfile.gettempdir()
        monkeypatch.setattr(os, call, touch)
        with pytest.raises(SourceChangedError, match="no copy is whole"):
            _copy(path)
    assert list(parent.iterdir()) == []


@pytest.mark.parametrize("call", ["pread", "write"])
@pytest.mark.parametrize("part", ["-wal", "-journal"])
def test_a_part_that_goes_while_it_is_copied_costs_another_attempt(
    part: str, call: str, path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_database(path)
    Path(f"{path}{part}").touch()
    real = getattr(os, call)

    def unlink(*words: Any) -> Any:
        Path(f"{path}{part}").unlink(missing_ok=True)
        return real(*words)

    tempfile.gettempdir()
    monkeypatch.setattr(os, call, unlink)
    copy = _copy(path)
    assert _content(copy.path).keys() == {""}
    copy.close()
    assert list(parent.iterdir()) == []


def test_a_source_replaced_under_its_descriptor_is_not_copied(path: Path, parent: Path) -> None:
    make_database(path)
    make_database(path.with_name("other"), "wal")
    with descriptors().borrow(path) as source:
        path.with_name("other").replace(path)
        with pytest.raises(SourceChangedError):
            copy_privately(path, source)
    assert list(parent.iterdir()) == []


def test_stamps_settle_only_when_a_change_would_show(path: Path) -> None:
    make_database(path)
    assert Stamps.of(path).fresh
    stamps = settle(path)
    assert stamps == Stamps.of(path)
    assert stamps is not None
    assert not stamps.fresh


def test_a_stamp_from_the_future_is_not_waited_for(path: Path) -> None:
    make_database(path)
    os.utime(path, (4_000_000_000, 4_000_000_000))
    assert settle(path) is not None


# How it goes ----------------------------------------------------------------------------------


def test_closing_twice_does_nothing(path: Path, parent: Path) -> None:
    make_database(path)
    copy = _copy(path)
    assert not copy.closed
    copy.close()
    copy.close()
    assert copy.closed
    assert list(parent.iterdir()) == []


def test_a_forgotten_copy_goes(path: Path, parent: Path) -> None:
    make_database(path)
    copy = _copy(path)
    del copy
    gc.collect()
    assert list(parent.iterdir()) == []


@pytest.mark.parametrize(
    ("posture", "schema", "error"),
    [
        ("degrade", "CREATE TABLE t (", UnreadableError),
        ("refuse", "CREATE TABLE t (word)", DegradedDatabaseError),
    ],
)
def test_a_copy_that_is_of_no_use_goes_at_once(
    path: Path, parent: Path, posture: Posture, schema: str, error: type[Exception]
) -> None:
    """And not when the error, which holds on to all it came by, is forgotten."""
    live = path.parent.parent / "live.db"
    with closing(sqlite3.connect(live, isolation_level=None)) as writer:
        for statement in ("journal_mode = WAL", "wal_autocheckpoint = 0", "writable_schema = ON"):
            writer.execute(f"PRAGMA {statement}").close()
        writer.execute("CREATE TABLE t (word)")
        writer.execute("UPDATE sqlite_master SET sql = ?", (schema,))
        for suffix in ("", "-wal"):
            shutil.copy(f"{live}{suffix}", f"{path}{suffix}")
    engine = create_engine(f"sqlite:///{path}")
    declared = Table("t", MetaData(), Column("word", Text), Column("added", Text))
    attach(engine, declared.metadata, posture=posture)
    with left_alone(path), pytest.raises(error) as caught:
        engine.connect()
    assert caught.tb is not None
    assert list(parent.iterdir()) == []


_HOLD = """
import signal
with descriptors().borrow(path) as source:
    copy = copy_privately(path, source)
print(json.dumps(str(copy.path)), flush=True)
"""


@pytest.mark.parametrize("end", ["", "sys.exit(0)", "1/0", "os.kill(os.getpid(), signal.SIGINT)"])
def test_a_copy_goes_with_its_process(end: str, path: Path, parent: Path) -> None:
    make_database(path)
    process = _start(path, _HOLD + end)
    process.communicate()
    assert list(parent.iterdir()) == []


def _start(path: Path, code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        wal.child_command(code, path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def test_the_leftover_of_a_crash_goes_with_the_next_copy(path: Path, parent: Path) -> None:
    make_database(path)
    process = _start(path, _HOLD + "os.kill(os.getpid(), signal.SIGKILL)")
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    [leftover] = parent.iterdir()
    assert (leftover / "copy.db").exists()
    copy = _copy(path)
    assert list(parent.iterdir()) == [copy.path.parent]
    assert copy.path.parent != leftover
    copy.close()


def test_the_copy_of_a_living_process_is_left_alone(path: Path, parent: Path) -> None:
    make_database(path)
    process = _start(path, _HOLD + "sys.stdin.read()")
    assert process.stdout is not None
    held = process.stdout.readline()
    assert sweep_leftovers(parent) == 0
    copy = _copy(path)
    assert sweep_leftovers(parent) == 0
    assert len(list(parent.iterdir())) == 2
    copy.close()
    assert str(next(parent.iterdir())) in held
    process.communicate()
    assert list(parent.iterdir()) == []


def test_a_fork_that_ends_leaves_the_copy_of_its_parent(path: Path, parent: Path) -> None:
    make_database(path)
    code = """
with descriptors().borrow(path) as source:
    copy = copy_privately(path, source)
if not os.fork():
    copy.close()
    sys.exit(0)
os.wait()
print(json.dumps(copy.path.exists()))
"""
    assert wal.run_child(code, path) is True
    assert list(parent.iterdir()) == []


def test_a_removal_that_is_cut_short_is_ended_by_the_next_sweep(
    path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What tells whose it is goes last."""
    make_database(path)
    copy = _copy(path)

    def unlink(*words: Any, real: Any = os.unlink, **more: Any) -> None:
        real(*words, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", unlink)
        with pytest.raises(KeyboardInterrupt):
            copy.close()
    assert [file.name for file in copy.path.parent.iterdir()] == ["owner.lock"]
    assert sweep_leftovers(parent) == 1
    assert list(parent.iterdir()) == []


def test_the_leftover_of_another_user_is_his(
    path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_database(path)
    process = _start(path, _HOLD + "os.kill(os.getpid(), signal.SIGKILL)")
    process.communicate()
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        assert sweep_leftovers(parent) == 0
    assert sweep_leftovers(parent) == 1


def test_many_threads_copy_at_a_time(path: Path, parent: Path) -> None:
    with make_state("wal_frames_without_shm", path), left_alone(path):
        seen: list[object] = []

        def read() -> None:
            for _ in range(4):
                try:
                    seen.append(wal.read(path).answer)
                except Exception as error:
                    seen.append(error)

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Counter(map(str, seen)) == {str(NEW): 32}
    assert list(parent.iterdir()) == []


# No room --------------------------------------------------------------------------------------


def test_a_copy_that_would_not_fit_is_refused_before_it_is_begun(path: Path, parent: Path) -> None:
    make_database(path)
    os.truncate(path, 1 << 43)  # 8 TiB, none of it on the disk
    with pytest.raises(
        OpeningRefusedError, match=r"takes 8,388,6\d\d\.\d MiB in .* are free"
    ) as no:
        _copy(path)
    assert "TMPDIR" in str(no.value.remedy)
    assert list(parent.iterdir()) == []


def test_room_is_needed_for_every_part(
    path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the -wal twice: as it is, and as the pages that it adds; and some to recover in."""
    make_database(path)
    for part, size in (("-wal", 3000), ("-journal", 500)):
        Path(f"{path}{part}").write_bytes(bytes(size))
    needed = path.stat().st_size + 2 * 3000 + 500 + (4 << 20)
    for free in (needed - 1, needed):
        place = SimpleNamespace(f_bavail=free, f_frsize=1)
        monkeypatch.setattr(os, "statvfs", lambda _, place=place: place)
        if free < needed:
            with pytest.raises(OpeningRefusedError, match=r"takes 4\.1 MiB in .* are free"):
                _copy(path)
        else:
            _copy(path).close()
    assert list(parent.iterdir()) == []


def test_a_disk_that_fills_up_meanwhile_leaves_nothing_behind(path: Path, parent: Path) -> None:
    make_database(path)
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, {resource.RLIM_INFINITY}))
try:
    with descriptors().borrow(path) as source:
        copy_privately(path, source)
except LandscapeCompatError as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""
    kind, message = wal.run_child(code, path)
    assert kind == "OpeningRefusedError"
    assert "could not be copied" in message
    assert "File too large" in message
    assert list(parent.iterdir()) == []


def test_a_copy_that_fails_goes_at_once(
    path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only when the error is forgotten; where no folder can be written to, none is begun."""
    make_database(path)

    def write(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for folder, why in ((str(parent), "No space left"), (None, "No usable temporary directory")):
        with monkeypatch.context() as patch:
            patch.setattr(tempfile, "tempdir", folder)
            patch.setattr(os, "write", write)
            with pytest.raises(OpeningRefusedError, match=why) as caught:
                _copy(path)
        assert caught.tb
        assert list(parent.iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_refused(path: Path) -> None:
    make_database(path)
    with (
        descriptors().borrow(path) as source,
        pytest.raises(OpeningRefusedError, match="could not be copied to a private folder") as no,
    ):
        copy_privately(path, source, parent=path)
    assert f" ({path}/landscape-compat-copy-" in str(no.value)


def test_a_place_where_others_could_enter_is_refused(
    path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system without permissions gives a folder to everybody."""
    make_database(path)
    made = tempfile.mkdtemp

    def mkdtemp(*words: Any, **more: Any) -> str:
        folder = Path(made(*words, **more))
        folder.chmod(0o755)
        return str(folder)

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    with pytest.raises(OpeningRefusedError, match="others could enter a folder there"):
        _copy(path)
    assert list(parent.iterdir()) == []


# Descriptors ----------------------------------------------------------------------------------


def _open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_a_file_has_one_descriptor_however_often_it_is_borrowed(path: Path) -> None:
    make_database(path)
    kept = SourceDescriptors()
    with kept.borrow(path) as source:
        first = source.descriptor
    before = _open_descriptors()
    for _ in range(100):
        with kept.borrow(path) as source, kept.borrow(path) as again:
            assert source.descriptor == again.descriptor == first
    assert _open_descriptors() == before


def test_a_replaced_file_gets_a_descriptor_of_its_own(path: Path) -> None:
    make_database(path)
    kept = SourceDescriptors()
    with kept.borrow(path) as source:
        old = os.fstat(source.descriptor).st_ino
    make_database(path.with_name("other"))
    path.with_name("other").replace(path)
    with kept.borrow(path) as source:
        assert os.fstat(source.descriptor).st_ino == path.stat().st_ino != old


def test_a_descriptor_of_a_file_that_has_one_already_stays_open(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A race may open it under another's name; closing it would drop this process's locks."""
    other = path.with_name("other.db")
    for each in (path, other):
        make_database(each)
    kept = SourceDescriptors()
    with kept.borrow(path) as source:
        first = source.descriptor
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute(wal.ANSWER).fetchone()
    real = os.open

    def renaming(*words: Any) -> int:
        path.replace(other)
        return real(*words)

    monkeypatch.setattr(os, "open", renaming)
    with kept.borrow(other) as source:
        assert source.descriptor == first
    monkeypatch.undo()
    assert len(kept) == 1
    with wal.writing(other) as writer:
        writer.run("PRAGMA busy_timeout = 0")
        assert writer.attempt("UPDATE t SET word = 'new'") == ("error", "database is locked")
    reader.close()


def test_beyond_the_limit_those_that_nobody_has_locked_make_room(tmp_path: Path) -> None:
    kept = SourceDescriptors(limit=4)
    paths = [tmp_path / f"{number}.db" for number in range(12)]
    for path in paths:
        make_database(path)
    reader = sqlite3.connect(paths[0], isolation_level=None)
    reader.execute("BEGIN")
    reader.execute(wal.ANSWER).fetchone()
    before = _open_descriptors()
    for path in paths:
        with kept.borrow(path):
            pass
        assert len(kept) <= 4
    assert _open_descriptors() == before + 4
    with wal.writing(paths[0]) as writer:
        writer.run("PRAGMA busy_timeout = 0")
        assert writer.attempt("UPDATE t SET word = 'new'") == ("error", "database is locked")
    reader.close()


def test_beyond_the_limit_borrowed_ones_make_no_room(tmp_path: Path) -> None:
    kept = SourceDescriptors(limit=1)
    for name in ("a.db", "b.db"):
        make_database(tmp_path / name)
    with (
        kept.borrow(tmp_path / "a.db"),
        pytest.raises(OSError, match="too many databases"),
        kept.borrow(tmp_path / "b.db"),
    ):
        raise AssertionError
    with kept.borrow(tmp_path / "b.db"):
        assert len(kept) == 1


def test_a_lock_is_told_by_kind_and_without_taking_one(path: Path) -> None:
    make_database(path)
    with wal.writing(path) as writer, descriptors().borrow(path) as source:
        assert (source.locked(0, 0), source.written(PENDING, 600)) == (False, False)
        writer.run("BEGIN", wal.ANSWER)
        assert (source.locked(0, 0), source.written(PENDING, 600)) == (True, False)
        writer.run("ROLLBACK", "BEGIN IMMEDIATE")
        assert (source.locked(0, 0), source.written(PENDING, 600)) == (True, True)
        writer.run("ROLLBACK", "BEGIN EXCLUSIVE", "ROLLBACK")
        assert source.locked(0, 0) is False


def test_a_pin_keeps_the_sidecars_of_a_writer_that_closes(path: Path) -> None:
    make_database(path, "wal")
    kept = descriptors()
    for pinned in (True, False):
        with wal.writing(path) as writer, kept.borrow(path) as source:
            writer.run("UPDATE t SET word = 'new'")
            if pinned:
                with kept.pin(source), kept.pin(source):
                    writer.close()
            else:
                writer.close()
        assert Path(f"{path}-wal").exists() is pinned


def test_a_pin_is_not_had_while_a_writer_is_alone(path: Path) -> None:
    make_database(path)
    kept = descriptors()
    with wal.writing(path) as writer, kept.borrow(path) as source:
        writer.run("BEGIN EXCLUSIVE")
        with pytest.raises(BlockingIOError), kept.pin(source):
            raise AssertionError
        writer.run("ROLLBACK")
        with kept.pin(source):
            assert writer.attempt("PRAGMA busy_timeout = 0")[0] == "ok"
            assert writer.attempt("BEGIN EXCLUSIVE") == ("error", "database is locked")


def test_a_program_started_from_here_inherits_no_descriptor(path: Path) -> None:
    make_database(path)
    with descriptors().borrow(path) as source:
        assert not os.get_inheritable(source.descriptor)
        listing = subprocess.run(
            [sys.executable, "-I", "-S", "-c", "import os; print(os.listdir('/dev/fd'))"],
            capture_output=True,
            text=True,
            check=True,
            close_fds=False,
        ).stdout
    assert f"'{source.descriptor}'" not in listing or source.descriptor < 8
