"""A database that was damaged or made to do harm gives right rows or a typed error, no more."""

from __future__ import annotations

import json
import os
import sqlite3
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import text
from sqlalchemy.dialects import sqlite as sqlite_dialect

from landscape_compat import (
    LandscapeCompatError,
    attach,
    diagnose_database,
    inspect_database,
    open_landscape,
)
from landscape_compat.errors import NotALandscapeError, OpeningRefusedError, UnreadableError
from landscape_compat.export.records.selection import Selection
from landscape_compat.export.records.stream import (
    Order,
    export_database,
    export_run,
    export_selection,
)
from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.metadata import metadata_of
from landscape_compat.landscape.rules import landscape_rules
from landscape_compat.landscape.stored import read
from support.commands import Run, running
from support.legacy import Written
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


def _execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        for statement in statements:
            connection.execute(statement)


def _read(path: Path, order: Order = "host") -> dict[str, list[dict[str, Any]]]:
    """Inspect and export, and give the records by their type."""
    found: dict[str, list[dict[str, Any]]] = {}
    with untouched(path):
        inspect_database(path)
        with open_landscape(path) as db:
            for record in export_selection(db, Selection(), order=order):
                found.setdefault(record["record_type"], []).append(record)
    return found


# What poses as a table of the record -------------------------------------------------------------

_MAKE_ROOM = ("PRAGMA legacy_alter_table = ON", "ALTER TABLE tokens RENAME TO former")
POSING = {
    "a view": "CREATE VIEW tokens AS SELECT * FROM former",
    "a view of another's rows": "CREATE VIEW tokens AS SELECT token_id AS run_id FROM former",
    "a view that loads code": "CREATE VIEW tokens AS SELECT load_extension('/x.so') AS token_id",
    "a view that shows memory": "CREATE VIEW tokens AS SELECT fts3_tokenizer('simple') AS token_id",
    "a view that never ends": "CREATE VIEW tokens AS WITH RECURSIVE n(i) AS "
    "(SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS token_id FROM n",
    "a view that fills the memory": "CREATE VIEW tokens AS SELECT zeroblob(900000000) AS token_id",
    "a view of itself": "CREATE VIEW tokens AS SELECT * FROM tokens",
    "a virtual table": "CREATE VIRTUAL TABLE tokens USING fts5(token_id, row_id)",
}


@pytest.mark.parametrize("what", POSING)
def test_what_poses_as_a_table_is_refused_by_name(what: str, legacy: Written) -> None:
    _execute(legacy.path, *_MAKE_ROOM, POSING[what])
    with pytest.raises(NotALandscapeError, match="is no record") as caught:
        _read(legacy.path)
    assert caught.value.table == "tokens"


def test_a_view_whose_columns_cannot_be_told_was_an_index_error(legacy: Written) -> None:
    """A program that asks it for a column that has a rule is told what SQLite says of the view."""
    view = "CREATE VIEW nodes AS SELECT fts3_tokenizer('simple') AS run_id"
    _execute(legacy.path, _MAKE_ROOM[0], "ALTER TABLE nodes RENAME TO former", view)
    engine = sa.create_engine(f"sqlite:///{legacy.path}")
    declared = metadata_of(known_shapes()[-1])
    with untouched(legacy.path):
        attach(engine, declared, rules=landscape_rules(), read_only=True)
        with engine.connect() as connection, pytest.raises(sa.exc.OperationalError, match="unsafe"):
            connection.execute(text("SELECT determinism FROM nodes"))
        engine.dispose()


def test_triggers_do_nothing(legacy: Written) -> None:
    _execute(
        legacy.path,
        "CREATE TRIGGER evil AFTER INSERT ON tokens BEGIN DELETE FROM tokens; END",
        "CREATE TRIGGER worse BEFORE DELETE ON rows BEGIN SELECT load_extension('/x.so'); END",
    )
    assert len(_read(legacy.path)["token"]) == len(legacy.tables["tokens"].rows)


