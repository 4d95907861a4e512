"""A stored row becomes a typed record, or an error that names the value that is none."""

from __future__ import annotations

from datetime import datetime

import pytest

from landscape_compat.errors import UnreadableError
from landscape_compat.landscape.absent import ABSENT
from landscape_compat.landscape.loading import RecordLoader
from landscape_compat.landscape.records import NodeState, Record, Run, TokenOutcome
from landscape_compat.landscape.stored import StoredTable
from landscape_compat.schema.shape import ColumnShape, TableShape

MOMENT = datetime.fromisoformat("2026-01-18T09:15:42.123456")


def loader(kind: type[Record], *columns: str) -> RecordLoader[Record]:
    shape = TableShape(kind.TABLE, tuple(ColumnShape(name, "TEXT") for name in columns))
    return RecordLoader(kind, StoredTable.of(shape, "sqlite"))


def test_only_the_columns_that_are_stored_and_known_are_asked_for() -> None:
    found = loader(Run, "future", "Status", "run_id")
    assert [column.name for column in found.columns] == ["run_id", "Status"]
    run = found.load(("r", None))
    assert run == Run(run_id="r", status=None)
    assert isinstance(run, Run)
    assert run.config_hash is ABSENT


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ("2026-01-18 09:15:42.123456", MOMENT),
        ("2026-01-18 09:15:42", MOMENT.replace(microsecond=0)),
        (MOMENT, MOMENT),
        (None, None),
    ],
)
def test_times_are_read(stored: object, read: datetime | None) -> None:
    assert loader(Run, "run_id", "started_at").load(("r", stored)) == Run(
        run_id="r", started_at=read
    )


@pytest.mark.parametrize(("stored", "read"), [(0, False), (1, True), (True, True), (None, None)])
def test_flags_are_read(stored: object, read: bool | None) -> None:
    run = loader(Run, "run_id", "seeded_from_cache").load(("r", stored))
    assert run == Run(run_id="r", seeded_from_cache=read)


def test_a_whole_number_is_read_as_the_real_number_it_is() -> None:
    state = loader(NodeState, "state_id", "token_id", "duration_ms").load(("s", "t", 7))
    assert isinstance(state, NodeState)
    assert type(state.duration_ms) is float
    assert state.duration_ms == 7.0


@pytest.mark.parametrize(
    ("kind", "column", "value"),
    [
        (Run, "run_id", None),
        (Run, "run_id", 7),
        (Run, "status", b"completed"),
        (Run, "started_at", "yesterday"),
        (Run, "started_at", "2026-01-18 09:15:42.1234567"),
        (Run, "started_at", 1768727742),
        (Run, "seeded_from_cache", 2),
        (Run, "seeded_from_cache", "true"),
        (Run, "llm_call_count", "three"),
        (Run, "llm_call_count", 1.5),
        (NodeState, "duration_ms", 2**53 + 1),
        (NodeState, "duration_ms", "long"),
        (TokenOutcome, "completed", "yes"),
    ],
)
def test_a_value_that_is_not_what_the_column_holds_is_refused_by_name(
    kind: type[Record], column: str, value: object
) -> None:
    keys = {Run: ["run_id"], NodeState: ["state_id", "token_id"]}.get(
        kind, ["outcome_id", "token_id"]
    )
    row = {**dict.fromkeys(keys, "key"), column: value}
    with pytest.raises(UnreadableError) as caught:
        loader(kind, *row).load(tuple(row.values()))
    assert (caught.value.table, caught.value.column) == (kind.TABLE, column)
    assert repr(value)[:20] in caught.value.reason
    assert caught.value.remedy


def test_a_table_without_the_column_that_names_its_records_is_refused() -> None:
    with pytest.raises(UnreadableError) as caught:
        loader(NodeState, "state_id", "step_index")
    assert (caught.value.table, caught.value.column) == ("node_states", "token_id")
