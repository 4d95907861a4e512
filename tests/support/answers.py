"""Asking two databases of a server the same, and comparing what they say."""

from __future__ import annotations

import ast
import re
from collections import Counter
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from landscape_compat.errors import LandscapeCompatError, UnreadableError

__all__ = ["ask", "compare", "named_alike"]

# What the shim refuses on MariaDB though the copy answers; each is said in the documentation.
_REFUSALS = (
    "MariaDB makes a value of the type",
    "MariaDB makes something of every value",
    "No NULL of the type",
    "by a window function",
    "what a subquery gives in HAVING",
    "letters that the column's character set does not have",
    "which may not fit",
)
# What MariaDB says of columns that are worked out: in windows, within aggregates, in ROW(...).
_OF_VIEWS = (
    "in GROUP BY is ambiguous",
    "Invalid use of group function",
    "SUBQUERY in ROW in left expression of IN/ALL/ANY",
)
_TOO_LONG = "max_statement_time exceeded"  # millions of rows are drawn, too
# The database, or what a projection is named where something else has the table's name.
_BEFORE_TABLE = re.compile(r"[`\"]?\b(?:app|main)\b[`\"]?\s*\.\s*|landscape_compat_|[`\"]")
# The server cuts a name of more than 64 letters, of which a database may be up to eight each.
_SHORTEST_CUT = 30


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
        on_mariadb: Whether it may refuse what MariaDB cannot show, name a result after a column
            as that is spelled or after its text without the database, put together texts of two
            orders where one of them is always NULL, and refuse what a view is refused.

    Raises:
        AssertionError: They differ.
    """
    if on_mariadb and isinstance(found, UnreadableError):
        assert any(reason in found.reason for reason in _REFUSALS), repr(found)
        return "refused"
    if on_mariadb and (_says(expected, _TOO_LONG) or _says(found, _TOO_LONG)):
        return "too long"
    if isinstance(expected, Exception):
        if on_mariadb and _says(expected, "Illegal mix of collations"):
            return "error"
        assert isinstance(found, Exception), f"{found} where the copy says {expected}"
        assert not on_mariadb or _number(found) == _number(expected), f"{found!r}, {expected!r}"
        return "error"
    if on_mariadb and _says(found, *_OF_VIEWS):
        return "error"
    assert not isinstance(found, Exception), repr(found)
    if on_mariadb:
        assert named_alike(found[0], expected[0]), f"{found[0]} where the copy says {expected[0]}"
        expected = [found[0], *expected[1:]]
    if ordered:
        assert found == expected, f"{found} where the copy says {expected}"
    else:
        differ = Counter(found) - Counter(expected), Counter(expected) - Counter(found)
        assert (found[0], Counter(found)) == (expected[0], Counter(expected)), repr(differ)
    return "rows" if len(found) > 1 else "no rows"


def named_alike(found: str, expected: str) -> bool:
    """Tell whether the names of results differ by case only, or by what stands before a table.

    A server names a result that has no name after its text.

    Args:
        found: The names that the older database gives.
        expected: Those of the migrated copy.
    """
    names: list[list[str]] = [
        [_BEFORE_TABLE.sub("", name.lower()) for name in ast.literal_eval(listed)]
        for listed in (found, expected)
    ]
    return len(names[0]) == len(names[1]) and all(
        # A long text is cut, and the database in it counts.
        one == other or (len(one) > _SHORTEST_CUT and one.startswith(other[:_SHORTEST_CUT]))
        for one, other in zip(*names, strict=True)
    )


def _says(answer: Any, *texts: str) -> bool:
    return isinstance(answer, SQLAlchemyError) and any(text in str(answer) for text in texts)


def _number(error: Exception) -> int:
    """Give the server's number of an error; 0 of one that is not the server's."""
    return int(error.orig.args[0]) if isinstance(error, DBAPIError) and error.orig else 0
