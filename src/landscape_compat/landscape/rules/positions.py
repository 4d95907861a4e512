"""Where a row stood: its position in the run and in its source."""

from __future__ import annotations

from collections.abc import Iterator

from landscape_compat.landscape.metadata import EveryTable
from landscape_compat.landscape.rules.eras import INGEST_SEQUENCE
from landscape_compat.projection.rules import Rule, mapped

__all__ = ["position_rules"]

_ONE_SOURCE = (
    "Runs had one source until several were allowed, and the new position was introduced with "
    "the old `row_index` as its value for what came before."
)


def position_rules(t: EveryTable) -> Iterator[Rule]:
    """Map positions between runs of one source and runs of several.

    Args:
        t: The tables.
    """
    yield mapped(
        "rows.ingest_sequence",
        t.rows.c.row_index,
        essential=True,
        why=f"{_ONE_SOURCE} Readers page by it, so NULL would lose rows.",
        evidence="f13f418f8",
    )
    yield mapped("rows.source_row_index", t.rows.c.row_index, why=_ONE_SOURCE, evidence="f13f418f8")
    yield mapped(
        "rows.row_index",
        t.rows.c.ingest_sequence,
        replaces=True,
        not_declared=INGEST_SEQUENCE,
        why="Older readers take `row_index` as the position in the whole run, unique within it. "
        "With several sources it counts within each source; `ingest_sequence` is what "
        "`row_index` was.",
        evidence="f13f418f8, 6a65f4206, 304bc67ee",
    )
