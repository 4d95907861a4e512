"""What a page shows of a database, read in one go; nothing in it knows of HTML."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, literal, select

from landscape_compat.engine.report import SchemaReport
from landscape_compat.errors import LandscapeCompatError, RunNotFoundError, printable
from landscape_compat.landscape.database import Landscape
from landscape_compat.landscape.recorder import ReadOnlyRecorder
from landscape_compat.landscape.records import (
    Edge,
    Node,
    NodeState,
    Row,
    Run,
    Token,
    TokenOutcome,
    TokenParent,
)
from landscape_compat.landscape.stored import StoredSchema, read

__all__ = ["Lineage", "PageFacts", "RunGraph", "gather"]

_MOST_TOKENS = 80


@dataclass(frozen=True, slots=True)
class RunGraph:
    """One run's pipeline, and what went through it.

    Args:
        run: The run.
        nodes: Its nodes.
        edges: Its edges.
        visits: How many states each node has, by their status.
        routed: How many routing events each edge has.
        routing_is_stored: Whether the database has a place for routing events at all.
    """

    run: Run
    nodes: Sequence[Node]
    edges: Sequence[Edge]
    visits: Mapping[str, Mapping[str, int]]
    routed: Mapping[str, int]
    routing_is_stored: bool


@dataclass(frozen=True, slots=True)
class Lineage:
    """What became of one row.

    Args:
        row: The row.
        tokens: Its tokens, the first ones first.
        more: How many further tokens it has.
        parents: Which token came of which.
        states: The visits of each token.
        outcomes: The outcomes of each token.
        outcomes_are_stored: Whether the database has a place for outcomes at all.
    """

    row: Row
    tokens: Sequence[Token]
    more: int
    parents: Sequence[TokenParent]
    states: Mapping[str, Sequence[NodeState]]
    outcomes: Mapping[str, Sequence[TokenOutcome]]
    outcomes_are_stored: bool


@dataclass(frozen=True, slots=True)
class PageFacts:
    """All that a page shows.

    Args:
        report: What the database is and lacks.
        digests: The digest of each of its files, by name; none for a server's database.
        counts: How many rows each stored table has.
        runs: The runs, the latest first.
        graph: One run's graph; None if there is no run.
        lineage: One row's lineage; None if the run has no row.
    """

    report: SchemaReport
    digests: Mapping[str, str]
    counts: Mapping[str, int]
    runs: Sequence[Run]
    graph: RunGraph | None
    lineage: Lineage | None


def gather(
    db: Landscape,
    *,
    run_id: str | None = None,
    row_id: str | None = None,
    digests: Mapping[str, str] | None = None,
) -> PageFacts:
    """Read what a page shows.

    Args:
        db: The database.
        run_id: The run whose graph is shown; the latest if not given.
        row_id: The row whose lineage is shown; that of the run with the most tokens if not given.
        digests: The digest of each of the database's files, by name.

    Raises:
        RunNotFoundError: The database holds no such run.
        LandscapeCompatError: The run holds no such row.
    """
    recorder = ReadOnlyRecorder(db)
    runs = recorder.list_runs()
    run = _chosen(runs, run_id)
    with db.connection() as connection:
        schema = StoredSchema(db.stored, connection.dialect.name)
        counts = dict(_counts(connection, schema))
        graph = _graph(connection, schema, recorder, run) if run else None
        row = _row(connection, schema, recorder, run, row_id) if run else None
    lineage = _lineage(recorder, row) if row else None
    return PageFacts(db.report(), dict(digests or {}), counts, runs, graph, lineage)


def _chosen(runs: Sequence[Run], run_id: str | None) -> Run | None:
    if run_id is None:
        return runs[0] if runs else None
    for run in runs:
        if run.run_id == run_id:
            return run
    raise RunNotFoundError(
        f"The database holds no run {printable(run_id)!r}, so there is no graph of it.",
        table="runs",
        remedy="Give one of the runs that the page shows without --run.",
    )


def _counts(connection: Connection, schema: StoredSchema) -> Iterator[tuple[str, int]]:
    for table in schema:
        statement = select(func.count()).select_from(table.clause)
        yield table.name, next(read(connection, statement, table=table.name))[0]


def _graph(
    connection: Connection, schema: StoredSchema, recorder: ReadOnlyRecorder, run: Run
) -> RunGraph:
    visits: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for node, status, number in _grouped(connection, schema, run, "node_states", "node_id status"):
        visits[str(node)][str(status)] = number
    events = schema.table("routing_events")
    return RunGraph(
        run=run,
        nodes=recorder.get_nodes(run.run_id),
        edges=recorder.get_edges(run.run_id),
        visits=visits,
        routed={
            str(edge): number
            for edge, number in _grouped(connection, schema, run, "routing_events", "edge_id")
        },
        routing_is_stored=events is not None and events.column("edge_id") is not None,
    )


def _grouped(
    connection: Connection, schema: StoredSchema, run: Run, name: str, by: str
) -> Iterator[Any]:
    """Count the rows of a table that belong to a run, by columns; nothing if one is absent."""
    table = schema.table(name)
    if table is None or any(table.column(column) is None for column in by.split()):
        return
    columns = [table.get(column) for column in by.split()]
    statement = select(*columns, func.count()).select_from(table.clause)
    reached = schema.of_run(table, literal(run.run_id))
    yield from read(connection, statement.where(reached).group_by(*columns), table=name)


def _row(
    connection: Connection,
    schema: StoredSchema,
    recorder: ReadOnlyRecorder,
    run: Run,
    row_id: str | None,
) -> Row | None:
    if row_id is not None:
        row = recorder.get_row(row_id)
        if row is None or row.run_id != run.run_id:
            raise LandscapeCompatError(
                f"The run holds no row {printable(row_id)!r}.",
                table="rows",
                remedy="Check the row's id; it is that of the record, not its number.",
            )
        return row
    most = max(
        _grouped(connection, schema, run, "tokens", "row_id"),
        key=lambda found: found[1],
        default=None,
    )
    return recorder.get_row(most[0]) if most else None


def _lineage(recorder: ReadOnlyRecorder, row: Row) -> Lineage:
    found = recorder.get_tokens(row.row_id)
    tokens = found[:_MOST_TOKENS]
    names = [token.token_id for token in tokens]
    states: defaultdict[str, list[NodeState]] = defaultdict(list)
    for state in recorder.get_node_states_for_tokens(row.run_id, names):
        states[state.token_id].append(state)
    outcomes: defaultdict[str, list[TokenOutcome]] = defaultdict(list)
    for outcome in recorder.get_token_outcomes_for_tokens(row.run_id, names):
        outcomes[outcome.token_id].append(outcome)
    return Lineage(
        row=row,
        tokens=tokens,
        more=len(found) - len(tokens),
        parents=recorder.get_token_parents_for_tokens(names),
        states=states,
        outcomes=outcomes,
        outcomes_are_stored=not recorder.is_absent("token_outcomes"),
    )
