"""Comparing what a bag's statement says of a database with what would be said of it now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from landscape_compat.errors import printable
from landscape_compat.export.bag.bag import STATEMENT
from landscape_compat.export.bag.contents import contents_of, told_of_schema
from landscape_compat.export.bag.statement import own_version
from landscape_compat.export.records.source import Source
from landscape_compat.export.verify.findings import Verification, find_all
from landscape_compat.landscape.database import Landscape

__all__ = ["compare_account"]

_LONGEST: Final = 200


def compare_account(
    db: Landscape,
    predicate: Mapping[str, Any],
    at: int,
    sources: Sequence[Source] | None,
    found: Verification,
) -> None:
    """Compare what the statement says of a database with what would be said of it now.

    What is lacking is measured against the schemas that a version of this package knows, so it
    is compared only where the same version said it.

    Args:
        db: The database.
        predicate: What the statement says.
        at: The number of the database in it.
        sources: The stored tables, from which all records were given again; None if not all were.
        found: Takes what is wrong.
    """
    told = predicate["sources"][at]
    name = told["name"]
    report = db.report()
    again = told_of_schema(report)
    made_by = predicate["tools"].get("landscape-compat")
    is_alike = (made_by, told["target"]) == (own_version(), again["target"])
    if not is_alike:
        found.unchecked.append(
            f"what the statement says that {name} lacks: version {printable(made_by)} measured it "
            f"against {printable(told['target'])}, and this one ({own_version()}) measures "
            f"against {again['target']}"
        )
    wrong = list(_of_schema(told, again, is_alike=is_alike))
    if sources is None:
        found.unchecked.append(
            f"what the statement says of the tables of {name}: not all its records were compared, "
            "or not all were the same"
        )
    else:
        tables = [table.to_dict() for table in contents_of(report, sources)]
        wrong += _of_tables(told, tables, is_alike=is_alike)
    place = f"/predicate/sources/{at}"
    if not find_all(found, STATEMENT, [(f"{place}{of}", what) for of, what in wrong]) and sources:
        found.checked.append(f"what the statement says of {name} against it")


def _of_schema(
    told: Mapping[str, Any], again: Mapping[str, Any], *, is_alike: bool
) -> Iterator[tuple[str, str]]:
    for fact in again if is_alike else ("dialect",):
        yield from _unlike(told[fact], again[fact], f"/{fact}")


def _of_tables(
    told: Mapping[str, Any], tables: Sequence[dict[str, Any]], *, is_alike: bool
) -> Iterator[tuple[str, str]]:
    left = {table["table"]: table for table in tables}
    compared = dict if is_alike else _stored
    for place, table in enumerate(told["tables"]):
        made = left.pop(table["table"], None)
        if made is None:
            yield f"/tables/{place}", f"is of {table['table']}, which is not there to be exported"
        else:
            yield from _unlike(compared(table), compared(made), f"/tables/{place}")
    for name in left:
        yield "/tables", f"does not tell of {name}, which would be exported now"


def _stored(table: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of a table what depends on the schemas that a version knows."""
    columns = [
        {fact: column[fact] for fact in ("column", "field", "type")}
        for column in table["columns"]
        if column["state"] == "stored"
    ]
    return {**table, "columns": columns}


def _unlike(told: Any, again: Any, at: str) -> Iterator[tuple[str, str]]:
    """Say where two JSON values differ, at the innermost place."""
    if isinstance(told, dict) and isinstance(again, dict) and told.keys() == again.keys():
        for key in told:
            yield from _unlike(told[key], again[key], f"{at}/{key}")
    elif isinstance(told, list) and isinstance(again, list) and len(told) == len(again):
        for place, (one, other) in enumerate(zip(told, again, strict=True)):
            yield from _unlike(one, other, f"{at}/{place}")
    elif told != again:
        yield at, f"says {_short(told)}, and it is {_short(again)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
