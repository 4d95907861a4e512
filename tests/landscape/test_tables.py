"""What is said of the host's tables agrees with every known shape, and leaves no table out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from landscape_compat.landscape.history import foreign_keys, known_shapes
from landscape_compat.landscape.tables import (
    AFTER_HOST,
    HOST_ORDER,
    RUNS,
    TABLES,
    Branch,
    RecordTable,
    facts_for,
)

SHAPES = known_shapes()
NAMES = {table.name for known in SHAPES for table in known.shape}
COLUMNS = {path for known in SHAPES for path in known.paths}


def branches(*roots: Branch) -> Iterator[Branch]:
    for root in roots:
        yield root
        yield from branches(*root.below)


def test_every_table_that_ever_was_is_there_once() -> None:
    assert sorted(facts.table for facts in TABLES) == sorted(NAMES)
    types = [facts.record_type for facts in TABLES]
    assert len(set(types)) == len(types)


@pytest.mark.parametrize("facts", TABLES, ids=lambda facts: facts.table)
def test_every_column_named_is_one_that_a_shape_has(facts: RecordTable) -> None:
    named = {*facts.key, *facts.order, *facts.nulls_last}
    for link in facts.links:
        named |= {name for name in (link.key, link.unless, link.indexed_after) if name}
        assert f"{link.parent}.{link.parent_key}" in COLUMNS
    assert {f"{facts.table}.{name}" for name in named} <= COLUMNS
    assert facts.nulls_last <= set(facts.order)


@pytest.mark.parametrize("facts", TABLES, ids=lambda facts: facts.table)
def test_the_key_names_a_row_in_every_shape_and_the_order_ends_in_it(facts: RecordTable) -> None:
    """Siblings share what they belong to, so the rest of the key must settle their order."""
    for known in SHAPES:
        table = known.shape.table(facts.table)
        if table is None:
            continue
        stored = {column.name for column in table.columns if column.primary_key}
        assert stored <= set(facts.key)
        assert set(facts.key) <= set(table.column_names) | {"run_id"}
    shared = {link.key for link in facts.links}
    assert set(facts.key) - shared <= set(facts.order) | {"run_id"}


@pytest.mark.parametrize("facts", TABLES, ids=lambda facts: facts.table)
def test_every_link_is_a_foreign_key_of_the_host(facts: RecordTable) -> None:
    ties = {
        (own, key.table, its)
        for known in SHAPES
        for key in foreign_keys(known).get(facts.table, ())
        for own, its in zip(key.columns, key.references, strict=True)
    }
    for link in facts.links:
        # What names a token by its run has that run too.
        through = {(link.key, table, link.parent_key) for table in (link.parent, "tokens")}
        assert ties & through


def test_every_table_that_belongs_to_a_run_has_its_place_in_a_runs_records() -> None:
    placed = [branch.table for branch in branches(*HOST_ORDER, *AFTER_HOST)]
    belonging = [facts.table for facts in TABLES if facts.links]
    assert set(placed) == set(belonging)
    # A call belongs to an operation or to a node state; everything else has one place.
    assert sorted(placed) == sorted([*belonging, "calls"])


def test_a_branch_hangs_where_its_table_links_to() -> None:
    for branch in branches(*HOST_ORDER):
        for below in branch.below:
            facts = facts_for(below.table)
            assert facts is not None
            assert branch.table in {link.parent for link in facts.links}


def test_there_are_17_tables_that_the_host_never_exports() -> None:
    exported = {branch.table for branch in branches(*HOST_ORDER)} | {RUNS}
    assert len(NAMES - exported) == 17
    assert {branch.table for branch in AFTER_HOST} <= NAMES - exported


def test_facts_are_found_by_the_folded_name_and_not_at_all_for_other_tables() -> None:
    facts = facts_for("Token_Outcomes")
    assert facts is not None
    assert facts.record_type == "token_outcome"
    assert facts_for("rollback_attestations") is None
