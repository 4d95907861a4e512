"""The work of a migration: which tables and columns go over, what is refused, what is proven."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SAWarning

from landscape_compat.engine.report import SchemaReport
from landscape_compat.errors import RowsRefusedError, count_of, printable
from landscape_compat.landscape.stored import StoredTable, read
from landscape_compat.migrate.attended import attendants
from landscape_compat.migrate.copying import (
    RefusedRow,
    TableCopy,
    copy_table,
    find_orphans,
    laid_out,
    refused_row,
    rows_of,
)
from landscape_compat.migrate.forms import file_type
from landscape_compat.migrate.proof import ProvenTable, prove_table
from landscape_compat.migrate.target import (
    Target,
    add_column,
    add_table,
    key_of_rows,
    relax,
)
from landscape_compat.projection.plan import Plan
from landscape_compat.projection.rules import RuleKind
from landscape_compat.schema.catalogue.sqlite import read_stored
from landscape_compat.schema.shape import ColumnShape, TableShape, fold_name, quote_name

__all__ = ["Done", "Work"]


@dataclass(frozen=True, slots=True)
class Done:
    """What a migration did.

    Args:
        tables: The tables that were copied, each proven the same on both sides.
        filled: The columns whose values a rule gave, by table: the kind of the rule, and why.
        absent_tables: The tables that are empty because the record never had them.
        absent: The columns that are NULL throughout because the record never held them.
        relaxed: Those of them that the new schema says are never NULL.
        left_out: How many rows of tables, and values of columns, the new schema has no place
            for, by `table` or `table.column`; and 1 for each view, trigger or index that
            somebody made, by `view name`.
        own: How many old rows were not copied to tables that the host fills itself.
        quarantined: The rows in side tables.
        as_stored: The tables that the new schema does not know, carried as they are.
    """

    tables: tuple[ProvenTable, ...]
    filled: Mapping[str, tuple[dict[str, str], ...]]
    absent_tables: tuple[str, ...]
    absent: tuple[str, ...]
    relaxed: tuple[str, ...]
    left_out: Mapping[str, int]
    own: Mapping[str, int]
    quarantined: tuple[RefusedRow, ...]
    as_stored: frozenset[str]

    @property
    def rows(self) -> int:
        """Count the rows that were copied, those in side tables among them."""
        return sum(table.rows for table in self.tables)

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain JSON values."""
        return {
            "tables": [
                {
                    "table": printable(table.name),
                    "rows": table.rows,
                    "quarantined": table.quarantined,
                    **({"side_table": printable(table.side)} if table.side else {}),
                    "as_stored": table.name in self.as_stored,
                    "sha256": table.sha256,
                    "columns": [printable(name) for name in table.columns],
                    "filled": [
                        {**told, "rows": table.filled[told["column"]]}
                        for told in self.filled.get(table.name, ())
                    ],
                }
                for table in self.tables
            ],
            "absent_tables": [printable(name) for name in self.absent_tables],
            "absent": [printable(name) for name in self.absent],
            "relaxed": [printable(name) for name in self.relaxed],
            "left_out": {printable(name): count for name, count in self.left_out.items()},
            "made_by_host": {printable(name): count for name, count in self.own.items()},
            "quarantined": [printable(row) for row in self.quarantined],
        }


