"""Making an output beside its place, and moving it there when it is complete."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from landscape_compat.errors import OutputError, printable
from landscape_compat.export.files import cannot_write

__all__ = ["made_beside"]


@contextmanager
def made_beside(
    final: Path, *, force: bool, is_ours: Callable[[Path], bool], what: str
) -> Iterator[Path]:
    """Give a path beside a place; move what is made there to the place, or remove it.

    Args:
        final: The place.
        force: Whether something of ours there may be replaced; nothing else is.
        is_ours: Tells whether what is there is ours.
        what: What ours is called.

    Raises:
        OutputError: The place is taken, or cannot be written to.
    """
    _require_place(final, force=force, is_ours=is_ours, what=what)
    mark = secrets.token_hex(4)
    partial = final.with_name(f".{final.name}.partial-{mark}")
    try:
        yield partial
        _require_place(final, force=force, is_ours=is_ours, what=what)
        _move(partial, final, mark)
    except BaseException:
        _remove(partial)
        raise


def _require_place(final: Path, *, force: bool, is_ours: Callable[[Path], bool], what: str) -> None:
    if not os.path.lexists(final):
        return
    if not force:
        raise OutputError(
            f"{printable(final)} exists already, and was left as it is.",
            remedy=f"Give another place, or say that {what} there may be replaced.",
        )
    if final.is_symlink() or not (is_ours(final) or _is_empty(final)):
        raise OutputError(
            f"{printable(final)} is not {what}, so it was not replaced.",
            remedy="Give another place, or move away what is there.",
        )


def _is_empty(place: Path) -> bool:
    return place.is_dir() and not any(place.iterdir())


def _move(partial: Path, final: Path, mark: str) -> None:
    former = final.with_name(f".{final.name}.former-{mark}")
    replaced = False
    try:
        if os.path.lexists(final):
            final.rename(former)
            replaced = True
        partial.rename(final)
    except OSError as error:
        if replaced:
            former.rename(final)
        raise cannot_write(final, error) from error
    if replaced:
        _remove(former)


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink(missing_ok=True)
