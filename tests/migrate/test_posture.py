"""Under the posture `migrate` a stale database is brought forward whole, once, or left as it is."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from landscape_compat import (
    inspect_database,
    install,
    migrate_in_place,
    uninstall,
    verify_migration,
)
from landscape_compat.errors import (
    AttachError,
    LandscapeCompatError,
    OutputError,
    ProofFailedError,
    RowsRefusedError,
)
from landscape_compat.landscape.history import known_shapes
from landscape_compat.migrate import proof, swap, work
from landscape_compat.migrate.kept import finish_kept, undo_unfinished
from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape
from support import wal
from support.host_eras import ERAS, declared_by
from support.hosts import STAND_INS, PutInPlace, build_record, places, url_of
from support.killing import KILLED, ended_at_every_step, in_child, interrupted_at, killed_at
from support.legacy import Written, build_small
from support.untouched import state_of, untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

OLD, NEW = "2026-01-18/df2fa70fb", "2026-07-18/84d296d5b"
Place = Callable[[str], PutInPlace]

# One of several processes that open one database at once, each to record a run in it.
ONE_OF_MANY = """
import json, sys, time
from pathlib import Path
folder, url, start, name, stand_ins = sys.argv[1:]
sys.path.insert(0, folder)
import landscape_compat
from elspeth.core.landscape.database import LandscapeDB
landscape_compat.install(posture="migrate", stand_ins=json.loads(stand_ins))
Path(f"{start}.{name}").touch()
while not Path(start).exists():
    time.sleep(0.001)
db = LandscapeDB.from_url(url)
with db.connection() as connection:
    connection.exec_driver_sql(
        "INSERT INTO runs (run_id, started_at, config_hash, settings_json, canonical_version, "
        "status, openrouter_catalog_sha256, openrouter_catalog_source, seeded_from_cache) "
        "VALUES (?, '2026-07-19', 'x', '{}', '1', 'running', 'x', 'x', 0)", (name,)
    )
