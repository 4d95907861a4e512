"""On MariaDB, too, a read returns what it would on a copy with the columns migrated."""

from __future__ import annotations

import pytest

from support.maria_twins import MariaTwins
from support.mariadb import MariaServer
from support.twins import ask_drawn

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


def test_any_query_answers_as_on_a_migrated_copy(
    maria_server: MariaServer, maria_twin: MariaServer
) -> None:
    """Each drawn query is asked of both databases, and most of them have something to say."""
    outcomes = ask_drawn(MariaTwins(maria_server, maria_twin), 30)
    asked = outcomes.total()
    assert outcomes["rows"] > asked / 10
    assert outcomes["error"] + outcomes["refused"] + outcomes["too long"] < asked / 3
    assert outcomes["the server's own"] <= asked / 100
