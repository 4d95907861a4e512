"""Making typed records of stored rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, fields
from datetime import datetime
from types import NoneType
from typing import Any, Generic, TypeVar, get_args, get_type_hints

from landscape_compat.errors import UnreadableError
from landscape_compat.landscape.absent import Absent
from landscape_compat.landscape.records import Record
from landscape_compat.landscape.stored import StoredTable

__all__ = ["RecordLoader"]

RecordT = TypeVar("RecordT", bound=Record)


class RecordLoader(Generic[RecordT]):
    """Makes records of one class of the rows of one stored table.

    Args:
        kind: The class.
        table: The table as stored; columns that it lacks become `ABSENT`.

    Raises:
        UnreadableError: A column that names a record is not stored.
    """

    def __init__(self, kind: type[RecordT], table: StoredTable) -> None:
        self._kind = kind
        self._table = table.name
        self._fields: list[tuple[str, type, bool]] = []
        types = _types(kind)
        for field in fields(kind):
            if table.column(field.name) is not None:
                self._fields.append((field.name, types[field.name], _is_key(field)))
            elif _is_key(field):
                raise UnreadableError(
                    f"A {kind.__name__} is named by this column, but it is not stored.",
                    table=table.name,
                    column=field.name,
                    remedy="Export the database: the export needs no key.",
                )
        self.columns = [table.get(name) for name, _, _ in self._fields]

    def load(self, row: Sequence[Any]) -> RecordT:
        """Make a record of a row of `columns`.

        Raises:
            UnreadableError: A value is not what the column is declared to hold.
        """
        values = {
            name: self._value(name, type_, is_key, value)
            for (name, type_, is_key), value in zip(self._fields, row, strict=True)
        }
        return self._kind(**values)

    def _value(self, name: str, type_: type, is_key: bool, value: Any) -> Any:
        if value is None:
            if not is_key:
                return None
        elif type(value) is type_:
            return value
        elif type_ in _READ:
            try:
                return _READ[type_](value)
            except (TypeError, ValueError):
                pass
        raise UnreadableError(
            f"The stored value {value!r:.80} is no {type_.__name__}, which this column is "
            "declared to hold.",
            table=self._table,
            column=name,
            remedy="Export the database: the export gives every value as it is stored.",
        )


def _time(value: Any) -> datetime:
    # SQLite keeps times as text, with microseconds or without; of longer fractions Python's
    # reading would drop what is too small for it.
    if isinstance(value, str) and len(value) in (19, 26):
        return datetime.fromisoformat(value)
    raise ValueError(value)


def _flag(value: Any) -> bool:
    if value in (0, 1):
        return bool(value)
    raise ValueError(value)


def _real(value: Any) -> float:
    if type(value) is int and int(float(value)) == value:
        return float(value)
    raise ValueError(value)


_READ: dict[type, Callable[[Any], Any]] = {datetime: _time, bool: _flag, float: _real}


def _types(kind: type[Record]) -> dict[str, type]:
    hints = get_type_hints(kind)
    return {field.name: _type(hints[field.name]) for field in fields(kind)}


def _type(hint: Any) -> type:
    given = [part for part in get_args(hint) if part not in (NoneType, Absent)]
    found = given[0] if given else hint
    assert isinstance(found, type)
    return found


def _is_key(field: Field[Any]) -> bool:
    return field.default is MISSING
