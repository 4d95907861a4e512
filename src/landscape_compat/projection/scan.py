"""What a statement does and which names it mentions, read off its tokens without parsing it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple

from landscape_compat.projection.tokens import SQLITE, Syntax, Token, TokenKind, tokenize

__all__ = ["Effect", "IndexHint", "QualifiedName", "StatementScan", "scan_statement"]


class Effect(StrEnum):
    """What running a statement does."""

    READS = "reads"
    WRITES = "writes"
    CONTROL = "control"
    PRAGMA = "pragma"
    EMPTY = "empty"
    OTHER = "other"


class QualifiedName(NamedTuple):
    """A table named with its schema, as `schema.table`.

    Args:
        start: Offset of the schema's name.
        table_start: Offset of the table's name.
        end: Offset after the table's name.
        schema: The schema, folded.
        table: The table, folded.
        role: Where it stands: as a source of rows, as what follows IN, or before `.column`.
        aliased: Whether an alias follows.
        enclosed: Whether a parenthesis opens before it.
    """

    start: int
    table_start: int
    end: int
    schema: str
    table: str
    role: Literal["source", "operand", "column"]
    aliased: bool
    enclosed: bool = False


class IndexHint(NamedTuple):
    """An `INDEXED BY name` or `NOT INDEXED` after a table."""

    start: int
    end: int
    table: str


@dataclass(frozen=True, slots=True)
class StatementScan:
    """What the text of a statement tells.

    Args:
        effect: What running it does.
        verb: The word that decides that, upper case; "" if there is none.
        names: Every name mentioned, folded, whatever it stands for; more than are tables.
        sources: The names that stand where a table is read.
        operands: Those of them that stand after IN, where a table's only column is meant.
        own_ctes: The CTEs that its leading WITH defines, folded.
        with_end: Offset after a leading `WITH` or `WITH RECURSIVE`, if there is one.
        insert_at: Offset where a WITH clause goes if there is none.
        qualified: Tables named with their schema.
        index_hints: Index hints.
        has_star: Whether a select list has `*` or `t.*`.
        has_natural: Whether it has a NATURAL join.
        has_outer_join: Whether it may have an outer join.
        multiple: Whether there is more than one statement.
        inner_ctes: The names that a WITH within it may define, folded.
        row_numbers: The names of a hidden row number that may mean one here: with a table before
            it, or where only one table is read.
        no_row_numbers: Those that stand alone where several tables are read, and so mean none,
            each with the tables that are read there.
    """

    effect: Effect
    verb: str = ""
    names: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    own_ctes: frozenset[str] = frozenset()
    with_end: int | None = None
    insert_at: int = 0
    qualified: tuple[QualifiedName, ...] = ()
    index_hints: tuple[IndexHint, ...] = ()
    has_star: bool = False
    has_natural: bool = False
    has_outer_join: bool = False
    multiple: bool = False
    operands: frozenset[str] = frozenset()
    inner_ctes: frozenset[str] = frozenset()
    row_numbers: frozenset[str] = frozenset()
    no_row_numbers: tuple[tuple[str, frozenset[str]], ...] = ()


_READS = frozenset({"SELECT", "VALUES", "TABLE"})
_CONTROL = frozenset(
    {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"}
)
_MODIFIES = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE"})
_WRITES = _MODIFIES | frozenset(
    """ALTER ANALYZE ATTACH CALL CLUSTER COMMENT COPY CREATE DETACH DO DROP GRANT IMPORT LOCK
    NOTIFY PREPARE REASSIGN REFRESH REINDEX REVOKE SECURITY TRUNCATE VACUUM""".split()
)
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
_INSTEAD_OF_TABLE = frozenset({"SELECT", "VALUES", "WITH", "TABLE", "LATERAL", "ONLY"})
_CALLS_WITH_FROM = ("EXTRACT", "OVERLAY", "POSITION", "SUBSTRING", "TRIM")
_BEFORE_STAR = frozenset({"SELECT", "DISTINCT", "ALL"})
_NAMES = (TokenKind.WORD, TokenKind.QUOTED)


def scan_statement(text: str, syntax: Syntax = SQLITE) -> StatementScan:
    """Tell what a statement does and which names it mentions.

    Args:
        text: The statement, in the driver's form.
        syntax: The dialect's lexical rules.
    """
    tokens = tokenize(text, syntax)
    first = 0
    while first < len(tokens) and tokens[first].text == ";" and _is_operator(tokens[first]):
        first += 1
    if first == len(tokens):
        return StatementScan(Effect.EMPTY)
    head = _Head(tokens, first, syntax)
    body = _Body(tokens, syntax)
    effect = head.effect
    if effect is Effect.READS and (body.modifies or body.locks or body.into):
        effect = Effect.WRITES
    return StatementScan(
        effect=effect,
        verb=head.verb,
        names=frozenset(body.names),
        sources=frozenset(body.sources),
        own_ctes=frozenset(head.own_ctes),
        with_end=head.with_end,
        insert_at=head.insert_at,
        qualified=tuple(body.qualified),
        index_hints=tuple(body.index_hints),
        has_star=body.has_star,
        has_natural=body.has_natural,
        has_outer_join=body.has_outer_join,
        multiple=body.multiple,
        operands=frozenset(body.operands),
        inner_ctes=(
            frozenset(token.name for at, token in enumerate(tokens) if _may_be_cte(tokens, at))
            if body.withs > (head.with_end is not None)
            else frozenset()
        ),
        row_numbers=frozenset(body.row_numbers),
        no_row_numbers=tuple(body.no_row_numbers),
    )


def _is_operator(token: Token) -> bool:
    return token.kind is TokenKind.OPERATOR


def _is_word(token: Token | None, *words: str) -> bool:
    return token is not None and token.kind is TokenKind.WORD and token.text in words


def _may_be_cte(tokens: list[Token], at: int) -> bool:
    """Tell whether `name AS (` or `name (` stands here; the second may be a call as well."""
    after, then = (*tokens[at + 1 : at + 3], None, None)[:2]
    if after is None or tokens[at].kind not in (*_NAMES, TokenKind.STRING):
        return False
    if _is_word(after, "AS") and then is not None:
        return then.text == "(" or _is_word(then, "NOT", "MATERIALIZED")
    return after.text == "(" and _is_operator(after)


class _Head:
    """The start of a statement: EXPLAIN, parentheses, the leading WITH, the verb."""

    def __init__(self, tokens: list[Token], first: int, syntax: Syntax) -> None:
        self._tokens = tokens
        self._syntax = syntax
        self._at = first
        self.own_ctes: set[str] = set()
        self.with_end: int | None = None
        self.verb = ""
        self.effect = Effect.OTHER
        self._skip_explain()
        self.insert_at = self._here.start if self._here else tokens[-1].end
        self._read_verb()

    @property
    def _here(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _takes(self, *texts: str) -> bool:
        here = self._here
        if here and here.kind in (TokenKind.WORD, TokenKind.OPERATOR) and here.text in texts:
            self._at += 1
            return True
        return False

    def _skip_parentheses(self) -> bool:
        """Go past a balanced pair, if one opens here."""
        if not self._takes("("):
            return False
        depth = 1
        while depth and (here := self._here):
            if _is_operator(here):
                depth += {"(": 1, ")": -1}.get(here.text, 0)
            self._at += 1
        return depth == 0

    def _skip_explain(self) -> None:
        if not self._takes("EXPLAIN"):
            return
        if self._syntax.name == "sqlite":
            if self._takes("QUERY"):
                self._takes("PLAN")
            return
        if self._here is not None and self._here.text == "(":
            after = self._tokens[self._at + 1 : self._at + 2]
            first = after[0] if after else None
            if _is_word(first, "SELECT", "WITH", "VALUES", "TABLE") or (
                first and first.text == "("
            ):
                return  # EXPLAIN (SELECT ...), not a list of options
            self._skip_parentheses()
        while self._takes("ANALYZE", "ANALYSE", "VERBOSE"):
            pass

    def _read_verb(self) -> None:
        opened = False
        while self._takes("("):
            opened = True
        here = self._here
        if here is None:
            return
        if _is_word(here, "WITH"):
            self._at += 1
            end = here.end
            after = self._tokens[self._at + 1 : self._at + 2]
            names_itself = (
                self._syntax.name == "postgresql"
                and bool(after)
                and (_is_word(after[0], "AS") or after[0].text == "(")
            )
            if (recursive := self._here) and not names_itself and self._takes("RECURSIVE"):
                end = recursive.end
            if not self._read_ctes():
                self.verb = "WITH"
                return
            if not opened:
                self.with_end = end
            else:
                self.own_ctes.clear()  # they live inside the parentheses, ours outside
            while self._takes("("):
                pass
            here = self._here
        if here is None or here.kind is not TokenKind.WORD:
            return
        self.verb = here.text
        if self.verb in _READS and not (self.verb == "TABLE" and self._syntax.name == "sqlite"):
            self.effect = Effect.READS
        elif self.verb in _WRITES:
            self.effect = Effect.WRITES
        elif self.verb in _CONTROL:
            self.effect = Effect.CONTROL
        elif self.verb == "PRAGMA":
            self.effect = Effect.PRAGMA

    def _read_ctes(self) -> bool:
        """Read `name [(columns)] AS [[NOT] MATERIALIZED] (body), ...`; tell whether it was so."""
        while True:
            here = self._here
            is_name = here is not None and (
                here.kind in _NAMES
                or (here.kind is TokenKind.STRING and self._syntax.strings_as_names)
            )
            if here is None or not is_name:
                return False
            self.own_ctes.add(here.name)
            self._at += 1
            self._skip_parentheses()
            if not self._takes("AS"):
                return False
            self._takes("NOT")
            self._takes("MATERIALIZED")
            if not self._skip_parentheses():
                return False
            if _is_word(self._here, "SEARCH", "CYCLE"):
                self._skip_search()
            if not self._takes(","):
                return True

    def _skip_search(self) -> None:
        while (here := self._here) and not (
            (_is_operator(here) and here.text in ",(")
            or _is_word(here, "SELECT", "VALUES", "TABLE", "WITH", *_MODIFIES)
        ):
            # The columns after BY are a list of their own.
            self._at += 1
            while self._here and self._here.text == "," and _is_listed(self._tokens, self._at):
                self._at += 2


def _is_listed(tokens: list[Token], at: int) -> bool:
    """Tell a list of columns from the next CTE: that one goes on with AS or a parenthesis."""
    after = tokens[at + 2 : at + 3]
    return bool(after) and not (_is_word(after[0], "AS") or after[0].text == "(")


@dataclass(slots=True)
class _Level:
    """Where we are within one pair of parentheses."""

    in_from: bool = False
    expects_table: bool = False
    last_source: str = ""
    # `extract(year FROM x)` and its like have a FROM that names no table.
    in_call: bool = False
    in_using: bool = False
    # Of the SELECT in hand: how many tables it reads, and the row numbers named without one.
    is_source: bool = False
    selects: bool = False
    orders: bool = False
    tables: list[str] = field(default_factory=list)
    numbers: set[str] = field(default_factory=set)
    given: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Body:
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
    no_row_numbers: list[tuple[str, frozenset[str]]] = field(default_factory=list)

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
                    in_call = _is_word(before, *_CALLS_WITH_FROM)
                    in_using = _is_word(before, "USING")
                    expects = level.expects_table
                    levels.append(_Level(expects, expects, "", in_call, in_using, expects))
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
            else:
                level.expects_table = False
            at += 1
        while len(levels) > 1:
            self._close(levels.pop(), levels[-1])
        self._end_select(levels[0])
        self.row_numbers |= levels[0].numbers
        if self.syntax.name == "postgresql" and self.visible & self.bare:
            self.has_star = True  # a whole row as one value

    def _close(self, level: _Level, outer: _Level) -> None:
        """Take in what a pair of parentheses held."""
        if level.selects:
            self._end_select(level)
            outer.tables += [""] * level.is_source
        else:
            outer.tables += level.tables
        outer.numbers |= level.numbers

    def _end_select(self, level: _Level) -> None:
        """Tell what its row numbers mean, now that all its tables are known.

        SQLite takes a name for a row number only where one table is read; where there is none,
        it looks further out.
        """
        if len(level.tables) == 1:
            self.row_numbers |= level.numbers
        else:
            tables = frozenset(level.tables)
            self.no_row_numbers += [(name, tables) for name in sorted(level.numbers) if tables]
        if level.tables:
            level.numbers.clear()
        level.tables.clear()
        level.orders = False

    def _token(self, at: int) -> Token | None:
        return self.tokens[at] if 0 <= at < len(self.tokens) else None

    def _is_name(self, at: int, *, or_string: bool = False) -> bool:
        token = self._token(at)
        return token is not None and (
            token.kind in _NAMES
            or (or_string and token.kind is TokenKind.STRING and self.syntax.strings_as_names)
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
            and (_is_word(after, "FROM") or (after is not None and after.text == ","))
        )

    def _name(self, at: int, level: _Level) -> int:
        """Take in a name or keyword; return where to go on."""
        token = self.tokens[at]
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
            return end
        return self._column(at, level)

    def _keyword(self, at: int, word: str, level: _Level) -> bool:
        """Follow a word that moves us within the statement; tell whether it did."""
        after = self._token(at + 1)
        if self._is_mere_name(at, word, level):
            return False
        if word in _MODIFIES:
            self.modifies |= self._modifies(at, word)
            return False
        if word == "FROM":
            if not (level.in_call or self._is_distinct_from(at)):
                level.in_from = level.expects_table = True
        elif word == "JOIN":
            level.in_from = level.expects_table = True
        elif word in ("SELECT", "VALUES", "WITH"):
            self.withs += word == "WITH"
            self._end_select(level)
            level.selects = True
            level.in_from = level.expects_table = level.in_call = False
        elif self._ends_from(at, word):
            if word == "FOR" and self.syntax.name == "postgresql" and not level.in_call:
                self.locks |= _is_word(after, "UPDATE", "SHARE", "NO", "KEY")
            level.in_from = False
            level.orders = level.selects and word == "ORDER"
        elif word == "INTO":
            self.into = True
        elif word == "IN" and self.syntax.strings_as_names:
            if self._is_name(at + 1, or_string=True):
                self._source(at + 1, level, "operand")
                self.operands.add(level.last_source)
        elif word == "TABLE" and self.syntax.name == "postgresql":
            level.expects_table = self.has_star = True
        elif word in ("LATERAL", "ONLY") and level.expects_table:
            return self.syntax.name == "postgresql"
        elif word == "NATURAL":
            self.has_natural = True
        elif word in ("LEFT", "RIGHT", "FULL", "OUTER"):
            self.has_outer_join = True
        elif word == "INDEXED" and not level.expects_table:
            self._index_hint(at, level)
        else:
            return False
        return True

    def _is_mere_name(self, at: int, word: str, level: _Level) -> bool:
        """Tell by its neighbours that a keyword is a name here, as both databases allow."""
        if _is_word(self._token(at - 1), "AS") and word != "NOT":
            return True
        if level.expects_table:
            # A table is named here by any word that cannot begin a subquery.
            before = self._token(at - 1)
            opened = before is not None and _is_operator(before) and before.text == "("
            if word not in _INSTEAD_OF_TABLE or (
                word in ("VALUES", "WITH", "TABLE") and not opened
            ):
                return True
        if word == "INDEXED":
            return False
        if word == "WITH" and level.in_from and not level.expects_table:
            return True  # WITH ORDINALITY
        after = self._token(at + 1)
        return after is None or (_is_operator(after) and after.text in (",", ")", ";"))

    def _ends_from(self, at: int, word: str) -> bool:
        """Tell whether a word begins the clause behind the tables."""
        if self.syntax.name != "sqlite":
            return word in _ENDS_FROM
        if word == "WINDOW":
            return self._is_name(at + 1) and _is_word(self._token(at + 2), "AS")
        return word in _ENDS_FROM and word not in _NAMES_IN_SQLITE

    def _is_call_or_cte(self, at: int) -> bool:
        after, then = self._token(at + 1), self._token(at + 2)
        if after is None or after.text == "(":
            return after is not None
        is_body = then is not None and (then.text == "(" or _is_word(then, "NOT", "MATERIALIZED"))
        return _is_word(after, "AS") and is_body

    def _modifies(self, at: int, word: str) -> bool:
        """Tell whether a common table expression changes rows here, as PostgreSQL allows."""
        before, after = self._token(at - 1), self._token(at + 1)
        if before is None or before.text not in ("(", ")"):
            return False
        if word in ("INSERT", "MERGE"):
            return _is_word(after, "INTO")
        if word == "DELETE":
            return _is_word(after, "FROM")
        is_name = after is not None and after.kind in _NAMES
        return word == "UPDATE" and is_name and not _is_word(after, "FROM", "AS")

    def _is_distinct_from(self, at: int) -> bool:
        return _is_word(self._token(at - 1), "DISTINCT") and _is_word(
            self._token(at - 2), "IS", "NOT"
        )

    def _index_hint(self, at: int, level: _Level) -> None:
        before, after = self._token(at - 1), self._token(at + 1)
        if before and _is_word(before, "NOT"):
            self.index_hints.append(IndexHint(before.start, self.tokens[at].end, level.last_source))
        elif _is_word(after, "BY") and (index := self._token(at + 2)):
            self.index_hints.append(IndexHint(self.tokens[at].start, index.end, level.last_source))

    def _source(self, at: int, level: _Level, role: Literal["source", "operand"]) -> int:
        """Take in a table's name, with its schema if it has one; return where to go on."""
        first = self.tokens[at]
        last = at
        while self._is_dot(last + 1) and self._is_name(last + 2, or_string=True):
            self.names.add(self.tokens[last].name)
            last += 2
        table = self.tokens[last]
        self.names.add(table.name)
        self.sources.add(table.name)
        level.last_source = table.name
        after = self._token(last + 1)
        is_call = after is not None and _is_operator(after) and after.text == "("
        aliased = self._is_alias(last + 1)
        self.visible.add(table.name)
        end = last + 1
        if aliased:
            end += 1 + _is_word(after, "AS")
            alias = self._token(end - 1)  # none, if the statement breaks off behind AS
            if alias is not None:
                self.visible.add(alias.name)
                self.names.add(alias.name)
        if last > at and not is_call:
            before = self._token(at - 1)
            enclosed = before is not None and before.text == "(" and _is_operator(before)
            schema = self.tokens[last - 2].name
            self.qualified.append(
                QualifiedName(
                    first.start, table.start, table.end, schema, table.name, role, aliased, enclosed
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
        if _is_word(before, "AS"):
            level.given.add(name)
            return
        is_term = (_is_word(before, "BY") or (before is not None and before.text == ",")) and (
            after is None or after.text in (",", ")", ";", "ASC", "DESC", "NULLS", "LIMIT")
        )
        # Alone in ORDER BY, a name is first that of a result.
        if not (level.orders and is_term and name in level.given):
            level.numbers.add(name)
