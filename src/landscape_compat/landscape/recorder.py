"""A recorder that only reads: the reading methods of the host's recorders, for any version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, false, select

from landscape_compat.errors import LandscapeCompatError
from landscape_compat.landscape.absent import Absent, Text
from landscape_compat.landscape.bookkeeping import CoalesceBranchLoss
from landscape_compat.landscape.database import Landscape
from landscape_compat.landscape.reading import AbsentRecords, Reader
from landscape_compat.landscape.records import (
    Artifact,
    Batch,
    BatchMember,
    Call,
    Edge,
    Node,
    NodeState,
    Operation,
    Record,
    RoutingEvent,
    Row,
    Run,
    RunAttribution,
    SchedulerEvent,
    SecretResolution,
    SinkEffect,
    SinkEffectAttempt,
    SinkEffectMember,
    SinkEffectStream,
    Token,
    TokenOutcome,
    TokenParent,
    TransformError,
    ValidationError,
    WebPluginPolicy,
)
from landscape_compat.landscape.stored import StoredSchema, StoredTable

__all__ = ["ReadOnlyRecorder"]

RecordT = TypeVar("RecordT", bound=Record)

_INCOMPLETE = ["draft", "executing", "failed"]


class ReadOnlyRecorder:
    """Read a Landscape by the names that the host's recorders have used since the first one.

    Records are frozen and hold what is stored. Nothing is derived: a column that the database
    lacks is `ABSENT` in them, a stored NULL is None. A method that gives a list gives
    `AbsentRecords`, an empty list that says so, where the database lacks the table; a method
    that gives one record gives None for an unknown id and `ABSENT` where it lacks the table.
    A record belongs to a run through what it refers to, whatever it repeats of its run.

    What the host's methods parse out of JSON is the JSON's text here, on the record; what it
    keeps in its payload store is not in the database, only the reference to it.

    Args:
        db: The database.
    """

    def __init__(self, db: Landscape) -> None:
        self._reader = Reader(db)

    def is_absent(self, path: str) -> bool:
        """Tell whether a table or a column is not stored.

        Args:
            path: `table` or `table.column`.
        """
        return self._reader.is_absent(path)

    def read(self, kind: type[RecordT], run_id: str | None = None) -> list[RecordT]:
        """Read every record of any class, also those the host has no method for.

        Args:
            kind: The class.
            run_id: The run that must reach them; every record without.
        """
        return self._reader.many(kind, run_id=run_id)

    # Runs ---------------------------------------------------------------------------------

    def get_run(self, run_id: str) -> Run | None:
        """Read a run."""
        return self._reader.one(Run, run_id=run_id)

    def list_runs(self, *, status: str | Enum | None = None) -> list[Run]:
        """Read every run, the latest first.

        Args:
            status: The status they must have.
        """
        return self._reader.many(Run, order=_latest_first, **_given(status=status))

    def get_run_attribution(self, run_id: str) -> RunAttribution | Absent | None:
        """Read who started a run."""
        return self._reader.one_or_absent(RunAttribution, run_id=run_id)

    def get_web_plugin_policy_evidence(self, run_id: str) -> WebPluginPolicy | Absent | None:
        """Read the plugin policy that a run from the web was started under."""
        return self._reader.one_or_absent(WebPluginPolicy, run_id=run_id)

    def get_secret_resolutions_for_run(self, run_id: str) -> list[SecretResolution]:
        """Read which secrets a run looked up."""
        return self._reader.many(SecretResolution, run_id=run_id)

    # The pipeline -------------------------------------------------------------------------

    def get_nodes(self, run_id: str) -> list[Node]:
        """Read the nodes of a run, by their place in the pipeline."""
        return self._reader.many(Node, run_id=run_id)

    def get_node(self, node_id: str, run_id: str | None = None) -> Node | None:
        """Read a node.

        Args:
            node_id: The node.
            run_id: Its run; needed since 2026-01-27, when runs began to share node ids.

        Raises:
            LandscapeCompatError: No run is given and several have such a node.
        """
        found = self._reader.many(Node, run_id=run_id, node_id=node_id, limit=2)
        if len(found) > 1:
            raise LandscapeCompatError(
                f"Several runs have a node {node_id!r}, so it cannot be told which is meant.",
                table="nodes",
                remedy="Give the run's id as well.",
            )
        return found[0] if found else None

    def get_edges(self, run_id: str) -> list[Edge]:
        """Read the edges of a run, in the order in which they were made."""
        return self._reader.many(Edge, run_id=run_id)

    def get_edge(self, edge_id: str) -> Edge | None:
        """Read an edge."""
        return self._reader.one(Edge, edge_id=edge_id)

    def get_edge_map(self, run_id: str) -> dict[tuple[Text, Text], str]:
        """Read which edge leaves a node under a label: (node, label) to edge."""
        return {(edge.from_node_id, edge.label): edge.edge_id for edge in self.get_edges(run_id)}

    # Rows and tokens ----------------------------------------------------------------------

    def get_rows(self, run_id: str) -> list[Row]:
        """Read the rows of a run, in the order in which they came."""
        return self._reader.many(Row, run_id=run_id)

    def iter_rows_for_run(self, run_id: str, *, batch_size: int = 500) -> Iterator[list[Row]]:
        """Read the rows of a run, in the order in which they came, bit by bit.

        Args:
            run_id: The run.
            batch_size: How many rows at a time.
        """
        return self._reader.windows(Row, batch_size, run_id=run_id)

    def get_row(self, row_id: str) -> Row | None:
        """Read a row."""
        return self._reader.one(Row, row_id=row_id)

    def get_tokens(self, row_id: str) -> list[Token]:
        """Read the tokens of a row, in the order in which they were made."""
        return self._reader.many(Token, row_id=row_id)

    def get_token(self, token_id: str) -> Token | None:
        """Read a token."""
        return self._reader.one(Token, token_id=token_id)

    def get_token_for_run(self, run_id: str, token_id: str) -> Token | None:
        """Read a token, if it belongs to a run."""
        return self._reader.one(Token, run_id=run_id, token_id=token_id)

    def get_tokens_by_ids(self, token_ids: Sequence[str]) -> list[Token]:
        """Read many tokens, in the order of their ids as given; unknown ids are passed over."""
        found = self._reader.many_by_keys(Token, "token_id", token_ids)
        place = {token_id: at for at, token_id in reversed([*enumerate(token_ids)])}
        found.sort(key=lambda token: place[token.token_id])
        return found

    def get_tokens_for_rows(self, run_id: str, row_ids: Sequence[str]) -> list[Token]:
        """Read the tokens of many rows of a run."""
        return self._reader.many_by_keys(
            Token, "row_id", row_ids, run_id=run_id, order=("row_id", "created_at", "token_id")
        )

    def get_all_tokens_for_run(self, run_id: str) -> list[Token]:
        """Read the tokens of a run, by row."""
        return self._reader.many(Token, run_id=run_id, order=("row_id", "created_at", "token_id"))

    def get_token_parents(self, token_id: str) -> list[TokenParent]:
        """Read what a token was made of."""
        return self._reader.many(TokenParent, token_id=token_id)

    def get_token_children(self, parent_token_id: str) -> list[TokenParent]:
        """Read what was made of a token."""
        return self._reader.many(TokenParent, parent_token_id=parent_token_id, order=("token_id",))

    def get_token_parents_for_tokens(self, token_ids: Sequence[str]) -> list[TokenParent]:
        """Read what many tokens were made of."""
        return self._reader.many_by_keys(
            TokenParent, "token_id", token_ids, order=("token_id", "ordinal")
        )

    def get_all_token_parents_for_run(self, run_id: str) -> list[TokenParent]:
        """Read what the tokens of a run were made of, by token."""
        return self._reader.many(TokenParent, run_id=run_id, order=("token_id", "ordinal"))

    def get_token_outcome(self, token_id: str) -> TokenOutcome | Absent | None:
        """Read the outcome that counts for a token: the final one, and of several the last."""
        return self._reader.one_or_absent(TokenOutcome, token_id=token_id, order=_final_first)

    def get_token_outcomes(self, token_id: str) -> list[TokenOutcome]:
        """Read every outcome recorded for a token, in the order in which they were."""
        return self._reader.many(TokenOutcome, token_id=token_id)

    def get_token_outcomes_for_row(self, run_id: str, row_id: str) -> list[TokenOutcome]:
        """Read the outcomes of all tokens of a row, in the order in which they were recorded."""

        def of_row(schema: StoredSchema, table: StoredTable) -> list[ColumnElement[Any]]:
            tokens = schema.table(Token.TABLE)
            if tokens is None:
                return [false()]
            ids = select(tokens.get("token_id")).where(tokens.get("row_id") == row_id)
            return [table.get("token_id").in_(ids)]

        return self._reader.many(TokenOutcome, run_id=run_id, where=of_row)

    def get_token_outcomes_for_tokens(
        self, run_id: str, token_ids: Sequence[str]
    ) -> list[TokenOutcome]:
        """Read the outcomes of many tokens of a run."""
        order = ("token_id", "recorded_at", "outcome_id")
        return self._reader.many_by_keys(
            TokenOutcome, "token_id", token_ids, run_id=run_id, order=order
        )

    def get_all_token_outcomes_for_run(self, run_id: str) -> list[TokenOutcome]:
        """Read the outcomes of a run, by token."""
        order = ("token_id", "recorded_at", "outcome_id")
        return self._reader.many(TokenOutcome, run_id=run_id, order=order)

    # Node states and what belongs to them -------------------------------------------------

    def get_node_state(self, state_id: str) -> NodeState | None:
        """Read a node state."""
        return self._reader.one(NodeState, state_id=state_id)

    def get_node_states_for_token(self, token_id: str) -> list[NodeState]:
        """Read a token's way through the pipeline."""
        return self._reader.many(NodeState, token_id=token_id)

    def get_node_states_for_tokens(self, run_id: str, token_ids: Sequence[str]) -> list[NodeState]:
        """Read the way of many tokens of a run through the pipeline."""
        order = ("token_id", "step_index", "attempt")
        return self._reader.many_by_keys(
            NodeState, "token_id", token_ids, run_id=run_id, order=order
        )

    def get_all_node_states_for_run(self, run_id: str) -> list[NodeState]:
        """Read the node states of a run, by token."""
        order = ("token_id", "step_index", "attempt")
        return self._reader.many(NodeState, run_id=run_id, order=order)

    def get_routing_events(self, state_id: str) -> list[RoutingEvent]:
        """Read where a token went after a node."""
        return self._reader.many(RoutingEvent, state_id=state_id)

    def get_routing_events_for_states(self, state_ids: Sequence[str]) -> list[RoutingEvent]:
        """Read where tokens went after many nodes, by step."""
        return self._reader.many_by_keys(RoutingEvent, "state_id", state_ids, order=_by_step)

    def get_all_routing_events_for_run(self, run_id: str) -> list[RoutingEvent]:
        """Read where the tokens of a run went, by step."""
        return self._reader.many(RoutingEvent, run_id=run_id, order=_by_step)

    def get_calls(self, state_id: str) -> list[Call]:
        """Read the calls made for a node state."""
        return self._reader.many(Call, state_id=state_id)

    def get_calls_for_states(self, state_ids: Sequence[str]) -> list[Call]:
        """Read the calls made for many node states, by step."""
        return self._reader.many_by_keys(Call, "state_id", state_ids, order=_by_step)

    def get_all_calls_for_run(self, run_id: str) -> list[Call]:
        """Read the calls made for the node states of a run, by step."""
        return self._reader.many(Call, run_id=run_id, where=_of_states, order=_by_step)

    def find_call_by_request_hash(
        self,
        run_id: str,
        call_type: str | Enum,
        request_hash: str,
        *,
        sequence_index: int = 0,
    ) -> Call | None:
        """Read a call of a run's node states by what was asked.

        Args:
            run_id: The run.
            call_type: The kind of call.
            request_hash: The hash of the request.
            sequence_index: Which one of several, counted from 0 in the order they were made.
        """
        return self._reader.one(
            Call,
            run_id=run_id,
            where=_of_states,
            order=("created_at",),
            offset=sequence_index,
            **_given(call_type=call_type, request_hash=request_hash),
        )

    def get_scheduler_events(
        self, *, run_id: str, token_id: str | None = None, work_item_id: str | None = None
    ) -> list[SchedulerEvent]:
        """Read what the scheduler did, in order.

        Args:
            run_id: The run.
            token_id: The token it was done for.
            work_item_id: The piece of work it was done with.
        """
        wanted = _given(token_id=token_id, work_item_id=work_item_id)
        return self._reader.many(SchedulerEvent, run_id=run_id, **wanted)

    def get_scheduler_events_for_tokens(
        self, run_id: str, token_ids: Sequence[str]
    ) -> list[SchedulerEvent]:
        """Read what the scheduler did with many tokens of a run."""
        return self._reader.many_by_keys(SchedulerEvent, "token_id", token_ids, run_id=run_id)

    def list_coalesce_branch_losses(self, *, run_id: str) -> list[CoalesceBranchLoss]:
        """Read which branches of a run will not reach their coalesce."""
        return self._reader.many(CoalesceBranchLoss, run_id=run_id)

    # Operations, batches, artifacts -------------------------------------------------------

    def get_operation(self, operation_id: str) -> Operation | Absent | None:
        """Read an operation."""
        return self._reader.one_or_absent(Operation, operation_id=operation_id)

    def get_operations_for_run(self, run_id: str) -> list[Operation]:
        """Read the operations of a run, in the order in which they began."""
        return self._reader.many(Operation, run_id=run_id)

    def get_operation_calls(self, operation_id: str) -> list[Call]:
        """Read the calls made for an operation."""
        return self._reader.many(Call, operation_id=operation_id)

    def get_all_operation_calls_for_run(self, run_id: str) -> list[Call]:
        """Read the calls made for the operations of a run, by operation."""
        if self.is_absent("calls.operation_id"):
            return AbsentRecords("calls.operation_id")
        return self._reader.many(
            Call, run_id=run_id, where=_of_operations, order=("operation_id", "call_index")
        )

    def get_batch(self, batch_id: str) -> Batch | Absent | None:
        """Read a batch."""
        return self._reader.one_or_absent(Batch, batch_id=batch_id)

    def get_batches(
        self, run_id: str, *, status: str | Enum | None = None, node_id: str | None = None
    ) -> list[Batch]:
        """Read the batches of a run, in the order in which they were made.

        Args:
            run_id: The run.
            status: The status they must have.
            node_id: The aggregation they must belong to.
        """
        wanted = _given(status=status, aggregation_node_id=node_id)
        return self._reader.many(Batch, run_id=run_id, **wanted)

    def get_incomplete_batches(self, run_id: str) -> list[Batch]:
        """Read the batches of a run that were begun and not completed."""
        return self._reader.many(Batch, run_id=run_id, status=_INCOMPLETE)

    def get_batch_members(self, batch_id: str) -> list[BatchMember]:
        """Read the tokens of a batch, in order."""
        return self._reader.many(BatchMember, batch_id=batch_id)

    def get_all_batch_members_for_run(self, run_id: str) -> list[BatchMember]:
        """Read the tokens of all batches of a run, by batch."""
        return self._reader.many(BatchMember, run_id=run_id, order=("batch_id", "ordinal"))

    def get_artifacts(self, run_id: str, *, sink_node_id: str | None = None) -> list[Artifact]:
        """Read what a run produced.

        Args:
            run_id: The run.
            sink_node_id: The sink that produced it.
        """
        return self._reader.many(Artifact, run_id=run_id, **_given(sink_node_id=sink_node_id))

    # Errors -------------------------------------------------------------------------------

    def get_validation_errors_for_run(self, run_id: str) -> list[ValidationError]:
        """Read the rows of a run that were refused."""
        return self._reader.many(ValidationError, run_id=run_id)

    def get_validation_errors_for_row(
        self, run_id: str, row_hash: str | None = None, *, row_id: str | None = None
    ) -> list[ValidationError]:
        """Read why a row was refused.

        Args:
            run_id: The run.
            row_hash: The hash of the row's data; asked for where `row_id` finds nothing.
            row_id: The row's id, which is recorded since 2026-04-21.

        Raises:
            ValueError: Neither is given.
        """
        if row_id is None and row_hash is None:
            raise ValueError("Give the row's id, or the hash of its data.")
        found: list[ValidationError] = []
        if row_id is not None:
            found = self._reader.many(ValidationError, run_id=run_id, row_id=row_id)
        if found or row_hash is None:
            return found
        return self._reader.many(ValidationError, run_id=run_id, row_hash=row_hash)

    def get_transform_errors_for_run(self, run_id: str) -> list[TransformError]:
        """Read what transforms of a run could not process."""
        return self._reader.many(TransformError, run_id=run_id)

    def get_transform_errors_for_token(self, token_id: str) -> list[TransformError]:
        """Read which transforms could not process a token."""
        return self._reader.many(TransformError, token_id=token_id)

    # Sink effects -------------------------------------------------------------------------

    def get_sink_effect_streams_for_run(self, run_id: str) -> list[SinkEffectStream]:
        """Read the streams of effects of a run's sinks."""
        return self._reader.many(SinkEffectStream, run_id=run_id)

    def get_sink_effects_for_run(self, run_id: str) -> list[SinkEffect]:
        """Read the effects of a run's sinks, by stream."""
        return self._reader.many(SinkEffect, run_id=run_id)

    def get_sink_effect_members_for_run(self, run_id: str) -> list[SinkEffectMember]:
        """Read which tokens had a part in the effects of a run's sinks, by effect."""
        return self._reader.many(SinkEffectMember, run_id=run_id)

    def get_sink_effect_attempts_for_run(self, run_id: str) -> list[SinkEffectAttempt]:
        """Read the attempts to carry out the effects of a run's sinks, by effect."""
        return self._reader.many(SinkEffectAttempt, run_id=run_id)


