"""One database of the host's that is open already is wrapped by itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from landscape_compat import attach, install, wrap
from landscape_compat.engine.attach import attachment_of
from landscape_compat.errors import AttachError, OpeningRefusedError, WriteRefusedError
from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.metadata import metadata_of
from support.host_eras import configure
from support.hosts import OLD, Place, PutInPlace, build_record, url_of
from support.untouched import state_of, untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


def _opened(host: PutInPlace, url: str) -> Any:
    """Give a database that the host opened before, by an engine of its own."""
    db = host.db.__new__(host.db)
    db.connection_string, db._engine, db._read_only = url, create_engine(url), False
    return db


def test_one_that_is_open_is_wrapped(place: Place, tmp_path: Path) -> None:
    """A database that is open already is read as declared, its own connections renewed."""
    written = build_record(tmp_path / "record", OLD, journal_mode="wal")
    for era in ("seed", "late-spring", "newest"):
        host = place(era)
        db = _opened(host, url_of(written.path))
        configure(vars(host.load()), db.engine)
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


def test_one_that_was_locked_is_wrapped_at_the_next_attempt(place: Place, tmp_path: Path) -> None:
    """A failed attempt leaves nothing behind that would be taken for a finished one."""
    written = build_record(tmp_path / "record", OLD)
    db = _opened(place("newest"), f"{url_of(written.path)}?timeout=0.1")
    with closing(sqlite3.connect(written.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with untouched(written.path), pytest.raises(OpeningRefusedError):
            wrap(db)
    assert attachment_of(db.engine) is None
    with untouched(written.path):
        assert wrap(db)._read_only
    db.close()


def test_one_whose_engine_was_attached_before_is_made_read_only_too(
    place: Place, tmp_path: Path
) -> None:
    """Its own attachment stays, and answers the host as any other."""
    written = build_record(tmp_path / "record", OLD)
    db = _opened(place("newest"), url_of(written.path))
    with untouched(written.path):
        attachment = attach(db.engine, metadata_of(known_shapes()[-1]))
        assert wrap(db)._read_only
        assert attachment_of(db.engine) is attachment
        with db.engine.connect() as connection:
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
        assert mode == "wal"
    db.close()


def test_one_that_was_locked_keeps_the_attachment_that_it_had(place: Place, tmp_path: Path) -> None:
    """What its program attached stays attached, whatever becomes of the attempt to wrap it."""
    written = build_record(tmp_path / "record", OLD)
    db = _opened(place("newest"), f"{url_of(written.path)}?timeout=0.1")
    attachment = attach(db.engine, metadata_of(known_shapes()[-1]))
    with closing(sqlite3.connect(written.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with untouched(written.path), pytest.raises(OpeningRefusedError):
            wrap(db)
    assert attachment_of(db.engine) is attachment
    assert not db._read_only
    with untouched(written.path):
        assert wrap(db)._read_only
    assert attachment_of(db.engine) is attachment
    db.close()


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
