"""The hooks on statements to a server: each transaction reads only, and from one snapshot."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, CursorResult, ExceptionContext, RootTransaction
from sqlalchemy.exc import DBAPIError

from landscape_compat.engine.lookout import Lookout
from landscape_compat.engine.memo import PreparedPlan
from landscape_compat.engine.servers import Server
from landscape_compat.engine.statements import (
    AS_STORED,
    Statements,
    no_transaction,
    reader_of,
    rewrite_by,
    weakly,
)
from landscape_compat.errors import (
    SourceChangedError,
    UnreadableError,
    WriteRefusedError,
    printable,
)
from landscape_compat.projection.effect import Effect
from landscape_compat.schema.catalogue import Moment, ask

__all__ = ["SERVER_READER", "ServerReader", "ServerReading"]

# The key under which a pooled connection keeps its `ServerReader`.
SERVER_READER = "landscape_compat_server"
_ATTEMPTS = 5
# Without parameters a percent sign is one; and what the program said of its own is not for us.
_PLAIN = {"no_parameters": True, "stream_results": False, "yield_per": None}


@dataclass(slots=True)
class ServerReader:
    """What is known of one read-only connection.

    Args:
        prepared: The plan by which it reads.
        version: The version of the schema that the plan is for.
        transaction: Gives the transaction in which statements were sent, if it still runs.
        checked: Whether that was seen to be fixed, and to have that version.
        is_busy: Whether the statement that is sent is one of ours.
    """

    prepared: PreparedPlan
    version: object
    transaction: Callable[[], RootTransaction | None] = no_transaction
    checked: bool = False
    is_busy: bool = False


class ServerReading(Statements):
    """The listeners that every statement to a read-only database pays for.

    Args:
        lookout: What is known of the database.
        server: What kind of server it is on.
    """

    def __init__(self, lookout: Lookout, server: Server) -> None:
        super().__init__()
        self._lookout = lookout
        self._server = server

    def form(self, statement: str, context: Any) -> str | None:
        """Give the text to send, once the transaction is seen to be fixed, and the plan's."""
        connection: Connection = context.root_connection
        reader: ServerReader | None = reader_of(connection, SERVER_READER)
        if reader is None or reader.is_busy:
            return None
        if _is_sent_as_it_is(context) and reader.prepared.plan.syntax.doubles_percent:
            # What is put in front of it is written as for all other statements.
            text = self._form(statement.replace("%", "%%"), connection, reader, context)
            return text.replace("%%", "%")
        return self._form(statement, connection, reader, context)

    def _form(
        self, statement: str, connection: Connection, reader: ServerReader, context: Any
    ) -> str:
        """Give the text to send for one in which percent signs are doubled."""
        transaction = connection.get_transaction()
        if (
            reader.checked
            and transaction is not None
            and reader.transaction() is transaction
            and AS_STORED not in context.execution_options
            and not _is_autocommit(connection)
            and self._goes_on(connection)
        ):
            text = reader.prepared.sent.get(statement)
            if text is not None:
                return text
        return self._rewrite(statement, connection, reader, context)

    def _rewrite(
        self, statement: str, connection: Connection, reader: ServerReader, context: Any
    ) -> str:
        """Give the text of a statement that is new, or the first of its transaction."""
        as_stored = bool(context.execution_options.get(AS_STORED))
        transaction = connection.get_transaction()
        goes_on = (
            transaction is not None
            and reader.transaction() is transaction
            and self._goes_on(connection)
        )
        if not goes_on:
            reader.checked = False
        former = reader.prepared

        def look() -> bool:
            return not reader.checked and self._check(connection, reader, may_restart=not goes_on)

        try:
            # Before the transaction is begun for its sake: a write starts nothing.
            rewritten = rewrite_by(reader, statement, look, as_stored=as_stored)
            if reader.prepared is not former:
                reader.checked = True
            answer = self.answered(statement, rewritten.effect, connection)
            if answer is not None:
                return answer
            # Some settings must come first in a transaction; what they did is seen after it.
            sets = rewritten.moves and rewritten.effect is Effect.OTHER
            if not sets and (not reader.checked or _is_autocommit(connection)):
                if self._check(connection, reader, may_restart=not goes_on):
                    rewritten = reader.prepared.rewrite(statement, as_stored=as_stored)
                reader.checked = True
            if rewritten.moves or rewritten.effect is Effect.CONTROL:
                reader.checked = False
            reader.transaction = weakly(transaction)
        except WriteRefusedError as error:
            self._lookout.notices.write_refused(error.reason)
            raise
        except UnreadableError:
            if _is_autocommit(connection):
                connection.connection.rollback()  # what was begun to see whether it still is so
            raise
        return rewritten.text

    def _goes_on(self, connection: Connection) -> bool:
        """Tell whether nobody ended the driver's transaction by the driver's own means."""
        return self._server.is_running(connection.connection.dbapi_connection) is not False

    def executed(self, context: Any) -> None:
        """End the transaction of a single statement, as a program expects that asked for it."""
        connection: Connection = context.root_connection
        if not _is_autocommit(connection):
            return
        reader: ServerReader | None = reader_of(connection, SERVER_READER)
        # A server's cursor lives in it, until the next statement.
        if reader is None or reader.is_busy or getattr(context, "_is_server_side", False):
            return
        raw: Any = connection.connection.dbapi_connection
        raw.commit()  # what was set stays so

    def handle_error(self, context: ExceptionContext) -> None:
        """Say in our words what the server refused for our locks."""
        connection = context.connection
        if connection is None or connection.closed or connection.invalidated:
            return
        reader: ServerReader | None = connection.connection.info.get(SERVER_READER)
        if reader is None or reader.is_busy:
            return  # none of ours; or the check, which knows what its own errors mean
        error = context.original_exception
        code = self._server.code_of(error)
        if code is not None and code == self._server.altered:
            raise SourceChangedError(
                f"A table of {self._lookout.database} was altered or made after this transaction "
                "began, so the server cannot show it as it was then.",
                remedy="Begin a new transaction.",
            ) from error
        if code == self._server.read_only:
            refused = WriteRefusedError(
                "The statement was refused, because the database is read in transactions that "
                f"only read ({printable(error).splitlines()[0]}); nothing was changed.",
                remedy="Export the database as it is (`landscape-compat export`), migrate a copy "
                "of it, or start a fresh database to write to.",
            )
            self._lookout.notices.write_refused(refused.reason)
            raise refused from error

    def _check(self, connection: Connection, reader: ServerReader, *, may_restart: bool) -> bool:
        """Fix what the transaction sees, and see that the plan was made for it.

        Args:
            connection: The connection.
            reader: What is known of it.
            may_restart: Whether nothing was sent yet in this transaction.

        Returns:
            Whether another plan had to be made.
        """
        former = reader.prepared
        raw: Any = connection.connection.dbapi_connection
        dialect = connection.dialect
        failure = dialect.loaded_dbapi.Error
        if _is_autocommit(connection):
            may_restart = True
            try:
                raw.commit()  # what a program set by the driver's own means stays so
            except failure:
                # Where the connection is lost, the next question is told so by SQLAlchemy.
                with suppress(failure):
                    raw.rollback()
            if raw.autocommit and not self._server.begin:
                self._server.keep_to_reading(raw, dialect)
        elif not self._server.begin and self._server.is_running(raw):
            # A program has begun it by the driver's own means, and may have set a search path.
            may_restart = False
        reader.is_busy, last = True, None
        try:
            for _ in range(_ATTEMPTS):
                try:
                    if self._is_fixed(connection, reader, may_restart=may_restart):
                        return reader.prepared is not former
                except (DBAPIError, failure) as error:
                    code = self._server.code_of(getattr(error, "orig", error))
                    if code is not None and code == self._server.no_transaction:
                        raise _ended() from error
                    if code not in self._server.outdated:
                        raise
                    # A table was dropped, or is out of this role's reach now.
                    if may_restart:
                        raw.rollback()
                    prepared = reader.prepared
                    self._look_again(_Through(connection), connection, reader)
                    if may_restart:
                        raw.rollback()
                    if reader.prepared is prepared and code in self._server.denied:
                        # What a view shows may be denied to its owner; the tables can be read.
                        prepared.leave_views_unlocked()
                    last = error
        finally:
            reader.is_busy = False
        raise self._lookout.keeps_changing() from last

    def _is_fixed(self, connection: Connection, reader: ServerReader, *, may_restart: bool) -> bool:
        """Lock the tables and look once; tell whether all is as the plan says."""
        raw: Any = connection.connection.dbapi_connection
        through = _Through(connection)
        # Where SQLAlchemy takes what we raise for the statement's own error, it need not be asked
        # to execute ours, which costs as much as executing them does.
        face = raw if self.is_on_dialect else through
        if may_restart:
            moment = self._locked_moment(face, reader, self._server.begin)
        else:
            moment = self._locked_moment(face, reader, *self._server.within)
        if not moment.is_fixed:
            if not may_restart:
                raise WriteRefusedError(
                    "The running transaction was set to write, or to see what others commit "
                    "meanwhile, which is not how a degraded database is read.",
                    remedy="Roll it back, and leave the transaction's mode as it is.",
                )
            raw.rollback()
            self._server.keep_to_reading(raw, connection.dialect)
            return False
        if moment.version == reader.version:
            if not may_restart and self._server.unseen:
                self._see_to_tables(face)
            return True
        self._look_again(through, connection, reader)
        if may_restart:
            raw.rollback()  # what is locked is no longer what is read
        return False

    def _locked_moment(
        self, connection: Any, reader: ServerReader, begin: str, undo: str = "", end: str = ""
    ) -> Moment:
        """Lock the tables between two statements, and look; undo a lock that is not to be had."""
        read_moment = self._lookout.catalogue.read_moment
        assert read_moment is not None
        _send(connection, begin)
        try:
            _send(connection, reader.prepared.locks[0])
        except Exception:
            with suppress(Exception):  # what went wrong first is to be told
                _send(connection, undo)
            raise
        _send(connection, end)
        return read_moment(connection)

    def _see_to_tables(self, connection: Any) -> None:
        """Refuse to read a table that the transaction's snapshot, older than its lock, misses."""
        ((unseen,),) = ask(connection, self._server.unseen)
        if unseen:
            raise SourceChangedError(
                f"A table of {self._lookout.database} was made, or made anew, after this "
                "transaction began to read, so it would be shown as empty.",
                remedy="Begin a new transaction.",
            )

    def _look_again(self, through: _Through, connection: Connection, reader: ServerReader) -> None:
        former = reader.version
        reader.prepared, reader.version = self._lookout.look(through, connection.dialect)
        plan = reader.prepared.plan
        self._lookout.latest = (reader.prepared, "as before; its schema changed since")
        if reader.version != former:
            self._lookout.notices.source_changed("the schema, or the search path, was changed")
        if not plan.is_degraded:
            # The next one that is made may write again.
            connection.connection.invalidate(soft=True)


