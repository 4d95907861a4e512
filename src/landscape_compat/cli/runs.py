"""Naming the runs that a database holds to who asked for another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from landscape_compat.errors import LandscapeCompatError, RunNotFoundError, printable

if TYPE_CHECKING:
    from landscape_compat.landscape.database import Landscape

__all__ = ["naming_runs"]

_MOST_NAMED = 5


@contextmanager
def naming_runs(databases: Sequence[Landscape]) -> Iterator[None]:
    """Have the error about a run that is not there name those that are.

    Args:
        databases: The databases, open.

    Raises:
        RunNotFoundError: As it was raised, with another remedy.
    """
    try:
        yield
    except RunNotFoundError as error:
        try:
            remedy = " ".join(map(_which, databases))
        except LandscapeCompatError:  # what went wrong first is to be told
            raise error from None
        raise RunNotFoundError(error.reason, table="runs", remedy=remedy) from error


def _which(db: Landscape) -> str:
    from landscape_compat.export.records.selection import NO_RUNS
    from landscape_compat.landscape.recorder import ReadOnlyRecorder

    runs = [printable(run.run_id) for run in ReadOnlyRecorder(db).list_runs()]
    if not runs:
        return NO_RUNS
    more = f" and {len(runs) - _MOST_NAMED} more" if len(runs) > _MOST_NAMED else ""
    shown = ", ".join(runs[:_MOST_NAMED])
    return f"Give one of the runs, newest first, that this database holds: {shown}{more}."
