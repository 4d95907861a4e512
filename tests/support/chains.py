"""Tokens that come of each other, one of one, over and over."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from support.legacy import Written

__all__ = ["LENGTH", "add_chain"]

# More than Python's calls go deep.
LENGTH = 1500

_NUMBERS = f"""
WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {LENGTH})
"""


def add_chain(written: Written) -> tuple[str, str]:
    """Add the tokens `T1`, `T2` and so on to the first row of a database.

    Args:
        written: The database, of January.

    Returns:
        The row's run and its id.
    """
    with closing(sqlite3.connect(written.path)) as connection, connection:
        run_id, row_id = connection.execute("SELECT run_id, row_id FROM rows").fetchone()
        connection.execute(
            "INSERT INTO tokens (token_id, row_id, created_at) "
            f"{_NUMBERS} SELECT 'T' || i, ?, '2026-01-18 00:00:00' FROM n",
            (row_id,),
        )
        connection.execute(
            "INSERT INTO token_parents (token_id, parent_token_id, ordinal) "
            f"{_NUMBERS} SELECT 'T' || (i + 1), 'T' || i, 0 FROM n WHERE i < {LENGTH}"
        )
    return run_id, row_id
