"""Records come in the host's order, each once, and more rows take no more statements."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from landscape_compat.errors import UnreadableError
from landscape_compat.export.records import families as families_module
from landscape_compat.landscape.history import known_shapes
from support.legacy import Written, build_shape
from support.orders import CHAIN, KEYS, everything, make, name, order_of, records_of

PIPELINE = (
    "CREATE TABLE runs (run_id TEXT PRIMARY KEY, started_at DATETIME)",
    "CREATE TABLE run_attributions (run_id TEXT PRIMARY KEY, recorded_at DATETIME)",
    "CREATE TABLE run_web_plugin_policy (run_id TEXT PRIMARY KEY)",
    "CREATE TABLE secret_resolutions (resolution_id TEXT PRIMARY KEY, run_id TEXT, timestamp)",
    "CREATE TABLE nodes (node_id TEXT, run_id TEXT, sequence_in_pipeline INTEGER, "
    "registered_at DATETIME, PRIMARY KEY (node_id, run_id))",
    "CREATE TABLE edges (edge_id TEXT PRIMARY KEY, run_id TEXT, created_at DATETIME)",
    "CREATE TABLE operations (operation_id TEXT PRIMARY KEY, run_id TEXT, started_at DATETIME)",
    "CREATE TABLE calls (call_id TEXT PRIMARY KEY, state_id TEXT, operation_id TEXT, "
    "call_index INTEGER)",
    "CREATE TABLE sink_effect_streams (stream_id TEXT PRIMARY KEY, run_id TEXT)",
    "CREATE TABLE sink_effects (effect_id TEXT PRIMARY KEY, run_id TEXT, stream_id TEXT, "
    "stream_sequence INTEGER)",
    "CREATE TABLE sink_effect_members (effect_id TEXT, ordinal INTEGER, "
    "PRIMARY KEY (effect_id, ordinal))",
    "CREATE TABLE sink_effect_attempts (attempt_id TEXT PRIMARY KEY, effect_id TEXT, "
    "started_at DATETIME)",
    "CREATE TABLE validation_errors (error_id TEXT PRIMARY KEY, run_id TEXT, created_at DATETIME)",
    "CREATE TABLE transform_errors (error_id TEXT PRIMARY KEY, run_id TEXT, created_at DATETIME)",
    "CREATE TABLE rows (row_id TEXT PRIMARY KEY, run_id TEXT, row_index INTEGER, "
    "ingest_sequence INTEGER)",
    "CREATE TABLE tokens (token_id TEXT PRIMARY KEY, row_id TEXT, created_at DATETIME)",
    "CREATE TABLE token_parents (token_id TEXT, parent_token_id TEXT, ordinal INTEGER, "
    "PRIMARY KEY (token_id, parent_token_id))",
    "CREATE TABLE token_outcomes (outcome_id TEXT PRIMARY KEY, token_id TEXT, recorded_at)",
    "CREATE TABLE scheduler_events (event_id TEXT PRIMARY KEY, run_id TEXT, token_id TEXT, "
    "recorded_at DATETIME)",
    "CREATE TABLE node_states (state_id TEXT PRIMARY KEY, token_id TEXT, step_index INTEGER, "
    "attempt INTEGER)",
    "CREATE TABLE routing_events (event_id TEXT PRIMARY KEY, state_id TEXT, ordinal INTEGER)",
    "CREATE TABLE batches (batch_id TEXT PRIMARY KEY, run_id TEXT, created_at DATETIME)",
    "CREATE TABLE batch_members (batch_id TEXT, token_id TEXT, ordinal INTEGER)",
    "CREATE TABLE batch_outputs (batch_output_id TEXT PRIMARY KEY, batch_id TEXT)",
    "CREATE TABLE artifacts (artifact_id TEXT PRIMARY KEY, run_id TEXT, created_at DATETIME)",
    "CREATE TABLE checkpoints (checkpoint_id TEXT PRIMARY KEY, run_id TEXT, sequence_number)",
    "CREATE TABLE auth_events (event_id TEXT PRIMARY KEY, occurred_at DATETIME)",
    "CREATE TABLE elspeth_schema_identity (singleton_id INTEGER PRIMARY KEY)",
)
# Inserted against the order, so that no order comes of itself.
CONTENT = (
    "INSERT INTO runs VALUES ('r2', '2026-01-02'), ('r1', '2026-01-01'), ('r0', '2026-01-03')",
    "INSERT INTO run_attributions VALUES ('r1', NULL)",
    "INSERT INTO run_web_plugin_policy VALUES ('r1')",
    "INSERT INTO secret_resolutions VALUES ('z1', 'r1', 1.0), ('a1', 'r1', 2.0)",
    "INSERT INTO nodes VALUES ('n3', 'r1', NULL, 1), ('n2', 'r1', 1, 2), ('n1', 'r1', 0, 3), "
    "('n4', 'r1', 1, 1), ('n1', 'r2', 0, 1)",
    "INSERT INTO edges VALUES ('e2', 'r1', 1), ('e1', 'r1', 1), ('e3', 'r1', 0)",
    "INSERT INTO operations VALUES ('o2', 'r1', 1), ('o1', 'r1', 2)",
    "INSERT INTO calls VALUES ('c1', NULL, 'o1', 1), ('c2', NULL, 'o1', 0), ('c3', 's2', NULL, 1), "
    "('c4', 's2', NULL, 0), ('c5', NULL, 'o2', 0), ('c6', 's3', 'o2', 1)",
    "INSERT INTO sink_effect_streams VALUES ('m2', 'r1'), ('m1', 'r1')",
    "INSERT INTO sink_effects VALUES ('f1', 'r1', 'm1', 1), ('f2', 'r1', 'm1', 0), "
    "('f3', 'r1', NULL, NULL)",
    "INSERT INTO sink_effect_members VALUES ('f2', 0), ('f1', 1), ('f1', 0)",
    "INSERT INTO sink_effect_attempts VALUES ('p1', 'f2', 2), ('p2', 'f1', 9), ('p3', 'f2', 1)",
    "INSERT INTO validation_errors VALUES ('v2', 'r1', 1), ('v1', 'r1', 1), ('v3', 'r1', 0)",
    "INSERT INTO transform_errors VALUES ('x1', 'r1', 1), ('x2', 'r1', 0)",
    "INSERT INTO rows VALUES ('w1', 'r1', 0, 2), ('w2', 'r1', 0, 1), ('w3', 'r2', 0, 0)",
    "INSERT INTO tokens VALUES ('t1', 'w2', 2), ('t2', 'w2', 1), ('t3', 'w1', 1), ('t4', 'w3', 1)",
    "INSERT INTO token_parents VALUES ('t1', 't3', 1), ('t1', 't2', 0)",
    "INSERT INTO token_outcomes VALUES ('u1', 't1', 2), ('u2', 't1', 1)",
    "INSERT INTO scheduler_events VALUES ('h1', 'r1', 't1', 2), ('h2', 'r1', 't1', 1)",
    "INSERT INTO node_states VALUES ('s1', 't1', 1, 1), ('s2', 't1', 1, 0), ('s3', 't1', 0, 0), "
    "('s4', 't4', 0, 0)",
    "INSERT INTO routing_events VALUES ('g1', 's2', 1), ('g2', 's2', 0), ('g3', 's1', 0)",
    "INSERT INTO batches VALUES ('b2', 'r1', 1), ('b1', 'r1', 2)",
    "INSERT INTO batch_members VALUES ('b1', 't1', 1), ('b1', 't2', 0)",
    "INSERT INTO batch_outputs VALUES ('y1', 'b1')",
    "INSERT INTO artifacts VALUES ('i2', 'r1', 1), ('i1', 'r1', 2)",
    "INSERT INTO checkpoints VALUES ('k1', 'r1', 2), ('k2', 'r1', 1)",
    "INSERT INTO auth_events VALUES ('q1', 1)",
    "INSERT INTO elspeth_schema_identity VALUES (1)",
)
RUN_1 = """
run; run_attribution; web_plugin_policy; secret_resolution z1; secret_resolution a1;
node n1; node n4; node n2; node n3; edge e3; edge e1; edge e2;
operation o2; call c5; call c6; operation o1; call c2; call c1;
sink_effect_stream m1; sink_effect_stream m2; sink_effect f3; sink_effect f2; sink_effect f1;
sink_effect_member f1 0; sink_effect_member f1 1; sink_effect_member f2 0;
sink_effect_attempt p2; sink_effect_attempt p3; sink_effect_attempt p1;
validation_error v3; validation_error v1; validation_error v2; transform_error x2;
transform_error x1; row w2; token t2; token t1; token_parent t1 t2; token_parent t1 t3;
token_outcome u2; token_outcome u1; scheduler_event h2; scheduler_event h1;
node_state s3; node_state s2; routing_event g2; routing_event g1; call c4; call c3;
node_state s1; routing_event g3; row w1; token t3;
batch b2; batch b1; batch_member b1 t2; batch_member b1 t1; artifact i2; artifact i1;
batch_output y1; checkpoint k2; checkpoint k1
"""
RUN_2 = "run; node n1; row w3; token t4; node_state s4"
REST = "elspeth_schema_identity 1; auth_event q1"


def told(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.split(";")]


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    return make(tmp_path, *PIPELINE, *CONTENT)


@pytest.mark.parametrize("window", [1, 2, 3, 1000])
def test_the_records_of_a_run_come_in_the_hosts_order(pipeline: Path, window: int) -> None:
    """Whatever the size of the windows that they are read in."""
    with order_of(pipeline, window) as (order, _):
        assert [name(record) for record in records_of(order, "r1")] == told(RUN_1)
        assert [name(record) for record in records_of(order, "r2")] == told(RUN_2)


def test_the_whole_database_comes_run_by_run_then_what_belongs_to_none(pipeline: Path) -> None:
    with order_of(pipeline) as (order, _):
        found = [name(record) for record in everything(order)]
    assert found == [*told(RUN_1), *told(RUN_2), "run", *told(REST)]


def test_rows_were_sorted_by_their_index_before_they_had_a_sequence(tmp_path: Path) -> None:
    path = make(
        tmp_path,
        "CREATE TABLE runs (run_id)",
        "CREATE TABLE rows (row_id, run_id, row_index)",
        "INSERT INTO runs VALUES ('r')",
        "INSERT INTO rows VALUES ('a', 'r', 2), ('b', 'r', 0), ('c', 'r', 1)",
    )
    with order_of(path) as (order, _):
        assert [name(record) for record in records_of(order, "r")] == told(
            "run; row b; row c; row a"
        )


def test_the_runs_of_a_database_are_known(pipeline: Path) -> None:
    with order_of(pipeline) as (order, _):
        assert list(order.run_ids()) == ["r1", "r2", "r0"]
        assert list(records_of(order, "r3")) == []


# How many statements ----------------------------------------------------------------------


@pytest.mark.parametrize("known", [known_shapes()[11], known_shapes()[-1]], ids=lambda k: k.name)
def test_more_rows_within_a_window_take_no_more_statements(tmp_path: Path, known: Any) -> None:
    """Nor do more records below each row: never a statement for a record."""
    counts = []
    for rows in (6, 60, 300):
        folder = tmp_path / str(rows)
        folder.mkdir()
        path = folder / "audit.db"
        written = build_shape(path, known.shape, rows=rows, runs=3, long_text=False)
        with order_of(path) as (order, sent):
            given = sum(1 for _ in records_of(order, written.run_ids[0]))
            counts.append((len(sent), given))
    (few, small), (middle, _), (many, large) = counts
    assert large > 30 * small
    assert few == middle == many < 120


def test_a_window_more_takes_as_many_statements_as_the_one_before(tmp_path: Path) -> None:
    folder = tmp_path / "record"
    folder.mkdir()
    known = known_shapes()[-1]
    written = build_shape(folder / "audit.db", known.shape, rows=240, runs=3, long_text=False)
    sent_by = {}
    for window in (60, 120, 240):
        with order_of(written.path, window) as (order, sent):
            list(records_of(order, written.run_ids[0]))
            sent_by[window] = len(sent)
    first, second = sent_by[120] - sent_by[240], sent_by[60] - sent_by[120]
    assert 0 < second <= 2 * first < 40


def test_an_empty_table_is_asked_for_once(pipeline: Path) -> None:
    with closing(sqlite3.connect(pipeline)) as connection, connection:
        connection.execute("DELETE FROM token_outcomes")
    with order_of(pipeline, window=1) as (order, sent):
        list(records_of(order, "r1"))
        assert sum("token_outcomes" in statement for statement in sent) == 1


def test_what_is_asked_of_the_database_names_rows_by_one_parameter(pipeline: Path) -> None:
    """So that the same few statements serve every window and stay prepared."""
    with order_of(pipeline, window=1) as (order, sent):
        list(records_of(order, "r1"))
    by_list = Counter(statement for statement in sent if "json_each" in statement)
    assert max(by_list.values()) > 1
    assert all(statement.count("?") <= 2 for statement in by_list)


# Rows that name their parents badly -------------------------------------------------------


def test_a_record_belongs_to_what_it_names_whatever_it_says_of_its_run(tmp_path: Path) -> None:
    """And its `run_id` is given as it is stored."""
    path = make(
        tmp_path,
        *CHAIN,
        "INSERT INTO rows VALUES ('w1', 'r1'), ('w2', 'r2')",
        "INSERT INTO tokens VALUES ('t1', 'w1', 'r2'), ('t2', 'w2', NULL)",
        "INSERT INTO scheduler_events VALUES ('h1', 'r1', 't1'), ('h2', 'other', 't1'), "
        "('h3', NULL, 't2')",
    )
    with order_of(path) as (order, _):
        of_r1, of_r2 = list(records_of(order, "r1")), list(records_of(order, "r2"))
    said = [(name(record), record["run_id"]) for record in (*of_r1, *of_r2)]
    assert said == [
        ("run", "r1"),
        ("row w1", "r1"),
        ("token t1", "r2"),
        ("scheduler_event h1", "r1"),
        ("scheduler_event h2", "other"),
        ("run", "r2"),
        ("row w2", "r2"),
        ("token t2", None),
        ("scheduler_event h3", None),
    ]


def test_an_index_that_begins_with_the_run_is_used_where_rows_agree_with_it(tmp_path: Path) -> None:
    path = make(
        tmp_path,
        *CHAIN,
        "INSERT INTO rows VALUES ('w1', 'r1')",
        "INSERT INTO tokens VALUES ('t1', 'w1', 'r1')",
        # One that no run reaches may say what it likes.
        "INSERT INTO scheduler_events VALUES ('h1', 'r1', 't1'), ('h2', 'r2', 'gone')",
    )
    with order_of(path) as (order, sent):
        assert told("run; row w1; token t1; scheduler_event h1") == [
            name(record) for record in records_of(order, "r1")
        ]
    (asked,) = [s for s in sent if "scheduler_events" in s and "json_each" in s]
    assert 'entry."run_id" = ?' in asked


@pytest.mark.parametrize("window", [1, 1000])
def test_what_does_not_store_one_of_its_parents_is_found_below_the_other(
    tmp_path: Path, window: int
) -> None:
    path = make(
        tmp_path,
        *CHAIN,
        "DROP TABLE calls",
        "CREATE TABLE calls (call_id, operation_id)",
        "INSERT INTO rows VALUES ('w1', 'r1')",
        "INSERT INTO tokens VALUES ('t1', 'w1', 'r1')",
        "INSERT INTO operations VALUES ('o1', 'r1')",
        "INSERT INTO node_states VALUES ('s1', 't1')",
        "INSERT INTO calls VALUES ('c1', 'o1'), ('c2', 'gone')",
    )
    with order_of(path, window) as (order, _):
        assert [name(record) for record in everything(order)] == told(
            "run; operation o1; call c1; row w1; token t1; node_state s1; run; call c2"
        )


def test_rows_that_no_run_reaches_come_last_and_are_counted(tmp_path: Path) -> None:
    path = make(
        tmp_path,
        *CHAIN,
        "INSERT INTO runs VALUES (NULL)",
        "INSERT INTO rows VALUES ('w1', 'r1'), ('w2', 'gone'), ('w3', NULL), (NULL, 'r1')",
        "INSERT INTO tokens VALUES ('t1', 'w1', 'r1'), ('t2', 'w2', 'r1'), ('t3', NULL, 'r1')",
        "INSERT INTO operations VALUES ('o1', 'r1')",
        "INSERT INTO node_states VALUES ('s1', 't2')",
        "INSERT INTO calls VALUES ('c1', 's1', NULL), ('c2', 's1', 'o1'), ('c3', NULL, NULL)",
    )
    with order_of(path) as (order, _):
        found = everything(order)
        unreached = {s.record_type: s.unreached for s in order.sources if s.unreached}
    assert [name(record) for record in found] == told(
        """run; operation o1; call c2; row None; row w1; token t1; run;
        run; call c1; call c3; row w2; row w3; token t2; token t3; node_state s1"""
    )
    assert unreached == {"run": 1, "row": 2, "token": 2, "node_state": 1, "call": 2}
    orphan = next(
        record for record in found if record.get("state_id") == "s1" and "call_id" not in record
    )
    assert orphan == {"record_type": "node_state", "state_id": "s1", "token_id": "t2"}


def test_ids_of_any_kind_hold_the_order_together(tmp_path: Path) -> None:
    """Texts, numbers, bytes, nothing: in tables without a key, without an index, without a type."""
    ids: list[Any] = [
        *("", "a", "A", "é", "🙂", "it's", '"', "\\", "a\x00b", "\\u0000", "%", "\n", "null"),
        *(0, 7, -(2**63), 2**63 - 1, 0.5, b"", b"\x00\xff"),
    ]
    path = make(tmp_path, *CHAIN, "DELETE FROM runs")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany("INSERT INTO runs VALUES (?)", [(id_,) for id_ in ids])
        for id_ in ids:
            connection.execute("INSERT INTO rows VALUES (?, ?)", (id_, id_))
            connection.execute("INSERT INTO tokens VALUES (?, ?, NULL)", (id_, id_))
            connection.execute("INSERT INTO node_states VALUES (?, ?)", (id_, id_))
            connection.execute("INSERT INTO calls VALUES (?, ?, NULL)", (id_, id_))
    for window in (3, 1000):
        with order_of(path, window) as (order, _):
            found = everything(order)
            assert not any(source.unreached for source in order.sources)
        values = [(r["record_type"], next(r[c] for c in KEYS[r["record_type"]])) for r in found]
        wanted = [
            (type_, id_)
            for id_ in sorted(ids, key=by_storage_class)
            for type_ in ("run", "row", "token", "node_state", "call")
        ]
        assert values == wanted


def by_storage_class(value: Any) -> tuple[int, Any]:
    """Sort as SQLite does: numbers, then texts, then bytes."""
    return (0, value) if isinstance(value, (int, float)) else (1 + isinstance(value, bytes), value)


def test_parents_that_share_a_key_share_their_children_out_once(tmp_path: Path) -> None:
    """Which only tables without their primary keys allow; the first parent takes them."""
    path = make(
        tmp_path,
        *CHAIN,
        "INSERT INTO runs VALUES ('r1')",
        "INSERT INTO rows VALUES ('w1', 'r1'), ('w1', 'r1'), ('w1', 'r2'), ('w2', 'r2')",
        "INSERT INTO tokens VALUES ('t1', 'w1', 'r1'), ('t2', 'w2', 'r2'), ('t2', 'w2', 'r2')",
        "INSERT INTO node_states VALUES ('s1', 't1'), ('s2', 't2')",
    )
    for window in (1, 1000):
        with order_of(path, window) as (order, _):
            assert [name(record) for record in everything(order)] == told(
                """run; run; row w1; token t1; node_state s1; row w1;
                run; row w1; row w2; token t2; node_state s2; token t2"""
            )


def test_keys_that_differ_only_in_case_are_two_whatever_the_columns_say(tmp_path: Path) -> None:
    path = make(
        tmp_path,
        "CREATE TABLE runs (run_id TEXT COLLATE NOCASE)",
        "CREATE TABLE rows (row_id TEXT COLLATE NOCASE, run_id TEXT COLLATE NOCASE)",
        "CREATE TABLE tokens (token_id, row_id TEXT COLLATE NOCASE)",
        "INSERT INTO runs VALUES ('r1'), ('R1')",
        "INSERT INTO rows VALUES ('w', 'r1'), ('W', 'R1')",
        "INSERT INTO tokens VALUES ('t', 'w'), ('T', 'W')",
    )
    with order_of(path) as (order, _):
        given = [(name(record), record["run_id"]) for record in everything(order)]
    assert sorted(given) == [
        ("row W", "R1"),
        ("row w", "r1"),
        ("run", "R1"),
        ("run", "r1"),
        ("token T", "R1"),
        ("token t", "r1"),
    ]


@pytest.mark.parametrize("lost", ["", "INSERT INTO tokens VALUES ('lost', 2)"])
def test_a_row_that_two_parents_claim_is_refused_not_given_twice(tmp_path: Path, lost: str) -> None:
    """Where a column turns texts into numbers, one name can mean two parents.

    Also where the numbers agree, because another row has no parent at all.
    """
    path = make(
        tmp_path,
        "CREATE TABLE runs (run_id)",
        "CREATE TABLE rows (row_id, run_id)",
        "CREATE TABLE tokens (token_id, row_id INTEGER)",
        "INSERT INTO runs VALUES ('r1')",
        "INSERT INTO rows VALUES (1, 'r1'), ('1', 'r1')",
        "INSERT INTO tokens VALUES ('t', 1)",
        lost,
    )
    with order_of(path) as (order, _):
        with pytest.raises(UnreadableError) as caught:
            everything(order)
        assert caught.value.table == "tokens"
        assert caught.value.remedy


@pytest.mark.parametrize("window", [1, 1000])
def test_a_row_that_names_a_text_by_a_number_is_found_below_it(tmp_path: Path, window: int) -> None:
    """Where a column turns texts into numbers, SQLite takes both for the same."""
    path = make(
        tmp_path,
        "CREATE TABLE runs (run_id)",
        "CREATE TABLE rows (row_id, run_id)",
        "CREATE TABLE tokens (token_id, row_id INTEGER)",
        "INSERT INTO runs VALUES ('r1')",
        "INSERT INTO rows VALUES ('1', 'r1'), ('2', 'r1')",
        "INSERT INTO tokens VALUES ('t2', '2'), ('t1', '1')",
    )
    with order_of(path, window) as (order, _):
        assert [name(record) for record in everything(order)] == told(
            "run; row 1; token t1; row 2; token t2"
        )


def test_a_database_without_runs_is_given_as_what_no_run_reaches(tmp_path: Path) -> None:
    path = make(
        tmp_path,
        "CREATE TABLE rows (row_id, run_id)",
        "INSERT INTO rows VALUES ('w', 'r')",
        "CREATE TABLE stranger (a)",
        "INSERT INTO stranger VALUES (1)",
    )
    with order_of(path) as (order, _):
        assert everything(order) == [
            {"record_type": "stranger", "a": 1},
            {"record_type": "row", "run_id": "r", "row_id": "w"},
        ]


def test_tables_of_nobodys_come_after_the_hosts_with_odd_names_and_without_row_numbers(
    tmp_path: Path,
) -> None:
    path = make(
        tmp_path,
        *CHAIN,
        "CREATE TABLE auth_events (event_id)",
        "INSERT INTO auth_events VALUES (1)",
        'CREATE TABLE "run" ("select", "a b""c", record_type)',
        "INSERT INTO \"run\" VALUES (1, 2, 3), (4, NULL, '')",
        "CREATE TABLE pairs (b, a, PRIMARY KEY (a, b)) WITHOUT ROWID",
        "INSERT INTO pairs VALUES (1, 2), (3, 1)",
        "CREATE TABLE computed (a, b AS (a * 2) STORED, c AS (a * 3))",
        "INSERT INTO computed VALUES (1)",
        "CREATE VIEW seen AS SELECT * FROM pairs",
    )
    with order_of(path) as (order, _):
        assert list(chain.from_iterable(order.database_lists())) == [
            {"record_type": "auth_event", "event_id": 1},
            {"record_type": "table.run", "select": 1, 'a b"c': 2, "stored.record_type": 3},
            {"record_type": "table.run", "select": 4, 'a b"c': None, "stored.record_type": ""},
            {"record_type": "pairs", "b": 1, "a": 2},
            {"record_type": "pairs", "b": 3, "a": 1},
            {"record_type": "computed", "a": 1, "b": 2},  # c is not stored
        ]


def test_what_does_not_fit_at_once_comes_in_the_same_order(
    legacy: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Families are read window by window at once, or merged where one is too large for that."""
    with order_of(legacy.path) as (order, _):
        at_once = everything(order)
        counts = {source.record_type: source.given for source in order.sources}
    for most, window in ((0, 1), (0, 2), (0, 1000), (3, 1000), (10, 1000)):
        monkeypatch.setattr(families_module, "_MOST_AT_ONCE", most)
        with order_of(legacy.path, window) as (order, _):
            assert everything(order) == at_once
            assert {source.record_type: source.given for source in order.sources} == counts


