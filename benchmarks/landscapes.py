"""An audit database of any size, as ELSPETH of January 2026 laid it out; the same every time.

For each source row there are about 8.9 records: the row, 1.2 tokens, 0.2 of their parents, 3.6
node states, 0.72 routing events, 1.08 calls, 1.1 batch members, a batch and an artifact for every
hundred rows. Keys are random, durations have all their digits, and some texts are not ASCII.

    python benchmarks/landscapes.py audit.db 100000
"""

from __future__ import annotations

import argparse
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool

from landscape_compat.landscape.history import shape_named
from landscape_compat.landscape.metadata import metadata_of

__all__ = ["INDEXES", "SHAPE", "make_landscape"]

SHAPE = "2026-01-18/df2fa70fb"
_RUN = "0" * 32
_BEGAN = datetime(2026, 1, 18, 9)  # noqa: DTZ001 - stored as it is written
# The host's own; a known shape has no indexes.
INDEXES = """
CREATE INDEX ix_rows_run_id ON rows (run_id);
CREATE UNIQUE INDEX u_rows ON rows (run_id, row_index);
CREATE INDEX ix_tokens_row_id ON tokens (row_id);
CREATE INDEX ix_token_parents_parent ON token_parents (parent_token_id);
CREATE UNIQUE INDEX u_token_parents ON token_parents (token_id, ordinal);
CREATE INDEX ix_node_states_token ON node_states (token_id);
CREATE INDEX ix_node_states_node ON node_states (node_id);
CREATE UNIQUE INDEX u_node_states_node ON node_states (token_id, node_id, attempt);
CREATE UNIQUE INDEX u_node_states_step ON node_states (token_id, step_index, attempt);
CREATE INDEX ix_routing_events_state ON routing_events (state_id);
CREATE UNIQUE INDEX u_routing_events ON routing_events (routing_group_id, ordinal);
CREATE INDEX ix_calls_state ON calls (state_id);
CREATE UNIQUE INDEX u_calls ON calls (state_id, call_index);
CREATE INDEX ix_batch_members_batch ON batch_members (batch_id);
CREATE UNIQUE INDEX u_batch_members ON batch_members (batch_id, ordinal);
CREATE INDEX ix_artifacts_run ON artifacts (run_id);
CREATE INDEX ix_nodes_run_id ON nodes (run_id);
CREATE INDEX ix_edges_run_id ON edges (run_id);
"""
_CHUNK = 2000


