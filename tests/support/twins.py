"""A drawn older database, its migrated copy, and questions that are asked of both."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from support.drifts import Draw
from support.pg_cases import PgCase

__all__ = ["Problem", "Twins", "ask_drawn"]

Problem = tuple[PgCase, tuple[tuple[str, bool], ...]]


class Twins(Protocol):
    """Two databases of one kind: the older ones, and their migrated copies."""

    def draw(self, draw: Draw) -> Problem:
        """Draw an older database, and what is asked of it."""
        ...

    def ask(self, problem: Problem, say: Callable[[str], object] = lambda _: None) -> Counter[str]:
        """Make the databases of one problem, ask its questions, and count what came of them.

        Args:
            problem: The problem.
            say: Told of each question.

        Raises:
            AssertionError: Two answers differ.
        """
        ...


def ask_drawn(twins: Twins, usual: int) -> Counter[str]:
    """Have hypothesis draw problems and ask them; count what came of all questions.

    Args:
        twins: The databases.
        usual: How many problems, if `LANDSCAPE_COMPAT_EXAMPLES` says nothing else.
    """
    outcomes = Counter[str]()

    @st.composite
    def problems(draw: st.DrawFn) -> Problem:
        return twins.draw(Draw(draw))

    @settings(
        max_examples=int(os.environ.get("LANDSCAPE_COMPAT_EXAMPLES", usual)),
        deadline=None,
        # Not the phase that explains: it traces every line of SQLAlchemy's.
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(problems())
    def run(problem: Problem) -> None:
        outcomes.update(twins.ask(problem, note))

    try:
        run()
    finally:
        print(outcomes)
    return outcomes
