"""Ask the public SQL logic test's queries of databases that lost a column.

    python tests/stress/sqllogictest.py FOLDER --files 120 --queries 5000
    python tests/stress/sqllogictest.py FOLDER --files 20 --postgres

FOLDER holds the `.test` files of the repository gregrahn/sqllogictest; none of them is kept here.
Of each file's tables one loses a column. Each query is asked of that database through an attached
engine, and of a copy into which the column was migrated again, empty, without the shim: the answers
must be the same, row by row and type by type. `--other MODULE:FUNCTION` counts beside it how often
another way to fill in columns, a function of a connection and a query, gives that answer.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
import sqlite3
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parents[1]))

from landscape_compat import DegradedReadWarning, LandscapeCompatError, attach
from support.postgres import PostgresDatabase, running_server

Rows = Counter[tuple[tuple[str, Any], ...]]
Other = Callable[[sqlite3.Connection, str], Sequence[Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class Record:
    """A statement or query of a file."""

    sql: str
    is_query: bool


def records(file: Path, database: str) -> Iterator[Record]:
    """Read a file, less what is not for a database, and less what is to fail."""
    for block in file.read_text(encoding="utf-8", errors="replace").split("\n\n"):
        lines = [line for line in block.splitlines() if line and not line.startswith("#")]
        wanted = True
        while lines and lines[0].startswith(("onlyif", "skipif")):
            word, name, *_ = lines.pop(0).split()
            wanted &= (name == database) is (word == "onlyif")
        if not lines or not wanted:
            continue
        head, *body = lines
        if head.startswith("query"):
            end = body.index("----") if "----" in body else len(body)
            yield Record("\n".join(body[:end]), True)
        elif head == "statement ok":
            yield Record("\n".join(body), False)
        elif head.startswith("halt"):
            return


def rows_of(found: Sequence[Sequence[Any]]) -> Rows:
    """Make a multiset of rows, each cell with its type; NaN would equal nothing."""
    return Counter(tuple((type(cell).__name__, cell) for cell in row) for row in found)


@dataclass(frozen=True, slots=True)
class Lost:
    """The column that a database lost."""

    table: str
    column: str
    type: str


class Sqlite:
    """A database in a file that lost a column, and its migrated copy in memory."""

    name = "sqlite"

    def __init__(self, folder: Path, seed: str) -> None:
        self._file = folder / "older.db"
        self.weights: Counter[str] = Counter()
        self._full = sqlite3.connect(":memory:")
        self._random = random.Random(seed)
        self._stack = ExitStack()
        self.lost: Lost | None = None
        self.copy: sqlite3.Connection | None = None
        self.older: sa.Connection | None = None
        self.raw: sqlite3.Connection | None = None

    def execute(self, sql: str) -> None:
        """Execute a statement; what this database does not do is passed over."""
        try:
            self._full.execute(sql)
        except sqlite3.Error:
            self._full.rollback()

    def prepare(self) -> bool:
        """Make both databases from what there is; tell whether a column could be lost."""
        self._stack.close()
        self._full.commit()
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(f"{self._file}{suffix}").unlink(missing_ok=True)
        copy = self._stack.enter_context(closing(sqlite3.connect(":memory:")))
        self._full.backup(copy)
        self.lost = self.lost if self.lost and _drop(copy, self.lost) else self._choose(copy)
        if self.lost is None:
            return False
        with closing(sqlite3.connect(self._file)) as file:
            copy.backup(file)
        lost = self.lost
        names = _names(copy, lost.table)
        copy.execute(f"ALTER TABLE {lost.table} ADD COLUMN {lost.column} {lost.type}")
        copy.commit()
        columns: list[sa.Column[Any]] = [
            sa.Column(name, primary_key=at == 0) for at, name in enumerate(names)
        ]
        metadata = sa.MetaData()
        declared = sa.Column(lost.column, _DECLARED.get(lost.type, sa.Text)())
        sa.Table(lost.table, metadata, *columns, declared)
        engine = sa.create_engine(f"sqlite:///{self._file}")
        self._stack.callback(engine.dispose)
        attach(engine, metadata)
        self.older = self._stack.enter_context(engine.connect())
        self.copy = copy
        self.raw = self._stack.enter_context(closing(sqlite3.connect(self._file)))
        return True

    def _choose(self, copy: sqlite3.Connection) -> Lost | None:
        tables = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        found = [
            Lost(table, name, type_.upper())
            for (table,) in copy.execute(tables).fetchall()
            for _, name, type_, not_null, _, key in copy.execute(f"PRAGMA table_info({table})")
            if not (key or not_null)
        ]
        self._random.shuffle(found)
        # First of the table that is asked for most.
        found.sort(key=lambda lost: -self.weights[lost.table])
        return next((lost for lost in found if _drop(copy, lost)), None)

    def expected(self, sql: str) -> Rows:
        """Ask the copy."""
        assert self.copy is not None
        return rows_of(self.copy.execute(sql).fetchall())

    def found(self, sql: str) -> Rows:
        """Ask the older database through the shim."""
        assert self.older is not None
        return rows_of([tuple(row) for row in self.older.exec_driver_sql(sql)])

    def close(self) -> None:
        """Close all."""
        self._stack.close()
        self._full.close()


_DECLARED: dict[str, Any] = {"INTEGER": sa.Integer, "INT": sa.Integer, "FLOAT": sa.Float}


def _drop(copy: sqlite3.Connection, lost: Lost) -> bool:
    try:
        for _, name, *_ in copy.execute(f"PRAGMA index_list({lost.table})").fetchall():
            of = [row[2] for row in copy.execute(f"PRAGMA index_info({name})")]
            if lost.column in of:
                copy.execute(f"DROP INDEX {name}")
        copy.execute(f"ALTER TABLE {lost.table} DROP COLUMN {lost.column}")
    except sqlite3.Error:
        return False
    return lost.column not in _names(copy, lost.table)


def _names(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


class Postgres:
    """The same on a server: two databases, and the files' own statements in both."""

    name = "postgresql"

    def __init__(self, server: Any, seed: str) -> None:
        self._older, self._copy = (
            PostgresDatabase(server, server.create_database()) for _ in range(2)
        )
        self._random = random.Random(seed)
        self._statements: list[str] = []
        self.weights: Counter[str] = Counter()
        self._stack = ExitStack()
        self.lost: Lost | None = None
        self.older: sa.Connection | None = None
        self.copy: sa.Connection | None = None

    def execute(self, sql: str) -> None:
        """Keep a statement until the databases are made."""
        self._statements.append(sql)

    def prepare(self) -> bool:
        """Make both databases from what there is; tell whether a column could be lost."""
        self._stack.close()
        for database in (self._older, self._copy):
            with database.server.connect(database.name, "owner") as connection:
                connection.execute("DROP OWNED BY CURRENT_USER")
            with database.server.connect(database.name) as connection:
                connection.execute("GRANT ALL ON SCHEMA public TO owner")
            with database.server.connect(database.name, "owner") as connection:
                for statement in self._statements:
                    try:
                        connection.execute(statement.encode())
                    except Exception:
                        continue
                rows = connection.execute(_CANDIDATES).fetchall()
                if self.lost is None and rows:
                    most = max(self.weights[table] for table, _, _ in rows)
                    rows = sorted(row for row in rows if self.weights[row[0]] == most)
                    self.lost = Lost(*self._random.choice(rows))
                if self.lost is None:
                    return False
                lost = self.lost
                connection.execute(
                    f"ALTER TABLE {lost.table} DROP COLUMN {lost.column} CASCADE".encode()
                )
                names = [row[0] for row in connection.execute(_COLUMNS, (lost.table,))]
                if database is self._copy:
                    connection.execute(
                        f"ALTER TABLE {lost.table} ADD COLUMN {lost.column} {lost.type}".encode()
                    )
        metadata = sa.MetaData()
        declared = sa.Column(lost.column, _DECLARED_THERE.get(lost.type, sa.Text)())
        columns = (sa.Column(name) for name in names if name != lost.column)
        sa.Table(lost.table, metadata, *columns, declared)
        engines = [sa.create_engine(d.url("psycopg2")) for d in (self._older, self._copy)]
        for engine in engines:
            self._stack.callback(engine.dispose)
        attach(engines[0], metadata)
        self.older, self.copy = (self._stack.enter_context(e.connect()) for e in engines)
        return True

    def expected(self, sql: str) -> Rows:
        """Ask the copy."""
        return self._ask(self.copy, sql)

    def found(self, sql: str) -> Rows:
        """Ask the older database through the shim."""
        return self._ask(self.older, sql)

    @staticmethod
    def _ask(connection: sa.Connection | None, sql: str) -> Rows:
        assert connection is not None
        try:
            text = sql.replace("%", "%%")
            return rows_of([tuple(row) for row in connection.exec_driver_sql(text)])
        except sa.exc.DBAPIError:
            connection.rollback()
            raise

    def close(self) -> None:
        """Remove both."""
        self._stack.close()
        for database in (self._older, self._copy):
            database.server.drop_database(database.name)


