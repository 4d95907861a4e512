"""On MariaDB, too, a read returns what it would on a copy with the columns migrated."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from support.drifts import Draw
from support.maria_twins import MariaProblem, MariaTwins, draw_maria_problem
from support.mariadb import MariaServer

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


@st.composite
def problems(draw: st.DrawFn) -> MariaProblem:
    """Draw a problem."""
    return draw_maria_problem(Draw(draw))


def test_any_query_answers_as_on_a_migrated_copy(
    maria_server: MariaServer, maria_twin: MariaServer
) -> None:
    """Each drawn query is asked of both databases, and most of them have something to say."""
    outcomes = Counter[str]()
    twins = MariaTwins(maria_server, maria_twin)

    @settings(
        max_examples=int(os.environ.get("LANDSCAPE_COMPAT_EXAMPLES", "30")),
        deadline=None,
        # Not the phase that explains: it traces every line of SQLAlchemy's.
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(problems())
    def run(problem: MariaProblem) -> None:
        outcomes.update(twins.ask(problem, note))

    try:
        run()
    finally:
        print(outcomes)
    asked = sum(outcomes.values())
    assert outcomes["rows"] > asked / 10
    assert outcomes["error"] + outcomes["refused"] + outcomes["too long"] < asked / 3
    assert outcomes["the server's own"] <= asked / 100
