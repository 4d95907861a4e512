"""A plan together with the statements already rewritten for it."""

from __future__ import annotations

from collections.abc import Callable

from landscape_compat.projection.plan import Plan
from landscape_compat.projection.prelude import Projection
from landscape_compat.projection.rewrite import Rewritten, rewrite_statement

__all__ = ["PreparedPlan"]

_MOST_STATEMENTS = 1000
# Statements that differ by a comment or by the length of an IN list must not fill the memory.
_MOST_CHARACTERS = 4_000_000


class PreparedPlan:
    """A plan that remembers what it made of each statement; safe to share between threads.

    Args:
        plan: The plan.
        on_use: Called for each projection that a statement uses, when it is first seen.
    """

    __slots__ = ("_characters", "_on_use", "_rewritten", "_stored", "plan")

    def __init__(self, plan: Plan, on_use: Callable[[Projection], None]) -> None:
        self.plan = plan
        self._on_use = on_use
        self._rewritten: dict[str, Rewritten] = {}
        self._stored: dict[str, Rewritten] = {}
        self._characters = 0

    def rewrite(self, text: str, *, as_stored: bool = False) -> Rewritten:
        """Rewrite a statement, or take it from memory.

        Args:
            text: The statement, in the driver's form.
            as_stored: Whether it reads what is stored, with no projection.

        Raises:
            WriteRefusedError: The statement writes.
            UnreadableError: It cannot be answered faithfully from what is stored.
        """
        memory = self._stored if as_stored else self._rewritten
        found = memory.get(text)
        return found if found is not None else self._remember(memory, text, as_stored)

    def _remember(self, memory: dict[str, Rewritten], text: str, as_stored: bool) -> Rewritten:
        # Two threads may both do this; they come to the same result.
        rewritten = rewrite_statement(text, self.plan, as_stored=as_stored)
        for table in rewritten.tables:
            self._on_use(self.plan.projection(table))
        self._characters += len(text) + len(rewritten.text)
        if len(memory) >= _MOST_STATEMENTS or self._characters > _MOST_CHARACTERS:
            self._rewritten.clear()
            self._stored.clear()
            self._characters = len(text) + len(rewritten.text)
        memory[text] = rewritten
        return rewritten

    def __len__(self) -> int:
        return len(self._rewritten) + len(self._stored)
