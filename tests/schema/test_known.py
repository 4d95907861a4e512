"""A stored schema is named after the known shape that it has, or the nearest, ties included."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landscape_compat.schema.known import KnownShape, identify
from landscape_compat.schema.shape import ColumnShape, SchemaShape, TableShape


def _schema(**tables: str) -> SchemaShape:
    """Make a schema of `items="id! size*"`: of a primary key, and of what is never NULL."""
    return SchemaShape.of(
        *(
            TableShape(
                name,
                tuple(
                    ColumnShape(
                        word.rstrip("!*"),
                        "TEXT",
                        nullable=word.isalpha(),
                        primary_key=word.endswith("!"),
                    )
                    for word in columns.split()
                ),
            )
            for name, columns in tables.items()
        )
    )


def _known(day: int, *epochs: int, **tables: str) -> KnownShape:
    when = date(2020, 1, day)
    commit = f"{day:07x}"
    return KnownShape(f"{when}/{commit}", commit, when, commit, when, epochs, _schema(**tables))


FIRST = _known(1, runs="id! state", items="id! run")
SIZED = _known(2, 1, runs="id! state", items="id! run size")
KEYED = _known(3, 1, 2, runs="id! state", items="id! run! size")
AGAIN = _known(4, runs="id! state", items="id! run")
NEWEST = _known(5, 3, runs="id! state kind", items="id! run! size", logs="id! text")
KNOWN = (FIRST, SIZED, KEYED, AGAIN, NEWEST)


@pytest.mark.parametrize("known", [SIZED, KEYED, NEWEST], ids=lambda known: known.name)
def test_a_known_shape_is_recognised(known: KnownShape) -> None:
    found = identify(known.shape, KNOWN, known.epochs[0])
    assert found.exact == found.nearest == (known,)
    assert (found.distance, found.confidence, found.notes) == (0, "exact", ())
    assert (found.missing, found.surplus, found.unknown, found.is_newer) == ((), (), (), False)


def test_a_shape_that_came_back_is_a_tie() -> None:
    found = identify(FIRST.shape, KNOWN)
    assert found.exact == (FIRST, AGAIN)
    assert found.confidence == "tie"


def test_equal_names_are_told_apart_by_keys() -> None:
    assert identify(KEYED.shape, KNOWN).exact == (KEYED,)
    assert identify(SIZED.shape, KNOWN).exact == (SIZED,)


def test_equal_names_are_told_apart_by_what_may_be_null() -> None:
    stricter = _known(3, runs="id! state*", items="id! run size")
    assert identify(stricter.shape, (SIZED, stricter)).exact == (stricter,)
    assert identify(SIZED.shape, (SIZED, stricter)).exact == (SIZED,)


def test_equal_names_with_keys_of_neither_are_a_tie_and_said_to_differ() -> None:
    found = identify(_schema(runs="id state!", items="id! run size"), (SIZED,))
    assert found.exact == (SIZED,)
    assert found.notes == (
        f"Keys or nullability differ from those of {SIZED.name}: runs.id, runs.state.",
    )


def test_names_are_folded_as_the_database_folds_them() -> None:
    assert identify(_schema(RUNS="Id! STATE", Items="ID! Run SIZE"), KNOWN).exact == (SIZED,)


def test_the_nearest_is_named_with_what_lies_between() -> None:
    found = identify(_schema(runs="id! state kind", items="id! run! size"), KNOWN)
    assert found.exact == ()
    assert found.nearest == (SIZED, KEYED, NEWEST)
    assert (found.confidence, found.distance) == ("nearest", 1)
    assert (found.missing, found.surplus) == ((), ("runs.kind",))


def test_a_missing_column_counts_as_much_as_one_too_many() -> None:
    found = identify(_schema(runs="id!", items="id! run"), (FIRST, SIZED))
    assert (found.nearest, found.distance) == ((FIRST,), 1)
    assert found.missing == ("runs.state",)


def test_a_table_that_nobody_knows_does_not_spoil_the_match() -> None:
    found = identify(_schema(yours="a", runs="id! state", items="id! run size", mine="a b"), KNOWN)
    assert found.exact == (SIZED,)
    assert found.unknown == ("mine", "yours")
    assert not found.is_newer
    assert len(found.notes) == 1
    assert "No known shape has mine, yours: " in found.notes[0]


def test_a_whole_table_that_nobody_knows_does_not_make_the_newest_shape_newer() -> None:
    stored = _schema(runs="id! state kind", items="id! run! size", logs="id! text", mine="a")
    found = identify(stored, KNOWN, 3)
    assert (found.exact, found.unknown, found.is_newer) == ((NEWEST,), ("mine",), False)
    assert "or somebody else" in found.notes[0]


def test_a_column_that_nobody_knows_in_an_old_shape_does_not_make_it_newer() -> None:
    found = identify(_schema(runs="id! state mine", items="id! run size"), KNOWN)
    assert (found.exact, found.unknown, found.is_newer) == ((SIZED,), ("runs.mine",), False)


def test_what_nobody_knows_in_the_newest_shape_makes_it_newer() -> None:
    found = identify(
        _schema(runs="id! state kind colour", items="id! run! size", logs="id! text"), KNOWN
    )
    assert found.exact == (NEWEST,)
    assert found.unknown == ("runs.colour",)
    assert found.is_newer
    assert "newer than every known shape" in found.notes[-1]


def test_an_epoch_above_all_makes_it_newer_and_changes_nothing_else() -> None:
    found = identify(SIZED.shape, KNOWN, 4)
    assert found.exact == (SIZED,)
    assert found.is_newer


@pytest.mark.parametrize(
    ("shape", "epoch", "note"),
    [
        (SIZED, 2, "says epoch 2, but builds with this shape stamp 1. Epoch 2 is that of"),
        (SIZED, 0, "says no epoch, but builds with this shape stamp 1."),
        (FIRST, 1, "says epoch 1, but builds with this shape stamp none. Epoch 1 is that of"),
    ],
)
def test_an_epoch_that_contradicts_the_columns_is_told_and_does_not_decide(
    shape: KnownShape, epoch: int, note: str
) -> None:
    found = identify(shape.shape, KNOWN, epoch)
    assert found.exact == identify(shape.shape, KNOWN).exact
    assert found.epoch == epoch
    assert note in found.notes[0]


@pytest.mark.parametrize("epoch", [None, 0])
def test_no_epoch_is_no_contradiction_where_none_was_stamped(epoch: int | None) -> None:
    assert identify(FIRST.shape, KNOWN, epoch).notes == ()


def test_tables_of_two_builds_are_told_as_a_mixture() -> None:
    found = identify(_schema(runs="id! state", items="id! run", logs="id! text"), KNOWN)
    assert found.nearest == (FIRST, AGAIN)
    assert "no one build made them all" in found.notes[0]
    altered = identify(_schema(runs="id!", items="id! run size", logs="id! text"), KNOWN)
    assert not any("no one build" in note for note in altered.notes)


@pytest.mark.parametrize(
    "stored",
    [_schema(), _schema(users="id! name"), _schema(runs="id! owner started")],
    ids=["empty", "foreign", "a name in common"],
)
def test_what_is_not_alike_is_not_called_near(stored: SchemaShape) -> None:
    found = identify(stored, KNOWN[-1:], 0)
    assert (found.confidence, found.nearest, found.exact) == ("none", (), ())


def test_nothing_known_identifies_nothing() -> None:
    assert identify(FIRST.shape, ()).confidence == "none"


def test_the_finding_can_be_written_as_json() -> None:
    named = identify(_schema(runs="id! state", items="id! run mine", logs="id!"), KNOWN, 7)
    found = json.loads(json.dumps(named.to_dict()))
    assert found.pop("exact") == []
    assert found.pop("nearest") == [FIRST.to_dict(), AGAIN.to_dict()]
    assert {name: tuple(v) if isinstance(v, list) else v for name, v in found.items()} == {
        field.name: getattr(named, field.name)
        for field in fields(named)
        if field.name not in ("exact", "nearest")
    }
    assert KEYED.to_dict() == {
        "name": "2020-01-03/0000003",
        "first_commit": "0000003",
        "first_date": "2020-01-03",
        "last_commit": "0000003",
        "last_date": "2020-01-03",
        "epochs": [1, 2],
    }


def test_a_whole_table_counts_as_one_difference() -> None:
    wide = _known(6, runs="id! state kind", items="id! run! size", logs="id! a b c d e f")
    found = identify(_schema(runs="id! state kind", items="id! run! size"), (KEYED, wide))
    assert found.nearest == (KEYED, wide)
    assert found.distance == 1
    found = identify(_schema(runs="id! state kind", logs="id! a b c d e f"), (KEYED, wide))
    assert (found.nearest, found.missing) == ((wide,), ("items",))


def test_tables_whose_names_fold_to_one_count_together() -> None:
    """PostgreSQL tells them apart, and a known shape is none the less there."""
    tables = [*KEYED.shape, *_schema(ITEMS="extra")]
    stored = SchemaShape.of(*tables, exact=True)
    found = identify(stored, KNOWN)
    assert (found.exact, found.unknown) == ((KEYED,), ("ITEMS.extra",))


COLUMNS = sorted({path for known in KNOWN for path in known.paths})


def _apart(one: set[str], two: set[str]) -> set[str]:
    tables = [{path.split(".")[0] for path in side} for side in (one, two)]
    whole = tables[0] ^ tables[1]
    return whole | {path for path in one ^ two if path.split(".")[0] not in whole}


@given(st.sets(st.sampled_from(COLUMNS)))
def test_no_known_shape_is_nearer_than_the_nearest(paths: set[str]) -> None:
    tables: dict[str, str] = {}
    for path in sorted(paths):
        table, _, column = path.partition(".")
        tables[table] = f"{tables.get(table, '')} {column}"
    found = identify(_schema(**tables), KNOWN)
    apart = {known.name: _apart(paths, set(known.paths)) for known in KNOWN}
    for known in found.nearest:
        assert len(apart[known.name]) == found.distance == min(map(len, apart.values()))
    if found.nearest:
        assert {*found.missing, *found.surplus} == apart[found.nearest[0].name]
    assert found.exact == () or paths == found.exact[0].paths
