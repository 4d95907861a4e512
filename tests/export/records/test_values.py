"""A stored row becomes a flat record: its type, its run, and every column as it is stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from landscape_compat.export.records.values import record_form
from landscape_compat.landscape.stored import StoredTable
from landscape_compat.landscape.tables import TABLES
from landscape_compat.schema.shape import ColumnShape, TableShape


def record_of(name: str, run_id: object, cells: list[tuple[str, str, Any]]) -> dict[str, Any]:
    """Make a record of a row: each column with its declared type and its value."""
    shape = TableShape(name, tuple(ColumnShape(column, type_) for column, type_, _ in cells))
    form = record_form(StoredTable.of(shape, "sqlite"))
    values = {column: value for column, _, value in cells}
    return form.make((0, *(values[column] for column in form.columns)), run_id)


def test_a_record_begins_with_its_type_and_its_run_and_keeps_the_stored_order() -> None:
    found = record_of("rows", "reached", [("z", "", 1), ("run_id", "", "stored"), ("a", "", 2)])
    assert list(found.items()) == [
        ("record_type", "row"),
        ("run_id", "stored"),
        ("z", 1),
        ("a", 2),
    ]


def test_the_stored_run_is_given_even_where_the_row_was_reached_from_another() -> None:
    assert record_of("rows", "reached", [("run_id", "", None)])["run_id"] is None


@pytest.mark.parametrize(
    ("type_", "stored", "given"),
    [
        ("BOOLEAN", 1, True),
        ("DATETIME", "2026-01-18 09:15:42.000000", "2026-01-18T09:15:42"),
        ("DATETIME", None, None),
    ],
)
def test_the_stored_run_takes_the_form_that_its_column_has(
    type_: str, stored: object, given: object
) -> None:
    found = record_of("rows", "reached", [("run_id", type_, stored)])["run_id"]
    assert (found, type(found)) == (given, type(given))


def test_the_run_that_reached_a_row_is_given_where_none_is_stored() -> None:
    found = record_of("tokens", "reached", [("token_id", "TEXT", "t")])
    assert list(found.items()) == [
        ("record_type", "token"),
        ("run_id", "reached"),
        ("token_id", "t"),
    ]


def test_a_row_that_no_run_reaches_has_no_run_where_none_is_stored() -> None:
    assert record_of("tokens", None, [("token_id", "TEXT", "t")]) == {
        "record_type": "token",
        "token_id": "t",
    }


@pytest.mark.parametrize(
    ("type_", "stored", "given"),
    [
        ("DATETIME", "2026-01-18 09:15:42.123456", "2026-01-18T09:15:42.123456"),
        ("DATETIME", "2026-01-18 09:15:42.000000", "2026-01-18T09:15:42"),
        ("DATETIME", "2026-01-18 09:15:42", "2026-01-18T09:15:42"),
        ("DATETIME", "2026-01-18 09:15:42.100000", "2026-01-18T09:15:42.100000"),
        ("TIMESTAMP", "2026-01-18 09:15:42", "2026-01-18T09:15:42"),
        ("DATETIME", datetime(2026, 1, 18, 9, 15, 42, tzinfo=UTC), "2026-01-18T09:15:42+00:00"),
        # Not how timestamps are written: someone else's text, and not ours to change.
        ("DATETIME", "2026-01-18 09:15:42.5", "2026-01-18 09:15:42.5"),
        ("DATETIME", "2026-01-18 09:15:42+01:00", "2026-01-18 09:15:42+01:00"),
        ("DATETIME", "2026-01-18T09:15:42", "2026-01-18T09:15:42"),
        ("DATETIME", " 2026-01-18 09:15:42", " 2026-01-18 09:15:42"),
        ("DATETIME", "٢٠٢٦-01-18 09:15:42", "٢٠٢٦-01-18 09:15:42"),
        ("DATETIME", "2026-01-18 09:15:42\n", "2026-01-18 09:15:42\n"),
        ("DATETIME", "", ""),
        # Written as one, and none.
        ("DATETIME", "2026-13-45 99:99:99", "2026-13-45 99:99:99"),
        ("DATETIME", "2026-02-30 09:15:42.123456", "2026-02-30 09:15:42.123456"),
        ("DATETIME", "2026-01-18 24:00:00.000000", "2026-01-18 24:00:00.000000"),
        ("DATETIME", 1768727742, 1768727742),
        ("DATETIME", None, None),
        ("TEXT", "2026-01-18 09:15:42", "2026-01-18 09:15:42"),
        ("VARCHAR(32)", "2026-01-18 09:15:42", "2026-01-18 09:15:42"),
        ("BOOLEAN", 1, True),
        ("BOOLEAN", 0, False),
        ("BOOLEAN", True, True),
        ("BOOLEAN", 2, 2),
        ("BOOLEAN", "1", "1"),
        ("BOOLEAN", None, None),
        ("INTEGER", 1, 1),
        ("FLOAT", 1.0, 1.0),
        ("TEXT", '{"a": 1}', '{"a": 1}'),
        ("BLOB", b"\x00", b"\x00"),
    ],
)
def test_times_and_flags_take_the_hosts_form_and_all_else_is_as_stored(
    type_: str, stored: object, given: object
) -> None:
    found = record_of("tokens", "r", [("x", type_, stored)])["x"]
    assert found == given
    assert type(found) is type(given)


def test_the_records_of_another_table_are_called_as_it_is_but_never_by_a_word_of_the_host() -> None:
    """Whatever the case, and so that no two tables share a type."""
    named = {
        name: record_of(name, None, [("a", "", 1)])["record_type"]
        for name in (
            "rollback_attestations",
            "Run",
            "node_state",
            "table.Run",
            "table.table.run",
            "Manifest",
        )
    }
    assert named == {
        "rollback_attestations": "rollback_attestations",
        "Run": "table.Run",
        "node_state": "table.node_state",
        "table.Run": "table.table.Run",
        "table.table.run": "table.table.table.run",
        "Manifest": "table.Manifest",
    }
    assert not set(named.values()) & {facts.record_type for facts in TABLES}


def test_a_column_called_as_a_field_of_ours_is_not_lost() -> None:
    columns = ["record_type", "Record_Type", "stored.record_type", "STORED.x", "x", "signature"]
    found = record_of("stranger", None, [(name, "", n) for n, name in enumerate(columns)])
    assert found == {
        "record_type": "stranger",
        "stored.record_type": 0,
        "stored.Record_Type": 1,
        "stored.stored.record_type": 2,
        "stored.STORED.x": 3,
        "x": 4,
        "stored.signature": 5,
    }


def test_a_run_under_another_spelling_is_the_run() -> None:
    found = record_of("rows", "reached", [("a", "", 1), ("RUN_ID", "TEXT", "stored")])
    assert found == {"record_type": "row", "run_id": "stored", "a": 1}
