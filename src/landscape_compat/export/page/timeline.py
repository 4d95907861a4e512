"""The line of known shapes: how the schema grew, and where a database stands on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from landscape_compat.export.page.markup import Markup, tag
from landscape_compat.export.page.svg import drawing
from landscape_compat.schema.known import KnownShape

__all__ = ["timeline"]

_WIDTH, _HEIGHT = 900.0, 170.0
_LEFT, _TOP = 34.0, 48.0


def timeline(shapes: Sequence[KnownShape], here: Sequence[KnownShape], target: str) -> Markup:
    """Draw how many columns each known shape has over time, with one database's place.

    Args:
        shapes: The known shapes, oldest first.
        here: The shapes that the database has or comes nearest to.
        target: What it is measured against, in words; it names a shape.
    """
    first, last = shapes[0].first_date, shapes[-1].last_date
    days = max(1, (last - first).days)
    most = max(map(_columns, shapes))

    def x(day: date) -> float:
        return _LEFT + (_WIDTH - _LEFT) * (day - first).days / days

    def y(columns: int) -> float:
        return _HEIGHT - (_HEIGHT - _TOP) * columns / most

    steps = [f"M{x(first):.1f} {_HEIGHT:g}V{y(_columns(shapes[0])):.1f}"]
    steps += [f"H{x(shape.first_date):.1f}V{y(_columns(shape)):.1f}" for shape in shapes[1:]]
    steps.append(f"H{x(last):.1f}V{_HEIGHT:g}z")
    ticks = [
        tag(
            "line",
            tag("title", f"{shape.name}: {len(shape.shape)} tables, {_columns(shape)} columns"),
            x1=f"{x(shape.first_date):.1f}",
            x2=f"{x(shape.first_date):.1f}",
            y1=f"{_HEIGHT:g}",
            y2=f"{_HEIGHT + 6:g}",
            class_="tick",
        )
        for shape in shapes
    ]
    months = [
        tag("text", f"{day:%b %Y}", x=f"{x(day):.1f}", y=f"{_HEIGHT + 22:g}", class_="axis")
        for day in _months(first, last)
    ]
    marks = [_mark(shape, x(shape.first_date), y(_columns(shape)), "here") for shape in here[:1]]
    marks += [
        _mark(shape, x(shape.first_date), y(_columns(shape)), "target")
        for shape in shapes
        if shape.name in target and shape not in here
    ]
    scale = [
        tag("text", text, x="0", y=f"{y(number) + 4:.1f}", class_="axis")
        for text, number in (("0", 0), (str(most), most))
    ]
    return drawing(
        [tag("path", d="".join(steps), class_="grown"), ticks, months, scale, marks],
        _WIDTH,
        _HEIGHT + 26,
        name="timeline",
        description=_description(shapes, here, target),
    )


def _columns(known: KnownShape) -> int:
    return sum(len(table.columns) for table in known.shape)


def _months(first: date, last: date) -> list[date]:
    numbers = range(first.year * 12 + first.month, last.year * 12 + last.month)
    return [date(number // 12, number % 12 + 1, 1) for number in numbers]


def _mark(known: KnownShape, x: float, y: float, look: str) -> Markup:
    said, above = {"here": ("this database", 38), "target": ("measured against", 20)}[look]
    at_end = x > _WIDTH / 2
    return tag(
        "g",
        tag("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=f"{_TOP - above - 8:g}", y2=f"{_HEIGHT:g}"),
        tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r="5"),
        tag(
            "text",
            f"{said}: {known.name}",
            x=f"{x - 8 if at_end else x + 8:.1f}",
            y=f"{_TOP - above + 4:g}",
            text_anchor="end" if at_end else "start",
        ),
        class_=f"mark {look}",
    )


def _description(shapes: Sequence[KnownShape], here: Sequence[KnownShape], target: str) -> str:
    place = " or ".join(shape.name for shape in here) or "none of them"
    return (
        f"{len(shapes)} known shapes of the schema from {shapes[0].first_date} to "
        f"{shapes[-1].last_date}, by their number of columns. This database: {place}. "
        f"Measured against: {target}."
    )
