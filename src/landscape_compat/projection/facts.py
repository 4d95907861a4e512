"""What one walk over a statement's tokens notes, of all of it and of each SELECT when that ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from landscape_compat.projection.statement import IndexHint, LoneRowNumber, QualifiedName

__all__ = ["Facts", "Level"]


@dataclass(slots=True)
class Level:
    """Where we are within one pair of parentheses.

    Args:
        in_from: Whether the tables of a SELECT are being named.
        expects_table: Whether the next name is a table's.
        last_source: The table named last.
        in_call: Whether it holds the arguments of `extract(year FROM x)` or its like, whose FROM
            names no table.
        in_using: Whether it holds the columns of USING.
        is_source: Whether it stands where a table may.
        selects: Whether it holds a SELECT of its own.
        listed: Whether that began with what it selects, as everywhere but in DuckDB it must.
        orders: Whether its ORDER BY has begun.
        tables: What its SELECT reads; "" for a subquery.
        shown: The names that those go by; none for a subquery without one.
        numbers: The row numbers that stand alone in its SELECT, each with what SELECTs further in
            read that it is looked for in first.
        given: The names of a row number that its SELECT gives to results.
        test: The word that makes a test of its SELECT: EXISTS, or IN for any that compares a value
            with what it gives; "" for none.
        has_window: Whether its SELECT has a window function.
        in_having: Whether we are in HAVING.
    """

    in_from: bool = False
    expects_table: bool = False
    last_source: str = ""
    in_call: bool = False
    in_using: bool = False
    is_source: bool = False
    selects: bool = False
    listed: bool = False
    orders: bool = False
    tables: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    numbers: set[tuple[str, frozenset[str]]] = field(default_factory=set)
    given: set[str] = field(default_factory=set)
    test: Literal["", "IN", "EXISTS"] = ""
    has_window: bool = False
    in_having: bool = False


@dataclass(slots=True)
class Facts:
    """What is noted of a statement."""

    names: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    operands: set[str] = field(default_factory=set)
    qualified: list[QualifiedName] = field(default_factory=list)
    index_hints: list[IndexHint] = field(default_factory=list)
    has_star: bool = False
    has_natural: bool = False
    has_outer_join: bool = False
    multiple: bool = False
    modifies: bool = False
    locks: bool = False
    into: bool = False
    withs: int = 0
    visible: set[str] = field(default_factory=set)
    bare: set[str] = field(default_factory=set)
    row_numbers: set[str] = field(default_factory=set)
    lone_row_numbers: set[LoneRowNumber] = field(default_factory=set)
    has_same_names: bool = False
    aliases: set[tuple[str, str]] = field(default_factory=set)
    hides_names: bool = False
    beside_tables: set[str] = field(default_factory=set)
    executes: bool = False
    tests: int = 0
    tests_groups: bool = False
    compares_windows: bool = False
    compares_groups: bool = False
    has_window: bool = False
    has_rollup: bool = False
    has_null_safe: bool = False

    def _close(self, level: Level, outer: Level) -> None:
        """Take in what a pair of parentheses held."""
        if level.selects:
            self._end_select(level)
            outer.tables += [""] * level.is_source
            self.compares_windows |= level.has_window and level.test == "IN"
        else:
            outer.has_window |= level.has_window
            outer.tables += level.tables
            outer.shown += level.shown
        outer.numbers |= level.numbers

    def _end_select(self, level: Level) -> None:
        """Tell what its row numbers mean, now that all its tables are known.

        SQLite takes a name for a row number only where one table is read that has any; where there
        is none, it looks further out.
        """
        tables = frozenset(level.tables)
        if tables:
            is_one = len(level.tables) == 1
            self.row_numbers |= {name for name, _ in level.numbers if is_one}
            self.lone_row_numbers |= {
                LoneRowNumber(name, tables, is_one, passed) for name, passed in level.numbers
            }
            level.numbers = {(name, passed | tables) for name, passed in level.numbers if is_one}
        self.has_same_names |= len(set(level.shown)) < len(level.shown)
        level.shown.clear()
        level.tables.clear()
        level.orders = False
