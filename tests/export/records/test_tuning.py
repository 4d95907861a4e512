"""What an export sets on its connection makes it read faster, and no value another."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from landscape_compat import open_landscape
from landscape_compat.engine.server_reading import ServerReading
from landscape_compat.errors import LandscapeCompatError
from landscape_compat.export.records import stream
from landscape_compat.export.records.stream import export_database
from landscape_compat.export.records.tuning import tuned
from landscape_compat.landscape.database import Landscape
from support.postgres import READER, PostgresDatabase

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

# Of a type each, with what is hard about it; NULL, in a row of its own, is added to them all.
VALUES = {
    "boolean": ["true", "false"],
    "bytea": [r"'\x00ff'", "''"],
    "smallint": ["-32768"],
    "integer": ["2147483647"],
    "bigint": ["-9223372036854775808"],
    "text": ["''", "E'\\u00e9\\U0001F642\\n\\t\"'"],
    "varchar(20)": ["'true'", "' x '"],
    "char(4)": ["'x'"],
    "name": ["'n'"],
    "double precision": ["0.1", "1e300", "'-0'", "123456789.123456789", "5e-324"],
    "real": ["0.1", "16777216"],
    "numeric(30,10)": ["0.1", "12345678901234567890.5"],
    "date": ["'0001-01-01'", "'9999-12-31'"],
    "timestamp": ["'2024-02-29 12:00:00.000001'", "'0001-01-01'", "'9999-12-31 23:59:59.999999'"],
    "timestamptz": ["'2024-02-29 12:00:00.000001+05:45'", "'1883-11-18 12:03:57-07:30'"],
    "uuid": ["'00000000-0000-0000-0000-000000000001'"],
    "json": ["'{\"a\": 1.0}'"],
    "jsonb": ["'[1, \"x\"]'"],
    "inet": ["'10.0.0.1'"],
    "bit(3)": ["B'101'"],
    "mood": ["'sad'"],
    "short": ["'abc'"],
    "price": ["0.3"],
    '"text"': ["'of another text'"],
    "int[]": ["'{1,2}'"],
}
TYPES = """
CREATE TYPE mood AS ENUM ('sad');
CREATE DOMAIN short AS varchar(5);
CREATE DOMAIN price AS double precision;
CREATE TYPE public."text" AS ENUM ('of another text');
"""


def made(postgres: PostgresDatabase, type_: str, values: list[str]) -> None:
    """Make a record of a run that has these values."""
    named = 'public."text"' if type_ == '"text"' else type_
    rows = ", ".join(f"('r{at}', {value})" for at, value in enumerate([*values, "NULL"]))
    script: Any = (
        f"{TYPES} CREATE TABLE runs (run_id varchar(64) PRIMARY KEY, v {named});"
        f"INSERT INTO runs VALUES {rows}"
    )
    postgres.run(script)


@contextmanager
def told(db: Landscape) -> Iterator[list[Any]]:
    """Note the cursors of the statements that read a value; each has the form it is read in."""
    cursors: list[Any] = []

    @event.listens_for(db.engine, "after_cursor_execute", insert=True)
    def note(_: Any, cursor: Any, *_more: Any) -> None:
        if "v" in [column.name for column in cursor.description or ()]:
            cursors.append(cursor)

    yield cursors


def read(db: Landscape) -> list[tuple[str, str, object, str]] | str:
    """Read every value, by class and text, or the error."""
    try:
        records = list(export_database(db))
    except LandscapeCompatError as error:
        return type(error).__name__
    return [
        (str(record["run_id"]), type(record["v"]).__name__, record["v"], repr(record["v"]))
        for record in records
    ]


@pytest.mark.parametrize("type_", VALUES)
def test_each_value_is_the_one_that_is_read_without(
    postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch, type_: str
) -> None:
    """Of every type, in a session of another time zone; also as another driver reads them."""
    postgres.set("timezone", "Asia/Kathmandu")
    made(postgres, type_, VALUES[type_])
    with open_landscape(postgres.url(user=READER)) as db:
        found = read(db)
        with monkeypatch.context() as patched:
            patched.setattr(stream, "tuned", lambda _: nullcontext())
            assert read(db) == found
    assert len(found) == len(VALUES[type_]) + 1
    # Of these the other driver makes values of other classes.
    if type_ not in ("bytea", "uuid", "json", "jsonb", "bit(3)", "inet", "int[]"):
        with open_landscape(postgres.url("psycopg2", user=READER)) as db:
            assert read(db) == found


@pytest.mark.parametrize(
    "moment", ["timestamptz 'infinity'", "timestamp '10000-01-01'", "date '0044-03-15 BC'"]
)
def test_what_has_no_form_in_python_is_refused_as_without(
    postgres: PostgresDatabase, moment: str
) -> None:
    made(postgres, moment.partition(" ")[0], [moment])
    with open_landscape(postgres.url(user=READER)) as db:
        assert read(db) == "UnreadableError"


def test_only_types_that_are_alike_in_both_forms_come_in_binary(
    postgres: PostgresDatabase,
) -> None:
    """By what the server says that they are, whatever they are called."""
    made(postgres, "timestamptz", ["'2024-01-01 00:00Z'"])
    with open_landscape(postgres.url(user=READER)) as db, told(db) as cursors:
        assert len(read(db)) == 2
        assert {cursor.format for cursor in cursors} == {1}
    postgres.run('ALTER TABLE runs ALTER COLUMN v TYPE public."text" USING NULL')
    with open_landscape(postgres.url(user=READER)) as db, told(db) as cursors:
        assert len(read(db)) == 2
        assert {cursor.format for cursor in cursors} == {0}


def test_a_percent_sign_in_a_question_of_our_own_was_taken_for_a_parameter(
    postgres: PostgresDatabase,
) -> None:
    made(postgres, "text", ["'x'"])
    url, plain = postgres.url(user=READER), {"no_parameters": True}
    with open_landscape(url) as db, db.connection() as connection, tuned(connection):
        asked = connection.exec_driver_sql("SELECT '5%'::name", execution_options=plain)
        assert asked.scalar() == "5%"


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_tables_that_a_migration_makes_anew_as_an_export_begins_were_left_out(
    postgres: PostgresDatabase, monkeypatch: pytest.MonkeyPatch, driver: str
) -> None:
    """One was dropped before, and another is made anew once that was seen."""
    made(postgres, "integer", ["1"])
    postgres.run("CREATE TABLE tokens (token_id varchar(64) PRIMARY KEY)")
    look = ServerReading._look_again
    done: list[bool] = []

    def looking(*given: Any) -> None:
        look(*given)
        if not done:
            postgres.run("ALTER TABLE runs ALTER COLUMN v TYPE bigint")
            done.append(True)

    with open_landscape(postgres.url(driver, user=READER)) as db:
        postgres.run("DROP TABLE tokens")
        monkeypatch.setattr(ServerReading, "_look_again", looking)
        assert [record["v"] for record in export_database(db)] == [1, None]
    assert done


def test_digits_that_are_left_out_for_the_eye_are_there(postgres: PostgresDatabase) -> None:
    """Also where the value is read as text, for another's sake."""
    postgres.set("extra_float_digits", "0")
    made(postgres, "double precision", ["0.1::float8 + 0.2"])
    postgres.run("ALTER TABLE runs ADD COLUMN n numeric")
    for driver in ("psycopg", "psycopg2"):
        with open_landscape(postgres.url(driver, user=READER)) as db:
            assert [record["v"] for record in export_database(db)] == [0.1 + 0.2, None]


