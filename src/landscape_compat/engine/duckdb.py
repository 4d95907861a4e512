"""The hooks on a DuckDB file: opened read-only if it is degraded, and read through projections.

DuckDB itself keeps a file that is open read-only as it is: it writes nothing to it, a log beside it
is read and left, and no other program may write while we read. So there is little to watch.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from weakref import WeakSet

from sqlalchemy import Connection, Engine, ExceptionContext, event
from sqlalchemy.engine.interfaces import Dialect

from landscape_compat.engine.connecting import Connecting
from landscape_compat.engine.lookout import Lookout
from landscape_compat.engine.memo import PreparedPlan
from landscape_compat.engine.stamps import Stamp
from landscape_compat.engine.statements import AS_STORED, Statements, reader_of
from landscape_compat.errors import (
    AttachError,
    SourceChangedError,
    WriteRefusedError,
    printable,
)

__all__ = ["DuckDBHooks", "DuckDBReading"]

# The key under which a pooled connection keeps its `_Reader`.
_READER = "landscape_compat_duckdb"
_OPENED = "read-only, enforced by DuckDB, which lets no other program write meanwhile"
_WHAT = "SELECT path, readonly FROM duckdb_databases() WHERE database_name = current_catalog()"
# DuckDB opens a file once in a process: all its connections share what the first one asked for.
_SHARED = "different configuration"


@dataclass(frozen=True, slots=True)
class _Reader:
    """What is known of one read-only connection.

    Args:
        prepared: The plan by which it reads.
        path: The file; None where it was opened by a way of the program's own.
        stamp: The file's stamp when it was opened.
    """

    prepared: PreparedPlan
    path: Path | None
    stamp: Stamp | None


class DuckDBHooks(Connecting["DuckDBReading"]):
    """The listeners of one attachment to a DuckDB file.

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
        super().__init__(engine, lookout, DuckDBReading(lookout), posture, read_only)
        self._current_version: object = None
        self._opened: WeakSet[Any] = WeakSet()
        self._stamp: Stamp | None = None

    def listen(self, engine: Engine) -> None:
        """Register what decides how the file is opened; nothing that statements pay for."""
        event.listen(engine, "do_connect", self.do_connect)
        # First in line: a program's own listeners may write.
        event.listen(engine, "connect", self.connect, insert=True)
        if _path_of(*engine.dialect.create_connect_args(engine.url)) is not None:
            engine.dispose()  # what is pooled was opened for writing

    def unlisten(self, engine: Engine) -> None:
        """Take every listener back, and close the connections that were opened read-only."""
        event.remove(engine, "do_connect", self.do_connect)
        event.remove(engine, "connect", self.connect)
        if self.reading.unlisten(engine):
            engine.dispose()

    def do_connect(
        self, dialect: Dialect, record: Any, arguments: list[Any], keywords: dict[str, Any]
    ) -> Any:
        """Open the file read-only if it is degraded; else leave it to the driver."""
        record.info.pop(_READER, None)
        path = _path_of(arguments, keywords)
        if path is None or (not self._read_only and self._current_version is not None):
            return None
        try:
            stamp = Stamp.of(path.stat())
        except OSError:
            return None  # a new one; or the driver says best what is wrong
        try:
            connection = dialect.connect(*arguments, **{**keywords, "read_only": True})
        except dialect.loaded_dbapi.Error as error:
            if _SHARED in str(error):
                return None  # `connect` looks at what this process has opened for writing
            raise
        try:
            found = self._look_readonly(connection, dialect, path, stamp)
        except BaseException:
            connection.close()
            raise
        if found is None:
            connection.close()
            return None
        record.info[_READER] = found
        return connection

    def _look_readonly(
        self, connection: Any, dialect: Dialect, path: Path, stamp: Stamp
    ) -> _Reader | None:
        """Tell how a file that was opened read-only is read; None if it is to be written."""
        _spill_elsewhere(connection, path)
        if any(not opened.closed for opened in self._opened):
            # They share one file, which may be another than what lies there now.
            stamp = self._stamp or stamp
        elif not _is_open(stamp) or Stamp.of(path.stat()) != stamp:
            raise SourceChangedError(
                f"{self._lookout.database} was replaced while this process read the former one.",
                remedy="Close what reads the former one, and connect again.",
            )
        prepared, version = self._lookout.look(connection, dialect)
        plan = prepared.plan
        self._lookout.latest = (prepared, _OPENED)
        if plan.is_degraded:
            self._tell(plan, _OPENED)
        elif not self._read_only:
            self._current_version = None if plan.is_fresh else version
            return None
        self._opened.add(connection)
        self._stamp = stamp
        return _Reader(prepared, path, stamp)

    def connect(self, connection: Any, record: Any) -> None:
        """Have a read-only connection's statements rewritten; look at one that may write."""
        engine = self._alive()
        if _READER in record.info:
            self.reading.listen(engine)
            return
        cursor = connection.cursor()
        cursor.execute(_WHAT)
        ((path, is_readonly),) = cursor.fetchall()
        if path is None:
            return
        if self._current_version is not None:
            if self._lookout.read_version(connection) == self._current_version:
                return
            self._current_version = None
        prepared, version = self._lookout.look(connection, engine.dialect)
        plan = prepared.plan
        self._lookout.latest = (prepared, _OPENED if is_readonly else "as the driver opens it")
        if not plan.is_degraded and not (self._read_only and not is_readonly):
            self._current_version = None if plan.is_fresh or is_readonly else version
            return
        if not is_readonly:
            connection.close()
            raise AttachError(
                f"{self._lookout.database} is to be read only, and this process has opened it for "
                "writing already, or opens it by a `creator` of its own.",
                remedy="Close the other connections, and make the engine from a plain URL of the "
                "file.",
            )
        self._tell(plan, _OPENED, connection.close)
        record.info[_READER] = _Reader(prepared, None, None)
        self.reading.listen(engine)


