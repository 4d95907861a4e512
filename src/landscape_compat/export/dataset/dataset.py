"""Exporting a database as a partitioned Parquet dataset, shared out among processes or machines."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from landscape_compat.engine.encryption import Passphrase
from landscape_compat.export.bag.contents import told_of_source
from landscape_compat.export.bag.statement import make_statement
from landscape_compat.export.bag.witness import SourceState, require_unchanged, state_of_source
from landscape_compat.export.dataset.layout import PREDICATE
from landscape_compat.export.dataset.placing import begun
from landscape_compat.export.dataset.plan import Plan
from landscape_compat.export.dataset.running import run_tasks
from landscape_compat.export.dataset.target import target_of
from landscape_compat.export.dataset.task import DatasetFile, Task
from landscape_compat.export.formats.parquet import require_parquet
from landscape_compat.export.records.additions import AbsentMode, Additions
from landscape_compat.export.records.selection import EVERYTHING, Selection
from landscape_compat.landscape.database import Landscape, open_landscape

__all__ = ["ExportedDataset", "export_dataset"]


@dataclass(frozen=True, slots=True)
class ExportedDataset:
    """What was written.

    Args:
        place: The target, without what may be a password.
        records: How many records there are, by type.
        partitions: How many there are of each run, by type; under None, of what belongs to none.
        files: The files, by name, with their sizes and digests.
        source: What the files of the database were, before it was read and after.
        predicate: What the statement says, but for the tools.
    """

    place: str
    records: Mapping[str, int]
    partitions: Mapping[str | None, Mapping[str, int]]
    files: tuple[DatasetFile, ...]
    source: SourceState
    predicate: Mapping[str, Any]


def export_dataset(
    database: str | os.PathLike[str] | URL | Landscape,
    target: str | os.PathLike[str],
    *,
    selection: Selection = EVERYTHING,
    executor: Executor | None = None,
    jobs: int = 1,
    absent: AbsentMode = "omit",
    filled: bool = False,
    force: bool = False,
    passphrase: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> ExportedDataset:
    """Export a database as one Parquet dataset for each type of record, partitioned by run.

    Each run is a task of its own, which writes the same bytes however often it is run. The
    statement is written last: a dataset without it is not complete, and what there is of one
    that fails is removed. On PostgreSQL, all read from one snapshot.

    Args:
        database: A path or a SQLAlchemy URL, the same for every process that reads it; or what
            `open_landscape` opened, whose URL is.
        target: A folder, or a URL that fsspec understands; every process that writes must
            reach it.
        selection: Which records; everything that is stored if not given.
        executor: What runs the tasks, with the interface of `concurrent.futures`, as
            `dask.distributed`'s `client.get_executor()`; processes of this machine if not given.
        jobs: How many processes of this machine; with one, this one does it all. A script that
            gives more begins its work under `if __name__ == "__main__":`.
        absent: What stands for a column that the newest known schema declares and the database
            does not have: nothing (`omit`), a NULL (`null`), or a mark (`mark`).
        filled: Whether values that rules give are shown too, as `filled.RULE.COLUMN`.
        force: Whether to replace an earlier dataset in that place, which is removed when the new
            one is begun; nothing else is replaced.
        passphrase: What the database is encrypted by, if it is.
        storage_options: What fsspec's file system is given besides the URL.

    Raises:
        RunNotFoundError: The database holds no such run.
        OutputError: The place is taken, or cannot be written to, or a value cannot be written.
        SourceChangedError: The database changed meanwhile.
        UnreadableError: A value cannot be given faithfully, the database is damaged, or not
            every row that is stored was exported exactly once.
        LandscapeCompatError: A package is not installed, or processes were ended from outside
            again and again.
    """
    require_parquet()
    place = target_of(target, storage_options)
    with _opened(database, passphrase) as db, _held() as held:
        before = state_of_source(db)
        connection = held.enter_context(db.connection())
        additions = Additions(absent, filled, db.declared, db.projections)
        plan = Plan(db, connection, selection, additions)
        if plan.snapshot is None:
            held.close()  # a reader that stays keeps others from writing, and proves nothing
        of_none = Task(
            database=db.engine.url,
            run_id=None,
            target=place,
            key=plan.key,
            expected=before,
            snapshot=plan.snapshot,
            tables=selection.tables,
            absent=absent,
            filled=filled,
            passphrase=None if passphrase is None else Passphrase(passphrase),
        )
        tasks = [replace(of_none, run_id=run_id) for run_id in plan.run_ids]
        tasks += [of_none] if plan.is_whole else []
        with begun(place, force=force) as dataset:
            files: list[DatasetFile] = []
            for partition in run_tasks(tasks, executor, jobs):
                plan.add(partition)
                files += partition.files
            plan.prove()
            after = state_of_source(db)
            require_unchanged(before, after)
            files.sort(key=lambda file: file.name)
            report = db.report()
            predicate = {
                "exported_at": datetime.now(UTC).isoformat(),
                "selection": selection.to_dict(),
                "absent": absent,
                "filled": filled,
                "partition_key": plan.key,
                "records": sum(file.records for file in files),
                "source": {
                    **told_of_source(db, report, before, after),
                    "tables": plan.tables(report),
                },
                "files": [file.to_dict() for file in files],
            }
            subjects = {file.name: file.sha256 for file in files}
            dataset.seal(files, make_statement(subjects, PREDICATE, predicate))
    by_type: Counter[str] = Counter()
    by_run: defaultdict[str | None, dict[str, int]] = defaultdict(dict)
    for file in files:
        by_type[file.record_type] += file.records
        by_run[file.run][file.record_type] = file.records
    return ExportedDataset(place.place, dict(by_type), dict(by_run), tuple(files), after, predicate)


def _opened(
    database: str | os.PathLike[str] | URL | Landscape, passphrase: str | None
) -> AbstractContextManager[Landscape]:
    if isinstance(database, Landscape):
        return nullcontext(database)
    return open_landscape(database, passphrase=passphrase)


@contextmanager
def _held() -> Iterator[ExitStack]:
    """Hold a transaction whose snapshot others read from.

    That the server ended it is told by who could not read from it, and by nobody else.
    """
    held = ExitStack()
    try:
        yield held
    finally:
        with suppress(DBAPIError):
            held.close()
