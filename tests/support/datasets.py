"""Reading an exported dataset back, as readers of Hive's partitions do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from landscape_compat.export.bag.json_schema import published_schema, violations
from landscape_compat.export.records.stream import export_database
from landscape_compat.landscape.database import open_landscape

__all__ = [
    "by_arrow",
    "by_duckdb",
    "content_of",
    "is_complete",
    "record_types",
    "statement_of",
    "stored_records",
    "texts",
]


def record_types(dataset: Path) -> list[Path]:
    """List the folders of the record types."""
    return sorted(path for path in dataset.iterdir() if path.name != "_landscape")


def by_arrow(dataset: Path, key: str = "run") -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Read every record by pyarrow.dataset, with the partition that it is in."""
    import pyarrow
    from pyarrow import dataset as arrow

    hive = arrow.partitioning(pyarrow.schema([(key, pyarrow.string())]), flavor="hive")
    for folder in record_types(dataset):
        found = arrow.dataset(folder, partitioning=hive)
        for record in found.to_table().to_pylist():
            yield record.pop(key), record


def by_duckdb(dataset: Path, key: str = "run") -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Read every record by DuckDB, with the partition that it is in."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for folder in record_types(dataset):
            found = connection.execute(
                "SELECT * FROM read_parquet(?, hive_partitioning = true, "
                f"hive_types = {{'{key}': VARCHAR}})",
                [f"{folder}/*/*.parquet"],
            )
            names = [column[0] for column in found.description or ()]
            for row in found.fetchall():
                record = dict(zip(names, row, strict=True))
                yield record.pop(key), record


def stored_records(database: Any) -> Iterator[dict[str, Any]]:
    """Read every record of a database."""
    with open_landscape(database) as db:
        yield from export_database(db)


def texts(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Give records in a form to compare them by, whatever their order."""
    return sorted(
        json.dumps(
            {k: v for k, v in record.items() if k != "run_id" or v is not None}, default=_as_text
        )
        for record in records
    )


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, (date, datetime)) else repr(value)


def is_complete(dataset: Path) -> bool:
    """Tell whether a dataset says that it is complete."""
    return (dataset / "_landscape" / "dataset.json").exists()


def statement_of(dataset: Path) -> dict[str, Any]:
    """Read the statement, which must follow its schema."""
    found: dict[str, Any] = json.loads((dataset / "_landscape" / "dataset.json").read_bytes())
    schema = published_schema("landscape_compat.export.dataset")
    assert list(violations(found["predicate"], schema)) == []
    return found


def content_of(dataset: Path) -> dict[str, bytes]:
    """Give every file but the statement."""
    return {
        path.relative_to(dataset).as_posix(): path.read_bytes()
        for path in dataset.rglob("*")
        if path.is_file() and path.name != "dataset.json"
    }
