"""What a statement does and which names it mentions, read off its tokens without parsing it."""

from __future__ import annotations

import re

from landscape_compat.projection.bodies import body_of
from landscape_compat.projection.head import Head
from landscape_compat.projection.statement import (
    Effect,
    IndexHint,
    QualifiedName,
    StatementScan,
)
from landscape_compat.projection.tokens import (
    NAMES,
    SQLITE,
    Syntax,
    Token,
    TokenKind,
    is_operator,
    is_word,
    tokenize,
)
from landscape_compat.schema.letters import IN_NAME

__all__ = ["Effect", "IndexHint", "QualifiedName", "StatementScan", "scan_statement"]

_PERCENT = re.compile("%%?")
# What would become one token with a number.
_JOINS_NUMBER = re.compile(rf"{IN_NAME}|\.")


def scan_statement(text: str, syntax: Syntax = SQLITE) -> StatementScan:
    """Tell what a statement does and which names it mentions.

    Args:
        text: The statement, in the driver's form.
        syntax: The dialect's lexical rules.
    """
    tokens = tokenize(text, syntax)
    first = 0
    while first < len(tokens) and tokens[first].text == ";" and is_operator(tokens[first]):
        first += 1
    if first == len(tokens):
        return StatementScan(Effect.EMPTY)
    head = Head(tokens, first, syntax)
    body = body_of(tokens, syntax)
    if syntax.name == "duckdb":
        body.names |= _names_in_strings(text, tokens, syntax)
    effect = head.effect
    if syntax.admits_by_list and head.verb in ("", "WITH"):
        effect = Effect.WRITES  # none that is known
    # SHOW and SET of MariaDB's take expressions as well.
    may_hide = effect is Effect.READS or (
        syntax.admits_by_list and effect in (Effect.PRAGMA, Effect.OTHER)
    )
    if may_hide and (body.modifies or body.locks or body.into):
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
        lone_row_numbers=frozenset(body.lone_row_numbers),
        has_same_names=body.has_same_names,
        aliases=frozenset(body.aliases),
        hides_names=body.hides_names,
        bodies=tuple(head.bodies),
        beside_tables=frozenset(body.beside_tables),
        executes=body.executes,
        misplaces=syntax.formats and _misplaces_parameters(text, tokens),
        tests_groups=body.tests_groups and body.tests > 1,
        tests_beside_windows=body.has_window and body.tests > 0,
        compares_windows=body.compares_windows,
        compares_groups=body.compares_groups,
        has_rollup=body.has_rollup,
        has_null_safe=body.has_null_safe,
    )


def _misplaces_parameters(text: str, tokens: list[Token]) -> bool:
    """Tell whether a driver that writes parameters into the text would make other tokens of it."""
    own = {token.start: token.end for token in tokens if token.kind is TokenKind.PARAMETER}
    for percent in _PERCENT.finditer(text):
        at = percent.start()
        if percent.group() == "%" and (
            at not in own
            or _JOINS_NUMBER.match(text, own[at])
            or _JOINS_NUMBER.match(text, max(at - 1, 0))
        ):
            return True
    return False


def _names_in_strings(text: str, tokens: list[Token], syntax: Syntax) -> set[str]:
    """Find the words in strings: DuckDB has functions and macros that take a table's name so."""
    strings = (token for token in tokens if token.kind is TokenKind.STRING)
    found = {syntax.fold(token.text, quoted=True) for token in strings}
    for token in tokens:
        if token.kind is TokenKind.STRING:
            words = re.findall(r"\w+", text[token.start : token.end])
            found |= {syntax.fold(word, quoted=True) for word in words}
    return found


def _may_be_cte(tokens: list[Token], at: int) -> bool:
    """Tell whether `name AS (` or `name (` stands here; the second may be a call as well."""
    after, then = (*tokens[at + 1 : at + 3], None, None)[:2]
    if after is None or tokens[at].kind not in (*NAMES, TokenKind.STRING):
        return False
    if is_word(after, "AS") and then is not None:
        return then.text == "(" or is_word(then, "NOT", "MATERIALIZED")
    return after.text == "(" and is_operator(after)
