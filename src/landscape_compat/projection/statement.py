"""What the text of a statement tells: what running it does, and which names it mentions."""

from __future__ import annotations

from typing import Literal, NamedTuple

from landscape_compat.projection.effect import Effect

__all__ = ["CteBody", "Effect", "IndexHint", "QualifiedName", "StatementScan"]


class QualifiedName(NamedTuple):
    """A table named with its schema, as `schema.table`.

    Args:
        start: Offset of the schema's name.
        table_start: Offset of the table's name.
        end: Offset after the table's name.
        schema: The schema, folded.
        table: The table, folded.
        role: Where it stands: as a source of rows, as what follows IN, or before `.column`.
        aliased: Whether an alias follows.
        enclosed: Whether a parenthesis opens before it.
    """

    start: int
    table_start: int
    end: int
    schema: str
    table: str
    role: Literal["source", "operand", "column"]
    aliased: bool
    enclosed: bool = False


class IndexHint(NamedTuple):
    """An `INDEXED BY name` or `NOT INDEXED` after a table."""

    start: int
    end: int
    table: str


class CteBody(NamedTuple):
    """The body of a common table expression of a leading WITH that is not recursive.

    Args:
        name: The name that it defines, folded.
        start: Offset after the parenthesis that opens it.
        with_end: Offset after the WITH that it begins with, if it does.
    """

    name: str
    start: int
    with_end: int | None


class LoneRowNumber(NamedTuple):
    """A name of the hidden row number that stands alone, and a SELECT it may be looked up in.

    Args:
        name: The name.
        tables: What that SELECT reads, folded; "" for a subquery.
        is_one: Whether it reads one only; else the name means no row number there.
        passed: What the SELECTs further in read, where it is looked for first.
    """

    name: str
    tables: frozenset[str]
    is_one: bool
    passed: frozenset[str] = frozenset()


class StatementScan(NamedTuple):
    """What the text of a statement tells.

    Args:
        effect: What running it does.
        verb: The word that decides that, upper case; "" if there is none.
        names: Every name mentioned, folded, whatever it stands for; more than are tables.
        sources: The names that stand where a table is read.
        operands: Those of them that stand after IN, where a table's only column is meant.
        own_ctes: The CTEs that its leading WITH defines, folded.
        with_end: Offset after a leading `WITH` or `WITH RECURSIVE`, if there is one.
        insert_at: Offset where a WITH clause goes if there is none.
        qualified: Tables named with their schema.
        index_hints: Index hints.
        has_star: Whether a select list has `*` or `t.*`.
        has_natural: Whether it has a NATURAL join.
        has_outer_join: Whether it may have an outer join.
        multiple: Whether there is more than one statement.
        inner_ctes: The names that a WITH within it may define, folded.
        row_numbers: The names of a hidden row number that may mean one here: with a table before
            it, or where only one table is read.
        lone_row_numbers: Those that stand alone, once for each SELECT they may be looked up in.
        has_same_names: Whether a SELECT reads two tables by one name.
        aliases: Each table that is read, with a name it goes by: its own, or an alias.
        hides_names: Whether it may read tables that it does not name in a way that can be followed.
        bodies: The bodies of a leading WITH that is not recursive, in order.
        beside_tables: What it says of tables that only a stored one can be told, as PARTITION.
        executes: Whether it has a comment whose content is executed.
        misplaces: Whether the driver would write a parameter where no value of its own stands.
        tests_groups: Whether it tests by several subqueries (IN, ANY, ALL, EXISTS), and one groups.
        tests_beside_windows: Whether it tests by a subquery and has a window function.
        compares_windows: Whether it compares a value with what a subquery gives by a window.
        compares_groups: Whether it does so with any in HAVING.
        has_rollup: Whether it has a GROUP BY with ROLLUP.
        has_null_safe: Whether it compares by `<=>`.
    """

    effect: Effect
    verb: str = ""
    names: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    own_ctes: frozenset[str] = frozenset()
    with_end: int | None = None
    insert_at: int = 0
    qualified: tuple[QualifiedName, ...] = ()
    index_hints: tuple[IndexHint, ...] = ()
    has_star: bool = False
    has_natural: bool = False
    has_outer_join: bool = False
    multiple: bool = False
    operands: frozenset[str] = frozenset()
    inner_ctes: frozenset[str] = frozenset()
    row_numbers: frozenset[str] = frozenset()
    lone_row_numbers: frozenset[LoneRowNumber] = frozenset()
    has_same_names: bool = False
    aliases: frozenset[tuple[str, str]] = frozenset()
    hides_names: bool = False
    bodies: tuple[CteBody, ...] = ()
    beside_tables: frozenset[str] = frozenset()
    executes: bool = False
    misplaces: bool = False
    tests_groups: bool = False
    tests_beside_windows: bool = False
    compares_windows: bool = False
    compares_groups: bool = False
    has_rollup: bool = False
    has_null_safe: bool = False
