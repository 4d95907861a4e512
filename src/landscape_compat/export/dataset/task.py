"""One piece of a dataset: the records of one run, or of none, read and put in their place."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from landscape_compat.engine.digests import SourceDigests, digest_source
from landscape_compat.engine.encryption import Passphrase
from landscape_compat.engine.notices import told_elsewhere
from landscape_compat.engine.stamps import Stamps
from landscape_compat.export.bag.witness import SourceState, require_unchanged, state_of_source
from landscape_compat.export.dataset.layout import file_name, run_text
from landscape_compat.export.dataset.target import Target
from landscape_compat.export.formats.parquet import ParquetWriter
from landscape_compat.export.output.files import FolderFiles
from landscape_compat.export.records.additions import AbsentMode
from landscape_compat.export.records.selection import Selection
from landscape_compat.export.records.stream import RecordStream
from landscape_compat.landscape.database import Landscape, open_landscape

__all__ = ["DatasetFile", "Partition", "Task", "write_partition"]


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """One file of a dataset.

    Args:
        name: Its name, below the target.
        record_type: The type of its records.
        run: The run that they belong to; None if to none.
        records: How many they are.
        size: Bytes.
        sha256: Its digest, in hexadecimal.
    """

    name: str
    record_type: str
    run: str | None
    records: int
    size: int
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain JSON values."""
        return {
            "name": self.name,
            "record_type": self.record_type,
            "run": self.run,
            "records": self.records,
            "bytes": self.size,
            "sha256": self.sha256,
        }


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be written; run twice, or after a run that was killed, it writes the same bytes.

    Args:
        database: The database.
        run_id: The run; None for what belongs to none.
        target: Where to.
        key: The key of the partitions.
        expected: What the database's files are.
        snapshot: The snapshot to read from, on a server.
        tables: The tables whose records are wanted; all if none is named.
        absent: What stands for a column that is declared and not stored.
        filled: Whether values that rules give are shown too.
        passphrase: What the database is encrypted by, if it is.
    """

    # May hold a password, and a scheduler writes what fails into its log.
    database: URL = field(repr=False)
    run_id: Any
    target: Target
    key: str
    expected: SourceState = field(repr=False)
    snapshot: str | None = None
    tables: tuple[str, ...] = ()
    absent: AbsentMode = "omit"
    filled: bool = False
    passphrase: Passphrase | None = None

    @property
    def run(self) -> str | None:
        """Name the run; None for what belongs to none."""
        return None if self.run_id is None else run_text(self.run_id)


@dataclass(frozen=True, slots=True)
class Partition:
    """What a task wrote.

    Args:
        run: The run; None for what belongs to none.
        files: The files.
        given: How many records of each table there are, and how many of them no run reaches.
    """

    run: str | None
    files: tuple[DatasetFile, ...]
    given: Mapping[str, tuple[int, int]]


def write_partition(task: Task) -> Partition:
    """Do a task.

    Args:
        task: The task.

    Raises:
        SourceChangedError: The database is not as it was when the export began.
        OutputError: A file cannot be written, or a value has no form in it.
        UnreadableError: A value cannot be given faithfully, or the database is damaged.
        LandscapeCompatError: A package is not installed here, or the snapshot is gone.
    """
    passphrase = task.passphrase.text if task.passphrase else None
    with (
        told_elsewhere(),
        open_landscape(task.database, passphrase=passphrase) as db,
        task.target.staging() as folder,
    ):
        if task.snapshot is not None:
            db.share_snapshot(task.snapshot)
        _require_source(db, task)
        with FolderFiles(folder) as files:
            given = _write(db, task, files)
        _require_source(db, task)
        placed = []
        for file in files:
            assert file.record_type is not None  # a Parquet file has one
            name = file_name(file.record_type, task.key, task.run)
            task.target.put(file.path, name)
            told = file.record_type, task.run, file.records, file.size, file.sha256
            placed.append(DatasetFile(name, *told))
    return Partition(task.run, tuple(placed), given)


def _write(db: Landscape, task: Task, files: FolderFiles) -> dict[str, tuple[int, int]]:
    """Write the records, and count those of each table."""
    is_beyond = task.run_id is None
    writer = ParquetWriter(files)
    with ExitStack() as held:
        held.callback(writer.abandon)
        stream = RecordStream[Any](
            db,
            Selection(run_ids=() if is_beyond else (task.run_id,), tables=task.tables),
            absent=task.absent,
            filled=task.filled,
            make_of=writer.encoder,
            beyond_runs=is_beyond,
        )
        held.callback(stream.close)
        for items in stream.lists():
            writer.write(items)
        writer.finish()
    return {s.table.name: (s.given, s.unreached) for s in stream.sources if s.given}


def _require_source(db: Landscape, task: Task) -> None:
    found = state_of_source(db, _digest_once)
    # Where a file system is shared, its times need not be the same to the last digit.
    if found.digests != task.expected.digests:
        require_unchanged(task.expected, found)


def _digest_once(path: Path) -> SourceDigests:
    """Digest a database once a process, and again only if a stamp of it says that it changed."""
    return _digest_stamped(path, Stamps.of(path))


@lru_cache(maxsize=8)
def _digest_stamped(path: Path, stamps: Stamps) -> SourceDigests:
    return digest_source(path)
