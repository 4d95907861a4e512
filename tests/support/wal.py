"""Make a SQLite database in every state that a reader may meet, with the rows it must see."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import landscape_compat
from landscape_compat.engine.opening import open_readonly
from landscape_compat.errors import OpeningRefusedError, SourceChangedError
from landscape_compat.landscape.history import known_shapes
from support.legacy import build_small
from support.untouched import FolderState, state_of

__all__ = [
    "ANSWER",
    "EXPECTED",
    "KEY",
    "LIVE_STATES",
    "NEW",
    "OLD",
    "STATES",
    "Churn",
    "Seen",
    "Writer",
    "answer_of",
    "child_command",
    "churning",
    "connect",
    "done_by_nobody",
    "encrypting",
    "forbid_locks",
    "left_alone",
    "lose_from_index",
    "make_database",
    "make_state",
    "open_folder",
    "read",
    "read_as_nobody",
    "read_in_child",
    "read_without_locks",
    "run_child",
    "said_to_another_writer",
    "seen_state",
    "somebody_elses",
    "writing",
]

# Every row of one commit carries the same word, so a torn read shows two.
ANSWER = "SELECT count(*), count(DISTINCT word), min(word) FROM t"
_ROWS = 600
_FILL = "x" * 200

_WRITER = """
import importlib, json, sys
sqlite3 = importlib.import_module(sys.argv[2])
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
connection.executescript(sys.argv[3])
for line in sys.stdin:
    try:
        answer = ["ok", connection.execute(json.loads(line)).fetchall()]
    except sqlite3.Error as error:
        answer = ["error", str(error)]
    print(json.dumps(answer), flush=True)
connection.close()
"""


# The key of what is made now, and of what is made by SQLCipher: as it is, not derived for long.
_KEYS: list[str] = []
KEY = f"x'{'0123abcd' * 8}'"


@contextmanager
def encrypting() -> Iterator[str]:
    """Make every database of a block, and write to it, by SQLCipher; give the passphrase."""
    _KEYS.append(KEY)
    try:
        yield KEY
    finally:
        _KEYS.pop()


# Quick to start; but for SQLCipher's driver, which is a package.
_ISOLATED = (("-I", "-S"), ("-P",))


def _as_now() -> tuple[str, str]:
    """Name the driver, and what it must be told first."""
    return ("sqlcipher3.dbapi2", f'PRAGMA key = "{_KEYS[-1]}"') if _KEYS else ("sqlite3", "")


class Writer:
    """Another process with the database open, doing as it is told."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *_ISOLATED[bool(_KEYS)], "-c", _WRITER, os.fspath(path), *_as_now()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *statements: str) -> list[Any]:
        """Execute statements; return the rows of the last."""
        rows: list[Any] = []
        for statement in statements:
            word, rows = self.attempt(statement)
            assert word == "ok", rows
        return rows

    def attempt(self, statement: str) -> tuple[str, Any]:
        """Execute a statement; return `ok` and its rows, or `error` and its message."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(statement) + "\n")
        self._process.stdin.flush()
        word, rows = json.loads(self._process.stdout.readline())
        return word, rows

    def kill(self) -> None:
        """End it as a crash would: nothing is rolled back or checkpointed."""
        self._process.kill()
        self._process.communicate()

    def close(self) -> None:
        """Let it close its connection and end."""
        if self._process.poll() is None:
            self._process.communicate()


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Keep a writer for a block; killed at its end if it still runs."""
    writer = Writer(path)
    try:
        yield writer
    finally:
        writer.kill()


def answer_of(connection: sqlite3.Connection) -> tuple[int, int, str]:
    """Ask a database the one question, in a transaction."""
    connection.execute("BEGIN")
    answer: tuple[int, int, str] = connection.execute(ANSWER).fetchone()
    connection.execute("ROLLBACK")
    return answer


OLD, NEW = (_ROWS, 1, "old"), (_ROWS, 1, "new")


def make_database(path: Path, journal_mode: str = "delete") -> None:
    """Make a database of several hundred pages whose word is `old`, closed cleanly."""
    driver, first = _as_now()
    connection = import_module(driver).connect(path, isolation_level=None)
    try:
        connection.executescript(first)
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA journal_mode = {journal_mode}")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT, fill TEXT)")
        # By this an audit database is known as one.
        connection.execute("CREATE TABLE runs (run_id VARCHAR(64) NOT NULL PRIMARY KEY)")
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO t VALUES (?, 'old', ?)", ((number, _FILL) for number in range(_ROWS))
        )
        connection.execute("COMMIT")
    finally:
        connection.close()


