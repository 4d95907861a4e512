"""Adversarial statements, each with the verdict that the statement scanner owes it.

In a statement's text `¶` marks the end of a leading WITH, `¦` the place where a WITH is to be
put if there is none, and `‹...›` encloses each table named with its schema. The marks are taken
out before use. A statement that reads and bears no mark begins with its verb, at offset 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from landscape_compat.projection.scan import Effect

__all__ = ["KEYWORDS", "POSTGRESQL_SCHEMA", "SQLITE_SCHEMA", "STATEMENTS", "Statement"]

KELVIN = "to\u212aens"  # its .lower() is "tokens"

# Source: https://www.sqlite.org/lang_keywords.html. Many may name a table without quotes.
KEYWORDS = """abort action add after all alter always analyze and as asc attach autoincrement
before begin between by cascade case cast check collate column commit conflict constraint create
cross current current_date current_time current_timestamp database default deferrable deferred
delete desc detach distinct do drop each else end escape except exclude exclusive exists explain
fail filter first following for foreign from full generated glob group groups having if ignore
immediate in index indexed initially inner insert instead intersect into is isnull join key last
left like limit match materialized natural no not nothing notnull null nulls of offset on or order
others outer over partition plan pragma preceding primary query raise range recursive references
regexp reindex release rename replace restrict returning right rollback row rows savepoint select
set table temp temporary then ties to transaction trigger unbounded union unique update using
vacuum values view virtual when where window with without""".split()

SQLITE_SCHEMA = f"""
CREATE TABLE tokens(token_id TEXT PRIMARY KEY, row_id TEXT, expand_group_id TEXT, label TEXT,
    score REAL);
CREATE TABLE rows(row_id TEXT PRIMARY KEY, run_id TEXT, data TEXT, n INTEGER);
CREATE TABLE runs(run_id TEXT PRIMARY KEY, status TEXT);
CREATE TABLE marks(token_id TEXT PRIMARY KEY);
CREATE TABLE edges("from" TEXT, "to" TEXT, label TEXT);
CREATE TABLE "order"("order" TEXT, "select" TEXT, "group" TEXT);
CREATE TABLE "odd ""name"(id TEXT);
CREATE TABLE "odd `name"(id TEXT);
CREATE TABLE "odd 'name"(id TEXT);
CREATE TABLE "odd [name"(id TEXT);
CREATE TABLE "-- /* ;"(id TEXT);
CREATE TABLE "{KELVIN}"(id TEXT);
CREATE TABLE "жетоны"(id TEXT, "имя" TEXT);
CREATE TABLE "tab$le"("col$1" TEXT, "$2" TEXT);
CREATE TABLE "tokens\u00a0rows"(id TEXT);
CREATE TABLE "tokens\ufeff"(id TEXT);
CREATE TABLE "replace"("replace" TEXT);
CREATE TABLE "with"("with" TEXT);
CREATE TABLE "left"("left" TEXT, "natural" TEXT);
CREATE TABLE "window"("window" TEXT, "offset" TEXT);
CREATE TABLE "1st"(id TEXT);
CREATE VIEW v_tokens AS SELECT token_id, row_id FROM tokens;
CREATE INDEX ix_tokens_row ON tokens(row_id);
INSERT INTO tokens VALUES('t1', 'r1', 'g1', 'L', 1.5), ('t2', 'r1', NULL, 'tokens', 2),
    ('t3', 'r2', 'g2', 'it''s', NULL);
INSERT INTO rows VALUES('r1', 'run1', '{{"tokens": [1, 2]}}', 1), ('r2', 'run1', '1', 2),
    ('r3', 'run2', '[]', 3);
INSERT INTO runs VALUES('run1', 'done'), ('run2', 'failed');
INSERT INTO marks VALUES('t1'), ('t3');
INSERT INTO edges VALUES('r1', 'r2', 'L');
INSERT INTO "order" VALUES('a', 'b', 'c');
""" + "".join(
    f'''CREATE TABLE IF NOT EXISTS "{word}"("{word}" TEXT);
    INSERT INTO "{word}"("{word}") VALUES ('{word}');'''
    for word in KEYWORDS
    if word != "rows"
)

POSTGRESQL_SCHEMA = """
CREATE TABLE tokens(token_id text PRIMARY KEY, row_id text, expand_group_id text, label text,
    score double precision, n integer, tags text[], doc jsonb);
CREATE TABLE rows(row_id text PRIMARY KEY, run_id text, data text, n integer, at timestamptz);
CREATE TABLE runs(run_id text PRIMARY KEY, status text);
CREATE TABLE "Tokens"(token_id text, "Row" text);
CREATE TABLE audit(id text, update text, delete text, insert text, merge text, "for" text,
    "into" text, n integer, score double precision, at timestamptz);
CREATE TABLE edges(id integer, parent integer);
CREATE TABLE foo$bar$(id text);
CREATE TABLE foo$$bar$$(id text);
CREATE TABLE "жетоны"(id text);
CREATE TABLE "tokens\u00a0rows"(id text);
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement and what the scanner must say of it.

    Args:
        dialect: Whose syntax it is in.
        id: What is adversarial about it.
        sql: The text.
        effect: What running it does.
        verb: The deciding word.
        has: Names that must be found.
        lacks: Names that must not be found.
        own_ctes: The CTEs of its leading WITH.
        with_end: Offset after its leading WITH, if it has one.
        insert_at: Offset where a WITH is to be put if it has none; None where nobody asks.
        qualified: (start, end, schema, table) of each table named with its schema; None where
            nobody asks.
        flags: Which of star, natural and outer hold; None where nobody asks.
        multiple: Whether there is more than one statement; None where nobody asks.
        accepted: Whether the database accepts it on its schema above; None where that depends
            on its version or on the driver.
    """

    dialect: Literal["sqlite", "postgresql"]
    id: str
    sql: str
    effect: Effect
    verb: str
    has: frozenset[str]
    lacks: frozenset[str]
    own_ctes: frozenset[str]
    with_end: int | None
    insert_at: int | None
    qualified: tuple[tuple[int, int, str, str], ...] | None
    flags: frozenset[str] | None
    multiple: bool | None
    accepted: bool | None


def _names(given: str | Iterable[str]) -> frozenset[str]:
    return frozenset(given.split() if isinstance(given, str) else given)


def _statement(
    dialect: Literal["sqlite", "postgresql"],
    what: str,
    marked: str,
    has: str | Iterable[str] = "",
    lacks: str | Iterable[str] = "",
    *,
    effect: Effect = Effect.READS,
    verb: str = "SELECT",
    ctes: str | Iterable[str] = "",
    named: str = "",
    flags: str | None = "",
    multiple: bool | None = False,
    accepted: bool | None = True,
) -> Statement:
    """Take the marks out of a statement; `named` says what its spans hold where they don't."""
    pieces: list[str] = []
    offset, opened = 0, 0
    with_end = insert_at = None
    spans: list[tuple[int, int, str]] = []
    for character in marked:
        if character == "¶":
            with_end = offset
        elif character == "¦":
            insert_at = offset
        elif character == "‹":
            opened = offset
        elif character == "›":
            spans.append((opened, offset, "".join(pieces[opened:])))
        else:
            pieces.append(character)
            offset += 1
    reads = effect is Effect.READS
    if reads and with_end is None and insert_at is None:
        insert_at = 0
    tables = [name.split(".") for name in (named.split() or [text.lower() for *_, text in spans])]
    qualified = tuple(
        (start, end, schema, table)
        for (start, end, _), (schema, table) in zip(spans, tables, strict=True)
    )
    return Statement(
        dialect=dialect,
        id=what,
        sql="".join(pieces),
        effect=effect,
        verb=verb,
        has=_names(has),
        lacks=_names(lacks),
        own_ctes=_names(ctes),
        with_end=with_end,
        insert_at=insert_at,
        qualified=qualified if reads and named != "?" else None,
        flags=_names(flags) if reads and flags is not None else None,
        multiple=multiple,
        accepted=accepted,
    )


_lite = partial(_statement, "sqlite")
_lite_writes = partial(_statement, "sqlite", effect=Effect.WRITES)
_post = partial(_statement, "postgresql")
_post_writes = partial(_statement, "postgresql", effect=Effect.WRITES)

