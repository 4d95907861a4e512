"""The files of a folder that is being written: each with its size, its digest and its records."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final
from urllib.parse import quote

from landscape_compat.errors import OutputError, printable

__all__ = ["ALL_RECORDS", "FolderFiles", "WrittenFile", "cannot_write", "file_stem"]

# What the name of a file that holds records of every type begins with.
ALL_RECORDS: Final = "records"

_BUFFER = 1 << 20
_LONGEST_NAME = 150


def cannot_write(path: Path, error: OSError) -> OutputError:
    """Make the error that says that a path cannot be written.

    Args:
        path: The path.
        error: What the system said.
    """
    return OutputError(
        f"{printable(path)} cannot be written: {error.strerror or error}.",
        remedy="Check that its folder exists, that you may write there and that there is room.",
    )


class WrittenFile:
    """One file, digested as it is written.

    Args:
        path: Where to write it; must not exist.
        record_type: The one type of its records; None if it holds all.

    Attributes:
        size: How many bytes were written.
        records: How many records they hold.

    Raises:
        OutputError: It cannot be written.
    """

    def __init__(self, path: Path, record_type: str | None = None) -> None:
        self.path = path
        self.record_type = record_type
        self.size = 0
        self.records = 0
        self._digest = hashlib.sha256()
        try:
            self._file = path.open("xb", buffering=_BUFFER)
        except OSError as error:
            raise cannot_write(path, error) from error

    @property
    def sha256(self) -> str:
        """Give the digest of what was written."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Write bytes that are no record.

        Raises:
            OutputError: They cannot be written.
        """
        try:
            self._file.write(data)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self._digest.update(data)
        self.size += len(data)

    def write_record(self, data: bytes) -> None:
        """Write the bytes of one record.

        Raises:
            OutputError: They cannot be written.
        """
        self.write(data)
        self.records += 1

    def close(self) -> None:
        """Write out what is buffered, down to the disk, and close the file.

        Raises:
            OutputError: It cannot be written.
        """
        try:
            with self._file:
                self._file.flush()
                # A file that is renamed before its bytes are safe may be empty after a crash.
                os.fsync(self._file.fileno())
        except OSError as error:
            raise cannot_write(self.path, error) from error


class FolderFiles:
    """The files of one folder, closed together.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[WrittenFile] = []

    def __iter__(self) -> Iterator[WrittenFile]:
        return iter(self._files)

    def open(self, name: str, record_type: str | None = None) -> WrittenFile:
        """Begin a file.

        Args:
            name: Its name in the folder.
            record_type: The one type of its records; None if it holds all.

        Raises:
            OutputError: It cannot be written.
        """
        file = WrittenFile(self._folder / name, record_type)
        self._files.append(file)
        return file

    def __enter__(self) -> FolderFiles:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        failed = None
        for file in self._files:
            try:
                file.close()
            except OutputError as own:
                failed = failed or own
        # What went wrong first is what is told.
        if failed and error is None:
            raise failed


def file_stem(record_type: str) -> str:
    """Name the file of a record type, which may be a table's name and hold anything.

    No name holds a percent sign, which a manifest of BagIt would have to write otherwise than
    `sha256sum` reads it.

    Args:
        record_type: The record type.
    """
    # Quoting leaves no equals sign in a name, so that it can stand for the percent sign.
    name = quote(record_type, safe="").replace("%", "=")
    if name.startswith(".") or name == ALL_RECORDS:
        name = f"={ord(name[0]):02X}{name[1:]}"
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(record_type.encode()).hexdigest()
        name = f"{name[:_LONGEST_NAME]}-{digest[:16]}"
    # An equals sign alone is no name's: in a quoted name, digits follow it.
    return name or "="
