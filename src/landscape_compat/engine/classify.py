"""Looking at a SQLite file without SQLite: what state it and its sidecars are in."""

from __future__ import annotations

import os
import stat
import struct
from contextlib import suppress
from pathlib import Path

from landscape_compat.engine.descriptors import (
    PENDING,
    SHARED,
    SHARED_SIZE,
    SourceFile,
    descriptors,
)
from landscape_compat.engine.stamps import Stamp
from landscape_compat.engine.states import REFUSALS, Facts, Journal, Lock, Refusal, Wal
from landscape_compat.errors import OpeningRefusedError

__all__ = [
    "AgainError",
    "LocksFailError",
    "OddError",
    "is_readable",
    "look",
    "looks_encrypted",
    "resolve",
]


class AgainError(Exception):
    """The file was, or seemed, in motion; the refusal in case it stays so."""

    def __init__(self, refusal: OpeningRefusedError) -> None:
        super().__init__(refusal)
        self.refusal = refusal


class LocksFailError(AgainError):
    """SQLite could not lock the file, though nobody else has."""


def resolve(given: Path) -> Path:
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


def looks_encrypted(given: Path) -> bool:
    try:
        path = resolve(given)
        with descriptors().borrow(path) as source:
            header = os.pread(source.descriptor, 100, 0)
            size = os.fstat(source.descriptor).st_size
    except (OSError, OpeningRefusedError):
        return False  # opening it says best what is wrong
    return _problem(header, size) == "encrypted"


def look(path: Path, stamp: Stamp, *, encrypted: bool = False) -> Facts | Refusal:
    try:
        with descriptors().borrow(path) as source:
            if Stamp.of(os.fstat(source.descriptor)).identity != stamp.identity:
                raise AgainError(REFUSALS["changing"].error(path))
            header = os.pread(source.descriptor, 100, 0)
            lock = _lock(source)
    except PermissionError:  # pragma: no cover - root gets none, test_what_cannot_be_read
        return REFUSALS["unreadable"]
    except FileNotFoundError:
        raise
    except OSError as error:
        raise REFUSALS["unreachable"].error(path, str(error.strerror)) from error
    problem = _problem(header, stamp.size)
    if encrypted:
        # All that a header says can only be read by SQLCipher.
        problem = {"encrypted": "", "": "not-encrypted"}.get(problem, problem)
    if problem:
        return REFUSALS[problem]
    try:
        wal, wal_page_size = _look_at_wal(_head(path, "-wal", 32))
        journal = _head(path, "-journal", 1)
        shm = is_readable(path, "-shm")
    except PermissionError:  # pragma: no cover - root gets none, test_what_cannot_be_read
        return REFUSALS["unreadable-sidecar"]
    except OddError:
        return REFUSALS["odd-sidecar"]
    page_size = _page_size(header)
    facts = Facts(
        path_fits=len(os.fsencode(path)) <= _LONGEST_PATH,
        encrypted=encrypted,
        wal_mode=encrypted or header[19] == 2 or wal is not Wal.ABSENT,
        journal=Journal.HOT if journal and journal != b"\0" else Journal.COLD,
        wal=wal,
        shm=shm,
        same_owner=os.geteuid() != 0 or _same_owner(path),
        lock=lock,
    )
    if encrypted:
        return facts
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


class OddError(AgainError):
    """Something beside the database is no regular file."""


def _head(path: Path, suffix: str, size: int) -> bytes | None:
    name = f"{path}{suffix}"
    try:
        _require_regular(name, path)
        # SQLite locks neither a -wal nor a -journal, so closing one of them is harmless.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return os.pread(descriptor, size, 0)
    finally:
        os.close(descriptor)


def is_readable(path: Path, suffix: str) -> bool:
    name = f"{path}{suffix}"
    try:
        _require_regular(name, path)
    except FileNotFoundError:
        return False
    # Never opened: closing a -shm drops SQLite's locks on it in this process.
    return os.access(name, os.R_OK, effective_ids=os.access in os.supports_effective_ids)


def _require_regular(name: str, path: Path) -> None:
    if not stat.S_ISREG(os.lstat(name).st_mode):
        raise OddError(REFUSALS["odd-sidecar"].error(path))


def _same_owner(path: Path) -> bool:
    owners = set()
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            found = os.lstat(f"{path}{suffix}")
            owners.add((found.st_uid, found.st_gid))
    return len(owners) == 1
