"""Build a database of any shape, filled with rows that fit together, and say what was written."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape
from support.links import LINKS, Link
from support.values import ODD_KEYS, Value, digest, filler, pool

__all__ = ["Written", "WrittenTable", "build_shape", "build_small"]

Row = dict[str, Value]


@dataclass(frozen=True, slots=True)
class WrittenTable:
    """The rows of one table, in the order in which they were inserted.

    Args:
        name: The table.
        columns: Its columns, in the order of the DDL.
        rows: One tuple a row, in the order of `columns`, each value as SQLite gives it back.
        run_ids: The run that each row belongs to; None where it belongs to no run.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    run_ids: tuple[str | None, ...]

    def dicts(self, run_id: str | None = None) -> list[Row]:
        """Give the rows as dictionaries, of one run if it is named."""
        return [
            dict(zip(self.columns, row, strict=True))
            for row, owner in zip(self.rows, self.run_ids, strict=True)
            if run_id is None or owner == run_id
        ]


@dataclass(frozen=True, slots=True)
class Written:
    """What a generated database holds.

    Args:
        path: The database.
        shape: Its schema, with what was added to it.
        tables: Every table, also an empty one.
        run_ids: The runs, in the order in which they began.
    """

    path: Path
    shape: SchemaShape
    tables: Mapping[str, WrittenTable]
    run_ids: tuple[str, ...]

    @property
    def cells(self) -> int:
        """Count every stored cell."""
        return sum(len(table.columns) * len(table.rows) for table in self.tables.values())


def build_shape(
    path: Path,
    shape: SchemaShape,
    *,
    rows: int = 12,
    runs: int = 36,
    seed: int = 0,
    journal_mode: Literal["delete", "wal"] = "delete",
    orphans: bool = False,
    long_text: bool = True,
    extra: SchemaShape | None = None,
    user_version: int = 0,
) -> Written:
    """Build a database of a shape and fill every table.

    Parents exist for all children, keys of several columns agree, and what belongs to a run
    belongs to one run by every path. With the default `rows` and `runs`, every column holds
    every class of value that its type allows. The last two runs hold nothing, and the very
    last is unfinished.

    Args:
        path: The database to write; must not exist.
        shape: The schema.
        rows: How many rows each table gets in each of the first two runs; later runs get one.
        runs: How many runs there are.
        seed: Another seed gives other values.
        journal_mode: The journal mode that the file is left in, cleanly closed.
        orphans: Whether some references name what is not there.
        long_text: Whether columns without a length hold a text of 100,000 characters.
        extra: Tables to add; of a table that the shape has, the columns are added to it.
        user_version: What `PRAGMA user_version` says.

    Raises:
        FileExistsError: Something is at `path`.
    """
    if path.exists():
        raise FileExistsError(path)
    whole = _merge(shape, extra)
    tables, run_ids = _Filling(whole, rows, runs, seed, orphans, long_text).fill()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode={journal_mode}")
        connection.execute(f"PRAGMA user_version={user_version}")
        connection.execute("BEGIN")
        for table in whole:
            connection.execute(_ddl(table))
            holes = ", ".join("?" * len(table.columns))
            connection.executemany(
                f"INSERT INTO {_quote(table.name)} VALUES ({holes})", tables[table.name].rows
            )
        connection.execute("COMMIT")
    return Written(path, whole, MappingProxyType(tables), run_ids)


def build_small(path: Path, shape: SchemaShape, *, seed: int = 0, orphans: bool = False) -> Written:
    """Build a database of a few rows a table, cheap enough to draw many of.

    Args:
        path: The database to write; must not exist.
        shape: The schema.
        seed: Another seed gives other values, of other classes.
        orphans: Whether some references name what is not there.
    """
    return build_shape(path, shape, rows=3, runs=4, seed=seed, orphans=orphans, long_text=False)


ONE_PER_RUN = frozenset({"run_attributions", "run_coordination", "run_web_plugin_policy"})
ODD_RUN_IDS = (
    "run with spaces",
    "../up/and/over",
    "\u00fcn\u00efc\u00f6d\u00e9 \U0001f642",
    'it\'s "odd"%',
)


