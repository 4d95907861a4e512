"""Verifying a dataset: that it is complete, and that nothing in it was altered since."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final

from sqlalchemy import URL

from landscape_compat.engine.private_folder import PrivateFolder
from landscape_compat.errors import LandscapeCompatError, OutputError, SourceChangedError
from landscape_compat.export.bag.json_schema import published_schema
from landscape_compat.export.bag.witness import state_of_source
from landscape_compat.export.dataset.dataset import export_dataset
from landscape_compat.export.dataset.layout import MARK, OWN, PREDICATE, STATEMENT, file_name
from landscape_compat.export.dataset.remote import RemoteTarget
from landscape_compat.export.dataset.target import LocalTarget, target_of
from landscape_compat.export.formats.readback import BadPayloadError, can_read, read_parquet
from landscape_compat.export.records.values import Record
from landscape_compat.export.verify.bag_files import UNREADABLE, Files, bag_files
from landscape_compat.export.verify.comparison import compare_records, stated_selection
from landscape_compat.export.verify.findings import Verification
from landscape_compat.export.verify.form import read_statement
from landscape_compat.export.verify.manifests import digest_of, read_tag
from landscape_compat.export.verify.testimony import changes_of
from landscape_compat.landscape.database import Landscape, open_landscape

__all__ = ["is_dataset", "verify_dataset"]

_Parts = dict[str | None, tuple[str, Iterator[Record]]]
# What begins the URL of a database, and not of a place that fsspec reaches.
_DATABASES: Final = ("sqlite", "postgresql")


def is_dataset(place: str | os.PathLike[str]) -> bool:
    """Tell whether somebody names a dataset, complete or not.

    Args:
        place: A path or a URL.
    """
    text = os.fspath(place)
    scheme, is_url, _ = text.partition("://")
    if is_url:
        return scheme.partition("+")[0] not in _DATABASES
    return Path(text, OWN).is_dir()


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
    place = target_of(target, storage_options)
    found = Verification(place.place)
    with _files(place) as files:
        predicate = _checked_statement(files, found)
        if predicate is None:
            return found
        for file in predicate["files"]:
            if file["name"] in files.sizes:
                _check_file(files, file, found)
        found.checked.append(f"{len(predicate['files'])} files, their digests and their records")
        if source is not None:
            with open_landscape(source, passphrase=passphrase) as db:
                _compare(files, predicate, db, passphrase, found)
    return found


def _files(place: LocalTarget | RemoteTarget) -> AbstractContextManager[Files]:
    if isinstance(place, LocalTarget):
        return bag_files(place.root)
    return nullcontext(_RemoteFiles(place))


class _RemoteFiles:
    """The files of a place that fsspec reaches."""

    odd: Mapping[str, str] = {}

    def __init__(self, place: RemoteTarget) -> None:
        self._place = place
        self.sizes: Mapping[str, int] = place.sizes()
        if not self.sizes:
            raise OutputError(
                f"{place.place} holds nothing.",
                remedy="Give the place that `export --dataset` wrote to.",
            )

    def open(self, name: str) -> IO[bytes]:
        """Open a file to read it from its beginning."""
        return self._place.open(name)


def _checked_statement(files: Files, found: Verification) -> dict[str, Any] | None:
    """Check the statement, and what it says of the files that are there."""
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
        _differences(files, predicate),
        _contradictions(statement["subject"], predicate),
        changes_of(predicate["source"], f"{STATEMENT} /predicate/source"),
    ):
        found.find(where, what)
    return predicate


def _differences(files: Files, predicate: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Compare what is there with what is stated."""
    stated = {file["name"]: file for file in predicate["files"]}
    for name, what in files.odd.items():
        yield name, f"{what}, which no dataset holds"
    for name in sorted(files.sizes.keys() - stated.keys() - {STATEMENT, MARK}):
        yield name, "is not named by the statement"
    for name, file in stated.items():
        if name not in files.sizes:
            yield name, "is named by the statement and missing"
        elif files.sizes[name] != file["bytes"]:
            yield name, f"has {files.sizes[name]} bytes, and the statement says {file['bytes']}"