db.close()
"""


@pytest.fixture(autouse=True)
def leave_no_shim() -> Iterator[None]:
    """Whatever a test installs is gone after it."""
    yield
    uninstall()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with places(tmp_path) as place:
        yield place


@pytest.fixture
def stale(tmp_path: Path) -> Written:
    """Give a record of January in a folder of its own."""
    return build_record(tmp_path / "record", OLD)


def kept_beside(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.stem}.2*{path.suffix}"))


def names(path: Path) -> list[str]:
    return sorted(p.name for p in path.parent.iterdir())


def runs(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {run_id for (run_id,) in connection.execute("SELECT run_id FROM runs")}


# What it does -------------------------------------------------------------------------------------


def test_a_stale_database_is_brought_forward_when_it_is_opened_for_writing(
    place: Place, stale: Written
) -> None:
    """The host then has it to itself, with all that was recorded; the original is kept."""
    before = state_of(stale.path).file
    host = place("newest")
    install(posture="migrate", stand_ins=STAND_INS)
    db = host.db.from_url(url_of(stale.path))
    assert db._read_only is False
    db.close()
    assert "create_all" in host.writes
    (kept,) = kept_beside(stale.path)
    assert kept.name.split(".")[2] == before.sha256[:12]
    after = state_of(kept).file
    assert (after.sha256, after.mtime_ns, after.inode) == (
        before.sha256,
        before.mtime_ns,
        before.inode,
    )
    assert stat.S_IMODE(kept.stat().st_mode) == 0o444
    assert runs(stale.path) == set(stale.run_ids)
    assert not inspect_database(stale.path).degraded
    assert names(stale.path) == sorted(["audit.db", "audit.db.intoto.json", kept.name])


def test_it_is_told_once(place: Place, stale: Written, caplog: pytest.LogCaptureFixture) -> None:
    """An event says what was done, where the original is, and which values are stand-ins."""
    host = place("newest")
    install(posture="migrate", stand_ins=STAND_INS)
    host.db.from_url(url_of(stale.path)).close()
    host.db.from_url(url_of(stale.path)).close()
    said = [tuple(record.args or ()) for record in caplog.records]
    (fields,) = (one[1] for one in said if one[0] == "landscape_compat.database_migrated")
    assert isinstance(fields, dict)
    assert fields["kept"] == str(kept_beside(stale.path)[0])
    assert "runs.openrouter_catalog_source" in fields["stand_ins"]
    assert fields["rows"] > 0


def test_to_read_it_nothing_is_migrated(place: Place, stale: Written) -> None:
    host = place("newest")
    install(posture="migrate", stand_ins=STAND_INS)
    with untouched(stale.path):
        db = host.db.from_url(url_of(stale.path), create_tables=False)
        assert len(host.read(db)) == len(stale.tables["tokens"].rows)
        db.close()


@pytest.mark.parametrize("era", ["epochs", "read-only", "identity"])
def test_every_host_that_tells_reading_from_writing(place: Place, stale: Written, era: str) -> None:
    host = place(era)
    declared = declared_by(ERAS[era]).tables
    needed = {
        path: text
        for path, text in {**STAND_INS, "checkpoints.checkpoint_node_config_hash": ""}.items()
        if path.partition(".")[2] in declared[path.partition(".")[0]].columns
    }
    install(posture="migrate", stand_ins=needed)
    host.db.from_url(url_of(stale.path)).close()
    assert runs(stale.path) == set(stale.run_ids)
    assert len(kept_beside(stale.path)) == 1


def test_a_current_database_is_the_hosts_alone(place: Place, tmp_path: Path) -> None:
    host = place("newest")
    path = tmp_path / "own" / "audit.db"
    url = host.own(path)
    install(posture="migrate", stand_ins=STAND_INS)
    host.db.from_url(url).close()
    assert kept_beside(path) == []


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///{}?timeout=5"])
def test_where_nothing_can_have_been_kept_the_host_is_left_alone(
    place: Place, stale: Written, url: str
) -> None:
    """In memory, and in a file that is opened in a way of its own; a kept original stays as it is.

    In a file by its path, what a killed migration left is ended instead.
    """
    host = place("newest")
    done = migrate_in_place(stale.path, host=True, stand_ins=STAND_INS)
    assert done is not None
    done.kept.chmod(0o644)
    install(posture="migrate", stand_ins=STAND_INS)
    if url == "sqlite://":
        host.load().LandscapeDB.in_memory().close()
        with pytest.raises(host.load("core.landscape.database").hosts.AuditIntegrityError):
            host.db.from_url(url)  # it wants a file with a WAL
    else:
        host.db.from_url(url.format(stale.path)).close()
    assert stat.S_IMODE(done.kept.stat().st_mode) == 0o644
    host.db.from_url(url_of(stale.path)).close()
    assert stat.S_IMODE(done.kept.stat().st_mode) == 0o444


def test_the_proof_lies_beside_it(stale: Written) -> None:
    """It names both: the original by its digest, and the new one as it was when it was proven."""
    before = state_of(stale.path).file.sha256
    done = migrate_in_place(stale.path)
    assert done is not None
    told = json.loads(done.migration.proof.read_bytes())
    assert told["subject"][0]["digest"]["sha256"] == state_of(stale.path).file.sha256
    assert told["predicate"]["source"]["sha256"] == before == state_of(done.kept).file.sha256
    mode = stat.S_IMODE(stale.path.stat().st_mode)
    assert mode & 0o200


def test_the_way_back_is_one_command(stale: Written) -> None:
    """The kept original takes its name again, and is what it was; another, if it is written to."""
    before = state_of(stale.path).file
    done = migrate_in_place(stale.path)
    assert done is not None
    subprocess.run(["mv", "-f", done.kept, stale.path], check=True)
    assert state_of(stale.path).file.sha256 == before.sha256
    assert not stat.S_IMODE(stale.path.stat().st_mode) & 0o222
    subprocess.run(["chmod", "u+w", stale.path], check=True)
    again = migrate_in_place(stale.path)
    assert again is not None


def test_a_database_by_a_symlink(stale: Written, tmp_path: Path) -> None:
    """It is migrated where it lies; the link stays one."""
    link = tmp_path / "link.db"
    link.symlink_to(stale.path)
    done = migrate_in_place(link)
    assert done is not None
    assert link.is_symlink()
    assert done.kept.parent == stale.path.parent


# Doubts -------------------------------------------------------------------------------------------


@pytest.fixture
def refused(stale: Written) -> Callable[..., Any]:
    """Check that a block is refused, and that all is as it was."""

    @contextmanager
    def refusing(kind: type[Exception], match: str, path: Path = stale.path) -> Iterator[None]:
        before, listing = state_of(path).file, names(path)
        with pytest.raises(kind, match=match):
            yield
        after = state_of(path).file
        assert (after.sha256, after.mtime_ns, after.mode) == (
            before.sha256,
            before.mtime_ns,
            before.mode,
        )
        assert names(path) == listing

    return refusing


def test_somebody_has_it_open(stale: Written, refused: Any, monkeypatch: Any) -> None:
    """Even idle: he would go on writing to it under its new name."""
    monkeypatch.setattr(swap, "_MOMENT", 0.1)
    with closing(sqlite3.connect(stale.path)) as other:
        other.execute("SELECT 1 FROM runs").fetchone()
        with refused(LandscapeCompatError, f"in use by process {os.getpid()}"):
            migrate_in_place(stale.path)


def test_a_refusal_took_the_locks_of_this_process_away(
    stale: Written, refused: Any, monkeypatch: Any
) -> None:
    """Another process could write amid a transaction of ours, and one of the two was lost."""
    monkeypatch.setattr(swap, "_MOMENT", 0.1)
    with closing(sqlite3.connect(stale.path, isolation_level=None)) as host:
        host.execute("BEGIN IMMEDIATE")
        with refused(LandscapeCompatError, f"in use by process {os.getpid()}"):
            migrate_in_place(stale.path)
        assert "database is locked" in wal.said_to_another_writer(stale.path)
        host.execute("ROLLBACK")


def test_somebody_reads_it(stale: Written, refused: Any, monkeypatch: Any) -> None:
    """A reader amid a transaction is waited for, and then not disturbed."""
    monkeypatch.setattr(swap, "_MOMENT", 0.1)
    with closing(sqlite3.connect(f"{stale.path.as_uri()}?mode=ro", uri=True)) as other:
        other.execute("BEGIN")
        other.execute("SELECT 1 FROM runs").fetchone()
        with refused(LandscapeCompatError, "in use"):
            migrate_in_place(stale.path)


def test_it_was_not_closed_cleanly(stale: Written, refused: Any) -> None:
    for suffix in ("-wal", "-journal"):
        beside = Path(f"{stale.path}{suffix}")
        beside.write_bytes(b"\0" * 512)
        with refused(LandscapeCompatError, "not closed cleanly"):
            migrate_in_place(stale.path)
        beside.unlink()


def test_it_changes_meanwhile(stale: Written, monkeypatch: Any) -> None:
    """A row that is recorded between the proof and the swap is not lost."""
    before = names(stale.path)

    def meanwhile(path: Path, done: Any) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE runs SET status = 'failed'")

    monkeypatch.setattr(swap, "_require_all_known", meanwhile)
    with pytest.raises(LandscapeCompatError, match="kept changing"):
        migrate_in_place(stale.path)
    assert names(stale.path) == before
    assert inspect_database(stale.path).degraded


def test_it_changes_all_the_time(
    stale: Written, refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: stale.path.stat().st_mtime_ns)
    with refused(LandscapeCompatError, "kept changing"):
        migrate_in_place(stale.path)


@pytest.mark.parametrize(
    "content", [b"somebody's attestation", b"{}", b"[" * 100_000, b'{"predicateType": "a"}']
)
def test_somebodys_file_in_the_place_of_the_proof_was_replaced(
    stale: Written, refused: Any, content: bytes
) -> None:
    beside = stale.path.with_name("audit.db.intoto.json")
    beside.write_bytes(content)
    with refused(OutputError, "exists already and is no statement"):
        migrate_in_place(stale.path)
    assert beside.read_bytes() == content


def test_the_proof_of_an_earlier_migration_was_lost_with_the_next(stale: Written) -> None:
    """It goes with the original that it is about; and not where the way back was taken."""
    first = migrate_in_place(stale.path, to="2026-03-01")
    assert first is not None
    proof = first.migration.proof.read_bytes()
    second = migrate_in_place(stale.path)
    assert second is not None
    former = second.kept.with_name(f"{second.kept.name}.intoto.json")
    assert former.read_bytes() == proof
    assert second.migration.proof.read_bytes() != proof
    second.kept.replace(stale.path)
    stale.path.chmod(0o644)
    third = migrate_in_place(stale.path)
    assert third is not None
    assert former.read_bytes() == proof


def test_a_name_that_the_lock_cannot_have(stale: Written, refused: Any) -> None:
    path = stale.path.with_name("a" * 240 + ".db")
    stale.path.rename(path)
    with refused(OutputError, "cannot be written", path):
        migrate_in_place(path)


def test_a_proof_that_fails(stale: Written, refused: Any, monkeypatch: Any) -> None:
    def prove(source: Any, target: sqlite3.Connection, *rest: Any) -> Any:
        target.execute("UPDATE runs SET status = 'other'")
        return proof.prove_table(source, target, *rest)

    monkeypatch.setattr(work, "prove_table", prove)
    with refused(ProofFailedError, "does not hold"):
        migrate_in_place(stale.path)


def test_rows_that_the_host_refuses(tmp_path: Path, refused: Any) -> None:
    folder = tmp_path / "orphaned"
    folder.mkdir()
    written = build_small(folder / "audit.db", known_shapes()[20].shape, orphans=True)
    with refused(RowsRefusedError, "no such row", written.path):
        migrate_in_place(written.path)


def test_what_nobody_knows_is_in_it(tmp_path: Path, refused: Any) -> None:
    """Data that the program never recorded would not be in the database that it works on."""
    extra = SchemaShape.of(TableShape("own", (ColumnShape("id", "INTEGER", primary_key=True),)))
    written = build_record(tmp_path / "extra", OLD, extra=extra)
    with refused(LandscapeCompatError, "no known version", written.path):
        migrate_in_place(written.path)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE note_empty (a)",
        "ALTER TABLE runs ADD COLUMN legal_hold TEXT",
        "CREATE VIEW my_report AS SELECT 1",
        "CREATE UNIQUE INDEX mine ON runs (run_id, status)",
        "CREATE TRIGGER no_delete BEFORE DELETE ON runs "
        "BEGIN SELECT RAISE(ABORT, 'append only'); END",
    ],
)
def test_what_somebody_added_was_gone_from_the_database_that_took_its_name(
    stale: Written, refused: Any, sql: str
) -> None:
    """Also where it holds no value: a guard against deleting, say."""
    with closing(sqlite3.connect(stale.path)) as connection:
        connection.execute(sql)
    with refused(LandscapeCompatError, "no known version of the program made"):
        migrate_in_place(stale.path)


def test_what_nobody_recorded_is_a_doubt(place: Place, stale: Written, refused: Any) -> None:
    """The host insists on it; whoever opens the database is told, and nothing is made up."""
    host = place("newest")
    install(posture="migrate")
    with refused(LandscapeCompatError, r"runs\.openrouter_catalog_source, never recorded"):
        host.db.from_url(url_of(stale.path))


@pytest.mark.parametrize("posture", ["degrade", "refuse"])
def test_a_stand_in_where_nothing_is_migrated(posture: Any) -> None:
    with pytest.raises(AttachError, match="nothing can stand in"):
        install(posture=posture, stand_ins=STAND_INS)


def test_it_is_newer(tmp_path: Path, refused: Any) -> None:
    """An older program has no place for all that a newer one recorded."""
    written = build_record(tmp_path / "newer", NEW)
    with refused(LandscapeCompatError, "is newer than", written.path):
        migrate_in_place(written.path, to=OLD)


def test_it_is_of_no_known_version(tmp_path: Path, refused: Any) -> None:
    """A build that came after every known one may give its values meanings of its own."""
    written = build_record(tmp_path / "later", OLD)
    with closing(sqlite3.connect(written.path)) as connection:
        connection.execute("PRAGMA user_version = 1000")
    with refused(LandscapeCompatError, "is of no known version", written.path):
        migrate_in_place(written.path)


def test_a_copy_was_kept_before(stale: Written, refused: Any) -> None:
    copy = stale.path.read_bytes()
    stamp = stale.path.stat()
    done = migrate_in_place(stale.path)
    assert done is not None
    stale.path.write_bytes(copy)
    os.utime(stale.path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with refused(OutputError, "exists already"):
        migrate_in_place(stale.path)


def test_a_file_system_that_gives_a_file_one_name_only(
    stale: Written, refused: Any, monkeypatch: Any
) -> None:
    """Without a second name the original could be lost for a moment, so it is left."""

    def link(*words: Any, **more: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    with refused(OutputError, "cannot give a file two names"):
        migrate_in_place(stale.path)


def test_a_refusal_reaches_the_hosts_handlers(place: Place, stale: Written, refused: Any) -> None:
    """As an error of the host's own family, and of ours."""
    Path(f"{stale.path}-journal").write_bytes(b"\0" * 512)
    host = place("newest")
    install(posture="migrate", stand_ins=STAND_INS)
    with refused(LandscapeCompatError, "not closed cleanly"):
        host.db.from_url(url_of(stale.path))
    with pytest.raises(host.load().SchemaCompatibilityError):
        host.db.from_url(url_of(stale.path))


