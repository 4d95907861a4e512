"""Measure what the prelude costs in the database: shapes of queries, against a migrated copy.

    python benchmarks/plans.py --rows 200000

What the older database lacks is told in `shapes.py`. The copy stores all of it, with an index on
each such column. Each shape is run on both in turn; what counts is the ratio of the medians.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from data import METADATA, RULES, make_sqlite
from landscape_compat import attach
from landscape_compat.projection.rewrite import rewrite_statement
from rounds import machine
from shapes import SHAPES


def cpu_ms(connection: sqlite3.Connection, sql: str) -> float:
    """Run a statement to its last row."""
    begin = time.thread_time_ns()
    for _ in connection.execute(sql):
        pass
    return (time.thread_time_ns() - begin) / 1e6


def instructions(connection: sqlite3.Connection, sql: str) -> int:
    """Count SQLite's own instructions, which do not depend on how busy the machine is."""
    count = 0

    def one_more() -> None:
        nonlocal count
        count += 1

    connection.set_progress_handler(one_more, 1)
    for _ in connection.execute(sql):
        pass
    connection.set_progress_handler(None, 0)
    return count


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description="Measure what the prelude costs in the database.")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        old, migrated = make_sqlite(Path(folder), options.rows)
        index = sqlite3.connect(migrated)
        index.executescript(
            "CREATE INDEX ix_run ON tokens (run_id); CREATE INDEX ix_group ON tokens"
            " (expand_group_id); CREATE INDEX ix_state_run ON node_states (run_id)"
        )
        index.close()
        for path in (old, migrated):
            connection = sqlite3.connect(path)
            connection.executescript(
                "CREATE INDEX ix_rows_run ON rows (run_id);"
                "CREATE INDEX ix_rows_index ON rows (row_index); ANALYZE"
            )
            connection.close()
        from sqlalchemy import create_engine

        engine = create_engine(f"sqlite:///{old}")
        plan = attach(engine, METADATA, rules=RULES).plan()
        engine.dispose()
        older, copy = sqlite3.connect(old), sqlite3.connect(migrated)
        for name, sql in SHAPES.items():
            rewritten = rewrite_statement(sql, plan).text
            times: dict[str, list[float]] = {"old": [], "copy": []}
            for _ in range(options.rounds):
                times["old"].append(cpu_ms(older, rewritten))
                times["copy"].append(cpu_ms(copy, sql))
            found, expected = (statistics.median(times[key]) for key in ("old", "copy"))
            counted = instructions(older, rewritten) / instructions(copy, sql)
            figures = f"{expected:.3f} | {found:.3f} | {found / expected:.1f} | {counted:.1f}"
            print(f"| {name} | {figures} |", flush=True)
        older.close()
        copy.close()


if __name__ == "__main__":
    main()
