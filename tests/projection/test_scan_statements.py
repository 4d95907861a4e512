"""The scanner gives every adversarial statement the verdict it is owed."""

from __future__ import annotations

import re

import pytest

from landscape_compat.projection.scan import Effect, scan_statement
from landscape_compat.projection.tokens import POSTGRESQL, SQLITE
from projection.statements import STATEMENTS, Statement

_SYNTAX = {"sqlite": SQLITE, "postgresql": POSTGRESQL}


@pytest.mark.parametrize(
    "statement", STATEMENTS, ids=lambda statement: f"{statement.dialect}: {statement.id}"
)
def test_a_statement_gets_its_verdict(statement: Statement) -> None:
    """All that is asked of one statement, compared at once; what nobody asks is left out."""
    scan = scan_statement(statement.sql, _SYNTAX[statement.dialect])
    flags = {"star": scan.has_star, "natural": scan.has_natural, "outer": scan.has_outer_join}
    found = {
        "effect": scan.effect,
        "verb": scan.verb,
        "overlooked": statement.has - scan.names,
        "mistaken for names": statement.lacks & scan.names,
        "insert_at": scan.insert_at,
        "qualified": tuple((q.start, q.end, q.schema, q.table) for q in scan.qualified),
        "flags": {flag for flag, holds in flags.items() if holds},
        "multiple": scan.multiple,
    }
    owed: dict[str, object] = {
        "effect": statement.effect,
        "verb": statement.verb,
        "overlooked": frozenset(),
        "mistaken for names": frozenset(),
    }
    for asked in ("insert_at", "qualified", "flags", "multiple"):
        if getattr(statement, asked) is not None:
            owed[asked] = getattr(statement, asked)
    if statement.effect in (Effect.READS, Effect.WRITES):
        found["own_ctes"], owed["own_ctes"] = scan.own_ctes, statement.own_ctes
    if statement.effect is Effect.READS:
        found["with_end"], owed["with_end"] = scan.with_end, statement.with_end
    assert {asked: found[asked] for asked in owed} == owed
    assert 0 <= scan.insert_at <= len(statement.sql)


@pytest.mark.parametrize(
    "right",
    [
        "marks",
        "'marks'",
        '"Marks"',
        "main.marks",
        "[main] . `marks`",
        "/* ( */marks",
        "main.'marks'",
        "'MARKS'",
    ],
)
@pytest.mark.parametrize("operator", ["IN", "NOT IN", "in/**/"])
def test_a_table_after_in_is_read_whole(operator: str, right: str) -> None:
    scan = scan_statement(f"SELECT token_id {operator} {right}, n FROM tokens, rows")
    assert scan.operands == {"marks"}
    assert scan.sources == {"marks", "tokens", "rows"}


@pytest.mark.parametrize("right", ["('marks')", "(marks)", "(SELECT 1)", "(1, marks)", "()"])
def test_a_list_after_in_is_no_table(right: str) -> None:
    assert scan_statement(f"SELECT token_id IN {right} FROM tokens").operands == frozenset()


@pytest.mark.parametrize(
    ("sql", "bodies"),
    [
        ("WITH a AS (¦SELECT 1), b(n) AS MATERIALIZED (¦VALUES (1)) SELECT 1", "ab"),
        ("WITH a AS (WITH¦ b AS (SELECT 1) TABLE b) SELECT 1", "a"),
        ("WITH RECURSIVE a AS (SELECT 1) SELECT 1", ""),
        ("(WITH a AS (SELECT 1) SELECT 1)", ""),
    ],
)
def test_where_a_table_of_the_same_name_is_meant_by_it(sql: str, bodies: str) -> None:
    """In the body of a common table expression of PostgreSQL's that is not recursive."""
    marks = [at - number for number, at in enumerate(m.start() for m in re.finditer("¦", sql))]
    found = scan_statement(sql.replace("¦", ""), POSTGRESQL).bodies
    assert "".join(body.name for body in found) == bodies
    assert [body.with_end or body.start for body in found] == marks


@pytest.mark.parametrize(("doubles", "name"), [(True, "50%"), (False, "50%%")])
def test_a_percent_sign_is_doubled_in_a_name_where_the_driver_wants_it(
    doubles: bool, name: str
) -> None:
    syntax = POSTGRESQL._replace(doubles_percent=doubles)
    assert scan_statement('SELECT 1 FROM "50%%"', syntax).sources == {name}
