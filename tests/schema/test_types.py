"""A type is written one way, and is of the class and the affinity that its values have."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landscape_compat.schema.types import affinity, normalize_type, spelled_in_mariadb, type_class
from support.drifts import quoted


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("varchar(64)", "VARCHAR(64)"),
        ("VarChar ( 64 )", "VARCHAR(64)"),
        ("  numeric( 10 , 2 ) ", "NUMERIC(10,2)"),
        ("NUMERIC(10, 2)", "NUMERIC(10,2)"),
        ("double\n\t precision", "DOUBLE PRECISION"),
        ("timestamp with time zone", "TIMESTAMP WITH TIME ZONE"),
        ("", ""),
        ("   ", ""),
        ("stra\u00dfe", "STRA\u00dfE"),
        ("a\u00a0b", "A\u00a0B"),
        ("\u0131nt", "\u0131NT"),
        (' "a ( b"  ( 3 , 2 ) [ ] ', '"a ( b"(3,2)[]'),
    ],
)
def test_letter_case_and_spacing_are_told_one_way(written: str, normal: str) -> None:
    assert normalize_type(written) == normal


@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        ("DOUBLE PRECISION", "DOUBLE"),
        ("double precision unsigned", "DOUBLE UNSIGNED"),
        ("NUMERIC", "DECIMAL(10,0)"),
        ("dec", "DECIMAL(10,0)"),
    ],
)
def test_mariadb_has_several_names_for_one_type(written: str, spelled: str) -> None:
    assert spelled_in_mariadb(written) == spelled


@given(st.text())
def test_writing_a_type_twice_changes_nothing(type_: str) -> None:
    once = normalize_type(type_)
    assert normalize_type(once) == once


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("INTEGER", "integer"),
        ("int", "integer"),
        ("BIGINT(20)", "integer"),
        ("UNSIGNED BIG INT", "integer"),
        ("BOOLEAN", "integer"),
        ("FLOATING POINT", "integer"),  # it has INT in it, so SQLite takes it for one
        ("FLOAT", "number"),
        ("DOUBLE PRECISION", "number"),
        ("NUMERIC(10, 2)", "number"),
        ("DECIMAL", "number"),
        ("MADE UP", "number"),
        ("VARCHAR(64)", "text"),
        ("TEXT", "text"),
        ("JSON", "text"),
        ("DATETIME", "text"),
        ("TIMESTAMP", "text"),
        ("DATE", "text"),
        ("MY TEXT", "text"),
        ("BLOB", "bytes"),
        ("", "bytes"),
    ],
)
def test_the_class_on_sqlite(type_: str, expected: str) -> None:
    assert type_class(type_, "sqlite") == expected


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("TIMESTAMP WITH TIME ZONE", "timestamp"),
        ("VARCHAR(64)", "text"),
        ("CHARACTER VARYING(64)", "text"),
        ("JSONB", "json"),
        ("INTEGER[]", "array"),
        ("BYTEA", "bytes"),
        ("HSTORE", "hstore"),
        ("BIGINT", "integer"),
    ],
)
def test_the_class_on_postgresql(type_: str, expected: str) -> None:
    assert type_class(type_, "postgresql") == expected


_PARTS = st.sampled_from(
    "INT CHAR CLOB TEXT BLOB REAL FLOA DOUB NUM POINT DATE x BIG VAR ING \u0130NT \u0131nt".split()
)


@given(st.lists(_PARTS, max_size=3), st.sampled_from(["", " "]), st.booleans())
def test_the_affinity_is_the_one_that_sqlite_gives(
    parts: list[str], between: str, lower: bool
) -> None:
    """Asked by what becomes of values: INTEGER and NUMERIC store them alike."""
    type_ = between.join(parts)
    type_ = type_.lower() if lower else type_
    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE TABLE t (a {quoted(type_) if type_ else ''})")
    database.execute("INSERT INTO t VALUES (1), ('1'), (x'31')")
    became = [kind for (kind,) in database.execute("SELECT typeof(a) FROM t ORDER BY rowid")]
    database.close()
    assert (
        became
        == {
            "INTEGER": ["integer", "integer", "blob"],
            "NUMERIC": ["integer", "integer", "blob"],
            "REAL": ["real", "real", "blob"],
            "TEXT": ["text", "text", "blob"],
            "BLOB": ["integer", "text", "blob"],
        }[affinity(type_)]
    )


@pytest.mark.parametrize(
    ("type_", "expected"),
    [("BOOLEAN", "NUMERIC"), ("DATETIME", "NUMERIC"), ("POINT", "INTEGER"), ("CHARINT", "INTEGER")],
)
def test_affinities_that_surprise(type_: str, expected: str) -> None:
    assert affinity(type_) == expected
