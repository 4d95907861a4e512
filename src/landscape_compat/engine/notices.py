"""Telling people: one event and one warning for each degraded table of an engine."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from landscape_compat.errors import DegradedReadWarning
from landscape_compat.projection.plan import Plan
from landscape_compat.projection.prelude import Projection

__all__ = ["REMEDY", "Notices", "emit", "held_back", "repeat", "told_elsewhere"]

REMEDY = "Read and export it as it is, or migrate a copy; writing is refused."
_OURS = ("landscape_compat.", "sqlalchemy.")
# Both of the thread that asks, so that others go on telling.
_TOLD: Final[ContextVar[bool]] = ContextVar("landscape_compat_told", default=False)
_HELD: Final[ContextVar[list[tuple[str, Mapping[str, Any]]] | None]] = ContextVar(
    "landscape_compat_held", default=None
)


@contextmanager
def held_back() -> Iterator[None]:
    """Log events when the block ends, and none of them where it ends with an error."""
    held: list[tuple[str, Mapping[str, Any]]] = []
    token = _HELD.set(held)
    try:
        yield
    finally:
        _HELD.reset(token)
    for name, fields in held:
        repeat(name, fields)


@contextmanager
def told_elsewhere() -> Iterator[None]:
    """Tell nothing of what databases lack: who shares out the work over one has told it."""
    token = _TOLD.set(True)
    try:
        yield
    finally:
        _TOLD.reset(token)


def emit(event: str, **fields: Any) -> None:
    """Log an event at warning level, where the application has set up logging.

    Unconfigured, structlog prints to standard output, which belongs to results: then the event
    goes to the standard library's logger `landscape_compat`, which says nothing until told to.

    Args:
        event: The event's name without the package, as `table_degraded`.
        fields: What is known of it.
    """
    repeat(f"landscape_compat.{event}", fields)


def repeat(name: str, fields: Mapping[str, Any]) -> None:
    """Log an event as `emit` does, as it was logged in another process.

    Args:
        name: The event's whole name.
        fields: What is known of it.
    """
    held = _HELD.get()
    if held is not None:
        held.append((name, fields))
        return
    # Importing it takes as long as all of us; who configured it has imported it.
    structlog = sys.modules.get("structlog")
    if structlog is not None and structlog.is_configured():
        structlog.get_logger("landscape_compat").warning(name, **fields)
        return
    logger = logging.getLogger("landscape_compat")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.warning("%s %s", name, dict(fields))


class Notices:
    """What one attachment has told already, so that nothing is told twice.

    Args:
        database: The database's name, its password hidden.
    """

    def __init__(self, database: str) -> None:
        self._database = database
        self._told: set[object] = set()
        self._lock = threading.Lock()

    def database_degraded(self, plan: Plan, opening: str, shape: str) -> None:
        """Tell that a database is degraded, when it is opened."""
        missing = tuple(p.label for p in plan.all_projections() if p.stored is None)
        tables = tuple(p.label for p in plan.all_projections() if p.stored is not None)
        if self._is_new(("database", tables, missing)):
            emit(
                "database_degraded",
                database=self._database,
                degraded_tables=list(tables),
                missing_tables=list(missing),
                opened=opening,
                shape=shape,
                remedy=REMEDY,
            )

    def table_degraded(self, projection: Projection, shape: str) -> None:
        """Tell that a degraded table is read for the first time."""
        absent_table = projection.stored is None
        # Of a table that is missing whole, that is all there is to say.
        columns = () if absent_table else projection.columns
        missing = tuple(c.column.name for c in columns if not c.replaces)
        replaced = tuple(c.column.name for c in columns if c.replaces)
        fact = ("table", projection.label, absent_table, missing, replaced)
        if not self._is_new(fact):
            return
        from landscape_compat.schema.fingerprint import fingerprint_table

        digest = "" if projection.stored is None else fingerprint_table(projection.stored).digest
        emit(
            "table_degraded",
            database=self._database,
            table=projection.label,
            missing_table=absent_table,
            missing=list(missing),
            replaced=list(replaced),
            rules={c.column.name: str(c.kind) for c in columns},
            fingerprint=digest,
            shape=shape,
            remedy=REMEDY,
        )
        if absent_table:
            what = "the table is not stored and reads as no rows"
        else:
            said = [f"{c.column.name} ({c.kind})" for c in columns]
            what = f"not stored as declared: {', '.join(said)}"
        of = f" (schema {shape})" if shape else ""
        message = f"{projection.label} in {self._database}{of}: {what}. {REMEDY}"
        warning = DegradedReadWarning(message, table=projection.label, missing=missing)
        try:
            warnings.warn(warning, stacklevel=_callers_level())
        except DegradedReadWarning:
            # A program that turns the warning into an error wants every such read refused.
            with self._lock:
                self._told.discard(fact)
            raise

    def write_refused(self, reason: str) -> None:
        """Tell that a statement that writes was refused."""
        emit("write_refused", database=self._database, reason=reason, remedy=REMEDY)

    def source_changed(self, what: str) -> None:
        """Tell that the source was migrated, altered or replaced while it was open."""
        emit("source_changed", database=self._database, what=what)

    def _is_new(self, fact: object) -> bool:
        with self._lock:
            if _TOLD.get() or fact in self._told:
                return False
            self._told.add(fact)
            return True


def _callers_level() -> int:
    """Count the frames up to the first that is neither ours nor SQLAlchemy's."""
    frame = sys._getframe(2)
    level = 2
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(_OURS):
        frame = frame.f_back
        level += 1
    return level