# fmt: off
_SQLITE_TEXTS = [
    # Comments, in every style and place.
    _lite("block comment in front", "/* rows */ ¦SELECT token_id FROM tokens", "tokens", "rows"),
    _lite("line comment in front", "-- rows\n¦SELECT token_id FROM tokens", "tokens", "rows"),
    _lite("comments and space in front", " \t/*a*/--b\r\n\f/**/ ¦SELECT 1", "", "a b"),
    _lite("comment that only looks closed", "/*/ rows */¦SELECT 1 FROM tokens", "tokens", "rows"),
    _lite("comment of stars", "/***/¦SELECT/****/1/***/FROM/**/tokens", "tokens"),
    _lite("block comments do not nest", "/* /* */ ¦SELECT 1 FROM tokens", "tokens"),
    _lite("end of an outer comment is left over", "/* /* rows */ */ SELECT 1", "", "rows",
          effect=Effect.OTHER, verb="", accepted=False),
    _lite("comments between all words",
          "SELECT/*a*/token_id/*b*/FROM/*c*/tokens/*d*/WHERE/*e*/1",
          "token_id tokens", "a b c d e"),
    _lite("comment instead of space", "SELECT/**/token_id/**/FROM/**/tokens", "token_id tokens"),
    _lite("comment splits a word", "SELECT 1 FROM to/**/kens", "to kens", "tokens", accepted=False),
    _lite("line comment ends at a newline", "SELECT 1 -- , 'x\nFROM tokens", "tokens", "x"),
    _lite("line comment does not end at a carriage return",
          "SELECT 1 FROM rows -- x\r, tokens", "rows", "tokens"),
    _lite("line comment at the end", "SELECT 1 FROM tokens -- rows", "tokens", "rows"),
    _lite("line comment is the last two characters", "SELECT 1 FROM tokens--", "tokens"),
    _lite("unclosed block comment", "SELECT 1 FROM tokens /* rows", "tokens", "rows"),
    _lite("unclosed block comment hides a statement",
          "SELECT 1 FROM tokens; /* DELETE FROM rows", "tokens", "rows"),
    _lite("opener at the very end is no comment", "SELECT 1 FROM tokens /*", "tokens",
          accepted=False),
    _lite("minus minus is a comment", "SELECT 1--2 FROM rows\nFROM tokens", "tokens", "rows"),
    _lite("minus space minus is not", "SELECT 1 - -2 FROM tokens", "tokens"),
    _lite("arrow before a comment", "SELECT data->--x\n'$.tokens' FROM rows", "data rows",
          "tokens x"),
    _lite("comment opener inside a line comment", "-- /*\n¦SELECT 1 FROM tokens -- */", "tokens"),
    _lite("line comment inside a block comment", "/* -- */¦SELECT 1 FROM tokens", "tokens"),
    _lite("quote in a comment", "/* it's */¦SELECT 1 FROM tokens -- it's", "tokens"),
    _lite("semicolon in comments", "/* ; */ ¦SELECT 1 FROM tokens -- ; DELETE", "tokens",
          "delete"),
    _lite("division is no comment", "SELECT n / 2 FROM rows", "n rows"),
    _lite("multiplied pointer is no comment", "SELECT n */* x */ 2 FROM rows", "n rows", "x"),
    _lite("optimiser hint", "SELECT /*+ INDEX(tokens) */ n FROM rows", "n rows", "tokens index"),
    _lite("tracing comment behind", "SELECT n FROM rows /*traceparent='00-tokens-01'*/", "n rows",
          "tokens traceparent"),
    # String literals.
    _lite("name in a string", "SELECT 'tokens' FROM rows", "rows", "tokens"),
    _lite("doubled quote", "SELECT 'it''s tokens' FROM rows", "rows", "tokens s"),
    _lite("string of one quote", "SELECT '''' , n FROM rows -- '", "n rows"),
    _lite("empty string", "SELECT '', n, '' FROM rows", "n rows"),
    _lite("semicolon in a string", "SELECT '; DELETE FROM tokens' FROM rows", "rows", "tokens"),
    _lite("comment openers in strings", "SELECT '--', '/*' FROM tokens WHERE '*/' <> '--'",
          "tokens"),
    _lite("statement in a string", "SELECT 'SELECT * FROM tokens' FROM rows", "rows", "tokens"),
    _lite("backslash does not escape", "SELECT '\\' FROM tokens WHERE ''=''", "tokens"),
    _lite("double quote in a string", "SELECT '\"tokens' FROM rows WHERE '\"'=''", "rows",
          "tokens"),
    _lite("backtick and bracket in strings", "SELECT '`', '[' FROM tokens WHERE ']' <> '`'",
          "tokens"),
    _lite("string glued to words", "SELECT'x'FROM tokens WHERE'tokens'=label", "tokens label"),
    _lite("string as an alias", "SELECT n AS 'x' FROM rows", "n rows"),
    _lite("newline in a string", "SELECT 'a\n-- tokens\n' FROM rows", "rows", "tokens"),
    _lite("strings in a list", "SELECT 1 FROM rows WHERE run_id IN ('tokens', 'runs')",
          "rows run_id", "tokens runs"),
    _lite("string after LIKE", "SELECT 1 FROM rows WHERE run_id LIKE 'tokens' ESCAPE '\\'",
          "rows run_id", "tokens"),
    _lite("string as a table", "SELECT * FROM 'tokens'", "tokens", flags="star"),
    _lite("string in another case as a table", "SELECT n FROM 'ROWS'", "n rows"),
    _lite("string as a joined table", "SELECT n FROM rows JOIN 'tokens' USING (row_id)",
          "rows tokens row_id"),
    _lite("string as a table after a comma", "SELECT n FROM rows AS r, 'tokens'", "rows tokens"),
    _lite("string as a table in parentheses", "SELECT 1 FROM ('tokens')", "tokens"),
    _lite("string as a table after IN", "SELECT token_id IN 'marks' FROM tokens", "tokens marks"),
    _lite("string as a table with a schema", "SELECT 1 FROM ‹main.'tokens'›", "tokens",
          named="main.tokens"),
    _lite("strings as schema and table", "SELECT 1 FROM ‹'main'.'tokens'›", "tokens",
          named="main.tokens"),
    _lite("strings as table and column", "SELECT 'tokens'.'token_id' FROM tokens",
          "tokens token_id"),
    _lite("string as a column of a table", "SELECT tokens.'token_id' FROM tokens",
          "tokens token_id"),
    _lite("string as a column to join on", "SELECT 1 FROM rows JOIN tokens USING ('row_id')",
          "rows tokens row_id"),
    _lite("string as a CTE's name", "WITH¶ 'tokens' AS (SELECT 1 AS x) SELECT x FROM tokens",
          "tokens x", ctes="tokens"),
    _lite("string with a quote as a table", "SELECT id FROM 'odd ''name'", ["odd 'name", "id"]),
    _lite("unclosed string", "SELECT n FROM rows WHERE data = 'tokens", "n rows data", "tokens",
          accepted=False),
    # Quoted names.
    _lite("double quotes", 'SELECT "token_id" FROM "tokens"', "token_id tokens"),
    _lite("backticks", "SELECT `token_id` FROM `tokens`", "token_id tokens"),
    _lite("brackets", "SELECT [token_id] FROM [tokens]", "token_id tokens"),
    _lite("quoted names glued to words", 'SELECT"token_id"FROM[tokens]WHERE`label`=1',
          "token_id tokens label"),
    _lite("quoted names fold", 'SELECT "Token_ID" FROM [TOKENS]', "token_id tokens"),
    _lite("doubled double quote", 'SELECT id FROM "odd ""name"', ['odd "name', "id"]),
    _lite("doubled backtick", "SELECT id FROM `odd ``name`", ["odd `name", "id"]),
    _lite("bracket in brackets", "SELECT id FROM [odd [name]", ["odd [name", "id"]),
    _lite("brackets do not escape", "SELECT 1 FROM [tokens]] WHERE 1", "tokens", accepted=False),
    _lite("apostrophe in quotes", "SELECT id FROM \"odd 'name\" WHERE id = 'tokens'",
          ["odd 'name", "id"], "tokens"),
    _lite("comment openers in a name", 'SELECT id FROM "-- /* ;"', ["-- /* ;", "id"]),
    _lite("comment openers in brackets", "SELECT id FROM [-- /* ;] WHERE 1", ["-- /* ;", "id"]),
    _lite("keyword in quotes", 'SELECT "select" FROM "order"', "select order"),
    _lite("verb in quotes", '"SELECT" 1', effect=Effect.OTHER, verb="", accepted=False),
    _lite("name with digits first", 'SELECT id FROM "1st"', "1st id"),
    _lite("empty quoted name", 'SELECT "" FROM tokens', "tokens"),
    _lite("missing column in double quotes", 'SELECT "expand_group" FROM tokens',
          "tokens expand_group"),
    _lite("unclosed quoted name", 'SELECT n FROM rows WHERE "data', "n rows", accepted=False),
    _lite("unclosed bracket", "SELECT n FROM rows WHERE [data", "n rows", accepted=False),
    # Keywords as names.
    _lite("rows is a table", "SELECT rows.n FROM rows", "rows n"),
    _lite("rows and a window frame",
          "SELECT sum(n) OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM rows",
          "rows n"),
    _lite("replace is a function", "SELECT replace(data, 'a', 'b') FROM rows", "data rows"),
    _lite("replace in parentheses", "SELECT (replace(data, 'a', 'b')) FROM rows", "data rows"),
    _lite("replace is a table", "SELECT replace FROM replace", "replace"),
    _lite("with is a table", "SELECT with FROM with", "with"),
    _lite("with is an alias", "SELECT with.n AS with FROM rows AS with, ‹main.runs›", "rows runs"),
    _lite("left is a table", "SELECT left.left FROM left", "left", flags=None),
    _lite("natural is a column", "SELECT natural FROM left", "natural left", flags=None),
    _lite("window is an alias before a comma", "SELECT 1 FROM rows AS window, ‹main.tokens›",
          "rows tokens"),
    _lite("offset is an alias before a comma", "SELECT 1 FROM rows AS offset, ‹main.tokens›",
          "rows tokens"),
    _lite("fetch is an alias before a comma", "SELECT 1 FROM rows fetch, ‹main.tokens›",
          "rows tokens"),
    _lite("for is an alias before a comma", "SELECT 1 FROM rows for, ‹main.tokens›",
          "rows tokens"),
    _lite("offset in ON before a comma",
          "SELECT 1 FROM rows JOIN window ON offset IS NOT 1, ‹main.tokens› AS t",
          "rows window tokens"),
    _lite("alias that never comes", "SELECT 1 FROM rows AS", "rows", accepted=False),
    _lite("schema and an alias that never comes", "SELECT 1 FROM ‹main.rows› AS", "rows",
          accepted=False),
    _lite("window is a table", "SELECT window, offset FROM window", "window offset"),
    _lite("natural in parentheses is a column", "SELECT max(natural) FROM rows, ‹main.tokens›",
          "rows tokens natural", flags="", accepted=False),
    _lite("left is an alias", "SELECT left.n FROM rows AS left JOIN ‹main.tokens›", "rows tokens",
          flags=None),
    _lite("pragma and attach are aliases", "SELECT 1 pragma, 2 AS attach, 3 AS begin FROM tokens",
          "tokens"),
    _lite("key and column are CTEs",
          "WITH¶ key AS (SELECT 1 AS column), plan AS (SELECT 2) SELECT column FROM key, plan",
          "key plan", ctes="key plan"),
    # Letters beyond ASCII.
    _lite("unicode names", "SELECT имя FROM жетоны", "имя жетоны"),
    _lite("kelvin sign is no k", f"SELECT id FROM {KELVIN}", [KELVIN, "id"], "tokens"),
    _lite("quoted kelvin sign is no k", f'SELECT id FROM "{KELVIN}"', [KELVIN], "tokens"),
    _lite("long s is no s", "\u017fELECT 1", effect=Effect.OTHER, verb="\u017fELECT",
          accepted=False),
    _lite("dotless i is no i", "SELECT n \u0131nto FROM rows", "n rows"),
    _lite("long s is no join", "SELECT 1 AS ou\u017fer FROM rows cro\u017f\u017f", "rows"),
    _lite("upper case folds in ASCII only", "SELECT ID, ИМЯ FROM ЖЕТОНЫ", "id ИМЯ ЖЕТОНЫ",
          "имя жетоны", accepted=False),
    _lite("no-break space is a letter", "SELECT id FROM tokens\u00a0rows", ["tokens\u00a0rows"],
          "tokens rows"),
    _lite("ideographic space is a letter", "SELECT 1 AS x\u3000 FROM tokens", "tokens"),
    _lite("dollar in names", "SELECT col$1 FROM tab$le", "col$1 tab$le", "tab le"),
    _lite("characters beyond the basic plane", "SELECT '\U0001f600' FROM ‹main.tokens›", "tokens"),
    _lite("emoji as a name", "SELECT n AS \U0001f600 FROM rows", "n rows"),
    _lite("lone surrogate", "SELECT '\ud800' FROM tokens", "tokens", accepted=None),
    # Numbers, blobs, parameters, operators.
    _lite("numbers", "SELECT 1e5, 0x1F, 1.e3, .5, 1e-7, 0XaB, 5. FROM tokens", "tokens",
          "e5 x1f e3 e xab"),
    _lite("digit separators", "SELECT 1_000 FROM tokens", "tokens", "_000", accepted=None),
    _lite("number glued to a word", "SELECT n FROM rows WHERE n=1OR n=2", "n rows",
          accepted=None),
    _lite("decimal number in front of FROM", "SELECT .5 FROM tokens", "tokens"),
    _lite("blob", "SELECT x'00ff', X'' FROM tokens", "tokens", "x 00ff"),
    _lite("blob glued to a word", "SELECT x'00'FROM tokens", "tokens", "x"),
    _lite("name that ends in x before a string", "SELECT n AS ax'tokens' FROM rows", "n rows",
          accepted=False),
    _lite("question mark", "SELECT ? FROM tokens WHERE row_id=?", "tokens row_id"),
    _lite("question mark glued to a word", "SELECT ?FROM tokens", "tokens"),
    _lite("numbered parameter", "SELECT ?12 FROM tokens", "tokens", "12"),
    _lite("numbered parameter glued to a word", "SELECT ?1FROM tokens", "tokens"),
    _lite("colon parameter", "SELECT n FROM rows WHERE data=:tokens", "n rows data", "tokens"),
    _lite("at parameter", "SELECT n FROM rows WHERE data=@tokens", "n rows data", "tokens"),
    _lite("hash parameter", "SELECT n FROM rows WHERE data=#tokens", "n rows data", "tokens"),
    _lite("dollar parameter", "SELECT n FROM rows WHERE data=$tokens", "n rows data", "tokens"),
    _lite("dollar number is a parameter", "SELECT $2 FROM rows", "rows"),
    _lite("parameters fold nothing", "SELECT :Tokens, @TOKENS, $tokens FROM rows", "rows",
          "tokens"),
    _lite("parameter with a namespace", "SELECT $tokens::runs FROM rows", "rows", "tokens runs"),
    _lite("parameter with a suffix", "SELECT $a::b(tokens) FROM rows", "rows", "a b tokens"),
    _lite("colon parameter with a suffix", "SELECT :a(tokens), @b(runs) FROM rows", "rows",
          "a b tokens runs"),
    _lite("parameter with a quote in its suffix", "SELECT $a(') FROM tokens -- ')", "tokens"),
    _lite("parameter with letters beyond ASCII", "SELECT :имя, $tokens\u00a0x FROM rows", "rows",
          "имя tokens x"),
    _lite("parameter in a string", "SELECT ':a', '?' FROM tokens WHERE label = ?", "tokens"),
    _lite("comment behind a parameter", "SELECT :a/*tokens*/FROM rows", "rows", "a tokens"),
    _lite("JSON arrows", "SELECT data->'tokens'->>0, data->>'$.runs' FROM rows", "data rows",
          "tokens runs"),
    _lite("operators",
          "SELECT n||n, n<<1, n>>1, n<>1, n!=1, n==1, n<=1, n>=1, ~n, n|1, n&1, n%2, +n, -n "
          "FROM rows", "n rows"),
    _lite("table after IN", "SELECT token_id FROM tokens WHERE token_id IN marks",
          "tokens marks token_id"),
    _lite("table after NOT IN", "SELECT token_id NOT IN marks FROM tokens", "tokens marks"),
    _lite("table with a schema after IN",
          "SELECT token_id FROM tokens WHERE token_id IN ‹main.marks›", "tokens marks"),
    _lite("table with a schema after NOT IN in a list",
          "SELECT 1, token_id NOT IN ‹main.marks›, 2 FROM tokens", "tokens marks"),
    _lite("table function after IN", "SELECT n IN json_each('[1]') FROM rows", "n rows",
          flags=None, accepted=None),
    # WITH.
    _lite("own CTE", "WITH¶ a AS (SELECT n FROM rows) SELECT n FROM a", "rows n a", ctes="a"),
    _lite("own recursive CTE",
          "WITH RECURSIVE¶ a(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM a WHERE x<3) "
          "SELECT x, n FROM a, rows", "a x rows n", ctes="a"),
    _lite("comment between WITH and RECURSIVE",
          "WITH/*a*/RECURSIVE¶/*b*/x AS (SELECT 1 AS n) SELECT n FROM x", "x", "a b", ctes="x"),
    _lite("mixed case", "wItH¶ A aS (sElEcT n fRoM Rows) SeLeCt N FrOm a", "rows n a", ctes="a"),
    _lite("recursive is no name after WITH", "WITH recursive AS (SELECT 1) SELECT 1",
          effect=Effect.OTHER, verb="WITH", accepted=False),
    _lite("own CTE hides a table",
          "WITH¶ tokens AS (SELECT row_id AS x FROM rows) SELECT x FROM tokens", "tokens rows",
          ctes="tokens"),
    _lite("quoted own CTEs",
          'WITH¶ "Tokens" AS (SELECT 1 AS x), `Runs` AS (SELECT 2), [Marks] AS (SELECT 3) '
          "SELECT x FROM tokens, runs, marks", "tokens runs marks", ctes="tokens runs marks"),
    _lite("own CTEs with columns",
          "WITH¶ a(x, y) AS (SELECT 1, 2), tokens(\"z)\") AS (VALUES (3)) SELECT x FROM a, tokens",
          "a tokens", ctes="a tokens"),
    _lite("materialised CTEs",
          "WITH¶ a AS MATERIALIZED (SELECT n FROM rows), b AS NOT MATERIALIZED (SELECT 1) "
          "SELECT n FROM a, b", "rows a b", ctes="a b"),
    _lite("CTE within a CTE",
          "WITH¶ a AS (WITH tokens AS (SELECT 1 AS x) SELECT x FROM tokens) SELECT x FROM a",
          "a tokens", ctes="a"),
    _lite("CTE within a subquery",
          "SELECT (WITH tokens AS (SELECT 1 AS x) SELECT x FROM tokens), token_id FROM tokens",
          "tokens"),
    _lite("CTE within a FROM",
          "SELECT t.x FROM (WITH rows(x) AS (VALUES (1)) SELECT x FROM rows) AS t, ‹main.rows›",
          "rows"),
    _lite("CTE named before it is defined",
          "WITH¶ a AS (SELECT x FROM tokens), tokens AS (SELECT 1 AS x) SELECT x FROM a",
          "tokens a", ctes="a tokens"),
    _lite("parentheses and quotes within a CTE",
          "WITH¶ a AS (SELECT (')') AS x, \")\" AS y, (1) /* ) */ -- )\n), tokens AS (SELECT 1) "
          "SELECT x FROM a, tokens", "a tokens", ctes="a tokens"),
    _lite("CTE of values", "WITH¶ a(x) AS (VALUES (1), (2)) SELECT x, n FROM a, rows", "rows",
          ctes="a"),
    _lite("CTE that ends in a compound",
          "WITH¶ a AS (SELECT n FROM rows) VALUES ((SELECT max(n) FROM a))", "rows", verb="VALUES",
          ctes="a"),
    _lite("CTE body full of verbs",
          "WITH¶ a AS (SELECT 'DELETE' AS \"insert\", replace('x', 'y', 'z') AS [update] "
          "/* DROP */ FROM rows) SELECT \"insert\" FROM a", "rows insert update", "drop delete",
          ctes="a"),
    _lite("CTE named as a verb", "WITH¶ replace AS (SELECT 1 AS x) SELECT x FROM replace",
          "replace", ctes="replace"),
    _lite("CTE named as and", 'WITH¶ "as" AS (SELECT 1 AS x) SELECT x FROM "as"', "as",
          ctes="as"),
    _lite("no space in a WITH", "WITH¶[a]AS(SELECT 1 AS x)SELECT x FROM a", "a x", ctes="a"),
    _lite("many CTEs",
          "WITH¶ " + ", ".join(f"c{i} AS (SELECT {i} AS x)" for i in range(50))
          + " SELECT x, n FROM c49, rows", "c0 c49 rows", ctes=[f"c{i}" for i in range(50)]),
    _lite_writes("insert behind a WITH",
                 "WITH¶ a AS (SELECT run_id FROM runs) INSERT INTO rows(run_id) "
                 "SELECT run_id FROM a",
                 "rows runs", verb="INSERT", ctes="a"),
    _lite_writes("replace behind a WITH",
                 "WITH¶ a AS (SELECT 1 AS x) REPLACE INTO runs SELECT x, x FROM a", "runs",
                 verb="REPLACE", ctes="a"),
    _lite_writes("update behind a WITH",
                 "WITH¶ a AS (SELECT 1 AS x) UPDATE runs SET status=(SELECT x FROM a)", "runs",
                 verb="UPDATE", ctes="a"),
    _lite_writes("delete behind a recursive WITH",
                 "WITH RECURSIVE¶ a AS (SELECT 1 AS x) DELETE FROM runs WHERE run_id IN a", "runs",
                 verb="DELETE", ctes="a"),
    _lite_writes("insert behind quoted verbs",
                 'WITH¶ "SELECT" AS (SELECT 1 AS x) INSERT INTO runs SELECT x, 2 FROM "SELECT"',
                 "runs select", verb="INSERT", ctes="select"),
    _lite_writes("insert that holds a WITH",
                 "INSERT INTO runs WITH a AS (SELECT 1, 2) SELECT * FROM a", "runs", verb="INSERT"),
    # EXPLAIN, VALUES, compounds, clauses.
    _lite("explain", "EXPLAIN ¦SELECT token_id FROM tokens", "tokens"),
    _lite("explain query plan", "EXPLAIN QUERY PLAN ¦SELECT token_id FROM tokens", "tokens"),
    _lite("explain with comments",
          "/*a*/EXPLAIN/*b*/QUERY--c\nPLAN/*d*/¦SELECT token_id FROM tokens", "tokens",
          "a b c d"),
    _lite("explain a WITH", "EXPLAIN QUERY PLAN WITH¶ a AS (SELECT n FROM rows) SELECT n FROM a",
          "rows", ctes="a"),
    _lite("explain a recursive WITH",
          "EXPLAIN WITH RECURSIVE¶ a AS (SELECT 1 AS n) SELECT n FROM a",
          ctes="a"),
    _lite("explain values", "EXPLAIN ¦VALUES (1)", verb="VALUES"),
    _lite("explain is a name", "SELECT n AS explain, 2 AS query, 3 AS plan FROM rows", "n rows"),
    _lite_writes("explain a write", "EXPLAIN DELETE FROM tokens", "tokens", verb="DELETE"),
    _lite_writes("explain the plan of a write",
                 "EXPLAIN QUERY PLAN UPDATE tokens SET label = 'x'", "tokens", verb="UPDATE"),
    _lite_writes("explain a write behind a WITH",
                 "EXPLAIN WITH a AS (SELECT 1 AS x) DELETE FROM tokens WHERE token_id IN a",
                 "tokens", verb="DELETE", ctes="a"),
    _lite("explain nothing", "EXPLAIN", effect=Effect.OTHER, verb="", accepted=False),
    _lite("parentheses in front", "¦(SELECT token_id FROM tokens)", "tokens", accepted=False),
    _lite("values", "VALUES (1, 'tokens'), ((SELECT max(n) FROM rows), 2)", "rows n", "tokens",
          verb="VALUES"),
    _lite("values in FROM", "SELECT * FROM (VALUES (1), (2)), tokens", "tokens", flags="star"),
    _lite("compounds",
          "SELECT row_id FROM rows UNION SELECT row_id FROM tokens EXCEPT "
          "SELECT status FROM ‹main.runs› INTERSECT VALUES ('r1') UNION ALL SELECT 'x' "
          "ORDER BY 1 LIMIT 5 OFFSET 0", "rows tokens runs status"),
    _lite("indexed by", "SELECT token_id FROM tokens INDEXED BY ix_tokens_row WHERE row_id = 'r1'",
          "tokens"),
    _lite("not indexed", "SELECT token_id FROM tokens AS t NOT INDEXED, ‹main.rows›",
          "tokens rows"),
    _lite("filter and window",
          "SELECT count(*) FILTER (WHERE n > 1) OVER w, row_number() OVER (PARTITION BY run_id) "
          "FROM rows WINDOW w AS (ORDER BY n RANGE UNBOUNDED PRECEDING EXCLUDE TIES)",
          "n rows run_id"),
    _lite("order of nulls", "SELECT n FROM rows ORDER BY n COLLATE nocase DESC NULLS LAST",
          "n rows"),
    _lite("cast", "SELECT CAST(n AS tokens), CAST(data AS VARCHAR(10)) FROM rows", "n data rows"),
    _lite("case", "SELECT CASE n WHEN 1 THEN label ELSE data END FROM rows, tokens",
          "n label data rows tokens"),
    _lite("exists", "SELECT 1 FROM rows AS r WHERE NOT EXISTS (SELECT 1 FROM tokens AS t "
          "WHERE t.row_id = r.row_id)", "rows tokens row_id"),
    _lite("row values", "SELECT (n, run_id) = (SELECT 1, run_id FROM runs) FROM rows",
          "n run_id runs rows"),
    _lite("table-valued function", "SELECT value FROM rows, json_each(rows.data, '$.tokens')",
          "value rows data json_each", "tokens"),
    _lite("table-valued function of a pragma", "SELECT name FROM pragma_table_info('tokens')",
          "name pragma_table_info", accepted=None),
    _lite("rowid", "SELECT rowid, t._rowid_, oid FROM tokens AS t", "rowid _rowid_ oid tokens"),
    _lite("view", "SELECT token_id FROM v_tokens", "v_tokens token_id"),
    _lite("catalogue", "SELECT name FROM sqlite_master", "sqlite_master name"),
    _lite("catalogue with its schema", "SELECT name FROM ‹main.sqlite_master›", "sqlite_master"),
    _lite("null-safe comparison", "SELECT n IS DISTINCT FROM 2, n IS NOT 3 FROM rows", "n rows"),
    _lite("string after a null-safe comparison",
          "SELECT data IS NOT DISTINCT FROM 'tokens' FROM rows",
          "data rows", "tokens"),
]

