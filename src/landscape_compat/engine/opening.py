"""Choose how a SQLite file is opened, so that no trace is left and no row is torn or stale."""

from __future__ import annotations

import os
import stat
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from landscape_compat.engine.private_copy import (
    PENDING,
    SHARED,
    SHARED_SIZE,
    PrivateCopy,
    SourceFile,
    Stamp,
    Stamps,
    copy_privately,
    descriptors,
    settle,
)
from landscape_compat.errors import OpeningRefusedError, SourceChangedError, printable

__all__ = [
    "REFUSALS",
    "STATES",
    "Facts",
    "Journal",
    "Lock",
    "Opening",
    "Refusal",
    "State",
    "Wal",
    "Way",
    "choose_opening",
    "open_readonly",
    "state_of",
]


class Way(StrEnum):
    """How a file is opened."""

    READ_ONLY = "read-only"
    IMMUTABLE = "immutable"
    READ_ONLY_SHM = "read-only-shm"
    PRIVATE_COPY = "private-copy"


class Journal(StrEnum):
    """What the `-journal` is: SQLite rolls back one whose first byte is not zero."""

    COLD = "cold"
    HOT = "hot"


class Wal(StrEnum):
    """What the `-wal` is."""

    ABSENT = "absent"
    EMPTY = "empty"
    FRAMES = "frames"
    DAMAGED = "damaged"


