"""An export as a folder: records and a report, complete or not there at all."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from landscape_compat.errors import OutputError, printable
from landscape_compat.export.csv_files import CsvWriter
from landscape_compat.export.files import FolderFiles, cannot_write
from landscape_compat.export.jsonl import JsonLinesWriter
from landscape_compat.export.values import RECORD_TYPE, Record

__all__ = ["FORMATS", "ExportedFolder", "RecordWriter", "write_folder"]

_REPORT = "report.json"


class RecordWriter(Protocol):
    """What writes records to the files of a folder."""

    def write(self, record: Record) -> None:
        """Write a record."""


FORMATS: Mapping[str, Callable[[FolderFiles], RecordWriter]] = {
    "jsonl": JsonLinesWriter,
    "csv": CsvWriter,
}


@dataclass(frozen=True, slots=True)
class ExportedFolder:
    """What was written.

    Args:
        path: The folder.
        records: How many records there are, by type.
        report: What its `report.json` says.
    """

    path: Path
    records: Mapping[str, int]
    report: Mapping[str, Any]


def write_folder(
    records: Iterable[Record],
    folder: str | os.PathLike[str],
    *,
    formats: Sequence[str] = ("jsonl",),
    report: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None,
    force: bool = False,
) -> ExportedFolder:
    """Write records, and a report beside them, to a folder.

    All is written beside the folder's place under another name, and renamed when complete: a
    partial export never looks like a whole one, and none is left behind.

    Args:
        records: The records; read once.
        folder: The folder to make. What it is in must exist.
        formats: The forms to write, of `FORMATS`.
        report: What the report says; or what makes it, called when all records are written.
            How many records there are, and each file's digest, are added under `export`.
        force: Whether to replace an earlier export in that place; nothing else is replaced.

    Raises:
        OutputError: The place is taken, or cannot be written to, or a value cannot be written.
        ValueError: No such format is known.
    """
    unknown = sorted(set(formats) - FORMATS.keys())
    if unknown or not formats:
        raise ValueError(f"Formats are some of {', '.join(FORMATS)}, not {', '.join(unknown)}.")
    final = Path(folder).absolute()
    _check_place(final, force=force)
    counts: Counter[str] = Counter()
    with _beside(final, force=force) as partial:
        with FolderFiles(partial) as files:
            writers = [FORMATS[name](files) for name in dict.fromkeys(formats)]
            for record in records:
                counts[record[RECORD_TYPE]] += 1
                for writer in writers:
                    writer.write(record)
        said = dict(report() if callable(report) else report or {})
        said["export"] = {
            "records": dict(counts),
            "files": [
                {
                    "name": file.path.name,
                    "records": file.records,
                    "bytes": file.size,
                    "sha256": file.sha256,
                }
                for file in files
            ],
        }
        with FolderFiles(partial) as own:
            text = json.dumps(said, ensure_ascii=False, indent=2, allow_nan=False)
            own.open(_REPORT).write(text.encode() + b"\n")
    return ExportedFolder(final, dict(counts), said)


def _check_place(final: Path, *, force: bool) -> None:
    if not os.path.lexists(final):
        return
    if not force:
        raise OutputError(
            f"{printable(final)} exists already, and was left as it is.",
            remedy="Give another place, or say that an export there may be replaced.",
        )
    if final.is_symlink() or not final.is_dir() or not (_is_export(final) or _is_empty(final)):
        raise OutputError(
            f"{printable(final)} is no earlier export, so it was not replaced.",
            remedy="Give another place, or move away what is there.",
        )


def _is_export(folder: Path) -> bool:
    try:
        with (folder / _REPORT).open(encoding="utf-8") as file:
            return "export" in json.load(file)
    except (OSError, ValueError, TypeError):
        return False


def _is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


@contextmanager
def _beside(final: Path, *, force: bool) -> Iterator[Path]:
    """Make a folder beside a place, and move it there if all goes well, and remove it if not."""
    mark = secrets.token_hex(4)
    partial = final.with_name(f".{final.name}.partial-{mark}")
    try:
        partial.mkdir()
    except OSError as error:
        raise cannot_write(final, error) from error
    try:
        yield partial
        _move(partial, final, mark, force=force)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _move(partial: Path, final: Path, mark: str, *, force: bool) -> None:
    _check_place(final, force=force)
    former = final.with_name(f".{final.name}.former-{mark}")
    replaced = False
    try:
        if os.path.lexists(final):
            final.rename(former)
            replaced = True
        partial.rename(final)
    except OSError as error:
        if replaced:
            former.rename(final)
        raise cannot_write(final, error) from error
    if replaced:
        shutil.rmtree(former, ignore_errors=True)
