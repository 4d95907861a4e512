"""One database's part of a bag: its records and schema files, and what the statement says of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from landscape_compat.engine.notices import emit
from landscape_compat.errors import UnreadableError
from landscape_compat.export.bag.bag import DATA, PAGES
from landscape_compat.export.bag.contents import (
    contents_of,
    name_of_source,
    schema_file,
    told_of_source,
)
from landscape_compat.export.bag.witness import require_unchanged, state_of_source
from landscape_compat.export.formats.writers import Format, RecordWriter, Writers
from landscape_compat.export.output.files import ALL_RECORDS, FolderFiles, WrittenFile, file_stem
from landscape_compat.export.output.watching import Watch
from landscape_compat.export.records.additions import AbsentMode
from landscape_compat.export.records.selection import Selection
from landscape_compat.export.records.source import MakeOf
from landscape_compat.export.records.stream import (
    Order,
    RecordStream,
    count_records,
    export_selection,
)
from landscape_compat.export.signing.signing import SignedLinesWriter, SigningKey
from landscape_compat.landscape.database import Landscape

__all__ = ["Part", "Wanted", "write_part"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of each database.

    Args:
        formats: The formats to write.
        selection: Which records.
        order: In which order.
        absent: What stands for a column that is declared and not stored.
        filled: Whether values that rules give are shown too.
        page: Whether to draw the page of HTML about it.
        signer: The key to sign each record by, if they are to be signed.
    """

    formats: tuple[Format, ...]
    selection: Selection
    order: Order
    absent: AbsentMode
    filled: bool
    page: bool
    signer: SigningKey | None

    def of(self, db: Landscape, make_of: MakeOf) -> RecordStream[Any]:
        """Give the wanted records of a database.

        Args:
            db: The database.
            make_of: Gives what makes a record of a row and its run, for each form.
        """
        return export_selection(
            db,
            self.selection,
            order=self.order,
            absent=self.absent,
            filled=self.filled,
            make_of=make_of,
        )

    def writer(self, format_: Format, files: FolderFiles) -> RecordWriter:
        """Make a writer.

        Args:
            format_: The format.
            files: What makes its files.
        """
        if self.signer is None or format_.name != "jsonl":
            return format_.writer(files)
        return SignedLinesWriter(
            files,
            self.signer,
            exported_at=datetime.now(UTC).isoformat(),
            whole_runs=not self.selection.tables,
        )

    def to_dict(self) -> dict[str, Any]:
        """Say it as plain JSON values, but for the formats and the key."""
        return {
            "selection": self.selection.to_dict(),
            "order": self.order,
            "absent": self.absent,
            "filled": self.filled,
        }


@dataclass(frozen=True, slots=True)
class Part:
    """What was written of one database; it holds nothing open, so that it can be sent.

    Args:
        records: How many records there are, by type.
        source: What the statement says of the database.
        payload: What the statement says of each file, but for the number of the database.
        pages: The page about it, by its name within the bag, unless it was left out.
    """

    records: Mapping[str, int]
    source: Mapping[str, Any]
    payload: tuple[Mapping[str, Any], ...]
    pages: Mapping[str, bytes] = field(default_factory=dict)


def write_part(
    db: Landscape, bag: Path, below: PurePosixPath, wanted: Wanted, watch: Watch | None = None
) -> Part:
    """Write a database's records to a folder of a bag.

    Args:
        db: The database.
        bag: The folder of the bag.
        below: The folder within it, which is made.
        wanted: What is wanted.
        watch: Looks on.

    Raises:
        OutputError: A file cannot be written, or a value has no form in it.
        SourceChangedError: The database changed meanwhile.
        UnreadableError: A value cannot be given faithfully, or the database is damaged.
    """
    folder = bag / below
    folder.mkdir(parents=True)
    before = state_of_source(db)
    report = db.report()
    with ExitStack() as open_files:
        files = [
            open_files.enter_context(FolderFiles(folder, format_.compression))
            for format_ in wanted.formats
        ]
        writers = Writers(
            [
                wanted.writer(format_, made)
                for format_, made in zip(wanted.formats, files, strict=True)
            ]
        )
        open_files.callback(writers.abandon)
        stream = wanted.of(db, writers.encoder)
        open_files.callback(stream.close)
        write = writers.write
        for items in _watched(stream, db, wanted, watch):
            write(items)
        writers.finish()
    pages = {}
    if wanted.page:
        name = "page" if below.name == DATA else below.name
        pages = _draw(db, f"{PAGES}/{name}.html", wanted.selection, before.digests)
    after = state_of_source(db)
    require_unchanged(before, after)
    tables = [table.to_dict() for table in contents_of(report, stream.sources)]
    source = {
        **told_of_source(db, report, before, after),
        "place": below.as_posix(),
        "tables": tables,
    }
    payload = [
        told
        for format_, made in zip(wanted.formats, files, strict=True)
        for told in _told(bag, format_.name, made)
    ]
    with FolderFiles(folder) as schemas:
        for kind in dict.fromkeys(file.record_type for made in files for file in made):
            stem = ALL_RECORDS if kind is None else file_stem(kind)
            schemas.open(f"{stem}.schema.json", kind).write(schema_file(tables, kind))
    payload += _told(bag, "schema", schemas)
    return Part(stream.counts, source, tuple(payload), pages)


def _watched(
    stream: RecordStream[Any], db: Landscape, wanted: Wanted, watch: Watch | None
) -> Iterator[list[Any]]:
    if watch is None:
        return stream.lists()
    return watch(stream.lists(), count_records(db, wanted.selection))


def _draw(
    db: Landscape, name: str, selection: Selection, digests: Mapping[str, str]
) -> dict[str, bytes]:
    """Draw the page about a database; it is left out where a value has not its type's form.

    The records give every value as it is stored, so the export is whole without the page.
    """
    # What draws it takes a tenth of a second to import, and not every bag has one.
    from landscape_compat.export.page import make_page

    try:
        page = make_page(db, run_id=next(iter(selection.run_ids), None), digests=digests)
    except UnreadableError as error:
        emit("page_omitted", database=name_of_source(db), reason=error.reason)
        return {}
    return {name: page.encode()}


def _told(bag: Path, format_: str, files: Iterable[WrittenFile]) -> Iterator[dict[str, Any]]:
    for file in files:
        yield {
            "name": file.path.relative_to(bag).as_posix(),
            "format": format_,
            "compression": file.compression,
            "record_type": file.record_type,
            "records": file.records,
            "bytes": file.size,
            "sha256": file.sha256,
        }