class _Through:
    """A DBAPI connection's face over SQLAlchemy's, which says what its errors mean.

    Args:
        connection: SQLAlchemy's connection.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._result: CursorResult[Any] | None = None

    def cursor(self) -> _Through:
        """Give what executes."""
        return self

    def execute(self, sql: str) -> None:
        """Execute a statement."""
        self._result = self._connection.exec_driver_sql(sql, execution_options=_PLAIN)

    def fetchall(self) -> list[Any]:
        """Fetch every row."""
        assert self._result is not None
        return list(self._result.fetchall())

    def close(self) -> None:
        """Close what was executed."""
        if self._result is not None:
            self._result.close()


def _send(connection: Any, statement: str) -> None:
    if statement:
        cursor = connection.cursor()
        try:
            cursor.execute(statement)
        finally:
            cursor.close()


def _ended() -> WriteRefusedError:
    return WriteRefusedError(
        "The transaction was ended by a statement, so nothing keeps the next one from writing.",
        remedy="End transactions by the connection's own commit() or rollback().",
    )


def _is_sent_as_it_is(context: Any) -> bool:
    """Tell whether the driver is given no parameters, and so looks for none."""
    return bool(context.no_parameters) and not context.parameters[0]


def _is_autocommit(connection: Connection) -> bool:
    level = connection.get_execution_options().get("isolation_level")
    return (level or getattr(connection.dialect, "_on_connect_isolation_level", None)) == (
        "AUTOCOMMIT"
    )