@dataclass(slots=True)
class Work:
    """One migration under way.

    Args:
        old: A connection of an attached engine to the old database, in a transaction.
        new: The new database, empty, in autocommit mode.
        target: What it is to be.
        plan: How the old one is read as the new one's readers declare it.
        report: What the old one lacks.
    """

    old: Connection
    new: sqlite3.Connection
    target: Target
    plan: Plan
    report: SchemaReport
    _relaxed: list[str] = field(default_factory=list)
    _left_out: dict[str, int] = field(default_factory=dict)
    _own: dict[str, int] = field(default_factory=dict)
    _unrecorded: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def run(self, *, keep_extra: bool, quarantine: bool) -> Done:
        """Copy everything, and compare it.

        Args:
            keep_extra: Whether what the new schema does not know is carried too.
            quarantine: Whether refused rows go to side tables.

        Raises:
            RowsRefusedError: Rows are refused, and are not to go to side tables.
            ProofFailedError: The two sides differ.
            UnreadableError: Something cannot be projected.
        """
        copies = [*self._known(keep_extra=keep_extra), *self._unknown(keep_extra=keep_extra)]
        copies = [*laid_out(self.new, copies)]
        copied = {fold_name(copy.name) for copy in copies}
        beside = attendants(self.old, self.new, self.plan.stored, copied)
        self._left_out |= dict.fromkeys(beside, 1)
        triggers = self._without_triggers()
        refused = self._copy(copies, quarantine=quarantine)
        for sql in triggers:
            self.new.execute(sql)
        proven = tuple(
            prove_table(self.old, self.new, copy, self._filled_columns(copy)) for copy in copies
        )
        return Done(
            tables=proven,
            filled={copy.name: self._filled(copy) for copy in copies},
            absent_tables=tuple(t.name for t in self.report.tables if t.drift.missing_table),
            absent=tuple(self._absent(copies)),
            relaxed=tuple(self._relaxed),
            left_out=self._left_out,
            own=self._own,
            quarantined=tuple(refused),
            as_stored=frozenset(copy.name for copy in copies if copy.as_stored),
        )

    def _known(self, *, keep_extra: bool) -> Iterator[TableCopy]:
        """Give the tables that both sides know, those that others refer to first."""
        with warnings.catch_warnings():
            # Tables that refer to each other have no order; foreign keys are looked at last.
            warnings.simplefilter("ignore", SAWarning)
            tables = self.target.metadata.sorted_tables
        empty = read_stored(self.new)
        for name in (table.name for table in tables):
            stored = self.plan.stored.table(name)
            if stored is None:
                continue
            count = self._count(stored)
            if self.new.execute(f"SELECT 1 FROM {quote_name(name)} LIMIT 1").fetchone():
                self._own[name] = count
                continue
            made = empty.table(name)
            assert made is not None
            if count and not self.target.host:
                never = [*self._never_recorded(name, stored)]
                self._relaxed += [f"{name}.{c}" for c in relax(self.new, made, never)]
            elif count:
                self._unrecorded[name] = tuple(self._insisted_on(name, made))
            kept = tuple(c.name for c in made.columns if not c.generated)
            extra = self._extra_columns(name, stored, keep_extra=keep_extra)
            yield TableCopy(name, (*kept, *extra), stored)

    def _never_recorded(self, name: str, stored: TableShape) -> Iterator[str]:
        """Give the columns that are NULL because nobody ever recorded them."""
        for told in self._told(name):
            if told.kind == RuleKind.ABSENT:
                yield told.column
        # What builds of the database's own shape never let be NULL, only a migration does.
        exact = self.report.identification.exact if self.report.identification else ()
        declared = [table for known in exact if (table := known.shape.table(name))]
        for column in stored.columns:
            own = [found for table in declared if (found := table.column(column.name))]
            if column.nullable and own and not any(found.nullable for found in own):
                yield column.name

    def _insisted_on(self, name: str, made: TableShape) -> Iterator[str]:
        """Give the columns that were never recorded and that the host does not let be NULL."""
        for told in self._told(name):
            column = made.column(told.column)
            if told.kind == RuleKind.ABSENT and column and not column.nullable:
                yield f"{name}.{column.name}"

    def _extra_columns(self, name: str, stored: TableShape, *, keep_extra: bool) -> Iterator[str]:
        for column in self.report.table(name).drift.extra_columns:
            if keep_extra and not column.generated:
                add_column(self.new, name, self._as_filed(column))
                yield column.name
            else:
                self._left_out[f"{name}.{column.name}"] = self._count(stored, column.name)

    def _unknown(self, *, keep_extra: bool) -> Iterator[TableCopy]:
        """Give the tables that the new schema does not know."""
        for stored in self.plan.stored:
            if stored.kind == "view" or self.plan.declared.table(stored.name) is not None:
                continue
            if keep_extra and stored.kind == "table" and stored.columns:
                columns = tuple(map(self._as_filed, stored.columns))
                unknown = replace(stored, columns=columns)
                add_table(self.new, unknown, numbered=self._is_numbered(stored))
                yield TableCopy(stored.name, stored.column_names, stored, as_stored=True)
            else:
                self._left_out[stored.name] = self._count(stored)

    def _is_numbered(self, stored: TableShape) -> bool:
        """Tell whether the key of an old table, if it is one integer, numbers its rows."""
        if self.old.dialect.name != "sqlite":
            return True
        return key_of_rows(self.old.connection.dbapi_connection, stored.name) is not None

    def _as_filed(self, column: ColumnShape) -> ColumnShape:
        return column._replace(type=file_type(column.type, self.old.dialect.name))

    def _count(self, stored: TableShape, column: str | None = None) -> int:
        clause = StoredTable.of(stored, self.old.dialect.name).clause
        counted = func.count() if column is None else func.count(clause.c[column])
        ((count,),) = read(self.old, select(counted).select_from(clause), table=stored.name)
        return int(count)

    def _without_triggers(self) -> list[str]:
        """Take the triggers away, which are for what is recorded from now on; give their SQL."""
        found = "SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger'"
        triggers = self.new.execute(found).fetchall()
        for name, _ in triggers:
            self.new.execute(f"DROP TRIGGER {quote_name(name)}")
        return [sql for _, sql in triggers]

    # --- rows -----------------------------------------------------------------------------------

    def _copy(self, copies: list[TableCopy], *, quarantine: bool) -> list[RefusedRow]:
        if not quarantine:
            self._require_recorded(copies)
        refused = list[RefusedRow]()
        for copy in copies:
            refused += copy_table(self.old, self.new, copy, quarantine=quarantine)
        # Without a parent that was refused, its children are refused, and so on.
        while found := find_orphans(self.new, copies, refused, quarantine=quarantine):
            refused += found
            if not quarantine:
                break
        if refused and not quarantine:
            raise RowsRefusedError(
                f"The constraints of {self.target.name} refuse {count_of(len(refused), 'row')}, so "
                "nothing was kept.",
                rows=tuple(printable(row) for row in refused),
                remedy="Have them written to side tables (--quarantine), or migrate to an older "
                "shape (--to).",
            )
        return refused

    def _require_recorded(self, copies: list[TableCopy]) -> None:
        """Refuse, before anything is copied, what would have to be invented for the host."""
        refused, columns = list[RefusedRow](), list[str]()
        for copy in copies:
            if never := self._unrecorded.get(copy.name):
                columns += never
                why = f"NOT NULL constraint failed: {', '.join(never)}, never recorded"
                rows = enumerate(rows_of(self.old, copy))
                refused += [refused_row(copy, position, row, why) for position, row in rows]
        if refused:
            raise RowsRefusedError(
                f"In {count_of(len(refused), 'row')} nobody recorded what {self.target.name} "
                f"insists on ({printable(', '.join(columns))}), and nothing is made up here, so "
                "nothing was kept.",
                rows=tuple(printable(row) for row in refused),
                remedy="Name a text to stand there, which the proof then tells (--stand-in "
                f"{printable(columns[0])}=TEXT, once for each); or migrate to a known shape, which "
                "holds NULL (--to); or read the old database through the shim.",
            )

    # --- what is told ---------------------------------------------------------------------------

    def _told(self, name: str) -> list[Any]:
        return list(self.report.table(name).filled)

    def _filled_columns(self, copy: TableCopy) -> tuple[str, ...]:
        return tuple(told["column"] for told in self._filled(copy))

    def _filled(self, copy: TableCopy) -> tuple[dict[str, str], ...]:
        if copy.as_stored:
            return ()
        here = {fold_name(name): name for name in copy.columns}
        return tuple(
            {"column": here[fold_name(c.column)], "rule": str(c.kind), "why": c.why}
            for c in self._told(copy.name)
            if c.kind != RuleKind.ABSENT and fold_name(c.column) in here
        )

    def _absent(self, copies: list[TableCopy]) -> Iterator[str]:
        for copy in copies:
            if not copy.as_stored:
                for c in self._told(copy.name):
                    if c.kind == RuleKind.ABSENT:
                        yield f"{copy.name}.{c.column}"
