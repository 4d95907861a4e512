"""The hooks on connecting to a server: what it stores is looked at, and what becomes of that."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Literal
from weakref import ref

from sqlalchemy import Engine, event

from landscape_compat.engine.lookout import Lookout
from landscape_compat.engine.server_reading import (
    SERVER_READER,
    ServerReader,
    ServerReading,
    begin_reading,
)
from landscape_compat.errors import AttachError, DegradedDatabaseError
from landscape_compat.projection.plan import Plan

__all__ = ["ServerHooks"]

_OPENED = "in transactions that only read, each from one snapshot, enforced by the server"


class ServerHooks:
    """The listeners of one attachment to a server's database.

    Args:
        engine: The engine; not kept.
        lookout: What is known of its database.
        posture: What a degraded database gets.
        read_only: Whether a database is opened read-only also if it is current.
    """

    def __init__(
        self,
        engine: Engine,
        lookout: Lookout,
        posture: Literal["degrade", "refuse"],
        read_only: bool,
    ) -> None:
        self._engine = ref(engine)
        self._lookout = lookout
        self.reading = ServerReading(lookout)
        self._posture = posture
        self._read_only = read_only
        self._current_version: object = None

    def listen(self, engine: Engine) -> None:
        """Register what looks at each new connection; nothing that statements pay for."""
        # Last in line: a program's own listener may set the search path.
        event.listen(engine, "connect", self.connect)
        engine.dispose()  # what is pooled was never looked at

    def unlisten(self, engine: Engine) -> None:
        """Take every listener back, and close the connections that only read."""
        event.remove(engine, "connect", self.connect)
        if self.reading.unlisten(engine):
            engine.dispose()

    def connect(self, connection: Any, record: Any) -> None:
        """Look at what is stored, unless it is known to be current still."""
        record.info.pop(SERVER_READER, None)
        engine = self._engine()
        if engine is None:
            raise AttachError("The engine is gone, and its attachment with it.")
        try:
            if self._current_version is not None:
                version = self._lookout.catalogue.read_version(connection)
                if version == self._current_version:
                    return
            prepared, version = self._lookout.look(connection, engine.dialect)
        finally:
            with suppress(Exception):
                connection.rollback()  # a driver begins a transaction for our sake
        plan = prepared.plan
        self._lookout.latest = (plan, _OPENED)
        self._current_version = None
        if plan.is_degraded:
            if self._posture == "refuse":
                connection.close()
                raise _refusal(plan, self._lookout.database)
            self._lookout.notices.database_degraded(plan, _OPENED, self._lookout.shape_of(plan))
        elif not self._read_only:
            self._current_version = None if plan.is_fresh else version
            return
        record.info[SERVER_READER] = ServerReader(prepared, version)
        begin_reading(connection, engine.dialect)
        self.reading.listen(engine)


def _refusal(plan: Plan, database: str) -> DegradedDatabaseError:
    tables = sorted(projection.label for projection in plan.all_projections())
    return DegradedDatabaseError(
        f"{database} lacks what is declared in {len(tables)} tables: {', '.join(tables)}.",
        table=tables[0] if len(tables) == 1 else None,
        remedy="Export it as it is, migrate a copy of it, or start a fresh one.",
    )
