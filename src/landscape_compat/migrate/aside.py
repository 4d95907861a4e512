"""Moving a stale database aside, so that the host can begin a fresh one in its place."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL

from landscape_compat.engine.classify import AgainError, look, resolve
from landscape_compat.engine.digests import digest_source
from landscape_compat.engine.stamps import Stamps, settle
from landscape_compat.engine.states import REFUSALS, Lock, Refusal
from landscape_compat.errors import LandscapeCompatError, OutputError, printable
from landscape_compat.landscape.database import database_url
from landscape_compat.landscape.inspection import inspect_landscape
from landscape_compat.migrate.exclusive import processes
from landscape_compat.migrate.kept import SIDECARS, beside, is_one, take_back, undo_unfinished
from landscape_compat.migrate.placing import make_lasting

__all__ = ["MovedAside", "reset_database"]


@dataclass(frozen=True, slots=True)
class MovedAside:
    """What `reset_database` moved.

    Args:
        database: Where the database was.
        aside: Where it is now.
        sidecars: The endings of the files beside it that moved with it, of `-wal`, `-shm` and
            `-journal`.
        sha256: The digest of the database file, in hexadecimal; the `-wal` is not in it.
        shape: What it was told to be: the nearest known shapes.
    """

    database: Path
    aside: Path
    sidecars: tuple[str, ...]
    sha256: str
    shape: tuple[str, ...]


def reset_database(
    database: str | os.PathLike[str] | URL, *, target: str | None = None
) -> MovedAside:
    """Move a degraded Landscape aside, with all that belongs to it, and delete nothing.

    It goes to a name beside it with the day of its last change and its digest in it:
    `audit.2026-01-18.3f2a9c11d0e4.db`. No byte of it changes.

    Args:
        database: A path, or a SQLAlchemy URL of a SQLite file.
        target: The shape of the host that is to run; the newest known if not given.

    Raises:
        OpeningRefusedError: It cannot be read safely; says why.
        NotALandscapeError: It is not a Landscape, and so is not ours to move.
        LandscapeCompatError: It is not degraded, is in use, or is no file.
        OutputError: Its new name is taken, or its folder cannot be written to; where that came
            up after it had been moved, says where it is.
    """
    url = database_url(database)
    if url.get_backend_name() != "sqlite" or not url.database or url.query:
        raise LandscapeCompatError(
            "Only a SQLite file can be moved aside.",
            remedy="Give its path; on a server, create a fresh database under another name.",
        )
    given = Path(url.database)
    undo_unfinished(given)
    report = inspect_landscape(database, target=target)
    if not report.degraded:
        raise LandscapeCompatError(
            f"{printable(given)} has all that {report.target} declares; nothing was moved.",
            remedy="If the host is of another version, name its schema by --target.",
        )
    path = resolve(given)
    stamps = settle(path)
    if stamps is None:
        raise REFUSALS["changing"].error(path)
    _require_nobody(path, stamps)
    digest = digest_source(path).database
    day = datetime.fromtimestamp(stamps.database.mtime_ns / 1e9, UTC).date()
    aside = path.with_name(f"{path.stem}.{day}.{digest[:12]}{path.suffix}")
    sidecars = _move(path, aside, stamps)
    found = report.identification
    shape = tuple(known.name for known in found.nearest) if found else ()
    return MovedAside(path, aside, sidecars, digest, shape)


# --- who has it ---------------------------------------------------------------------------------


def _require_nobody(path: Path, stamps: Stamps) -> None:
    """Refuse if somebody has the file: he would go on writing to it under its new name.

    SQLite's locks tell of every connection in WAL mode, and of those amid a transaction in the
    others. Of idle ones Linux tells by their open files, as far as this user may look.
    """
    try:
        facts = look(path, stamps.database)
    except AgainError as again:
        raise again.refusal from None
    if isinstance(facts, Refusal):
        raise facts.error(path)
    if facts.lock in (Lock.READER, Lock.WRITER):
        raise _in_use(path, "")
    if facts.lock is Lock.FAILING:  # pragma: no cover - nor can coverage lock its data, test_aside
        raise REFUSALS["unreachable"].error(path, "the file system refuses to lock")
    holders = sorted(set(_holders(stamps.database.identity)))
    if holders:
        raise _in_use(path, f" by process {', '.join(map(str, holders))}")


def _in_use(path: Path, whom: str) -> LandscapeCompatError:
    return LandscapeCompatError(
        f"{printable(path)} is in use{whom}; what is written to it now would follow it to its "
        "new name, so nothing was moved.",
        remedy="End the program that has it open, then try again.",
    )


def _holders(identity: tuple[int, int]) -> Iterator[int]:
    """Give the processes that have a file open, each once per descriptor; none but on Linux."""
    own = 1  # the descriptor by which its locks were asked for
    for process in processes():
        with suppress(OSError):
            for opened in Path(f"/proc/{process}/fd").iterdir():
                with suppress(OSError):
                    found = opened.stat()
                    if (found.st_dev, found.st_ino) != identity:
                        continue
                    if process == os.getpid() and own:
                        own -= 1
                        continue
                    yield process


# --- moving -------------------------------------------------------------------------------------


def _move(path: Path, aside: Path, stamps: Stamps) -> tuple[str, ...]:
    """Give all files their new names, then take the old ones away.

    At no moment is the database without its `-wal` or `-journal`: both names have both. The
    database's old name goes first, because SQLite deletes a `-wal` or `-journal` that has no
    database, and would make rows of one whose database is still to come.
    Source: pager.c, hasHotJournal and pagerOpenWalIfPresent.
    """
    _require_own(path)
    sidecars = tuple(s for s in SIDECARS if os.path.lexists(beside(path, s)))
    try:
        for suffix in ("", *sidecars):
            beside(aside, suffix).hardlink_to(beside(path, suffix))
        if _bytes_of(Stamps.of(path)) != _bytes_of(stamps):
            raise REFUSALS["changing"].error(path)
        make_lasting(path.parent)
        path.unlink()
        _give_up_names(path, aside, sidecars)
    except BaseException as error:
        # A signal, or a network, may tell of an error when its old name is gone; then the new
        # names are the only ones, and the way is forward.
        if os.path.lexists(path) or not os.path.lexists(aside):
            take_back(path, aside)
            if isinstance(error, OSError):
                raise _refusal(path, error) from error
            raise
        moved = f"{printable(path)} was moved, to {printable(aside)}"
        try:
            _give_up_names(path, aside, sidecars)
        except OSError as again:
            if isinstance(error, OSError):
                raise OutputError(
                    f"{moved}; that nothing is left of its old names, also after a crash, could "
                    f"not be made sure: {again.strerror}.",
                    remedy="Check the disk, and move away what is left beside the old name, before "
                    "a fresh database is begun there.",
                ) from again
        if not isinstance(error, OSError):
            error.add_note(f"{moved}.")
            raise
    return sidecars


def _give_up_names(path: Path, aside: Path, sidecars: tuple[str, ...]) -> None:
    for suffix in sidecars:
        # Somebody who begins a fresh database there at once has files of these names, too.
        if is_one(beside(path, suffix), beside(aside, suffix)):
            beside(path, suffix).unlink()
    make_lasting(path.parent)


def _refusal(path: Path, error: OSError) -> OutputError:
    if isinstance(error, FileExistsError):
        return OutputError(
            f"{printable(error.filename2)} exists already; nothing was moved.",
            remedy="Move it to where such records are kept, then try again.",
        )
    return OutputError(
        f"{printable(path)} could not be moved aside: {error.strerror}.",
        remedy="Check that its folder can be written to, on a file system that can give "
        "a file two names; or move it by hand, with all files whose names begin as its.",
    )


def _require_own(path: Path) -> None:
    """Refuse where a second name could be given, and then neither name be taken away."""
    folder = path.parent.stat()
    may = {0, folder.st_uid, path.lstat().st_uid}
    if folder.st_mode & stat.S_ISVTX and os.geteuid() not in may:
        raise OutputError(
            f"{printable(path)} is somebody else's, in a folder where only he may move it; "
            "nothing was moved.",
            remedy="Have its owner do it.",
        )


def _bytes_of(stamps: Stamps) -> list[tuple[int, ...]]:
    # A second name moves the ctime.
    parts = (stamps.database, stamps.wal, stamps.journal)
    return [(*part.identity, part.size, part.mtime_ns) if part else () for part in parts]
