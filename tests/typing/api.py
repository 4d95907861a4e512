"""What a type checker sees of the public API; checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, assert_type

from sqlalchemy import Connection, MetaData, create_engine, literal
from sqlalchemy.ext.asyncio import create_async_engine

import landscape_compat
from landscape_compat import (
    ABSENT,
    Attachment,
    DegradedReadWarning,
    Landscape,
    LandscapeCompatError,
    Migration,
    ReadOnlyRecorder,
    Rule,
    SchemaReport,
    absent,
    attach,
    derived,
    export_run,
    inspect_database,
    mapped,
    migrate_database,
    neutral,
    open_landscape,
    renamed,
)


def attaching(metadata: MetaData) -> None:
    """Both kinds of engine are taken; an attachment is a context manager of its own type."""
    assert_type(attach(create_engine("sqlite:///a.db"), metadata), Attachment)
    assert_type(attach(create_async_engine("sqlite+aiosqlite:///a.db"), metadata), Attachment)
    with attach(create_engine("sqlite:///a.db"), metadata, posture="refuse") as attachment:
        assert_type(attachment, Attachment)
        assert_type(attachment.report(), SchemaReport)
    # A posture that does not exist is an error of the checker.
    attach(create_engine("sqlite://"), metadata, posture="panic")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def ruling() -> Sequence[Rule]:
    """Every maker of rules makes a rule."""
    rules = [
        absent("a.b"),
        renamed("a.c", "d"),
        derived("a.e", literal(1)),
        mapped("a.f", {1: 2}),
        neutral("a.g", literal(0)),
    ]
    assert_type(rules, list[Rule])
    return rules


def reading() -> None:
    """A value is what the column holds, None, or ABSENT, and a test for it narrows the type."""
    with open_landscape("a.db") as db:
        assert_type(db, Landscape)
        recorder = ReadOnlyRecorder(db)
        run = recorder.list_runs()[0]
        assert_type(run.run_id, str)
        started = run.started_at
        if started is not ABSENT and started is not None:
            assert_type(started, datetime)
        for record in export_run(db, run.run_id):
            assert_type(record, dict[str, Any])
        with db.connection() as connection:
            assert_type(connection, Connection)


def reporting() -> None:
    """Reports, errors and warnings have typed fields."""
    report = inspect_database("a.db")
    assert_type(report, SchemaReport)
    assert_type(report.degraded, bool)
    assert_type(report.to_dict(), dict[str, Any])
    assert_type(LandscapeCompatError("x").remedy, str | None)
    assert_type(DegradedReadWarning("x").missing, tuple[str, ...])
    assert_type(migrate_database("a.db", "b.db"), Migration)


def wrapping(database: Enum) -> None:
    """What is wrapped stays what it is."""
    assert_type(landscape_compat.wrap(database), Enum)
    assert_type(landscape_compat.install(), None)


def streaming(db: Landscape) -> Iterator[dict[str, Any]]:
    """A stream of records is an iterator."""
    return export_run(db, "run")
