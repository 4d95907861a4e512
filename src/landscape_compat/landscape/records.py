"""What was recorded, as frozen typed records: one class a table that the host exports.

Every attribute but those that name a record, or what it belongs to, is its value, None for a
stored NULL, or `ABSENT` where the database does not hold that column at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from landscape_compat.landscape.absent import ABSENT, Flag, Number, Real, Text, Time

__all__ = [
    "Artifact",
    "Batch",
    "BatchMember",
    "Call",
    "Edge",
    "Node",
    "NodeState",
    "Operation",
    "Record",
    "RoutingEvent",
    "Row",
    "Run",
    "RunAttribution",
    "SchedulerEvent",
    "SecretResolution",
    "SinkEffect",
    "SinkEffectAttempt",
    "SinkEffectMember",
    "SinkEffectStream",
    "Token",
    "TokenOutcome",
    "TokenParent",
    "TransformError",
    "ValidationError",
    "WebPluginPolicy",
]


@dataclass(frozen=True, slots=True)
class Record:
    """One stored row of a table.

    Args:
        TABLE: The table that it is stored in.
    """

    TABLE: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Record):
    """One execution of a pipeline."""

    TABLE: ClassVar[str] = "runs"

    run_id: str
    started_at: Time = ABSENT
    completed_at: Time = ABSENT
    config_hash: Text = ABSENT
    settings_json: Text = ABSENT
    reproducibility_grade: Text = ABSENT
    canonical_version: Text = ABSENT
    source_schema_json: Text = ABSENT
    source_field_resolution_json: Text = ABSENT
    status: Text = ABSENT
    export_status: Text = ABSENT
    export_error: Text = ABSENT
    exported_at: Time = ABSENT
    export_format: Text = ABSENT
    export_sink: Text = ABSENT
    runtime_val_manifest_json: Text = ABSENT
    llm_call_count: Number = ABSENT
    seeded_from_cache: Flag = ABSENT
    cache_key: Text = ABSENT
    openrouter_catalog_sha256: Text = ABSENT
    openrouter_catalog_source: Text = ABSENT
    schema_contract_json: Text = ABSENT
    schema_contract_hash: Text = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAttribution(Record):
    """Who started a run."""

    TABLE: ClassVar[str] = "run_attributions"

    run_id: str
    recorded_at: Time = ABSENT
    initiated_by_user_id: Text = ABSENT
    auth_provider_type: Text = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPluginPolicy(Record):
    """The plugin policy that a run from the web was started under."""

    TABLE: ClassVar[str] = "run_web_plugin_policy"

    run_id: str
    schema_version: Number = ABSENT
    policy_hash: Text = ABSENT
    snapshot_hash: Text = ABSENT
    authorized_plugin_ids_json: Text = ABSENT
    available_plugin_ids_json: Text = ABSENT
    control_modes_json: Text = ABSENT
    selected_implementations_json: Text = ABSENT
    selected_profile_aliases_json: Text = ABSENT
    plugin_code_identities_json: Text = ABSENT
    binding_generation_fingerprint: Text = ABSENT
    decision_codes_json: Text = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretResolution(Record):
    """One secret that a run looked up; never the secret itself."""

    TABLE: ClassVar[str] = "secret_resolutions"

    resolution_id: str
    run_id: str
    timestamp: Real = ABSENT
    env_var_name: Text = ABSENT
    source: Text = ABSENT
    vault_url: Text = ABSENT
    secret_name: Text = ABSENT
    fingerprint: Text = ABSENT
    resolution_latency_ms: Real = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(Record):
    """One plugin instance in a run's pipeline."""

    TABLE: ClassVar[str] = "nodes"

    node_id: str
    run_id: str
    plugin_name: Text = ABSENT
    node_type: Text = ABSENT
    plugin_version: Text = ABSENT
    source_file_hash: Text = ABSENT
    determinism: Text = ABSENT
    config_hash: Text = ABSENT
    config_json: Text = ABSENT
    schema_hash: Text = ABSENT
    sequence_in_pipeline: Number = ABSENT
    registered_at: Time = ABSENT
    schema_mode: Text = ABSENT
    schema_fields_json: Text = ABSENT
    input_contract_json: Text = ABSENT
    output_contract_json: Text = ABSENT
    output_contract_hash: Text = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge(Record):
    """One connection between two nodes."""

    TABLE: ClassVar[str] = "edges"

    edge_id: str
    run_id: str
    from_node_id: Text = ABSENT
    to_node_id: Text = ABSENT
    label: Text = ABSENT
    default_mode: Text = ABSENT
    created_at: Time = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Record):
    """One piece of input or output work of a source or sink."""

    TABLE: ClassVar[str] = "operations"

    operation_id: str
    run_id: str
    node_id: Text = ABSENT
    operation_type: Text = ABSENT
    sink_effect_id: Text = ABSENT
    started_at: Time = ABSENT
    completed_at: Time = ABSENT
    status: Text = ABSENT
    input_data_ref: Text = ABSENT
    input_data_hash: Text = ABSENT
    output_data_ref: Text = ABSENT
    output_data_hash: Text = ABSENT
    error_message: Text = ABSENT
    duration_ms: Real = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Record):
    """One call to something outside, made for a node state or an operation."""

    TABLE: ClassVar[str] = "calls"

    call_id: str
    state_id: Text = ABSENT
    operation_id: Text = ABSENT
    call_index: Number = ABSENT
    call_type: Text = ABSENT
    status: Text = ABSENT
    request_hash: Text = ABSENT
    request_ref: Text = ABSENT
    response_hash: Text = ABSENT
    response_ref: Text = ABSENT
    resolved_prompt_template_hash: Text = ABSENT
    error_json: Text = ABSENT
    latency_ms: Real = ABSENT
    created_at: Time = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkEffectStream(Record):
    """The ordered effects of one sink on one target."""

    TABLE: ClassVar[str] = "sink_effect_streams"

    stream_id: str
    run_id: str
    sink_node_id: Text = ABSENT
    role: Text = ABSENT
    requested_target_hash: Text = ABSENT
    resolved_target: Text = ABSENT
    next_sequence: Number = ABSENT
    tail_effect_id: Text = ABSENT
    head_effect_id: Text = ABSENT
    head_descriptor_hash: Text = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkEffect(Record):
    """One planned and, it may be, published effect of a sink."""

    TABLE: ClassVar[str] = "sink_effects"

    effect_id: str
    run_id: str
    sink_node_id: Text = ABSENT
    role: Text = ABSENT
    state: Text = ABSENT
    protocol_version: Text = ABSENT
    input_kind: Text = ABSENT
    required_member_ordinal: Number = ABSENT
    required_snapshot_slot: Number = ABSENT
    config_hash: Text = ABSENT
    membership_or_manifest_hash: Text = ABSENT
    group_payload_hash: Text = ABSENT
    artifact_id: Text = ABSENT
    artifact_idempotency_key: Text = ABSENT
    target_json: Text = ABSENT
    inspection_mode: Text = ABSENT
    inspection_attempt_id: Text = ABSENT
    plan_json: Text = ABSENT
    plan_hash: Text = ABSENT
    descriptor_mode: Text = ABSENT
    expected_descriptor_hash: Text = ABSENT
    precondition_hash: Text = ABSENT
    prepared_at: Time = ABSENT
    lease_owner: Text = ABSENT
    generation: Number = ABSENT
    lease_expires_at: Time = ABSENT
    lease_heartbeat_at: Time = ABSENT
    reconcile_kind: Text = ABSENT
    reconcile_evidence_hash: Text = ABSENT
    result_descriptor_hash: Text = ABSENT
    publication_performed: Flag = ABSENT
    publication_evidence_kind: Text = ABSENT
    primary_effect_id: Text = ABSENT
    stream_id: Text = ABSENT
    stream_sequence: Number = ABSENT
    predecessor_effect_id: Text = ABSENT
    created_at: Time = ABSENT
    updated_at: Time = ABSENT
    finalized_at: Time = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkEffectMember(Record):
    """One token's part in a sink effect."""

    TABLE: ClassVar[str] = "sink_effect_members"

    effect_id: str
    ordinal: int
    input_kind: Text = ABSENT
    run_id: Text = ABSENT
    sink_node_id: Text = ABSENT
    role: Text = ABSENT
    token_id: Text = ABSENT
    row_id: Text = ABSENT
    ingest_sequence: Number = ABSENT
    lineage_json: Text = ABSENT
    lineage_hash: Text = ABSENT
    payload_hash: Text = ABSENT
    primary_effect_id: Text = ABSENT
    prepared_disposition: Text = ABSENT
    reason_hash: Text = ABSENT
    member_effect_id: Text = ABSENT
    member_state: Text = ABSENT
    descriptor_hash: Text = ABSENT
    evidence_hash: Text = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkEffectAttempt(Record):
    """One attempt to carry out a sink effect."""

    TABLE: ClassVar[str] = "sink_effect_attempts"

    attempt_id: str
    effect_id: str
    member_ordinal: Number = ABSENT
    generation: Number = ABSENT
    action: Text = ABSENT
    call_kind: Text = ABSENT
    request_hash: Text = ABSENT
    state: Text = ABSENT
    evidence_json: Text = ABSENT
    evidence_hash: Text = ABSENT
    started_at: Time = ABSENT
    completed_at: Time = ABSENT
    latency_ms: Real = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationError(Record):
    """One row that its source or schema refused."""

    TABLE: ClassVar[str] = "validation_errors"

    error_id: str
    run_id: str
    node_id: Text = ABSENT
    row_id: Text = ABSENT
    row_hash: Text = ABSENT
    row_data_json: Text = ABSENT
    error: Text = ABSENT
    schema_mode: Text = ABSENT
    destination: Text = ABSENT
    created_at: Time = ABSENT
    violation_type: Text = ABSENT
    original_field_name: Text = ABSENT
    normalized_field_name: Text = ABSENT
    expected_type: Text = ABSENT
    actual_type: Text = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformError(Record):
    """One token that a transform could not process."""

    TABLE: ClassVar[str] = "transform_errors"

    error_id: str
    run_id: str
    token_id: Text = ABSENT
    transform_id: Text = ABSENT
    row_hash: Text = ABSENT
    row_data_json: Text = ABSENT
    error_details_json: Text = ABSENT
    destination: Text = ABSENT
    created_at: Time = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Record):
    """One row that a source delivered."""

    TABLE: ClassVar[str] = "rows"

    row_id: str
    run_id: str
    source_node_id: Text = ABSENT
    row_index: Number = ABSENT
    source_row_index: Number = ABSENT
    ingest_sequence: Number = ABSENT
    source_data_hash: Text = ABSENT
    source_data_ref: Text = ABSENT
    created_at: Time = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Token(Record):
    """One instance of a row on its way through the pipeline."""

    TABLE: ClassVar[str] = "tokens"

    token_id: str
    row_id: str
    run_id: Text = ABSENT
    fork_group_id: Text = ABSENT
    join_group_id: Text = ABSENT
    expand_group_id: Text = ABSENT
    branch_name: Text = ABSENT
    step_in_pipeline: Number = ABSENT
    token_data_ref: Text = ABSENT
    created_at: Time = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenParent(Record):
    """One parent of a token that came of a fork, an expansion or a join."""

    TABLE: ClassVar[str] = "token_parents"

    token_id: str
    parent_token_id: str
    run_id: Text = ABSENT
    ordinal: Number = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenOutcome(Record):
    """One outcome that was recorded for a token."""

    TABLE: ClassVar[str] = "token_outcomes"

    outcome_id: str
    token_id: str
    run_id: Text = ABSENT
    outcome: Text = ABSENT
    path: Text = ABSENT
    completed: Number = ABSENT
    recorded_at: Time = ABSENT
    sink_name: Text = ABSENT
    batch_id: Text = ABSENT
    fork_group_id: Text = ABSENT
    join_group_id: Text = ABSENT
    expand_group_id: Text = ABSENT
    error_hash: Text = ABSENT
    context_json: Text = ABSENT
    expected_branches_json: Text = ABSENT
    is_terminal: Number = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerEvent(Record):
    """One step of the scheduler with a token's work."""

    TABLE: ClassVar[str] = "scheduler_events"

    event_id: str
    token_id: str
    run_id: Text = ABSENT
    work_item_id: Text = ABSENT
    node_id: Text = ABSENT
    event_type: Text = ABSENT
    from_status: Text = ABSENT
    to_status: Text = ABSENT
    from_lease_owner: Text = ABSENT
    to_lease_owner: Text = ABSENT
    from_lease_expires_at: Time = ABSENT
    to_lease_expires_at: Time = ABSENT
    from_attempt: Number = ABSENT
    to_attempt: Number = ABSENT
    recorded_at: Time = ABSENT
    caller_owner: Text = ABSENT
    context_json: Text = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState(Record):
    """One visit of a token to a node."""

    TABLE: ClassVar[str] = "node_states"

    state_id: str
    token_id: str
    run_id: Text = ABSENT
    node_id: Text = ABSENT
    step_index: Number = ABSENT
    attempt: Number = ABSENT
    status: Text = ABSENT
    input_hash: Text = ABSENT
    output_hash: Text = ABSENT
    context_before_json: Text = ABSENT
    context_after_json: Text = ABSENT
    duration_ms: Real = ABSENT
    error_json: Text = ABSENT
    success_reason_json: Text = ABSENT
    started_at: Time = ABSENT
    completed_at: Time = ABSENT
    resume_checkpoint_id: Text = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingEvent(Record):
    """One decision along which edge a token went on."""

    TABLE: ClassVar[str] = "routing_events"

    event_id: str
    state_id: str
    edge_id: Text = ABSENT
    run_id: Text = ABSENT
    routing_group_id: Text = ABSENT
    ordinal: Number = ABSENT
    mode: Text = ABSENT
    reason_hash: Text = ABSENT
    reason_ref: Text = ABSENT
    created_at: Time = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch(Record):
    """One batch of an aggregation."""

    TABLE: ClassVar[str] = "batches"

    batch_id: str
    run_id: str
    aggregation_node_id: Text = ABSENT
    aggregation_state_id: Text = ABSENT
    expansion_group_id: Text = ABSENT
    retry_of_batch_id: Text = ABSENT
    trigger_reason: Text = ABSENT
    trigger_type: Text = ABSENT
    attempt: Number = ABSENT
    status: Text = ABSENT
    created_at: Time = ABSENT
    completed_at: Time = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMember(Record):
    """One token's place in a batch."""

    TABLE: ClassVar[str] = "batch_members"

    batch_id: str
    token_id: str
    run_id: Text = ABSENT
    ordinal: Number = ABSENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact(Record):
    """One thing that a sink produced."""

    TABLE: ClassVar[str] = "artifacts"

    artifact_id: str
    run_id: str
    produced_by_state_id: Text = ABSENT
    sink_effect_id: Text = ABSENT
    sink_node_id: Text = ABSENT
    artifact_type: Text = ABSENT
    path_or_uri: Text = ABSENT
    content_hash: Text = ABSENT
    size_bytes: Number = ABSENT
    idempotency_key: Text = ABSENT
    publication_performed: Flag = ABSENT
    publication_evidence_kind: Text = ABSENT
    created_at: Time = ABSENT
