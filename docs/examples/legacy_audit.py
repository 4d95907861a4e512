"""Write an audit database as ELSPETH wrote it on 2026-01-18: 16 tables, 137 columns.

The schema is that of commit df2fa70fb. Newer readers declare columns that it lacks
(tokens.expand_group_id, node_states.run_id, rows.ingest_sequence, ...). Four runs are in it:
one that went well, one with errors of every kind, one that failed, one that was never finished.

    python3 legacy_audit.py audit.db
"""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

SCHEMA = """
CREATE TABLE runs (
    run_id VARCHAR(64) NOT NULL PRIMARY KEY,
    started_at DATETIME NOT NULL,
    completed_at DATETIME,
    config_hash VARCHAR(64) NOT NULL,
    settings_json TEXT NOT NULL,
    reproducibility_grade VARCHAR(32),
    canonical_version VARCHAR(64) NOT NULL,
    status VARCHAR(32) NOT NULL,
    export_status VARCHAR(32),
    export_error TEXT,
    exported_at DATETIME,
    export_format VARCHAR(16),
    export_sink VARCHAR(128)
);
CREATE TABLE nodes (
    node_id VARCHAR(64) NOT NULL PRIMARY KEY,
    run_id VARCHAR(64) NOT NULL REFERENCES runs,
    plugin_name VARCHAR(128) NOT NULL,
    node_type VARCHAR(32) NOT NULL,
    plugin_version VARCHAR(32) NOT NULL,
    determinism VARCHAR(32) NOT NULL,
    config_hash VARCHAR(64) NOT NULL,
    config_json TEXT NOT NULL,
    schema_hash VARCHAR(64),
    sequence_in_pipeline INTEGER,
    registered_at DATETIME NOT NULL,
    schema_mode VARCHAR(16),
    schema_fields_json TEXT
);
CREATE TABLE transform_errors (
    error_id VARCHAR(32) NOT NULL PRIMARY KEY,
    run_id VARCHAR(64) NOT NULL REFERENCES runs,
    token_id VARCHAR(64) NOT NULL,
    transform_id VARCHAR(64) NOT NULL,
    row_hash VARCHAR(64) NOT NULL,
    row_data_json TEXT,
    error_details_json TEXT,
    destination VARCHAR(255) NOT NULL,
    created_at DATETIME NOT NULL
);
CREATE TABLE validation_errors (
    error_id VARCHAR(32) NOT NULL PRIMARY KEY,
    run_id VARCHAR(64) NOT NULL REFERENCES runs,
    node_id VARCHAR(64),
    row_hash VARCHAR(64) NOT NULL,
    row_data_json TEXT,
    error TEXT NOT NULL,
    schema_mode VARCHAR(16) NOT NULL,
    destination VARCHAR(255) NOT NULL,
    created_at DATETIME NOT NULL
);
CREATE TABLE edges (
    edge_id VARCHAR(64) NOT NULL PRIMARY KEY,
    run_id VARCHAR(64) NOT NULL REFERENCES runs,
    from_node_id VARCHAR(64) NOT NULL REFERENCES nodes,
    to_node_id VARCHAR(64) NOT NULL REFERENCES nodes,
    label VARCHAR(64) NOT NULL,
    default_mode VARCHAR(16) NOT NULL,
    created_at DATETIME NOT NULL
);
CREATE TABLE rows (
    row_id VARCHAR(64) NOT NULL PRIMARY KEY,
    run_id VARCHAR(64) NOT NULL REFERENCES runs,
    source_node_id VARCHAR(64) NOT NULL REFERENCES nodes,
    row_index INTEGER NOT NULL,
    source_data_hash VARCHAR(64) NOT NULL,
    source_data_ref VARCHAR(256),
    created_at DATETIME NOT NULL
);
CREATE TABLE tokens (
    token_id VARCHAR(64) NOT NULL PRIMARY KEY,
    row_id VARCHAR(64) NOT NULL REFERENCES rows,
    fork_group_id VARCHAR(64),
    join_group_id VARCHAR(64),
    branch_name VARCHAR(64),
    step_in_pipeline INTEGER,
    created_at DATETIME NOT NULL
);
CREATE TABLE checkpoints (
    checkpoint_id VARCHAR(64) NOT NULL PRIMARY KEY,
    run_id VARCHAR(64) NOT NULL REFERENCES runs,
    token_id VARCHAR(64) NOT NULL REFERENCES tokens,
    node_id VARCHAR(64) NOT NULL REFERENCES nodes,
    sequence_number INTEGER NOT NULL,
    aggregation_state_json TEXT,
    created_at DATETIME NOT NULL
);
CREATE TABLE node_states (
    state_id VARCHAR(64) NOT NULL PRIMARY KEY,
    token_id VARCHAR(64) NOT NULL REFERENCES tokens,
    node_id VARCHAR(64) NOT NULL REFERENCES nodes,
    step_index INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    status VARCHAR(32) NOT NULL,
    input_hash VARCHAR(64) NOT NULL,
    output_hash VARCHAR(64),
    context_before_json TEXT,
    context_after_json TEXT,
    duration_ms FLOAT,
    error_json TEXT,
    started_at DATETIME NOT NULL,
    completed_at DATETIME
);
CREATE TABLE token_parents (
    token_id VARCHAR(64) NOT NULL REFERENCES tokens,
    parent_token_id VARCHAR(64) NOT NULL REFERENCES tokens,
    ordinal INTEGER NOT NULL,
    PRIMARY KEY (token_id, parent_token_id)
);
CREATE TABLE artifacts (
    artifact_id VARCHAR(64) NOT NULL PRIMARY KEY,
    run_id VARCHAR(64) NOT NULL REFERENCES runs,
    produced_by_state_id VARCHAR(64) NOT NULL REFERENCES node_states,
    sink_node_id VARCHAR(64) NOT NULL REFERENCES nodes,
    artifact_type VARCHAR(64) NOT NULL,
    path_or_uri VARCHAR(512) NOT NULL,
    content_hash VARCHAR(64) NOT NULL,
    size_bytes INTEGER NOT NULL,
    idempotency_key VARCHAR(256),
    created_at DATETIME NOT NULL
);
CREATE TABLE batches (
    batch_id VARCHAR(64) NOT NULL PRIMARY KEY,
    run_id VARCHAR(64) NOT NULL REFERENCES runs,
    aggregation_node_id VARCHAR(64) NOT NULL REFERENCES nodes,
    aggregation_state_id VARCHAR(64) REFERENCES node_states,
    trigger_reason VARCHAR(128),
    trigger_type VARCHAR(32),
    attempt INTEGER NOT NULL,
    status VARCHAR(32) NOT NULL,
    created_at DATETIME NOT NULL,
    completed_at DATETIME
);
CREATE TABLE calls (
    call_id VARCHAR(64) NOT NULL PRIMARY KEY,
    state_id VARCHAR(64) NOT NULL REFERENCES node_states,
    call_index INTEGER NOT NULL,
    call_type VARCHAR(32) NOT NULL,
    status VARCHAR(32) NOT NULL,
    request_hash VARCHAR(64) NOT NULL,
    request_ref VARCHAR(256),
    response_hash VARCHAR(64),
    response_ref VARCHAR(256),
    error_json TEXT,
    latency_ms FLOAT,
    created_at DATETIME NOT NULL
);
CREATE TABLE routing_events (
    event_id VARCHAR(64) NOT NULL PRIMARY KEY,
    state_id VARCHAR(64) NOT NULL REFERENCES node_states,
    edge_id VARCHAR(64) NOT NULL REFERENCES edges,
    routing_group_id VARCHAR(64) NOT NULL,
    ordinal INTEGER NOT NULL,
    mode VARCHAR(16) NOT NULL,
    reason_hash VARCHAR(64),
    reason_ref VARCHAR(256),
    created_at DATETIME NOT NULL
);
CREATE TABLE batch_members (
    batch_id VARCHAR(64) NOT NULL REFERENCES batches,
    token_id VARCHAR(64) NOT NULL REFERENCES tokens,
    ordinal INTEGER NOT NULL
);
CREATE TABLE batch_outputs (
    batch_output_id VARCHAR(64) NOT NULL PRIMARY KEY,
    batch_id VARCHAR(64) NOT NULL REFERENCES batches,
    output_type VARCHAR(32) NOT NULL,
    output_id VARCHAR(64) NOT NULL
);
"""