def test_a_generated_column_is_given_only_if_it_is_stored(legacy: Written) -> None:
    rows = len(legacy.tables["tokens"].rows)
    _execute(
        legacy.path,
        "CREATE TABLE extra (a, stored AS (a || a) STORED, computed AS (a || a))",
        "INSERT INTO extra (a) VALUES ('x')",
        "ALTER TABLE tokens ADD COLUMN twice AS (token_id || token_id)",
    )
    found = _read(legacy.path)
    assert found["extra"] == [{"record_type": "extra", "a": "x", "stored": "xx"}]
    assert len(found["token"]) == rows
    assert not any("twice" in record for record in found["token"])


BOMBS = [
    "zeroblob(900000000)",
    "printf('%.900000000c', 'x')",
    "hex(zeroblob(400000000))",
    "replace(hex(zeroblob(30000)), '0', hex(zeroblob(30000)))",
]


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_generated_column_cannot_take_time_or_memory(bomb: str, legacy: Written) -> None:
    """It was computed for each row: 900 MB, or a minute that nothing can interrupt."""
    _execute(legacy.path, f"ALTER TABLE tokens ADD COLUMN bomb AS ({bomb})")
    assert len(_read(legacy.path)["token"]) == len(legacy.tables["tokens"].rows)


def test_a_value_longer_than_the_file_is_refused(legacy: Written) -> None:
    """Nothing that is stored is so long; by the limit, the memory is not taken at all."""
    _execute(legacy.path, "CREATE VIEW big AS SELECT zeroblob(900000000) AS x")
    with (
        untouched(legacy.path),
        open_landscape(legacy.path) as db,
        db.connection() as connection,
        pytest.raises(UnreadableError, match="too large"),
    ):
        list(read(connection, text("SELECT x FROM big"), table="big"))


def test_a_constraint_takes_no_part_in_the_diagnosis(legacy: Written) -> None:
    """SQLite's check evaluates each of them for each row."""
    _execute(
        legacy.path,
        "CREATE TABLE checked (a CHECK (a < 5))",
        "PRAGMA ignore_check_constraints = ON",
        "INSERT INTO checked VALUES (9)",
    )
    assert diagnose_database(legacy.path).problems == ()


def test_a_function_of_the_programs_is_not_called(legacy: Written) -> None:
    with closing(sqlite3.connect(legacy.path, isolation_level=None)) as connection:
        connection.create_function("evil", 1, lambda value: value, deterministic=True)
        connection.execute("ALTER TABLE tokens ADD COLUMN worse AS (evil(token_id))")
    assert len(_read(legacy.path)["token"]) == len(legacy.tables["tokens"].rows)


# Names and numbers -------------------------------------------------------------------------------

ODD_NAMES = [
    *('a"b', "a'b", "a`b", "[a]", "a;b", "a\nb", "a\tb\x1b[31m", "100%s", "%(x)s", ":x", "?"),
    *("select", "é", "\U0001f642", "\u202ebd\u2066", "x" * 3000, "-- x", "/* x", "", " "),
    *("\ufeff", "a.b"),
]


@pytest.fixture
def odd_names() -> list[str]:
    """Leave out what SQLAlchemy itself takes for a parameter, as its first 2.0 does."""
    percent = sa.table("%(x)s", sa.column("a"))
    as_name = sa.select(percent.c.a).limit(1).compile(dialect=sqlite_dialect.dialect())
    return [name for name in ODD_NAMES if name != "%(x)s" or '"%(x)s"' in as_name.string]


