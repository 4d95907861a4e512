"""Having a SQLite file, or the work on it, to oneself for a while."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from landscape_compat.engine.descriptors import PENDING, SHARED, SHARED_SIZE, range_lock
from landscape_compat.errors import LandscapeCompatError, printable

__all__ = ["alone_with", "one_at_a_time", "processes", "writers_of"]

_SETLK: int = getattr(fcntl, "F_OFD_SETLK", fcntl.F_SETLK)
_STEP = 0.05


@contextmanager
def one_at_a_time(path: Path, *, patience: float) -> Iterator[None]:
    """Do a block for a file in one process and thread at a time; the others wait.

    The lock is a hidden file beside it. It ends with the process, whatever ends that.

    Args:
        path: The file.
        patience: For how many seconds to wait.

    Raises:
        LandscapeCompatError: Somebody else is still at it.
        OSError: The folder cannot be written to.
    """
    place = path.with_name(f".{path.name}.migration-lock")
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    until = time.monotonic() + patience
    while True:
        lock = os.open(place, flags, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who had it before took its name away; then what we hold is nobody's lock.
            with suppress(FileNotFoundError):
                if os.path.samestat(place.lstat(), os.fstat(lock)):
                    break
        except BlockingIOError:
            pass
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
        if time.monotonic() > until:
            raise LandscapeCompatError(
                f"Somebody else has been migrating {printable(path)} for {patience:g} seconds.",
                remedy="Wait until that is done, then try again.",
            )
        time.sleep(_STEP)
    try:
        yield
    finally:
        with suppress(OSError):
            place.unlink()
        os.close(lock)


@contextmanager
def alone_with(path: Path, *, patience: float) -> Iterator[Callable[[float], bool]]:
    """Keep every SQLite, in this process too, from beginning to read or write a file.

    Nothing is written to it. Who has it open for writing, were he idle, keeps us from it: he
    would go on writing to it under whatever name it gets.

    Args:
        path: The file, with no symlink on the way.
        patience: For how many seconds to wait for those who have it.

    Yields:
        What waits, for so many seconds at most, until nobody has the file open for writing,
        and tells whether that is so.

    Raises:
        LandscapeCompatError: Somebody has it, or the file system has no such locks.
        OSError: It cannot be opened for writing.
    """
    until = time.monotonic() + patience
    # To close a file takes away every lock that this process has on it, so it is not opened
    # while a connection of this process's may hold one.
    while (own := os.getpid()) in writers_of(_identity(path.lstat())):
        if time.monotonic() > until:
            raise _in_use(path, f" by process {own}")
        time.sleep(_STEP)
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        identity = _identity(os.fstat(descriptor))
        while not _lock(path, descriptor):
            if time.monotonic() > until:
                raise _in_use(path, "")
            time.sleep(_STEP)

        def unused(seconds: float) -> bool:
            end = time.monotonic() + seconds
            while found := writers_of(identity, but=descriptor):
                if time.monotonic() > end:
                    return not found
                time.sleep(_STEP)
            return True

        if not unused(patience):
            found = ", ".join(map(str, writers_of(identity, but=descriptor)))
            raise _in_use(path, f" by process {found}" if found else "")
        yield unused
    finally:
        os.close(descriptor)


def _lock(path: Path, descriptor: int) -> bool:
    whole = SHARED + SHARED_SIZE - PENDING
    lock = range_lock(fcntl.F_WRLCK, PENDING, whole)
    try:
        fcntl.fcntl(descriptor, _SETLK, lock)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise LandscapeCompatError(
            f"The file system of {printable(path)} refuses to lock ({error.strerror}), so nobody "
            "could be kept from writing to it meanwhile.",
            remedy="Move the database to a local file system, or migrate a copy.",
        ) from error
    return True


def _in_use(path: Path, whom: str) -> LandscapeCompatError:
    return LandscapeCompatError(
        f"{printable(path)} is in use{whom}, so it was left as it is.",
        remedy="End the programs that have it open, then try again.",
    )


def processes() -> list[int]:
    """Give the number of every process there is; none where there is no /proc."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if path.name.isdigit()]


def writers_of(identity: tuple[int, int], *, but: int = -1) -> list[int]:
    """Name the processes that have a file open for writing; none where there is no /proc.

    Args:
        identity: The file's device and inode.
        but: A descriptor of this process that does not count.
    """
    own = os.getpid()
    return [
        process
        for process in processes()
        if any(True for number in _writing(process, identity) if (process, number) != (own, but))
    ]


def _writing(process: int, identity: tuple[int, int]) -> Iterator[int]:
    with suppress(OSError):
        for opened in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):
                if _identity(opened.stat()) == identity and _is_writable(process, opened.name):
                    yield int(opened.name)


def _is_writable(process: int, number: str) -> bool:
    told = Path(f"/proc/{process}/fdinfo/{number}").read_text()
    flags = re.search(r"^flags:\s*([0-7]+)$", told, re.MULTILINE)
    return flags is None or int(flags[1], 8) & os.O_ACCMODE != os.O_RDONLY


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
