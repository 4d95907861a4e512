"""Placing boxes in layers from top to bottom, so that arrows point down and seldom cross.

The method is Sugiyama's, in its plainest form: layers by the longest path, dummies where an arrow
passes a layer, and each layer ordered a few times by where its neighbours stand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean as mean

__all__ = ["Arrow", "Layout", "lay_out"]

_GAP_X = 28.0
_GAP_Y = 62.0
_DUMMY_WIDTH = 24.0
_SWEEPS = 4

Point = tuple[float, float]
Edge = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Arrow:
    """The way of one arrow: the points that it runs through, from box to box."""

    source: int
    target: int
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything stands.

    Args:
        places: The upper left corner of each box.
        arrows: The arrows, in the order in which they were given; those of one box to itself and
            those to boxes that are not there are left out.
        width: The width of all.
        height: The height of all.
    """

    places: tuple[Point, ...]
    arrows: tuple[Arrow, ...]
    width: float
    height: float


def lay_out(boxes: Sequence[tuple[float, float]], edges: Sequence[Edge]) -> Layout:
    """Place boxes and arrows.

    Args:
        boxes: The width and height of each box.
        edges: Which box an arrow leads from and to, by their places in `boxes`; circles are
            allowed.
    """
    sizes = list(boxes)
    known = [(a, b) for a, b in dict.fromkeys(edges) if a != b]
    forward = _without_circles(len(boxes), known)
    layer_of = _layers(len(boxes), forward)
    layers: list[list[int]] = [[] for _ in range(max(layer_of, default=0) + 1)]
    for box, layer in enumerate(layer_of):
        layers[layer].append(box)
    chains: dict[Edge, list[int]] = {}
    for a, b in forward:
        passed = range(layer_of[a] + 1, layer_of[b])
        chains[a, b] = [a, *range(len(sizes), len(sizes) + len(passed)), b]
        for dummy, at in enumerate(passed, len(sizes)):
            layers[at].append(dummy)
        sizes += [(_DUMMY_WIDTH, 0.0)] * len(passed)
    _order(layers, [link for chain in chains.values() for link in pairwise(chain)])
    places, width, height = _place(layers, sizes, len(boxes))
    arrows = []
    for a, b in known:
        turned = (a, b) not in chains
        points = _points(chains[(b, a) if turned else (a, b)], places, sizes)
        arrows.append(Arrow(a, b, points[::-1] if turned else points))
    return Layout(tuple(places[box] for box in range(len(boxes))), tuple(arrows), width, height)


def _without_circles(count: int, edges: Sequence[Edge]) -> list[Edge]:
    """Turn round each edge that closes a circle; without recursion, for records may be deep."""
    below = defaultdict(list)
    for a, b in edges:
        below[a].append(b)
    open_: dict[int, bool] = {}
    backwards = set()
    for root in range(count):
        if root in open_:
            continue
        open_[root] = True
        stack = [(root, iter(below[root]))]
        while stack:
            box, rest = stack[-1]
            child = next(rest, None)
            if child is None:
                open_[box] = False
                stack.pop()
            elif open_.get(child):
                backwards.add((box, child))
            elif child not in open_:
                open_[child] = True
                stack.append((child, iter(below[child])))
    turned = [(b, a) if (a, b) in backwards else (a, b) for a, b in edges]
    return list(dict.fromkeys(turned))


def _layers(count: int, edges: Sequence[Edge]) -> list[int]:
    below, above = defaultdict(list), [0] * count
    for a, b in edges:
        below[a].append(b)
        above[b] += 1
    layer = [0] * count
    ready = [box for box in range(count) if not above[box]]
    for box in ready:
        for child in below[box]:
            layer[child] = max(layer[child], layer[box] + 1)
            above[child] -= 1
            if not above[child]:
                ready.append(child)
    return layer


def _order(layers: list[list[int]], links: Sequence[Edge]) -> None:
    up, down = defaultdict(list), defaultdict(list)
    for a, b in links:
        down[a].append(b)
        up[b].append(a)
    at = {box: i for layer in layers for i, box in enumerate(layer)}
    for sweep in range(_SWEEPS):
        neighbours = down if sweep % 2 else up
        for layer in reversed(layers) if sweep % 2 else layers:
            weights = {
                box: mean(at[other] for other in neighbours[box]) if neighbours[box] else at[box]
                for box in layer
            }
            layer.sort(key=weights.__getitem__)
            at.update((box, i) for i, box in enumerate(layer))


def _place(
    layers: Sequence[Sequence[int]], sizes: list[tuple[float, float]], boxes: int
) -> tuple[dict[int, Point], float, float]:
    def span(layer: Sequence[int]) -> float:
        return sum(sizes[box][0] for box in layer) + _GAP_X * max(0, len(layer) - 1)

    width = max(map(span, layers), default=0.0)
    places: dict[int, Point] = {}
    y = 0.0
    for layer in layers:
        x = (width - span(layer)) / 2
        height = max((sizes[box][1] for box in layer), default=0.0)
        for box in layer:
            places[box] = (x, y)
            x += sizes[box][0] + _GAP_X
            if box >= boxes:
                sizes[box] = (_DUMMY_WIDTH, height)  # an arrow passes boxes upright
        y += height + _GAP_Y
    return places, width, max(0.0, y - _GAP_Y)


def _points(
    chain: Sequence[int], places: Mapping[int, Point], sizes: Sequence[tuple[float, float]]
) -> tuple[Point, ...]:
    def middle(box: int, *, bottom: bool) -> Point:
        x, y = places[box]
        width, height = sizes[box]
        return (x + width / 2, y + height if bottom else y)

    inner = [middle(box, bottom=end) for box in chain[1:-1] for end in (False, True)]
    return (middle(chain[0], bottom=True), *inner, middle(chain[-1], bottom=False))
