"""Drawings: boxes with lines of text, arrows between them, and a line over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from landscape_compat.export.page.layout import Arrow, Edge, Point, lay_out
from landscape_compat.export.page.markup import Markup, tag

__all__ = ["Card", "Connection", "diagram", "drawing", "shorten"]

_LINE = 17.0
_CHARACTER = 6.6  # of the monospaced type that the drawings are set in
_PADDING = 10.0
_MARGIN = 16.0
_WIDEST = 34
_FAR = 0.66


@dataclass(frozen=True, slots=True)
class Card:
    """A box: a title, the lines below it, and a class that says what it looks like."""

    title: str
    lines: tuple[str, ...] = ()
    look: str = ""

    @property
    def size(self) -> tuple[float, float]:
        """Give its width and height."""
        longest = max(len(shorten(line)) for line in (self.title, *self.lines))
        width = max(90.0, longest * _CHARACTER + 2 * _PADDING)
        return width, _LINE * (1 + len(self.lines)) + 2 * _PADDING - 4


@dataclass(frozen=True, slots=True)
class Connection:
    """An arrow from one card to another, by their places, with what is written on it."""

    source: int
    target: int
    label: str = ""
    look: str = ""


def shorten(text: str, most: int = _WIDEST) -> str:
    """Cut a text that is too long for a drawing; the whole of it is in the table beside it."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def diagram(
    cards: Sequence[Card], connections: Sequence[Connection], *, name: str, description: str
) -> Markup:
    """Draw cards in layers, with arrows between them.

    Args:
        cards: The cards.
        connections: The arrows; several between the same two cards share one line.
        name: A name for the drawing that no other on the page has.
        description: What it shows, for those who do not see it.
    """
    layout = lay_out([card.size for card in cards], [(c.source, c.target) for c in connections])
    labels: dict[Edge, list[Connection]] = {}
    for connection in connections:
        labels.setdefault((connection.source, connection.target), []).append(connection)
    leaving = Counter(arrow.source for arrow in layout.arrows)
    arrows = [
        # Where arrows part, their labels are apart at the far end.
        _arrow(arrow, labels[arrow.source, arrow.target], name, far=leaving[arrow.source] > 1)
        for arrow in layout.arrows
    ]
    boxes = [_card(card, place) for card, place in zip(cards, layout.places, strict=True)]
    head = tag(
        "marker",
        tag("path", d="M0 0L8 4L0 8z"),
        id=f"{name}-head",
        viewBox="0 0 8 8",
        refX="7",
        refY="4",
        markerWidth="8",
        markerHeight="8",
        orient="auto-start-reverse",
    )
    return drawing(
        [tag("defs", head), [line for line, _ in arrows], boxes, [text for _, text in arrows]],
        layout.width,
        layout.height,
        name=name,
        description=description,
    )


def drawing(content: object, width: float, height: float, *, name: str, description: str) -> Markup:
    """Frame what is drawn, so that it scales, prints, and says what it is.

    Args:
        content: The markup.
        width: The width of what is drawn.
        height: Its height.
        name: A name for the drawing that no other on the page has.
        description: What it shows, for those who do not see it.
    """
    wide, high = width + 2 * _MARGIN, height + 2 * _MARGIN
    return tag(
        "div",
        tag(
            "svg",
            tag("title", description, id=f"{name}-title"),
            content,
            role="img",
            aria_labelledby=f"{name}-title",
            viewBox=f"{-_MARGIN:g} {-_MARGIN:g} {wide:g} {high:g}",
            width=f"{wide:g}",
            height=f"{high:g}",
        ),
        class_="drawing",
        tabindex="0",  # so that a keyboard can scroll it
        role="group",
        aria_labelledby=f"{name}-title",
    )


def _card(card: Card, place: Point) -> Markup:
    (x, y), (width, height) = place, card.size
    texts = [
        tag(
            "text",
            shorten(line),
            x=f"{x + _PADDING:g}",
            y=f"{y + _PADDING + 10 + number * _LINE:g}",
            class_=None if number else "name",
        )
        for number, line in enumerate((card.title, *card.lines))
    ]
    full = "\u2003".join((card.title, *card.lines))
    return tag(
        "g",
        tag("title", full),
        tag("rect", x=f"{x:g}", y=f"{y:g}", width=f"{width:g}", height=f"{height:g}", rx="6"),
        texts,
        class_=f"card {card.look}".strip(),
    )


def _arrow(
    arrow: Arrow, connections: Sequence[Connection], name: str, *, far: bool
) -> tuple[Markup, Markup]:
    looks = {connection.look for connection in connections}
    line = tag(
        "path",
        d=_curve(arrow.points),
        class_=f"arrow {looks.pop() if len(looks) == 1 else ''}".strip(),
        marker_end=f"url(#{name}-head)",
    )
    x, y = _label_place(arrow.points, far=far)
    said = [connection.label for connection in connections if connection.label]
    above = (len(said) - 1) * _LINE / 2
    texts = [
        tag(
            "text",
            shorten(text),
            x=f"{x:g}",
            y=f"{y + 4 - above + number * _LINE:g}",
            class_="label",
            text_anchor="middle",
        )
        for number, text in enumerate(said)
    ]
    return line, tag("g", texts)


def _curve(points: Sequence[Point]) -> str:
    said = [f"M{points[0][0]:g} {points[0][1]:g}"]
    for (x0, y0), (x1, y1) in pairwise(points):
        bend = (y1 - y0) / 2
        said.append(f"C{x0:g} {y0 + bend:g} {x1:g} {y1 - bend:g} {x1:g} {y1:g}")
    return "".join(said)


def _label_place(points: Sequence[Point], *, far: bool) -> Point:
    """Find the point for an arrow's labels: beside a box that it passes, or where it is alone."""
    if len(points) > 2:
        (x0, y0), (x1, y1) = points[1:3]
        return (x0 + x1) / 2, (y0 + y1) / 2
    (x0, y0), (x1, y1) = points
    part = _FAR if far else 1 - _FAR
    # Where the curve with upright ends is after this part of its way.
    return x0 + (x1 - x0) * (3 - 2 * part) * part**2, y0 + (y1 - y0) * part
