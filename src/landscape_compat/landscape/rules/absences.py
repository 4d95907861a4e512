"""Columns that were not recorded, or are no longer: they read as NULL, and are named as absent."""

from __future__ import annotations

from collections.abc import Iterator

from landscape_compat.landscape.rules.eras import CHECKED_WORDS, TOPOLOGY_HASHES
from landscape_compat.projection.rules import Rule, absent

__all__ = ["absence_rules"]

# Why, where that can be checked, and the columns; in the order of history.
_ABSENT: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "The step at which a token was made was not recorded before 2026-01-13.",
        "f3e44e101",
        ("tokens.step_in_pipeline",),
    ),
    (
        "Exports of a run were not tracked before 2026-01-14.",
        "75de5bfee",
        (
            "runs.export_error",
            "runs.export_format",
            "runs.export_sink",
            "runs.export_status",
            "runs.exported_at",
        ),
    ),
    (
        "A node's schema settings were not recorded before 2026-01-17.",
        "4b21b5119",
        ("nodes.schema_fields_json", "nodes.schema_mode"),
    ),
    (
        "Where a rejected row went was not recorded in the first two days of validation errors.",
        "3a665edb6",
        ("validation_errors.destination",),
    ),
    (
        "Sinks gave artifacts no idempotency key before 2026-01-18.",
        "2af83491c",
        ("artifacts.idempotency_key",),
    ),
    (
        "One row could not be expanded into several before 2026-01-19, so no token is the child "
        "of an expansion.",
        "90a067748",
        ("tokens.expand_group_id",),
    ),
    (
        "The source's schema was not recorded before 2026-01-25.",
        "b5f3f5047",
        ("runs.source_schema_json",),
    ),
    (
        "Checkpoints had no format version before 2026-01-27; NULL is what the host takes for "
        "that.",
        "0cc2a3bb9",
        ("checkpoints.format_version",),
    ),
    (
        "How source fields were resolved was not recorded before 2026-01-29.",
        "d66a85b86",
        ("runs.source_field_resolution_json",),
    ),
    (
        "The branches expected of a fork were not recorded before 2026-01-29.",
        "01f107d91",
        ("token_outcomes.expected_branches_json",),
    ),
    (
        "Calls had a state as their only parent before 2026-01-31, so none belongs to an "
        "operation.",
        "06455a445",
        ("calls.operation_id",),
    ),
    (
        "Why a state succeeded was not recorded before 2026-01-31.",
        "06455a445",
        ("node_states.success_reason_json",),
    ),
    (
        "Schema contracts were not recorded before 2026-02-03.",
        "aa555c7cb",
        ("nodes.input_contract_json", "nodes.output_contract_json"),
    ),
    (
        "What exactly a row violated was not recorded before 2026-02-03.",
        "aa555c7cb",
        (
            "validation_errors.actual_type",
            "validation_errors.expected_type",
            "validation_errors.normalized_field_name",
            "validation_errors.original_field_name",
            "validation_errors.violation_type",
        ),
    ),
    (
        "The data of operations was not hashed before 2026-02-13, and the hash is of a form that "
        "the database does not hold.",
        "264ab2cf5",
        ("operations.input_data_hash", "operations.output_data_hash"),
    ),
    (
        "The hash of the source file was not recorded before 2026-04-15.",
        "f05ba9ad3",
        ("nodes.source_file_hash",),
    ),
    (
        "The manifest of runtime validation was not recorded before 2026-04-20.",
        "ec4648820",
        ("runs.runtime_val_manifest_json",),
    ),
    (
        "Which row a validation error is about was not recorded before 2026-04-21. Its hash does "
        "not tell: rows repeat, and the payload may have been normalised first.",
        "29df97209",
        ("validation_errors.row_id",),
    ),
    (
        "Which batch is tried again was not recorded before 2026-04-25; node and attempt leave "
        "several.",
        "15818985a",
        ("batches.retry_of_batch_id",),
    ),
    (
        "The template of a prompt was not hashed before 2026-05-18.",
        "2e390fc0b",
        ("calls.resolved_prompt_template_hash",),
    ),
    (
        "Runs were not served from a cache before 2026-05-19.",
        "ca9bc05bd",
        ("runs.cache_key",),
    ),
    (
        "Only the web tutorial counts its calls, since 2026-05-19; other runs have NULL in a "
        "current database too.",
        "ca9bc05bd",
        ("runs.llm_call_count",),
    ),
    (
        "The model catalogue was not recorded before 2026-05-25, and the host forbids any value "
        "in its place.",
        "81c1b42d8",
        ("runs.openrouter_catalog_sha256", "runs.openrouter_catalog_source"),
    ),
    (
        "Whether a state was driven again by a resumed run was not recorded before 2026-05-30; "
        "NULL there means unknown, not no.",
        "fbb754e83",
        ("node_states.resume_checkpoint_id",),
    ),
    (
        "Tokens had no payload of their own before 2026-05-30.",
        "fbb754e83",
        ("tokens.token_data_ref",),
    ),
    (
        "The scheduler did not record what it needs to resume by before epoch 14.",
        "f0fd36087",
        (
            "token_work_items.branch_name",
            "token_work_items.coalesce_name",
            "token_work_items.coalesce_node_id",
            "token_work_items.expand_group_id",
            "token_work_items.fork_group_id",
            "token_work_items.join_group_id",
            "token_work_items.on_success_sink",
        ),
    ),
    (
        "The scheduler did not record outcomes on their way to a sink before epoch 15.",
        "dbf5a504f",
        (
            "token_work_items.pending_error_hash",
            "token_work_items.pending_error_message",
            "token_work_items.pending_outcome",
            "token_work_items.pending_path",
            "token_work_items.pending_sink_name",
        ),
    ),
    (
        "When an item was blocked at a barrier was not recorded before epoch 20.",
        "ce3d57304",
        ("token_work_items.barrier_blocked_at",),
    ),
    (
        "Which worker's turn took over a blocked item was not recorded before epoch 21.",
        "ca52e46a3",
        ("token_work_items.barrier_adopted_epoch",),
    ),
    (
        "The state at a barrier was kept in another form before epoch 20, which holds more and "
        "does not translate.",
        "ce3d57304, 46051e47d",
        ("checkpoints.barrier_scalars_json",),
    ),
    (
        "Checkpoints no longer name a token and a node since 2026-06-10.",
        "f4781d54a",
        ("checkpoints.node_id", "checkpoints.token_id"),
    ),
    (
        "What a barrier held is kept with the work items since 2026-06-11, in another form.",
        "46051e47d",
        ("checkpoints.aggregation_state_json",),
    ),
    (
        "There was no ledger of effects before epoch 26; the host's own migration wrote NULL.",
        "612311b6d, b0befcad6",
        ("artifacts.sink_effect_id", "operations.sink_effect_id"),
    ),
    (
        "Expansions did not claim a batch before 2026-07-18.",
        "84d296d5b",
        ("batches.expansion_group_id",),
    ),
)


