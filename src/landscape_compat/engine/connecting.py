"""What the hooks on connecting share, whatever the database: the posture, and what is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, Literal, TypeVar
from weakref import ref

from sqlalchemy import Engine

from landscape_compat.engine.lookout import Lookout
from landscape_compat.engine.statements import Statements
from landscape_compat.errors import DegradedDatabaseError, count_of
from landscape_compat.projection.plan import Plan

__all__ = ["Connecting", "let_go"]

S = TypeVar("S", bound=Statements)


def let_go(engine: Engine) -> None:
    """Have what is pooled not used again.

    Args:
        engine: The engine whose connections are meant.
    """
    if engine.dialect.is_async:
        # They can be closed only where the program awaits something: its pool does that, when it
        # is asked for one next. SQLAlchemy has no public name for it.
        engine.pool._invalidate_time = time.time()
    else:
        engine.dispose()


class Connecting(Generic[S]):
    """The listeners of one attachment.

    Args:
        engine: The engine; not kept.
        lookout: What is known of its database.
        reading: The listeners that statements pay for.
        posture: What a degraded database gets.
        read_only: Whether a database is opened read-only also if it is current.
    """

    def __init__(
        self,
        engine: Engine,
        lookout: Lookout,
        reading: S,
        posture: Literal["degrade", "refuse"],
        read_only: bool,
    ) -> None:
        self._engine = ref(engine)
        self._lookout = lookout
        self.reading = reading
        self._posture = posture
        self._read_only = read_only

    def _alive(self) -> Engine:
        engine = self._engine()
        assert engine is not None, "SQLAlchemy's own listener keeps it as long as its pool"
        return engine

    def _tell(self, plan: Plan, opened: str, close: Callable[[], object] | None = None) -> None:
        """Tell of a degraded database how it was opened, or close and refuse it by the posture."""
        if self._posture == "refuse":
            if close is not None:
                close()
            raise self._refusal(plan)
        self._lookout.notices.database_degraded(plan, opened, self._lookout.shape_of(plan))

    def _refusal(self, plan: Plan) -> DegradedDatabaseError:
        tables = sorted(projection.label for projection in plan.all_projections())
        return DegradedDatabaseError(
            f"{self._lookout.database} lacks what is declared in {count_of(len(tables), 'table')}: "
            f"{', '.join(tables)}.",
            table=tables[0] if len(tables) == 1 else None,
            remedy="Export it as it is, migrate a copy of it, or start a fresh one.",
        )
