"""A statement with a prelude, put where the scanner says and by nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from landscape_compat.projection.scan import StatementScan

__all__ = ["edited"]


def edited(
    sql: str, scan: StatementScan, edits: Iterable[tuple[int, int, str]], prelude: str
) -> str:
    """Replace parts of a statement, and put a prelude before it or into its own.

    Args:
        sql: The statement.
        scan: What the scanner says of it.
        edits: Each the start and the end of what is replaced, and what by.
        prelude: The definitions, with commas between; "" for none.
    """
    edits = list(edits)
    if prelude and scan.with_end is not None:
        edits.append((scan.with_end, scan.with_end, f" {prelude},"))
    elif prelude:
        edits.append((scan.insert_at, scan.insert_at, f"WITH {prelude} "))
    for start, end, text in sorted(edits, reverse=True):
        sql = sql[:start] + text + sql[end:]
    return sql
