"""Records as Parquet, one file a record type: typed columns, dictionaries, compressed by zstd."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from landscape_compat.errors import OutputError
from landscape_compat.export.formats.compiled import CompiledEncoder, compile_encoder, plain_fix
from landscape_compat.export.output.files import FolderFiles, cannot_write, file_stem, needs_extra
from landscape_compat.export.records.values import (
    FIXES,
    RECORD_TYPE,
    RUN_ID,
    Field,
    Kind,
    RecordForm,
)
from landscape_compat.schema.types import type_class

__all__ = ["ParquetWriter", "require_parquet"]

# A row as Python's values takes several times what it takes in Arrow, and a group of rows is better
# large: rows become Arrow's soon, and go to the file late.
_ROWS_AS_VALUES: Final = 1_000
_ROWS_A_GROUP: Final = 20_000
_BYTES_HELD: Final = 16 << 20


def require_parquet() -> None:
    """Require what writes Parquet, so that its absence is told before any work.

    Raises:
        LandscapeCompatError: It is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise needs_extra("Parquet", "parquet") from error


class _Table:
    """The file of one record type, begun with its first group of rows."""

    def __init__(self, files: FolderFiles, form: RecordForm) -> None:
        import pyarrow

        self.rows: list[tuple[Any, ...]] = []
        self.held_rows = 0
        self.held_bytes = 0
        self._held: list[Any] = []
        self._files = files
        self._form = form
        self._file: Any = None
        self._writer: Any = None
        self._classes = _classes(form)
        self._schema = pyarrow.schema(
            [(name, _arrow_type(pyarrow, kind)) for name, kind in self._classes]
        )

    def pack(self) -> None:
        """Make Arrow's values of the rows, and hold them."""
        import pyarrow

        columns = zip(*self.rows, strict=True)
        arrays = [
            _array(pyarrow, self._form, name, kind, column)
            for (name, kind), column in zip(self._classes, columns, strict=True)
        ]
        packed = pyarrow.Table.from_arrays(arrays, schema=self._schema)
        self._held.append(packed)
        self.held_rows += packed.num_rows
        self.held_bytes += packed.nbytes
        self.rows.clear()

    def flush(self) -> None:
        """Write what is held as one group of rows."""
        import pyarrow
        from pyarrow import parquet

        if self._writer is None:
            kind = self._form.record_type
            self._file = self._files.adopt(f"{file_stem(kind)}.parquet", kind)
            with self._told():
                self._writer = parquet.ParquetWriter(
                    self._file.path, self._schema, compression="zstd", use_dictionary=True
                )
        with self._told():
            self._writer.write_table(pyarrow.concat_tables(self._held))
        self._file.records += self.held_rows
        self.held_rows = self.held_bytes = 0
        self._held.clear()

    def close(self) -> None:
        if self._writer is not None:
            with self._told():
                self._writer.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise cannot_write(self._file.path, error) from error


class ParquetWriter:
    """Writes the records of each type to a file of their own, in their order.

    Args:
        files: The folder's files.
    """

    def __init__(self, files: FolderFiles) -> None:
        require_parquet()
        self._files = files
        self._tables: dict[str, _Table] = {}

    def encoder(self, form: RecordForm) -> CompiledEncoder:
        """Give what makes of a row the table's row, and the table that it goes to."""
        table = self._tables.setdefault(form.record_type, _Table(self._files, form))

        def result(cells: Sequence[tuple[Field | None, str]]) -> str:
            values = [value for _, value in cells]
            if not cells or cells[0][0] is not None:
                values.insert(0, "None")
            return f"(table, ({form.record_type!r}, {', '.join([*values, ''])}))"

        return compile_encoder(
            form,
            result,
            names={"table": table, "fix_flag": FIXES[Kind.FLAG]},
            # Moments are made of texts column by column, which takes less time.
            fix=lambda field, value: plain_fix(field, value) if field.kind is Kind.FLAG else (),
        )

    def write(self, items: list[tuple[_Table, tuple[Any, ...]]]) -> None:
        """Write rows.

        Raises:
            OutputError: They cannot be written, or a value has no form in its column.
        """
        for table, row in items:
            table.rows.append(row)
            if len(table.rows) >= _ROWS_AS_VALUES:
                table.pack()
                if table.held_rows >= _ROWS_A_GROUP:
                    table.flush()
                self._make_room()

    def finish(self) -> None:
        """Write the last rows, and close the files.

        Raises:
            OutputError: They cannot be written.
        """
        for table in self._tables.values():
            if table.rows:
                table.pack()
            if table.held_rows:
                table.flush()
            table.close()

    def abandon(self) -> None:
        """Close the files as they are."""
        for table in self._tables.values():
            table.close()

    def _make_room(self) -> None:
        tables = self._tables.values()
        while sum(table.held_bytes for table in tables) > _BYTES_HELD:
            max(tables, key=lambda table: table.held_bytes).flush()


