"""ELSPETH's rules: where a value comes from that a database of another version does not hold."""

from __future__ import annotations

from landscape_compat.landscape.rules.assembled import landscape_rules
from landscape_compat.landscape.rules.unruled import (
    MissingTable,
    RecordedValue,
    missing_tables,
    values_as_recorded,
)

__all__ = [
    "MissingTable",
    "RecordedValue",
    "landscape_rules",
    "missing_tables",
    "values_as_recorded",
]
