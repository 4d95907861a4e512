"""Drift names what a declared read would trip over, and apart from it what none does."""

from __future__ import annotations

import pytest

from landscape_compat.schema.drift import (
    ChangedColumn,
    TableDrift,
    compare_tables,
)
from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableKind, TableShape
from support.drifts import KELVIN

KEY = ColumnShape("token_id", "VARCHAR(64)", nullable=False, primary_key=True)
ROW = ColumnShape("row_id", "VARCHAR(64)", nullable=False)
GROUP = ColumnShape("expand_group_id", "VARCHAR(64)")
DECLARED = TableShape("tokens", (KEY, ROW, GROUP))


def drift(*columns: ColumnShape, name: str = "tokens", kind: TableKind = "table") -> TableDrift:
    return compare_tables(TableShape(name, columns, kind), DECLARED, "sqlite")


def test_a_table_stored_as_declared_has_none() -> None:
    found = drift(GROUP, KEY, ROW)
    assert not found
    assert not found.is_degraded
    assert found == TableDrift("tokens")


def test_a_missing_column_degrades() -> None:
    found = drift(KEY, ROW)
    assert found.is_degraded
    assert found.missing_columns == (GROUP,)
    assert not found.missing_table


def test_missing_columns_come_in_the_order_of_declaration() -> None:
    assert drift(KEY).missing_columns == (ROW, GROUP)


def test_a_missing_table_misses_every_column() -> None:
    found = compare_tables(None, DECLARED, "sqlite")
    assert found.is_degraded
    assert found.missing_table
    assert found.missing_columns == DECLARED.columns


def test_an_extra_column_is_told_and_degrades_nothing() -> None:
    extra = ColumnShape("legacy", "TEXT")
    found = drift(KEY, extra, ROW, GROUP)
    assert found
    assert not found.is_degraded
    assert found.extra_columns == (extra,)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("INTEGER", "VARCHAR(64)"),
        ("BLOB", "VARCHAR(64)"),
        ("FLOAT", "VARCHAR(64)"),
        ("", "VARCHAR(64)"),
        ("VARCHAR(64)", "INTEGER"),
        ("NUMERIC(10,2)", "INTEGER"),
        ("DATETIME", "INTEGER"),
    ],
)
def test_a_type_of_another_class_degrades(before: str, after: str) -> None:
    stored = TableShape("t", (ColumnShape("a", before),))
    declared = TableShape("t", (ColumnShape("a", after),))
    found = compare_tables(stored, declared, "sqlite")
    assert found.is_degraded
    assert found.changed_types == (ChangedColumn("a", before, after),)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("VARCHAR(32)", "VARCHAR(64)"),
        ("TEXT", "VARCHAR(64)"),
        ("DATETIME", "TEXT"),
        ("BOOLEAN", "INTEGER"),
        ("BIGINT", "INTEGER"),
        ("FLOAT", "NUMERIC(10,2)"),
    ],
)
def test_a_type_of_the_same_class_is_noted(before: str, after: str) -> None:
    stored = TableShape("t", (ColumnShape("a", before),))
    declared = TableShape("t", (ColumnShape("a", after),))
    found = compare_tables(stored, declared, "sqlite")
    assert not found.is_degraded
    assert found.noted == (ChangedColumn("a", before, after),)


@pytest.mark.parametrize(
    ("before", "after"), [("varchar ( 64 )", "VARCHAR(64)"), ("numeric(10, 2)", "NUMERIC(10,2)")]
)
def test_the_spelling_of_a_type_is_no_difference(before: str, after: str) -> None:
    stored = TableShape("t", (ColumnShape("a", before),))
    assert not compare_tables(stored, TableShape("t", (ColumnShape("a", after),)), "sqlite")


def test_a_type_left_open_agrees_with_any() -> None:
    declared = TableShape("t", (ColumnShape("a", ""),))
    assert not compare_tables(TableShape("t", (ColumnShape("a", "BLOB"),)), declared, "sqlite")


def test_dates_are_text_on_sqlite_only() -> None:
    stored = TableShape("t", (ColumnShape("a", "TEXT"),))
    declared = TableShape("t", (ColumnShape("a", "TIMESTAMP"),))
    assert not compare_tables(stored, declared, "sqlite").is_degraded
    assert compare_tables(stored, declared, "postgresql").is_degraded


@pytest.mark.parametrize("after", ["VARCHAR(64)", "TEXT"])
def test_a_domain_is_of_the_class_of_what_lies_beneath(after: str) -> None:
    stored = TableShape("t", (ColumnShape("a", "LABEL", base="TEXT"),))
    declared = TableShape("t", (ColumnShape("a", after),))
    found = compare_tables(stored, declared, "postgresql")
    assert not found.is_degraded
    assert found.noted == (ChangedColumn("a", "LABEL", after),)


def test_nullability_and_key_are_noted() -> None:
    loose = ColumnShape("row_id", "VARCHAR(64)")
    keyless = ColumnShape("token_id", "VARCHAR(64)")
    strict = ColumnShape("expand_group_id", "VARCHAR(64)", nullable=False)
    found = drift(keyless, loose, strict)
    assert found
    assert not found.is_degraded
    assert found.noted == (
        ChangedColumn("token_id", "not in the primary key", "primary key"),
        ChangedColumn("row_id", "NULL allowed", "NOT NULL"),
        ChangedColumn("expand_group_id", "NOT NULL", "NULL allowed"),
    )


def test_a_generated_column_is_there() -> None:
    assert not drift(KEY, ROW, ColumnShape("expand_group_id", "VARCHAR(64)", generated=True))


def test_letter_case_is_no_difference() -> None:
    upper = [ColumnShape(c.name.upper(), c.type, c.nullable, c.primary_key) for c in (KEY, ROW)]
    found = drift(*upper, GROUP, name="TOKENS")
    assert not found
    assert found.table == "tokens"


@pytest.mark.parametrize("kind", ["view", "virtual"])
def test_what_is_no_table_is_told(kind: TableKind) -> None:
    found = drift(KEY, ROW, GROUP, kind=kind)
    assert found
    assert not found.is_degraded
    assert found.kind == kind


def test_a_name_that_only_unicode_takes_for_the_same_is_another() -> None:
    stored = SchemaShape.of(TableShape(KELVIN, DECLARED.columns))
    assert compare_tables(stored.table(DECLARED.name), DECLARED, "sqlite").missing_table
