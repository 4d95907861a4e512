"""A Landscape on PostgreSQL is inspected, read, explained, exported and verified as any other."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from landscape_compat import (
    ABSENT,
    LandscapeCompatError,
    NotALandscapeError,
    OutputError,
    ReadOnlyRecorder,
    UnreadableError,
    WriteRefusedError,
    export_bag,
    export_run,
    inspect_database,
    open_landscape,
)
from landscape_compat.export.records.stream import export_database
from landscape_compat.landscape.history import shape_named
from landscape_compat.landscape.lineage import explain
from support.commands import running
from support.legacy import Written, build_shape
from support.postgres import READER, PostgresDatabase, PostgresServer
from support.postgres_landscape import copy_landscape

OLD, NEW = "2026-01-18/df2fa70fb", "2026-07-18/84d296d5b"


pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[tuple[Written, PostgresDatabase]]:
    """Give the same record twice: in a file, and on the server."""
    known = shape_named(OLD)
    path = tmp_path_factory.mktemp("file") / "audit.db"
    written = build_shape(path, known.shape, rows=4, runs=4, long_text=False)
    postgres = PostgresDatabase(postgres_server, postgres_server.create_database())
    postgres.set("timezone", "UTC")
    copy_landscape(written, known, postgres)
    yield written, postgres
    postgres_server.drop_database(postgres.name)


def put_old_one(postgres: PostgresDatabase, folder: Path, rows: int = 1) -> None:
    known = shape_named(OLD)
    path = folder / "audit.db"
    written = build_shape(path, known.shape, rows=rows, runs=rows, long_text=False)
    copy_landscape(written, known, postgres)


def _plain(records: Iterator[dict[str, Any]]) -> list[str]:
    """Give records in a form that does not depend on how each database writes a moment."""
    found = (json.dumps(record, ensure_ascii=False) for record in records)
    return sorted(text.replace('+00:00"', '"') for text in found)


def test_its_shape_is_known(both: tuple[Written, PostgresDatabase]) -> None:
    """Exactly, though its types are PostgreSQL's; a role that may only SELECT is enough."""
    report = inspect_database(both[1].url(user=READER))
    assert report.identification is not None
    assert [known.name for known in report.identification.exact] == [OLD]
    assert report.identification.epoch is None
    assert report.degraded
    assert not [t for t in report.tables if t.drift.changed_types]


def test_it_exports_the_same_records(both: tuple[Written, PostgresDatabase]) -> None:
    """Every stored row of every table, and of a run what belongs to it; nothing changes."""
    written, postgres = both
    before = postgres.content()
    with open_landscape(postgres.url(user=READER)) as here, open_landscape(written.path) as there:
        assert _plain(export_database(here)) == _plain(export_database(there))
        run_id = written.run_ids[0]
        assert _plain(export_run(here, run_id)) == _plain(export_run(there, run_id))
        first = [record["record_type"] for record in export_run(here, run_id)]
        assert first == [record["record_type"] for record in export_run(there, run_id)]
    assert postgres.content() == before


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
@pytest.mark.parametrize(
    "moment",
    [
        "timestamptz 'infinity'",
        "timestamptz '0044-03-15 12:00:00+00 BC'",
        "date '-infinity'",
        "time '24:00'",
        "timetz '24:00+01'",
    ],
)
def test_a_moment_that_python_has_no_form_for_was_an_error_of_the_driver(
    postgres: PostgresDatabase, tmp_path: Path, driver: str, moment: str
) -> None:
    put_old_one(postgres, tmp_path)
    postgres.run(f"ALTER TABLE nodes ADD COLUMN surplus {moment.partition(' ')[0]}")
    postgres.run(f"UPDATE nodes SET surplus = {moment}")
    with open_landscape(postgres.url(driver, user=READER)) as db:
        with pytest.raises(UnreadableError, match="does not give what it stores") as caught:
            list(export_database(db))
        assert caught.value.table == "nodes"


@pytest.mark.parametrize("format_", ["jsonl", "json", "csv", "parquet", "sqlite"])
def test_an_interval_has_no_form_in_an_export_and_is_not_guessed(
    postgres: PostgresDatabase, tmp_path: Path, format_: str
) -> None:
    """A year and two months are no number of days, which is what drivers make of them."""
    postgres.run("CREATE TABLE runs (run_id text PRIMARY KEY, i interval)")
    postgres.run("INSERT INTO runs VALUES ('r', '1 year 2 mons')")
    with open_landscape(postgres.url(user=READER)) as db:
        with pytest.raises(OutputError, match="timedelta") as caught:
            export_bag(db, tmp_path / "bag", formats=(format_,), page=False)
        assert caught.value.table == "run"
    assert [*tmp_path.iterdir()] == []


def test_a_table_that_may_not_be_selected_was_an_error_of_the_driver(
    postgres: PostgresDatabase, tmp_path: Path
) -> None:
    put_old_one(postgres, tmp_path)
    postgres.run(f"REVOKE SELECT ON nodes FROM {READER}")
    with open_landscape(postgres.url(user=READER)) as db:
        with pytest.raises(UnreadableError, match=r"permission denied.*GRANT") as caught:
            list(export_database(db))
        assert caught.value.table == "nodes"


