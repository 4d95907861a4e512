"""The formats that records are written in, and what each writer of one can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from landscape_compat.export.csv_files import CsvWriter
from landscape_compat.export.files import FolderFiles
from landscape_compat.export.jsonl import JsonLinesWriter
from landscape_compat.export.values import RecordForm

__all__ = ["FORMATS", "Encoder", "RecordWriter", "Writers", "require_formats"]

# Makes of a row, and the run that it was reached from, what a writer writes.
Encoder: TypeAlias = Callable[[Sequence[Any], Any], Any]


class RecordWriter(Protocol):
    """What writes records to the files of a folder."""

    def encoder(self, form: RecordForm) -> Encoder:
        """Give what makes of a row what `write` takes.

        Args:
            form: How the rows of one table become records.
        """

    def write(self, item: Any) -> None:
        """Write what an encoder made."""

    def finish(self) -> None:
        """Write what is left to be written."""


FORMATS: Final[Mapping[str, Callable[[FolderFiles], RecordWriter]]] = {
    "jsonl": JsonLinesWriter,
    "csv": CsvWriter,
}


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
        return lambda row, run_id: [encode(row, run_id) for encode in encoders]

    def finish(self) -> None:
        """Write what is left to be written."""
        for writer in self._writers:
            writer.finish()

    def _write_all(self, items: Sequence[Any]) -> None:
        for writer, item in zip(self._writers, items, strict=True):
            writer.write(item)


def require_formats(names: Sequence[str]) -> tuple[str, ...]:
    """Check the names of formats, and drop what is named twice.

    Args:
        names: The names.

    Raises:
        ValueError: No such format is known, or none is named.
    """
    unknown = sorted(set(names) - FORMATS.keys())
    if unknown or not names:
        raise ValueError(f"Formats are some of {', '.join(FORMATS)}, not {', '.join(unknown)}.")
    return tuple(dict.fromkeys(names))
