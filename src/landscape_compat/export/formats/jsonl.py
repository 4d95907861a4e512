"""Records as JSON lines: one strict JSON object a line, UTF-8, keys in the order of the record."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, time
from json.encoder import encode_basestring
from typing import Any
from uuid import UUID

from landscape_compat.errors import OutputError
from landscape_compat.export.formats.compiled import (
    PLAIN_NAMES,
    CompiledEncoder,
    compile_encoder,
    plain_fix,
    time_fix,
)
from landscape_compat.export.output.files import ALL_RECORDS, Files
from landscape_compat.export.records.values import (
    RECORD_TYPE,
    RUN_ID,
    Field,
    Kind,
    Record,
    RecordForm,
    no_utf8,
)
from landscape_compat.schema.types import affinity

__all__ = [
    "JsonArrayWriter",
    "JsonLinesWriter",
    "as_json_value",
    "json_line",
    "line_encoder",
]


def json_line(record: Record) -> bytes:
    """Write a record as one line.

    Stored bytes become `{"base64": "..."}`. No stored value is an object otherwise, JSON
    columns being text, so that nothing else looks like it.

    Args:
        record: The record.

    Raises:
        OutputError: A value has no form in JSON, as infinity has none, or a server's interval.
    """
    try:
        return _encode(record).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise _refused(record) from error


def line_encoder(form: RecordForm, *, fast: bool = True) -> CompiledEncoder:
    """Give what makes of a row and its run the line that `json_line` makes of the record.

    Args:
        form: How the row becomes a record.
        fast: Whether to use orjson, where it is installed.
    """
    if fast:
        with suppress(ImportError):
            import orjson

            return _by_orjson(form, orjson)
    return _by_json(form)


class JsonLinesWriter:
    """Writes all records to one file, in their order.

    Args:
        files: What makes the file.
    """

    def __init__(self, files: Files) -> None:
        self._file = files.open(f"{ALL_RECORDS}.jsonl")

    def encoder(self, form: RecordForm) -> CompiledEncoder:
        """Give what makes a line of a row."""
        return line_encoder(form)

    def write(self, items: list[bytes]) -> None:
        """Write lines.

        Raises:
            OutputError: They cannot be written.
        """
        self._file.write(b"".join(items), len(items))

    def finish(self) -> None:
        """Do nothing: every line is written."""


class JsonArrayWriter:
    """Writes all records to one file that is a single JSON array, a record a line.

    Args:
        files: What makes the file.
    """

    def __init__(self, files: Files) -> None:
        self._file = files.open(f"{ALL_RECORDS}.json")
        self._between = b"[\n"

    def encoder(self, form: RecordForm) -> CompiledEncoder:
        """Give what makes a line of a row."""
        return line_encoder(form)

    def write(self, items: list[bytes]) -> None:
        """Write elements.

        Raises:
            OutputError: They cannot be written.
        """
        lines = b",\n".join([item[:-1] for item in items])
        self._file.write(self._between + lines, len(items))
        self._between = b",\n"

    def finish(self) -> None:
        """End the array.

        Raises:
            OutputError: It cannot be written.
        """
        self._file.write(b"[\n]\n" if self._between == b"[\n" else b"\n]\n")


def _by_orjson(form: RecordForm, orjson: Any) -> CompiledEncoder:
    """Compile an encoder that writes by orjson what that writes as `json` does."""
    make = form.make
    every = [field for field in (form.run, *form.fields) if field and field.at]
    numbers = {
        field.at
        for field in every
        if field.kind is Kind.AS_STORED and affinity(field.type) in ("REAL", "NUMERIC")
    }
    others = [f"type(c{field.at}) is float" for field in every if field.at not in numbers]

    def fix(field: Field, value: str) -> Sequence[str]:
        if field.kind is Kind.TIME:
            # orjson writes a datetime as `isoformat` does, in less time than it takes to put a
            # `T` between two pieces of a text.
            in_utc = f"{value} if {value}.tzinfo is None else {value}.astimezone(UTC)"
            return time_fix(value, "moment", moment=in_utc)
        if field.at in numbers:
            # orjson writes other exponents than Python, and null for what is not finite.
            return (
                f"if type({value}) is float and not ({value} == 0 or 1e-4 <= {value} < 1e16"
                f" or -1e16 < {value} <= -1e-4): return fallback(row, run_id)",
            )
        return plain_fix(field, value)

    def result(cells: Sequence[tuple[Field | None, str]]) -> str:
        items = [f"{RECORD_TYPE!r}: {form.record_type!r}"]
        items += [f"{(field.name if field else RUN_ID)!r}: {value}" for field, value in cells]
        return f"dumps({{{', '.join(items)}}}, _other, newline)"

    return compile_encoder(
        form,
        result,
        names={
            **PLAIN_NAMES,
            "UTC": UTC,
            "dumps": orjson.dumps,
            "newline": orjson.OPT_APPEND_NEWLINE,
            "_other": _other,
        },
        fix=fix,
        # Where a float is stored where none belongs, the standard library writes it.
        unless=" or ".join(others),
        fallback=lambda row, run_id: json_line(make(row, run_id)),
        catch="TypeError",
    )


def _by_json(form: RecordForm) -> CompiledEncoder:
    """Compile an encoder that writes by the standard library."""
    make = form.make

    def result(cells: Sequence[tuple[Field | None, str]]) -> str:
        pattern = _encode({RECORD_TYPE: form.record_type})[:-1].replace("%", "%%")
        for field, _ in cells:
            name = _encode(field.name if field else RUN_ID)
            pattern += f",{name.replace('%', '%%')}:%s"
        values = [f"text({v}) if type({v}) is str else other({v})" for _, v in cells]
        return f"({pattern + '}' + chr(10)!r} % ({', '.join([*values, ''])})).encode()"

    return compile_encoder(
        form,
        result,
        names={**PLAIN_NAMES, "text": encode_basestring, "other": _encode},
        fix=plain_fix,
        fallback=lambda row, run_id: json_line(make(row, run_id)),
        catch="(TypeError, ValueError)",
    )


def as_json_value(value: Any) -> Any:
    """Give a value of a record as JSON has it: bytes as an object, dates and UUIDs as text.

    Args:
        value: The value.
    """
    if isinstance(value, (bytes, memoryview)):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, (date, time)):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _other(value: Any) -> Any:
    written = as_json_value(value)
    if written is value:
        raise TypeError(f"A value of type {type(value).__name__} has no form in JSON.")
    return written


_encode = json.JSONEncoder(
    ensure_ascii=False,
    check_circular=False,
    allow_nan=False,
    separators=(",", ":"),
    default=_other,
).encode


def _refused(record: Record) -> OutputError:
    for name, value in record.items():
        if isinstance(value, float) and not math.isfinite(value):
            return OutputError(
                f"The stored value {value!r} is a number that JSON has no form for.",
                table=str(record[RECORD_TYPE]),
                column=name,
                remedy="Export as a SQLite database (--format sqlite), which holds it as it is.",
            )
        try:
            json.dumps(value, default=_other)
        except TypeError as error:
            return OutputError(
                str(error),
                table=str(record[RECORD_TYPE]),
                column=name,
                remedy="Leave its table out (--table), or give the column another type in a copy "
                "of the database.",
            )
    return no_utf8(record)
