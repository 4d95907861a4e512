"""Known shapes: which of a program's published schemas a database has, or comes nearest to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from landscape_compat.schema.shape import SchemaShape, fold_name

__all__ = ["Confidence", "Identification", "KnownShape", "identify"]

Confidence = Literal["exact", "tie", "nearest", "none"]

# Below this share of common columns, likeness is chance: `runs.run_id` is everybody's.
_ENOUGH_IN_COMMON = 0.25


@dataclass(frozen=True, slots=True)
class KnownShape:
    """One schema that a program had in its history.

    Args:
        name: Names it and no other, as `2026-01-18/df2fa70fb`.
        first_commit: The commit that brought it.
        first_date: When that was.
        last_commit: The last commit of the schema before the next shape.
        last_date: When that was.
        epochs: The epochs that builds with this shape stamp; several, or none, are usual.
        shape: The tables and columns.

    `paths` is made of the shape: every `table.column` in it, folded; `tables` parts them by table.
    """

    name: str
    first_commit: str
    first_date: date
    last_commit: str
    last_date: date
    epochs: tuple[int, ...]
    shape: SchemaShape
    paths: frozenset[str] = field(init=False, repr=False, compare=False)
    tables: Mapping[str, frozenset[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        tables = _by_table(self.shape)
        object.__setattr__(self, "paths", frozenset[str]().union(*tables.values()))
        object.__setattr__(self, "tables", tables)

    def to_dict(self) -> dict[str, Any]:
        """Give what names and dates the shape, as plain JSON values."""
        return {
            "name": self.name,
            "first_commit": self.first_commit,
            "first_date": self.first_date.isoformat(),
            "last_commit": self.last_commit,
            "last_date": self.last_date.isoformat(),
            "epochs": list(self.epochs),
        }


@dataclass(frozen=True, slots=True)
class Identification:
    """Which known shape a database has.

    Args:
        exact: The shapes that hold just what is stored, oldest first; several if they are alike.
        nearest: The shapes that differ least, oldest first; the exact ones, if there are any;
            none if nothing known is alike.
        distance: How many columns, or whole tables, only the database or the nearest has.
        missing: Paths that the first of the nearest has and the database has not.
        surplus: Known paths that the database has and the first of the nearest has not.
        unknown: Stored tables, then columns, that no known shape has; they decide nothing.
        epoch: The epoch stamped in the database; it decides nothing either.
        is_newer: Whether the database seems to be of a build that came after every known shape.
        confidence: `exact` for one exact shape, `tie` for several, else `nearest` or `none`.
        notes: What a person should know besides, as sentences.
    """

    exact: tuple[KnownShape, ...]
    nearest: tuple[KnownShape, ...]
    distance: int
    missing: tuple[str, ...]
    surplus: tuple[str, ...]
    unknown: tuple[str, ...]
    epoch: int | None
    is_newer: bool
    confidence: Confidence
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Give the finding as plain JSON values."""
        return {
            "confidence": self.confidence,
            "exact": [known.to_dict() for known in self.exact],
            "nearest": [known.to_dict() for known in self.nearest],
            "distance": self.distance,
            "missing": list(self.missing),
            "surplus": list(self.surplus),
            "unknown": list(self.unknown),
            "epoch": self.epoch,
            "is_newer": self.is_newer,
            "notes": list(self.notes),
        }


def identify(
    stored: SchemaShape, known: Sequence[KnownShape], epoch: int | None = None
) -> Identification:
    """Find the known shape that a database has, by the names of its tables and columns.

    Args:
        stored: The stored schema.
        known: The known shapes, oldest first.
        epoch: The epoch stamped in the database (`PRAGMA user_version`); None where there is
            no such thing.
    """
    everywhere = frozenset[str]().union(*(shape.paths for shape in known))
    unknown_tables, unknown_columns = _unknown(stored, everywhere)
    unknown = (*unknown_tables, *unknown_columns)
    columns = {name: paths & everywhere for name, paths in _by_table(stored).items()}
    recognised = {name: paths for name, paths in columns.items() if paths}
    nearest, distance = _nearest(recognised, known)
    if not nearest:
        return Identification((), (), 0, (), (), unknown, epoch, False, "none", ())
    if not distance:
        nearest = _finest(stored, nearest)
    is_newer = _is_newer(nearest, known, epoch, unknown_columns)
    notes = [
        *_epoch_notes(nearest, known, epoch),
        *_detail_notes(stored, nearest[0], distance),
        *_mixture_notes(stored, known, distance),
        *_unknown_notes(unknown, is_newer),
    ]
    return Identification(
        exact=() if distance else nearest,
        nearest=nearest,
        distance=distance,
        missing=tuple(sorted(_beyond(recognised, nearest[0].tables))),
        surplus=tuple(sorted(_beyond(nearest[0].tables, recognised))),
        unknown=unknown,
        epoch=epoch,
        is_newer=is_newer,
        confidence="nearest" if distance else "exact" if len(nearest) == 1 else "tie",
        notes=tuple(notes),
    )


