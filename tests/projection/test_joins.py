"""A derived value that a statement filters on is a join, where that gives the same rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, Select, String, Table, column, func, select, table

from landscape_compat.projection import joins
from landscape_compat.projection.joins import filtered_names
from landscape_compat.projection.rules import derived
from landscape_compat.projection.tokens import SQLITE
from support.planned import Planned

STORED = """
    CREATE TABLE rows (row_id VARCHAR(64) PRIMARY KEY, run_id VARCHAR(64) NOT NULL, n INTEGER,
        UNIQUE (run_id, n));
    CREATE TABLE tokens (token_id VARCHAR(64) PRIMARY KEY, row_id VARCHAR(64));
    CREATE INDEX by_row ON tokens (row_id);
    CREATE TABLE states (state_id VARCHAR(64) PRIMARY KEY, token_id VARCHAR(64));
    CREATE INDEX by_token ON states (token_id);
    INSERT INTO rows VALUES ('r1', 'A', 1), ('r2', 'B', 2), ('r3', 'A', 3);
    INSERT INTO tokens VALUES ('t1', 'r1'), ('t2', 'r2'), ('t3', 'r3'), ('t4', 'no'), ('t5', NULL);
    INSERT INTO states VALUES ('s1', 't1'), ('s2', 't2'), ('s3', 't3'), ('s4', 't4'), ('s5', 'no');
"""
MIGRATION = """
    ALTER TABLE tokens ADD COLUMN run_id VARCHAR(64);
    UPDATE tokens SET run_id = (SELECT r.run_id FROM rows AS r WHERE r.row_id = tokens.row_id);
    ALTER TABLE states ADD COLUMN run_id VARCHAR(64);
    UPDATE states SET run_id = (SELECT t.run_id FROM tokens t WHERE t.token_id = states.token_id);
