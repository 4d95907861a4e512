"""What an index says of a row is never believed: each is given as its table has it, or none."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from landscape_compat.errors import UnreadableError
from landscape_compat.export.records import sources as sources_module
from landscape_compat.export.records.by_rowid import ByRowid
from landscape_compat.export.records.order import RecordOrder
from landscape_compat.export.records.values import Record
from landscape_compat.landscape.stored import StoredSchema
from landscape_compat.schema.catalogue import catalogue_for
from support.orders import everything, make, order_of
from support.untouched import untouched

TABLES = (
    "CREATE TABLE runs (run_id TEXT PRIMARY KEY, started_at)",
    "CREATE TABLE nodes (node_id TEXT PRIMARY KEY, run_id TEXT, sequence_in_pipeline)",
    "CREATE TABLE sink_effects (effect_id TEXT PRIMARY KEY, run_id TEXT)",
    "CREATE TABLE sink_effect_members (effect_id TEXT, ordinal INTEGER, "
    "PRIMARY KEY (effect_id, ordinal))",
    "CREATE TABLE rows (row_id TEXT PRIMARY KEY, run_id TEXT, row_index)",
    "CREATE TABLE tokens (token_id TEXT PRIMARY KEY, row_id TEXT, created_at)",
    "CREATE TABLE operations (operation_id TEXT PRIMARY KEY, run_id TEXT)",
    "CREATE TABLE node_states (state_id TEXT PRIMARY KEY, token_id TEXT, step_index, attempt)",
    "CREATE TABLE calls (call_id TEXT PRIMARY KEY, state_id TEXT, operation_id TEXT, call_index)",
)
ROWS = (
    "INSERT INTO runs VALUES ('r1', 1), ('r2', 2)",
    "INSERT INTO nodes VALUES ('n1', 'r1', 1), ('n2', 'r1', 2), ('n3', 'r2', 1)",
    "INSERT INTO sink_effects VALUES ('f1', 'r1'), ('f2', 'r2')",
    "INSERT INTO sink_effect_members VALUES ('f1', 0), ('f1', 1), ('f2', 0)",
    "INSERT INTO rows VALUES ('w1', 'r1', 1), ('w2', 'r1', 2), ('w3', 'r2', 1)",
    "INSERT INTO tokens (rowid, token_id, row_id, created_at) VALUES (21, 't1', 'w1', 1), "
    "(22, 't2', 'w1', 2), (23, 't3', 'w2', 1), (24, 't4', 'w3', 1)",
    "INSERT INTO operations VALUES ('o1', 'r1')",
    "INSERT INTO node_states VALUES ('s1', 't1', 0, 0), ('s2', 't1', 1, 0)",
    "INSERT INTO calls VALUES ('c1', 's1', NULL, 0), ('c2', 's1', 'o1', 1), ('c3', NULL, 'o1', 0)",
)


def proved(order: RecordOrder) -> list[Record]:
    order.prove()
    return everything(order)


def forge(path: Path, table: str, entries: str, said: str) -> None:
    """Make an index of some values, and have the schema say that it is of others."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"CREATE INDEX forged ON {table} ({entries})")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = ? WHERE name = 'forged'",
            (f"CREATE INDEX forged ON {table} ({said})",),
        )


def plan(path: Path, sent: Sequence[str], word: str) -> str:
    """Give SQLite's plans of the statements that hold a word."""
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(
            row[3]
            for statement in sent
            if word in statement
            for row in connection.execute(
                f"EXPLAIN QUERY PLAN {statement}", ("[]",) * statement.count("?")
            )
        )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make(tmp_path, *TABLES, *ROWS)


def test_rows_are_found_by_indexes_and_read_by_their_number(tmp_path: Path) -> None:
    path = make(tmp_path, *TABLES, "CREATE INDEX i ON tokens (row_id, created_at)", *ROWS)
    with order_of(path) as (order, sent):
        proved(order)
    used = plan(path, sent, '"tokens" AS entry')
    assert "SEARCH entry USING COVERING INDEX i (row_id=?)" in used
    assert "SEARCH row USING INTEGER PRIMARY KEY (rowid=?)" in used


