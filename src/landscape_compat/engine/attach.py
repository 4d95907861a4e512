"""Attaching the shim to an engine, and detaching it again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary, ref

from sqlalchemy import Engine, MetaData

from landscape_compat.engine.lookout import Lookout, database_name
from landscape_compat.engine.memo import PreparedPlan
from landscape_compat.engine.profiles import Profile
from landscape_compat.engine.statements import Answer
from landscape_compat.errors import AttachError
from landscape_compat.projection.plan import Plan
from landscape_compat.projection.rules import Rule, RuleSet
from landscape_compat.schema.catalogue import Wanted, catalogue_for

if TYPE_CHECKING:
    from landscape_compat.engine.duckdb import DuckDBHooks
    from landscape_compat.engine.hooks import Hooks
    from landscape_compat.engine.report import SchemaReport
    from landscape_compat.engine.server import ServerHooks
    from landscape_compat.schema.known import KnownShape

__all__ = ["Attachment", "Posture", "attach", "attachment_of", "detach"]

Posture = Literal["degrade", "refuse"]

# Which engines have the shim, so that attaching twice does not stack it. Weak on both sides:
# an engine lives as long as its owner wants, and takes its attachment along.
_ATTACHED: WeakKeyDictionary[Engine, Attachment] = WeakKeyDictionary()
_LOCK = threading.RLock()


class Attachment:
    """The shim on one engine. Made by `attach`; also a context manager that detaches.

    Args:
        engine: The engine.
        hooks: What is called by its events.
        lookout: What they know of the database.
        given: What `attach` was given, to tell the same from another.
    """

    def __init__(
        self,
        engine: Engine,
        hooks: Hooks | ServerHooks | DuckDBHooks,
        lookout: Lookout,
        given: tuple[object, ...],
    ) -> None:
        self._engine = ref(engine)
        self._hooks = hooks
        self._lookout = lookout
        self._given = given

    def plan(self) -> Plan:
        """Give the plan by which the database is read, as it was last seen.

        Connects if no connection was made yet.

        Raises:
            AttachError: The engine is gone, or its database is one the shim leaves alone.
            LandscapeCompatError: The database cannot be opened.
        """
        return self._seen()[0].plan

    def report(self) -> SchemaReport:
        """Tell what the database stores, measured against what the reader declares.

        Connects if no connection was made yet.

        Raises:
            AttachError: The engine is gone, or its database is one the shim leaves alone.
            LandscapeCompatError: The database cannot be opened.
        """
        from landscape_compat.engine.report import report_plan

        prepared, opened = self._seen()
        plan = prepared.plan
        return report_plan(
            plan,
            database=self._lookout.database,
            dialect=plan.syntax.name,
            opened=opened,
            target="the declared metadata",
        )

    def tell(self, table: str) -> None:
        """Tell, once, what a table lacks of what is declared, as when a statement reads it.

        It is for who reads what is stored past the shim, and so would not be told.

        Args:
            table: The declared table's folded name.
        """
        self._seen()[0].tell(table)

    def _seen(self) -> tuple[PreparedPlan, str]:
        engine = self._engine()
        if engine is None:
            raise AttachError("The engine is gone, and its attachment with it.")
        if self._lookout.latest is None:
            with engine.connect():
                pass
        if self._lookout.latest is None:
            raise AttachError(
                f"{self._lookout.database} is left alone, so there is nothing to report.",
                remedy="Attach to a database in a file.",
            )
        return self._lookout.latest

    def answer_by(self, answer: Answer) -> None:
        """Have another statement sent in the place of one about the connection itself.

        Args:
            answer: Called on a degraded database with each PRAGMA, BEGIN and the like, and the
                DBAPI connection; gives the text to send instead, or None to send it as it is.
        """
        self._hooks.reading.answer = answer

    def detach(self) -> None:
        """Take the shim off: its listeners, and the connections it opened read-only.

        What is checked out stays read-only until it is returned. Detaching twice does nothing.
        """
        engine = self._engine()
        if engine is None:
            return
        with _LOCK:
            if _ATTACHED.get(engine) is self:
                del _ATTACHED[engine]
                self._hooks.unlisten(engine)

    def __enter__(self) -> Attachment:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.detach()


def attach(
    engine: Any,
    metadata: MetaData | Profile,
    *,
    rules: RuleSet | Sequence[Rule] = (),
    posture: Posture = "degrade",
    read_only: bool = False,
    known: Callable[[], Sequence[KnownShape]] | None = None,
    schemas: Collection[str] = (),
) -> Attachment:
    """Let an engine read databases that lack what `metadata` declares.

    What the database stores is compared with what is declared when a connection is made. Where
    nothing is missing the engine is left as it is, readable and writable. Where something is,
    the database is opened read-only and each reading statement sees the declared tables. A
    database in memory, or one that stores none of the declared tables, is left alone.

    Connections pooled so far are closed when they are returned. Connections from
    `raw_connection()` are read-only but see what is stored.

    Args:
        engine: An `Engine` or `AsyncEngine`. Attaching again with the same arguments gives the
            same attachment; so does attaching what its `execution_options()` gave.
        metadata: What the reader declares; or a profile, which has the rules and the known
            shapes with it.
        rules: Where values that are not stored come from; NULL where no rule says.
        posture: What a degraded database gets: `degrade` opens it read-only, `refuse` raises.
        read_only: Whether a database is opened read-only also if it is current.
        known: Gives the known shapes of the schema, oldest first, by which warnings name the
            one that a degraded database has.
        schemas: The schemas that `schema_translate_map` leads to: the declared tables are looked
            for in each of these, too. The one that needs no name goes by its own, as `main`.

    Raises:
        AttachError: It is no engine, its dialect is not known, or it has an attachment of
            another kind.
        RuleError: The rules contradict themselves.
    """
    sync = _engine_of(engine)
    if posture not in ("degrade", "refuse"):
        raise AttachError(f"There is no posture {posture!r}; use 'degrade' or 'refuse'.")
    if isinstance(metadata, Profile):
        rules, known = (*metadata.rules, *rules), known or metadata.known
        metadata = metadata.metadata
    rule_set = rules if isinstance(rules, RuleSet) else RuleSet(rules)
    catalogue = catalogue_for(sync.dialect.name, _wanted(metadata, rule_set, schemas))
    # Rules compare by identity, so the same list given twice is the same, and an equal one not.
    given = (metadata, tuple(rules), posture, read_only, known, tuple(schemas))
    with _LOCK:
        found = _ATTACHED.get(sync)
        if found is not None:
            if found._given == given:
                return found
            raise AttachError(
                "This engine has an attachment with another metadata, rules or posture.",
                remedy="Detach that one first, or make an engine of its own for this reader.",
            )
        lookout = Lookout(database_name(sync), metadata, rule_set, catalogue, known, schemas)
        hooks = _hooks_of(sync.dialect.name)(sync, lookout, posture, read_only)
        attachment = Attachment(sync, hooks, lookout, given)
        hooks.listen(sync)
        _ATTACHED[sync] = attachment
        return attachment


def _hooks_of(dialect: str) -> type[Hooks | ServerHooks | DuckDBHooks]:
    """Import the hooks of a dialect, and not those of the others."""
    if dialect == "sqlite":
        from landscape_compat.engine.hooks import Hooks

        return Hooks
    if dialect == "duckdb":
        from landscape_compat.engine.duckdb import DuckDBHooks

        return DuckDBHooks
    from landscape_compat.engine.server import ServerHooks

    return ServerHooks


def _engine_of(engine: Any) -> Engine:
    """Find what is attached to: of an engine with options of its own, the one that it was made of.

    They share the connections, so that one cannot be attached without the other.
    """
    found = getattr(engine, "sync_engine", engine)
    while (beneath := getattr(found, "_proxied", None)) is not None:
        # SQLAlchemy has no public name for it.
        found = beneath
    if not isinstance(found, Engine):
        raise AttachError(
            f"What is attached is an Engine or AsyncEngine, not a {type(engine).__name__}.",
            remedy="Give the engine that it was made by.",
        )
    return found


def _wanted(metadata: MetaData, rules: RuleSet, schemas: Collection[str]) -> Wanted:
    """Name what a reader means: the tables it declares, and those that its rules read."""
    tables = {table.name for table in metadata.tables.values()}
    for rule in rules:
        tables |= {path.partition(".")[0] for path in rule.stored | rule.not_stored}
    named = {table.schema for table in metadata.tables.values() if table.schema is not None}
    return Wanted(frozenset(tables), frozenset(named | set(schemas)))


def attachment_of(engine: Any) -> Attachment | None:
    """Find the attachment of an engine, if it has one.

    Args:
        engine: An `Engine` or `AsyncEngine`.
    """
    return _ATTACHED.get(_engine_of(engine))


def detach(engine: Any) -> None:
    """Take the shim off an engine, if it is on.

    Args:
        engine: An `Engine` or `AsyncEngine`.
    """
    attachment = attachment_of(engine)
    if attachment is not None:
        attachment.detach()
