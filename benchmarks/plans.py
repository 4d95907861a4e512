"""Measure what the prelude costs in the database: shapes of queries, against a migrated copy.

    python benchmarks/plans.py --rows 200000

The older database lacks `tokens.expand_group_id`, which reads as NULL, and `tokens.run_id`, which
is derived from the row. The copy stores both, with an index on `run_id`. Each shape is run on
both in turn; what counts is the ratio of the medians.
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

SHAPES = {
    "by primary key": "SELECT token_id, expand_group_id FROM tokens WHERE token_id = 'token000100'",
    "by an indexed column": "SELECT token_id, run_id FROM tokens WHERE row_id = 'row000100'",
    "count of all": "SELECT count(*) FROM tokens",
    "missing column filtered": "SELECT count(*) FROM tokens WHERE expand_group_id = 'x'",
    "derived column filtered, count": "SELECT count(*) FROM tokens WHERE run_id = 'run3'",
    "derived column filtered, list": "SELECT token_id, step FROM tokens WHERE run_id = 'run3'",
    "derived column and key": "SELECT 1 FROM tokens WHERE run_id = 'run0' AND row_id = 'row000100'",
    "inner join on the derived column": "SELECT count(*) FROM tokens AS t JOIN rows AS r"
    " ON r.row_id = t.row_id AND r.run_id = t.run_id WHERE t.run_id = 'run3'",
    "outer join": "SELECT count(t.token_id) FROM rows AS r LEFT JOIN tokens AS t"
    " ON t.row_id = r.row_id WHERE r.row_index < 100",
    "outer join, derived column in ON": "SELECT count(t.token_id) FROM rows AS r LEFT JOIN tokens"
    " AS t ON t.row_id = r.row_id AND t.run_id = r.run_id WHERE r.row_index < 100",
    "used twice": "SELECT count(*) FROM tokens AS a JOIN tokens AS b ON b.row_id = a.row_id"
    " WHERE a.token_id < 'token000100'",
    "page by key": "SELECT token_id, run_id FROM tokens ORDER BY token_id LIMIT 50 OFFSET 1000",
    "all rows": "SELECT * FROM tokens",
    "grouped by the derived column": "SELECT run_id, count(*) FROM tokens GROUP BY run_id",
    "ordered by the derived column": "SELECT token_id FROM tokens ORDER BY run_id, step LIMIT 5",
    "greatest of the missing column": "SELECT max(expand_group_id) FROM tokens",
    "outer join on the missing column alone": "SELECT count(t.token_id) FROM rows AS r LEFT JOIN"
    " tokens AS t ON t.expand_group_id = r.run_id WHERE r.row_index < 3",
}


def cpu_ms(connection: sqlite3.Connection, sql: str) -> float:
    """Run a statement to its last row."""
    begin = time.thread_time_ns()
    for _ in connection.execute(sql):
        pass
    return (time.thread_time_ns() - begin) / 1e6


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
            " (expand_group_id)"
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
            print(f"| {name} | {expected:.3f} | {found:.3f} | {found / expected:.1f} |", flush=True)
        older.close()
        copy.close()


if __name__ == "__main__":
    main()
