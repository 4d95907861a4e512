"""Looking at a database: what it stores, how that is read, and what people are told of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Hashable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, MetaData
from sqlalchemy.engine.interfaces import Dialect

from landscape_compat.engine.faults import explain_change, explain_encoding, explain_fault
from landscape_compat.engine.halfway import is_halfway, settled
from landscape_compat.engine.memo import PreparedPlan
from landscape_compat.engine.notices import Notices
from landscape_compat.errors import AttachError, SourceChangedError, printable
from landscape_compat.projection.plan import Plan, make_plan
from landscape_compat.projection.prelude import Projection
from landscape_compat.projection.rules import RuleSet
from landscape_compat.schema.catalogue import Catalogue
from landscape_compat.schema.declared import declared_for, declared_schema
from landscape_compat.schema.shape import SchemaShape

if TYPE_CHECKING:
    from landscape_compat.schema.known import KnownShape

__all__ = ["Lookout", "database_name"]

_MOST_PLANS = 8
_ATTEMPTS = 5


class Lookout:
    """What one attachment knows of its database; safe to share between threads.

    Args:
        database: The database's name for people.
        metadata: What the reader declares.
        rules: Where values that are not stored come from.
        catalogue: How the dialect tells what it stores.
        known: Gives the known shapes, oldest first; called only for a degraded database.
        schemas: The schemas that declared tables may be looked for in, besides their own.
    """

    def __init__(
        self,
        database: str,
        metadata: MetaData,
        rules: RuleSet,
        catalogue: Catalogue,
        known: Callable[[], Sequence[KnownShape]] | None,
        schemas: Collection[str] = (),
    ) -> None:
        self.database = database
        self.catalogue = catalogue
        self.notices = Notices(database)
        # The plan for the database as it was last seen, and how it was opened.
        self.latest: tuple[PreparedPlan, str] | None = None
        self._metadata = metadata
        self._rules = rules
        self._known = known
        self._schemas = tuple(schemas)
        self._lock = threading.Lock()
        self._plans: dict[Hashable, PreparedPlan] = {}

    def read_version(self, connection: Any) -> Any:
        """Read what changes with every change of the schema; begins a snapshot if none is begun.

        Args:
            connection: A raw DBAPI connection.
        """
        try:
            # Nothing in front of it: every transaction pays for that.
            return self.catalogue.read_version(connection)
        except Exception as error:
            if not is_halfway(error):
                raise
            return settled(partial(self.catalogue.read_version, connection))

    def look(self, connection: Any, dialect: Dialect) -> tuple[PreparedPlan, Any]:
        """Read what is stored and plan for it.

        Args:
            connection: A raw DBAPI connection.
            dialect: The dialect to write for.

        Returns:
            The plan, and the version of the schema that it is for.

        Raises:
            SourceChangedError: The schema is in motion: no two reads of it agree; or the file
                cannot be read any more as it was opened.
            UnreadableError: The database is damaged, its schema hostile, or a name in it not in
                the encoding that it is read in.
            AttachError: It is degraded, and cannot be read faithfully.
        """
        try:
            for _ in range(_ATTEMPTS):
                version = self.read_version(connection)
                stored = settled(partial(self.catalogue.read_stored, connection))
                if self.read_version(connection) == version:
                    return self._prepare(stored, dialect), version
        except (dialect.loaded_dbapi.Error, UnicodeDecodeError) as error:
            explain = explain_encoding if dialect.name == "postgresql" else explain_fault
            explained = explain(error, self.database) or explain_change(error, self.database)
            if explained is None:
                raise
            raise explained from error
        raise self.keeps_changing()

    def keeps_changing(self) -> SourceChangedError:
        """Say that no two looks agree."""
        return SourceChangedError(
            f"The schema of {self.database} keeps changing while it is read.",
            remedy="Wait until the other program is done, and try again.",
        )

    def shape_of(self, plan: Plan) -> str:
        """Name the known shape that comes nearest, for people; "" where none are known."""
        if self._known is None:
            return ""
        from landscape_compat.schema.known import identify

        found = identify(plan.stored, self._known())
        names = ", ".join(shape.name for shape in found.nearest)
        return f"{names} ({found.confidence})" if names else "unknown"

    def _prepare(self, stored: SchemaShape, dialect: Dialect) -> PreparedPlan:
        with self._lock:
            others = tuple((name, *schema) for name, schema in stored.elsewhere.items())
            routines = tuple(stored.routines.items())
            session = (stored.catalog, routines, stored.collation, stored.hindrance)
            key = (*stored, stored.schema, stored.types, others, *session)
            prepared = self._plans.get(key)
            if prepared is None:
                schema = stored.schema or self.catalogue.default_schema
                if not self.catalogue.has_schemas:
                    declared = declared_schema(self._metadata, dialect, schema, self._schemas)
                else:
                    declared = declared_for(self._metadata, dialect, stored, self._schemas)
                plan = make_plan(stored, declared, self._rules, dialect, schema)
                if stored.hindrance is not None and plan.is_degraded:
                    reason, remedy = stored.hindrance
                    raise AttachError(f"{self.database}: {reason}", remedy=remedy)
                prepared = PreparedPlan(
                    plan,
                    self._on_use(plan),
                    *(self.catalogue.lock(stored, views) for views in (True, False)),
                )
                if len(self._plans) >= _MOST_PLANS:
                    self._plans.clear()
                self._plans[key] = prepared
            return prepared

    def _on_use(self, plan: Plan) -> Callable[[Projection], None]:
        # Looked up at first use, and once: it compares with every known shape.
        shape = cache(lambda: self.shape_of(plan))
        return lambda projection: self.notices.table_degraded(projection, shape())


def database_name(engine: Engine) -> str:
    """Name an engine's database for people: a path as it is, a URL with its password hidden."""
    if engine.dialect.name == "sqlite":
        return printable(engine.url.database or ":memory:")
    return printable(engine.url.render_as_string(hide_password=True))
