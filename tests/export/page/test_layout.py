"""Boxes stand in layers without touching, and every arrow goes from its box to the other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from landscape_compat.export.page.layout import lay_out

BOX = (100.0, 40.0)
GRAPHS = st.integers(1, 12).flatmap(
    lambda count: st.tuples(
        st.just(count),
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=30),
    )
)


def test_a_diamond_has_three_layers() -> None:
    """What forks stands above what it forks into, and that above what joins it."""
    layout = lay_out([BOX] * 4, [(0, 1), (0, 2), (1, 3), (2, 3)])
    rows = [place[1] for place in layout.places]
    assert rows[0] < rows[1] == rows[2] < rows[3]


def test_an_arrow_that_passes_a_layer_goes_round_the_boxes_there() -> None:
    """The stretch beside a passed box runs upright, beyond the box's edge."""
    layout = lay_out([BOX] * 3, [(0, 1), (1, 2), (0, 2)])
    (arrow,) = (arrow for arrow in layout.arrows if (arrow.source, arrow.target) == (0, 2))
    (x0, y0), (x1, y1) = arrow.points[1:3]
    left = layout.places[1][0]
    assert x0 == x1
    assert not left <= x0 <= left + BOX[0]
    assert (y0, y1) == (layout.places[1][1], layout.places[1][1] + BOX[1])


@given(graph=GRAPHS)
def test_nothing_overlaps_and_nothing_is_lost(graph: tuple[int, list[tuple[int, int]]]) -> None:
    """Whatever the graph, with circles too: all boxes are apart, and all arrows are there."""
    count, edges = graph
    layout = lay_out([BOX] * count, edges)
    for one, (x, y) in enumerate(layout.places):
        assert 0 <= x <= layout.width - BOX[0]
        assert 0 <= y <= layout.height - BOX[1]
        for a, b in layout.places[:one]:
            assert abs(x - a) >= BOX[0] or abs(y - b) >= BOX[1]
    drawn = {(arrow.source, arrow.target) for arrow in layout.arrows}
    assert drawn == {(a, b) for a, b in edges if a != b}
    for arrow in layout.arrows:
        ends = {place: layout.places[place] for place in (arrow.source, arrow.target)}
        assert arrow.points[0][0] == ends[arrow.source][0] + BOX[0] / 2
        assert arrow.points[-1][0] == ends[arrow.target][0] + BOX[0] / 2


def test_a_long_chain_needs_no_recursion() -> None:
    """A chain longer than Python's stack is laid out like any other."""
    layout = lay_out([BOX] * 3000, [(at, at + 1) for at in range(2999)])
    assert len({place[1] for place in layout.places}) == 3000