def lose_from_index(path: Path, index: str) -> None:
    """Make an index of some rows of `t`, and have the schema say that it is one of fewer."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f'CREATE INDEX "{index}" ON t (word) WHERE id > 5')
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = replace(sql, '> 5', '> 9')")


_UPDATE = "UPDATE t SET word = 'new'"
_HALF = "UPDATE t SET word = 'torn' WHERE id < 300"
# Pages leave the cache for the file before the commit.
_SPILL = "PRAGMA cache_size = 5"

_Maker = Callable[[Path, ExitStack], tuple[int, int, str]]


def _clean(mode: str) -> _Maker:
    def make(path: Path, stack: ExitStack) -> tuple[int, int, str]:
        make_database(path, mode)
        return OLD

    return make


def _killed(mode: str, *statements: str, truth: tuple[int, int, str], drop: str = "") -> _Maker:
    def make(path: Path, stack: ExitStack) -> tuple[int, int, str]:
        make_database(path, mode)
        with writing(path) as writer:
            writer.run("PRAGMA wal_autocheckpoint = 0", *statements)
        if drop:
            Path(f"{path}{drop}").unlink()
        return truth

    return make


def _live(mode: str, *statements: str, truth: tuple[int, int, str]) -> _Maker:
    def make(path: Path, stack: ExitStack) -> tuple[int, int, str]:
        make_database(path, mode)
        stack.enter_context(writing(path)).run("PRAGMA wal_autocheckpoint = 0", *statements)
        return truth

    return make


def _kept_journal(mode: str) -> _Maker:
    def make(path: Path, stack: ExitStack) -> tuple[int, int, str]:
        make_database(path)
        with writing(path) as writer:
            writer.run(f"PRAGMA journal_mode = {mode}", _UPDATE)
            writer.close()
        return NEW

    return make


def _beside(maker: _Maker, suffix: str, content: bytes) -> _Maker:
    def make(path: Path, stack: ExitStack) -> tuple[int, int, str]:
        truth = maker(path, stack)
        Path(f"{path}{suffix}").write_bytes(content)
        return truth

    return make


def _turned_to_rollback(path: Path, stack: ExitStack) -> tuple[int, int, str]:
    # As if an older file had been put back over a WAL database whose -wal stayed.
    _killed("wal", _UPDATE, truth=NEW)(path, stack)
    with path.open("r+b") as file:
        file.seek(18)
        file.write(b"\1\1")
    return NEW


# State to maker. Those that a reader may open, each with its truth.
STATES: dict[str, _Maker] = {
    "rollback": _clean("delete"),
    "rollback_reader": _live("delete", "BEGIN", "SELECT word FROM t LIMIT 1", truth=OLD),
    "journal_reserved": _live("delete", "BEGIN", "UPDATE t SET word = 'x' WHERE id = 1", truth=OLD),
    "journal_persist": _kept_journal("persist"),
    "journal_truncate": _kept_journal("truncate"),
    "journal_hot": _killed("delete", _SPILL, "BEGIN", _HALF, truth=OLD),
    "journal_unsynced": _killed("delete", "BEGIN", _HALF, truth=OLD),
    "wal_clean": _clean("wal"),
    "wal_clean_stray_shm": _beside(_clean("wal"), "-shm", b"\0" * 32768),
    "wal_zero": _killed("wal", ANSWER, truth=OLD),
    "wal_zero_without_shm": _killed("wal", ANSWER, truth=OLD, drop="-shm"),
    "wal_frames": _killed("wal", _UPDATE, truth=NEW),
    "wal_frames_uncommitted": _killed("wal", _UPDATE, _SPILL, "BEGIN", _HALF, truth=NEW),
    "wal_frames_partly_moved": _killed(
        "wal", _UPDATE, "PRAGMA wal_checkpoint", "UPDATE t SET word = 'old'", truth=OLD
    ),
    "wal_frames_without_shm": _killed("wal", _UPDATE, truth=NEW, drop="-shm"),
    "wal_frames_empty_shm": _beside(_killed("wal", _UPDATE, truth=NEW), "-shm", b""),
    "wal_frames_garbage_shm": _beside(_killed("wal", _UPDATE, truth=NEW), "-shm", b"?" * 32768),
    "wal_damaged": _beside(_clean("wal"), "-wal", b"garbage " * 8192),
    "wal_damaged_short": _beside(_clean("wal"), "-wal", b"7\x7f\x06\x82"),
    "wal_under_rollback_header": _turned_to_rollback,
    "wal_live_new": _live("wal", ANSWER, truth=OLD),
    "wal_live_first_commit": _live("wal", "BEGIN IMMEDIATE", _UPDATE, "COMMIT", truth=NEW),
    "wal_live_idle": _live("wal", _UPDATE, ANSWER, truth=NEW),
    "wal_live_open": _live("wal", _UPDATE, _SPILL, "BEGIN", _HALF, truth=NEW),
    "wal_live_moved": _live("wal", _UPDATE, "PRAGMA wal_checkpoint(TRUNCATE)", truth=NEW),
}
# What every state is opened as: its name in the decision table.
EXPECTED = {
    "rollback": "rollback",
    "rollback_reader": "rollback",
    "journal_reserved": "rollback",
    "journal_persist": "rollback",
    "journal_truncate": "rollback",
    "journal_unsynced": "rollback",
    "journal_hot": "hot-journal",
    "wal_clean": "wal-clean",
    "wal_clean_stray_shm": "wal-clean",
    "wal_zero": "wal-clean",
    "wal_zero_without_shm": "wal-clean",
    "wal_frames": "wal-dead",
    "wal_frames_uncommitted": "wal-dead",
    "wal_frames_partly_moved": "wal-dead",
    "wal_frames_without_shm": "wal-without-shm",
    "wal_frames_empty_shm": "wal-dead",
    "wal_frames_garbage_shm": "wal-dead",
    "wal_damaged": "wal-damaged",
    "wal_damaged_short": "wal-damaged",
    "wal_under_rollback_header": "wal-dead",
    "wal_live_new": "wal-live",
    "wal_live_first_commit": "wal-live",
    "wal_live_idle": "wal-live",
    "wal_live_open": "wal-live",
    "wal_live_moved": "wal-live",
}
# A live writer keeps these to itself: they can be refused only.
LIVE_STATES: dict[str, _Maker] = {
    "journal_exclusive": _live("delete", _SPILL, "BEGIN", _HALF, truth=OLD),
    "wal_exclusive": _live("wal", "PRAGMA locking_mode = EXCLUSIVE", _UPDATE, truth=NEW),
}


@contextmanager
def make_state(name: str, path: Path) -> Iterator[tuple[int, int, str]]:
    """Make a database in a state, for a block.

    Args:
        name: The state.
        path: Where.

    Returns:
        What a reader must be answered.
    """
    with ExitStack() as stack:
        yield (STATES | LIVE_STATES)[name](path, stack)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a reader saw, and by which way."""

    way: str
    state: str
    answer: tuple[int, int, str]


