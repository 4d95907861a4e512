"""The states that a SQLite file can be in, how each is opened, and what is not opened at all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from landscape_compat.errors import OpeningRefusedError, printable

__all__ = [
    "REFUSALS",
    "STATES",
    "Facts",
    "Journal",
    "Lock",
    "Refusal",
    "State",
    "Wal",
    "Way",
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
        encrypted: Whether it is encrypted, and to be read by its key.
        wal_mode: Whether the header says WAL, or a `-wal` is there, which SQLite reads anyway;
            true of an encrypted file, whose header cannot be read.
        journal: What the `-journal` is.
        wal: What the `-wal` is.
        shm: Whether there is a `-shm` that can be read.
        same_owner: Whether opening the `-wal`, `-shm` and `-journal` leaves their owner as it
            is: run as root, SQLite gives them to the owner of the database.
        lock: Who has the file now.
    """

    path_fits: bool
    encrypted: bool
    wal_mode: bool
    journal: Journal
    wal: Wal
    shm: bool
    same_owner: bool
    lock: Lock


class State(NamedTuple):
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
    encrypted: bool | None = None
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
            and self.encrypted in (None, facts.encrypted)
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
        "encrypted-in-use",
        Way.PRIVATE_COPY,
        "A program has the encrypted file open, and only its header, which is encrypted too, says "
        "by which journal; a private copy of one moment, as encrypted as the file, is read.",
        encrypted=True,
        wal=(Wal.ABSENT,),
        lock=(Lock.READER, Lock.WRITER),
    ),
    State(
        "encrypted-quiet",
        Way.IMMUTABLE,
        "Nobody has the encrypted file open and all that was committed is in it; only its header, "
        "which is encrypted too, says whether it is a WAL database, so it is read as immutable, "
        "which is right for both, and guarded against a change.",
        encrypted=True,
        journal=Journal.COLD,
        wal=(Wal.ABSENT, Wal.EMPTY),
        lock=(Lock.NOBODY, Lock.UNKNOWN, Lock.FAILING),
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


class Refusal(NamedTuple):
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
        error = OpeningRefusedError(f"{printable(path)} {self.reason}{more}.", remedy=self.remedy)
        error.refusal = self.name
        return error


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
            "If it is encrypted, give its passphrase; else check whether it is the file you mean.",
        ),
        Refusal(
            "wrong-key",
            "cannot be decrypted by this passphrase, or is not encrypted by SQLCipher 4 at all",
            "Check the passphrase; there is no way to tell a wrong one from a damaged first page.",
        ),
        Refusal(
            "not-encrypted",
            "was encrypted when it was looked at first, and is not any more",
            "Open it again, without a passphrase.",
        ),
        Refusal(
            "no-sqlcipher",
            "is encrypted, and the package that reads such files, sqlcipher3, is not installed",
            "Install it: `pip install 'landscape-compat[sqlcipher]'`.",
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


def state_of(facts: Facts) -> State:
    """Look up the state that some facts make."""
    return next(state for state in STATES if state.covers(facts))