def test_a_migrated_database_is_no_longer_wanted(stale: Written) -> None:
    before, listing = state_of(stale.path).file, names(stale.path)
    assert migrate_in_place(stale.path, wanted=lambda: False) is None
    assert (state_of(stale.path).file, names(stale.path)) == (before, listing)


def test_what_is_no_file() -> None:
    for url in ("sqlite://", "postgresql://nobody@localhost/x"):
        with pytest.raises(LandscapeCompatError, match="Only a SQLite file"):
            migrate_in_place(url)


# At once, and not to the end ----------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 8])
def test_several_processes_at_once(
    place: Place, stale: Written, tmp_path: Path, count: int
) -> None:
    """One migrates, the others wait: one new database, one original, and every row recorded."""
    host = place("newest")
    before = state_of(stale.path).file.sha256
    start = tmp_path / "start"
    path = os.pathsep.join(sys.path)
    words = (host.folder, url_of(stale.path), start)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ONE_OF_MANY, *words, f"n{n}", json.dumps(STAND_INS)],
            env={**os.environ, "PYTHONPATH": path},
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(count)
    ]
    while len(list(tmp_path.glob("start.*"))) < count:
        assert all(process.poll() is None for process in processes)
    start.touch()
    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * count, said
    (kept,) = kept_beside(stale.path)
    assert state_of(kept).file.sha256 == before
    assert runs(stale.path) == {*stale.run_ids, *(f"n{n}" for n in range(count))}
    assert set(names(stale.path)) == {"audit.db", "audit.db.intoto.json", kept.name}


