"""A dataset from its beginning to its end: what was there, a mark meanwhile, the statement last."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from landscape_compat.errors import OutputError, printable
from landscape_compat.export.bag.statement import subjects_of
from landscape_compat.export.dataset.layout import MARK, OWN, PREDICATE, STATEMENT, is_own_name
from landscape_compat.export.dataset.target import Target, put_bytes
from landscape_compat.export.dataset.task import DatasetFile

__all__ = ["Dataset", "begun"]


class Dataset:
    """A dataset under way.

    Args:
        target: Where it is written.
        mark: What the mark of this writer holds.
    """

    def __init__(self, target: Target, mark: bytes) -> None:
        self._target = target
        self._mark = mark

    def seal(self, files: Iterable[DatasetFile], statement: bytes) -> None:
        """Require that the target holds just these files, and write the statement of them.

        Args:
            files: The files.
            statement: The statement.

        Raises:
            OutputError: The target holds something else, or another export was begun there.
        """
        expected = {file.name: file.size for file in files}
        sizes = self._target.sizes()
        found = {name: size for name, size in sizes.items() if not name.startswith(f"{OWN}/")}
        wrong = sorted(expected.items() ^ found.items())
        if wrong:
            raise OutputError(
                f"{self._target.place} does not hold what was written to it: "
                f"{printable(wrong[0][0])} is missing, or is another file.",
                remedy="Give a target that every process which writes can reach, and no other "
                "program writes to.",
            )
        if not self._is_mine():
            raise OutputError(
                f"Another export to {self._target.place} was begun meanwhile.",
                remedy="Let one of them come to its end at a time.",
            )
        # What killed processes left.
        self._target.remove(name for name in sizes if name.startswith(f"{OWN}/") and name != MARK)
        put_bytes(self._target, STATEMENT, statement)
        self._target.remove([MARK])

    def abandon(self) -> None:
        """Remove what there is of it, unless another export has taken its place."""
        with suppress(Exception):  # what went wrong first is to be told
            if self._is_mine():
                names = set(filter(is_own_name, self._target.sizes())) - {MARK}
                self._target.remove([*sorted(names), MARK])

    def _is_mine(self) -> bool:
        return self._target.read(MARK) == self._mark


@contextmanager
def begun(target: Target, *, force: bool) -> Iterator[Dataset]:
    """Begin a dataset; where it does not come to its end, what there is of it is removed.

    What an export that was killed left there is replaced. A dataset that is complete is one no
    longer from here on, if it may be replaced.

    Args:
        target: Where to.
        force: Whether a dataset that is complete may be replaced; nothing else is.

    Raises:
        OutputError: The place is taken, or cannot be written to.
    """
    is_new = target.make()
    dataset = Dataset(target, mark := secrets.token_hex(16).encode())
    try:
        former = _require_place(target, force=force)
        put_bytes(target, MARK, mark)
        # The statement goes first: what it is about is being removed.
        target.remove([STATEMENT, *sorted(former - {STATEMENT, MARK})])
        yield dataset
    except BaseException:
        dataset.abandon()
        if is_new:
            target.unmake()
        raise


def _require_place(target: Target, *, force: bool) -> set[str]:
    """Name what is there, all of which may go."""
    names = target.sizes().keys()
    if STATEMENT in names and not force:
        raise OutputError(
            f"{target.place} holds a dataset already, and was left as it is.",
            remedy="Give another place, or replace what is there by --force (force=True).",
        )
    is_ours = MARK in names
    if STATEMENT in names:
        is_ours = subjects_of(target.read(STATEMENT), PREDICATE) is not None
    others = sorted(name for name in names if not is_own_name(name))
    if names and (others or not is_ours):
        what = f"holds {printable(others[0])}, and" if others else "holds what"
        raise OutputError(
            f"{target.place} {what} is not an earlier export, so it was not replaced.",
            remedy="Give another place, or move away what is there.",
        )
    return set(names)
