"""The history of ELSPETH's schema: every known shape, and how to name one."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from landscape_compat.errors import LandscapeCompatError
from landscape_compat.schema.known import KnownShape
from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape

__all__ = ["ForeignKey", "foreign_keys", "known_shapes", "shape_named"]

_COMMIT = re.compile(r"[0-9a-f]{4,40}")


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns of one table that name a row of another.

    Args:
        columns: The columns, in order.
        table: The other table.
        references: Its columns, in the same order.
    """

    columns: tuple[str, ...]
    table: str
    references: tuple[str, ...]


@cache
def known_shapes() -> tuple[KnownShape, ...]:
    """Give every known shape, oldest first."""
    return tuple(known for known, _ in _history())


def foreign_keys(known: KnownShape) -> Mapping[str, tuple[ForeignKey, ...]]:
    """Give the foreign keys of each table of a known shape; none for a shape not known here.

    Args:
        known: The shape.
    """
    for shape, keys in _history():
        if shape.name == known.name:
            return keys
    return {}


def shape_named(text: str | int) -> KnownShape:
    """Find the shape that somebody means.

    Args:
        text: A shape's name (`2026-01-18/df2fa70fb`), the beginning of its first or last
            commit, its epoch (`21` or `epoch 21`), or a date (the shape in force at its end).

    Raises:
        LandscapeCompatError: No shape, or more than one, is meant by that.
    """
    wanted = str(text).strip().lower()
    shapes = known_shapes()
    found = [known for known in shapes if known.name == wanted]
    if not found:
        epoch = re.fullmatch(r"(?:epoch\s*)?(\d{1,3})", wanted)
        if epoch:
            found = [known for known in shapes if int(epoch[1]) in known.epochs]
        elif re.fullmatch(r"\d{4}-\d\d-\d\d", wanted):
            found = _in_force(wanted)
        elif _COMMIT.fullmatch(wanted):
            found = [
                known
                for known in shapes
                if any(_same_commit(wanted, c) for c in (known.first_commit, known.last_commit))
            ]
    if len(found) == 1:
        return found[0]
    if found:
        raise LandscapeCompatError(
            f"{text!r} names {len(found)} shapes of the schema, which differ.",
            remedy=f"Say which: {', '.join(known.name for known in found)}.",
        )
    close = _close_to(wanted)
    raise LandscapeCompatError(
        f"No known shape of the schema is named {text!r}.",
        remedy="Give a name, a commit, an epoch or a date"
        + (f"; close are: {', '.join(close)}." if close else "; `versions` lists them."),
    )


def _same_commit(wanted: str, commit: str) -> bool:
    # Commits are kept short here, and people paste them whole.
    return commit.startswith(wanted) or wanted.startswith(commit)


def _in_force(day: str) -> list[KnownShape]:
    try:
        until = date.fromisoformat(day)
    except ValueError:
        return []
    return [known for known in known_shapes() if known.first_date <= until][-1:]


def _close_to(wanted: str) -> list[str]:
    with suppress(ValueError):
        date.fromisoformat(wanted)
        return [known_shapes()[0].name]  # a day before the first
    spellings = {
        spelling: known.name
        for known in known_shapes()
        for spelling in (known.name, known.first_commit, known.last_commit)
    }
    close = difflib.get_close_matches(wanted, spellings, n=3, cutoff=0.5)
    return list(dict.fromkeys(spellings[spelling] for spelling in close))


@cache
def _history() -> tuple[tuple[KnownShape, Mapping[str, tuple[ForeignKey, ...]]], ...]:
    text = resources.files(__package__).joinpath("history.json").read_text(encoding="utf-8")
    return tuple(_replay(json.loads(text)["shapes"]))


def _replay(
    steps: list[dict[str, Any]],
) -> Iterator[tuple[KnownShape, Mapping[str, tuple[ForeignKey, ...]]]]:
    tables: dict[str, TableShape] = {}
    keys: dict[str, tuple[ForeignKey, ...]] = {}
    for step in steps:
        for name in step["dropped"]:
            del tables[name], keys[name]
        for name, facts in step["tables"].items():
            tables[name] = TableShape(name, tuple(map(_column, facts["columns"])))
            keys[name] = tuple(map(_foreign_key, facts["foreign_keys"]))
        first_date, first_commit = step["first"].split()
        last_date, last_commit = step["last"].split()
        known = KnownShape(
            name=f"{first_date}/{first_commit}",
            first_commit=first_commit,
            first_date=date.fromisoformat(first_date),
            last_commit=last_commit,
            last_date=date.fromisoformat(last_date),
            epochs=tuple(step["epochs"]),
            shape=SchemaShape.of(*tables.values()),
        )
        yield known, MappingProxyType(dict(keys))


def _column(text: str) -> ColumnShape:
    """Read a column such as `run_id VARCHAR(64) NOT NULL`."""
    name, type_, *rest = text.split()
    return ColumnShape(name, type_, nullable=not rest, primary_key="PRIMARY" in rest)


def _foreign_key(text: str) -> ForeignKey:
    """Read a key such as `node_id, run_id -> nodes(node_id, run_id)`."""
    columns, _, target = text.partition(" -> ")
    table, _, references = target.removesuffix(")").partition("(")
    return ForeignKey(tuple(columns.split(", ")), table, tuple(references.split(", ")))
