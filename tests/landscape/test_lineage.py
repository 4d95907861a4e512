"""The lineage of a row or token is what is stored of it, each record once, the absent marked."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from landscape_compat import ReadOnlyRecorder, explain, open_landscape
from landscape_compat.errors import LandscapeCompatError, RunNotFoundError, UnreadableError
from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.lineage import Lineage
from support.chains import LENGTH, add_chain
from support.corpus import require_corpus, written_by
from support.legacy import Written, build_shape
from support.postgres import PostgresDatabase
from support.untouched import untouched

pytestmark = pytest.mark.filterwarnings("ignore::landscape_compat.errors.DegradedReadWarning")


ID_OF = {
    "node_state": "state_id",
    "routing_event": "event_id",
    "batch_member": "batch_id",
    "token_outcome": "outcome_id",
    "transform_error": "error_id",
    "validation_error": "error_id",
}


def every(tree: Lineage) -> Iterator[Lineage]:
    yield tree
    for child in tree.below:
        yield from every(child)


def ids(tree: Lineage, kind: str) -> list[Any]:
    """Name the records of a kind that are told in full, in order."""
    name = ID_OF.get(kind, f"{kind}_id")
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


STATES_OF = "{} x JOIN node_states s ON x.{} = s.state_id"
KINDS = (
    ("token", "tokens"),
    ("node_state", "node_states"),
    ("call", STATES_OF.format("calls", "state_id")),
    ("routing_event", STATES_OF.format("routing_events", "state_id")),
    ("artifact", STATES_OF.format("artifacts", "produced_by_state_id")),
    ("batch_member", "batch_members"),
    ("transform_error", "transform_errors"),
    ("token_outcome", "token_outcomes"),
)


@pytest.mark.parametrize("shape", [0, 14, 30, len(known_shapes()) - 1])
def test_a_row_tells_all_that_came_of_it(shape: int, tmp_path: Path) -> None:
    """Its tokens and theirs, with every state, event and call of them, and nothing else."""
    written = build_shape(tmp_path / "audit.db", known_shapes()[shape].shape, long_text=False)
    run_id = written.run_ids[0]
    rows = stored(written.path, "SELECT row_id FROM rows WHERE run_id = ?", run_id)
    with untouched(written.path), open_landscape(written.path) as db:
        for row_id in rows[:6]:
            tree = explain(db, run_id, row=row_id)
            for kind, table in KINDS:
                if not known_shapes()[shape].shape.has(table.split()[0]):
                    assert {one.record for one in every(tree) if one.kind == kind} <= {None}
                    continue
                what = ID_OF.get(kind, f"{kind}_id")
                sql = FAMILY.format(start="row_id = ?", what=what, table=table)
                assert sorted(ids(tree, kind)) == stored(written.path, sql, row_id)


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
            (row, *_) = tree.below
            again = explain(db, run_id, row=row.facts["row_id"]).below[0]
            assert (row.record, row.looked_up) == (again.record, again.looked_up)
            assert row.looked_up["plugin_name"]


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


def test_what_a_reference_leads_to_may_be_absent_too(legacy: Written) -> None:
    """A node whose type nobody stored; the tree is plain JSON all the same."""
    with closing(sqlite3.connect(legacy.path)) as connection, connection:
        connection.execute("ALTER TABLE nodes DROP COLUMN node_type")
    row_id = str(legacy.tables["rows"].dicts(legacy.run_ids[0])[0]["row_id"])
    with untouched(legacy.path), open_landscape(legacy.path) as db:
        tree = explain(db, legacy.run_ids[0], row=row_id)
    told = json.loads(json.dumps(tree.to_dict()))
    (row,) = told["below"]
    assert row["looked_up"]["plugin_name"]
    assert row["looked_up"]["node_type"] is None


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
        other = str(legacy.tables["tokens"].dicts(legacy.run_ids[1])[0]["token_id"])
        with pytest.raises(LandscapeCompatError, match="no token"):
            explain(db, legacy.run_ids[0], token=other)


@pytest.fixture
def newest(tmp_path: Path) -> Written:
    """Give a database of the newest shape, in a folder of its own."""
    folder = tmp_path / "newest"
    folder.mkdir()
    shape = known_shapes()[-1].shape
    return build_shape(folder / "audit.db", shape, rows=6, runs=3, long_text=False)


def change(path: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql, values)


def test_the_latest_run_is_the_one_that_began_last(newest: Written) -> None:
    """Whatever its name; of two that began at once, the one of the last name; of none, none."""
    first, middle, last = sorted(newest.run_ids)
    change(newest.path, "UPDATE runs SET started_at = '2026-01-18 00:00:00'")
    for wanted, then in ((last, "2026-01-18"), (middle, "2026-01-19"), (first, "2026-01-20")):
        began = f"{then} 00:00:00"
        change(newest.path, "UPDATE runs SET started_at = ? WHERE run_id = ?", began, wanted)
        with open_landscape(newest.path) as db:
            assert explain(db, "latest").facts["run_id"] == wanted
    change(newest.path, "DELETE FROM runs")
    with open_landscape(newest.path) as db, pytest.raises(RunNotFoundError, match="'latest'"):
        explain(db, "latest")


@pytest.mark.parametrize(
    "lost",
    [
        "ALTER TABLE runs DROP COLUMN started_at",
        "CREATE TABLE new AS SELECT * FROM runs;"
        "UPDATE new SET started_at = NULL WHERE rowid = 1;"
        "DROP TABLE runs; ALTER TABLE new RENAME TO runs",
    ],
    ids=["no column", "one NULL"],
)
def test_the_latest_run_is_not_guessed_where_one_has_no_beginning(
    newest: Written, lost: str
) -> None:
    """It could be that one. A run that is the only one is the latest all the same."""
    with closing(sqlite3.connect(newest.path)) as connection:
        connection.executescript(f"PRAGMA foreign_keys = OFF; {lost}")
    with untouched(newest.path), open_landscape(newest.path) as db:
        with pytest.raises(UnreadableError, match="which run is the latest") as caught:
            explain(db, "latest")
        assert (caught.value.table, caught.value.column) == ("runs", "started_at")
    only = newest.run_ids[0]
    change(newest.path, "DELETE FROM runs WHERE run_id <> ?", only)
    with untouched(newest.path), open_landscape(newest.path) as db:
        assert explain(db, "latest").facts["run_id"] == only


def test_the_latest_run_may_have_a_zone_where_the_others_have_none(newest: Written) -> None:
    """Those without one began in UTC."""
    first, _, last = sorted(newest.run_ids)
    change(newest.path, "UPDATE runs SET started_at = '2026-01-19 00:30:00'")
    for wanted, began in ((first, "2026-01-18T23-02:00"), (last, "2026-01-19T01+00:00")):
        change(newest.path, "UPDATE runs SET started_at = ? WHERE run_id = ?", began, wanted)
        with untouched(newest.path), open_landscape(newest.path) as db:
            assert explain(db, "latest").facts["run_id"] == wanted
        change(newest.path, "UPDATE runs SET started_at = '2026-01-19 00:30:00'")


def test_the_latest_run_of_a_server_is_found_in_the_hour_that_comes_twice(
    postgres: PostgresDatabase,
) -> None:
    """In the session's zone both hours have the same name."""
    postgres.set("timezone", "Europe/Berlin")
    postgres.run(
        "CREATE TABLE runs (run_id text PRIMARY KEY, started_at timestamptz);"
        "CREATE TABLE nodes (node_id text, run_id text);"
        "CREATE TABLE edges (edge_id text, run_id text);"
        "INSERT INTO runs VALUES ('early', '2026-10-25 00:30+00'), ('late', '2026-10-25 01:10+00')"
    )
    with open_landscape(postgres.url()) as db:
        assert explain(db, "latest").facts["run_id"] == "late"


