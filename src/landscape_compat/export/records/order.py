"""The order of the records: the host's, read with a few ordered queries a window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice
from operator import attrgetter
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    bindparam,
    literal_column,
    not_,
    select,
)

from landscape_compat.errors import UnreadableError
from landscape_compat.export.records.additions import Additions
from landscape_compat.export.records.by_rowid import ByRowid, sorts_as_python
from landscape_compat.export.records.lists import ListQuery, takes_json
from landscape_compat.export.records.soundness import require_sound_indexes
from landscape_compat.export.records.source import CHUNK, Source
from landscape_compat.export.records.values import RecordForm
from landscape_compat.landscape.stored import StoredSchema, StoredTable, holds
from landscape_compat.landscape.tables import AFTER_HOST, HOST_ORDER, RUNS, TABLES, Branch, Link
from landscape_compat.schema.shape import SchemaShape, fold_name
from landscape_compat.schema.types import type_class

__all__ = ["WINDOW", "MakeOf", "RecordOrder"]

# For each form, what makes a record of a row and the run that it was reached from.
MakeOf: TypeAlias = Callable[[RecordForm], Callable[[Sequence[Any], Any], Any]]

WINDOW: Final = 500
_MOST_AT_ONCE: Final = 5_000
_NO_CHILD: Final[tuple[int, Any]] = -1, None
_NOTHING: Final = Additions()
_RUN: Final[BindParameter[Any]] = bindparam("run_id")


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
        self._connection = connection
        self._dialect = connection.dialect.name
        self._schema = StoredSchema(stored, self._dialect)
        self._window = window
        self._tables = tables
        self._json_lists = takes_json(connection)
        self._sources = {
            fold_name(table.name): Source(connection, table, make_of, additions)
            for table in self._schema
        }
        self._proves = False
        self._of_run: dict[str, Select[Any]] = {}
        self._below_of: dict[tuple[str, str, bool], ListQuery] = {}
        self._at_most: dict[str, int] = {}

    @property
    def sources(self) -> tuple[Source, ...]:
        """Give every table, and how many records of it were given so far."""
        return tuple(self._sources.values())

    def run_ids(self) -> Iterator[Any]:
        """Give the id of every run, in the order in which they began."""
        runs = self._source(RUNS)
        if runs is None or runs.table.column("run_id") is None:
            return
        at = runs.position_of("run_id")
        found = runs.read(runs.select_unindexed().order_by(*runs.table.order()))
        yield from dict.fromkeys(row[at] for row in found if row[at] is not None)

    def run(self, run_id: Any) -> Iterator[Any]:
        """Give the records of one run: the host's in its order, then those it never exports.

        Args:
            run_id: The run.
        """
        return chain.from_iterable(self.run_lists(run_id))

    def run_lists(self, run_id: Any) -> Iterator[list[Any]]:
        """Give what `run` gives, in lists as they come.

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
        for source in self.sources:
            if not self.wants(source.table.name) or source.is_empty:
                continue
            if run_ids is None:
                for rows in source.chunks(source.select_all()):
                    yield source.records(rows, None)
                continue
            statement, _ = self._select_of_run(source)
            for run_id in run_ids:
                for rows in source.chunks(statement, {"run_id": run_id}):
                    yield source.records(rows, only)

    def of_database(self) -> Iterator[Any]:
        """Give the rows of the tables that belong to no run: the host's, then everybody's."""
        return chain.from_iterable(self.database_lists())

    def database_lists(self) -> Iterator[list[Any]]:
        """Give what `of_database` gives, in lists as they come."""
        own = [facts.table for facts in TABLES if not facts.links and facts.table != RUNS]
        others = [source.table.name for source in self.sources if source.table.facts is None]
        for name in (*own, *others):
            source = self._source(name)
            if source and self.wants(name):
                statement = source.select_unindexed().order_by(*source.table.order())
                for rows in source.chunks(statement):
                    yield source.records(rows, None)

    def unreached(self) -> Iterator[Any]:
        """Give the rows that no run reaches, and prove that with them every row was given.

        To be called when every run, and what belongs to no run, has been read to its end.

        Raises:
            UnreadableError: A row was given twice, or not at all.
        """
        lacking = [source for source in self._of_runs() if not source.is_all_given]
        if lacking:
            # That no run reaches a row is what indexes say.
            self._trust_indexes()
        for source in self._of_runs():
            if source in lacking or not self._reached_once(source):
                yield from self._unreached(source)
        self.require_all_given()

    def beyond_runs(self) -> Iterator[Any]:
        """Give the rows that no run reaches, whether or not those of runs are read here."""
        return chain.from_iterable(map(self._unreached, self._of_runs()))

    def prove(self, *, in_parts: bool = False) -> None:
        """Have `require_all_given` prove that every row was given once, as its table has it.

        To be called before anything is read. Where rows cannot be read by their number, the
        indexes by which they are found are compared with their tables instead, now.

        Args:
            in_parts: Whether others read the rows, and nobody sees the numbers of all of them.

        Raises:
            UnreadableError: An index disagrees with its table, or the database is damaged.
        """
        self._proves = True
        if in_parts or self._by_rowid is None:
            self._trust_indexes()
            return
        for source in self._of_runs():
            source.numbers = self._by_rowid[source].numbers(source.stored)
            if source.numbers is None:
                self._count_only()
                return

    def require_all_given(self) -> None:
        """Require that of each wanted table as many records were given as rows are stored.

        Raises:
            UnreadableError: A row was given twice, or not at all.
        """
        for source in self.sources:
            if self.wants(source.table.name) and not source.is_all_given:
                self._trust_indexes()
                raise UnreadableError(
                    f"{source.stored} rows are stored but {source.given} were exported: rows "
                    "claim one parent in two ways, so the order of the record cannot be told.",
                    table=source.table.name,
                    remedy="Compare the keys of this table and of the tables it refers to: they "
                    "repeat, or differ only in case or in type.",
                )

    @cached_property
    def _by_rowid(self) -> Mapping[Source, ByRowid] | None:
        """Give what reads rows by their number; None if not all that belong to runs can be."""
        sources = list(self._all_of_runs())
        if not sorts_as_python(self._connection) or not all(
            source.table.rowid and not source.table.filled for source in sources
        ):
            return None
        return {s: ByRowid(self._connection, self._schema, s.table) for s in sources}

    def _numbered(self, source: Source) -> ByRowid | None:
        """Find what reads a table's rows by their number, with which they begin then."""
        return self._by_rowid.get(source) if self._by_rowid else None

    def _trust_indexes(self) -> None:
        """Take what indexes say from now on; compare them first, where proof was asked for.

        Raises:
            UnreadableError: An index disagrees with its table, or the database is damaged.
        """
        if self._proves:
            self._proves = False
            require_sound_indexes(self._connection)

    def _count_only(self) -> None:
        """Let rows be counted from now on, without a look at their numbers."""
        self._trust_indexes()
        for source in self.sources:
            source.numbers = None

    def _of_runs(self) -> Iterator[Source]:
        """Give the wanted tables whose rows belong to runs."""
        return (source for source in self._all_of_runs() if self.wants(source.table.name))

    def _all_of_runs(self) -> Iterator[Source]:
        """Give the tables whose rows belong to runs, and that have some."""
        for facts in TABLES:
            source = self._source(facts.table)
            if source and (facts.links or facts.table == RUNS):
                yield source

    def _unreached(self, source: Source) -> Iterator[Any]:
        statement, table = self._select(source)
        statement = statement.where(not_(self._schema.reached(table)))
        for row in source.read(statement.order_by(*table.order())):
            source.unreached += 1
            yield source.record(row, None)

    def _reached_once(self, source: Source) -> bool:
        """Tell whether no row can be reached twice, which would make up for one not reached."""
        for link, parent in self._schema.links(source.table):
            own, its = source.table.shape.column(link.key), parent.shape.column(link.parent_key)
            assert own is not None
            assert its is not None
            types = {type_class(shape.type, self._dialect) for shape in (own, its)}
            if types != {"text"} or not parent.is_named_by(its.name):
                return False
        return True

    def wants(self, table: str) -> bool:
        """Tell whether a table's records are wanted."""
        return self._tables is None or fold_name(table) in self._tables

    def _wants_any(self, branch: Branch) -> bool:
        """Tell whether a branch, or any below it, holds what is wanted."""
        return self.wants(branch.table) or any(map(self._wants_any, branch.below))

    def _source(self, table: str) -> Source | None:
        source = self._sources.get(fold_name(table))
        return None if source is None or source.is_empty else source

    def _select(self, source: Source) -> tuple[Select[Any], StoredTable]:
        """Select what records are made of; give the table, too, by which they are found."""
        by_rowid = self._numbered(source)
        if by_rowid is None:
            return source.select(), source.table
        return by_rowid.select(source.form.columns), by_rowid.entry

    def _select_of_run(self, source: Source) -> tuple[Select[Any], StoredTable]:
        """Select what the records of a run are made of."""
        statement, table = self._select(source)
        by_rowid = self._numbered(source)
        belongs = by_rowid.of_run(_RUN) if by_rowid else self._schema.of_run(table, _RUN)
        return statement.where(belongs), table

    def _branch(self, branch: Branch, run_id: Any) -> Iterator[list[Any]]:
        source = self._source(branch.table)
        if source is None or not self._wants_any(branch):
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
                self._trust_indexes()
            last = rows[-1:]
            if branch.below:
                yield from self._families(branch, source, rows, run_id)
            else:
                yield source.records(rows, run_id)

    def _families(
        self, branch: Branch, source: Source, window: Sequence[Any], run_id: Any
    ) -> Iterator[list[Any]]:
        """Give each row of a window with all that is below it."""
        while window and (size := self._at_most.get(branch.table, self._window)):
            made = list[tuple[Source, Sequence[Any]]]()
            try:
                families = self._at_once(branch, source, window[:size], run_id, made)
            except _NotAtOnce as error:
                # From now on, fewer at once; at last none, and what is below them is merged.
                self._at_most[branch.table] = len(window[:size]) // 2 if error.fewer_may else 0
            else:
                for of, given in made:
                    of.give(given)
                yield from _in_chunks(families)
                window = window[size:]
        if not window:
            return
        self._count_only()
        merged = self._family(branch, source, window, run_id)
        while records := [record for _, record in islice(merged, CHUNK)]:
            yield records

    def _at_once(
        self,
        branch: Branch,
        source: Source,
        rows: Sequence[Any],
        run_id: Any,
        made: list[tuple[Source, Sequence[Any]]],
    ) -> list[list[Any]]:
        """Make, for each row, the list of it and of all that is below it.

        Args:
            branch: The rows' branch.
            source: Their table.
            rows: The rows.
            run_id: The run that they were reached from.
            made: Takes the rows of each table that records were made of.

        Raises:
            _NotAtOnce: There are too many, or two rows may own the same below them.
        """
        make = source.make
        if self.wants(branch.table):
            made.append((source, rows))
            families = [[make(row, run_id)] for row in rows]
        else:
            families = [[] for _ in rows]
        for child in branch.below:
            found = self._link_below(child, source) if self._wants_any(child) else None
            if found is None:
                continue
            below, link = found
            if source.repeated(link.parent_key):
                raise _NotAtOnce
            groups = self._groups(source, below, link, rows, run_id)
            children = list(chain.from_iterable(groups.values()))
            if child.below:
                grown = iter(self._at_once(child, below, children, run_id, made))
                for place, group in groups.items():
                    for _ in group:
                        families[place] += next(grown)
            else:
                make = below.make
                made.append((below, children))
                for place, group in groups.items():
                    families[place] += [make(row, run_id) for row in group]
        return families

    def _groups(
        self, parent: Source, source: Source, link: Link, rows: Sequence[Any], run_id: Any
    ) -> dict[int, list[Any]]:
        """Read what belongs to some rows: by the place of each that has something, in its order.

        Raises:
            _NotAtOnce: There is too much, or two rows may own the same.
        """
        at = parent.position_of(link.parent_key)
        keys = [row[at] for row in rows]
        places = {key: place for place, key in enumerate(keys) if type(key) is str}
        by_rowid = self._numbered(source)
        if by_rowid and len(places) < len(keys):
            raise _NotAtOnce
        query = self._below_query(parent, source, link, by_rowid)
        at, count = source.position_of(link.key) if by_rowid else 0, 0
        groups: defaultdict[Any, list[Any]] = defaultdict(list)
        for chunk in query.chunks(self._connection, keys, {"run_id": run_id}):
            for row in chunk:
                groups[row[at]].append(row)
            count += len(chunk)
            if count > _MOST_AT_ONCE:
                raise _NotAtOnce(fewer_may=True)
        if by_rowid is None:
            return groups
        if not places.keys() >= groups.keys():
            raise _NotAtOnce
        for group in groups.values():
            if len(group) > 1:
                source.sorting.sort(group)
        return {places[key]: group for key, group in groups.items()}

    def _family(
        self, branch: Branch, source: Source, window: Sequence[Any], run_id: Any
    ) -> Iterator[tuple[int, Any]]:
        """Give each row of a window with all that is below it, and the row's own position."""
        below = [
            _Merge(self._below(child, source, window, run_id))
            for child in branch.below
            if self._wants_any(child)
        ]
        wanted = self.wants(branch.table)
        for at, row in enumerate(window):
            if wanted:
                yield row[0], source.record(row, run_id)
            for children in below:
                while children.position == at:
                    yield row[0], children.take()

    def _below(
        self, branch: Branch, parent: Source, window: Sequence[Any], run_id: Any
    ) -> Iterator[tuple[int, Any]]:
        """Give the children of a window of parents, each with its parent's place in the window."""
        found = self._link_below(branch, parent)
        if found is None:
            return
        source, link = found
        query = self._below_query(parent, source, link)
        keys = source.claim(parent, link, window)
        rows = query.read(self._connection, keys, {"run_id": run_id})
        if not branch.below:
            for row in rows:
                yield row[0], source.record(row, run_id)
            return
        while below := list(islice(rows, self._window)):
            yield from self._family(branch, source, below, run_id)

    def _link_below(self, branch: Branch, parent: Source) -> tuple[Source, Link] | None:
        """Find a branch's table, and its link to the one above, as far as both are stored."""
        source = self._source(branch.table)
        if source is None:
            return None
        for link, of in self._schema.links(source.table):
            if of.name == parent.table.name:
                return source, link
        return None

    def _below_query(
        self, parent: Source, source: Source, link: Link, by_rowid: ByRowid | None = None
    ) -> ListQuery:
        key = parent.table.name, source.table.name, by_rowid is not None
        query = self._below_of.get(key)
        if query is None:
            query = self._below_of[key] = self._query_below(source, link, by_rowid)
        return query

    def _query_below(self, source: Source, link: Link, by_rowid: ByRowid | None) -> ListQuery:
        run = source.table.column(link.indexed_after) if link.indexed_after else None
        if run is not None and not self._agrees(source, link, run):
            run = None
        table = by_rowid.entry if by_rowid else source.table

        def by_list(position: ColumnElement[int], key: ColumnElement[Any]) -> Select[Any]:
            if by_rowid:
                statement = by_rowid.select(source.form.columns).where(by_rowid.belongs(link, key))
            else:
                statement = source.select(position).where(source.table.key(link.key) == key)
                statement = statement.where(holds(source.table, link))
                statement = statement.order_by(position, *source.table.order())
            if run is not None:
                statement = statement.where(table.get(link.indexed_after or "") == _RUN)
            return statement

        return ListQuery(by_list, source.table.name, json_lists=self._json_lists)

    def _agrees(self, source: Source, link: Link, run: ColumnElement[Any]) -> bool:
        """Tell whether every row that reaches a run repeats that run, and no other.

        What a row belongs to counts, whatever it says of its run. Where both always agree, an
        index that begins with the run can be used; else it would lose rows without a word.
        """
        table, same = source.table, []
        while link.parent != RUNS:
            parent = self._schema.table(link.parent)
            # What is above was read by these links, so that all of them are stored.
            assert parent
            same.append(parent.key(link.parent_key) == table.get(link.key))
            table, (link, _) = parent, next(self._schema.links(parent))
        other = run.is_distinct_from(table.get(link.key))
        return not list(source.read(select(literal_column("1")).where(*same, other).limit(1)))


def _in_chunks(families: Iterable[list[Any]]) -> Iterator[list[Any]]:
    """Put small lists together, because each one that is written takes time of its own."""
    together = list[Any]()
    for family in families:
        together += family
        if len(together) >= CHUNK:
            yield together
            together = []
    if together:
        yield together


class _NotAtOnce(Exception):  # noqa: N818 - it is no error, and nobody outside sees it
    """What is below a window is not to be read at once.

    Args:
        fewer_may: Whether what is below fewer rows may be.
    """

    def __init__(self, *, fewer_may: bool = False) -> None:
        self.fewer_may = fewer_may


class _Merge:
    """Children in the order of their parents, taken parent by parent.

    Args:
        children: Children, each with its parent's place.

    Attributes:
        position: The next child's parent's place; -1 when there is none left.
    """

    __slots__ = ("_children", "_record", "position")

    def __init__(self, children: Iterator[tuple[int, Any]]) -> None:
        self._children = children
        self.position, self._record = next(children, _NO_CHILD)

    def take(self) -> Any:
        """Give the next child."""
        record = self._record
        self.position, self._record = next(self._children, _NO_CHILD)
        return record
