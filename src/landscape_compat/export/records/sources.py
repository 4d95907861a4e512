"""The stored tables that records come from, and how far what their indexes say is taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, bindparam

from landscape_compat.export.records.additions import Additions
from landscape_compat.export.records.by_rowid import ByRowid, sorts_as_python
from landscape_compat.export.records.soundness import require_sound_indexes
from landscape_compat.export.records.source import MakeOf, Source
from landscape_compat.landscape.stored import StoredSchema
from landscape_compat.landscape.tables import RUNS, TABLES, Branch, Link
from landscape_compat.schema.shape import SchemaShape, fold_name

__all__ = ["RUN", "Sources"]

# The run that is asked for, in each statement that takes one.
RUN: Final[BindParameter[Any]] = bindparam("run_id")


class Sources:
    """The stored tables of one database, read by one connection inside one transaction.

    Args:
        connection: The connection.
        stored: What the database stores.
        make_of: Gives what makes a record of a row and its run, for each form.
        tables: The folded names of the tables whose records are wanted; all if None.
        additions: What records have besides what is stored.

    Attributes:
        proves: Whether indexes are still to be compared with their tables before they are trusted.
    """

    def __init__(
        self,
        connection: Connection,
        stored: SchemaShape,
        *,
        make_of: MakeOf,
        tables: frozenset[str] | None,
        additions: Additions,
    ) -> None:
        self.connection = connection
        self.schema = StoredSchema(stored, connection.dialect.name)
        self.proves = False
        self._tables = tables
        self._sources = {
            fold_name(table.name): Source(connection, table, make_of, additions)
            for table in self.schema
        }

    def __iter__(self) -> Iterator[Source]:
        return iter(self._sources.values())

    def find(self, table: str) -> Source | None:
        """Find a table that has rows by its name."""
        source = self._sources.get(fold_name(table))
        return None if source is None or source.is_empty else source

    def below(self, branch: Branch, parent: Source) -> tuple[Source, Link] | None:
        """Find a branch's table, and its link to the one above, as far as both are stored."""
        source = self.find(branch.table)
        if source is None:
            return None
        for link, of in self.schema.links(source.table):
            if of.name == parent.table.name:
                return source, link
        return None

    def wanted(self) -> Iterator[Source]:
        """Give the tables whose records are wanted."""
        return (source for source in self if self.wants(source.table.name))

    def of_runs(self) -> Iterator[Source]:
        """Give the wanted tables whose rows belong to runs, and that have some."""
        return (source for source in self._all_of_runs() if self.wants(source.table.name))

    def wants(self, table: str) -> bool:
        """Tell whether a table's records are wanted."""
        return self._tables is None or fold_name(table) in self._tables

    def wants_any(self, branch: Branch) -> bool:
        """Tell whether a branch, or any below it, holds what is wanted."""
        return self.wants(branch.table) or any(map(self.wants_any, branch.below))

    @cached_property
    def by_rowid(self) -> Mapping[Source, ByRowid] | None:
        """Give what reads rows by their number; None if not all that belong to runs can be."""
        sources = list(self._all_of_runs())
        if not sorts_as_python(self.connection) or not all(
            source.table.rowid and not source.table.filled for source in sources
        ):
            return None
        return {s: ByRowid(self.connection, self.schema, s.table) for s in sources}

    def numbered(self, source: Source) -> ByRowid | None:
        """Find what reads a table's rows by their number, with which they begin then."""
        return self.by_rowid.get(source) if self.by_rowid else None

    def trust_indexes(self) -> None:
        """Take what indexes say from now on; compare them first, where proof was asked for.

        Raises:
            UnreadableError: An index disagrees with its table, or the database is damaged.
        """
        if self.proves:
            self.proves = False
            require_sound_indexes(self.connection)

    def count_only(self) -> None:
        """Let rows be counted from now on, without a look at their numbers."""
        self.trust_indexes()
        for source in self:
            source.numbers = None

    def _all_of_runs(self) -> Iterator[Source]:
        for facts in TABLES:
            source = self.find(facts.table)
            if source and (facts.links or facts.table == RUNS):
                yield source
