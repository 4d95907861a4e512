"""JSON Schema, as far as the published schemas of this package use it.

Source: https://json-schema.org/draft/2020-12/json-schema-validation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

__all__ = ["published_schema", "violations"]

_TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
# These say something to people only.
_NOTES: Final = frozenset({"$schema", "$id", "$defs", "title", "description"})


@cache
def published_schema(room: str) -> dict[str, Any]:
    """Read the schema that statements of a room's making follow.

    Args:
        room: The package that holds it.
    """
    file = resources.files(room) / "predicate-v1.schema.json"
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema


def violations(value: Any, schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Say where a JSON value is not as a schema wants it, and what is wrong there.

    Args:
        value: The value, as `json` reads it.
        schema: The schema; its references are to its own `$defs`.

    Raises:
        NotImplementedError: The schema uses a keyword that is not known here.
    """
    yield from _violations(value, schema, schema, "")


def _violations(
    value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], at: str
) -> Iterator[tuple[str, str]]:
    for keyword, wanted in schema.items():
        if keyword in _NOTES:
            continue
        if keyword == "$ref":
            yield from _violations(value, root["$defs"][wanted.removeprefix("#/$defs/")], root, at)
        elif keyword == "type":
            types = [wanted] if isinstance(wanted, str) else wanted
            if not any(_TYPES[name](value) for name in types):
                yield at, f"is no {' or '.join(types)}"
        elif keyword == "const":
            if value != wanted:
                yield at, f"is not {wanted!r}"
        elif keyword == "enum":
            if value not in wanted:
                yield at, f"is none of {', '.join(map(repr, wanted))}"
        elif keyword == "pattern":
            if isinstance(value, str) and not re.search(wanted, value):
                yield at, f"does not match {wanted}"
        elif keyword == "minimum":
            if _TYPES["integer"](value) and value < wanted:
                yield at, f"is less than {wanted}"
        elif keyword == "required":
            if isinstance(value, dict):
                for name in wanted:
                    if name not in value:
                        yield f"{at}/{name}", "is missing"
        elif keyword == "properties":
            if isinstance(value, dict):
                for name, inner in wanted.items():
                    if name in value:
                        yield from _violations(value[name], inner, root, f"{at}/{name}")
        elif keyword == "additionalProperties":
            if isinstance(value, dict):
                for name in sorted(value.keys() - schema.get("properties", {}).keys()):
                    if wanted is False:
                        yield f"{at}/{name}", "is not known"
                    else:
                        yield from _violations(value[name], wanted, root, f"{at}/{name}")
        elif keyword == "items":
            if isinstance(value, list):
                for place, item in enumerate(value):
                    yield from _violations(item, wanted, root, f"{at}/{place}")
        else:
            raise NotImplementedError(f"The keyword {keyword!r} of JSON Schema is not known here.")
