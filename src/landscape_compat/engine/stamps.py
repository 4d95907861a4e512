"""Stamps: what `stat` tells of a database's files, so that a change of them is seen."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Stamp", "Stamps", "settle"]

_ATTEMPTS = 3
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