class Lock(StrEnum):
    """Who has the file now, as far as its locks tell."""

    NOBODY = "nobody"
    READER = "reader"
    WRITER = "writer"
    UNKNOWN = "unknown"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the way of opening depends on.

    Args:
        path_fits: Whether SQLite can open a path this long.
        wal_mode: Whether the header says WAL, or a `-wal` is there, which SQLite reads anyway.
        journal: What the `-journal` is.
        wal: What the `-wal` is.
        shm: Whether there is a `-shm` that can be read.
        same_owner: Whether opening the `-wal`, `-shm` and `-journal` leaves their owner as it
            is: run as root, SQLite gives them to the owner of the database.
        lock: Who has the file now.
    """

    path_fits: bool
    wal_mode: bool
    journal: Journal
    wal: Wal
    shm: bool
    same_owner: bool
    lock: Lock


@dataclass(frozen=True, slots=True)
class State:
    """One row of the decision: which facts it is about, what is done, and why that is right.

    Args:
        name: Its name.
        way: How the file is opened; None to look again shortly, then to refuse.
        reason: What state the file is in, and why this way is right.
        path_fits: The facts it is about; None for any.
    """

    name: str
    way: Way | None
    reason: str
    path_fits: bool | None = None
    wal_mode: bool | None = None
    journal: Journal | None = None
    wal: tuple[Wal, ...] | None = None
    shm: bool | None = None
    same_owner: bool | None = None
    lock: tuple[Lock, ...] | None = None

    def covers(self, facts: Facts) -> bool:
        """Tell whether the facts are those of this state."""
        return (
            self.path_fits in (None, facts.path_fits)
            and self.wal_mode in (None, facts.wal_mode)
            and self.journal in (None, facts.journal)
            and (self.wal is None or facts.wal in self.wal)
            and self.shm in (None, facts.shm)
            and self.same_owner in (None, facts.same_owner)
            and (self.lock is None or facts.lock in self.lock)
        )


# The first that covers the facts counts. Source of what SQLite does: https://www.sqlite.org/wal.html,
# https://www.sqlite.org/lockingv3.html, and pager.c (hasHotJournal, pagerOpenWalIfPresent).
STATES = (
    State(
        "long-path",
        Way.PRIVATE_COPY,
        "The path is longer than SQLite can open, so a private copy is read.",
        path_fits=False,
    ),
    State(
        "journal-of-writer",
        Way.READ_ONLY,
        "A program is writing with a rollback journal; SQLite reads what was committed, "
        "and waits while a commit is under way.",
        wal_mode=False,
        journal=Journal.HOT,
        lock=(Lock.WRITER,),
    ),
    State(
        "changing-mode",
        None,
        "A program is writing and changes the journal mode at this moment.",
        journal=Journal.HOT,
        lock=(Lock.WRITER,),
    ),
    State(
        "journal-without-locks",
        Way.PRIVATE_COPY,
        "A transaction is under way or was cut short, and which of the two cannot be told from "
        "locks here; it is rolled back in a private copy.",
        journal=Journal.HOT,
        lock=(Lock.UNKNOWN, Lock.FAILING),
    ),
    State(
        "hot-journal",
        Way.PRIVATE_COPY,
        "A writer died in a transaction and left a hot journal; in place, SQLite could only read "
        "after rolling it back into the file, so that is done in a private copy.",
        journal=Journal.HOT,
    ),
    State(
        "rollback-without-locks",
        Way.PRIVATE_COPY,
        "The file system cannot lock, so a writer could not be kept out of a read; "
        "a private copy, of one moment, is read.",
        wal_mode=False,
        lock=(Lock.FAILING,),
    ),
    State(
        "rollback-other-owner",
        Way.PRIVATE_COPY,
        "The -journal has another owner than the file, and reading in place as root would change "
        "that; a private copy is read.",
        wal_mode=False,
        same_owner=False,
    ),
    State(
        "rollback",
        Way.READ_ONLY,
        "The file uses a rollback journal and needs no recovery; a read-only connection leaves "
        "nothing behind.",
        wal_mode=False,
    ),
    State(
        "wal-exclusive",
        None,
        "A program has the WAL database to itself at this moment.",
        lock=(Lock.WRITER,),
    ),
    State(
        "wal-clean",
        Way.IMMUTABLE,
        "All that was committed to the WAL database is in the file; it is read as immutable, "
        "because any other way creates a -wal and -shm, and guarded against a change.",
        wal=(Wal.ABSENT, Wal.EMPTY),
        lock=(Lock.NOBODY, Lock.UNKNOWN, Lock.FAILING),
    ),
    State(
        "wal-other-owner",
        Way.PRIVATE_COPY,
        "The -wal or -shm has another owner than the file, and reading in place as root would "
        "change that; a private copy is read.",
        wal=(Wal.EMPTY, Wal.FRAMES, Wal.DAMAGED),
        same_owner=False,
    ),
    State(
        "wal-live",
        Way.READ_ONLY_SHM,
        "A program has the WAL database open; its -wal and -shm are read and left as they are.",
        wal=(Wal.EMPTY, Wal.FRAMES, Wal.DAMAGED),
        shm=True,
        lock=(Lock.READER,),
    ),
    State(
        "wal-live-without-sidecars",
        None,
        "A program has the WAL database open, but there is no -wal or -shm that could be read.",
        lock=(Lock.READER,),
    ),
    State(
        "wal-dead",
        Way.READ_ONLY_SHM,
        "A writer died and left committed rows in the -wal; SQLite reads them with an index of "
        "its own in memory, and leaves -wal and -shm as they are.",
        wal=(Wal.FRAMES,),
        shm=True,
        lock=(Lock.NOBODY,),
    ),
    State(
        "wal-damaged",
        Way.PRIVATE_COPY,
        "The -wal has no valid header, so SQLite ignores it, but would wait on it in place; "
        "it does so at once in a private copy.",
        wal=(Wal.DAMAGED,),
    ),
    State(
        "wal-without-locks",
        Way.PRIVATE_COPY,
        "Committed rows wait in the -wal, and whether a program has the database open cannot be "
        "told from locks here; a private copy, of one moment, is read.",
        wal=(Wal.FRAMES,),
        lock=(Lock.UNKNOWN, Lock.FAILING),
    ),
    State(
        "wal-without-shm",
        Way.PRIVATE_COPY,
        "Committed rows wait in the -wal, and reading them in place would create a -shm; "
        "a private copy is read.",
        wal=(Wal.FRAMES,),
    ),
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a file is not opened at all.

    Args:
        name: Its name.
        reason: What is wrong and what it means; follows the path.
        remedy: What to do next.
    """

    name: str
    reason: str
    remedy: str

    def error(self, path: Path, detail: str = "") -> OpeningRefusedError:
        """Make the error for a file, with a detail in brackets behind the reason."""
        more = f" ({printable(detail)})" if detail else ""
        return OpeningRefusedError(f"{printable(path)} {self.reason}{more}.", remedy=self.remedy)