class _Maker:
    """Makes rows; the same numbers every time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._random = random.Random(0)
        self._connection = connection
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self.state = self.batch = ""
        self.ordinal = 0

    def key(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    def digest(self) -> str:
        return f"{self._random.getrandbits(256):064x}"

    def often(self, share: float) -> bool:
        return self._random.random() < share

    def number(self) -> float:
        return self._random.random() * 100

    def add(self, table: str, **row: Any) -> None:
        self._rows.setdefault(table, []).append(row)

    def write(self) -> None:
        for table, rows in self._rows.items():
            names = ", ".join(f'"{name}"' for name in rows[0])
            marks = ", ".join(f":{name}" for name in rows[0])
            statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"
            self._connection.executemany(statement, rows)
        self._rows.clear()


def make_landscape(path: Path, source_rows: int) -> int:
    """Write a database.

    Args:
        path: The file to make.
        source_rows: How many source rows its run has.

    Returns:
        How many rows all its tables have.
    """
    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)
    metadata_of(shape_named(SHAPE)).create_all(engine)
    engine.dispose()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + INDEXES)
        connection.execute("BEGIN")
        maker = _Maker(connection)
        nodes, edges = _structure(maker)
        for number in range(source_rows):
            _row(maker, number, nodes, edges)
            if number % _CHUNK == _CHUNK - 1:
                maker.write()
        maker.write()
        connection.execute("COMMIT")
        return sum(
            connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in _tables(connection)
        )


def _tables(connection: sqlite3.Connection) -> Iterator[str]:
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    yield from [name for (name,) in found]


def _at(number: int) -> str:
    return (_BEGAN + timedelta(microseconds=number * 1379)).isoformat(" ", "microseconds")


def _structure(maker: _Maker) -> tuple[list[str], list[str]]:
    """Make the run, eight nodes and eight edges."""
    maker.add(
        "runs",
        run_id=_RUN,
        started_at=_at(0),
        completed_at=_at(10**9),
        config_hash=maker.digest(),
        settings_json='{"source": {"plugin": "csv"}}',
        reproducibility_grade="full_reproducible",
        canonical_version="sha256-rfc8785-v1",
        status="completed",
    )
    nodes = [maker.key() for _ in range(8)]
    for at, node_id in enumerate(nodes):
        maker.add(
            "nodes",
            node_id=node_id,
            run_id=_RUN,
            plugin_name=f"plugin_{at}",
            node_type=("source", *["transform"] * 5, "sink", "sink")[at],
            plugin_version="1.0.0",
            determinism="deterministic",
            config_hash=maker.digest(),
            config_json="{}",
            sequence_in_pipeline=at,
            registered_at=_at(at),
        )
    edges = [maker.key() for _ in range(8)]
    for at, edge_id in enumerate(edges):
        maker.add(
            "edges",
            edge_id=edge_id,
            run_id=_RUN,
            from_node_id=nodes[at],
            to_node_id=nodes[(at + 1) % 8],
            label="continue",
            default_mode="move",
            created_at=_at(at),
        )
    return nodes, edges


def _row(maker: _Maker, number: int, nodes: list[str], edges: list[str]) -> None:
    row_id, at = maker.key(), number * 8
    maker.add(
        "rows",
        row_id=row_id,
        run_id=_RUN,
        source_node_id=nodes[0],
        row_index=number,
        source_data_hash=maker.digest(),
        source_data_ref=None,
        created_at=_at(at),
    )
    tokens = [_token(maker, row_id, at, nodes, edges, None)]
    if maker.often(0.2):
        tokens.append(_token(maker, row_id, at, nodes, edges, tokens[0]))
    if number % 100 == 0:
        maker.batch = maker.key()
        maker.add(
            "batches",
            batch_id=maker.batch,
            run_id=_RUN,
            aggregation_node_id=nodes[5],
            attempt=0,
            status="completed",
            trigger_type="count",
            created_at=_at(at),
            completed_at=_at(at + 7),
        )
        maker.ordinal = 0
        maker.add(
            "artifacts",
            artifact_id=maker.key(),
            run_id=_RUN,
            produced_by_state_id=maker.state,
            sink_node_id=nodes[6],
            artifact_type="csv",
            path_or_uri=f"output/part-{number}.csv",
            content_hash=maker.digest(),
            size_bytes=number,
            created_at=_at(at + 7),
        )
    for token_id in tokens if maker.often(0.92) else ():
        maker.add(
            "batch_members",
            batch_id=maker.batch,
            token_id=token_id,
            ordinal=maker.ordinal,
        )
        maker.ordinal += 1


def _token(
    maker: _Maker, row_id: str, at: int, nodes: list[str], edges: list[str], parent: str | None
) -> str:
    token_id = maker.key()
    maker.add(
        "tokens",
        token_id=token_id,
        row_id=row_id,
        fork_group_id=maker.key() if parent else None,
        join_group_id=None,
        branch_name="brânch" if parent else None,
        step_in_pipeline=1 if parent else None,
        created_at=_at(at + bool(parent)),
    )
    if parent:
        maker.add("token_parents", token_id=token_id, parent_token_id=parent, ordinal=0)
    for step in range(3):
        state_id = maker.key()
        maker.state = state_id
        failed = maker.often(0.02)
        maker.add(
            "node_states",
            state_id=state_id,
            token_id=token_id,
            node_id=nodes[step + 1],
            step_index=step,
            attempt=0,
            status="failed" if failed else "completed",
            input_hash=maker.digest(),
            output_hash=None if failed else maker.digest(),
            duration_ms=maker.number(),
            error_json='{"exception": "Wert außerhalb – “x”"}' if failed else None,
            started_at=_at(at + step),
            completed_at=_at(at + step + 1),
        )
        if maker.often(0.2):
            maker.add(
                "routing_events",
                event_id=maker.key(),
                state_id=state_id,
                edge_id=edges[step],
                routing_group_id=maker.key(),
                ordinal=0,
                mode="move",
                reason_hash=maker.digest(),
                created_at=_at(at + step),
            )
        if maker.often(0.3):
            maker.add(
                "calls",
                call_id=maker.key(),
                state_id=state_id,
                call_index=0,
                call_type="llm",
                status="success",
                request_hash=maker.digest(),
                response_hash=maker.digest(),
                latency_ms=maker.number(),
                created_at=_at(at + step),
            )
    return token_id


def main() -> None:
    """Write the database that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("source_rows", type=int)
    options = parser.parse_args()
    print(f"{make_landscape(options.path, options.source_rows)} rows")


if __name__ == "__main__":
    main()
