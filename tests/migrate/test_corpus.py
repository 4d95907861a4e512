"""Real databases of every day migrate to the newest shape and to shapes in between, proven.

One database of each build here; `tests/stress/migrate_corpus.py` migrates them all, each to four
shapes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from landscape_compat import inspect_database, migrate_database, verify_migration
from support.corpus import corpus_databases, reading, require_corpus, shapes_between
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

ONE_OF_EACH = list({path.parent: path for path in corpus_databases()}.values())


@pytest.mark.parametrize(
    "database",
    ONE_OF_EACH or [pytest.param(None, id="no corpus")],
    ids=lambda path: path.parent.name if path else "no corpus",
)
def test_a_real_database_migrates(database: Path | None, tmp_path: Path) -> None:
    """Every stored row is in the new one, and the proof holds when it is read again."""
    database = database or require_corpus()[0]
    shapes = (None, *shapes_between(database))
    to = shapes[ONE_OF_EACH.index(database) % len(shapes)] if ONE_OF_EACH else None
    with untouched(database):
        made = migrate_database(database, tmp_path / "new.db", to=to)
    assert verify_migration(tmp_path / "new.db").is_sound
    # The program's own indexes and triggers are nothing that somebody added.
    assert [name for name in made.done.left_out if " " in name] == []
    report = inspect_database(tmp_path / "new.db")
    assert report.identification is not None
    assert [known.name for known in report.identification.exact] == [made.target]
    with reading(database) as connection:
        names = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not name.startswith("sqlite_")
        ]
        stored = {
            name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
            for name in names
        }
    assert {table.name: table.rows for table in made.done.tables} == stored
