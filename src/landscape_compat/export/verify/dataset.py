"""Verifying a dataset: that it is complete, and that nothing in it was altered since."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import chain, zip_longest
from pathlib import Path
from typing import IO, Any, Final

from sqlalchemy import URL

from landscape_compat.engine.servers import SERVERS
from landscape_compat.errors import LandscapeCompatError, OutputError, UnreadableError, count_of
from landscape_compat.export.bag.bag import BAGIT
from landscape_compat.export.bag.json_schema import published_schema
from landscape_compat.export.dataset.dataset import export_dataset
from landscape_compat.export.dataset.layout import MARK, OWN, PREDICATE, STATEMENT, file_name
from landscape_compat.export.dataset.remote import RemoteTarget
from landscape_compat.export.dataset.target import LocalTarget, target_of
from landscape_compat.export.formats.parquet import require_parquet
from landscape_compat.export.formats.readback import (
    BadPayloadError,
    can_read,
    count_parquet,
    parquet_columns,
    read_parquet,
)
from landscape_compat.export.output.private import private_folder
from landscape_compat.export.records.values import Record
from landscape_compat.export.verify.bag_files import UNREADABLE, Files, bag_files
from landscape_compat.export.verify.comparison import (
    compare_records,
    note_other_bytes,
    stated_selection,
)
from landscape_compat.export.verify.findings import Verification
from landscape_compat.export.verify.form import differences_of_files, read_statement
from landscape_compat.export.verify.manifests import digest_of, read_tag
from landscape_compat.export.verify.testimony import changes_of
from landscape_compat.landscape.database import Landscape, open_landscape

__all__ = ["is_dataset", "verify_dataset"]

_Parts = dict[str | None, tuple[str, Iterator[Record]]]
# What begins the URL of a database, and not of a place that fsspec reaches.
_DATABASES: Final = {"sqlite", *SERVERS}


def is_dataset(place: str | os.PathLike[str]) -> bool:
    """Tell whether somebody names a dataset, complete or not.

    Args:
        place: A path or a URL.
    """
    text = os.fspath(place)
    scheme, is_url, _ = text.partition("://")
    if is_url:
        return scheme.partition("+")[0] not in _DATABASES
    # An empty folder that somebody made in a bag makes no dataset of it.
    with suppress(PermissionError):  # what reads it says so best
        is_bag = Path(text, BAGIT).exists() and not os.path.lexists(Path(text, STATEMENT))
        return Path(text, OWN).is_dir() and not is_bag
    return False


def verify_dataset(
    target: str | os.PathLike[str],
    *,
    source: str | os.PathLike[str] | URL | None = None,
    passphrase: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Verification:
    """Verify a dataset that `export_dataset` made.

    The statement is compared with its schema and with itself, and each file with its name, its
    size, its digest and the number of its records.

    Args:
        target: Its folder, or a URL that fsspec understands.
        source: The database that it was made from, to compare its records with what it holds
            now: it is exported once more, to a private folder of this machine.
        passphrase: What the source is encrypted by, if it is; of no effect if not.
        storage_options: What fsspec's file system is given besides the URL.

    Raises:
        OutputError: There is nothing in that place, or it cannot be read.
        LandscapeCompatError: The source cannot be read, or a package is not installed.
    """
    if source is not None:
        require_parquet()
    place = target_of(target, storage_options)
    found = Verification(place.place)
    is_readable = can_read("parquet")
    with _files(place) as files:
        predicate = _checked_statement(files, found)
        if predicate is None:
            return found
        for file in predicate["files"]:
            if file["name"] in files.sizes:
                _check_file(files, file, found, is_readable=is_readable)
        files_of_it = count_of(len(predicate["files"]), "file")
        found.checked.append(f"{files_of_it}, their digests{' and records' * is_readable}")
        if not is_readable:
            found.unchecked.append("the records in the files: pyarrow is not installed")
        if source is not None:
            with open_landscape(source, passphrase=passphrase) as db:
                _compare(files, predicate, db, passphrase, found)
    return found


def _files(place: LocalTarget | RemoteTarget) -> AbstractContextManager[Files]:
    if isinstance(place, RemoteTarget):
        return nullcontext(_RemoteFiles(place))
    if not place.root.is_dir():
        raise _no_dataset(f"{place.place} is not there, or is no folder")
    return bag_files(place.root)


def _no_dataset(what: str) -> OutputError:
    return OutputError(
        f"{what}, so it is no dataset.", remedy="Give the place that `export --dataset` wrote to."
    )


class _RemoteFiles:
    """The files of a place that fsspec reaches."""

    odd: Mapping[str, str] = {}

    def __init__(self, place: RemoteTarget) -> None:
        self._place = place
        self.sizes: Mapping[str, int] = place.sizes()
        if not self.sizes:
            raise _no_dataset(f"{place.place} holds nothing")

    def open(self, name: str) -> IO[bytes]:
        """Open a file to read it from its beginning."""
        with _wordless():
            return io.BufferedReader(_Wordless(self._place.open(name)), 1 << 20)


class _Wordless(io.RawIOBase):
    """A file of a place that fsspec reaches, whose errors do not tell where that is."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _wordless():
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with _wordless():
            return self._file.seek(offset, whence)

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def _wordless() -> Iterator[None]:
    """Leave out what an error says: it may name the URL, and with it a password."""
    try:
        yield
    # Not every file system of fsspec's keeps to OSError.
    except Exception as error:
        what = getattr(error, "strerror", None) or "told by the file system"
        raise OSError(f"{type(error).__name__}, {what}") from None