# A cursor on a connection that was cut cannot be closed, of which psycopg warns.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_server_that_goes_away_is_told_by_a_typed_error(
    postgres: PostgresDatabase, tmp_path: Path
) -> None:
    put_old_one(postgres, tmp_path, rows=4)
    with open_landscape(postgres.url(user=READER)) as db:
        records = export_database(db)
        next(records)
        with postgres.server.connect(postgres.name) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        with pytest.raises(LandscapeCompatError, match="ended while it was read") as caught:
            list(records)
    assert not isinstance(caught.value, UnreadableError)
    del records, caught
    gc.collect()


def test_the_newest_shape_is_current(tmp_path: Path, postgres: PostgresDatabase) -> None:
    """It is read, and exported, read-only all the same."""
    known = shape_named(NEW)
    written = build_shape(tmp_path / "audit.db", known.shape, rows=2, runs=3, long_text=False)
    copy_landscape(written, known, postgres)
    postgres.set("timezone", "UTC")
    with open_landscape(postgres.url()) as here, open_landscape(written.path) as there:
        report = here.report()
        assert not report.degraded
        assert not [t for t in report.tables if t.drift.changed_types]
        assert _plain(export_database(here)) == _plain(export_database(there))
        with here.connection() as connection, pytest.raises(WriteRefusedError):
            connection.exec_driver_sql("DELETE FROM tokens")


def test_an_export_is_of_one_moment(both: tuple[Written, PostgresDatabase]) -> None:
    """What is written while it runs is not in it."""
    _, postgres = both
    with open_landscape(postgres.url()) as db:
        records = export_database(db)
        first = next(records)
        with postgres.server.connect(postgres.name) as other:
            other.execute("BEGIN; SET LOCAL session_replication_role TO replica")
            other.execute("CREATE TABLE kept AS SELECT * FROM edges; DELETE FROM edges; COMMIT")
        try:
            kinds = [record["record_type"] for record in records]
            assert first["record_type"] == "run"
            assert "edge" in kinds
            assert "edge" not in [record["record_type"] for record in export_database(db)]
        finally:
            with postgres.server.connect(postgres.name) as other:
                other.execute("INSERT INTO edges SELECT * FROM kept; DROP TABLE kept")


def test_it_is_read_record_by_record(both: tuple[Written, PostgresDatabase]) -> None:
    """What the record never had a place for is absent, and no NULL."""
    written, postgres = both
    with open_landscape(postgres.url()) as db:
        recorder = ReadOnlyRecorder(db)
        assert {run.run_id for run in recorder.list_runs()} == set(written.run_ids)
        run_id = written.run_ids[0]
        rows = recorder.get_rows(run_id)
        tokens = [token for row in rows for token in recorder.get_tokens(row.row_id)]
        assert tokens
        assert all(token.expand_group_id is ABSENT for token in tokens)
        tree = explain(db, run_id, token=tokens[0].token_id)
        assert tokens[0].token_id in json.dumps(tree.to_dict())
        with db.connection() as connection, pytest.raises(WriteRefusedError):
            connection.exec_driver_sql("DELETE FROM tokens")


def test_the_commands_take_its_url(
    both: tuple[Written, PostgresDatabase],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Inspect, export, verify against it, and a change of it is told."""
    written, postgres = both
    url = postgres.url(user=READER).render_as_string(hide_password=False)
    bag = tmp_path / "bag"
    with running(capsys) as run:
        assert run("inspect", url, "--json").json["shape"]["exact"][0]["name"] == OLD
        assert run("export", url, "-o", bag, "--format", "jsonl,csv").code == 0
        assert run("verify", bag, "--source", url).code == 0
        explained = run("explain", url, "--run", written.run_ids[0], "--row", "0", "--plain")
        assert explained.code == 0, explained.err
        with postgres.server.connect(postgres.name) as other:
            other.execute("SET session_replication_role TO replica")
            other.execute("UPDATE runs SET status = 'altered'")
        assert run("verify", bag, "--source", url).code == 4


def test_another_database_is_no_landscape(postgres: PostgresDatabase) -> None:
    """An empty one, or somebody else's."""
    postgres.run("CREATE TABLE other (a int)")
    with pytest.raises(NotALandscapeError):
        open_landscape(postgres.url())


def test_a_moment_has_one_form_in_every_time_zone(postgres: PostgresDatabase) -> None:
    """The session's zone is the server's business."""
    postgres.run(
        """CREATE TABLE runs (run_id varchar(64) PRIMARY KEY, started_at timestamptz);
        INSERT INTO runs VALUES ('a', '2026-01-18 09:15:42.5+00'), ('b', NULL)"""
    )
    for zone in ("UTC", "Australia/Sydney"):
        postgres.set("timezone", zone)
        with open_landscape(postgres.url()) as db:
            found = [record["started_at"] for record in export_database(db)]
        assert found == [None, "2026-01-18T09:15:42.500000+00:00"]