_CANDIDATES = """
    SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns AS c
    WHERE c.table_schema = 'public' AND c.is_nullable = 'YES'
        AND c.table_name IN (SELECT tablename FROM pg_tables WHERE schemaname = 'public')"""
_COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_name = %s"
_DECLARED_THERE: dict[str, Any] = {"integer": sa.Integer, "double precision": sa.Float}


def ask_file(file: Path, both: Sqlite | Postgres, most: int, other: Other | None) -> Counter[str]:
    """Ask a file's queries of both databases; count what came of each."""
    outcomes: Counter[str] = Counter()
    is_ready, asked = False, 0
    every = list(records(file, both.name))
    for record in every:
        if record.is_query:
            both.weights.update(set(re.findall(r"\w+", record.sql)))
    for record in every:
        if not record.is_query:
            both.execute(record.sql)
            is_ready = False
            continue
        if asked >= most:
            break
        if not is_ready:
            is_ready = True
            if not both.prepare():
                outcomes["no column to lose"] += 1
        if both.lost is None:
            continue
        asked += 1
        outcomes["queries"] += 1
        try:
            expected = both.expected(record.sql)
        except (sqlite3.Error, sa.exc.SQLAlchemyError):
            expected = None
        mentions = both.lost.table in record.sql
        outcomes["naming the table"] += mentions
        try:
            found = both.found(record.sql)
        except (sa.exc.SQLAlchemyError, LandscapeCompatError) as error:
            outcomes["errors in both" if expected is None else "refused"] += 1
            if expected is not None:
                print(f"{file}: {error}\n{record.sql}", file=sys.stderr)
            continue
        if found == expected:
            outcomes["same"] += 1
        elif expected is not None and _rounded(found) == _rounded(expected):
            # SQLite adds in the order in which it reads, which another index may change.
            outcomes["same but for the last digits of a sum"] += 1
        else:
            outcomes["different"] += 1
            print(f"{file}: {both.lost}\n{record.sql}", file=sys.stderr)
        if other is not None and isinstance(both, Sqlite) and expected is not None and mentions:
            assert both.raw is not None
            try:
                same = rows_of(other(both.raw, record.sql)) == expected
                outcomes["other: same" if same else "other: different"] += 1
            except Exception:
                outcomes["other: error"] += 1
    return outcomes