FORGED = {
    "a token is under another row": (
        "tokens",
        "CASE token_id WHEN 't2' THEN 'w3' ELSE row_id END, created_at",
        "row_id, created_at",
    ),
    "a row is of another run": (
        "rows",
        "CASE row_id WHEN 'w1' THEN 'r2' ELSE run_id END, row_index, row_id",
        "run_id, row_index, row_id",
    ),
    "a node is of no run": (
        "nodes",
        "CASE node_id WHEN 'n1' THEN NULL ELSE run_id END, sequence_in_pipeline",
        "run_id, sequence_in_pipeline",
    ),
    "what members are of is of another run": (
        "sink_effects",
        "CASE run_id WHEN 'r1' THEN 'r2' ELSE 'r1' END, effect_id",
        "run_id, effect_id",
    ),
    "nodes come the other way round": (
        "nodes",
        "run_id, -sequence_in_pipeline, node_id",
        "run_id, sequence_in_pipeline, node_id",
    ),
    "rows come the other way round": (
        "rows",
        "run_id, -row_index, row_id",
        "run_id, row_index, row_id",
    ),
    "a call has another parent, too": (
        "calls",
        "state_id, CASE call_id WHEN 'c1' THEN 'o1' END",
        "state_id, operation_id",
    ),
    "a call has one parent fewer": (
        "calls",
        "state_id, NULLIF(operation_id, 'o1')",
        "state_id, operation_id",
    ),
}


def test_without_an_index_a_table_is_gone_through_once_for_many_parents(path: Path) -> None:
    """Not once for each of them, as where SQLite takes the list for the inner loop."""
    with order_of(path) as (order, sent):
        proved(order)
    used = plan(path, sent, '"tokens" AS entry')
    assert "SCAN entry" in used
    assert "LIST SUBQUERY" in used


@pytest.mark.parametrize("what", FORGED)
def test_an_index_that_says_otherwise_loses_and_alters_nothing_in_silence(
    path: Path, what: str
) -> None:
    forge(path, *FORGED[what])
    with (
        order_of(path) as (order, _),
        pytest.raises(UnreadableError, match="disagrees with its table"),
    ):
        proved(order)


def test_an_index_that_is_wrong_of_parents_that_are_read_together_alters_nothing(
    path: Path,
) -> None:
    with order_of(path) as (order, _):
        wanted = proved(order)
    swapped = "CASE row_id WHEN 'w1' THEN 'w2' WHEN 'w2' THEN 'w1' ELSE row_id END"
    forge(path, "tokens", f"{swapped}, created_at", "row_id, created_at")
    with order_of(path) as (order, _):
        assert proved(order) == wanted
    with (
        order_of(path, window=1) as (order, _),
        pytest.raises(UnreadableError, match="disagrees with its table"),
    ):
        proved(order)


def test_an_index_that_nobody_asks_for_rows_does_no_harm(path: Path) -> None:
    with order_of(path) as (order, _):
        wanted = proved(order)
    forge(path, "tokens", "created_at, created_at + 7, row_id", "created_at, row_id, token_id")
    with order_of(path) as (order, _):
        assert proved(order) == wanted


def test_a_row_that_an_index_has_twice_does_not_make_up_for_one_it_lost(tmp_path: Path) -> None:
    """There are as many records as rows, and each is a row of its parent's."""
    index = "CREATE INDEX forged ON tokens (row_id, created_at)"
    path = make(tmp_path, *TABLES, index, *ROWS, "UPDATE node_states SET token_id = 't4'")
    content = path.read_bytes()
    # The entry's values, and behind them the row's number.
    assert content.count(b"w1\x02\x16") == 1
    path.write_bytes(content.replace(b"w1\x02\x16", b"w1\x02\x15"))
    with order_of(path) as (order, _):
        found = [r["token_id"] for r in everything(order) if r["record_type"] == "token"]
    assert found == ["t1", "t1", "t3", "t4"]
    with (
        order_of(path) as (order, _),
        pytest.raises(UnreadableError, match="disagrees with its table"),
    ):
        proved(order)


