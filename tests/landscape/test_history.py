"""The history holds every shape of ELSPETH's schema, and real databases are recognised by it."""

from __future__ import annotations

from collections import Counter
from datetime import date
from importlib import resources
from itertools import pairwise
from pathlib import Path

import pytest

from landscape_compat.errors import LandscapeCompatError
from landscape_compat.landscape.history import ForeignKey, foreign_keys, known_shapes, shape_named
from landscape_compat.schema.known import KnownShape, identify
from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape
from support.corpus import reading, require_corpus, stored_in, written_by
from support.legacy import build_small
from support.untouched import untouched

SHAPES = known_shapes()
# fe92ec710 took back what b758b2993 had added: its shape is that of aa555c7cb again.
RECURRING = {"2026-02-03/aa555c7cb", "2026-02-03/fe92ec710"}


def _epoch(known: KnownShape) -> int:
    return known.epochs[-1] if known.epochs else 0


def test_there_are_57_shapes_oldest_first() -> None:
    assert len(SHAPES) == len({known.name for known in SHAPES}) == 57
    assert (SHAPES[0].name, SHAPES[-1].name) == ("2026-01-12/c63f89939", "2026-07-18/84d296d5b")
    for before, after in pairwise(SHAPES):
        assert before.first_date <= before.last_date <= after.first_date
    assert (len(SHAPES[0].shape), len(SHAPES[-1].shape)) == (9, 41)
    assert SHAPES[-1].epochs == (29,)


def test_a_step_changes_what_its_commit_changed() -> None:
    """Spot checks at the ends and in the middle, against what the commits are known for."""
    before, after = shape_named("df2fa70fb"), shape_named("90a067748")
    assert after.paths - before.paths == {"tokens.expand_group_id"}
    before, after = shape_named("15818985a"), shape_named("3ada705b4")
    assert after.paths - before.paths == {"token_outcomes.completed", "token_outcomes.path"}
    assert before.paths - after.paths == {"token_outcomes.is_terminal"}
    outcomes = after.shape.table("token_outcomes")
    assert outcomes is not None
    assert outcomes.column("outcome") is not None
    assert outcomes.column("outcome").nullable  # type: ignore[union-attr]


def test_a_shape_has_its_first_and_last_build_and_every_epoch() -> None:
    known = shape_named("3c535e12f")
    assert (known.name, known.first_date) == ("2026-06-04/3c535e12f", date(2026, 6, 4))
    assert (known.last_commit, known.last_date) == ("80d8baff2", date(2026, 6, 10))
    assert known.epochs == (17, 18, 19)
    assert sum(len(known.epochs) for known in SHAPES) == 35


def test_the_history_is_small_enough_to_ship_and_to_read() -> None:
    text = resources.files("landscape_compat.landscape").joinpath("history.json").read_text()
    assert len(text) < 150_000
    assert max(map(len, text.splitlines())) < 250


@pytest.mark.parametrize("known", SHAPES, ids=lambda known: known.name)
def test_every_shape_is_recognised_by_itself(known: KnownShape) -> None:
    found = identify(known.shape, SHAPES, _epoch(known))
    assert known in found.exact
    assert {shape.name for shape in found.exact} == (
        RECURRING if known.name in RECURRING else {known.name}
    )
    assert found.notes == ()
    assert not found.is_newer


@pytest.mark.parametrize("known", SHAPES, ids=lambda known: known.name)
def test_every_shape_is_recognised_in_a_database(known: KnownShape, tmp_path: Path) -> None:
    folder = tmp_path / "record"
    folder.mkdir()
    database = build_small(folder / "audit.db", known.shape).path
    with untouched(database), reading(database) as connection:
        found = identify(stored_in(connection), SHAPES, 0)
    assert known in found.exact
    assert found.distance == 0


@pytest.mark.parametrize("known", SHAPES, ids=lambda known: known.name)
def test_every_foreign_key_leads_to_columns_that_are_there(known: KnownShape) -> None:
    keys = foreign_keys(known)
    assert set(keys) == {table.name for table in known.shape}
    for table, found in keys.items():
        for key in found:
            assert len(key.columns) == len(key.references)
            assert all(known.shape.has(f"{table}.{column}") for column in key.columns)
            assert all(known.shape.has(f"{key.table}.{column}") for column in key.references)


def test_keys_of_several_columns_are_read_in_order() -> None:
    assert (
        ForeignKey(("token_id", "run_id"), "tokens", ("token_id", "run_id"))
        in foreign_keys(SHAPES[-1])["token_parents"]
    )


