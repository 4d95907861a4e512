"""The event hooks: how a connection is opened, what is found there, what is sent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote
from weakref import ref

from sqlalchemy import Connection, Engine, ExceptionContext, MetaData, event
from sqlalchemy.engine.interfaces import Dialect

from landscape_compat.engine.locks import explain_refusal, lock_sqlite
from landscape_compat.engine.memo import PreparedPlan
from landscape_compat.engine.notices import Notices
from landscape_compat.engine.opening import Opening, open_readonly
from landscape_compat.engine.report import SchemaReport, report_plan
from landscape_compat.engine.source import source_of
from landscape_compat.errors import (
    AttachError,
    DegradedDatabaseError,
    OpeningRefusedError,
    SourceChangedError,
    WriteRefusedError,
    printable,
)
from landscape_compat.projection.plan import Plan, make_plan
from landscape_compat.projection.rules import RuleSet
from landscape_compat.projection.scan import Effect
from landscape_compat.schema.catalogue import Catalogue
from landscape_compat.schema.declared import declared_schema
from landscape_compat.schema.shape import SchemaShape, TableShape

__all__ = ["AS_STORED", "Hooks", "database_name"]

AS_STORED = "landscape_compat_stored"
_KEY = "landscape_compat"
_SOURCE = "landscape_compat_source"
_MOST_PLANS = 8


@dataclass(slots=True)
class _Reader:
    """What is known of one read-only connection."""

    prepared: PreparedPlan
    version: int
    opening: Opening | None
    checked: bool = False


class Hooks:
    """The listeners of one attachment, and what they know of the database.

    Args:
        engine: The engine; not kept.
        metadata: What the reader declares.
        rules: Where values that are not stored come from.
        posture: What a degraded database gets.
        read_only: Whether a database is opened read-only also if it is current.
        catalogue: How the dialect tells what it stores.
    """

    def __init__(
        self,
        engine: Engine,
        metadata: MetaData,
        rules: RuleSet,
        posture: Literal["degrade", "refuse"],
        read_only: bool,
        catalogue: Catalogue,
    ) -> None:
        self._engine = ref(engine)
        self._metadata = metadata
        self._rules = rules
        self._posture = posture
        self._read_only = read_only
        self._catalogue = catalogue
        self._database = database_name(engine)
        self._notices = Notices(self._database)
        self._lock = threading.RLock()
        self._plans: dict[tuple[TableShape, ...], PreparedPlan] = {}
        self._latest: tuple[Plan, str] | None = None
        self._current_version: int | None = None
        self._listens = False

    # Listening and reporting --------------------------------------------------------------

    def listen(self, engine: Engine) -> None:
        """Register what decides how connections are opened; nothing that statements pay for."""
        # First in line: a program's own listeners may set pragmas that write.
        event.listen(engine, "do_connect", self.do_connect, insert=True)
        event.listen(engine, "connect", self.connect, insert=True)
        event.listen(engine, "close", self.close)
        if source_of(*engine.dialect.create_connect_args(engine.url)).path is not None:
            engine.dispose()  # what is pooled was opened for writing

    def unlisten(self, engine: Engine) -> None:
        """Take every listener back, and close the connections that were opened read-only."""
        event.remove(engine, "do_connect", self.do_connect)
        event.remove(engine, "connect", self.connect)
        event.remove(engine, "close", self.close)
        with self._lock:
            if self._listens:
                self._listens = False
                for name, listener in self._statement_listeners():
                    event.remove(engine, name, listener)
                engine.dispose()

    def plan(self, engine: Engine) -> Plan:
        """Give the plan for the database as it was last seen; connect if it was not."""
        return self._seen(engine)[0]

    def report(self, engine: Engine) -> SchemaReport:
        """Report on the database as it was last seen; connect if it was not."""
        plan, opened = self._seen(engine)
        return report_plan(
            plan,
            database=self._database,
            dialect=engine.dialect.name,
            opened=opened,
            target="the declared metadata",
        )

    def _seen(self, engine: Engine) -> tuple[Plan, str]:
        if self._latest is None:
            with engine.connect():
                pass
        if self._latest is None:
            raise AttachError(
                f"{self._database} is left alone, so there is nothing to report.",
                remedy="Attach to a database in a file.",
            )
        return self._latest

    def _statement_listeners(self) -> list[tuple[str, Any]]:
        return [
            ("begin", self.begin),
            ("commit", self.end),
            ("rollback", self.end),
            ("before_cursor_execute", self.before_cursor_execute),
            ("handle_error", self.handle_error),
        ]

    def _listen_to_statements(self) -> None:
        """Register what every statement pays for; only a degraded database gets it."""
        engine = self._engine()
        with self._lock:
            if engine is None or self._listens:
                return
            self._listens = True
            for name, listener in self._statement_listeners():
                retval = {"retval": True} if name == "before_cursor_execute" else {}
                event.listen(engine, name, listener, insert=True, **retval)

    # Connecting -----------------------------------------------------------------------------

    def do_connect(
        self, dialect: Dialect, record: Any, arguments: list[Any], keywords: dict[str, Any]
    ) -> Any:
        """Open the file read-only if it is degraded; else leave it to the driver."""
        source = source_of(arguments, keywords)
        if record is not None:
            record.info.pop(_KEY, None)
            record.info[_SOURCE] = source
        if source.path is None or not source.steerable:
            return None
        if not self._read_only and (
            # Known to be current: `connect` sees whether it still is.
            self._current_version is not None or not _has_content(source.path)
        ):
            return None

        def connect(uri: str) -> Any:
            return dialect.connect(uri, *arguments[1:], **{**keywords, "uri": True})

        try:
            connection, opening = open_readonly(source.path, connect)
        except OpeningRefusedError:
            if self._read_only or not self._is_harmless(dialect, source.path, connect):
                raise
            return None
        try:
            prepared, version = self._look(connection, dialect)
        except BaseException:
            _close(connection, opening)
            raise
        self._latest = (prepared.plan, opening.reason)
        if prepared.plan.is_degraded:
            if self._posture == "refuse":
                _close(connection, opening)
                raise _refusal(prepared.plan, self._database)
            self._notices.database_degraded(prepared.plan, opening.reason)
        elif not self._read_only:
            _close(connection, opening)
            if not _is_fresh(prepared.plan):
                self._current_version = version
            return None
        record.info[_KEY] = _Reader(prepared, version, opening)
        return connection

    def connect(self, connection: Any, record: Any) -> None:
        """Lock a connection that was opened read-only; look at one that was not."""
        reader = record.info.get(_KEY)
        if reader is not None:
            _on_driver(connection, lock_sqlite)
            self._listen_to_statements()
            return
        source = record.info.pop(_SOURCE, None)
        if source is None or not source.steerable:
            self._look_at_foreign(connection)
        elif source.path is not None and self._current_version is not None:
            self._look_again(connection)

    def close(self, connection: Any, record: Any) -> None:
        """Let go of what the connection was opened with, a private copy included."""
        reader = record.info.pop(_KEY, None)
        if reader is not None and reader.opening is not None:
            reader.opening.close()

    def _look_again(self, connection: Any) -> None:
        """See whether a database that was current still is; cheap while nothing changed."""
        version = self._catalogue.read_version(connection)
        if version == self._current_version:
            return
        prepared, version = self._look(connection, self._dialect())
        degraded = prepared.plan.is_degraded
        self._current_version = None if degraded or _is_fresh(prepared.plan) else version
        if degraded:
            self._notices.source_changed("the schema is no longer the declared one")
            raise SourceChangedError(
                f"{self._database} was current and now lacks what is declared: another program "
                "changed or replaced it.",
                remedy="Connect again; it is then opened read-only.",
            )

    def _look_at_foreign(self, connection: Any) -> None:
        """Refuse a degraded file that somebody else chose how to open."""
        cursor = connection.cursor()
        try:
            cursor.execute("PRAGMA database_list")
            files = [row[2] for row in cursor.fetchall() if row[1] == "main"]
        finally:
            cursor.close()
        if not any(files):
            return
        prepared, _ = self._look(connection, self._dialect())
        if not prepared.plan.is_degraded:
            return
        if self._posture == "refuse":
            raise _refusal(prepared.plan, self._database)
        raise AttachError(
            f"{self._database} is degraded, and the engine opens it by a `creator` or an option "
            "of its own, so it cannot be opened without risk to the file.",
            remedy="Make the engine from a plain URL of the file.",
        )

    def _is_harmless(self, dialect: Dialect, path: Path, connect: Any) -> bool:
        """Tell whether a file that cannot be opened safely is none of our business.

        Looked at as if nothing else were there, which leaves no trace and is good enough to
        tell a degraded schema from another.
        """
        uri = f"file:{quote(str(path), errors='surrogateescape')}?immutable=1"
        try:
            if not path.is_file():
                return True
            connection = connect(uri)
        except Exception:
            return True  # the driver says best what is wrong
        with suppress(Exception):
            prepared, _ = self._look(connection, dialect)
            connection.close()
            return not prepared.plan.is_degraded
        connection.close()
        return True

    def _dialect(self) -> Dialect:
        engine = self._engine()
        if engine is None:
            raise AttachError("The engine is gone, and its attachment with it.")
        return engine.dialect

    def _look(self, connection: Any, dialect: Dialect) -> tuple[PreparedPlan, int]:
        """Read what is stored and plan for it. Two reads agree, or the schema is in motion."""
        catalogue = self._catalogue
        for _ in range(5):
            version = catalogue.read_version(connection)
            stored = catalogue.read_stored(connection)
            if catalogue.read_version(connection) == version:
                return self._prepare(stored, dialect), version
        raise SourceChangedError(
            f"The schema of {self._database} keeps changing while it is read.",
            remedy="Wait until the other program is done, and try again.",
        )

    def _prepare(self, stored: SchemaShape, dialect: Dialect) -> PreparedPlan:
        with self._lock:
            prepared = self._plans.get(tuple(stored))
            if prepared is None:
                schema = self._catalogue.default_schema
                declared = declared_schema(self._metadata, dialect, schema)
                plan = make_plan(stored, declared, self._rules, dialect, schema)
                prepared = PreparedPlan(plan, self._notices.table_degraded)
                if len(self._plans) >= _MOST_PLANS:
                    self._plans.clear()
                self._plans[tuple(stored)] = prepared
            return prepared

    # Reading --------------------------------------------------------------------------------

    def begin(self, connection: Connection) -> None:
        """Forget that the schema was checked: a transaction begins."""
        reader = connection.connection.info.get(_KEY)
        if reader is not None:
            reader.checked = False

    def end(self, connection: Connection) -> None:
        """See that the file stayed as it was to the last row, where no lock kept it so."""
        reader = connection.connection.info.get(_KEY)
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
        reader: _Reader | None = connection.connection.info.get(_KEY)
        if reader is None:
            return statement, parameters
        options = context.execution_options if context is not None else {}
        try:
            # Before the transaction is begun for its sake: a write starts nothing.
            rewritten = reader.prepared.rewrite(statement, as_stored=AS_STORED in options)
            if rewritten.effect is Effect.CONTROL:
                reader.checked = False
                return statement, parameters
            if not reader.checked:
                prepared = reader.prepared
                self._check(connection, reader)
                if reader.prepared is not prepared:
                    rewritten = reader.prepared.rewrite(statement, as_stored=AS_STORED in options)
        except WriteRefusedError as error:
            self._notices.write_refused(error.reason)
            raise
        return rewritten.text, parameters

    def _check(self, connection: Connection, reader: _Reader) -> None:
        """Take the transaction's snapshot and see that the plan was made for it."""
        proxied = connection.connection
        raw: Any = proxied.dbapi_connection
        if reader.opening is not None:
            self._check_file(connection, reader.opening)
        if not _on_driver(raw, _in_transaction):
            cursor = raw.cursor()
            cursor.execute("BEGIN")
            cursor.close()
        version = self._catalogue.read_version(raw)
        if version != reader.version:
            reader.prepared, reader.version = self._look(raw, connection.dialect)
            self._latest = (reader.prepared.plan, "as before; its schema changed since")
            self._notices.source_changed("the schema was changed")
            if not reader.prepared.plan.is_degraded:
                # The next checkout opens it as the driver does, and may write again.
                proxied.invalidate(soft=True)
        reader.checked = True

    def _check_file(self, connection: Connection, opening: Opening) -> None:
        try:
            opening.check()
        except SourceChangedError:
            self._notices.source_changed("the file was replaced or written to")
            connection.connection.invalidate(soft=True)
            raise

    def handle_error(self, context: ExceptionContext) -> None:
        """Say in our words what the database refused for our locks."""
        if context.connection is None or _KEY not in context.connection.connection.info:
            return
        refused = explain_refusal(context.original_exception)
        if refused is not None:
            self._notices.write_refused(refused.reason)
            raise refused from context.original_exception


