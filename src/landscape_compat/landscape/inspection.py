"""Inspection: which schema a database has, and what it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from sqlalchemy import Engine, MetaData

from landscape_compat.engine.attach import attach
from landscape_compat.engine.diagnosis import Diagnosis, diagnose_file
from landscape_compat.engine.encryption import make_engine
from landscape_compat.engine.report import SchemaReport
from landscape_compat.engine.source import source_of
from landscape_compat.errors import LandscapeCompatError
from landscape_compat.landscape.database import database_url, open_landscape
from landscape_compat.landscape.history import shape_named
from landscape_compat.landscape.metadata import metadata_of
from landscape_compat.landscape.rules import landscape_rules
from landscape_compat.projection.rules import Rule, RuleSet

__all__ = ["diagnose_database", "inspect_database", "inspect_landscape"]


def inspect_database(
    database: Any,
    metadata: MetaData | None = None,
    *,
    rules: RuleSet | Sequence[Rule] = (),
    passphrase: str | None = None,
) -> SchemaReport:
    """Tell which schema a database has and what it lacks, without writing to it.

    Args:
        database: A path, a SQLAlchemy URL, or an `Engine` on a file, which is left as it is.
        metadata: What to measure against; the newest known Landscape if not given.
        rules: Where values that are not stored come from; a Landscape's own if neither is given.
        passphrase: What the file is encrypted by, if it is; of no effect if not.

    Raises:
        OpeningRefusedError: It cannot be opened without a trace or a risk; says why.
        NotALandscapeError: No metadata was given and it is not a Landscape.
        AttachError: Its dialect is not known.
    """
    url = database.url if isinstance(database, Engine) else database_url(database)
    if metadata is None:
        with open_landscape(url, passphrase=passphrase) as landscape:
            return landscape.report()
    engine = make_engine(url, passphrase)
    try:
        return attach(engine, metadata, rules=rules, read_only=True).report()
    finally:
        engine.dispose()


def diagnose_database(
    database: Any,
    *,
    check: Literal["quick", "full", "none"] = "quick",
    passphrase: str | None = None,
) -> Diagnosis:
    """Tell whether and how a database can be read safely, and in what condition it is.

    A database that cannot be read is no error: the diagnosis says why not, and what to do.

    Args:
        database: A path, a SQLAlchemy URL of a SQLite file, or an `Engine` on one.
        check: Which of SQLite's checks to make: `quick` reads every page, `full` also compares
            indexes with their tables.
        passphrase: What the file is encrypted by, if it is; of no effect if not.

    Raises:
        SourceChangedError: It was written to while it was checked.
        LandscapeCompatError: It is no file.
    """
    url = database.url if isinstance(database, Engine) else database_url(database)
    path = None
    if url.get_backend_name() == "sqlite":
        path = source_of(*url.get_dialect()().create_connect_args(url)).path
    if path is None:
        raise LandscapeCompatError(
            "Only a SQLite database in a file can be diagnosed.", remedy="Give its path."
        )
    return diagnose_file(path, check=check, passphrase=passphrase)


def inspect_landscape(
    database: Any, *, target: str | None = None, passphrase: str | None = None
) -> SchemaReport:
    """Inspect a Landscape against a known shape.

    Args:
        database: A path, or a SQLAlchemy URL.
        target: The shape's name, commit, epoch or date; the newest if not given.
        passphrase: What the file is encrypted by, if it is; of no effect if not.

    Raises:
        OpeningRefusedError: It cannot be opened without a trace or a risk; says why.
        NotALandscapeError: It is not a Landscape.
        LandscapeCompatError: No such shape is known.
    """
    if target is None:
        return inspect_database(database, passphrase=passphrase)
    shape = shape_named(target)
    found = inspect_database(database, passphrase=passphrase)
    report = inspect_database(
        database, metadata_of(shape), rules=landscape_rules(), passphrase=passphrase
    )
    return replace(report, target=shape.name, identification=found.identification)
