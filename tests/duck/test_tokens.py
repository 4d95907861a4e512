"""Where DuckDB itself sees a name, the scan of a statement sees one."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landscape_compat.projection.tokens import DUCKDB, NAMES, tokenize

PIECES = """
tokens 'a' '' 'it''s' E'\\'' e'\\\\' $$ $a$ $1 "q" "a""b" `b` -- /* */ ( ) , . * :: : -> ->> [ ] { }
1 1.5 .5 0x1F 1e5 1_000 x'41' b'1' N'x' U&'x' #1 # ? ?1 @ => := é % $ a$b _x \\ ' " ; FROM
main.tokens
""".split()
SPACES = ("", "", "", " ", "\n", "\t", "\r", "\f")


@pytest.mark.skipif(
    not duckdb.__version__.startswith("2."), reason="the rules of 2.0 are those compared with"
)
@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(SPACES)), min_size=1, max_size=9)
)
def test_no_name_is_overlooked(pieces: list[tuple[str, str]]) -> None:
    """It may see more: naming one too many costs nothing, and one too few an answer."""
    text = "SELECT " + "".join(piece + space for piece, space in pieces)
    try:
        duckdb.extract_statements(text)
        found = duckdb.tokenize(text)
    except (duckdb.Error, RuntimeError):
        return  # no statement of its own
    theirs = {at for at, kind in found if str(kind).endswith((".identifier", ".keyword"))}
    raw = text.encode()
    # The name of a parameter is none of a table's.
    theirs -= {at for at in theirs if raw[at - 1 : at] == b"$"}
    ours = {
        len(text[: token.start].encode()) for token in tokenize(text, DUCKDB) if token.kind in NAMES
    }
    assert theirs <= ours


@pytest.mark.parametrize(
    "text",
    [
        "SELECT $1FROM tokens",
        "SELECT 1FROM tokens",
        "SELECT 1_FROM tokens",
        "SELECT\u00a0*\u3000FROM tokens",
    ],
)
def test_names_that_stand_close(text: str) -> None:
    """What ends before them does not swallow them."""
    names = [token.name for token in tokenize(text, DUCKDB) if token.kind in NAMES]
    assert names[-1] == "tokens"
    assert any(name.endswith("from") for name in names)
