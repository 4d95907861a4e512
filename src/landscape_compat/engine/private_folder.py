"""A private folder for copies of data: entered by nobody else, and removed, come what may."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path

from landscape_compat.errors import OutputError, printable

__all__ = ["PrivateFolder", "create_privately", "sweep_leftovers"]

_PREFIX = "landscape-compat-copy-"
_OWNER = "owner.lock"


class PrivateFolder:
    """A folder that only its owner can enter.

    It goes when it is closed or forgotten, or when the process ends; one that a crash left
    behind goes when the next one is made.

    Args:
        parent: Where to make it; by default where temporary files go.

    Raises:
        OSError: It cannot be made there.
    """

    def __init__(self, parent: Path | None = None) -> None:
        parent = parent or Path(tempfile.gettempdir())
        sweep_leftovers(parent)
        self.path, lock = _make_folder(parent)
        self._remove = weakref.finalize(self, _remove, self.path, lock, os.getpid())

    @property
    def closed(self) -> bool:
        """Tell whether it is gone."""
        return not self._remove.alive

    def close(self) -> None:
        """Remove it with all that is in it; a second time does nothing.

        Raises:
            OutputError: Something of it could not be removed.
        """
        if self._remove() is False:
            raise OutputError(
                f"The private folder {printable(self.path)} could not be removed whole; it holds "
                "data of its source.",
                remedy="Delete that folder by hand.",
            )


def create_privately(path: Path) -> int:
    """Create a file for its owner alone, and give its descriptor.

    Args:
        path: The file.

    Raises:
        OSError: It is there already, or cannot be made.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def sweep_leftovers(parent: Path | None = None) -> int:
    """Remove the private folders that crashed processes of this user left behind.

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
            lock = create_privately(folder / _OWNER)
            fcntl.flock(lock, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if (folder / _OWNER).stat().st_ino == os.fstat(lock).st_ino:
                    return folder, lock
            os.close(lock)


def _remove(folder: Path, lock: int, owner: int) -> bool:
    if os.getpid() != owner:
        return True  # a fork inherits this object, but the copy is its parent's
    try:
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name == _OWNER):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)
        folder.rmdir()
    except FileNotFoundError:
        return True  # somebody who sweeps was quicker with the empty folder
    except OSError:
        return False
    finally:
        os.close(lock)
    return True
