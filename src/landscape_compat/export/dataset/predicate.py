"""The predicate of a dataset's statement: its name, and the schema that it follows."""

from __future__ import annotations

from typing import Any, Final

from landscape_compat.export.bag.json_schema import published_schema

__all__ = ["PREDICATE", "predicate_schema"]

PREDICATE: Final = "urn:landscape-compat:dataset:v1"


def predicate_schema() -> dict[str, Any]:
    """Give the JSON Schema of the predicate."""
    return published_schema("landscape_compat.export.dataset")
