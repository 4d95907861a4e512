"""The form of a statement: JSON as RFC 8785 writes it, an in-toto Statement, and its schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import rfc8785

from landscape_compat.export.bag.json_schema import violations
from landscape_compat.export.bag.statement import STATEMENT_TYPE
from landscape_compat.export.verify.findings import Verification, find_all

__all__ = ["read_statement"]


def read_statement(
    content: bytes,
    name: str,
    predicate_type: str,
    schema: Mapping[str, Any],
    found: Verification,
) -> dict[str, Any] | None:
    """Read a statement, and check its form.

    Args:
        content: What its file holds.
        name: The name of the file.
        predicate_type: What its predicate is.
        schema: The JSON Schema of that.
        found: Takes what is wrong.

    Returns:
        The statement, if it has the form that the schema wants.
    """
    try:
        statement = json.loads(content)
        canonical = rfc8785.dumps(statement)
    except (ValueError, RecursionError, rfc8785.CanonicalizationError) as error:
        found.find(name, f"is no JSON of RFC 8785: {error}")
        return None
    if canonical != content:
        found.find(name, "is not in the form of RFC 8785, so it was altered")
    wrong = list(violations(statement, _statement_schema(predicate_type)))
    if not wrong:
        told = violations(statement["predicate"], schema)
        wrong = [(f"/predicate{at}", what) for at, what in told]
    if find_all(found, name, ((at or "/", what) for at, what in wrong)):
        return None
    found.checked.append("the statement against its schema")
    checked: dict[str, Any] = statement
    return checked


def _statement_schema(predicate_type: str) -> dict[str, Any]:
    digest = {
        "type": "object",
        "additionalProperties": False,
        "required": ["sha256"],
        "properties": {"sha256": {"type": "string"}},
    }
    subject = {
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "digest"],
        "properties": {"name": {"type": "string"}, "digest": digest},
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["_type", "subject", "predicateType", "predicate"],
        "properties": {
            "_type": {"const": STATEMENT_TYPE},
            "predicateType": {"const": predicate_type},
            "predicate": {"type": "object"},
            "subject": {"type": "array", "items": subject},
        },
    }
