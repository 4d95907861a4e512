"""An export is a stream of records that reads one moment, counts, warns, and lets go."""

from __future__ import annotations

import gc
import sqlite3
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import islice

import pytest
from sqlalchemy import event

from landscape_compat.errors import (
    DegradedReadWarning,
    RunNotFoundError,
    SourceChangedError,
    UnreadableError,
)
from landscape_compat.export.records.stream import RecordStream, export_database, export_run
from landscape_compat.landscape.database import Landscape, open_landscape
from support.legacy import Written
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


@pytest.fixture
def landscape(legacy: Written) -> Iterator[Landscape]:
    with untouched(legacy.path), open_landscape(legacy.path) as landscape:
        yield landscape


def checked_out(landscape: Landscape) -> int:
    return int(landscape.engine.pool.checkedout())  # type: ignore[attr-defined]


def test_the_records_of_a_run_are_its_own_and_carry_its_id(
    landscape: Landscape, legacy: Written
) -> None:
    for run_id in legacy.run_ids:
        records = list(export_run(landscape, run_id))
        assert {record["run_id"] for record in records} == {run_id}
        stored = sum(len(table.dicts(run_id)) for table in legacy.tables.values())
        assert len(records) == stored
        assert records[0]["record_type"] == "run"


def test_a_column_that_is_not_stored_is_left_out(landscape: Landscape, legacy: Written) -> None:
    """But for the run, which every record that a run reaches carries."""
    tokens = [
        record
        for record in export_run(landscape, legacy.run_ids[0])
        if record["record_type"] == "token"
    ]
    assert tokens
    for token in tokens:
        assert "expand_group_id" not in token
        assert token.keys() == {"record_type", "run_id", *legacy.tables["tokens"].columns}


def test_the_whole_database_is_every_stored_row(landscape: Landscape, legacy: Written) -> None:
    stream = export_database(landscape)
    records = list(stream)
    assert len(records) == sum(len(table.rows) for table in legacy.tables.values())
    assert stream.counts == Counter(record["record_type"] for record in records)
    assert stream.unreached == {}


def test_counts_grow_with_the_records(landscape: Landscape, legacy: Written) -> None:
    stream = export_run(landscape, legacy.run_ids[0])
    assert isinstance(stream, RecordStream)
    assert (stream.counts, stream.unreached) == ({}, {})
    next(stream)
    assert stream.counts == {"run": 1}
    rest = Counter(record["record_type"] for record in stream)
    assert stream.counts == rest + Counter({"run": 1})


@pytest.mark.parametrize("run_id", ["no such run", "", "%", "' OR 1=1 --", "RUN WITH SPACES"])
def test_an_unknown_run_is_told_at_once(landscape: Landscape, run_id: str) -> None:
    with pytest.raises(RunNotFoundError, match="holds no run") as caught:
        export_run(landscape, run_id)
    assert repr(run_id) in caught.value.reason
    assert caught.value.table == "runs"
    assert caught.value.remedy


def test_a_stream_lets_go_of_the_database_at_its_end_when_closed_or_forgotten(
    landscape: Landscape, legacy: Written
) -> None:
    run_id = legacy.run_ids[0]
    stream = export_run(landscape, run_id)
    assert checked_out(landscape) == 0
    list(islice(stream, 20))
    assert checked_out(landscape) == 1
    stream.close()
    assert checked_out(landscape) == 0
    assert list(stream) == []
    list(export_run(landscape, run_id))
    assert checked_out(landscape) == 0
    gc.disable()
    try:
        forgotten = export_run(landscape, run_id)
        list(islice(forgotten, 20))
        del forgotten
        assert checked_out(landscape) == 0
    finally:
        gc.enable()


def test_streams_do_not_disturb_each_other(landscape: Landscape, legacy: Written) -> None:
    first, second = legacy.run_ids[:2]
    alone = [list(export_run(landscape, run_id)) for run_id in (first, second)]
    together = zip(export_run(landscape, first), export_run(landscape, second), strict=False)
    for (a, b), wanted in zip(together, zip(*alone, strict=False), strict=False):
        assert (a, b) == wanted


def test_each_degraded_table_is_told_of_once_before_the_first_record(
    landscape: Landscape, legacy: Written
) -> None:
    stream = export_run(landscape, legacy.run_ids[0])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        next(stream)
        told = [w.message.table for w in caught if isinstance(w.message, DegradedReadWarning)]
        assert len(told) == len(set(told)) == len(caught)
        assert {"tokens", "token_outcomes"} <= set(told)
        assert "token_parents" in told
        assert "edges" not in told
        assert {w.filename for w in caught} == {__file__}
        list(stream)
        list(export_database(landscape))
        assert len(caught) == len(told)


def test_where_warnings_are_errors_nothing_is_given(landscape: Landscape, legacy: Written) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", DegradedReadWarning)
        with pytest.raises(DegradedReadWarning):
            next(export_run(landscape, legacy.run_ids[0]))
    assert checked_out(landscape) == 0


def test_a_database_that_is_migrated_meanwhile_is_exported_as_it_is_then(legacy: Written) -> None:
    run_id = legacy.run_ids[0]
    with open_landscape(legacy.path) as landscape:
        before = list(export_run(landscape, run_id))
        with closing(sqlite3.connect(legacy.path)) as connection, connection:
            connection.execute("ALTER TABLE tokens ADD COLUMN expand_group_id VARCHAR(32)")
        try:
            after = list(export_run(landscape, run_id))
        except SourceChangedError:
            # Where a file is read on the promise that nobody writes, that is told once.
            after = list(export_run(landscape, run_id))
    assert after != before
    for record in before:
        if record["record_type"] == "token":
            record["expand_group_id"] = None
    assert after == before


def test_text_that_is_not_utf8_stops_the_export_by_name(legacy: Written) -> None:
    with closing(sqlite3.connect(legacy.path)) as connection, connection:
        connection.execute("UPDATE tokens SET branch_name = CAST(x'ff' AS TEXT)")
    with untouched(legacy.path), open_landscape(legacy.path) as landscape:
        with pytest.raises(UnreadableError) as caught:
            list(export_run(landscape, legacy.run_ids[0]))
        assert (caught.value.table, caught.value.column) == ("tokens", "branch_name")
        assert checked_out(landscape) == 0


def test_an_interrupt_while_a_statement_ran_was_a_driver_error(landscape: Landscape) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    stream = export_database(landscape)
    next(stream)
    event.listen(landscape.engine, "do_execute", interrupt, insert=True)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(stream)
    finally:
        event.remove(landscape.engine, "do_execute", interrupt)
    assert list(export_database(landscape))
