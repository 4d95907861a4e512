"""The formats that records are written in, and what each writer of one can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Protocol, TypeAlias

from landscape_compat.export.output.files import COMPRESSIONS, FolderFiles
from landscape_compat.export.records.values import RecordForm

__all__ = ["FORMATS", "Encoder", "Format", "RecordWriter", "Writers", "formats_of"]

# Makes of a row, and the run that it was reached from, what a writer writes.
Encoder: TypeAlias = Callable[[Sequence[Any], Any], Any]


class RecordWriter(Protocol):
    """What writes records to the files of a folder."""

    def encoder(self, form: RecordForm) -> Encoder:
        """Give what makes of a row what `write` takes.

        Args:
            form: How the rows of one table become records.
        """

    def write(self, items: list[Any]) -> None:
        """Write what encoders made, in this order."""

    def finish(self) -> None:
        """Write what is left to be written."""


_WRITERS: Final[Mapping[str, str]] = {
    "jsonl": "jsonl.JsonLinesWriter",
    "json": "jsonl.JsonArrayWriter",
    "csv": "csv_files.CsvWriter",
    "parquet": "parquet.ParquetWriter",
    "sqlite": "sqlite_file.SqliteWriter",
}
FORMATS: Final = tuple(_WRITERS)
# What these write is compressed by itself, or is read from any place in it.
_NOT_COMPRESSED: Final = frozenset({"parquet", "sqlite"})


@dataclass(frozen=True, slots=True)
class Format:
    """A format, and what its files are compressed by.

    Args:
        name: One of `FORMATS`.
        compression: One of `COMPRESSIONS`; None if they are not compressed.
    """

    name: str
    compression: str | None = None

    def __str__(self) -> str:
        return f"{self.name}.{self.compression}" if self.compression else self.name

    def writer(self, files: FolderFiles) -> RecordWriter:
        """Make a writer.

        Args:
            files: What makes its files, compressed as this format says.

        Raises:
            LandscapeCompatError: A package that it needs is not installed.
        """
        module, _, name = _WRITERS[self.name].partition(".")
        made = getattr(import_module(f"landscape_compat.export.formats.{module}"), name)(files)
        writer: RecordWriter = made
        return writer


def formats_of(names: Sequence[str]) -> tuple[Format, ...]:
    """Find formats by their names, and drop what is named twice.

    Args:
        names: Names, each with its compression behind it if there is one: `jsonl`, `csv.gz`.

    Raises:
        ValueError: No such format is known, it cannot be compressed so, or none is named.
    """
    found = []
    for text in names:
        name, dot, compression = text.partition(".")
        if name not in FORMATS:
            raise ValueError(f"Formats are some of {', '.join(FORMATS)}, not {text}.")
        if dot and (compression not in COMPRESSIONS or name in _NOT_COMPRESSED):
            raise ValueError(f"{name} is not compressed by {compression or 'nothing'}.")
        found.append(Format(name, compression or None))
    if not found:
        raise ValueError(f"Formats are some of {', '.join(FORMATS)}; none is named.")
    if len({format_.name for format_ in found}) < len(set(found)):
        raise ValueError("A format is wanted twice, compressed in two ways.")
    return tuple(dict.fromkeys(found))


class Writers:
    """Several writers of the same records.

    Args:
        writers: At least one.
    """

    def __init__(self, writers: Sequence[RecordWriter]) -> None:
        self._writers = writers
        # One alone needs no list around what it writes.
        self.write = writers[0].write if len(writers) == 1 else self._write_all

    def encoder(self, form: RecordForm) -> Encoder:
        """Give what makes of a row what `write` takes."""
        encoders = [writer.encoder(form) for writer in self._writers]
        if len(encoders) == 1:
            return encoders[0]
        return lambda row, run_id: tuple([encode(row, run_id) for encode in encoders])

    def finish(self) -> None:
        """Write what is left to be written."""
        for writer in self._writers:
            writer.finish()

    def abandon(self) -> None:
        """Let go of what a writer holds open, where an export ends before its end."""
        for writer in self._writers:
            if abandon := getattr(writer, "abandon", None):
                abandon()

    def _write_all(self, items: list[Any]) -> None:
        for writer, own in zip(self._writers, zip(*items, strict=True), strict=True):
            writer.write(list(own))
