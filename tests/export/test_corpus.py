"""Real databases export as the builds that wrote them exported them, and more.

Beside each database lies what its own build exported. Three things in there are no stored
columns under their own names: values that the build decoded or computed (`DECODED`,
`COMPUTED`), the manifest that it made of its own output, and, from July 2026 on, NULL in place
of the data of rows that failed, which the build kept back though it had stored them.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from landscape_compat.export.records.stream import export_database, export_run
from landscape_compat.landscape.database import open_landscape
from landscape_compat.landscape.tables import AFTER_HOST, TABLES, facts_for
from support.corpus import corpus_databases, reading, require_corpus
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")

KEYS = {facts.record_type: facts.key for facts in TABLES}
# The host's field, and the stored column that holds it as JSON text.
DECODED = {
    ("run", "settings"): "settings_json",
    ("node", "config"): "config_json",
    ("node", "schema_fields"): "schema_fields_json",
}
# The host's field, and how it follows from what is stored.
COMPUTED = {
    ("artifact", "producer_kind"),
    ("sink_effect_attempt", "attempt_index"),
    # Columns of `run_attributions`, whose records are their own here.
    ("run", "initiated_by_user_id"),
    ("run", "auth_provider_type"),
}
KEPT_BACK = {("transform_error", "row_data_json"), ("validation_error", "row_data_json")}

Key = tuple[Any, ...]


def key_of(record: dict[str, Any]) -> Key:
    type_ = record["record_type"]
    return (type_, *(record[name] for name in KEYS[type_]))


def expected(database: Path) -> list[dict[str, Any]]:
    lines = database.with_suffix(".expected.jsonl").read_text(encoding="utf-8").split("\n")
    records = [json.loads(line) for line in lines if line]
    return [record for record in records if record["record_type"] != "manifest"]


@pytest.mark.parametrize(
    "database",
    corpus_databases() or [pytest.param(None, id="no corpus")],
    ids=lambda path: f"{path.parent.name}/{path.stem}" if path else "no corpus",
)
def test_a_real_database_exports_as_its_own_build_exported_it(database: Path | None) -> None:
    database = database or require_corpus()[0]
    theirs = expected(database)
    assert theirs
    run_ids = list(dict.fromkeys(record["run_id"] for record in theirs))
    with untouched(database), open_landscape(database) as landscape:
        ours = [record for run_id in run_ids for record in export_run(landscape, run_id)]
        stream = export_database(landscape)
        total = sum(1 for _ in stream)
        assert stream.unreached == {}
    assert total == rows_in(database)
    place = {key_of(record): at for at, record in enumerate(ours)}
    assert len(place) == len(ours)
    for record in theirs:
        assert key_of(record) in place
        compare(record, ours[place[key_of(record)]])
    order = [place[key_of(record)] for record in theirs]
    assert all(before < after for before, after in pairwise(order))
    # And of ours, only what the host never exports is not among theirs.
    never = {facts_for(branch.table) for branch in AFTER_HOST}
    more = {record["record_type"] for record in ours} - {r["record_type"] for r in theirs}
    exported = {facts.record_type for facts in TABLES if facts not in never}
    if any(record["record_type"] == "token_outcome" for record in theirs):
        assert not more & (exported - LATE)


# Which builds recorded before they exported it: the host's exporter came to these later.
LATE = {"run_attribution", "transform_error", "validation_error", "secret_resolution"}


def compare(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """Check that every field of the build's record is ours, by its name and with its value."""
    type_ = theirs["record_type"]
    for name, value in theirs.items():
        where = (type_, name)
        if where in DECODED:
            text = ours[DECODED[where]]
            assert value == (None if text is None else json.loads(text))
        elif where in COMPUTED:
            assert name not in ours
        elif where in KEPT_BACK and value is None:
            assert name in ours
        else:
            # By value: where the host shows true, an INTEGER column holds 1, and 1 == True.
            assert ours[name] == value, where


def rows_in(database: Path) -> int:
    """Count the rows of every table, SQLite's own left out."""
    with reading(database) as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        ).fetchall()
        counts = [
            connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for (name,) in names
        ]
    return sum(counts)
