"""Records as CSV, one file a record type, that keeps NULL and types apart.

Lines are RFC 4180's. A text is always in quotes, an empty one too; nothing at all between two
commas is NULL. Numbers, true and false stand bare. A column that is not stored is not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from landscape_compat.errors import OutputError
from landscape_compat.export.files import FolderFiles, WrittenFile, file_stem
from landscape_compat.export.values import RECORD_TYPE, RUN_ID, Record, RecordForm, no_utf8

__all__ = ["CsvWriter"]

_PLAIN = re.compile(r"\w+", re.ASCII)


class CsvWriter:
    """Writes the records of each type to a file of their own, in their order.

    Args:
        files: The folder's files.
    """

    def __init__(self, files: FolderFiles) -> None:
        self._files = files
        self._open: dict[str, tuple[tuple[str, ...], WrittenFile]] = {}

    def encoder(self, form: RecordForm) -> Callable[[Sequence[Any], Any], Record]:
        """Give what makes a record of a row."""
        return form.make

    def finish(self) -> None:
        """Do nothing: every line is written."""

    def write(self, record: Record) -> None:
        """Write a record.

        Raises:
            OutputError: It cannot be written, or a value has no form in CSV.
        """
        names = tuple(record)
        record_type = record[RECORD_TYPE]
        found = self._open.get(record_type)
        if found is None:
            file = self._files.open(f"{file_stem(record_type)}.csv", record_type)
            file.write(_line([name if _PLAIN.fullmatch(name) else _text(name) for name in names]))
            found = self._open[record_type] = names, file
        columns, file = found
        cells = [_cell(record, name) for name in names]
        if columns != names:
            # Only a row that no run reaches differs from others of its table: it has no run.
            assert columns == (names[0], RUN_ID, *names[1:])
            cells.insert(1, "")
        try:
            line = _line(cells)
        except UnicodeEncodeError as error:
            raise no_utf8(record) from error
        file.write_record(line)


def _cell(record: Record, name: str) -> str:
    value = record[name]
    if value is None:
        return ""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    raise OutputError(
        f"A value of type {type(value).__name__} has no form in CSV that could not be mistaken "
        "for a text.",
        table=str(record[RECORD_TYPE]),
        column=name,
        remedy="Export as JSON lines.",
    )


def _text(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _line(cells: list[str]) -> bytes:
    return (",".join(cells) + "\r\n").encode()
