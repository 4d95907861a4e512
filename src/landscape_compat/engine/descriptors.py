"""Descriptors of database files that stay open, and what the locks on them tell."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from landscape_compat.engine.stamps import Stamp

__all__ = [
    "PENDING",
    "READ_FLAGS",
    "SHARED",
    "SHARED_SIZE",
    "SourceDescriptors",
    "SourceFile",
    "descriptors",
    "range_lock",
]

# The bytes that SQLite locks; RESERVED lies between the two.
# Source: https://www.sqlite.org/src/file/src/os.h, PENDING_BYTE, SHARED_FIRST, SHARED_SIZE.
PENDING, SHARED, SHARED_SIZE = 0x40000000, 0x40000002, 510

READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_GETLK: int | None = getattr(fcntl, "F_OFD_GETLK", None)
_SETLK: int | None = getattr(fcntl, "F_OFD_SETLK", None)
# `struct flock`: type, whence, start, length, process; zeros after it cover the padding.
_FLOCK = "hhqqi4x"


@dataclass(slots=True)
class SourceFile:
    """One descriptor of one database file, and who uses it now."""

    descriptor: int
    users: int = 0
    pins: int = 0

    def locked(self, start: int, length: int) -> bool | None:
        """Tell whether anybody's lock would keep a writer out of a range; touches nothing.

        Args:
            start: The first byte.
            length: How many bytes; 0 for all that follow.

        Returns:
            True for a lock that a reader shares with us, too; None where this platform cannot
            tell without taking the lock.

        Raises:
            OSError: The file system refuses to answer.
        """
        held = self._conflict(fcntl.F_WRLCK, start, length)
        return None if held is None else held != fcntl.F_UNLCK

    def written(self, start: int, length: int) -> bool | None:
        """Tell whether a writer's lock lies on a range; as `locked`."""
        held = self._conflict(fcntl.F_RDLCK, start, length)
        return None if held is None else held != fcntl.F_UNLCK

    def _conflict(self, kind: int, start: int, length: int) -> int | None:
        if _GETLK is None:
            return None
        try:
            found = fcntl.fcntl(self.descriptor, _GETLK, range_lock(kind, start, length))
        except OSError as error:
            # EINVAL: a kernel that has never heard of these locks. Anything else is a
            # file system that cannot lock.
            if error.errno == errno.EINVAL:
                return None
            raise
        return int(struct.unpack(_FLOCK, found)[0])


class SourceDescriptors:
    """Own the descriptors through which this process itself reads SQLite files.

    POSIX takes all `fcntl` locks of a *process* off a file as soon as the process closes any
    descriptor of that file, whoever opened it. One `open` and `close` of a database, to read its
    header, say, and a writer commits through the read transaction of a connection that this
    process has on it: torn or stale rows, with no error. So there is one descriptor a file, and
    it stays open. It is the process that has the locks, so it is the process that must have the
    one owner of the descriptors: see `descriptors`.

    Past `limit` files, the one not used for longest is closed, provided that nobody at all holds
    a lock on it, so that there is none to lose. Where the platform cannot tell, or all are
    locked, `borrow` fails instead.

    After a fork the child closes what it inherited (it has no locks yet) and starts afresh: a
    shared descriptor would share its pins.

    Args:
        limit: How many descriptors to keep; by default 256, or fewer if the process may have few.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit or max(8, min(256, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4))
        self._guard = threading.Lock()
        self._kept: dict[tuple[int, int], SourceFile] = {}
        # Opened by a race under a name that had just been given to a file kept already.
        self._strays: list[int] = []
        os.register_at_fork(after_in_child=self._start_afresh)

    def __len__(self) -> int:
        return len(self._kept)

    @contextmanager
    def borrow(self, path: Path) -> Iterator[SourceFile]:
        """Lend the descriptor of a file for a block.

        Args:
            path: The file, with no symlink on the way.

        Raises:
            OSError: It cannot be opened for reading, or too many are kept already.
        """
        source = self._take(path)
        try:
            yield source
        finally:
            with self._guard:
                source.users -= 1

    @contextmanager
    def pin(self, source: SourceFile) -> Iterator[None]:
        """Keep everybody from deleting the `-wal` and `-shm` of a borrowed file for a block.

        Only the last connection may delete them, and it must have the file to itself for that.
        Our shared lock on SQLite's byte range forbids it, until SQLite in this process has its
        own lock. Not for rollback journals: a writer about to commit would wait for us, and
        SQLite in this process for that writer.

        Raises:
            BlockingIOError: Somebody has the file to himself right now.
            OSError: The file system has no such locks.
        """
        with self._guard:
            if not source.pins:
                self._lock(source, fcntl.F_RDLCK)
            source.pins += 1
        try:
            yield
        finally:
            with self._guard:
                source.pins -= 1
                if not source.pins:
                    self._lock(source, fcntl.F_UNLCK)

    @staticmethod
    def _lock(source: SourceFile, kind: int) -> None:
        assert _SETLK is not None, "where locks cannot be told, nothing is pinned"
        fcntl.fcntl(source.descriptor, _SETLK, range_lock(kind, SHARED, SHARED_SIZE))

    def _take(self, path: Path) -> SourceFile:
        with self._guard:
            identity = Stamp.of(path.lstat()).identity
            source = self._kept.pop(identity, None)
            if source is None:
                source = self._open(path)
            else:
                self._kept[identity] = source  # last in line to make room
            source.users += 1
            return source

    def _open(self, path: Path) -> SourceFile:
        self._make_room()
        descriptor = os.open(path, READ_FLAGS)
        identity = Stamp.of(os.fstat(descriptor)).identity
        source = self._kept.setdefault(identity, SourceFile(descriptor))
        if source.descriptor != descriptor:
            self._strays.append(descriptor)
        return source

    def _make_room(self) -> None:
        if len(self._kept) < self._limit:
            return
        for identity, source in self._kept.items():
            with suppress(OSError):
                if not source.users and source.locked(0, 0) is False:
                    del self._kept[identity]
                    os.close(source.descriptor)
                    return
        raise OSError(errno.EMFILE, "this process reads too many databases at a time")

    def _start_afresh(self) -> None:
        inherited = [source.descriptor for source in self._kept.values()] + self._strays
        self._guard, self._kept, self._strays = threading.Lock(), {}, []
        for descriptor in inherited:
            with suppress(OSError):
                os.close(descriptor)


@cache
def descriptors() -> SourceDescriptors:
    """Return the one owner that this process has."""
    return SourceDescriptors()


def range_lock(kind: int, start: int, length: int) -> bytes:
    """Write what `fcntl` takes for a lock on a range.

    Args:
        kind: The kind of the lock: `F_RDLCK`, `F_WRLCK` or `F_UNLCK`.
        start: The range's first byte.
        length: How many bytes it has.
    """
    return struct.pack(_FLOCK, kind, os.SEEK_SET, start, length, 0)
