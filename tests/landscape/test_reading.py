"""Reading records follows what is stored, also when that changes, and says what is absent."""

from __future__ import annotations

import gc
import pickle
import sqlite3
from contextlib import closing

import pytest

from landscape_compat.errors import SourceChangedError, UnreadableError
from landscape_compat.landscape.absent import ABSENT
from landscape_compat.landscape.database import open_landscape
from landscape_compat.landscape.reading import AbsentRecords, Reader
from landscape_compat.landscape.records import Operation, Row, Run, Token
from support.legacy import Written
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


def test_absent_records_are_an_empty_list_that_travels() -> None:
    absent: AbsentRecords[Operation] = AbsentRecords("operations")
    assert absent == []
    assert not absent
    assert isinstance(absent, list)
    again = pickle.loads(pickle.dumps(absent))
    assert isinstance(again, AbsentRecords)
    assert again.missing == "operations"


def test_a_database_that_is_migrated_meanwhile_is_read_as_it_is_then(legacy: Written) -> None:
    with open_landscape(legacy.path) as landscape:
        reader = Reader(landscape)
        token = reader.many(Token)[0]
        assert token.expand_group_id is ABSENT
        assert isinstance(reader.many(Operation), AbsentRecords)
        with closing(sqlite3.connect(legacy.path)) as connection, connection:
            connection.execute("ALTER TABLE tokens ADD COLUMN expand_group_id VARCHAR(32)")
            connection.execute("UPDATE tokens SET expand_group_id = 'group'")
            connection.execute("CREATE TABLE operations (operation_id TEXT, run_id TEXT)")
        try:
            again = reader.many(Token)
        except SourceChangedError:
            # Where a file is read on the promise that nobody writes, that is told once.
            again = reader.many(Token)
        assert {token.expand_group_id for token in again} == {"group"}
        assert reader.many(Operation) == []
        assert not isinstance(reader.many(Operation), AbsentRecords)
        assert not reader.is_absent("tokens.expand_group_id")


def test_a_table_that_every_version_has_is_not_read_as_empty_bit_by_bit(legacy: Written) -> None:
    with closing(sqlite3.connect(legacy.path)) as connection, connection:
        connection.execute("DROP TABLE rows")
    with untouched(legacy.path), open_landscape(legacy.path) as landscape:
        windows = Reader(landscape).windows(Row, 4, run_id=legacy.run_ids[0])
        with pytest.raises(UnreadableError, match="Every known version") as caught:
            next(windows)
    assert caught.value.table == "rows"


def test_a_value_that_cannot_be_loaded_left_its_cursor_open_behind_its_connection(
    legacy: Written, caplog: pytest.LogCaptureFixture
) -> None:
    """SQLAlchemy complained of it, with a traceback, after the error had been told."""
    with closing(sqlite3.connect(legacy.path)) as connection, connection:
        connection.execute("UPDATE runs SET started_at = 'garbage'")
    with untouched(legacy.path):
        with open_landscape(legacy.path) as landscape, pytest.raises(UnreadableError) as caught:
            Reader(landscape).many(Run)
        del caught
        gc.collect()
    assert [one for one in caplog.records if one.name.startswith("sqlalchemy")] == []


def test_a_window_is_never_longer_than_asked_for(legacy: Written) -> None:
    with untouched(legacy.path), open_landscape(legacy.path) as landscape:
        reader = Reader(landscape)
        run_id = legacy.run_ids[0]
        rows = reader.many(Row, run_id=run_id)
        for size in (1, 4, 6, 100):
            windows = list(reader.windows(Row, size, run_id=run_id))
            assert [row for window in windows for row in window] == rows
            assert [len(window) for window in windows[:-1]] == [size] * (len(windows) - 1)
            assert 0 < len(windows[-1]) <= size
