"""Asking two databases of a server the same, and comparing what they say."""

from __future__ import annotations

import ast
import re
from collections import Counter
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from landscape_compat.errors import LandscapeCompatError, UnreadableError

__all__ = ["ask", "compare"]

# What MariaDB says of columns that are worked out, in windows and within aggregates.
_OF_VIEWS = ("in GROUP BY is ambiguous", "Invalid use of group function")


def ask(connection: Connection, text: str) -> list[str] | Exception:
    """Ask one question: the rows, each cell with its type, or why there are none."""
    try:
        found = connection.exec_driver_sql(text)
        return [
            repr(list(found.keys())),
            *(repr([(type(cell).__name__, cell) for cell in row]) for row in found),
        ]
    except (SQLAlchemyError, LandscapeCompatError) as error:
        return error
    finally:
        connection.rollback()


def compare(expected: Any, found: Any, *, ordered: bool, on_mariadb: bool = False) -> str:
    """Compare two answers; tell what came of it.

    Args:
        expected: What the migrated copy says.
        found: What the older database says.
        ordered: Whether the order of rows counts.
        on_mariadb: Whether it may refuse to answer, name a result after a column as that is
            spelled or after its text as that was sent, put together texts of two orders where one
            of them is always NULL, and refuse by errors of its own what a view is refused.

    Raises:
        AssertionError: They differ.
    """
    if on_mariadb and isinstance(found, UnreadableError):
        return "refused"
    if on_mariadb and any("max_statement_time" in str(answer) for answer in (expected, found)):
        return "error"  # millions of rows are drawn, too
    if isinstance(expected, Exception):
        if on_mariadb and "Illegal mix of collations" in str(expected):
            return "error"
        assert isinstance(found, Exception), f"{found} where the copy says {expected}"
        return "error"
    if on_mariadb and any(said in str(found) for said in _OF_VIEWS):
        return "error"
    assert not isinstance(found, Exception), repr(found)
    if on_mariadb:
        expected, found = ([_named(rows[0]), *rows[1:]] for rows in (expected, found))
    if ordered:
        assert found == expected, f"{found} where the copy says {expected}"
    else:
        differ = Counter(found) - Counter(expected), Counter(expected) - Counter(found)
        assert (found[0], Counter(found)) == (expected[0], Counter(expected)), repr(differ)
    return "rows" if len(found) > 1 else "no rows"


def _named(names: str) -> str:
    """Leave of the names of results those that are no texts."""
    return repr([re.sub(r".*[^\w %].*", "?", name).lower() for name in ast.literal_eval(names)])