def _rounded(rows: Rows) -> Rows:
    """Take the last digits off every floating-point number."""
    return Counter(
        tuple((kind, f"{cell:.12g}" if kind == "float" else cell) for kind, cell in row)
        for row in rows.elements()
    )


def main() -> int:
    """Run what the arguments ask for; 1 means that an answer differed, or was refused."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=10)
    parser.add_argument("--skip", type=int, default=0, help="files that were asked before")
    parser.add_argument("--queries", type=int, default=5000, help="at most, of each file")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--other", metavar="MODULE:FUNCTION")
    options = parser.parse_args()
    other = None
    if options.other:
        module, _, function = options.other.partition(":")
        other = getattr(import_module(module), function)
    # Spread over the folders, and the same ones each time.
    files = sorted(
        options.folder.rglob("*.test"),
        key=lambda file: hashlib.sha256(str(file.relative_to(options.folder)).encode()).digest(),
    )
    totals: Counter[str] = Counter()
    started = time.process_time()
    warnings.simplefilter("ignore", DegradedReadWarning)
    with ExitStack() as stack:
        server = stack.enter_context(running_server()) if options.postgres else None
        for number, file in enumerate(files[options.skip :][: options.files], 1):
            folder = Path(stack.enter_context(TemporaryDirectory()))
            both = Postgres(server, file.name) if server else Sqlite(folder, file.name)
            try:
                totals += ask_file(file, both, options.queries, other)
            finally:
                both.close()
            if number % 10 == 0:
                print(number, "files,", dict(totals), flush=True)
    print(dict(totals), f"{time.process_time() - started:.0f} s of CPU")
    return 1 if totals["different"] or totals["refused"] else 0


if __name__ == "__main__":
    sys.exit(main())
