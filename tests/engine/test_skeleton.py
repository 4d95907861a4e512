"""Texts of one statement share a skeleton, and filling it gives the text back, whatever it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landscape_compat.engine.skeleton import skeleton_of

_STYLES = ("?", "%s", "%(a_{})s", "${}", "%(a_{})s::VARCHAR", "${}::INTEGER", ":a_{}")


def lists(style: str, count: int) -> str:
    return ", ".join(style.format(number) for number in range(count))


@pytest.mark.parametrize("style", _STYLES)
def test_lists_of_any_length_are_one(style: str) -> None:
    """Of eight parameters and more, in the style of every driver."""
    found = {
        skeleton_of(f"SELECT a FROM t WHERE b IN ({lists(style, count)}) AND c = 1").text
        for count in range(8, 200, 7)
    }
    assert len(found) == 1
    short = f"SELECT a FROM t WHERE b IN ({lists(style, 7)})"
    assert skeleton_of(short).text == short


def test_comments_at_the_ends_are_taken_off() -> None:
    """As tracing adds them, before or after."""
    for text in (
        "SELECT a FROM t /*traceparent='00-5b-01'*/",
        "/* a */SELECT a FROM t ",
        "/* a */SELECT a FROM t /* b */",
    ):
        skeleton = skeleton_of(text)
        assert skeleton.text == "SELECT a FROM t "[: len(skeleton.text)]
        assert skeleton.has_comment
        assert skeleton.fill(skeleton.text) == text


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 'a /* b */",
        'SELECT "a /* b", c FROM t --*/',
        "SELECT [a /* b], c FROM t --*/",
        "SELECT `a /* b`, c FROM t --*/",
        "SELECT $$a /* b$$, c FROM t --*/",
        "SELECT $q$a /* b$q$, c FROM t --*/",
        "SELECT 1 -- /* \n FROM t --*/",
        "SELECT 1 /* a /* b */",
        "/* a /* b */ c */ SELECT 1",
        "SELECT 1 -- a /* b */",
        "SELECT 1 */",
        "SELECT 1 /* a */ FROM t --*/",
        "SELECT 1 /*/",
        "/*/ SELECT 1",
        "SELECT 'a', b FROM t /* c */",
    ],
)
def test_what_may_be_no_comment_stays(text: str) -> None:
    """Something quoted before it, another comment within it, or the end of a line."""
    assert skeleton_of(text).text == text


def test_a_statement_with_our_mark_is_left_alone() -> None:
    """A number that we would take for our own is in nobody's way."""
    text = f"SELECT 90713558000 FROM t WHERE a IN ({lists('?', 9)})"
    assert skeleton_of(text).text == text


@pytest.mark.parametrize(
    "text",
    ["/*! SELECT */ a", "/*M! SELECT */ a", "SELECT a /*!50000 INTO @x */", "SELECT a /*M!1 x */"],
)
def test_a_comment_that_is_executed_is_not_taken_off(text: str) -> None:
    """MariaDB executes what it holds, so that it must be scanned."""
    assert skeleton_of(text).text == text


def test_what_a_driver_writes_into_a_comment_is_not_taken_off() -> None:
    """PyMySQL writes a parameter wherever it stands, also into a comment, a string and a name."""
    for text in (
        "SELECT a /* %s */",
        "/* %(a)s */SELECT a",
        f"SELECT '({lists('%s', 9)})'",
        f"SELECT `({lists('%s', 9)})`",
    ):
        assert skeleton_of(text, is_formatted=True).text == text
    named = f"SELECT `a` FROM t WHERE `a%%` IN ({lists('%s', 9)})"
    assert skeleton_of(named, is_formatted=True).lists
    assert skeleton_of("SELECT %s /* 5%% */", is_formatted=True).has_comment


def test_what_does_not_fit() -> None:
    """A text that lost a mark, or has it twice, cannot be filled."""
    skeleton = skeleton_of(f"SELECT a FROM t WHERE b IN ({lists('?', 9)})")
    assert skeleton.fits(skeleton.text)
    assert not skeleton.fits(skeleton.text * 2)
    assert not skeleton.fits("SELECT a FROM t")


_PIECES = st.sampled_from(
    (
        *("SELECT a FROM t ", "/*", "*/", "--", "\n", "'", '"', "$$", "(", ")", "IN ", "90713558"),
        *(f"({lists(style, 9)})" for style in _STYLES),
    )
)


@given(st.lists(_PIECES, max_size=12).map("".join))
def test_filling_gives_the_text_back(text: str) -> None:
    """For any text at all."""
    skeleton = skeleton_of(text)
    assert not skeleton.fits(skeleton.text) or skeleton.fill(skeleton.text) == text
