"""What is chosen is exported, all of it and nothing else; what does not exist is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from landscape_compat.errors import LandscapeCompatError, RunNotFoundError, UnreadableError
from landscape_compat.export.records.selection import Selection
from landscape_compat.export.records.stream import count_records, export_database, export_selection
from landscape_compat.landscape.database import Landscape, open_landscape
from landscape_compat.schema.catalogue import catalogue_for
from support.legacy import Written
from support.orders import CHAIN, make
from support.postgres import PostgresDatabase
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


@pytest.fixture
def landscape(legacy: Written) -> Iterator[Landscape]:
    with untouched(legacy.path), open_landscape(legacy.path) as landscape:
        yield landscape


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Landscape]:
    """Give three runs: at 9, 10 and 11 o'clock, UTC."""
    path = tmp_path / "audit.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE runs (run_id TEXT PRIMARY KEY, started_at DATETIME, status TEXT)"
        )
        for hour, status in ((9, "completed"), (10, "failed"), (11, "completed")):
            values = (f"r{hour}", f"2026-01-18 {hour:02}:00:00.000000", status)
            connection.execute("INSERT INTO runs VALUES (?, ?, ?)", values)
        connection.commit()
    with open_landscape(path) as landscape:
        yield landscape


def chosen(landscape: Landscape, **selection: Any) -> list[str]:
    return [record["run_id"] for record in export_selection(landscape, Selection(**selection))]


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 1, 18, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({}, ["r9", "r10", "r11"]),
        ({"run_ids": ("r11", "r9")}, ["r9", "r11"]),
        ({"since": at(10)}, ["r10", "r11"]),
        ({"until": at(10)}, ["r9"]),
        ({"since": at(9, 1), "until": at(11)}, ["r10"]),
        ({"since": datetime(2026, 1, 18, 10)}, ["r10", "r11"]),  # noqa: DTZ001 - UTC if unsaid
        ({"since": at(11).astimezone(timezone(timedelta(hours=5)))}, ["r11"]),
        ({"statuses": ("completed",)}, ["r9", "r11"]),
        ({"statuses": ("completed", "failed"), "until": at(11)}, ["r9", "r10"]),
        ({"run_ids": ("r9", "r10"), "statuses": ("failed",)}, ["r10"]),
    ],
)
def test_runs(runs: Landscape, selection: dict[str, Any], expected: list[str]) -> None:
    assert chosen(runs, **selection) == expected
    # How many there are would have to be found out.
    assert count_records(runs, Selection(**selection)) == (None if selection else 3)


def test_runs_of_a_server_are_chosen_by_the_moment_they_began_at(
    postgres: PostgresDatabase,
) -> None:
    """Whatever the time zone of a session."""
    postgres.set("timezone", "Asia/Kathmandu")
    postgres.run(
        "CREATE TABLE runs (run_id text PRIMARY KEY, started_at timestamptz, at timestamp);"
        "INSERT INTO runs VALUES ('r9', '2026-01-18 09:00:00+00'), ('r10', '2026-01-18 10:00+00')"
    )
    with open_landscape(postgres.url()) as landscape:
        assert chosen(landscape, since=at(9, 30)) == ["r10"]
        assert chosen(landscape, until=at(10)) == ["r9"]


def test_runs_in_table_order_come_without_what_belongs_to_none(
    tmp_path: Path, runs: Landscape
) -> None:
    with closing(sqlite3.connect(tmp_path / "audit.db")) as connection:
        connection.execute("CREATE TABLE stranger (run_id TEXT)")
        connection.execute("INSERT INTO stranger VALUES ('r9')")
        connection.commit()
    with open_landscape(tmp_path / "audit.db") as landscape:
        selection = Selection(run_ids=("r9", "r10"))
        found = list(export_selection(landscape, selection, order="table"))
        assert [(r["record_type"], r["run_id"]) for r in found] == [("run", "r9"), ("run", "r10")]


def test_table_order_reads_tables_without_row_numbers(tmp_path: Path, runs: Landscape) -> None:
    with closing(sqlite3.connect(tmp_path / "audit.db")) as connection:
        connection.execute("CREATE TABLE pairs (b, a, PRIMARY KEY (a, b)) WITHOUT ROWID")
        connection.execute("INSERT INTO pairs VALUES (1, 2), (3, 1)")
        connection.commit()
    with open_landscape(tmp_path / "audit.db") as landscape:
        found = export_selection(landscape, Selection(tables=("pairs",)), order="table")
        assert sorted(record["b"] for record in found) == [1, 3]


def test_a_table_below_parents_that_share_a_key(tmp_path: Path) -> None:
    """Which are read, and not given."""
    path = make(
        tmp_path,
        *CHAIN,
        "INSERT INTO rows VALUES ('w1', 'r1'), ('w1', 'r1'), ('w2', 'r2')",
        "INSERT INTO tokens VALUES ('t1', 'w1', 'r1'), ('t2', 'w2', 'r2'), ('t3', 'w1', 'r1')",
        "INSERT INTO node_states VALUES ('s1', 't1'), ('s2', 't2'), ('s3', 't3')",
    )
    with untouched(path), open_landscape(path) as landscape:
        found = export_selection(landscape, Selection(tables=("node_states",)))
        assert [record["state_id"] for record in found] == ["s1", "s3", "s2"]


@pytest.mark.parametrize(
    "selection",
    [{"run_ids": ("r9", "another")}, {"since": at(12)}, {"statuses": ("none",)}],
)
def test_no_such_run(runs: Landscape, selection: dict[str, Any]) -> None:
    with pytest.raises(RunNotFoundError) as caught:
        chosen(runs, **selection)
    assert caught.value.remedy