def test_a_connection_lost_before_an_export_is_explained(postgres: PostgresDatabase) -> None:
    made(postgres, "integer", ["1"])
    with open_landscape(postgres.url(user=READER)) as db:
        with postgres.server.connect(postgres.name) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        with pytest.raises(LandscapeCompatError, match="ended while it was read"):
            list(export_database(db))


def test_a_session_is_left_as_it_was(postgres: PostgresDatabase) -> None:
    """Its time zone, which the next one to use it would find; and its cursors are plain again."""
    postgres.set("timezone", "Asia/Kathmandu")
    made(postgres, "timestamptz", ["'2024-01-01 00:00Z'"])
    with open_landscape(postgres.url(user=READER)) as db:
        assert read(db)
        with db.connection() as connection:
            assert connection.exec_driver_sql("SHOW timezone").scalar() == "Asia/Kathmandu"
            cursor = connection.exec_driver_sql("SELECT 1").cursor
            assert cursor is not None
            assert getattr(cursor, "format") == 0  # noqa: B009 - psycopg's


def test_sqlite_keeps_as_many_pages_as_before(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE runs (run_id TEXT PRIMARY KEY)")
        connection.execute("INSERT INTO runs VALUES ('r')")
        connection.commit()
    before = path.read_bytes()
    with open_landscape(path) as db:

        def kept() -> Any:
            with db.connection() as connection:
                return connection.exec_driver_sql("PRAGMA cache_size").scalar()

        size = kept()
        records = export_database(db)
        assert next(records)["run_id"] == "r"
        records.close()
        assert kept() == size
    assert path.read_bytes() == before
    assert [*tmp_path.iterdir()] == [path]
