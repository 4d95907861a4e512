"""A rewritten statement reads from an older database what it reads from a migrated copy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, column, select, table

from landscape_compat.errors import UnreadableError, WriteRefusedError
from landscape_compat.projection.rewrite import rewrite_statement
from landscape_compat.projection.rules import derived, mapped, renamed
from landscape_compat.projection.scan import Effect
from support.planned import Planned

METADATA = MetaData()
Table("rows", METADATA, Column("row_id", String, primary_key=True), Column("run_id", String))
Table(
    "tokens",
    METADATA,
    Column("token_id", String, primary_key=True),
    Column("row_id", String),
    Column("state", String),
    Column("run_id", String),
    Column("grp", String),
    Column("label", String),
)
Table("marks", METADATA, Column("token_id", String, primary_key=True))
Table("flags", METADATA, Column("state", String, primary_key=True))
Table("gone", METADATA, Column("id", Integer, primary_key=True), Column("token_id", String))

STORED = """
    CREATE TABLE rows (row_id VARCHAR NOT NULL PRIMARY KEY, run_id VARCHAR);
    CREATE TABLE tokens (token_id VARCHAR NOT NULL PRIMARY KEY, row_id VARCHAR, state VARCHAR,
        old VARCHAR);
    CREATE INDEX by_row ON tokens (row_id);
    CREATE TABLE bare (n INTEGER PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE flags (state VARCHAR NOT NULL PRIMARY KEY);
    INSERT INTO flags VALUES ('on'), ('off');
    CREATE TABLE numbered (oid VARCHAR, n INTEGER);
    INSERT INTO numbered VALUES ('nine', 9);
    INSERT INTO rows VALUES ('r0', 'A'), ('r1', 'A'), ('r2', 'B'), ('r3', NULL);
    INSERT INTO tokens VALUES ('t0', 'r0', 'on', 'x'), ('t1', 'r0', 'off', NULL),
        ('t2', 'r2', 'on', 'y'), ('t3', 'r9', NULL, 'x');
"""
MIGRATION = """
    ALTER TABLE tokens ADD COLUMN run_id VARCHAR;
    ALTER TABLE tokens ADD COLUMN grp VARCHAR;
    ALTER TABLE tokens ADD COLUMN label VARCHAR;
    UPDATE tokens SET run_id = (SELECT run_id FROM rows WHERE rows.row_id = tokens.row_id),
        label = old, state = CASE state WHEN 'on' THEN 'running' ELSE state END;
    UPDATE flags SET state = 'running' WHERE state = 'on';
    CREATE TABLE marks (token_id VARCHAR NOT NULL PRIMARY KEY);
    CREATE TABLE gone (id INTEGER NOT NULL PRIMARY KEY, token_id VARCHAR);
"""
_ROWS, _TOKENS = (
    table("rows", column("row_id"), column("run_id")),
    table("tokens", column("row_id")),
)
RULES = (
    derived("tokens.run_id", select(_ROWS.c.run_id).where(_ROWS.c.row_id == _TOKENS.c.row_id)),
    renamed("tokens.label", "old"),
    mapped("tokens.state", {"on": "running"}),
    mapped("flags.state", {"on": "running"}),
)

STATEMENTS = [
    "SELECT * FROM tokens ORDER BY token_id",
    "SELECT token_id, grp FROM tokens WHERE grp IS NULL ORDER BY 1",
    "SELECT token_id FROM tokens WHERE run_id = 'A' ORDER BY 1",
    "SELECT token_id FROM tokens WHERE state = 'running' ORDER BY 1",
    "SELECT count(*), count(grp), max(run_id) FROM tokens",
    "SELECT run_id, count(*) FROM tokens GROUP BY run_id HAVING count(*) > 0 ORDER BY 1",
    "SELECT DISTINCT label FROM tokens ORDER BY label",
    "SELECT a.token_id, b.token_id FROM tokens a JOIN tokens b ON a.label = b.label ORDER BY 1, 2",
    "SELECT r.row_id, t.grp, t.run_id FROM rows r LEFT JOIN tokens t USING (row_id) ORDER BY 1, 3",
    "SELECT r.row_id, t.label FROM rows r, tokens t WHERE r.row_id = t.row_id ORDER BY 1, 2",
    "SELECT token_id FROM rows NATURAL JOIN tokens ORDER BY 1",
    "SELECT a.token_id FROM tokens AS a NATURAL JOIN tokens AS b ORDER BY 1",
    "SELECT row_id FROM rows WHERE EXISTS (SELECT 1 FROM tokens WHERE run_id = rows.run_id)"
    " ORDER BY 1",
    "SELECT row_id FROM rows WHERE row_id IN (SELECT row_id FROM tokens WHERE label = 'x')",
    "SELECT row_id FROM rows WHERE row_id NOT IN (SELECT row_id FROM tokens) ORDER BY 1",
    "SELECT (SELECT max(label) FROM tokens WHERE row_id = r.row_id) FROM rows r ORDER BY row_id",
    "SELECT label FROM tokens UNION SELECT run_id FROM tokens ORDER BY 1",
    "SELECT label FROM tokens INTERSECT SELECT 'x'",
    "SELECT token_id FROM tokens EXCEPT SELECT token_id FROM tokens WHERE run_id = 'A' ORDER BY 1",
    "SELECT token_id, row_number() OVER (PARTITION BY run_id ORDER BY token_id) FROM tokens"
    " ORDER BY 1",
    "SELECT sum(1) OVER (ORDER BY token_id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM tokens",
    "WITH x AS (SELECT run_id FROM tokens) SELECT * FROM x ORDER BY 1",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3)"
    " SELECT i, token_id, label FROM n, tokens ORDER BY 1, 2",
    "WITH tokens AS (SELECT 1 AS grp) SELECT grp FROM tokens",
    "SELECT * FROM (WITH tokens AS NOT MATERIALIZED (SELECT grp FROM main.tokens) SELECT grp FROM"
    " tokens) ORDER BY 1",
    "WITH tokens AS (SELECT * FROM main.tokens WHERE run_id = 'A') SELECT label FROM tokens"
    " ORDER BY 1",
    "SELECT * FROM (WITH tokens AS (SELECT token_id, grp FROM main.tokens) SELECT * FROM tokens)"
    " ORDER BY 1",
    "SELECT main.tokens.grp, tokens.label FROM main.tokens ORDER BY tokens.token_id",
    'SELECT x.label FROM "main"."tokens" AS x INDEXED BY by_row WHERE x.row_id = \'r0\' ORDER BY 1',
    "SELECT label FROM main . tokens NOT INDEXED ORDER BY 1",
    'SELECT "grp", "label" FROM "tokens" ORDER BY "token_id"',
    "SELECT [grp], `label` FROM [tokens] ORDER BY `token_id`",
    "SELECT Tokens.GRP FROM TOKENS",
    "/* tokens */ -- grp\n SELECT token_id, 'grp' FROM tokens /* , x */ ORDER BY 1 -- end",
    "SELECT grp AS tokens FROM tokens AS rows",
    "SELECT count(*) FROM gone",
    "SELECT t.token_id, g.id FROM tokens t LEFT JOIN gone g USING (token_id) ORDER BY 1",
    "VALUES (1, (SELECT max(label) FROM tokens))",
    "SELECT CASE WHEN grp IS NULL THEN label ELSE grp END FROM tokens ORDER BY token_id",
    "SELECT rowid, grp FROM tokens ORDER BY 1",
    "SELECT row_id AS oid, count(*) FROM tokens GROUP BY oid ORDER BY 1, 2",
    "SELECT tokens.row_id AS oid, grp FROM tokens JOIN rows USING (row_id) ORDER BY oid DESC",
    "SELECT t.token_id AS rowid FROM tokens t, rows r WHERE t.row_id = r.row_id"
    " UNION SELECT grp FROM tokens ORDER BY rowid",
    "SELECT token_id FROM tokens WHERE rowid IN (SELECT rowid FROM rows) ORDER BY 1",
    "SELECT z FROM (SELECT rowid AS z, grp FROM tokens), rows WHERE z < 2",
    "SELECT token_id, (SELECT rowid) FROM tokens ORDER BY 1",
    "SELECT t.rowid, r._rowid_, t.row_id AS oid FROM (tokens t JOIN rows r USING (row_id))"
    " ORDER BY 1",
    "SELECT tokens.row_id, oid FROM tokens, numbered ORDER BY 1, 2",
    "WITH tokens AS (SELECT 1 AS z) SELECT window.label FROM main.tokens window JOIN rows ON"
    " rows.row_id = window.row_id ORDER BY 1",
    "WITH tokens AS (SELECT 1 AS z) SELECT x.label, z FROM main.tokens 'x', tokens ORDER BY 1",
    "WITH tokens AS (SELECT 1 AS z), Landscape_Compat_Tokens AS (SELECT 2 AS y)"
    " SELECT t.label, y FROM main.tokens t, landscape_compat_tokens ORDER BY 1",
    "WITH marks AS (SELECT 1 AS z) SELECT 'x' IN main.marks AS a, z FROM marks",
    "SELECT 'x' IN marks AS a, 'x' NOT IN main.marks AS b",
    "SELECT 'running' IN flags AS a, 'on' IN main.flags AS b",
    "SELECT token_id FROM tokens ORDER BY run_id NULLS LAST, token_id LIMIT 2 OFFSET 1",
    "SELECT 'no tokens here' WHERE 1",
    "WITH x AS (SELECT 1 AS z) SELECT grp FROM tokens WHERE EXISTS (SELECT z FROM x WHERE oid = z)",
    "SELECT r.row_id FROM tokens t, rows r WHERE EXISTS (SELECT 1 FROM gone WHERE rowid = 1)"
    " ORDER BY 1",
    "WITH x AS (SELECT 1 AS z) SELECT token_id FROM tokens, rows r WHERE EXISTS"
    " (SELECT 1 FROM gone WHERE EXISTS (SELECT 1 FROM x WHERE rowid = z)) ORDER BY 1",
    "SELECT x.grp, x.state, token_id FROM tokens AS x, rows AS x ORDER BY token_id",
    "SELECT * FROM rows ORDER BY 1",
]


@pytest.fixture
def planned() -> Iterator[Planned]:
    made = Planned.of(STORED, MIGRATION, METADATA, RULES)
    yield made
    made.close()


@pytest.mark.parametrize("statement", STATEMENTS)
def test_it_reads_what_the_migrated_copy_gives(planned: Planned, statement: str) -> None:
    """Rows, their order, their types and the columns' names are the same."""
    found, expected = planned.read(statement), planned.expect(statement)
    assert found == expected
    assert repr(found) == repr(expected)


def test_parameters_stay_where_they_are(planned: Planned) -> None:
    """Nothing is bound in the prelude, so no placeholder moves."""
    statement = "SELECT ?, token_id FROM tokens WHERE label = ? AND run_id IS ?"
    assert planned.read(statement, ("v", "x", "A")) == planned.expect(statement, ("v", "x", "A"))


@pytest.mark.parametrize("head", ["EXPLAIN", "EXPLAIN QUERY PLAN"])
def test_an_explained_statement_is_explained_as_it_is_read(planned: Planned, head: str) -> None:
    """The plan shown is that of the rewritten statement, and uses the stored table's index."""
    _, rows = planned.read(f"{head} SELECT grp FROM tokens WHERE row_id = 'r0'")
    assert rows
    if "PLAN" in head:
        assert "by_row" in str(rows)
        assert "MATERIALIZE" not in str(rows)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO tokens VALUES (1)",
        "insert or ignore into rows values ('x', 'y')",
        "UPDATE tokens SET grp = 'x'",
        "DELETE FROM rows",
        "REPLACE INTO rows VALUES ('x', 'y')",
        "WITH x AS (SELECT 1) DELETE FROM rows",
        "/* SELECT */ DROP TABLE tokens",
        "CREATE TEMP TABLE x AS SELECT * FROM tokens",
        "ATTACH 'x' AS y",
        "VACUUM",
        "EXPLAIN DELETE FROM rows",
    ],
)
def test_writing_is_refused_whatever_it_names(planned: Planned, statement: str) -> None:
    """No statement that writes comes back from rewriting, and the error says what to do."""
    with pytest.raises(WriteRefusedError, match="read-only") as caught:
        planned.rewrite(statement)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELECT grp FROM tokens; SELECT 1", "one by one"),
        ("SELECT rowid, * FROM tokens", "row number"),
        (
            "SELECT tokens.row_id AS oid, count(*) FROM tokens JOIN rows USING (row_id)"
            " GROUP BY oid",
            "another name",
        ),
        ("SELECT t.row_id AS oid FROM (tokens t, rows r) WHERE oid = 'r0'", "another name"),
        ("SELECT token_id rowid FROM tokens, rows WHERE rowid = 't0'", "another name"),
        ("SELECT rank() OVER (ORDER BY oid), t.row_id AS oid FROM tokens t, rows", "another name"),
        ("SELECT 1 FROM rows WHERE (SELECT oid FROM tokens, gone)", "another name"),
        ("SELECT token_id AS oid FROM tokens, (SELECT 1) WHERE oid = 't0'", "another name"),
        ("SELECT oid FROM (SELECT 1), tokens", "another name"),
        ("SELECT (SELECT max(n) FROM bare WHERE oid = 1), grp FROM tokens, gone", "further out"),
        (
            "WITH x AS (SELECT 1 AS z) SELECT t.grp FROM tokens t, gone"
            " WHERE EXISTS (SELECT 1 FROM x AS y WHERE rowid > z)",
            "another name",
        ),
        ("SELECT t.grp FROM tokens t, gone WHERE (SELECT oid FROM (SELECT 1))", "another name"),
        ("SELECT * FROM tokens AS x, rows AS x", "by one name"),
        ("SELECT 1 FROM marks WHERE EXISTS (SELECT * FROM gone x JOIN (rows AS x))", "by one name"),
        ("FROBNICATE tokens", "SELECT"),
        (
            "WITH tokens AS (SELECT * FROM (main.tokens)) SELECT * FROM tokens",
            "parentheses",
        ),
    ],
)
def test_what_cannot_be_answered_faithfully_is_refused(
    planned: Planned, statement: str, said: str
) -> None:
    """A refusal says what to do instead."""
    with pytest.raises(UnreadableError, match=said):
        planned.rewrite(statement)


