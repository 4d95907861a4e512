"""What somebody made beside the tables is named, and nothing takes the place of it unasked."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from landscape_compat import verify_migration
from landscape_compat.errors import LandscapeCompatError
from landscape_compat.migrate.swap import migrate_in_place
from support.commands import Run, running
from support.legacy import Written
from support.untouched import state_of, untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

MADE = {
    "view my_report": "CREATE VIEW my_report AS SELECT * FROM runs",
    "trigger no_delete": "CREATE TRIGGER no_delete BEFORE DELETE ON runs "
    "BEGIN SELECT raise(ABORT, 'append only'); END",
    "index mine": "CREATE UNIQUE INDEX mine ON rows (row_id)",
}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    with running(capsys) as run:
        yield run


def test_a_view_a_trigger_and_an_index_vanished_without_a_word(
    run: Run, legacy: Written, tmp_path: Path
) -> None:
    """They are no rows; but a guard that is gone is a loss, and those of the program are none."""
    with closing(sqlite3.connect(legacy.path)) as connection:
        connection.executescript(
            f"""
            {";".join(MADE.values())};
            CREATE VIEW broken AS SELECT * FROM nowhere;
            CREATE INDEX ix_rows_run_id ON rows (run_id);
            CREATE TABLE own (id);
            CREATE INDEX ix_own ON own (id);
            """
        )
    new = tmp_path / "new.db"
    with untouched(legacy.path):
        told = run("migrate", legacy.path, "-o", new, "--keep-extra")
    proof = json.loads(Path(f"{new}.intoto.json").read_bytes())["predicate"]
    found = {name: count for name, count in proof["left_out"].items() if " " in name}
    assert found == dict.fromkeys([*MADE, "view broken", "index ix_own"], 1)
    assert "left out  trigger no_delete: 1 definition" in told.out.splitlines()
    assert verify_migration(new, source=legacy.path).is_sound


@pytest.mark.parametrize("name", MADE)
def test_it_was_gone_from_the_database_that_took_the_place(legacy: Written, name: str) -> None:
    with closing(sqlite3.connect(legacy.path)) as connection:
        connection.execute(MADE[name])
    before, listing = state_of(legacy.path).file, set(legacy.path.parent.iterdir())
    with pytest.raises(LandscapeCompatError, match=name):
        migrate_in_place(legacy.path)
    after = state_of(legacy.path).file
    assert (after.sha256, after.mtime_ns) == (before.sha256, before.mtime_ns)
    assert set(legacy.path.parent.iterdir()) == listing