def database_name(engine: Engine) -> str:
    """Name an engine's database for people: a path as it is, a URL with its password hidden."""
    if engine.dialect.name == "sqlite":
        return printable(engine.url.database or ":memory:")
    return printable(engine.url.render_as_string(hide_password=True))


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0 or not path.is_file()
    except OSError:
        return False


def _on_driver(connection: Any, work: Callable[[Any], Any]) -> Any:
    """Work on the driver's own connection, in the thread it belongs to."""
    if hasattr(connection, "run_async"):
        # SQLAlchemy's own adapter goes the same way; aiosqlite has no public one.
        return connection.run_async(lambda driver: driver._execute(work, driver._conn))
    return work(connection)


def _in_transaction(connection: Any) -> bool:
    return bool(connection.in_transaction)


def _is_fresh(plan: Plan) -> bool:
    return all(drift.missing_table for drift in plan.drifts)


def _close(connection: Any, opening: Opening) -> None:
    connection.close()
    opening.close()


def _refusal(plan: Plan, database: str) -> DegradedDatabaseError:
    tables = sorted({*(p.name for p in plan.projections.values())})
    return DegradedDatabaseError(
        f"{database} lacks what is declared in {len(tables)} tables: {', '.join(tables)}.",
        table=tables[0] if len(tables) == 1 else None,
        remedy="Export it as it is, migrate a copy of it, or start a fresh one.",
    )
