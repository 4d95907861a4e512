"""A whole export: the records of databases in a bag, with the statement that explains them."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from landscape_compat.errors import printable
from landscape_compat.export.bag import BAG_INFO, DATA, STATEMENT, bag_info, seal_bag
from landscape_compat.export.contents import contents_of, schema_file
from landscape_compat.export.files import (
    ALL_RECORDS,
    FolderFiles,
    WrittenFile,
    cannot_write,
    file_stem,
)
from landscape_compat.export.placing import made_beside
from landscape_compat.export.predicate import PREDICATE
from landscape_compat.export.selection import Selection
from landscape_compat.export.statement import make_statement, own_version
from landscape_compat.export.stream import Order, export_selection
from landscape_compat.export.witness import require_unchanged, state_of_source
from landscape_compat.export.writers import FORMATS, Writers, require_formats
from landscape_compat.landscape.database import Landscape

__all__ = ["ExportedBag", "export_bag"]

_EVERYTHING: Final = Selection()


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
    force: bool = False,
) -> ExportedBag:
    """Export databases to a bag: their records, and a statement of what they are and are not.

    All is written beside the place under another name, and renamed when complete: a partial
    export never looks like a whole one, and none is left behind.

    Args:
        databases: One database or several, each opened by `open_landscape`.
        place: The folder to make. What it is in must exist.
        selection: Which records; everything that is stored if not given.
        formats: The formats to write, of `FORMATS`.
        order: `host`, or `table`: table by table, as fast as a table can be read.
        force: Whether to replace an earlier export in that place; nothing else is replaced.

    Raises:
        RunNotFoundError: A database holds no such run.
        OutputError: The place is taken, or cannot be written to, or a value cannot be written.
        SourceChangedError: A database changed meanwhile; nothing is left of the export.
        UnreadableError: A value cannot be given faithfully, or a database is damaged.
        ValueError: No such format is known.
    """
    sources = [databases] if isinstance(databases, Landscape) else list(databases)
    names = require_formats(formats)
    final = Path(os.path.abspath(place))  # noqa: PTH100 - resolve() would follow a symlink there
    with made_beside(final, force=force, is_ours=_is_bag, what="an earlier export") as partial:
        try:
            partial.mkdir()
        except OSError as error:
            raise cannot_write(final, error) from error
        bag = _Bag(partial, selection, names, order)
        for db, below in zip(sources, _places(sources), strict=True):
            bag.add(db, below)
        predicate = bag.seal(datetime.now(UTC))
    return ExportedBag(final, dict(bag.records), predicate)


class _Bag:
    """A bag under way."""

    def __init__(
        self, folder: Path, selection: Selection, formats: tuple[str, ...], order: Order
    ) -> None:
        self.records: Counter[str] = Counter()
        self._folder = folder
        self._selection = selection
        self._formats = formats
        self._order = order
        self._files: list[WrittenFile] = []
        self._payload: list[dict[str, Any]] = []
        self._sources: list[dict[str, Any]] = []

    def add(self, db: Landscape, below: PurePosixPath) -> None:
        """Export a database to a folder of the bag."""
        folder = self._folder / below
        folder.mkdir(parents=True)
        before = state_of_source(db)
        report = db.report()
        with ExitStack() as open_files:
            files = {name: open_files.enter_context(FolderFiles(folder)) for name in self._formats}
            writers = Writers([FORMATS[name](files[name]) for name in self._formats])
            stream = export_selection(
                db, self._selection, order=self._order, make_of=writers.encoder
            )
            open_files.callback(stream.close)
            write = writers.write
            for item in stream:
                write(item)
            writers.finish()
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
        for name in self._formats:
            self._tell(name, files[name])
        with FolderFiles(folder) as schemas:
            kinds = dict.fromkeys(file.record_type for one in files.values() for file in one)
            for kind in kinds:
                stem = ALL_RECORDS if kind is None else file_stem(kind)
                schemas.open(f"{stem}.schema.json", kind).write(schema_file(tables, kind))
        self._tell("schema", schemas)

    def seal(self, made_at: datetime) -> dict[str, Any]:
        """Write the statement and the tag files, and give what the statement says."""
        records = sum(self.records.values())
        predicate = {
            "exported_at": made_at.isoformat(),
            "selection": self._selection.to_dict(),
            "order": self._order,
            "absent": "omit",
            "filled": False,
            "signing": None,
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
        }
        seal_bag(self._folder, self._files, tags)
        return predicate

    def _tell(self, format_: str, files: Iterable[WrittenFile]) -> None:
        for file in files:
            self._files.append(file)
            self._payload.append(
                {
                    "name": file.path.relative_to(self._folder).as_posix(),
                    "format": format_,
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
        with (place / STATEMENT).open("rb") as file:
            found = json.load(file)
        return bool(found["predicateType"] == PREDICATE)
    except (OSError, ValueError, TypeError, KeyError):
        return False
