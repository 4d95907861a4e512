"""A derived value is exact where the record decides it, and NULL where it does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from landscape_compat.landscape.history import shape_named
from landscape_compat.landscape.rules import landscape_rules
from landscape_compat.projection.rules import RuleKind
from support.seen import Rows, seen_by, without

ABSENT, DERIVED = RuleKind.ABSENT, RuleKind.DERIVED
MAPPED, NEUTRAL = RuleKind.MAPPED, RuleKind.NEUTRAL

TOKENS = {
    "rows": [{"row_id": "row 1", "run_id": "run 1"}, {"row_id": "row 2", "run_id": "run 2"}],
    "tokens": [
        {"token_id": "token 1", "row_id": "row 1"},
        {"token_id": "token 2", "row_id": "row 2"},
        {"token_id": "lost", "row_id": "no such row"},
    ],
}


def test_a_token_belongs_to_the_run_of_its_row() -> None:
    assert seen_by("tokens.run_id", "df2fa70fb", "29", TOKENS) == [
        ("run 1", DERIVED),
        ("run 2", DERIVED),
        (None, DERIVED),
    ]


@pytest.mark.parametrize(
    ("table", "stored"), [("node_states", "df2fa70fb"), ("token_parents", "6e8a6bf5f")]
)
def test_what_hangs_on_a_token_belongs_to_the_run_of_its_row(table: str, stored: str) -> None:
    owned = [{"token_id": "token 2"}, {"token_id": "token 1"}, {"token_id": "lost"}]
    assert seen_by(f"{table}.run_id", stored, "29", {**TOKENS, table: owned}) == [
        ("run 2", DERIVED),
        ("run 1", DERIVED),
        (None, DERIVED),
    ]


@pytest.mark.parametrize(
    ("owned", "owner", "key"),
    [("batch_members", "batches", "batch_id"), ("routing_events", "edges", "edge_id")],
)
def test_members_and_events_belong_to_the_run_of_their_batch_or_edge(
    owned: str, owner: str, key: str
) -> None:
    rows = {
        owner: [{key: "a", "run_id": "run 1"}, {key: "b", "run_id": "run 2"}],
        owned: [{key: "b"}, {key: "a"}],
    }
    assert seen_by(f"{owned}.run_id", "df2fa70fb", "29", rows) == [
        ("run 2", DERIVED),
        ("run 1", DERIVED),
    ]


def test_an_outcome_that_lost_its_run_belongs_to_its_rows_run() -> None:
    """Every known database stores this run; one that was altered may not."""
    rows = {**TOKENS, "token_outcomes": [{"token_id": "token 2"}]}
    lost = "token_outcomes.run_id"
    seen = seen_by(lost, "427b07c18", "29", rows, lost=lost)
    assert seen == [("run 2", DERIVED)]


@pytest.mark.parametrize(
    ("target", "source"),
    [
        ("tokens.run_id", "rows.run_id"),
        ("node_states.run_id", "tokens.row_id"),
        ("batch_members.run_id", "batches.batch_id"),
        ("routing_events.run_id", "edges.run_id"),
        ("rows.ingest_sequence", "rows.row_index"),
    ],
)
def test_what_readers_filter_on_has_no_rule_where_its_source_is_gone(
    target: str, source: str
) -> None:
    """Then the column is essential and without a value, for which reading it is refused."""
    table, _, column = target.partition(".")
    stored = without(shape_named("df2fa70fb").shape, source)
    assert landscape_rules().rule_for(table, column, stored, shape_named("29").shape) is None
    assert landscape_rules().is_essential(table, column)


@pytest.mark.parametrize("column", ["ingest_sequence", "source_row_index"])
def test_the_position_in_a_run_of_one_source_is_the_row_index(column: str) -> None:
    rows = {"rows": [{"row_index": 0}, {"row_index": 7}]}
    assert seen_by(f"rows.{column}", "e6f47bd9c", "29", rows) == [(0, MAPPED), (7, MAPPED)]


def test_the_row_index_of_old_is_the_position_in_the_run() -> None:
    rows: Rows = {
        "rows": [
            {"row_index": 0, "ingest_sequence": 0},
            {"row_index": 0, "ingest_sequence": 2},
            {"row_index": None, "ingest_sequence": 1},
        ]
    }
    assert seen_by("rows.row_index", "29", "e6f47bd9c", rows) == [
        (0, MAPPED),
        (2, MAPPED),
        (1, MAPPED),
    ]


def _settings(**sinks: Any) -> str:
    return json.dumps(
        {"sinks": {name: {"plugin": "csv", "options": o} for name, o in sinks.items()}},
        separators=(",", ":"),
    )


CONFIG = {"path": "out.csv", "n": 1.5}
CONFIG_JSON = json.dumps(CONFIG, separators=(",", ":"))


def _written(**changes: Any) -> dict[str, list[dict[str, Any]]]:
    """Give one token that completed in a sink, as the engine of 2026-01-21 recorded it."""
    settings = changes.pop("settings", _settings(out=CONFIG, other={"path": "else.csv"}))
    return {
        "runs": [{"run_id": "run 1", "settings_json": settings}],
        "nodes": [
            {
                "node_id": "n",
                "run_id": "run 1",
                "node_type": changes.pop("node_type", "sink"),
                "config_json": changes.pop("config", CONFIG_JSON),
            }
        ],
        "rows": [{"row_id": "row 1", "run_id": changes.pop("row_run", "run 1")}],
        "tokens": [{"token_id": "t1", "row_id": "row 1"}],
        "node_states": [
            {"token_id": "t1", "node_id": "n", "status": changes.pop("status", "completed")}
        ],
        "token_outcomes": [{"token_id": "t1", "outcome": "completed", **changes}],
    }


@pytest.mark.parametrize(
    ("changes", "sink"),
    [
        ({}, "out"),
        ({"sink_name": "recorded"}, "recorded"),
        ({"outcome": "failed"}, None),
        ({"settings": _settings(out=CONFIG, twin=CONFIG)}, None),
        ({"settings": _settings(other={})}, None),
        ({"settings": "{}"}, None),
        ({"settings": '{"sinks":{}}'}, None),
        ({"config": "{}"}, None),
        ({"status": "failed"}, None),
        ({"node_type": "transform"}, None),
        ({"row_run": "another run"}, None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_completed_token_gets_its_sink_only_where_one_fits(
    changes: dict[str, Any], sink: str | None
) -> None:
    rows = _written(**changes)
    assert seen_by("token_outcomes.sink_name", "1f057c081", "29", rows) == [(sink, DERIVED)]


@pytest.mark.parametrize(
    ("stored", "declared"), [("1f057c081", "3dd0e981e"), ("31cd066c9", "29"), ("15818985a", "29")]
)
def test_sinks_are_looked_for_only_where_the_engine_left_them_out(
    stored: str, declared: str
) -> None:
    assert seen_by("token_outcomes.sink_name", stored, declared, _written()) == [(None, None)]


@pytest.mark.parametrize(
    ("outcome", "recorded", "members", "batch"),
    [
        ("consumed_in_batch", None, ["a"], "a"),
        ("buffered", None, ["a"], "a"),
        ("consumed_in_batch", "kept", ["a"], "kept"),
        ("consumed_in_batch", None, ["a", "b"], None),
        ("consumed_in_batch", None, [], None),
        ("completed", None, ["a"], None),
    ],
)
def test_a_consumed_token_gets_its_batch_only_where_it_is_in_one(
    outcome: str, recorded: str | None, members: list[str], batch: str | None
) -> None:
    rows: Rows = {
        "batch_members": [{"batch_id": name, "token_id": "t1"} for name in members],
        "token_outcomes": [{"token_id": "t1", "outcome": outcome, "batch_id": recorded}],
    }
    assert seen_by("token_outcomes.batch_id", "b5f3f5047", "29", rows) == [(batch, DERIVED)]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [("count", "count"), ("end_of_source", "end_of_source"), ("count ", None), (None, None)],
)
@pytest.mark.parametrize("stored", ["a66b368b7", "07084c363"])
def test_the_kind_of_trigger_is_taken_from_the_reason_word_for_word(
    stored: str, reason: str | None, kind: str | None
) -> None:
    rows = {"batches": [{"trigger_reason": reason}]}
    assert seen_by("batches.trigger_type", stored, "29", rows) == [(kind, DERIVED)]


def test_a_recorded_kind_of_trigger_stays() -> None:
    rows = {"batches": [{"trigger_reason": "count", "trigger_type": "timeout"}]}
    assert seen_by("batches.trigger_type", "07084c363", "29", rows) == [("timeout", DERIVED)]


def test_a_contract_carries_its_own_hash() -> None:
    contracts = ['{"fields":[],"version_hash":"f00d"}', '{"fields":[]}', None]
    rows = {"nodes": [{"output_contract_json": contract} for contract in contracts]}
    assert seen_by("nodes.output_contract_hash", "6e8a6bf5f", "29", rows) == [
        ("f00d", DERIVED),
        (None, DERIVED),
        (None, DERIVED),
    ]
    none = {"nodes": [{"node_id": "n"}]}
    assert seen_by("nodes.output_contract_hash", "df2fa70fb", "29", none) == [(None, ABSENT)]


@pytest.mark.parametrize("column", ["schema_contract_hash", "schema_contract_json"])
def test_the_contract_of_a_run_is_that_of_its_only_source(column: str) -> None:
    rows = {
        "runs": [{"run_id": "one"}, {"run_id": "two"}, {"run_id": "none"}],
        "run_sources": [
            {"run_id": "one", column: "c1"},
            {"run_id": "two", column: "c2"},
            {"run_id": "two", column: "c2"},
        ],
    }
    assert seen_by(f"runs.{column}", "29", "427b07c18", rows) == [
        ("c1", DERIVED),
        (None, DERIVED),
        (None, DERIVED),
    ]


def _member(effect: str, token: str, role: str, disposition: str | None = None) -> dict[str, Any]:
    return {
        "run_id": "r",
        "effect_id": effect,
        "token_id": token,
        "role": role,
        "prepared_disposition": disposition,
    }


def test_a_failsink_member_is_linked_to_the_diverted_member_of_its_token() -> None:
    """After a recovery one failsink batch holds tokens of several primary effects."""
    members = [
        _member("p1", "a", "primary", "diverted"),
        _member("p2", "b", "primary", "diverted"),
        _member("p2", "c", "primary", "accepted"),
        {**_member("p9", "a", "primary", "diverted"), "run_id": "another run"},
        _member("f", "a", "failsink", "diverted"),
        _member("f", "b", "failsink"),
        _member("f", "c", "failsink"),
    ]
    # What was recorded of the batch as a whole names the last primary only.
    effects = [{"effect_id": "f", "role": "failsink", "primary_effect_id": "p2"}]
    rows = {"sink_effect_members": members, "sink_effects": effects}
    seen = seen_by("sink_effect_members.primary_effect_id", "27", "29", rows)
    assert [value for value, _ in seen] == [*[None] * 4, "p1", "p2", None]
    assert {kind for _, kind in seen} == {DERIVED}


def test_artifacts_of_before_the_ledger_are_as_the_hosts_migration_wrote_them() -> None:
    rows = {"artifacts": [{"artifact_id": "a"}]}
    seen = {
        column: seen_by(f"artifacts.{column}", "239062236", "29", rows)
        for column in ("publication_performed", "publication_evidence_kind", "sink_effect_id")
    }
    assert seen == {
        "publication_performed": [(1, MAPPED)],
        "publication_evidence_kind": [("legacy_returned", MAPPED)],
        "sink_effect_id": [(None, ABSENT)],
    }


def test_no_run_of_before_the_cache_came_from_it() -> None:
    seen = seen_by("runs.seeded_from_cache", "300e71b7d", "29", {"runs": [{"run_id": "r"}]})
    assert seen == [(0, MAPPED)]


@pytest.mark.parametrize(
    ("declared", "seen"),
    [
        ("29", ("non_deterministic", NEUTRAL)),
        ("4b21b5119", ("non_deterministic", NEUTRAL)),
        ("0f0c38f25", (None, ABSENT)),
    ],
)
def test_a_determinism_that_was_never_stored_claims_nothing(
    declared: str, seen: tuple[Any, RuleKind]
) -> None:
    assert seen_by("nodes.determinism", "75de5bfee", declared, {"nodes": [{"node_id": "n"}]}) == [
        seen
    ]


def test_only_completed_states_without_a_hash_get_an_empty_one() -> None:
    states = [
        {"status": "completed"},
        {"status": "completed", "output_hash": "f00d"},
        {"status": "open"},
        {"status": "failed"},
    ]
    seen = seen_by("node_states.output_hash", "75de5bfee", "29", {"node_states": states})
    assert seen == [("", NEUTRAL), ("f00d", NEUTRAL), (None, NEUTRAL), (None, NEUTRAL)]


def test_only_failed_operations_without_a_message_get_one() -> None:
    operations = [
        {"status": "failed", "error_message": ""},
        {"status": "failed"},
        {"status": "failed", "error_message": "boom"},
        {"status": "completed", "error_message": ""},
    ]
    seen = seen_by("operations.error_message", "427b07c18", "29", {"operations": operations})
    assert [value for value, _ in seen] == ["(none recorded)", "(none recorded)", "boom", ""]
    since = seen_by("operations.error_message", "4e8913ae6", "29", {"operations": operations})
    assert since == [("", None), (None, None), ("boom", None), ("", None)]


@pytest.mark.parametrize(
    ("stored", "declared", "said"),
    [
        ("427b07c18", "9df626b56", "not recorded before"),
        ("46051e47d", "9df626b56", "kept with the work items"),
    ],
)
def test_a_column_not_yet_there_is_told_from_one_no_longer_there(
    stored: str, declared: str, said: str
) -> None:
    rule = landscape_rules().rule_for(
        "checkpoints", "coalesce_state_json", shape_named(stored).shape, shape_named(declared).shape
    )
    assert rule is not None
    assert rule.kind is ABSENT
    assert said in rule.why
