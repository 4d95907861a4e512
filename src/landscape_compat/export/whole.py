"""A whole export: the records of databases in a bag, with the statement that explains them."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from landscape_compat.engine.notices import emit
from landscape_compat.errors import OutputError, UnreadableError, printable
from landscape_compat.export.additions import AbsentMode
from landscape_compat.export.bag import BAG_INFO, DATA, PAGES, STATEMENT, bag_info, seal_bag
from landscape_compat.export.bag_files import UNREADABLE, bag_files
from landscape_compat.export.contents import contents_of, schema_file
from landscape_compat.export.files import (
    ALL_RECORDS,
    FolderFiles,
    WrittenFile,
    cannot_write,
    file_stem,
)
from landscape_compat.export.order import MakeOf
from landscape_compat.export.page import make_page
from landscape_compat.export.placing import made_beside
from landscape_compat.export.predicate import PREDICATE
from landscape_compat.export.seals import Seals, seal_statement
from landscape_compat.export.selection import Selection
from landscape_compat.export.signing import SignedLinesWriter, SigningKey
from landscape_compat.export.statement import make_statement, own_version
from landscape_compat.export.stream import Order, RecordStream, count_records, export_selection
from landscape_compat.export.watching import Watch
from landscape_compat.export.witness import require_unchanged, state_of_source
from landscape_compat.export.writers import Format, RecordWriter, Writers, formats_of
from landscape_compat.export.zipping import zip_folder
from landscape_compat.landscape.database import Landscape

__all__ = ["ExportedBag", "export_bag"]

_EVERYTHING: Final = Selection()
_NO_SEALS: Final = Seals()


@dataclass(frozen=True, slots=True)
class ExportedBag:
    """What was written.

    Args:
        path: The bag.
        records: How many records there are, by type.
        predicate: What its statement says, but for the tools.
    """

    path: Path
    records: Mapping[str, int]
    predicate: Mapping[str, Any]


def export_bag(
    databases: Landscape | Sequence[Landscape],
    place: str | os.PathLike[str],
    *,
    selection: Selection = _EVERYTHING,
    formats: Sequence[str] = ("jsonl",),
    order: Order = "host",
    absent: AbsentMode = "omit",
    filled: bool = False,
    page: bool = True,
    force: bool = False,
    signer: SigningKey | None = None,
    seals: Seals = _NO_SEALS,
    watch: Watch | None = None,
) -> ExportedBag:
    """Export databases to a bag: their records, and a statement of what they are and are not.

    All is written beside the place under another name, and renamed when complete: a partial
    export never looks like a whole one, and none is left behind.

    Args:
        databases: One database or several, each opened by `open_landscape`.
        place: The folder to make, or the zip file if its name ends so. What it is in must exist.
        selection: Which records; everything that is stored if not given.
        formats: The formats to write: `jsonl`, `json`, `csv`, `parquet`, `sqlite`, the first
            three with `.gz` or `.zst` behind if they are to be compressed.
        order: `host`, or `table`: table by table, as fast as a table can be read.
        absent: What stands for a column that the newest known schema declares and the database
            does not have: nothing (`omit`), a NULL (`null`), or a mark (`mark`).
        filled: Whether values that rules give are shown too, as `filled.RULE.COLUMN`.
        page: Whether to put a page of HTML about each database beside the statement.
        force: Whether to replace an earlier export in that place; nothing else is replaced.
        signer: The key to sign each record by, in JSON lines of RFC 8785 form, with a manifest
            at the end of each run as the host writes it; and the statement.
        seals: What else to sign the statement by.
        watch: Given what is written for the records, a list at a time, and how many records
            there will be (None where that would have to be found out); gives the lists on.

    Raises:
        RunNotFoundError: A database holds no such run.
        OutputError: The place is taken, or cannot be written to, or a value cannot be written.
        SourceChangedError: A database changed meanwhile; nothing is left of the export.
        UnreadableError: A value cannot be given faithfully, or a database is damaged.
        LandscapeCompatError: No such table is known, or a package is not installed.
        ValueError: No such format is known.
    """
    sources = [databases] if isinstance(databases, Landscape) else list(databases)
    wanted = formats_of(formats)
    if signer and all(format_.name != "jsonl" for format_ in wanted):
        raise ValueError("Only JSON lines hold signed records, so jsonl must be among the formats.")
    final = Path(os.path.abspath(place))  # noqa: PTH100 - resolve() would follow a symlink there
    what = "an earlier export"
    with (
        made_beside(final, force=force, is_ours=_is_bag, what=what) as partial,
        _folder_for(partial, final) as folder,
    ):
        of_each = _Wanted(selection, order, absent, filled, page)
        bag = _Bag(folder, wanted, of_each, signer, seals, watch)
        for db, below in zip(sources, _places(sources), strict=True):
            bag.add(db, below)
        predicate = bag.seal(datetime.now(UTC))
        if folder != partial:
            zip_folder(folder, partial, final.stem)
    return ExportedBag(final, dict(bag.records), predicate)


@contextmanager
def _folder_for(partial: Path, final: Path) -> Iterator[Path]:
    """Give the folder to make a bag in: the bag itself, or one that goes into a zip file."""
    folder = partial.with_name(f"{partial.name}.d") if final.suffix == ".zip" else partial
    try:
        folder.mkdir()
    except OSError as error:
        raise cannot_write(final, error) from error
    try:
        yield folder
    finally:
        if folder != partial:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is wanted of each database."""

    selection: Selection
    order: Order
    absent: AbsentMode
    filled: bool
    page: bool

    def of(self, db: Landscape, make_of: MakeOf) -> RecordStream[Any]:
        return export_selection(
            db,
            self.selection,
            order=self.order,
            absent=self.absent,
            filled=self.filled,
            make_of=make_of,
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "selection": self.selection.to_dict(),
            "order": self.order,
            "absent": self.absent,
            "filled": self.filled,
        }