def test_an_index_that_several_rows_have_is_no_name(newest: Written) -> None:
    """They are named instead, by their ids."""
    run_id = newest.run_ids[0]
    change(newest.path, "UPDATE rows SET row_index = 7 WHERE run_id = ?", run_id)
    row_ids = stored(newest.path, "SELECT row_id FROM rows WHERE run_id = ?", run_id)
    odd = "a\x1b[31m"
    change(newest.path, "UPDATE rows SET row_id = ? WHERE row_id = ?", odd, row_ids.pop())
    change(newest.path, "DELETE FROM rows WHERE row_id NOT IN (?, ?)", odd, row_ids[0])
    with (
        open_landscape(newest.path) as db,
        pytest.raises(LandscapeCompatError, match="Several rows of the run") as caught,
    ):
        explain(db, run_id, row=7)
    both = {"a\\x1b[31m", row_ids[0]}
    assert caught.value.remedy in {f"Give a row's id: {', '.join(p)}." for p in permutations(both)}


def test_what_was_wrong_with_a_row_is_told_of_it(newest: Written) -> None:
    """Of that row alone, and of that run."""
    run_id = newest.run_ids[0]
    rows = stored(newest.path, "SELECT row_id FROM rows WHERE run_id = ?", run_id)
    change(newest.path, "UPDATE validation_errors SET row_id = ?", rows[0])
    wanted = stored(newest.path, "SELECT error_id FROM validation_errors WHERE run_id = ?", run_id)
    assert wanted
    with open_landscape(newest.path) as db:
        told = [ids(explain(db, run_id, row=row_id), "validation_error") for row_id in rows[:2]]
    assert (sorted(told[0]), told[1]) == (sorted(wanted), [])


