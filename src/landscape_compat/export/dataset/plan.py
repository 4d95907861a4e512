"""What a dataset is to hold, and in the end whether it holds all of it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from landscape_compat.engine.report import SchemaReport
from landscape_compat.errors import OutputError, printable
from landscape_compat.export.bag.contents import contents_of
from landscape_compat.export.dataset.layout import partition_key, run_text
from landscape_compat.export.dataset.task import Partition
from landscape_compat.export.records.additions import Additions
from landscape_compat.export.records.selection import Selection
from landscape_compat.export.records.stream import begin_order
from landscape_compat.landscape.database import Landscape
from landscape_compat.landscape.snapshots import export_snapshot

__all__ = ["Plan"]


class Plan:
    """The tasks that a database is shared out in, and what came of them.

    Args:
        db: The database.
        connection: A connection of it, inside a read transaction.
        selection: Which records.
        additions: What records have besides what is stored.

    Attributes:
        run_ids: The runs, each a task.
        is_whole: Whether what belongs to no run is one, too.
        key: The key of the partitions.
        snapshot: What the tasks are to read from, on a server.

    Raises:
        RunNotFoundError: The database holds no such run.
        OutputError: No folder can be named by a run's id.
        UnreadableError: The database is damaged.
        LandscapeCompatError: No such table is known.
    """

    def __init__(
        self, db: Landscape, connection: Connection, selection: Selection, additions: Additions
    ) -> None:
        self._order = begin_order(db, connection, selection, additions, in_parts=True)
        runs = selection.find_runs(connection, db.stored)
        self.is_whole = runs is None
        self.run_ids: tuple[Any, ...] = tuple(self._order.run_ids()) if runs is None else runs
        _require_names(self.run_ids)
        self.key = partition_key(source.form for source in self._order.sources)
        self.snapshot = export_snapshot(connection)
        # In this transaction, which on a file does not last.
        for source in self._order.sources:
            _ = source.stored

    def add(self, partition: Partition) -> None:
        """Count what a task wrote."""
        for source in self._order.sources:
            given, unreached = partition.given.get(source.table.name, (0, 0))
            source.given += given
            source.unreached += unreached

    def prove(self) -> None:
        """Require that every wanted row was written once, where it is known how many there are.

        Where runs were chosen, it is not. Else no row was left out, because a row that no run
        reaches was written by a task of its own: so as many records as rows means each once.

        Raises:
            UnreadableError: A row was written twice, or not at all.
        """
        if self.is_whole:
            self._order.require_all_given()

    def tables(self, report: SchemaReport) -> list[dict[str, Any]]:
        """Say of each stored table what was exported, and how many rows it has.

        Args:
            report: What the database stores, measured against what is declared.
        """
        sources = self._order.sources
        return [
            {**contents.to_dict(), "rows": source.stored}
            for contents, source in zip(contents_of(report, sources), sources, strict=True)
        ]


def _require_names(run_ids: tuple[Any, ...]) -> None:
    seen: dict[str, Any] = {}
    for run_id in run_ids:
        if seen.setdefault(text := run_text(run_id), run_id) is not run_id:
            raise OutputError(
                f"Two runs are called {printable(text)}, one a number and one a text, so that "
                "one folder would be named by both.",
                table="runs",
                column="run_id",
                remedy="Export as JSON lines or as a SQLite database.",
            )
