"""Choose how a SQLite file is opened, so that no trace is left and no row is torn or stale."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

from landscape_compat.engine.classify import (
    AgainError,
    LocksFailError,
    is_readable,
    look,
    resolve,
)
from landscape_compat.engine.descriptors import descriptors
from landscape_compat.engine.private_copy import PrivateCopy, copy_privately
from landscape_compat.engine.stamps import Stamp, Stamps, settle, stamp_of
from landscape_compat.engine.states import REFUSALS, Facts, Lock, Refusal, Way, state_of
from landscape_compat.errors import SourceChangedError, printable

__all__ = ["Opening", "open_readonly"]


class Opening(NamedTuple):
    """How one file is opened, why, and what must stay as it is for that to be right.

    Args:
        given: The path that was asked for.
        path: The file it leads to, with no symlink on the way.
        way: How it is opened.
        state: The name of the state it is in.
        facts: The facts that make that state.
        reason: What state that is, and why the way is right.
        guard: What the file and its sidecars were.
        copy: The private copy, once it is made.
        settled: Whether any change since must have changed the guard.
    """

    given: Path
    path: Path
    way: Way
    state: str
    facts: Facts
    reason: str
    guard: Stamps
    copy: PrivateCopy | None = None
    settled: bool = False

    @property
    def uri(self) -> str:
        """Spell the SQLite URI to connect to."""
        if self.copy is not None:
            return _uri(self.copy.path, _OPTIONS[Way.IMMUTABLE])
        return _uri(self.path, _OPTIONS[self.way])

    @property
    def must_hold_to_the_end(self) -> bool:
        """Tell whether it takes a check after the last row to know that no row was torn."""
        return self.way is Way.IMMUTABLE

    @property
    def size(self) -> int:
        """Tell how many bytes the database has, what waits in its `-wal` included."""
        return self.guard.database.size + (self.guard.wal.size if self.guard.wal else 0)

    def holds(self) -> bool:
        """Tell whether what was found when it was opened is still so; takes microseconds."""
        return not self._difference()

    def check(self) -> None:
        """Require that what was found when it was opened is still so.

        To be called before a transaction reads, and where it `must_hold_to_the_end` also after
        its last row: only then is it known that no writer came between.

        Raises:
            SourceChangedError: It is not; rows read since the last check may be torn.
        """
        difference = self._difference()
        if difference:
            raise SourceChangedError(
                f"{printable(self.given)} {difference} since it was opened, so what was read "
                "from it may not belong together.",
                remedy="Open it again and read from the start.",
            )

    def close(self) -> None:
        """Remove the private copy, if there is one.

        Raises:
            OutputError: Something of it could not be removed.
        """
        if self.copy is not None:
            self.copy.close()

    def _difference(self) -> str:
        try:
            now = Stamp.of(os.stat(self.given))  # noqa: PTH116 - half the time
            if now.identity != self.guard.database.identity:
                return "was replaced by another file"
            return _CHANGED[self.way](self, now)
        except OSError:
            return "was moved, deleted or locked away"


def _changed_read_only(opening: Opening, now: Stamp) -> str:
    # A file that turns into a WAL database would get a -wal and -shm from our next read.
    if stamp_of(opening.path, "-wal") is not None:
        return "was changed to WAL mode"
    if opening.settled and now == opening.guard.database:
        return ""  # nor was its header, then
    with descriptors().borrow(opening.path) as source:
        return "was changed to WAL mode" if os.pread(source.descriptor, 1, 19) == b"\2" else ""


def _changed_immutable(opening: Opening, now: Stamp) -> str:
    if now != opening.guard.database or stamp_of(opening.path, "-journal") != opening.guard.journal:
        return "was changed"
    wal = stamp_of(opening.path, "-wal")
    return "was written to" if wal is not None and wal.size else ""


def _changed_shm(opening: Opening, _: Stamp) -> str:
    now, then = stamp_of(opening.path, "-wal"), opening.guard.wal
    if now is None or then is None or now.identity != then.identity:
        return "lost its -wal"
    return ""


def _changed_copied(opening: Opening, now: Stamp) -> str:
    return "" if Stamps.of(opening.path, now) == opening.guard else "was changed"


_OPTIONS = {
    Way.READ_ONLY: "mode=ro",
    Way.IMMUTABLE: "mode=ro&immutable=1",
    Way.READ_ONLY_SHM: "mode=ro&readonly_shm=1",
}
_CHANGED: dict[Way, Callable[[Opening, Stamp], str]] = {
    Way.READ_ONLY: _changed_read_only,
    Way.IMMUTABLE: _changed_immutable,
    Way.READ_ONLY_SHM: _changed_shm,
    Way.PRIVATE_COPY: _changed_copied,
}


class _Connection(Protocol):
    def cursor(self) -> Any: ...
    def rollback(self) -> Any: ...
    def close(self) -> Any: ...


_C = TypeVar("_C", bound=_Connection)
_PAUSES = (0.0, 0.01, 0.05, 0.2, 0.5)


def open_readonly(
    path: str | os.PathLike[str],
    connect: Callable[[str], _C],
    *,
    allow_copy: bool = True,
    encrypted: bool = False,
    reuse: Opening | None = None,
) -> tuple[_C, Opening]:
    """Connect to a database without leaving a trace, and read from it once.

    A file that changes between the choice and the first read is looked at again, five times
    at most.

    Args:
        path: The file.
        connect: Connects the driver to a SQLite URI.
        allow_copy: Whether a private copy may be made where nothing else is right.
        encrypted: Whether the file is encrypted, and `connect` gives its key.
        reuse: An opening of the same path whose private copy may serve again, if it is one and
            its source has not changed.

    Returns:
        The connection, outside a transaction, and how it was opened. The opening owns the
        private copy, if there is one: keep it as long as the connection, then close it.

    Raises:
        OpeningRefusedError: It cannot be opened so; says why.
    """
    given = Path(path)
    failing = False
    last = REFUSALS["changing"].error(given)
    cause: BaseException | None = None
    for pause in _PAUSES:
        time.sleep(pause)
        try:
            if reuse is not None and _may_serve_again(reuse):
                return _connect(reuse, connect), reuse
            return _open(_choose(given, allow_copy, encrypted, failing), connect)
        except AgainError as again:
            failing = failing or isinstance(again, LocksFailError)
            last, cause = again.refusal, again.__cause__
    raise last from cause


def _may_serve_again(opening: Opening) -> bool:
    return opening.copy is not None and not opening.copy.closed and opening.holds()


# Choosing -------------------------------------------------------------------------------------


def _choose(given: Path, allow_copy: bool, encrypted: bool, failing: bool) -> Opening:
    path = resolve(given)
    try:
        began = time.time_ns()
        stamps = Stamps.of(path)
        found = look(path, stamps.database, encrypted=encrypted)
        steady = Stamps.of(path) == stamps
    except OSError as error:
        # A moment ago it could be reached; where it cannot any more, `resolve` says best why.
        raise AgainError(REFUSALS["changing"].error(path)) from error
    if isinstance(found, Refusal):
        # Header and size are read one after the other: a commit between them looks like damage.
        refusal = found.error(path)
        raise refusal if steady else AgainError(refusal)
    facts = replace(found, lock=Lock.FAILING) if failing else found
    state = state_of(facts)
    if state.way is None:
        raise AgainError(REFUSALS["in-use"].error(path, state.reason.rstrip(".")))
    if state.way is Way.PRIVATE_COPY and not allow_copy:
        raise REFUSALS["copy-not-allowed"].error(path, state.reason.rstrip("."))
    if state.way is Way.IMMUTABLE and (not steady or stamps.fresh):
        # The guard must be such that any change to come will differ from it.
        settle(path)
        raise AgainError(REFUSALS["changing"].error(path))
    return Opening(
        given=given.absolute(),
        path=path,
        way=state.way,
        state=state.name,
        facts=facts,
        reason=state.reason,
        guard=stamps,
        settled=stamps.settled_at(began),
    )


# Opening --------------------------------------------------------------------------------------


def _open(opening: Opening, connect: Callable[[str], _C]) -> tuple[_C, Opening]:
    if opening.way is Way.PRIVATE_COPY:
        return _open_copy(opening, connect)
    if opening.way is not Way.READ_ONLY_SHM:
        return _connect(opening, connect), opening
    changing = AgainError(REFUSALS["changing"].error(opening.path))
    with ExitStack() as stack:
        try:
            source = stack.enter_context(descriptors().borrow(opening.path))
            stack.enter_context(descriptors().pin(source))
        except OSError as error:
            raise changing from error
        # Without a -wal or -shm, SQLite would fail, and leave an empty -wal behind.
        if not (opening.holds() and is_readable(opening.path, "-shm")):
            raise changing
        return _connect(opening, connect), opening


def _open_copy(opening: Opening, connect: Callable[[str], _C]) -> tuple[_C, Opening]:
    try:
        with descriptors().borrow(opening.path) as source:
            copy = copy_privately(opening.path, source)
    except (OSError, SourceChangedError) as error:
        raise AgainError(REFUSALS["changing"].error(opening.path)) from error
    copied = opening._replace(guard=copy.stamps, copy=copy)
    try:
        if any(part is not None and part.size for part in (copy.stamps.wal, copy.stamps.journal)):
            # Closing the only connection moves what was committed into the copied file.
            _connect(copied, connect, uri=_uri(copy.path, "mode=rw")).close()
        return _connect(copied, connect), copied
    except BaseException:
        copy.close()
        raise


def _connect(opening: Opening, connect: Callable[[str], _C], uri: str = "") -> _C:
    try:
        connection = connect(uri or opening.uri)
    except Exception as error:
        raise _judge(error, opening) from error
    try:
        _read_once(connection)
        if not opening.holds():
            raise AgainError(REFUSALS["changing"].error(opening.path))
    except BaseException as error:
        connection.close()
        if isinstance(error, Exception) and not isinstance(error, AgainError):
            raise _judge(error, opening) from error
        raise
    return connection


def _read_once(connection: _Connection) -> None:
    cursor = connection.cursor()
    try:
        # Takes the locks, finds a hot journal, opens the WAL; needs no valid schema.
        cursor.execute("PRAGMA schema_version")
        cursor.fetchall()
    finally:
        cursor.close()
    connection.rollback()


# Source: https://www.sqlite.org/rescode.html.
_BUSY, _LOCKED, _READONLY, _IOERR, _CANTOPEN, _PROTOCOL = 5, 6, 8, 10, 14, 15
_LOCK_CODES = (2058, 2314, 3594, 3850)  # IOERR_UNLOCK, _RDLOCK, _CHECKRESERVEDLOCK, _LOCK
_SHORT_READ, _NOTADB = 522, 26
# For a driver whose errors have no code.
_MESSAGES = {
    "database is locked": _BUSY,
    "database table is locked": _LOCKED,
    "attempt to write a readonly database": _READONLY,
    "disk I/O error": _IOERR,
    "unable to open database file": _CANTOPEN,
    "locking protocol": _PROTOCOL,
    "file is not a database": _NOTADB,
}


def _judge(error: Exception, opening: Opening) -> Exception:
    """Tell a race, which is worth another look, from a file that cannot be read, or a bug."""
    if not any(kind.__name__ == "DatabaseError" for kind in type(error).__mro__):
        return error
    code = getattr(error, "sqlite_errorcode", None) or _MESSAGES.get(str(error), 0)
    if code & 0xFF in (_BUSY, _LOCKED):
        return REFUSALS["in-use"].error(opening.path, str(error))
    if code == _NOTADB and opening.facts.encrypted:
        refusal = REFUSALS["wrong-key"].error(opening.path)
    else:
        refusal = REFUSALS["driver"].error(opening.path, str(error))
    if code in _LOCK_CODES:  # pragma: no cover - coverage needs locks, test_where_locks_fail
        return LocksFailError(refusal)
    if code & 0xFF in (_READONLY, _CANTOPEN, _PROTOCOL) or code == _SHORT_READ:
        return AgainError(refusal)
    return refusal if opening.holds() else AgainError(refusal)


def _uri(path: Path, options: str) -> str:
    # Never a plain path in it: `?`, `#` and `%` end or change it, and `//` begins a host.
    return f"file://{quote(os.fsencode(path))}?{options}"
