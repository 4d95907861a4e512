"""What the host records but never exports, as frozen typed records: one class a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from landscape_compat.landscape.absent import ABSENT, Number, Text, Time
from landscape_compat.landscape.records import Record

__all__ = [
    "AuditExportSnapshot",
    "AuditExportSnapshotChunk",
    "AuthEvent",
    "BatchOutput",
    "Checkpoint",
    "CoalesceBranchLoss",
    "CoalesceEffect",
    "CoalesceEffectMember",
    "PreflightResult",
    "RunCoordination",
    "RunCoordinationEvent",
    "RunSource",
    "RunWorker",
    "SchemaIdentity",
    "SidecarJournalEntry",
    "SinkEffectExportSnapshot",
    "TokenWorkItem",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSource(Record):
    """One source of a run, and how far it got."""

    TABLE: ClassVar[str] = "run_sources"

    run_id: str
    source_node_id: str
    source_name: Text = ABSENT
    plugin_name: Text = ABSENT
    lifecycle_state: Text = ABSENT
    config_hash: Text = ABSENT
    schema_json: Text = ABSENT
    schema_contract_json: Text = ABSENT
    schema_contract_hash: Text = ABSENT
    field_resolution_json: Text = ABSENT
    recorded_at: Time = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightResult(Record):
    """One check made before a run started."""

    TABLE: ClassVar[str] = "preflight_results"

    result_id: str
    run_id: str
    result_type: Text = ABSENT
    name: Text = ABSENT
    result_json: Text = ABSENT
    created_at: Time = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWorker(Record):
    """One worker process of a run."""

    TABLE: ClassVar[str] = "run_workers"

    worker_id: str
    run_id: str
    role: Text = ABSENT
    status: Text = ABSENT
    registered_at: Time = ABSENT
    heartbeat_expires_at: Time = ABSENT
    departed_at: Time = ABSENT
    evicted_at: Time = ABSENT
    evicted_by_worker_id: Text = ABSENT
    pid: Number = ABSENT
    hostname: Text = ABSENT
    entry_point: Text = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCoordination(Record):
    """Which worker leads a run."""

    TABLE: ClassVar[str] = "run_coordination"

    run_id: str
    leader_worker_id: Text = ABSENT
    leader_epoch: Number = ABSENT
    leader_heartbeat_expires_at: Time = ABSENT
    updated_at: Time = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCoordinationEvent(Record):
    """One event between the workers of a run."""

    TABLE: ClassVar[str] = "run_coordination_events"

    seq: int
    run_id: str
    event_id: Text = ABSENT
    event_type: Text = ABSENT
    worker_id: Text = ABSENT
    leader_epoch: Number = ABSENT
    recorded_at: Time = ABSENT
    context_json: Text = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenWorkItem(Record):
    """One piece of work that the scheduler holds for a token."""

    TABLE: ClassVar[str] = "token_work_items"

    work_item_id: str
    run_id: str
    token_id: Text = ABSENT
    row_id: Text = ABSENT
    node_id: Text = ABSENT
    step_index: Number = ABSENT
    ingest_sequence: Number = ABSENT
    row_payload_json: Text = ABSENT
    status: Text = ABSENT
    queue_key: Text = ABSENT
    barrier_key: Text = ABSENT
    on_success_sink: Text = ABSENT
    pending_sink_name: Text = ABSENT
    pending_outcome: Text = ABSENT
    pending_path: Text = ABSENT
    pending_error_hash: Text = ABSENT
    pending_error_message: Text = ABSENT
    branch_name: Text = ABSENT
    fork_group_id: Text = ABSENT
    join_group_id: Text = ABSENT
    expand_group_id: Text = ABSENT
    coalesce_node_id: Text = ABSENT
    coalesce_name: Text = ABSENT
    attempt: Number = ABSENT
    lease_owner: Text = ABSENT
    lease_expires_at: Time = ABSENT
    available_at: Time = ABSENT
    barrier_blocked_at: Time = ABSENT
    barrier_adopted_epoch: Number = ABSENT
    created_at: Time = ABSENT
    updated_at: Time = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class CoalesceBranchLoss(Record):
    """One branch that will not reach its coalesce."""

    TABLE: ClassVar[str] = "coalesce_branch_losses"

    loss_id: str
    run_id: str
    coalesce_name: Text = ABSENT
    row_id: Text = ABSENT
    branch_name: Text = ABSENT
    token_id: Text = ABSENT
    reason: Text = ABSENT
    recorded_by: Text = ABSENT
    recorded_at: Time = ABSENT
    adopted_epoch: Number = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class CoalesceEffect(Record):
    """One join of branches, planned or done."""

    TABLE: ClassVar[str] = "coalesce_effects"

    effect_id: str
    run_id: str
    coalesce_node_id: Text = ABSENT
    row_id: Text = ABSENT
    parent_set_hash: Text = ABSENT
    effect_hash: Text = ABSENT
    expected_token_data_ref: Text = ABSENT
    step_in_pipeline: Number = ABSENT
    status: Text = ABSENT
    result_token_id: Text = ABSENT
    result_join_group_id: Text = ABSENT
    created_at: Time = ABSENT
    completed_at: Time = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class CoalesceEffectMember(Record):
    """One parent token in a join of branches."""

    TABLE: ClassVar[str] = "coalesce_effect_members"

    effect_id: str
    ordinal: int
    run_id: Text = ABSENT
    parent_token_id: Text = ABSENT
    parent_state_id: Text = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutput(Record):
    """One output of a batch."""

    TABLE: ClassVar[str] = "batch_outputs"

    batch_output_id: str
    batch_id: str
    output_type: Text = ABSENT
    output_id: Text = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint(Record):
    """One point that a run could be resumed from."""

    TABLE: ClassVar[str] = "checkpoints"

    checkpoint_id: str
    run_id: str
    sequence_number: Number = ABSENT
    created_at: Time = ABSENT
    upstream_topology_hash: Text = ABSENT
    format_version: Number = ABSENT
    barrier_scalars_json: Text = ABSENT
    token_id: Text = ABSENT
    node_id: Text = ABSENT
    aggregation_state_json: Text = ABSENT
    checkpoint_node_config_hash: Text = ABSENT
    coalesce_state_json: Text = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkEffectExportSnapshot(Record):
    """Which snapshot a sink effect exported."""

    TABLE: ClassVar[str] = "sink_effect_export_snapshots"

    effect_id: str
    slot: int
    input_kind: Text = ABSENT
    snapshot_id: Text = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditExportSnapshot(Record):
    """One sealed snapshot of an export by the host."""

    TABLE: ClassVar[str] = "audit_export_snapshots"

    snapshot_id: str
    source_run_id: str
    source_status: Text = ABSENT
    source_completed_at: Time = ABSENT
    exported_at: Time = ABSENT
    registry_key_hash: Text = ABSENT
    exporter_version: Text = ABSENT
    serialization_version: Text = ABSENT
    export_format: Text = ABSENT
    signing_mode: Text = ABSENT
    signer_key_id: Text = ABSENT
    derivation_version: Text = ABSENT
    public_export_config_hash: Text = ABSENT
    chunking_algorithm_version: Text = ABSENT
    per_chunk_record_limit: Number = ABSENT
    per_chunk_byte_limit: Number = ABSENT
    record_count: Number = ABSENT
    total_bytes: Number = ABSENT
    chunk_count: Number = ABSENT
    terminal_chunk_ordinal: Number = ABSENT
    content_store_id: Text = ABSENT
    manifest_hash: Text = ABSENT
    last_chunk_seal_hash: Text = ABSENT
    snapshot_hash: Text = ABSENT
    snapshot_seal_hash: Text = ABSENT
    signature_hex: Text = ABSENT
    record_chain_algorithm: Text = ABSENT
    final_hash: Text = ABSENT
    signed_manifest_schema: Text = ABSENT
    signed_manifest_hash: Text = ABSENT
    signed_manifest_ref: Text = ABSENT
    signed_manifest_size_bytes: Number = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditExportSnapshotChunk(Record):
    """One chunk of a sealed snapshot."""

    TABLE: ClassVar[str] = "audit_export_snapshot_chunks"

    snapshot_id: str
    ordinal: int
    content_ref: Text = ABSENT
    content_hash: Text = ABSENT
    size_bytes: Number = ABSENT
    record_count: Number = ABSENT
    predecessor_seal_hash: Text = ABSENT
    cumulative_records: Number = ABSENT
    cumulative_bytes: Number = ABSENT
    chunk_seal_hash: Text = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaIdentity(Record):
    """What the host says this database is."""

    TABLE: ClassVar[str] = "elspeth_schema_identity"

    singleton_id: int
    application_id: Text = ABSENT
    store_kind: Text = ABSENT
    schema_epoch: Number = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthEvent(Record):
    """One sign-in event of the web application."""

    TABLE: ClassVar[str] = "auth_events"

    event_id: str
    occurred_at: Time = ABSENT
    event_type: Text = ABSENT
    outcome: Text = ABSENT
    provider: Text = ABSENT
    user_id: Text = ABSENT
    username: Text = ABSENT
    failure_category: Text = ABSENT
    request_id: Text = ABSENT
    client_host: Text = ABSENT
    user_agent: Text = ABSENT
    metadata_json: Text = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarJournalEntry(Record):
    """Journal entries not yet written beside the database."""

    TABLE: ClassVar[str] = "sidecar_journal_outbox"

    sequence: int
    batch_id: Text = ABSENT
    journal_owner: Text = ABSENT
    created_at: Time = ABSENT
    records_json: Text = ABSENT
