"""The hooks on connecting: how a database is opened, and what becomes of it then."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import quote
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, ExceptionContext, event
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.pool import ConnectionPoolEntry

from landscape_compat.engine.connecting import Connecting, let_go
from landscape_compat.engine.encryption import KEY, Passphrase
from landscape_compat.engine.ending import connection_class, tell_of_ends
from landscape_compat.engine.locks import lock_sqlite
from landscape_compat.engine.lookout import Lookout
from landscape_compat.engine.opening import Opening, open_readonly
from landscape_compat.engine.reading import READER, Reader, Reading, on_driver
from landscape_compat.engine.source import Source, source_of
from landscape_compat.engine.stamps import Stamp, Stamps
from landscape_compat.errors import (
    AttachError,
    OpeningRefusedError,
    SourceChangedError,
    printable,
)
from landscape_compat.projection.plan import Plan
from landscape_compat.schema.catalogue.sqlite import read_definitions

__all__ = ["Hooks"]

# Why a file can be read only by the connection that somebody else opened: he has its key, or a
# file system of his own, or it has no name any more.
_ITS_OWN = ("encrypted", "absent")


class Hooks(Connecting[Reading]):
    """The listeners of one attachment.

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
        super().__init__(engine, lookout, Reading(lookout), posture, read_only)
        # The version of its schema and the text of its definitions, if it is known to be current.
        self._current: tuple[int, str] | None = None
        self._identity = (0, 0)  # of that file
        # For which records a file is being opened read-only, or was.
        self._opens = set[int]()
        # How its files were when it was found to be so.
        self._current_stamps: Stamps | None = None
        # What the driver opens for a record, until it has. Not in the record's own `info`, which
        # a program's `do_connect` is to find as it would without us.
        self._sources: WeakKeyDictionary[ConnectionPoolEntry, _Passed] = WeakKeyDictionary()

    # Listening ------------------------------------------------------------------------------

    def listen(self, engine: Engine) -> None:
        """Register what decides how connections are opened; nothing that statements pay for."""
        event.listen(engine, "do_connect", self.do_connect)
        # First in line: a program's own listeners may set pragmas that write.
        event.listen(engine, "connect", self.connect, insert=True)
        event.listen(engine, "close", self.close)
        event.listen(engine, "handle_error", self.handle_error)
        if source_of(*engine.dialect.create_connect_args(engine.url)).path is not None:
            let_go(engine)  # what is pooled was opened for writing

    def unlisten(self, engine: Engine) -> None:
        """Take every listener back, and close the connections that were opened read-only."""
        event.remove(engine, "do_connect", self.do_connect)
        event.remove(engine, "connect", self.connect)
        event.remove(engine, "handle_error", self.handle_error)
        # What is being opened right now does not listen yet, and is to be pooled by nobody.
        if self.reading.unlisten(engine) or self._opens:
            let_go(engine)
        if not engine.dialect.is_async:
            event.remove(engine, "close", self.close)
        # Else it stays, once, for the connections that are still to be closed.

    # Connecting -----------------------------------------------------------------------------

    def do_connect(
        self, dialect: Dialect, record: Any, arguments: list[Any], keywords: dict[str, Any]
    ) -> Any:
        """Open the file read-only if it is degraded; else leave it to the driver."""
        source = source_of(arguments, keywords)
        record.info.pop(READER, None)
        found = _find(source.path)
        self._sources[record] = _Passed(source, found)
        if source.path is None or not source.steerable:
            return None
        if not self._read_only and not _has_content(found):
            return None
        if self._current is not None and not self._read_only:
            if found is not None and Stamp.of(found).identity == self._identity:
                # `connect` sees whether it is current still.
                self._sources[record] = _Passed(source, found, as_current=True)
                return None
            self._current = None
            self._lookout.notices.source_changed("the file was replaced")

        self._opens.add(id(record))
        factory = connection_class(dialect, keywords.get("factory"))
        passphrase: Passphrase | None = keywords.get(KEY)

        def connect(uri: str) -> Any:
            options = {**keywords, "uri": True, "factory": factory}
            options.pop(KEY, None)
            connection = dialect.connect(uri, *arguments[1:], **options)
            if passphrase is not None:
                passphrase.unlock(connection)
            return connection

        try:
            connection, opening = open_readonly(
                source.path, connect, encrypted=passphrase is not None
            )
        except OpeningRefusedError:
            plan = self._glance(dialect, source.path, connect)
            if self._read_only or (plan and plan.is_degraded):
                raise
            self._opens.discard(id(record))
            return None
        try:
            prepared, version = self._lookout.look(connection, dialect)
        except BaseException:
            _close(connection, opening)
            raise
        self._lookout.latest = (prepared, opening.reason)
        if prepared.plan.is_degraded:
            self._tell(prepared.plan, opening.reason, partial(_close, connection, opening))
        elif not self._read_only:
            try:
                if not _is_fresh(prepared.plan):
                    self._current = (version, read_definitions(connection))
                    self._identity = opening.guard.database.identity
                    self._sources[record] = _Passed(source, found, as_current=True)
            finally:
                _close(connection, opening)
            self._opens.discard(id(record))
            return None
        record.info[READER] = Reader(prepared, version, opening)
        return connection

    def connect(self, connection: Any, record: Any) -> None:
        """Lock a connection that was opened read-only; look at one that was not."""
        reader = record.info.get(READER)
        if reader is not None:
            on_driver(connection, partial(lock_sqlite, size=reader.opening.size))
            on_driver(connection, lambda driver: tell_of_ends(driver, reader.end))
            self.reading.listen(self._alive())
            return
        passed = self._sources.pop(record, None)
        if passed is None or not passed.source.steerable:
            self._look_at_foreign(connection)
        elif passed.as_current:
            self._look_again(connection, passed.found)

    @staticmethod
    def close(connection: Any, record: Any) -> None:
        """Let go of what the connection was opened with, a private copy included."""
        reader = record.info.pop(READER, None)
        if reader is not None:
            reader.opening.close()

    def handle_error(self, context: ExceptionContext) -> None:
        """See whether a statement failed because a current database no longer is."""
        connection = context.connection
        if self._current is None or connection is None:
            return
        if connection.closed or connection.invalidated or READER in connection.connection.info:
            return
        try:
            self._look_again(connection.connection.dbapi_connection)
        except SourceChangedError as changed:
            connection.connection.invalidate(soft=True)
            raise changed from context.original_exception
        except Exception:
            return  # what went wrong first is to be told

    def _look_again(self, connection: Any, found: _Found = None) -> None:
        """See whether a database that was current still is; cheap while nothing changed."""
        version = self._lookout.read_version(connection)
        stamps = None if found is None else Stamps(Stamp.of(found), None, None)
        current = self._current
        is_so = current is not None and version == current[0]
        if is_so and stamps is not None and stamps == self._current_stamps:
            return
        # What was written over it may have the same version.
        definitions = read_definitions(connection)
        if current == (version, definitions):
            if stamps is not None:
                self._current_stamps = None if stamps.fresh else stamps
            return
        prepared, version = self._lookout.look(connection, self._alive().dialect)
        degraded = prepared.plan.is_degraded
        is_fresh = _is_fresh(prepared.plan)
        self._current = None if degraded or is_fresh else (version, definitions)
        if degraded:
            self._lookout.notices.source_changed("the schema is no longer the declared one")
            raise SourceChangedError(
                f"{self._lookout.database} was current and now lacks what is declared: another "
                "program changed or replaced it.",
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
        path = Path(files[0])
        stamps = None
        with suppress(OSError):  # the driver says best what is wrong
            stamps = Stamps.of(path)
        if stamps is not None and stamps == self._current_stamps:
            return
        plan = self._plan_of_foreign(connection, path)
        if plan is None:
            return
        if not plan.is_degraded:
            self._current_stamps = None if stamps is None or stamps.fresh else stamps
            return
        if self._posture == "refuse":
            raise self._refusal(plan)
        raise AttachError(
            f"{printable(path)} is degraded, and this connection was opened by a `creator`, "
            "by an option of the engine's own, or before the shim was attached, so it cannot be "
            "read without risk to the file.",
            remedy="Make the engine from a plain URL of the file, and attach before connecting.",
        )

    def _plan_of_foreign(self, connection: Any, path: Path) -> Plan | None:
        """Look at a file past the connection that somebody else opened; None if it is harmless.

        Were it read on that one, which may write, then closing it would move what is in its
        `-wal` into the file, or reading it roll a hot journal back.
        """
        dialect = self._alive().dialect

        def connect(uri: str) -> Any:
            return dialect.connect(uri, uri=True)

        try:
            own, opening = open_readonly(path, connect)
        except OpeningRefusedError as refused:
            plan = None
            if refused.refusal not in _ITS_OWN:
                plan = self._glance(dialect, path, connect)
                # A glance sees no `-wal`, and this connection may be the one that has the file.
                if refused.refusal != "in-use" or not (plan and plan.is_degraded):
                    return plan
            return self._lookout.look(connection, dialect)[0].plan
        try:
            return self._lookout.look(own, dialect)[0].plan
        finally:
            _close(own, opening)

    def _glance(self, dialect: Dialect, path: Path, connect: Any) -> Plan | None:
        """Look at a file that cannot be opened safely; None if it cannot be read at all.

        Looked at as if nothing else were there, which leaves no trace and is good enough to
        tell a degraded schema from another.
        """
        uri = f"file:{quote(str(path), errors='surrogateescape')}?immutable=1"
        try:
            if not path.is_file():
                return None
            connection = connect(uri)
        except Exception:
            return None  # the driver says best what is wrong
        try:
            return self._lookout.look(connection, dialect)[0].plan
        except Exception:
            return None
        finally:
            connection.close()


class _Passed(NamedTuple):
    """What was left to the driver to open.

    Args:
        source: What the driver opens.
        found: What was found at its path.
        as_current: Whether it was left to the driver because it was known to be current.
    """

    source: Source
    found: _Found
    as_current: bool = False


# What is found at a path; None for nothing, or where it cannot be looked at.
_Found = os.stat_result | None


def _find(path: Path | None) -> _Found:
    try:
        return None if path is None else os.stat(path)  # noqa: PTH116 - each connection pays for it
    except OSError:
        return None


def _has_content(found: _Found) -> bool:
    return found is not None and (found.st_size > 0 or not stat.S_ISREG(found.st_mode))


def _is_fresh(plan: Plan) -> bool:
    return all(drift.missing_table for drift in plan.drifts)


def _close(connection: Any, opening: Opening) -> None:
    connection.close()
    opening.close()