def _given(**values: object) -> dict[str, Any]:
    """Keep the values that are given, those of enums as what is stored for them."""
    return {
        name: value.value if isinstance(value, Enum) else value
        for name, value in values.items()
        if value is not None
    }


def _latest_first(_: StoredSchema, runs: StoredTable) -> list[ColumnElement[Any]]:
    started = runs.column("started_at")
    return [*([] if started is None else [started.desc()]), *runs.order("run_id")]


def _final_first(_: StoredSchema, outcomes: StoredTable) -> list[ColumnElement[Any]]:
    # The same flag, under the name that it had until 2026-05-05 and the one it has had since.
    names = ("completed", "is_terminal", "recorded_at")
    found = [column for name in names if (column := outcomes.column(name)) is not None]
    return [*(column.desc() for column in found), *outcomes.order("outcome_id")]


def _by_step(schema: StoredSchema, table: StoredTable) -> list[ColumnElement[Any]]:
    """Sort what belongs to node states by the states, and then in the host's order."""
    states = schema.table(NodeState.TABLE)
    terms: list[ColumnElement[Any]] = []
    if states is not None:
        for name in ("step_index", "attempt"):
            of_state = select(states.get(name)).correlate(table.clause)
            same = states.get("state_id") == table.get("state_id")
            terms.append(of_state.where(same).scalar_subquery())
    return [*terms, table.get("state_id"), *table.order()]


def _of_states(_: StoredSchema, calls: StoredTable) -> list[ColumnElement[Any]]:
    return [calls.get("state_id").is_not(None)]


def _of_operations(_: StoredSchema, calls: StoredTable) -> list[ColumnElement[Any]]:
    return [calls.get("operation_id").is_not(None)]
