"""Skeletons: what texts of one statement have in common, so that it is scanned once.

A program that lists keys (`IN (?, ?, ?)`) sends another text for each length of the list, and one
that is traced sends another comment each time. Scanning takes longer than many a statement runs.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Skeleton", "skeleton_of"]

# The parameters of all drivers, as SQLAlchemy writes them: `?`, `%s`, `%(name)s`, `$1::VARCHAR`.
_PARAMETER = r"(?:\?|%s|%\(\w+\)s|\$\d+|:\w+)(?:::\w+)?"
_LIST = re.compile(rf"(?<=\(){_PARAMETER}(?:, {_PARAMETER}){{7,}}(?=\))")
# A number, because within a string, a comment or a name it is no more than what it replaces.
_MARK = "90713558"
_MOST_LISTS = 1000
# Comments whose content MariaDB executes.
_EXECUTED = re.compile(r"/\*M?!")
# What may make `/*` no comment, because something else is open before it.
_OPENS = re.compile(r"['\"`\[]|--|/\*|\$(?!\d)")

# In what a parameter would be written, by a driver that writes it into the text.
_HOLDS = re.compile(r"['\"#]|--|/\*")
_QUOTED_NAME = re.compile(r"`[^`]*`?")


class Skeleton(NamedTuple):
    """A statement without what differs from text to text.

    Args:
        text: The statement, each long list of parameters a mark, and no comment around it.
        lists: What the marks stand for.
        before: The comment before it.
        after: The comment after it.
    """

    text: str
    lists: tuple[str, ...] = ()
    before: str = ""
    after: str = ""

    @property
    def has_comment(self) -> bool:
        """Tell whether a comment was taken off."""
        return bool(self.before or self.after)

    def fits(self, text: str) -> bool:
        """Tell whether a text made of this one's can be filled: it has each mark once."""
        return all(text.count(_mark(number)) == 1 for number in range(len(self.lists)))

    def fill(self, text: str) -> str:
        """Put what differs back.

        Args:
            text: What was made of `text`; it must fit.
        """
        for number, parameters in enumerate(self.lists):
            text = text.replace(_mark(number), parameters)
        return f"{self.before}{text}{self.after}"


def skeleton_of(text: str, *, is_formatted: bool = False) -> Skeleton:
    """Take off a statement what differs from text to text.

    Only what certainly is a comment is taken for one, in every dialect: one that holds no other,
    at either end of a text in which nothing is quoted.

    Args:
        text: The statement, in the driver's form.
        is_formatted: Whether the driver writes parameters into the text, wherever they stand.
    """
    before = after = ""
    if text.startswith("/*") and not _EXECUTED.match(text):
        end = text.find("*/", 2) + 2
        is_one = end > 2 and "/*" not in text[2:end]
        if is_one and not (is_formatted and _has_parameter(text[:end])):
            before, text = text[:end], text[end:]
    if text.endswith("*/"):
        start = text.rfind("/*")
        closes = text.find("*/", start + 2) == len(text) - 2
        is_one = start >= 0 and closes and not _EXECUTED.match(text, start)
        is_one = is_one and not (is_formatted and _has_parameter(text[start:]))
        if is_one and "\n" not in text[start:] and not _OPENS.search(text, 0, start):
            text, after = text[:start], text[start:]
    if _MARK in text or (is_formatted and _hides_parameter(text)):
        return Skeleton(text, (), before, after)
    lists = tuple(_LIST.findall(text))
    if not lists or len(lists) > _MOST_LISTS:
        return Skeleton(text, (), before, after)
    numbers = iter(range(len(lists)))
    return Skeleton(_LIST.sub(lambda _: _mark(next(numbers)), text), lists, before, after)


def _has_parameter(text: str) -> bool:
    return "%" in text.replace("%%", "")


def _hides_parameter(text: str) -> bool:
    """Tell whether a parameter may stand in a string, a comment or a name."""
    return bool(_HOLDS.search(text)) or any(map(_has_parameter, _QUOTED_NAME.findall(text)))


def _mark(number: int) -> str:
    return f"{_MARK}{number:03}"
