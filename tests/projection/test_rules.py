"""A rule says what it is owed to and when it fires; a set of rules never contradicts itself."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa

from landscape_compat.errors import RuleError
from landscape_compat.projection.rules import (
    Rule,
    RuleKind,
    RuleSet,
    absent,
    columns_read,
    derived,
    mapped,
    neutral,
    renamed,
)
from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape

TOKENS = sa.table("tokens", sa.column("token_id"), sa.column("row_id"), sa.column("n"))
ROWS = sa.table("rows", sa.column("row_id"), sa.column("run_id"))
RUN_OF_ROW = sa.select(ROWS.c.run_id).where(ROWS.c.row_id == TOKENS.c.row_id)


def schema(**tables: str) -> SchemaShape:
    return SchemaShape.of(
        *(
            TableShape(name, tuple(ColumnShape(column, "TEXT") for column in columns.split()))
            for name, columns in tables.items()
        )
    )


DECLARED = schema(tokens="token_id row_id run_id label", rows="row_id run_id")
STORED = schema(tokens="token_id row_id", rows="row_id run_id")


# --- making them ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "kind", "stored"),
    [
        (absent("tokens.label"), RuleKind.ABSENT, ()),
        (renamed("tokens.label", "old"), RuleKind.RENAMED, ("tokens", "tokens.old")),
        (
            derived("tokens.run_id", RUN_OF_ROW),
            RuleKind.DERIVED,
            ("tokens", "tokens.row_id", "rows", "rows.row_id", "rows.run_id"),
        ),
        (
            mapped("tokens.label", sa.case((TOKENS.c.n == 1, "one"))),
            RuleKind.MAPPED,
            ("tokens", "tokens.n"),
        ),
        (neutral("tokens.label", sa.literal("x")), RuleKind.NEUTRAL, ()),
    ],
    ids=lambda value: value.kind.value if isinstance(value, Rule) else "",
)
def test_a_rule_needs_what_it_reads(rule: Rule, kind: RuleKind, stored: tuple[str, ...]) -> None:
    assert rule.kind is kind
    assert rule.stored - {"tokens", "rows"} == set(stored) - {"tokens", "rows"}
    assert rule.stored <= set(stored)
    assert not rule.replaces
    assert rule.target == f"tokens.{rule.column}"


def test_what_is_read_through_an_alias_is_needed_too() -> None:
    other = TOKENS.alias("other")
    rule = derived("tokens.label", sa.select(sa.func.max(other.c.n)).where(other.c.n < TOKENS.c.n))
    assert {"tokens.n"} <= rule.stored


def test_a_select_of_rows_alone_needs_its_table() -> None:
    assert "rows" in columns_read(sa.select(sa.func.count()).select_from(ROWS).scalar_subquery())


def test_a_mapping_replaces_and_reads_the_column_itself() -> None:
    rule = mapped("tokens.label", {"a": "b", None: "none", "c": None})
    assert rule.replaces
    assert rule.stored >= {"tokens.label"}
    assert rule.expression is not None
    text = str(rule.expression.compile(compile_kwargs={"literal_binds": True}))
    assert text == (
        "CASE WHEN (tokens.label = 'a') THEN 'b' WHEN (tokens.label IS NULL) THEN 'none' "
        "WHEN (tokens.label = 'c') THEN NULL ELSE tokens.label END"
    )


def test_one_path_or_several_may_be_given() -> None:
    rule = absent("tokens.label", not_stored="rows", declared=("rows", "rows.run_id"))
    assert rule.not_stored == {"rows"}
    assert rule.declared == {"rows", "rows.run_id"}


@pytest.mark.parametrize("target", ["tokens", "", ".", "tokens.", ".label"])
def test_a_target_names_a_table_and_a_column(target: str) -> None:
    with pytest.raises(RuleError, match=re.escape("`table.column`")):
        absent(target)


@pytest.mark.parametrize("stored_as", ["label", "LABEL"])
def test_a_column_is_not_renamed_to_itself(stored_as: str) -> None:
    with pytest.raises(RuleError, match=r"tokens\.label renames the column to itself"):
        renamed("tokens.label", stored_as)


def test_a_column_is_renamed_from_one_that_has_a_name() -> None:
    with pytest.raises(RuleError, match=r"The rule for tokens\.label names no stored column"):
        renamed("tokens.label", "")


@pytest.mark.parametrize("make", [derived, mapped, neutral])
def test_a_value_is_built_with_sqlalchemy(make: Any) -> None:
    """A text would have to be guessed at: it may be meant as SQL, or as itself."""
    with pytest.raises(RuleError, match=r"tokens\.label has a str for its value") as caught:
        make("tokens.label", "lower(name)")
    assert "literal(...)" in (caught.value.remedy or "")


def test_a_name_that_only_unicode_takes_for_the_same_is_another() -> None:
    assert renamed("tokens.k", "\u212a").kind is RuleKind.RENAMED


@pytest.mark.parametrize("spelled", ["tokens", "TOKENS"])
@pytest.mark.parametrize("make", [derived, mapped, neutral])
def test_a_rule_does_not_read_what_it_gives(make: Any, spelled: str) -> None:
    own = sa.table(spelled, sa.column("label"), sa.column("n"))
    with pytest.raises(RuleError, match=r"reads tokens\.label, which is not stored"):
        make("tokens.label", sa.func.coalesce(own.c.n, own.c.label))


def test_a_rule_that_replaces_a_column_may_read_it() -> None:
    own = sa.table("tokens", sa.column("label"))
    assert mapped("tokens.label", sa.func.lower(own.c.label), replaces=True).replaces


def test_an_empty_mapping_is_refused() -> None:
    with pytest.raises(RuleError, match="maps no value"):
        mapped("tokens.label", {})


def test_a_select_of_several_columns_is_refused() -> None:
    with pytest.raises(RuleError, match="not just one column"):
        derived("tokens.label", sa.select(ROWS.c.row_id, ROWS.c.run_id))


def test_a_parameter_without_a_value_is_refused() -> None:
    """It would be written out as NULL."""
    with pytest.raises(RuleError, match="parameter without a value"):
        derived("tokens.label", sa.func.coalesce(TOKENS.c.n, sa.bindparam("n")))
    assert neutral("tokens.label", sa.bindparam("n", 7)).kind is RuleKind.NEUTRAL


@pytest.mark.parametrize(
    "expression",
    [
        sa.func.max(TOKENS.c.n),
        sa.func.count(),
        sa.func.COUNT(TOKENS.c.n),
        sa.func.group_concat(TOKENS.c.n, ","),
        sa.func.coalesce(sa.func.sum(TOKENS.c.n), 0),
        sa.case((TOKENS.c.n == 1, sa.func.min(TOKENS.c.n)), else_=0),
        sa.func.row_number().over(order_by=TOKENS.c.n),
        sa.func.count(TOKENS.c.n).filter(TOKENS.c.n > 1),
        sa.func.percentile_cont(0.5).within_group(TOKENS.c.n),
        sa.select(sa.func.max(TOKENS.c.n)),
        sa.select(sa.func.max(TOKENS.c.n)).select_from(ROWS),
        sa.select(sa.func.sum(sa.func.abs(TOKENS.c.n))).select_from(ROWS),
    ],
    ids=str,
)
def test_what_would_make_one_row_of_many_is_refused(expression: Any) -> None:
    """An aggregate over nothing but the row in hand is the projection's own."""
    with pytest.raises(RuleError, match="the other rows would be lost"):
        derived("tokens.label", expression)