class DuckDBReading(Statements):
    """The listeners that every statement to a read-only file pays for.

    Args:
        lookout: What is known of the database.
    """

    def __init__(self, lookout: Lookout) -> None:
        super().__init__()
        self._lookout = lookout

    def form(self, statement: str, context: Any) -> str | None:
        """Give the text to send, once the file is seen to be the one that was opened."""
        connection: Connection = context.root_connection
        reader: _Reader | None = reader_of(connection, _READER)
        if reader is None:
            return None
        try:
            if reader.path is not None and not _is_same(reader.path, reader.stamp):
                raise SourceChangedError(
                    f"{self._lookout.database} was replaced or removed while it was read.",
                    remedy="Connect again; what was read so far is of the former file.",
                )
            as_stored = bool(context.execution_options.get(AS_STORED))
            text = None if as_stored else reader.prepared.sent.get(statement)
            if text is not None:
                return text
            rewritten = reader.prepared.rewrite(statement, as_stored=as_stored)
            answer = self.answered(statement, rewritten.effect, connection)
        except WriteRefusedError as error:
            self._lookout.notices.write_refused(error.reason)
            raise
        return rewritten.text if answer is None else answer

    def handle_error(self, context: ExceptionContext) -> None:
        """Say in our words what DuckDB refused, and give a replaced file up."""
        connection = context.connection
        if connection is None or connection.closed or connection.invalidated:
            return
        if reader_of(connection, _READER) is None:
            return
        error = context.original_exception
        if isinstance(error, SourceChangedError):
            self._lookout.notices.source_changed("the file was replaced or removed")
            # DuckDB gives the former file to new connections as long as one of them is open.
            connection.connection.invalidate()
            connection.engine.dispose()
        elif "read-only mode" in str(error):
            refused = WriteRefusedError(
                "The statement was refused, because the file is open read-only "
                f"({printable(error).splitlines()[0]}); nothing was changed.",
                remedy="Export the database as it is, migrate a copy of it, or start a fresh one.",
            )
            self._lookout.notices.write_refused(refused.reason)
            raise refused from error


def _path_of(arguments: Any, keywords: Any) -> Path | None:
    """Tell which file the driver is asked to open; None for a database in memory.

    Raises:
        AttachError: What it opens is no file of this machine.
    """
    database = str(arguments[0] if arguments else keywords.get("database", ":memory:"))
    if not database or database.startswith(":memory:"):
        return None
    if "://" in database or database.startswith(("md:", "motherduck:")):
        raise AttachError(
            f"{printable(database)} is no file of this machine, so it cannot be told what keeps "
            "others from writing to it.",
            remedy="Attach to a copy of it in a file.",
        )
    return Path(database)


def _spill_elsewhere(connection: Any, path: Path) -> None:
    """Have what does not fit into memory written to the system's temporary folder.

    By itself, DuckDB makes a folder beside the file for it.
    """
    cursor = connection.cursor()
    cursor.execute("SELECT current_setting('temp_directory')")
    ((folder,),) = cursor.fetchall()
    if folder and Path(folder).absolute() == Path(f"{path}.tmp").absolute():
        own = Path(tempfile.gettempdir(), f"landscape_compat-{os.getpid()}.tmp")
        # It may be set only until the first use of it, by whatever connection of this file.
        with suppress(Exception):
            cursor.execute("SET temp_directory = '" + str(own).replace("'", "''") + "'")


def _is_same(path: Path, stamp: Stamp | None) -> bool:
    try:
        return Stamp.of(path.stat()) == stamp
    except OSError:
        return False


def _is_open(stamp: Stamp) -> bool:
    """Tell whether this process has a file open, where the system can tell."""
    folder = Path("/dev/fd")
    if not folder.exists():  # pragma: no cover - where /dev is not mounted, as in a bare chroot
        return True
    for descriptor in folder.iterdir():
        with suppress(OSError, ValueError):
            if Stamp.of(os.fstat(int(descriptor.name))).identity == stamp.identity:
                return True
    return False
