"""A shape is found by name as SQLite compares names: ASCII letters in any case, nothing else."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape, fold_name
from support.drifts import KELVIN, quoted

TOKENS = TableShape("Tokens", (ColumnShape("Token_ID", "TEXT"), ColumnShape("row", "TEXT")))


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("Tokens", "tokens"),
        ("TOKENS_09$", "tokens_09$"),
        ("", ""),
        (KELVIN, KELVIN),
        ("\u0130", "\u0130"),
        ("\u00c9T\u00c9", "\u00c9t\u00c9"),
        ("stra\u00dfe", "stra\u00dfe"),
        ("\uff21", "\uff21"),
        ("[A]", "[a]"),
    ],
)
def test_only_ascii_letters_fold(name: str, folded: str) -> None:
    assert fold_name(name) == folded


@given(
    st.text(alphabet="kK\u212aiI\u0130\u0131sS\u017f\u00df\u1e9eaA\u00e9\u00c9", min_size=1),
    st.text(alphabet="kK\u212aiI\u0130\u0131sS\u017f\u00df\u1e9eaA\u00e9\u00c9", min_size=1),
)
def test_two_names_fold_alike_just_where_sqlite_takes_them_for_one(one: str, other: str) -> None:
    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE TABLE {quoted(one)} (a)")
    found = database.execute(f"PRAGMA table_info({quoted(other)})").fetchall()
    database.close()
    assert (fold_name(one) == fold_name(other)) is bool(found)


def test_a_table_and_its_columns_are_found_in_any_case() -> None:
    schema = SchemaShape.of(TOKENS)
    assert schema.table("tOKENS") is TOKENS
    assert TOKENS.column("TOKEN_id") is TOKENS.columns[0]
    assert schema.table(KELVIN) is None
    assert TOKENS.column("rows") is None


@pytest.mark.parametrize("path", ["tokens", "TOKENS", "tokens.token_id", "Tokens.ROW"])
def test_a_path_is_there(path: str) -> None:
    assert SchemaShape.of(TOKENS).has(path)


@pytest.mark.parametrize("path", ["rows", "tokens.rows", "tokens.row.x", "row", "", ".", KELVIN])
def test_a_path_is_not_there(path: str) -> None:
    assert not SchemaShape.of(TOKENS).has(path)


def test_a_column_may_have_a_dot_in_its_name() -> None:
    assert SchemaShape.of(TableShape("t", (ColumnShape("a.b", ""),))).has("t.A.B")


def test_tables_come_in_the_order_they_were_given() -> None:
    names = ["b", "a", "C"]
    schema = SchemaShape.of(*(TableShape(name, ()) for name in names))
    assert [table.name for table in schema] == names
    assert len(schema) == 3


def test_a_schema_cannot_be_changed() -> None:
    with pytest.raises(TypeError, match="does not support item"):
        SchemaShape.of(TOKENS).tables["x"] = TOKENS  # type: ignore[index]


def test_equal_tables_are_one_key() -> None:
    again = TableShape("Tokens", (ColumnShape("Token_ID", "TEXT"), ColumnShape("row", "TEXT")))
    assert {(TOKENS,): 1}[(again,)] == 1