def connect(uri: str) -> sqlite3.Connection:
    """Connect as a reader, who does not wait long for a writer."""
    return sqlite3.connect(uri, uri=True, timeout=0.2, isolation_level=None)


def read(path: Path, *, allow_copy: bool = True) -> Seen:
    """Open a database as the product does, ask the question, check, and close."""
    connection, opening = open_readonly(path, connect, allow_copy=allow_copy)
    try:
        opening.check()
        answer = answer_of(connection)
        opening.check()
    finally:
        connection.close()
        opening.close()
    return Seen(opening.way, opening.state, answer)


def said_to_another_writer(path: Path) -> str:
    """Have another process begin to write to a database, and give what it is told.

    Args:
        path: The database.
    """
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], 0).execute('BEGIN IMMEDIATE')"
    command = [sys.executable, "-c", code, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


@contextmanager
def left_alone(path: Path) -> Iterator[None]:
    """Check that the block leaves a database and its folder as they were, as `untouched` does.

    Run as root, SQLite sets the owner of each -wal, -shm and -journal that it opens to what it
    is already, and with that their ctime; so for root that one stamp is not compared.
    """
    before = seen_state(path)
    yield
    assert seen_state(path) == before


def seen_state(path: Path) -> FolderState:
    """Describe a database and its folder, without the one stamp that `left_alone` passes over."""
    state = state_of(path)
    if os.geteuid():
        return state
    listing = {
        name: replace(file, ctime_ns=0) if name.endswith(("-wal", "-shm", "-journal")) else file
        for name, file in state.listing.items()
    }
    return replace(state, listing=listing)


_CHILD = """
import errno, json, os, sqlite3, sys
sys.path[:0] = json.loads(sys.argv[1])
from pathlib import Path
from landscape_compat.engine.locks import *
from landscape_compat.engine.opening import *
from landscape_compat.engine.descriptors import *
from landscape_compat.engine.private_copy import *
from landscape_compat.engine.private_folder import *
from landscape_compat.engine.stamps import *
from landscape_compat.engine.states import *
from landscape_compat.errors import LandscapeCompatError
from support import wal
paths = list(map(Path, json.loads(sys.argv[2])))
path = paths[0]
"""
_READ = """
found = []
for path in paths:
    try:
        seen = wal.read(path, allow_copy=json.loads(sys.argv[3]))
        found.append([seen.way, seen.state, seen.answer])
    except LandscapeCompatError as error:
        found.append([type(error).__name__, str(error)])
print(json.dumps(found))
"""
_NOBODY = 65534
_BE_NOBODY = f"""
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({_NOBODY})
    os.setuid({_NOBODY})
"""


def run_child(code: str, *paths: Path, allow_copy: bool = True, before: str = "") -> Any:
    """Run code in another process that has everything loaded.

    Args:
        code: Prints one line of JSON; knows the paths as `paths`, and the first as `path`.
        paths: The databases.
        allow_copy: Whether reading may make private copies.
        before: Code to run before anything is loaded.

    Returns:
        What it printed.
    """
    command = child_command(code, *paths, allow_copy=allow_copy, before=before)
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(process.stdout)


def child_command(code: str, *paths: Path, allow_copy: bool = True, before: str = "") -> list[str]:
    """Spell the command of `run_child`."""
    places = [str(Path(__file__).parents[1]), str(Path(landscape_compat.__file__).parents[1])]
    arguments = (places, list(map(str, paths)), allow_copy)
    return [sys.executable, "-c", before + _CHILD + code, *map(json.dumps, arguments)]


def read_in_child(*paths: Path, before: str = "") -> list[list[Any]]:
    """Read databases in a child, in which some code ran before anything was loaded.

    Returns:
        For each the way, state and answer, or the error's class and message.
    """
    found: list[list[Any]] = run_child(_READ, *paths, before=before)
    return found


def read_as_nobody(*paths: Path) -> list[list[Any]]:
    """Read in a child that permissions bind, as they do not bind root; as `read_in_child`."""
    found: list[list[Any]] = run_child(_BE_NOBODY + _READ, *paths)
    return found


@contextmanager
def somebody_elses(mode: int) -> Iterator[tuple[Path, Path]]:
    """Make two old Landscapes that anybody may write to, each alone in a folder of a mode."""
    with open_folder() as folder:
        paths = (folder / "spare" / "audit.db", folder / "record" / "audit.db")
        for path in paths:
            path.parent.mkdir()
            build_small(path, known_shapes()[0].shape)
            path.chmod(0o666)
            path.parent.chmod(mode)
        yield paths


def done_by_nobody(call: str, *paths: Path) -> list[str]:
    """Call a function of the package's in a child, first as this user, then as nobody.

    Args:
        call: The name it has in the package.
        paths: A database for the first call, which loads what nobody may not read; and one for the
            second.

    Returns:
        The class and the message of the error that the second ended with; "" twice if with none.
    """
    code = (
        f"import landscape_compat\nlandscape_compat.{call}(paths[0]){_BE_NOBODY}"
        f"""
try:
    landscape_compat.{call}(paths[1])
    print(json.dumps(["", ""]))
except Exception as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""
    )
    found: list[str] = run_child(code, *paths)
    return found


def read_without_locks(path: Path, number: int, *, allow_copy: bool = True) -> list[Any]:
    """Read in a child in which locking any file fails, as on some network file systems.

    Args:
        path: The database.
        number: The `errno` that each attempt fails with.
        allow_copy: Whether reading may make private copies.
    """
    code = f"wal.forbid_locks({number})" + _READ
    found: list[list[Any]] = run_child(code, path, allow_copy=allow_copy)
    return found[0]


def forbid_locks(number: int, commands: tuple[int, ...] = (5, 6, 7, 36, 37, 38)) -> None:
    """Have the kernel refuse every `fcntl` lock to this process from now on.

    Source: seccomp(2); the filter looks at the number of the call and of the command.

    Args:
        number: The `errno` that each attempt fails with.
        commands: F_GETLK, F_SETLK, F_SETLKW, and their F_OFD_ kin.
    """
    call = {"x86_64": 72, "aarch64": 25, "riscv64": 25, "ppc64le": 55, "s390x": 55}
    load, equal, answer = 0x20, 0x15, 0x06
    program = [
        (load, 0, 0, 0),
        (equal, 0, len(commands) + 1, call[platform.machine()]),
        (load, 0, 0, 24 if sys.byteorder == "little" else 28),
        *((equal, len(commands) - index, 0, command) for index, command in enumerate(commands)),
        (answer, 0, 0, 0x7FFF0000),
        (answer, 0, 0, 0x00050000 | number),
    ]
    code = b"".join(struct.pack("HBBI", *step) for step in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HP", len(program), ctypes.addressof(buffer))
    library = ctypes.CDLL(None, use_errno=True)
    for request in ((38, 1, 0, 0, 0), (22, 2, header, 0, 0)):
        if library.prctl(*request):
            raise OSError(ctypes.get_errno(), "prctl")


@contextmanager
def open_folder() -> Iterator[Path]:
    """Make a folder that any user can reach and write to, for a block."""
    # Not below pytest's own folders: those are for one user only.
    folder = Path(tempfile.mkdtemp(prefix="opening-"))
    folder.chmod(0o777)
    try:
        yield folder
    finally:
        for each in (folder, *folder.rglob("*/")):
            each.chmod(0o777)
        shutil.rmtree(folder)


_CHURN = """
import mmap, os, random, signal, sqlite3, struct, sys, time
path, progress, mode, seed = sys.argv[1:]
marks = mmap.mmap(os.open(progress, os.O_RDWR), 16)

def work():
    connection = sqlite3.connect(path, timeout=20, isolation_level=None)
    if random.random() < 0.4:
        connection.execute("PRAGMA cache_size = 5")  # pages are written before the commit
    for _ in range(random.randint(1, 6)):
        number = struct.unpack("q", marks[0:8])[0] + 1
        marks[0:8] = struct.pack("q", number)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE t SET word = ?", (number,))
        connection.execute("COMMIT")
        marks[8:16] = struct.pack("q", number)
        time.sleep(random.random() * 0.02)
    connection.close()

random.seed(int(seed))
while True:
    if not (child := os.fork()):
        random.seed(os.getpid())
        work()
        os._exit(0)
    if random.random() < 0.5:
        time.sleep(random.random() * 0.1)
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    time.sleep(random.random() * random.choice((0, 0.1)))
"""


@dataclass(frozen=True, slots=True)
class Churn:
    """A database that other processes open, write, close and are killed in, over and over."""

    path: Path
    progress: Path

    def observe(self, *, allow_copy: bool = True) -> str:
        """Open it, read it twice in a transaction, and say how that went.

        Returns:
            `right`, `caught` (the guard found a change, or SQLite was told to wait), `refused`,
            or what is wrong: `torn`, `stale`, `unrepeatable`, `from the future`, an error.
        """
        committed = self._marks()[1]
        try:
            connection, opening = open_readonly(self.path, _patient, allow_copy=allow_copy)
        except OpeningRefusedError as error:
            return f"refused: {error.reason.removeprefix(str(self.path))}"
        try:
            opening.check()
            connection.execute("BEGIN")
            first = connection.execute(ANSWER).fetchone()
            second = connection.execute(ANSWER).fetchone()
            connection.execute("ROLLBACK")
            opening.check()
        except SourceChangedError:
            return f"caught by the guard of {opening.way}"
        except sqlite3.Error as error:
            if not opening.holds():
                return f"caught by the guard of {opening.way}, after an error"
            if error.sqlite_errorname in ("SQLITE_BUSY", "SQLITE_READONLY_ROLLBACK"):
                return f"caught by SQLite: {error.sqlite_errorname}"
            return f"error: {error.sqlite_errorname} {error} {opening.way}"
        finally:
            connection.close()
            opening.close()
        if first != second:
            return f"unrepeatable {opening.way}"
        if first[:2] != (_ROWS, 1):
            return f"torn {opening.way}"
        if int(first[2]) < committed:
            return f"stale {opening.way}"
        return f"right {opening.way}" if int(first[2]) <= self._marks()[0] else "from the future"

    def _marks(self) -> tuple[int, int]:
        started, committed = struct.unpack("qq", self.progress.read_bytes())
        return started, committed


def _patient(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=20, isolation_level=None)


@contextmanager
def churning(folder: Path, mode: str, seed: int = 1) -> Iterator[Churn]:
    """Keep writers at work on a database for a block.

    Args:
        folder: Where; the database gets a folder of its own.
        mode: Its journal mode.
        seed: Of what the writers do.
    """
    path, progress = folder / "churned" / "a.db", folder / "progress"
    path.parent.mkdir()
    make_database(path, mode)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE t SET word = 0")
    connection.commit()
    connection.close()
    progress.write_bytes(bytes(16))
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _CHURN, path, progress, mode, str(seed)],
        start_new_session=True,
    )
    try:
        yield Churn(path, progress)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
