"""ELSPETH's rules give every missing value one origin, and every word the reader's own."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from sqlalchemy import make_url

from landscape_compat.landscape.history import known_shapes, shape_named
from landscape_compat.landscape.rules import (
    landscape_rules,
    missing_tables,
    values_as_recorded,
)
from landscape_compat.projection.render import render_rule
from landscape_compat.projection.rules import RuleKind
from landscape_compat.schema.known import KnownShape
from landscape_compat.schema.shape import ColumnShape, SchemaShape
from support.seen import seen_by

SHAPES = known_shapes()
RULES = landscape_rules()
COLUMNS = frozenset[str]().union(*(known.paths for known in SHAPES))
TABLES = frozenset(path.partition(".")[0] for path in COLUMNS)
RENAMED, DERIVED = RuleKind.RENAMED, RuleKind.DERIVED
MAPPED, NEUTRAL = RuleKind.MAPPED, RuleKind.NEUTRAL


class _Paths:
    """A schema that only says whether it has a path, as fast as all pairs of shapes need it."""

    exact = False

    def __init__(self, known: KnownShape) -> None:
        self.tables = {path.partition(".")[0] for path in known.paths}
        self._paths = known.paths | self.tables

    def has(self, path: str) -> bool:
        return path in self._paths


@cache
def _paths(name: str) -> Any:
    return _Paths(shape_named(name))


# --- every pair of shapes ---------------------------------------------------------------------


@pytest.mark.parametrize("declared", SHAPES, ids=lambda known: known.name)
def test_every_missing_column_has_one_rule_whatever_is_stored(declared: KnownShape) -> None:
    targets = {rule.target for rule in RULES}
    for stored in SHAPES:
        for path in declared.paths & (targets | (declared.paths - stored.paths)):
            table, _, column = path.partition(".")
            if not _paths(stored.name).has(table):
                continue
            # Raises if two fire.
            rule = RULES.rule_for(table, column, _paths(stored.name), _paths(declared.name))
            missing = path not in stored.paths
            assert rule is not None or not missing, f"{path} of {declared.name} in {stored.name}"
            assert rule is None or rule.replaces is not missing


@pytest.mark.parametrize("known", SHAPES, ids=lambda known: known.name)
def test_a_reader_of_the_databases_own_age_sees_what_is_stored(known: KnownShape) -> None:
    for other in (other for other in SHAPES if other.paths == known.paths):
        for rule in RULES:
            assert not rule.fires(_paths(known.name), _paths(other.name)), rule.target


def test_every_rule_fires_somewhere() -> None:
    """The one exception guards a column that every known database stores."""
    silent = {
        rule.target
        for rule in RULES
        if not any(
            rule.fires(_paths(stored.name), _paths(declared.name))
            for stored in SHAPES
            for declared in SHAPES
        )
    }
    assert silent == {"token_outcomes.run_id"}


def test_every_missing_table_is_explained() -> None:
    tables = [_paths(known.name).tables for known in SHAPES]
    assert set(missing_tables()) == {name for one in tables for two in tables for name in one - two}
    for name, fact in missing_tables().items():
        first = next(known for known in SHAPES if known.shape.table(name))
        assert fact.since == f"{first.first_date} {first.first_commit}", name
        assert fact.why.endswith("."), name


def test_every_rule_says_why_and_names_what_exists() -> None:
    for rule in RULES:
        assert rule.why.endswith("."), rule.target
        assert rule.evidence, rule.target
        paths = rule.stored | rule.not_stored | rule.declared | rule.not_declared | {rule.target}
        assert paths <= COLUMNS | TABLES, (rule.target, paths - COLUMNS - TABLES)


def test_values_left_as_recorded_name_columns_that_exist() -> None:
    for value in values_as_recorded():
        assert value.target in COLUMNS
        assert value.why.endswith(".")
        assert value.evidence


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
def test_every_rule_can_be_written_without_parameters(name: str) -> None:
    dialect = make_url(f"{name}://").get_dialect()()
    for rule in RULES:
        column = ColumnShape(rule.column, "VARCHAR(64)")
        sql = render_rule(rule, column, dialect, alias="t", schema="s", spelling={})
        assert sql
        assert not any(mark in sql for mark in ("?", "%(", "POSTCOMPILE", " :")), sql


@pytest.mark.parametrize(
    "target",
    [
        "tokens.run_id",
        "node_states.run_id",
        "routing_events.run_id",
        "batch_members.run_id",
        "token_outcomes.run_id",
        "token_outcomes.completed",
        "token_outcomes.is_terminal",
        "token_parents.run_id",
        "rows.ingest_sequence",
    ],
)
def test_what_readers_filter_on_has_a_value_and_never_null(target: str) -> None:
    table, _, column = target.partition(".")
    assert RULES.is_essential(table, column)
    declared = next(known.shape for known in reversed(SHAPES) if known.shape.has(target))
    for stored in SHAPES:
        if stored.shape.table(table) and target not in stored.paths:
            rule = RULES.rule_for(table, column, stored.shape, declared)
            assert rule is not None
            assert rule.kind in (DERIVED, MAPPED, RENAMED)


# --- one stored row, seen by a reader of another age ------------------------------------------


# target, stored shape, reader's shape, stored word, word seen, kind of rule
WORDS: list[tuple[str, str, str, str, str, RuleKind | None]] = [
    # names that were changed, one for one
    ("nodes.determinism", "ef071ff05", "29", "nondeterministic", "non_deterministic", MAPPED),
    ("nodes.determinism", "ef071ff05", "29", "io_read", "io_read", MAPPED),
    ("nodes.determinism", "ef071ff05", "35cefe665", "nondeterministic", "nondeterministic", None),
    ("nodes.schema_mode", "df2fa70fb", "29", "strict", "fixed", MAPPED),
    ("nodes.schema_mode", "df2fa70fb", "29", "free", "flexible", MAPPED),
    ("nodes.schema_mode", "df2fa70fb", "29", "dynamic", "observed", MAPPED),
    ("nodes.schema_mode", "fe92ec710", "29", "dynamic", "observed", MAPPED),
    ("nodes.schema_mode", "fe92ec710", "29", "fixed", "fixed", MAPPED),
    ("nodes.schema_mode", "fe92ec710", "d8dc8821f", "dynamic", "dynamic", None),
    ("nodes.schema_mode", "fe92ec710", "264ab2cf5", "dynamic", "observed", MAPPED),
    ("nodes.schema_mode", "264ab2cf5", "29", "observed", "observed", None),
    ("nodes.schema_mode", "df2fa70fb", "fe92ec710", "dynamic", "dynamic", None),
    ("nodes.schema_mode", "29", "df2fa70fb", "observed", "dynamic", MAPPED),
    ("nodes.schema_mode", "29", "fe92ec710", "observed", "observed", None),
    ("validation_errors.schema_mode", "df2fa70fb", "29", "strict", "fixed", MAPPED),
    ("validation_errors.schema_mode", "df2fa70fb", "29", "parse", "parse", MAPPED),
    ("validation_errors.schema_mode", "29", "df2fa70fb", "flexible", "free", MAPPED),
    # words that the reader lacks
    ("runs.status", "29", "df2fa70fb", "completed_with_failures", "completed", NEUTRAL),
    ("runs.status", "29", "df2fa70fb", "interrupted", "failed", NEUTRAL),
    ("runs.status", "29", "264ab2cf5", "interrupted", "interrupted", NEUTRAL),
    ("runs.status", "29", "4f09fba88", "interrupted", "interrupted", NEUTRAL),
    ("runs.status", "29", "4f09fba88", "empty", "completed", NEUTRAL),
    ("runs.status", "29", "15818985a", "empty", "completed", NEUTRAL),
    ("runs.status", "15818985a", "4e8913ae6", "empty", "completed", NEUTRAL),
    ("runs.status", "29", "300e71b7d", "empty", "empty", None),
    ("runs.status", "29", "35cefe665", "empty", "empty", None),
    ("runs.status", "df2fa70fb", "29", "completed", "completed", None),
    ("node_states.status", "29", "07084c363", "pending", "open", NEUTRAL),
    ("node_states.status", "29", "1f057c081", "pending", "pending", None),
    ("edges.default_mode", "29", "f4f348de1", "divert", "move", NEUTRAL),
    ("edges.default_mode", "29", "f4f348de1", "copy", "copy", NEUTRAL),
    ("edges.default_mode", "29", "b5cd004c3", "divert", "divert", None),
    ("routing_events.mode", "29", "f4f348de1", "divert", "move", NEUTRAL),
    ("calls.call_type", "29", "f4f348de1", "http_redirect", "http", NEUTRAL),
    ("calls.call_type", "29", "f4f348de1", "vector", "sql", NEUTRAL),
    ("calls.call_type", "29", "427b07c18", "vector", "sql", NEUTRAL),
    ("calls.call_type", "29", "427b07c18", "http_redirect", "http_redirect", NEUTRAL),
    ("calls.call_type", "29", "a5705273e", "vector", "vector", None),
    ("nodes.node_type", "29", "e6f47bd9c", "queue", "transform", NEUTRAL),
    ("nodes.node_type", "29", "f13f418f8", "queue", "queue", None),
    ("scheduler_events.event_type", "17", "29", "restore_blocked", "mark_blocked", NEUTRAL),
    ("scheduler_events.event_type", "17", "29", "enqueue", "enqueue", NEUTRAL),
    ("scheduler_events.event_type", "17", "f4781d54a", "restore_blocked", "restore_blocked", None),
    # outcomes on one axis, for readers that lack the word
    ("token_outcomes.outcome", "4e8913ae6", "427b07c18", "diverted", "failed", NEUTRAL),
    ("token_outcomes.outcome", "4e8913ae6", "427b07c18", "dropped_by_filter", "completed", NEUTRAL),
    ("token_outcomes.outcome", "4e8913ae6", "4f09fba88", "diverted", "diverted", NEUTRAL),
    ("token_outcomes.outcome", "15818985a", "878f99942", "routed_on_error", "routed", NEUTRAL),
    ("token_outcomes.outcome", "15818985a", "427b07c18", "routed_on_error", "routed", NEUTRAL),
    ("token_outcomes.outcome", "15818985a", "15818985a", "diverted", "diverted", None),
]


@pytest.mark.parametrize(("target", "stored", "declared", "word", "seen", "kind"), WORDS)
def test_a_word_is_seen_as_the_reader_knows_it(
    target: str, stored: str, declared: str, word: str, seen: str, kind: RuleKind | None
) -> None:
    table, _, column = target.partition(".")
    assert seen_by(target, stored, declared, {table: [{column: word}]}) == [(seen, kind)]


# ADR-019: the word of one axis, the sink, the outcome and the path of two axes.
ADR_019: list[tuple[str, str | None, str | None, str | None]] = [
    ("completed", "out", "success", "default_flow"),
    ("routed", "out", "success", "gate_routed"),
    ("routed_on_error", "out", "failure", "on_error_routed"),
    ("dropped_by_filter", None, "success", "filter_dropped"),
    ("coalesced", None, "success", "coalesced"),
    ("failed", None, "failure", "unrouted"),
    ("quarantined", "out", "failure", "quarantined_at_source"),
    ("diverted", "__discard__", "failure", "sink_discarded"),
    ("diverted", "out", "transient", "sink_fallback_to_failsink"),
    ("forked", None, "transient", "fork_parent"),
    ("expanded", None, "transient", "expand_parent"),
    ("consumed_in_batch", None, "transient", "batch_consumed"),
    ("buffered", None, None, "buffered"),
    ("no such word", None, "no such word", None),
]
OUTCOMES = [
    {"token_id": str(number), "run_id": "r", "outcome": word, "sink_name": sink}
    for number, (word, sink, _, _) in enumerate(ADR_019)
]


def test_outcomes_get_two_axes_as_adr_019_has_it() -> None:
    rows = {"token_outcomes": OUTCOMES}
    outcomes = seen_by("token_outcomes.outcome", "15818985a", "29", rows)
    paths = seen_by("token_outcomes.path", "15818985a", "29", rows)
    assert outcomes == [(outcome, MAPPED) for _, _, outcome, _ in ADR_019]
    assert paths == [(path, MAPPED) for _, _, _, path in ADR_019]


@pytest.mark.parametrize("stored", ["3dd0e981e", "427b07c18", "15818985a"])
def test_routed_after_an_error_is_told_by_the_recorded_error(stored: str) -> None:
    routed = [
        {"token_id": name, "run_id": run, "outcome": "routed", "sink_name": "errors"}
        for name, run in (("here", "r"), ("elsewhere", "r"), ("other run", "s"), ("none", "r"))
    ]
    errors = [
        {"token_id": "here", "run_id": "r", "destination": "errors"},
        {"token_id": "elsewhere", "run_id": "r", "destination": "out"},
        {"token_id": "other run", "run_id": "r", "destination": "errors"},
    ]
    rows = {"token_outcomes": routed, "transform_errors": errors}
    seen = {
        column: [value for value, _ in seen_by(f"token_outcomes.{column}", stored, "29", rows)]
        for column in ("outcome", "path", "error_hash")
    }
    assert seen["outcome"] == ["failure", "success", "success", "success"]
    assert seen["path"] == ["on_error_routed", *["gate_routed"] * 3]
    assert seen["error_hash"] == ["", None, None, None]


def test_an_error_hash_that_was_recorded_stays() -> None:
    routed = {"token_id": "a", "run_id": "r", "outcome": "routed", "sink_name": "errors"}
    error = {"token_id": "a", "run_id": "r", "destination": "errors"}
    rows = {"token_outcomes": [{**routed, "error_hash": "f00d"}], "transform_errors": [error]}
    assert seen_by("token_outcomes.error_hash", "15818985a", "29", rows) == [("f00d", NEUTRAL)]


@pytest.mark.parametrize(
    ("declared", "lacked"),
    [
        ("3dd0e981e", {"diverted": "failed", "dropped_by_filter": "completed"}),
        ("427b07c18", {"diverted": "failed", "dropped_by_filter": "completed"}),
        ("4f09fba88", {"dropped_by_filter": "completed"}),
        ("878f99942", {}),
        ("4e8913ae6", {}),
        ("15818985a", {}),
    ],
)
def test_outcomes_go_back_to_one_axis_with_words_the_reader_has(
    declared: str, lacked: dict[str, str]
) -> None:
    known = [row for row in ADR_019 if row[3] is not None]
    paths = [{"path": path, "outcome": outcome} for _, _, outcome, path in known]
    paths.append({"path": "gate_discarded", "outcome": "success"})
    expected = [word for word, *_ in known] + ["dropped_by_filter"]
    lost = {"routed_on_error": "routed", **lacked}
    seen = seen_by("token_outcomes.outcome", "29", declared, {"token_outcomes": paths})
    assert seen == [(lost.get(word, word), NEUTRAL) for word in expected]


def test_outcomes_of_a_database_that_has_both_flags_are_left_alone() -> None:
    """Nobody knows which build wrote it, so its words are not touched."""
    newest = SHAPES[-1].shape
    outcomes = newest.table("token_outcomes")
    assert outcomes is not None
    both = replace(outcomes, columns=(*outcomes.columns, ColumnShape("is_terminal", "INTEGER")))
    stored = SchemaShape.of(*(t for t in newest if t is not outcomes), both)
    assert RULES.rule_for("token_outcomes", "outcome", stored, newest) is None


@pytest.mark.parametrize(
    ("target", "stored", "declared"),
    [
        ("token_outcomes.completed", "is_terminal", ("15818985a", "29")),
        ("token_outcomes.is_terminal", "completed", ("29", "f4f348de1")),
    ],
)
def test_the_flag_that_was_renamed_is_found_both_ways(
    target: str, stored: str, declared: tuple[str, str]
) -> None:
    rows = {"token_outcomes": [{stored: 1}, {stored: 0}]}
    assert seen_by(target, *declared, rows) == [(1, RENAMED), (0, RENAMED)]