FAR = (
    "UPDATE tokens SET rowid = -9223372036854775808 WHERE token_id = 't1'",
    "UPDATE tokens SET rowid = 9223372036854775807 WHERE token_id = 't2'",
)
TAKEN = (
    "ALTER TABLE tokens ADD COLUMN rowid AS (1)",
    "ALTER TABLE tokens ADD COLUMN oid AS (1)",
    "ALTER TABLE tokens ADD COLUMN _rowid_ AS (1)",
)
WITHOUT = (
    "CREATE TABLE new (token_id TEXT PRIMARY KEY, row_id TEXT, created_at) WITHOUT ROWID",
    "INSERT INTO new SELECT * FROM tokens",
    "DROP TABLE tokens",
    "ALTER TABLE new RENAME TO tokens",
)


@pytest.mark.parametrize("changed", [FAR, TAKEN, WITHOUT], ids=["far", "taken", "without"])
def test_where_rows_have_no_number_that_serves_the_indexes_are_compared(
    path: Path, changed: tuple[str, ...]
) -> None:
    with order_of(path) as (order, sent):
        wanted = proved(order)
    assert not any("integrity_check" in statement for statement in sent)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(";".join(changed))
    with order_of(path) as (order, sent):
        assert proved(order) == wanted
    assert any("integrity_check" in statement for statement in sent)
    forge(path, *FORGED["a token is under another row"])
    with (
        order_of(path) as (order, _),
        pytest.raises(UnreadableError, match="disagrees with its table"),
    ):
        proved(order)


def test_a_computed_column_called_rowid_is_not_taken_for_the_number(path: Path) -> None:
    with order_of(path) as (order, _):
        wanted = proved(order)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TAKEN[0])
    with order_of(path) as (order, sent):
        assert proved(order) == wanted
    assert any("_rowid_" in statement for statement in sent)


NUMBERS = (
    "UPDATE tokens SET rowid = rowid - 100",
    "UPDATE node_states SET rowid = rowid + 1000000",
)


def test_row_numbers_may_be_negative_and_begin_anywhere(path: Path) -> None:
    with order_of(path) as (order, _):
        wanted = proved(order)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(";".join(NUMBERS))
    with order_of(path) as (order, sent):
        assert proved(order) == wanted
    assert not any("integrity_check" in statement for statement in sent)


EMPTY_WITHOUT = (
    "DROP TABLE sink_effects",
    "CREATE TABLE sink_effects (effect_id TEXT PRIMARY KEY, run_id TEXT) WITHOUT ROWID",
)


def test_an_empty_table_of_parents_without_row_numbers_lets_no_run_reach_a_row(path: Path) -> None:
    """Nothing is read in it, so that all the others are still read by their number."""
    with order_of(path) as (order, _):
        wanted = [r for r in proved(order) if r["record_type"] != "sink_effect"]
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(";".join(EMPTY_WITHOUT))
    with order_of(path) as (order, sent):
        found = proved(order)
    for record in wanted:
        if record["record_type"] == "sink_effect_member":
            del record["run_id"]
    assert sorted(map(repr, found)) == sorted(map(repr, wanted))
    assert any('"sink_effect_members" AS row NOT INDEXED' in statement for statement in sent)