def test_what_a_record_names_is_looked_up(newest: Written) -> None:
    """The plugin of a node, where an edge leads to, and the batch of a member."""
    run_id = newest.run_ids[0]
    looked_up: dict[str, set[str]] = {}
    nodes = stored(newest.path, "SELECT node_id FROM nodes WHERE run_id = ?", run_id)
    edges = stored(newest.path, "SELECT edge_id FROM edges WHERE run_id = ?", run_id)
    batches = stored(newest.path, "SELECT batch_id FROM batches")
    change(newest.path, "UPDATE node_states SET node_id = ?", nodes[0])
    change(newest.path, "UPDATE transform_errors SET transform_id = ?", nodes[0])
    change(newest.path, "UPDATE routing_events SET edge_id = ?", edges[0])
    change(newest.path, "UPDATE batch_members SET batch_id = ?", batches[0])
    with open_landscape(newest.path) as db:
        for row_id in stored(newest.path, "SELECT row_id FROM rows WHERE run_id = ?", run_id):
            for one in every(explain(db, run_id, row=row_id)):
                looked_up.setdefault(one.kind, set()).update(one.looked_up)
                assert one.to_dict()["looked_up"] == one.looked_up
                if one.kind == "batch_member":
                    assert [child.facts["batch_id"] for child in one.below] == [batches[0]]
    plugin = {"plugin_name", "node_type"}
    assert looked_up["node_state"] == looked_up["transform_error"] == plugin
    assert looked_up["routing_event"] == {"label", "to_node_id"}
    assert "batch" in looked_up


def test_a_parent_whose_row_is_gone_is_told(legacy: Written) -> None:
    """With a note of it in the row's place."""
    run_id = legacy.run_ids[0]
    child, parent = (str(t["token_id"]) for t in legacy.tables["tokens"].dicts(run_id)[:2])
    change(legacy.path, "DELETE FROM token_parents")
    change(legacy.path, "INSERT INTO token_parents VALUES (?, ?, 0)", child, parent)
    change(legacy.path, "UPDATE tokens SET row_id = 'gone' WHERE token_id = ?", parent)
    with open_landscape(legacy.path) as db:
        (row,) = explain(db, run_id, token=child).below
    assert (row.record, row.note) == (None, "there is no row gone")
    assert ids(row, "token") == [parent, child]


