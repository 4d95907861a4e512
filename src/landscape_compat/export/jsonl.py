"""Records as JSON lines: one strict JSON object a line, UTF-8, keys in the order of the record."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, BinaryIO

from landscape_compat.errors import OutputError
from landscape_compat.export.files import ALL_RECORDS, FolderFiles
from landscape_compat.export.values import RECORD_TYPE, Record, RecordForm, no_utf8

__all__ = ["JsonLinesWriter", "json_line", "line_encoder", "write_json_lines"]


def json_line(record: Record) -> bytes:
    """Write a record as one line.

    Stored bytes become `{"base64": "..."}`. No stored value is an object otherwise, JSON
    columns being text, so that nothing else looks like it.

    Args:
        record: The record.

    Raises:
        OutputError: A value has no form in JSON, as infinity has none.
    """
    try:
        return _encode(record).encode() + b"\n"
    except ValueError as error:
        raise _refused(record) from error


def write_json_lines(records: Iterable[Record], stream: BinaryIO) -> int:
    """Write records to a stream that is open already, as they come.

    Args:
        records: The records.
        stream: A binary stream, as `sys.stdout.buffer`.

    Returns:
        How many records were written.

    Raises:
        OutputError: A value has no form in JSON.
        OSError: The stream cannot be written to; a closed pipe is a `BrokenPipeError`.
    """
    count = 0
    for record in records:
        stream.write(json_line(record))
        count += 1
    stream.flush()
    return count


class JsonLinesWriter:
    """Writes all records to one file of a folder, in their order.

    Args:
        files: The folder's files.
    """

    def __init__(self, files: FolderFiles) -> None:
        self._file = files.open(f"{ALL_RECORDS}.jsonl")

    def encoder(self, form: RecordForm) -> Callable[[Sequence[Any], Any], bytes]:
        """Give what makes a line of a row."""
        return line_encoder(form)

    def write(self, item: bytes) -> None:
        """Write a line.

        Raises:
            OutputError: It cannot be written.
        """
        self._file.write_record(item)

    def finish(self) -> None:
        """Do nothing: every line is written."""


def line_encoder(form: RecordForm) -> Callable[[Sequence[Any], Any], bytes]:
    """Give what makes a line of a row.

    Args:
        form: How the row becomes a record.
    """
    make = form.make
    return lambda row, run_id: json_line(make(row, run_id))


def _bytes(value: Any) -> dict[str, str]:
    if isinstance(value, (bytes, memoryview)):
        return {"base64": base64.b64encode(value).decode("ascii")}
    raise TypeError(f"A value of type {type(value).__name__} has no form in JSON.")


_encode = json.JSONEncoder(
    ensure_ascii=False,
    check_circular=False,
    allow_nan=False,
    separators=(",", ":"),
    default=_bytes,
).encode


def _refused(record: Record) -> OutputError:
    for name, value in record.items():
        if isinstance(value, float) and not math.isfinite(value):
            return OutputError(
                f"The stored value {value!r} is a number that JSON has no form for.",
                table=str(record[RECORD_TYPE]),
                column=name,
                remedy="Export as CSV, where it is written as it is.",
            )
    return no_utf8(record)