"""
METADATA = MetaData()
for name, columns in (
    ("rows", ("row_id", "run_id", "n")),
    ("tokens", ("token_id", "row_id", "run_id")),
    ("states", ("state_id", "token_id", "run_id")),
):
    Table(
        name,
        METADATA,
        *(Column(c, String(64), primary_key=c == columns[0]) for c in columns if c != "n"),
    )
_ROWS = table("rows", column("row_id"), column("run_id"), column("n"))
_TOKENS = table("tokens", column("token_id"), column("row_id"))
_STATES = table("states", column("state_id"), column("token_id"))
ONE_HOP = select(_ROWS.c.run_id).where(_ROWS.c.row_id == _TOKENS.c.row_id)
TWO_HOPS = (
    select(_ROWS.c.run_id)
    .select_from(_TOKENS.join(_ROWS, _ROWS.c.row_id == _TOKENS.c.row_id))
    .where(_TOKENS.c.token_id == _STATES.c.token_id)
)
RULES = (derived("tokens.run_id", ONE_HOP), derived("states.run_id", TWO_HOPS))
nests = pytest.mark.skipif(
    sqlite3.sqlite_version_info < (3, 39), reason="before SQLite 3.39, nested joins are copied"
)


@pytest.fixture
def planned() -> Iterator[Planned]:
    planned = Planned.of(STORED, MIGRATION, METADATA, RULES)
    yield planned
    planned.close()


FILTERING = [
    "SELECT token_id, run_id FROM tokens WHERE run_id = 'A' ORDER BY 1",
    "SELECT count(*) FROM tokens WHERE tokens.run_id <> 'A'",
    "SELECT token_id FROM tokens WHERE run_id IS NULL ORDER BY 1",
    "SELECT token_id FROM tokens WHERE run_id IS NOT 'A' ORDER BY 1",
    "SELECT token_id FROM tokens WHERE NOT (run_id = 'A') OR token_id = 't5' ORDER BY 1",
    "SELECT * FROM tokens WHERE run_id IN ('A', 'B') ORDER BY 1",
    "SELECT a.token_id, b.row_id FROM tokens a JOIN tokens b ON a.run_id = b.run_id ORDER BY 1, 2",
    "SELECT n FROM rows JOIN tokens USING (run_id) ORDER BY 1",
    "SELECT row_id FROM rows WHERE EXISTS (SELECT 1 FROM tokens WHERE run_id = rows.run_id)"
    " ORDER BY 1",
    "SELECT run_id, count(*) FROM tokens GROUP BY run_id HAVING run_id > 'A' ORDER BY 1",
    "SELECT rowid, token_id FROM tokens WHERE run_id = 'A' ORDER BY 1",
]
TWICE = [
    "SELECT state_id, run_id FROM states WHERE run_id = 'A' ORDER BY 1",
    "SELECT state_id FROM states WHERE run_id IS NULL ORDER BY 1",
    "SELECT s.state_id, t.token_id FROM states s JOIN tokens t ON t.token_id = s.token_id"
    " AND t.run_id = s.run_id WHERE s.run_id = 'A' ORDER BY 1, 2",
]


@pytest.mark.parametrize("sql", [*FILTERING, *(pytest.param(sql, marks=nests) for sql in TWICE)])
def test_it_gives_what_a_migrated_copy_gives(planned: Planned, sql: str) -> None:
    """Rows without a parent included."""
    assert " LEFT JOIN " in planned.rewrite(sql).text
    assert planned.read(sql) == planned.expect(sql)


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        (FILTERING[0], ["SEARCH t_3_1 USING INDEX", "SEARCH t USING INDEX by_row"]),
        pytest.param(
            TWICE[0],
            ["SEARCH t_3_2 USING INDEX", "SEARCH t_3_1 USING INDEX", "SEARCH t USING INDEX"],
            marks=nests,
        ),
    ],
)
def test_sqlite_begins_at_the_other_end(planned: Planned, sql: str, wanted: list[str]) -> None:
    """It searches for what is asked for, and goes through no table."""
    plan = planned.older.execute(f"EXPLAIN QUERY PLAN {planned.rewrite(sql).text}").fetchall()
    steps = [step[3] for step in plan if "B-TREE" not in step[3]]
    assert [step[: len(want)] for step, want in zip(steps, wanted, strict=True)] == wanted


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT run_id FROM tokens WHERE token_id = 't1'",
        "SELECT r.row_id FROM rows r LEFT JOIN tokens t ON t.row_id = r.row_id AND t.run_id = 'A'",
        "SELECT token_id FROM tokens ORDER BY run_id",
    ],
)
def test_other_statements_keep_the_subquery(planned: Planned, sql: str) -> None:
    """Those that only show it, and those in which the join would be copied whole."""
    assert "LEFT JOIN main" not in planned.rewrite(sql).text
    assert planned.read(sql) == planned.expect(sql)


@pytest.mark.parametrize(
    "expression",
    [
        ONE_HOP.limit(1),
        ONE_HOP.distinct(),
        ONE_HOP.order_by(_ROWS.c.n),
        ONE_HOP.where(_ROWS.c.n > 1),
        select(func.max(_ROWS.c.run_id)).where(_ROWS.c.row_id == _TOKENS.c.row_id),
        select(func.upper(_ROWS.c.run_id)).where(_ROWS.c.row_id == _TOKENS.c.row_id),
        select(_ROWS.c.run_id).where(_ROWS.c.row_id > _TOKENS.c.row_id),
        select(_ROWS.c.run_id).where(_ROWS.c.run_id == _TOKENS.c.row_id),
        select(_ROWS.c.n).where(_ROWS.c.row_id == _TOKENS.c.row_id),
        select(_ROWS.alias("other").c.run_id).where(_ROWS.c.row_id == _TOKENS.c.row_id).limit(1),
        select(_ROWS.c.run_id).where(_ROWS.c.row_id == func.lower(_TOKENS.c.row_id)),
        select(_ROWS.c.run_id).where(_ROWS.c.row_id == _ROWS.c.run_id),
        select(_ROWS.c.run_id)
        .select_from(_ROWS.outerjoin(_STATES, _STATES.c.state_id == _ROWS.c.row_id))
        .where(_ROWS.c.row_id == _TOKENS.c.row_id),
        select(_ROWS.c.run_id)
        .select_from(_ROWS.join(_STATES, _STATES.c.state_id == _ROWS.c.row_id))
        .where(_ROWS.c.row_id == _TOKENS.c.row_id),
    ],
)
def test_what_is_no_lookup_by_a_key_is_no_join(expression: Select[Any]) -> None:
    """A join could give a second row, another one, or a value of another type."""
    planned = Planned.of(STORED, MIGRATION, METADATA, [derived("tokens.run_id", expression)])
    (tokens,) = (p for p in planned.plan.projections.values() if p.name == "tokens")
    assert [column.joined for column in tokens.columns] == [None]
    planned.close()


def test_a_chain_that_goes_on_behind_the_value_is_no_join() -> None:
    """The last of its tables has a column of that name, too, which is not the one meant."""
    goes_on = (
        select(_TOKENS.c.row_id)
        .select_from(_TOKENS.join(_ROWS, _ROWS.c.row_id == _TOKENS.c.row_id))
        .where(_TOKENS.c.token_id == _STATES.c.token_id)
    )
    planned = Planned.of(STORED, MIGRATION, METADATA, [derived("states.run_id", goes_on)])
    (states,) = (p for p in planned.plan.projections.values() if p.name == "states")
    assert [column.joined for column in states.columns] == [None]
    planned.close()


def test_a_value_that_is_compared_in_another_order_is_no_join() -> None:
    """As it is declared, 'a' is not 'A'; the stored column would say that it is."""
    planned = Planned.of(
        STORED.replace("run_id VARCHAR(64) NOT NULL", "run_id VARCHAR(64) COLLATE NOCASE"),
        MIGRATION,
        METADATA,
        RULES[:1],
    )
    for sql in (
        "SELECT token_id FROM tokens WHERE run_id = 'a' ORDER BY 1",
        "SELECT token_id FROM tokens WHERE run_id = 'A' ORDER BY 1",
    ):
        assert " LEFT JOIN " not in planned.rewrite(sql).text
        assert planned.read(sql) == planned.expect(sql)
    planned.close()


def test_a_chain_is_no_join_for_a_sqlite_that_would_copy_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One hop is, whatever its version."""
    monkeypatch.setattr(joins, "_NESTS", (1000, 0, 0))
    planned = Planned.of(STORED, MIGRATION, METADATA, RULES)
    for sql in TWICE[:2]:
        assert " LEFT JOIN main" not in planned.rewrite(sql).text
        assert planned.read(sql) == planned.expect(sql)
    assert " LEFT JOIN main" in planned.rewrite(FILTERING[0]).text
    planned.close()


