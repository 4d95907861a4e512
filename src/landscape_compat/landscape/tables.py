"""What each table of a Landscape is in the record: its type, its order, what it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from landscape_compat.schema.shape import fold_name

__all__ = [
    "AFTER_HOST",
    "HOST_ORDER",
    "RUNS",
    "TABLES",
    "Branch",
    "Link",
    "RecordTable",
    "facts_for",
]

RUNS = "runs"


@dataclass(frozen=True, slots=True)
class Link:
    """How the rows of a table find the one row that they belong to.

    Args:
        key: The table's column.
        parent: The table that it names a row of.
        parent_key: That table's column.
        unless: A column of the table that, when it is not NULL, says that the row belongs
            elsewhere.
        indexed_after: A column of the table that repeats the run, where the host's index on
            `key` begins with it.
    """

    key: str
    parent: str
    parent_key: str
    unless: str | None = None
    indexed_after: str | None = None


@dataclass(frozen=True, slots=True)
class RecordTable:
    """One table of the host's, as it appears in the record.

    Args:
        table: The table's name.
        record_type: What its records are called: the host's word where it exports the table,
            one made in the same manner where it does not.
        key: The columns that name a row; every known shape has them.
        order: The columns that the host sorts siblings by; those not stored are passed over.
        links: What a row belongs to. None at all: it belongs to the database.
        nulls_last: The columns of `order` where NULL sorts last instead of first.
    """

    table: str
    record_type: str
    key: tuple[str, ...]
    order: tuple[str, ...]
    links: tuple[Link, ...] = ()
    nulls_last: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Branch:
    """A table in the order of a run's records, each row of it followed by its own children."""

    table: str
    below: tuple[Branch, ...] = ()


def _of_run(
    table: str, record_type: str, key: str, order: str, *, nulls_last: str = ""
) -> RecordTable:
    link = Link("run_id", RUNS, "run_id")
    return RecordTable(
        table,
        record_type,
        tuple(key.split()),
        tuple(order.split()),
        (link,),
        frozenset(nulls_last.split()),
    )


def _below(table: str, record_type: str, key: str, order: str, *links: Link) -> RecordTable:
    return RecordTable(table, record_type, tuple(key.split()), tuple(order.split()), links)


_ROW = Link("row_id", "rows", "row_id")
_TOKEN = Link("token_id", "tokens", "token_id")
_STATE = Link("state_id", "node_states", "state_id")
_BATCH = Link("batch_id", "batches", "batch_id")
_EFFECT = Link("effect_id", "sink_effects", "effect_id")

_EXPORTED_BY_HOST = (
    _below(RUNS, "run", "run_id", "started_at run_id"),
    _of_run("run_attributions", "run_attribution", "run_id", "recorded_at run_id"),
    _of_run("run_web_plugin_policy", "web_plugin_policy", "run_id", "run_id"),
    _of_run("secret_resolutions", "secret_resolution", "resolution_id", "timestamp resolution_id"),
    _of_run(
        "nodes",
        "node",
        "node_id run_id",
        "sequence_in_pipeline registered_at node_id",
        nulls_last="sequence_in_pipeline",
    ),
    _of_run("edges", "edge", "edge_id", "created_at edge_id"),
    _of_run("operations", "operation", "operation_id", "started_at operation_id"),
    _below(
        "calls",
        "call",
        "call_id",
        "call_index call_id",
        Link("operation_id", "operations", "operation_id"),
        # The host allows one parent only; a call that names both must still appear once.
        Link("state_id", "node_states", "state_id", unless="operation_id"),
    ),
    _of_run("sink_effect_streams", "sink_effect_stream", "stream_id", "stream_id"),
    _of_run("sink_effects", "sink_effect", "effect_id", "stream_id stream_sequence effect_id"),
    _below(
        "sink_effect_members",
        "sink_effect_member",
        "effect_id ordinal",
        "effect_id ordinal",
        _EFFECT,
    ),
    _below(
        "sink_effect_attempts",
        "sink_effect_attempt",
        "attempt_id",
        "effect_id started_at attempt_id",
        _EFFECT,
    ),
    _of_run("validation_errors", "validation_error", "error_id", "created_at error_id"),
    _of_run("transform_errors", "transform_error", "error_id", "created_at error_id"),
    # Until 2026-06-04 rows were sorted by `row_index`; it breaks ties that cannot occur now.
    _of_run("rows", "row", "row_id", "ingest_sequence row_index row_id"),
    _below("tokens", "token", "token_id", "created_at token_id", _ROW),
    _below(
        "token_parents",
        "token_parent",
        "token_id parent_token_id",
        "ordinal parent_token_id",
        _TOKEN,
    ),
    _below("token_outcomes", "token_outcome", "outcome_id", "recorded_at outcome_id", _TOKEN),
    _below(
        "scheduler_events",
        "scheduler_event",
        "event_id",
        "recorded_at event_id",
        Link("token_id", "tokens", "token_id", indexed_after="run_id"),
    ),
    _below("node_states", "node_state", "state_id", "step_index attempt state_id", _TOKEN),
    _below("routing_events", "routing_event", "event_id", "ordinal event_id", _STATE),
    _of_run("batches", "batch", "batch_id", "created_at batch_id"),
    _below("batch_members", "batch_member", "batch_id token_id", "ordinal token_id", _BATCH),
    _of_run("artifacts", "artifact", "artifact_id", "created_at artifact_id"),
)

