"""Making: a file in the wanted shape, filled from an old database and proven, not yet in place."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from hashlib import file_digest
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, MetaData
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from landscape_compat.engine.attach import Attachment, attach
from landscape_compat.engine.classify import resolve
from landscape_compat.engine.digests import SourceDigests, digest_source
from landscape_compat.engine.encryption import make_engine
from landscape_compat.engine.infinity import refuse_infinity
from landscape_compat.errors import (
    LandscapeCompatError,
    OutputError,
    SourceChangedError,
    printable,
)
from landscape_compat.export.output.files import cannot_write
from landscape_compat.landscape.database import database_url, report_landscape, require_landscape
from landscape_compat.landscape.history import known_shapes, shape_named
from landscape_compat.landscape.rescue import verdict_of
from landscape_compat.migrate.standins import rules_with
from landscape_compat.migrate.target import Target, make_by_host, make_of_shape
from landscape_compat.migrate.work import Done, Work
from landscape_compat.projection.rules import RuleSet
from landscape_compat.schema.declared import declared_schema
from landscape_compat.schema.known import Identification, KnownShape, identify

__all__ = [
    "Made",
    "Migration",
    "Wanted",
    "attached",
    "copy_and_prove",
    "source_of",
    "told_of",
]

_DISK_FAILED = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,  # a page is not what was written
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
}


@dataclass(frozen=True, slots=True)
class Migration:
    """What `migrate_database` made.

    Args:
        path: The new database: a file, or the URL of one on a server.
        proof: The statement of it.
        target: What it was made as: a known shape, or the installed host's.
        done: What was copied and compared, and what was not.
    """

    path: Path | URL
    proof: Path
    target: str
    done: Done


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a migration is to be done; see `migrate_database`."""

    to: str | int | None = None
    host: bool = False
    keep_extra: bool = False
    quarantine: bool = False
    stand_ins: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse stand-ins where nothing needs one."""
        if self.stand_ins and not self.host:
            raise LandscapeCompatError(
                "Something was named to stand in for what was never recorded, but the host does "
                "not make the new database: it can hold NULL there.",
                remedy="Leave it out, or have the host make the database (--host).",
            )


def source_of(database: str | os.PathLike[str] | URL) -> tuple[URL, Path | None]:
    """Find what is to be migrated.

    Args:
        database: A path, or a SQLAlchemy URL of SQLite or PostgreSQL.

    Returns:
        Its URL, and its path with no symlink on the way; None for a database on a server.

    Raises:
        LandscapeCompatError: It is of another kind.
        OpeningRefusedError: It is no file that can be read safely.
    """
    url = database_url(database)
    if url.get_backend_name() == "postgresql":
        return url, None
    if url.get_backend_name() != "sqlite" or not url.database:
        raise LandscapeCompatError(
            "Only a SQLite file, or a database on PostgreSQL, can be migrated.",
            remedy="Give a path, or a URL of one.",
        )
    return url, resolve(Path(url.database))


@dataclass(frozen=True, slots=True)
class Made:
    """A new database that holds what the old one shows, where nobody looks for it yet.

    Args:
        target: What it was made as.
        done: What was copied and compared.
        source: The digests of the old database; None for one on a server.
        predicate: What the proof states.
        sha256: The digest of the new file.
    """

    target: Target
    done: Done
    source: SourceDigests | None
    predicate: dict[str, Any]
    sha256: str


def copy_and_prove(
    url: URL,
    source: Path | None,
    path: Path,
    wanted: Wanted,
    *,
    approve: Callable[[Target, Identification | None], None] = lambda target, old: None,
) -> Made:
    """Make a new database, fill it, and compare it with the old one.

    Args:
        url: The old database.
        source: Its file; None if it is on a server.
        path: The file to make, by its final name in another folder.
        wanted: How.
        approve: Asked before anything is copied, with what the new one is to be and what is
            known of the old one; raises if it shall not be.

    Raises:
        LandscapeCompatError: What `migrate_database` raises.
        OSError: The file cannot be written.
        sqlite3.OperationalError: The file cannot be written.
    """
    target = _make(path, wanted.to, host=wanted.host)
    before = None if source is None else digest_source(source)
    rules = rules_with(wanted.stand_ins, target.metadata)
    with _connected(url, path, target, rules) as (work, identification):
        approve(target, identification)
        done = work.run(keep_extra=wanted.keep_extra, quarantine=wanted.quarantine)
    if target.journal_mode == "wal":
        # Else the host changed the file that was proven as soon as it opened it to read.
        with closing(sqlite3.connect(path)) as new:
            new.execute("PRAGMA journal_mode = WAL")
    _require_accepted(target, path)
    # What is read on a server is read in one transaction, which sees one state.
    if source is not None and digest_source(source) != before:
        raise SourceChangedError(
            f"{printable(source)} changed while it was copied, so nothing was kept.",
            remedy="End the program that writes to it, then try again.",
        )
    predicate = {
        "source": {
            "name": printable(source.name if source else url.render_as_string()),
            **(before.to_dict() if before else {}),
            "shape": identification.to_dict() if identification else None,
        },
        "target": {
            "shape": target.name,
            "epoch": target.epoch,
            "known": _known_as(target),
            "by_host": target.host is not None,
        },
        "asked": {
            "keep_extra": wanted.keep_extra,
            "quarantine": wanted.quarantine,
            "stand_ins": dict(wanted.stand_ins),
        },
        **done.to_dict(),
    }
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return Made(target, done, before, predicate, digest)


def _make(path: Path, to: str | int | None, *, host: bool) -> Target:
    try:
        return make_by_host(path) if host else make_of_shape(path, _shape(to))
    except OperationalError as error:
        # Wrapped, because an engine made the tables; it is the new file that failed.
        raise (error.orig or error) from error


def _shape(to: str | int | None) -> KnownShape:
    return known_shapes()[-1] if to is None else shape_named(to)


def _require_accepted(target: Target, path: Path) -> None:
    """Refuse a new database that the host, which made it, does not take now that it is filled."""
    verdict = verdict_of(target.host, path) if target.host else ""
    if verdict:
        raise LandscapeCompatError(
            f"The host would not take the database that was made for it: {printable(verdict)}. "
            "Nothing was kept.",
            remedy="Name a shape by --to, and read it with the shim; or migrate without "
            "--keep-extra.",
        )


def _known_as(target: Target) -> str | None:
    declared = declared_schema(target.metadata, sqlite.dialect(), "main")
    exact = identify(declared, known_shapes()).exact
    return exact[-1].name if exact else None


@contextmanager
def told_of(final: Path) -> Iterator[None]:
    """Say of which place it is that the system had no room, or that its disk failed.

    Args:
        final: The place.

    Raises:
        OutputError: It cannot be written, or what was written cannot be read again.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        # Python's own errors have no code.
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DISK_FAILED:
            raise
        raise OutputError(
            f"{printable(final)} cannot be written: {error}.",
            remedy="Check that the disk is sound and has room for a database of that size, then "
            "try again.",
        ) from error
    except OSError as error:
        raise cannot_write(final, error) from error