_COPY_IT = "Copy the database, with its -wal and -journal if there are any, to a folder of its own."
REFUSALS = {
    refusal.name: refusal
    for refusal in (
        Refusal("absent", "does not exist", "Check the path."),
        Refusal("unreachable", "cannot be reached", "Check the path and its folders' permissions."),
        Refusal("folder", "is a folder, not a database", "Name the database file in it."),
        Refusal(
            "special",
            "is not a file but a device, pipe or socket, and was not opened",
            "Name a database file.",
        ),
        Refusal(
            "hard-linked",
            "has several names (hard links), and its -wal or -journal may lie beside another of "
            "them, so committed rows could be missed",
            _COPY_IT,
        ),
        Refusal(
            "empty",
            "is empty, so there is nothing to read",
            "Check whether this is the file you mean; restore it from a backup if it is.",
        ),
        Refusal(
            "unreadable",
            "cannot be read by this user",
            "Have its owner grant you read access, or run as a user who has it.",
        ),
        Refusal(
            "not-a-database",
            "is not a SQLite database: it does not begin as one",
            "Check whether this is the file you mean.",
        ),
        Refusal(
            "encrypted",
            "does not begin as a SQLite database and may be encrypted",
            "Give the passphrase if it is encrypted; else check whether this is the file you mean.",
        ),
        Refusal(
            "format",
            "has a header that no known SQLite writes",
            "Read it with the SQLite that wrote it, or restore it from a backup.",
        ),
        Refusal(
            "truncated",
            "is shorter than its header says, so data is missing",
            "Restore it from a backup, or salvage what is left with `sqlite3 FILE .recover`.",
        ),
        Refusal(
            "odd-sidecar",
            "has something beside it under the name of its -wal, -shm or -journal that is no "
            "regular file",
            "Find out what put it there; " + _COPY_IT[0].lower() + _COPY_IT[1:],
        ),
        Refusal(
            "foreign-wal",
            "has a -wal beside it that belongs to another database",
            "Find the -wal that belongs to it, or move this one away if there was none.",
        ),
        Refusal(
            "unreadable-sidecar",
            "has a -wal or -journal that this user cannot read, and committed rows may be in it",
            "Have its owner grant you read access, or run as a user who has it.",
        ),
        Refusal(
            "copy-not-allowed",
            "can only be read from a private copy, and copying was not allowed",
            "Allow it, or have the program that owns the database open and close it once.",
        ),
        Refusal(
            "in-use",
            "is in use in a way that does not let others read",
            "Try again when the program that has it open is done.",
        ),
        Refusal(
            "changing",
            "kept changing while it was to be opened",
            "Try again when the program that writes to it is done.",
        ),
        Refusal(
            "driver",
            "could not be opened by SQLite",
            "Check the file with `sqlite3 FILE 'PRAGMA integrity_check'` on a copy.",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Opening:
    """How one file is opened, why, and what must stay as it is for that to be right.

    Args:
        given: The path that was asked for.
        path: The file it leads to, with no symlink on the way.
        way: How it is opened.
        state: The name of the state it is in.
        facts: The facts that make that state.
        reason: What state that is, and why the way is right.
        guard: What the file and its sidecars were.
        copy: The private copy, once it is made.
    """

    given: Path
    path: Path
    way: Way
    state: str
    facts: Facts
    reason: str
    guard: Stamps
    copy: PrivateCopy | None = None

    @property
    def uri(self) -> str:
        """Spell the SQLite URI to connect to.

        Raises:
            OpeningRefusedError: A private copy is to be read, and has not been made.
        """
        if self.way is not Way.PRIVATE_COPY:
            return _uri(self.path, _OPTIONS[self.way])
        if self.copy is None:
            raise OpeningRefusedError(
                f"{printable(self.path)} is to be read from a private copy, and none was made.",
                remedy="Open it with `open_readonly`, which makes one.",
            )
        return _uri(self.copy.path, _OPTIONS[Way.IMMUTABLE])

    def holds(self) -> bool:
        """Tell whether what was found when it was opened is still so; takes microseconds."""
        return not self._difference()

    def check(self) -> None:
        """Require that what was found when it was opened is still so.

        To be called before a transaction reads, and where `way` is `IMMUTABLE` also after its
        last row: only then is it known that no writer came between.

        Raises:
            SourceChangedError: It is not; rows read since the last check may be torn.
        """
        difference = self._difference()
        if difference:
            raise SourceChangedError(
                f"{printable(self.given)} {difference} since it was opened, so what was read "
                "from it may not belong together.",
                remedy="Open it again and read from the start.",
            )

    def close(self) -> None:
        """Remove the private copy, if there is one.

        Raises:
            OutputError: Something of it could not be removed.
        """
        if self.copy is not None:
            self.copy.close()

    def _difference(self) -> str:
        try:
            if Stamp.of(self.given.stat()).identity != self.guard.database.identity:
                return "was replaced by another file"
            return _CHANGED[self.way](self)
        except OSError:
            return "was moved, deleted or locked away"


def _changed_read_only(opening: Opening) -> str:
    # A file that turns into a WAL database would get a -wal and -shm from our next read.
    if Stamps.of(opening.path).wal is not None:
        return "was changed to WAL mode"
    with descriptors().borrow(opening.path) as source:
        return "was changed to WAL mode" if os.pread(source.descriptor, 1, 19) == b"\2" else ""


def _changed_immutable(opening: Opening) -> str:
    now = Stamps.of(opening.path)
    if now.database != opening.guard.database or now.journal != opening.guard.journal:
        return "was changed"
    return "was written to" if now.wal is not None and now.wal.size else ""


def _changed_shm(opening: Opening) -> str:
    now, then = Stamps.of(opening.path).wal, opening.guard.wal
    if now is None or then is None or now.identity != then.identity:
        return "lost its -wal"
    return ""


def _changed_copied(opening: Opening) -> str:
    return "" if Stamps.of(opening.path) == opening.guard else "was changed"


_OPTIONS = {
    Way.READ_ONLY: "mode=ro",
    Way.IMMUTABLE: "mode=ro&immutable=1",
    Way.READ_ONLY_SHM: "mode=ro&readonly_shm=1",
}
_CHANGED: dict[Way, Callable[[Opening], str]] = {
    Way.READ_ONLY: _changed_read_only,
    Way.IMMUTABLE: _changed_immutable,
    Way.READ_ONLY_SHM: _changed_shm,
    Way.PRIVATE_COPY: _changed_copied,
}


def state_of(facts: Facts) -> State:
    """Look up the state that some facts make."""
    return next(state for state in STATES if state.covers(facts))


def choose_opening(path: str | os.PathLike[str], *, allow_copy: bool = True) -> Opening:
    """Choose how to open a database; nothing is written, and the file is not opened in SQLite.

    Args:
        path: The file.
        allow_copy: Whether a private copy may be made where nothing else is right.

    Returns:
        The way, the reason, and the guard; where the way is a private copy, none is made yet.

    Raises:
        OpeningRefusedError: The file cannot be opened without leaving a trace or risking torn
            or stale rows; says why.
    """
    given = Path(path)
    return _attempt(given, lambda: _choose(given, allow_copy))


class _Connection(Protocol):
    def cursor(self) -> Any: ...
    def rollback(self) -> Any: ...
    def close(self) -> Any: ...


_C = TypeVar("_C", bound=_Connection)


def open_readonly(
    path: str | os.PathLike[str],
    connect: Callable[[str], _C],
    *,
    allow_copy: bool = True,
    reuse: Opening | None = None,
) -> tuple[_C, Opening]:
    """Connect to a database without leaving a trace, and read from it once.

    A file that changes between the choice and the first read is looked at again, five times
    at most.

    Args:
        path: The file.
        connect: Connects the driver to a SQLite URI.
        allow_copy: Whether a private copy may be made where nothing else is right.
        reuse: An opening of the same path whose private copy may serve again, if it is one and
            its source has not changed.

    Returns:
        The connection, outside a transaction, and how it was opened. The opening owns the
        private copy, if there is one: keep it as long as the connection, then close it.

    Raises:
        OpeningRefusedError: It cannot be opened so; says why.
    """
    given = Path(path)
    failing = False

    def attempt() -> tuple[_C, Opening]:
        nonlocal failing
        if reuse is not None and reuse.copy is not None and not reuse.copy.closed and reuse.holds():
            return _connect(reuse, connect), reuse
        opening = _choose(given, allow_copy, failing=failing)
        try:
            return _open(opening, connect)
        except _LocksFailError:
            failing = True
            raise

    return _attempt(given, attempt)


class _AgainError(Exception):
    """The file was, or seemed, in motion; the refusal in case it stays so."""

    def __init__(self, refusal: OpeningRefusedError) -> None:
        super().__init__(refusal)
        self.refusal = refusal


class _LocksFailError(_AgainError):
    """SQLite could not lock the file, though nobody else has."""


_PAUSES = (0.0, 0.01, 0.05, 0.2, 0.5)
_T = TypeVar("_T")


def _attempt(path: Path, action: Callable[[], _T]) -> _T:
    last = REFUSALS["changing"].error(path)
    cause: BaseException | None = None
    for pause in _PAUSES:
        time.sleep(pause)
        try:
            return action()
        except _AgainError as again:
            last, cause = again.refusal, again.__cause__
    raise last from cause


# Choosing -------------------------------------------------------------------------------------


def _choose(given: Path, allow_copy: bool, *, failing: bool = False) -> Opening:
    path = _resolve(given)
    try:
        stamps = Stamps.of(path)
        found = _look(path, stamps.database)
        steady = Stamps.of(path) == stamps
    except FileNotFoundError as error:
        raise _AgainError(REFUSALS["changing"].error(path)) from error
    except PermissionError as error:
        raise REFUSALS["unreachable"].error(path, str(error.strerror)) from error
    if isinstance(found, Refusal):
        # Header and size are read one after the other: a commit between them looks like damage.
        refusal = found.error(path)
        raise refusal if steady else _AgainError(refusal)
    facts = replace(found, lock=Lock.FAILING) if failing else found
    state = state_of(facts)
    if state.way is None:
        raise _AgainError(REFUSALS["in-use"].error(path, state.reason.rstrip(".")))
    if state.way is Way.PRIVATE_COPY and not allow_copy:
        raise REFUSALS["copy-not-allowed"].error(path, state.reason.rstrip("."))
    if state.way is Way.IMMUTABLE and (not steady or stamps.fresh):
        # The guard must be such that any change to come will differ from it.
        settle(path)
        raise _AgainError(REFUSALS["changing"].error(path))
    return Opening(given.absolute(), path, state.way, state.name, facts, state.reason, stamps)


def _resolve(given: Path) -> Path:
    try:
        path = Path(os.path.realpath(given, strict=True))
        found = path.lstat()
    except FileNotFoundError as error:
        detail = "a symlink leads nowhere" if given.is_symlink() else ""
        raise REFUSALS["absent"].error(given, detail) from error
    except (OSError, ValueError) as error:
        detail = getattr(error, "strerror", None) or str(error)
        raise REFUSALS["unreachable"].error(given, detail) from error
    if stat.S_ISDIR(found.st_mode):
        raise REFUSALS["folder"].error(given)
    if not stat.S_ISREG(found.st_mode):
        raise REFUSALS["special"].error(given)
    if found.st_nlink > 1:
        raise REFUSALS["hard-linked"].error(given)
    if not found.st_size:
        raise REFUSALS["empty"].error(given)
    return path


def _look(path: Path, stamp: Stamp) -> Facts | Refusal:
    try:
        with descriptors().borrow(path) as source:
            if Stamp.of(os.fstat(source.descriptor)).identity != stamp.identity:
                raise _AgainError(REFUSALS["changing"].error(path))
            header = os.pread(source.descriptor, 100, 0)
            lock = _lock(source)
    except PermissionError:
        return REFUSALS["unreadable"]
    except FileNotFoundError:
        raise
    except OSError as error:
        raise REFUSALS["unreachable"].error(path, str(error.strerror)) from error
    problem = _problem(header, stamp.size)
    if problem:
        return REFUSALS[problem]
    try:
        wal, wal_page_size = _look_at_wal(_head(path, "-wal", 32))
        journal = _head(path, "-journal", 1)
        shm = _is_readable(path, "-shm")
    except PermissionError:
        return REFUSALS["unreadable-sidecar"]
    except _OddError:
        return REFUSALS["odd-sidecar"]
    page_size = _page_size(header)
    facts = Facts(
        path_fits=len(os.fsencode(path)) <= _LONGEST_PATH,
        wal_mode=header[19] == 2 or wal is not Wal.ABSENT,
        journal=Journal.HOT if journal and journal != b"\0" else Journal.COLD,
        wal=wal,
        shm=shm,
        same_owner=os.geteuid() != 0 or _same_owner(path),
        lock=lock,
    )
    quiet = lock not in (Lock.READER, Lock.WRITER)
    if quiet and wal is Wal.FRAMES and wal_page_size != page_size:
        return REFUSALS["foreign-wal"]
    # What is missing may wait in the -wal or in the cache of a writer, or be rolled back.
    whole = wal in (Wal.ABSENT, Wal.EMPTY) and facts.journal is Journal.COLD
    if whole and lock is not Lock.WRITER and _stored_size(header, page_size) > stamp.size:
        return REFUSALS["truncated"]
    return facts


# SQLite opens no path that with "-journal" behind it is longer than MAX_PATHNAME.
# Source: https://www.sqlite.org/src/file/src/os_unix.c and sqlite3PagerOpen in pager.c.
_LONGEST_PATH = 512 - len("-journal")
_MAGIC = b"SQLite format 3\0"


# Source: https://www.sqlite.org/fileformat2.html#the_database_header.
def _problem(header: bytes, size: int) -> str:
    if header[:16] != _MAGIC:
        # SQLCipher's first page begins with random salt.
        text = all(32 <= byte < 127 or byte in b"\t\r\n" for byte in header)
        return "encrypted" if size % 512 == 0 and not text else "not-a-database"
    if len(header) < 100:
        return "truncated"
    page_size = _page_size(header)
    if not 512 <= page_size <= 65536 or page_size & (page_size - 1):
        return "format"
    return "" if header[18] in (1, 2) and header[19] in (1, 2) else "format"


def _page_size(header: bytes) -> int:
    size: int = struct.unpack_from(">H", header, 16)[0]
    return 65536 if size == 1 else size


def _stored_size(header: bytes, page_size: int) -> int:
    changes, pages = struct.unpack_from(">II", header, 24)
    valid_for: int = struct.unpack_from(">I", header, 92)[0]
    # A writer before 3.7.0 moves the change counter and leaves a stale count of pages behind.
    return int(pages * page_size) if changes == valid_for else 0


# Source: https://www.sqlite.org/fileformat2.html#wal_file_format.
def _look_at_wal(head: bytes | None) -> tuple[Wal, int]:
    if head is None:
        return Wal.ABSENT, 0
    if not head:
        return Wal.EMPTY, 0
    if len(head) < 32:
        return Wal.DAMAGED, 0
    magic, version, page_size = struct.unpack_from(">III", head)
    if magic not in (0x377F0682, 0x377F0683) or version != 3007000:
        return Wal.DAMAGED, 0
    order = ">" if magic & 1 else "<"
    first = second = 0
    words = struct.unpack_from(f"{order}6I", head)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    if (first, second) != struct.unpack_from(">II", head, 24):
        return Wal.DAMAGED, 0
    return Wal.FRAMES, page_size


def _lock(source: SourceFile) -> Lock:
    try:
        # A reader locks PENDING too, for a moment; only a writer's lock there is exclusive.
        writer = source.written(PENDING, SHARED - PENDING + SHARED_SIZE)
        if writer is None:
            return Lock.UNKNOWN
        if writer:
            return Lock.WRITER
        return Lock.READER if source.locked(SHARED, SHARED_SIZE) else Lock.NOBODY
    except OSError:
        return Lock.FAILING


class _OddError(_AgainError):
    """Something beside the database is no regular file."""


def _head(path: Path, suffix: str, size: int) -> bytes | None:
    name = f"{path}{suffix}"
    try:
        if not stat.S_ISREG(os.lstat(name).st_mode):
            raise _OddError(REFUSALS["odd-sidecar"].error(path))
        # SQLite locks neither a -wal nor a -journal, so closing one of them is harmless.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return os.pread(descriptor, size, 0)
    finally:
        os.close(descriptor)


def _is_readable(path: Path, suffix: str) -> bool:
    name = f"{path}{suffix}"
    try:
        if not stat.S_ISREG(os.lstat(name).st_mode):
            raise _OddError(REFUSALS["odd-sidecar"].error(path))
    except FileNotFoundError:
        return False
    # Never opened: closing a -shm drops SQLite's locks on it in this process.
    return os.access(name, os.R_OK, effective_ids=os.access in os.supports_effective_ids)


def _same_owner(path: Path) -> bool:
    owners = set()
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            found = os.lstat(f"{path}{suffix}")
            owners.add((found.st_uid, found.st_gid))
    return len(owners) == 1


# Opening --------------------------------------------------------------------------------------


def _open(opening: Opening, connect: Callable[[str], _C]) -> tuple[_C, Opening]:
    if opening.way is Way.PRIVATE_COPY:
        return _open_copy(opening, connect)
    if opening.way is not Way.READ_ONLY_SHM:
        return _connect(opening, connect), opening
    changing = _AgainError(REFUSALS["changing"].error(opening.path))
    with ExitStack() as stack:
        try:
            source = stack.enter_context(descriptors().borrow(opening.path))
            stack.enter_context(descriptors().pin(source))
        except OSError as error:
            raise changing from error
        # Without a -wal or -shm, SQLite would fail, and leave an empty -wal behind.
        if not (opening.holds() and _is_readable(opening.path, "-shm")):
            raise changing
        return _connect(opening, connect), opening


def _open_copy(opening: Opening, connect: Callable[[str], _C]) -> tuple[_C, Opening]:
    try:
        with descriptors().borrow(opening.path) as source:
            copy = copy_privately(opening.path, source)
    except (OSError, SourceChangedError) as error:
        raise _AgainError(REFUSALS["changing"].error(opening.path)) from error
    copied = replace(opening, guard=copy.stamps, copy=copy)
    try:
        if any(part is not None and part.size for part in (copy.stamps.wal, copy.stamps.journal)):
            # Closing the only connection moves what was committed into the copied file.
            _connect(copied, connect, uri=_uri(copy.path, "mode=rw")).close()
        return _connect(copied, connect), copied
    except BaseException:
        copy.close()
        raise


def _connect(opening: Opening, connect: Callable[[str], _C], uri: str = "") -> _C:
    try:
        connection = connect(uri or opening.uri)
    except Exception as error:
        raise _judge(error, opening) from error
    try:
        _read_once(connection)
        if not opening.holds():
            raise _AgainError(REFUSALS["changing"].error(opening.path))
    except BaseException as error:
        connection.close()
        if isinstance(error, Exception) and not isinstance(error, _AgainError):
            raise _judge(error, opening) from error
        raise
    return connection


def _read_once(connection: _Connection) -> None:
    cursor = connection.cursor()
    try:
        # Takes the locks, finds a hot journal, opens the WAL; needs no valid schema.
        cursor.execute("PRAGMA schema_version")
        cursor.fetchall()
    finally:
        cursor.close()
    connection.rollback()


# Source: https://www.sqlite.org/rescode.html.
_BUSY, _LOCKED, _READONLY, _IOERR, _CANTOPEN, _PROTOCOL = 5, 6, 8, 10, 14, 15
_LOCK_CODES = (2058, 2314, 3594, 3850)  # IOERR_UNLOCK, _RDLOCK, _CHECKRESERVEDLOCK, _LOCK
_SHORT_READ = 522
# For a driver whose errors have no code.
_MESSAGES = {
    "database is locked": _BUSY,
    "database table is locked": _LOCKED,
    "attempt to write a readonly database": _READONLY,
    "disk I/O error": _IOERR,
    "unable to open database file": _CANTOPEN,
    "locking protocol": _PROTOCOL,
}


def _judge(error: Exception, opening: Opening) -> Exception:
    """Tell a race, which is worth another look, from a file that cannot be read, or a bug."""
    if not any(kind.__name__ == "DatabaseError" for kind in type(error).__mro__):
        return error
    code = getattr(error, "sqlite_errorcode", None) or _MESSAGES.get(str(error), 0)
    if code & 0xFF in (_BUSY, _LOCKED):
        return REFUSALS["in-use"].error(opening.path, str(error))
    refusal = REFUSALS["driver"].error(opening.path, str(error))
    if code in _LOCK_CODES:
        return _LocksFailError(refusal)
    if code & 0xFF in (_READONLY, _CANTOPEN, _PROTOCOL) or code == _SHORT_READ:
        return _AgainError(refusal)
    return refusal if opening.holds() else _AgainError(refusal)


def _uri(path: Path, options: str) -> str:
    # Never a plain path in it: `?`, `#` and `%` end or change it, and `//` begins a host.
    return f"file://{quote(os.fsencode(path))}?{options}"