_SQLITE_WRITES = [
    _lite_writes("insert", "INSERT INTO tokens(token_id) VALUES ('x')", "tokens token_id", "x",
                 verb="INSERT"),
    _lite_writes("insert or ignore", "INSERT OR IGNORE INTO runs VALUES ('a', 'b')", "runs",
                 verb="INSERT"),
    _lite_writes("insert defaults with a schema", "INSERT INTO main.edges DEFAULT VALUES", "edges",
                 verb="INSERT"),
    _lite_writes("upsert",
                 "INSERT INTO runs VALUES ('run1', 'x') ON CONFLICT (run_id) DO UPDATE "
                 "SET status = excluded.status", "runs status", verb="INSERT"),
    _lite_writes("returning", "UPDATE runs SET status = 'x' RETURNING *", "runs", verb="UPDATE"),
    _lite_writes("replace", "REPLACE INTO runs VALUES ('a', 'b')", "runs", verb="REPLACE"),
    _lite_writes("replace in lower case behind a comment",
                 "/*SELECT*/ replace into runs VALUES (1,2)",
                 "runs", "select", verb="REPLACE"),
    _lite_writes("update from", "UPDATE tokens SET label = r.data FROM rows AS r "
                 "WHERE r.row_id = tokens.row_id", "tokens rows", verb="UPDATE"),
    _lite_writes("update or fail", "UPDATE OR FAIL runs SET status = 1", "runs", verb="UPDATE"),
    _lite_writes("delete", "DELETE FROM tokens WHERE token_id IN (SELECT row_id FROM rows)",
                 "tokens rows", verb="DELETE"),
    _lite_writes("delete with no space", 'DELETE/**/FROM"tokens"', "tokens", verb="DELETE"),
    _lite_writes("delete behind semicolons", ";;DELETE FROM tokens", "tokens", verb="DELETE"),
    _lite_writes("delete behind a byte order mark", "\ufeffDELETE FROM tokens", "tokens",
                 verb="DELETE"),
    _lite_writes("delete in an unclosed string", "DELETE FROM tokens WHERE label = 'x", "tokens",
                 verb="DELETE", accepted=False),
    _lite_writes("create table", "CREATE TABLE IF NOT EXISTS x(a)", "x", verb="CREATE"),
    _lite_writes("create table as select", "CREATE TABLE x AS SELECT token_id FROM tokens",
                 "tokens", verb="CREATE"),
    _lite_writes("create temp view", "CREATE TEMP VIEW x AS SELECT token_id FROM tokens", "tokens",
                 verb="CREATE"),
    _lite_writes("create index", "CREATE UNIQUE INDEX x ON tokens(label)", "tokens label",
                 verb="CREATE"),
    _lite_writes("create trigger",
                 "CREATE TRIGGER x AFTER INSERT ON tokens BEGIN DELETE FROM rows; END", "tokens",
                 verb="CREATE", multiple=None),
    _lite_writes("create virtual table", "CREATE VIRTUAL TABLE x USING fts5(a)", "x",
                 verb="CREATE", accepted=None),
    _lite_writes("drop", "DROP TABLE IF EXISTS tokens", "tokens", verb="DROP"),
    _lite_writes("alter", "ALTER TABLE tokens ADD COLUMN x", "tokens", verb="ALTER"),
    _lite_writes("attach", "ATTACH DATABASE ':memory:' AS x", verb="ATTACH"),
    _lite_writes("detach", "DETACH DATABASE att", verb="DETACH"),
    _lite_writes("vacuum", "VACUUM", verb="VACUUM"),
    _lite_writes("vacuum into", "VACUUM INTO ''", verb="VACUUM", accepted=None),
    _lite_writes("analyze", "ANALYZE", verb="ANALYZE"),
    _lite_writes("analyze a table", "ANALYZE main.tokens", "tokens", verb="ANALYZE"),
    _lite_writes("reindex", "REINDEX tokens", "tokens", verb="REINDEX"),
]

