"""What a reader's `MetaData` declares is told in the words of the database's own catalogue."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql import quoted_name

from landscape_compat.schema.declared import declared_for, declared_schema
from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape

SQLITE: Dialect = sqlite.dialect()
POSTGRESQL: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]


def declare(*columns: sa.Column[Any], name: str = "t", schema: str | None = None) -> sa.MetaData:
    metadata = sa.MetaData()
    sa.Table(name, metadata, *columns, schema=schema)
    return metadata


def only(metadata: sa.MetaData) -> TableShape:
    (table,) = declared_schema(metadata, SQLITE)
    return table


def test_columns_keep_their_order_names_nullability_and_key() -> None:
    table = only(
        declare(
            sa.Column("b", sa.String(64), primary_key=True),
            sa.Column("A", sa.Integer, nullable=False),
            sa.Column("c", sa.Numeric(10, 2)),
        )
    )
    assert table == TableShape(
        "t",
        (
            ColumnShape("b", "VARCHAR(64)", nullable=False, primary_key=True),
            ColumnShape("A", "INTEGER", nullable=False),
            ColumnShape("c", "NUMERIC(10,2)"),
        ),
    )


def test_every_column_of_a_composite_key_is_one() -> None:
    table = only(declare(*(sa.Column(n, sa.String, primary_key=True) for n in "ab")))
    assert [column.primary_key for column in table.columns] == [True, True]
    assert [column.nullable for column in table.columns] == [False, False]


def test_a_column_goes_by_its_name_in_the_database_not_by_its_key() -> None:
    assert only(declare(sa.Column("stored_as", sa.String, key="shown_as"))).column_names == (
        "stored_as",
    )


@pytest.mark.parametrize(
    ("type_", "on_sqlite", "on_postgresql"),
    [
        (sa.Boolean(), "BOOLEAN", "BOOLEAN"),
        (sa.DateTime(timezone=True), "DATETIME", "TIMESTAMP WITH TIME ZONE"),
        (sa.Enum("a", "bcd", name="e"), "VARCHAR(3)", "E"),
        (sa.JSON(), "JSON", "JSON"),
        (sa.Float(), "FLOAT", "FLOAT"),
        (sa.LargeBinary(), "BLOB", "BYTEA"),
        (sa.Uuid(), "CHAR(32)", "UUID"),
        (sa.Text().with_variant(sa.String(9), "sqlite"), "VARCHAR(9)", "TEXT"),
    ],
)
def test_a_type_is_the_one_that_the_dialect_makes_of_it(
    type_: sa.types.TypeEngine[object], on_sqlite: str, on_postgresql: str
) -> None:
    metadata = declare(sa.Column("a", type_))
    for dialect, expected in ((SQLITE, on_sqlite), (POSTGRESQL, on_postgresql)):
        (table,) = declared_schema(metadata, dialect)
        assert table.columns[0].type == expected


@pytest.mark.parametrize(
    ("name", "collation"), [("NOCASE", "NOCASE"), ('od"d name', 'od"d name'), (None, "")]
)
def test_a_collation_is_told_apart_from_the_type(name: str | None, collation: str) -> None:
    """SQLAlchemy writes both in one; of a type, it would be a difference to what is stored."""
    metadata = declare(sa.Column("a", sa.String(9, collation=name)), sa.Column("b", sa.Integer))
    for dialect in (SQLITE, POSTGRESQL):
        (table,) = declared_schema(metadata, dialect)
        assert [(c.type, c.collation) for c in table.columns] == [
            ("VARCHAR(9)", collation),
            ("INTEGER", ""),
        ]


@pytest.mark.parametrize("type_", [sa.types.NullType(), postgresql.ARRAY(sa.Integer)])
def test_a_type_that_the_dialect_does_not_have_is_left_open(
    type_: sa.types.TypeEngine[object],
) -> None:
    assert only(declare(sa.Column("a", type_))).columns[0].type == ""


def test_a_computed_column_is_a_generated_one() -> None:
    metadata = declare(sa.Column("a", sa.Integer), sa.Column("b", sa.Integer, sa.Computed("a + 1")))
    assert [column.generated for column in only(metadata).columns] == [False, True]


def test_only_the_tables_of_the_schema_in_hand_are_given() -> None:
    metadata = sa.MetaData()
    for schema in (None, "main", "other"):
        sa.Table(f"in_{schema}", metadata, sa.Column("a", sa.Integer), schema=schema)
    assert {table.name for table in declared_schema(metadata, SQLITE, "main")} == {
        "in_None",
        "in_main",
    }
    assert {table.name for table in declared_schema(metadata, SQLITE)} == {"in_None"}


def test_a_table_is_looked_for_in_other_schemas_unless_one_is_declared_there() -> None:
    metadata = sa.MetaData()
    for name, schema, column in (("a", None, "x"), ("b", "other", "z"), ("b", None, "y")):
        sa.Table(name, metadata, sa.Column(column, sa.Integer), schema=schema)
    found = declared_for(metadata, SQLITE, SchemaShape.of(schema="main"), {"other"})
    assert {table.name for table in found} == {"a", "b"}
    elsewhere = {table.name: table.column_names for table in found.elsewhere["other"]}
    assert elsewhere == {"a": ("x",), "b": ("z",)}


def test_a_reader_may_declare_nothing() -> None:
    assert declared_schema(sa.MetaData(), SQLITE) == SchemaShape.of()


@pytest.mark.parametrize("quote", [True, False, None])
def test_names_with_an_order_to_quote_them_fold_as_any_other(quote: bool | None) -> None:
    name = quoted_name("Rows", quote)
    schema = declared_schema(declare(sa.Column(name, sa.Integer), name=name), SQLITE)
    assert schema.has("rows.ROWS")


@pytest.mark.parametrize("name", ['sel"ect', "a;b", "a\nb", "50%", ":x", "\U0001f642", "n" * 1000])
def test_odd_names_are_taken_as_they_are(name: str) -> None:
    (table,) = declared_schema(declare(sa.Column(name, sa.Integer), name=name), SQLITE)
    assert (table.name, table.column_names) == (name, (name,))
