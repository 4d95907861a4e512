"""The predicate of an exported bag's statement: its name, and the schema that it follows."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any, Final

__all__ = ["PREDICATE", "predicate_schema"]

PREDICATE: Final = "urn:landscape-compat:export:v1"


@cache
def predicate_schema() -> dict[str, Any]:
    """Give the JSON Schema of the predicate."""
    file = resources.files("landscape_compat.export") / "predicate-v1.schema.json"
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema
