"""The hooks on statements, of whatever database: who is called, and what is sent.

A listener on an engine's connections (`before_cursor_execute`, `begin`), even one that does
nothing, costs every statement and every transaction of that engine several microseconds, for good.
One on the dialect (`do_execute`) costs a fraction, sees the same statements, and sees them after
everybody else has had their say. So that is where statements are rewritten; `before_cursor_execute`
is used only where somebody else listens to the dialect already.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import ref

from sqlalchemy import Connection, Engine, ExceptionContext, event
from sqlalchemy.engine.interfaces import Dialect

from landscape_compat.errors import UnreadableError
from landscape_compat.projection.effect import Effect

if TYPE_CHECKING:
    from landscape_compat.engine.memo import PreparedPlan
    from landscape_compat.projection.rewrite import Rewritten

__all__ = [
    "AS_STORED",
    "Answer",
    "Statements",
    "no_transaction",
    "reader_of",
    "rewrite_by",
    "weakly",
]

# Takes a statement about a connection, and the DBAPI connection; gives one to send in its place.
Answer = Callable[[str, Any], str | None]

# The execution option by which a statement reads what is stored, with no projection.
AS_STORED = "landscape_compat_stored"


_T = TypeVar("_T")


class _Planned(Protocol):
    prepared: PreparedPlan


class Statements(ABC):
    """The listeners that every statement on a read-only database pays for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_over = False
        self._listening: list[tuple[str, Callable[..., Any]]] = []
        self.answer: Answer | None = None
        # Whether what a listener raises is taken by SQLAlchemy for an error of the statement's.
        self.is_on_dialect = True

    @abstractmethod
    def form(self, statement: str, context: Any) -> str | None:
        """Give the text to send; None if the connection is none of ours.

        Args:
            statement: The text, in the driver's form.
            context: SQLAlchemy's execution context.

        Raises:
            LandscapeCompatError: The statement is refused, or the database changed.
        """

    @abstractmethod
    def handle_error(self, context: ExceptionContext) -> None:
        """Say in our words what went wrong."""

    def executed(self, context: Any) -> None:  # noqa: B027 - there may be nothing to do
        """Do what is to be done once a statement was sent, before its rows are fetched."""

    def answered(self, statement: str, effect: Effect, connection: Connection) -> str | None:
        """Give what is sent in place of a statement about the connection itself, if anything.

        Args:
            statement: The text, in the driver's form.
            effect: What running it does.
            connection: What it is executed on.
        """
        if self.answer is None or effect not in (Effect.PRAGMA, Effect.CONTROL):
            return None
        return self.answer(statement, connection.connection.dbapi_connection)

    def listen(self, engine: Engine) -> None:
        """Register the listeners, unless they are.

        Args:
            engine: The engine whose statements are meant.
        """
        with self._lock:
            if not self._listening and not self._is_over:
                self._listening = self._listeners(engine.dialect)
                for name, listener in self._listening:
                    event.listen(engine, name, listener, retval=name != "after_cursor_execute")

    def unlisten(self, engine: Engine) -> bool:
        """Take the listeners back, if they are registered; tell whether they were.

        Args:
            engine: The engine that they were registered on.
        """
        with self._lock:
            listening, self._listening, self._is_over = self._listening, [], True
        for name, listener in listening:
            event.remove(engine, name, listener)
        return bool(listening)

    def _listeners(self, dialect: Dialect) -> list[tuple[str, Callable[..., Any]]]:
        # Who listens to the dialect already comes before us, and may execute a statement before
        # we see it.
        own: list[tuple[str, Callable[..., Any]]] = [
            ("do_execute", self.do_execute),
            ("do_execute_no_params", self.do_execute_no_params),
            ("do_executemany", self.do_executemany),
        ]
        if any(len(getattr(dialect.dispatch, name)) for name, _ in own):
            self.is_on_dialect = False
            own = [
                ("before_cursor_execute", self.before_cursor_execute),
                ("after_cursor_execute", self.after_cursor_execute),
            ]
        return [*own, ("handle_error", self.handle_error)]

    # On the dialect -------------------------------------------------------------------------

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        """Send a statement in the form that what is stored can answer."""
        text = self.form(statement, context)
        if text is None:
            return False
        dialect = context.dialect
        if len(dialect.dispatch.do_execute) > 1:
            for listener in _later(dialect.dispatch.do_execute, self.do_execute):
                if listener(cursor, text, parameters, context):
                    break
            else:
                dialect.do_execute(cursor, text, parameters, context)
        else:
            dialect.do_execute(cursor, text, parameters, context)
        self.executed(context)
        return True

    def do_execute_no_params(self, cursor: Any, statement: str, context: Any) -> bool:
        """Send a statement whose percent signs are its own."""
        text = self.form(statement, context)
        if text is None:
            return False
        dialect = context.dialect
        for listener in _later(dialect.dispatch.do_execute_no_params, self.do_execute_no_params):
            if listener(cursor, text, context):
                break
        else:
            dialect.do_execute_no_params(cursor, text, context)
        self.executed(context)
        return True

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        """Refuse what is executed for many parameters, unless it reads."""
        text = self.form(statement, context)
        if text is None:
            return False
        dialect = context.dialect
        for listener in _later(dialect.dispatch.do_executemany, self.do_executemany):
            if listener(cursor, text, parameters, context):
                break
        else:
            dialect.do_executemany(cursor, text, parameters, context)
        self.executed(context)
        return True

    # On connections -------------------------------------------------------------------------

    def before_cursor_execute(
        self,
        connection: Connection,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        executemany: bool,
    ) -> tuple[str, Any]:
        """Put a statement into that form before anybody executes it."""
        text = self.form(statement, context)
        return statement if text is None else text, parameters

    def after_cursor_execute(
        self,
        connection: Connection,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: Any,
        executemany: bool,
    ) -> None:
        """Do what is to be done after it."""
        self.executed(context)