class _Bag:
    """A bag under way."""

    def __init__(
        self,
        folder: Path,
        formats: tuple[Format, ...],
        wanted: _Wanted,
        signer: SigningKey | None,
        seals: Seals,
        watch: Watch | None,
    ) -> None:
        self.records: Counter[str] = Counter()
        self._folder = folder
        self._formats = formats
        self._wanted = wanted
        self._signer = signer
        self._seals = seals
        self._watch = watch
        self._files: list[WrittenFile] = []
        self._payload: list[dict[str, Any]] = []
        self._sources: list[dict[str, Any]] = []
        self._pages: dict[str, bytes] = {}

    def add(self, db: Landscape, below: PurePosixPath) -> None:
        """Export a database to a folder of the bag."""
        folder = self._folder / below
        folder.mkdir(parents=True)
        before = state_of_source(db)
        report = db.report()
        with ExitStack() as open_files:
            files = [
                open_files.enter_context(FolderFiles(folder, format_.compression))
                for format_ in self._formats
            ]
            writers = Writers(
                [
                    self._writer(format_, made)
                    for format_, made in zip(self._formats, files, strict=True)
                ]
            )
            open_files.callback(writers.abandon)
            stream = self._wanted.of(db, writers.encoder)
            open_files.callback(stream.close)
            write = writers.write
            for items in self._watched(stream, db):
                write(items)
            writers.finish()
        if self._wanted.page:
            self._draw(db, "page" if below.name == DATA else below.name, before.digests)
        after = state_of_source(db)
        require_unchanged(before, after)
        tables = [table.to_dict() for table in contents_of(report, stream.sources)]
        self.records.update(stream.counts)
        self._sources.append(
            {
                "name": _name_of(db),
                "place": below.as_posix(),
                "dialect": report.dialect,
                "opened": report.opened,
                "target": report.target,
                "degraded": report.degraded,
                "shape": report.identification.to_dict() if report.identification else None,
                "files_before": before.to_list(),
                "files_after": after.to_list(),
                "tables": tables,
                "absent_tables": [t.name for t in report.tables if t.drift.missing_table],
            }
        )
        for format_, made in zip(self._formats, files, strict=True):
            self._tell(format_.name, made)
        with FolderFiles(folder) as schemas:
            for kind in dict.fromkeys(file.record_type for made in files for file in made):
                stem = ALL_RECORDS if kind is None else file_stem(kind)
                schemas.open(f"{stem}.schema.json", kind).write(schema_file(tables, kind))
        self._tell("schema", schemas)

    def _draw(self, db: Landscape, name: str, digests: Mapping[str, str]) -> None:
        """Draw the page about a database; it is left out where a value has not its type's form.

        The records give every value as it is stored, so the export is whole without the page.
        """
        run_id = next(iter(self._wanted.selection.run_ids), None)
        try:
            page = make_page(db, run_id=run_id, digests=digests)
        except UnreadableError as error:
            emit("page_omitted", database=_name_of(db), reason=error.reason)
        else:
            self._pages[f"{PAGES}/{name}.html"] = page.encode()

    def seal(self, made_at: datetime) -> dict[str, Any]:
        """Write the statement and the tag files, and give what the statement says."""
        records = sum(self.records.values())
        predicate = {
            "exported_at": made_at.isoformat(),
            **self._wanted.to_dict(),
            "signing": self._signer.to_dict() if self._signer else None,
            "records": records,
            "sources": self._sources,
            "payload": self._payload,
        }
        subjects = {file["name"]: file["sha256"] for file in self._payload}
        tags = {
            BAG_INFO: bag_info(
                agent=own_version(),
                date=made_at.date().isoformat(),
                size=sum(file.size for file in self._files),
                files=len(self._files),
                records=records,
                sources=[source["name"] for source in self._sources],
            ),
            STATEMENT: make_statement(subjects, PREDICATE, predicate),
            **self._pages,
        }
        tags |= seal_statement(tags[STATEMENT], self._seals, self._signer)
        seal_bag(self._folder, self._files, tags)
        return predicate

    def _writer(self, format_: Format, files: FolderFiles) -> RecordWriter:
        if self._signer is None or format_.name != "jsonl":
            return format_.writer(files)
        return SignedLinesWriter(
            files,
            self._signer,
            exported_at=datetime.now(UTC).isoformat(),
            whole_runs=not self._wanted.selection.tables,
        )

    def _watched(self, stream: RecordStream[Any], db: Landscape) -> Iterator[list[Any]]:
        if self._watch is None:
            return stream.lists()
        return self._watch(stream.lists(), count_records(db, self._wanted.selection))

    def _tell(self, format_: str, files: Iterable[WrittenFile]) -> None:
        for file in files:
            self._files.append(file)
            self._payload.append(
                {
                    "name": file.path.relative_to(self._folder).as_posix(),
                    "format": format_,
                    "compression": file.compression,
                    "source": len(self._sources) - 1,
                    "record_type": file.record_type,
                    "records": file.records,
                    "bytes": file.size,
                    "sha256": file.sha256,
                }
            )


def _name_of(db: Landscape) -> str:
    """Name a database: a file by its name, a server's by its URL without the password."""
    url = db.engine.url
    if url.get_backend_name() == "sqlite":
        return printable(Path(url.database or "").name)
    return printable(url.render_as_string(hide_password=True))


def _places(sources: Sequence[Landscape]) -> list[PurePosixPath]:
    """Give each database its folder in the bag: of its own only where there are several."""
    data = PurePosixPath(DATA)
    if len(sources) == 1:
        return [data]
    return [data / f"{at:03}-{file_stem(_stem(db))}" for at, db in enumerate(sources, 1)]


def _stem(db: Landscape) -> str:
    return Path(db.engine.url.database or "").stem


def _is_bag(place: Path) -> bool:
    try:
        with bag_files(place) as bag, bag.open(STATEMENT) as file:
            found = json.load(file)
        return bool(found["predicateType"] == PREDICATE)
    except (OutputError, ValueError, TypeError, KeyError, *UNREADABLE):
        return False
