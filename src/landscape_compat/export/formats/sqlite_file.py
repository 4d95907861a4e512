"""Records as a SQLite database: a table for each type, every value as it is in the record."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from landscape_compat.errors import OutputError
from landscape_compat.export.formats.compiled import (
    PLAIN_NAMES,
    CompiledEncoder,
    compile_encoder,
    plain_fix,
)
from landscape_compat.export.output.files import ALL_RECORDS, FolderFiles
from landscape_compat.export.records.values import RECORD_TYPE, RUN_ID, Field, RecordForm, no_utf8
from landscape_compat.schema.shape import quote_name

__all__ = ["SqliteWriter"]

_ROWS: Final = 500


class _Table:
    """One table, with the rows that are not inserted yet."""

    def __init__(self, connection: sqlite3.Connection, form: RecordForm) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self._connection = connection
        self._form = form
        self._name = quote_name(form.record_type)
        names = [RECORD_TYPE, RUN_ID, *(field.name for field in form.fields)]
        self._values = ", ".join("?" * len(names))
        columns = ", ".join(map(quote_name, names))
        try:
            connection.execute(f"CREATE TABLE {self._name} ({columns})")
        except sqlite3.OperationalError as error:
            raise OutputError(
                f"SQLite cannot hold a table of these records: {error}.",
                table=form.record_type,
                remedy="Export as JSON lines.",
            ) from error

    def flush(self) -> None:
        try:
            self._connection.executemany(
                f"INSERT INTO {self._name} VALUES ({self._values})", self.rows
            )
        except UnicodeEncodeError as error:
            raise no_utf8({RECORD_TYPE: self._form.record_type}) from error
        except (sqlite3.ProgrammingError, sqlite3.InterfaceError) as error:
            # The second is Python 3.11's.
            raise OutputError(
                f"A value has no form in SQLite: {error}.",
                table=self._form.record_type,
                remedy="Leave its table out (--table), or give the column another type in a copy "
                "of the database.",
            ) from error
        except OverflowError as error:
            raise OutputError(
                "A stored number is too large for SQLite, which would round it.",
                table=self._form.record_type,
                remedy="Export as JSON lines.",
            ) from error
        self.rows.clear()


class SqliteWriter:
    """Writes all records to one database.

    The columns have no type, so that each value keeps the class that it has in the record.

    Args:
        files: The folder's files.
    """

    def __init__(self, files: FolderFiles) -> None:
        self._file = files.adopt(f"{ALL_RECORDS}.sqlite")
        self._connection = sqlite3.connect(self._file.path, isolation_level=None)
        # A crash leaves nothing behind but what is removed as a whole.
        for pragma in ("page_size = 8192", "journal_mode = OFF", "synchronous = OFF"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("BEGIN")
        self._tables: dict[str, _Table] = {}

    def encoder(self, form: RecordForm) -> CompiledEncoder:
        """Give what makes of a row the table's row, and the table that it goes to."""
        table = self._tables[form.record_type] = _Table(self._connection, form)

        def result(cells: Sequence[tuple[Field | None, str]]) -> str:
            values = [value for _, value in cells]
            if not cells or cells[0][0] is not None:
                values.insert(0, "None")
            return f"(table, ({form.record_type!r}, {', '.join([*values, ''])}))"

        names = {**PLAIN_NAMES, "table": table}
        return compile_encoder(form, result, names=names, fix=plain_fix)

    def write(self, items: list[tuple[_Table, tuple[Any, ...]]]) -> None:
        """Write rows.

        Raises:
            OutputError: They cannot be written.
        """
        self._file.records += len(items)
        for table, row in items:
            table.rows.append(row)
            if len(table.rows) >= _ROWS:
                self._flush(table)

    def finish(self) -> None:
        """Write the last rows, and close the database.

        Raises:
            OutputError: They cannot be written.
        """
        for table in self._tables.values():
            self._flush(table)
        self._execute("COMMIT")
        self._connection.close()

    def abandon(self) -> None:
        """Close the database as it is."""
        with suppress(sqlite3.Error):
            self._connection.close()

    def _flush(self, table: _Table) -> None:
        try:
            table.flush()
        except sqlite3.OperationalError as error:
            raise self._cannot_write(error) from error

    def _execute(self, statement: str) -> None:
        try:
            self._connection.execute(statement)
        except sqlite3.OperationalError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: sqlite3.Error) -> OutputError:
        return OutputError(
            f"{self._file.path.name} cannot be written: {error}.",
            remedy="Check that there is room for it.",
        )