# Name, plugin, kind, determinism, place in the pipeline.
NODES = (
    ("source", "csv", "source", "io_read", 0),
    ("triage", "config_gate", "gate", "deterministic", 1),
    ("split", "config_gate", "gate", "deterministic", 2),
    ("normalise", "field_mapper", "transform", "deterministic", 3),
    ("assess", "llm_classifier", "transform", "external_call", 4),
    ("merge", "coalesce", "coalesce", "deterministic", 5),
    ("statistics", "batch_stats", "aggregation", "deterministic", 6),
    ("accepted", "csv", "sink", "io_write", None),
    ("rejected", "json", "sink", "io_write", None),
)

# From, to, label, whether the token moves or is copied.
EDGES = (
    ("source", "triage", "continue", "move"),
    ("triage", "split", "continue", "move"),
    ("triage", "rejected", "true", "move"),
    ("split", "normalise", "path_a", "copy"),
    ("split", "assess", "path_b", "copy"),
    ("normalise", "merge", "continue", "move"),
    ("assess", "merge", "continue", "move"),
    ("merge", "statistics", "continue", "move"),
    ("statistics", "accepted", "continue", "move"),
)

CUSTOMERS = (
    "Zo\u00eb",
    "O'Brien",
    "\u5f20\u4f1f",
    "Bj\u00f6rk",
    'Ana "Nan" Sousa',
    "\U0001f642",
    "Ng",
    "Smith",
)


