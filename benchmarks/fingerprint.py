"""Measure the first use: importing, reading the catalogue, planning; on the newest known schema.

python benchmarks/fingerprint.py
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from sqlalchemy import create_engine, inspect
from sqlalchemy.dialects import sqlite

from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.metadata import metadata_of
from landscape_compat.landscape.rules import landscape_rules
from landscape_compat.projection.plan import make_plan
from landscape_compat.schema.catalogue.sqlite import _COLUMNS, read_stored
from landscape_compat.schema.declared import declared_schema
from landscape_compat.schema.fingerprint import fingerprint_table
from rounds import machine

FIRST = """
import tempfile, time, sqlalchemy as sa, sqlalchemy.orm
folder = tempfile.TemporaryDirectory()
engine = sa.create_engine(f"sqlite:///{folder.name}/audit.db")
tokens = sa.Table("tokens", sa.MetaData(), sa.Column("token_id", sa.String(64)))
tokens.metadata.create_all(engine)

def read():
    with engine.connect() as connection:
        connection.execute(sa.select(tokens)).all()

read()
begin = time.process_time_ns()
from landscape_compat import attach
imported = time.process_time_ns()
attach(engine, tokens.metadata)
read()
print((imported - begin) / 1e6, (time.process_time_ns() - begin) / 1e6)
"""


def measured(work: Callable[[], object], rounds: int = 30) -> float:
    """Give the median CPU time of some work in milliseconds."""
    times = []
    for _ in range(rounds):
        begin = time.process_time_ns()
        work()
        times.append((time.process_time_ns() - begin) / 1e6)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    shapes = known_shapes()
    newest, older = metadata_of(shapes[-1]), metadata_of(shapes[20])
    engine = create_engine("sqlite://")
    newest.create_all(engine)
    raw = engine.raw_connection()
    connection = raw.dbapi_connection
    assert isinstance(connection, sqlite3.Connection)
    stored = read_stored(connection)
    dialect = sqlite.dialect()
    declared = declared_schema(newest, dialect, "main")
    other = create_engine("sqlite://")
    older.create_all(other)
    lacking = read_stored(other.raw_connection().dbapi_connection)
    rules = landscape_rules()
    print(machine())
    print(f"{len(stored.tables)} tables, {sum(len(t.columns) for t in stored)} columns; CPU ms")
    for name, work in {
        "catalogue, one query": lambda: read_stored(connection),
        "of it, the query itself": lambda: connection.execute(_COLUMNS).fetchall(),
        "fingerprints of all tables": lambda: [fingerprint_table(t) for t in stored],
        "declared schema": lambda: declared_schema(newest, dialect, "main"),
        "plan, nothing missing": lambda: make_plan(stored, declared, rules, dialect, "main"),
        "plan, half of it missing": lambda: make_plan(lacking, declared, rules, dialect, "main"),
        "SQLAlchemy's get_multi_columns": lambda: inspect(engine).get_multi_columns(),
    }.items():
        print(f"| {name} | {measured(work):.2f} |")
    # An installed library is compiled already.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", FIRST]
    said = [subprocess.check_output(command, env=environment).split() for _ in range(9)]
    imported, read = (statistics.median(map(float, times)) for times in zip(*said, strict=True))
    print(f"| importing, SQLAlchemy being there | {imported:.1f} |")
    print(f"| the same, attaching and the first read of a current database | {read:.1f} |")


if __name__ == "__main__":
    main()
