"""The form that stored rows take as records."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, TypeAlias

from landscape_compat.errors import OutputError
from landscape_compat.landscape.stored import StoredTable
from landscape_compat.landscape.tables import TABLES
from landscape_compat.schema.shape import fold_name

__all__ = [
    "FIXES",
    "MANIFEST",
    "RECORD_TYPE",
    "RUN_ID",
    "SIGNATURE",
    "Field",
    "Kind",
    "Record",
    "RecordForm",
    "State",
    "form_of",
    "kind_of",
    "no_utf8",
    "record_form",
]

Record: TypeAlias = dict[str, Any]

RECORD_TYPE = "record_type"
RUN_ID = "run_id"
# What a signed export calls what ends the records of a run, and what each is signed by.
MANIFEST = "manifest"
SIGNATURE = "signature"

# How SQLAlchemy writes a timestamp; what looks otherwise was written by someone else, and
# stays as it is.
_WRITTEN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{6})?", re.ASCII)
_OWN_TYPES = frozenset((MANIFEST, *(fold_name(facts.record_type) for facts in TABLES)))
_OWN_FIELDS = frozenset((RECORD_TYPE, SIGNATURE))


class Kind(StrEnum):
    """What a stored value becomes in a record."""

    AS_STORED = "as stored"
    TIME = "time"
    FLAG = "flag"


class State(StrEnum):
    """Where the values of a column come from."""

    STORED = "stored"
    ABSENT = "absent"
    FILLED = "filled"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record, behind its type and its run.

    Args:
        name: Its name.
        type: The type of the column, as in DDL, upper case.
        kind: What a stored value becomes.
        at: The position of its value in a row that was selected; 0 if it is `constant`.
        constant: What it always is, for a field that no column stands behind.
        column: The column that it tells of.
        state: Whether that column is stored, absent, or filled by a rule.
    """

    name: str
    type: str
    kind: Kind = Kind.AS_STORED
    at: int = 0
    constant: Any = None
    column: str = ""
    state: State = State.STORED


@dataclass(frozen=True, slots=True)
class RecordForm:
    """How the rows of one table become records.

    A row is what was selected by `columns`, with something else in front; the run is the one
    that it was reached from, or None.

    Args:
        record_type: What they are called.
        columns: The stored columns to select, in the order of the row.
        run: The column of the run, if one is stored: position 1 of the row.
        fields: The fields behind the record's type and its run.
        make: Makes a record of a row and its run.
    """

    record_type: str
    columns: tuple[str, ...]
    run: Field | None
    fields: tuple[Field, ...]
    make: Callable[[Sequence[Any], Any], Record]


def record_form(table: StoredTable, more: Sequence[Field] = ()) -> RecordForm:
    """Decide how the rows of a table become records.

    A record begins with its type and its run; the stored columns follow in stored order. The
    run is the stored one where the table stores it, and else the one that the row was reached
    from; a row that no run reaches, of a table that stores none, has no `run_id`.

    Args:
        table: The table.
        more: Fields behind those of the stored columns.
    """
    run = table.shape.column(RUN_ID)
    shapes = [shape for shape in table.shape.columns if shape is not run]
    if run:
        shapes.insert(0, run)
    stored = [
        Field(
            RUN_ID if shape is run else _field(shape.name),
            shape.type,
            kind_of(shape.type),
            at,
            column=shape.name,
        )
        for at, shape in enumerate(shapes, 1)
    ]
    record_type = table.facts.record_type if table.facts else _own_type(table.name)
    columns = tuple(shape.name for shape in shapes)
    return form_of(record_type, columns, stored[0] if run else None, [*stored[bool(run) :], *more])


def form_of(
    record_type: str, columns: tuple[str, ...], run: Field | None, fields: Sequence[Field]
) -> RecordForm:
    """Make the form of records of known fields.

    Args:
        record_type: What they are called.
        columns: The stored columns to select.
        run: The field of the run, if the table stores one.
        fields: The fields behind the run.
    """
    names = [field.name for field in fields]
    with_run = (RECORD_TYPE, RUN_ID, *names)
    without_run = (RECORD_TYPE, *names)
    ats = [field.at for field in fields]
    fixes = [(at, FIXES[field.kind]) for at, field in enumerate(fields) if field.kind in FIXES]
    constants = [(at, field.constant) for at, field in enumerate(fields) if not field.at]
    first = 2 if run else 1
    in_order = ats == list(range(first, first + len(ats)))
    fix_run = FIXES.get(run.kind) if run else None

    def make(row: Sequence[Any], run_id: Any) -> Record:
        cells = list(row[first:]) if in_order else [row[at] for at in ats]
        for at, fix in fixes:
            if cells[at] is not None:
                cells[at] = fix(cells[at])
        for at, constant in constants:
            cells[at] = constant
        if run is not None:
            stored_run = row[1]
            if fix_run and stored_run is not None:
                stored_run = fix_run(stored_run)
            return dict(zip(with_run, (record_type, stored_run, *cells), strict=True))
        if run_id is None:
            return dict(zip(without_run, (record_type, *cells), strict=True))
        return dict(zip(with_run, (record_type, run_id, *cells), strict=True))

    return RecordForm(record_type, columns, run, tuple(fields), make)


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
    """Name the records of a table that is not the host's: never by a word that is taken."""
    folded = fold_name(table)
    # What begins with the prefix gets another, so that no two tables share a type.
    return f"table.{table}" if folded in _OWN_TYPES or folded.startswith("table.") else table


def _field(column: str) -> str:
    """Name the field of a column: as the column, but never as one that is taken."""
    folded = fold_name(column)
    odd = folded in _OWN_FIELDS or folded.startswith(("stored.", "absent.", "filled."))
    return f"stored.{column}" if odd else column


def kind_of(type_: str) -> Kind:
    """Tell what the stored values of a column become.

    Args:
        type_: The column's type, as in DDL, upper case.
    """
    word = re.split(r"[ (]", type_, maxsplit=1)[0]
    return _KINDS.get(word, Kind.AS_STORED)


def _time(value: Any) -> Any:
    if isinstance(value, str):
        if _WRITTEN.fullmatch(value) is None or not _is_time(value):
            return value
        return f"{value[:10]}T{value[11:].removesuffix('.000000')}"
    if isinstance(value, datetime) and value.tzinfo is not None:
        # A moment has one form, whatever time zone the session is in.
        value = value.astimezone(UTC)
    return value.isoformat() if isinstance(value, (datetime, date)) else value


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return text[11:13] != "24"  # which some versions of Python take for the next day's 0


def _flag(value: Any) -> Any:
    return bool(value) if value in (0, 1) else value


_KINDS: Mapping[str, Kind] = {
    "DATETIME": Kind.TIME,
    "TIMESTAMP": Kind.TIME,
    "BOOL": Kind.FLAG,
    "BOOLEAN": Kind.FLAG,
}
FIXES: Mapping[Kind, Callable[[Any], Any]] = {Kind.TIME: _time, Kind.FLAG: _flag}
