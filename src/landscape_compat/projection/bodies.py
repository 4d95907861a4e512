"""The body of a statement in each dialect: the words and marks that only this one follows."""

from __future__ import annotations

from typing import ClassVar, Literal

from landscape_compat.projection.body import Body
from landscape_compat.projection.facts import Level
from landscape_compat.projection.statement import IndexHint
from landscape_compat.projection.tokens import Syntax, Token, is_mark, is_word

__all__ = ["body_of"]

_DESCRIBES = frozenset({"DESCRIBE", "SHOW", "SUMMARIZE"})
_RESHAPES = frozenset({"PIVOT", "PIVOT_LONGER", "PIVOT_WIDER", "UNPIVOT"})
_BEFORE_FROM_FIRST = ("UNION", "ALL", "INTERSECT", "EXCEPT", "NAME")
_HINTS = ("USE", "FORCE", "IGNORE")
_AFTER_STAR = ("FROM", "UNION", "EXCEPT", "INTERSECT", "INTO", "LIMIT", "ORDER", "WHERE")


def body_of(tokens: list[Token], syntax: Syntax) -> Body:
    """Walk over a statement's tokens as its dialect has it.

    Args:
        tokens: The statement's tokens.
        syntax: The dialect's lexical rules.
    """
    return _BODIES[syntax.name](tokens, syntax)


class _OfSqlite(Body):
    __slots__ = ()

    # Source: https://www.sqlite.org/lang_keywords.html and the fallbacks in SQLite's grammar: words
    # that begin a clause in PostgreSQL and are mere names where SQLite has no such clause.
    _clauses: ClassVar = Body._clauses - {"FETCH", "FOR", "OFFSET", "WINDOW"}
    _not_an_alias: ClassVar = Body._not_an_alias - {"TABLESAMPLE", "WITH"}
    _takes_rows_as_values: ClassVar = False

    def _ends_from(self, at: int, word: str) -> bool:
        if word == "WINDOW":
            return self._is_name(at + 1) and is_word(self._token(at + 2), "AS")
        return super()._ends_from(at, word)

    def _keyword(self, at: int, word: str, level: Level) -> bool:
        return word != "TABLE" and super()._keyword(at, word, level)


class _OfPostgresql(Body):
    __slots__ = ()

    def _keyword(self, at: int, word: str, level: Level) -> bool:
        if word in ("LATERAL", "ONLY") and level.expects_table:
            if word == "ONLY":
                # Of a common table expression it is ignored without a word.
                self.beside_tables.add(word)
            return True
        if word == "FOR" and not level.in_call:
            self.locks |= is_word(self._token(at + 1), "UPDATE", "SHARE", "NO", "KEY")
        return super()._keyword(at, word, level)


class _OfDuckdb(Body):
    __slots__ = ()

    # Source: `duckdb_keywords()`, and https://duckdb.org/docs/current/sql/query_syntax/from.
    _not_an_alias: ClassVar = Body._not_an_alias.union(
        """ANTI ASOF AT FROM LATERAL PIVOT PIVOT_LONGER PIVOT_WIDER POSITIONAL QUALIFY SELECT
        SEMI UNPIVOT""".split()
    )
    _instead_of_table: ClassVar = Body._instead_of_table | _RESHAPES | _DESCRIBES | {"FROM"}
    _reads_by_text: ClassVar = frozenset(
        {"from_substrait", "json_execute_serialized_sql", "query", "query_table"}
    )

    def _is_star(self, at: int) -> bool:
        is_given = is_mark(self._token(at - 1), "(") and not is_word(self._token(at - 2), "COUNT")
        return is_given or super()._is_star(at)

    def _keyword(self, at: int, word: str, level: Level) -> bool:
        if word == "LATERAL" and level.expects_table:
            return True
        is_called = is_mark(self._token(at + 1), "(")
        if word == "COLUMNS" and is_called:
            self.has_star = True
        elif word in _DESCRIBES and not is_called:
            self.hides_names = True
        elif word in _RESHAPES:
            self.has_star = True
            if not is_called:
                level.in_from = level.expects_table = True
                return True
        elif word == "FROM" and (not level.listed or self._begins_with_from(at)):
            self.has_star = self.has_star or not (level.in_call or self._is_distinct_from(at))
        return super()._keyword(at, word, level)

    def _begins_with_from(self, at: int) -> bool:
        before = self._token(at - 1)
        return before is None or is_word(before, *_BEFORE_FROM_FIRST) or is_mark(before, "(", ";")

    def _source(
        self, at: int, level: Level, role: Literal["source", "operand"], *, prefix: str = ""
    ) -> int:
        # `alias: table`
        if is_mark(self._token(at + 1), ":") and self._is_name(at + 2, or_string=True):
            at, prefix = at + 2, self._tokens[at].name
        return super()._source(at, level, role, prefix=prefix)


class _OfMariadb(Body):
    __slots__ = ()

    # Source: https://mariadb.com/kb/en/reserved-words/ and /select/.
    _clauses: ClassVar = Body._clauses | {"INTO", "LOCK", "PROCEDURE"}
    _not_an_alias: ClassVar = Body._not_an_alias | {*_HINTS, "PARTITION", "STRAIGHT_JOIN"}

    def _mark(self, at: int, mark: str, level: Level) -> None:
        self.executes |= mark == "/*!"
        self.into |= mark == ":="
        self.has_null_safe |= mark == "<=>"
        if mark == "{":
            self.beside_tables.add("{ ... }")
        super()._mark(at, mark, level)

    def _is_star(self, at: int) -> bool:
        # Many a word may stand before it, as SQL_CACHE: nothing is multiplied by what is behind.
        after = self._token(at + 1)
        if after is None or is_word(after, *_AFTER_STAR):
            return True
        counts = is_word(self._token(at - 2), "COUNT")
        return (is_mark(after, ",", ")", ";") and not counts) or super()._is_star(at)

    def _name(self, at: int, level: Level) -> int:
        end = self._end_of_hint(at, level)
        return super()._name(at, level) if end is None else end

    def _end_of_hint(self, at: int, level: Level) -> int | None:
        """Tell where `USE INDEX FOR JOIN (...)` or its like ends, if one stands here."""
        begins = is_word(self._tokens[at], *_HINTS) and is_word(self._token(at + 1), "INDEX", "KEY")
        if not begins or level.expects_table or not level.in_from:
            return None
        end = at + 2
        while (token := self._token(end)) is not None:
            end += 1
            if is_mark(token, ")"):
                break
        else:
            return None
        span = self._tokens[at].start, self._tokens[end - 1].end
        self.index_hints.append(IndexHint(*span, level.last_source))
        return end

    def _keyword(self, at: int, word: str, level: Level) -> bool:
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
        return super()._keyword(at, word, level)


_BODIES = {
    "sqlite": _OfSqlite,
    "postgresql": _OfPostgresql,
    "duckdb": _OfDuckdb,
    "mariadb": _OfMariadb,
}