@pytest.mark.parametrize(
    ("statement", "effect"),
    [
        ("SELECT * FROM rows", Effect.READS),
        ("BEGIN", Effect.CONTROL),
        ("SAVEPOINT tokens", Effect.CONTROL),
        ("PRAGMA table_info(tokens)", Effect.PRAGMA),
        ("-- tokens", Effect.EMPTY),
        ("FROBNICATE rows", Effect.OTHER),
    ],
)
def test_the_rest_is_left_as_it_is(planned: Planned, statement: str, effect: Effect) -> None:
    """The very same text comes back."""
    rewritten = planned.rewrite(statement)
    assert rewritten.text is statement
    assert (rewritten.tables, rewritten.effect) == ((), effect)


def test_the_same_text_gives_the_same_bytes(planned: Planned) -> None:
    """Another plan of the same database, and another moment, change nothing."""
    again = Planned.of(STORED, MIGRATION, METADATA, RULES)
    for statement in STATEMENTS:
        assert planned.rewrite(statement) == planned.rewrite(statement) == again.rewrite(statement)
    again.close()


def test_the_tables_read_are_told_and_not_those_only_named(planned: Planned) -> None:
    """A table that is only an alias, a column or an own CTE warns nobody."""
    assert planned.rewrite("SELECT t.grp FROM tokens t, gone").tables == ("tokens", "gone")
    assert planned.rewrite("SELECT 1 AS tokens FROM rows AS gone").tables == ()


def test_what_is_stored_can_be_read_past_the_plan(planned: Planned) -> None:
    """Asked for, a statement is left alone, and still must not write."""
    statement = "SELECT state FROM tokens"
    assert rewrite_statement(statement, planned.plan, as_stored=True).text is statement
    with pytest.raises(WriteRefusedError):
        rewrite_statement("DELETE FROM tokens", planned.plan, as_stored=True)
