"""Schemas are applied as JSON Schema says, and the published one is the package's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from landscape_compat.export.bag.json_schema import published_schema, violations
from landscape_compat.export.bag.predicate import PREDICATE
from landscape_compat.export.dataset.layout import PREDICATE as DATASET
from landscape_compat.migrate.proof import PREDICATE as MIGRATION

DOCS = Path(__file__).resolve().parents[3] / "docs" / "reference"


def wrong(value: Any, **schema: Any) -> list[tuple[str, str]]:
    return list(violations(value, schema))


@pytest.mark.parametrize(
    ("name", "room", "predicate"),
    [
        ("export", "export.bag", PREDICATE),
        ("dataset", "export.dataset", DATASET),
        ("migration", "migrate", MIGRATION),
    ],
)
def test_the_published_schema_is_the_one_in_the_package(
    name: str, room: str, predicate: str
) -> None:
    published = json.loads((DOCS / f"{name}-predicate-v1.schema.json").read_text("utf-8"))
    assert published == published_schema(f"landscape_compat.{room}")
    assert published["$id"] == predicate


@pytest.mark.parametrize("room", ["export.bag", "export.dataset", "migrate"])
def test_every_keyword_of_the_published_schema_is_known(room: str) -> None:
    """Whatever is thrown at it: a keyword that is not known would raise."""
    schema = published_schema(f"landscape_compat.{room}")
    for inner in (schema, *schema["$defs"].values()):
        values: tuple[Any, ...] = ({}, [], "", 0, True, None)
        for value in values:
            list(violations(value, {**inner, "$defs": schema["$defs"]}))


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("object", [{}], [[], None, ""]),
        ("array", [[]], [{}, "", None]),
        ("string", [""], [0, None]),
        ("integer", [0, -1], [True, 1.0, "1", None]),
        ("boolean", [True, False], [0, 1, None]),
        ("null", [None], [0, "", False]),
        (["string", "null"], ["", None], [0]),
    ],
)
def test_types(type_: Any, good: list[Any], bad: list[Any]) -> None:
    assert [value for value in good if wrong(value, type=type_)] == []
    assert [value for value in bad if not wrong(value, type=type_)] == []


def test_values() -> None:
    assert wrong("a", const="a") == wrong("a", enum=["a", "b"]) == wrong("ab", pattern="^a") == []
    assert wrong("c", const="a") == [("", "is not 'a'")]
    assert wrong("c", enum=["a", "b"]) == [("", "is none of 'a', 'b'")]
    assert wrong("b", pattern="^a") == [("", "does not match ^a")]
    assert wrong(-1, minimum=0) == [("", "is less than 0")]
    assert wrong(0, minimum=0) == []


def test_places_are_named() -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "required": ["a", "b"],
        "additionalProperties": False,
        "properties": {"a": {"type": "array", "items": {"$ref": "#/$defs/word"}}},
        "$defs": {"word": {"type": "string"}},
    }
    assert set(violations({"a": ["x", 1], "c": 0}, schema)) == {
        ("/a/1", "is no string"),
        ("/b", "is missing"),
        ("/c", "is not known"),
    }
    assert list(violations({"a": [], "b": 1}, {**schema, "additionalProperties": {}})) == []


def test_a_keyword_that_is_not_known_is_a_mistake_of_ours() -> None:
    with pytest.raises(NotImplementedError, match="oneOf"):
        wrong(1, oneOf=[])