_control = partial(_lite, effect=Effect.CONTROL)
_pragma = partial(_lite, effect=Effect.PRAGMA, verb="PRAGMA")
_empty = partial(_lite, effect=Effect.EMPTY, verb="")
_other = partial(_lite, effect=Effect.OTHER, accepted=False)

_SQLITE_OTHERS = [
    _control("begin", "BEGIN", verb="BEGIN"),
    _control("begin immediate", "begin immediate", verb="BEGIN"),
    _control("begin exclusive transaction", "/**/BEGIN EXCLUSIVE TRANSACTION;", verb="BEGIN"),
    _control("commit", "COMMIT;", verb="COMMIT", accepted=None),
    _control("end", "END TRANSACTION", verb="END", accepted=None),
    _control("rollback", "ROLLBACK", verb="ROLLBACK", accepted=None),
    _control("rollback to", "ROLLBACK TO SAVEPOINT tokens", verb="ROLLBACK", accepted=None),
    _control("savepoint", "SAVEPOINT tokens", verb="SAVEPOINT"),
    _control("savepoint in quotes", 'SAVEPOINT"sa_1"', verb="SAVEPOINT"),
    _control("release", "RELEASE SAVEPOINT tokens", verb="RELEASE", accepted=None),
    _pragma("pragma", "PRAGMA user_version"),
    _pragma("pragma with a value", "PRAGMA main.user_version = 1", accepted=None),
    _pragma("pragma with an argument", "pragma table_info('tokens')"),
    _pragma("pragma behind comments", "--x\n/*SELECT*/PRAGMA query_only=OFF;"),
    _pragma("explain a pragma", "EXPLAIN PRAGMA user_version"),
    _empty("nothing", ""),
    _empty("space", " \t\r\n\f"),
    _empty("semicolons", " ; ;; "),
    _empty("line comment alone", "-- SELECT 1"),
    _empty("block comment alone", "/* SELECT 1; */"),
    _empty("unclosed comment alone", "/* SELECT 1; DELETE FROM tokens", "", "tokens"),
    _empty("byte order mark alone", "\ufeff"),
    _empty("comments and semicolons", "/**/;--;\n;/*;*/"),
    _other("no statement", "EXPORT tokens", verb="EXPORT"),
    _other("number first", "1 SELECT", verb=""),
    _other("string first", "'SELECT' 1", verb=""),
    _other("parameter first", "? SELECT", verb=""),
    _other("verb glued to a name", "SELECTtoken_id FROM tokens", verb="SELECTTOKEN_ID"),
    _other("verb glued to a letter beyond ASCII", "SELECT\u00a0token_id FROM tokens",
           verb="SELECT\u00a0TOKEN_ID"),
    _other("vertical tab in front", "\vSELECT 1", verb=""),
    _other("null in front", "\0SELECT 1", verb=""),
    _other("WITH and no more", "WITH", verb="WITH"),
    _other("WITH and no verb", "WITH a AS (SELECT 1)", verb=""),
    _other("WITH and no body", "WITH a AS SELECT 1", verb="WITH"),
    _other("WITH and an open body", "WITH a AS (SELECT 1", verb="WITH"),
    _other("table is no verb on SQLite", "TABLE tokens", verb="TABLE"),
]

_SQLITE_SEVERAL = [
    _lite("two statements", "SELECT 1; SELECT 2", multiple=True, accepted=False),
    _lite("write behind a read", "SELECT 1; DELETE FROM tokens", "tokens", multiple=True,
          accepted=False),
    _lite("write behind a comment with a semicolon", "SELECT 1 /*;*/;--;\nDELETE FROM tokens",
          "tokens", multiple=True, accepted=False),
    _lite("write behind a string with a quote", "SELECT ''';'; DELETE FROM tokens", "tokens",
          multiple=True, accepted=False),
    _lite("rubbish behind a statement", "SELECT 1; x", multiple=True, accepted=False),
    _lite("quoted rubbish behind a statement", 'SELECT 1; ""', multiple=True, accepted=False),
    _lite("semicolon behind", "SELECT n FROM rows;", "n rows"),
    _lite("semicolons and comments behind", "SELECT n FROM rows ; ; -- tokens\n ; /* ; */",
          "n rows", "tokens", accepted=None),
    _lite("semicolon in front", "; ¦SELECT n FROM rows", "n rows"),
    _lite("byte order mark behind", "SELECT n FROM rows;\ufeff", "n rows",
          accepted=None),
    _lite("semicolon in a name", 'SELECT id FROM "-- /* ;";', ["-- /* ;"]),
    _lite("semicolon in a parameter", "SELECT $a(;) FROM tokens", "tokens"),
]

_SQLITE_SPACE_AND_SIZE = [
    _lite("every space", "\f\t\r\n¦SELECT\ftoken_id\tFROM\rtokens\n", "token_id tokens"),
    _lite("byte order mark", "\ufeff¦SELECT token_id \ufeff \ufeffFROM \ufefftokens",
          "token_id tokens"),
    _lite("byte order mark within a name is a letter", "SELECT id FROM tokens\ufeff",
          ["tokens\ufeff"], "tokens"),
    _lite("vertical tab is no space", "SELECT n FROM\vrows", "n", accepted=False),
    _lite("null behind", "SELECT n FROM rows\0", "n rows", accepted=False),
    _lite("null inside", "SELECT\0n FROM rows", "n rows", accepted=False),
    _lite("illegal characters", "SELECT n \\ ! { } ^ FROM rows", "n rows", accepted=False),
    _lite("a megabyte of string", "SELECT '" + "tokens''" * 131_072 + "', n FROM rows", "n rows",
          "tokens"),
    _lite("a megabyte of comment", "/*" + " tokens*" * 131_072 + "*/¦SELECT n FROM rows",
          "n rows", "tokens"),
    _lite("a megabyte of line comments", "-- tokens\n" * 104_858 + "¦SELECT n FROM rows", "n rows",
          "tokens"),
    _lite("a megabyte of list", "SELECT n FROM rows WHERE n IN (" + "-1234567.25, " * 80_660 + "2)",
          "n rows"),
    _lite("a hundred thousand semicolons", "SELECT n FROM rows" + ";" * 100_000, "n rows",
          accepted=None),
    _lite("a hundred thousand commas", "SELECT n FROM rows" + "," * 100_000 + " ‹main.runs›",
          "n rows runs", accepted=False),
    _lite("a megabyte of one name", "SELECT n AS " + "tokens" * 174_763 + " FROM rows", "n rows",
          "tokens"),
    _lite("a megabyte of quotes", "SELECT \"" + '""' * 524_288 + '" FROM rows', "rows",
          accepted=None),
    _lite("ten thousand parentheses", "SELECT " + "(" * 10_000 + "n" + ")" * 10_000 + " FROM rows",
          "n rows", accepted=False),
    _lite("ten thousand subqueries",
          "SELECT " + "(SELECT " * 10_000 + "n" + ")" * 10_000 + " FROM ‹main.rows›", "n rows",
          accepted=False),
    _lite("ten thousand parentheses in FROM",
          "SELECT n FROM " + "(" * 10_000 + "‹main.rows›" + ")" * 10_000, "n rows", accepted=False),
    _lite("closing parentheses only", "SELECT n FROM rows))))) WHERE 1", "n rows", accepted=False),
    _lite("opening parentheses only", "SELECT ((((n FROM rows WHERE 1", "n rows", accepted=False),
]

