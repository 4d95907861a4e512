"""Read a source's own files past SQLite: descriptors that stay open, stamps, private copies."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import struct
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from landscape_compat.errors import OpeningRefusedError, OutputError, SourceChangedError, printable

__all__ = [
    "PENDING",
    "SHARED",
    "SHARED_SIZE",
    "PrivateCopy",
    "SourceDescriptors",
    "SourceFile",
    "Stamp",
    "Stamps",
    "copy_privately",
    "descriptors",
    "settle",
    "sweep_leftovers",
]

# The bytes that SQLite locks; RESERVED lies between the two.
# Source: https://www.sqlite.org/src/file/src/os.h, PENDING_BYTE, SHARED_FIRST, SHARED_SIZE.
PENDING, SHARED, SHARED_SIZE = 0x40000000, 0x40000002, 510

_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_GETLK: int | None = getattr(fcntl, "F_OFD_GETLK", None)
_SETLK: int | None = getattr(fcntl, "F_OFD_SETLK", None)
# `struct flock`: type, whence, start, length, process; zeros after it cover the padding.
_FLOCK = "hhqqi4x"

_PREFIX = "landscape-compat-copy-"
_NAME = "copy.db"
_OWNER = "owner.lock"
_CHUNK = 8 << 20
_ATTEMPTS = 3
# Recovery writes in the copy: pages out of the WAL, an index of it, a few pages of its own.
_SPARE_BYTES = 4 << 20
# A kernel may stamp files by a clock that ticks only every 10 ms (CONFIG_HZ=100): a second
# change within one tick leaves the stamp as it is.
_TICK_NS = 20_000_000


@dataclass(frozen=True, slots=True)
class Stamp:
    """What `stat` says of one file; a change of its bytes changes it.

    Args:
        device: The file system it lies on.
        inode: Its number there.
        size: Bytes.
        mtime_ns: When its bytes last changed.
        ctime_ns: When anything about it last changed; no program can set this.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @property
    def identity(self) -> tuple[int, int]:
        """Name the file whatever its path."""
        return self.device, self.inode

    @classmethod
    def of(cls, found: os.stat_result) -> Stamp:
        """Take the stamp out of a stat result."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class Stamps:
    """The stamps of all that a database consists of.

    Args:
        database: The database file.
        wal: Its `-wal`, if there is one.
        journal: Its `-journal`, if there is one.
    """

    database: Stamp
    wal: Stamp | None
    journal: Stamp | None

    @classmethod
    def of(cls, path: Path) -> Stamps:
        """Stamp a database.

        Args:
            path: Its file, with no symlink on the way.

        Raises:
            OSError: The file is gone, or its folder cannot be searched.
        """
        return cls(Stamp.of(path.lstat()), _stamp(path, "-wal"), _stamp(path, "-journal"))

    @property
    def fresh(self) -> bool:
        """Tell whether a change right now could leave the stamps as they are."""
        now = time.time_ns()
        parts = (part for part in (self.database, self.wal, self.journal) if part)
        return any(
            abs(now - moment) < _TICK_NS
            for part in parts
            for moment in (part.mtime_ns, part.ctime_ns)
        )


def settle(path: Path) -> Stamps | None:
    """Stamp a database, waiting a few clock ticks if it changed just now.

    Args:
        path: Its file, with no symlink on the way.

    Returns:
        Stamps that any later change will differ from, or None if it changes all the time.

    Raises:
        OSError: The file is gone, or its folder cannot be searched.
    """
    for _ in range(_ATTEMPTS):
        stamps = Stamps.of(path)
        if not stamps.fresh:
            return stamps
        time.sleep(_TICK_NS / 1e9)
    return None


def _stamp(path: Path, suffix: str) -> Stamp | None:
    with suppress(FileNotFoundError):
        return Stamp.of(os.lstat(f"{path}{suffix}"))
    return None


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
            found = fcntl.fcntl(self.descriptor, _GETLK, _flock(kind, start, length))
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
            OSError: The platform or the file system has no such locks.
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
        if _SETLK is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        fcntl.fcntl(source.descriptor, _SETLK, _flock(kind, SHARED, SHARED_SIZE))

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
        descriptor = os.open(path, _READ_FLAGS)
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


class PrivateCopy:
    """A copy of a database in a folder that only its owner can enter.

    It goes when it is closed or forgotten, or when the process ends; one that a crash left
    behind goes when the next copy is made.

    Args:
        path: The copied database file.
        stamps: What the source was when it was copied.
        lock: The descriptor whose lock says that the copy is in use.
    """

    def __init__(self, path: Path, stamps: Stamps, lock: int) -> None:
        self.path = path
        self.stamps = stamps
        self._remove = weakref.finalize(self, _remove, path.parent, lock, os.getpid())

    @property
    def closed(self) -> bool:
        """Tell whether it is gone."""
        return not self._remove.alive

    def close(self) -> None:
        """Remove the copy; a second time does nothing.

        Raises:
            OutputError: Something of it could not be removed.
        """
        if self._remove() is False:
            raise OutputError(
                f"The private copy in {printable(self.path.parent)} could not be removed whole; "
                "it holds data of its source.",
                remedy="Delete that folder by hand.",
            )


def copy_privately(path: Path, source: SourceFile, *, parent: Path | None = None) -> PrivateCopy:
    """Copy a database with its `-wal` and `-journal`, all of one moment.

    The stamps of all parts are the same before and after, so nothing was written meanwhile:
    the copy is what a crash at that moment would have left, which SQLite recovers from. What
    was committed is in it, what was not is rolled back when it is first opened for writing.

    Args:
        path: The database file, with no symlink on the way.
        source: Its borrowed descriptor.
        parent: Where to make the private folder; by default where temporary files go.

    Raises:
        SourceChangedError: Somebody wrote to it during each of a few attempts.
        OpeningRefusedError: There is no room, or a part cannot be read or written.
    """
    try:
        parent = parent or Path(tempfile.gettempdir())
        sweep_leftovers(parent)
        for _ in range(_ATTEMPTS):
            stamps = settle(path)
            if stamps is None:
                continue
            if stamps.database != Stamp.of(os.fstat(source.descriptor)):
                break  # the path is another file's by now
            _require_room(path, stamps, parent)
            folder, lock = _make_folder(parent)
            copy = PrivateCopy(folder / _NAME, stamps, lock)
            try:
                whole = _copy_parts(path, source.descriptor, copy)
            except FileNotFoundError:
                whole = False
            except BaseException:
                copy.close()
                raise
            if whole:
                return copy
            copy.close()
    except OSError as error:
        where = f" ({printable(error.filename)})" if error.filename else ""
        raise OpeningRefusedError(
            f"{printable(path)} could not be copied to a private folder: {error.strerror}{where}.",
            remedy="Make the file and what lies beside it readable, and see that the folder for "
            "temporary files (TMPDIR) can be written to and has room.",
        ) from error
    raise SourceChangedError(
        f"{printable(path)} was written to each time it was copied, so no copy is whole.",
        remedy="Try again when the program that writes to it has finished.",
    )


def sweep_leftovers(parent: Path | None = None) -> int:
    """Remove the private copies that crashed processes of this user left behind.

    The lock in the folder of a living process is held, and ends with the process.

    Args:
        parent: Where to look; by default where temporary files go.

    Returns:
        How many were removed.
    """
    swept = 0
    with suppress(OSError), os.scandir(parent or tempfile.gettempdir()) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX):
                with suppress(OSError):
                    swept += _sweep(entry)
    return swept


def _sweep(entry: os.DirEntry[str]) -> bool:
    if not entry.is_dir(follow_symlinks=False):
        return False
    if entry.stat(follow_symlinks=False).st_uid != os.geteuid():
        return False
    folder = Path(entry.path)
    try:
        lock = os.open(folder / _OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        # The lock comes first and goes last, so there is nothing else in it.
        folder.rmdir()
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return False
    return _remove(folder, lock, os.getpid())


def _make_folder(parent: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        # Somebody who sweeps may come between any two of these steps; then start again.
        with suppress(FileNotFoundError):
            if folder.stat().st_mode & 0o077:
                folder.rmdir()
                raise PermissionError(errno.EPERM, "others could enter a folder there", str(parent))
            lock = _create(folder / _OWNER)
            fcntl.flock(lock, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if (folder / _OWNER).stat().st_ino == os.fstat(lock).st_ino:
                    return folder, lock
            os.close(lock)


def _create(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _remove(folder: Path, lock: int, owner: int) -> bool:
    if os.getpid() != owner:
        return True  # a fork inherits this object, but the copy is its parent's
    try:
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name == _OWNER):
            entry.unlink(missing_ok=True)
        folder.rmdir()
    except FileNotFoundError:
        return True  # somebody who sweeps was quicker with the empty folder
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def _require_room(path: Path, stamps: Stamps, parent: Path) -> None:
    wal = stamps.wal.size if stamps.wal else 0
    journal = stamps.journal.size if stamps.journal else 0
    # Twice the WAL: once as it is, once as the pages that it adds to the database.
    needed = stamps.database.size + 2 * wal + journal + _SPARE_BYTES
    room = os.statvfs(parent)
    free = room.f_bavail * room.f_frsize
    if needed > free:
        raise OpeningRefusedError(
            f"{printable(path)} can only be read from a private copy, which takes {_mib(needed)} "
            f"in {printable(parent)}, where {_mib(free)} are free.",
            remedy="Make room there, or set TMPDIR to a folder with more.",
        )


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.1f} MiB"


def _copy_parts(path: Path, descriptor: int, copy: PrivateCopy) -> bool:
    stamps = copy.stamps

    def unchanged() -> bool:
        return Stamps.of(path) == stamps

    whole = _copy_bytes(descriptor, copy.path, stamps.database.size, unchanged)
    for suffix, stamp in (("-wal", stamps.wal), ("-journal", stamps.journal)):
        if whole and stamp is not None:
            # SQLite locks nothing on these two, so opening and closing them is harmless.
            part = os.open(f"{path}{suffix}", _READ_FLAGS)
            try:
                target = Path(f"{copy.path}{suffix}")
                whole = _copy_bytes(part, target, stamp.size, unchanged)
            finally:
                os.close(part)
    return whole and unchanged()


def _copy_bytes(descriptor: int, target: Path, size: int, unchanged: Callable[[], bool]) -> bool:
    out = _create(target)
    try:
        done = 0
        while done < size:
            chunk = os.pread(descriptor, min(_CHUNK, size - done), done)
            if not chunk or not unchanged():
                return False
            done += len(chunk)
            while chunk:
                chunk = chunk[os.write(out, chunk) :]
    finally:
        os.close(out)
    return True


def _flock(kind: int, start: int, length: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, start, length, 0)
