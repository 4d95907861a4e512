"""Records on one stream, without a bag around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, Final

from landscape_compat.export.additions import AbsentMode
from landscape_compat.export.files import StreamFiles
from landscape_compat.export.jsonl import JsonArrayWriter, JsonLinesWriter
from landscape_compat.export.selection import Selection
from landscape_compat.export.stream import Order, export_selection
from landscape_compat.landscape.database import Landscape

__all__ = ["write_records"]

_WRITERS: Final[Mapping[str, type[JsonLinesWriter | JsonArrayWriter]]] = {
    "jsonl": JsonLinesWriter,
    "json": JsonArrayWriter,
}


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
    try:
        for items in records.lists():
            writer.write(items)
        writer.finish()
        stream.flush()
    finally:
        records.close()
