"""What works without the shim works the same with it: the host goes its own way."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from landscape_compat import install, uninstall
from landscape_compat.engine.attach import attachment_of
from landscape_compat.errors import WriteRefusedError
from support.host_eras import ERAS
from support.hosts import Place, build_record, url_of
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


@pytest.mark.parametrize("era", ERAS)
def test_a_current_database_goes_the_hosts_own_way(place: Place, tmp_path: Path, era: str) -> None:
    """The host does the same, in the same order, and may write; the engine is its own."""
    host = place(era)
    calls = []
    for number, prepare in enumerate((uninstall, install)):
        url = host.own(tmp_path / f"record{number}" / "audit.db")
        prepare()
        opened = (
            partial(host.db.from_url, create_tables=False),
            host.db.from_url,
            host.db,
        )
        for open_it in opened:
            with open_it(url) as db:
                assert attachment_of(db.engine) is None
                assert not db._read_only
                with db.engine.begin() as connection:
                    connection.exec_driver_sql("UPDATE runs SET status = 'written'")
        calls.append(host.writes)
    assert calls[0] == calls[1] != []


@pytest.mark.parametrize("era", ERAS)
def test_a_fresh_database_is_made_by_the_host(place: Place, tmp_path: Path, era: str) -> None:
    """No file, an empty file, and no file at all: the host makes its tables there."""
    host = place(era)
    install()
    (tmp_path / "empty.db").touch()
    for path in (tmp_path / "absent.db", tmp_path / "empty.db"):
        with host.db.from_url(url_of(path)) as db:
            assert host.read(db) == []
            assert attachment_of(db.engine) is None
    with host.db.in_memory() as db:
        assert host.read(db, "runs") == []
    assert host.writes.count("create_all") == 2
    assert "in_memory" in host.writes


@pytest.mark.parametrize(
    ("era", "table", "creates"),
    [
        ("seed", "checkpoints", True),
        ("january", "checkpoints", True),
        ("rc2", "operations", True),
        ("passphrase", "operations", False),
        ("additive", "auth_events", True),
        ("additive", "operations", False),
        ("newest", "run_sources", False),
    ],
)
def test_tables_that_the_host_is_about_to_make(
    place: Place, tmp_path: Path, era: str, table: str, creates: bool
) -> None:
    """Where only tables are missing and the host would make them, it does; else it is refused."""
    host = place(era)
    path = tmp_path / "record" / "audit.db"
    url = host.own(path, f"DROP TABLE {table}", "DROP TABLE IF EXISTS elspeth_schema_identity")
    install()
    if creates:
        with host.db.from_url(url) as db:
            assert attachment_of(db.engine) is None
        with closing(sqlite3.connect(path)) as connection:
            names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
        assert table in names
    else:
        with untouched(path), pytest.raises(WriteRefusedError, match=f"the table {table} is miss"):
            host.db.from_url(url)


def test_a_missing_table_reads_as_empty_where_none_is_made(place: Place, tmp_path: Path) -> None:
    """A reader that says that it creates nothing sees no rows of a table that is not there."""
    host = place("rc2")
    path = tmp_path / "record" / "audit.db"
    url = host.own(path, "DROP TABLE operations", "PRAGMA journal_mode = delete")
    install()
    with untouched(path):
        db = host.db.from_url(url, create_tables=False)
        assert host.read(db, "operations") == []
        db.close()


def test_a_host_that_lacks_only_words_may_write(place: Place, tmp_path: Path) -> None:
    """A newer database in which nothing is missing is written to, as without the shim."""
    written = build_record(tmp_path / "record", "2026-01-21/3dd0e981e", journal_mode="wal")
    host = place("seed")
    install()
    with untouched(written.path):
        db = host.db.from_url(url_of(written.path))  # nobody knows what for
        assert len(host.read(db, "node_states")) == len(written.tables["node_states"].rows)
        db.close()
    host.load("cli").run(url_of(written.path))
    assert "create_all" in host.writes
