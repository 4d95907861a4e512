"""SQLite itself, asked what a statement reads and writes, never contradicts the scanner."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landscape_compat.projection.scan import Effect, QualifiedName, StatementScan, scan_statement
from landscape_compat.projection.tokens import POSTGRESQL, SQLITE
from landscape_compat.schema.shape import fold_name
from projection.statements import KEYWORDS, SQLITE_SCHEMA, STATEMENTS, Statement
from support.edits import edited

_WRITING = {
    getattr(sqlite3, f"SQLITE_{action}")
    for action in """ALTER_TABLE ANALYZE ATTACH CREATE_INDEX CREATE_TABLE CREATE_TEMP_INDEX
    CREATE_TEMP_TABLE CREATE_TEMP_TRIGGER CREATE_TEMP_VIEW CREATE_TRIGGER CREATE_VIEW
    CREATE_VTABLE DELETE DETACH DROP_INDEX DROP_TABLE DROP_TEMP_INDEX DROP_TEMP_TABLE
    DROP_TEMP_TRIGGER DROP_TEMP_VIEW DROP_TRIGGER DROP_VIEW DROP_VTABLE INSERT REINDEX
    UPDATE""".split()
}
_CONTROLLING = {sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT}
_TOO_LONG = "OperationalError: interrupted"
_ROW_NUMBERS = {"rowid", "_rowid_", "oid"}
# What these show depends on how the tables are stored, not on what is in them.
_OF_STORAGE = _ROW_NUMBERS | {"sqlite_master", "pragma_table_info"}
_KEYWORD_TEMPLATES = """
SELECT "{k}" FROM "{k}"
SELECT {k} FROM {k}
SELECT {k}.{k} FROM {k}
SELECT {k}.*, 1 FROM {k}
SELECT {k} * 2, main.{k}.{k} FROM main.{k}
SELECT n AS {k} FROM rows
SELECT n {k} FROM main.rows
SELECT n {k}, main.rows.n FROM rows
SELECT 1 FROM rows AS {k}, main.tokens
SELECT 1 FROM rows {k}, main.tokens
SELECT 1 FROM main.rows AS {k}, main.tokens
SELECT 1 FROM main.rows {k}, main.tokens
SELECT 1 FROM (main.rows AS {k}, main.tokens)
SELECT 1 FROM (SELECT 1) AS {k}, main.tokens
SELECT 1 FROM (SELECT 1) {k}, main.tokens
SELECT 1 FROM json_each('[1]') AS {k}, main.tokens
SELECT {k}.n FROM rows AS {k} JOIN main.tokens
SELECT {k}.n FROM rows AS {k} LEFT JOIN main.tokens ON {k}.n = 1, main.runs
SELECT 1 FROM runs JOIN main.{k} ON {k} IS NOT NULL, main.tokens
SELECT 1 FROM runs JOIN {k} AS x ON x.{k} IS NOT NULL, main.tokens
SELECT 1 FROM runs AS x JOIN {k} AS y USING ({k}), main.tokens
SELECT {k} FROM {k} WHERE {k} IN main.marks
SELECT {k} FROM {k} WHERE {k} NOT IN main.{k}
SELECT {k} IN {k}, 1 FROM {k}
SELECT {k} IS DISTINCT FROM {k}.{k}, 1 FROM {k}
SELECT {k} IS NOT DISTINCT FROM main.{k} FROM {k} AS main
SELECT main.{k}, 1 FROM {k} AS main, main.tokens
SELECT max({k}, main.{k}) FROM {k} AS main, main.tokens
SELECT 1 FROM rows ORDER BY (SELECT {k} FROM {k}), (SELECT max(row_id) FROM main.tokens)
SELECT {k}, count(*) FROM {k} GROUP BY {k} HAVING {k} <> '' ORDER BY {k}
SELECT CASE {k} WHEN 'x' THEN {k} ELSE {k} END FROM {k}, main.tokens
SELECT (SELECT {k} FROM main.{k}), (SELECT max(row_id) FROM main.tokens)
SELECT sum(1) OVER {k} FROM rows WINDOW {k} AS (ORDER BY n)
SELECT n FROM rows UNION SELECT {k} FROM main.{k} EXCEPT SELECT {k} FROM {k}
WITH {k} AS (SELECT 1 AS x) SELECT x FROM {k}, main.rows
WITH {k}({k}) AS (SELECT 1) SELECT {k} FROM {k}, main.rows
WITH {k} AS MATERIALIZED (SELECT 1 AS x), y AS (SELECT 2) SELECT x FROM {k}, y, main.rows
WITH RECURSIVE {k}(x) AS (SELECT 1 UNION SELECT x FROM {k}) SELECT x FROM {k}, rows
WITH a({k}) AS (SELECT 1) SELECT {k} FROM a, main.rows
WITH a AS (SELECT {k} FROM main.{k}) SELECT {k} FROM a
EXPLAIN SELECT {k} FROM main.{k}
EXPLAIN QUERY PLAN SELECT n AS {k} FROM main.rows AS {k}
VALUES ((SELECT {k} FROM {k})), ((SELECT {k} FROM main.{k} AS {k}))
""".strip().splitlines()
_SQLITE = [statement for statement in STATEMENTS if statement.dialect == "sqlite"]


@dataclass
class Observed:
    """What SQLite said of one statement.

    Args:
        outcome: Its rows, in no order, or the error; None where it tells how it would run.
        accepted: Whether it could be prepared.
        reads: (table, column) it reads itself, not through a view.
        writes: Whether it would write.
    """

    outcome: list[str] | str | None = None
    accepted: bool = True
    reads: set[tuple[str, str]] = field(default_factory=set)
    writes: bool = False


class Oracle:
    """An in-memory database that tells what each statement reads and writes.

    Args:
        may_write: Whether it lets them write.
        hides: Whether its tables stand under names that no statement knows.
    """

    def __init__(self, *, may_write: bool = False, hides: bool = False) -> None:
        # A statement that is prepared again is not shown to the authorizer again.
        self.connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=0)
        self.connection.executescript(SQLITE_SCHEMA)
        catalogue = "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')"
        self.kinds = dict(self.connection.execute(catalogue).fetchall())
        if hides:
            self._hide()
        self.connection.executescript(
            "ATTACH ':memory:' AS att; CREATE TABLE att.tokens(token_id TEXT);"
            "CREATE TEMP TABLE scratch(id TEXT);"
        )
        self._may_write = may_write
        self._observed = Observed()
        self._ticks = 0
        self.connection.set_authorizer(self._authorize)
        self.connection.set_progress_handler(self._tick, 1000)

    def _hide(self) -> None:
        ask = self.connection.execute
        for name, kind in self.kinds.items():
            if kind == "table":
                ask(f"ALTER TABLE {_quoted(name)} RENAME TO {_hidden(name)}")
        for name, kind in self.kinds.items():
            if kind == "view":
                where = "FROM sqlite_master WHERE name = ?"
                body = ask(f"SELECT substr(sql, instr(sql, ' AS ')) {where}", (name,)).fetchone()
                ask(f"DROP VIEW {_quoted(name)}")
                ask(f"CREATE VIEW {_hidden(name)} {body[0]}")

    def _tick(self) -> int:
        self._ticks += 1
        return self._ticks > 500

    def _authorize(
        self, action: int, first: str | None, second: str | None, _: str | None, via: str | None
    ) -> int:
        # The first use of a table-valued function asks for an update of the catalogue.
        writes = action in _WRITING and first not in ("sqlite_master", "sqlite_temp_master")
        self._observed.writes |= writes
        if action == sqlite3.SQLITE_READ and via is None:
            self._observed.reads.add((fold_name(first or ""), fold_name(second or "")))
        changes = writes or action in _CONTROLLING or (action == sqlite3.SQLITE_PRAGMA and second)
        return sqlite3.SQLITE_DENY if changes and not self._may_write else sqlite3.SQLITE_OK

    def ask(self, sql: str) -> Observed:
        """Run a statement and tell what was seen."""
        observed = self._observed = Observed()
        self._ticks = 0
        try:
            with closing(self.connection.execute(sql)) as cursor:
                rows = sorted(repr(row) for row in cursor.fetchmany(1000))
                columns = {column[0] for column in cursor.description or ()}
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            observed.outcome = f"{type(error).__name__}: {error}"
            bindings = "number of bindings" in observed.outcome
            observed.accepted = bindings or observed.outcome == _TOO_LONG
        else:
            observed.outcome = None if columns & {"opcode", "notused"} else rows
        return observed


class Twins:
    """Two databases of one content; the second has no table under the name that is asked for.

    With a prelude, a statement gives on the second what it gives on the first without one, but
    only if the scanner was right about every name, place and span: what it overlooks is a table
    that does not exist.
    """

    def __init__(self) -> None:
        self.plain, self.hiding = Oracle(), Oracle(hides=True)
        self.tables = {fold_name(name): name for name in self.plain.kinds}

    def close(self) -> None:
        self.plain.connection.close()
        self.hiding.connection.close()

    def compare(self, sql: str) -> Observed:
        """Hold what the scanner says of a statement against what SQLite says and gives."""
        observed = self.plain.ask(sql)
        scan = scan_statement(sql)
        _hold_against(sql, scan, observed, set(self.tables))
        if scan.effect is Effect.READS and observed.accepted and not scan.names & _OF_STORAGE:
            answered = self.with_prelude(sql, scan)
            answer = self.hiding.ask(answered).outcome
            # What asks the clock may differ by a second, and is then asked again.
            if _TOO_LONG not in (answer, observed.outcome) and answer != observed.outcome:
                assert answer == self.plain.ask(sql).outcome, answered
        return observed

    def with_prelude(self, sql: str, scan: StatementScan) -> str:
        """Give a statement its prelude, by what the scanner says and nothing else."""
        edits = [
            (q.start, q.end, _renamed(q, self.tables[q.table]))
            for q in scan.qualified
            if q.schema == "main" and q.table in self.tables
        ]
        edits += [(hint.start, hint.end, "") for hint in scan.index_hints]
        prelude = ", ".join(
            f"{_quoted(name)} AS NOT MATERIALIZED (SELECT * FROM main.{_hidden(name)})"
            for folded, name in self.tables.items()
            if folded in scan.names - scan.own_ctes
        )
        return edited(sql, scan, edits, prelude)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _hidden(name: str) -> str:
    return _quoted(f"stored:{name}")


def _renamed(qualified: QualifiedName, table: str) -> str:
    if qualified.role == "column":
        return _quoted(table)
    if qualified.role == "source" and not qualified.aliased:
        return f"{_hidden(table)} AS {_quoted(table)}"
    return _hidden(table)


def _hold_against(sql: str, scan: StatementScan, observed: Observed, tables: set[str]) -> None:
    """Check that nothing SQLite saw was overlooked."""
    if observed.writes:
        assert scan.effect is Effect.WRITES or scan.multiple
    if "one statement at a time" in str(observed.outcome):
        # Python counts empty statements too.
        assert scan.multiple or sql.count(";") > 1 or "\ufeff" in sql
    everything = scan.has_star or scan.has_natural
    words = re.findall(r"\w+", fold_name(sql))
    for table, column in observed.reads:
        if table in tables:
            assert table in scan.names
            assert table in scan.sources or not observed.accepted or observed.writes
            # A join in parentheses and a table after IN read columns that no text names.
            if column and observed.accepted and not everything and column in words:
                assert column in scan.names


@pytest.fixture(scope="module")
def twins() -> Iterator[Twins]:
    with closing(Twins()) as twins:
        yield twins


@pytest.mark.parametrize("statement", _SQLITE, ids=lambda statement: statement.id)
def test_the_table_of_statements_says_what_sqlite_says(statement: Statement) -> None:
    """No verdict in the table is owed to the scanner."""
    oracle = Oracle(may_write=True)
    with closing(oracle.connection):
        observed = oracle.ask(statement.sql)
    if statement.accepted is not None:
        assert observed.accepted is statement.accepted, observed.outcome
    if statement.accepted:
        assert observed.writes is (statement.effect is Effect.WRITES)
    if statement.accepted and statement.verb != "VACUUM":
        read = {(t, c) for t, c in observed.reads if not t.startswith("sqlite_")}
        assert {table for table, _ in read} <= statement.has
        assert not {name for pair in read for name in pair} & statement.lacks
    if statement.multiple:
        assert "one statement at a time" in str(observed.outcome)


@pytest.mark.parametrize("statement", _SQLITE, ids=lambda statement: statement.id)
def test_a_statement_reads_the_same_through_a_prelude(twins: Twins, statement: Statement) -> None:
    twins.compare(statement.sql)


@pytest.mark.parametrize("word", KEYWORDS)
def test_a_keyword_is_a_name_where_sqlite_takes_it_for_one(twins: Twins, word: str) -> None:
    accepted = 0
    for template in _KEYWORD_TEMPLATES:
        sql = template.format(k=word)
        observed = twins.compare(sql)
        scan = scan_statement(sql)
        if observed.accepted:
            accepted += 1
            assert scan.effect is Effect.READS, sql
            assert scan.has_star is (".*" in sql), sql
            assert word in scan.own_ctes or not template.startswith("WITH {k}"), sql
    assert accepted, "not one template took the keyword"


_COLUMNS = {
    "tokens": ("token_id", "row_id", "label", "score"),
    "rows": ("row_id", "run_id", "n"),
    "marks": ("token_id",),
    "left": ("left", "natural"),
    "with": ("with",),
    "replace": ("replace",),
    'odd "name': ("id",),
    "жетоны": ("id", "имя"),
}
_ALIASES = ("main", "tokens", "rows", "left", "window", "offset", "for", "with", "x", "o'x", "key")
_LITERALS = ("1", "1.5e3", "'tokens'", "'it''s; /* rows'", "x'00'", "NULL", "'--'", '"no such"')
_WRITES = (
    "INSERT INTO tokens ...",
    "INSERT OR IGNORE INTO main.rows ... RETURNING *",
    "REPLACE INTO 'tokens' ...",
    "DELETE FROM tokens WHERE EXISTS ( ... )",
    "UPDATE tokens SET label = ( ... )",
    "CREATE TABLE x AS ...",
    "CREATE TEMP VIEW x AS ...",
    "WITH c AS ( ... ) DELETE FROM rows",
    "WITH c ( x ) AS MATERIALIZED ( ... ) UPDATE rows SET n = 1",
    "WITH RECURSIVE c AS ( ... ) , d AS ( SELECT 1 ) REPLACE INTO rows SELECT * FROM c",
)
_PIECES = (
    "'",
    '"',
    "`",
    "[",
    "]",
    "(",
    ")",
    "/*",
    "*/",
    "--",
    "\n",
    "\r",
    ";",
    ",",
    ".",
    "*",
    "x'",
    "$a",
    ":",
    "?",
    "::",
    "\\",
    "\0",
    "\ufeff",
    " main.tokens ",
    "main.",
    ", rows ",
    " FROM tokens ",
    "; DELETE FROM rows",
    "DELETE FROM rows;",
    " 'tokens' ",
    " AS x ",
    " WITH ",
    "WITH a AS (SELECT 1) ",
    " IN marks ",
    " NATURAL LEFT JOIN ",
    " SELECT ",
    "1",
    "e",
    "@",
    "#",
    "%",
    "->",
    "||",
    " EXPLAIN ",
)
_SPACE = (" ", "\n", "\t ", "/**/", "/* ' main.rows */", "--; DELETE FROM tokens\n", " \ufeff")
_Scope: TypeAlias = list[tuple[list[str], tuple[str, ...]]]
_PLAIN = re.compile(r"[^\W\d]\w*\Z")


class _Writer:
    """Writes statements that SQLite's grammar has and people don't.

    Args:
        draw: Where chance comes from.
    """

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def _pick(self, choices: Sequence[str]) -> str:
        return self._draw(st.sampled_from(choices))

    def _chance(self, of: int = 2) -> bool:
        return self._draw(st.integers(1, of)) == of

    def text(self, pieces: list[str]) -> str:
        """Put space between pieces, or none where none is needed."""
        text = ""
        for piece in pieces:
            needed = text[-1:] not in ("(", ",", "") and piece not in ("(", ")", ",")
            text += self._pick(_SPACE) if needed or self._chance(4) else ""
            text += piece
        return text

    def _name(self, name: str, *, or_string: bool = False) -> str:
        ways = [_quoted(name), "`" + name.replace("`", "``") + "`", f"[{name}]"]
        ways += [name, name] if _PLAIN.match(name) else []
        ways += ["'" + name.replace("'", "''") + "'"] if or_string else []
        ways += [way.upper() for way in ways] if name.isascii() else []
        return self._pick(ways)

    def select(self, depth: int, ctes: tuple[str, ...] = ()) -> list[str]:
        """Write a SELECT; `ctes` are the names that a WITH around it defined, each of one `x`."""
        pieces: list[str] = []
        if depth and self._chance(3):
            own = self._pick(("a", "tokens", "rows", "with", "key", 'odd "name'))
            pieces += ["WITH", self._name(own), "AS", "(", "SELECT", *self._expression(0, [])]
            pieces += ["AS", "x", ")", ","] if self._chance(3) else ["AS", "x", ")"]
            if pieces[-1] == ",":
                pieces += ["b", "(", "x", ")", "AS", "(", *self._one_column(depth - 1, ctes), ")"]
            ctes = (*ctes, own)
        sources, scope = self._sources(depth, ctes)
        pieces += ["SELECT", *self._items(depth, scope), "FROM", *sources]
        if self._chance():
            pieces += ["WHERE", *self._expression(depth, scope)]
        if self._chance(4):
            pieces += ["GROUP", "BY", *self._column(scope), ",", *self._column(scope)]
        return pieces

    def _one_column(self, depth: int, ctes: tuple[str, ...]) -> list[str]:
        sources, scope = self._sources(depth, ctes)
        return ["SELECT", *self._expression(depth, scope), "FROM", *sources]

    def _items(self, depth: int, scope: _Scope) -> list[str]:
        if self._chance(6):
            return ["*"]
        pieces = self._expression(depth, scope)
        if self._chance(3):
            pieces += ["AS", self._name(self._pick(_ALIASES))]
        return [*pieces, ",", *self._items(depth, scope)] if self._chance() else pieces

    def _sources(self, depth: int, ctes: tuple[str, ...]) -> tuple[list[str], _Scope]:
        scope: _Scope = []
        pieces = self._source(depth, ctes, scope)
        while self._chance(3):
            how = self._pick((",", ",", "JOIN", "LEFT JOIN", "NATURAL JOIN", "CROSS JOIN"))
            pieces += [*how.split(), *self._source(depth, ctes, scope)]
            if how == "LEFT JOIN":
                pieces += ["ON", *self._expression(0, scope)]
        return pieces, scope

    def _source(self, depth: int, ctes: tuple[str, ...], scope: _Scope) -> list[str]:
        if depth and self._chance(4):
            alias = self._pick(_ALIASES)
            scope.append(([alias], ("x",)))
            inner = self._one_column(depth - 1, ctes)
            start = ["(", "SELECT", "1", "AS", "x", "FROM", "("]
            return [*start, *inner, ")", ")", "AS", self._name(alias, or_string=True)]
        table = self._pick((*_COLUMNS, *ctes))
        own = table in ctes
        columns = ("x",) if own else _COLUMNS[table]
        schema = not own and self._chance(3)
        pieces = [self._name("main", or_string=True), "."] if schema else []
        pieces.append(self._name(table, or_string=True))
        if self._chance():
            alias = self._pick(_ALIASES)
            scope.append(([alias], columns))
            return [*pieces, "AS", self._name(alias, or_string=True)]
        scope.append(([table] if own else ["main", table], columns))
        return pieces

    def _column(self, scope: _Scope) -> list[str]:
        if not scope:
            return [self._pick(_LITERALS)]
        qualifiers, columns = self._draw(st.sampled_from(scope))
        column = self._name(self._pick(columns))
        pieces: list[str] = []
        for qualifier in qualifiers[self._draw(st.integers(0, len(qualifiers))) :]:
            pieces += [self._name(qualifier), "."]
        return [*pieces, column]

    def _expression(self, depth: int, scope: _Scope) -> list[str]:
        kind = self._draw(st.integers(0, 12 if depth else 3))
        if kind == 0:
            return [self._pick(_LITERALS)]
        if kind <= 3:
            return self._column(scope)
        one, other = self._expression(depth - 1, scope), self._expression(depth - 1, scope)
        if kind == 4:
            return ["(", *one, ")"]
        if kind == 5:
            return ["max", "(", *one, ",", *other, ")", "*", *self._column(scope)]
        if kind == 6:
            between = self._pick(("IS DISTINCT FROM", "IS NOT", "||", "<>", "*", "AND"))
            return [*one, *between.split(), *other]
        if kind == 7:
            return ["CASE", *one, "WHEN", *other, "THEN", *one, "END"]
        if kind == 8:
            return [*self._column(scope), "IN", "(", *one, ",", *other, ")"]
        if kind == 9:
            schema = ["main", "."] if self._chance() else []
            return [*self._column(scope), "IN", *schema, self._name("marks", or_string=True)]
        if kind == 10:
            return ["EXISTS", "(", *self.select(depth - 1), ")"]
        return ["(", *self._one_column(depth - 1, ()), ")"]


@st.composite
def _reads(draw: st.DrawFn) -> str:
    writer = _Writer(draw)
    return writer.text(writer.select(2))


@st.composite
def _writes(draw: st.DrawFn) -> str:
    writer = _Writer(draw)
    before, after = draw(st.sampled_from(_WRITES)).split("...")
    explain = draw(st.sampled_from(("", "", "EXPLAIN", "EXPLAIN QUERY PLAN")))
    pieces = [*explain.split(), *before.split(), *writer.select(1), *after.split()]
    return writer.text(pieces)


@st.composite
def _damaged(draw: st.DrawFn) -> str:
    """Cut into a statement of the table, and put pieces of others into it."""
    text = draw(st.sampled_from([s.sql for s in _SQLITE if len(s.sql) < 400]))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 3)))
        text = text[:start] + draw(st.sampled_from(_PIECES)) + text[end:]
    return text


_unhurried = settings(deadline=None, max_examples=200)


@_unhurried
@given(sql=_reads())
def test_a_read_is_understood_as_sqlite_understands_it(twins: Twins, sql: str) -> None:
    if twins.compare(sql).accepted:
        scan = scan_statement(sql)
        assert scan.effect is Effect.READS
        assert not scan.multiple
        assert "no such" in scan.names or '"no such"' not in sql


@_unhurried
@given(sql=_writes())
def test_a_write_is_never_taken_for_a_read(twins: Twins, sql: str) -> None:
    twins.compare(sql)
    assert scan_statement(sql).effect is Effect.WRITES


@_unhurried
@given(sql=_damaged())
def test_a_damaged_statement_hides_nothing_that_sqlite_sees(twins: Twins, sql: str) -> None:
    twins.compare(sql)
    assert scan_statement(sql, POSTGRESQL) == scan_statement(sql, POSTGRESQL)


@_unhurried
@given(sql=st.text(alphabet="'\"`[]()/*-;:$@?%.,x \n\0\ufeffeE1", max_size=40))
def test_rubbish_never_fails(sql: str) -> None:
    for syntax in (SQLITE, POSTGRESQL):
        scan = scan_statement(sql, syntax)
        assert 0 <= scan.insert_at <= len(sql)
