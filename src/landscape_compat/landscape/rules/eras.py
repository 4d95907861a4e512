"""Eras: the columns by which a database, or a reader, shows how old it is.

Epochs are missing from half of the history and recur in the rest, so an era is told by a column
(or a table) that came with a commit and stayed. What has it is of that commit or later.

Many words changed between two such columns. Then the era is not exact, and the rules take the
side that fails loudly where a word would lose its meaning.
"""

from __future__ import annotations

__all__ = [
    "BATCH_RETRIES",
    "CHECKED_WORDS",
    "CHECKPOINT_FORMAT",
    "CONTRACTS",
    "INGEST_SEQUENCE",
    "MANIFESTS",
    "MEMBER_RUNS",
    "NO_BARRIER_BLOBS",
    "OPERATION_HASHES",
    "OUTCOMES",
    "PREFLIGHT",
    "SECRETS",
    "SINGLE_AXIS",
    "TOPOLOGY_HASHES",
    "TWO_AXES",
]

CHECKED_WORDS = "nodes.schema_mode"
"""2026-01-17, 4b21b5119. Earlier readers take any word; later ones raise on one they lack."""

OUTCOMES = "token_outcomes"
"""2026-01-21, 3dd0e981e."""

TOPOLOGY_HASHES = "checkpoints.upstream_topology_hash"
"""2026-01-25, 31cd066c9."""

CHECKPOINT_FORMAT = "checkpoints.format_version"
"""2026-01-27, 0cc2a3bb9."""

CONTRACTS = "nodes.input_contract_json"
"""2026-02-03, aa555c7cb."""

SECRETS = "secret_resolutions"
"""2026-02-03, b758b2993; gone for some hours in fe92ec710, back since d8dc8821f."""

OPERATION_HASHES = "operations.input_data_hash"
"""2026-02-13, 264ab2cf5."""

PREFLIGHT = "preflight_results"
"""2026-03-25, ca4562eab."""

MANIFESTS = "runs.runtime_val_manifest_json"
"""2026-04-20, ec4648820."""

MEMBER_RUNS = "batch_members.run_id"
"""2026-04-23, 4e8913ae6."""

BATCH_RETRIES = "batches.retry_of_batch_id"
"""2026-04-25, 15818985a."""

SINGLE_AXIS = "token_outcomes.is_terminal"
"""From 2026-01-21 until ADR-019."""

TWO_AXES = "token_outcomes.completed"
"""2026-05-05, 3ada705b4: ADR-019."""

INGEST_SEQUENCE = "rows.ingest_sequence"
"""2026-06-04, f13f418f8."""

NO_BARRIER_BLOBS = "checkpoints.aggregation_state_json"
"""Gone since 2026-06-11, 46051e47d."""