def reader_of(connection: Connection, key: str) -> Any:
    """Give what is known of a read-only connection; None if it is none of ours.

    Args:
        connection: SQLAlchemy's connection.
        key: The key under which its pooled connection keeps that.
    """
    try:
        return connection.connection.info.get(key)
    except NotImplementedError:
        return None  # SQLAlchemy gets to know a new database on a connection of no pool


def no_transaction() -> None:
    """Stand for a reference to a transaction where there is none."""


def weakly(transaction: _T | None) -> Callable[[], _T | None]:
    """Refer to a transaction; one that nobody wants any more gives its connection back.

    Args:
        transaction: SQLAlchemy's transaction, if there is one.
    """
    return no_transaction if transaction is None else ref(transaction)


def rewrite_by(
    reader: _Planned, statement: str, look: Callable[[], bool], *, as_stored: bool
) -> Rewritten:
    """Rewrite a statement; where the plan has no answer to it, by what a look finds instead.

    Args:
        reader: What is known of the connection.
        statement: The text, in the driver's form.
        look: Looks whether the plan is still that of what is stored; tells whether it was not, and
            the reader has another.
        as_stored: Whether it reads what is stored, with no projection.

    Raises:
        WriteRefusedError: The statement writes.
        UnreadableError: It cannot be answered faithfully from what is stored now.
    """
    try:
        return reader.prepared.rewrite(statement, as_stored=as_stored)
    except UnreadableError:
        if not look():
            raise
        return reader.prepared.rewrite(statement, as_stored=as_stored)


def _later(listeners: Any, own: Callable[..., Any]) -> list[Callable[..., Any]]:
    """Find whom SQLAlchemy will not ask any more once we say that we have executed."""
    everybody = list(listeners)
    return everybody[everybody.index(own) + 1 :] if own in everybody else []