def _by_table(schema: SchemaShape) -> dict[str, frozenset[str]]:
    tables: dict[str, frozenset[str]] = {}
    for table in schema:
        name = fold_name(table.name)
        columns = {f"{name}.{fold_name(column.name)}" for column in table.columns}
        # PostgreSQL tells tables apart whose names fold to one.
        tables[name] = tables.get(name, frozenset()) | columns
    return tables


def _unknown(stored: SchemaShape, everywhere: frozenset[str]) -> tuple[list[str], list[str]]:
    known_tables = {path.partition(".")[0] for path in everywhere}
    tables, columns = [], []
    for table in stored:
        name = fold_name(table.name)
        if name not in known_tables:
            tables.append(table.name)
            continue
        columns += [
            f"{table.name}.{column.name}"
            for column in table.columns
            if f"{name}.{fold_name(column.name)}" not in everywhere
        ]
    return sorted(tables), sorted(columns)


def _nearest(
    recognised: Mapping[str, frozenset[str]], known: Sequence[KnownShape]
) -> tuple[tuple[KnownShape, ...], int]:
    distances = [
        len(_beyond(recognised, shape.tables)) + len(_beyond(shape.tables, recognised))
        for shape in known
    ]
    least = min(distances, default=0)
    paths = frozenset[str]().union(*recognised.values())
    nearest = tuple(
        shape
        for shape, distance in zip(known, distances, strict=True)
        if distance == least and len(paths & shape.paths) >= _ENOUGH_IN_COMMON * len(shape.paths)
    )
    return nearest, least


def _beyond(these: Mapping[str, frozenset[str]], others: Mapping[str, frozenset[str]]) -> set[str]:
    """Find the columns that only the others have; a whole table counts as one thing.

    A database that lacks one table of many columns would else be nearer to another shape.
    """
    found: set[str] = set()
    for table, paths in others.items():
        found.update(paths - these[table] if table in these else (table,))
    return found


def _finest(stored: SchemaShape, alike: tuple[KnownShape, ...]) -> tuple[KnownShape, ...]:
    """Part shapes of equal names by keys and nullability, which every database can tell."""
    differences = [len(_details(stored, known.shape)) for known in alike]
    least = min(differences)
    return tuple(known for known, number in zip(alike, differences, strict=True) if number == least)


def _details(stored: SchemaShape, shape: SchemaShape) -> list[str]:
    found = []
    for table in shape:
        other = stored.table(table.name)
        for column in table.columns:
            own = other.column(column.name) if other else None
            if own and (own.nullable, own.primary_key) != (column.nullable, column.primary_key):
                found.append(f"{table.name}.{column.name}")
    return found


def _is_newer(
    nearest: tuple[KnownShape, ...],
    known: Sequence[KnownShape],
    epoch: int | None,
    unknown_columns: list[str],
) -> bool:
    # What nobody knows in a database of an old shape is somebody's addition: what the program
    # itself adds later, it adds to its newest shape. A whole table may still be either's.
    stamped = [number for shape in known for number in shape.epochs]
    above = epoch is not None and bool(stamped) and epoch > max(stamped)
    return above or (bool(unknown_columns) and known[-1] in nearest)


def _epoch_notes(
    nearest: tuple[KnownShape, ...], known: Sequence[KnownShape], epoch: int | None
) -> Iterator[str]:
    expected = sorted({number for shape in nearest for number in shape.epochs})
    if epoch is None or epoch in expected or (not epoch and not expected):
        return
    said = f"The database says epoch {epoch}" if epoch else "The database says no epoch"
    stamped = ", ".join(map(str, expected)) or "none"
    others = [shape.name for shape in known if epoch and epoch in shape.epochs]
    elsewhere = f" Epoch {epoch} is that of {', '.join(others)}." if others else ""
    yield f"{said}, but builds with this shape stamp {stamped}.{elsewhere}"


def _detail_notes(stored: SchemaShape, nearest: KnownShape, distance: int) -> Iterator[str]:
    details = [] if distance else _details(stored, nearest.shape)
    if details:
        yield (
            f"Keys or nullability differ from those of {nearest.name}: "
            f"{', '.join(sorted(details))}."
        )


def _mixture_notes(
    stored: SchemaShape, known: Sequence[KnownShape], distance: int
) -> Iterator[str]:
    if not distance:
        return
    made: dict[str, set[frozenset[str]]] = {}
    for shape in known:
        for table in shape.shape:
            made.setdefault(fold_name(table.name), set()).add(
                frozenset(map(fold_name, table.column_names))
            )
    known_tables = [table for table in stored if fold_name(table.name) in made]
    if all(
        frozenset(map(fold_name, table.column_names)) in made[fold_name(table.name)]
        for table in known_tables
    ):
        yield (
            "Each table is as some known build made it, but no one build made them all: tables "
            "were dropped, or a newer build added its tables to an older database."
        )


def _unknown_notes(unknown: tuple[str, ...], is_newer: bool) -> Iterator[str]:
    if unknown:
        yield (
            f"No known shape has {', '.join(unknown)}: a build newer than those known, or "
            "somebody else, added this."
        )
    if is_newer:
        yield (
            "The database seems newer than every known shape: what it holds beyond them is "
            "left unread, and values may have meanings that are not known here."
        )