_SQLITE_QUALIFIED = [
    _lite("table with its schema", "SELECT token_id FROM ‹main.tokens›", "main tokens"),
    _lite("quoted schema and table", 'SELECT token_id FROM ‹"main"."tokens"›', "tokens",
          named="main.tokens"),
    _lite("brackets and backticks", "SELECT token_id FROM ‹[Main].`TOKENS`›", "tokens",
          named="main.tokens"),
    _lite("spaces around the dot", "SELECT token_id FROM ‹main . tokens›", "tokens",
          named="main.tokens"),
    _lite("comments around the dot", "SELECT token_id FROM ‹main/*.*/./*x*/tokens›/**/", "tokens",
          "x", named="main.tokens"),
    _lite("newlines around the dot", "SELECT token_id FROM ‹main\n--x\n.\ntokens›", "tokens", "x",
          named="main.tokens"),
    _lite("column with schema and table", "SELECT ‹main.tokens›.token_id FROM tokens",
          "tokens token_id"),
    _lite("quoted column with schema and table",
          'SELECT ‹"main"."tokens"› . "token_id" FROM ‹[main].tokens›', "tokens token_id",
          named="main.tokens main.tokens"),
    _lite("columns everywhere",
          "SELECT n FROM ‹main.rows› WHERE ‹main.rows›.n > 0 GROUP BY ‹main.rows›.n "
          "HAVING ‹main.rows›.n > 0 ORDER BY ‹main.rows›.n", "n rows"),
    _lite("upper case schema", "SELECT token_id FROM ‹MAIN.Tokens›", "tokens"),
    _lite("attached database", "SELECT token_id FROM ‹att.tokens›", "tokens"),
    _lite("temporary table", "SELECT id FROM ‹temp.scratch›", "scratch"),
    _lite("two schemas", "SELECT a.token_id FROM ‹main.tokens› AS a, ‹att.tokens› AS b", "tokens"),
    _lite("alias named as the schema", "SELECT main.token_id FROM tokens AS main",
          "main tokens token_id"),
    _lite("alias and column named as schema and table",
          "SELECT main.rows FROM (SELECT 1 AS rows) main",
          "main rows"),
    _lite("alias.column in every clause",
          "SELECT main.n FROM rows AS main WHERE main.n > 0 AND main.n IN (main.n, 2) "
          "GROUP BY main.n, main.run_id HAVING main.n > 0 ORDER BY main.n, main.run_id LIMIT 5",
          "rows"),
    _lite("alias.column after a null-safe comparison",
          "SELECT main.n IS DISTINCT FROM main.rows FROM (SELECT 1 AS n, 2 AS rows) AS main",
          "main"),
    _lite("alias.column in ON",
          "SELECT 1 FROM rows AS main JOIN tokens AS t ON t.row_id = main.row_id, ‹main.runs›",
          "rows tokens runs"),
    _lite("alias.column in a call in ON",
          "SELECT 1 FROM rows AS main JOIN tokens ON max(1, main.n) > 0, ‹main.runs› AS r",
          "rows tokens runs"),
    _lite("alias.column in a list in ON",
          "SELECT 1 FROM rows AS main JOIN tokens ON main.n IN (1, main.n), ‹main.runs›",
          "rows tokens runs"),
    _lite("joined table with its schema", "SELECT n FROM rows JOIN ‹main.tokens› USING (row_id)",
          "rows tokens row_id"),
    _lite("comma joins", "SELECT 1 FROM ‹main.rows›, ‹main.tokens› t , tokens, ‹main.runs›",
          "rows tokens runs"),
    _lite("comma after USING", "SELECT 1 FROM rows JOIN tokens USING (row_id), ‹main.runs›",
          "rows tokens runs"),
    _lite("comma after a subquery", "SELECT 1 FROM (SELECT n FROM rows) AS x, ‹main.runs›",
          "rows runs"),
    _lite("comma after a table-valued function",
          "SELECT 1 FROM json_each('[1, 2]') AS j, ‹main.runs›", "json_each runs"),
    _lite("comma after an index hint",
          "SELECT 1 FROM tokens INDEXED BY ix_tokens_row, ‹main.runs› WHERE row_id = 'r1'",
          "tokens runs"),
    _lite("parenthesised table", "SELECT 1 FROM (‹main.tokens›)", "tokens"),
    _lite("parenthesised tables", "SELECT 1 FROM (‹main.tokens› AS t, ‹main.rows›), runs",
          "tokens rows runs"),
    _lite("parenthesised join",
          "SELECT 1 FROM runs JOIN (‹main.tokens› JOIN (‹main.rows› AS r)) ON 1",
          "tokens rows runs"),
    _lite("subquery in FROM", "SELECT 1 FROM (SELECT token_id FROM ‹main.tokens›)", "tokens"),
    _lite("subquery in the select list", "SELECT (SELECT count(*) FROM ‹main.tokens›), n FROM rows",
          "tokens rows"),
    _lite("subquery in WHERE",
          "SELECT n FROM rows WHERE row_id IN (SELECT row_id FROM ‹main.tokens›) AND "
          "EXISTS (SELECT 1 FROM ‹main.runs› AS main WHERE main.run_id = rows.run_id)",
          "rows tokens runs"),
    _lite("both sides of a compound",
          "SELECT row_id FROM ‹main.tokens› UNION SELECT row_id FROM ‹main.rows›", "tokens rows"),
    _lite("inside the statement's CTE",
          "WITH¶ a AS (SELECT token_id FROM ‹main.tokens›) SELECT token_id FROM a", "tokens",
          ctes="a"),
    _lite("schema beats the statement's CTE",
          "WITH¶ tokens AS (SELECT 1 AS token_id) SELECT token_id FROM ‹main.tokens›", "tokens",
          ctes="tokens"),
    _lite("keyword as a table with its schema", "SELECT 1 FROM ‹main.replace›, ‹main.with›",
          "replace with"),
    _lite("select behind a dot", 'SELECT "order"."select", ‹main."order"›."group" FROM "order"',
          "order select group", named="main.order"),
    _lite("word behind a dot", "SELECT left.natural, left.left FROM left", "natural left",
          flags=None),
    _lite("dots in a string", "SELECT 'main.tokens' FROM rows", "rows", "tokens main"),
    _lite("dots in a name", 'SELECT 1 AS "main.tokens" FROM rows', "rows", "tokens main"),
    _lite("dots in numbers", "SELECT 1.5, .5, 5., n FROM rows", "n rows"),
    *(
        _lite(f"table with its schema before {tail}", f"SELECT 1 FROM ‹main.rows› {tail}",
              "rows runs" if "runs" in tail else "rows", flags=None)
        for tail in (
            "WHERE 1", "GROUP BY n HAVING count(*) > 0", "ORDER BY n", "LIMIT 2", "UNION SELECT 2",
            "INTERSECT SELECT 1", "EXCEPT SELECT 2", "WINDOW w AS (ORDER BY n)", "JOIN runs",
            "INNER JOIN runs", "CROSS JOIN runs", "NATURAL JOIN runs", "LEFT JOIN runs ON 1",
            "RIGHT JOIN runs ON 1", "FULL JOIN runs ON 1", "NOT INDEXED", ", runs", "; -- x",
        )
    ),
    _lite("join on and using after tables with their schema",
          "SELECT 1 FROM tokens JOIN ‹main.rows› ON 1 JOIN ‹main.rows› AS r USING (row_id)",
          "tokens rows row_id", accepted=None),
    _lite("keywords as tables with their schema before a comma",
          "SELECT 1 FROM ‹main.left›, ‹main.window›, ‹main.with›, ‹main.for›, ‹main.rows›",
          "left window with for rows", flags=None),
    _lite("keywords as tables before a comma",
          "SELECT 1 FROM left, window, offset, with, for, ‹main.rows›",
          "left window offset with for rows", flags=None),
    _lite("schema of the second of two",
          "SELECT 1 FROM tokens t LEFT JOIN ‹main.rows› r ON r.n = 1",
          "tokens rows", flags="outer"),
]

_SQLITE_ELSEWHERE = [
    _lite("table only as an alias", "SELECT tokens.n FROM rows AS tokens", "rows n"),
    _lite("table only as a column", "SELECT x.tokens FROM (SELECT n AS tokens FROM rows) AS x",
          "rows"),
    _lite("table only in a string", "SELECT n FROM rows WHERE data = 'tokens'", "rows", "tokens"),
    _lite("table only in comments", "SELECT n /* tokens */ FROM rows -- tokens", "rows",
          "tokens"),
    _lite("table only as parameters", "SELECT :tokens, n FROM rows WHERE n = $tokens", "rows",
          "tokens"),
    _lite("table only in a blob", "SELECT n FROM rows WHERE data = x'746f6b656e73'", "rows",
          "tokens"),
    _lite("part of a longer name", "SELECT n AS tokens_2, 1 AS my_tokens FROM rows", "rows",
          "tokens"),
    _lite("name with a space", 'SELECT n AS "tokens x" FROM rows', "rows", "tokens x"),
]

_SQLITE_FLAGS = [
    _lite("star", "SELECT * FROM tokens", "tokens", flags="star"),
    _lite("star of a table", "SELECT tokens.* FROM tokens", "tokens", flags="star"),
    _lite("star of a quoted table", 'SELECT "tokens" . * FROM tokens', "tokens", flags="star"),
    _lite("star of a table as a string", "SELECT 'tokens'.* FROM tokens", "tokens", flags="star"),
    _lite("star glued to words", "SELECT*FROM tokens", "tokens", flags="star"),
    _lite("star behind a comment", "SELECT /* * */ * FROM tokens", "tokens", flags="star"),
    _lite("distinct star", "SELECT DISTINCT * FROM tokens", "tokens", flags="star"),
    _lite("all star", "SELECT ALL * FROM tokens", "tokens", flags="star"),
    _lite("star after a column", "SELECT n, * FROM rows", "n rows", flags="star"),
    _lite("star before a column", "SELECT *, n FROM rows", "n rows", flags="star"),
    _lite("star of the second table", "SELECT r.n, t.* FROM rows AS r, tokens AS t",
          "rows tokens", flags="star"),
    _lite("star in a subquery", "SELECT 1 FROM (SELECT * FROM tokens)", "tokens", flags="star"),
    _lite("star in EXISTS", "SELECT 1 FROM rows WHERE EXISTS (SELECT * FROM tokens)",
          "rows tokens", flags="star"),
    _lite("star in a CTE", "WITH¶ a AS (SELECT * FROM tokens) SELECT token_id FROM a", "tokens",
          flags="star", ctes="a"),
    _lite("star in the second of a compound",
          "SELECT token_id FROM tokens UNION ALL SELECT * FROM marks", "tokens marks",
          flags="star"),
    _lite("star of a table named as a keyword", "SELECT all_.*, 1 FROM rows AS all_", "rows",
          flags="star"),
    _lite("count is no star", "SELECT count(*), count( /**/ * ) FROM tokens", "tokens"),
    _lite("quoted count is no star", 'SELECT "count"(*) FROM tokens', "tokens"),
    _lite("multiplication is no star",
          "SELECT n * 2, n*n, (n) * 2, ? * 2, 'x' * 2, 1.5 * n, \"n\" * [n], -n * n, "
          "CASE WHEN 1 THEN 2 END * 3, count(*) * 2 FROM rows", "n rows"),
    _lite("multiplication after DISTINCT", "SELECT DISTINCT n * 2 FROM rows", "n rows"),
    _lite("star in a string is no star", "SELECT '*', n /* * */ FROM rows", "n rows"),
    _lite("star in quotes is no star", 'SELECT n AS "*" FROM rows', "n rows"),
    _lite("natural join", "SELECT n FROM rows NATURAL JOIN tokens", "rows tokens",
          flags="natural"),
    _lite("natural left join", "SELECT n FROM rows NATURAL LEFT OUTER JOIN tokens", "rows tokens",
          flags="natural outer"),
    _lite("left natural join", "SELECT n FROM rows LEFT NATURAL JOIN tokens", "rows tokens",
          flags="natural outer"),
    _lite("natural cross join", "SELECT n FROM rows natural/**/cross join ‹main.tokens›",
          "rows tokens", flags="natural"),
    _lite("left join", "SELECT n FROM rows LEFT JOIN tokens USING (row_id)", "rows tokens",
          flags="outer"),
    _lite("right join", "SELECT n FROM rows RIGHT OUTER JOIN tokens USING (row_id)",
          "rows tokens", flags="outer"),
    _lite("full join", "SELECT n FROM rows FULL JOIN tokens USING (row_id)", "rows tokens",
          flags="outer"),
    _lite("outer join in a subquery",
          "SELECT n FROM rows WHERE n IN (SELECT 1 FROM tokens LEFT JOIN marks USING (token_id))",
          "rows tokens marks", flags="outer"),
    _lite("inner and cross joins", "SELECT n FROM rows INNER JOIN tokens CROSS JOIN runs",
          "rows tokens runs"),
    _lite("join words in strings", "SELECT 'NATURAL LEFT JOIN' FROM rows -- FULL OUTER JOIN",
          "rows"),
    _lite("join words in quotes", 'SELECT "left" AS "natural" FROM "left"', "left"),
]

