"""The scanner gives every adversarial statement the verdict it is owed."""

from __future__ import annotations

import functools

import pytest

from landscape_compat.projection.scan import Effect, StatementScan, scan_statement
from landscape_compat.projection.tokens import POSTGRESQL, SQLITE
from projection.statements import STATEMENTS, Statement

_SYNTAX = {"sqlite": SQLITE, "postgresql": POSTGRESQL}

every_statement = pytest.mark.parametrize(
    "statement", STATEMENTS, ids=lambda statement: f"{statement.dialect}: {statement.id}"
)


@functools.cache
def _scan(statement: Statement) -> StatementScan:
    return scan_statement(statement.sql, _SYNTAX[statement.dialect])


@every_statement
def test_effect_and_verb(statement: Statement) -> None:
    scan = _scan(statement)
    assert (scan.effect, scan.verb) == (statement.effect, statement.verb)


@every_statement
def test_names(statement: Statement) -> None:
    names = _scan(statement).names
    assert statement.has <= names
    assert not statement.lacks & names


@every_statement
def test_where_a_prelude_goes(statement: Statement) -> None:
    scan = _scan(statement)
    if statement.effect in (Effect.READS, Effect.WRITES):
        assert scan.own_ctes == statement.own_ctes
    if statement.effect is Effect.READS:
        assert scan.with_end == statement.with_end
    if statement.insert_at is not None:
        assert scan.insert_at == statement.insert_at
    assert 0 <= scan.insert_at <= len(statement.sql)


@every_statement
def test_tables_named_with_their_schema(statement: Statement) -> None:
    found = tuple((q.start, q.end, q.schema, q.table) for q in _scan(statement).qualified)
    assert statement.qualified in (None, found)


@every_statement
def test_stars_and_joins(statement: Statement) -> None:
    scan = _scan(statement)
    flags = {"star": scan.has_star, "natural": scan.has_natural, "outer": scan.has_outer_join}
    assert statement.flags in (None, {flag for flag, holds in flags.items() if holds})


@every_statement
def test_one_statement_or_several(statement: Statement) -> None:
    assert statement.multiple in (None, _scan(statement).multiple)


@every_statement
def test_the_same_text_gives_the_same_verdict(statement: Statement) -> None:
    assert scan_statement(statement.sql, _SYNTAX[statement.dialect]) == _scan(statement)


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
