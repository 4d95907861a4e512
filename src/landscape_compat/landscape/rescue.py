"""Opening a database for the host that the host itself could not, or would not, read."""

from __future__ import annotations

import inspect
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.pool import StaticPool

from landscape_compat.engine.attach import Attachment, attach
from landscape_compat.engine.encryption import make_engine
from landscape_compat.engine.source import source_of
from landscape_compat.errors import (
    AttachError,
    UnreadableError,
    printable,
)
from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.host import Host
from landscape_compat.landscape.peeking import IDENTITY, Seen, Way, look, peeking, way_to
from landscape_compat.landscape.rules import landscape_rules
from landscape_compat.projection.plan import Plan, make_plan
from landscape_compat.projection.prelude import Projection
from landscape_compat.schema.catalogue import catalogue_for
from landscape_compat.schema.declared import declared_schema
from landscape_compat.schema.shape import SchemaShape

__all__ = ["Finding", "answer_for", "examine", "furnish", "open_degraded", "verdict_of"]

_APPLICATION, _STORE = "elspeth", "landscape"
_MOST_PASSED = 64
# With one of these, what the engine opens is not what its URL says.
_OPENERS = frozenset({"creator", "module", "pool"})
_BEGINNINGS = frozenset(
    f"begin{mode}{word}" for mode in ("", " deferred") for word in ("", " transaction")
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A database that the host needs help to read.

    Args:
        reasons: What the host would trip over, as phrases; none if only its validation would.
        lacks_tables: Whether whole tables are missing.
        lacks_columns: Whether a table lacks a column, or stores one of another type.
        shifts_values: Whether a column holds values of another era.
        verdict: What the host's own validation says of it; "" if it would let it pass.
    """

    reasons: tuple[str, ...]
    lacks_tables: bool
    lacks_columns: bool
    shifts_values: bool
    verdict: str

    def lets_the_host_write(self, *, creating: bool) -> bool:
        """Tell whether the host would get along when it writes.

        Args:
            creating: Whether it is about to create the tables that are missing.
        """
        return not (self.verdict or self.lacks_columns or (self.lacks_tables and not creating))


def examine(
    host: Host,
    kind: Any,
    url: str | URL,
    options: dict[str, Any],
    *,
    creating: bool,
    passphrase: str | None = None,
) -> Finding | None:
    """Look at a database before the host does, without a trace.

    Args:
        host: The host.
        kind: Its class, or the subclass that is to be made.
        url: What the host was asked to open.
        options: What it would pass on to `create_engine`.
        creating: Whether it would create tables.
        passphrase: What it was asked to decrypt it by.

    Returns:
        What was found; None for a database that the host reads as well without us, or of which
        it says best itself what is wrong: current, fresh, damaged, in memory, not encrypted by
        this passphrase, or on a server.

    Raises:
        UnreadableError: It says itself that it is no audit database.
    """
    engine = _engine_of(url, options)
    path = None if engine is None else _file_of(engine)
    way = None if path is None else way_to(path, passphrase)
    if engine is None or path is None or way is None:
        return None
    with peeking(path, way) as connection:
        seen = None if connection is None else look(connection, way)
        if connection is None or seen is None or _is_its_own(host, seen):
            return None
        plan = _plan(host, seen.stored, engine.dialect)
        if plan is not None and all(drift.missing_table for drift in plan.drifts):
            return None
        reasons = [] if plan is None else _reasons(plan)
        verdict = _verdict(host, kind, url, connection, seen, way, creating=creating)
        if not reasons and not verdict:
            return None
        _require_landscape(seen)
    drifts = () if plan is None else plan.drifts
    return Finding(
        reasons=tuple(reasons),
        lacks_tables=any(drift.missing_table for drift in drifts),
        lacks_columns=any(drift.is_degraded and not drift.missing_table for drift in drifts),
        shifts_values=plan is not None and any(map(_shifted, plan.projections.values())),
        verdict=verdict,
    )


def open_degraded(
    host: Host, url: str | URL, options: dict[str, Any], passphrase: str | None = None
) -> Engine:
    """Make an engine that reads a degraded database as the host declares it, and writes nothing.

    Args:
        host: The host.
        url: What the host was asked to open.
        options: What it would pass on to `create_engine`.
        passphrase: What it is encrypted by, if it is.

    Raises:
        LandscapeCompatError: The database cannot be opened so; says why.
    """
    engine = make_engine(make_url(url), passphrase, **options)
    try:
        attachment = attach(
            engine, host.metadata, rules=landscape_rules(), read_only=True, known=known_shapes
        )
        event.listen(engine, "connect", _set_pragmas)
        answer_for(attachment)
        attachment.plan()  # connects: what is wrong is to be known now
    except BaseException:
        engine.dispose()
        raise
    return engine


def furnish(
    instance: Any,
    url: str | URL,
    engine: Engine,
    *,
    passphrase: str | None = None,
    must_exist: bool = True,
) -> None:
    """Make an empty instance of the host's class one that reads.

    The host's own ways of opening write: they make tables, stamp epochs, switch the journal
    mode. None of them is called.

    Args:
        instance: The instance, made but not initialised.
        url: The URL that it is to report.
        engine: What it is to read by.
        passphrase: The passphrase that it is to keep.
        must_exist: Whether the host's validation is to insist on every table.

    Raises:
        AttachError: The instance does not give its engine out.
    """
    facts = {
        "passphrase": passphrase,
        "journal": None,
        "require_existing_schema": must_exist,
        "read_only": True,
    }
    assemble = getattr(type(instance), "_from_parts", None)
    if assemble is not None:  # since 2026-03-07 the one place that knows all attributes
        accepted = inspect.signature(assemble).parameters
        parts = {name: value for name, value in facts.items() if name in accepted}
        vars(instance).update(vars(assemble(str(url), engine, **parts)))
    vars(instance).update(
        {f"_{name}": value for name, value in facts.items()},
        connection_string=url,
        _engine=engine,
    )
    if getattr(instance, "engine", None) is not engine:
        raise AttachError(
            f"{type(instance).__name__} keeps its engine in a way that is not known here.",
            remedy="Use `landscape-compat export`, which needs no host, and report the version.",
        )


def answer_for(attachment: Attachment) -> None:
    """Answer what the host's readers ask a connection besides data.

    Args:
        attachment: The attachment of its engine.
    """
    attachment.answer_by(_answer)


def _set_pragmas(connection: Any, record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.close()


def _answer(statement: str, connection: Any) -> str | None:
    asked = " ".join(statement.lower().rstrip("; \n").split())
    # Builds of late spring 2026 insist on WAL before they read; how we opened the file is
    # none of their business, and a file of January says `delete`.
    if asked == "pragma journal_mode":
        return "SELECT 'wal' AS journal_mode"
    # Builds since July 2026 begin by themselves on a connection that they take for idle; it
    # is in the transaction that keeps what is read of one moment.
    if asked in _BEGINNINGS and connection.in_transaction:
        return "SELECT 1"
    return None


# Looking ----------------------------------------------------------------------------------------


def _engine_of(url: str | URL, options: dict[str, Any]) -> Engine | None:
    """Make the engine that the host would make, if it would read a SQLite file by it."""
    if options.keys() & _OPENERS:
        return None
    try:
        if make_url(url).get_driver_name() != "pysqlite":
            return None
        return create_engine(url, **options)
    except Exception:
        return None  # the host makes the same one, and says best what is wrong


def _file_of(engine: Engine) -> Path | None:
    path = source_of(*engine.dialect.create_connect_args(engine.url)).path
    try:
        return path if path is not None and path.is_file() and path.stat().st_size else None
    except OSError:
        return None


def _is_its_own(host: Host, seen: Seen) -> bool:
    """Tell whether a database says that this very version of the host made it.

    What it lacks then is not owed to its age. If the host refuses it, it is damaged.
    """
    if host.epoch is None or seen.epoch not in (0, host.epoch):
        return False
    if seen.identities != ((_APPLICATION, _STORE, host.epoch),):
        return False
    known = {name.lower() for name in host.metadata.tables}
    # A rollback by the host's own instructions leaves a table behind that the host then
    # refuses, and that no reader is harmed by.
    return not host.refuses_foreign_tables or all(
        table.name.lower() in known for table in seen.stored
    )


def _require_landscape(seen: Seen) -> None:
    for application, store, _ in seen.identities:
        if (application, store) != (_APPLICATION, _STORE):
            raise UnreadableError(
                f"The database says that it is the store {printable(store)!r} of "
                f"{printable(application)!r}, and no audit database.",
                table=IDENTITY,
                column="store_kind",
                remedy="Check the path.",
            )


def _plan(host: Host, stored: SchemaShape, dialect: Dialect) -> Plan | None:
    """Plan how the host reads a database; None if it stores exactly what the host declares."""
    schema = catalogue_for("sqlite").default_schema
    declared = declared_schema(host.metadata, dialect, schema)
    if _columns(stored) == _columns(declared):
        return None  # no rule fires then, and making the rules takes its time
    return make_plan(stored, declared, landscape_rules(), dialect, schema)


def _columns(schema: SchemaShape) -> dict[str, set[tuple[str, str]]]:
    return {
        name: {(column.name.lower(), column.type) for column in table.columns}
        for name, table in schema.tables.items()
    }


def _shifted(projection: Projection) -> list[str]:
    return [column.column.name for column in projection.columns if column.replaces]


def _reasons(plan: Plan) -> list[str]:
    columns, words = [], []
    for drift in plan.drifts:
        if not drift.missing_table:
            columns += [f"{drift.table}.{c.name} is missing" for c in drift.missing_columns]
            columns += [f"{drift.table}.{c.name} is {c.stored}" for c in drift.changed_types]
    for projection in plan.projections.values():
        words += [f"{projection.name}.{name} holds other words" for name in _shifted(projection)]
    tables = [f"the table {drift.table} is missing" for drift in plan.drifts if drift.missing_table]
    return columns + tables + words


def verdict_of(host: Host, path: Path) -> str:
    """Let the host's own validation say what it thinks of a file; "" if it would let it pass.

    Args:
        host: The host.
        path: A database that nobody has open.
    """
    with peeking(path, Way()) as connection:
        seen = None if connection is None else look(connection, Way())
        if connection is None or seen is None:
            return "it cannot be read"
        url = URL.create("sqlite", database=str(path))
        return _verdict(host, host.database_class, url, connection, seen, Way(), creating=False)


def _verdict(
    host: Host,
    kind: Any,
    url: str | URL,
    connection: sqlite3.Connection,
    seen: Seen,
    way: Way,
    *,
    creating: bool,
) -> str:
    """Let the host's own validation say what it thinks, on a connection that cannot write."""
    if host.refusal is None or not hasattr(kind, "_validate_schema"):
        return ""
    asked = (kind, creating, seen.schema, seen.epoch, seen.identities)
    if asked in host.passed:
        return ""
    engine = create_engine(
        "sqlite://", module=way.driver, creator=lambda: connection, poolclass=StaticPool
    )
    instance = kind.__new__(kind)
    try:
        # Its messages name the database by this.
        text = url if isinstance(url, str) else url.render_as_string(hide_password=False)
        furnish(instance, text, engine, must_exist=not creating)
        instance._validate_schema()
    except host.refusal as refusal:
        return str(refusal) or "it gives no reason"
    except Exception:
        return ""  # it has more to say about this database, and says it when it opens it
    finally:
        engine.dispose()
    if len(host.passed) >= _MOST_PASSED:
        host.passed.clear()
    host.passed.add(asked)
    return ""
