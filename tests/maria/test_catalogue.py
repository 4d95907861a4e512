"""What MariaDB's catalogue tells of tables, columns and orders of text."""

from __future__ import annotations

from typing import Any

import pymysql
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from landscape_compat.errors import AttachError
from landscape_compat.schema.catalogue import Wanted, catalogue_for
from landscape_compat.schema.declared import declared_for
from landscape_compat.schema.drift import compare_tables
from landscape_compat.schema.shape import SchemaShape
from support.mariadb import MariaDatabase, running_mariadb

TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "flag": sa.Boolean(),
    "small": sa.SmallInteger(),
    "whole": sa.Integer(),
    "big": sa.BigInteger(),
    "huge": mysql.BIGINT(unsigned=True),
    "price": sa.Numeric(10, 2),
    "share": sa.Numeric(),
    "ratio": sa.Double(),
    "rate": sa.Float(),
    "word": sa.String(20),
    "tale": sa.Text(),
    "saga": mysql.LONGTEXT(),
    "code": sa.CHAR(3),
    "doc": sa.JSON(),
    "raw": sa.LargeBinary(),
    "day": sa.Date(),
    "moment": sa.DateTime(),
    "exact": mysql.DATETIME(fsp=6),
    "clock": sa.Time(),
    "mood": sa.Enum("sad", "glad", name="mood"),
    "year": mysql.YEAR(),
    "bits": mysql.BIT(3),
}


def read(maria: MariaDatabase, wanted: Wanted) -> SchemaShape:
    """Read what it stores."""
    with maria.server.connect(maria.name) as connection:
        return catalogue_for("mysql", wanted).read_stored(connection)


def test_what_sqlalchemy_creates_is_what_it_declares(maria: MariaDatabase) -> None:
    """Type by type, there is no drift, and nothing to note."""
    metadata = sa.MetaData()
    columns = [sa.Column(name, type_) for name, type_ in TYPES.items()]
    table = sa.Table("every", metadata, sa.Column("id", sa.Integer, primary_key=True), *columns)
    engine = sa.create_engine(maria.url())
    metadata.create_all(engine)
    stored = read(maria, Wanted(frozenset({"every"})))
    declared = declared_for(metadata, engine.dialect, stored)
    found = stored.table("every")
    shape = declared.table("every")
    assert shape is not None
    assert len(table.columns) == len(shape.columns)
    drift = compare_tables(found, shape, "mysql")
    assert (drift.missing_columns, drift.changed_types) == ((), ())
    assert drift.noted == ()
    engine.dispose()


def test_kinds_of_tables_and_columns(maria: MariaDatabase) -> None:
    """Views, generated and invisible columns, orders of text."""
    maria.run(
        "CREATE TABLE t (a int PRIMARY KEY, b int AS (a + 1) VIRTUAL, c int AS (a) PERSISTENT,"
        "d varchar(3) COLLATE latin1_bin, e int INVISIBLE, `50%` int) COLLATE utf8mb4_bin;"
        "CREATE VIEW v AS SELECT a FROM t; CREATE SEQUENCE s"
    )
    shape = read(maria, Wanted(frozenset({"t"})))
    assert (shape.schema, shape.exact, shape.collation) == (maria.name, True, "utf8mb4_unicode_ci")
    assert {table.name: table.kind for table in shape} == {
        "t": "table",
        "v": "view",
        "s": "virtual",
    }
    table = shape.table("t")
    assert table is not None
    assert table.collation == "utf8mb4_bin"
    told: dict[str, Any] = {c.name: c for c in table.columns}
    assert [name for name, c in told.items() if c.generated] == ["b", "c"]
    assert [name for name, c in told.items() if c.computed] == ["b"]
    assert [name for name, c in told.items() if c.hidden] == ["e"]
    assert (told["a"].primary_key, told["a"].nullable) == (True, False)
    assert told["d"].collation == "latin1_bin"
    assert table.column("A") is table.column("a")
    assert shape.table("T") is None
    assert told["50%"].type == "INTEGER"


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE t ADD COLUMN b int",
        "ALTER TABLE t DROP COLUMN x",
        "ALTER TABLE t MODIFY x bigint",
        "ALTER TABLE t MODIFY x int NOT NULL",
        "ALTER TABLE t RENAME COLUMN x TO y",
        "ALTER TABLE t ENGINE = MyISAM",
        "ALTER TABLE t COLLATE latin1_bin",
        "DROP TABLE t",
        "RENAME TABLE t TO u",
        "CREATE TABLE w (a int)",
        "CREATE TABLE W (a int)",
        "CREATE OR REPLACE VIEW v AS SELECT x FROM t",
    ],
)
def test_every_change_of_a_wanted_table_changes_the_version(
    maria: MariaDatabase, change: str
) -> None:
    """However little a session lets be put together."""
    maria.run("CREATE TABLE t (a int, x int); CREATE TABLE other (a int)")
    maria.run("CREATE VIEW v AS SELECT a FROM t")
    catalogue = catalogue_for("mariadb", Wanted(frozenset({"t", "w", "v"})))
    with maria.server.connect(maria.name) as connection:
        connection.cursor().execute("SET group_concat_max_len = 4")
        before = catalogue.read_version(connection)
        assert catalogue.read_version(connection) == before
        maria.run("ALTER TABLE other ADD COLUMN more int")
        assert catalogue.read_version(connection) == before
        maria.run(change)
        assert catalogue.read_version(connection) != before


@pytest.mark.parametrize(
    ("version", "said"), [("8.0.36", "is MySQL 8.0.36"), ("10.5.1-MariaDB", "10.5.1 is older")]
)
def test_other_servers_are_refused(version: str, said: str) -> None:
    """They were not tried; a server is taken at its word."""
    with running_mariadb({"version": version}) as server:
        catalogue = catalogue_for("mysql", Wanted())
        with server.connect() as connection, pytest.raises(AttachError, match=said):
            catalogue.read_version(connection)


def test_what_is_locked_is_not_altered(maria: MariaDatabase) -> None:
    """Until the transaction ends; no row is read for it."""
    maria.run("CREATE TABLE t (a int); CREATE TABLE `50%` (a int)")
    wanted = Wanted(frozenset({"t", "50%"}))
    lock = catalogue_for("mysql", wanted).lock(read(maria, wanted), True)
    with maria.server.connect(maria.name) as connection, connection.cursor() as cursor:
        cursor.execute("START TRANSACTION")
        cursor.execute(lock)
        assert cursor.fetchall() == ()
        for table in ("t", "`50%`"):
            with pytest.raises(pymysql.OperationalError, match="Lock wait timeout"):
                maria.run(f"SET lock_wait_timeout = 1; ALTER TABLE {table} ADD COLUMN b int")
