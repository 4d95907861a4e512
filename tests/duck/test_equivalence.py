"""On DuckDB, too, a read returns what it would on a copy with the columns migrated."""

from __future__ import annotations

import pytest

from support.duck_twins import DuckTwins
from support.twins import ask_drawn

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


def test_any_query_answers_as_on_a_migrated_copy() -> None:
    """Each drawn query is asked of both databases, and most of them have something to say."""
    outcomes = ask_drawn(DuckTwins(), 40)
    assert outcomes["rows"] > outcomes.total() / 10
    assert outcomes["error"] < outcomes.total() / 3
