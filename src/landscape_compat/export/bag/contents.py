"""What a bag says of the database that its records come from, table by table, column by column."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from landscape_compat.engine.report import FilledColumn, SchemaReport, TableReport
from landscape_compat.errors import printable
from landscape_compat.export.bag.witness import SourceState
from landscape_compat.export.records.source import Source
from landscape_compat.export.records.values import Field, State
from landscape_compat.landscape.database import Landscape
from landscape_compat.schema.fingerprint import fingerprint_table
from landscape_compat.schema.shape import ColumnShape, fold_name

__all__ = [
    "TableContents",
    "contents_of",
    "name_of_source",
    "schema_file",
    "told_of_schema",
    "told_of_source",
]

_SCHEMA_KIND: Final = "landscape-compat/record-schema"
_SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class TableContents:
    """One stored table, and what was exported of it.

    Args:
        table: Its name.
        record_type: What its records are called.
        fingerprint: The digest of the stored table's columns.
        records: How many of its rows were exported.
        unreached: How many of those no run reaches.
        columns: Each column that is stored, or declared and not stored, as plain JSON values.
    """

    table: str
    record_type: str
    fingerprint: str
    records: int
    unreached: int
    columns: tuple[Mapping[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain JSON values."""
        return {
            "table": self.table,
            "record_type": self.record_type,
            "fingerprint": self.fingerprint,
            "records": self.records,
            "unreached": self.unreached,
            "columns": [dict(column) for column in self.columns],
        }


def contents_of(report: SchemaReport, sources: Iterable[Source]) -> tuple[TableContents, ...]:
    """Say of each stored table what was exported, and where each column's values come from.

    Args:
        report: What the database stores, measured against what is declared.
        sources: The stored tables, read.
    """
    declared = {fold_name(table.name): table for table in report.tables}
    return tuple(
        TableContents(
            table=source.table.name,
            record_type=source.record_type,
            fingerprint=fingerprint_table(source.table.shape).digest,
            records=source.given,
            unreached=source.unreached,
            columns=tuple(_columns(source, declared.get(fold_name(source.table.name)))),
        )
        for source in sources
    )


def told_of_source(
    db: Landscape, report: SchemaReport, before: SourceState, after: SourceState
) -> dict[str, Any]:
    """Say what a database is, and how it was read, as plain JSON values; but not what it holds.

    Args:
        db: The database.
        report: What it stores, measured against what is declared.
        before: What its files were before it was read.
        after: What they were afterwards.
    """
    return {
        "name": name_of_source(db),
        "opened": report.opened,
        **told_of_schema(report),
        "files_before": before.to_list(),
        "files_after": after.to_list(),
    }


def told_of_schema(report: SchemaReport) -> dict[str, Any]:
    """Say what is stored, measured against what is declared, as plain JSON values.

    Args:
        report: What the database stores, measured against what is declared.
    """
    return {
        "dialect": report.dialect,
        "target": report.target,
        "degraded": report.degraded,
        "shape": report.identification.to_dict() if report.identification else None,
        "absent_tables": [t.name for t in report.tables if t.drift.missing_table],
    }


def name_of_source(db: Landscape) -> str:
    """Name a database: a file by its name, a server's by its URL without the password.

    Args:
        db: The database.
    """
    url = db.engine.url
    if url.get_backend_name() == "sqlite":
        return printable(Path(url.database or "").name)
    return printable(url.render_as_string(hide_password=True))


def schema_file(tables: Sequence[Mapping[str, Any]], record_type: str | None) -> bytes:
    """Write what lies beside a file of records, so that it explains itself when it is alone.

    Args:
        tables: `TableContents` of the database, as plain JSON values.
        record_type: The one type of the file's records; None if it holds all.
    """
    schema = {
        "kind": _SCHEMA_KIND,
        "version": _SCHEMA_VERSION,
        "records": {
            table["record_type"]: {"table": table["table"], "columns": table["columns"]}
            for table in tables
            if record_type in (None, table["record_type"])
        },
    }
    text = json.dumps(schema, ensure_ascii=False, indent=1, sort_keys=True)
    return text.encode() + b"\n"


def _columns(source: Source, told: TableReport | None) -> Iterator[dict[str, Any]]:
    rules = {fold_name(c.column): c for c in told.filled} if told else {}
    form = source.form
    fields = {
        (fold_name(field.column), field.state): field
        for field in ([form.run, *form.fields] if form.run else form.fields)
    }
    for column in source.table.shape.columns:
        yield _column(column, fields.pop((fold_name(column.name), State.STORED)), rules)
    missing = {
        fold_name(column.name): column for column in (told.drift.missing_columns if told else ())
    }
    for field in fields.values():
        missing.pop(fold_name(field.column), None)
        yield _column(ColumnShape(field.column, field.type), field, rules)
    for column in missing.values():
        yield _column(column, None, rules)


def _column(
    column: ColumnShape, field: Field | None, rules: Mapping[str, FilledColumn]
) -> dict[str, Any]:
    return {
        "column": column.name,
        "field": field.name if field else None,
        "type": column.type,
        "state": str(field.state if field else State.ABSENT),
        **_rule(rules.get(fold_name(column.name))),
    }


def _rule(filled: FilledColumn | None) -> dict[str, str]:
    """Name the rule by which readers see a column; none where NULL stands for want of one."""
    if filled is None or not filled.why:
        return {}
    return {"rule": filled.kind, "why": filled.why, "evidence": filled.evidence}
