"""The files of a folder that is being written: each with its size, its digest and its records."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol
from urllib.parse import quote

from landscape_compat.errors import LandscapeCompatError, OutputError, printable

__all__ = [
    "ALL_RECORDS",
    "COMPRESSIONS",
    "Files",
    "FolderFiles",
    "RecordFile",
    "StreamFiles",
    "WrittenFile",
    "cannot_write",
    "file_stem",
    "needs_extra",
    "shortened",
]

# What the name of a file that holds records of every type begins with.
ALL_RECORDS: Final = "records"
COMPRESSIONS: Final = ("gz", "zst")
_BUFFER: Final = 1 << 20
_LONGEST_NAME: Final = 150


class RecordFile(Protocol):
    """What records are written to."""

    def write(self, data: bytes, records: int = 0) -> None:
        """Write bytes that hold so many records."""


class Files(Protocol):
    """What makes the files that a writer writes."""

    def open(self, name: str, record_type: str | None = None) -> RecordFile:
        """Begin a file of this name, for records of one type or of all."""


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


def cannot_write(path: object, error: OSError) -> OutputError:
    """Make the error that says that a path cannot be written.

    Args:
        path: The path, or what else a place is called.
        error: What the system said.
    """
    return OutputError(
        f"{printable(path)} cannot be written: {error.strerror or error}.",
        remedy="Check that its folder exists, that you may write there and that there is room.",
    )


def needs_extra(what: str, extra: str) -> LandscapeCompatError:
    """Make the error that says that something needs a package that is not installed.

    Args:
        what: What needs it.
        extra: The extra of this package that brings it.
    """
    return LandscapeCompatError(
        f"{what} needs a package that is not installed.",
        remedy=f"Install it: pip install 'landscape-compat[{extra}]'.",
    )


class WrittenFile:
    """One file, digested as it is written.

    Args:
        path: Where to write it; must not exist.
        record_type: The one type of its records; None if it holds all.
        compression: What it is compressed by, one of `COMPRESSIONS`; not at all if not given.

    Attributes:
        size: How many bytes were written to the disk.
        records: How many records they hold.

    Raises:
        OutputError: It cannot be written.
    """

    def __init__(
        self, path: Path, record_type: str | None = None, compression: str | None = None
    ) -> None:
        self.path = path
        self.record_type = record_type
        self.compression = compression
        self.size = 0
        self.records = 0
        self._compressor = _compressor(compression)
        self._digest = hashlib.sha256()
        try:
            self._file = path.open("xb", buffering=_BUFFER)
        except OSError as error:
            raise cannot_write(path, error) from error

    @property
    def sha256(self) -> str:
        """Give the digest of what is on the disk."""
        return self._digest.hexdigest()

    def write(self, data: bytes, records: int = 0) -> None:
        """Write bytes that hold so many records.

        Raises:
            OutputError: They cannot be written.
        """
        self.records += records
        self._write(self._compressor.compress(data) if self._compressor else data)

    def close(self) -> None:
        """Write out what is buffered, down to the disk, and close the file.

        Raises:
            OutputError: It cannot be written.
        """
        try:
            with self._file:
                if self._compressor:
                    self._write(self._compressor.flush())
                self._file.flush()
                # A file that is renamed before its bytes are safe may be empty after a crash.
                os.fsync(self._file.fileno())
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self._digest.update(data)
        self.size += len(data)


class AdoptedFile(WrittenFile):
    """One file that somebody else writes, digested when it is closed."""

    def __init__(self, path: Path, record_type: str | None = None) -> None:
        super().__init__(path, record_type)
        self._file.close()

    def close(self) -> None:
        """Digest what was written, when it is safe on the disk.

        Raises:
            OutputError: It cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                os.fsync(file.fileno())
                while chunk := file.read(_BUFFER):
                    self._digest.update(chunk)
                    self.size += len(chunk)
        except OSError as error:
            raise cannot_write(self.path, error) from error


class FolderFiles:
    """The files of one folder, closed together.

    Args:
        folder: The folder.
        compression: What they are compressed by; not at all if not given.
    """

    def __init__(self, folder: Path, compression: str | None = None) -> None:
        self._folder = folder
        self._compression = compression
        self._files: list[WrittenFile] = []

    def __iter__(self) -> Iterator[WrittenFile]:
        return iter(self._files)

    def open(self, name: str, record_type: str | None = None) -> WrittenFile:
        """Begin a file.

        Args:
            name: Its name in the folder, without what tells the compression.
            record_type: The one type of its records; None if it holds all.

        Raises:
            OutputError: It cannot be written.
        """
        if self._compression:
            name = f"{name}.{self._compression}"
        file = WrittenFile(self._folder / name, record_type, self._compression)
        self._files.append(file)
        return file

    def adopt(self, name: str, record_type: str | None = None) -> AdoptedFile:
        """Make an empty file that somebody else writes to.

        Args:
            name: Its name in the folder.
            record_type: The one type of its records; None if it holds all.

        Raises:
            OutputError: It cannot be made.
        """
        file = AdoptedFile(self._folder / name, record_type)
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


class _Stream(Protocol):
    def write(self, data: bytes, /) -> object: ...


class StreamFiles:
    """What is open already, as the one file that a writer writes.

    Args:
        stream: A binary stream, or a file.
    """

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream

    def open(self, name: str, record_type: str | None = None) -> StreamFiles:
        """Give the stream itself."""
        return self

    def write(self, data: bytes, records: int = 0) -> None:
        """Write bytes.

        Raises:
            OSError: They cannot be written; a closed pipe is a `BrokenPipeError`.
        """
        self._stream.write(data)


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
    # An equals sign alone is no name's: in a quoted name, digits follow it.
    return shortened(name, record_type) or "="


def shortened(name: str, of: str) -> str:
    """Give a name that every file system has room for.

    Args:
        name: The name, in ASCII.
        of: What it was made of; where it is too long, a digest of that stands for its end.
    """
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]}-{hashlib.sha256(of.encode()).hexdigest()[:16]}"


def _compressor(compression: str | None) -> _Compressor | None:
    if compression is None:
        return None
    if compression == "gz":
        # Without a time in its head, so that the same records give the same bytes.
        return zlib.compressobj(6, zlib.DEFLATED, 31)
    try:
        import zstandard
    except ImportError as error:
        raise needs_extra("Compression by zstd", "zstd") from error
    compressor: _Compressor = zstandard.ZstdCompressor(level=3).compressobj()
    return compressor