def test_names_of_any_kind_are_read_and_cannot_act(
    legacy: Written, odd_names: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with closing(sqlite3.connect(legacy.path, isolation_level=None)) as connection:
        for name in odd_names:
            quoted = '"' + name.replace('"', '""') + '"'
            connection.execute(f"CREATE TABLE {quoted} ({quoted} TEXT, b)")
            connection.execute(f"INSERT INTO {quoted} VALUES (?, ?)", (name, name))
    found = _read(legacy.path)
    for name in odd_names:
        [record] = found[name]
        assert record == {"record_type": name, name: name, "b": name}
    with running(capsys) as run:
        _says_nothing_that_acts(run, legacy.path, tmp_path)


def _says_nothing_that_acts(run: Run, path: Path, folder: Path) -> None:
    for words in (["inspect", path], ["doctor", path], ["export", path, "-o", folder / "out"]):
        outcome = run(*words)
        assert outcome.code == 0, outcome.err
        for line in (outcome.out + outcome.err).splitlines():
            assert line.isprintable(), line


def test_five_thousand_tables(legacy: Written) -> None:
    _execute(legacy.path, "BEGIN", *(f"CREATE TABLE x{n} (a, b)" for n in range(5000)), "COMMIT")
    with untouched(legacy.path):
        report = inspect_database(legacy.path)
        assert len(report.extra_tables) == 5000
        with open_landscape(legacy.path) as db:
            found = [record for run in legacy.run_ids for record in export_run(db, run)]
    tokens = [record for record in found if record["record_type"] == "token"]
    assert len(tokens) == len(legacy.tables["tokens"].rows)


@pytest.mark.parametrize("number", [1999, 2000])
def test_two_thousand_columns(number: int, legacy: Written) -> None:
    """As many as SQLite allows are one more than it gives beside a row's place."""
    columns = ", ".join(f"c{n}" for n in range(number))
    values = ", ".join(map(str, range(number)))
    _execute(legacy.path, f"CREATE TABLE wide ({columns})", f"INSERT INTO wide VALUES ({values})")
    if number == 2000:
        with pytest.raises(UnreadableError, match="too many columns") as caught:
            _read(legacy.path)
        assert caught.value.table == "wide"
    else:
        [record] = _read(legacy.path)["wide"]
        assert record == {"record_type": "wide", **{f"c{n}": n for n in range(number)}}


# Values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [0, -1, 1 << 62, 1.5, "", "no date", "nul\0inside", "\x1b[31m\u202e", b"", b"\xff\xfe"],
    ids=repr,
)
def test_a_value_of_the_wrong_class_is_given_as_it_is(value: object, legacy: Written) -> None:
    with closing(sqlite3.connect(legacy.path, isolation_level=None)) as connection:
        connection.execute("UPDATE runs SET started_at = ?, canonical_version = ?", (value, value))
        stored = connection.execute("SELECT started_at, canonical_version FROM runs").fetchall()
    found = [(run["started_at"], run["canonical_version"]) for run in _read(legacy.path)["run"]]
    assert sorted(map(repr, found)) == sorted(map(repr, stored))


def test_text_that_is_not_utf8_is_refused_by_name(legacy: Written) -> None:
    _execute(legacy.path, "UPDATE runs SET canonical_version = CAST(x'ff41' AS TEXT)")
    with pytest.raises(UnreadableError, match="not valid UTF-8") as caught:
        _read(legacy.path)
    assert (caught.value.table, caught.value.column) == ("runs", "canonical_version")


# A schema that was edited by hand ----------------------------------------------------------------

EDITED = {
    "text that is no SQL": "UPDATE sqlite_schema SET sql = 'CREATE TABLE tokens (' "
    "WHERE name = 'tokens'",
    "no text": "UPDATE sqlite_schema SET sql = NULL WHERE name = 'tokens'",
    "a kind that is none": "UPDATE sqlite_schema SET type = 'no kind' WHERE name = 'tokens'",
    "a page that is not there": "UPDATE sqlite_schema SET rootpage = 99999 WHERE name = 'tokens'",
    "a page before the first": "UPDATE sqlite_schema SET rootpage = -1 WHERE name = 'tokens'",
    "a name that is not UTF-8": "UPDATE sqlite_schema SET name = CAST(x'ff' AS TEXT) "
    "WHERE name = 'tokens'",
    "a module that is unknown": "UPDATE sqlite_schema SET rootpage = 0, sql = "
    "'CREATE VIRTUAL TABLE tokens USING nothing(x)' WHERE name = 'tokens'",
}


@pytest.mark.parametrize("what", EDITED)
def test_a_schema_edited_by_hand_is_a_typed_error(what: str, legacy: Written) -> None:
    """It was the driver's own error, or a UnicodeDecodeError for a name."""
    _execute(legacy.path, EDITED[what])
    with pytest.raises((UnreadableError, NotALandscapeError)) as caught:
        _read(legacy.path)
    assert caught.value.remedy
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("order", ["host", "table"])
def test_a_table_whose_root_is_another_page_is_not_taken_for_empty(
    legacy: Written, order: Order
) -> None:
    """All that was asked of it was answered from an index, which was as it should be."""
    _execute(
        legacy.path,
        "DELETE FROM batch_outputs",
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema AS s WHERE "
        "s.type = 'index' AND s.tbl_name = 'tokens') WHERE name = 'batch_outputs'",
    )
    with pytest.raises(UnreadableError, match="is damaged"):
        _read(legacy.path, order)


