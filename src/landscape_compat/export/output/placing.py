"""Making an output beside its place, and moving it there when it is complete."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from landscape_compat.errors import OutputError, printable
from landscape_compat.export.output.files import cannot_write

__all__ = ["folder_beside", "made_beside", "move_if_free"]


@contextmanager
def made_beside(
    final: Path, *, force: bool, is_ours: Callable[[Path], bool], what: str
) -> Iterator[Path]:
    """Give a path for what is being made; move it to its place in the end, or remove it.

    Args:
        final: The place.
        force: Whether something of ours there may be replaced; nothing else is.
        is_ours: Tells whether what is there is ours.
        what: What ours is called.

    Raises:
        OutputError: The place is taken, or cannot be written to.
    """
    _sweep(final)
    _require_place(final, force=force, is_ours=is_ours, what=what)
    with folder_beside(final) as folder:
        partial = folder / final.name
        yield partial
        _require_place(final, force=force, is_ours=is_ours, what=what)
        _move(partial, final, force=force)


@contextmanager
def folder_beside(final: Path) -> Iterator[Path]:
    """Give a folder beside a place for what is being made, and remove it in the end.

    What a killed process left there goes first; its lock tells that it is gone. What it had begun
    to replace gets its place again.

    Args:
        final: The place.

    Raises:
        OutputError: The folder cannot be made.
    """
    _sweep(final)
    try:
        folder, lock = _make_folder(final)
    except OSError as error:
        raise cannot_write(final, error) from error
    try:
        yield folder
    finally:
        with suppress(OSError):
            _clear(folder, final)
        os.close(lock)


# Hexadecimal digits that tell one folder from another.
_MARK = 8
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _make_folder(final: Path) -> tuple[Path, int]:
    while True:
        folder = final.with_name(f".{final.name}.partial-{secrets.token_hex(_MARK // 2)}")
        folder.mkdir(mode=0o700)
        # Somebody who sweeps may come between any two of these steps; then start again.
        with suppress(FileNotFoundError):
            lock = os.open(folder, _FOLDER_FLAGS)
            with suppress(OSError):  # a file system that cannot lock; nobody sweeps there, either
                fcntl.flock(lock, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if folder.stat().st_ino == os.fstat(lock).st_ino:
                    return folder, lock
            os.close(lock)


def _sweep(final: Path) -> None:
    ours = re.compile(rf"\.{re.escape(final.name)}\.partial-[0-9a-f]{{{_MARK}}}")
    with suppress(OSError):
        for entry in [path for path in final.parent.iterdir() if ours.fullmatch(path.name)]:
            with suppress(OSError):
                lock = os.open(entry, _FOLDER_FLAGS)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _clear(entry, final)
                finally:
                    os.close(lock)


def _clear(folder: Path, final: Path) -> None:
    former = _former(folder, final)
    if os.path.lexists(former) and not os.path.lexists(final):
        former.rename(final)
    shutil.rmtree(folder, ignore_errors=True)


def _former(folder: Path, final: Path) -> Path:
    return folder / f"{final.name}.former"


def _require_place(final: Path, *, force: bool, is_ours: Callable[[Path], bool], what: str) -> None:
    if not os.path.lexists(final):
        return
    if not force:
        raise OutputError(
            f"{printable(final)} exists already, and was left as it is.",
            remedy=f"Give another place, or replace {what} there by --force (force=True).",
        )
    if final.is_symlink() or not (is_ours(final) or _is_empty(final)):
        raise OutputError(
            f"{printable(final)} is not {what}, so it was not replaced.",
            remedy="Give another place, or move away what is there.",
        )


def _is_empty(place: Path) -> bool:
    return place.is_dir() and not any(place.iterdir())


def _move(partial: Path, final: Path, *, force: bool) -> None:
    try:
        # A file takes the place of another in one step; a folder only if nothing is there.
        if final.is_dir() or (partial.is_dir() and os.path.lexists(final)):
            final.rename(_former(partial.parent, final))
        if force or partial.is_dir():
            partial.rename(final)
        else:
            move_if_free(partial, final)
    except OSError as error:
        raise cannot_write(final, error) from error


def move_if_free(made: Path, final: Path) -> None:
    """Give a file its place, and never that of another.

    Args:
        made: The file, on the same file system.
        final: Its place.

    Raises:
        OutputError: The place is taken.
        OSError: It cannot be written to.
    """
    try:
        final.hardlink_to(made)
    except OSError as error:
        # A file system that gives a file one name only. The look before the move is no lock.
        if isinstance(error, FileExistsError) or os.path.lexists(final):
            raise OutputError(
                f"{printable(final)} was made by somebody else meanwhile, and was left as it is.",
                remedy="Look at it; give another place if it is not what you want.",
            ) from error
        made.rename(final)
    else:
        made.unlink()
