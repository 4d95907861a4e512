"""On real databases, what a rule derives is what builds of later days recorded themselves."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from landscape_compat.landscape.history import known_shapes, shape_named
from landscape_compat.landscape.rules import landscape_rules
from landscape_compat.projection.rules import Rule, RuleKind
from landscape_compat.schema.shape import SchemaShape
from support.corpus import copied, reading, require_corpus, stored_in, written_by
from support.seen import rule_sql
from support.untouched import untouched

NEWEST = known_shapes()[-1].shape


def _rules(target: str, *, replaces: bool) -> list[Rule]:
    return [r for r in landscape_rules() if r.target == target and r.replaces is replaces]


def _databases(*days: str) -> list[Path]:
    """List the real databases, or those that builds of some days wrote."""
    found = require_corpus()
    return [path for path in found if path.parent.name in days] if days else found


def _columns(connection: sqlite3.Connection, table: str, *columns: str) -> list[Any]:
    return list(connection.execute(f"SELECT {', '.join(columns)} FROM main.{table} AS t"))


# target, and how many recorded values there are at least
HELD = {
    "tokens.run_id": 1000,
    "node_states.run_id": 3000,
    "token_outcomes.run_id": 1500,
    "routing_events.run_id": 200,
    "token_parents.run_id": 30,
    "batch_members.run_id": 200,
    "rows.ingest_sequence": 250,
    "rows.source_row_index": 250,
    "nodes.output_contract_hash": 20,
    "runs.schema_contract_hash": 7,
    "runs.schema_contract_json": 7,
    "runs.seeded_from_cache": 30,
    "sink_effect_members.primary_effect_id": 40,
}


@pytest.fixture(scope="module")
def agreement() -> dict[str, Counter[bool]]:
    """Count, over every real database, where a rule's value is the recorded one and where not."""
    counted = {target: Counter[bool]() for target in HELD}
    rules = [
        rule
        for target in HELD
        for rule in _rules(target, replaces=False)
        if rule.kind is not RuleKind.ABSENT
    ]
    assert len(rules) == len(HELD)
    for database in _databases():
        with untouched(database), reading(database) as connection:
            stored = stored_in(connection)
            for rule in rules:
                if not all(stored.has(path) for path in {rule.target, *rule.stored}):
                    continue
                recorded = f"t.{rule.column}"
                for one, other in _columns(connection, rule.table, recorded, rule_sql(rule)):
                    counted[rule.target][one == other] += 1
    return counted


@pytest.mark.parametrize(("target", "at_least"), HELD.items())
def test_a_value_derived_where_it_is_recorded_too_is_the_recorded_one(
    agreement: dict[str, Counter[bool]], target: str, at_least: int
) -> None:
    assert agreement[target][False] == 0, agreement[target]
    assert agreement[target][True] >= at_least, agreement[target]


def _forgotten(database: Path, folder: Path, target: str, where: str) -> tuple[Path, list[Any]]:
    """Copy a database and make it forget values; give them, in the order of rows."""
    table, _, column = target.partition(".")
    copy = copied(database, folder)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("PRAGMA journal_mode=delete")
        recorded = [row[0] for row in _columns(connection, table, column)]
        connection.execute(f"UPDATE {table} SET {column} = NULL WHERE {where}")
        connection.commit()
    return copy, recorded


@pytest.mark.parametrize(
    ("target", "where", "days", "at_least"),
    [
        (
            "token_outcomes.sink_name",
            "outcome = 'completed' AND sink_name IS NOT NULL",
            (
                "2026-01-25_b5f3f5047",
                "2026-01-27_0cc2a3bb9",
                "2026-01-29_01f107d91",
                "2026-02-03_aa555c7cb",
                "2026-02-03_fe92ec710",
                "2026-03-01_427b07c18",
                "2026-04-02_4f09fba88",
                "2026-04-21_878f99942",
                "2026-04-23_4e8913ae6",
            ),
            150,
        ),
        (
            "token_outcomes.batch_id",
            "outcome IN ('consumed_in_batch', 'buffered') AND batch_id IS NOT NULL",
            (
                "2026-01-27_0cc2a3bb9",
                "2026-01-29_01f107d91",
                "2026-02-03_aa555c7cb",
                "2026-03-01_427b07c18",
                "2026-04-02_4f09fba88",
                "2026-04-21_878f99942",
                "2026-04-23_4e8913ae6",
            ),
            150,
        ),
    ],
)
def test_a_value_that_a_database_is_made_to_forget_is_found_again(
    tmp_path: Path, target: str, where: str, days: tuple[str, ...], at_least: int
) -> None:
    table, _, column = target.partition(".")
    (rule,) = _rules(target, replaces=True)
    found = 0
    for database in _databases(*days):
        copy, recorded = _forgotten(database, tmp_path, target, where)
        with untouched(copy), reading(copy) as connection:
            rows = _columns(connection, table, f"t.{column}", rule_sql(rule))
        assert [derived for _, derived in rows] == recorded, database
        found += sum(stored is None and derived is not None for stored, derived in rows)
    assert found >= at_least


