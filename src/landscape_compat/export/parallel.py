"""Several databases' parts of a bag, written at a time, each by a process of its own."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import URL

from landscape_compat.engine.notices import repeat
from landscape_compat.engine.processes import worker_pool
from landscape_compat.errors import LandscapeCompatError, printable
from landscape_compat.export.part import Part, Wanted, write_part
from landscape_compat.landscape.database import open_landscape

__all__ = ["write_parts"]

_LOGGER = "landscape_compat"


@dataclass(frozen=True, slots=True)
class _Done:
    """What a process wrote, and what it would have told."""

    part: Part
    warned: tuple[Warning | str, ...]
    logged: tuple[tuple[str, dict[str, Any]], ...]


def write_parts(
    databases: Sequence[URL],
    bag: Path,
    places: Sequence[PurePosixPath],
    wanted: Wanted,
    *,
    jobs: int,
    passphrase: str | None = None,
) -> Iterator[Part]:
    """Write the records of databases to folders of a bag, and give each part in its turn.

    What the processes would warn of and log is told by this one. When this ends, in whichever
    way, none of them writes any more.

    Args:
        databases: The databases.
        bag: The folder of the bag.
        places: The folder of each within it.
        wanted: What is wanted of each.
        jobs: How many to write at a time.
        passphrase: What they are encrypted by, if they are.

    Raises:
        LandscapeCompatError: What `write_part` raises; or a process was ended from outside.
    """
    waiting: list[tuple[str, Future[_Done]]] = []
    try:
        with worker_pool(min(jobs, len(databases))) as pool:
            for url, below in zip(databases, places, strict=True):
                future = pool.submit(_write, url, bag, below, wanted, passphrase)
                waiting.append((below.name, future))
            for _, future in waiting:
                done = future.result()
                for warning in done.warned:
                    warnings.warn(warning, stacklevel=2)
                for name, fields in done.logged:
                    repeat(name, fields)
                yield done.part
    except BrokenProcessPool as error:
        names = [name for name, future in waiting if not _is_written(future)]
        raise LandscapeCompatError(
            "A process that exported one of these was ended from outside, perhaps for want of "
            f"memory, so nothing was kept: {', '.join(map(printable, names))}.",
            remedy="Export again, fewer at a time (--jobs); a script of your own begins its "
            'work under `if __name__ == "__main__":`.',
        ) from error


def _is_written(future: Future[_Done]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _write(
    url: URL, bag: Path, below: PurePosixPath, wanted: Wanted, passphrase: str | None
) -> _Done:
    logged: list[tuple[str, dict[str, Any]]] = []
    handler = _Keep(logged)
    logger = logging.getLogger(_LOGGER)
    # A script that sets up logging at its top has done so here, too.
    logger.propagate, logger.handlers = False, [logging.NullHandler()]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with open_landscape(url, passphrase=passphrase) as db:
            # What there was to say of opening it, who opened it first has said.
            logger.addHandler(handler)
            part = write_part(db, bag, below, wanted)
    return _Done(part, tuple(one.message for one in told), tuple(logged))


class _Keep(logging.Handler):
    """Keeps events as `emit` logs them where the application has set up no logging."""

    def __init__(self, logged: list[tuple[str, dict[str, Any]]]) -> None:
        super().__init__()
        self._logged = logged

    def emit(self, record: logging.LogRecord) -> None:
        """Keep an event, whose arguments are its name and its fields."""
        event: Any = record.args
        self._logged.append(event)