_POSTGRESQL_TEXTS = [
    # Comments.
    _post("nested comments", "/* /* rows */ runs */ ¦SELECT token_id FROM tokens", "tokens",
          "rows runs"),
    _post("deeply nested comments", "/*" * 50 + " rows " + "*/" * 50 + "¦SELECT 1 FROM tokens",
          "tokens", "rows"),
    _post("nested comment that only looks closed", "/*/*/ rows */*/¦SELECT 1 FROM tokens",
          "tokens", "rows"),
    _post("comment in the middle of a join", "SELECT 1 FROM tokens/*/**/,rows*/,runs",
          "tokens runs", "rows"),
    _post("line comment ends at a carriage return", "SELECT 1 -- x\rFROM tokens", "tokens", "x"),
    _post_writes("delete behind a line comment's carriage return",
                 "-- harmless\rDELETE FROM tokens", "tokens", verb="DELETE"),
    _post("line comment holds a comment opener", "-- /*\n¦SELECT 1 FROM tokens", "tokens"),
    _post("unclosed comment", "SELECT 1 FROM tokens /* /* */ rows", "tokens", "rows",
          accepted=False),
    _post("operator before a comment", "SELECT 1 +-- rows\n2 */* runs */ 3 FROM tokens",
          "tokens", "rows runs"),
    # Strings.
    _post("backslash in a plain string", "SELECT '\\' FROM tokens WHERE ''=''", "tokens"),
    _post("backslash in an escape string", "SELECT E'it\\'s rows' FROM tokens -- '", "tokens",
          "rows s"),
    _post("doubled quote in an escape string", "SELECT e'it''s \\\\' FROM tokens", "tokens", "s"),
    _post("escape string that ends in a backslash pair", "SELECT E'\\\\' FROM tokens -- '",
          "tokens"),
    _post("name that ends in e before a string", "SELECT date '2020-01-01', n FROM rows",
          "n rows"),
    _post("type glued to a string", "SELECT date'2020-01-01', n FROM rows -- '", "n rows"),
    _post("type glued to a string with a backslash", "SELECT bytea'\\\\', n FROM rows -- '",
          "n rows"),
    _post("dollar quotes", "SELECT $$rows ' -- /* \" $$ FROM tokens", "tokens", "rows"),
    _post("tagged dollar quotes", "SELECT $a$ rows $$ $b$ $A$ $a$ FROM tokens", "tokens",
          "rows a b"),
    _post("dollar quotes with a semicolon", "SELECT $$;$$ FROM tokens", "tokens"),
    _post("empty dollar quotes", "SELECT $$$$, $x$$x$ FROM tokens", "tokens", "x"),
    _post("dollar quotes with digits in the tag", "SELECT $a1_$ rows $a1$ $a1_$ FROM tokens",
          "tokens", "rows"),
    _post("dollar quotes with letters beyond ASCII", "SELECT $тэг$ rows $тэг$ FROM tokens",
          "tokens", "rows тэг"),
    _post("dollars within a name", "SELECT id FROM foo$bar$ -- $bar$", "foo$bar$"),
    _post("doubled dollars within a name", "SELECT id FROM foo$$bar$$, tokens -- $$",
          "foo$$bar$$ tokens"),
    _post("unclosed dollar quotes", "SELECT n FROM rows WHERE data = $$ tokens", "n rows",
          "tokens", accepted=False),
    _post("unicode string", "SELECT U&'d\\0061t\\+000061 rows' FROM tokens", "tokens", "rows u"),
    _post("unicode string with its own escape", "SELECT U&'d!0061t''a' UESCAPE '!' FROM tokens",
          "tokens"),
    _post("unicode string glued to and", "SELECT u&'rows' FROM tokens", "tokens", "rows u"),
    _post("bit strings and national strings", "SELECT B'01', X'1F', N'rows' FROM tokens",
          "tokens", "b x n rows"),
    _post("string continued on the next line", "SELECT 'rows'\n'runs' FROM tokens", "tokens",
          "rows runs"),
    _post("JSON in a string", "SELECT '{\"rows\": \"\\\\\"}'::jsonb FROM tokens", "tokens", "rows"),
    _post("string is no table", "SELECT n FROM rows, 'tokens'", "n rows", "tokens",
          accepted=False),
    # Names.
    _post("quoted name keeps its case", 'SELECT "Row" FROM "Tokens"', "Tokens Row", "tokens row"),
    _post("unquoted name folds", "SELECT TOKEN_ID FROM Tokens", "tokens token_id",
          "Tokens TOKEN_ID"),
    _post("quoted lower case is the same name", 'SELECT "token_id" FROM "tokens"',
          "tokens token_id"),
    _post("doubled double quote", 'SELECT n AS "a""tokens""b" FROM rows', ["n", 'a"tokens"b'],
          "tokens"),
    _post("unicode name", 'SELECT token_id FROM U&"t\\006F\\+00006Bens"', "tokens"),
    _post("plain unicode name", 'SELECT token_id FROM u&"tokens"', "tokens", "u"),
    _post("unicode name with a doubled backslash", 'SELECT n AS U&"a\\\\b" FROM rows',
          ["n", "a\\b"]),
    _post("unicode name with its own escape",
          "SELECT token_id FROM U&\"t!006Fkens\" UESCAPE '!'", "tokens"),
    _post("u and an ampersand", "SELECT u & 1 FROM (SELECT n AS u FROM rows) AS x", "u n rows"),
    _post("letters beyond ASCII", "SELECT id FROM жетоны", "жетоны"),
    _post("no-break space is a letter", "SELECT id FROM tokens\u00a0rows", ["tokens\u00a0rows"],
          "tokens rows"),
    _post("kelvin sign is no k", f"SELECT 1 FROM {KELVIN}", [KELVIN], "tokens", accepted=False),
    _post("backtick is no quote", "SELECT `tokens` FROM rows", "tokens rows", accepted=False),
    _post("byte order mark is a letter", "\ufeffSELECT 1", effect=Effect.OTHER,
          verb="\ufeffSELECT", accepted=None),
    # Brackets, casts, operators, parameters.
    _post("subscript is no name", "SELECT tags[1], tags[n] FROM tokens", "tags n tokens"),
    _post("slice", "SELECT tags[1:n], tags[:n], tags[n:] FROM tokens", "tags n tokens"),
    _post("apostrophe within a subscript", "SELECT (doc)['a''b'], n FROM tokens", "doc n tokens",
          "b"),
    _post("array", "SELECT ARRAY[n, 2], ARRAY[]::text[] FROM rows", "n rows"),
    _post("cast", "SELECT n::text, 'x'::varchar(10), '1'::int::text FROM rows", "n rows"),
    _post("cast to a table's type with its schema", "SELECT NULL::public.tokens, n FROM rows",
          "n rows"),
    _post("cast of a parameter", "SELECT $1::text, n FROM rows", "n rows", "1"),
    _post("numbered parameters", "SELECT $1, $22 FROM tokens WHERE n = $3", "tokens n", "1 22 3",
          accepted=None),
    _post("numbered parameter before dollar quotes", "SELECT $1 || $$rows$$ FROM tokens",
          "tokens", "rows"),
    _post("positional placeholder", "SELECT %s FROM tokens WHERE n=%s", "tokens n", "s",
          accepted=None),
    _post("named placeholder", "SELECT n FROM rows WHERE data = %(tokens)s", "n rows data",
          "tokens s", accepted=None),
    _post("named placeholder glued to an operator", "SELECT n FROM rows WHERE n=%(runs)s AND 1=1",
          "n rows", "runs s", accepted=None),
    _post("named placeholder with a space", "SELECT %(my tokens)s, n FROM rows", "n rows",
          "tokens my s", accepted=None),
    _post("placeholder and cast", "SELECT %(tokens)s::text, %s::int FROM rows", "rows", "tokens s",
          accepted=None),
    _post("doubled percent sign", "SELECT 5 %% n FROM rows", "n rows", accepted=None),
    _post("doubled percent sign before parentheses", "SELECT 5 %%(n)s FROM rows", "n rows",
          accepted=None),
    _post("doubled percent sign before a word", "SELECT 5 %%score FROM tokens", "score tokens",
          accepted=None),
    _post("percent sign of a driver that knows none", "SELECT 5 % n, 5 % (n) FROM rows", "n rows"),
    _post("percent sign in a string", "SELECT 'a%%b %s' FROM tokens", "tokens", accepted=None),
    _post("colon is no parameter", "SELECT tags[1:token_n] FROM (SELECT tags, n AS token_n "
          "FROM tokens) x", "token_n tags n tokens"),
    _post("at is an operator", "SELECT @n, @score FROM tokens", "n score tokens"),
    _post("question mark is an operator", "SELECT doc ? 'rows', doc ?| tags FROM tokens",
          "doc tags tokens", "rows"),
    _post("JSON operators", "SELECT doc #>> '{rows}', doc->'runs'->>0, doc @> '{}' FROM tokens",
          "doc tokens", "rows runs"),
    _post("operator with its schema", "SELECT 1 OPERATOR(pg_catalog.+) n FROM rows", "n rows"),
    _post("collation with its schema", 'SELECT data COLLATE pg_catalog."C" FROM rows',
          "data rows"),
    _post("function with its schema as a source",
          "SELECT n FROM pg_catalog.generate_series(1, 2) AS n", "n generate_series"),
    _post("function with its schema", "SELECT pg_catalog.lower(data) FROM rows", "data rows"),
    # Verbs as names: they are not reserved here.
    _post("verbs are columns", "SELECT update, delete, insert, a.merge FROM audit AS a",
          "update delete insert merge audit"),
    _post("verbs in parentheses before an operator", "SELECT (update || 'x'), (delete) FROM audit",
          "update delete audit"),
    _post("words of locks behind WHERE", "SELECT id FROM audit WHERE share = 'x' AND no = key",
          "id share no key audit", accepted=False),
    _post("verbs in parentheses", "SELECT (update), coalesce(delete, insert) FROM audit",
          "update delete audit"),
    _post("verbs in a CTE's body",
          "WITH¶ a AS (SELECT delete, (update) FROM audit) SELECT * FROM a",
          "delete update audit", ctes="a", flags="star"),
    _post("verbs are a CTE's columns",
          "WITH¶ a(insert, update) AS (SELECT 1, 2) SELECT insert, n FROM a, rows", "insert rows",
          ctes="a"),
    _post("verbs are CTEs",
          "WITH¶ delete AS (SELECT 1 AS x), update(x) AS (SELECT 2) SELECT x FROM delete",
          "delete update", ctes="delete update"),
    *(
        _post(f"{word} is an alias before a comma", f"SELECT 1 FROM rows {word}, ‹public.tokens›",
              "rows tokens", flags=None)
        for word in ("set", "values", "rows", "lateral_", "update", "insert", "merge", "temp",
                     "search", "recursive", "materialized", "key", "share", "no", "row", "table_")
    ),
    *(
        _post(f"table with its schema before {tail}", f"SELECT 1 FROM ‹public.rows› {tail}",
              "rows runs" if "runs" in tail else "rows", flags=None)
        for tail in (
            "WHERE true", "GROUP BY n", "HAVING count(*) > 0", "ORDER BY n", "LIMIT 2", "OFFSET 0",
            "FETCH FIRST ROW ONLY", "UNION SELECT 2", "INTERSECT SELECT 1", "EXCEPT SELECT 2",
            "WINDOW w AS (ORDER BY n)", "INNER JOIN runs ON true", "CROSS JOIN runs",
            "NATURAL JOIN runs", "LEFT JOIN runs ON true", "FULL JOIN runs ON true", ", runs",
        )
    ),
    _post("for and into behind a dot", 'SELECT a.for, a.into, a."for" FROM audit AS a',
          "for into audit"),
    _post("for behind a dot and update as its alias", "SELECT a.for update FROM audit AS a",
          "for audit"),
    _post("into is an alias", "SELECT n AS into FROM rows", "n rows"),
    _post("recursive is a CTE", "WITH¶ recursive AS (SELECT 1 AS x) SELECT x FROM recursive",
          "recursive", ctes="recursive"),
    _post("replace is a function", "SELECT (replace(data, 'a', 'b')) FROM rows", "data rows"),
    _post("left is a function", "SELECT left(data, 2), right(data, 2) FROM rows", "data rows",
          flags=None),
    # FROM that is no FROM.
    _post("extract", "SELECT extract(epoch FROM a.at), n FROM audit AS a", "at n audit"),
    _post("extract of alias.column named as a table",
          "SELECT extract(epoch FROM public.at) FROM audit AS public", "at audit"),
    _post("substring", "SELECT substring(r.data FROM r.n FOR 2) FROM rows AS r", "data n rows"),
    _post("extract from a subquery",
          "SELECT extract(epoch FROM (SELECT max(r.at) FROM ‹public.rows› AS r)) FROM tokens",
          "at rows tokens"),
    _post("extract in a call within FROM",
          "SELECT 1 FROM rows AS r, generate_series(1, extract(day FROM r.at)::int) AS g, "
          "‹public.runs›",
          "at rows runs"),
    _post("trim", "SELECT trim(BOTH 'x' FROM r.data), trim(FROM r.data) FROM rows AS r",
          "data rows"),
    _post("overlay", "SELECT overlay(r.data PLACING 'x' FROM r.n FOR 1) FROM rows AS r",
          "data n rows"),
    _post("distinct from", "SELECT r.data IS DISTINCT FROM r.run_id::text FROM rows AS r",
          "data run_id rows"),
    _post("from in a call and a comma",
          "SELECT 1 FROM rows AS r JOIN tokens ON extract(epoch FROM r.at) > 0, ‹public.runs›",
          "rows tokens runs"),
    _post("substring for update is no lock", "SELECT substring(a.id FOR 2) FROM audit AS a",
          "audit"),
    # WITH, EXPLAIN, parentheses, VALUES, TABLE.
    _post("search clause",
          "WITH RECURSIVE¶ t(id) AS (SELECT id FROM edges UNION ALL SELECT e.id FROM edges e, t "
          "WHERE e.parent = t.id) SEARCH DEPTH FIRST BY id SET ordering SELECT id FROM t",
          "edges id parent", ctes="t"),
    _post("search clause before another CTE",
          "WITH RECURSIVE¶ t(id, parent) AS (SELECT id, parent FROM edges UNION ALL "
          "SELECT e.id, e.parent FROM edges e, t WHERE e.parent = t.id) "
          "SEARCH BREADTH FIRST BY id, parent SET ordering, tokens AS (SELECT 1 AS x) "
          "SELECT x FROM t, tokens", "edges tokens", ctes="t tokens"),
    _post("cycle clause before another CTE",
          "WITH RECURSIVE¶ t(id, parent) AS (SELECT id, parent FROM edges UNION ALL "
          "SELECT e.id, e.parent FROM edges e, t WHERE e.parent = t.id) "
          "CYCLE id, parent SET looped TO 'Y' DEFAULT 'N' USING path, tokens(x) AS (SELECT 1) "
          "SELECT x FROM t, tokens", "edges tokens", ctes="t tokens"),
    _post("search and cycle clauses",
          "WITH RECURSIVE¶ t(id) AS (SELECT id FROM edges UNION ALL SELECT e.id FROM edges e, t "
          "WHERE e.parent = t.id) SEARCH DEPTH FIRST BY id SET o CYCLE id SET c USING p, "
          "rows AS MATERIALIZED (SELECT 1 AS x) SELECT x FROM t, rows", "edges rows",
          ctes="t rows"),
    _post("quoted CTEs",
          'WITH¶ "A" AS (SELECT 1 AS x), a AS (SELECT 2 AS x) SELECT "A".x FROM "A", a',
          "A a", ctes="A a"),
    _post("explain with options", "EXPLAIN (ANALYZE, COSTS OFF) ¦SELECT n FROM rows", "n rows"),
    _post("explain analyze verbose", "EXPLAIN ANALYZE VERBOSE ¦SELECT n FROM rows", "n rows"),
    _post("explain analyse", "EXPLAIN ANALYSE ¦SELECT n FROM rows", "n rows"),
    _post("explain analyze", "EXPLAIN ANALYZE ¦SELECT n FROM rows", "n rows"),
    _post("explain analyze a WITH",
          "EXPLAIN ANALYZE WITH¶ a AS (SELECT n FROM rows) SELECT n FROM a",
          "n rows", ctes="a"),
    _post("explain with an option's value",
          "EXPLAIN (FORMAT JSON, ANALYZE true) ¦SELECT n FROM rows",
          "n rows"),
    _post("explain a WITH", "EXPLAIN (VERBOSE) WITH¶ a AS (SELECT n FROM rows) SELECT n FROM a",
          "rows", ctes="a"),
    _post("explain a parenthesised read", "EXPLAIN ¦(SELECT n FROM rows)", "n rows"),
    _post("explain a read in double parentheses", "EXPLAIN ANALYZE ¦((SELECT n FROM rows))",
          "n rows"),
    _post("explain options and parentheses", "EXPLAIN (ANALYZE) ¦(SELECT n FROM rows)", "n rows"),
    _post_writes("explain a write", "EXPLAIN DELETE FROM tokens", "tokens", verb="DELETE"),
    _post_writes("explain analyse a write", "EXPLAIN ANALYSE DELETE FROM tokens", "tokens",
                 verb="DELETE"),
    _post_writes("explain analyze runs the write", "EXPLAIN ANALYZE DELETE FROM tokens", "tokens",
                 verb="DELETE"),
    _post_writes("explain options and a write",
                 "EXPLAIN (ANALYZE, BUFFERS) UPDATE tokens SET n = 1",
                 "tokens", verb="UPDATE"),
    _post_writes("explain a create table as", "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1",
                 verb="CREATE"),
    _post("parentheses", "¦(SELECT n FROM rows) UNION (SELECT n FROM tokens)", "rows tokens"),
    _post("many parentheses", "¦((((SELECT n FROM rows))))", "n rows"),
    _post("WITH before parentheses", "WITH¶ a AS (SELECT n FROM rows) ((SELECT n FROM a))", "rows",
          ctes="a"),
    _post("WITH within parentheses", "¦(WITH tokens AS (SELECT 1 AS x) SELECT x FROM tokens)",
          "tokens x"),
    _post("WITH within one side's parentheses",
          "¦(WITH tokens AS (SELECT 1 AS n) SELECT n FROM tokens) "
          "UNION (SELECT n FROM ‹public.rows›)",
          "tokens n rows"),
    _post("values", "VALUES (1, 'rows'), (2, 'runs')", "", "rows runs", verb="VALUES"),
    _post("table", "TABLE tokens", "tokens", verb="TABLE", flags="star"),
    _post("table with its schema", "TABLE ‹public.tokens›", "tokens", verb="TABLE", flags="star"),
    _post("table only", "TABLE ONLY ‹public.tokens›", "tokens", verb="TABLE", flags="star"),
    _post("table in a compound", "SELECT token_id, 'x' FROM tokens UNION TABLE ‹public.runs›",
          "tokens runs", flags="star"),
    _post("table behind a WITH", "WITH¶ a AS (SELECT n FROM rows) TABLE a", "rows a", verb="TABLE",
          ctes="a", flags="star"),
    _post("table in a subquery", "SELECT 1 FROM (TABLE ‹public.tokens›) AS x", "tokens",
          flags="star"),
    _post("ten thousand parentheses", "¦" + "(" * 10_000 + "SELECT n FROM rows" + ")" * 10_000,
          "n rows", accepted=None),
    _post("a megabyte of unclosed dollars", "SELECT n FROM rows WHERE " + "$a$ " * 262_143 + "$b$ ",
          "n rows", accepted=None),
    _post("a megabyte of nested comments", "/*" * 262_144 + "*/" * 262_144 + "¦SELECT n FROM rows",
          "n rows", accepted=None),
    # Sources of rows.
    _post("only", "SELECT n FROM ONLY tokens", "tokens n"),
    _post("only with a schema", "SELECT n FROM ONLY ‹public.tokens›", "tokens n"),
    _post("only in parentheses", "SELECT n FROM ONLY (‹public.tokens›)", "tokens n"),
    _post("descendants", "SELECT tokens.n FROM tokens *, ‹public.rows› * AS r", "tokens rows",
          flags=None),
    _post("lateral", "SELECT r.n FROM rows r, LATERAL (SELECT t.n FROM ‹public.tokens› t "
          "WHERE t.row_id = r.row_id) x", "rows tokens"),
    _post("joined laterally", "SELECT r.n FROM rows r LEFT JOIN LATERAL (SELECT 1 FROM tokens) x "
          "ON true, ‹public.runs›", "rows tokens runs", flags="outer"),
    _post("function as a source", "SELECT 1 FROM generate_series(1, 2) AS g(x), ‹public.tokens›",
          "tokens"),
    _post("rows from", "SELECT 1 FROM ROWS FROM (generate_series(1, 2)) AS x, ‹public.tokens›",
          "tokens"),
    _post("sample", "SELECT n FROM ‹public.tokens› TABLESAMPLE system (50), ‹public.rows› AS r",
          "tokens rows", flags=None, accepted=None),
    _post("with ordinality",
          "SELECT 1 FROM unnest(ARRAY[1]) WITH ORDINALITY AS u(a, b), ‹public.rows›",
          "rows"),
    _post("column definitions",
          "SELECT 1 FROM json_to_record('{}') AS x(a int, b text), ‹public.rows›",
          "rows"),
    _post("values as a source", "SELECT 1 FROM (VALUES (1, 2)) AS v(a, b), ‹public.rows›", "rows"),
    _post("fetch first", "SELECT n FROM rows ORDER BY n OFFSET 1 ROWS FETCH FIRST 2 ROWS ONLY",
          "n rows", flags=None),
    _post("grouping sets", "SELECT n FROM rows GROUP BY GROUPING SETS ((n), (run_id), ())",
          "n run_id rows", accepted=True),
    # Tables named with their schema.
    _post("schema", "SELECT n FROM ‹public.tokens›", "public tokens"),
    _post("quoted schema", 'SELECT n FROM ‹"public"."tokens"›', "tokens", named="public.tokens"),
    _post("quoted schema keeps its case", 'SELECT token_id FROM ‹PUBLIC."Tokens"›', "Tokens",
          "tokens", named="public.Tokens"),
    _post("unicode schema and table", 'SELECT n FROM ‹U&"publi\\0063".U&"token\\0073"›', "tokens",
          named="public.tokens"),
    _post("comments around the dot", "SELECT n FROM ‹public/*/*.*/*/.--x\ntokens›", "tokens", "x",
          named="public.tokens"),
    _post("database, schema and table", "SELECT ‹mydb.public.tokens›.n FROM ‹mydb.public.tokens›",
          "tokens n", named="public.tokens public.tokens", accepted=False),
    _post("column with its schema", "SELECT ‹public.tokens›.n FROM tokens", "tokens n"),
    _post("star with its schema", "SELECT ‹public.tokens›.* FROM tokens", "tokens", flags="star"),
    _post("alias named as the schema", "SELECT public.tags FROM tokens AS public", "tags tokens"),
    _post("subscript of alias.column", "SELECT public.tags[1] FROM tokens AS public",
          "tags tokens"),
    # Stars.
    _post("star", "SELECT * FROM tokens", "tokens", flags="star"),
    _post("distinct on and star", "SELECT DISTINCT ON (n, row_id) * FROM tokens", "tokens n",
          flags="star"),
    _post("distinct on and a star before a column",
          "SELECT DISTINCT ON (n, lower(label)) *, n AS x FROM tokens", "tokens n", flags="star"),
    _post("distinct on and a star behind a comment", "SELECT DISTINCT ON (n)/**/* FROM tokens",
          "tokens n", flags="star"),
    _post("multiplication by a parenthesis", "SELECT (n) * (n), (SELECT 1) * n FROM tokens",
          "tokens n"),
    _post("distinct on and multiplication", "SELECT DISTINCT ON (n) n * 2 FROM tokens", "tokens"),
    _post("star of a row", "SELECT (t).* FROM tokens AS t", "tokens", flags="star"),
    _post("star in a call", "SELECT row(t.*), to_jsonb(t.*) FROM tokens AS t", "tokens",
          flags="star"),
    _post("whole row of an alias", "SELECT t FROM tokens AS t", "tokens", flags="star"),
    _post("whole row in a call", "SELECT 1, to_jsonb(t) FROM rows, tokens t", "rows tokens",
          flags="star"),
    _post("whole row of a table", "SELECT row_to_json(tokens) FROM tokens", "tokens",
          flags="star"),
    _post("whole row of a quoted alias in WHERE",
          'SELECT n FROM tokens AS "T" WHERE "T" IS NOT NULL',
          "n tokens", flags="star"),
    _post("whole row as it is called something", "SELECT t AS x, n FROM tokens AS t", "tokens",
          flags="star"),
    _post("whole row of a subquery's table", "SELECT (SELECT json_agg(r) FROM rows r) FROM tokens",
          "rows tokens", flags="star"),
    _post("column named as its table is no whole row", "SELECT x.tokens FROM (SELECT n AS tokens "
          "FROM tokens) AS x", "n tokens", flags=None),
    _post("count is no star", "SELECT count(*) FROM tokens", "tokens"),
    _post("multiplication in parentheses",
          "SELECT (n) * 2, n::int * 2, (ARRAY[n])[1] * 2 FROM tokens",
          "n tokens"),
]

