"""A host with the shim in it writes nothing to a degraded database, and nothing beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from landscape_compat import install
from landscape_compat.errors import WriteRefusedError
from support.host_eras import ERAS
from support.hosts import OLD, Place, build_record, url_of
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

# The eras whose readers say that they create no tables, and those before.
EARLY = ("seed", "january")
LATE = tuple(name for name in ERAS if name not in EARLY)
COMMANDS = ("run", "resume", "join", "export_resume")


@pytest.mark.parametrize("era", LATE)
def test_to_open_for_writing_is_refused(place: Place, tmp_path: Path, era: str) -> None:
    """The refusal names the drift and the remedies, quotes the host, and is of its family."""
    written = build_record(tmp_path / "record", OLD)
    host = place(era)
    install()
    url = url_of(written.path)
    ways: tuple[Callable[[], Any], ...] = (
        lambda: host.db.from_url(url),
        lambda: host.db(url),
        lambda: host.db.from_url(url, create_tables=False, dump_to_jsonl=True),
    )
    for open_it in ways:
        with untouched(written.path), pytest.raises(WriteRefusedError) as caught:
            open_it()
        assert isinstance(caught.value, host.load().SchemaCompatibilityError)
        message = str(caught.value)
        assert re.search(r"\b\w+\.\w+ is missing", message)
        assert "opened for writing" in message
        assert "Missing column: nodes.determinism" in message  # the host's own words
        assert message.endswith("start a fresh database.")
        assert all(words in message for words in ("landscape-compat export", "migrate a copy"))
        assert host.writes == []


@pytest.mark.parametrize("era", EARLY)
def test_early_readers_do_not_say_what_they_want(place: Place, tmp_path: Path, era: str) -> None:
    """Where readers and writers open alike, the database is read, and the first write refused."""
    written = build_record(tmp_path / "record", OLD)
    host = place(era)
    install()
    with untouched(written.path):
        for open_it in (host.db, host.db.from_url):
            db = open_it(url_of(written.path))
            assert len(host.read(db)) == len(written.tables["tokens"].rows)
            with pytest.raises(WriteRefusedError), db.connection() as connection:
                connection.exec_driver_sql("INSERT INTO runs (run_id) VALUES ('new')")
            db.close()
    assert host.writes == []


@pytest.mark.parametrize("era", ERAS)
def test_commands_that_write_are_refused(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], era: str
) -> None:
    """The host reports the refusal in its own way, and ends with an exit code that is not 0."""
    written = build_record(tmp_path / "record", OLD)
    host = place(era)
    install()
    for command in COMMANDS:
        with untouched(written.path), pytest.raises(SystemExit) as ended:
            getattr(host.load("cli"), command)(url_of(written.path))
        assert ended.value.code == 1
        said = capsys.readouterr().err
        assert "Error connecting to database" in said
        assert re.search(r"\b\w+\.\w+ is missing", said)
        assert f"by the command `{command}`, which writes" in said
        assert host.writes == []


@pytest.mark.parametrize("era", ERAS)
def test_purge_destroys_nothing(place: Place, tmp_path: Path, era: str) -> None:
    """The command that deletes files before it writes is refused before it deletes."""
    written = build_record(tmp_path / "record", OLD)
    (tmp_path / "payloads").mkdir()
    payload = tmp_path / "payloads" / "payload"
    payload.write_text("evidence")
    host = place(era)
    install()
    with untouched(written.path), untouched(payload):
        with pytest.raises(SystemExit):
            host.load("cli").purge(url_of(written.path), payload.parent)
        # A program that does the same by itself is no command that could be recognised.
        db = host.db.from_url(url_of(written.path), create_tables=False)
        manager = host.load("core.retention.purge").PurgeManager(db, payload.parent)
        with pytest.raises(WriteRefusedError, match="Deleting payloads was refused"):
            manager.purge_payloads([payload.name])
        orchestrator = host.load("engine.orchestrator").Orchestrator
        for call in (partial(orchestrator, db), partial(orchestrator, db=db, clock=None)):
            with pytest.raises(WriteRefusedError, match="Running a pipeline was refused"):
                call()
        db.close()


def test_purge_and_run_work_where_they_may(place: Place, tmp_path: Path) -> None:
    """On a current database both do what they do."""
    host = place("newest")
    url = host.own(tmp_path / "audit.db")
    (tmp_path / "payloads").mkdir()
    (tmp_path / "payloads" / "old").touch()
    install()
    cli = host.load("cli")
    cli.run(url)
    cli.purge(url, tmp_path / "payloads")
    assert list((tmp_path / "payloads").iterdir()) == []
    with pytest.raises(TypeError):
        host.load("engine.orchestrator").Orchestrator()
    host.load("engine.orchestrator").Orchestrator(object())


@pytest.mark.parametrize("era", ERAS)
def test_the_first_write_is_refused(place: Place, tmp_path: Path, era: str) -> None:
    """A handle that was opened to read does not write."""
    written = build_record(tmp_path / "record", OLD)
    host = place(era)
    install()
    with untouched(written.path):
        db = host.db.from_url(url_of(written.path), create_tables=False)
        with pytest.raises(WriteRefusedError), db.connection() as connection:
            connection.exec_driver_sql("DELETE FROM tokens")
        if ERAS[era].read_only:
            assert db.is_read_only
            with pytest.raises(RuntimeError, match="read-only"), db.write_connection():
                pass
        db.close()
