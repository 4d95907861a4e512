"""A plan has a projection for each table that needs one, and says what cannot be read."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    String,
    Table,
    column,
    literal,
    make_url,
    select,
    table,
)

from landscape_compat.errors import AttachError, RuleError
from landscape_compat.projection.plan import make_plan
from landscape_compat.projection.rules import (
    RuleKind,
    RuleSet,
    absent,
    derived,
    mapped,
    neutral,
    renamed,
)
from landscape_compat.schema.shape import SchemaShape
from support.planned import plan_for

ROWS, TOKENS = table("rows", column("row_id"), column("run_id")), table("tokens", column("row_id"))
OWNER = select(ROWS.c.run_id).where(ROWS.c.row_id == TOKENS.c.row_id)


def declare(*columns: str, key: str = "token_id") -> MetaData:
    metadata = MetaData()
    Table("rows", metadata, Column("row_id", String, primary_key=True), Column("run_id", String))
    Table("tokens", metadata, *(Column(c, String, primary_key=c == key) for c in columns))
    return metadata


@pytest.fixture
def stored(empty: sqlite3.Connection) -> sqlite3.Connection:
    empty.executescript(
        "CREATE TABLE rows (row_id VARCHAR NOT NULL PRIMARY KEY, run_id VARCHAR);"
        "CREATE TABLE tokens (token_id VARCHAR NOT NULL PRIMARY KEY, row_id VARCHAR, old VARCHAR);"
    )
    return empty


def kinds(plan_columns: object) -> dict[str, RuleKind]:
    return {c.column.name: c.kind for c in plan_columns}  # type: ignore[attr-defined]


def test_what_is_stored_as_declared_needs_no_projection(stored: sqlite3.Connection) -> None:
    """Extra columns and other names of letters make no difference."""
    plan = plan_for(stored, declare("TOKEN_ID", "row_id", key="TOKEN_ID"))
    assert not plan.projections
    assert not plan.is_degraded


def test_each_missing_column_gets_its_rule_or_null(stored: sqlite3.Connection) -> None:
    """Where no rule says anything, the column is absent; every kind is kept."""
    rules = [
        derived("tokens.run_id", OWNER),
        renamed("tokens.new", "old"),
        neutral("tokens.mode", literal("x")),
        absent("tokens.label"),
    ]
    metadata = declare("token_id", "row_id", "run_id", "new", "mode", "label", "other")
    plan = plan_for(stored, metadata, rules)
    assert list(plan.projections) == ["tokens"]
    assert kinds(plan.projections["tokens"].columns) == {
        "run_id": RuleKind.DERIVED,
        "new": RuleKind.RENAMED,
        "mode": RuleKind.NEUTRAL,
        "label": RuleKind.ABSENT,
        "other": RuleKind.ABSENT,
    }
    assert plan.is_degraded


def test_a_value_rule_projects_a_table_that_lacks_nothing(stored: sqlite3.Connection) -> None:
    """Values of another era make a table degraded though every column is there."""
    plan = plan_for(stored, declare("token_id", "old"), [mapped("tokens.old", {"a": "b"})])
    assert [c.replaces for c in plan.projections["tokens"].columns] == [True]
    assert plan.is_degraded


def test_a_missing_table_is_projected_and_a_fresh_database_is_not_degraded(
    empty: sqlite3.Connection,
) -> None:
    """Some declared tables missing is degraded; all of them missing is fresh."""
    metadata = declare("token_id")
    assert not plan_for(empty, metadata).is_degraded
    empty.execute("CREATE TABLE rows (row_id VARCHAR NOT NULL PRIMARY KEY, run_id VARCHAR)")
    plan = plan_for(empty, metadata)
    assert plan.is_degraded
    assert plan.projections["tokens"].stored is None


def test_a_changed_class_of_type_is_degraded_and_a_length_is_not(empty: sqlite3.Connection) -> None:
    """What holds another kind of value counts; what holds less of it is only noted."""
    metadata = MetaData()
    Table("t", metadata, Column("a", Integer), Column("b", String(64)))
    empty.execute("CREATE TABLE t (a INTEGER, b VARCHAR(8))")
    assert not plan_for(empty, metadata).is_degraded
    empty.execute("DROP TABLE t")
    empty.execute("CREATE TABLE t (a TEXT, b VARCHAR(8))")
    plan = plan_for(empty, metadata)
    assert plan.is_degraded
    assert not plan.projections
    assert [c.name for c in plan.drift("T").changed_types] == ["a"]


@pytest.mark.parametrize("how", ["no rule fires", "the rule says absent"])
def test_an_essential_column_is_derived_or_refused(stored: sqlite3.Connection, how: str) -> None:
    """A column that readers filter on is never shown as NULL."""
    rule = derived("tokens.run_id", OWNER, essential=True)
    metadata = declare("token_id", "row_id", "run_id")
    (fine,) = plan_for(stored, metadata, [rule]).projections["tokens"].columns
    assert fine.refusal is None
    if how == "no rule fires":
        stored.execute("ALTER TABLE rows RENAME COLUMN run_id TO other")
    else:
        rule = absent("tokens.run_id", essential=True)
    (refused,) = plan_for(stored, metadata, [rule]).projections["tokens"].columns
    assert "lose records" in (refused.refusal or "")


def test_a_table_without_any_of_its_key_is_refused(stored: sqlite3.Connection) -> None:
    """An ORM drops rows without a key silently; a rule for the key lifts the refusal."""
    metadata = declare("key", "row_id", key="key")
    (refused,) = plan_for(stored, metadata).projections["tokens"].columns
    assert "primary key" in (refused.refusal or "")
    (fine,) = (
        plan_for(stored, metadata, [renamed("tokens.key", "token_id")])
        .projections["tokens"]
        .columns
    )
    assert fine.refusal is None


def test_part_of_a_key_is_enough(empty: sqlite3.Connection) -> None:
    """With some of its key stored, a row still has an identity."""
    metadata = MetaData()
    Table(
        "t",
        metadata,
        Column("a", Integer, primary_key=True),
        Column("b", Integer, primary_key=True),
    )
    empty.execute("CREATE TABLE t (a INTEGER NOT NULL PRIMARY KEY)")
    assert [c.refusal for c in plan_for(empty, metadata).projections["t"].columns] == [None]


def test_two_rules_that_fire_are_refused(stored: sqlite3.Connection) -> None:
    """One column gets its value from one rule."""
    rules = [renamed("tokens.new", "old"), absent("tokens.new", stored="rows", not_stored="x")]
    with pytest.raises(RuleError, match="2 rules"):
        plan_for(stored, declare("token_id", "new"), rules)


def test_the_alias_is_no_name_in_use(empty: sqlite3.Connection) -> None:
    """Tables named as the projection's own alias would be, and aliases of rules, are passed by."""
    metadata = MetaData()
    Table("t", metadata, Column("id", Integer, primary_key=True), Column("x", String))
    t, other = table("t", column("id")), table("rows", column("id"), column("x")).alias("t1")
    rule = derived("t.x", select(other.c.x).where(other.c.id == t.c.id))
    empty.executescript(
        "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY); CREATE TABLE rows (id INTEGER, x TEXT);"
        "INSERT INTO t VALUES (1); INSERT INTO rows VALUES (1, 'seen');"
    )
    projection = plan_for(empty, metadata, [rule]).projections["t"]
    assert projection.alias == "t2"
    cte = projection.render("t", frozenset(), everything=True)
    assert empty.execute(f"WITH {cte} SELECT x FROM t").fetchall() == [("seen",)]


def test_a_dialect_that_cannot_be_scanned_is_refused() -> None:
    """Statements whose rules are not known are not guessed at."""
    dialect = make_url("oracle://").get_dialect()()
    with pytest.raises(AttachError, match="oracle"):
        make_plan(SchemaShape(), SchemaShape(), RuleSet(), dialect, "main")


def test_an_undeclared_table_has_no_drift(stored: sqlite3.Connection) -> None:
    """Asked for a table that nobody declares, a plan says so."""
    with pytest.raises(KeyError):
        plan_for(stored, declare("token_id")).drift("nothing")
