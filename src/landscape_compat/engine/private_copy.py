"""A private copy of a database: whole, of one moment, entered by nobody else, and removed."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from landscape_compat.engine.descriptors import READ_FLAGS, SourceFile
from landscape_compat.engine.stamps import Stamp, Stamps, settle
from landscape_compat.errors import OpeningRefusedError, OutputError, SourceChangedError, printable

__all__ = ["PrivateCopy", "copy_privately", "sweep_leftovers"]

_PREFIX = "landscape-compat-copy-"
_NAME = "copy.db"
_OWNER = "owner.lock"
_CHUNK = 8 << 20
_ATTEMPTS = 3
# Recovery writes in the copy: pages out of the WAL, an index of it, a few pages of its own.
_SPARE_BYTES = 4 << 20


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
            part = os.open(f"{path}{suffix}", READ_FLAGS)
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
