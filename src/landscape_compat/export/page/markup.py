"""Markup that cannot be broken out of: whatever is not markup already is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from landscape_compat.errors import printable

__all__ = ["Child", "Markup", "join", "tag"]

_VOID = frozenset({"meta", "br", "hr", "line", "rect", "circle", "path"})


class Markup(str):
    """Text that is markup already; only `tag`, `join` and files of our own make it."""

    __slots__ = ()


Child = object  # markup, text, a number, or any iterable of them; None is nothing


def tag(name: str, /, *children: Child, **attributes: object) -> Markup:
    """Make an element.

    Args:
        name: Its name.
        children: What is in it; what is not markup is escaped, control characters made visible.
        attributes: Its attributes; `_` in a name stands for `-`, and one at its end for nothing.
            None and False leave an attribute out, True gives it an empty value.
    """
    said = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID and not children:
        return Markup(f"<{name}{said}/>")
    return Markup(f"<{name}{said}>{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Put markup and text one behind another."""
    return Markup("".join(_flat(children)))


def _flat(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if isinstance(child, Markup):
            yield child
        elif child is None:
            continue
        elif isinstance(child, Iterable) and not isinstance(child, str):
            yield from _flat(child)
        else:
            yield escape(printable(child))


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    text = "" if value is True else printable(value)
    return f' {name}="{escape(text)}"'
