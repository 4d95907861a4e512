"""Checking many databases at once: which of them code of today would trip over."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from landscape_compat.engine.processes import worker_pool
from landscape_compat.errors import ExitCode, LandscapeCompatError, printable
from landscape_compat.landscape.history import shape_named
from landscape_compat.landscape.inspection import inspect_landscape

__all__ = ["CheckedDatabase", "Verdict", "check_databases", "processors", "worst_of"]

Verdict = Literal["current", "degraded", "unknown"]

# Below this many, starting processes takes longer than the checking.
_FEW = 8
_CHUNK = 4


@dataclass(frozen=True, slots=True)
class CheckedDatabase:
    """What became of checking one database.

    Args:
        database: Its name as given, a password hidden.
        verdict: `current`, `degraded`, or `unknown` where it could not be looked at.
        shape: The nearest known shapes.
        confidence: How sure that is, as `Identification` says it; "" if unknown.
        missing_tables: How many declared tables it lacks.
        missing_columns: How many declared columns the tables that it has lack.
        problem: Why it could not be looked at; "" if it could.
        exit_code: What `inspect --exit-code` would end with.
    """

    database: str
    verdict: Verdict
    shape: tuple[str, ...] = ()
    confidence: str = ""
    missing_tables: int = 0
    missing_columns: int = 0
    problem: str = ""
    exit_code: int = ExitCode.DONE

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain JSON values."""
        return {
            "database": self.database,
            "verdict": self.verdict,
            "shape": list(self.shape),
            "confidence": self.confidence,
            "missing_tables": self.missing_tables,
            "missing_columns": self.missing_columns,
            "problem": self.problem,
        }


def check_databases(
    databases: Iterable[str | os.PathLike[str] | URL] | str | os.PathLike[str] | URL,
    *,
    target: str | None = None,
    jobs: int = 1,
    passphrase: str | None = None,
) -> Iterator[CheckedDatabase]:
    """Check databases, several at a time, and give each result as soon as its turn comes.

    Nothing is written, and no database keeps another from being checked.

    Args:
        databases: A path, a URL or a pattern of paths (`*`, `?`, `[...]`, `**`), or several; a
            pattern that matches nothing gives one result of the verdict `unknown`.
        target: The shape to measure against: a name, commit, epoch or date; the newest if not
            given.
        jobs: How many at a time. Each has a process of its own, so a script that gives more than
            one begins its work under `if __name__ == "__main__":`.
        passphrase: What a file is encrypted by, if it is; of no effect if not.

    Raises:
        LandscapeCompatError: No such shape is known.
    """
    if target is not None:
        shape_named(target)
    several = [databases] if isinstance(databases, (str, os.PathLike, URL)) else databases
    given = [text for database in several for text in _matches(database)]
    wanted = min(jobs, max(1, len(given) // _CHUNK))
    check = partial(_check, target=target, passphrase=passphrase)
    if wanted == 1 or len(given) < _FEW:
        return map(check, given)
    return _in_parallel(check, given, wanted)


def worst_of(checked: Counter[int]) -> ExitCode:
    """Give the exit code for databases checked, of which some could not be looked at.

    Args:
        checked: How many databases there were of each exit code.
    """
    failed = [code for code in checked if code not in (ExitCode.DONE, ExitCode.DEGRADED)]
    if failed:
        return ExitCode(failed[0]) if len(failed) == 1 else ExitCode.OPERATIONAL
    return ExitCode.DEGRADED if checked[ExitCode.DEGRADED] else ExitCode.DONE


def _in_parallel(check: Any, given: list[str], jobs: int) -> Iterator[CheckedDatabase]:
    with worker_pool(jobs) as pool:
        yield from pool.map(check, given, chunksize=_CHUNK)


def processors() -> int:
    """Count the processors that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _matches(database: str | os.PathLike[str] | URL) -> list[str]:
    """Give what a name stands for: itself, or all that a pattern matches but folders."""
    if isinstance(database, URL):
        return [database.render_as_string(hide_password=False)]
    text = os.fspath(database)
    # A file of that very name comes first: `[` and `*` are characters as good as any. Asked of
    # `os.path`, because of what cannot be looked at a path would raise, before any is checked.
    if "://" in text or not glob.has_magic(text) or os.path.exists(text):  # noqa: PTH110
        return [text]
    # A symlink to a database that has gone is counted among those that cannot be looked at.
    matched = glob.glob(text, recursive=True)  # noqa: PTH207
    found = sorted(name for name in matched if not os.path.isdir(name))  # noqa: PTH112
    return found or [text]


def _check(database: str, *, target: str | None, passphrase: str | None) -> CheckedDatabase:
    import warnings

    from landscape_compat.landscape.database import database_url

    name = database
    try:
        url = database_url(database)
        if "://" in database:
            name = url.render_as_string(hide_password=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = inspect_landscape(url, target=target, passphrase=passphrase)
    except LandscapeCompatError as error:
        return CheckedDatabase(
            printable(name), "unknown", problem=str(error), exit_code=error.exit_code
        )
    except (SQLAlchemyError, OSError, UnicodeDecodeError, ValueError) as error:
        problem = printable(str(error).splitlines()[0] if str(error) else type(error).__name__)
        return CheckedDatabase(
            printable(name), "unknown", problem=problem, exit_code=ExitCode.OPERATIONAL
        )
    found = report.identification
    drifts = [table.drift for table in report.tables]
    return CheckedDatabase(
        database=printable(name),
        verdict="degraded" if report.degraded else "current",
        shape=tuple(known.name for known in found.nearest) if found else (),
        confidence=found.confidence if found else "",
        missing_tables=sum(drift.missing_table for drift in drifts),
        missing_columns=sum(len(d.missing_columns) for d in drifts if not d.missing_table),
        exit_code=ExitCode.DEGRADED if report.degraded else ExitCode.DONE,
    )
