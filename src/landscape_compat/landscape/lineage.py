"""Lineage: what became of a row or a token, as a tree of stored records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar

from landscape_compat.errors import (
    LandscapeCompatError,
    RunNotFoundError,
    UnreadableError,
    printable,
)
from landscape_compat.landscape.absent import ABSENT
from landscape_compat.landscape.database import Landscape
from landscape_compat.landscape.moments import in_utc
from landscape_compat.landscape.reading import AbsentRecords, Reader
from landscape_compat.landscape.records import (
    Artifact,
    Batch,
    BatchMember,
    Call,
    Edge,
    Node,
    NodeState,
    Record,
    RoutingEvent,
    Row,
    Run,
    Token,
    TokenOutcome,
    TokenParent,
    TransformError,
    ValidationError,
)

__all__ = ["Lineage", "explain"]

RecordT = TypeVar("RecordT", bound=Record)
# The largest number of a column of integers.
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Lineage:
    """One record, and what is below it.

    Args:
        kind: What it is: `run`, `row`, `token`, `node_state` and so on.
        record: The record; None where the database has no place for such a record.
        below: What belongs to it.
        note: What is to be known of it besides.
        looked_up: What its references name, from other records: the plugin of a node, say.
    """

    kind: str
    record: Record | None
    below: tuple[Lineage, ...] = field(default=(), repr=False)
    note: str = ""
    looked_up: Mapping[str, Any] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, Any]:
        """Give the values that the database holds, NULL among them."""
        return {name: value for name, value in self._values() if value is not ABSENT}

    @property
    def absent(self) -> tuple[str, ...]:
        """Name the columns that the database does not hold."""
        return tuple(name for name, value in self._values() if value is ABSENT)

    def to_dict(self) -> dict[str, Any]:
        """Give the tree as plain JSON values."""
        told = self._told()
        # No call within a call, here and below: tokens can come of each other more often than
        # Python's calls go deep.
        waiting = [(self, told)]
        while waiting:
            above, into = waiting.pop()
            below = [(child, child._told()) for child in above.below]
            into["below"] = [facts for _, facts in below]
            waiting += below
        return told

    def _told(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "facts": {name: _plain(value) for name, value in self.facts.items()},
            "absent": list(self.absent) if self.record else [self.kind],
            "looked_up": {name: _plain(value) for name, value in self.looked_up.items()},
            "note": self.note,
        }

    def _values(self) -> Iterator[tuple[str, Any]]:
        if self.record is not None:
            for one in fields(self.record):
                yield one.name, getattr(self.record, one.name)


def explain(
    db: Landscape, run_id: str, *, row: str | int | None = None, token: str | None = None
) -> Lineage:
    """Tell what became of a row or a token of a run, or what the run was, as it is stored.

    A token that came of others lies below the first of them. Nothing is derived: what the
    database has no place for is marked as absent.

    Args:
        db: The database.
        run_id: The run; `latest` for the one that began last.
        row: A row's id, or its index in the run.
        token: A token's id; what it was made of, and what was made of it, is told too.

    Returns:
        The run, with what was asked for below it.

    Raises:
        RunNotFoundError: There is no such run.
        LandscapeCompatError: The run has no such row or token.
        UnreadableError: What is needed to find it is not stored; of `latest`, when each of
            several runs began.
    """
    reader = Reader(db)
    run = _run(reader, run_id)
    family = _Family(reader, run.run_id)
    if token is not None:
        below = family.of_token(token)
    elif row is not None:
        below = family.of_row(row)
    else:
        below = tuple(Lineage("node", node) for node in family.nodes.values())
    return Lineage("run", run, below)


def _run(reader: Reader, run_id: str) -> Run:
    if run_id == "latest":
        runs = reader.many(Run)
        if len(runs) == 1:
            return runs[0]
        if runs:
            return max(runs, key=lambda run: (_beginning(run), run.run_id))
    found = reader.one(Run, run_id=run_id)
    if found is None:
        raise RunNotFoundError(
            f"There is no run {printable(run_id)!r} in this database.",
            table="runs",
            remedy="Ask for `latest`; `export -o - --table runs` gives the runs.",
        )
    return found


def _beginning(run: Run) -> datetime:
    if isinstance(run.started_at, datetime):
        return in_utc(run.started_at)
    raise UnreadableError(
        f"When the run {printable(run.run_id)} began is not stored, so which run is the latest "
        "cannot be told.",
        table="runs",
        column="started_at",
        remedy="Name the run by its id; `export -o - --table runs` gives the runs.",
    )


class _Family:
    """The tokens that come of each other, with all that was recorded of them."""

    def __init__(self, reader: Reader, run_id: str) -> None:
        self._reader = reader
        self._run_id = run_id
        self.nodes = {node.node_id: node for node in reader.many(Node, run_id=run_id)}
        self._edges = {edge.edge_id: edge for edge in reader.many(Edge, run_id=run_id)}
        self._tokens: dict[str, Token] = {}
        self._up: dict[str, dict[str, None]] = {}
        self._down: dict[str, dict[str, None]] = {}
        self._shown: set[str] = set()

    def of_row(self, wanted: str | int) -> tuple[Lineage, ...]:
        row = self._row(wanted)
        own = self._reader.many(Token, row_id=row.row_id)
        self._take(own)
        self._follow([t.token_id for t in own], "parent_token_id", "token_id")
        self._link()
        errors = self._reader.many(ValidationError, run_id=self._run_id, row_id=row.row_id)
        roots = [t.token_id for t in own if not self._parents_of(t.token_id)]
        below = (*_listed("validation_error", errors), *self._trees(roots or list(self._tokens)))
        return (Lineage("row", row, below, looked_up=self._plugin(row.source_node_id)),)

    def of_token(self, token_id: str) -> tuple[Lineage, ...]:
        token = self._reader.one(Token, run_id=self._run_id, token_id=token_id)
        if token is None:
            raise LandscapeCompatError(
                f"The run has no token {printable(token_id)!r}.",
                table="tokens",
                remedy="See the tokens of a row by --row.",
            )
        self._take([token])
        self._follow([token_id], "parent_token_id", "token_id")
        self._follow([token_id], "token_id", "parent_token_id")
        self._link()
        roots = [t for t in self._tokens if not self._parents_of(t)] or [token_id]
        row_ids = dict.fromkeys(self._tokens[root].row_id for root in roots)
        rows = {r.row_id: r for r in self._reader.many_by_keys(Row, "row_id", list(row_ids))}
        trees = dict(zip(roots, self._trees(roots), strict=True))
        return tuple(
            Lineage(
                "row",
                rows.get(row_id),
                tuple(tree for root, tree in trees.items() if self._tokens[root].row_id == row_id),
                note="" if row_id in rows else f"there is no row {printable(row_id)}",
                looked_up=self._plugin(rows[row_id].source_node_id) if row_id in rows else {},
            )
            for row_id in row_ids
        )

    def _row(self, wanted: str | int) -> Row:
        found = self._reader.one(Row, run_id=self._run_id, row_id=str(wanted))
        if found is None and (index := _index(wanted)) is not None:
            indexed = self._reader.many(Row, run_id=self._run_id, row_index=index, limit=2)
            if len(indexed) > 1:
                raise LandscapeCompatError(
                    f"Several rows of the run have the index {wanted}.",
                    table="rows",
                    remedy=f"Give a row's id: {', '.join(printable(r.row_id) for r in indexed)}.",
                )
            found = indexed[0] if indexed else None
        if found is None:
            raise LandscapeCompatError(
                f"The run has no row {printable(wanted)!r}, neither by id nor by index.",
                table="rows",
                remedy="See its rows by `export -o - --run`.",
            )
        return found

    # --- finding ----------------------------------------------------------------------------

    def _take(self, tokens: Iterable[Token]) -> None:
        self._tokens.update((token.token_id, token) for token in tokens)

    def _follow(self, start: Iterable[str], known: str, wanted: str) -> None:
        """Find the tokens that come of those known, or that those known come of, to the end."""
        new, seen = list(start), set(start)
        while new:
            links = self._reader.many_by_keys(TokenParent, known, new)
            names = dict.fromkeys(getattr(link, wanted) for link in links)
            new = [name for name in names if name not in seen]
            seen.update(new)
            missing = [name for name in new if name not in self._tokens]
            if missing:
                self._take(self._reader.many_by_keys(Token, "token_id", missing))

    def _link(self) -> None:
        """Find every parent of every token that was found, also those that were not."""
        for link in self._reader.many_by_keys(TokenParent, "token_id", list(self._tokens)):
            self._up.setdefault(link.token_id, {})[link.parent_token_id] = None
            self._down.setdefault(link.parent_token_id, {})[link.token_id] = None

    def _parents_of(self, token_id: str) -> list[str]:
        return [parent for parent in self._up.get(token_id, ()) if parent in self._tokens]

    # --- telling ----------------------------------------------------------------------------

    def _trees(self, roots: Sequence[str]) -> list[Lineage]:
        ids = list(self._tokens)
        reader = self._reader
        states = reader.many_by_keys(NodeState, "token_id", ids)
        state_ids = [state.state_id for state in states]
        members = reader.many_by_keys(BatchMember, "token_id", ids)
        batch_ids = [member.batch_id for member in members]
        batches = reader.many_by_keys(Batch, "batch_id", batch_ids) if batch_ids else []
        self._batches = {batch.batch_id: batch for batch in batches}
        self._of_token = {
            "node_state": _by(states, "token_id"),
            "transform_error": _by(
                reader.many_by_keys(TransformError, "token_id", ids), "token_id"
            ),
            "batch_member": _by(members, "token_id"),
            "token_outcome": _by(reader.many_by_keys(TokenOutcome, "token_id", ids), "token_id"),
        }
        self._of_state = {
            "call": _by(reader.many_by_keys(Call, "state_id", state_ids), "state_id"),
            "routing_event": _by(
                reader.many_by_keys(RoutingEvent, "state_id", state_ids), "state_id"
            ),
            "artifact": _by(
                reader.many_by_keys(Artifact, "produced_by_state_id", state_ids),
                "produced_by_state_id",
            ),
        }
        return self._grown(roots)

    def _grown(self, roots: Iterable[str]) -> list[Lineage]:
        trees = list[Lineage]()
        levels = [("", trees, iter(roots))]
        while levels:
            above, told, waiting = levels[-1]
            token_id = next(waiting, None)
            if token_id is None:
                levels.pop()
                if levels:
                    levels[-1][1].append(self._token(above, told))
            elif token_id in self._shown:
                told.append(Lineage("token", self._tokens[token_id], note="told above"))
            else:
                self._shown.add(token_id)
                own = [one for kind in self._of_token for one in self._records(token_id, kind)]
                children = [one for one in self._down.get(token_id, ()) if one in self._tokens]
                levels.append((token_id, own, iter(children)))
        return trees

    def _token(self, token_id: str, below: Iterable[Lineage]) -> Lineage:
        parents = len(self._up.get(token_id, ()))
        note = f"made of {parents} tokens" if parents > 1 else ""
        return Lineage("token", self._tokens[token_id], tuple(below), note)

    def _records(self, token_id: str, kind: str) -> Iterator[Lineage]:
        found = self._of_token[kind]
        if isinstance(found, str):
            yield _absent(kind, found)
            return
        for record in found.get(token_id, ()):
            below, looked_up = tuple[Lineage, ...](), dict[str, Any]()
            if isinstance(record, NodeState):
                below, looked_up = self._of(record), self._plugin(record.node_id)
            elif isinstance(record, TransformError):
                looked_up = self._plugin(record.transform_id)
            elif isinstance(record, BatchMember) and record.batch_id in self._batches:
                below = (Lineage("batch", self._batches[record.batch_id]),)
            yield Lineage(kind, record, below, looked_up=looked_up)

    def _of(self, state: NodeState) -> tuple[Lineage, ...]:
        below = list[Lineage]()
        for kind, found in self._of_state.items():
            if isinstance(found, str):
                below.append(_absent(kind, found))
                continue
            for record in found.get(state.state_id, ()):
                looked_up = {}
                if isinstance(record, RoutingEvent) and record.edge_id in self._edges:
                    edge = self._edges[str(record.edge_id)]
                    looked_up = {"label": edge.label, "to_node_id": edge.to_node_id}
                below.append(Lineage(kind, record, looked_up=looked_up))
        return tuple(below)

    def _plugin(self, node_id: object) -> dict[str, Any]:
        node = self.nodes.get(str(node_id))
        return {"plugin_name": node.plugin_name, "node_type": node.node_type} if node else {}


def _index(wanted: str | int) -> int | None:
    """Read a row's index; None for what is none, as a number that no database can hold."""
    text = str(wanted)
    if not text.isdecimal() or len(text) > len(str(_LARGEST)):
        return None
    return index if (index := int(text)) <= _LARGEST else None


def _by(records: list[RecordT], column: str) -> dict[str, list[Record]] | str:
    """Sort records by what they belong to; or name what is not stored."""
    if isinstance(records, AbsentRecords):
        return records.missing
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(str(getattr(record, column)), []).append(record)
    return found


def _listed(kind: str, records: list[RecordT]) -> Iterator[Lineage]:
    if isinstance(records, AbsentRecords):
        yield _absent(kind, records.missing)
        return
    for record in records:
        yield Lineage(kind, record)


def _absent(kind: str, missing: str) -> Lineage:
    return Lineage(kind, None, note=f"absent: the database does not hold {missing}")


def _plain(value: Any) -> Any:
    if value is ABSENT:
        return None
    return value.isoformat(" ") if isinstance(value, datetime) else value
