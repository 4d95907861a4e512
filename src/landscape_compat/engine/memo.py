"""A plan together with the statements already rewritten for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from landscape_compat.engine.skeleton import skeleton_of
from landscape_compat.projection.effect import Effect
from landscape_compat.projection.plan import Plan
from landscape_compat.projection.prelude import Projection

if TYPE_CHECKING:
    from landscape_compat.projection.rewrite import Rewritten

__all__ = ["PreparedPlan"]

# SQLAlchemy itself remembers 500 statements of an engine; but a text can be very long.
_MOST_STATEMENTS = 1000
_MOST_CHARACTERS = 4_000_000
_T = TypeVar("_T")


class PreparedPlan:
    """A plan that remembers what it made of each statement; safe to share between threads.

    Texts that differ only by a comment around them, or by how many parameters a list has, are
    scanned and rewritten once.

    Args:
        plan: The plan.
        on_use: Called for each projection that a statement uses, when it is first seen.
        locks: The statements that keep what is stored as it is until a transaction ends: the
            strictest first, to be taken as long as the server lets it.
    """

    __slots__ = ("_on_use", "_rewritten", "_stored", "locks", "plan", "sent")

    def __init__(self, plan: Plan, on_use: Callable[[Projection], None], *locks: str) -> None:
        self.plan = plan
        self.locks = locks
        # What is sent for a text that reads and does no more: asked for every statement.
        self.sent = _Memory[str]()
        self._on_use = on_use
        self._rewritten: _Memory[Rewritten] = _Memory()
        self._stored: _Memory[Rewritten] = _Memory()

    def rewrite(self, text: str, *, as_stored: bool = False) -> Rewritten:
        """Rewrite a statement, or take it from memory.

        Args:
            text: The statement, in the driver's form.
            as_stored: Whether it reads what is stored, with no projection.

        Raises:
            WriteRefusedError: The statement writes.
            UnreadableError: It cannot be answered faithfully from what is stored.
        """
        skeleton = skeleton_of(text, is_formatted=self.plan.syntax.formats)
        found = self._recall(skeleton.text, as_stored)
        if not skeleton.fits(found.text):
            return self._recall(text, as_stored)
        rewritten = found._replace(text=skeleton.fill(found.text))
        plain = rewritten.effect is Effect.READS and not rewritten.moves
        # A comment may be another each time, and would only push out what comes again.
        if plain and not (as_stored or skeleton.has_comment):
            self.sent.keep(text, rewritten.text, len(text) + len(rewritten.text))
        return rewritten

    def leave_views_unlocked(self) -> None:
        """Take the least strict lock from now on."""
        self.locks = self.locks[-1:]

    def tell(self, table: str) -> None:
        """Do for a table that lacks something what is done when a statement first uses it.

        Args:
            table: The declared table's folded name.
        """
        found = self.plan.projections.get(table)
        if found and (found.stored is None or not all(c.replaces for c in found.columns)):
            self._on_use(found)

    def _recall(self, text: str, as_stored: bool) -> Rewritten:
        memory = self._stored if as_stored else self._rewritten
        found = memory.get(text)
        if found is None:
            # A current database needs none of it, unless it is opened read-only.
            from landscape_compat.projection.rewrite import rewrite_statement

            # Two threads may both do this; they come to the same result.
            found = rewrite_statement(text, self.plan, as_stored=as_stored)
            for table in found.tables:
                self._on_use(self.plan.projection(table))
            memory.keep(text, found, len(text) + len(found.text))
        return found

    def __len__(self) -> int:
        return len(self.sent) + len(self._rewritten) + len(self._stored)


class _Memory(dict[str, _T], Generic[_T]):
    """What is remembered by a statement's text; when it is full, it begins anew."""

    def __init__(self) -> None:
        super().__init__()
        self._characters = 0

    def keep(self, text: str, value: _T, characters: int) -> None:
        if len(self) >= _MOST_STATEMENTS or self._characters + characters > _MOST_CHARACTERS:
            self.clear()
            self._characters = 0
        self._characters += characters
        self[text] = value
