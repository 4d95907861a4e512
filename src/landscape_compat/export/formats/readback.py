"""Records read back from the files that they were written to, as they were."""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Final

from landscape_compat.export.records.values import RECORD_TYPE, Record
from landscape_compat.schema.shape import quote_name

__all__ = [
    "READERS",
    "BadPayloadError",
    "Reader",
    "can_read",
    "count_parquet",
    "parquet_columns",
    "read_parquet",
    "read_sqlite",
    "require_only",
    "same_record",
]

_CELL = re.compile(r'("(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n)')
_INTEGER = re.compile(r"-?[0-9]+")
_WORDS: Final[Mapping[str, Any]] = {"": None, "true": True, "false": False}
_LONGEST_LINE: Final = 1 << 30
_BATCH: Final = 5000
_MOST_TEXT: Final = 1 << 26
# The types of the columns that `ParquetWriter` writes.
_COLUMNS: Final = frozenset(
    {"binary", "bool", "double", "int64", "string", "timestamp[us, tz=UTC]", "timestamp[us]"}
)


class BadPayloadError(ValueError):
    """A file of records is not as the writer of its format writes it; says where."""


# Reads the records of a file that is open.
Reader = Callable[[IO[bytes]], Iterator[Record]]


def read_json_lines(file: IO[bytes]) -> Iterator[Record]:
    """Read records from JSON lines.

    Args:
        file: The file.

    Raises:
        BadPayloadError: A line is no record.
    """
    number = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        if not line.endswith(b"\n"):
            raise BadPayloadError(f"line {number} has no end")
        yield _object(line, number)


def read_csv(file: IO[bytes]) -> Iterator[Record]:
    """Read records from CSV as this package writes it: with NULL and types apart.

    Args:
        file: The file.

    Raises:
        BadPayloadError: A line is no record.
    """
    names: list[str] | None = None
    for number, cells in enumerate(_lines(file), 1):
        if names is None:
            names = [cell[1:-1].replace('""', '"') if cell[:1] == '"' else cell for cell in cells]
            if len({*names}) != len(names):
                raise BadPayloadError("line 1 names a field twice")
            continue
        if len(cells) != len(names):
            raise BadPayloadError(f"line {number} has {len(cells)} cells, not {len(names)}")
        try:
            yield {name: _value(cell) for name, cell in zip(names, cells, strict=True)}
        except ValueError as error:
            raise BadPayloadError(f"line {number} holds {error}") from error


def read_json_array(file: IO[bytes]) -> Iterator[Record]:
    """Read records from a JSON array as this package writes it, a record a line.

    Args:
        file: The file.

    Raises:
        BadPayloadError: A line is no record, or the array has no end.
    """
    if file.readline(_LONGEST_LINE) != b"[\n":
        raise BadPayloadError("line 1 does not begin an array")
    number, ended = 1, False
    while line := file.readline(_LONGEST_LINE):
        number += 1
        if ended:
            raise BadPayloadError(f"line {number} is behind the end of the array")
        if line == b"]\n":
            ended = True
        elif line.endswith((b"},\n", b"}\n")):
            yield _object(line.rstrip(b",\n"), number)
        else:
            raise BadPayloadError(f"line {number} has no end")
    if not ended:
        raise BadPayloadError("the array has no end")


def read_parquet(file: IO[bytes]) -> Iterator[Record]:
    """Read records from Parquet.

    Args:
        file: The file.

    Raises:
        BadPayloadError: It is no Parquet.
    """
    with _told_of_parquet():
        opened = _open_parquet(file)
        names = opened.schema_arrow.names
        for batch in opened.iter_batches(_BATCH):
            for values in zip(*map(_values, batch.columns), strict=True):
                yield {
                    name: value.isoformat() if isinstance(value, datetime) else value
                    for name, value in zip(names, values, strict=True)
                }


def count_parquet(file: IO[bytes], expected: int) -> int:
    """Count the records of Parquet, each of which can be read.

    Where the file itself says that there are not as many as expected, they are not read: a small
    file may say of very many that they are all alike.

    Args:
        file: The file.
        expected: How many there should be.

    Raises:
        BadPayloadError: It is no Parquet.
    """
    with _told_of_parquet():
        opened = _open_parquet(file)
        count: int = opened.metadata.num_rows
        if count == expected:
            count = sum(batch.num_rows for batch in opened.iter_batches(_BATCH))
        return count


def parquet_columns(file: IO[bytes]) -> list[str]:
    """Give the name and the type of each column of Parquet.

    Args:
        file: The file.

    Raises:
        BadPayloadError: It is no Parquet.
    """
    with _told_of_parquet():
        return [f"{field.name}, {field.type}" for field in _parquet_schema(file)]


def read_sqlite(path: Path, record_type: str, flags: frozenset[str]) -> Iterator[Record]:
    """Read the records of one type from a SQLite database.

    Args:
        path: The database.
        record_type: The type.
        flags: The fields whose ones and zeros are true and false.

    Raises:
        BadPayloadError: It is no database that can be read, or has no such table.
    """
    try:
        with closing(_opened(path)) as connection:
            cursor = connection.execute(
                f"SELECT * FROM main.{quote_name(record_type)} ORDER BY rowid"
            )
            names = [column[0] for column in cursor.description]
            for row in cursor:
                yield {
                    name: bool(value) if name in flags and value in (0, 1) else value
                    for name, value in zip(names, row, strict=True)
                }
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise BadPayloadError(f"holds no records of {record_type} to be read: {error}") from error


