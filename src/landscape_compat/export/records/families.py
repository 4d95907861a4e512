"""The families of a run's records: each row of a window, with the children that are below it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, literal_column, select

from landscape_compat.export.records.by_rowid import ByRowid
from landscape_compat.export.records.lists import ListQuery, takes_json
from landscape_compat.export.records.source import CHUNK, Source
from landscape_compat.export.records.sources import RUN, Sources
from landscape_compat.landscape.stored import holds
from landscape_compat.landscape.tables import RUNS, Branch, Link

__all__ = ["Families"]

_MOST_AT_ONCE: Final = 5_000
_NO_CHILD: Final[tuple[int, Any]] = -1, None


class Families:
    """Reads what is below the rows of a window, by a query a table and not one a row.

    Args:
        sources: The stored tables.
        window: How many parents are read before their children are.
    """

    def __init__(self, sources: Sources, window: int) -> None:
        self._sources = sources
        self._window = window
        self._json_lists = takes_json(sources.connection)
        self._below_of: dict[tuple[str, str, bool], ListQuery] = {}
        self._at_most: dict[str, int] = {}

    def of(
        self, branch: Branch, source: Source, window: Sequence[Any], run_id: Any
    ) -> Iterator[list[Any]]:
        """Give each row of a window with all that is below it, in lists as they come.

        Args:
            branch: The rows' branch.
            source: Their table.
            window: The rows.
            run_id: The run that they were reached from.
        """
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
        self._sources.count_only()
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
        if self._sources.wants(branch.table):
            made.append((source, rows))
            families = [[make(row, run_id)] for row in rows]
        else:
            families = [[] for _ in rows]
        for child in branch.below:
            found = self._sources.below(child, source) if self._sources.wants_any(child) else None
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
        by_rowid = self._sources.numbered(source)
        if by_rowid and len(places) < len(keys):
            raise _NotAtOnce
        query = self._below_query(parent, source, link, by_rowid)
        at, count = source.position_of(link.key) if by_rowid else 0, 0
        groups: defaultdict[Any, list[Any]] = defaultdict(list)
        for chunk in query.chunks(self._sources.connection, keys, {"run_id": run_id}):
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
            if self._sources.wants_any(child)
        ]
        wanted = self._sources.wants(branch.table)
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
        found = self._sources.below(branch, parent)
        if found is None:
            return
        source, link = found
        query = self._below_query(parent, source, link)
        keys = source.claim(parent, link, window)
        rows = query.read(self._sources.connection, keys, {"run_id": run_id})
        if not branch.below:
            for row in rows:
                yield row[0], source.record(row, run_id)
            return
        while below := list(islice(rows, self._window)):
            yield from self._family(branch, source, below, run_id)

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
                statement = statement.where(table.get(link.indexed_after or "") == RUN)
            return statement

        return ListQuery(by_list, source.table.name, json_lists=self._json_lists)

    def _agrees(self, source: Source, link: Link, run: ColumnElement[Any]) -> bool:
        """Tell whether every row that reaches a run repeats that run, and no other.

        What a row belongs to counts, whatever it says of its run. Where both always agree, an
        index that begins with the run can be used; else it would lose rows without a word.
        """
        table, same = source.table, []
        while link.parent != RUNS:
            parent = self._sources.schema.table(link.parent)
            # What is above was read by these links, so that all of them are stored.
            assert parent
            same.append(parent.key(link.parent_key) == table.get(link.key))
            table, (link, _) = parent, next(self._sources.schema.links(parent))
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
