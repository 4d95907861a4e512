"""The body of a statement: one walk over its tokens that knows where a table may stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from landscape_compat.projection.head import MODIFIES
from landscape_compat.projection.statement import IndexHint, LoneRowNumber, QualifiedName
from landscape_compat.projection.tokens import (
    NAMES,
    Syntax,
    Token,
    TokenKind,
    is_operator,
    is_word,
)

__all__ = ["Body"]

_ENDS_FROM = frozenset(
    """WHERE GROUP ORDER HAVING LIMIT UNION INTERSECT EXCEPT WINDOW SET RETURNING OFFSET FETCH
    FOR""".split()
)
_NOT_AN_ALIAS = _ENDS_FROM | frozenset(
    """JOIN INNER LEFT RIGHT FULL OUTER CROSS NATURAL ON USING INDEXED NOT TABLESAMPLE
    WITH""".split()
)
# Source: https://www.sqlite.org/lang_keywords.html and the fallbacks in SQLite's grammar: words
# that begin a clause in PostgreSQL and are mere names where SQLite has no such clause.
_NAMES_IN_SQLITE = frozenset({"FETCH", "FOR", "OFFSET", "TABLESAMPLE", "WITH"})
# What may stand where a table is expected, and is no table's name.
# Source: DuckDB's `duckdb_keywords()`, and https://duckdb.org/docs/current/sql/query_syntax/from.
_NOT_AN_ALIAS_IN_DUCKDB = frozenset(
    """ANTI ASOF AT FROM LATERAL PIVOT PIVOT_LONGER PIVOT_WIDER POSITIONAL QUALIFY SELECT
    SEMI UNPIVOT""".split()
)
_RESHAPES = frozenset({"PIVOT", "PIVOT_LONGER", "PIVOT_WIDER", "UNPIVOT"})
_DESCRIBES = frozenset({"DESCRIBE", "SHOW", "SUMMARIZE"})
# These take a whole statement, or a table's name, as a value.
_READS_BY_TEXT = frozenset(
    {"from_substrait", "json_execute_serialized_sql", "query", "query_table"}
)
_BEFORE_FROM_FIRST = frozenset({"UNION", "ALL", "INTERSECT", "EXCEPT", "NAME"})
_INSTEAD_OF_TABLE = frozenset({"SELECT", "VALUES", "WITH", "TABLE", "LATERAL", "ONLY"})
_CALLS_WITH_FROM = ("EXTRACT", "MID", "OVERLAY", "POSITION", "SUBSTR", "SUBSTRING", "TRIM")
_INSTEAD_OF_TABLE_IN_DUCKDB = _INSTEAD_OF_TABLE | _RESHAPES | _DESCRIBES | {"FROM"}
# Source: https://mariadb.com/kb/en/reserved-words/ and /select/.
_NOT_AN_ALIAS_IN_MARIADB = frozenset(
    "FORCE IGNORE INTO LOCK PARTITION PROCEDURE STRAIGHT_JOIN USE".split()
)
_ENDS_FROM_IN_MARIADB = _ENDS_FROM | {"INTO", "LOCK", "PROCEDURE"}
_HINTS = ("USE", "FORCE", "IGNORE")
_COMPOUNDS = ("UNION", "EXCEPT", "INTERSECT", "ALL", "DISTINCT")
_AFTER_STAR = ("FROM", "UNION", "EXCEPT", "INTERSECT", "INTO", "LIMIT", "ORDER", "WHERE")
_BEFORE_STAR = frozenset({"SELECT", "DISTINCT", "ALL"})


@dataclass(slots=True)
class _Level:
    """Where we are within one pair of parentheses.

    Args:
        in_from: Whether the tables of a SELECT are being named.
        expects_table: Whether the next name is a table's.
        last_source: The table named last.
        in_call: Whether it holds the arguments of `extract(year FROM x)` or its like, whose FROM
            names no table.
        in_using: Whether it holds the columns of USING.
        is_source: Whether it stands where a table may.
        selects: Whether it holds a SELECT of its own.
        listed: Whether that began with what it selects, as everywhere but in DuckDB it must.
        orders: Whether its ORDER BY has begun.
        tables: What its SELECT reads; "" for a subquery.
        shown: The names that those go by; none for a subquery without one.
        numbers: The row numbers that stand alone in its SELECT, each with what SELECTs further in
            read that it is looked for in first.
        given: The names of a row number that its SELECT gives to results.
        test: The word that makes a test of its SELECT: EXISTS, or IN for any that compares a value
            with what it gives; "" for none.
        has_window: Whether its SELECT has a window function.
        in_having: Whether we are in HAVING.
    """

    in_from: bool = False
    expects_table: bool = False
    last_source: str = ""
    in_call: bool = False
    in_using: bool = False
    is_source: bool = False
    selects: bool = False
    listed: bool = False
    orders: bool = False
    tables: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    numbers: set[tuple[str, frozenset[str]]] = field(default_factory=set)
    given: set[str] = field(default_factory=set)
    test: Literal["", "IN", "EXISTS"] = ""
    has_window: bool = False
    in_having: bool = False


@dataclass(slots=True)
class Body:
    """One walk over all tokens, keeping track of where a table may stand."""

    tokens: list[Token]
    syntax: Syntax
    names: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    operands: set[str] = field(default_factory=set)
    qualified: list[QualifiedName] = field(default_factory=list)
    index_hints: list[IndexHint] = field(default_factory=list)
    has_star: bool = False
    has_natural: bool = False
    has_outer_join: bool = False
    multiple: bool = False
    modifies: bool = False
    locks: bool = False
    into: bool = False
    withs: int = 0
    visible: set[str] = field(default_factory=set)
    bare: set[str] = field(default_factory=set)
    row_numbers: set[str] = field(default_factory=set)
    lone_row_numbers: set[LoneRowNumber] = field(default_factory=set)
    has_same_names: bool = False
    aliases: set[tuple[str, str]] = field(default_factory=set)
    hides_names: bool = False
    beside_tables: set[str] = field(default_factory=set)
    executes: bool = False
    tests: int = 0
    tests_groups: bool = False
    compares_windows: bool = False
    compares_groups: bool = False
    has_window: bool = False
    has_rollup: bool = False
    has_null_safe: bool = False

    def __post_init__(self) -> None:
        levels = [_Level()]
        at, count = 0, len(self.tokens)
        begun = ended = False
        while at < count:
            token = self.tokens[at]
            level = levels[-1]
            if token.kind is TokenKind.OPERATOR and token.text == ";":
                ended = begun
            else:
                self.multiple |= ended
                begun = True
            or_string = level.expects_table or level.in_using or self._is_dot(at + 1)
            if self._is_name(at, or_string=or_string):
                at = self._name(at, level)
                continue
            if token.kind is TokenKind.OPERATOR:
                if token.text == "(":
                    before = self._token(at - 1)
                    in_call = is_word(before, *_CALLS_WITH_FROM)
                    in_using = is_word(before, "USING")
                    expects = level.expects_table
                    test = self._test(at, level)
                    levels.append(_Level(expects, expects, "", in_call, in_using, expects))
                    levels[-1].test, levels[-1].in_having = test, level.in_having
                elif token.text == ")":
                    if len(levels) > 1:
                        self._close(levels.pop(), levels[-1])
                    levels[-1].expects_table = False
                elif token.text == ",":
                    level.expects_table = level.in_from
                elif token.text == "*":
                    self.has_star = self.has_star or self._is_star(at)
                elif token.text == ";":
                    level.in_from = level.expects_table = False
                elif self.syntax.name == "mariadb":
                    self.executes |= token.text == "/*!"
                    self.into |= token.text == ":="
                    self.has_null_safe |= token.text == "<=>"
                    if token.text == "{":
                        self.beside_tables.add("{ ... }")
            else:
                level.expects_table = False
            at += 1
        while len(levels) > 1:
            self._close(levels.pop(), levels[-1])
        self._end_select(levels[0])
        self.row_numbers |= {name for name, _ in levels[0].numbers}
        if self.syntax.name != "sqlite" and self.visible & self.bare:
            self.has_star = True  # a whole row as one value

    def _test(self, at: int, level: _Level) -> Literal["", "IN", "EXISTS"]:
        """Tell what a SELECT in the parenthesis that opens here would be a test by, if it were."""
        before, further = self._token(at - 1), self._token(at - 2)
        if is_word(before, "EXISTS"):
            return "EXISTS"
        if is_word(before, "IN", "ANY", "SOME"):
            return "IN"
        if is_word(before, "ALL") and further is not None and is_operator(further):
            return "IN"
        # One within it, alone or put together with others.
        is_part = before is not None and before.text == "(" and is_operator(before)
        return level.test if is_part or is_word(before, *_COMPOUNDS) else ""

    def _close(self, level: _Level, outer: _Level) -> None:
        """Take in what a pair of parentheses held."""
        if level.selects:
            self._end_select(level)
            outer.tables += [""] * level.is_source
            self.compares_windows |= level.has_window and level.test == "IN"
        else:
            outer.has_window |= level.has_window
            outer.tables += level.tables
            outer.shown += level.shown
        outer.numbers |= level.numbers

    def _end_select(self, level: _Level) -> None:
        """Tell what its row numbers mean, now that all its tables are known.

        SQLite takes a name for a row number only where one table is read that has any; where there
        is none, it looks further out.
        """
        tables = frozenset(level.tables)
        if tables:
            is_one = len(level.tables) == 1
            self.row_numbers |= {name for name, _ in level.numbers if is_one}
            self.lone_row_numbers |= {
                LoneRowNumber(name, tables, is_one, passed) for name, passed in level.numbers
            }
            level.numbers = {(name, passed | tables) for name, passed in level.numbers if is_one}
        self.has_same_names |= len(set(level.shown)) < len(level.shown)
        level.shown.clear()
        level.tables.clear()
        level.orders = False

    def _token(self, at: int) -> Token | None:
        return self.tokens[at] if 0 <= at < len(self.tokens) else None

    def _is_name(self, at: int, *, or_string: bool = False) -> bool:
        token = self._token(at)
        return token is not None and (
            token.kind in NAMES
            or (or_string and token.kind is TokenKind.STRING and self.syntax.strings_as_names)
        )

    def _is_dot(self, at: int) -> bool:
        token = self._token(at)
        return token is not None and token.kind is TokenKind.OPERATOR and token.text == "."

    def _is_star(self, at: int) -> bool:
        before = self._token(at - 1)
        if before is None:
            return False
        if self.syntax.name == "mariadb" and self._is_star_in_mariadb(at):
            return True
        if before.kind is TokenKind.WORD:
            return before.text in _BEFORE_STAR and not self._is_dot(at - 2)
        if before.kind is not TokenKind.OPERATOR:
            return False
        after = self._token(at + 1)
        if self.syntax.name == "duckdb" and before.text == "(":
            return not is_word(self._token(at - 2), "COUNT")
        # Behind DISTINCT ON (...) it is one, too; nothing else has FROM behind it.
        return before.text in (",", ".") or (
            before.text == ")"
            and (is_word(after, "FROM") or (after is not None and after.text == ","))
        )

    def _is_star_in_mariadb(self, at: int) -> bool:
        """Tell whether nothing is multiplied here: many a word may stand before, as SQL_CACHE."""
        after = self._token(at + 1)
        if after is None or is_word(after, *_AFTER_STAR):
            return True
        counts = is_word(self._token(at - 2), "COUNT")
        return is_operator(after) and after.text in (",", ")", ";") and not counts

    def _end_of_hint(self, at: int, level: _Level) -> int | None:
        """Tell where `USE INDEX FOR JOIN (...)` or its like ends, if one stands here."""
        begins = is_word(self.tokens[at], *_HINTS) and is_word(self._token(at + 1), "INDEX", "KEY")
        if not begins or level.expects_table or not level.in_from:
            return None
        end = at + 2
        while (token := self._token(end)) is not None:
            end += 1
            if token.text == ")" and is_operator(token):
                break
        span = self.tokens[at].start, self.tokens[end - 1].end
        self.index_hints.append(IndexHint(*span, level.last_source))
        return end

    def _name(self, at: int, level: _Level) -> int:
        """Take in a name or keyword; return where to go on."""
        token = self.tokens[at]
        if self.syntax.name == "mariadb" and (end := self._end_of_hint(at, level)) is not None:
            return end
        if token.kind is TokenKind.WORD and not self._is_dot(at - 1) and not self._is_dot(at + 1):
            self.names.add(token.name)
            if self._keyword(at, token.text, level):
                return at + 1
        else:
            self.names.add(token.name)
        if level.expects_table:
            level.expects_table = False
            end = self._source(at, level, "source")
            level.tables.append(level.last_source)
            level.shown.append(self.tokens[end - 1].name if end <= len(self.tokens) else "")
            return end
        return self._column(at, level)

    def _keyword(self, at: int, word: str, level: _Level) -> bool:
        """Follow a word that moves us within the statement; tell whether it did."""
        after = self._token(at + 1)
        if self._is_mere_name(at, word, level):
            return False
        if self.syntax.name == "duckdb" and self._is_friendly(at, word, level):
            return True
        if self.syntax.name == "mariadb" and self._is_of_mariadb(at, word, level):
            return True
        if word in MODIFIES:
            self.modifies |= self._modifies(at, word)
            return False
        if word == "FROM":
            if not (level.in_call or self._is_distinct_from(at)):
                level.in_from = level.expects_table = True
        elif word == "JOIN":
            level.in_from = level.expects_table = True
        elif word == "WITH" and is_word(after, "ROLLUP", "TIES"):
            self.has_rollup |= is_word(after, "ROLLUP")
            level.in_from = False
        elif word in ("SELECT", "VALUES", "WITH"):
            self.withs += word == "WITH"
            self._end_select(level)
            self.tests += bool(level.test) and not level.selects
            self.compares_groups |= level.in_having and level.test == "IN"
            level.in_having = False
            level.selects = True
            level.listed = word == "SELECT"
            level.in_from = level.expects_table = level.in_call = False
        elif self._ends_from(at, word):
            if word == "FOR" and self.syntax.name == "postgresql" and not level.in_call:
                self.locks |= is_word(after, "UPDATE", "SHARE", "NO", "KEY")
            level.in_from = False
            level.in_having = word == "HAVING"
            level.orders = level.selects and word == "ORDER"
        elif word == "INTO":
            self.into = True
        elif word == "IN" and self.syntax.strings_as_names:
            if self._is_name(at + 1, or_string=True):
                self._source(at + 1, level, "operand")
                self.operands.add(level.last_source)
        elif word == "TABLE" and self.syntax.name != "sqlite":
            level.expects_table = self.has_star = True
        elif word in ("LATERAL", "ONLY") and level.expects_table:
            return self.syntax.name == "postgresql" or (
                self.syntax.name == "duckdb" and word == "LATERAL"
            )
        elif word == "NATURAL":
            self.has_natural = True
        elif word in ("LEFT", "RIGHT", "FULL", "OUTER"):
            self.has_outer_join = True
        elif word == "INDEXED" and not level.expects_table:
            self._index_hint(at, level)
        else:
            return False
        return True

    def _is_of_mariadb(self, at: int, word: str, level: _Level) -> bool:
        """Follow a word that only MariaDB gives a meaning; tell whether that was all."""
        after = self._token(at + 1)
        if word == "STRAIGHT_JOIN" and level.in_from:
            level.expects_table = True
            return True
        if word in ("FOR", "LOCK") and not level.in_call:
            self.locks |= is_word(after, "UPDATE", "SHARE", "IN")
            if is_word(after, "SYSTEM_TIME"):
                self.beside_tables.add("FOR SYSTEM_TIME")
        elif word == "PARTITION" and after is not None and after.text == "(":
            self.beside_tables.add("PARTITION")
        elif word == "INTO":
            self.into = True
        elif word == "PROCEDURE":
            self.beside_tables.add("PROCEDURE")
        elif word == "OVER":
            level.has_window = self.has_window = True
        if word in ("GROUP", "HAVING", "OVER"):
            self.tests_groups |= bool(level.test)
        return False

    def _is_friendly(self, at: int, word: str, level: _Level) -> bool:
        """Follow a word that only DuckDB gives a meaning; tell whether it moved us."""
        before, after = self._token(at - 1), self._token(at + 1)
        is_called = after is not None and is_operator(after) and after.text == "("
        if word == "COLUMNS" and is_called:
            self.has_star = True
        elif word in _DESCRIBES and not is_called:
            self.hides_names = True
        elif word in _RESHAPES:
            self.has_star = True
            if not is_called:
                level.in_from = level.expects_table = True
                return True
        elif word == "FROM" and (
            not level.listed
            or before is None
            or is_word(before, *_BEFORE_FROM_FIRST)
            or (is_operator(before) and before.text in ("(", ";"))
        ):
            self.has_star = self.has_star or not (level.in_call or self._is_distinct_from(at))
        return False

    def _prefixes(self, at: int) -> bool:
        """Tell whether `alias: table` stands here, as DuckDB takes it."""
        after = self._token(at + 1)
        return (
            self.syntax.name == "duckdb"
            and after is not None
            and (is_operator(after) and after.text == ":")
            and self._is_name(at + 2, or_string=True)
        )

    def _is_mere_name(self, at: int, word: str, level: _Level) -> bool:
        """Tell by its neighbours that a keyword is a name here, as both databases allow."""
        if is_word(self._token(at - 1), "AS") and word != "NOT":
            return True
        if level.expects_table:
            instead = (
                _INSTEAD_OF_TABLE_IN_DUCKDB if self.syntax.name == "duckdb" else _INSTEAD_OF_TABLE
            )
            # A table is named here by any word that cannot begin a subquery.
            before = self._token(at - 1)
            opened = before is not None and is_operator(before) and before.text == "("
            if word not in instead or (word in ("VALUES", "WITH", "TABLE") and not opened):
                return True
        if word == "INDEXED":
            return False
        if word == "WITH" and level.in_from and not level.expects_table:
            return True  # WITH ORDINALITY
        after = self._token(at + 1)
        return after is None or (is_operator(after) and after.text in (",", ")", ";"))

    def _ends_from(self, at: int, word: str) -> bool:
        """Tell whether a word begins the clause behind the tables."""
        if self.syntax.name == "mariadb":
            return word in _ENDS_FROM_IN_MARIADB
        if self.syntax.name != "sqlite":
            return word in _ENDS_FROM
        if word == "WINDOW":
            return self._is_name(at + 1) and is_word(self._token(at + 2), "AS")
        return word in _ENDS_FROM and word not in _NAMES_IN_SQLITE

    def _is_call_or_cte(self, at: int) -> bool:
        after, then = self._token(at + 1), self._token(at + 2)
        if after is None or after.text == "(":
            return after is not None
        is_body = then is not None and (then.text == "(" or is_word(then, "NOT", "MATERIALIZED"))
        return is_word(after, "AS") and is_body

    def _modifies(self, at: int, word: str) -> bool:
        """Tell whether a common table expression changes rows here, as PostgreSQL allows."""
        before, after = self._token(at - 1), self._token(at + 1)
        if before is None or before.text not in ("(", ")"):
            return False
        if word in ("INSERT", "MERGE"):
            return is_word(after, "INTO")
        if word == "DELETE":
            return is_word(after, "FROM")
        is_name = after is not None and after.kind in NAMES
        return word == "UPDATE" and is_name and not is_word(after, "FROM", "AS")

    def _is_distinct_from(self, at: int) -> bool:
        return is_word(self._token(at - 1), "DISTINCT") and is_word(
            self._token(at - 2), "IS", "NOT"
        )

    def _index_hint(self, at: int, level: _Level) -> None:
        before, after = self._token(at - 1), self._token(at + 1)
        if before and is_word(before, "NOT"):
            self.index_hints.append(IndexHint(before.start, self.tokens[at].end, level.last_source))
        elif is_word(after, "BY") and (index := self._token(at + 2)):
            self.index_hints.append(IndexHint(self.tokens[at].start, index.end, level.last_source))

    def _source(self, at: int, level: _Level, role: Literal["source", "operand"]) -> int:
        """Take in a table's name, with its schema if it has one; return where to go on."""
        first, prefix = self.tokens[at], ""
        if self._prefixes(at):
            prefix = first.name
            first = self.tokens[at := at + 2]
        last = at
        while self._is_dot(last + 1) and self._is_name(last + 2, or_string=True):
            self.names.add(self.tokens[last].name)
            last += 2
        table = self.tokens[last]
        self.names.add(table.name)
        self.sources.add(table.name)
        level.last_source = table.name
        after = self._token(last + 1)
        is_call = after is not None and is_operator(after) and after.text == "("
        if is_call and self.syntax.name == "duckdb" and table.name in _READS_BY_TEXT:
            self.hides_names = True
        aliased = self._is_alias(last + 1)
        self.visible.add(table.name)
        end, shown = last + 1, prefix or table.name
        self.visible.add(shown)
        if aliased:
            end += 1 + is_word(after, "AS")
            alias = self._token(end - 1)  # none, if the statement breaks off behind AS
            if alias is not None:
                shown = alias.name
                self.visible.add(alias.name)
                self.names.add(alias.name)
        self.aliases.add((table.name, shown))
        if last > at and not is_call:
            before = self._token(at - 1)
            enclosed = before is not None and before.text == "(" and is_operator(before)
            schema = self.tokens[last - 2].name
            self.qualified.append(
                QualifiedName(
                    first.start,
                    table.start,
                    table.end,
                    schema,
                    table.name,
                    role,
                    aliased or bool(prefix),
                    enclosed,
                )
            )
        return end

    def _is_alias(self, at: int) -> bool:
        token = self._token(at)
        if token is None:
            return False
        if token.kind is TokenKind.WORD:
            if self.syntax.name == "sqlite" and token.text in (*_NAMES_IN_SQLITE, "WINDOW"):
                return token.text != "WINDOW" or not self._ends_from(at, token.text)
            if self.syntax.name == "duckdb" and token.text in _NOT_AN_ALIAS_IN_DUCKDB:
                return False
            if self.syntax.name == "mariadb" and token.text in _NOT_AN_ALIAS_IN_MARIADB:
                return False
            return token.text not in _NOT_AN_ALIAS
        return token.kind is TokenKind.QUOTED or (
            token.kind is TokenKind.STRING and self.syntax.strings_as_names
        )

    def _column(self, at: int, level: _Level) -> int:
        """Take in a reference in an expression: `a`, `a.b`, `a.b.c`, `a.b.*`, and longer ones."""
        last = at
        while self._is_dot(last + 1) and self._is_name(last + 2, or_string=True):
            last += 2
            self.names.add(self.tokens[last].name)
        first, after = self.tokens[at], self._token(last + 2)
        if last == at:
            if not self._is_call_or_cte(at):
                self.bare.add(first.name)
                if first.name in self.syntax.row_numbers:
                    self._row_number(at, first.name, level)
            return at + 1
        if self.tokens[last].name in self.syntax.row_numbers:
            self.row_numbers.add(self.tokens[last].name)
        if self._is_dot(last + 1) and after is not None and after.text == "*":
            self.has_star = True
            table_at = last
            last += 2
        else:
            table_at = last - 2
        if table_at > at:
            schema, table = self.tokens[table_at - 2], self.tokens[table_at]
            self.qualified.append(
                QualifiedName(
                    first.start, table.start, table.end, schema.name, table.name, "column", False
                )
            )
        return last + 1

    def _row_number(self, at: int, name: str, level: _Level) -> None:
        """Take in the name of a row number that stands alone."""
        before, after = self._token(at - 1), self._token(at + 1)
        if is_word(before, "AS"):
            level.given.add(name)
            return
        is_term = (is_word(before, "BY") or (before is not None and before.text == ",")) and (
            after is None or after.text in (",", ")", ";", "ASC", "DESC", "NULLS", "LIMIT")
        )
        # Alone in ORDER BY, a name is first that of a result.
        if not (level.orders and is_term and name in level.given):
            level.numbers.add((name, frozenset()))