class Recorder:
    """Insert rows into one run, with a clock that ticks and ids that look random."""

    def __init__(self, connection: sqlite3.Connection, name: str, started: datetime) -> None:
        self.connection = connection
        self.name = name
        self.clock = started
        self.count = 0
        self.run_id = self.new_id()
        self.nodes: dict[str, str] = {}
        self.edges: dict[tuple[str, str], str] = {}

    def new_id(self) -> str:
        self.count += 1
        return sha256(f"{self.name} {self.count}".encode()).hexdigest()[:32]

    def now(self) -> str:
        self.clock += timedelta(microseconds=7_919 + 37 * (self.count % 211))
        return f"{self.clock:%Y-%m-%d %H:%M:%S.%f}"

    def add(self, table: str, **values: object) -> None:
        columns = ", ".join(values)
        holes = ", ".join("?" * len(values))
        self.connection.execute(
            f"INSERT INTO {table} ({columns}) VALUES ({holes})", tuple(values.values())
        )

    def begin(self) -> None:
        settings = {
            "datasource": {"plugin": "csv"},
            "retry": {"max_attempts": 3},
            "name": self.name,
        }
        self.add(
            "runs",
            run_id=self.run_id,
            started_at=self.now(),
            config_hash=digest(settings),
            settings_json=canonical(settings),
            canonical_version="sha256-rfc8785-v1",
            status="running",
        )
        for name, plugin, kind, determinism, place in NODES:
            self.nodes[name] = f"{kind}_{name}_{self.new_id()[:8]}"
            config = {"name": name, "plugin": plugin}
            self.add(
                "nodes",
                node_id=self.nodes[name],
                run_id=self.run_id,
                plugin_name=plugin,
                node_type=kind,
                plugin_version="1.0.0",
                determinism=determinism,
                config_hash=digest(config),
                config_json=canonical(config),
                sequence_in_pipeline=place,
                registered_at=self.now(),
                schema_mode="dynamic",
            )
        for origin, target, label, mode in EDGES:
            self.edges[origin, target] = self.new_id()
            self.add(
                "edges",
                edge_id=self.edges[origin, target],
                run_id=self.run_id,
                from_node_id=self.nodes[origin],
                to_node_id=self.nodes[target],
                label=label,
                default_mode=mode,
                created_at=self.now(),
            )

    def end(self, status: str) -> None:
        self.connection.execute(
            "UPDATE runs SET status = ?, completed_at = ?, reproducibility_grade = ?,"
            " export_status = ?, export_format = ? WHERE run_id = ?",
            (status, self.now(), "replay_reproducible", "completed", "json", self.run_id),
        )

    def row(self, index: int, data: dict[str, object]) -> str:
        row_id = self.new_id()
        self.add(
            "rows",
            row_id=row_id,
            run_id=self.run_id,
            source_node_id=self.nodes["source"],
            row_index=index,
            source_data_hash=digest(data),
            source_data_ref=f"payload/{digest(data)[:12]}",
            created_at=self.now(),
        )
        return row_id

    def token(self, row_id: str, *parents: str, **values: object) -> str:
        token_id = self.new_id()
        self.add("tokens", token_id=token_id, row_id=row_id, created_at=self.now(), **values)
        for ordinal, parent in enumerate(parents):
            self.add("token_parents", token_id=token_id, parent_token_id=parent, ordinal=ordinal)
        return token_id

    def state(
        self,
        token_id: str,
        node: str,
        step: int,
        data: object,
        *,
        attempt: int = 0,
        status: str = "completed",
        error: object = None,
    ) -> str:
        state_id = self.new_id()
        done = status == "completed"
        self.add(
            "node_states",
            state_id=state_id,
            token_id=token_id,
            node_id=self.nodes[node],
            step_index=step,
            attempt=attempt,
            status=status,
            input_hash=digest(data),
            output_hash=digest([node, data]) if done else None,
            context_before_json=canonical({"step": step}),
            duration_ms=0.1 + 0.2 + self.count / 7,
            error_json=None if error is None else canonical(error),
            started_at=self.now(),
            completed_at=None if status == "open" else self.now(),
        )
        return state_id

    def route(self, state_id: str, *edges: tuple[str, str], mode: str = "move") -> None:
        group = self.new_id()
        for ordinal, edge in enumerate(edges):
            self.add(
                "routing_events",
                event_id=self.new_id(),
                state_id=state_id,
                edge_id=self.edges[edge],
                routing_group_id=group,
                ordinal=ordinal,
                mode=mode,
                reason_hash=digest(edge),
                created_at=self.now(),
            )

    def call(self, state_id: str, index: int, prompt: str, error: object = None) -> None:
        self.add(
            "calls",
            call_id=self.new_id(),
            state_id=state_id,
            call_index=index,
            call_type="llm",
            status="success" if error is None else "error",
            request_hash=digest(prompt),
            request_ref=f"payload/{digest(prompt)[:12]}",
            response_hash=digest([prompt, "answer"]) if error is None else None,
            error_json=None if error is None else canonical(error),
            latency_ms=412.75 + self.count / 3,
            created_at=self.now(),
        )

    def artifact(self, state_id: str, sink: str) -> None:
        self.add(
            "artifacts",
            artifact_id=self.new_id(),
            run_id=self.run_id,
            produced_by_state_id=state_id,
            sink_node_id=self.nodes[sink],
            artifact_type="file",
            path_or_uri=f"file://output/{sink}.csv",
            content_hash=digest(sink),
            size_bytes=2**33 + self.count,
            created_at=self.now(),
        )

    def batch(self, tokens: list[str], *, status: str, trigger: str | None = None) -> str:
        batch_id = self.new_id()
        self.add(
            "batches",
            batch_id=batch_id,
            run_id=self.run_id,
            aggregation_node_id=self.nodes["statistics"],
            trigger_reason="4 rows" if trigger else None,
            trigger_type=trigger,
            attempt=0,
            status=status,
            created_at=self.now(),
            completed_at=self.now() if status == "completed" else None,
        )
        for ordinal, token_id in enumerate(tokens):
            self.add("batch_members", batch_id=batch_id, token_id=token_id, ordinal=ordinal)
        return batch_id


