"""Writing records that are at hand as dictionaries by the writers that take rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from landscape_compat.export.formats.writers import RecordWriter
from landscape_compat.export.records.values import RECORD_TYPE, RUN_ID, Field, RecordForm, form_of

__all__ = ["form_for", "row_of", "write_all"]


def form_for(record: dict[str, Any]) -> RecordForm:
    """Give the form of records like one; its table stores no run."""
    names = [name for name in record if name not in (RECORD_TYPE, RUN_ID)]
    fields = [Field(name, "", at=at) for at, name in enumerate(names, 1)]
    return form_of(record[RECORD_TYPE], tuple(names), None, fields)


def row_of(record: dict[str, Any]) -> tuple[Any, ...]:
    """Give the row that such a record is made of."""
    return (0, *(value for name, value in record.items() if name not in (RECORD_TYPE, RUN_ID)))


def write_all(writer: RecordWriter, records: Iterable[dict[str, Any]]) -> None:
    """Write records as rows of tables that store no run."""
    encoders: dict[Any, Any] = {}
    for record in records:
        key = (record[RECORD_TYPE], *(name for name in record if name != RUN_ID))
        if key not in encoders:
            encoders[key] = writer.encoder(form_for(record))
        writer.write([encoders[key](row_of(record), record.get(RUN_ID))])
    writer.finish()
