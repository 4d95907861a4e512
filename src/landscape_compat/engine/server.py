"""The hooks on connecting to a server: what it stores is looked at, and what becomes of that."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Literal

from sqlalchemy import Engine, event

from landscape_compat.engine.connecting import Connecting, let_go
from landscape_compat.engine.lookout import Lookout
from landscape_compat.engine.server_reading import (
    SERVER_READER,
    ServerReader,
    ServerReading,
)
from landscape_compat.engine.servers import SERVERS
from landscape_compat.errors import AttachError

__all__ = ["ServerHooks"]


class ServerHooks(Connecting[ServerReading]):
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
        self._server = SERVERS[engine.dialect.name]
        driver = engine.dialect.driver
        if self._server.driver not in ("", driver):
            raise AttachError(
                f"The driver is {driver}, and how it writes parameters and percent signs into a "
                f"statement is not known here as that of {self._server.driver} is, so what is sent "
                "could not be told from what was asked.",
                remedy=f"Make the engine with {engine.dialect.name}+{self._server.driver}://.",
            )
        reading = ServerReading(lookout, self._server)
        super().__init__(engine, lookout, reading, posture, read_only)
        self._current_version: object = None

    def listen(self, engine: Engine) -> None:
        """Register what looks at each new connection; nothing that statements pay for."""
        # Last in line: a program's own listener may set the search path.
        event.listen(engine, "connect", self.connect)
        let_go(engine)  # what is pooled was never looked at

    def unlisten(self, engine: Engine) -> None:
        """Take every listener back, and close the connections that only read."""
        event.remove(engine, "connect", self.connect)
        if self.reading.unlisten(engine):
            let_go(engine)

    def connect(self, connection: Any, record: Any) -> None:
        """Look at what is stored, unless it is known to be current still."""
        record.info.pop(SERVER_READER, None)
        engine = self._alive()
        try:
            if self._current_version is not None:
                version = self._lookout.read_version(connection)
                if version == self._current_version:
                    return
            prepared, version = self._lookout.look(connection, engine.dialect)
        except BaseException:
            with suppress(Exception):
                connection.close()  # which SQLAlchemy leaves to whoever collects garbage
            raise
        finally:
            with suppress(Exception):
                connection.rollback()  # a driver begins a transaction for our sake
        plan = prepared.plan
        self._lookout.latest = (prepared, self._server.opened)
        self._current_version = None
        if plan.is_degraded:
            self._tell(plan, self._server.opened, connection.close)
        elif not self._read_only:
            self._current_version = None if plan.is_fresh else version
            return
        record.info[SERVER_READER] = ServerReader(prepared, version)
        self._server.keep_to_reading(connection, engine.dialect)
        self.reading.listen(engine)
