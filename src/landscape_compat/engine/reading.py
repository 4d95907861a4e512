"""The hooks on statements that read a file: each checked against the snapshot it is sent to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, ExceptionContext

from landscape_compat.engine.faults import explain_change
from landscape_compat.engine.locks import explain_refusal
from landscape_compat.engine.lookout import Lookout
from landscape_compat.engine.memo import PreparedPlan
from landscape_compat.engine.opening import Opening
from landscape_compat.engine.statements import (
    AS_STORED,
    Statements,
    no_transaction,
    rewrite_by,
    weakly,
)
from landscape_compat.errors import SourceChangedError, WriteRefusedError
from landscape_compat.projection.effect import Effect

__all__ = ["READER", "Reader", "Reading", "on_driver"]

# The key under which a pooled connection keeps its `Reader`.
READER = "landscape_compat"


@dataclass(slots=True)
class Reader:
    """What is known of one read-only connection.

    Args:
        prepared: The plan by which it reads.
        version: The version of the schema that the plan is for.
        opening: How its file was opened.
        transaction: Gives SQLAlchemy's transaction whose snapshot was seen to have that version.
        reads: Whether anything was read since the last transaction of the driver's ended.
    """

    prepared: PreparedPlan
    version: int
    opening: Opening
    transaction: Callable[[], object] = no_transaction
    reads: bool = False

    def end(self) -> None:
        """See that the file stayed as it was to the last row, where no lock kept it so.

        Raises:
            SourceChangedError: It did not.
        """
        self.transaction = no_transaction
        if self.reads:
            self.reads = False
            if self.opening.must_hold_to_the_end:
                self.opening.check()


class Reading(Statements):
    """The listeners that every statement on a read-only database pays for.

    Args:
        lookout: What is known of the database.
    """

    def __init__(self, lookout: Lookout) -> None:
        super().__init__()
        self._lookout = lookout

    def form(self, statement: str, context: Any) -> str | None:
        """Give the text to send, once the transaction is seen to be the plan's."""
        connection: Connection = context.root_connection
        # As `reader_of` does, without a call, for which every statement would pay.
        try:
            reader: Reader | None = connection.connection.info.get(READER)
        except NotImplementedError:
            return None
        if reader is None:
            return None
        options = context.execution_options
        text = None if AS_STORED in options else reader.prepared.sent.get(statement)
        if text is None:
            return self._rewrite(statement, connection, reader, bool(options.get(AS_STORED)))
        transaction = connection.get_transaction()
        if (transaction is None or reader.transaction() is not transaction) and (
            self._check(connection, reader)
        ):
            return reader.prepared.rewrite(statement).text
        return text

    def _rewrite(
        self, statement: str, connection: Connection, reader: Reader, as_stored: bool
    ) -> str:
        """Give the text of a statement that is new, or does more than read what is declared."""

        def look() -> bool:
            transaction = connection.get_transaction()
            is_seen = transaction is not None and reader.transaction() is transaction
            return not is_seen and self._check(connection, reader)

        try:
            # Before the transaction is begun for its sake: a write starts nothing.
            rewritten = rewrite_by(reader, statement, look, as_stored=as_stored)
            answer = self.answered(statement, rewritten.effect, connection)
            if answer is not None:
                return answer
            if rewritten.effect is Effect.CONTROL:
                reader.end()
            elif rewritten.effect is not Effect.PRAGMA and look():
                rewritten = reader.prepared.rewrite(statement, as_stored=as_stored)
        except WriteRefusedError as error:
            self._lookout.notices.write_refused(error.reason)
            raise
        return rewritten.text

    # Transactions and errors ----------------------------------------------------------------

    def handle_error(self, context: ExceptionContext) -> None:
        """Say in our words what the database refused for our locks, and give a changed file up."""
        connection, error = context.connection, context.original_exception
        if connection is None:
            # A listener of the program's own does on connecting what our locks refuse.
            self._refuse(error)
            return
        if _reader(connection) is None:
            return
        if isinstance(error, SourceChangedError):
            self._lookout.notices.source_changed("the file was replaced or written to")
            connection.connection.invalidate(soft=True)
            return
        changed = explain_change(error, self._lookout.database)
        if changed is not None:
            self._lookout.notices.source_changed("its writer left it in another state")
            connection.connection.invalidate(soft=True)
            raise changed from error
        self._refuse(error)

    def _refuse(self, error: BaseException) -> None:
        refused = explain_refusal(error)
        if refused is not None:
            self._lookout.notices.write_refused(refused.reason)
            raise refused from error

    def _check(self, connection: Connection, reader: Reader) -> bool:
        """Take the transaction's snapshot, and a plan for it; tell whether that is another."""
        former = reader.prepared
        transaction = connection.get_transaction()
        raw: Any = connection.connection.dbapi_connection
        reader.opening.check()
        on_driver(raw, _begin)
        reader.reads = True
        version = self._lookout.read_version(raw)
        if version != reader.version:
            reader.prepared, reader.version = self._lookout.look(raw, connection.dialect)
            plan = reader.prepared.plan
            self._lookout.latest = (reader.prepared, "as before; its schema changed since")
            self._lookout.notices.source_changed("the schema was changed")
            if not plan.is_degraded:
                # The next checkout opens it as the driver does, and may write again.
                connection.connection.invalidate(soft=True)
        reader.transaction = weakly(transaction)
        return reader.prepared is not former


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


def _begin(connection: Any) -> None:
    if not connection.in_transaction:
        connection.execute("BEGIN").close()


def _reader(connection: Connection) -> Reader | None:
    # Asked for its DBAPI connection, one that was lost would make a new one.
    if connection.closed or connection.invalidated:
        return None
    reader: Reader | None = connection.connection.info.get(READER)
    return reader