def test_killed_before_the_original_was_read_only(
    place: Place, stale: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next opening finishes it: a kept original once stayed writable for good."""
    host = place("newest")
    install(posture="migrate", stand_ins=STAND_INS)

    def die(kept: Path) -> None:
        os._exit(KILLED)

    def migrate() -> None:
        monkeypatch.setattr(swap, "make_readonly", die)
        host.db.from_url(url_of(stale.path))

    assert in_child(migrate) == KILLED
    assert not inspect_database(stale.path).degraded
    (kept,) = kept_beside(stale.path)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o644
    host.db.from_url(url_of(stale.path), create_tables=False).close()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o644
    host.db.from_url(url_of(stale.path)).close()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o444


@pytest.mark.parametrize(
    "named",
    [
        lambda kept: "../outside.db",
        lambda kept: str(kept),
        lambda kept: f"audit.2026-01-18.{'0' * 12}.db",
        lambda kept: None,
    ],
)
def test_a_proof_that_names_another_file(stale: Written, named: Callable[[Path], Any]) -> None:
    """No file gets another mode but the original that the proof tells the digest of."""
    done = migrate_in_place(stale.path)
    assert done is not None
    done.kept.chmod(0o644)
    others = [stale.path.parent.parent / "outside.db"]
    others += [stale.path.parent / f"audit.2026-01-18.{'0' * 12}.db"]
    for other in others:
        other.touch(0o644)
    told = json.loads(done.migration.proof.read_bytes())
    told["predicate"]["kept"] = named(done.kept)
    done.migration.proof.write_text(json.dumps(told))
    finish_kept(stale.path)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (*others, done.kept)}
    assert modes == {0o644}


def test_the_original_takes_its_name_again_meanwhile(
    place: Place, stale: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the way back that is one command; the host does not write to what is stale again."""
    before = state_of(stale.path).file.sha256
    host = place("newest")
    install(posture="migrate", stand_ins=STAND_INS)
    monkeypatch.setattr(swap, "_tell", lambda migration, kept: kept.replace(stale.path))
    with pytest.raises(LandscapeCompatError, match="tokens"):
        host.db.from_url(url_of(stale.path))
    assert state_of(stale.path).file.sha256 == before


def test_a_secret_original_stays_one(stale: Written) -> None:
    """Who may not read the database may not read the kept original; once everybody might."""
    stale.path.chmod(0o640)
    done = migrate_in_place(stale.path)
    assert done is not None
    assert stat.S_IMODE(done.kept.stat().st_mode) == 0o440


def test_killed_at_every_step(stale: Written) -> None:
    """The database is the original, or the new one with the original beside it; a rerun ends it."""
    before = state_of(stale.path).file.sha256
    seen, kept = set(), None
    for killed in ended_at_every_step(killed_at, lambda: migrate_in_place(stale.path)):
        if state_of(stale.path).file.sha256 == before:
            seen.add("original")
            continue
        seen.add("killed" if killed else "done")
        (kept,) = kept_beside(stale.path)
        assert state_of(kept).file.sha256 == before
        assert runs(stale.path) == set(stale.run_ids)
        assert migrate_in_place(stale.path, wanted=lambda: False) is None
        assert stat.S_IMODE(kept.stat().st_mode) == 0o444
        if killed:
            subprocess.run(["mv", "-f", kept, stale.path], check=True)
            stale.path.chmod(0o644)
    assert seen == {"original", "killed", "done"}
    assert kept is not None
    assert names(stale.path) == sorted(["audit.db", "audit.db.intoto.json", kept.name])


def test_interrupted_when_the_new_one_had_its_name_the_original_was_deleted(
    stale: Written, tmp_path: Path
) -> None:
    """At whatever step Ctrl-C comes, all is as it was, or all is done."""
    migrate_in_place(stale.path, to="2026-03-01")
    before = {p.name: p.read_bytes() for p in stale.path.parent.iterdir()}
    folder, ends = tmp_path / "again", set()
    path = folder / "audit.db"
    shutil.copytree(stale.path.parent, folder)
    said = tmp_path / "said"

    def migrate() -> None:
        said.write_text("")
        try:
            migrate_in_place(path)
        except KeyboardInterrupt as error:
            said.write_text("\n".join(getattr(error, "__notes__", ())))
            raise

    for interrupted in ended_at_every_step(interrupted_at, migrate):
        # What an interrupted cleaning up leaves goes with the next migration.
        found = {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith(".")}
        ends.add((found == before, interrupted))
        if found != before:
            (kept,) = {p.name for p in kept_beside(path)} - before.keys()
            told = f"{path} was migrated; the original is {kept}, beside it."
            assert said.read_text() == (told if interrupted else "")
            assert found.keys() == before.keys() | {kept, f"{kept}.intoto.json"}
            assert (found[kept], found[f"{kept}.intoto.json"]) == (
                before["audit.db"],
                before["audit.db.intoto.json"],
            )
            assert not verify_migration(path).findings
            finish_kept(path)  # as the next opening does
            assert stat.S_IMODE((folder / kept).stat().st_mode) == 0o444
        shutil.rmtree(folder)
        shutil.copytree(stale.path.parent, folder)
    assert ends == {(True, True), (False, True), (False, False)}


def test_killed_before_the_first_new_one_had_its_name_its_proof_goes(
    stale: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells of a migration that did not come about, and there was none before."""
    before = {p.name: p.read_bytes() for p in stale.path.parent.iterdir()}

    def die(path: Path) -> None:
        if path == stale.path.parent:
            os._exit(KILLED)

    def migrate() -> None:
        monkeypatch.setattr(swap, "make_lasting", die)
        migrate_in_place(stale.path)

    assert in_child(migrate) == KILLED
    assert (stale.path.stat().st_nlink, f"{stale.path.name}.intoto.json" in names(stale.path)) == (
        2,
        True,
    )
    undo_unfinished(stale.path)
    found = {p.name: p.read_bytes() for p in stale.path.parent.iterdir() if p.name[0] != "."}
    assert found == before
    assert stale.path.stat().st_nlink == 1
    assert migrate_in_place(stale.path) is not None
    assert not verify_migration(stale.path).findings


def test_interrupted_when_the_last_step_was_done_it_says_where_the_original_is(
    stale: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And that is made read-only and lasting, as without."""
    before, real = state_of(stale.path).file, os.replace

    def replace(one: Any, other: Any, **more: Any) -> None:
        real(one, other, **more)
        if Path(other) == stale.path:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt) as caught:
        migrate_in_place(stale.path)
    (kept,) = kept_beside(stale.path)
    assert caught.value.__notes__ == [
        f"{stale.path} was migrated; the original is {kept.name}, beside it."
    ]
    after = state_of(kept).file
    assert (after.sha256, after.inode, after.links) == (before.sha256, before.inode, 1)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o444
    assert names(stale.path) == sorted(["audit.db", "audit.db.intoto.json", kept.name])
    assert not verify_migration(stale.path).findings


def test_what_another_program_put_there_meanwhile_was_told_as_migrated(stale: Written) -> None:
    told = KeyboardInterrupt()

    def replaced() -> None:
        stale.path.with_name("rotated.db").write_bytes(b"")
        stale.path.with_name("rotated.db").replace(stale.path)
        raise told

    with pytest.raises(KeyboardInterrupt):
        migrate_in_place(stale.path, wanted=replaced)  # type: ignore[arg-type]
    assert not getattr(told, "__notes__", ())


def test_killed_before_the_new_one_had_its_name_a_proof_told_of_what_had_not_happened(
    stale: Written, tmp_path: Path
) -> None:
    """The next migration first puts back the proof that was there, and the one name."""
    migrate_in_place(stale.path, to="2026-03-01")
    before = {p.name: p.read_bytes() for p in stale.path.parent.iterdir()}
    folder, undone = tmp_path / "again", 0
    path = folder / "audit.db"
    shutil.copytree(stale.path.parent, folder)
    for killed in ended_at_every_step(killed_at, lambda: migrate_in_place(path)):
        if killed and path.read_bytes() == before["audit.db"]:
            undone += path.stat().st_nlink > 1
            undo_unfinished(path)
            found = {p.name: p.read_bytes() for p in folder.iterdir() if p.name[0] != "."}
            assert found == before
        shutil.rmtree(folder)
        shutil.copytree(stale.path.parent, folder)
    assert undone > 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as two users")
def test_somebody_elses_became_ones_own() -> None:
    """Those who could read and write it could not any more, and an error was told besides."""
    with wal.somebody_elses(0o777) as paths:
        path = paths[1]
        before = state_of(path).file
        kind, message = wal.done_by_nobody("migrate_in_place", *paths)
        assert state_of(path).file == before
        assert (kind, [*path.parent.iterdir()]) == ("OutputError", [path])
        assert "others would lose it" in message


def test_what_else_is_said_of_the_file_was_lost(stale: Written) -> None:
    """Its owner, its group, its mode and its attributes are the new one's too."""
    path = stale.path
    if os.geteuid() == 0:
        os.chown(path, 65533, 65532)
    path.chmod(0o640)
    try:
        os.setxattr(path, "user.note", b"legal hold")
    except (AttributeError, OSError):
        note = None
    else:
        note = b"legal hold"
    before = path.stat()
    done = migrate_in_place(path)
    assert done is not None
    after = path.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (
        before.st_uid,
        before.st_gid,
        before.st_mode,
    )
    for file in (path, done.kept):
        assert (os.getxattr(file, "user.note") if note else None) == note


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_an_owner_that_may_not_be_given_is_a_doubt(
    stale: Written, refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where somebody may write to the folder, and the file is not his."""
    os.chown(stale.path, 65533, 65532)

    def chown(*_: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "chown", chown)
    with refused(OutputError, "others would lose it"):
        migrate_in_place(stale.path)


@pytest.mark.skipif(not hasattr(os, "listxattr"), reason="attributes are Linux's")
def test_attributes_that_cannot_be_read_are_a_doubt(
    stale: Written, refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that has none is not: there are none to be lost."""
    number = errno.EIO

    def listxattr(*_: Any) -> list[str]:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "listxattr", listxattr)
    with refused(OutputError, rf"{os.strerror(number)}\); others would lose it"):
        migrate_in_place(stale.path)
    number = errno.ENOTSUP
    done = migrate_in_place(stale.path)
    assert done is not None
    assert not verify_migration(stale.path).findings


def test_an_unreadable_database_stays(tmp_path: Path, refused: Any) -> None:
    folder = tmp_path / "none"
    folder.mkdir()
    path = folder / "audit.db"
    path.write_bytes(b"no database" * 1000)
    with refused(LandscapeCompatError, "SQLite", path):
        migrate_in_place(path)
