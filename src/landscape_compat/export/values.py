"""The form that stored rows take as records."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeAlias

from landscape_compat.errors import OutputError
from landscape_compat.landscape.stored import StoredTable
from landscape_compat.landscape.tables import TABLES
from landscape_compat.schema.shape import ColumnShape, fold_name

__all__ = ["RECORD_TYPE", "RUN_ID", "Record", "RecordForm", "no_utf8", "record_form"]

Record: TypeAlias = dict[str, Any]

RECORD_TYPE = "record_type"
RUN_ID = "run_id"

# How SQLAlchemy writes a timestamp; what looks otherwise was written by someone else, and
# stays as it is.
_WRITTEN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{6})?", re.ASCII)
_HOST_WORDS = frozenset(fold_name(facts.record_type) for facts in TABLES)


@dataclass(frozen=True, slots=True)
class RecordForm:
    """How the rows of one table become records.

    Args:
        record_type: What they are called.
        columns: The stored columns to select, in the order of the record.
        has_run: Whether `run_id` is stored.
        make: Makes a record of a row; the row's first value is passed over, its others are
            those of `columns`. The second argument is the run that the row was reached from.
    """

    record_type: str
    columns: tuple[str, ...]
    has_run: bool
    make: Callable[[Sequence[Any], Any], Record]


def record_form(table: StoredTable) -> RecordForm:
    """Decide how the rows of a table become records.

    A record begins with its type and its run; the stored columns follow in stored order. The
    run is the stored one where the table stores it, and else the one that the row was reached
    from; a row that no run reaches, of a table that stores none, has no `run_id`.

    Args:
        table: The table.
    """
    run = table.shape.column(RUN_ID)
    others = [shape for shape in table.shape.columns if shape is not run]
    shapes = [run, *others] if run else others
    columns = tuple(shape.name for shape in shapes)
    record_type = table.facts.record_type if table.facts else _own_type(table.name)
    names = [_field(shape.name) for shape in others]
    has_run = run is not None
    with_run = (RECORD_TYPE, RUN_ID, *names)
    without_run = (RECORD_TYPE, *names)
    # Position 0 of a row is not a column.
    fixes = [(at, fix) for at, shape in enumerate(shapes, 1) if (fix := _fix(shape))]

    def make(row: Sequence[Any], run_id: Any) -> Record:
        cells = list(row)
        for at, fix in fixes:
            if cells[at] is not None:
                cells[at] = fix(cells[at])
        cells[0] = record_type
        if has_run:
            return dict(zip(with_run, cells, strict=True))
        if run_id is None:
            return dict(zip(without_run, cells, strict=True))
        cells.insert(1, run_id)
        return dict(zip(with_run, cells, strict=True))

    return RecordForm(record_type, columns, has_run, make)


def no_utf8(record: Record) -> OutputError:
    """Make the error that says that a record holds a text without a form in UTF-8.

    Args:
        record: The record.
    """
    return OutputError(
        "A stored text has no form in UTF-8, so it cannot be written faithfully.",
        table=str(record[RECORD_TYPE]),
        remedy="Keep the database itself.",
    )


def _own_type(table: str) -> str:
    """Name the records of a table that is not the host's: as the table, but never a host's word."""
    folded = fold_name(table)
    # What begins with the prefix gets another, so that no two tables share a type.
    return f"table.{table}" if folded in _HOST_WORDS or folded.startswith("table.") else table


def _field(column: str) -> str:
    """Name the field of a column: as the column, but never as the field for the record's type."""
    folded = fold_name(column)
    return f"stored.{column}" if folded == RECORD_TYPE or folded.startswith("stored.") else column


def _fix(shape: ColumnShape) -> Callable[[Any], Any] | None:
    kind = re.split(r"[ (]", shape.type, maxsplit=1)[0]
    return _FIXES.get(kind)


def _time(value: Any) -> Any:
    if isinstance(value, str):
        if _WRITTEN.fullmatch(value) is None:
            return value
        return f"{value[:10]}T{value[11:].removesuffix('.000000')}"
    return value.isoformat() if isinstance(value, (datetime, date)) else value


def _flag(value: Any) -> Any:
    return bool(value) if value in (0, 1) else value


_FIXES: Mapping[str, Callable[[Any], Any]] = {
    "DATETIME": _time,
    "TIMESTAMP": _time,
    "BOOL": _flag,
    "BOOLEAN": _flag,
}
