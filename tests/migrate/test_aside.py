"""`reset_database` moves a stale database aside whole, or leaves it where it is."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, redirect_stderr
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from landscape_compat import inspect_database, open_landscape, reset_database
from landscape_compat.cli import main
from landscape_compat.engine.stamps import settle as settled
from landscape_compat.errors import (
    LandscapeCompatError,
    NotALandscapeError,
    OpeningRefusedError,
    OutputError,
)
from landscape_compat.landscape.history import known_shapes
from landscape_compat.migrate import aside
from support import wal
from support.killing import ended_at_every_step, interrupted_at
from support.legacy import Written, build_shape
from support.untouched import untouched
from support.wal import left_alone, run_child, writing

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

ADD_RUN = (
    "INSERT INTO runs (run_id, started_at, config_hash, settings_json, canonical_version, status) "
    "VALUES ('late', '2026-01-19 00:00:00', 'x', '{}', '1', 'running')"
)
COUNT = "SELECT count(*) FROM runs"

# Ends as a kill would, at the n-th of the calls that change a folder or make a change last.
KILLED = """
import os, sys
path, at = sys.argv[1], int(sys.argv[2])
calls = 0

def ending(real):
    def call(*words, **more):
        global calls
        calls += 1
        if calls == at:
            os._exit(9)
        return real(*words, **more)
    return call

os.link, os.unlink, os.fsync = map(ending, (os.link, os.unlink, os.fsync))
from landscape_compat import reset_database
reset_database(path)
"""


def digest_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def count_of(path: Path) -> int:
    with open_landscape(path) as db, db.connection() as connection:
        return int(connection.exec_driver_sql(COUNT).scalar_one())


def leave_frames(legacy: Written) -> int:
    """Leave a committed row in the `-wal`, with nobody connected; tell how many runs there are."""
    with writing(legacy.path) as writer:
        writer.run("PRAGMA journal_mode=WAL", "PRAGMA wal_autocheckpoint=0", ADD_RUN)
        ((count,),) = writer.run(COUNT)
    assert Path(f"{legacy.path}-wal").stat().st_size
    return int(count)


@pytest.fixture
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the clock show the day before."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_elsewhere")
def test_it_goes_to_a_name_with_its_day_and_digest(legacy: Written) -> None:
    """Same file, same bytes, same time of change; nothing else appears in the folder."""
    os.utime(legacy.path, (1768780800, 1768780800))
    before, digest = legacy.path.stat(), digest_of(legacy.path)
    moved = reset_database(legacy.path)
    assert moved.aside.name == f"audit.2026-01-19.{digest[:12]}.db"
    assert (moved.database, moved.sidecars, moved.sha256) == (legacy.path, (), digest)
    assert moved.shape == ("2026-01-18/df2fa70fb",)
    after = moved.aside.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_nlink) == (
        before.st_ino,
        before.st_mtime_ns,
        1,
    )
    assert digest_of(moved.aside) == digest
    assert list(legacy.path.parent.iterdir()) == [moved.aside]
    assert count_of(moved.aside) == len(legacy.run_ids)


def test_what_waits_in_the_wal_goes_with_it(legacy: Written) -> None:
    """A committed row that is in the `-wal` alone is read at the new name, and not at the old."""
    count = leave_frames(legacy)
    moved = reset_database(legacy.path)
    assert "-wal" in moved.sidecars
    assert not [p for p in legacy.path.parent.iterdir() if p.name.startswith("audit.db")]
    assert count_of(moved.aside) == count == len(legacy.run_ids) + 1


def test_a_journal_goes_with_it(legacy: Written) -> None:
    """A `-journal` that was left at the old name would be taken for that of the fresh one."""
    with writing(legacy.path) as writer:
        writer.run("PRAGMA journal_mode=PERSIST", ADD_RUN)
    moved = reset_database(legacy.path)
    assert moved.sidecars == ("-journal",)
    names = {moved.aside.name, f"{moved.aside.name}-journal"}
    assert {file.name for file in legacy.path.parent.iterdir()} == names


def test_each_step_is_on_the_disk_before_the_next(
    legacy: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new name before the old one goes, and that it went before it is told."""
    folder, real = legacy.path.parent, os.fsync
    seen: list[set[str]] = []

    def fsync(descriptor: int) -> None:
        seen.append({file.name for file in folder.iterdir()})
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    moved = reset_database(legacy.path)
    assert seen == [{"audit.db", moved.aside.name}, {moved.aside.name}]


