"""Putting a file in its place when it is whole."""

from __future__ import annotations

import os
from pathlib import Path

from landscape_compat.errors import OutputError, printable
from landscape_compat.export.output.files import cannot_write
from landscape_compat.export.output.placing import move_if_free

__all__ = ["make_lasting", "put_in_place", "require_free"]


def require_free(final: Path) -> None:
    """Refuse a place where something is.

    Args:
        final: The place.

    Raises:
        OutputError: It is taken.
    """
    for suffix in ("", "-wal", "-shm", "-journal"):
        if os.path.lexists(f"{final}{suffix}"):
            raise OutputError(
                f"{printable(final)}{suffix} exists already, and was left as it is.",
                remedy="Give another place, or move away what is there.",
            )


def put_in_place(made: Path, final: Path, *, replace: bool = False) -> None:
    """Give a whole file its place, so that a crash leaves it there whole or not at all.

    Args:
        made: The file, on the same file system.
        final: Its place.
        replace: Whether something there may be replaced.

    Raises:
        OutputError: The place was taken meanwhile, or cannot be written to.
    """
    try:
        make_lasting(made)
        if replace:
            made.replace(final)
        else:
            move_if_free(made, final)
        make_lasting(final.parent)
    except OSError as error:
        raise cannot_write(final, error) from error


def make_lasting(path: Path) -> None:
    """Have the system write a file, or the names in a folder, to the disk.

    Args:
        path: The file or folder.

    Raises:
        OSError: It could not be written.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