def build(path: Path) -> list[str]:
    """Write the database and name its runs, in the order in which they began."""
    if path.exists():
        raise FileExistsError(path)
    run_ids = []
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SCHEMA)
        connection.execute("PRAGMA foreign_keys = ON")
        for number, (name, write) in enumerate(
            (("good", good), ("errors", errors), ("failed", failed), ("unfinished", unfinished))
        ):
            started = datetime(2026, 1, 18, 9 + 2 * number, 30)  # noqa: DTZ001 - stored without a zone
            recorder = Recorder(connection, name, started)
            recorder.begin()
            write(recorder)
            run_ids.append(recorder.run_id)
    return run_ids


def good(run: Recorder) -> None:
    """Fork every customer, merge the branches again, and aggregate in batches of four."""
    merged = [flow(run, index) for index in range(len(CUSTOMERS))]
    for start in (0, 4):
        aggregate(run, merged[start : start + 4])
    run.end("completed")


def errors(run: Recorder) -> None:
    """Meet errors that a pipeline survives: bad input, a failed call, a failed transform."""
    for line in ('{"amount": "twelve"}', "not even JSON: \u00fc\t'"):
        run.add(
            "validation_errors",
            error_id=run.new_id(),
            run_id=run.run_id,
            node_id=run.nodes["source"],
            row_hash=digest(line),
            row_data_json=canonical(line),
            error="amount: expected a number",
            schema_mode="strict",
            destination="discard",
            created_at=run.now(),
        )
    merged = [flow(run, 0, retries=2), flow(run, 1)]
    row_id, data = run.row(2, customer(2)), customer(2)
    token_id = run.token(row_id)
    gate = run.state(token_id, "triage", 1, data)
    run.route(gate, ("triage", "rejected"))
    run.add(
        "transform_errors",
        error_id=run.new_id(),
        run_id=run.run_id,
        token_id=token_id,
        transform_id=run.nodes["normalise"],
        row_hash=digest(data),
        row_data_json=canonical(data),
        error_details_json=canonical({"field": "amount", "reason": "division by zero"}),
        destination="rejected",
        created_at=run.now(),
    )
    run.artifact(run.state(token_id, "rejected", 2, data), "rejected")
    aggregate(run, merged)
    run.end("completed")


