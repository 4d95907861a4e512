"""A connection to peek by is locked, or there is none."""

from __future__ import annotations

import sqlite3
from types import SimpleNamespace

import pytest

from landscape_compat.engine import locks
from landscape_compat.landscape.peeking import Way, peeking
from support.legacy import Written
from support.untouched import untouched


def test_a_sqlite_that_does_not_obey_is_let_go_of(
    legacy: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that was built without a lock, or before it: the host opens the file by itself."""
    monkeypatch.setattr(locks, "_PRAGMAS", (*locks._PRAGMAS, ("no_such_pragma", "1", 1)))
    made: list[sqlite3.Connection] = []

    def connect(name: str, *, uri: bool) -> sqlite3.Connection:
        made.append(sqlite3.connect(name, uri=uri))
        return made[-1]

    driver = SimpleNamespace(connect=connect, Error=sqlite3.Error)
    with untouched(legacy.path), peeking(legacy.path, Way(driver)) as connection:
        assert connection is None
    assert made
    for one in made:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            one.execute("SELECT 1")
