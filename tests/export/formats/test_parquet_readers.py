"""Others read the same records from Parquet as the database holds, with their types."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from landscape_compat.export.whole import export_bag
from landscape_compat.landscape.database import open_landscape
from support.untouched import untouched

pytest.importorskip("pyarrow")
pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

NAMES = ("run_id", "status", "started_at", "flag", "big", "number", "blob")
ROWS: list[tuple[Any, ...]] = [
    ("r1", "é\u2028\x00", "2026-01-18 09:15:42.000001", 1, 2**63 - 1, 0.1 + 0.2, b"\x00\xff"),
    ("r2", "", "2026-01-18 09:15:42.000000", 0, -(2**63), 5e-324, b""),
    ("r3", None, None, None, None, None, None),
]
# As a program sees them: times and flags are of their own types.
SEEN = [
    (*row[:2], row[2] and datetime.fromisoformat(row[2]), row[3] and bool(row[3]), *row[4:])
    for row in ROWS
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "audit.db")) as connection:
        connection.execute(
            "CREATE TABLE runs (run_id TEXT PRIMARY KEY, status TEXT, started_at DATETIME, "
            "flag BOOLEAN, big BIGINT, number FLOAT, blob BLOB)"
        )
        connection.executemany("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)", ROWS)
        connection.commit()
    place = tmp_path.parent / f"{tmp_path.name}-bag"
    with untouched(tmp_path / "audit.db"), open_landscape(tmp_path / "audit.db") as db:
        export_bag(db, place, formats=("parquet",), order="table", page=False)
    return place / "data" / "run.parquet"


def test_duckdb(file: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT {', '.join(NAMES)} FROM read_parquet(?) ORDER BY run_id", [str(file)]
        )
        types = [str(column[1]) for column in found.description]
        assert found.fetchall() == SEEN
    assert types[2:] == ["TIMESTAMP", "BOOLEAN", "BIGINT", "DOUBLE", "BLOB"]


def test_pandas(file: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_parquet(file, columns=list(NAMES), dtype_backend="pyarrow")
    found = [
        tuple(None if pandas.isna(value) else value for value in row)
        for row in frame.itertuples(index=False, name=None)
    ]
    assert found == SEEN
    assert str(frame.dtypes["big"]) == "int64[pyarrow]"
    assert str(frame.dtypes["started_at"]) == "timestamp[us][pyarrow]"
