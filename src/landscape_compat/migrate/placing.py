"""Making a file beside its place, and putting it there when it is whole."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from landscape_compat.errors import OutputError, printable

__all__ = ["cannot_place", "made_beside", "make_lasting", "put_in_place", "require_free"]


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


@contextmanager
def made_beside(final: Path) -> Iterator[Path]:
    """Give a folder beside a place for what is being made, and remove it in the end.

    What a killed process left there goes first; its lock tells that it is gone.

    Args:
        final: The place.

    Raises:
        OutputError: The folder cannot be made.
    """
    _sweep(final)
    partial = final.with_name(f".{final.name}.partial-{secrets.token_hex(4)}")
    try:
        partial.mkdir(mode=0o700)
        lock = os.open(partial, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise cannot_place(final, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        os.close(lock)


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
            _move_if_free(made, final)
        make_lasting(final.parent)
    except FileExistsError as error:
        raise OutputError(
            f"{printable(final)} was made by somebody else meanwhile, and was left as it is.",
            remedy="Look at it; give another place if it is not what you want.",
        ) from error
    except OSError as error:
        raise cannot_place(final, error) from error


def _move_if_free(made: Path, final: Path) -> None:
    try:
        final.hardlink_to(made)
    except FileExistsError:
        raise
    except OSError:
        # A file system that gives a file one name only. The look before the move is no lock.
        if os.path.lexists(final):
            raise FileExistsError(str(final)) from None
        made.rename(final)
    else:
        made.unlink()


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


def cannot_place(final: Path, error: OSError) -> OutputError:
    """Make the error that says that a file cannot be put in its place.

    Args:
        final: The place.
        error: What the system said.
    """
    return OutputError(
        f"{printable(final)} cannot be written: {error.strerror or error}.",
        remedy="Check that its folder exists, that you may write there and that there is room.",
    )


def _sweep(final: Path) -> None:
    ours = re.compile(rf"\.{re.escape(final.name)}\.partial-[0-9a-f]{{8}}")
    with suppress(OSError):
        for entry in [path for path in final.parent.iterdir() if ours.fullmatch(path.name)]:
            with suppress(OSError):
                lock = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(entry, ignore_errors=True)
                finally:
                    os.close(lock)