_NEVER_EXPORTED_BY_HOST = (
    _of_run("run_sources", "run_source", "run_id source_node_id", "recorded_at source_node_id"),
    _of_run("preflight_results", "preflight_result", "result_id", "created_at result_id"),
    _of_run("run_workers", "run_worker", "worker_id", "registered_at worker_id"),
    _of_run("run_coordination", "run_coordination", "run_id", "run_id"),
    _of_run("run_coordination_events", "run_coordination_event", "seq", "seq"),
    _of_run(
        "token_work_items",
        "token_work_item",
        "work_item_id",
        "ingest_sequence step_index attempt work_item_id",
    ),
    _of_run("coalesce_branch_losses", "coalesce_branch_loss", "loss_id", "recorded_at loss_id"),
    _of_run("coalesce_effects", "coalesce_effect", "effect_id", "created_at effect_id"),
    _below(
        "coalesce_effect_members",
        "coalesce_effect_member",
        "effect_id ordinal",
        "effect_id ordinal",
        Link("effect_id", "coalesce_effects", "effect_id"),
    ),
    _below("batch_outputs", "batch_output", "batch_output_id", "batch_id batch_output_id", _BATCH),
    _of_run("checkpoints", "checkpoint", "checkpoint_id", "sequence_number checkpoint_id"),
    _below(
        "sink_effect_export_snapshots",
        "sink_effect_export_snapshot",
        "effect_id slot",
        "effect_id slot",
        _EFFECT,
    ),
    _below(
        "audit_export_snapshots",
        "audit_export_snapshot",
        "snapshot_id",
        "exported_at snapshot_id",
        Link("source_run_id", RUNS, "run_id"),
    ),
    _below(
        "audit_export_snapshot_chunks",
        "audit_export_snapshot_chunk",
        "snapshot_id ordinal",
        "snapshot_id ordinal",
        Link("snapshot_id", "audit_export_snapshots", "snapshot_id"),
    ),
    _below("elspeth_schema_identity", "elspeth_schema_identity", "singleton_id", "singleton_id"),
    _below("auth_events", "auth_event", "event_id", "occurred_at event_id"),
    _below("sidecar_journal_outbox", "sidecar_journal_outbox", "sequence", "sequence"),
)

TABLES: tuple[RecordTable, ...] = (*_EXPORTED_BY_HOST, *_NEVER_EXPORTED_BY_HOST)

HOST_ORDER: tuple[Branch, ...] = (
    # Its own record here; the host adds two of its columns to the run's.
    Branch("run_attributions"),
    Branch("run_web_plugin_policy"),
    Branch("secret_resolutions"),
    Branch("nodes"),
    Branch("edges"),
    Branch("operations", (Branch("calls"),)),
    Branch("sink_effect_streams"),
    Branch("sink_effects"),
    Branch("sink_effect_members"),
    Branch("sink_effect_attempts"),
    Branch("validation_errors"),
    Branch("transform_errors"),
    Branch(
        "rows",
        (
            Branch(
                "tokens",
                (
                    Branch("token_parents"),
                    Branch("token_outcomes"),
                    Branch("scheduler_events"),
                    Branch("node_states", (Branch("routing_events"), Branch("calls"))),
                ),
            ),
        ),
    ),
    Branch("batches", (Branch("batch_members"),)),
    Branch("artifacts"),
)

AFTER_HOST: tuple[Branch, ...] = tuple(
    Branch(facts.table) for facts in _NEVER_EXPORTED_BY_HOST if facts.links
)

_BY_NAME = {facts.table: facts for facts in TABLES}


def facts_for(table: str) -> RecordTable | None:
    """Find what is known of a table by its name, folded as SQLite folds names."""
    return _BY_NAME.get(fold_name(table))