_POSTGRESQL_WRITES = [
    _post_writes("select into", "SELECT n INTO x FROM rows", "rows", verb="SELECT"),
    _post_writes("select into temp table", "SELECT * INTO TEMP TABLE x FROM rows", "rows",
                 verb="SELECT"),
    _post_writes("select into behind a WITH",
                 "WITH a AS (SELECT n FROM rows) SELECT n INTO x FROM a",
                 "rows", verb="SELECT", ctes="a"),
    _post_writes("for update", "SELECT n FROM rows FOR UPDATE", "rows", verb="SELECT"),
    _post_writes("for update of", "SELECT n FROM rows FOR UPDATE OF rows SKIP LOCKED", "rows",
                 verb="SELECT"),
    _post_writes("for no key update", "SELECT n FROM rows FOR NO KEY UPDATE NOWAIT", "rows",
                 verb="SELECT"),
    _post_writes("for share", "SELECT n FROM rows ORDER BY n for/**/share", "rows", verb="SELECT"),
    _post_writes("for key share", "SELECT n FROM rows LIMIT 1 FOR KEY SHARE", "rows",
                 verb="SELECT"),
    _post_writes("for update in a subquery", "SELECT 1 FROM (SELECT n FROM rows FOR UPDATE) AS x",
                 "rows", verb="SELECT"),
    _post_writes("for update in parentheses", "(SELECT n FROM rows FOR UPDATE)", "rows",
                 verb="SELECT"),
    _post_writes("for update behind an alias", "SELECT n FROM rows AS r FOR UPDATE", "rows",
                 verb="SELECT"),
    _post_writes("delete in a CTE", "WITH a AS (DELETE FROM tokens RETURNING *) SELECT * FROM a",
                 "tokens", verb="SELECT", ctes="a"),
    _post_writes("insert in the second CTE",
                 "WITH a AS (SELECT 1), b AS (INSERT INTO runs VALUES ('x') RETURNING 1) "
                 "SELECT 1 FROM b",
                 "runs", verb="SELECT", ctes="a b"),
    _post_writes("update in a materialised CTE",
                 "WITH a AS MATERIALIZED (UPDATE runs SET status = 'x' RETURNING 1) "
                 "SELECT 1 FROM a",
                 "runs", verb="SELECT", ctes="a"),
    _post_writes("delete in a CTE that is not materialised",
                 "WITH a AS NOT MATERIALIZED ( -- x\nDELETE FROM runs RETURNING 1) TABLE a", "runs",
                 verb="TABLE", ctes="a"),
    _post_writes("write behind a CTE of the CTE",
                 "WITH a AS (WITH b AS (SELECT 1) DELETE FROM runs RETURNING 1) SELECT 1 FROM a",
                 "runs", verb="SELECT", ctes="a"),
    _post_writes("write in a CTE within parentheses",
                 "(WITH a AS (DELETE FROM runs RETURNING 1) SELECT 1 FROM a)", "runs",
                 verb="SELECT", accepted=None),
    _post_writes("write in a CTE of a subquery",
                 "SELECT 1 FROM (WITH a AS (DELETE FROM runs RETURNING 1) SELECT 1 FROM a) AS x",
                 "runs", verb="SELECT", accepted=False),
    _post_writes("explained write in a CTE",
                 "EXPLAIN ANALYZE WITH a AS (DELETE FROM runs RETURNING 1) SELECT 1 FROM a", "runs",
                 verb="SELECT", ctes="a"),
    _post_writes("write behind a search clause",
                 "WITH RECURSIVE t(id) AS (SELECT id FROM edges UNION ALL SELECT e.id "
                 "FROM edges e, t WHERE e.parent = t.id) SEARCH DEPTH FIRST BY id SET o "
                 "DELETE FROM edges USING t WHERE t.id = edges.id",
                 "edges", verb="DELETE", ctes="t"),
    _post_writes("write behind WITH", "WITH a AS (SELECT 1) DELETE FROM runs", "runs",
                 verb="DELETE", ctes="a"),
    _post_writes("insert", "INSERT INTO runs VALUES (%(a)s, %(b)s) RETURNING *", "runs", "a b",
                 verb="INSERT", accepted=None),
    _post_writes("update only", "UPDATE ONLY public.runs SET status = 'x'", "runs", verb="UPDATE"),
    _post_writes("merge", "MERGE INTO runs r USING rows s ON r.run_id = s.run_id WHEN MATCHED THEN "
                 "DELETE", "runs rows", verb="MERGE"),
    _post_writes("copy from", "COPY tokens FROM STDIN", "tokens", verb="COPY", accepted=None),
    _post_writes("copy to", "COPY (SELECT n FROM rows) TO STDOUT", "rows", verb="COPY",
                 accepted=None),
    _post_writes("lock", "LOCK TABLE tokens IN ACCESS SHARE MODE", "tokens", verb="LOCK"),
    _post_writes("do", "DO $$ BEGIN DELETE FROM tokens; END $$", "", "tokens", verb="DO"),
    _post_writes("call", "CALL purge(1)", "purge", verb="CALL", accepted=False),
    _post_writes("truncate", "TRUNCATE ONLY tokens", "tokens", verb="TRUNCATE"),
    _post_writes("grant", "GRANT SELECT ON tokens TO public", "tokens", verb="GRANT"),
    _post_writes("comment on", "COMMENT ON TABLE tokens IS 'SELECT'", "tokens", verb="COMMENT"),
    _post_writes("refresh", "REFRESH MATERIALIZED VIEW x", verb="REFRESH", accepted=None),
    _post_writes("prepare", "PREPARE p AS SELECT n FROM rows", "rows", verb="PREPARE"),
    _post_writes("create table as", "CREATE TABLE x AS SELECT n FROM rows", "rows",
                 verb="CREATE"),
]