def _checked_statement(files: Files, found: Verification) -> dict[str, Any] | None:
    """Check the statement, and what it says of the files that are there."""
    for name, what in files.odd.items():
        found.find(name, f"{what}, which no dataset holds")
    if MARK in files.sizes:
        found.find(MARK, "is there: an export to this place has not come to its end")
    if STATEMENT not in files.sizes:
        found.find(STATEMENT, "is missing, so the dataset is not complete")
        return None
    content = read_tag(files, STATEMENT, found)
    if content is None:
        return None
    schema = published_schema("landscape_compat.export.dataset")
    statement = read_statement(content, STATEMENT, PREDICATE, schema, found)
    if statement is None:
        return None
    predicate: dict[str, Any] = statement["predicate"]
    for where, what in chain(
        differences_of_files(
            statement, STATEMENT, "files", files.sizes, files.sizes.keys() - {STATEMENT, MARK}
        ),
        _contradictions(predicate),
        changes_of(predicate["source"], f"{STATEMENT} /predicate/source"),
    ):
        found.find(where, what)
    return predicate


def _contradictions(predicate: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Compare what is stated with itself."""
    files, tables = predicate["files"], predicate["source"]["tables"]
    for file in files:
        name = file_name(file["record_type"], predicate["partition_key"], file["run"])
        if name != file["name"]:
            yield file["name"], f"would be called {name} by the type and the run that it is said of"
    of_type, of_table = Counter[str](), Counter[str]()
    for file in files:
        of_type[file["record_type"]] += file["records"]
    for table in tables:
        of_table[table["record_type"]] += table["records"]
    for kind in sorted(of_type.keys() | of_table.keys()):
        if of_type[kind] != of_table[kind]:
            what = (
                f"{count_of(of_type[kind], 'record')} of {kind}, and of its tables {of_table[kind]}"
            )
            yield f"{STATEMENT} /predicate/files", f"has {what}"
    if of_type.total() != predicate["records"]:
        what = f"says {predicate['records']}, and its files have {of_type.total()} in all"
        yield f"{STATEMENT} /predicate/records", what
    selection = predicate["selection"]
    if not any(selection[of] for of in ("runs", "since", "until", "statuses")):
        for at, table in enumerate(tables):
            if table["records"] != table["rows"] and (table["records"] or not selection["tables"]):
                rows = count_of(table["rows"], "row")
                what = f"has {count_of(table['records'], 'record')} of {rows}, though all were"
                yield f"{STATEMENT} /predicate/source/tables/{at}", f"{what} wanted"


def _check_file(
    files: Files, file: Mapping[str, Any], found: Verification, *, is_readable: bool
) -> None:
    """Check a file's digest, and the number of its records."""
    name = file["name"]
    digest = digest_of(files, name, found)
    if digest is None:
        return
    if digest != file["sha256"]:
        found.find(name, f"its SHA-256 is {digest}, and the statement says {file['sha256']}")
        return
    if not is_readable:
        return
    try:
        with files.open(name) as opened:
            count = count_parquet(opened, file["records"])
    except (BadPayloadError, *UNREADABLE) as error:
        found.find(name, str(error))
        return
    if count != file["records"]:
        found.find(
            name, f"holds {count_of(count, 'record')}, and the statement says {file['records']}"
        )


def _compare(
    files: Files,
    predicate: Mapping[str, Any],
    db: Landscape,
    passphrase: str | None,
    found: Verification,
) -> None:
    """Export the database again, and compare each file with the one that lies in the dataset."""
    told = predicate["source"]
    name = told["name"]
    note_other_bytes(db, told, found)
    try:
        selection = stated_selection(predicate)
        selection.find_tables(db.stored, db.declared)
        with db.connection() as connection:
            selection.find_runs(connection, db.stored)
    except UnreadableError:
        raise
    except (ValueError, LandscapeCompatError) as error:
        found.find(name, f"what the statement says was exported is not there: {error}")
        return
    with private_folder() as folder:
        again = folder / "again"
        made = export_dataset(
            db,
            again,
            selection=selection,
            absent=predicate["absent"],
            filled=predicate["filled"],
            passphrase=passphrase,
        )
        stated = {file["name"] for file in predicate["files"]} & files.sizes.keys()
        for surplus in sorted(stated - {file.name for file in made.files}):
            found.find(surplus, f"holds records of which {name} has none")
        count = 0
        for file in made.files:
            if file.name not in files.sizes:
                found.find(name, f"holds records for {file.name}, which is missing")
                continue
            try:
                with (again / file.name).open("rb") as stored, files.open(file.name) as kept:
                    count += _compare_file(file.name, stored, kept, name, found)
            except (BadPayloadError, *UNREADABLE) as error:
                found.find(file.name, str(error))
    found.checked.append(f"{count_of(count, 'record')} of {name} against the dataset")


def _compare_file(
    name: str, stored: IO[bytes], kept: IO[bytes], source: str, found: Verification
) -> int:
    """Compare two files, the columns first: records may be alike where those differ."""
    columns = zip_longest(parquet_columns(stored), parquet_columns(kept), fillvalue="none")
    for of_source, is_so in columns:
        if of_source != is_so:
            found.find(name, f"has the column {is_so}, where {source} gives {of_source}")
            return 0
    parts: _Parts = {None: (name, read_parquet(kept))}
    return compare_records(read_parquet(stored), parts, source, found, signed=False)
