"""A database in SQL_ASCII, as made in the C locale, is read in the encoding that is named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from landscape_compat import (
    LandscapeCompatError,
    UnreadableError,
    check_databases,
    export_run,
    inspect_database,
    migrate_database,
    open_landscape,
    verify_migration,
)
from landscape_compat.landscape.history import shape_named
from landscape_compat.landscape.metadata import metadata_of
from landscape_compat.migrate.alembic import plan_alembic
from support.legacy import Written, build_small
from support.postgres import OWNER, PostgresDatabase, PostgresServer

WHEN = datetime(2026, 1, 18, tzinfo=UTC)
NAME = "unnamed"
KNOWN = shape_named("2026-01-18/df2fa70fb")

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Give a record in a file."""
    return build_small(tmp_path / "audit.db", KNOWN.shape)


@pytest.fixture
def ascii_only(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    """Give an empty database that says nothing of its texts' encoding."""
    with postgres_server.connect("postgres") as admin:
        admin.execute(
            f"CREATE DATABASE {NAME} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' "
            f"TEMPLATE template0 OWNER {OWNER}"
        )
    yield PostgresDatabase(postgres_server, NAME)
    postgres_server.drop_database(NAME)


def named(url: sa.URL, encoding: str) -> sa.URL:
    return url.update_query_dict({"client_encoding": encoding})


def fill(url: sa.URL, *statements: str) -> None:
    """Put a Landscape with one run into a database."""
    metadata = metadata_of(KNOWN)
    runs = metadata.tables["runs"]
    kinds = {sa.DateTime: WHEN, sa.Integer: 1}
    row = {c.name: kinds.get(type(c.type), "r1") for c in runs.columns}
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        metadata.create_all(connection)
        connection.execute(runs.insert(), row)
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def holding(postgres: PostgresDatabase, stored: bytes) -> None:
    """Have it hold one run, with these bytes as the version of how it was hashed."""
    digits = "".join(f"\\x{byte:02x}" for byte in stored)
    update = f"UPDATE runs SET canonical_version = E'{digits}'"
    fill(named(postgres.url(), "utf8"), update)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_in_the_encoding_that_is_named_it_is_read(
    ascii_only: PostgresDatabase, driver: str
) -> None:
    holding(ascii_only, "é".encode())
    with open_landscape(named(ascii_only.url(driver), "utf8")) as db:
        run = next(iter(export_run(db, "r1")))
    assert run["canonical_version"] == "é"


def test_where_none_is_named_it_ended_in_a_traceback(
    ascii_only: PostgresDatabase, written: Written
) -> None:
    """One such database, and those after it were not checked either."""
    holding(ascii_only, b"1.0")
    url = ascii_only.url()
    with pytest.raises(UnreadableError, match="SQL_ASCII") as refused:
        open_landscape(url)
    assert "client_encoding=utf8" in (refused.value.remedy or "")
    with pytest.raises(UnreadableError, match="SQL_ASCII"):
        inspect_database(url)
    places = [url.render_as_string(hide_password=False), str(written.path)]
    unnamed, file = check_databases(places)
    assert (unnamed.verdict, file.verdict) == ("unknown", "degraded")
    assert "SQL_ASCII" in unnamed.problem


def test_ascii_by_the_driver_that_knows_no_more(ascii_only: PostgresDatabase) -> None:
    holding(ascii_only, b"1.0")
    with open_landscape(ascii_only.url("psycopg2")) as db:
        assert next(iter(export_run(db, "r1")))["canonical_version"] == "1.0"


@pytest.mark.parametrize(
    ("driver", "encoding", "stored"),
    [("psycopg2", "", "é".encode()), ("psycopg2", "utf8", b"\xe9"), ("psycopg", "utf8", b"\xe9")],
)
def test_what_is_in_another_encoding_is_refused(
    ascii_only: PostgresDatabase, driver: str, encoding: str, stored: bytes
) -> None:
    """No letter is guessed."""
    holding(ascii_only, stored)
    url = ascii_only.url(driver)
    with (
        open_landscape(named(url, encoding) if encoding else url) as db,
        pytest.raises(UnreadableError, match="not in the encoding that it is read in") as refused,
    ):
        list(export_run(db, "r1"))
    assert "convert_to" in (refused.value.remedy or "")


@pytest.mark.parametrize(("driver", "encoding"), [("psycopg2", ""), ("psycopg", "utf8")])
def test_a_name_in_another_encoding_is_refused(
    ascii_only: PostgresDatabase, driver: str, encoding: str
) -> None:
    """It was taken for damage of a file, or told in the words of the driver."""
    holding(ascii_only, b"1.0")
    with ascii_only.server.connect(NAME) as admin:
        admin.execute(b'CREATE TABLE "t\xe9" (a int)')
    url = ascii_only.url(driver)
    with pytest.raises(UnreadableError, match="not in the encoding that it is read in"):
        inspect_database(named(url, encoding) if encoding else url)


def test_every_engine_of_ours_says_why(
    ascii_only: PostgresDatabase, postgres: PostgresDatabase, tmp_path: Path
) -> None:
    """One that was made otherwise ended in a traceback."""
    holding(ascii_only, "\u00e9".encode())
    url, old, proof = ascii_only.url(), tmp_path / "old.db", tmp_path / "proof.json"
    with pytest.raises(UnreadableError, match="SQL_ASCII"):
        migrate_database(url, tmp_path / "new.db")
    with pytest.raises(UnreadableError, match="SQL_ASCII"):
        plan_alembic(url, metadata_of(KNOWN))
    fill(sa.URL.create("sqlite", database=str(old)))
    migrate_database(old, postgres.url(), to=KNOWN.name, proof=proof)
    with pytest.raises(UnreadableError, match="SQL_ASCII"):
        verify_migration(url, proof=proof)
    with pytest.raises(UnreadableError, match="not in the encoding that it is read in"):
        verify_migration(ascii_only.url("psycopg2"), proof=proof)


def test_nothing_is_migrated_to_one(
    ascii_only: PostgresDatabase, written: Written, tmp_path: Path
) -> None:
    with pytest.raises(LandscapeCompatError, match="SQL_ASCII"):
        migrate_database(written.path, ascii_only.url(), proof=tmp_path / "proof.json")
    with ascii_only.server.connect(NAME) as admin:
        (tables,) = admin.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchone() or (None,)
    assert tables == 0
    assert not (tmp_path / "proof.json").exists()
