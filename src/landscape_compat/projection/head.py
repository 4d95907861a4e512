"""The start of a statement: EXPLAIN, parentheses, the leading WITH, and the verb."""

from __future__ import annotations

from landscape_compat.projection.admitted import admitted_effect, skip_explain
from landscape_compat.projection.statement import CteBody, Effect
from landscape_compat.projection.tokens import (
    NAMES,
    Syntax,
    Token,
    TokenKind,
    is_operator,
    is_word,
)

__all__ = ["MODIFIES", "Head"]

_READS = frozenset({"SELECT", "VALUES", "TABLE", "FROM"})
_CONTROL = frozenset(
    {"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"}
)
MODIFIES = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE"})
_WRITES = MODIFIES | frozenset(
    """ALTER ANALYZE ATTACH CALL CLUSTER COMMENT COPY CREATE DETACH DO DROP GRANT IMPORT LOCK
    NOTIFY PREPARE REASSIGN REFRESH REINDEX REVOKE SECURITY TRUNCATE VACUUM""".split()
)


class Head:
    """The start of a statement: EXPLAIN, parentheses, the leading WITH, the verb."""

    def __init__(self, tokens: list[Token], first: int, syntax: Syntax) -> None:
        self._tokens = tokens
        self._syntax = syntax
        self._at = first
        self.own_ctes: set[str] = set()
        self.with_end: int | None = None
        self.bodies: list[CteBody] = []
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
            if is_operator(here):
                depth += {"(": 1, ")": -1}.get(here.text, 0)
            self._at += 1
        return depth == 0

    def _skip_explain(self) -> None:
        if self._syntax.admits_by_list:
            self._at = skip_explain(self._tokens, self._at)
            return
        if not self._takes("EXPLAIN"):
            return
        if self._syntax.name == "sqlite":
            if self._takes("QUERY"):
                self._takes("PLAN")
            return
        if self._here is not None and self._here.text == "(":
            after = self._tokens[self._at + 1 : self._at + 2]
            first = after[0] if after else None
            if is_word(first, "SELECT", "WITH", "VALUES", "TABLE", "FROM") or (
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
        if is_word(here, "WITH"):
            end = self._end_of_with(self._at)
            self._at += 1 + (end > here.end)
            if not self._read_ctes():
                self.verb = "WITH"
                return
            if not opened:
                self.with_end = end
            else:
                self.own_ctes.clear()  # they live inside the parentheses, ours outside
            if opened or end > here.end:
                self.bodies.clear()  # a recursive one means itself by its name
            while self._takes("("):
                pass
            here = self._here
        if here is None or here.kind is not TokenKind.WORD:
            return
        self.verb = here.text
        if self._syntax.admits_by_list:
            self.effect = admitted_effect(self._tokens, self._at)
            return
        not_here = {"sqlite": ("TABLE", "FROM"), "postgresql": ("FROM",)}
        if self.verb in _READS and self.verb not in not_here.get(self._syntax.name, ()):
            self.effect = Effect.READS
        elif self.verb in _WRITES or (self.verb == "EXPORT" and self._syntax.name == "duckdb"):
            self.effect = Effect.WRITES
        elif self.verb in _CONTROL:
            self.effect = Effect.CONTROL
        elif self.verb == "PRAGMA":
            self.effect = Effect.PRAGMA

    def _end_of_with(self, at: int) -> int:
        """Tell where `WITH`, or `WITH RECURSIVE`, ends."""
        ahead = self._tokens[at + 1 : at + 3]
        names_itself = (
            self._syntax.name == "postgresql"
            and len(ahead) == 2
            and (is_word(ahead[1], "AS") or ahead[1].text == "(")
        )
        if ahead and is_word(ahead[0], "RECURSIVE") and not names_itself:
            return ahead[0].end
        return self._tokens[at].end

    def _note_body(self, name: str) -> None:
        """Note where the body of a common table expression begins, if one does here."""
        opening = self._here
        if opening is None or opening.text != "(" or self._at + 1 >= len(self._tokens):
            return
        has_with = is_word(self._tokens[self._at + 1], "WITH")
        with_end = self._end_of_with(self._at + 1) if has_with else None
        self.bodies.append(CteBody(name, opening.end, with_end))

    def _read_ctes(self) -> bool:
        """Read `name [(columns)] AS [[NOT] MATERIALIZED] (body), ...`; tell whether it was so."""
        while True:
            here = self._here
            is_name = here is not None and (
                here.kind in NAMES
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
            self._note_body(here.name)
            if not self._skip_parentheses():
                return False
            if is_word(self._here, "SEARCH", "CYCLE"):
                self._skip_search()
            if not self._takes(","):
                return True

    def _skip_search(self) -> None:
        while (here := self._here) and not (
            (is_operator(here) and here.text in ",(")
            or is_word(here, "SELECT", "VALUES", "TABLE", "WITH", *MODIFIES)
        ):
            # The columns after BY are a list of their own.
            self._at += 1
            while self._here and self._here.text == "," and _is_listed(self._tokens, self._at):
                self._at += 2


def _is_listed(tokens: list[Token], at: int) -> bool:
    """Tell a list of columns from the next CTE: that one goes on with AS or a parenthesis."""
    after = tokens[at + 2 : at + 3]
    return bool(after) and not (is_word(after[0], "AS") or after[0].text == "(")