def _contradictions(
    subjects: list[dict[str, Any]], predicate: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Compare what is stated with itself."""
    files, tables = predicate["files"], predicate["source"]["tables"]
    if [(s["name"], s["digest"]["sha256"]) for s in subjects] != [
        (file["name"], file["sha256"]) for file in files
    ]:
        yield f"{STATEMENT} /subject", "does not name the files of /predicate/files"
    if len({file["name"] for file in files}) != len(files):
        yield f"{STATEMENT} /predicate/files", "names a file twice"
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
            what = f"{of_type[kind]} records of {kind}, and of its tables {of_table[kind]}"
            yield f"{STATEMENT} /predicate/files", f"has {what}"
    if of_type.total() != predicate["records"]:
        what = f"says {predicate['records']}, and its files have {of_type.total()} in all"
        yield f"{STATEMENT} /predicate/records", what
    if all(wanted is None for wanted in predicate["selection"].values()):
        for at, table in enumerate(tables):
            if table["records"] != table["rows"]:
                what = f"has {table['records']} records of {table['rows']} rows, though all were"
                yield f"{STATEMENT} /predicate/source/tables/{at}", f"{what} wanted"


def _check_file(files: Files, file: Mapping[str, Any], found: Verification) -> None:
    """Check a file's digest, and the number of its records."""
    name = file["name"]
    digest = digest_of(files, name, found)
    if digest is None:
        return
    if digest != file["sha256"]:
        found.find(name, f"its SHA-256 is {digest}, and the statement says {file['sha256']}")
    if not can_read("parquet"):
        found.unchecked.append(f"the records in {name}: pyarrow is not installed")
        return
    try:
        with files.open(name) as opened:
            count = sum(1 for _ in read_parquet(opened))
    except (BadPayloadError, *UNREADABLE) as error:
        found.find(name, str(error))
        return
    if count != file["records"]:
        found.find(name, f"holds {count} records, and the statement says {file['records']}")


def _compare(
    files: Files,
    predicate: Mapping[str, Any],
    db: Landscape,
    passphrase: str | None,
    found: Verification,
) -> None:
    """Export the database again, and compare each file with the one that lies in the dataset."""
    told = predicate["source"]
    before = [f["sha256"] for f in told["files_before"] if f["sha256"] is not None]
    if before != [file.sha256 for file in state_of_source(db).data]:
        found.unchecked.append(
            f"{told['name']} byte by byte: it is not the file that was exported any more, so "
            "what it holds was compared"
        )
    with closing(PrivateFolder()) as folder:
        again = folder.path / "again"
        try:
            made = export_dataset(
                db,
                again,
                selection=stated_selection(predicate),
                absent=predicate["absent"],
                filled=predicate["filled"],
                passphrase=passphrase,
            )
        except (OutputError, SourceChangedError):
            raise
        except (ValueError, LandscapeCompatError) as error:
            what = f"what the statement says was exported is not there: {error}"
            found.find(told["name"], what)
            return
        stated = {file["name"] for file in predicate["files"]}
        for name in sorted(stated - {file.name for file in made.files}):
            found.find(name, f"holds records of which {told['name']} has none")
        count = 0
        for file in made.files:
            if file.name not in files.sizes:
                found.find(told["name"], f"holds records for {file.name}, which is missing")
                continue
            try:
                with (again / file.name).open("rb") as stored, files.open(file.name) as kept:
                    parts: _Parts = {None: (file.name, read_parquet(kept))}
                    count += compare_records(
                        read_parquet(stored), parts, told["name"], found, signed=False
                    )
            except (BadPayloadError, *UNREADABLE) as error:
                found.find(file.name, str(error))
    found.checked.append(f"{count} records of {told['name']} against the dataset")
