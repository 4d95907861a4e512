"""A diagnosis says whether, how and why a file is read, and what is wrong with it; no trace."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from landscape_compat.engine import diagnosis
from landscape_compat.engine.classify import looks_encrypted
from landscape_compat.engine.diagnosis import diagnose_file
from landscape_compat.engine.locks import lock_sqlite
from landscape_compat.engine.states import REFUSALS, STATES
from landscape_compat.errors import LandscapeCompatError, SourceChangedError
from landscape_compat.landscape.inspection import diagnose_database
from support import wal
from support.wal import left_alone, lose_from_index, make_database, make_state, writing

BY_NAME = {state.name: state for state in STATES}
HEADER = (
    *("page_size", "page_count", "freelist_count", "encoding"),
    *("schema_version", "user_version", "application_id"),
)


@pytest.mark.parametrize("name", wal.STATES)
def test_it_names_the_state_and_the_reason(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with make_state(name, path), left_alone(path):
        found = diagnose_file(path)
        assert found.readable
        assert found.sound
        assert found.problems == ()
        state = BY_NAME[found.state]
        assert (found.way, found.reason) == (state.way, state.reason)
        assert found.facts is not None
        assert state.covers(found.facts)
        assert {file.name for file in found.files} == {file.name for file in tmp_path.iterdir()}
        assert {"read-only", "query_only", "authorizer"} <= set(found.locks)
        assert json.loads(json.dumps(found.to_dict()))["sound"] is True


def test_it_tells_what_the_header_says_and_what_would_read_it(tmp_path: Path) -> None:
    """The figures are those that SQLite itself gives."""
    path = tmp_path / "a.db"
    make_database(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 24")
        connection.execute("PRAGMA application_id = 7")
        connection.execute("DELETE FROM t WHERE id > 300")
        header = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in HEADER}
    found = diagnose_file(path)
    assert found.header == header
    assert header["freelist_count"]
    installed = {name: version(name) for name in ("landscape-compat", "sqlalchemy")}
    installed |= {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    assert installed.items() <= found.versions.items()
    assert all(found.versions.values())


def test_what_is_of_no_installed_package_has_no_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a program brings everything along in one archive."""
    path = tmp_path / "a.db"
    make_database(path)
    assert diagnose_file(path).versions.keys() > {"python", "sqlite"}
    monkeypatch.setattr("sys.path", [])
    assert diagnose_file(path).versions.keys() == {"python", "sqlite"}


def test_a_change_while_it_is_checked_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read may then not belong together, and says nothing."""
    path = tmp_path / "a.db"
    make_database(path, "wal")

    def lock(*words: Any, **more: Any) -> tuple[str, ...]:
        os.utime(path)
        return lock_sqlite(*words, **more)

    monkeypatch.setattr(diagnosis, "lock_sqlite", lock)
    with pytest.raises(SourceChangedError):
        diagnose_file(path)


def test_a_commit_that_is_under_way_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    make_database(path)
    with writing(path) as writer:
        writer.run("BEGIN EXCLUSIVE")
        ending = threading.Timer(0.3, writer.run, ["ROLLBACK"])
        ending.start()
        assert diagnose_file(path).readable
        ending.join()


@pytest.mark.parametrize("name", wal.LIVE_STATES)
def test_a_file_that_a_writer_keeps_to_itself(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with make_state(name, path), left_alone(path):
        found = diagnose_file(path)
    assert (found.readable, found.refusal) == (False, "in-use")
    assert found.remedy == REFUSALS["in-use"].remedy


def _corrupt(path: Path) -> None:
    make_database(path)
    with path.open("r+b") as file:
        file.seek(4096 * 5)
        file.write(b"\xa5" * 4096)


@pytest.mark.parametrize("check", ["quick", "full"])
def test_damage_is_told_in_sqlites_words(check: str, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    _corrupt(path)
    with left_alone(path):
        found = diagnose_file(path, check=check)  # type: ignore[arg-type]
    assert found.readable
    assert not found.sound
    assert found.problems
    assert "recover" in found.remedy


def test_much_damage_is_told_in_a_few_lines(tmp_path: Path) -> None:
    """At most twenty, each of one line."""
    path = tmp_path / "a.db"
    make_database(path)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xa5" * (size - 4096 * 2))
    problems = diagnose_file(path).problems or ()
    assert 0 < len(problems) <= 20
    assert not [line for line in problems if "\\n" in line or not line.isprintable()]


def test_a_schema_that_is_no_text_is_damage(tmp_path: Path) -> None:
    """SQLite tells of it in words that are none either."""
    path = tmp_path / "a.db"
    make_database(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET name = CAST(x'ff' AS TEXT), sql = 'CREATE'")
    with left_alone(path):
        found = diagnose_file(path)
    assert found.readable
    assert found.problems


@pytest.mark.parametrize("check", ["quick", "full"])
def test_a_constraint_that_rows_break_is_no_damage(check: str, tmp_path: Path) -> None:
    """It is an expression of anybody's, so it is not even evaluated."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("CREATE TABLE t (a CHECK (a > 5))")
        connection.execute("INSERT INTO t VALUES (1)")
    assert diagnose_file(path, check=check).problems == ()  # type: ignore[arg-type]


