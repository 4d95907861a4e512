"""Fingerprints: a digest of a table's stored columns."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from landscape_compat.schema.shape import TableShape, fold_name
from landscape_compat.schema.types import normalize_type

__all__ = ["TableFingerprint", "fingerprint_table"]


@dataclass(frozen=True, slots=True)
class TableFingerprint:
    """A digest that is the same for the same table everywhere.

    Args:
        table: The table's name.
        digest: SHA-256 in lower-case hex.
    """

    table: str
    digest: str

    def __str__(self) -> str:
        return self.digest[:12]


def fingerprint_table(table: TableShape) -> TableFingerprint:
    """Digest what a table stores: column names, types, nullability, primary key.

    The order of columns does not count: a column added by ALTER TABLE stands last, where a new
    database has it elsewhere. Letter case and spacing do not count either. The digest is SHA-256
    over the RFC 8785 form of the sorted columns, so no version of Python, SQLAlchemy or the
    database has a say in it.

    Args:
        table: The table as stored, declared or known.
    """
    columns: list[Any] = sorted(
        [
            fold_name(column.name),
            normalize_type(column.type),
            column.nullable and not column.primary_key,
            column.primary_key,
            column.generated,
        ]
        for column in table.columns
    )
    # Of text and truth values alone, and of keys in order, `json` writes the form of RFC 8785.
    canonical = json.dumps(
        {"columns": columns, "kind": table.kind}, ensure_ascii=False, separators=(",", ":")
    )
    return TableFingerprint(table.name, hashlib.sha256(canonical.encode()).hexdigest())
