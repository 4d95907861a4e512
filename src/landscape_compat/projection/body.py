"""The body of a statement: one walk over its tokens that knows where a table may stand."""

from __future__ import annotations

from typing import ClassVar, Literal

from landscape_compat.projection.facts import Facts, Level
from landscape_compat.projection.head import MODIFIES
from landscape_compat.projection.statement import IndexHint, QualifiedName
from landscape_compat.projection.tokens import (
    NAMES,
    Syntax,
    Token,
    TokenKind,
    is_mark,
    is_operator,
    is_word,
)

__all__ = ["Body"]

_CALLS_WITH_FROM = ("EXTRACT", "MID", "OVERLAY", "POSITION", "SUBSTR", "SUBSTRING", "TRIM")
_COMPOUNDS = ("UNION", "EXCEPT", "INTERSECT", "ALL", "DISTINCT")
_BEFORE_STAR = frozenset({"SELECT", "DISTINCT", "ALL"})


class Body(Facts):
    """One walk over all tokens, keeping track of where a table may stand.

    Each dialect has a class of its own, which says what it has besides.

    Args:
        tokens: The statement's tokens.
        syntax: The dialect's lexical rules.
    """

    __slots__ = ("_levels", "_syntax", "_tokens")

    # What begins the clause behind the tables.
    _clauses: ClassVar = frozenset(
        """WHERE GROUP ORDER HAVING LIMIT UNION INTERSECT EXCEPT WINDOW SET RETURNING OFFSET FETCH
        FOR""".split()
    )
    # What else may stand behind a table and is no alias of it.
    _not_an_alias: ClassVar = frozenset(
        """JOIN INNER LEFT RIGHT FULL OUTER CROSS NATURAL ON USING INDEXED NOT TABLESAMPLE
        WITH""".split()
    )
    # What may stand where a table is expected, and is no table's name.
    _instead_of_table: ClassVar = frozenset(
        {"SELECT", "VALUES", "WITH", "TABLE", "LATERAL", "ONLY"}
    )
    # Functions that take a whole statement, or a table's name, as a value.
    _reads_by_text: ClassVar[frozenset[str]] = frozenset()
    # Whether the name of a table, alone, may mean a whole row as one value.
    _takes_rows_as_values: ClassVar = True

    def __init__(self, tokens: list[Token], syntax: Syntax) -> None:
        super().__init__()
        self._tokens = tokens
        self._syntax = syntax
        self._levels = [Level()]
        self._walk()

    def _walk(self) -> None:
        levels = self._levels
        at, count = 0, len(self._tokens)
        begun = ended = False
        while at < count:
            token = self._tokens[at]
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
                self._mark(at, token.text, level)
            else:
                level.expects_table = False
            at += 1
        while len(levels) > 1:
            self._close(levels.pop(), levels[-1])
        self._end_select(levels[0])
        self.row_numbers |= {name for name, _ in levels[0].numbers}
        if self._takes_rows_as_values and self.visible & self.bare:
            self.has_star = True

    def _mark(self, at: int, mark: str, level: Level) -> None:
        """Follow an operator, a parenthesis or another mark."""
        levels = self._levels
        if mark == "(":
            before = self._token(at - 1)
            in_call = is_word(before, *_CALLS_WITH_FROM)
            in_using = is_word(before, "USING")
            expects = level.expects_table
            test = self._test(at, level)
            levels.append(Level(expects, expects, "", in_call, in_using, expects))
            levels[-1].test, levels[-1].in_having = test, level.in_having
        elif mark == ")":
            if len(levels) > 1:
                self._close(levels.pop(), levels[-1])
            levels[-1].expects_table = False
        elif mark == ",":
            level.expects_table = level.in_from
        elif mark == "*":
            self.has_star = self.has_star or self._is_star(at)
        elif mark == ";":
            level.in_from = level.expects_table = False

    def _test(self, at: int, level: Level) -> Literal["", "IN", "EXISTS"]:
        """Tell what a SELECT in the parenthesis that opens here would be a test by, if it were."""
        before, further = self._token(at - 1), self._token(at - 2)
        if is_word(before, "EXISTS"):
            return "EXISTS"
        if is_word(before, "IN", "ANY", "SOME"):
            return "IN"
        if is_word(before, "ALL") and further is not None and is_operator(further):
            return "IN"
        # One within it, alone or put together with others.
        return level.test if is_mark(before, "(") or is_word(before, *_COMPOUNDS) else ""

    def _token(self, at: int) -> Token | None:
        return self._tokens[at] if 0 <= at < len(self._tokens) else None

    def _is_name(self, at: int, *, or_string: bool = False) -> bool:
        token = self._token(at)
        return token is not None and (
            token.kind in NAMES
            or (or_string and token.kind is TokenKind.STRING and self._syntax.strings_as_names)
        )

    def _is_dot(self, at: int) -> bool:
        token = self._token(at)
        return token is not None and token.kind is TokenKind.OPERATOR and token.text == "."

    def _is_star(self, at: int) -> bool:
        before = self._token(at - 1)
        if before is None:
            return False
        if before.kind is TokenKind.WORD:
            return before.text in _BEFORE_STAR and not self._is_dot(at - 2)
        if before.kind is not TokenKind.OPERATOR:
            return False
        after = self._token(at + 1)
        # Behind DISTINCT ON (...) it is one, too; nothing else has FROM behind it.
        return before.text in (",", ".") or (
            before.text == ")"
            and (is_word(after, "FROM") or (after is not None and after.text == ","))
        )

    def _name(self, at: int, level: Level) -> int:
        """Take in a name or keyword; return where to go on."""
        token = self._tokens[at]
        self.names.add(token.name)
        is_free = not self._is_dot(at - 1) and not self._is_dot(at + 1)
        if token.kind is TokenKind.WORD and is_free:
            is_mere_name = self._is_mere_name(at, token.text, level)
            if not is_mere_name and self._keyword(at, token.text, level):
                return at + 1
        if level.expects_table:
            level.expects_table = False
            end = self._source(at, level, "source")
            level.tables.append(level.last_source)
            level.shown.append(self._tokens[end - 1].name if end <= len(self._tokens) else "")
            return end
        return self._column(at, level)

    def _keyword(self, at: int, word: str, level: Level) -> bool:
        """Follow a word that moves us within the statement; tell whether it did."""
        after = self._token(at + 1)
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
            level.in_from = False
            level.in_having = word == "HAVING"
            level.orders = level.selects and word == "ORDER"
        elif word == "INTO":
            self.into = True
        elif word == "IN" and self._syntax.strings_as_names:
            if self._is_name(at + 1, or_string=True):
                self._source(at + 1, level, "operand")
                self.operands.add(level.last_source)
        elif word == "TABLE":
            level.expects_table = self.has_star = True
        elif word == "NATURAL":
            self.has_natural = True
        elif word in ("LEFT", "RIGHT", "FULL", "OUTER"):
            self.has_outer_join = True
        elif word == "INDEXED" and not level.expects_table:
            self._index_hint(at, level)
        else:
            return False
        return True

    def _is_mere_name(self, at: int, word: str, level: Level) -> bool:
        """Tell by its neighbours that a keyword is a name here, as databases allow."""
        if is_word(self._token(at - 1), "AS") and word != "NOT":
            return True
        if level.expects_table:
            # A table is named here by any word that cannot begin a subquery.
            opened = is_mark(self._token(at - 1), "(")
            if word not in self._instead_of_table or (
                word in ("VALUES", "WITH", "TABLE") and not opened
            ):
                return True
        if word == "INDEXED":
            return False
        if word == "WITH" and level.in_from and not level.expects_table:
            return True  # WITH ORDINALITY
        after = self._token(at + 1)
        return after is None or is_mark(after, ",", ")", ";")

    def _ends_from(self, at: int, word: str) -> bool:
        """Tell whether a word begins the clause behind the tables."""
        return word in self._clauses

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

    def _index_hint(self, at: int, level: Level) -> None:
        before, here, after = self._token(at - 1), self._tokens[at], self._token(at + 1)
        if before and is_word(before, "NOT"):
            self.index_hints.append(IndexHint(before.start, here.end, level.last_source))
        elif is_word(after, "BY") and (index := self._token(at + 2)):
            self.index_hints.append(IndexHint(here.start, index.end, level.last_source))

    def _source(
        self, at: int, level: Level, role: Literal["source", "operand"], *, prefix: str = ""
    ) -> int:
        """Take in a table's name, with its schema if it has one; return where to go on.

        Args:
            at: Where it stands.
            level: Where we are.
            role: What it stands there as.
            prefix: The alias before it.
        """
        last = at
        while self._is_dot(last + 1) and self._is_name(last + 2, or_string=True):
            self.names.add(self._tokens[last].name)
            last += 2
        table = self._tokens[last]
        self.names.add(table.name)
        self.sources.add(table.name)
        level.last_source = table.name
        after = self._token(last + 1)
        is_call = is_mark(after, "(")
        self.hides_names |= is_call and table.name in self._reads_by_text
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
            enclosed = is_mark(self._token(at - 1), "(")
            schema = self._tokens[last - 2].name
            self.qualified.append(
                QualifiedName(
                    self._tokens[at].start,
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
            return token.text not in self._not_an_alias and not self._ends_from(at, token.text)
        return token.kind is TokenKind.QUOTED or (
            token.kind is TokenKind.STRING and self._syntax.strings_as_names
        )

    def _column(self, at: int, level: Level) -> int:
        """Take in a reference in an expression: `a`, `a.b`, `a.b.c`, `a.b.*`, and longer ones."""
        last = at
        while self._is_dot(last + 1) and self._is_name(last + 2, or_string=True):
            last += 2
            self.names.add(self._tokens[last].name)
        first, after = self._tokens[at], self._token(last + 2)
        if last == at:
            if not self._is_call_or_cte(at):
                self.bare.add(first.name)
                if first.name in self._syntax.row_numbers:
                    self._row_number(at, first.name, level)
            return at + 1
        if self._tokens[last].name in self._syntax.row_numbers:
            self.row_numbers.add(self._tokens[last].name)
        if self._is_dot(last + 1) and after is not None and after.text == "*":
            self.has_star = True
            table_at = last
            last += 2
        else:
            table_at = last - 2
        if table_at > at:
            schema, table = self._tokens[table_at - 2], self._tokens[table_at]
            self.qualified.append(
                QualifiedName(
                    first.start, table.start, table.end, schema.name, table.name, "column", False
                )
            )
        return last + 1

    def _row_number(self, at: int, name: str, level: Level) -> None:
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