@pytest.mark.parametrize(
    "expression",
    [
        sa.func.max(TOKENS.c.n, 5),
        sa.func.min(TOKENS.c.n, TOKENS.c.row_id),
        sa.select(sa.func.max(ROWS.c.run_id)).where(ROWS.c.row_id == TOKENS.c.row_id),
        sa.select(sa.func.count()).select_from(ROWS),
        sa.select(sa.case((sa.func.count() == 1, sa.func.min(ROWS.c.run_id)))),
        sa.select(sa.func.max(ROWS.c.run_id + TOKENS.c.n)),
        sa.select(sa.func.rank().over(order_by=ROWS.c.run_id)).limit(1),
        sa.select(sa.func.max(TOKENS.c.n).over()).select_from(ROWS).limit(1),
        sa.func.maximum(TOKENS.c.n),
    ],
    ids=str,
)
def test_what_takes_rows_of_others_together_is_fine(expression: Any) -> None:
    assert derived("tokens.label", expression).kind is RuleKind.DERIVED


# --- firing ---------------------------------------------------------------------------------------


def test_it_fires_where_its_column_is_declared_and_not_stored() -> None:
    assert absent("tokens.label").fires(STORED, DECLARED)


@pytest.mark.parametrize(
    ("stored", "declared"),
    [
        (schema(rows="row_id"), DECLARED),
        (DECLARED, DECLARED),
        (STORED, STORED),
        (STORED, schema(rows="label")),
        (schema(tokens="LABEL"), DECLARED),
    ],
    ids=["no table", "stored", "not declared", "table not declared", "in another case"],
)
def test_it_does_not_fire(stored: SchemaShape, declared: SchemaShape) -> None:
    assert not absent("tokens.label").fires(stored, declared)


