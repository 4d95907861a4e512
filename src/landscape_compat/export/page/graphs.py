"""The sections with drawings: a run's pipeline, and the way of one row through it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from landscape_compat.export.page.facts import Lineage, RunGraph
from landscape_compat.export.page.markup import Markup, tag
from landscape_compat.export.page.sections import say, section, table
from landscape_compat.export.page.svg import Card, Connection, diagram
from landscape_compat.landscape.absent import ABSENT
from landscape_compat.landscape.records import Edge, Node, NodeState, Token, TokenOutcome

__all__ = ["lineage_section", "run_section"]

_MOST_NODES = 150
_MOST_LINES = 8


def run_section(graph: RunGraph) -> Markup:
    """Show a run's nodes, its edges, and how often each was taken."""
    names = {node.node_id: at for at, node in enumerate(graph.nodes)}
    edges = [
        (edge, names[source], names[target])
        for edge in graph.edges
        if (source := str(edge.from_node_id)) in names and (target := str(edge.to_node_id)) in names
    ]
    cards = [_node_card(node, graph.visits.get(node.node_id, {})) for node in graph.nodes]
    arrows = [
        Connection(source, target, _edge_label(edge, graph), _text(edge.default_mode))
        for edge, source, target in edges
    ]
    nodes = len(cards)
    too_many = nodes > _MOST_NODES
    return section(
        "graph",
        "One run's pipeline",
        tag("p", "Run ", tag("code", graph.run.run_id), ", ", say(graph.run.status), "."),
        tag("p", f"{nodes} nodes are too many to draw; the tables have them all.")
        if too_many
        else diagram(
            cards,
            arrows,
            name="run",
            description=f"The pipeline as a graph of {nodes} nodes and {len(edges)} edges, "
            "listed in the tables below.",
        ),
        tag("p", _about_routing(graph), class_="soft"),
        _fold(
            "Nodes and edges as tables",
            table(
                "Nodes",
                ("Node", "Plugin", "Kind", "States"),
                [
                    (
                        tag("code", node.node_id),
                        say(node.plugin_name),
                        say(node.node_type),
                        _visits(graph.visits.get(node.node_id, {})) or "none",
                    )
                    for node in graph.nodes
                ],
            ),
            table(
                "Edges",
                ("From", "To", "Label", "Mode", "Routed"),
                [
                    (
                        tag("code", _text(edge.from_node_id)),
                        tag("code", _text(edge.to_node_id)),
                        say(edge.label),
                        say(edge.default_mode),
                        graph.routed.get(edge.edge_id, 0)
                        if graph.routing_is_stored
                        else say(ABSENT),
                    )
                    for edge in graph.edges
                ],
                numbers=1,
            ),
        ),
    )


def _about_routing(graph: RunGraph) -> str:
    if not graph.routing_is_stored:
        return "This database has no place for routing events, so no edge has a number."
    return (
        "The number on an edge is that of the routing events recorded for it; an edge without a "
        "number has none. A plain way on to the next node records none. Dashed edges copy the "
        "token."
    )


def _edge_label(edge: Edge, graph: RunGraph) -> str:
    number = graph.routed.get(edge.edge_id)
    return f"{_text(edge.label)} · {number:,}" if number else _text(edge.label)


def _node_card(node: Node, visits: Mapping[str, int]) -> Card:
    kind = _text(node.node_type)
    lines = [kind, *([_visits(visits)] if visits else [])]
    failed = "failed" if visits.get("failed") else ""
    return Card(_text(node.plugin_name), (_short(node.node_id), *lines), failed or kind)


def _visits(visits: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {status}" for status, number in sorted(visits.items()))


def lineage_section(lineage: Lineage, nodes: Sequence[Node]) -> Markup:
    """Show a row's tokens, which came of which, and where each went."""
    plugins = {node.node_id: _text(node.plugin_name) for node in nodes}
    names = {token.token_id: at for at, token in enumerate(lineage.tokens)}
    arrows = [
        Connection(names[parent.parent_token_id], names[parent.token_id])
        for parent in lineage.parents
        if parent.token_id in names and parent.parent_token_id in names
    ]
    cards = [_token_card(token, lineage, plugins) for token in lineage.tokens]
    row = lineage.row
    return section(
        "lineage",
        "One row's way",
        tag("p", "Row ", tag("code", row.row_id), ", number ", say(row.row_index), " of its run."),
        diagram(
            cards,
            arrows,
            name="row",
            description=f"The {len(cards)} tokens of the row, each below those it came of; "
            "listed in the table below.",
        ),
        tag("p", f"{lineage.more} further tokens are left out.") if lineage.more else None,
        None
        if lineage.outcomes_are_stored
        else tag(
            "p",
            "What became of each token in the end was not recorded: the database has no table of "
            "outcomes.",
            class_="soft",
        ),
        _fold(
            "The way as a table",
            table(
                "Visits of each token to nodes, in order",
                ("Token", "Step", "Node", "Attempt", "Status", "Started"),
                [
                    (
                        tag("code", token.token_id),
                        say(state.step_index),
                        tag("code", _text(state.node_id)),
                        say(state.attempt),
                        say(state.status),
                        say(state.started_at),
                    )
                    for token in lineage.tokens
                    for state in lineage.states.get(token.token_id, ())
                ],
            ),
        ),
    )


def _token_card(token: Token, lineage: Lineage, plugins: Mapping[str, str]) -> Card:
    states = lineage.states.get(token.token_id, ())
    lines = _visit_lines(states, plugins)
    outcomes = lineage.outcomes.get(token.token_id, ())
    said = [_outcome_line(outcome) for outcome in outcomes]
    shown = (*lines[:_MOST_LINES], *(["…"] if len(lines) > _MOST_LINES else []), *said)
    branch = [f"branch {token.branch_name}"] if isinstance(token.branch_name, str) else []
    is_child = any(parent.token_id == token.token_id for parent in lineage.parents)
    failed = bool(states) and states[-1].status == "failed"
    look = "failed" if failed else "" if is_child else "first"
    return Card(f"token {_short(token.token_id)}", (*branch, *shown), look)


def _outcome_line(outcome: TokenOutcome) -> str:
    # An outcome that is still open has a path and no word of its own.
    known = [text for text in (outcome.outcome, outcome.path) if isinstance(text, str)]
    return f"outcome: {', '.join(known) or 'NULL'}"


def _visit_lines(states: Sequence[NodeState], plugins: Mapping[str, str]) -> list[str]:
    """Say where a token went, the attempts at one node in one line."""
    visits: dict[tuple[object, object], list[str]] = {}
    for state in states:
        visits.setdefault((state.step_index, state.node_id), []).append(_text(state.status))
    return [
        f"{plugins.get(str(node), _text(node))}: {_tally(statuses)}"
        for (_, node), statuses in visits.items()
    ]


def _tally(statuses: Sequence[str]) -> str:
    said = []
    for status in dict.fromkeys(statuses):
        number = statuses.count(status)
        said.append(status if number == 1 else f"{status} ×{number}")
    return ", ".join(said)


def _fold(title: str, *content: Markup) -> Markup:
    return tag("details", tag("summary", title), content)


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:14]}…"


def _text(value: object) -> str:
    return "not recorded" if value is ABSENT else "NULL" if value is None else str(value)
