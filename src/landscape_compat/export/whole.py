"""A whole export: the records of databases in a bag, with the statement that explains them."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from landscape_compat.errors import OutputError
from landscape_compat.export.bag.bag import BAG_INFO, DATA, STATEMENT, bag_info, seal_bag
from landscape_compat.export.bag.predicate import PREDICATE
from landscape_compat.export.bag.statement import make_statement, own_version, subjects_of
from landscape_compat.export.formats.writers import formats_of
from landscape_compat.export.output.files import cannot_write, file_stem
from landscape_compat.export.output.placing import made_beside
from landscape_compat.export.output.watching import Watch
from landscape_compat.export.output.zipping import zip_folder
from landscape_compat.export.parallel import write_parts
from landscape_compat.export.part import Part, Wanted, write_part
from landscape_compat.export.records.additions import AbsentMode
from landscape_compat.export.records.selection import EVERYTHING, Selection
from landscape_compat.export.records.stream import Order
from landscape_compat.export.signing.signing import SigningKey
from landscape_compat.export.verify.bag_files import UNREADABLE, bag_files
from landscape_compat.export.verify.manifests import strangers
from landscape_compat.export.verify.seals import Seals, seal_statement
from landscape_compat.landscape.database import Landscape

__all__ = ["ExportedBag", "export_bag"]

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
    selection: Selection = EVERYTHING,
    formats: Sequence[str] = ("jsonl",),
    order: Order = "host",
    absent: AbsentMode = "omit",
    filled: bool = False,
    page: bool = True,
    force: bool = False,
    signer: SigningKey | None = None,
    seals: Seals = _NO_SEALS,
    watch: Watch | None = None,
    jobs: int = 1,
    passphrase: str | None = None,
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
            there will be (None where that would have to be found out); gives the lists on. Not
            where several processes write.
        jobs: How many databases to export at a time, each in a process of its own, so a script
            that gives more than one begins its work under `if __name__ == "__main__":`.
        passphrase: What the databases are encrypted by, if they are, for those processes.

    Raises:
        RunNotFoundError: A database holds no such run.
        OutputError: The place is taken, or cannot be written to, or a value cannot be written.
        SourceChangedError: A database changed meanwhile; nothing is left of the export.
        UnreadableError: A value cannot be given faithfully, or a database is damaged.
        LandscapeCompatError: No such table is known, a package is not installed, or a process
            was ended from outside.
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
        of_each = Wanted(wanted, selection, order, absent, filled, page, signer)
        bag = _Bag(folder, of_each, seals)
        places = _places(sources)
        if jobs > 1 and len(sources) > 1:
            urls = [db.engine.url for db in sources]
            parts = write_parts(urls, folder, places, of_each, jobs=jobs, passphrase=passphrase)
        else:
            parts = (
                write_part(db, folder, below, of_each, watch)
                for db, below in zip(sources, places, strict=True)
            )
        for part in parts:
            bag.add(part)
        predicate = bag.seal(datetime.now(UTC))
        if folder != partial:
            zip_folder(folder, partial, final.stem)
    return ExportedBag(final, dict(bag.records), predicate)


@contextmanager
def _folder_for(partial: Path, final: Path) -> Iterator[Path]:
    """Give the folder to make a bag in: the bag itself, or one that goes into a zip file."""
    is_zip = final.suffix.lower() == ".zip"
    folder = partial.with_name(f"{partial.name}.d") if is_zip else partial
    try:
        folder.mkdir()
    except OSError as error:
        raise cannot_write(final, error) from error
    try:
        yield folder
    finally:
        if folder != partial:
            shutil.rmtree(folder, ignore_errors=True)


class _Bag:
    """A bag under way."""

    def __init__(self, folder: Path, wanted: Wanted, seals: Seals) -> None:
        self.records: Counter[str] = Counter()
        self._folder = folder
        self._wanted = wanted
        self._seals = seals
        self._payload: list[dict[str, Any]] = []
        self._sources: list[Mapping[str, Any]] = []
        self._pages: dict[str, bytes] = {}

    def add(self, part: Part) -> None:
        """Add what was written of a database."""
        self.records.update(part.records)
        self._payload += [{**file, "source": len(self._sources)} for file in part.payload]
        self._sources.append(part.source)
        self._pages |= part.pages

    def seal(self, made_at: datetime) -> dict[str, Any]:
        """Write the statement and the tag files, and give what the statement says."""
        records = sum(self.records.values())
        signer = self._wanted.signer
        predicate = {
            "exported_at": made_at.isoformat(),
            **self._wanted.to_dict(),
            "signing": signer.to_dict() if signer else None,
            "records": records,
            "sources": self._sources,
            "payload": self._payload,
        }
        subjects = {file["name"]: file["sha256"] for file in self._payload}
        tags = {
            BAG_INFO: bag_info(
                agent=own_version(),
                date=made_at.date().isoformat(),
                size=sum(file["bytes"] for file in self._payload),
                files=len(self._payload),
                records=records,
                sources=[source["name"] for source in self._sources],
            ),
            STATEMENT: make_statement(subjects, PREDICATE, predicate),
            **self._pages,
        }
        tags |= seal_statement(tags[STATEMENT], self._seals, signer)
        seal_bag(self._folder, subjects, tags)
        return predicate


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
            return subjects_of(file.read(), PREDICATE) is not None and not strangers(bag)
    except (OutputError, KeyError, *UNREADABLE):
        return False
