"""The order of the records: the host's, read with a few ordered queries a window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Connection, Select, not_

from landscape_compat.errors import UnreadableError, count_of
from landscape_compat.export.records.additions import Additions
from landscape_compat.export.records.families import Families
from landscape_compat.export.records.source import CHUNK, MakeOf, Source
from landscape_compat.export.records.sources import RUN, Sources
from landscape_compat.landscape.stored import StoredTable
from landscape_compat.landscape.tables import AFTER_HOST, HOST_ORDER, RUNS, TABLES, Branch
from landscape_compat.schema.shape import SchemaShape
from landscape_compat.schema.types import type_class

__all__ = ["WINDOW", "RecordOrder"]

WINDOW: Final = 500
_NOTHING: Final = Additions()


class RecordOrder:
    """Reads the records of one database, by one connection, inside one transaction.

    Each record is given once in the life of this object.

    Args:
        connection: The connection.
        stored: What the database stores.
        window: How many parents are read before their children are.
        make_of: Gives what makes a record of a row and its run, for each form; dictionaries
            if not given.
        tables: The folded names of the tables whose records are wanted; all if not given.
        additions: What records have besides what is stored.

    Attributes:
        sources: Every table, and how many records of it were given so far.
    """

    def __init__(
        self,
        connection: Connection,
        stored: SchemaShape,
        *,
        window: int = WINDOW,
        make_of: MakeOf = attrgetter("make"),
        tables: frozenset[str] | None = None,
        additions: Additions = _NOTHING,
    ) -> None:
        self.sources = Sources(
            connection, stored, make_of=make_of, tables=tables, additions=additions
        )
        self._families = Families(self.sources, window)
        self._window = window
        self._of_run: dict[str, Select[Any]] = {}

    def run_ids(self) -> Iterator[Any]:
        """Give the id of every run, in the order in which they began."""
        runs = self.sources.find(RUNS)
        if runs is None or runs.table.column("run_id") is None:
            return
        at = runs.position_of("run_id")
        found = runs.read(runs.select_unindexed().order_by(*runs.table.order()))
        yield from dict.fromkeys(row[at] for row in found if row[at] is not None)

    def run_lists(self, run_id: Any) -> Iterator[list[Any]]:
        """Give the records of one run: the host's in its order, then those it never exports.

        Args:
            run_id: The run.
        """
        for branch in (Branch(RUNS), *HOST_ORDER, *AFTER_HOST):
            yield from self._branch(branch, run_id)

    def table_lists(self, run_ids: Sequence[Any] | None) -> Iterator[list[Any]]:
        """Give the records table by table, in the order in which a table is read fastest.

        A table that stores no run tells none here, unless a single run is read.

        Args:
            run_ids: The runs to give rows of; every row of every table if not given.
        """
        only = run_ids[0] if run_ids is not None and len(run_ids) == 1 else None
        for source in self.sources.wanted():
            if source.is_empty:
                continue
            if run_ids is None:
                for rows in source.chunks(source.select_all()):
                    yield source.records(rows, None)
                continue
            statement, _ = self._select_of_run(source)
            for run_id in run_ids:
                for rows in source.chunks(statement, {"run_id": run_id}):
                    yield source.records(rows, only)

    def database_lists(self) -> Iterator[list[Any]]:
        """Give the rows of the tables that belong to no run: the host's, then everybody's."""
        own = [facts.table for facts in TABLES if not facts.links and facts.table != RUNS]
        others = [source.table.name for source in self.sources if source.table.facts is None]
        for name in (*own, *others):
            source = self.sources.find(name)
            if source and self.sources.wants(name):
                statement = source.select_unindexed().order_by(*source.table.order())
                for rows in source.chunks(statement):
                    yield source.records(rows, None)

    def unreached(self) -> Iterator[Any]:
        """Give the rows that no run reaches, and prove that with them every row was given.

        To be called when every run, and what belongs to no run, has been read to its end.

        Raises:
            UnreadableError: A row was given twice, or not at all.
        """
        lacking = [source for source in self.sources.of_runs() if not source.is_all_given]
        if lacking:
            # That no run reaches a row is what indexes say.
            self.sources.trust_indexes()
        for source in self.sources.of_runs():
            if source in lacking or not self._reached_once(source):
                yield from self._unreached(source)
        self.require_all_given()

    def beyond_runs(self) -> Iterator[Any]:
        """Give the rows that no run reaches, whether or not those of runs are read here."""
        return chain.from_iterable(map(self._unreached, self.sources.of_runs()))

    def prove(self, *, in_parts: bool = False) -> None:
        """Have `require_all_given` prove that every row was given once, as its table has it.

        To be called before anything is read. Where rows cannot be read by their number, the
        indexes by which they are found are compared with their tables instead, now.

        Args:
            in_parts: Whether others read the rows, and nobody sees the numbers of all of them.

        Raises:
            UnreadableError: An index disagrees with its table, or the database is damaged.
        """
        self.sources.proves = True
        if in_parts or self.sources.by_rowid is None:
            self.sources.trust_indexes()
            return
        for source in self.sources.of_runs():
            source.numbers = self.sources.by_rowid[source].numbers(source.stored)
            if source.numbers is None:
                self.sources.count_only()
                return

    def require_all_given(self) -> None:
        """Require that of each wanted table as many records were given as rows are stored.

        Raises:
            UnreadableError: A row was given twice, or not at all.
        """
        for source in self.sources.wanted():
            if not source.is_all_given:
                self.sources.trust_indexes()
                raise UnreadableError(
                    f"Of {count_of(source.stored, 'row')} that the table has, {source.given} were "
                    "exported: rows claim one parent in two ways, so the order of the record "
                    "cannot be told.",
                    table=source.table.name,
                    remedy="Compare the keys of this table and of the tables it refers to: they "
                    "repeat, or differ only in case or in type.",
                )

    def _unreached(self, source: Source) -> Iterator[Any]:
        statement, table = self._select(source)
        statement = statement.where(not_(self.sources.schema.reached(table)))
        for row in source.read(statement.order_by(*table.order())):
            source.unreached += 1
            yield source.record(row, None)

    def _reached_once(self, source: Source) -> bool:
        """Tell whether no row can be reached twice, which would make up for one not reached."""
        dialect = self.sources.connection.dialect.name
        for link, parent in self.sources.schema.links(source.table):
            own, its = source.table.shape.column(link.key), parent.shape.column(link.parent_key)
            assert own is not None
            assert its is not None
            types = {type_class(shape.type, dialect) for shape in (own, its)}
            if types != {"text"} or not parent.is_named_by(its.name):
                return False
        return True

    def _select(self, source: Source) -> tuple[Select[Any], StoredTable]:
        """Select what records are made of; give the table, too, by which they are found."""
        by_rowid = self.sources.numbered(source)
        if by_rowid is None:
            return source.select(), source.table
        return by_rowid.select(source.form.columns), by_rowid.entry

    def _select_of_run(self, source: Source) -> tuple[Select[Any], StoredTable]:
        """Select what the records of a run are made of."""
        statement, table = self._select(source)
        by_rowid = self.sources.numbered(source)
        belongs = by_rowid.of_run(RUN) if by_rowid else self.sources.schema.of_run(table, RUN)
        return statement.where(belongs), table

    def _branch(self, branch: Branch, run_id: Any) -> Iterator[list[Any]]:
        source = self.sources.find(branch.table)
        if source is None or not self.sources.wants_any(branch):
            return
        statement = self._of_run.get(branch.table)
        if statement is None:
            statement, table = self._select_of_run(source)
            statement = statement.order_by(*table.order())
            self._of_run[branch.table] = statement
        size = self._window if branch.below else CHUNK
        last: Sequence[Any] = ()
        for rows in source.chunks(statement, {"run_id": run_id}, size=size):
            if source.numbers is not None and not source.sorting.is_kept([*last, *rows]):
                # An index sorts them by what it says of them.
                self.sources.trust_indexes()
            last = rows[-1:]
            if branch.below:
                yield from self._families.of(branch, source, rows, run_id)
            else:
                yield source.records(rows, run_id)
