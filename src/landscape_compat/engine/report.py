"""The report on one database: what is stored, what is missing, what stands in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from landscape_compat.projection.plan import Plan
from landscape_compat.projection.prelude import ProjectedColumn
from landscape_compat.schema.drift import ChangedColumn, TableDrift
from landscape_compat.schema.fingerprint import TableFingerprint, fingerprint_table
from landscape_compat.schema.known import Identification
from landscape_compat.schema.shape import fold_name

__all__ = ["FilledColumn", "SchemaReport", "TableReport", "report_plan"]


@dataclass(frozen=True, slots=True)
class FilledColumn:
    """A column that a read shows otherwise than stored.

    Args:
        column: Its name.
        kind: What its value is owed to: absent, renamed, derived, mapped, neutral.
        stored: Whether the column is stored, with values of another era.
        why: Why the value is right; "" where NULL stands for want of a rule.
        evidence: Where that can be checked.
        refusal: Why it cannot be read; "" if it can.
    """

    column: str
    kind: str
    stored: bool
    why: str
    evidence: str
    refusal: str


@dataclass(frozen=True, slots=True)
class TableReport:
    """One declared table.

    Args:
        name: Its name.
        drift: How what is stored differs from what is declared.
        fingerprint: The digest of the stored table; None for a missing one.
        filled: The columns that a read shows otherwise than stored.
    """

    name: str
    drift: TableDrift
    fingerprint: TableFingerprint | None
    filled: tuple[FilledColumn, ...]

    @property
    def is_degraded(self) -> bool:
        """Tell whether a declared read would trip over the table."""
        return self.drift.is_degraded or bool(self.filled)

    def to_dict(self) -> dict[str, Any]:
        """Give the report as plain JSON values."""
        drift = self.drift
        return {
            "table": self.name,
            "degraded": self.is_degraded,
            "missing_table": drift.missing_table,
            "kind": drift.kind,
            "fingerprint": self.fingerprint.digest if self.fingerprint else None,
            "missing_columns": []
            if drift.missing_table
            else [column.name for column in drift.missing_columns],
            "changed_types": [_changed(c) for c in drift.changed_types],
            "extra_columns": [column.name for column in drift.extra_columns],
            "noted": [_changed(c) for c in drift.noted],
            "filled": []
            if drift.missing_table
            else [
                {
                    "column": c.column,
                    "kind": c.kind,
                    "stored": c.stored,
                    "why": c.why,
                    "evidence": c.evidence,
                    "refusal": c.refusal,
                }
                for c in self.filled
            ],
        }


@dataclass(frozen=True, slots=True)
class SchemaReport:
    """What a database stores, measured against what a reader declares.

    Args:
        database: The database's name, its password hidden.
        dialect: SQLAlchemy's name of the dialect.
        opened: How the database was opened, and why so.
        target: What it was measured against.
        degraded: Whether a declared read would trip over it.
        tables: Each declared table.
        extra_tables: Stored tables that are not declared.
        identification: Which known shape it has; None where no history is known.
    """

    database: str
    dialect: str
    opened: str
    target: str
    degraded: bool
    tables: tuple[TableReport, ...]
    extra_tables: tuple[str, ...]
    identification: Identification | None = None

    def table(self, name: str) -> TableReport:
        """Find a declared table's report.

        Raises:
            KeyError: The table is not declared.
        """
        for table in self.tables:
            if fold_name(table.name) == fold_name(name):
                return table
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Give the report as plain JSON values."""
        return {
            "database": self.database,
            "dialect": self.dialect,
            "opened": self.opened,
            "target": self.target,
            "degraded": self.degraded,
            "shape": self.identification.to_dict() if self.identification else None,
            "tables": [table.to_dict() for table in self.tables],
            "extra_tables": list(self.extra_tables),
        }


def report_plan(
    plan: Plan,
    *,
    database: str,
    dialect: str,
    opened: str,
    target: str,
    identification: Identification | None = None,
) -> SchemaReport:
    """Put a plan into words for people.

    Args:
        plan: The plan.
        database: The database's name, its password hidden.
        dialect: SQLAlchemy's name of the dialect.
        opened: How the database was opened, and why so.
        target: What it was measured against.
        identification: Which known shape it has.
    """
    tables = list(_tables(plan, ""))
    for schema, other in plan.elsewhere.items():
        tables += _tables(other, f"{schema}.")
    return SchemaReport(
        database=database,
        dialect=dialect,
        opened=opened,
        target=target,
        degraded=plan.is_degraded,
        tables=tuple(tables),
        extra_tables=tuple(t.name for t in plan.stored if plan.declared.table(t.name) is None),
        identification=identification,
    )


def _tables(plan: Plan, prefix: str) -> Iterator[TableReport]:
    for drift in plan.drifts:
        stored = plan.stored.table(drift.table)
        projection = plan.projections.get(plan.syntax.fold(drift.table, quoted=True))
        yield TableReport(
            name=prefix + drift.table,
            drift=drift,
            fingerprint=fingerprint_table(stored) if stored else None,
            filled=tuple(map(_filled, projection.columns)) if projection else (),
        )


def _filled(column: ProjectedColumn) -> FilledColumn:
    rule = column.rule
    return FilledColumn(
        column=column.column.name,
        kind=str(column.kind),
        stored=column.replaces,
        why=rule.why if rule else "",
        evidence=rule.evidence if rule else "",
        refusal=column.refusal or "",
    )


def _changed(column: ChangedColumn) -> dict[str, str]:
    return {"column": column.name, "stored": column.stored, "declared": column.declared}
