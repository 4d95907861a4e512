"""A read through the shim returns what it would on a copy into which the columns were migrated."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from support.drifts import Draw
from support.equivalence import Problem, attached, compare, draw_problem, migrated
from support.queries import Query

settings.register_profile(
    "equivalence",
    max_examples=int(os.environ.get("LANDSCAPE_COMPAT_EXAMPLES", "300")),
    deadline=None,
    # Not the phase that explains: it traces every line of SQLAlchemy's.
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Draw a problem."""
    return draw_problem(Draw(draw))


def test_any_query_answers_as_on_a_migrated_copy(tmp_path: Path) -> None:
    """Each drawn query is asked of both databases, and most of them have something to say."""
    outcomes = Counter[str]()

    @settings(settings.get_profile("equivalence"))
    @given(problems())
    def run(problem: Problem) -> None:
        note(repr(problem.case))
        with migrated(problem.case) as copy, attached(problem, tmp_path / "old.db") as shim:
            for question in problem.questions:
                shown = question.sql if isinstance(question, Query) else question.statement
                note(f"\n{shown}")
                with copy.connect() as expected, shim.connect() as found:
                    outcomes[compare(expected, found, question)] += 1
                    outcomes[type(question).__name__] += 1

    try:
        run()
    finally:
        print(outcomes)
    asked = outcomes["Query"] + outcomes["Selected"]
    assert outcomes["rows"] > asked / 10
    assert outcomes["error"] + outcomes["refused"] < asked / 2


def test_the_long_campaign_runs() -> None:
    """More than a test has time for is drawn by a script; see tests/stress."""
    script = Path(__file__).parent / "stress" / "equivalence_stress.py"
    found = subprocess.run(
        [sys.executable, script, "20", "--seed", "7"], capture_output=True, text=True, check=True
    )
    assert "20 databases, 140 questions" in found.stdout
    assert "different: 0" in found.stdout
