"""A read through the shim returns what it would on a copy into which the columns were migrated."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from support.drifts import Chosen, Draw
from support.equivalence import Problem, attached, compare, draw_problem, migrated
from support.queries import Query
from support.selects import Selected

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


# Of SQL text and of what SQLAlchemy makes, as regular expressions.
_EVERYWHERE = {
    "join": r"(?<!OUTER)(?<!LEFT)(?<!RIGHT)(?<!FULL)(?<!CROSS)(?<!INNER) JOIN \S",
    "left join": r"LEFT (OUTER )?JOIN",
    "full join": r"FULL OUTER JOIN",
    "join of a subquery": r"JOIN \(SELECT",
    "alias": r"(FROM|JOIN) \S+ AS \w",
    "subquery as a source": r"FROM \(SELECT",
    "subquery as a value": r"= \(SELECT|SELECT \(SELECT|, \(SELECT",
    "subquery after IN": r"IN \(SELECT",
    "subquery after EXISTS": r"EXISTS \(SELECT",
    "common table expression": r"WITH \S+ ?(\(.*?\))? AS",
    "recursive one": r"WITH RECURSIVE",
    "UNION ALL": r"UNION ALL",
    "UNION": r"UNION SELECT",
    "INTERSECT": r"INTERSECT SELECT",
    "EXCEPT": r"EXCEPT SELECT",
    "window in an order": r"OVER \(ORDER BY",
    "window over a partition": r"OVER \(PARTITION BY",
    "count": r"count\(",
    "count of different ones": r"count\((DISTINCT|distinct)",
    "max": r"max\(",
    "min": r"min\(",
    "GROUP BY": r"GROUP BY",
    "HAVING": r"HAVING",
    "DISTINCT": r"SELECT DISTINCT",
    "LIMIT": r"LIMIT",
}
_IN_TEXT = {
    "right join": r"RIGHT JOIN",
    "cross join": r"CROSS JOIN",
    "comma": r"FROM [^()]+, [^()]+ WHERE",
    "natural join": r"NATURAL (LEFT |RIGHT |INNER |FULL OUTER )?JOIN",
    "USING": r"USING \(",
    "named window": r"OVER w\b",
    "sum": r"sum\(",
    "avg": r"avg\(",
    "FILTER": r"FILTER \(WHERE",
    "VALUES": r"\(VALUES",
    "table after IN": r"IN (main\.)?[^ (]+",
    "schema": r"FROM (main|MAIN|\[main\]) ?\.",
    "bracket": r"\[\w",
    "backtick": r"`\w",
    "row number": r"\b(rowid|oid|_ROWID_)\b",
    "star": r"SELECT \*",
    "NOT INDEXED": r"NOT INDEXED",
    "materialized": r"AS (NOT )?MATERIALIZED",
    "comment": r"/\*.*\*/",
}


def test_every_construct_is_drawn() -> None:
    """In SQL text and built with SQLAlchemy; an answer says nothing of what is never asked."""
    texts: dict[type, list[str]] = {Query: [], Selected: []}
    for seed in range(80):
        for question in draw_problem(Chosen(seed)).questions:
            text = question.sql if isinstance(question, Query) else str(question.statement)
            texts[type(question)].append(" ".join(text.split()))
    for kind, patterns in ((Query, _EVERYWHERE | _IN_TEXT), (Selected, _EVERYWHERE)):
        counts = {
            name: sum(bool(re.search(pattern, text)) for text in texts[kind])
            for name, pattern in patterns.items()
        }
        assert [name for name, count in counts.items() if not count] == []


def test_the_long_campaign_runs() -> None:
    """More than a test has time for is drawn by a script; see tests/stress."""
    script = Path(__file__).parent / "stress" / "equivalence_stress.py"
    found = subprocess.run(
        [sys.executable, script, "20", "--seed", "7"], capture_output=True, text=True, check=True
    )
    assert "20 databases, 140 questions" in found.stdout
    assert "different: 0" in found.stdout
