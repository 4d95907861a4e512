"""For every known shape, every stored cell is exported exactly once, whatever it holds."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from landscape_compat.export.formats.jsonl import json_line
from landscape_compat.export.records.stream import export_database, export_run
from landscape_compat.landscape.database import open_landscape
from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.tables import facts_for
from landscape_compat.schema.known import KnownShape
from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape
from support.legacy import Written, build_shape
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

SHAPES = known_shapes()
by_shape = pytest.mark.parametrize("known", SHAPES, ids=lambda known: known.name)

# What a build later than all known ones, an operator, or another program may have added.
STRANGERS = SchemaShape.of(
    TableShape("tokens", (ColumnShape("future thing", "TEXT"), ColumnShape("untyped", ""))),
    TableShape(
        "rollback_attestations",
        (
            ColumnShape("id", "INTEGER", nullable=False, primary_key=True),
            ColumnShape("record_type", "TEXT"),
            ColumnShape("attested", "BLOB"),
        ),
    ),
    TableShape("run", (ColumnShape("run_id", "TEXT"), ColumnShape('say "x"', ""))),
    TableShape("pairs", (ColumnShape("rowid", "TEXT", False, True),), has_rowid=False),
)


def build(folder: Path, known: KnownShape, **how: Any) -> Written:
    own = folder / "record"
    own.mkdir()
    return build_shape(own / "audit.db", known.shape, extra=STRANGERS, **how)


def record_type(table: str) -> str:
    facts = facts_for(table)
    if facts is None:
        return {"run": "table.run"}.get(table, table)
    return facts.record_type


def as_record(shape: TableShape, row: tuple[Any, ...]) -> dict[str, Any]:
    """Say what a record of a written row holds besides its type, and the run if none is stored."""
    fields = {}
    for column, value in zip(shape.columns, row, strict=True):
        name = "stored.record_type" if column.name == "record_type" else column.name
        if value is not None and column.type == "DATETIME":
            value = re.sub(r"(\S+) ([\d:]{8})(?:\.0{6})?", r"\1T\2", str(value))
        if value is not None and column.type == "BOOLEAN":
            value = bool(value)
        fields[name] = value
    return fields


def cell(name: str, value: Any) -> tuple[str, str, str]:
    """Make a cell comparable with its type: 1, 1.0, true and -0.0 are four values."""
    return name, type(value).__name__, repr(value)


def counted(rows: list[dict[str, Any]]) -> Counter[frozenset[tuple[str, str, str]]]:
    return Counter(frozenset(cell(*item) for item in row.items()) for row in rows)


@by_shape
def test_every_stored_cell_is_exported_once(tmp_path: Path, known: KnownShape) -> None:
    """Also of rows whose parents are not there, and of tables and columns nobody knows."""
    written = build(tmp_path, known, orphans=True)
    found: dict[str, list[dict[str, Any]]] = {}
    with untouched(written.path), open_landscape(written.path) as landscape:
        stream = export_database(landscape)
        for record in stream:
            found.setdefault(record.pop("record_type"), []).append(record)
    cells = 0
    for name, table in written.tables.items():
        shape = written.shape.table(name)
        assert shape is not None
        records = found.pop(record_type(name), [])
        if "run_id" not in table.columns:
            # Which run reached the row: not a stored cell.
            for record in records:
                record.pop("run_id", None)
        assert counted(records) == counted([as_record(shape, row) for row in table.rows])
        cells += sum(map(len, records))
    assert not found
    assert cells == written.cells
    assert stream.unreached
    assert len(table_types(stream.counts)) == len(written.tables)


def table_types(counts: dict[str, int]) -> set[str]:
    return {type_ for type_, count in counts.items() if count}


@pytest.mark.parametrize("known", SHAPES[::14], ids=lambda known: known.name)
def test_every_row_of_a_run_is_reached_from_it(tmp_path: Path, known: KnownShape) -> None:
    """Through parents where the table does not repeat the run, and each carries the run."""
    written = build(tmp_path, known, rows=8, runs=7, long_text=False)
    with untouched(written.path), open_landscape(written.path) as landscape:
        for run_id in written.run_ids:
            found = Counter(
                record["record_type"]
                for record in export_run(landscape, run_id)
                if record["run_id"] == run_id
            )
            stored = {
                record_type(name): count
                for name, table in written.tables.items()
                if facts_for(name) and (count := len(table.dicts(run_id)))
            }
            assert found == stored


@pytest.mark.parametrize("known", SHAPES[::28], ids=lambda known: known.name)
def test_every_value_is_the_same_after_json(tmp_path: Path, known: KnownShape) -> None:
    def back(value: Any) -> Any:
        return base64.b64decode(value["base64"]) if isinstance(value, dict) else value

    written = build(tmp_path, known)
    with untouched(written.path), open_landscape(written.path) as landscape:
        for record in export_database(landscape):
            line = json_line(record)
            read = json.loads(line)
            assert line.count(b"\n") == 1
            assert list(read) == list(record)
            assert [cell(n, back(v)) for n, v in read.items()] == [
                cell(n, v) for n, v in record.items()
            ]
