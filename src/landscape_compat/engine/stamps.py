"""Stamps: what `stat` tells of a database's files, so that a change of them is seen."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

__all__ = ["Stamp", "Stamps", "settle", "stamp_of"]

_ATTEMPTS = 3
# A kernel may stamp files by a clock that ticks only every 10 ms (CONFIG_HZ=100): a second
# change within one tick leaves the stamp as it is.
_TICK_NS = 20_000_000


class Stamp(NamedTuple):
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


class Stamps(NamedTuple):
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
    def of(cls, path: Path, database: Stamp | None = None) -> Stamps:
        """Stamp a database.

        Args:
            path: Its file, with no symlink on the way.
            database: That file's stamp, if it was taken just now.

        Raises:
            OSError: The file is gone, or its folder cannot be searched.
        """
        return cls(
            database or Stamp.of(os.lstat(path)), stamp_of(path, "-wal"), stamp_of(path, "-journal")
        )

    @property
    def fresh(self) -> bool:
        """Tell whether a change right now could leave the stamps as they are."""
        return not self.settled_at(time.time_ns())

    def settled_at(self, moment_ns: int) -> bool:
        """Tell whether every change after a moment makes the stamps others."""
        parts = (part for part in (self.database, self.wal, self.journal) if part)
        return all(
            abs(moment_ns - changed) >= _TICK_NS
            for part in parts
            for changed in (part.mtime_ns, part.ctime_ns)
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


def stamp_of(path: Path, suffix: str) -> Stamp | None:
    """Stamp a file beside a database, if there is one.

    Args:
        path: The database.
        suffix: What its name has more.

    Raises:
        OSError: The folder cannot be searched.
    """
    try:
        return Stamp.of(os.lstat(f"{path}{suffix}"))
    except FileNotFoundError:
        return None