_post_control = partial(_post, effect=Effect.CONTROL)
_post_other = partial(_post, effect=Effect.OTHER)

_POSTGRESQL_OTHERS = [
    _post_control("start", "START TRANSACTION READ ONLY", verb="START"),
    _post_control("begin read write", "BEGIN READ WRITE", verb="BEGIN"),
    _post_control("abort", "ABORT", verb="ABORT", accepted=None),
    _post_control("savepoint", "SAVEPOINT sa_1", verb="SAVEPOINT"),
    _post_other("set", "SET search_path = public", verb="SET"),
    _post_other("show", "SHOW search_path", verb="SHOW"),
    _post_other("execute", "EXECUTE p", verb="EXECUTE", accepted=None),
    _post_other("declare", "DECLARE c CURSOR FOR SELECT n FROM rows", "rows", verb="DECLARE"),
    _post_other("fetch", "FETCH ALL FROM c", verb="FETCH", accepted=None),
    _post("nothing but nested comments", "/* /* */ SELECT 1 */", effect=Effect.EMPTY, verb=""),
    _post("two statements", "SELECT $$;$$; DELETE FROM tokens", "tokens", multiple=True),
    _post("statement behind an escaped quote", "SELECT E'\\''; DELETE FROM tokens -- '", "tokens",
          multiple=True),
    _post("statement behind a plain backslash", "SELECT '\\'; DELETE FROM tokens -- '", "tokens",
          multiple=True),
    _post("semicolon within an escaped string", "SELECT E'\\'; DELETE FROM tokens'", "", "tokens"),
    _post("semicolon within nested comments", "SELECT 1 /* /* */ ; DELETE FROM tokens */", "",
          "tokens"),
    _post("null", "SELECT n FROM rows\0", "n rows", accepted=None),
]
# fmt: on

STATEMENTS = tuple(
    statement
    for group in (
        _SQLITE_TEXTS,
        _SQLITE_WRITES,
        _SQLITE_OTHERS,
        _SQLITE_SEVERAL,
        _SQLITE_SPACE_AND_SIZE,
        _SQLITE_QUALIFIED,
        _SQLITE_ELSEWHERE,
        _SQLITE_FLAGS,
        _POSTGRESQL_TEXTS,
        _POSTGRESQL_WRITES,
        _POSTGRESQL_OTHERS,
    )
    for statement in group
)
