"""Records as CSV, one file a record type, that keeps NULL and types apart.

Lines are RFC 4180's. A text is always in quotes, an empty one too; nothing at all between two
commas is NULL. Numbers, true and false stand bare. A column that is not stored is not there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from landscape_compat.errors import OutputError
from landscape_compat.export.formats.compiled import (
    PLAIN_NAMES,
    CompiledEncoder,
    compile_encoder,
    plain_fix,
)
from landscape_compat.export.output.files import Files, RecordFile, file_stem
from landscape_compat.export.records.values import RECORD_TYPE, RUN_ID, Field, RecordForm, no_utf8

__all__ = ["CsvWriter"]

_PLAIN = re.compile(r"\w+", re.ASCII)
_LINES: Final = 32


class _Table:
    """The file of one record type, begun with its first record."""

    def __init__(self, files: Files, form: RecordForm) -> None:
        self._files = files
        self._form = form
        self._file: RecordFile | None = None
        self.lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        lines = self.lines
        lines.append(line)
        if len(lines) >= _LINES:
            self.flush()

    def flush(self) -> None:
        if self._file is None:
            kind = self._form.record_type
            self._file = self._files.open(f"{file_stem(kind)}.csv", kind)
            names = (RECORD_TYPE, RUN_ID, *(field.name for field in self._form.fields))
            self._file.write(
                _line([name if _PLAIN.fullmatch(name) else _text(name) for name in names])
            )
        self._file.write(b"".join(self.lines), len(self.lines))
        self.lines.clear()


class CsvWriter:
    """Writes the records of each type to a file of their own, in their order.

    Args:
        files: What makes the files.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._tables: dict[str, _Table] = {}

    def encoder(self, form: RecordForm) -> CompiledEncoder:
        """Give what makes of a row its line, and the table that it goes to."""
        table = self._tables.setdefault(form.record_type, _Table(self._files, form))
        encode = _line_encoder(form)
        return lambda row, run_id: (table, encode(row, run_id))

    def write(self, items: list[tuple[_Table, bytes]]) -> None:
        """Write lines.

        Raises:
            OutputError: They cannot be written.
        """
        for table, line in items:
            table.write(line)

    def finish(self) -> None:
        """Write the last lines.

        Raises:
            OutputError: They cannot be written.
        """
        for table in self._tables.values():
            if table.lines:
                table.flush()


def _line_encoder(form: RecordForm) -> CompiledEncoder:
    def fix(field: Field, value: str) -> Sequence[str]:
        # In place, because a call costs as much as all that a cell needs.
        quoted = f"f'\"{{{value}}}\"' if '\"' not in {value} else text({value})"
        # A number is written, by the line that all become a part of, as `repr` writes it.
        return (
            *plain_fix(field, value),
            f"if type({value}) is str: {value} = {quoted}",
            f"elif {value} is None: {value} = ''",
            f"elif type({value}) is not int and type({value}) is not float: "
            f"{value} = other({value})",
        )

    def result(cells: Sequence[tuple[Field | None, str]]) -> str:
        literals = [repr(_text(form.record_type))]
        if not cells or cells[0][0] is not None:
            # Of a table that stores no run: a row that none reaches has nothing for it.
            literals.append("','")
        for field, value in cells:
            if field and not field.at:
                literals.append(repr(f",{_cell(field.constant)}"))
            else:
                literals.append(f"f',{{{value if value != 'run_id' else 'cell(run_id)'}}}'")
        return rf"({' '.join(literals)} '\r\n').encode()"

    return compile_encoder(
        form,
        result,
        names={**PLAIN_NAMES, "text": _text, "other": _other, "cell": _cell},
        fix=fix,
        fallback=lambda row, run_id: _explain(form, row, run_id),
        catch="(TypeError, UnicodeEncodeError)",
    )


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    return "" if value is None else _other(value)


def _text(text: str) -> str:
    return f'"{text}"' if '"' not in text else '"' + text.replace('"', '""') + '"'


def _other(value: Any) -> str:
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, (int, float)):
        return repr(value)
    raise TypeError(type(value).__name__)


def _explain(form: RecordForm, row: Sequence[Any], run_id: Any) -> bytes:
    """Say why a record has no line."""
    record = form.make(row, run_id)
    for name, value in record.items():
        if not isinstance(value, (str, int, float, type(None))):
            raise OutputError(
                f"A value of type {type(value).__name__} has no form in CSV that could not be "
                "mistaken for a text.",
                table=form.record_type,
                column=name,
                remedy="Export as a SQLite database (--format sqlite), which holds it as it is.",
            )
    raise no_utf8(record)


def _line(cells: list[str]) -> bytes:
    return (",".join(cells) + "\r\n").encode()