def test_a_symlink_stays_and_its_file_moves(legacy: Written, tmp_path: Path) -> None:
    """The file is moved beside itself, where its `-wal` would be looked for."""
    link = tmp_path / "link.db"
    link.symlink_to(legacy.path)
    moved = reset_database(link)
    assert moved.aside.parent == legacy.path.parent
    assert link.is_symlink()
    assert not link.exists()


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_database_in_use_stays(legacy: Written, mode: str) -> None:
    """Of another process's idle connection, too, which holds no lock on a rollback journal."""
    with writing(legacy.path) as writer:
        writer.run(f"PRAGMA journal_mode={mode}", COUNT)
        if mode == "delete" and not Path("/proc/self/fd").exists():
            pytest.skip("this platform does not tell who has a file open")
        with left_alone(legacy.path), pytest.raises(LandscapeCompatError, match="in use"):
            reset_database(legacy.path)
        writer.close()
    assert reset_database(legacy.path).aside.exists()


@pytest.mark.parametrize(
    "statements", [("PRAGMA journal_mode=wal", COUNT), ("BEGIN", COUNT), ("BEGIN IMMEDIATE",)]
)
def test_locks_alone_tell_that_it_is_in_use(
    legacy: Written, statements: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system does not tell who has a file open."""
    monkeypatch.setattr(aside, "_holders", lambda _: iter(()))
    with writing(legacy.path) as writer:
        writer.run(*statements)
        with left_alone(legacy.path), pytest.raises(LandscapeCompatError, match="in use"):
            reset_database(legacy.path)


def test_where_nothing_can_be_locked_it_stays(legacy: Written) -> None:
    """Nobody can tell there who is writing to it."""
    code = """
wal.forbid_locks(37)
from landscape_compat import reset_database
try:
    reset_database(path)
except LandscapeCompatError as error:
    print(json.dumps(str(error)))
"""
    with untouched(legacy.path):
        assert "refuses to lock" in run_child(code, legacy.path)


@pytest.mark.parametrize(
    ("meanwhile", "why"),
    [
        (lambda path: path.write_bytes(b"no database" * 100), "SQLite"),
        (lambda path: path.with_name("other.db").replace(path), "kept changing"),
    ],
    ids=["overwritten", "replaced"],
)
def test_another_file_in_its_place_meanwhile_stays(
    legacy: Written,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: Callable[[Path], object],
    why: str,
) -> None:
    """What was looked at is not there any more; it once ended in an error of ours that had no name.

    As where a second reset is at work.
    """
    other = legacy.path.with_name("other.db")
    shutil.copy2(legacy.path, other)

    def settle(path: Path) -> Any:
        stamps = settled(path)
        meanwhile(path)
        return stamps

    monkeypatch.setattr(aside, "settle", settle)
    with pytest.raises(OpeningRefusedError, match=why):
        reset_database(legacy.path)
    assert {*legacy.path.parent.iterdir()} <= {legacy.path, other}


def test_what_changes_all_the_time_stays(legacy: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: legacy.path.stat().st_mtime_ns)
    with untouched(legacy.path), pytest.raises(OpeningRefusedError, match="kept changing"):
        reset_database(legacy.path)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells of open files: Linux only")
def test_a_connection_of_this_process_keeps_it(legacy: Written) -> None:
    """Whoever holds an engine on it would write to the record under its new name."""
    with closing(sqlite3.connect(legacy.path)) as connection:
        connection.execute(COUNT)
        with untouched(legacy.path), pytest.raises(LandscapeCompatError, match=f"{os.getpid()}"):
            reset_database(legacy.path)
    reset_database(legacy.path)


def test_a_current_database_stays(tmp_path: Path) -> None:
    """What the host can read is not moved away from it; against a later target it is stale."""
    path = tmp_path / "audit.db"
    build_shape(path, known_shapes()[-2].shape, rows=2, long_text=False)
    target = known_shapes()[-2].name
    with (
        untouched(path),
        pytest.raises(LandscapeCompatError, match=f"all that {target} declares; nothing was moved"),
    ):
        reset_database(path, target=target)
    assert reset_database(path).aside.exists()


def test_what_is_no_landscape_stays(tmp_path: Path) -> None:
    """A database of something else is nobody's to move but its owner's."""
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (a)")
    with untouched(path), pytest.raises(NotALandscapeError):
        reset_database(path)


@pytest.mark.parametrize(
    "url", ["postgresql://nobody@localhost/x", "sqlite://", "sqlite:///file:a.db?mode=ro&uri=true"]
)
def test_only_a_file_can_be_moved(url: str) -> None:
    """A database on a server, in memory or opened in a way of its own is not even looked at."""
    with pytest.raises(LandscapeCompatError, match="Only a SQLite file"):
        reset_database(url)


def test_no_file_is_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(OpeningRefusedError, match="does not exist"):
        reset_database(tmp_path / "none.db")


def test_a_name_that_is_taken_is_left(legacy: Written) -> None:
    """A copy of the same record moved aside before is not written over."""
    copy = legacy.path.with_name("copy.db")
    shutil.copy2(legacy.path, copy)
    moved = reset_database(legacy.path)
    shutil.copy2(copy, legacy.path)
    with untouched(legacy.path), pytest.raises(OutputError, match="exists already"):
        reset_database(legacy.path)
    assert digest_of(moved.aside) == digest_of(copy)


def test_a_name_that_cannot_be_is_an_error(legacy: Written) -> None:
    """All is as it was when the new name is too long for the file system."""
    path = legacy.path.with_name("a" * 240 + ".db")
    legacy.path.rename(path)
    with untouched(path), pytest.raises(OutputError, match="could not be moved aside"):
        reset_database(path)


def test_a_change_meanwhile_stops_it(legacy: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that comes between the digest and the move: nothing is moved."""
    real = os.link

    def link(*words: Any, **more: Any) -> None:
        with closing(sqlite3.connect(legacy.path)) as connection, connection:
            connection.execute(ADD_RUN)
        real(*words, **more)

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(OpeningRefusedError, match="kept changing"):
        reset_database(legacy.path)
    assert list(legacy.path.parent.iterdir()) == [legacy.path]
    assert count_of(legacy.path) == len(legacy.run_ids) + 1


@pytest.mark.parametrize("part", ["-wal", "-journal"])
def test_a_change_beside_it_meanwhile_stops_it(
    legacy: Written, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Committed rows, or what a transaction is rolled back by, may wait there."""
    leave_frames(legacy)
    real, names = os.link, {file.name for file in legacy.path.parent.iterdir()}

    def link(*words: Any, **more: Any) -> None:
        real(*words, **more)
        with Path(f"{legacy.path}{part}").open("ab") as file:
            file.write(b"more")

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(OpeningRefusedError, match="kept changing"):
        reset_database(legacy.path)
    names.add(f"audit.db{part}")
    assert {file.name for file in legacy.path.parent.iterdir()} == names


def test_a_killed_move_is_undone_by_any_name(legacy: Written, tmp_path: Path) -> None:
    """Also if the next is told a symlink; an earlier record that was moved aside is left."""
    link = tmp_path / "link.db"
    link.symlink_to(legacy.path)
    earlier = legacy.path.with_name("audit.2026-01-17.0123456789ab.db")
    earlier.write_bytes(b"of another day")
    second = legacy.path.with_name("audit.2026-01-18.0123456789ab.db")
    os.link(legacy.path, second)
    other = Path(f"{second}-journal")
    other.write_bytes(b"no name of anything here")
    moved = reset_database(link)
    assert {*legacy.path.parent.iterdir()} == {earlier, other, moved.aside}


def test_an_undo_that_is_cut_short_is_done_again(
    legacy: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second name of the database goes last, because those of the others are found by it."""
    leave_frames(legacy)
    second = legacy.path.with_name("audit.2026-01-18.0123456789ab.db")
    for end in ("", "-wal"):
        os.link(f"{legacy.path}{end}", f"{second}{end}")

    def unlink(*words: Any, real: Any = os.unlink, **more: Any) -> None:
        real(*words, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", unlink)
        with pytest.raises(KeyboardInterrupt):
            reset_database(legacy.path)
    reset_database(legacy.path)
    assert not [file for file in legacy.path.parent.iterdir() if second.name in file.name]


def test_killed_at_every_step(legacy: Written, tmp_path: Path) -> None:
    """At each, the record is whole under one name or the other, and a rerun ends the move.

    A fresh database begun in its place at that moment gets none of the record's rows, and
    the record none of its.
    """
    count = leave_frames(legacy)
    ends = set()
    for at in range(1, 30):
        folder = tmp_path / f"at-{at}"
        shutil.copytree(legacy.path.parent, folder)
        path = folder / "audit.db"
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, str(path), str(at)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode in (0, 9), ended.stderr
        if path.exists():
            ends.add("before")
            assert Path(f"{path}-wal").exists()  # else its rows would be missed, or lost
            moved = reset_database(path).aside
        else:
            ends.add("after" if ended.returncode else "done")
            (moved,) = (p for p in folder.iterdir() if re.fullmatch(r"audit\..+\.db", p.name))
        with closing(sqlite3.connect(path)) as fresh:
            fresh.execute("PRAGMA journal_mode=WAL")
            fresh.execute("CREATE TABLE runs (run_id TEXT)")
            assert fresh.execute(COUNT).fetchone() == (0,)
        assert count_of(moved) == count
        if not ended.returncode:
            break
    assert ends == {"before", "after", "done"}


def test_interrupted_when_its_old_name_had_gone_the_record_was_deleted(
    legacy: Written, tmp_path: Path
) -> None:
    """Whatever step Ctrl-C comes at, the record has one name, with its `-wal` beside it."""
    count, files = leave_frames(legacy), len([*legacy.path.parent.iterdir()])
    folder, ends = tmp_path / "again", set()
    path = folder / "audit.db"
    shutil.copytree(legacy.path.parent, folder)
    said = tmp_path / "said"

    def reset() -> None:
        with said.open("w") as file, redirect_stderr(file):
            main(["reset", str(path), "--quiet"])

    for interrupted in ended_at_every_step(interrupted_at, reset):
        (record,) = (p for p in folder.iterdir() if re.fullmatch(r"audit(\..+)?\.db", p.name))
        ends.add((record == path, interrupted))
        # Who interrupted it is to know where the record is now.
        moved = interrupted and record != path
        assert said.read_text().endswith(f"{path} was moved, to {record}.\n") == moved
        assert len([*folder.iterdir()]) == files
        assert count_of(record) == count
        shutil.rmtree(folder)
        shutil.copytree(legacy.path.parent, folder)
    assert ends == {(True, True), (False, True), (False, False)}


def test_the_wal_of_a_fresh_database_was_taken_away(
    legacy: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is begun as soon as the name is free has its rows in a file of that name."""
    count, real = leave_frames(legacy), aside._give_up_names
    with ExitStack() as stack:

        def meanwhile(path: Path, *others: Any) -> None:
            fresh = stack.enter_context(closing(sqlite3.connect(path)))
            fresh.executescript("PRAGMA journal_mode=WAL; CREATE TABLE t AS SELECT 7 AS a")
            real(path, *others)

        monkeypatch.setattr(aside, "_give_up_names", meanwhile)
        moved = reset_database(legacy.path)
        with closing(sqlite3.connect(legacy.path)) as another:
            assert another.execute("SELECT a FROM t").fetchall() == [(7,)]
    assert count_of(moved.aside) == count


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as two users")
def test_somebody_elses_in_a_sticky_folder_got_a_second_name_for_good() -> None:
    """Who may not take a name away there may not give one, either."""
    with wal.somebody_elses(0o1777) as paths:
        path = paths[1]
        with untouched(path):
            kind, message = wal.done_by_nobody("reset_database", *paths)
        assert (kind, [*path.parent.iterdir()]) == ("OutputError", [path])
        assert "somebody else's" in message


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OSError(errno.EIO, os.strerror(errno.EIO))], ids=["^C", "error"]
)
def test_told_of_an_error_when_its_old_name_had_gone_the_way_is_forward(
    legacy: Written, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """What ends it says where the record is now; what failed and was done is passed over."""
    count, real = leave_frames(legacy), os.unlink

    def unlink(path: Any, **more: Any) -> None:
        real(path, **more)
        if Path(path) == legacy.path:
            monkeypatch.undo()
            raise error

    monkeypatch.setattr(os, "unlink", unlink)
    if isinstance(error, OSError):
        aside = reset_database(legacy.path).aside
        notes = []
    else:
        with pytest.raises(KeyboardInterrupt) as caught:
            reset_database(legacy.path)
        assert caught.value is error
        (aside,) = legacy.path.parent.glob("audit.2*.db")
        notes = [f"{legacy.path} was moved, to {aside}."]
    assert getattr(error, "__notes__", []) == notes
    assert not [p for p in legacy.path.parent.iterdir() if p.name.startswith("audit.db")]
    assert aside.stat().st_nlink == 1
    assert count_of(aside) == count


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_folder_that_cannot_be_made_to_last_was_an_error_that_did_not_say_where_the_record_is(
    legacy: Written, monkeypatch: pytest.MonkeyPatch, interrupted: bool
) -> None:
    """Neither the second time; it had its new name by then, and an interrupt was lost."""
    count, real = leave_frames(legacy), os.fsync

    def fsync(descriptor: int) -> None:
        if legacy.path.exists():
            real(descriptor)
            if interrupted:
                monkeypatch.setattr(os, "unlink", unlink)
        else:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def unlink(path: Any, real: Any = os.unlink, **more: Any) -> None:
        real(path, **more)
        monkeypatch.setattr(os, "unlink", real)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(KeyboardInterrupt if interrupted else OutputError) as caught:
        reset_database(legacy.path)
    monkeypatch.undo()
    (aside,) = legacy.path.parent.glob("audit.2*.db")
    told = [str(caught.value), *getattr(caught.value, "__notes__", ())]
    assert f"{legacy.path} was moved, to {aside}" in " ".join(told)
    assert interrupted or os.strerror(errno.EIO) in told[0]
    assert count_of(aside) == count


def test_what_only_its_owner_may_move_is_refused_before_it_has_a_second_name(
    legacy: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a sticky folder of somebody else's; one's own file is moved there."""
    legacy.path.parent.chmod(0o1777)
    with monkeypatch.context() as patch, untouched(legacy.path):
        patch.setattr(os, "geteuid", lambda: legacy.path.stat().st_uid + 1)
        with pytest.raises(OutputError, match=r"audit\.db is somebody else's") as caught:
            reset_database(legacy.path)
    assert caught.value.remedy
    moved = reset_database(legacy.path)
    assert [*legacy.path.parent.iterdir()] == [moved.aside]


def test_a_second_name_of_another_making_is_not_taken_away(legacy: Written) -> None:
    """Only names that a reset gives are; the record with others is refused, and left."""
    os.link(legacy.path, legacy.path.with_name("audit.2026-01-18.mine.db"))
    with untouched(legacy.path), pytest.raises(OpeningRefusedError, match="hard link"):
        reset_database(legacy.path)


def test_the_place_is_fresh(legacy: Written) -> None:
    """What is made in its place is the host's own, and the record stays degraded where it is."""
    moved = reset_database(legacy.path)
    build_shape(legacy.path, known_shapes()[-1].shape, rows=1, long_text=False)
    assert not inspect_database(legacy.path).degraded
    assert inspect_database(moved.aside).degraded