def absence_rules() -> Iterator[Rule]:
    """Say of each column that can be absent why it is."""
    for why, evidence, targets in _ABSENT:
        for target in targets:
            yield absent(target, why=why, evidence=evidence)
    yield absent(
        "nodes.determinism",
        not_declared=CHECKED_WORDS,
        why="A plugin's determinism was not stored before 2026-01-14; readers of before "
        "2026-01-17 take NULL.",
        evidence="ef071ff05, 4b21b5119",
    )
    yield absent(
        "nodes.output_contract_hash",
        not_stored="nodes.output_contract_json",
        why="Schema contracts were not recorded before 2026-02-03.",
        evidence="aa555c7cb",
    )
    for name in ("schema_contract_hash", "schema_contract_json"):
        yield absent(
            f"runs.{name}",
            not_stored="run_sources",
            why="Schema contracts were not recorded before 2026-02-03.",
            evidence="aa555c7cb",
        )
    yield from _checkpoints()


def _checkpoints() -> Iterator[Rule]:
    """Tell columns that were not there yet from the same columns no longer there."""
    yield absent(
        "checkpoints.upstream_topology_hash",
        why="The topology was not hashed before 2026-01-25. Only resuming a run reads it.",
        evidence="31cd066c9",
    )
    yield absent(
        "checkpoints.checkpoint_node_config_hash",
        not_stored=TOPOLOGY_HASHES,
        why="The node's configuration was not hashed before 2026-01-25. Only resuming a run "
        "reads it.",
        evidence="31cd066c9",
    )
    yield absent(
        "checkpoints.checkpoint_node_config_hash",
        stored=TOPOLOGY_HASHES,
        why="Checkpoints no longer name a node since 2026-06-10. Only resuming a run reads it.",
        evidence="f4781d54a",
    )
    yield absent(
        "checkpoints.coalesce_state_json",
        not_stored="checkpoints.barrier_scalars_json",
        why="The state of a merge was not recorded before 2026-03-04.",
        evidence="9df626b56",
    )
    yield absent(
        "checkpoints.coalesce_state_json",
        stored="checkpoints.barrier_scalars_json",
        why="What a merge held is kept with the work items since 2026-06-11, in another form.",
        evidence="46051e47d",
    )