def test_a_shape_from_elsewhere_has_no_foreign_keys() -> None:
    first = SHAPES[0]
    stranger = KnownShape(
        "mine", "1", first.first_date, "1", first.last_date, (), SchemaShape.of(TableShape("a", ()))
    )
    assert foreign_keys(stranger) == {}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("2026-01-18/df2fa70fb", "2026-01-18/df2fa70fb"),
        ("df2fa70fb", "2026-01-18/df2fa70fb"),
        (" DF2FA ", "2026-01-18/df2fa70fb"),
        ("df2fa70fb0123456789abcdef0123456789abcde", "2026-01-18/df2fa70fb"),
        ("4f09fba88", "2026-03-25/ca4562eab"),
        (21, "2026-06-12/ca52e46a3"),
        ("21", "2026-06-12/ca52e46a3"),
        ("Epoch 21", "2026-06-12/ca52e46a3"),
        ("2026-01-18", "2026-01-18/df2fa70fb"),
        ("2026-01-16", "2026-01-14/35cefe665"),
        ("2030-01-01", "2026-07-18/84d296d5b"),
    ],
)
def test_a_shape_is_found_by_name_commit_epoch_or_day(text: str | int, name: str) -> None:
    assert shape_named(text).name == name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch 20", "2026-06-11/ce3d57304, 2026-06-11/46051e47d"),
        ("7", "2026-05-05/3ada705b4, 2026-05-13/c28ba8d9f"),
        ("2026-01-18/df2fa70f", "close are: 2026-01-18/df2fa70fb"),
        ("df3fa70fb", "close are: 2026-01-18/df2fa70fb"),
        ("2026-01-11", "close are: 2026-01-12/c63f89939."),
        ("2026-02-30", "No known shape"),
        ("30", "`versions` lists them"),
        ("df2", "No known shape"),
        ("", "No known shape"),
        ("main", "No known shape"),
    ],
)
def test_a_name_that_fits_none_or_several_is_refused_with_close_ones(text: str, said: str) -> None:
    with pytest.raises(LandscapeCompatError, match="shape") as error:
        shape_named(text)
    assert said in str(error.value)


def test_tables_that_a_newer_build_added_to_an_old_database_are_told() -> None:
    """A build of before 2026-01-20 makes the tables it misses in whatever it opens."""
    old, newer = shape_named("75de5bfee").shape, shape_named("07084c363").shape
    added = [table for table in newer if old.table(table.name) is None]
    assert [table.name for table in added] == [
        "checkpoints",
        "validation_errors",
        "transform_errors",
    ]
    found = identify(SchemaShape.of(*old, *added), SHAPES, 0)
    assert found.exact == ()
    assert found.nearest[0] == shape_named("75de5bfee")
    assert found.surplus == ("checkpoints", "transform_errors", "validation_errors")
    assert "no one build made them all" in found.notes[0]


def test_a_table_that_operators_add_by_the_hosts_runbook_is_no_mismatch() -> None:
    attestations = TableShape("rollback_attestations", (ColumnShape("id", "TEXT"),))
    found = identify(SchemaShape.of(*SHAPES[-1].shape, attestations), SHAPES, 29)
    assert found.exact == (SHAPES[-1],)
    assert found.unknown == ("rollback_attestations",)
    assert not found.is_newer


def test_tables_that_healthy_databases_may_lack_leave_the_shape_nearest() -> None:
    known = shape_named("07fd5977e")
    found = identify(
        SchemaShape.of(*(table for table in known.shape if table.name != "auth_events")), SHAPES, 9
    )
    assert found.nearest == (known,)
    assert (found.missing, found.surplus, found.distance) == (("auth_events",), (), 1)


def test_every_real_database_has_the_shape_of_the_build_that_wrote_it() -> None:
    seen: Counter[str] = Counter()
    for database in require_corpus():
        day, commit = written_by(database)
        with untouched(database), reading(database) as connection:
            epoch = connection.execute("PRAGMA user_version").fetchone()[0]
            found = identify(stored_in(connection), SHAPES, epoch)
        assert found.distance == 0, f"{database}: {found}"
        assert found.notes == (), f"{database}: {found}"
        fitting = [
            known
            for known in found.exact
            if commit in (known.first_commit, known.last_commit)
            and known.first_date.isoformat() <= day
        ]
        assert len(fitting) == 1, f"{database}: {[known.name for known in found.exact]}"
        assert {known.name for known in found.exact} == (
            RECURRING if fitting[0].name in RECURRING else {fitting[0].name}
        )
        seen[fitting[0].name] += 1
    assert len(seen) >= 20, seen
