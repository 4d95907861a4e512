"""The benchmark's database is the same every time, and its table names every contender."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree

import pytest

from landscape_compat.export.records.stream import export_database
from landscape_compat.export.whole import export_bag
from landscape_compat.landscape.database import open_landscape

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


def make(path: Path, rows: int) -> str:
    command = [sys.executable, str(BENCHMARKS / "landscapes.py"), str(path), str(rows)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_database_is_the_same_every_time_and_exports(tmp_path: Path) -> None:
    assert make(tmp_path / "a.db", 300) == make(tmp_path / "b.db", 300)
    digests = set()
    for name in ("a", "b"):
        with open_landscape(tmp_path / f"{name}.db") as db:
            records = list(export_database(db))
            export_bag(db, tmp_path / name)
        digests.add(sha256((tmp_path / name / "data" / "records.jsonl").read_bytes()).digest())
    assert len(digests) == 1
    assert 8 < len(records) / 300 < 10
    assert {record["record_type"] for record in records} > {"call", "routing_event", "batch_member"}


def test_the_table_names_every_contender(tmp_path: Path) -> None:
    """Those that were left out are not in it; a peer that is not installed would be named so."""
    command = [
        sys.executable,
        str(BENCHMARKS / "export.py"),
        "--source-rows",
        "20",
        "--rounds",
        "1",
    ]
    figures, drawn = tmp_path / "figures.json", tmp_path / "scaling.svg"
    command += ["--only", "JSON lines, table order", "--only", "sqlite3 -csv"]
    command += ["--output", str(figures)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "JSON lines, table order" in done.stdout
    assert "sqlite3 -csv" in done.stdout
    assert "Parquet" not in done.stdout
    # Drawn for two sizes, of which one is made up.
    more = json.loads(figures.read_text())
    more["records"] *= 10
    (tmp_path / "more.json").write_text(json.dumps(more))
    command = [sys.executable, str(BENCHMARKS / "plots.py"), "lines"]
    subprocess.run([*command, figures, tmp_path / "more.json", drawn], check=True)
    assert ElementTree.parse(drawn).getroot().findtext(".//{*}title", "").startswith("JSON lines")
