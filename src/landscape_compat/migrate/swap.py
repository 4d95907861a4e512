"""Migrating a database in place: a proven copy takes its name, and the original is kept."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.dialects import sqlite

from landscape_compat.engine.notices import emit
from landscape_compat.engine.stamps import Stamps, settle
from landscape_compat.engine.states import REFUSALS
from landscape_compat.errors import LandscapeCompatError, OutputError, printable
from landscape_compat.export.output.placing import folder_beside
from landscape_compat.landscape.database import database_url
from landscape_compat.landscape.history import known_shapes
from landscape_compat.migrate.exclusive import alone_with, one_at_a_time
from landscape_compat.migrate.kept import (
    SIDECARS,
    beside,
    finish_kept,
    kept_by,
    make_readonly,
    proof_of,
    take_back,
    undo_unfinished,
)
from landscape_compat.migrate.making import (
    Migration,
    Wanted,
    copy_and_prove,
    source_of,
    told_of,
)
from landscape_compat.migrate.placing import make_lasting, put_in_place
from landscape_compat.migrate.proof import require_own_proof, statement
from landscape_compat.migrate.target import Target
from landscape_compat.migrate.work import Done
from landscape_compat.projection.rules import RuleKind
from landscape_compat.schema.declared import declared_schema
from landscape_compat.schema.known import Identification, identify

__all__ = ["Swapped", "migrate_in_place"]

_PATIENCE = 600.0  # for another process that is migrating the same database
_MOMENT = 10.0  # for others that are looking at it
_BUSY = 6.0  # as long as the host waits for a lock, and a little


@dataclass(frozen=True, slots=True)
class Swapped:
    """What `migrate_in_place` did.

    Args:
        migration: The new database, which has the old one's name, and its proof.
        kept: The old database, read-only, to the last byte as it was.
    """

    migration: Migration
    kept: Path


def migrate_in_place(
    database: str | os.PathLike[str] | URL,
    *,
    to: str | int | None = None,
    host: bool = False,
    stand_ins: Mapping[str, str] | None = None,
    wanted: Callable[[], bool] = lambda: True,
) -> Swapped | None:
    """Migrate a database, let the new one take its name, and keep the old one beside it.

    The new database is made and proven beside the old one, and takes its name in one step, when
    nobody has the old one open for writing. The old one keeps every byte and gets a name with
    the day of its last change and its digest in it: `audit.2026-01-18.3f2a9c11d0e4.db`. On any
    doubt nothing is changed. Of several processes one migrates, and the others wait.

    Args:
        database: A path, or a SQLAlchemy URL of a SQLite file.
        to: The wanted shape: a name, commit, epoch or date; the newest known if not given.
        host: Whether the installed host makes the empty database.
        stand_ins: As for `migrate_database`.
        wanted: Asked when no other process is at it: whether it is still to be migrated.

    Returns:
        What was done; None if it was not wanted any more.

    Raises:
        LandscapeCompatError: It was left as it is: in use, newer than the target, changing, not
            closed cleanly, or it holds what nobody knows; or what `migrate_database` raises.
    """
    url = database_url(database)
    if url.get_backend_name() != "sqlite" or not url.database or url.query:
        raise LandscapeCompatError("Only a SQLite file can be migrated.", remedy="Give its path.")
    place = Path(os.path.realpath(url.database))
    with told_of(place), _noted(place), one_at_a_time(place, patience=_PATIENCE):
        undo_unfinished(place)
        finish_kept(place)
        if not wanted():
            return None
        url, path = source_of(url)
        assert path is not None
        return _migrate(url, path, Wanted(to=to, host=host, stand_ins=stand_ins or {}))


@contextmanager
def _noted(path: Path) -> Iterator[None]:
    """Have what ends it, as an interrupt, say where the original is if it is done already."""
    found = path.lstat() if os.path.lexists(path) else None
    try:
        yield
    except BaseException as error:
        if found and os.path.lexists(path) and not _is(path, found):
            kept = kept_by(proof_of(path))
            if kept and _is(path.with_name(kept), found):
                error.add_note(
                    f"{printable(path)} was migrated; the original is {printable(kept)}, beside it."
                )
        raise


def _migrate(url: URL, path: Path, wanted: Wanted) -> Swapped:
    stamps = settle(path)
    if stamps is None:
        raise REFUSALS["changing"].error(path)
    _require_closed(path)
    proof = proof_of(path)
    require_own_proof(proof, path.name)
    with folder_beside(path) as folder:
        new = folder / path.name
        made = copy_and_prove(url, path, new, wanted, approve=partial(_require_older, path))
        _require_all_known(path, made.done)
        _take_after(path, new)
        make_lasting(new)
        day = datetime.fromtimestamp(stamps.database.mtime_ns / 1e9, UTC).date()
        assert made.source is not None
        kept = path.with_name(f"{path.stem}.{day}.{made.source.database[:12]}{path.suffix}")
        written = folder / proof.name
        predicate = {**made.predicate, "kept": printable(kept.name)}
        written.write_bytes(statement(path.name, made.sha256, predicate))
        with alone_with(path, patience=_MOMENT) as unused:
            _require_closed(path)
            if not _is_same(Stamps.of(path), stamps):
                raise REFUSALS["changing"].error(path)
            _swap(path, new, kept, written)
            # Who opened the old file a moment ago waits for us, and gives up in the end. Were
            # he let in, he would keep his `-wal` under a name that is the new database's now.
            unused(_BUSY)
    migration = Migration(path=path, proof=proof, target=made.target.name, done=made.done)
    _tell(migration, kept)
    return Swapped(migration, kept)


def _swap(path: Path, new: Path, kept: Path, proof: Path) -> None:
    """Give the old file its second name, then the new one the first, in one step."""
    made = new.lstat()
    try:
        _keep(path, kept)
        put_in_place(proof, proof_of(path), replace=True)
        for suffix in SIDECARS:
            beside(path, suffix).unlink(missing_ok=True)  # empty, as was made sure
        make_lasting(path.parent)
        new.replace(path)
    except BaseException:
        # A signal may come when the last step is done.
        if _is(path, made):
            _end(path, kept)
        else:
            take_back(path, kept)
        raise
    _end(path, kept)


def _is(path: Path, made: os.stat_result) -> bool:
    return os.path.lexists(path) and os.path.samestat(path.lstat(), made)


def _end(path: Path, kept: Path) -> None:
    make_lasting(path.parent)
    make_readonly(kept)


def _keep(path: Path, kept: Path) -> None:
    proof = proof_of(path)
    try:
        kept.hardlink_to(path)
        if os.path.lexists(proof) and kept_by(proof) != kept.name:
            # It tells how the original was made, and so goes with it.
            proof_of(kept).hardlink_to(proof)
    except FileExistsError as error:
        raise OutputError(
            f"{printable(error.filename2)} exists already; nothing was changed.",
            remedy="Move it to where such records are kept, then try again.",
        ) from error
    except OSError as error:
        raise OutputError(
            f"The file system of {printable(path)} cannot give a file two names "
            f"({error.strerror}), so the original could not be kept at every moment; nothing was "
            "changed.",
            remedy="Make a new database by `landscape-compat migrate`, and move it by hand.",
        ) from error


def _take_after(path: Path, new: Path) -> None:
    """Let the new file be whose the old one is, and let the same people read and write it."""
    found, made = path.stat(), new.stat()
    try:
        if (made.st_uid, made.st_gid) != (found.st_uid, found.st_gid):
            os.chown(new, found.st_uid, found.st_gid)
        new.chmod(stat.S_IMODE(found.st_mode))
        for name in _attributes(path):
            os.setxattr(new, name, os.getxattr(path, name))
    except OSError as error:
        raise OutputError(
            f"{printable(path)} is of an owner or a group, or has attributes, that you may not "
            f"give to the new file ({error.strerror}); others would lose it, so nothing was "
            "changed.",
            remedy="Have its owner do it.",
        ) from error


def _attributes(path: Path) -> list[str]:
    try:
        # Those of security the system gives.
        return [name for name in os.listxattr(path) if not name.startswith("security.")]
    except AttributeError:  # pragma: no cover - systems other than Linux
        return []
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return []
        raise


# --- doubts -------------------------------------------------------------------------------------


def _require_closed(path: Path) -> None:
    """Refuse a database that does not lie whole in its file: SQLite would have to write first."""
    for suffix in ("-wal", "-journal"):
        with suppress(FileNotFoundError):
            if Path(f"{path}{suffix}").lstat().st_size:
                raise LandscapeCompatError(
                    f"{printable(path)} was not closed cleanly: there is something in its "
                    f"{suffix}, so it was left as it is.",
                    remedy="Let the program that wrote it open and close it once; or make a new "
                    "database by `landscape-compat migrate`, which reads it as it is.",
                )


def _require_all_known(path: Path, done: Done) -> None:
    unknown = [
        name for name in done.left_out if not any(known.shape.has(name) for known in known_shapes())
    ]
    if unknown:
        raise LandscapeCompatError(
            f"{printable(path)} holds what no known version of the program made "
            f"({printable(', '.join(unknown))}), and the new one would not; it was left as it is.",
            remedy="Make a new database by `landscape-compat migrate --keep-extra`, and look; "
            "views, triggers and indexes you have to make again in it.",
        )


def _require_older(path: Path, target: Target, found: Identification | None) -> None:
    history = known_shapes()
    if found is None or not found.nearest or found.is_newer:
        raise LandscapeCompatError(
            f"{printable(path)} is of no known version, so it was left as it is.",
            remedy="Make a new database by `landscape-compat migrate`, and look.",
        )
    declared = declared_schema(target.metadata, sqlite.dialect(), "main")
    wanted = identify(declared, history).nearest
    if history.index(found.nearest[0]) > max(map(history.index, wanted), default=-1):
        raise LandscapeCompatError(
            f"{printable(path)} ({found.nearest[0].name}) is newer than {target.name}, which has "
            "no place for all of it; it was left as it is.",
            remedy="Use the program that wrote it.",
        )


def _is_same(one: Stamps, other: Stamps) -> bool:
    return one.database == other.database


def _tell(migration: Migration, kept: Path) -> None:
    emit(
        "database_migrated",
        database=printable(migration.path),
        kept=printable(kept),
        proof=printable(migration.proof),
        target=migration.target,
        rows=migration.done.rows,
        left_out={printable(name): count for name, count in migration.done.left_out.items()},
        relaxed=list(migration.done.relaxed),
        stand_ins=[
            f"{table}.{told['column']}"
            for table, columns in migration.done.filled.items()
            for told in columns
            if told["rule"] == RuleKind.NEUTRAL
        ],
    )