def test_an_empty_table_has_no_numbers(path: Path) -> None:
    with closing(sqlite3.connect(path)) as writer, writer:
        writer.execute("DELETE FROM calls")
    engine = create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    with untouched(path), engine.connect() as connection:
        stored = catalogue_for("sqlite").read_stored(connection.connection.dbapi_connection)
        schema = StoredSchema(stored, "sqlite")
        counts = {}
        for name, count in (("calls", 0), ("tokens", 4)):
            table = schema.table(name)
            assert table is not None
            numbers = ByRowid(connection, schema, table).numbers(count)
            assert numbers is not None
            numbers.tick([(number,) for number in range(21, 21 + count)])
            counts[name] = numbers.count
    engine.dispose()
    assert counts == {"calls": 0, "tokens": 4}


# --- the same order as SQLite's ----------------------------------------------------------------

KEYS = st.sampled_from(["a", "A", "b", "", "ä", "\U0001f600", "\uffff", "a\0b", None, 1, 1.0, b"a"])
VALUES = st.one_of(
    KEYS,
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    st.binary(max_size=3),
)
DECLARED = st.sampled_from(["TEXT", "INTEGER", "REAL", "NUMERIC", "BLOB", ""])
ENCODINGS = st.sampled_from(["UTF-8", "UTF-8", "UTF-8", "UTF-16le", "UTF-16be"])
COLLATED = st.sampled_from(["", "", "", "COLLATE NOCASE", "COLLATE RTRIM"])


@st.composite
def databases(draw: st.DrawFn) -> list[tuple[str, tuple[Any, ...]]]:
    """Make statements that fill a small database with keys and values of every kind."""
    key = draw(st.sampled_from(["PRIMARY KEY", "", "UNIQUE"]))
    told = f"{draw(DECLARED)} {draw(COLLATED)}"
    id_ = draw(DECLARED)
    made: list[tuple[str, tuple[Any, ...]]] = [
        (f"PRAGMA encoding = '{draw(ENCODINGS)}'", ()),
        (f"CREATE TABLE runs (run_id {id_} {key})", ()),
        (f"CREATE TABLE rows (row_id {id_} {key}, run_id {id_}, row_index {told})", ()),
        (f"CREATE TABLE tokens (token_id {id_} {key}, row_id {id_}, created_at {told})", ()),
        (
            f"CREATE TABLE node_states (state_id {id_} {key}, token_id {id_}, "
            f"step_index {told}, attempt {told})",
            (),
        ),
    ]
    if draw(st.booleans()):
        made.append(("CREATE INDEX i ON rows (run_id, row_index)", ()))
        made.append(("CREATE INDEX j ON node_states (token_id, step_index, attempt)", ()))
    made += [("INSERT INTO runs VALUES (?)", (k,)) for k in draw(st.sets(KEYS, max_size=3))]
    for table, columns in (("rows", 3), ("tokens", 3), ("node_states", 4)):
        marks = ", ".join("?" * columns)
        of = [KEYS, KEYS, *(VALUES,) * (columns - 2)]
        made += [
            (f"INSERT INTO {table} VALUES ({marks})", values)
            for values in draw(st.lists(st.tuples(*of), max_size=8))
        ]
    return made


@settings(max_examples=200, deadline=None)
@given(statements=databases(), window=st.sampled_from([1, 2, 500]))
def test_the_order_is_that_in_which_sqlite_sorts(
    tmp_path_factory: pytest.TempPathFactory,
    statements: list[tuple[str, tuple[Any, ...]]],
    window: int,
) -> None:
    path = tmp_path_factory.mktemp("sorts") / "record" / "audit.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement, values in statements:
            # A key that the table does not take is left out.
            with suppress(sqlite3.IntegrityError):
                connection.execute(statement, values)
    answers = []
    for is_python in (True, False):
        with pytest.MonkeyPatch.context() as patch, order_of(path, window) as (order, _):
            if not is_python:
                patch.setattr(sources_module, "sorts_as_python", lambda _: False)
            try:
                answers.append(repr(proved(order)))
            except UnreadableError as error:
                answers.append(error.reason)
    assert answers[0] == answers[1]
