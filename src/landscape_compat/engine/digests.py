"""Digests of a database's files, taken without disturbing the locks on them."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from landscape_compat.engine.descriptors import READ_FLAGS, descriptors

__all__ = ["SourceDigests", "digest_source"]

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class SourceDigests:
    """The SHA-256 of all that a database consists of, in hexadecimal.

    Args:
        database: Of the database file.
        wal: Of its `-wal`; None if there is none.
        journal: Of its `-journal`; None if there is none.
    """

    database: str
    wal: str | None
    journal: str | None

    def to_dict(self) -> dict[str, str | None]:
        """Give them as plain JSON values."""
        return {"sha256": self.database, "wal_sha256": self.wal, "journal_sha256": self.journal}


def digest_source(path: Path) -> SourceDigests:
    """Digest a database's files.

    Args:
        path: The database, with no symlink on the way.

    Raises:
        OSError: One of them cannot be read.
    """
    # By the one descriptor that stays open: to close another would take SQLite's locks away.
    with descriptors().borrow(path) as source:
        database = _digest(source.descriptor)
    return SourceDigests(database, _beside(path, "-wal"), _beside(path, "-journal"))


def _beside(path: Path, suffix: str) -> str | None:
    # SQLite locks neither a -wal nor a -journal, so closing one of them is harmless.
    with suppress(FileNotFoundError):
        descriptor = os.open(f"{path}{suffix}", READ_FLAGS)
        try:
            return _digest(descriptor)
        finally:
            os.close(descriptor)
    return None


def _digest(descriptor: int) -> str:
    digest, offset = sha256(), 0
    while chunk := os.pread(descriptor, _CHUNK, offset):
        digest.update(chunk)
        offset += len(chunk)
    return digest.hexdigest()
