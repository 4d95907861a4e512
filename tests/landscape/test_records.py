"""Records are frozen, typed, complete, and tell what is absent from what is NULL."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, fields
from datetime import datetime
from types import NoneType
from typing import assert_type, get_args, get_type_hints

import pytest

from landscape_compat.landscape import bookkeeping, records
from landscape_compat.landscape.absent import ABSENT, Absent, Text
from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.records import Record, Run
from landscape_compat.landscape.tables import TABLES, facts_for

KINDS: tuple[type[Record], ...] = tuple(
    kind
    for module in (records, bookkeeping)
    for name in module.__all__
    if isinstance(kind := getattr(module, name), type)
    and issubclass(kind, Record)
    and kind is not Record
)
PYTHON_TYPES = {
    "VARCHAR": str,
    "TEXT": str,
    "INTEGER": int,
    "FLOAT": float,
    "BOOLEAN": bool,
    "DATETIME": datetime,
}
by_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def test_there_is_one_class_for_every_table_that_ever_was() -> None:
    assert sorted(kind.TABLE for kind in KINDS) == sorted(facts.table for facts in TABLES)


@by_kind
def test_a_class_has_every_column_that_its_table_ever_had(kind: type[Record]) -> None:
    columns = {
        column.name
        for known in known_shapes()
        if (table := known.shape.table(kind.TABLE))
        for column in table.columns
    }
    assert {field.name for field in fields(kind)} == columns


@by_kind
def test_an_attribute_has_the_type_that_its_column_declares(kind: type[Record]) -> None:
    hints = get_type_hints(kind)
    for known in known_shapes():
        table = known.shape.table(kind.TABLE)
        for column in table.columns if table else ():
            hint = hints[column.name]
            (found,) = {*(get_args(hint) or (hint,))} - {NoneType, Absent}
            assert found is PYTHON_TYPES[column.type.partition("(")[0]], column


@by_kind
def test_only_what_names_a_record_or_what_it_belongs_to_cannot_be_absent(
    kind: type[Record],
) -> None:
    """And those are in every shape, and never NULL there."""
    facts = facts_for(kind.TABLE)
    assert facts is not None
    naming = {*facts.key, *(link.key for link in facts.links)}
    hints = get_type_hints(kind)
    certain = {field.name for field in fields(kind) if Absent not in get_args(hints[field.name])}
    assert certain <= naming
    for known in known_shapes():
        table = known.shape.table(kind.TABLE)
        for name in certain if table else ():
            assert table is not None
            column = table.column(name)
            assert column is not None
            assert not column.nullable


def test_a_record_cannot_be_changed() -> None:
    run = Run(run_id="r", status=None)
    with pytest.raises(FrozenInstanceError):
        run.status = "completed"  # type: ignore[misc]
    assert run == Run(run_id="r", status=None)
    assert run != Run(run_id="r")
    assert hash(run) == hash(Run(run_id="r", status=None))


def test_absent_is_not_null_and_says_so() -> None:
    run = Run(run_id="r", status=None)
    assert run.status is None
    assert run.export_error is ABSENT
    assert repr(ABSENT) == str(ABSENT) == "ABSENT"
    assert ABSENT != None  # noqa: E711
    assert "export_error=ABSENT" in repr(run)


def test_absent_is_neither_true_nor_false() -> None:
    """Read as false, an absent `error_json` would say that there was no error."""
    with pytest.raises(TypeError, match="is ABSENT"):
        bool(ABSENT)
    with pytest.raises(TypeError, match="is ABSENT"):
        assert not Run(run_id="r").export_error


def test_absent_stays_the_same_object_however_it_travels() -> None:
    assert copy.copy(ABSENT) is ABSENT
    assert copy.deepcopy([ABSENT])[0] is ABSENT
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        run = pickle.loads(pickle.dumps(Run(run_id="r"), protocol))
        assert run == Run(run_id="r")
        assert run.status is ABSENT


def test_comparing_with_absent_narrows_the_type() -> None:
    value: Text = Run(run_id="r", status="completed").status
    if value is not ABSENT and value is not None:
        assert_type(value, str)
    assert value == "completed"
