"""Records on one stream, or in one file, without a bag around them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

from landscape_compat.export.bag.witness import require_unchanged, state_of_source
from landscape_compat.export.formats.jsonl import JsonArrayWriter, JsonLinesWriter
from landscape_compat.export.formats.readback import BadPayloadError
from landscape_compat.export.formats.writers import Format
from landscape_compat.export.output.files import StreamFiles, WrittenFile
from landscape_compat.export.output.placing import made_beside
from landscape_compat.export.output.watching import Watch
from landscape_compat.export.records.additions import AbsentMode
from landscape_compat.export.records.selection import Selection
from landscape_compat.export.records.stream import (
    Order,
    RecordStream,
    count_records,
    export_selection,
)
from landscape_compat.export.verify.payload import decompressed
from landscape_compat.landscape.database import Landscape

__all__ = ["format_of_file", "write_file", "write_records"]

_WRITERS: Final[Mapping[str, type[JsonLinesWriter | JsonArrayWriter]]] = {
    "jsonl": JsonLinesWriter,
    "json": JsonArrayWriter,
}
_FILE = re.compile(r".\.(jsonl|json)(?:\.(gz|zst))?")
_BEGINNINGS: Final = (b'{"record_type":', b'[\n{"record_type":', b"[\n]")


def format_of_file(place: str | os.PathLike[str]) -> Format | None:
    """Tell by its name what a single file of records holds; None if it is the name of a bag.

    Args:
        place: The file, as `audit.jsonl` or `audit.jsonl.gz`.
    """
    found = _FILE.search(name := Path(place).name.lower())
    return Format(found[1], found[2]) if found and found.end() == len(name) else None


def write_records(
    db: Landscape,
    stream: BinaryIO,
    *,
    selection: Selection,
    format_: str = "jsonl",
    order: Order = "host",
    absent: AbsentMode = "omit",
    filled: bool = False,
) -> None:
    """Write the records of a database to a stream that is open already, as they come.

    Args:
        db: The database.
        stream: A binary stream, as `sys.stdout.buffer`.
        selection: Which records.
        format_: `jsonl` or `json`.
        order: `host`, or `table`: table by table, as fast as a table can be read.
        absent: What stands for a column that is declared and not stored.
        filled: Whether values that rules give are shown too.

    Raises:
        RunNotFoundError: The database holds no such run.
        OutputError: A value has no form in JSON.
        OSError: The stream cannot be written to; a closed pipe is a `BrokenPipeError`.
    """
    writer = _WRITERS[format_](StreamFiles(stream))
    records = export_selection(
        db, selection, order=order, absent=absent, filled=filled, make_of=writer.encoder
    )
    _write(records, writer, None, None)
    stream.flush()


def write_file(
    db: Landscape,
    place: str | os.PathLike[str],
    *,
    selection: Selection,
    order: Order = "host",
    absent: AbsentMode = "omit",
    filled: bool = False,
    force: bool = False,
    watch: Watch | None = None,
) -> Mapping[str, int]:
    """Write the records of a database to one file, in the format that its name ends with.

    It is written beside its place under another name, and renamed when it is complete.

    Args:
        db: The database.
        place: The file: `.jsonl` or `.json`, with `.gz` or `.zst` behind if it is to be
            compressed.
        selection: Which records.
        order: `host`, or `table`: table by table, as fast as a table can be read.
        absent: What stands for a column that is declared and not stored.
        filled: Whether values that rules give are shown too.
        force: Whether to replace an earlier export in that place; nothing else is replaced.
        watch: Given what is written for the records, a list at a time, and how many records
            there will be (None where that would have to be found out); gives the lists on.

    Returns:
        How many records there are, by type.

    Raises:
        RunNotFoundError: The database holds no such run.
        OutputError: The place is taken, or cannot be written to, or a value has no form in JSON.
        SourceChangedError: The database changed meanwhile; nothing is left of the export.
        ValueError: The name ends otherwise.
    """
    format_ = format_of_file(place)
    if format_ is None:
        raise ValueError(f"{os.fspath(place)!r} does not say which format to write.")
    final = Path(os.path.abspath(place))  # noqa: PTH100 - resolve() would follow a symlink there

    def is_ours(path: Path) -> bool:
        return _is_export(path, format_)

    what = "an earlier export"
    with made_beside(final, force=force, is_ours=is_ours, what=what) as partial:
        before = state_of_source(db)
        file = WrittenFile(partial, compression=format_.compression)
        try:
            writer = _WRITERS[format_.name](StreamFiles(file))
            records = export_selection(
                db, selection, order=order, absent=absent, filled=filled, make_of=writer.encoder
            )
            _write(records, writer, watch, count_records(db, selection) if watch else None)
        finally:
            file.close()
        require_unchanged(before, state_of_source(db))
    return records.counts


def _write(
    records: RecordStream[bytes],
    writer: JsonLinesWriter | JsonArrayWriter,
    watch: Watch | None,
    total: int | None,
) -> None:
    try:
        lists = records.lists()
        for items in watch(lists, total) if watch else lists:
            writer.write(items)
        writer.finish()
    finally:
        records.close()


def _is_export(path: Path, format_: Format) -> bool:
    """Tell whether what is in a place looks like records in this format."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        with path.open("rb") as file, decompressed(file, format_.compression) as plain:
            return plain.read(max(map(len, _BEGINNINGS))).startswith((*_BEGINNINGS,))
    except (OSError, EOFError, ValueError, ImportError, BadPayloadError):
        return False