def test_the_outcomes_of_early_builds_get_the_sinks_and_batches_they_lack() -> None:
    lacking = Counter[str]()
    for database in _databases("2026-01-23_1f057c081", "2026-01-25_b5f3f5047"):
        with untouched(database), reading(database) as connection:
            stored = stored_in(connection)
            for column, where in (
                ("sink_name", "t.outcome = 'completed'"),
                ("batch_id", "t.outcome = 'consumed_in_batch'"),
            ):
                rule = landscape_rules().rule_for("token_outcomes", column, stored, NEWEST)
                if rule is None:
                    continue
                found = connection.execute(
                    f"SELECT t.{column}, {rule_sql(rule)} FROM token_outcomes AS t WHERE {where}"
                )
                for recorded, derived in found:
                    assert derived is not None, (database, column)
                    assert recorded in (None, derived)
                    lacking[column] += recorded is None
    assert lacking["sink_name"] > 0, lacking
    assert lacking["batch_id"] > 0, lacking


def _outcomes(
    database: Path, declared: SchemaShape, *columns: str
) -> tuple[Counter[tuple[Any, ...]], int]:
    """Count the outcomes of a database as a reader sees them, and how many are mapped."""
    with untouched(database), reading(database) as connection:
        stored = stored_in(connection)
        shown, mapped = [], 0
        for column in columns:
            rule = landscape_rules().rule_for("token_outcomes", column, stored, declared)
            mapped += rule is not None
            shown.append(rule_sql(rule) if rule else f"t.{column}")
        return Counter(map(tuple, _columns(connection, "token_outcomes", *shown))), mapped


EXAMPLES = (
    "audit_export",
    "batch_aggregation",
    "checkpoint_resume",
    "deaggregation",
    "error_routing",
    "fork_coalesce",
    "json_explode",
)


@pytest.mark.parametrize("example", EXAMPLES)
def test_outcomes_mapped_to_two_axes_are_what_the_next_build_recorded(example: str) -> None:
    """The same pipeline, run by the last build before ADR-019 and by the first ones after."""
    before, after = (
        database
        for database in _databases("2026-04-23_4e8913ae6", "2026-05-13_300e71b7d")
        if database.stem == example
    )
    columns = ("completed", "outcome", "path", "sink_name")
    mapped, rules = _outcomes(before, NEWEST, *columns)
    recorded, none = _outcomes(after, shape_named("3ada705b4").shape, *columns)
    assert (rules, none) == (3, 0)
    assert mapped == recorded
    assert mapped.total() > 0


@pytest.mark.parametrize("example", EXAMPLES)
def test_outcomes_read_back_to_one_axis_are_what_the_build_before_recorded(example: str) -> None:
    before, after = (
        database
        for database in _databases("2026-04-23_4e8913ae6", "2026-05-13_300e71b7d")
        if database.stem == example
    )
    columns = ("is_terminal", "outcome", "sink_name")
    reader = shape_named("4e8913ae6").shape
    recorded, none = _outcomes(before, reader, *columns)
    mapped, rules = _outcomes(after, reader, *columns)
    assert (rules, none) == (2, 0)
    assert mapped == recorded
    assert mapped.total() > 0


@pytest.mark.parametrize(
    "example", ["audit_export", "batch_aggregation", "deaggregation", "json_explode"]
)
def test_schema_modes_are_mapped_to_what_the_build_of_the_same_day_recorded(example: str) -> None:
    """The words changed between two builds of 2026-02-03."""
    seen = {}
    for database in _databases("2026-02-03_aa555c7cb", "2026-02-03_fe92ec710"):
        if database.stem != example:
            continue
        with untouched(database), reading(database) as connection:
            stored = stored_in(connection)
            rule = landscape_rules().rule_for("nodes", "schema_mode", stored, NEWEST)
            assert rule is not None
            shown = _columns(connection, "nodes", "t.plugin_name", "t.schema_mode", rule_sql(rule))
            seen[written_by(database)[1]] = (
                Counter((plugin, mode) for plugin, _, mode in shown),
                Counter((plugin, mode) for plugin, mode, _ in shown),
            )
    (mapped, old_words), (unchanged, new_words) = seen["aa555c7cb"], seen["fe92ec710"]
    assert mapped == unchanged == new_words
    assert mapped != old_words


READERS = ("84d296d5b", "15818985a", "4f09fba88", "427b07c18", "f4f348de1", "df2fa70fb")


def test_every_rule_that_fires_on_a_real_database_can_be_read() -> None:
    read = 0
    for folder in {path.parent for path in require_corpus()}:
        database = min(folder.glob("*.db"))
        with untouched(database), reading(database) as connection:
            stored = stored_in(connection)
            readers = [shape_named(reader).shape for reader in READERS]
            for rule in landscape_rules():
                if any(rule.fires(stored, reader) for reader in readers):
                    _columns(connection, rule.table, rule_sql(rule))
                    read += 1
    assert read > 500
