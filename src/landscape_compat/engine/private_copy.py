"""A private copy of a database: whole, of one moment, in a private folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from landscape_compat.engine.descriptors import READ_FLAGS, SourceFile
from landscape_compat.engine.private_folder import PrivateFolder, create_privately
from landscape_compat.engine.stamps import Stamp, Stamps, settle
from landscape_compat.errors import OpeningRefusedError, SourceChangedError, printable

__all__ = ["PrivateCopy", "copy_privately"]

_NAME = "copy.db"
_CHUNK = 8 << 20
_ATTEMPTS = 3
# Recovery writes in the copy: pages out of the WAL, an index of it, a few pages of its own.
_SPARE_BYTES = 4 << 20


class PrivateCopy:
    """A copy of a database, which goes when its folder goes.

    Args:
        folder: The folder.
        stamps: What the source was when it was copied.
    """

    def __init__(self, folder: PrivateFolder, stamps: Stamps) -> None:
        self.path = folder.path / _NAME
        self.stamps = stamps
        self._folder = folder

    @property
    def closed(self) -> bool:
        """Tell whether it is gone."""
        return self._folder.closed

    def close(self) -> None:
        """Remove the copy; a second time does nothing.

        Raises:
            OutputError: Something of it could not be removed.
        """
        self._folder.close()


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
        for _ in range(_ATTEMPTS):
            stamps = settle(path)
            if stamps is None:
                continue
            if stamps.database != Stamp.of(os.fstat(source.descriptor)):
                break  # the path is another file's by now
            # Making the folder makes room, too: what a crash left behind goes with it.
            copy = PrivateCopy(PrivateFolder(parent), stamps)
            try:
                _require_room(path, stamps, parent)
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
    out = create_privately(target)
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
