"""Fixtures of the projection's tests."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest


@pytest.fixture
def empty() -> Iterator[sqlite3.Connection]:
    """Give an empty database in memory."""
    with closing(sqlite3.connect(":memory:")) as connection:
        yield connection
