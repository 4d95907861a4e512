"""The recorder gives, by the host's names and in the host's order, what is stored and no more."""

from __future__ import annotations

import shutil
import sqlite3
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import fields
from datetime import datetime
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any

import pytest

from landscape_compat.errors import (
    DegradedReadWarning,
    LandscapeCompatError,
    UnreadableError,
)
from landscape_compat.landscape.absent import ABSENT
from landscape_compat.landscape.bookkeeping import Checkpoint, RunSource
from landscape_compat.landscape.database import Landscape, open_landscape
from landscape_compat.landscape.history import known_shapes, shape_named
from landscape_compat.landscape.reading import AbsentRecords
from landscape_compat.landscape.recorder import ReadOnlyRecorder
from landscape_compat.landscape.records import Batch, Record, Run, TokenOutcome
from landscape_compat.landscape.tables import facts_for
from support.legacy import Written, build_shape
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

NEWEST = known_shapes()[-1]
Stored = dict[str, Any]


@pytest.fixture(scope="module")
def newest(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("newest")
    return build_shape(folder / "audit.db", NEWEST.shape, rows=8, runs=6, long_text=False)


@pytest.fixture(scope="module")
def landscape(newest: Written) -> Iterator[Landscape]:
    with untouched(newest.path), open_landscape(newest.path) as landscape:
        yield landscape


@pytest.fixture(scope="module")
def recorder(landscape: Landscape) -> ReadOnlyRecorder:
    return ReadOnlyRecorder(landscape)


@pytest.fixture
def old(legacy: Written) -> Iterator[ReadOnlyRecorder]:
    with untouched(legacy.path), open_landscape(legacy.path) as landscape:
        yield ReadOnlyRecorder(landscape)


def cells(written: Written, table: str, run_id: str | None = None) -> list[Stored]:
    """Give the rows that were written, of one run if it is named."""
    return [dict[str, Any](row) for row in written.tables[table].dicts(run_id)]


def names(records: list[Any]) -> list[tuple[Any, ...]]:
    """Name records by their keys, in their order."""
    found = []
    for record in records:
        facts = facts_for(record.TABLE)
        assert facts is not None
        found.append(tuple(getattr(record, name) for name in facts.key))
    return found


def expected(
    written: Written, table: str, *order: str, keep: Callable[[Stored], bool] = lambda _: True
) -> list[tuple[Any, ...]]:
    """Name the written rows that are kept by their keys, sorted as the host sorts."""
    facts = facts_for(table)
    assert facts is not None
    rows = [row for row in cells(written, table) if keep(row)]
    by = order or facts.order

    def position(row: Stored) -> list[tuple[bool, Any]]:
        terms = []
        for name in (*by, *facts.key):
            null = row[name] is None
            terms.append((null if name in facts.nulls_last else not null, row[name] or 0))
            if isinstance(row[name], str):
                terms[-1] = (terms[-1][0], row[name])
        return terms

    return [tuple(row[name] for name in facts.key) for row in sorted(rows, key=position)]


def of(run_id: str) -> Callable[[Stored], bool]:
    return having(run_id=run_id)


def having(**wanted: Any) -> Callable[[Stored], bool]:
    return lambda row: all(row[name] == value for name, value in wanted.items())


def among(column: str, values: Collection[Any]) -> Callable[[Stored], bool]:
    return lambda row: row[column] in values


RUN_METHODS = {
    "get_nodes": "nodes",
    "get_edges": "edges",
    "get_rows": "rows",
    "get_operations_for_run": "operations",
    "get_batches": "batches",
    "get_artifacts": "artifacts",
    "get_validation_errors_for_run": "validation_errors",
    "get_transform_errors_for_run": "transform_errors",
    "get_secret_resolutions_for_run": "secret_resolutions",
    "get_sink_effect_streams_for_run": "sink_effect_streams",
    "get_sink_effects_for_run": "sink_effects",
    "get_sink_effect_members_for_run": "sink_effect_members",
}
SORTED_RUN_METHODS = {
    "get_all_tokens_for_run": ("tokens", "row_id", "created_at"),
    "get_all_token_parents_for_run": ("token_parents", "token_id", "ordinal"),
    "get_all_token_outcomes_for_run": ("token_outcomes", "token_id", "recorded_at"),
    "get_all_node_states_for_run": ("node_states", "token_id", "step_index", "attempt"),
    "get_all_batch_members_for_run": ("batch_members", "batch_id", "ordinal"),
}


@pytest.mark.parametrize(("method", "table"), RUN_METHODS.items(), ids=str)
def test_what_a_run_holds_comes_in_the_hosts_order(
    recorder: ReadOnlyRecorder, newest: Written, method: str, table: str
) -> None:
    for run_id in newest.run_ids:
        found = names(getattr(recorder, method)(run_id))
        assert found == expected(newest, table, keep=of(run_id))
    assert names(getattr(recorder, method)(newest.run_ids[0]))


@pytest.mark.parametrize(("method", "of_table"), SORTED_RUN_METHODS.items(), ids=str)
def test_what_is_read_for_a_whole_run_is_sorted_by_what_it_belongs_to(
    recorder: ReadOnlyRecorder, newest: Written, method: str, of_table: tuple[str, ...]
) -> None:
    table, *order = of_table
    for run_id in newest.run_ids:
        found = names(getattr(recorder, method)(run_id))
        assert found == expected(newest, table, *order, keep=of(run_id))


CHILD_METHODS = {
    "get_tokens": ("tokens", "row_id", "rows"),
    "get_token_parents": ("token_parents", "token_id", "tokens"),
    "get_token_outcomes": ("token_outcomes", "token_id", "tokens"),
    "get_node_states_for_token": ("node_states", "token_id", "tokens"),
    "get_transform_errors_for_token": ("transform_errors", "token_id", "tokens"),
    "get_routing_events": ("routing_events", "state_id", "node_states"),
    "get_calls": ("calls", "state_id", "node_states"),
    "get_operation_calls": ("calls", "operation_id", "operations"),
    "get_batch_members": ("batch_members", "batch_id", "batches"),
}


@pytest.mark.parametrize(("method", "tie"), CHILD_METHODS.items(), ids=str)
def test_what_belongs_to_one_record_is_found_by_its_id(
    recorder: ReadOnlyRecorder, newest: Written, method: str, tie: tuple[str, str, str]
) -> None:
    table, key, parent = tie
    parents = [row[key] for row in cells(newest, parent)]
    assert len(parents) > 10
    found = {id_: names(getattr(recorder, method)(id_)) for id_ in parents}
    for id_ in parents:
        assert found[id_] == expected(newest, table, keep=having(**{key: id_}))
    assert any(found.values())
    assert getattr(recorder, method)("no such id") == []


ONE_METHODS = {
    "get_run": ("runs", "run_id"),
    "get_edge": ("edges", "edge_id"),
    "get_row": ("rows", "row_id"),
    "get_token": ("tokens", "token_id"),
    "get_node_state": ("node_states", "state_id"),
    "get_operation": ("operations", "operation_id"),
    "get_batch": ("batches", "batch_id"),
    "get_run_attribution": ("run_attributions", "run_id"),
    "get_web_plugin_policy_evidence": ("run_web_plugin_policy", "run_id"),
}


@pytest.mark.parametrize(("method", "named"), ONE_METHODS.items(), ids=str)
def test_one_record_is_found_by_its_id_with_all_that_is_stored(
    recorder: ReadOnlyRecorder, newest: Written, method: str, named: tuple[str, str]
) -> None:
    table, key = named
    for row in cells(newest, table):
        record = getattr(recorder, method)(row[key])
        held = {f.name for f in fields(record) if getattr(record, f.name) is not ABSENT}
        assert held == row.keys()
        for name, value in row.items():
            assert getattr(record, name) == as_read(table, name, value)
    assert getattr(recorder, method)("no such id") is None


def as_read(table: str, column: str, value: Any) -> Any:
    """Read a written value as a record does."""
    shape = NEWEST.shape.table(table)
    assert shape is not None
    declared = shape.column(column)
    assert declared is not None
    if value is not None and declared.type == "DATETIME":
        return datetime.fromisoformat(value)
    return value


def test_a_node_is_found_in_its_run_and_refused_where_several_runs_have_it(
    recorder: ReadOnlyRecorder, newest: Written
) -> None:
    runs: dict[str, set[str]] = {}
    for row in cells(newest, "nodes"):
        runs.setdefault(row["node_id"], set()).add(row["run_id"])
        node = recorder.get_node(row["node_id"], row["run_id"])
        assert node is not None
        assert (node.node_id, node.run_id) == (row["node_id"], row["run_id"])
    shared = next(node_id for node_id, of_runs in runs.items() if len(of_runs) > 1)
    with pytest.raises(LandscapeCompatError, match="Several runs") as caught:
        recorder.get_node(shared)
    assert caught.value.remedy
    assert recorder.get_node(shared, "no such run") is None
    assert recorder.get_node("no such node") is None


def test_a_node_is_found_by_itself_where_no_run_shares_it(
    old: ReadOnlyRecorder, legacy: Written
) -> None:
    for row in cells(legacy, "nodes"):
        node = old.get_node(row["node_id"])
        assert node is not None
        assert node.run_id == row["run_id"]


def test_runs_come_latest_first_and_by_status(recorder: ReadOnlyRecorder, newest: Written) -> None:
    stored = sorted(cells(newest, "runs"), key=lambda row: str(row["run_id"]))
    stored.sort(key=lambda row: str(row["started_at"]), reverse=True)
    assert [run.run_id for run in recorder.list_runs()] == [row["run_id"] for row in stored]
    status = str(stored[-1]["status"])
    wanted = [row["run_id"] for row in stored if row["status"] == status]
    kinds: tuple[Any, ...] = (StrEnum, Enum)
    for given in (status, *(next(iter(kind("Status", {"IT": status}))) for kind in kinds)):
        assert [run.run_id for run in recorder.list_runs(status=given)] == wanted
    assert recorder.list_runs(status="no such status") == []


def test_rows_come_bit_by_bit_as_they_come_at_once(
    recorder: ReadOnlyRecorder, newest: Written
) -> None:
    run_id = newest.run_ids[0]
    windows = list(recorder.iter_rows_for_run(run_id, batch_size=3))
    assert [len(window) for window in windows] == [3, 3, 2]
    assert [row for window in windows for row in window] == recorder.get_rows(run_id)
    assert list(recorder.iter_rows_for_run("no such run")) == []


def test_many_are_read_by_their_ids(recorder: ReadOnlyRecorder, newest: Written) -> None:
    run_id, other = newest.run_ids[:2]
    tokens = [row["token_id"] for row in cells(newest, "tokens", run_id)]
    wanted = [*reversed(tokens), "no such token", *tokens]
    assert [t.token_id for t in recorder.get_tokens_by_ids(wanted)] == tokens[::-1]
    for found, table, order in (
        (recorder.get_token_parents_for_tokens(wanted), "token_parents", "ordinal"),
        (recorder.get_token_outcomes_for_tokens(run_id, wanted), "token_outcomes", "recorded_at"),
        (recorder.get_node_states_for_tokens(run_id, wanted), "node_states", "step_index"),
    ):
        assert found
        assert names(found) == expected(newest, table, "token_id", order, keep=of(run_id))
    events = recorder.get_scheduler_events_for_tokens(run_id, wanted)
    assert names(events) == expected(newest, "scheduler_events", keep=of(run_id))
    rows = [row["row_id"] for row in cells(newest, "rows", run_id)]
    assert recorder.get_tokens_for_rows(run_id, rows) == recorder.get_all_tokens_for_run(run_id)
    assert recorder.get_tokens_for_rows(other, rows) == []
    assert recorder.get_node_states_for_tokens(other, tokens) == []
    assert recorder.get_tokens_by_ids([]) == []


def test_more_ids_than_a_statement_takes_are_read_in_parts(
    recorder: ReadOnlyRecorder, newest: Written
) -> None:
    tokens = [row["token_id"] for row in cells(newest, "tokens")]
    wanted = [*(f"none {n}" for n in range(1200)), *tokens]
    assert [t.token_id for t in recorder.get_tokens_by_ids(wanted)] == tokens


def test_what_happened_in_node_states_is_sorted_by_step(
    recorder: ReadOnlyRecorder, newest: Written
) -> None:
    run_id = newest.run_ids[0]
    states = {row["state_id"]: row for row in cells(newest, "node_states", run_id)}

    def step(state_id: str) -> tuple[Any, ...]:
        return states[state_id]["step_index"], states[state_id]["attempt"], state_id

    events = sorted(
        cells(newest, "routing_events", run_id),
        key=lambda row: (*step(str(row["state_id"])), row["ordinal"], row["event_id"]),
    )
    found = recorder.get_all_routing_events_for_run(run_id)
    assert [e.event_id for e in found] == [row["event_id"] for row in events]
    assert recorder.get_routing_events_for_states(list(states)) == found
    calls = sorted(
        (row for row in cells(newest, "calls", run_id) if row["state_id"] is not None),
        key=lambda row: (*step(str(row["state_id"])), row["call_index"], row["call_id"]),
    )
    found_calls = recorder.get_all_calls_for_run(run_id)
    assert [c.call_id for c in found_calls] == [row["call_id"] for row in calls] != []
    assert recorder.get_calls_for_states(list(states)) == found_calls


def test_the_calls_of_operations_are_apart_from_those_of_node_states(
    recorder: ReadOnlyRecorder, newest: Written
) -> None:
    run_id = newest.run_ids[0]
    found = recorder.get_all_operation_calls_for_run(run_id)
    stored = cells(newest, "calls", run_id)
    assert {c.call_id for c in found} == {
        row["call_id"] for row in stored if row["operation_id"] is not None
    }
    both = {c.call_id for c in (*found, *recorder.get_all_calls_for_run(run_id))}
    assert both == {row["call_id"] for row in stored}


def test_the_outcome_that_counts_is_the_final_one_and_of_several_the_last(
    recorder: ReadOnlyRecorder, newest: Written
) -> None:
    outcomes: dict[Any, list[Stored]] = {}
    for row in cells(newest, "token_outcomes"):
        outcomes.setdefault(row["token_id"], []).append(row)
    for token_id, rows in outcomes.items():
        found = recorder.get_token_outcome(token_id)
        assert isinstance(found, TokenOutcome)
        best = max(rows, key=lambda row: (row["completed"], str(row["recorded_at"])))
        assert found.outcome_id == best["outcome_id"]


def test_the_outcomes_of_a_row_are_those_of_all_its_tokens(
    recorder: ReadOnlyRecorder, newest: Written
) -> None:
    run_id, other = newest.run_ids[:2]
    for row in cells(newest, "rows", run_id):
        row_id = str(row["row_id"])
        tokens = {t.token_id for t in recorder.get_tokens(row_id)}
        found = recorder.get_token_outcomes_for_row(run_id, row_id)
        assert names(found) == expected(newest, "token_outcomes", keep=among("token_id", tokens))
        assert recorder.get_token_outcomes_for_row(other, row_id) == []


def test_children_of_a_token_are_what_names_it_as_a_parent(
    recorder: ReadOnlyRecorder, newest: Written
) -> None:
    for row in cells(newest, "tokens"):
        found = recorder.get_token_children(str(row["token_id"]))
        assert names(found) == expected(
            newest,
            "token_parents",
            "token_id",
            keep=having(parent_token_id=row["token_id"]),
        )


def test_batches_artifacts_and_events_are_narrowed_down(
    recorder: ReadOnlyRecorder, newest: Written
) -> None:
    run_id = newest.run_ids[0]
    batch = cells(newest, "batches", run_id)[0]
    node, status = batch["aggregation_node_id"], batch["status"]
    found = recorder.get_batches(run_id, status=str(status), node_id=str(node))
    assert names(found) == expected(
        newest,
        "batches",
        keep=lambda row: (
            (row["run_id"], row["status"], row["aggregation_node_id"]) == (run_id, status, node)
        ),
    )
    assert names(recorder.get_incomplete_batches(run_id)) == expected(
        newest,
        "batches",
        keep=lambda row: (
            row["run_id"] == run_id and row["status"] in ("draft", "executing", "failed")
        ),
    )
    sink = cells(newest, "artifacts", run_id)[0]["sink_node_id"]
    assert names(recorder.get_artifacts(run_id, sink_node_id=str(sink))) == expected(
        newest,
        "artifacts",
        keep=having(run_id=run_id, sink_node_id=sink),
    )
    event = cells(newest, "scheduler_events", run_id)[0]
    token, work = str(event["token_id"]), str(event["work_item_id"])
    assert names(recorder.get_scheduler_events(run_id=run_id)) == expected(
        newest, "scheduler_events", keep=of(run_id)
    )
    by_token = recorder.get_scheduler_events(run_id=run_id, token_id=token, work_item_id=work)
    assert (event["event_id"],) in names(by_token)
    assert {(e.token_id, e.work_item_id) for e in by_token} == {(token, work)}
    losses = recorder.list_coalesce_branch_losses(run_id=run_id)
    assert names(losses) == expected(newest, "coalesce_branch_losses", keep=of(run_id))


def test_attempts_belong_to_a_run_by_their_effect(
    recorder: ReadOnlyRecorder, newest: Written
) -> None:
    run_id = newest.run_ids[0]
    effects = {row["effect_id"] for row in cells(newest, "sink_effects", run_id)}
    found = recorder.get_sink_effect_attempts_for_run(run_id)
    assert names(found) == expected(
        newest, "sink_effect_attempts", keep=among("effect_id", effects)
    )
    assert found


def test_edges_are_found_by_node_and_label(recorder: ReadOnlyRecorder, newest: Written) -> None:
    run_id = newest.run_ids[0]
    assert recorder.get_edge_map(run_id) == {
        (row["from_node_id"], row["label"]): row["edge_id"]
        for row in cells(newest, "edges", run_id)
    }


def test_a_token_is_found_only_in_its_own_run(recorder: ReadOnlyRecorder, newest: Written) -> None:
    run_id, other = newest.run_ids[:2]
    token_id = str(cells(newest, "tokens", run_id)[0]["token_id"])
    assert recorder.get_token_for_run(run_id, token_id) == recorder.get_token(token_id)
    assert recorder.get_token_for_run(other, token_id) is None


def test_a_call_is_found_by_what_was_asked(recorder: ReadOnlyRecorder, newest: Written) -> None:
    run_id = newest.run_ids[0]
    for call in recorder.get_all_calls_for_run(run_id):
        kind, asked = str(call.call_type), str(call.request_hash)
        assert recorder.find_call_by_request_hash(run_id, kind, asked) == call
        assert recorder.find_call_by_request_hash(run_id, kind, asked, sequence_index=1) is None
        assert recorder.find_call_by_request_hash("no such run", kind, asked) is None


def test_refusals_of_a_row_are_found_by_its_id_and_else_by_its_data(
    recorder: ReadOnlyRecorder, newest: Written
) -> None:
    run_id = newest.run_ids[0]
    stored = cells(newest, "validation_errors", run_id)
    known = next(row for row in stored if row["row_id"] is not None)
    row_id, row_hash = str(known["row_id"]), str(known["row_hash"])
    by_id = recorder.get_validation_errors_for_row(run_id, row_id=row_id)
    assert {e.row_id for e in by_id} == {row_id}
    by_hash = recorder.get_validation_errors_for_row(run_id, row_hash)
    assert {e.row_hash for e in by_hash} == {row_hash}
    both = recorder.get_validation_errors_for_row(run_id, row_hash, row_id="no such row")
    assert both == by_hash
    with pytest.raises(ValueError, match="hash"):
        recorder.get_validation_errors_for_row(run_id)


@pytest.mark.parametrize("kind", [RunSource, Checkpoint, Run, Batch])
def test_any_class_can_be_read_also_those_the_host_has_no_method_for(
    recorder: ReadOnlyRecorder, newest: Written, kind: type[Record]
) -> None:
    assert names(recorder.read(kind)) == expected(newest, kind.TABLE)
    for run_id in newest.run_ids:
        assert names(recorder.read(kind, run_id)) == expected(newest, kind.TABLE, keep=of(run_id))


# What is alike but for one thing -----------------------------------------------------------

# Whatever a method forgets to ask for or to sort by, it gives something else than it should:
# each record has others beside it that differ in just that.
ALIKE = """
CREATE TABLE runs (run_id TEXT PRIMARY KEY, started_at DATETIME);
INSERT INTO runs VALUES ('b', '2026-01-01 10:00:00'), ('a', '2026-01-01 10:00:00');
CREATE TABLE rows (row_id TEXT PRIMARY KEY, run_id TEXT);
INSERT INTO rows VALUES ('w1', 'a'), ('w2', 'b');
CREATE TABLE tokens (token_id TEXT PRIMARY KEY, row_id TEXT);
INSERT INTO tokens VALUES ('t1', 'w1'), ('t2', 'w1'), ('t3', 'w2');
CREATE TABLE token_outcomes
    (outcome_id TEXT PRIMARY KEY, token_id TEXT, recorded_at DATETIME, completed INTEGER);
INSERT INTO token_outcomes VALUES
    ('u2', 't1', '2026-01-01 11:00:00', 0), ('u1', 't1', '2026-01-01 10:00:00', 1),
    ('u4', 't2', '2026-01-01 11:00:00', 0), ('u3', 't2', '2026-01-01 10:00:00', 0),
    ('u5', 't3', '2026-01-01 10:00:00', 1);
CREATE TABLE node_states
    (state_id TEXT PRIMARY KEY, token_id TEXT, step_index INTEGER, attempt INTEGER);
INSERT INTO node_states VALUES ('s1', 't1', 1, 1), ('s2', 't1', 1, 0), ('s3', 't2', 1, 0),
    ('s4', 't2', 0, 0), ('s5', 't3', 0, 0);
CREATE TABLE routing_events (event_id TEXT PRIMARY KEY, state_id TEXT, ordinal INTEGER);
INSERT INTO routing_events VALUES ('g1', 's1', 0), ('g2', 's2', 1), ('g3', 's3', 0),
    ('g4', 's4', 2), ('g5', 's2', 0), ('g6', 's5', 0);
CREATE TABLE operations (operation_id TEXT PRIMARY KEY, run_id TEXT);
INSERT INTO operations VALUES ('o1', 'a'), ('o2', 'a');
CREATE TABLE calls (call_id TEXT PRIMARY KEY, state_id TEXT, operation_id TEXT,
    call_index INTEGER, call_type TEXT, request_hash TEXT, created_at DATETIME);
INSERT INTO calls VALUES
    ('c1', 's2', NULL, 1, 'llm', 'x', '2026-01-01 14:00:00'),
    ('c2', 's3', NULL, 0, 'llm', 'x', '2026-01-01 15:00:00'),
    ('c3', 's1', NULL, 0, 'http', 'x', '2026-01-01 13:00:00'),
    ('c4', 's4', NULL, 0, 'llm', 'y', '2026-01-01 12:00:00'),
    ('c5', NULL, 'o1', 1, 'llm', 'x', '2026-01-01 11:00:00'),
    ('c6', NULL, 'o1', 0, 'llm', 'x', '2026-01-01 11:00:00'),
    ('c7', NULL, 'o2', 0, 'llm', 'x', '2026-01-01 11:00:00'),
    ('c8', 's5', NULL, 0, 'llm', 'x', '2026-01-01 10:00:00');
CREATE TABLE scheduler_events
    (event_id TEXT PRIMARY KEY, token_id TEXT, work_item_id TEXT, recorded_at DATETIME);
INSERT INTO scheduler_events VALUES ('h1', 't1', 'k1', '2026-01-01 11:00:00'),
    ('h2', 't1', 'k2', '2026-01-01 10:00:00'), ('h3', 't2', 'k1', '2026-01-01 10:00:00'),
    ('h4', 't3', 'k1', '2026-01-01 10:00:00');
CREATE TABLE batches
    (batch_id TEXT PRIMARY KEY, run_id TEXT, aggregation_node_id TEXT, status TEXT);
INSERT INTO batches VALUES ('b1', 'a', 'n1', 'completed'), ('b2', 'a', 'n2', 'completed'),
    ('b3', 'a', 'n1', 'draft'), ('b4', 'a', 'n1', 'executing'), ('b5', 'a', 'n1', 'failed'),
    ('b6', 'b', 'n1', 'draft');
CREATE TABLE artifacts (artifact_id TEXT PRIMARY KEY, run_id TEXT, sink_node_id TEXT);
INSERT INTO artifacts VALUES ('i1', 'a', 'n3'), ('i2', 'a', 'n4'), ('i3', 'b', 'n3');
CREATE TABLE validation_errors
    (error_id TEXT PRIMARY KEY, run_id TEXT, row_id TEXT, row_hash TEXT);
INSERT INTO validation_errors VALUES ('v1', 'a', 'w1', 'x'), ('v2', 'a', NULL, 'y'),
    ('v3', 'b', 'w1', 'x');
"""


@pytest.fixture(scope="module")
def alike_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("alike") / "audit.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(ALIKE)
    return path


@pytest.fixture
def alike(alike_database: Path) -> Iterator[ReadOnlyRecorder]:
    with untouched(alike_database), open_landscape(alike_database) as landscape:
        yield ReadOnlyRecorder(landscape)


ASKED: list[tuple[Callable[[ReadOnlyRecorder], list[Any]], str]] = [
    (lambda r: r.list_runs(), "a b"),
    (lambda r: r.get_tokens_by_ids(["t1", *map(str, range(500)), "t1"]), "t1"),
    (lambda r: r.get_token_outcomes_for_tokens("a", ["t1", "t3"]), "u1 u2"),
    (lambda r: r.get_node_states_for_tokens("a", ["t1", "t3"]), "s2 s1"),
    (lambda r: r.get_routing_events_for_states(["s1", "s2", "s3", "s4"]), "g4 g5 g2 g3 g1"),
    (lambda r: r.get_all_routing_events_for_run("a"), "g4 g5 g2 g3 g1"),
    (lambda r: r.get_calls_for_states(["s1", "s2", "s3", "s4"]), "c4 c1 c2 c3"),
    (lambda r: r.get_all_calls_for_run("a"), "c4 c1 c2 c3"),
    (lambda r: r.get_operation_calls("o1"), "c6 c5"),
    (lambda r: r.get_all_operation_calls_for_run("a"), "c6 c5 c7"),
    (lambda r: r.get_scheduler_events(run_id="a"), "h2 h3 h1"),
    (lambda r: r.get_scheduler_events(run_id="a", token_id="t1"), "h2 h1"),
    (lambda r: r.get_scheduler_events(run_id="a", work_item_id="k1"), "h3 h1"),
    (lambda r: r.get_scheduler_events(run_id="a", token_id="t1", work_item_id="k1"), "h1"),
    (lambda r: r.get_scheduler_events_for_tokens("a", ["t1", "t3"]), "h2 h1"),
    (lambda r: r.get_batches("a", status="completed"), "b1 b2"),
    (lambda r: r.get_batches("a", node_id="n1"), "b1 b3 b4 b5"),
    (lambda r: r.get_batches("a", status="completed", node_id="n1"), "b1"),
    (lambda r: r.get_incomplete_batches("a"), "b3 b4 b5"),
    (lambda r: r.get_artifacts("a", sink_node_id="n3"), "i1"),
    (lambda r: r.get_validation_errors_for_row("a", "x"), "v1"),
    (lambda r: r.get_validation_errors_for_row("a", "y", row_id="w1"), "v1"),
    (lambda r: r.get_validation_errors_for_row("a", "y", row_id="w2"), "v2"),
]


@pytest.mark.parametrize(("ask", "wanted"), ASKED, ids=range(len(ASKED)))
def test_what_differs_in_one_thing_is_told_apart(
    alike: ReadOnlyRecorder, ask: Callable[[ReadOnlyRecorder], list[Any]], wanted: str
) -> None:
    """By every argument, and by every term of the order."""
    assert [name[0] for name in names(ask(alike))] == wanted.split()


def test_a_call_that_was_asked_for_again_is_found_by_its_number(alike: ReadOnlyRecorder) -> None:
    """Of one run, one type and one hash; the calls of operations do not count."""
    found = [
        call and call.call_id
        for number in range(3)
        for call in [alike.find_call_by_request_hash("a", "llm", "x", sequence_index=number)]
    ]
    assert found == ["c1", "c2", None]


@pytest.mark.parametrize("flag", ["completed", "is_terminal", "no_flag"])
def test_a_final_outcome_counts_also_where_another_was_recorded_later(
    tmp_path: Path, flag: str
) -> None:
    """Under either name that the flag has had; without it, the last one counts."""
    folder = tmp_path / "record"
    folder.mkdir()
    path = folder / "audit.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(ALIKE)
        connection.execute(f"ALTER TABLE token_outcomes RENAME COLUMN completed TO {flag}")
    with untouched(path), open_landscape(path) as landscape:
        outcomes = [ReadOnlyRecorder(landscape).get_token_outcome(id_) for id_ in ("t1", "t2")]
    found = [outcome.outcome_id for outcome in outcomes if isinstance(outcome, TokenOutcome)]
    assert found == ["u2" if flag == "no_flag" else "u1", "u4"]


# What is absent ---------------------------------------------------------------------------


def test_an_absent_table_is_an_empty_list_that_says_so(
    old: ReadOnlyRecorder, legacy: Written
) -> None:
    run_id = legacy.run_ids[0]
    found = old.get_operations_for_run(run_id)
    assert isinstance(found, AbsentRecords)
    assert found.missing == "operations"
    assert repr(found) == "AbsentRecords('operations')"
    assert [*found] == []
    for token_ids in ([], ["token"]):
        by_ids = old.get_token_outcomes_for_tokens(run_id, token_ids)
        assert isinstance(by_ids, AbsentRecords)
        assert by_ids.missing == "token_outcomes"
    assert old.is_absent("operations")
    stored = old.get_batches("no such run")
    assert stored == []
    assert not isinstance(stored, AbsentRecords)
    assert not old.is_absent("batches")


def test_a_table_that_lacks_the_column_to_find_by_says_so_too(
    old: ReadOnlyRecorder, legacy: Written
) -> None:
    for found in (
        old.get_operation_calls("op"),
        old.get_all_operation_calls_for_run(legacy.run_ids[0]),
    ):
        assert isinstance(found, AbsentRecords)
        assert found.missing == "calls.operation_id"
    refused = old.get_validation_errors_for_row(legacy.run_ids[0], row_id="row")
    assert isinstance(refused, AbsentRecords)
    assert refused.missing == "validation_errors.row_id"


def test_one_record_of_an_absent_table_is_absent_not_none(old: ReadOnlyRecorder) -> None:
    assert old.get_token_outcome("token") is ABSENT
    assert old.get_operation("operation") is ABSENT
    assert old.get_batch("batch") is None


def test_an_absent_column_is_absent_and_nothing_is_derived(
    old: ReadOnlyRecorder, legacy: Written
) -> None:
    """Though `tokens.run_id` follows from the row, a record holds only what was recorded."""
    run_id = legacy.run_ids[0]
    tokens = old.get_all_tokens_for_run(run_id)
    assert names(tokens) == expected(
        legacy,
        "tokens",
        "row_id",
        "created_at",
        keep=among("token_id", [row["token_id"] for row in cells(legacy, "tokens", run_id)]),
    )
    assert tokens
    assert {(t.run_id, t.expand_group_id) for t in tokens} == {(ABSENT, ABSENT)}
    states = old.get_all_node_states_for_run(run_id)
    assert len(states) == len(cells(legacy, "node_states", run_id))


def test_what_lost_its_table_of_belonging_is_found_nowhere_or_sorted_by_itself(
    newest: Written, tmp_path: Path
) -> None:
    """No outcome belongs to a row if no token does; what names no state that is there comes last.

    Tables that every version has are gone, as of a copy that was cut down.
    """
    folder = tmp_path / "cut"
    folder.mkdir()
    path = Path(shutil.copy(newest.path, folder / "audit.db"))
    run_id = newest.run_ids[0]
    row_id = str(newest.tables["rows"].dicts(run_id)[0]["row_id"])
    with open_landscape(newest.path) as landscape:
        assert ReadOnlyRecorder(landscape).get_token_outcomes_for_row(run_id, row_id)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE tokens")
        connection.execute("DROP TABLE node_states")
    with untouched(path), open_landscape(path) as landscape:
        recorder = ReadOnlyRecorder(landscape)
        assert recorder.get_token_outcomes_for_row(run_id, row_id) == []
        states = {row["state_id"]: row for row in cells(newest, "node_states", run_id)}
        found = recorder.get_routing_events_for_states(list(states))
    events = cells(newest, "routing_events", run_id)
    events.sort(key=lambda row: (row["state_id"], row["ordinal"], row["event_id"]))
    assert [e.event_id for e in found] == [row["event_id"] for row in events] != []


def test_a_core_table_without_the_column_to_find_by_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "record"
    folder.mkdir()
    path = folder / "audit.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE runs (run_id TEXT PRIMARY KEY)")
        connection.execute("CREATE TABLE rows (run_id TEXT)")
        connection.execute("INSERT INTO runs VALUES ('r')")
    with untouched(path), open_landscape(path) as landscape:
        recorder = ReadOnlyRecorder(landscape)
        assert recorder.get_run("r") == Run(run_id="r")
        with pytest.raises(UnreadableError) as caught:
            recorder.get_token("token")
        assert caught.value.table == "tokens"
        with pytest.raises(UnreadableError) as caught:
            recorder.get_rows("r")
        assert (caught.value.table, caught.value.column) == ("rows", "row_id")
        with pytest.raises(UnreadableError):
            next(recorder.iter_rows_for_run("r"))


