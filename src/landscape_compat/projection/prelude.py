"""The prelude: the common table expression that shows a stored table in its declared shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial

from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql.expression import ColumnClause

from landscape_compat.errors import UnreadableError
from landscape_compat.projection import mariadb
from landscape_compat.projection.joins import Joined
from landscape_compat.projection.render import quote_name
from landscape_compat.projection.rules import Rule, RuleKind
from landscape_compat.schema.shape import ColumnShape, TableShape, fold_letters, fold_name
from landscape_compat.schema.types import is_mariadb

__all__ = ["ProjectedColumn", "Projection"]

# Source: https://www.sqlite.org/limits.html, SQLITE_MAX_COLUMN.
_MOST_COLUMNS = {"sqlite": 2000, "postgresql": 1600, "mariadb": 4096, "mysql": 4096}
# With a limit, MariaDB works a common table expression out before it reads from it.
_ALL_ROWS = " LIMIT 18446744073709551615"
# The types of what PostgreSQL has instead of a row number.
_HIDDEN = {
    "ctid": "tid",
    "tableoid": "oid",
    "xmin": "xid",
    "xmax": "xid",
    "cmin": "cid",
    "cmax": "cid",
}
# SQLite gives a column of a common table expression that is named so another name.
_UNNAMEABLE = frozenset({"true", "false"})


@dataclass(frozen=True, eq=False)
class ProjectedColumn:
    """One declared column that is not shown as it is stored.

    Args:
        column: The declared column.
        write: Writes its value, when a statement first reads it.
        kind: What the value is owed to.
        rule: The rule, or None where no rule says anything and NULL stands.
        replaces: Whether a stored column's values are replaced.
        refusal: Why it cannot be read, if it cannot.
        join: Writes the same value as a join, if that can be; None if it cannot.
        is_made: Whether MariaDB must work it out before an outer join makes up rows.
        is_loose: Whether it must do so always, as no column tells a row that was made up.
    """

    column: ColumnShape
    write: Callable[[], str]
    kind: RuleKind = RuleKind.ABSENT
    rule: Rule | None = None
    replaces: bool = False
    refusal: str | None = None
    join: Callable[[], Joined | None] | None = None
    is_made: bool = False
    is_loose: bool = False

    @cached_property
    def sql(self) -> str:
        """Give the value in the dialect's SQL, over the stored table by the projection's alias.

        Raises:
            RuleError: The dialect cannot express the rule.
        """
        return self.write()

    @cached_property
    def joined(self) -> Joined | None:
        """Give the value as a join, for statements that filter on it; None if there is none."""
        return self.join() if self.join else None


@dataclass(frozen=True, slots=True)
class Projection:
    """How one declared table is read from what is stored.

    Args:
        name: The declared name.
        source: The stored table's full name in SQL, with its schema; "" for a missing table.
        stored: The stored table, or None for a missing one.
        columns: The columns that are not shown as they are stored.
        dialect: The dialect it is written for.
        alias: The stored table's name within the projection.
        schema: The schema that the table is in, or is looked for in.
        label: What people call the table: with its schema, where that must be said.
    """

    name: str
    source: str
    stored: TableShape | None
    columns: tuple[ProjectedColumn, ...]
    dialect: Dialect
    alias: str = "t"
    schema: str = ""
    label: str = ""
    _quote: Callable[[str], str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_quote", partial(quote_name, self.dialect))
        object.__setattr__(self, "label", self.label or self.name)

    def _fold(self, name: str) -> str:
        if self.dialect.name == "postgresql":
            return name
        return fold_letters(name) if is_mariadb(self.dialect.name) else fold_name(name)

    def render(
        self,
        cte: str,
        named: frozenset[str],
        *,
        everything: bool,
        row_numbers: frozenset[str] = frozenset(),
        filtered: frozenset[str] = frozenset(),
        has_outer_join: bool = False,
        has_null_safe: bool = False,
        is_whole: bool = False,
    ) -> str:
        """Write the common table expression for one statement.

        Args:
            cte: The name it gets.
            named: The folded names that the statement mentions.
            everything: Whether the statement may read columns it does not name (`*`, NATURAL).
            row_numbers: The names by which it may read the table's hidden row number.
            filtered: The folded names by which rows are looked for, where that may be by a join.
            has_outer_join: Whether it may have an outer join.
            has_null_safe: Whether it compares by `<=>`.
            is_whole: Whether MariaDB is to work the projection out before it reads from it.

        Raises:
            UnreadableError: The statement needs a column that cannot be projected faithfully.
        """
        self._refuse_unnameable(named, everything)
        if self.stored is None:
            body, made_up = self._empty(row_numbers, everything), False
        else:
            wanted = self._wanted(named, everything)
            body = self._select(wanted, named, row_numbers, everything, filtered)
            made_up = any(c.is_loose or (has_outer_join and c.is_made) for c in wanted)
            # Of `a = b AND a <=> c`, where b and c are one column, MariaDB forgets the first.
            made_up |= has_null_safe and self._shows_twice(wanted, named)
        if is_whole or made_up:
            body += _ALL_ROWS
        # Without the hint, a table used twice is copied whole before the first row is read.
        # MariaDB has none, and merges what is as plain as this into the statement.
        hint = "" if is_mariadb(self.dialect.name) else " NOT MATERIALIZED"
        return f"{self._quote(cte)} AS{hint} ({body})"

    def _refuse_unnameable(self, named: frozenset[str], everything: bool) -> None:
        if self.dialect.name != "sqlite":
            return
        stored = self.stored.column_names if self.stored else ()
        for name in (*stored, *(c.column.name for c in self.columns)):
            if fold_name(name) in _UNNAMEABLE and (everything or fold_name(name) in named):
                raise UnreadableError(
                    "SQLite cannot show a column of this name through a common table "
                    f"expression, and would take {name!r} for a constant.",
                    table=self.name,
                    column=name,
                    remedy="Read the other columns by their names.",
                )

    def _empty(self, row_numbers: frozenset[str], everything: bool) -> str:
        if is_mariadb(self.dialect.name):
            return mariadb.empty_table([(self._quote(c.column.name), c.sql) for c in self.columns])
        items = [f"{c.sql} AS {self._quote(c.column.name)}" for c in self.columns]
        carried = self._carried(row_numbers, everything)
        items += [f"CAST(NULL AS {_HIDDEN.get(name, 'INTEGER')}) AS {name}" for name in carried]
        never = "0" if self.dialect.name == "sqlite" else "false"
        return f"SELECT {', '.join(items)} WHERE {never}"

    def _shows_twice(self, wanted: list[ProjectedColumn], named: frozenset[str]) -> bool:
        """Tell whether a statement may mention a stored column by two names."""
        renamed = [
            self._fold(c.rule.expression.name)
            for c in wanted
            if c.rule is not None and isinstance(c.rule.expression, ColumnClause)
        ]
        return len(set(renamed)) < len(renamed) or any(name in named for name in renamed)

    def _wanted(self, named: frozenset[str], everything: bool) -> list[ProjectedColumn]:
        wanted = [c for c in self.columns if everything or self._fold(c.column.name) in named]
        for c in wanted:
            if c.refusal:
                raise UnreadableError(
                    c.refusal,
                    table=self.name,
                    column=c.column.name,
                    remedy="Read the other columns, or give a rule that derives this one.",
                )
        return wanted

    def _select(
        self,
        wanted: list[ProjectedColumn],
        named: frozenset[str],
        row_numbers: frozenset[str],
        everything: bool,
        filtered: frozenset[str],
    ) -> str:
        assert self.stored is not None
        # Only what is asked for: a derived column may cost much, and a name that the scan had
        # overlooked fails at the database, where a NULL in its place would be believed.
        added = [c for c in wanted if not c.replaces]
        most = _MOST_COLUMNS.get(self.dialect.name)
        if most is not None and len(self.stored.columns) + len(added) > most:
            raise UnreadableError(
                f"The stored table has {len(self.stored.columns)} columns already, so the "
                "missing ones that this statement reads do not fit beside them.",
                table=self.name,
                remedy="Read fewer of the missing columns in one statement.",
            )
        items = self._stored_items(wanted, self._unhidden(named, everything))
        source = f"{self.source} AS {self.alias}"
        for c in added:
            joined = c.joined if self._fold(c.column.name) in filtered else None
            items.append(f"{joined.value if joined else c.sql} AS {self._quote(c.column.name)}")
            source += joined.clause if joined else ""
        carried = self._carried(row_numbers, everything)
        items += [f"{self.alias}.{name} AS {name}" for name in carried]
        return f"SELECT {', '.join(items)} FROM {source}"

    def _stored_items(self, wanted: list[ProjectedColumn], unhidden: list[str]) -> list[str]:
        """Take `t.*`, so that a column which appears meanwhile is seen, unless one is replaced."""
        assert self.stored is not None
        replaced = {self._fold(c.column.name): c.sql for c in wanted if c.replaces}
        if not replaced:
            return [f"{self.alias}.*", *(f"{self.alias}.{self._quote(name)}" for name in unhidden)]
        return [
            f"{replaced[self._fold(c.name)]} AS {self._quote(c.name)}"
            if self._fold(c.name) in replaced
            else f"{self.alias}.{self._quote(c.name)}"
            for c in self.stored.columns
            if not c.hidden or c.name in unhidden
        ]

    def _unhidden(self, named: frozenset[str], everything: bool) -> list[str]:
        """Name the columns that `*` leaves out and the statement names."""
        assert self.stored is not None
        asked = [c.name for c in self.stored.columns if c.hidden and self._fold(c.name) in named]
        if asked and everything:
            raise UnreadableError(
                "The statement reads an invisible column and every other at once; it would be "
                "shown among them.",
                table=self.name,
                column=asked[0],
                remedy="Name the columns instead of `*`.",
            )
        return asked

    def row_numbers(self, names: frozenset[str]) -> list[str]:
        """Tell by which of the names the table's hidden row number is read.

        Args:
            names: Names of a row number.
        """
        if self.stored and not self.stored.has_rowid:
            return []
        columns = [*(c.column for c in self.columns), *(self.stored.columns if self.stored else ())]
        return sorted(names - {fold_name(column.name) for column in columns})

    def _carried(self, names: frozenset[str], everything: bool) -> list[str]:
        """Carry the row number along, which a common table expression does not have."""
        asked = self.row_numbers(names)
        if asked and everything:
            raise UnreadableError(
                f"The statement reads {asked[0]!r} and every column at once; the row number "
                "would be shown among the columns.",
                table=self.name,
                column=asked[0],
                remedy="Name the columns instead of `*`.",
            )
        return asked
