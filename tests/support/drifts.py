"""Strategies for declared schemas, the drift of an older database, its rows and its rules."""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Literal, TypeAlias, TypeVar

import sqlalchemy as sa
from hypothesis import strategies as st

from landscape_compat.projection import rules
from landscape_compat.schema.shape import fold_name

__all__ = [
    "KELVIN",
    "KINDS",
    "Case",
    "Chosen",
    "Column",
    "Draw",
    "Kind",
    "StoredColumn",
    "StoredTable",
    "Table",
    "cases",
    "draw_case",
    "literal",
    "quoted",
]

T = TypeVar("T")
Cell: TypeAlias = str | int | float | None

KELVIN = "to\u212aens"  # its .lower() is "tokens"
TABLE_NAMES = (
    "tokens", "rows", "order", "Runs", "t", "t1", "group", KELVIN, "odd name", 'a"b', "select",
    "na\u00efve", "50%", "a:b", "values", "Index", "\U0001f642", "x]y", "recursive", "it's",
)  # fmt: skip
COLUMN_NAMES = (
    "id", "run_id", "row", "n", "value", "group", "Order", "Mixed", "t", "tokens", "odd col",
    'c"q', "select", "\u00e9t\u00e9", "50%", "a:b", "index", "k", "\u212a", "x'y", "desc",
    "returning", "left", "1st", "$d", "\u202ertl", "a\nb", "b;--", "[z]",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of column and the values it may hold.

    Numbers of different types never equal each other here: where two rows are the same but for
    1 and 1.0, which one DISTINCT keeps is up to SQLite's order of visiting them.
    """

    name: str
    ddl: str
    make: Callable[[], sa.types.TypeEngine[Any]]
    values: tuple[Cell, ...]
    mapped: tuple[tuple[Cell, Cell], ...] = ()


_TIMES = ("2020-01-01 00:00:00.000000", "2026-11-22 23:59:59.123456", "1999-12-31 12:00:00.000000")
_WORDS = ("", "a", "A", "b", "5", "05", "1.0", " 5", "x%", "it's", "\u00e9", "e\u0301",
          "\U0001f642", "tokens", "-1", "42", "abc")  # fmt: skip
# None of them, nor any other word here, is another but for the case of a letter: which one DISTINCT
# would keep is up to SQLite's order of visiting them.
_FOLDED = ("", "Q", "Mm", "5", "zZ")
_NUMBERS = (0, 1, 2, 5, 5, -1, 42, 2**40)
_WORD_MAP = (("a", "b"), ("5", "\U0001f642 it's 100%"), ("abc", None))

KINDS = {
    kind.name: kind
    for kind in (
        Kind("int", "INTEGER", sa.Integer, _NUMBERS, ((1, 42), (5, None), (0, -1))),
        # SQLite keeps what is no number as it is, also in a column for numbers.
        Kind("stray", "BIGINT", sa.BigInteger, (*_NUMBERS, "abc", "", "5x"), ((1, 42), (2, 0))),
        Kind("str", "VARCHAR(20)", lambda: sa.String(20), _WORDS, _WORD_MAP),
        Kind("text", "TEXT", sa.Text, _WORDS, _WORD_MAP),
        Kind(
            "nocase",
            "VARCHAR(9) COLLATE NOCASE",
            lambda: sa.String(9, collation="NOCASE"),
            _FOLDED,
            (("Q", "Mm"),),
        ),
        Kind("float", "FLOAT", sa.Float, (0.5, -2.25, 3.75, 1234567.125), ((0.5, 3.75),)),
        Kind("bool", "BOOLEAN", sa.Boolean, (0, 1), ((0, 1),)),
        Kind("time", "DATETIME", sa.DateTime, _TIMES, ((_TIMES[0], _TIMES[1]),)),
        Kind(
            "num",
            "NUMERIC(10, 2)",
            lambda: sa.Numeric(10, 2, asdecimal=False),
            (0.5, -2.25, 7, 5, 1234567.125),
            ((5, 7),),
        ),
    )
}

How: TypeAlias = Literal["kept", "missing", "renamed", "given", "replaced"]


def quoted(name: str) -> str:
    """Write a name so that SQLite takes it for nothing else."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Cell) -> str:
    """Write a value in SQL."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "NULL" if value is None else repr(value)


@dataclass(frozen=True, slots=True)
class Column:
    """A declared column and what became of it."""

    name: str
    kind: Kind
    key: bool = False
    nullable: bool = True
    how: How = "kept"
    rule: rules.Rule | None = None
    sql: str = "NULL"  # what the rule says, over the drifted tables in the schema `old`


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column as the older database stores it."""

    name: str
    kind: Kind
    key: bool = False
    nullable: bool = True
    generated: str = ""


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table as the older database stores it."""

    name: str
    columns: tuple[StoredColumn, ...]
    rows: tuple[tuple[Cell, ...], ...]
    without_rowid: bool = False
    index: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A declared table, and its stored form if it has one."""

    name: str
    columns: tuple[Column, ...]
    stored: StoredTable | None

    def visible(self) -> Iterator[tuple[str, Kind]]:
        """Name the columns that a reader sees of it on a migrated copy, in order."""
        if self.stored is None:
            yield from ((column.name, column.kind) for column in self.columns)
            return
        yield from ((column.name, column.kind) for column in self.stored.columns)
        added = ("missing", "renamed", "given")
        yield from ((c.name, c.kind) for c in self.columns if c.how in added)


@dataclass(frozen=True, slots=True, repr=False)
class Case:
    """A declared schema, an older database, and the rules between them."""

    tables: tuple[Table, ...]

    def metadata(self) -> sa.MetaData:
        """Declare the tables to SQLAlchemy."""
        metadata = sa.MetaData()
        for table in self.tables:
            columns = [
                sa.Column(
                    c.name,
                    c.kind.make(),
                    primary_key=c.key,
                    nullable=c.nullable and not c.key,
                    quote=True if c.name == "returning" else None,
                )
                for c in table.columns
            ]
            sa.Table(table.name, metadata, *columns)
        return metadata

    def rules(self) -> list[rules.Rule]:
        """Give the rules."""
        return [c.rule for t in self.tables for c in t.columns if c.rule is not None]

    def write_old(self, database: sqlite3.Connection) -> None:
        """Make the older database."""
        for table in self.tables:
            if table.stored is not None:
                _create(database, table.stored)
        database.commit()

    def write_migrated(self, database: sqlite3.Connection) -> None:
        """Make a copy of the older database into which the missing columns were migrated."""
        self.write_old(database)
        database.execute("ATTACH ':memory:' AS old")
        for table in self.tables:
            if table.stored is not None:
                _create(database, table.stored, schema="old")
        for table in self.tables:
            _migrate(database, table)
        database.commit()
        database.execute("DETACH old")

    def __repr__(self) -> str:
        database, lines = sqlite3.connect(":memory:"), list[str]()
        database.set_trace_callback(lines.append)
        self.write_old(database)
        database.close()
        for table in self.tables:
            for c in table.columns:
                lines.append(f"{table.name!r}.{c.name!r} {c.kind.ddl} {c.how} {c.sql}")
        return "\n".join(lines)


def _create(database: sqlite3.Connection, table: StoredTable, schema: str = "main") -> None:
    keys = [quoted(column.name) for column in table.columns if column.key]
    single = len(keys) == 1
    lines = []
    for column in table.columns:
        line = f"{quoted(column.name)} {column.kind.ddl}"
        if column.generated:
            line += f" GENERATED ALWAYS AS ({column.generated})"
        elif not column.nullable:
            line += " NOT NULL"
        lines.append(line + (" PRIMARY KEY" if column.key and single else ""))
    if len(keys) > 1:
        lines.append(f"PRIMARY KEY ({', '.join(keys)})")
    name = f"{schema}.{quoted(table.name)}"
    options = " WITHOUT ROWID" if table.without_rowid else ""
    database.execute(f"CREATE TABLE {name} ({', '.join(lines)}){options}")
    written = [quoted(column.name) for column in table.columns if not column.generated]
    if table.index:
        database.execute(
            f"CREATE INDEX {schema}.{quoted('ix ' + table.name)} "
            f"ON {quoted(table.name)} ({quoted(table.index)})"
        )
    marks = ", ".join("?" * len(written))
    database.executemany(f"INSERT INTO {name} ({', '.join(written)}) VALUES ({marks})", table.rows)


def _migrate(database: sqlite3.Connection, table: Table) -> None:
    if table.stored is None:
        columns = ", ".join(f"{quoted(c.name)} {c.kind.ddl}" for c in table.columns)
        database.execute(f"CREATE TABLE main.{quoted(table.name)} ({columns})")
        return
    name = f"main.{quoted(table.stored.name)}"
    for column in table.columns:
        if column.how in ("missing", "renamed", "given"):
            database.execute(
                f"ALTER TABLE {name} ADD COLUMN {quoted(column.name)} {column.kind.ddl}"
            )
    values = [
        f"{quoted(c.name)} = {c.sql}" for c in table.columns if c.how not in ("kept", "missing")
    ]
    if values:
        database.execute(f"UPDATE {name} SET {', '.join(values)}")


# --- drawing them -----------------------------------------------------------------------------


@cache
def _below(bound: int) -> st.SearchStrategy[int]:
    return st.integers(0, bound - 1)


class Draw:
    """Hypothesis's choices, made cheaply: what a strategy costs to build is paid only once.

    Args:
        draw: What a composite strategy is given.
    """

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def below(self, bound: int) -> int:
        """Choose a number from 0 up."""
        return self._draw(_below(bound)) if bound > 1 else 0

    def pick(self, options: Sequence[T]) -> T:
        """Choose one of several; the first is the simplest."""
        return options[self.below(len(options))]

    def chance(self, out_of: int) -> bool:
        """Say yes once in so many times; no is simpler."""
        return self.below(out_of) == out_of - 1

    def several(self, options: Iterable[T], least: int, most: int) -> list[T]:
        """Choose different ones, in any order."""
        left = list(options)
        count = least + self.below(min(most, len(left)) - least + 1)
        return [left.pop(self.below(len(left))) for _ in range(count)]


class Chosen(Draw):
    """Choices made by a seed, without a record to shrink them by.

    Args:
        seed: The seed.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def below(self, bound: int) -> int:
        """Choose a number from 0 up."""
        return self._random.randrange(bound) if bound > 1 else 0


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a declared schema, an older database of it, and rules."""
    return draw_case(Draw(draw))


def draw_case(draw: Draw) -> Case:
    """Draw a declared schema, an older database of it, and rules.

    Args:
        draw: Makes the choices.
    """
    names = draw.several(TABLE_NAMES, 2, 4)
    tables = [_declared(draw, name) for name in names]
    # An older database without any of the tables is a fresh one.
    tables = [
        _drifted(draw, table) if number == 0 or not draw.chance(5) else table
        for number, table in enumerate(tables)
    ]
    return Case(tuple(_ruled(draw, table, tables) for table in tables))


def _declared(draw: Draw, name: str) -> Table:
    columns = []
    keys = (1, 1, 1, 1, 1, 1, 1, 2, 0, 0)[draw.below(10)]
    for number, column in enumerate(draw.several(COLUMN_NAMES, 1, 5)):
        kind = KINDS[draw.pick(("int", "str", "text") if number == 0 else tuple(KINDS))]
        columns.append(Column(column, kind, number < keys, not draw.chance(2)))
    return Table(name, tuple(columns), None)


def _swapped(name: str) -> str:
    """Change the case of ASCII letters, as SQLite does not mind."""
    return re.sub("[a-zA-Z]+", lambda match: match.group().swapcase(), name)


def _drifted(draw: Draw, table: Table) -> Table:
    """Draw how an older database stores a table."""
    taken = {fold_name(column.name) for column in table.columns}
    spare = [name for name in COLUMN_NAMES if fold_name(name) not in taken]
    columns, stored = [], []
    for number, column in enumerate(table.columns):
        hows: tuple[How, ...] = ("kept", "kept", "missing", "renamed", "given", "replaced")
        if column.key:
            # A key that is nowhere to be found is refused, and tested elsewhere.
            hows = ("kept", "kept", "kept", "renamed") if number == 0 else ("kept", "given")
        how = draw.pick(hows)
        name, rule, sql = column.name, None, "NULL"
        if how == "renamed":
            name = spare.pop(draw.below(len(spare)))
            rule, sql = rules.renamed(f"{table.name}.{column.name}", name), quoted(name)
        columns.append(replace(column, how=how, rule=rule, sql=sql))
        if how not in ("missing", "given"):
            spelled = _swapped(name) if draw.chance(5) else name
            is_key = column.key and not draw.chance(10)
            # A mapping may give NULL.
            nullable = how == "replaced" or (column.nullable and not is_key)
            stored.append(StoredColumn(spelled, column.kind, is_key, nullable))
    for _ in range(draw.below(3) or not stored):
        name = spare.pop(draw.below(len(spare)))
        # Of a column whose values are not replaced: a database would follow in a copy of its own.
        if stored and columns[0].how in ("kept", "renamed") and draw.chance(8):
            generated = f"'g' || {quoted(stored[0].name)}"
            stored.append(StoredColumn(name, KINDS["text"], generated=generated))
        else:
            stored.append(StoredColumn(name, KINDS[draw.pick(tuple(KINDS))]))
    if draw.chance(2):
        stored = draw.several(stored, len(stored), len(stored))
    written = [column for column in stored if not column.generated]
    found = StoredTable(
        _swapped(table.name) if draw.chance(5) else table.name,
        tuple(stored),
        _rows(draw, written),
        any(column.key for column in stored) and draw.chance(5),
        draw.pick(["", *(column.name for column in written)]),
    )
    return replace(table, columns=tuple(columns), stored=found)


def _rows(draw: Draw, columns: list[StoredColumn]) -> tuple[tuple[Cell, ...], ...]:
    rows: dict[object, tuple[Cell, ...]] = {}
    for number in range(draw.below(7)):
        row = tuple(
            None if column.nullable and draw.chance(3) else draw.pick(column.kind.values)
            for column in columns
        )
        key = [cell for cell, column in zip(row, columns, strict=True) if column.key]
        rows.setdefault(tuple(key) or number, row)
    return tuple(rows.values())


# --- values that are not stored -----------------------------------------------------------------


def _ruled(draw: Draw, table: Table, tables: list[Table]) -> Table:
    columns = [
        _given(draw, column, table, tables) if column.how in ("given", "replaced") else column
        for column in table.columns
    ]
    return replace(table, columns=tuple(columns))


def _given(draw: Draw, column: Column, table: Table, tables: list[Table]) -> Column:
    """Draw a rule for a column, built with SQLAlchemy, and the same in SQL written by hand."""
    assert table.stored is not None
    target = f"{table.name}.{column.name}"
    if column.how == "replaced":
        mapping = dict(column.kind.mapped)
        name = quoted(column.name)
        whens = (f"WHEN {name} = {literal(a)} THEN {literal(b)}" for a, b in mapping.items())
        rule = rules.mapped(target, mapping)
        return replace(column, rule=rule, sql=f"CASE {' '.join(whens)} ELSE {name} END")
    # The lookup of one row by its key may be a join, and nothing else here may.
    lookups = list(_lookups(column.kind, table, tables))
    if lookups and not draw.chance(3):
        expression, sql = draw.pick(lookups)(draw)
        return replace(column, rule=rules.derived(target, expression), sql=sql)
    expression, sql = draw.pick(list(_values(column.kind, table, tables)))(draw)
    make = draw.pick([rules.derived, rules.mapped, rules.neutral])
    return replace(column, rule=make(target, expression), sql=sql)


# From which other kinds a kind is fed. Never numbers to floats: then 5 and 5.0 would meet.
_TEXTS, _COUNTS = ("str", "text", "nocase"), ("int", "stray", "bool")
_FEEDS = {
    **dict.fromkeys(_TEXTS, (*_TEXTS, *_COUNTS, "float", "num", "time")),
    **dict.fromkeys(_COUNTS, (*_TEXTS, *_COUNTS, "float")),
    "num": (*_TEXTS, *_COUNTS, "float"),
}

Value: TypeAlias = tuple[sa.ColumnElement[Any], str]


def _values(kind: Kind, table: Table, tables: list[Table]) -> Iterator[Callable[[Draw], Value]]:
    """Give the ways to a value of a kind for a table."""
    assert table.stored is not None
    yield partial(_constant, kind)
    mine = table.stored.columns
    others = [c.name for c in mine if c.kind.name in _FEEDS.get(kind.name, ()) and not c.generated]
    if others:
        # A column takes what it is given in a form of its own: '5' as 5, or 5 as '5'.
        yield lambda draw: _as_it_is(table, draw.pick(others))
        yield lambda draw: _calculated(table, draw.pick(others))
    alike = [c.name for c in mine if c.kind is kind and not c.generated]
    if alike:
        yield lambda draw: _coalesced(table, draw.pick(alike), kind)
        yield lambda draw: _of_itself(table, draw.pick(alike))
    for other in tables:
        if other.stored is None:
            continue
        found = [c.name for c in other.stored.columns if c.kind is kind]
        if found:
            yield partial(_looked_up, table, other, found)
        if kind.name in ("int", "bool", "str", "text"):
            yield partial(_told, table, other, kind)


def _lookups(kind: Kind, table: Table, tables: list[Table]) -> Iterator[Callable[[Draw], Value]]:
    """Give the ways to a value of a kind by the key of another table."""
    assert table.stored is not None
    for other in tables:
        if other.stored is None or other is table:
            continue
        keys = [c for c in other.stored.columns if c.key]
        found = [c.name for c in other.stored.columns if c.kind is kind]
        mates = [c.name for c in table.stored.columns if keys and c.kind is keys[0].kind]
        if len(keys) == 1 and found and mates:
            yield partial(_keyed, table, other, found, mates)


def _clause(table: Table) -> sa.TableClause:
    # By the declared spelling, as people write rules.
    assert table.stored is not None
    return sa.table(table.name, *(sa.column(c.name) for c in table.stored.columns))


def _constant(kind: Kind, draw: Draw) -> Value:
    value = draw.pick(kind.values)
    return sa.literal(value), literal(value)


def _coalesced(table: Table, name: str, kind: Kind) -> Value:
    default = kind.values[0]
    expression = sa.func.coalesce(_clause(table).c[name], default)
    return expression, f"coalesce({quoted(name)}, {literal(default)})"


def _as_it_is(table: Table, name: str) -> Value:
    return _clause(table).c[name], quoted(name)


def _calculated(table: Table, name: str) -> Value:
    return sa.func.ifnull(_clause(table).c[name], None), f"ifnull({quoted(name)}, NULL)"


def _of_itself(table: Table, name: str) -> Value:
    own = _clause(table)
    alias = own.alias("t")  # the name that the prelude itself likes best
    expression = sa.select(sa.func.max(alias.c[name])).where(alias.c[name] < own.c[name])
    return expression.scalar_subquery(), _select(
        f"max(o.{quoted(name)})", table, name, "<", table, name
    )


def _looked_up(table: Table, other: Table, found: list[str], draw: Draw) -> Value:
    assert table.stored is not None
    assert other.stored is not None
    name, mine = draw.pick(found), draw.pick(table.stored.columns).name
    key = draw.pick(other.stored.columns).name
    clause = _clause(other).alias()
    match = clause.c[key] == _clause(table).c[mine]
    expression = sa.select(sa.func.min(clause.c[name])).where(match)
    sql = _select(f"min(o.{quoted(name)})", other, key, "=", table, mine)
    return expression.scalar_subquery(), sql


def _keyed(table: Table, other: Table, found: list[str], mates: list[str], draw: Draw) -> Value:
    assert other.stored is not None
    name, mine = draw.pick(found), draw.pick(mates)
    (key,) = (c.name for c in other.stored.columns if c.key)
    clause, own = _clause(other), _clause(table)
    sides = (clause.c[key], own.c[mine]) if draw.chance(2) else (own.c[mine], clause.c[key])
    expression = sa.select(clause.c[name]).where(sides[0] == sides[1])
    sql = _select(f"o.{quoted(name)}", other, key, "=", table, mine)
    return expression.scalar_subquery(), sql


def _told(table: Table, other: Table, kind: Kind, draw: Draw) -> Value:
    assert table.stored is not None
    assert other.stored is not None
    mine, found = draw.pick(table.stored.columns).name, draw.pick(other.stored.columns).name
    clause = _clause(other).alias("other")
    match = clause.c[found] == _clause(table).c[mine]
    if kind.name == "int":
        count = sa.select(sa.func.count()).select_from(clause).where(match)
        return count.scalar_subquery(), _select("count(*)", other, found, "=", table, mine)
    yes, no = kind.values[:2]
    there = sa.exists(sa.select(1).select_from(clause).where(match))
    inner = _select("1", other, found, "=", table, mine)
    sql = f"CASE WHEN EXISTS {inner} THEN {literal(yes)} ELSE {literal(no)} END"
    return sa.case((there, yes), else_=no), sql


def _select(value: str, other: Table, key: str, compared: str, table: Table, mine: str) -> str:
    assert other.stored is not None
    assert table.stored is not None
    own = f"main.{quoted(table.stored.name)}.{quoted(mine)}"
    source = f"old.{quoted(other.stored.name)}"
    return f"(SELECT {value} FROM {source} AS o WHERE o.{quoted(key)} {compared} {own})"