def test_each_degraded_table_is_told_of_once_when_it_is_first_read(legacy: Written) -> None:
    with untouched(legacy.path), open_landscape(legacy.path) as landscape:
        recorder = ReadOnlyRecorder(landscape)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            recorder.get_token_outcome("token")
            assert [w.category for w in caught] == [DegradedReadWarning]
            assert caught[0].filename == __file__
            recorder.get_token_outcomes("token")
            recorder.get_tokens("row")
            recorder.get_token("token")
            ReadOnlyRecorder(landscape).get_token("token")
        told = [w.message.table for w in caught if isinstance(w.message, DegradedReadWarning)]
        assert told == ["token_outcomes", "tokens"]


def test_a_current_database_is_not_told_of(recorder: ReadOnlyRecorder, newest: Written) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert recorder.get_rows(newest.run_ids[0])


@pytest.mark.parametrize("name", ["2026-01-12/c63f89939", "2026-03-04/9df626b56"])
def test_every_list_method_answers_on_every_version(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "record"
    folder.mkdir()
    written = build_shape(
        folder / "audit.db", shape_named(name).shape, rows=3, runs=4, long_text=False
    )
    with untouched(written.path), open_landscape(written.path) as landscape:
        recorder = ReadOnlyRecorder(landscape)
        run_id = written.run_ids[0]
        for method, table in (*RUN_METHODS.items(), *SORTED_RUN_METHODS.items()):
            name = table if isinstance(table, str) else table[0]
            found = getattr(recorder, method)(run_id)
            stored = cells(written, name, run_id) if name in written.tables else []
            assert len(found) == len(stored), method
            assert isinstance(found, AbsentRecords) is (name not in written.tables), method
