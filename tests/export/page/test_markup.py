"""Markup escapes whatever is not markup, so that no name can break out of its place."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from landscape_compat.export.page.markup import Markup, join, tag


def test_an_element() -> None:
    """Attributes are named as HTML names them; None and False leave one out."""
    made = tag("p", "a < b", class_="x", aria_label='"', hidden=True, id=None, open=False)
    assert made == '<p class="x" aria-label="&quot;" hidden="">a &lt; b</p>'
    assert tag("br") == "<br/>"
    assert join(tag("b"), None, ["&", 3]) == "<b></b>&amp;3"


def test_control_characters_are_made_visible() -> None:
    """What HTML has no place for, or what turns text round, is shown by its number."""
    assert tag("b", "a\x00b\u202ec") == "<b>a\\x00b\\u202ec</b>"


@given(text=st.text(), name=st.text())
def test_text_comes_back_as_text(text: str, name: str) -> None:
    """Any text, within an element or an attribute, is read back as text and nothing else."""
    made = ElementTree.fromstring(tag("p", text, title=name))
    assert (list(made), set(made.attrib)) == ([], {"title"})
    assert isinstance(tag("p", text), Markup)