@pytest.mark.parametrize(
    ("key", "foreign"),
    [
        ("VARCHAR", "INTEGER"),
        ("INTEGER", "VARCHAR"),
        ("VARCHAR", ""),
        ("VARCHAR", "VARCHAR COLLATE NOCASE"),
        ("VARCHAR COLLATE NOCASE", "VARCHAR"),
    ],
)
@pytest.mark.parametrize("key_first", [False, True])
def test_a_key_that_equals_one_value_twice_is_no_join(
    key: str, foreign: str, key_first: bool
) -> None:
    """5 equals '5' and '05', and 'a' equals 'A': a join would count a row twice."""
    sides = (_ROWS.c.row_id, _TOKENS.c.row_id)
    written = ("rows.row_id", "tokens.row_id")
    left, right = written if key_first else written[::-1]
    planned = Planned.of(
        f"""
        CREATE TABLE rows (row_id {key} NOT NULL PRIMARY KEY, run_id VARCHAR(64));
        CREATE TABLE tokens (token_id VARCHAR(64) PRIMARY KEY, row_id {foreign});
        INSERT OR IGNORE INTO rows VALUES (5, 'A');
        INSERT INTO tokens VALUES ('t1', '5'), ('t2', 'a');
        """
        + (
            ""
            if key == "INTEGER"
            else "INSERT OR IGNORE INTO rows VALUES ('05', 'A'), ('a', 'A'), ('A', 'A');"
        ),
        f"""
        ALTER TABLE tokens ADD COLUMN run_id VARCHAR(64);
        UPDATE tokens SET run_id = (SELECT rows.run_id FROM rows WHERE {left} = {right});
        """,
        METADATA,
        [
            derived(
                "tokens.run_id",
                select(_ROWS.c.run_id).where(
                    sides[0] == sides[1] if key_first else sides[1] == sides[0]
                ),
            )
        ],
    )
    sql = "SELECT token_id FROM tokens WHERE run_id = 'A' ORDER BY 1"
    assert " LEFT JOIN " not in planned.rewrite(sql).text
    assert planned.read(sql) == planned.expect(sql)
    planned.close()


def test_a_condition_on_another_tables_column_asks_for_no_join() -> None:
    """Or a chain of lookups would be copied whole for a column that nobody looks for."""
    planned = Planned.of(STORED, MIGRATION, METADATA, RULES)
    for sql, is_join in {
        "SELECT 1 FROM rows r, tokens t WHERE t.row_id = r.row_id AND r.run_id = 'A'": False,
        "SELECT 1 FROM rows, tokens WHERE rows.run_id = 'A'": False,
        "SELECT 1 FROM rows r, tokens t WHERE t.row_id = r.row_id AND t.run_id = 'A'": True,
        "SELECT 1 FROM rows, tokens WHERE main.tokens.run_id = 'A'": True,
        "SELECT token_id FROM tokens WHERE run_id = 'A'": True,
        "SELECT 1 FROM (SELECT run_id FROM tokens) AS x WHERE x.run_id = 'A'": True,
        "WITH rows AS (SELECT run_id FROM tokens) SELECT 1 FROM rows WHERE rows.run_id = 'A'": True,
    }.items():
        assert (" LEFT JOIN " in planned.rewrite(sql).text) is is_join, sql
        assert planned.read(sql) == planned.expect(sql), sql
    planned.close()


def test_which_names_are_filtered_on() -> None:
    """Those in conditions, at any depth, and no others."""
    sql = """
        SELECT a, (b) FROM t JOIN u ON c = (d) AND e IN (SELECT f FROM v WHERE "g" = 1) JOIN w
        USING (h) WHERE (i = 1 OR (j)) GROUP BY k HAVING l > 0 ORDER BY m LIMIT n"""
    found = filtered_names(sql, SQLITE)
    assert {name for _, name in found} - {"and", "in", "or"} == set("cdeghijl")
    assert {alias for alias, _ in found} == {""}


def test_what_stands_before_a_filtered_name() -> None:
    """Its table or alias, with or without a schema, spaced and quoted as it may be."""
    sql = """SELECT a.z FROM t AS A WHERE A . "B" = main.t.c AND [where].d = 1 AND x.where = e"""
    found = filtered_names(sql, SQLITE)
    assert {("a", "b"), ("t", "c"), ("where", "d"), ("x", "where"), ("", "e")} <= found
