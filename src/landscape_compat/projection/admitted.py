"""Which statements a program may send to a MariaDB that it only reads: those named here.

A session of MariaDB's that only reads still locks tables, flushes, kills, analyses, writes files,
sets what holds for everybody, and may be told to write again. So what is not known is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from landscape_compat.projection.statement import Effect
from landscape_compat.projection.tokens import NAMES, Token, is_operator, is_word

__all__ = ["admitted_effect", "skip_explain"]

_EXPLAINS = ("EXPLAIN", "DESCRIBE", "DESC", "ANALYZE")
# What begins a statement that can be explained; else a table is described.
_EXPLAINED = frozenset({"SELECT", "WITH", "VALUES", "UPDATE", "DELETE", "INSERT", "REPLACE", "FOR"})
# Of a session, and of no effect on what a statement means or may do.
_SETTABLE = frozenset(
    """big_tables div_precision_increment eq_range_index_dive_limit foreign_key_checks
    group_concat_max_len innodb_lock_wait_timeout interactive_timeout join_buffer_size
    join_cache_level lc_messages lc_time_names lock_wait_timeout long_query_time
    max_heap_table_size max_statement_time net_read_timeout net_write_timeout
    optimizer_search_depth optimizer_switch optimizer_use_condition_selectivity profiling
    slow_query_log sort_buffer_size sql_warnings time_zone timestamp tmp_table_size unique_checks
    wait_timeout""".split()
)
_MARKS = frozenset({"=", ",", "-", "."})


def skip_explain(tokens: Sequence[Token], at: int) -> int:
    """Go past the EXPLAIN or ANALYZE of a statement, where one stands here.

    Args:
        tokens: The statement's tokens.
        at: Where it begins.

    Returns:
        Where what is explained begins; `at` where nothing is.
    """
    if at >= len(tokens) or not is_word(tokens[at], *_EXPLAINS):
        return at
    here = at + 1
    if _is(tokens, here, "EXTENDED", "PARTITIONS"):
        here += 1
    elif _is(tokens, here, "FORMAT") and here + 2 < len(tokens) and tokens[here + 1].text == "=":
        here += 3
    if here < len(tokens) and tokens[here].text == "(" and is_operator(tokens[here]):
        return here
    return here if _is(tokens, here, *_EXPLAINED) else at


def admitted_effect(tokens: Sequence[Token], at: int) -> Effect:
    """Tell what a statement does, by its verb and what follows.

    Args:
        tokens: The statement's tokens.
        at: Where its verb is.
    """
    rest = [token for token in tokens[at + 1 :] if token.text != ";" or not is_operator(token)]
    if _is(tokens, at, "SELECT", "VALUES"):
        return Effect.READS
    selects = any(is_word(token, "SELECT", "WITH") for token in rest)
    describes = _is(tokens, at, "EXPLAIN", "DESCRIBE", "DESC") and not any(
        is_word(token, *_EXPLAINS, *_EXPLAINED) for token in rest
    )
    if _is(tokens, at, "SHOW") or describes:
        # What is stored, as it is; but with no question within.
        return Effect.OTHER if selects else Effect.PRAGMA
    if _is(tokens, at, "SAVEPOINT") or (_is(tokens, at, "RELEASE") and _is(rest, 0, "SAVEPOINT")):
        return Effect.CONTROL
    if _is(tokens, at, "ROLLBACK") and any(is_word(token, "TO") for token in rest[:2]):
        return Effect.CONTROL
    if _is(tokens, at, "SET") and _sets_little(rest):
        return Effect.OTHER
    return Effect.WRITES


def _sets_little(tokens: Sequence[Token]) -> bool:
    """Tell whether `SET [SESSION] name = value, ...` is harmless, or `SET NAMES` to one of ours."""
    if _is(tokens, 0, "NAMES"):
        return len(tokens) == 2 and tokens[1].name in ("utf8mb4", "utf8")
    expects_name = True
    for token in tokens:
        if token.kind in NAMES and expects_name:
            if token.name in _SETTABLE:
                expects_name = False
            elif not is_word(token, "SESSION", "LOCAL"):
                return False
        elif token.kind in NAMES:
            if not is_word(token, "DEFAULT", "ON", "OFF", "SYSTEM"):
                return False
        elif is_operator(token):
            if token.text not in _MARKS:
                return False
            expects_name = expects_name or token.text == ","
        elif expects_name:
            return False  # a variable, with the sign of one
    return not expects_name


def _is(tokens: Sequence[Token], at: int, *words: str) -> bool:
    return at < len(tokens) and is_word(tokens[at], *words)
