"""Encoders made to measure write what the plain ones write, with orjson and without."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from landscape_compat.errors import OutputError
from landscape_compat.export.formats.canonical import canonical_parts
from landscape_compat.export.formats.jsonl import json_line, line_encoder
from landscape_compat.export.records.values import Field, Kind, RecordForm, form_of

EAST = timezone(timedelta(hours=5, minutes=45))
VALUES: list[Any] = [
    *(None, "", 'é\u2028\x7f\x00\x1f\n"\\/%s{}', 0, 1, 2, -1, True, 2**63 - 1, -(2**63)),
    *(1.5, 1e16, 1e-5, 1e22, -1e16, -0.0, 0.0, 5e-324, 1.7e308, 123456789.123456, b"ab\x00"),
    *("2026-01-18 09:15:42.123456", "2026-01-18 09:15:42.000000", "2026-01-18 09:15:42"),
    *("2026-01-18 09:15:42+00:00", "2026-01-18 09:15:42,123456", "2026-01-18T09:15:42.123456"),
    *("0001-01-01 00:00:00.000001", "9999-12-31 23:59:59.999999", "2026-02-30 09:15:42.123456"),
    *("2026-W03-7 09:15:42.123456", "2026-01-18 09:15:42.1+0530", "２026-01-18 09:15:42.123456"),
    *("2026-01-18 24:00:00.000000", "2026-01-18 09:15:42.12345Z", "2026-01-18 09:15:42.123+05"),
    *("2026-01-18 09:15:42.1-0000", "20260118 091542.1234567890", "2026-018 09:15:42.12345678"),
    *(
        "2026-01-18 23:59:60.000000",
        "2026-01-18 09:15:42.12345６",
        "2026-01-18\u00a009:15:42.1234567",
    ),
    *("\ud800", float("inf"), float("-inf")),
    *(datetime(2026, 1, 18, 9, 15, 42, 123456, zone) for zone in (None, UTC, EAST)),
    *(datetime(2026, 1, 18, 9, 15, 42, 0, zone) for zone in (None, UTC, EAST)),
    *(datetime(1, 1, 1, tzinfo=UTC), datetime(987, 6, 5, 4, 3, 2, 1, UTC), date(2026, 1, 18)),
    *(time(9, 15), time(9, 15, 42, 7), UUID(int=7), timedelta(1), Decimal("1.50")),
]
KINDS = [
    ("TEXT", Kind.AS_STORED),
    ("DATETIME", Kind.TIME),
    ("FLOAT", Kind.AS_STORED),
    ("BOOLEAN", Kind.FLAG),
    ("INTEGER", Kind.AS_STORED),
    ("", Kind.AS_STORED),
]


def form(*kinds: tuple[str, Kind], run: bool = False) -> RecordForm:
    fields = [
        Field(f'{at}%s"é', type_, kind, at) for at, (type_, kind) in enumerate(kinds, 1 + run)
    ]
    fields += [Field("absent.x", "TEXT", constant=True), Field("y", "TEXT", constant=None)]
    own = Field("run_id", "TEXT", at=1) if run else None
    return form_of('tok%en"', tuple(field.name for field in fields), own, fields)


def outcome(make: Any, row: Any, run_id: Any) -> Any:
    try:
        return make(row, run_id)
    except OutputError as error:
        return error.column, error.reason


@pytest.mark.parametrize("run", [False, True])
@pytest.mark.parametrize("run_id", [None, "r"])
def test_a_line_is_the_same_however_it_is_made(run: bool, run_id: Any) -> None:
    shape = form(*KINDS, run=run)
    fast, plain = line_encoder(shape), line_encoder(shape, fast=False)
    for value in VALUES:
        for at in range(1, len(KINDS) + 1 + run):
            row = [0, *["x"] * run, *[None] * len(KINDS)]
            row[at] = value
            expected = outcome(lambda r, i: json_line(shape.make(r, i)), row, run_id)
            assert outcome(fast, row, run_id) == outcome(plain, row, run_id) == expected, value


def test_every_character_is_written_alike() -> None:
    shape = form(("TEXT", Kind.AS_STORED))
    fast, plain = line_encoder(shape), line_encoder(shape, fast=False)
    for start in range(0, 0x110000, 512):
        text = "".join(chr(c) for c in range(start, start + 512) if not 0xD800 <= c < 0xE000)
        assert fast((0, text), None) == plain((0, text), None)
        assert json.loads(fast((0, text), None))['1%s"é'] == text


@given(
    st.datetimes().map(lambda moment: moment.isoformat(" ", "microseconds")),
    st.lists(st.tuples(st.integers(0, 25), st.sampled_from("0249-: .,TZ+W６")), max_size=3),
)
def test_every_text_that_is_almost_a_time_is_written_alike(
    text: str, marks: list[tuple[int, str]]
) -> None:
    for at, mark in marks:
        text = text[:at] + mark + text[at + 1 :]
    shape = form(("DATETIME", Kind.TIME))
    for fast in (True, False):
        line = line_encoder(shape, fast=fast)((0, text), None)
        assert line == json_line(shape.make((0, text), None))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_written_alike(number: float) -> None:
    shape = form(("FLOAT", Kind.AS_STORED), ("TEXT", Kind.AS_STORED))
    for row in ((0, number, None), (0, None, number)):
        line = line_encoder(shape)(row, None)
        assert (
            line == line_encoder(shape, fast=False)(row, None) == json_line(shape.make(row, None))
        )


@given(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53) + 1, 2**53 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"])),
    )
)
def test_the_canonical_form_is_that_of_rfc_8785(value: Any) -> None:
    shape = form(("", Kind.AS_STORED), run=True)
    before, after = canonical_parts(shape)((0, "r", value), None)
    record = shape.make((0, "r", value), None)
    assert b"{" + b",".join((before, after)) + b"}" == rfc8785.dumps(record)
