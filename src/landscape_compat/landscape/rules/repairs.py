"""Values that an early engine left out of one table although it recorded them in another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import JSON, ColumnElement, Text, and_, case, cast, column, func, select
from sqlalchemy.types import TypeEngine

from landscape_compat.landscape.metadata import EveryTable
from landscape_compat.landscape.rules.eras import CHECKPOINT_FORMAT, TOPOLOGY_HASHES
from landscape_compat.projection.rules import Rule, derived

__all__ = ["as_json", "repair_rules"]

_TRIGGERS = ("count", "timeout", "condition", "end_of_source")


def as_json(text: ColumnElement[str]) -> ColumnElement[Any]:
    """Take a text as JSON, so that its parts can be asked for in every dialect.

    Args:
        text: A column of JSON text.
    """
    return cast(text, _json())


def repair_rules(t: EveryTable) -> Iterator[Rule]:
    """Derive what early engines left NULL and later ones, and their readers, take for granted.

    Args:
        t: The tables.
    """
    outcome, batch = t.token_outcomes.c, t.batches.c
    yield derived(
        "token_outcomes.sink_name",
        case(
            (
                and_(outcome.sink_name.is_(None), outcome.outcome == "completed"),
                _sink_of_token(t),
            ),
            else_=outcome.sink_name,
        ),
        replaces=True,
        not_stored=TOPOLOGY_HASHES,
        declared=TOPOLOGY_HASHES,
        why="Until 2026-01-25 the engine recorded `completed` before the sink was written, so "
        "without its name. The token's completed state names the sink's node, and the run's "
        "settings name the sink with just that configuration. NULL unless there is exactly one.",
        evidence="31cd066c9",
    )
    yield derived(
        "token_outcomes.batch_id",
        case(
            (
                and_(
                    outcome.batch_id.is_(None),
                    outcome.outcome.in_(("consumed_in_batch", "buffered")),
                ),
                _batch_of_token(t),
            ),
            else_=outcome.batch_id,
        ),
        replaces=True,
        not_stored=CHECKPOINT_FORMAT,
        declared=CHECKPOINT_FORMAT,
        why="Until 2026-01-27 the outcome of the token that triggered a batch lacked the batch, "
        "though the batch's members have it. NULL unless it is a member of exactly one.",
        evidence="0cc2a3bb9",
    )
    yield derived(
        "batches.trigger_type",
        _trigger(t),
        why="Before it had a column of its own, the kind of trigger was written as the reason. "
        "Only the words of that kind are taken; any other reason gives NULL.",
        evidence="df2fa70fb, 07084c363",
    )
    yield derived(
        "batches.trigger_type",
        func.coalesce(batch.trigger_type, _trigger(t)),
        replaces=True,
        not_stored=TOPOLOGY_HASHES,
        declared=TOPOLOGY_HASHES,
        why="For some days after the column came, the engine still wrote the kind of trigger as "
        "the reason and left the column NULL.",
        evidence="df2fa70fb, 07084c363",
    )


def _trigger(t: EveryTable) -> ColumnElement[str | None]:
    reason = t.batches.c.trigger_reason
    return case((reason.in_(_TRIGGERS), reason))


def _sink_of_token(t: EveryTable) -> ColumnElement[str]:
    states, nodes, tokens, rows, runs = t.node_states, t.nodes, t.tokens, t.rows, t.runs
    sinks = func.json_each(as_json(runs.c.settings_json)["sinks"]).table_valued(
        "key", column("value", _json()), name="sink", joins_implicitly=True
    )
    return (
        select(case((func.count(sinks.c.key.distinct()) == 1, func.min(sinks.c.key))))
        .select_from(
            states.join(nodes, nodes.c.node_id == states.c.node_id)
            .join(tokens, tokens.c.token_id == states.c.token_id)
            .join(rows, and_(rows.c.row_id == tokens.c.row_id, rows.c.run_id == nodes.c.run_id))
            .join(runs, runs.c.run_id == nodes.c.run_id),
            sinks,
        )
        .where(
            states.c.token_id == t.token_outcomes.c.token_id,
            states.c.status == "completed",
            nodes.c.node_type == "sink",
            sinks.c.value["options"].as_string() == nodes.c.config_json,
        )
        .correlate(t.token_outcomes)
        .scalar_subquery()
    )


def _batch_of_token(t: EveryTable) -> ColumnElement[str]:
    members = t.batch_members
    return (
        select(case((func.count() == 1, func.min(members.c.batch_id))))
        .select_from(members)
        .where(members.c.token_id == t.token_outcomes.c.token_id)
        .correlate(t.token_outcomes)
        .scalar_subquery()
    )


def _json() -> TypeEngine[Any]:
    # SQLite keeps JSON as text, and would turn it into a number when cast to a type it lacks.
    return JSON().with_variant(Text(), "sqlite")