def test_many_children_of_many_parents_are_read_in_smaller_lots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand batches of a hundred members each had all indexes compared, which took longer."""
    path = make(
        tmp_path,
        "CREATE TABLE runs (run_id TEXT PRIMARY KEY)",
        "CREATE TABLE batches (batch_id TEXT PRIMARY KEY, run_id TEXT)",
        "CREATE TABLE batch_members (batch_id TEXT, token_id TEXT, ordinal INTEGER)",
        "INSERT INTO runs VALUES ('r1')",
        *(f"INSERT INTO batches VALUES ('b{batch}', 'r1')" for batch in range(10, 30)),
        *(
            f"INSERT INTO batch_members SELECT batch_id, 't{token}', {token} FROM batches"
            for token in range(5)
        ),
    )
    monkeypatch.setattr(families_module, "_MOST_AT_ONCE", 12)
    with order_of(path) as (order, sent):
        order.prove()
        found = [record["record_type"] for record in everything(order)]
    assert found == ["run", *["batch", *["batch_member"] * 5] * 20]
    assert not any("integrity_check" in statement for statement in sent)
    # 20, 10 and 5 were too many, two at a time were not.
    asked = [s for s in sent if "json_each" in s and '"batch_members"' in s]
    assert len(asked) == 3 + 10, asked
