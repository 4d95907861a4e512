"""Statements about files: in-toto Statements in the one form that RFC 8785 gives to JSON."""

from __future__ import annotations

import json
import platform
import sqlite3
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import rfc8785
import sqlalchemy

__all__ = ["STATEMENT_TYPE", "make_statement", "own_version", "subjects_of"]

# Source: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md.
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"


def make_statement(
    subjects: Mapping[str, str], predicate_type: str, predicate: Mapping[str, Any]
) -> bytes:
    """Write an in-toto Statement v1 about files, with the tools that made them.

    Args:
        subjects: Each file's name, and its SHA-256 in hexadecimal.
        predicate_type: The URI of the predicate's form.
        predicate: What is stated of them. Integers beyond 2**53 have no form in RFC 8785.
    """
    tools = {
        "landscape-compat": own_version(),
        "python": platform.python_version(),
        "sqlalchemy": sqlalchemy.__version__,
        "sqlite": sqlite3.sqlite_version,
    }
    return rfc8785.dumps(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {"name": name, "digest": {"sha256": digest}} for name, digest in subjects.items()
            ],
            "predicateType": predicate_type,
            "predicate": {**predicate, "tools": tools},
        }
    )


def subjects_of(data: bytes, predicate_type: str) -> tuple[str, ...] | None:
    """Name what a statement is about, if bytes are one of ours; its form is not checked further.

    Args:
        data: The bytes, which may be anybody's.
        predicate_type: The URI of the predicate's form.

    Returns:
        The names of its subjects; None if it is no statement, or of another form.
    """
    try:
        told = json.loads(data)
        names = tuple(str(subject["name"]) for subject in told["subject"])
        return names if told["predicateType"] == predicate_type else None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def own_version() -> str:
    """Name the version of this package."""
    try:
        return version("landscape-compat")
    except PackageNotFoundError:
        return "not installed, run from a checkout"
