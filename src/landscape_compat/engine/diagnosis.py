"""Diagnosis: whether and how a SQLite file can be read safely, and in what condition it is."""

from __future__ import annotations

import os
import platform
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from landscape_compat.engine.classify import looks_encrypted
from landscape_compat.engine.encryption import Passphrase, cipher_driver
from landscape_compat.engine.halfway import begin_snapshot
from landscape_compat.engine.locks import lock_sqlite
from landscape_compat.engine.opening import Opening, open_readonly
from landscape_compat.engine.states import REFUSALS, Facts, Way
from landscape_compat.errors import OpeningRefusedError, printable

__all__ = ["Diagnosis", "Sidecar", "diagnose_file"]

_MOST_PROBLEMS = 20
_SECONDS_TO_WAIT = 5.0
_SUFFIXES = ("", "-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Sidecar:
    """One of the files that a database consists of.

    Args:
        name: Its name.
        size: Bytes.
        mode: Its type and permissions, as `ls -l` shows them.
    """

    name: str
    size: int
    mode: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What can be said of a file before anything is read from it for good.

    Args:
        database: The path that was asked for.
        path: The file it leads to; None where it leads to none.
        files: The file and what lies beside it.
        readable: Whether it can be read safely now.
        refusal: The name of the reason why not; "" if it can.
        state: The name of the state it is in; "" if it cannot be read.
        way: How it is opened; "" if it is not.
        reason: What state that is, and why this way is right, or why it is not opened.
        remedy: What to do next; "" where nothing is to be done.
        facts: What that follows from; None where there was nothing to look at.
        encryption: `none`, `sqlcipher` if it was read by a passphrase, `suspected`, or `unknown`
            where the file could not be looked at.
        header: What the database says of itself: page size, encoding, versions, and so on.
        problems: What SQLite's own check found; None if it was not made.
        locks: What keeps the connection from writing.
        versions: Of what would read it.
    """

    database: str
    path: str | None
    files: tuple[Sidecar, ...]
    readable: bool
    refusal: str
    state: str
    way: str
    reason: str
    remedy: str
    facts: Facts | None
    encryption: Literal["none", "sqlcipher", "suspected", "unknown"]
    header: dict[str, int | str] = field(default_factory=dict)
    problems: tuple[str, ...] | None = None
    locks: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Tell whether nothing was found wrong, as far as was looked."""
        return self.readable and not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain JSON values."""
        return {**asdict(self), "sound": self.sound}


def diagnose_file(
    path: str | os.PathLike[str],
    *,
    check: Literal["quick", "full", "none"] = "quick",
    passphrase: str | None = None,
) -> Diagnosis:
    """Tell whether and how a SQLite file can be read safely; nothing is written.

    Args:
        path: The file.
        check: Which of SQLite's checks to make: `quick` reads every page, `full` also compares
            indexes with their tables.
        passphrase: What the file is encrypted by, if it is; of no effect if not.

    Raises:
        SourceChangedError: The file was written to while it was checked.
    """
    given = Path(path)
    encrypted = passphrase is not None and looks_encrypted(given)
    try:
        driver = cipher_driver(given) if encrypted else sqlite3
        key = Passphrase(passphrase) if encrypted and passphrase is not None else None
        connection, opening = open_readonly(given, _connecting(driver, key), encrypted=encrypted)
    except OpeningRefusedError as error:
        return _refused(given, error)
    try:
        with closing(connection):
            locks, header, problems = _examine(connection, opening, check, driver.DatabaseError)
            # A change of the file while it was checked would look like damage.
            opening.check()
    finally:
        opening.close()
    return Diagnosis(
        database=printable(given),
        path=printable(opening.path),
        files=_files(opening.path),
        readable=True,
        refusal="",
        state=opening.state,
        way=str(opening.way),
        reason=opening.reason,
        remedy=_remedy(opening, problems),
        facts=opening.facts,
        encryption="sqlcipher" if encrypted else "none",
        header=header,
        problems=problems,
        locks=("read-only", *locks),
        versions=_versions(),
    )


_HEADER = (
    *("page_size", "page_count", "freelist_count", "encoding"),
    *("schema_version", "user_version", "application_id"),
)


def _connecting(driver: Any, key: Passphrase | None) -> Callable[[str], sqlite3.Connection]:
    def connect(uri: str) -> sqlite3.Connection:
        connection: sqlite3.Connection = driver.connect(
            uri, uri=True, timeout=_SECONDS_TO_WAIT, isolation_level=None
        )
        if key is not None:
            key.unlock(connection)
        return connection

    return connect


def _examine(
    connection: sqlite3.Connection, opening: Opening, check: str, damaged: type[Exception]
) -> tuple[tuple[str, ...], dict[str, int | str], tuple[str, ...] | None]:
    """Give the locks, what the header says, and what is wrong, as far as can be told."""
    header: dict[str, int | str] = {}
    locks: tuple[str, ...] = ()
    try:
        locks = lock_sqlite(connection, size=opening.size)
        begin_snapshot(connection)
        for pragma in _HEADER:
            (answer,) = connection.execute(f"PRAGMA {pragma}").fetchone()
            header[pragma] = printable(answer) if isinstance(answer, str) else int(answer)
        problems = None if check == "none" else _check(connection, check)
    except (damaged, UnicodeDecodeError) as error:
        # A schema that cannot be parsed leaves nothing else to be asked.
        problems = (printable(error),)
    return locks, header, problems


def _check(connection: sqlite3.Connection, check: str) -> tuple[str, ...]:
    pragma = "quick_check" if check == "quick" else "integrity_check"
    # A constraint is an expression of anybody's, which may take any time; and no damage.
    connection.execute("PRAGMA ignore_check_constraints = ON")
    rows = connection.execute(f"PRAGMA {pragma}({_MOST_PROBLEMS})").fetchall()
    # One row may hold many lines.
    lines = [line for (text,) in rows for line in str(text).splitlines()]
    return () if lines == ["ok"] else tuple(map(printable, lines[:_MOST_PROBLEMS]))


def _remedy(opening: Opening, problems: tuple[str, ...] | None) -> str:
    if problems:
        return (
            "Restore it from a backup, or salvage what is left with `sqlite3 COPY .recover`; "
            "an export stops at what cannot be read."
        )
    if opening.way is Way.PRIVATE_COPY:
        return (
            "Nothing needs to be done; see that the folder for temporary files (TMPDIR) has room "
            "for a copy."
        )
    return ""


def _refused(given: Path, error: OpeningRefusedError) -> Diagnosis:
    try:
        path: Path | None = Path(os.path.realpath(given, strict=True))
    except (OSError, ValueError):
        path = None
    looked = error.refusal in _LOOKED_INTO
    return Diagnosis(
        database=printable(given),
        path=printable(path) if path else None,
        files=_files(path) if path else (),
        readable=False,
        refusal=error.refusal,
        state="",
        way="",
        reason=error.reason,
        remedy=error.remedy or "",
        facts=None,
        encryption="suspected" if error.refusal in _SUSPECTED else "none" if looked else "unknown",
        versions=_versions(),
    )


_SUSPECTED = frozenset({"encrypted", "wrong-key", "no-sqlcipher"})
# Refusals of a file whose beginning was seen to be that of a plain database.
_LOOKED_INTO = REFUSALS.keys() - {
    *("absent", "unreachable", "folder", "special", "hard-linked", "empty", "unreadable"),
    *_SUSPECTED,
    "not-a-database",
}


def _files(path: Path) -> tuple[Sidecar, ...]:
    found = []
    for suffix in _SUFFIXES:
        try:
            each = os.lstat(f"{path}{suffix}")
        except OSError:
            continue
        name = printable(f"{path.name}{suffix}")
        found.append(Sidecar(name, each.st_size, stat.filemode(each.st_mode)))
    return tuple(found)


def _versions() -> dict[str, str]:
    found = {
        "landscape-compat": _version("landscape-compat"),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "sqlalchemy": _version("sqlalchemy"),
        "sqlcipher3": _version("sqlcipher3"),
    }
    return {name: number for name, number in found.items() if number}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
