"""Which run a record belongs to. Readers filter on it, so a NULL would lose records silently."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.sql.expression import TableClause

from landscape_compat.landscape.metadata import EveryTable
from landscape_compat.projection.rules import Rule, derived

__all__ = ["ownership_rules"]


def ownership_rules(t: EveryTable) -> Iterator[Rule]:
    """Derive `run_id` along the keys that lead to the row, batch or edge that has it.

    Args:
        t: The tables.
    """
    yield derived(
        "tokens.run_id",
        select(t.rows.c.run_id).where(t.rows.c.row_id == t.tokens.c.row_id),
        essential=True,
        why="A token belongs to the run of its row; the host itself takes the row as the "
        "authority. With NULL, readers drop the token and all that hangs on it.",
        evidence="0a0324416, 3cbf648c0",
    )
    yield _through_token(
        t,
        t.node_states,
        essential=True,
        why="A state belongs to the run of its token's row. With NULL, readers drop the state "
        "and its routing events.",
        evidence="c9eb5592c",
    )
    yield _through_token(
        t,
        t.token_outcomes,
        essential=True,
        why="An outcome belongs to the run of its token's row. Every known database stores "
        "this; the rule guards against one that was altered.",
        evidence="3dd0e981e",
    )
    yield _through_token(
        t,
        t.token_parents,
        essential=True,
        why="A link belongs to the run of the child token's row. With NULL, readers drop the link.",
        evidence="84d296d5b",
    )
    yield derived(
        "batch_members.run_id",
        select(t.batches.c.run_id).where(t.batches.c.batch_id == t.batch_members.c.batch_id),
        essential=True,
        why="A member belongs to the run of its batch. With NULL, readers drop the member.",
        evidence="4e8913ae6",
    )
    yield derived(
        "routing_events.run_id",
        select(t.edges.c.run_id).where(t.edges.c.edge_id == t.routing_events.c.edge_id),
        essential=True,
        why="A routing event belongs to the run of the edge it took; an edge's id is unique "
        "over all runs. With NULL, readers drop every routing event.",
        evidence="6e1dd0584",
    )


def _through_token(t: EveryTable, owned: TableClause, **details: object) -> Rule:
    tokens, rows = t.tokens, t.rows
    return derived(
        f"{owned.name}.run_id",
        select(rows.c.run_id)
        .select_from(tokens.join(rows, rows.c.row_id == tokens.c.row_id))
        .where(tokens.c.token_id == owned.c.token_id),
        **details,
    )
