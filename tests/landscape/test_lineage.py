"""The lineage of a row or token is what is stored of it, each record once, the absent marked."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from landscape_compat import ReadOnlyRecorder, explain, open_landscape
from landscape_compat.errors import LandscapeCompatError, RunNotFoundError
from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.lineage import Lineage
from support.corpus import require_corpus, written_by
from support.legacy import Written, build_shape
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


def every(tree: Lineage) -> Iterator[Lineage]:
    yield tree
    for child in tree.below:
        yield from every(child)


def ids(tree: Lineage, kind: str) -> list[Any]:
    """Name the records of a kind that are told in full, in order."""
    name = {"node_state": "state_id", "routing_event": "event_id"}.get(kind, f"{kind}_id")
    found = [one for one in every(tree) if one.kind == kind and one.record]
    return [one.facts[name] for one in found if one.note != "told above"]


def stored(path: Path, sql: str, *values: object) -> list[Any]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        return [value for (value,) in connection.execute(sql, values)]


FAMILY = """
WITH RECURSIVE family (token_id) AS (
    SELECT token_id FROM tokens WHERE {start}
    UNION SELECT p.token_id FROM token_parents p JOIN family f ON p.parent_token_id = f.token_id
) SELECT {what} FROM {table} WHERE token_id IN (SELECT token_id FROM family) ORDER BY 1
"""


@pytest.mark.parametrize("shape", [0, 14, 30, len(known_shapes()) - 1])
def test_a_row_tells_all_that_came_of_it(shape: int, tmp_path: Path) -> None:
    """Its tokens and theirs, with every state, event and call of them, and nothing else."""
    written = build_shape(tmp_path / "audit.db", known_shapes()[shape].shape, long_text=False)
    run_id = written.run_ids[0]
    rows = stored(written.path, "SELECT row_id FROM rows WHERE run_id = ?", run_id)
    with untouched(written.path), open_landscape(written.path) as db:
        for row_id in rows[:6]:
            tree = explain(db, run_id, row=row_id)
            for kind, what, table in (
                ("token", "token_id", "tokens"),
                ("node_state", "state_id", "node_states"),
            ):
                sql = FAMILY.format(start="row_id = ?", what=what, table=table)
                assert sorted(ids(tree, kind)) == stored(written.path, sql, row_id)
            calls = FAMILY.format(
                start="row_id = ?", what="call_id", table="calls JOIN node_states USING (state_id)"
            )
            assert sorted(ids(tree, "call")) == stored(written.path, calls, row_id)


def test_a_token_tells_what_it_was_made_of(legacy: Written) -> None:
    """Its ancestors above it, its descendants below it, and none of its brothers and sisters."""
    run_id = legacy.run_ids[0]
    below = FAMILY.format(start="token_id = ?", what="token_id", table="tokens")
    above = below.replace("p.token_id FROM", "p.parent_token_id FROM").replace(
        "p.parent_token_id = f", "p.token_id = f"
    )
    with untouched(legacy.path), open_landscape(legacy.path) as db:
        for link in legacy.tables["token_parents"].dicts(run_id)[:6]:
            token_id = str(link["token_id"])
            tree = explain(db, run_id, token=token_id)
            wanted = {*stored(legacy.path, above, token_id), *stored(legacy.path, below, token_id)}
            told = ids(tree, "token")
            assert len(told) == len(set(told))
            assert set(told) == wanted
            assert len(wanted) > 1


def test_what_the_database_has_no_place_for_is_marked(legacy: Written) -> None:
    """A column that is absent is no NULL; a table that is absent is no empty one."""
    row_id = str(legacy.tables["rows"].dicts(legacy.run_ids[0])[0]["row_id"])
    with untouched(legacy.path), open_landscape(legacy.path) as db:
        tree = explain(db, legacy.run_ids[0], row=row_id)
    token = next(one for one in every(tree) if one.kind == "token")
    assert "expand_group_id" in token.absent
    assert "fork_group_id" not in token.absent
    assert "fork_group_id" in token.facts
    outcome = next(one for one in every(tree) if one.kind == "token_outcome")
    assert (outcome.record, outcome.note) == (
        None,
        "absent: the database does not hold token_outcomes",
    )
    told = outcome.to_dict()
    assert (told["facts"], told["absent"]) == ({}, ["token_outcome"])


def test_a_row_goes_by_its_index_too(legacy: Written) -> None:
    run_id = legacy.run_ids[0]
    with untouched(legacy.path), open_landscape(legacy.path) as db:
        rows = {row.row_index: row.row_id for row in ReadOnlyRecorder(db).get_rows(run_id)}
        index, row_id = next(
            (index, row_id)
            for index, row_id in rows.items()
            if isinstance(index, int) and index >= 0
        )
        assert ids(explain(db, run_id, row=index), "row") == [row_id]
        assert ids(explain(db, run_id, row=str(index)), "row") == [row_id]


def test_what_is_not_there(legacy: Written) -> None:
    with untouched(legacy.path), open_landscape(legacy.path) as db:
        with pytest.raises(RunNotFoundError):
            explain(db, "none")
        with pytest.raises(LandscapeCompatError, match="no row 'none'"):
            explain(db, legacy.run_ids[0], row="none")
        with pytest.raises(LandscapeCompatError, match="no token 'none'"):
            explain(db, legacy.run_ids[0], token="none")
        other = str(legacy.tables["rows"].dicts(legacy.run_ids[1])[0]["row_id"])
        with pytest.raises(LandscapeCompatError, match="no row"):
            explain(db, legacy.run_ids[0], row=other)


def test_a_fork_and_its_join_of_a_real_run() -> None:
    """A token made of two is told below the first, and named below the second."""
    found = [path for path in require_corpus() if path.stem == "fork_coalesce"]
    database = next(path for path in found if written_by(path)[0] == "2026-03-01")
    with untouched(database), open_landscape(database) as db:
        tree = explain(db, "latest", row=0)
    joined = [one for one in every(tree) if one.note == "made of 2 tokens"]
    again = [one for one in every(tree) if one.note == "told above"]
    assert [one.facts["token_id"] for one in joined] == [one.facts["token_id"] for one in again]
    assert joined[0].below
    assert not again[0].below
