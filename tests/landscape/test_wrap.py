"""One database of the host's that is open already is wrapped by itself."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from landscape_compat import install, wrap
from landscape_compat.engine.attach import attachment_of
from landscape_compat.errors import AttachError, WriteRefusedError
from support.host_eras import configure
from support.hosts import OLD, Place, build_record, url_of
from support.untouched import state_of, untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


def test_one_that_is_open_is_wrapped(place: Place, tmp_path: Path) -> None:
    """A database that is open already is read as declared, its own connections renewed."""
    written = build_record(tmp_path / "record", OLD, journal_mode="wal")
    for era in ("seed", "late-spring", "newest"):
        host = place(era)
        engine = create_engine(url_of(written.path))
        configure(vars(host.load()), engine)
        db = host.db.__new__(host.db)
        db.connection_string, db._engine, db._read_only = url_of(written.path), engine, False
        with untouched(written.path):
            assert wrap(db) is db
            assert wrap(db) is db
            assert len(host.read(db)) == len(written.tables["tokens"].rows)
            with pytest.raises(WriteRefusedError), db.engine.begin() as connection:
                connection.exec_driver_sql("DELETE FROM tokens")
            assert db._read_only  # by which the host itself leaves out what writes
            db.close()


def test_one_that_cannot_be_read_safely_is_told_at_once(place: Place, tmp_path: Path) -> None:
    """What its program opens in a way of its own is refused by `wrap`, not by the first read."""
    written = build_record(tmp_path / "record", OLD, journal_mode="wal")
    host = place("newest")
    db = host.db.__new__(host.db)
    db._engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(written.path))
    db._read_only = False
    before = state_of(written.path).file
    with pytest.raises(AttachError, match="`creator`"):
        wrap(db)
    # Its own connection came and went beside the file, as without us; the file is as it was.
    assert state_of(written.path).file == before


def test_what_needs_no_wrapping(place: Place, tmp_path: Path) -> None:
    """A current database stays writable, one in memory too; what is rescued is wrapped."""
    host = place("newest")
    with wrap(host.db.from_url(host.own(tmp_path / "audit.db"))) as db:
        assert not db.is_read_only
        with db.write_connection() as connection:
            connection.exec_driver_sql("UPDATE runs SET status = 'written'")
    with wrap(host.db.in_memory()) as db:
        assert host.read(db) == []
    written = build_record(tmp_path / "record", OLD)
    install()
    with host.db.from_url(url_of(written.path), create_tables=False) as db:
        attachment = attachment_of(db.engine)
        assert attachment_of(wrap(db).engine) is attachment