class _Filling:
    """Make the rows of a shape, run by run."""

    def __init__(
        self, shape: SchemaShape, rows: int, runs: int, seed: int, orphans: bool, long_text: bool
    ) -> None:
        self._shape = shape
        self._rows = rows
        self._runs = runs
        self._seed = seed
        self._orphans = orphans
        self._pools = {
            (table.name, column.name): pool(table.name, column, long_text=long_text)
            for table in shape
            for column in table.columns
        }
        self._made: dict[str, list[tuple[Row, str | None]]] = {table.name: [] for table in shape}

    def fill(self) -> tuple[dict[str, WrittenTable], tuple[str, ...]]:
        """Make every row of every table."""
        known = [table for name in LINKS if (table := self._shape.table(name))]
        tables = known + [table for table in self._shape if table.name not in LINKS]
        run_ids = [self._run_id(run) for run in range(self._runs)]
        for run, run_id in enumerate(run_ids):
            made: dict[str, list[Row]] = {}
            for table in tables:
                if _is_of_a_run(table):
                    self._fill_table(table, run, run_id, made)
            self._require(made)
            if self._orphans and run == 1:
                made["runs"] = []
            for name, rows in made.items():
                self._made[name] += [(row, run_id) for row in rows]
        for table in tables:
            if not _is_of_a_run(table):
                count = 1 if table.name == "elspeth_schema_identity" else 3 * self._rows
                rows = [self._row(table, self._runs, k) for k in range(count)]
                self._made[table.name] = [(row, None) for row in rows]
        if self._orphans:
            del run_ids[1:2]
        return {table.name: self._written(table) for table in self._shape}, tuple(run_ids)

    def _run_id(self, run: int) -> str:
        if 2 <= run < 2 + len(ODD_RUN_IDS):
            return ODD_RUN_IDS[run - 2]
        return digest(self._seed, "runs", run)[:32]

    def _count(self, table: str, run: int) -> int:
        if table == "runs":
            return 1
        if run >= max(1, self._runs - 2):
            return 0
        if table in ONE_PER_RUN:
            return 1
        wanted = self._rows if run < 2 else 1
        return max(0, 2 * wanted - 3) if table == "token_parents" else wanted

    def _fill_table(
        self, table: TableShape, run: int, run_id: str, made: dict[str, list[Row]]
    ) -> None:
        rows = made[table.name] = []
        links = LINKS.get(table.name, ())
        for k in range(self._count(table.name, run)):
            row = self._row(table, run, k)
            if "run_id" in row:
                row["run_id"] = run_id
            if table.name == "runs" and run == self._runs - 1:
                row["completed_at"] = None
            if all(self._follow(link, table, row, run, k, made) for link in links):
                rows.append(row)

    def _row(self, table: TableShape, run: int, k: int) -> Row:
        number = len(self._made[table.name]) + k
        own_key = [c for c in table.columns if c.primary_key and c.name != "run_id"]
        row: Row = {c.name: self._value(table, c, number) for c in table.columns}
        if len(own_key) == 1 and own_key[0].type != "INTEGER":
            row[own_key[0].name] = self._key(table, run, k)
        return row

    def _value(self, table: TableShape, column: ColumnShape, number: int) -> Value:
        values = self._pools[table.name, column.name]
        if number >= len(values):
            return filler(table.name, column, self._seed, number)
        start = int(digest(self._seed, table.name, column.name)[:8], 16)
        value = values[(start + number) % len(values)]
        # SQLite keeps the sign of zero only in a column without a type.
        return abs(value) if column.type and value == 0.0 and isinstance(value, float) else value

    def _key(self, table: TableShape, run: int, k: int) -> str:
        # Where the run is part of the key, runs share the rest of it.
        shared = any(c.name == "run_id" and c.primary_key for c in table.columns)
        where = 0 if shared else run
        if where == 0 and 0 < k <= len(ODD_KEYS):
            return ODD_KEYS[k - 1]
        return digest(self._seed, table.name, where, k)[:32]

    def _follow(
        self,
        link: Link,
        table: TableShape,
        row: Row,
        run: int,
        k: int,
        made: Mapping[str, list[Row]],
    ) -> bool:
        """Give a row the values of one parent, and tell whether the row may exist."""
        columns = {own: its for own, its in link.columns.items() if own in row}
        parent = self._shape.table(link.parent)
        if not columns or parent is None:
            return True
        required = {c.name for c in table.columns if c.name in columns and not c.nullable}
        count = self._count(link.parent, run)
        picked = link.pick(k, count) if count else None
        if picked is None and count and required - self._elsewhere(link, table):
            picked = k % count
        if picked is None:
            alone = columns.keys() - self._elsewhere(link, table)
            row.update(dict.fromkeys(alone))
            return not required & alone
        values = self._values_of(parent, columns, required, run, picked, made)
        if values is None:
            return False
        first = next(iter(columns))
        if self._orphans and k % 5 == 4 and link.parent != "runs":
            missing = digest(self._seed, table.name, first, run, k)[:16]
            values = {first: f"missing-{missing}"}
        row.update(values)
        return True

    def _elsewhere(self, link: Link, table: TableShape) -> set[str]:
        others = [other for other in LINKS[table.name] if other is not link]
        return {own for other in others for own in other.columns}

    def _values_of(
        self,
        parent: TableShape,
        columns: Mapping[str, str],
        required: set[str],
        run: int,
        picked: int,
        made: Mapping[str, list[Row]],
    ) -> Row | None:
        if parent.name not in made:
            # Two tables refer to each other: the key of the later one is known beforehand.
            return dict.fromkeys(columns, self._key(parent, run, picked))
        parents = made[parent.name]
        for step in range(len(parents)):
            found = parents[(picked + step) % len(parents)]
            values = {own: found.get(its) for own, its in columns.items()}
            if all(values[own] is not None for own in required):
                return values
        return None

    def _require(self, made: Mapping[str, list[Row]]) -> None:
        # An effect names a member or snapshot of its own, which is made after it if at all.
        for child, own, column in (
            ("sink_effect_members", "ordinal", "required_member_ordinal"),
            ("sink_effect_export_snapshots", "slot", "required_snapshot_slot"),
        ):
            there = {row["effect_id"]: row[own] for row in made.get(child, ())}
            for effect in made.get("sink_effects", ()):
                if effect[column] is not None:
                    effect[column] = there.get(effect["effect_id"])

    def _written(self, table: TableShape) -> WrittenTable:
        # Rows lie in the file in an order that has nothing to do with any of their values.
        shuffled = sorted(
            enumerate(self._made[table.name]),
            key=lambda numbered: digest(self._seed, table.name, numbered[0]),
        )
        return WrittenTable(
            name=table.name,
            columns=table.column_names,
            rows=tuple(tuple(row.values()) for _, (row, _) in shuffled),
            run_ids=tuple(run_id for _, (_, run_id) in shuffled),
        )


def _is_of_a_run(table: TableShape) -> bool:
    return table.name in LINKS or table.column("run_id") is not None


def _merge(shape: SchemaShape, extra: SchemaShape | None) -> SchemaShape:
    tables = {table.name: table for table in shape}
    for table in extra or ():
        there = tables.get(table.name)
        columns = there.columns + table.columns if there else table.columns
        tables[table.name] = replace(there or table, columns=columns)
    return SchemaShape.of(*tables.values())


def _ddl(table: TableShape) -> str:
    lines = [
        f"{_quote(column.name)} {column.type}{'' if column.nullable else ' NOT NULL'}"
        for column in table.columns
    ]
    key = [_quote(column.name) for column in table.columns if column.primary_key]
    if key:
        lines.append(f"PRIMARY KEY ({', '.join(key)})")
    tail = "" if table.has_rowid else " WITHOUT ROWID"
    return f"CREATE TABLE {_quote(table.name)} (" + ", ".join(lines) + ")" + tail


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