def test_an_index_without_its_rows_is_told_by_the_full_check(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    make_database(path)
    lose_from_index(path, "i\x1b[31m")
    with left_alone(path):
        assert diagnose_file(path, check="quick").problems == ()
        found = diagnose_file(path, check="full").problems
    assert found
    assert "index i\\x1b[31m" in found[0]


def test_a_long_value_in_an_index_is_no_damage(tmp_path: Path) -> None:
    """How long a value may be is told by the file that it is stored in."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TABLE t (a PRIMARY KEY)")
        connection.execute("INSERT INTO t VALUES (zeroblob(68000000))")
    assert diagnose_file(path, check="full").problems == ()
    path.unlink()


def test_no_check_reads_no_page_of_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    _corrupt(path)
    with left_alone(path):
        found = diagnose_file(path, check="none")
    assert found.problems is None
    assert found.sound


def _cut(path: Path) -> None:
    make_database(path)
    os.truncate(path, 9000)


def _link(path: Path) -> None:
    make_database(path)
    path.with_name("second.db").hardlink_to(path)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "absent": (lambda path: None, "unknown"),
    "folder": (Path.mkdir, "unknown"),
    "special": (os.mkfifo, "unknown"),
    "hard-linked": (_link, "unknown"),
    "empty": (Path.touch, "unknown"),
    "not-a-database": (lambda path: path.write_text("letter\n" * 99), "unknown"),
    "encrypted": (lambda path: path.write_bytes(bytes(range(256)) * 64), "suspected"),
    "truncated": (_cut, "none"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_a_finding_and_no_error(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    make, encryption = REFUSED[name]
    make(path)
    found = diagnose_file(path)
    assert (found.readable, found.refusal, found.encryption) == (False, name, encryption)
    assert REFUSALS[name].reason in found.reason
    assert found.remedy == REFUSALS[name].remedy
    assert found.state == found.way == ""
    assert (found.path is None) == (name == "absent")
    assert [file.name for file in found.files] == [file.name for file in tmp_path.glob("a*")]
    assert not found.sound


@pytest.mark.parametrize("name", sorted(REFUSED.keys() - {"encrypted"}))
def test_a_passphrase_is_of_no_effect_on_what_cannot_be_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    REFUSED[name][0](path)
    assert not looks_encrypted(path)
    assert diagnose_file(path, passphrase="none of it") == diagnose_file(path)


def test_a_path_cannot_act_on_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m\n\u202e.db"
    make_database(path)
    found = diagnose_file(path)
    assert str(found.to_dict()["files"][0]["name"]).isprintable()
    assert found.database.isprintable()


@pytest.mark.parametrize("given", ["sqlite://", "sqlite:///:memory:"])
def test_memory_has_no_diagnosis(given: str) -> None:
    with pytest.raises(LandscapeCompatError, match="in a file"):
        diagnose_database(given)


@pytest.mark.parametrize("url", ["sqlite:///{}", "sqlite:///file:{}?uri=true"])
def test_a_url_and_an_engine_are_a_path_in_other_words(url: str, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    make_database(path)
    found = diagnose_file(path)
    for given in (path, url.format(path), create_engine(url.format(path))):
        assert diagnose_database(given) == found