def _classes(form: RecordForm) -> list[tuple[str, str]]:
    """Name each column, and the class of its values."""
    run = _class(form.run) if form.run else "text"
    return [
        (RECORD_TYPE, "text"),
        (RUN_ID, run),
        *((field.name, _class(field)) for field in form.fields),
    ]


def _class(field: Field) -> str:
    if field.kind is Kind.TIME:
        return "moment" if field.type.endswith(("WITH TIME ZONE", "TIMESTAMPTZ")) else "time"
    if field.kind is Kind.FLAG or (not field.at and field.constant is True):
        return "flag"
    return type_class(field.type, "sqlite")


def _arrow_type(pyarrow: Any, kind: str) -> Any:
    types = {
        "integer": pyarrow.int64(),
        "number": pyarrow.float64(),
        "bytes": pyarrow.binary(),
        "time": pyarrow.timestamp("us"),
        "moment": pyarrow.timestamp("us", tz="UTC"),
        "flag": pyarrow.bool_(),
    }
    return types.get(kind, pyarrow.string())


def _array(pyarrow: Any, form: RecordForm, name: str, kind: str, values: Sequence[Any]) -> Any:
    from pyarrow import compute

    python = {
        "text": str,
        "integer": int,
        "number": float,
        "bytes": bytes,
        "flag": bool,
    }.get(kind, str)
    if kind == "time" and (times := _times_at_once(pyarrow, compute, values)) is not None:
        return times
    if kind in ("time", "moment"):
        zoned = kind == "moment"
        values = [None if v is None else _moment(form, name, v, zoned=zoned) for v in values]
    elif not {python, type(None)}.issuperset(map(type, values)):
        value = next(v for v in values if v is not None and type(v) is not python)
        raise _misfit(form, name, kind, value)
    try:
        array = pyarrow.array(values, type=_arrow_type(pyarrow, kind), from_pandas=False)
    except (pyarrow.ArrowException, UnicodeEncodeError, OverflowError) as error:
        raise OutputError(
            f"A stored value has no form in a column of {kind}: {error}.",
            table=form.record_type,
            column=name,
            remedy="Export as JSON lines.",
        ) from error
    if kind == "number" and compute.any(compute.is_nan(array)).as_py():
        raise _misfit(form, name, kind, math.nan)
    return array


def _times_at_once(pyarrow: Any, compute: Any, values: Sequence[Any]) -> Any | None:
    """Make times of texts, if every one is written as SQLAlchemy writes a time, and None if not."""
    try:
        texts = pyarrow.array(values, type=pyarrow.string(), from_pandas=False)
        times = texts.cast(pyarrow.timestamp("us"))
        # Arrow has a year 0, and Python has not.
        compute.min(times).as_py()
        return times if times.cast(pyarrow.string()).equals(texts) else None
    except (pyarrow.ArrowException, UnicodeEncodeError, TypeError, OverflowError):
        return None


def _moment(form: RecordForm, name: str, value: Any, *, zoned: bool) -> datetime:
    moment = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise _misfit(form, name, "time", value) from None
        if str(moment) != value.removesuffix(".000000"):
            raise _misfit(form, name, "time", value)
    if not isinstance(moment, datetime) or (moment.tzinfo is not None) != zoned:
        raise _misfit(form, name, "time", value)
    return moment


def _misfit(form: RecordForm, name: str, kind: str, value: Any) -> OutputError:
    return OutputError(
        f"The stored value {value!r} is not of the column's class ({kind}), so that a typed file "
        "would alter it or leave it out.",
        table=form.record_type,
        column=name,
        remedy="Export as JSON lines or as a SQLite database, where each value has its own class.",
    )