def test_no_run_is_found_where_runs_have_no_id(tmp_path: Path) -> None:
    path = make(
        tmp_path,
        "CREATE TABLE runs (started_at, status)",
        "INSERT INTO runs VALUES ('2026-01-18 09:00:00', 'completed')",
    )
    # As a Landscape it would not even be opened.
    engine = create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    with untouched(path), engine.connect() as connection:
        stored = catalogue_for("sqlite").read_stored(connection.connection.dbapi_connection)
        with pytest.raises(RunNotFoundError, match="no run 'r9'"):
            Selection(run_ids=("r9",)).find_runs(connection, stored)
        with pytest.raises(RunNotFoundError, match="No run in the database"):
            Selection(statuses=("completed",)).find_runs(connection, stored)
        assert Selection().find_runs(connection, stored) is None
    engine.dispose()


def test_a_run_whose_id_is_stored_as_a_number_is_not_left_out(tmp_path: Path) -> None:
    path = make(
        tmp_path,
        "CREATE TABLE runs (run_id INTEGER, started_at)",
        "CREATE TABLE rows (row_id TEXT, run_id TEXT)",
        "INSERT INTO runs VALUES (5, '2026-01-18 09:00:00'), ('r6', '2026-01-18 10:00:00')",
        "INSERT INTO rows VALUES ('w1', '5'), ('w2', 'r6')",
    )
    with untouched(path), open_landscape(path) as landscape:
        assert chosen(landscape, run_ids=("5", "r6"), tables=("runs",)) == [5, "r6"]
        found = export_selection(landscape, Selection(run_ids=("5",)))
        assert [r.get("row_id", r["run_id"]) for r in found] == [5, "w1"]
        with pytest.raises(RunNotFoundError, match="no run '7'"):
            chosen(landscape, run_ids=("5", "7"))


def test_a_run_whose_id_a_server_pads_is_not_left_out(postgres: PostgresDatabase) -> None:
    postgres.run(
        "CREATE TABLE runs (run_id char(8) PRIMARY KEY, started_at timestamptz);"
        "INSERT INTO runs VALUES ('r9', '2026-01-18 09:00+00'), ('r10', '2026-01-18 10:00+00')"
    )
    with open_landscape(postgres.url()) as landscape:
        assert [run_id.strip() for run_id in chosen(landscape, run_ids=("r10",))] == ["r10"]


@pytest.mark.parametrize("began", [None, "yesterday", 5])
def test_a_run_of_which_it_cannot_be_told_when_it_began_is_not_passed_over(
    tmp_path: Path, runs: Landscape, began: Any
) -> None:
    with closing(sqlite3.connect(tmp_path / "audit.db")) as connection:
        connection.execute("UPDATE runs SET started_at = ? WHERE run_id = 'r9'", (began,))
        connection.commit()
    with open_landscape(tmp_path / "audit.db") as landscape:
        with pytest.raises(UnreadableError, match="r9") as caught:
            chosen(landscape, since=at(8))
        assert caught.value.column == "started_at"
        assert set(chosen(landscape, statuses=("completed",))) == {"r9", "r11"}


@pytest.mark.parametrize("order", ["host", "table"])
@pytest.mark.parametrize(
    ("tables", "types"),
    [
        (("rows",), {"row"}),
        (("row", "TOKENS"), {"row", "token"}),
        (("calls",), {"call"}),
        (("routing_event", "artifacts"), {"routing_event", "artifact"}),
        (("operations",), set()),
    ],
)
def test_tables(landscape: Landscape, order: Any, tables: tuple[str, ...], types: set[str]) -> None:
    """The same records as of the whole, in the same order; an absent table has none."""
    selection = Selection(tables=tables)
    found = list(export_selection(landscape, selection, order=order))
    whole = list(export_selection(landscape, Selection(), order=order))
    assert found == [record for record in whole if record["record_type"] in types]
    assert {record["record_type"] for record in found} == types
    assert count_records(landscape, selection) == len(found)


def test_no_such_table(landscape: Landscape) -> None:
    with pytest.raises(LandscapeCompatError, match="'nothing'") as caught:
        export_selection(landscape, Selection(tables=("rows", "nothing")))
    assert "rows" in str(caught.value.remedy)


def test_table_order_gives_every_row_once(landscape: Landscape, legacy: Written) -> None:
    """The same records, but for the run of those whose table stores none."""
    found = list(export_selection(landscape, Selection(), order="table"))
    stores = {"runs", *(t.name for t in legacy.shape if t.column("run_id"))}
    by_run = {r["record_type"] for r in found if "run_id" in r}
    assert len(by_run) == len({name for name in stores if legacy.tables[name].rows})

    def key(record: dict[str, Any]) -> str:
        return repr([(k, v) for k, v in record.items() if k != "run_id" or record_has(record)])

    def record_has(record: dict[str, Any]) -> bool:
        return record["record_type"] in by_run

    assert sorted(map(key, found)) == sorted(map(key, export_database(landscape)))


def test_one_run_in_table_order_is_told_by_every_record(
    landscape: Landscape, legacy: Written
) -> None:
    run_id = legacy.run_ids[1]
    one = Selection(run_ids=(run_id,))
    found = list(export_selection(landscape, one, order="table"))
    assert {record["run_id"] for record in found} == {run_id}
    assert sorted(map(repr, found)) == sorted(map(repr, export_selection(landscape, one)))