def failed(run: Recorder) -> None:
    """Fail for good at the fourth attempt of a call, with a batch still open."""
    merged = [flow(run, 0)]
    run.batch(merged, status="draft")
    token_id = run.token(run.row(1, customer(1)), step_in_pipeline=4)
    error = {"type": "RateLimitError", "message": "429: slow down", "retryable": True}
    for attempt in range(4):
        state = run.state(
            token_id, "assess", 4, customer(1), attempt=attempt, status="failed", error=error
        )
        run.call(state, 0, "assess O'Brien", error)
    run.end("failed")


def unfinished(run: Recorder) -> None:
    """Stop in the middle, as after a power cut: a state left open, and a checkpoint."""
    token_id = flow(run, 0)
    run.batch([token_id], status="executing", trigger="count")
    run.add(
        "checkpoints",
        checkpoint_id=run.new_id(),
        run_id=run.run_id,
        token_id=token_id,
        node_id=run.nodes["statistics"],
        sequence_number=1,
        aggregation_state_json=canonical({"count": 1}),
        created_at=run.now(),
    )
    run.state(run.token(run.row(1, customer(1))), "triage", 1, customer(1), status="open")


def flow(run: Recorder, index: int, retries: int = 0) -> str:
    """Take one row through the gate and the fork to the token that its branches merge into."""
    data = customer(index)
    row_id = run.row(index, data)
    first = run.token(row_id)
    run.route(run.state(first, "triage", 1, data), ("triage", "split"))
    fork = run.state(first, "split", 2, data)
    run.route(fork, ("split", "normalise"), ("split", "assess"), mode="copy")
    group = run.new_id()
    left = run.token(row_id, first, fork_group_id=group, branch_name="path_a", step_in_pipeline=2)
    right = run.token(row_id, first, fork_group_id=group, branch_name="path_b", step_in_pipeline=2)
    run.state(left, "normalise", 3, data)
    error = {"type": "TimeoutError", "message": "no answer in 30 s", "retryable": True}
    for attempt in range(retries):
        state = run.state(right, "assess", 4, data, attempt=attempt, status="failed", error=error)
        run.call(state, 0, f"assess {data['name']}", error)
    state = run.state(right, "assess", 4, data, attempt=retries)
    run.call(state, 0, f"assess {data['name']}")
    run.call(state, 1, f"explain {data['name']}")
    return run.token(row_id, left, right, join_group_id=run.new_id(), step_in_pipeline=5)


def aggregate(run: Recorder, tokens: list[str]) -> None:
    """Put tokens into one batch and write its result."""
    batch_id = run.batch(tokens, status="completed", trigger="count")
    for token_id in tokens:
        run.state(token_id, "statistics", 6, token_id)
    artifact = run.state(tokens[-1], "accepted", 7, tokens)
    run.artifact(artifact, "accepted")
    run.add(
        "batch_outputs",
        batch_output_id=run.new_id(),
        batch_id=batch_id,
        output_type="token",
        output_id=tokens[-1],
    )


def customer(index: int) -> dict[str, object]:
    """Make up the data of one source row."""
    return {"name": CUSTOMERS[index], "amount": round(19.99 * (index + 1), 2), "note": ""}


def canonical(value: object) -> str:
    """Write JSON as short as it goes, keys sorted."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: object) -> str:
    """Hash a value by its JSON."""
    return sha256(canonical(value).encode()).hexdigest()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python3 legacy_audit.py NEW_DATABASE")
    if Path(sys.argv[1]).exists():
        sys.exit(f"{sys.argv[1]} exists already, and was left as it is.")
    print(*build(Path(sys.argv[1])), sep="\n")
