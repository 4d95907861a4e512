# ruff: noqa: E501
"""MariaDB itself, asked the same of two servers, never contradicts the scanner."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pymysql
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landscape_compat.projection.scan import Effect, QualifiedName, scan_statement
from landscape_compat.projection.tokens import MARIADB, NAMES, tokenize
from support.edits import edited
from support.mariadb import MariaServer

TABLES = ("tokens", "rows", "left", "order items", "a`b", "50%", "1st", "na\u00efve", "use")
_SCHEMA = "shop"


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


class Twins:
    """Two servers with one content; the second has no table by a name that is asked for.

    With a prelude, a statement gives on the second what it gives on the first without one, but
    only if the scanner was right about every name, place and span: what it overlooks is a table
    that does not exist.
    """

    def __init__(self, plain: MariaServer, hiding: MariaServer) -> None:
        self.connections = []
        for server, mark in ((plain, ""), (hiding, "stored:")):
            lines = [f"DROP DATABASE IF EXISTS {_SCHEMA}", f"CREATE DATABASE {_SCHEMA}"]
            for number, name in enumerate(TABLES):
                table = f"{_SCHEMA}.{_quoted(mark + name)}"
                lines += [
                    f"CREATE TABLE {table} (id int PRIMARY KEY, name varchar(9), `left` int)",
                    f"INSERT INTO {table} VALUES (1, 'a', 1), (2, 'b', NULL), ({number + 3}, 'c', 3)",
                ]
            server.run(";".join(lines))
            self.connections.append(server.connect(_SCHEMA))

    def ask(self, which: int, sql: str) -> Any:
        """Give the rows, or the number of the error."""
        # Around the cursor: what it was not asked for yet, it asks for when it is closed.
        try:
            with self.connections[which].cursor() as cursor:
                cursor.execute(sql)
                return sorted(map(repr, cursor.fetchall()))
        except (pymysql.Error, pymysql.Warning) as error:
            return error.args[0]

    def compare(self, sql: str) -> bool:
        """Hold the scanner's word against the server's; tell whether there were rows."""
        scan = scan_statement(sql, MARIADB)
        is_read = scan.effect is Effect.READS and not scan.multiple and not scan.executes
        if not is_read or scan.beside_tables or scan.inner_ctes or scan.own_ctes & set(TABLES):
            return False  # refused, where a degraded table is named
        expected = self.ask(0, sql)
        if not isinstance(expected, list):
            return False
        answered = self.with_prelude(sql)
        assert self.ask(1, answered) == expected, answered
        return True

    def with_prelude(self, sql: str) -> str:
        """Give a statement its prelude, by what the scanner says and nothing else."""
        scan = scan_statement(sql, MARIADB)
        edits = [
            (q.start, q.end, sql[q.table_start : q.end])
            for q in scan.qualified
            if q.schema == _SCHEMA and q.table in TABLES
        ]
        edits += [(hint.start, hint.end, "") for hint in scan.index_hints]
        prelude = ", ".join(
            f"{_quoted(name)} AS (SELECT t.* FROM {_SCHEMA}.{_quoted('stored:' + name)} AS t)"
            for name in TABLES
            if name in scan.names
        )
        return edited(sql, scan, edits, prelude)


@pytest.fixture(scope="module")
def twins(maria_server: MariaServer, maria_twin: MariaServer) -> Iterator[Twins]:
    twins = Twins(maria_server, maria_twin)
    yield twins
    for connection in twins.connections:
        connection.close()


READ = rb"""
SELECT * FROM tokens
SELECT SQL_NO_CACHE STRAIGHT_JOIN * FROM tokens STRAIGHT_JOIN shop.`order items` AS o ON o.id = tokens.id
SELECT STRAIGHT_JOIN shop.tokens.id FROM shop.tokens
SELECT DISTINCTROW SQL_BIG_RESULT HIGH_PRIORITY * FROM shop.`rows`
SELECT `left`.`left` FROM `left` LEFT JOIN shop.`1st` ON `left`.id = 1st.id
SELECT 1st.id FROM 1st
SELECT 1e1FROM tokens
SELECT 1.FROM tokens
SELECT .5FROM tokens
SELECT 0x41FROM tokens
SELECT 0b1 FROM tokens
SELECT x'41'FROM tokens
SELECT b'1'FROM tokens, N'x' FROM tokens
SELECT N'x'FROM tokens
SELECT _utf8mb4'x'FROM tokens
SELECT _latin1 x'41' COLLATE latin1_bin FROM tokens
SELECT 'it''s; \' FROM rows', id FROM tokens
SELECT "a""b\"c" FROM tokens
SELECT 'a' 'b' "c" FROM tokens
SELECT '\\'FROM tokens
SELECT "'"FROM tokens
SELECT '/*' FROM tokens
SELECT '`' FROM tokens
SELECT 1--1 FROM tokens
SELECT 1 -- 1 FROM tokens
SELECT 1 # ' FROM left
SELECT 1/* ' */FROM/**/tokens
SELECT 1 /* /* */ FROM tokens
SELECT id FROM shop . tokens
SELECT id FROM shop.tokens, shop.`a``b` AS x WHERE x.id = shop.tokens.id
SELECT tokens . id, shop . tokens . name FROM shop . tokens
SELECT shop.tokens.* FROM shop.tokens
SELECT tokens.id FROM .tokens
SELECT id FROM (shop.tokens)
SELECT * FROM (shop.tokens, shop.`use`) WHERE tokens.id = `use`.id
SELECT * FROM shop.tokens NATURAL JOIN shop.`rows`
SELECT * FROM shop.tokens JOIN shop.`rows` USING (id, name)
SELECT id FROM tokens USE INDEX (PRIMARY)
SELECT id FROM tokens FORCE INDEX FOR ORDER BY (PRIMARY), shop.`use` IGNORE KEY FOR JOIN (PRIMARY)
SELECT t.id FROM shop.tokens AS t USE INDEX () IGNORE INDEX FOR GROUP BY (PRIMARY) JOIN shop.`50%`
SELECT id FROM tokens UNION SELECT id FROM shop.na\u00efve EXCEPT SELECT 1 INTERSECT SELECT id FROM `50%`
(SELECT id FROM tokens ORDER BY id LIMIT 1) UNION ALL (SELECT id FROM shop.`1st`)
WITH x AS (SELECT id FROM shop.tokens), y(z) AS (SELECT id FROM x) SELECT z FROM y, tokens
WITH RECURSIVE x AS (SELECT 1 AS n UNION SELECT n + 1 FROM x, tokens WHERE n < 5) SELECT n FROM x
SELECT (SELECT max(id) FROM shop.tokens), EXISTS (SELECT 1 FROM shop.`left`)
SELECT id FROM tokens WHERE id IN (SELECT id FROM shop.`rows` WHERE name = tokens.name)
SELECT substr(name FROM 1 FOR 1), mid(name FROM 1), trim(BOTH 'a' FROM name) FROM tokens, shop.`use`
SELECT EXTRACT(YEAR FROM '2020-01-01'), position('a' IN name) FROM shop.tokens
SELECT count(*), count(DISTINCT name), sum(id * 2) FROM tokens
SELECT id * `left`, id*2 FROM tokens
SELECT max(id) OVER (PARTITION BY name ORDER BY id ROWS UNBOUNDED PRECEDING) FROM shop.tokens
SELECT sum(id) OVER w FROM shop.tokens WINDOW w AS (PARTITION BY name)
SELECT name, count(*) FROM shop.tokens GROUP BY name WITH ROLLUP HAVING count(*) > 0
SELECT group_concat(name ORDER BY id SEPARATOR ',') FROM shop.tokens
SELECT CASE WHEN id = 1 THEN 'x' ELSE name END AS 'tokens', name "y", id z FROM shop.tokens
SELECT id AS `order` FROM shop.tokens tokens ORDER BY `order` LIMIT 1, 2
SELECT id FROM tokens LIMIT 2 OFFSET 1
SELECT id FROM tokens OFFSET 1 ROW FETCH FIRST 1 ROW ONLY
SELECT LEFT(name, 1), RIGHT(name, 1), REPLACE(name, 'a', 'b'), INSERT(name, 1, 1, 'x') FROM tokens
SELECT IF(id > 1, 'a', NULL) IS NULL, id <=> NULL, NOT id, !id, id DIV 2, id MOD 2, id % 2 FROM tokens
SELECT id := 1 FROM tokens
SELECT @a, @`b`, @'c', @"d", @@version, @@session.sql_mode FROM tokens
SELECT * FROM tokens;;--
SELECT name REGEXP '^a', name LIKE 'a|%' ESCAPE '|', name SOUNDS LIKE 'a' FROM tokens
SELECT * FROM JSON_TABLE('[1]', '$[*]' COLUMNS (tokens INT PATH '$')) AS j, shop.tokens
SELECT DATE_ADD('2020-01-01', INTERVAL id DAY), TIMESTAMP '2020-01-01 00:00:00' FROM shop.tokens
VALUES ((SELECT max(id) FROM tokens)), (2)
SELECT v.* FROM (VALUES (1), (2)) v, shop.tokens
SELECT id FROM TOKENS
SELECT \N FROM tokens
SELECT id FROM tokens WHERE (id, name) IN ((1, 'a'), (2, 'b')) AND ROW(id, 1) = (1, 1)
SELECT id FROM tokens FOR SYSTEM_TIME ALL
SELECT `id`FROM`tokens`WHERE`id`=1
SELECT tokens.1st FROM (SELECT 5 AS 1st FROM shop.tokens) tokens
SELECT tokens.1e5 FROM (SELECT 5 AS 1e5 FROM shop.tokens) tokens
SELECT count(*) FROM shop.tokens a LEFT OUTER JOIN (shop.`rows` b CROSS JOIN shop.1st c) ON a.id = b.id
SELECT * FROM shop.tokens WHERE MATCH (name) AGAINST ('a')
SELECT DISTINCT * FROM shop.tokens PROCEDURE ANALYSE()
SELECT ALL SQL_CALC_FOUND_ROWS * FROM shop.tokens
SELECT SQL_SMALL_RESULT SQL_BUFFER_RESULT tokens.*, `rows`.* FROM tokens, `rows`
""".decode("raw_unicode_escape")


@pytest.mark.parametrize("sql", READ.strip().split("\n"))
def test_a_statement_reads_the_same_through_a_prelude(twins: Twins, sql: str) -> None:
    twins.compare(sql)


def test_most_of_them_have_something_to_say(twins: Twins) -> None:
    asked = READ.strip().split("\n")
    assert sum(twins.compare(sql) for sql in asked) > len(asked) * 0.8


PIECES = (
    "tokens", "shop.tokens", "`rows`", "shop . `rows`", "1st", "shop.1st", "`a``b`", "50", "1",
    ".5", "1e5", "1e", "0x1F", "0xG", "x'41'", "'a'", "'it''s'", "'\\''", "'\\\\'", "\"a\"",
    "\"\\\"\"", "''", "N'x'", "_utf8mb4'x'", "--", "-- ", "#", "/*", "*/", "/* x */", "/**/",
    "\n", "(", ")", ",", ".", "*", "=", "<=>", "-", "+", "@a", "@@version", "AS", "x", "FROM",
    "SELECT", "WHERE", "JOIN", "ON", "LEFT JOIN", "STRAIGHT_JOIN", "USE INDEX (PRIMARY)",
    "UNION", "IN", "EXISTS", "NATURAL JOIN", "id", "tokens.id", "shop.tokens.id", "name", "$",
    "\\", "'", "`", ";", "%", "\xe9", "\xa0", "ORDER BY", "GROUP BY", "LIMIT 1",
    "(SELECT 1 FROM tokens)", "(SELECT * FROM shop.1st)", "\\N",
)  # fmt: skip
HEADS = (
    "SELECT * FROM tokens",
    "SELECT id FROM shop.tokens x",
    "SELECT 1",
    "SELECT id, 1 FROM 1st",
)


@settings(max_examples=400)
@given(
    st.sampled_from(HEADS),
    st.lists(
        st.tuples(st.sampled_from(PIECES), st.sampled_from(("", "", " ", " ", "\t", "\r", "\v"))),
        max_size=7,
    ),
)
def test_no_name_is_overlooked(twins: Twins, head: str, pieces: list[tuple[str, str]]) -> None:
    """Whatever stands close to whatever: a table that is read has a name that was seen."""
    twins.compare(head + " " + "".join(piece + space for piece, space in pieces))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a.1b", ["a", "1b"]),
        ("1b", ["1b"]),
        ("1e5b", ["b"]),
        ("1e+b", ["1e", "b"]),
        ("0xAG", ["0xag"]),
        ("@a.b c", ["c"]),
        ("a--b", ["a", "b"]),
        ("a -- b", ["a"]),
        ("a--\tb", ["a"]),
        ("a#b\nc", ["a", "c"]),
        ("`a``B`", ["a`b"]),
        ("'a''b\\' c' d", ["d"]),
        ('"a""b\\" c" d', ["d"]),
        ("%s a %(b)s", ["a"]),
        ("a\u00a0b", ["a\u00a0b"]),
    ],
)
def test_what_is_a_name(text: str, names: list[str]) -> None:
    assert [token.name for token in tokenize(text, MARIADB) if token.kind in NAMES] == names


def test_where_a_table_is_qualified() -> None:
    """A word that only joins is no table's alias, nor is one that begins a hint."""
    text = "SELECT 1 FROM d.a STRAIGHT_JOIN d.b USE INDEX (x), d.c FORCE KEY FOR JOIN (y), d.e"
    scan = scan_statement(text, MARIADB)
    found: list[QualifiedName] = list(scan.qualified)
    assert [(q.schema, q.table, q.aliased) for q in found] == [
        ("d", name, False) for name in "abce"
    ]
    assert [hint.table for hint in scan.index_hints] == ["b", "c"]
