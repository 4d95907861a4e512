"""Which rows belong together: for every table of a Landscape, whose values its columns repeat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["LINKS", "Link"]

# The number of the child, and how many parents there are, to the number of the parent.
Pick = Callable[[int, int], int | None]


@dataclass(frozen=True, slots=True)
class Link:
    """One row of a parent gives columns of a child their values.

    Args:
        parent: The parent's table.
        pick: Which row of it, or None for no parent.
        columns: Column of the child to column of the parent.
    """

    parent: str
    pick: Pick
    columns: Mapping[str, str]


def _each(k: int, n: int) -> int | None:
    return k % n


def _pairs(k: int, n: int) -> int | None:
    return (k // 2) % n


def _next(k: int, n: int) -> int | None:
    return (k + 1) % n


def _some(k: int, n: int) -> int | None:
    return None if k % 4 == 3 else k % n


def _even(k: int, n: int) -> int | None:
    return k % n if k % 2 == 0 else None


def _odd(k: int, n: int) -> int | None:
    return k % n if k % 2 else None


def _before(k: int, _n: int) -> int | None:
    return k - 1 if k % 3 == 2 else None


# Two effects share a stream, and the streams know both; some effects have no stream.
def _stream(k: int, n: int) -> int | None:
    return None if (k // 2) % 4 == 3 else (k // 2) % n


def _twin(k: int, _n: int) -> int | None:
    return k - 1 if k % 2 and (k // 2) % 4 != 3 else None


def _head(k: int, n: int) -> int | None:
    return 2 * k if 2 * k < n and k % 4 != 3 else None


def _tail(k: int, n: int) -> int | None:
    return min(2 * k + 1, n - 1) if 2 * k < n and k % 4 != 3 else None


# The second token has one parent and every later one two, none of them later than itself.
def _joined(k: int, _n: int) -> int | None:
    return (k + 3) // 2


def _joined_from(k: int, _n: int) -> int | None:
    child = (k + 3) // 2
    return child - 1 if k % 2 or not k else child - 2


def _link(parent: str, pick: Pick, *same: str, **renamed: str) -> Link:
    return Link(parent, pick, {name: name for name in same} | renamed)


# Parents before children. Columns that a shape lacks are left out; a later link overrules an
# earlier one, so that keys of several columns agree.
LINKS: Mapping[str, tuple[Link, ...]] = {
    "runs": (),
    "nodes": (),
    "edges": (
        _link("nodes", _each, from_node_id="node_id"),
        _link("nodes", _next, to_node_id="node_id"),
    ),
    "rows": (_link("nodes", _pairs, source_node_id="node_id"),),
    "tokens": (_link("rows", _pairs, "row_id"),),
    "token_parents": (
        _link("tokens", _joined, "token_id"),
        _link("tokens", _joined_from, parent_token_id="token_id"),
    ),
    "node_states": (_link("tokens", _pairs, "token_id"), _link("nodes", _each, "node_id")),
    "run_sources": (_link("nodes", _each, source_node_id="node_id"),),
    "checkpoints": (_link("tokens", _each, "token_id"), _link("nodes", _next, "node_id")),
    "validation_errors": (_link("nodes", _some, "node_id"), _link("rows", _odd, "row_id")),
    "transform_errors": (
        _link("tokens", _next, "token_id"),
        _link("nodes", _each, transform_id="node_id"),
    ),
    "batches": (
        _link("nodes", _next, aggregation_node_id="node_id"),
        _link("node_states", _some, aggregation_state_id="state_id"),
        _link("batches", _before, retry_of_batch_id="batch_id"),
    ),
    "batch_members": (_link("batches", _pairs, "batch_id"), _link("tokens", _each, "token_id")),
    "batch_outputs": (_link("batches", _pairs, "batch_id"),),
    "token_outcomes": (_link("tokens", _each, "token_id"), _link("batches", _some, "batch_id")),
    "routing_events": (_link("node_states", _pairs, "state_id"), _link("edges", _next, "edge_id")),
    "audit_export_snapshots": (
        _link(
            "runs",
            _each,
            source_run_id="run_id",
            source_status="status",
            source_completed_at="completed_at",
        ),
    ),
    "audit_export_snapshot_chunks": (
        _link(
            "audit_export_snapshots",
            _each,
            "snapshot_id",
            ordinal="terminal_chunk_ordinal",
            chunk_seal_hash="last_chunk_seal_hash",
            cumulative_records="record_count",
            cumulative_bytes="total_bytes",
        ),
    ),
    "sink_effect_streams": (
        _link("nodes", _each, sink_node_id="node_id"),
        _link("sink_effects", _tail, tail_effect_id="effect_id"),
        _link("sink_effects", _head, head_effect_id="effect_id"),
    ),
    "sink_effects": (
        _link("nodes", _next, sink_node_id="node_id"),
        _link("sink_effect_streams", _stream, "stream_id"),
        _link("sink_effects", _before, primary_effect_id="effect_id"),
        _link("sink_effects", _twin, predecessor_effect_id="effect_id"),
    ),
    "sink_effect_members": (
        _link("nodes", _each, sink_node_id="node_id"),
        _link("sink_effects", _each, "effect_id", "input_kind"),
        _link("sink_effects", _before, primary_effect_id="effect_id"),
        _link("tokens", _each, "token_id", "row_id"),
    ),
    "sink_effect_export_snapshots": (
        _link("sink_effects", _each, "effect_id", "input_kind"),
        _link("audit_export_snapshots", _each, "snapshot_id"),
    ),
    "sink_effect_attempts": (
        _link("sink_effects", _pairs, "effect_id"),
        _link("sink_effect_members", _even, "effect_id", member_ordinal="ordinal"),
    ),
    "operations": (
        _link("nodes", _each, "node_id"),
        _link("sink_effects", _some, sink_effect_id="effect_id"),
    ),
    "calls": (
        _link("operations", _odd, "operation_id"),
        _link("node_states", _even, "state_id"),
    ),
    "artifacts": (
        _link("nodes", _next, sink_node_id="node_id"),
        _link("node_states", _even, produced_by_state_id="state_id"),
        _link("sink_effects", _odd, "sink_node_id", sink_effect_id="effect_id"),
    ),
    "token_work_items": (
        _link("tokens", _each, "token_id", "row_id"),
        _link("nodes", _some, "node_id"),
        _link("nodes", _some, coalesce_node_id="node_id"),
    ),
    "scheduler_events": (
        _link("tokens", _pairs, "token_id"),
        _link("nodes", _some, "node_id"),
        _link("token_work_items", _each, "work_item_id"),
    ),
    "coalesce_branch_losses": (_link("tokens", _each, "token_id", "row_id"),),
    "coalesce_effects": (
        _link("nodes", _each, coalesce_node_id="node_id"),
        _link(
            "tokens",
            _each,
            "row_id",
            result_token_id="token_id",
            result_join_group_id="join_group_id",
        ),
    ),
    "coalesce_effect_members": (
        _link("coalesce_effects", _pairs, "effect_id"),
        _link("tokens", _each, parent_token_id="token_id"),
        _link("node_states", _even, parent_state_id="state_id", parent_token_id="token_id"),
    ),
}
