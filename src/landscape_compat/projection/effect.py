"""What running a statement does."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Effect"]


class Effect(StrEnum):
    """What running a statement does."""

    READS = "reads"
    WRITES = "writes"
    CONTROL = "control"
    PRAGMA = "pragma"
    EMPTY = "empty"
    OTHER = "other"
