"""The hooks on statements: what is sent, checked against the snapshot it is sent to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, ExceptionContext

from landscape_compat.engine.locks import explain_refusal
from landscape_compat.engine.lookout import Lookout
from landscape_compat.engine.memo import PreparedPlan
from landscape_compat.engine.opening import Opening
from landscape_compat.errors import SourceChangedError, WriteRefusedError
from landscape_compat.projection.scan import Effect

__all__ = ["AS_STORED", "READER", "Reader", "Reading", "on_driver"]

# The execution option by which a statement reads what is stored, with no projection.
AS_STORED = "landscape_compat_stored"
# The key under which a pooled connection keeps its `Reader`.
READER = "landscape_compat"


@dataclass(slots=True)
class Reader:
    """What is known of one read-only connection.

    Args:
        prepared: The plan by which it reads.
        version: The version of the schema that the plan is for.
        opening: How its file was opened.
        checked: Whether the running transaction's snapshot was seen to have that version.
    """

    prepared: PreparedPlan
    version: int
    opening: Opening | None
    checked: bool = False


class Reading:
    """The listeners that every statement on a read-only database pays for.

    Args:
        lookout: What is known of the database.
    """

    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout

    def listeners(self) -> list[tuple[str, Callable[..., Any]]]:
        """Name the events and what listens to each."""
        return [
            ("begin", self.begin),
            ("commit", self.end),
            ("rollback", self.end),
            ("before_cursor_execute", self.before_cursor_execute),
            ("handle_error", self.handle_error),
        ]

    def begin(self, connection: Connection) -> None:
        """Forget that the schema was checked: a transaction begins."""
        reader = _reader(connection)
        if reader is not None:
            reader.checked = False

    def end(self, connection: Connection) -> None:
        """See that the file stayed as it was to the last row, where no lock kept it so."""
        reader = _reader(connection)
        if reader is not None and reader.checked and reader.opening is not None:
            reader.checked = False
            self._check_file(connection, reader.opening)

    def before_cursor_execute(
        self,
        connection: Connection,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        executemany: bool,
    ) -> tuple[str, Any]:
        """Send a statement in the form that what is stored can answer."""
        reader: Reader | None = connection.connection.info.get(READER)
        if reader is None:
            return statement, parameters
        as_stored = context is not None and bool(context.execution_options.get(AS_STORED))
        try:
            # Before the transaction is begun for its sake: a write starts nothing.
            rewritten = reader.prepared.rewrite(statement, as_stored=as_stored)
            if rewritten.effect is Effect.CONTROL:
                reader.checked = False
            elif not reader.checked and rewritten.effect is not Effect.PRAGMA:
                prepared = reader.prepared
                self._check(connection, reader)
                if reader.prepared is not prepared:
                    rewritten = reader.prepared.rewrite(statement, as_stored=as_stored)
        except WriteRefusedError as error:
            self._lookout.notices.write_refused(error.reason)
            raise
        return rewritten.text, parameters

    def handle_error(self, context: ExceptionContext) -> None:
        """Say in our words what the database refused for our locks."""
        if context.connection is None or _reader(context.connection) is None:
            return
        refused = explain_refusal(context.original_exception)
        if refused is not None:
            self._lookout.notices.write_refused(refused.reason)
            raise refused from context.original_exception

    def _check(self, connection: Connection, reader: Reader) -> None:
        """Take the transaction's snapshot and see that the plan was made for it."""
        raw: Any = connection.connection.dbapi_connection
        if reader.opening is not None:
            self._check_file(connection, reader.opening)
        if not on_driver(raw, _in_transaction):
            cursor = raw.cursor()
            cursor.execute("BEGIN")
            cursor.close()
        version = self._lookout.catalogue.read_version(raw)
        if version != reader.version:
            reader.prepared, reader.version = self._lookout.look(raw, connection.dialect)
            plan = reader.prepared.plan
            self._lookout.latest = (plan, "as before; its schema changed since")
            self._lookout.notices.source_changed("the schema was changed")
            if not plan.is_degraded:
                # The next checkout opens it as the driver does, and may write again.
                connection.connection.invalidate(soft=True)
        reader.checked = True

    def _check_file(self, connection: Connection, opening: Opening) -> None:
        try:
            opening.check()
        except SourceChangedError:
            self._lookout.notices.source_changed("the file was replaced or written to")
            connection.connection.invalidate(soft=True)
            raise


def on_driver(connection: Any, work: Callable[[Any], Any]) -> Any:
    """Work on the driver's own connection, in the thread it belongs to.

    Args:
        connection: A DBAPI connection, or SQLAlchemy's adapter of an asynchronous one.
        work: Called with the driver's own connection.
    """
    if hasattr(connection, "run_async"):
        # SQLAlchemy's own adapter goes the same way; aiosqlite has no public one.
        return connection.run_async(lambda driver: driver._execute(work, driver._conn))
    return work(connection)


def _in_transaction(connection: Any) -> bool:
    return bool(connection.in_transaction)


def _reader(connection: Connection) -> Reader | None:
    # Asked for its DBAPI connection, one that was lost would make a new one.
    if connection.closed or connection.invalidated:
        return None
    reader: Reader | None = connection.connection.info.get(READER)
    return reader
