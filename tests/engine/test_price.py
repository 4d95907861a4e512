"""The price of the hook, in instructions of Python: counted exactly, and never timed.

What is guarded is a ratio within one run, which is the same on every Python and SQLAlchemy that was
measured: what a degraded engine costs over a bare one, to what an empty listener on connections
costs over it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Engine, MetaData, String, Table, create_engine, event, text

from landscape_compat.engine.attach import attach
from support.counting import instructions

METADATA = MetaData()
Table(
    "tokens", METADATA, Column("token_id", String(64), primary_key=True), Column("grp", String(8))
)
READ = text("SELECT token_id, grp FROM tokens WHERE token_id = :key")

# Measured on Python 3.11 to 3.13 with SQLAlchemy 2.0 and 2.1: 0.509 to 0.519, and 0.58 to 0.63.
STATEMENT, TRANSACTION = 0.52, 0.63
MARGIN = 1.05
# SQLAlchemy asks an empty list of listeners, because we listen to how the dialect connects.
CURRENT = 12

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


def statement(engine: Engine) -> int:
    with engine.connect() as connection:
        connection.execute(READ, {"key": "a"}).all()
        return instructions(lambda: connection.execute(READ, {"key": "a"}).all())


def transaction(engine: Engine) -> int:
    def work() -> None:
        with engine.begin() as connection:
            connection.execute(READ, {"key": "a"}).all()

    work()
    return instructions(work)


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[dict[str, Engine]]:
    engines = {}
    for way in ("bare", "listener", "current", "degraded"):
        path = tmp_path / f"{way}.db"
        grp = "" if way == "degraded" else ", grp VARCHAR(8)"
        connection = sqlite3.connect(path)
        connection.execute(f"CREATE TABLE tokens (token_id VARCHAR(64) PRIMARY KEY NOT NULL{grp})")
        connection.close()
        engines[way] = create_engine(f"sqlite:///{path}")
    event.listen(engines["listener"], "before_cursor_execute", lambda *_: None)
    time.sleep(0.05)  # a file that changed just now is looked at more closely, each time
    attach(engines["current"], METADATA)
    attach(engines["degraded"], METADATA)
    yield engines
    for engine in engines.values():
        engine.dispose()


@pytest.mark.parametrize(("count", "most"), [(statement, STATEMENT), (transaction, TRANSACTION)])
def test_a_degraded_engine_costs_less_than_an_empty_listener(
    engines: dict[str, Engine], count: Callable[[Engine], int], most: float
) -> None:
    """By how much is guarded to 5 %."""
    bare, listener, degraded = (count(engines[way]) for way in ("bare", "listener", "degraded"))
    assert bare < degraded
    assert (degraded - bare) / (listener - bare) <= most * MARGIN


@pytest.mark.parametrize("count", [statement, transaction])
def test_a_current_engine_costs_nothing(
    engines: dict[str, Engine], count: Callable[[Engine], int]
) -> None:
    """But for what SQLAlchemy does because it was ever listened to."""
    assert count(engines["current"]) - count(engines["bare"]) <= CURRENT