def test_rows_that_their_index_has_lost_stop_the_export(legacy: Written) -> None:
    """The rows are there, but what a reader finds by the index is fewer; table by table, all."""
    before = _read(legacy.path, "table")
    _execute(
        legacy.path,
        "CREATE INDEX lost ON tokens (row_id, token_id) WHERE token_id < ''",
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX lost ON tokens (row_id, token_id)' "
        "WHERE name = 'lost'",
    )
    with pytest.raises(UnreadableError, match=r"disagrees with its table.*index lost") as caught:
        _read(legacy.path)
    assert "REINDEX" in str(caught.value.remedy)
    assert _read(legacy.path, "table") == before


def test_a_value_that_an_index_has_otherwise_is_not_taken_from_it(legacy: Written) -> None:
    """SQLite takes values from an index where it can: the export gave 6 for a stored 22."""
    before = _read(legacy.path, "table"), _read(legacy.path)
    _execute(legacy.path, "CREATE INDEX other ON rows (source_data_hash, row_index)")
    with closing(sqlite3.connect(legacy.path, isolation_level=None)) as connection:
        [page] = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'other'"
        ).fetchone()
    content = bytearray(legacy.path.read_bytes())
    start = 4096 * (page - 1)
    at = start + int.from_bytes(content[start + 5 : start + 7], "big")  # an entry of the index
    content[at + 8] ^= 4
    legacy.path.write_bytes(bytes(content))
    assert (_read(legacy.path, "table"), _read(legacy.path)) == before


def test_an_index_of_all_columns_is_not_taken_for_its_table(legacy: Written) -> None:
    """SQLite reads such an index in the place of the table, which has a row more."""
    columns = ", ".join(f'"{c}"' for c in legacy.tables["token_parents"].columns)
    before = _read(legacy.path, "table")
    _execute(
        legacy.path,
        f"CREATE INDEX lost ON token_parents ({columns}) WHERE token_id < ''",
        f"UPDATE sqlite_schema SET sql = 'CREATE INDEX lost ON token_parents ({columns})' "
        "WHERE name = 'lost'",
    )
    assert _read(legacy.path, "table") == before


# Bytes -------------------------------------------------------------------------------------------


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _scribble(path: Path) -> None:
    with path.open("r+b") as file:
        for page in range(2, path.stat().st_size // 4096):
            file.seek(4096 * page)
            file.write(b"\x0d\xff\xff\xff\xff")


def _garbage_wal(path: Path) -> None:
    Path(f"{path}-wal").write_bytes(b"garbage " * 999)


BYTES: dict[str, tuple[Callable[[Path], None], type[LandscapeCompatError] | None]] = {
    "cut in half": (_cut, OpeningRefusedError),
    "page heads scribbled over": (_scribble, UnreadableError),
    "a -wal of garbage": (_garbage_wal, None),
}


@pytest.mark.parametrize("what", BYTES)
def test_damaged_bytes(what: str, legacy: Written) -> None:
    damage, error = BYTES[what]
    damage(legacy.path)
    if error is None:
        assert len(_read(legacy.path)["token"]) == len(legacy.tables["tokens"].rows)
        return
    with pytest.raises(error) as caught:
        _read(legacy.path)
    assert caught.value.remedy


def test_what_the_log_is_told_of_a_hostile_name_is_one_line(
    legacy: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    path = legacy.path.with_name("a\nwarning: forged\x1b[2J.db")
    legacy.path.rename(path)
    with running(capsys) as run:
        outcome = run("export", path, "-o", "-")
    assert outcome.code == 0
    assert all(line.isprintable() for line in outcome.err.splitlines())
    assert not any(line.startswith("warning: forged") for line in outcome.err.splitlines())
    assert all(json.loads(line) for line in outcome.out.split("\n") if line)


def test_warnings_are_one_line_each(legacy: Written) -> None:
    path = legacy.path.with_name("a\nforged\x1b[2J.db")
    legacy.path.rename(path)
    with warnings.catch_warnings(record=True) as told, open_landscape(path) as db:
        warnings.simplefilter("always")
        list(export_database(db))
    assert told
    assert all(str(warning.message).isprintable() for warning in told)