def test_letter_case_does_not_matter() -> None:
    rule = absent("TOKENS.Label", stored="ROWS.Run_ID", declared="Tokens", not_stored="RUNS")
    assert rule.fires(STORED, DECLARED)


@pytest.mark.parametrize(
    "conditions",
    [
        {"stored": "rows.label"},
        {"stored": ("rows", "runs")},
        {"not_stored": "rows.run_id"},
        {"not_stored": "rows"},
        {"declared": "runs"},
        {"declared": ("tokens", "rows.label")},
        {"not_declared": "rows.run_id"},
        {"not_declared": "rows"},
    ],
    ids=str,
)
def test_every_condition_must_hold(conditions: dict[str, Any]) -> None:
    assert not absent("tokens.label", **conditions).fires(STORED, DECLARED)


def test_a_rule_that_replaces_fires_where_its_column_is_stored() -> None:
    rule = mapped("rows.run_id", {"a": "b"})
    assert rule.fires(STORED, DECLARED)
    assert not rule.fires(schema(rows="row_id"), DECLARED)
    assert not rule.fires(STORED, schema(rows="row_id"))


def test_a_derived_column_whose_source_is_not_stored_does_not_fire() -> None:
    rule = derived("tokens.run_id", RUN_OF_ROW)
    assert rule.fires(STORED, DECLARED)
    assert not rule.fires(schema(tokens="token_id row_id"), DECLARED)
    assert not rule.fires(schema(tokens="token_id", rows="row_id run_id"), DECLARED)


# --- sets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (absent("tokens.label"), neutral("tokens.label", sa.literal("x"))),
        (absent("tokens.label"), absent("TOKENS.Label")),
        (absent("tokens.label"), renamed("tokens.label", "old")),
        (absent("tokens.a", not_stored="rows"), absent("tokens.a", not_stored=["rows"])),
        (mapped("tokens.a", {1: 2}), mapped("tokens.a", {2: 3})),
    ],
)
def test_two_rules_for_one_column_under_the_same_conditions_are_refused(
    one: Rule, other: Rule
) -> None:
    with pytest.raises(RuleError, match="under the same conditions") as caught:
        RuleSet([one, other])
    assert (caught.value.table, caught.value.column) == (other.table, other.column)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (absent("tokens.a"), absent("tokens.b")),
        (absent("tokens.a"), absent("rows.a")),
        (absent("tokens.a", not_stored="rows"), absent("tokens.a", not_stored="runs")),
        (absent("tokens.a", declared="rows"), absent("tokens.a", not_declared="rows")),
        (absent("tokens.a"), mapped("tokens.a", {1: 2})),
    ],
)
def test_rules_under_different_conditions_live_together(one: Rule, other: Rule) -> None:
    assert list(RuleSet([one, other])) == [one, other]
    assert len(RuleSet([one, other])) == 2


def test_the_one_rule_that_fires_is_found() -> None:
    one = absent("tokens.label", not_stored="runs")
    other = renamed("tokens.label", "old", not_stored="rows")
    found = RuleSet([one, other])
    assert found.rule_for("TOKENS", "Label", STORED, DECLARED) is one
    assert found.rule_for("tokens", "label", schema(tokens="OLD", runs="a"), DECLARED) is other
    assert found.rule_for("tokens", "label", schema(tokens="a", runs="a"), DECLARED) is None
    assert found.rule_for("rows", "label", STORED, DECLARED) is None
    exact = SchemaShape.of(*STORED, exact=True)
    assert found.rule_for("tokens", "label", exact, DECLARED) is one
    assert found.rule_for("TOKENS", "Label", exact, DECLARED) is None


def test_two_rules_that_fire_at_once_are_refused_when_it_comes_to_that() -> None:
    found = RuleSet(
        [absent("tokens.label", not_stored="runs"), absent("tokens.label", declared="rows")]
    )
    with pytest.raises(RuleError, match="2 rules give this column a value") as caught:
        found.rule_for("tokens", "label", STORED, DECLARED)
    assert (caught.value.table, caught.value.column) == ("tokens", "label")


def test_a_column_is_essential_if_any_of_its_rules_says_so() -> None:
    found = RuleSet(
        [
            absent("tokens.run_id", not_stored="rows"),
            derived("tokens.run_id", RUN_OF_ROW, essential=True),
            absent("tokens.label"),
        ]
    )
    assert found.is_essential("Tokens", "RUN_ID")
    assert not found.is_essential("tokens", "label")
    assert not found.is_essential("rows", "run_id")


def test_there_may_be_no_rules() -> None:
    assert len(RuleSet()) == 0
    assert RuleSet().rule_for("tokens", "label", STORED, DECLARED) is None
