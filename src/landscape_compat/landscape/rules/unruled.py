"""What no rule changes: tables that are absent, and values of another era shown as recorded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

__all__ = ["MissingTable", "RecordedValue", "missing_tables", "values_as_recorded"]


@dataclass(frozen=True, slots=True)
class MissingTable:
    """Why an older database lacks a table.

    Args:
        table: The table.
        since: The day and the commit since when databases have it.
        why: What its absence means.
    """

    table: str
    since: str
    why: str


@dataclass(frozen=True, slots=True)
class RecordedValue:
    """A column whose values mean something else in another era, and are shown as recorded.

    Args:
        target: The column, as `table.column`.
        why: What a reader must know, and why no rule changes the value.
        evidence: Where that can be checked.
    """

    target: str
    why: str
    evidence: str


@cache
def missing_tables() -> dict[str, MissingTable]:
    """Say of each table that can be absent why it is."""
    return {
        table: MissingTable(table, since, why)
        for since, why, tables in _MISSING
        for table in tables
    }


def values_as_recorded() -> tuple[RecordedValue, ...]:
    """List the values that another era would understand otherwise, and that are not changed."""
    return _AS_RECORDED


_MISSING: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "2026-01-12 67f271d57",
        "Aggregation was not recorded yet.",
        ("batch_members", "batch_outputs", "batches"),
    ),
    ("2026-01-12 67f271d57", "Routing was not recorded yet.", ("routing_events",)),
    ("2026-01-14 35cefe665", "Runs could not be resumed yet.", ("checkpoints",)),
    (
        "2026-01-17 fbcc14db9",
        "Rows that failed validation were not recorded yet; that none is shown does not mean "
        "that none failed.",
        ("validation_errors",),
    ),
    (
        "2026-01-18 a66b368b7",
        "Rows on which a transform failed were not recorded yet; that none is shown does not "
        "mean that none failed.",
        ("transform_errors",),
    ),
    (
        "2026-01-21 3dd0e981e",
        "How tokens ended was not recorded yet. ADR-019 forbids inferring it from the pipeline, "
        "so a reader that counts will count every token as without an end.",
        ("token_outcomes",),
    ),
    (
        "2026-01-31 06455a445",
        "Operations of sources and sinks were not recorded yet.",
        ("operations",),
    ),
    (
        "2026-02-03 b758b2993",
        "Where secrets came from was not recorded yet. The table was gone for some hours of that "
        "day (fe92ec710) and came back (d8dc8821f).",
        ("secret_resolutions",),
    ),
    ("2026-03-25 ca4562eab", "Checks before a run were not recorded yet.", ("preflight_results",)),
    (
        "2026-05-13 c28ba8d9f",
        "Logins were not recorded yet. Healthy databases may lack it too: it is added when a "
        "build opens one for writing.",
        ("auth_events",),
    ),
    (
        "2026-05-13 22e4601d6",
        "Who started a run was not recorded yet. Healthy databases may lack it too: it is added "
        "when a build opens one for writing.",
        ("run_attributions",),
    ),
    (
        "2026-06-04 f13f418f8",
        "A run had one source, without a name or a life of its own. Its contract is with the run.",
        ("run_sources",),
    ),
    ("2026-06-04 f13f418f8", "There was no scheduler yet.", ("token_work_items",)),
    (
        "2026-06-04 3c535e12f",
        "What the scheduler did was not recorded yet.",
        ("scheduler_events",),
    ),
    (
        "2026-06-12 ca52e46a3",
        "A run had one worker, so there was nothing to coordinate.",
        ("coalesce_branch_losses", "run_coordination", "run_coordination_events", "run_workers"),
    ),
    (
        "2026-07-14 09cc47c23",
        "The plugin policy of the web service was not recorded yet. Runs from the command line "
        "have none in a current database either.",
        ("run_web_plugin_policy",),
    ),
    (
        "2026-07-16 f1fc58c71",
        "Databases did not name their schema yet. Only the check at opening reads it; none is "
        "made up.",
        ("elspeth_schema_identity",),
    ),
    (
        "2026-07-16 dedc24e9e",
        "There was no ledger of effects on sinks yet.",
        (
            "sink_effect_attempts",
            "sink_effect_export_snapshots",
            "sink_effect_members",
            "sink_effect_streams",
            "sink_effects",
        ),
    ),
    (
        "2026-07-16 dedc24e9e",
        "Exports kept no snapshots yet.",
        ("audit_export_snapshot_chunks", "audit_export_snapshots"),
    ),
    (
        "2026-07-17 16017e9fe",
        "Merges kept no receipts yet.",
        ("coalesce_effect_members", "coalesce_effects"),
    ),
    (
        "2026-07-18 84d296d5b",
        "The journal beside the database had no outbox yet.",
        ("sidecar_journal_outbox",),
    ),
)

_AS_RECORDED: tuple[RecordedValue, ...] = (
    RecordedValue(
        "runs.status",
        "Before 2026-05-02 `completed` meant that processing had ended, whatever became of the "
        "rows; since then, that at least one succeeded and none failed. The rows are not asked "
        "in order to refine what was recorded.",
        "cc8955896",
    ),
    RecordedValue(
        "runs.schema_contract_json",
        "Contracts of before 2026-02-15 do not say which fields may be null, and readers of "
        "02-15 to 06-04 raise when they parse one. To hide the contract would let them say that "
        "there is none; to complete it would break its hash.",
        "76c3894fe, 1b23bf87c",
    ),
    RecordedValue(
        "nodes.input_contract_json",
        "As `runs.schema_contract_json`; `nodes.output_contract_json` too.",
        "76c3894fe",
    ),
    RecordedValue(
        "batches.trigger_type",
        "`manual` left the vocabulary on 2026-04-22, and later readers raise on it. No engine "
        "ever wrote it, so whoever did should be asked.",
        "7495a51e9",
    ),
    RecordedValue(
        "token_work_items.status",
        "`waiting` left the vocabulary on 2026-06-10, and later readers raise on it. No engine "
        "ever wrote it.",
        "80d8baff2",
    ),
    RecordedValue(
        "scheduler_events.event_type",
        "`mark_waiting` and `release_waiting` left the vocabulary on 2026-06-10. No engine ever "
        "wrote them.",
        "80d8baff2",
    ),
    RecordedValue(
        "token_outcomes.path",
        "`gate_discarded` came on 2026-05-07; the readers of the two days before declare the "
        "same columns as those of after, and raise on it.",
        "5e29e115f",
    ),
    RecordedValue(
        "operations.operation_type",
        "`runtime_preflight` came on 2026-05-13; earlier readers that check the type raise on "
        "it. No older type means that, and hiding the row is not for a column's rule.",
        "300e71b7d, a38ca8740",
    ),
    RecordedValue(
        "secret_resolutions.source",
        "`env` and `user` came on 2026-03-30; earlier readers that check the source take "
        "`keyvault` only. To show that instead would be false, and hiding the row is not for a "
        "column's rule.",
        "87815867c, 954ab3433",
    ),
    RecordedValue(
        "artifacts.produced_by_state_id",
        "NULL for an artifact of an effect, which several states made; older readers take NULL.",
        "dedc24e9e",
    ),
    RecordedValue(
        "calls.state_id",
        "NULL for a call of an operation; older readers ask by state and do not see such calls.",
        "06455a445",
    ),
    RecordedValue(
        "token_outcomes.fork_group_id",
        "Until 2026-02-02 a fresh id that has nothing to do with the token's; `join_group_id` too.",
        "c78641092, f4f348de1, 0cc2a3bb9",
    ),
    RecordedValue(
        "artifacts.artifact_type",
        "The sink's name until 2026-01-15, then `file` or `database`.",
        "7a1fd6180",
    ),
    RecordedValue(
        "rows.row_index",
        "In runs of several sources, counted over the run at first and within the source later.",
        "f13f418f8, 6a65f4206, 304bc67ee",
    ),
    RecordedValue(
        "run_sources.source_name",
        "The only source of a run was called `source` at first and `primary` later.",
        "f13f418f8",
    ),
)