def test_tokens_that_come_of_each_other_are_told_once(legacy: Written) -> None:
    """A record that runs in a circle has no first token, and is told to its end."""
    run_id = legacy.run_ids[0]
    one, two = (str(token["token_id"]) for token in legacy.tables["tokens"].dicts(run_id)[:2])
    row_id = str(legacy.tables["tokens"].dicts(run_id)[0]["row_id"])
    change(legacy.path, "DELETE FROM token_parents")
    change(legacy.path, "UPDATE tokens SET row_id = 'none' WHERE token_id <> ?", one)
    change(legacy.path, "UPDATE tokens SET row_id = ? WHERE token_id = ?", row_id, two)
    for child, parent in ((one, two), (two, one)):
        change(legacy.path, "INSERT INTO token_parents VALUES (?, ?, 0)", child, parent)
    with open_landscape(legacy.path) as db:
        for tree in (explain(db, run_id, row=row_id), explain(db, run_id, token=one)):
            assert sorted(ids(tree, "token")) == sorted([one, two])


def test_tokens_come_of_each_other_more_often_than_calls_go_deep(legacy: Written) -> None:
    """The tree has all of them, as an object, as JSON values and in its own name."""
    run_id, row_id = add_chain(legacy)
    with untouched(legacy.path), open_landscape(legacy.path) as db:
        of_row = explain(db, run_id, row=row_id)
        of_token = explain(db, run_id, token="T3")
    for tree in (of_row, of_token):
        told = next(one for one in tree.below[0].below if one.facts.get("token_id") == "T1")
        below = tree.to_dict()["below"][0]["below"]
        values = next(one for one in below if one["facts"].get("token_id") == "T1")
        for number in range(1, LENGTH + 1):
            name = f"T{number}"
            assert (told.facts["token_id"], values["facts"]["token_id"]) == (name, name)
            told, values = told.below[-1], values["below"][-1]
        assert told.kind == values["kind"] != "token"
    assert repr(of_row).startswith("Lineage(kind='run'")


@pytest.mark.parametrize(
    "row", ["99999999999999999999", str(2**63), 2**63, "9" * 5000], ids=lambda row: str(row)[:20]
)
def test_what_cannot_be_the_number_of_a_row_is_no_such_row(legacy: Written, row: str | int) -> None:
    with (
        untouched(legacy.path),
        open_landscape(legacy.path) as db,
        pytest.raises(LandscapeCompatError, match="The run has no row"),
    ):
        explain(db, legacy.run_ids[0], row=row)


def test_the_largest_number_of_a_row_is_found(legacy: Written) -> None:
    change(legacy.path, "UPDATE rows SET row_index = ? WHERE rowid = 1", 2**63 - 1)
    (run_id,) = stored(legacy.path, "SELECT run_id FROM rows WHERE rowid = 1")
    (row_id,) = stored(legacy.path, "SELECT row_id FROM rows WHERE rowid = 1")
    with untouched(legacy.path), open_landscape(legacy.path) as db:
        assert ids(explain(db, run_id, row=str(2**63 - 1)), "row") == [row_id]


def test_a_state_whose_calls_have_no_place_says_so(legacy: Written) -> None:
    change(legacy.path, "DROP TABLE calls")
    row_id = stored(legacy.path, "SELECT row_id FROM tokens JOIN node_states USING (token_id)")[0]
    run_id = stored(legacy.path, "SELECT run_id FROM rows WHERE row_id = ?", row_id)[0]
    with open_landscape(legacy.path) as db:
        tree = explain(db, run_id, row=row_id)
    states = [one for one in every(tree) if one.kind == "node_state" and one.record]
    assert states
    for state in states:
        (call,) = (one for one in state.below if one.kind == "call")
        assert (call.record, call.note) == (None, "absent: the database does not hold calls")


def test_a_time_is_told_in_the_words_it_is_stored_in(legacy: Written) -> None:
    """The tree is plain JSON."""
    run_id = legacy.run_ids[0]
    then = "2026-01-18 09:30:00.007956"
    change(legacy.path, "UPDATE runs SET started_at = ?", then)
    with open_landscape(legacy.path) as db:
        told = explain(db, run_id).to_dict()
    assert json.loads(json.dumps(told))["facts"]["started_at"] == then
    assert told["below"][0]["looked_up"] == {}
    assert told["note"] == ""


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
