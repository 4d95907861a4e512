"""Measure exports of a PostgreSQL database beside COPY, in interleaved rounds, by the clock.

    python benchmarks/export_postgresql.py                        10,000 source rows
    python benchmarks/export_postgresql.py --source-rows 100000   about 890,000 records

The server works while the reader does, so that time on the clock is what counts, and a machine with
nothing else to do is needed. COPY writes each table's rows as `row_to_json` has them, unordered.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import URL, Boolean, MetaData, create_engine

from export import export
from landscape_compat.landscape.history import shape_named
from landscape_compat.landscape.metadata import metadata_of
from landscapes import INDEXES, SHAPE, make_landscape
from rounds import machine

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.postgres import PostgresServer, running_server

COPY: Final = "COPY of row_to_json, unordered"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--source-rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_server() as server:
        path = Path(folder) / "audit.db"
        make_landscape(path, options.source_rows)
        database = server.create_database()
        metadata = metadata_of(shape_named(SHAPE))
        records = fill(path, server, database, metadata)
        contenders = contenders_of(server, database, metadata)
        print(f"{machine()}, PostgreSQL {server.version // 10_000}; {records:,} records")
        for name, seconds in run(contenders, options.rounds, Path(folder) / "out").items():
            print(f"| {name} | {seconds:.2f} s | {records / seconds / 1000:.0f} k records/s |")


def fill(path: Path, server: PostgresServer, database: str, metadata: MetaData) -> int:
    """Copy a database of SQLite's to a server, with the host's indexes; count its rows."""
    engine = create_engine(server.url(database))
    metadata.create_all(engine)
    engine.dispose()
    count = 0
    with closing(sqlite3.connect(path)) as old, _connected(server.url(database)) as new:
        for table in metadata.sorted_tables:
            flags = [at for at, c in enumerate(table.columns) if isinstance(c.type, Boolean)]
            names = sql.SQL(", ").join(sql.Identifier(c.name) for c in table.columns)
            columns = ", ".join(f'"{c.name}"' for c in table.columns)
            into = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), names)
            with new.cursor().copy(into) as copy:
                for row in old.execute(f'SELECT {columns} FROM "{table.name}"'):
                    values = list(row)
                    for at in flags:
                        values[at] = None if row[at] is None else bool(row[at])
                    copy.write_row(values)
                    count += 1
        new.execute(INDEXES.encode())
        new.execute("VACUUM ANALYZE")
    return count


def contenders_of(
    server: PostgresServer, database: str, metadata: MetaData
) -> Mapping[str, Callable[[Path], None]]:
    """Give what is compared: the first is what the others are compared with."""
    url = server.url(database)
    tables = [table.name for table in metadata.sorted_tables]

    def copy_out(out: Path) -> None:
        with _connected(url) as connection, out.open("wb", buffering=1 << 20) as file:
            for name in tables:
                query = sql.SQL(
                    "COPY (SELECT row_to_json(t) FROM {} AS t) TO STDOUT "
                    r"(FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')"
                ).format(sql.Identifier(name))
                with connection.cursor().copy(query) as copy:
                    for data in copy:
                        file.write(data)

    return {
        COPY: copy_out,
        "a bag of JSON lines, table order": lambda out: export(url, out, "jsonl", "table"),
        "a bag of JSON lines, the host's order": lambda out: export(url, out, "jsonl", "host"),
    }


def run(
    contenders: Mapping[str, Callable[[Path], None]], rounds: int, out: Path
) -> dict[str, float]:
    """Run every contender once a round, in random order; give the median of its seconds."""
    names, order = list(contenders), random.Random(0)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        order.shuffle(names)
        for name in names:
            began = time.perf_counter()
            contenders[name](out)
            taken[name].append(time.perf_counter() - began)
            shutil.rmtree(out) if out.is_dir() else out.unlink()
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def _connected(url: URL) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=str(url.query["host"]), dbname=url.database, user=url.username, autocommit=True
    )


if __name__ == "__main__":
    main()