def require_only(path: Path, record_types: Collection[str]) -> None:
    """Refuse a SQLite database that shows more than the records of certain types.

    Args:
        path: The database.
        record_types: The types.

    Raises:
        BadPayloadError: It holds something else, or is no database.
    """
    try:
        with closing(_opened(path)) as connection:
            for kind, name in connection.execute("SELECT type, name FROM sqlite_master"):
                if kind != "table" or name not in record_types:
                    raise BadPayloadError(f"holds a {kind} {name!r}, which is none of its")
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise BadPayloadError(f"is no SQLite database that can be read: {error}") from error


def can_read(format_: str) -> bool:
    """Tell whether files of a format can be read here."""
    return format_ != "parquet" or find_spec("pyarrow") is not None


# The formats of a file that is read from its beginning to its end.
READERS: Final[Mapping[str, Reader]] = {
    "jsonl": read_json_lines,
    "json": read_json_array,
    "csv": read_csv,
    "parquet": read_parquet,
}


def same_record(one: Record, other: Record, *, canonical: bool = False) -> bool:
    """Tell whether two records hold the same fields in the same order with the same values.

    Args:
        one: A record.
        other: Another.
        canonical: Whether the form of RFC 8785 was between them, which sorts the fields and
            knows one kind of number.
    """
    if canonical:
        return one.keys() == other.keys() and all(
            value == other[name] and isinstance(value, bool) == isinstance(other[name], bool)
            for name, value in one.items()
        )
    return list(one) == list(other) and all(
        type(value) is type(other[name])
        and (value == other[name] if type(value) is not float else repr(value) == repr(other[name]))
        for name, value in one.items()
    )


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)


@contextmanager
def _told_of_parquet() -> Iterator[None]:
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        if isinstance(error, BadPayloadError):
            raise
        raise BadPayloadError(f"is no Parquet that can be read: {error}") from error


def _parquet_schema(file: IO[bytes]) -> Any:
    """Give the schema of Parquet, if it has such columns as are written here."""
    from pyarrow import parquet

    schema = parquet.ParquetFile(file).schema_arrow
    for field in schema:
        if str(field.type) not in _COLUMNS:
            raise BadPayloadError(f"has a column that no export writes: {field.name}, {field.type}")
    if RECORD_TYPE not in schema.names or len({*schema.names}) != len(schema.names):
        raise BadPayloadError(f"has no {RECORD_TYPE}, or two columns of one name")
    return schema


def _open_parquet(file: IO[bytes]) -> Any:
    """Open Parquet so that no text is held twice.

    One of megabytes takes few bytes in a file, and so does each further row that has it.
    """
    from pyarrow import parquet

    schema = _parquet_schema(file)
    texts = [field.name for field in schema if str(field.type) in ("binary", "string")]
    return parquet.ParquetFile(file, read_dictionary=texts)


def _values(column: Any) -> list[Any]:
    """Give the values of a column, of which rows share those that are long."""
    from pyarrow import compute, types

    if not types.is_dictionary(column.type):
        return list(column.to_pylist())
    longest = compute.max(compute.binary_length(column.dictionary)).as_py() or 0
    if longest * len(column) <= _MOST_TEXT:
        return list(column.dictionary_decode().to_pylist())
    distinct = column.dictionary.to_pylist()
    return [None if at is None else distinct[at] for at in column.indices.to_pylist()]


def _object(line: bytes, number: int) -> Record:
    try:
        record = json.loads(line, parse_constant=_no_constant, object_pairs_hook=_members)
    except (ValueError, RecursionError) as error:
        raise BadPayloadError(f"line {number} is no JSON: {error}") from error
    if not isinstance(record, dict) or not isinstance(record.get("record_type"), str):
        raise BadPayloadError(f"line {number} is no record")
    for name, value in record.items():
        if isinstance(value, dict):
            try:
                (kind, text), *more = value.items()
                if kind != "base64" or more:
                    raise ValueError(kind)
                record[name] = base64.b64decode(text, validate=True)
            except (ValueError, TypeError, binascii.Error) as error:
                raise BadPayloadError(f"line {number}: {name} is no value") from error
        elif isinstance(value, list):
            raise BadPayloadError(f"line {number}: {name} is no value")
    return record


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    # Readers differ in which of two they take.
    if len(members) != len(pairs):
        raise ValueError("a name is there twice")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _lines(file: IO[bytes]) -> Iterator[list[str]]:
    """Split lines into cells, each as it stands there; a line may hold line breaks in quotes."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
    try:
        parts: list[str] = []
        in_quotes = False
        number = 1
        for part in text:
            parts.append(part)
            in_quotes ^= part.count('"') % 2 == 1
            if in_quotes or not part.endswith("\r\n"):
                continue
            pending = "".join(parts)
            parts.clear()
            cells, at = [], 0
            while at < len(pending):
                found = _CELL.match(pending, at)
                if found is None or (found[2] == "\r\n") != (found.end() == len(pending)):
                    raise BadPayloadError(f"line {number} is no CSV")
                cells.append(found[1])
                at = found.end()
            yield cells
            number += 1
        if parts:
            raise BadPayloadError(f"line {number} has no end")
    except UnicodeDecodeError as error:
        raise BadPayloadError(f"line {number} is no UTF-8") from error
    finally:
        text.detach()


def _value(cell: str) -> Any:
    if cell.startswith('"'):
        return cell[1:-1].replace('""', '"')
    if cell in _WORDS:
        return _WORDS[cell]
    if _INTEGER.fullmatch(cell):
        return int(cell)
    value = float(cell)
    if repr(value) != cell:
        raise ValueError(f"{cell!r}, which is no number as it is written here")
    return value
