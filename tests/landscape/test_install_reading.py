"""A host with the shim in it reads what older and newer versions wrote, and writes nothing."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from landscape_compat import install, uninstall
from landscape_compat.errors import WriteRefusedError
from support.host_eras import ERAS
from support.hosts import NEW, OLD, Place, build_record, url_of
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


def ids(rows: list[dict[str, Any]], column: str) -> list[Any]:
    return sorted(row[column] for row in rows)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
def test_an_older_database_is_read_and_nothing_is_written(
    place: Place, tmp_path: Path, era: str, journal_mode: Any
) -> None:
    """Every era's readers see every row, and the host's ways of opening are not taken."""
    written = build_record(tmp_path / "record", OLD, journal_mode=journal_mode)
    host = place(era)
    install()
    with untouched(written.path):
        db = host.db.from_url(url_of(written.path), create_tables=False)
        assert type(db) is host.db
        assert db.connection_string == url_of(written.path)
        for table, key in (("nodes", "node_id"), ("tokens", "token_id"), ("runs", "run_id")):
            assert ids(host.read(db, table), key) == ids(written.tables[table].dicts(), key)
        assert host.read(db, "checkpoints") == []
        db.close()
    assert host.writes == []
    assert getattr(db, "assembled", False) is ERAS[era].parts


@pytest.mark.parametrize("era", [name for name in ERAS if name != "newest"])
def test_a_newer_database_is_read(place: Place, tmp_path: Path, era: str) -> None:
    """Readers of every era see the rows of the newest database."""
    written = build_record(tmp_path / "record", NEW, journal_mode="wal", user_version=29)
    host = place(era)
    install()
    with untouched(written.path):
        db = host.db.from_url(url_of(written.path), create_tables=False)
        keys = ids(written.tables["tokens"].dicts(), "token_id")
        assert ids(host.read(db), "token_id") == keys
        db.close()
    assert host.writes == []


@pytest.mark.parametrize("era", ERAS)
def test_without_the_shim_it_fails(place: Place, tmp_path: Path, era: str) -> None:
    """What is read above is refused, or trips over a column, if the host is left alone."""
    written = build_record(tmp_path / "record", OLD)
    host = place(era)
    errors = (OperationalError, getattr(host.load(), "SchemaCompatibilityError", OperationalError))

    def opened() -> None:
        with host.db.from_url(url_of(written.path), create_tables=False) as db:
            host.read(db, "nodes")

    with pytest.raises(errors):
        opened()


def test_what_only_the_validation_refuses_is_read(place: Place, tmp_path: Path) -> None:
    """A database that has every column and another epoch, or no index, is read in place."""
    host = place("epochs")
    for number, spoiled in enumerate(
        ("PRAGMA user_version = 1", "DROP INDEX ix_tokens_created_at")
    ):
        path = tmp_path / f"record{number}" / "audit.db"
        url = host.own(path, spoiled, "PRAGMA journal_mode = delete")
        install()
        with untouched(path):
            db = host.db.from_url(url, create_tables=False)
            assert host.read(db) == []
            db.close()
            with pytest.raises(WriteRefusedError, match="schema is outdated"):
                host.db.from_url(url)
        assert host.writes == []
        uninstall()


def test_a_foreign_table_is_no_harm_to_a_reader(place: Place, tmp_path: Path) -> None:
    """What a rollback by the host's own instructions leaves behind does not hide the record."""
    host = place("newest")
    path = tmp_path / "record" / "audit.db"
    url = host.own(path, "CREATE TABLE rollback_attestations (id)", "PRAGMA journal_mode = delete")
    install()
    with untouched(path):
        db = host.db.from_url(url, create_tables=False)
        assert host.read(db) == []
        db.close()
        with pytest.raises(WriteRefusedError, match="foreign tables"):
            host.db(url)


def test_a_migrating_build_does_not_migrate(place: Place, tmp_path: Path) -> None:
    """A build that alters older databases when it opens them is kept from it."""
    written = build_record(tmp_path / "record", "2026-07-14/09cc47c23", user_version=23)
    host = place("july-16")
    install()
    with untouched(written.path):
        db = host.db.from_url(url_of(written.path), create_tables=False)
        assert len(host.read(db)) == len(written.tables["tokens"].rows)
        db.close()
        with pytest.raises(WriteRefusedError):
            host.db.from_url(url_of(written.path))


@pytest.mark.parametrize("era", ERAS)
def test_explain_reads(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], era: str
) -> None:
    """The command that only reads does, though it opens as those that write."""
    written = build_record(tmp_path / "record", OLD)
    host = place(era)
    install()
    with untouched(written.path):
        host.load("cli").explain(url_of(written.path))
    assert capsys.readouterr().out == f"{len(written.tables['tokens'].rows)} tokens\n"


def test_threads_open_at_once(place: Place, tmp_path: Path) -> None:
    """Many threads that open and read one database all see it whole."""
    written = build_record(tmp_path / "record", OLD, journal_mode="wal")
    host = place("newest")
    install()
    counts: list[int] = []

    def work() -> None:
        with host.db.from_url(url_of(written.path), create_tables=False) as db:
            counts.append(len(host.read(db)))

    host.load("core.landscape.factory")
    with untouched(written.path):
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert counts == [len(written.tables["tokens"].rows)] * 8
