"""What the files of a source are, before it is read and after: their digests and their stamps."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landscape_compat.engine.classify import resolve
from landscape_compat.engine.digests import SourceDigests, digest_source
from landscape_compat.engine.source import source_of
from landscape_compat.errors import SourceChangedError, printable
from landscape_compat.landscape.database import Landscape

__all__ = ["SourceFile", "SourceState", "require_unchanged", "state_of_source"]

_WITH_DIGEST = ("", "-wal", "-journal")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a database.

    Args:
        name: Its name, without its folder.
        size: Its size, in bytes.
        mtime_ns: When it was last written, in nanoseconds since 1970.
        sha256: Its digest in hexadecimal; None for SQLite's shared memory, which holds no data.
    """

    name: str
    size: int
    mtime_ns: int
    sha256: str | None

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain JSON values; what is too large for a JSON number, as text."""
        return {
            "name": printable(self.name),
            "size": self.size,
            "mtime_ns": str(self.mtime_ns),
            "sha256": self.sha256,
        }


@dataclass(frozen=True, slots=True)
class SourceState:
    """Every file that a database consists of, by name; none for a server's database."""

    files: tuple[SourceFile, ...]

    @property
    def data(self) -> tuple[SourceFile, ...]:
        """Give the files that hold data."""
        return tuple(file for file in self.files if file.sha256 is not None)

    @property
    def digests(self) -> dict[str, str]:
        """Give the digest of each file that holds data, by its name."""
        return {file.name: file.sha256 for file in self.files if file.sha256 is not None}

    def to_list(self) -> list[dict[str, Any]]:
        """Give the files as plain JSON values."""
        return [file.to_dict() for file in self.files]


def state_of_source(
    db: Landscape, digest: Callable[[Path], SourceDigests] = digest_source
) -> SourceState:
    """Digest and list the files of a database: itself, and all whose names begin with its own.

    Args:
        db: The database.
        digest: Digests them.

    Raises:
        OSError: A file cannot be read.
    """
    dialect = db.engine.dialect
    if dialect.name != "sqlite":
        return SourceState(())
    arguments, keywords = dialect.create_connect_args(db.engine.url)
    opened = source_of(arguments, keywords).path
    assert opened is not None  # the shim leaves a database in memory alone
    path = resolve(opened)
    digests = digest(path)
    of_suffix = dict(
        zip(_WITH_DIGEST, (digests.database, digests.wal, digests.journal), strict=True)
    )
    files = []
    with os.scandir(path.parent) as entries:
        for entry in entries:
            suffix = entry.name.removeprefix(path.name)
            if entry.name != path.name + suffix or suffix not in (*_WITH_DIGEST, "-shm"):
                continue
            found = entry.stat(follow_symlinks=False)
            files.append(
                SourceFile(entry.name, found.st_size, found.st_mtime_ns, of_suffix.get(suffix))
            )
    return SourceState(tuple(sorted(files, key=lambda file: file.name)))


def require_unchanged(before: SourceState, after: SourceState) -> None:
    """Refuse a source whose data changed while it was read.

    Args:
        before: What it was when the reading began.
        after: What it was when the reading had ended.

    Raises:
        SourceChangedError: A file that holds data came, went or changed.
    """
    if before.data == after.data:
        return
    old, new = ({file.name: file for file in state.data} for state in (before, after))
    names = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
    raise SourceChangedError(
        f"{', '.join(map(printable, names))} changed while it was read, so nothing was kept.",
        remedy="End the program that writes to it, or export a copy made by `sqlite3 DB .backup`.",
    )
