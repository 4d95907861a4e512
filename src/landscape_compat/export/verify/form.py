"""The form of a statement: JSON as RFC 8785 writes it, an in-toto Statement, and its schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Set
from typing import Any

import rfc8785

from landscape_compat.errors import count_of
from landscape_compat.export.bag.json_schema import violations
from landscape_compat.export.bag.statement import STATEMENT_TYPE
from landscape_compat.export.verify.findings import Verification, find_all

__all__ = ["differences_of_files", "read_statement"]


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


def differences_of_files(
    statement: Mapping[str, Any],
    name: str,
    at: str,
    sizes: Mapping[str, int],
    others: Set[str],
) -> Iterator[tuple[str, str]]:
    """Compare the files that a statement lists with its subjects, and with those that are there.

    Args:
        statement: The statement, in the form that its schema wants.
        name: The name of its file.
        at: The list of files in its predicate.
        sizes: The bytes of each file that is there.
        others: Those of them that it must list.

    Returns:
        Pairs of a file or a place in the statement, and what is wrong there.
    """
    stated = {file["name"]: file for file in statement["predicate"][at]}
    listed = [(file["name"], file["sha256"]) for file in statement["predicate"][at]]
    if [(one["name"], one["digest"]["sha256"]) for one in statement["subject"]] != listed:
        yield f"{name} /subject", f"does not name the files of /predicate/{at}"
    if len(stated) != len(listed):
        yield f"{name} /predicate/{at}", "names a file twice"
    for other in sorted(others - stated.keys()):
        yield other, "is not named by the statement"
    for one, file in stated.items():
        if one not in sizes:
            yield one, "is named by the statement and missing"
        elif sizes[one] != file["bytes"]:
            yield one, f"has {count_of(sizes[one], 'byte')}, and the statement says {file['bytes']}"


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