@contextmanager
def _connected(
    url: URL, path: Path, target: Target, rules: RuleSet
) -> Iterator[tuple[Work, Identification | None]]:
    with attached(url, target.metadata, rules) as (engine, attachment):
        report, plan = report_landscape(engine, attachment), attachment.plan()
        require_landscape(url, plan.stored)
        with closing(sqlite3.connect(path, isolation_level=None)) as new:
            # Nothing is lost if the machine fails meanwhile: the whole is begun again.
            new.execute("PRAGMA journal_mode = MEMORY")
            new.execute("PRAGMA synchronous = OFF")
            with engine.connect() as old, old.begin():
                yield Work(old, new, target, plan, report), report.identification


@contextmanager
def attached(url: URL, metadata: MetaData, rules: RuleSet) -> Iterator[tuple[Engine, Attachment]]:
    """Attach an engine of its own to an old database, as long as that is read.

    Args:
        url: The old database.
        metadata: What is declared.
        rules: Where values that are not stored come from.

    Raises:
        LandscapeCompatError: The database cannot be read.
    """
    engine = make_engine(url, poolclass=NullPool)
    refuse_infinity(engine)
    try:
        yield engine, attach(engine, metadata, rules=rules, read_only=True, known=known_shapes)
    finally:
        engine.dispose()
