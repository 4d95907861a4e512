"""What is damaged, foreign or without a safe way of opening stays refused, in the host's family."""

from __future__ import annotations

import pickle
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from landscape_compat import install, uninstall
from landscape_compat.errors import (
    AttachError,
    DegradedDatabaseError,
    LandscapeCompatError,
    UnreadableError,
    WriteRefusedError,
)
from support.host_eras import ERAS
from support.hosts import OLD, Place, build_record, url_of
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


def test_a_damaged_database_of_the_hosts_own(place: Place, tmp_path: Path) -> None:
    """One that says that this very version made it, and lacks something, is not old but damaged."""
    host = place("newest")
    url = host.own(tmp_path / "audit.db", "DROP TABLE auth_events")
    install()
    refusal = host.load().SchemaCompatibilityError
    with pytest.raises(refusal, match="Missing table: auth_events") as caught:
        host.db.from_url(url, create_tables=False)
    assert type(caught.value) is refusal


@pytest.mark.parametrize("era", ["rc2", "newest"])
def test_a_store_of_another_kind(place: Place, tmp_path: Path, era: str) -> None:
    """A database that says that it is something else is refused, in the host's family."""
    written = build_record(tmp_path / "record", "2026-07-16/f1fc58c71")
    with closing(sqlite3.connect(written.path)) as connection:
        connection.executescript("UPDATE elspeth_schema_identity SET store_kind = 'sessions'")
    host = place(era)
    install()
    with (
        untouched(written.path),
        pytest.raises(UnreadableError, match="store 'sessions'") as caught,
    ):
        host.db.from_url(url_of(written.path), create_tables=False)
    assert isinstance(caught.value, host.load().SchemaCompatibilityError)


@pytest.mark.parametrize("era", ["passphrase", "newest"])
def test_no_landscape_at_all(place: Place, tmp_path: Path, era: str) -> None:
    """A database of something else, and a file that is none, are the host's to refuse."""
    host = place(era)
    other, text = tmp_path / "other.db", tmp_path / "text.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE people (name)")
    text.write_text("This is a letter, not a database.\n" * 30)
    install()
    with pytest.raises(host.load().SchemaCompatibilityError) as caught:
        host.db.from_url(url_of(other), create_tables=False)
    assert not isinstance(caught.value, LandscapeCompatError)
    with pytest.raises(Exception, match="not a database") as odd:
        host.db.from_url(url_of(text), create_tables=False)
    assert not isinstance(odd.value, LandscapeCompatError)


def test_what_cannot_be_opened_without_risk(place: Place, tmp_path: Path) -> None:
    """A degraded file of two names is not left to a host that would write to it."""
    written = build_record(tmp_path / "record", OLD)
    (tmp_path / "twin.db").hardlink_to(written.path)
    for era in ("seed", "newest"):
        host = place(era)
        install()
        with untouched(written.path), pytest.raises(LandscapeCompatError, match="several names"):
            host.db.from_url(url_of(written.path), create_tables=False)
        assert host.writes == []
        uninstall()


def test_a_program_that_chose_how_to_open(place: Place, tmp_path: Path) -> None:
    """A degraded file with an option that cannot be kept is refused, not opened as asked."""
    written = build_record(tmp_path / "record", OLD)
    host = place("rc2")
    install()
    url = f"sqlite:///file:{written.path}?nolock=1&uri=true"
    with untouched(written.path), pytest.raises(AttachError, match="option of the engine's own"):
        host.db.from_url(url, create_tables=False)


@pytest.mark.parametrize("era", ERAS)
def test_the_posture_refuse(place: Place, tmp_path: Path, era: str) -> None:
    """A degraded database raises when it is opened; a current one is none of its business."""
    written = build_record(tmp_path / "record", OLD)
    host = place(era)
    current = host.own(tmp_path / "current" / "audit.db")
    install(posture="refuse")
    with untouched(written.path), pytest.raises(DegradedDatabaseError) as caught:
        host.db.from_url(url_of(written.path), create_tables=False)
    assert "The posture is `refuse`" in str(caught.value)
    refusal = getattr(host.load(), "SchemaCompatibilityError", Exception)
    assert isinstance(caught.value, refusal)
    assert host.writes == []
    host.db.from_url(current).close()


def test_errors_can_be_pickled(place: Place, tmp_path: Path) -> None:
    """An error in the host's family travels between processes as one of ours."""
    written = build_record(tmp_path / "record", OLD)
    host = place("newest")
    install()
    with pytest.raises(WriteRefusedError) as caught:
        host.db(url_of(written.path))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (WriteRefusedError, str(caught.value))
