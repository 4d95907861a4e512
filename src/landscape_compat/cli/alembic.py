"""Print the Alembic operations that would bring a database to a declared schema."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from landscape_compat.cli.talk import print_json
from landscape_compat.errors import ExitCode, LandscapeCompatError, printable

if TYPE_CHECKING:
    from sqlalchemy import MetaData

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("database", metavar="DB", help="a path or a SQLAlchemy URL")
    declared = parser.add_mutually_exclusive_group()
    declared.add_argument(
        "--metadata",
        metavar="MODULE:NAME",
        help="where your program keeps its MetaData, as in `app.models:metadata` or "
        "`app.models:Base.metadata`",
    )
    declared.add_argument(
        "--target",
        metavar="SHAPE",
        help="a known shape of the audit database instead (see `versions`); the newest if "
        "neither is given",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--exit-code", action="store_true", help="exit with 5 if there is anything to do"
    )
    parser.set_defaults(says_all=True)  # the result says what the events would


def run(options: argparse.Namespace) -> int:
    """Print the body of a revision's `upgrade()`."""
    from landscape_compat.migrate.alembic import plan_alembic

    plan = plan_alembic(options.database, _metadata(options))
    if options.json:
        print_json("alembic", plan.to_dict())
    else:
        stamps = ", ".join(map(printable, plan.stamps))
        print(f"# stamped by Alembic: {stamps or 'no'}")
        print(f"# operations: {len(plan.operations)}")
        for caution in plan.cautions:
            print(f"# caution: {printable(caution)}")
        print(plan.code)
    return ExitCode.DEGRADED if options.exit_code and plan.operations else ExitCode.DONE


def _metadata(options: argparse.Namespace) -> MetaData:
    from sqlalchemy import MetaData

    if options.metadata is None:
        from landscape_compat.landscape.history import known_shapes, shape_named
        from landscape_compat.landscape.metadata import metadata_of

        target = options.target
        return metadata_of(known_shapes()[-1] if target is None else shape_named(target))
    found = _named(options.metadata)
    if not isinstance(found, MetaData):
        raise LandscapeCompatError(
            f"{printable(options.metadata)} is a {type(found).__name__}, no MetaData.",
            remedy="Name it as in `app.models:Base.metadata`.",
        )
    return found


def _named(place: str) -> Any:
    import importlib
    import sys
    from pathlib import Path

    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as `python -m` does
    module, _, name = place.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise LandscapeCompatError(
            f"{printable(place)!r} cannot be found: {error}.",
            remedy="Name it as in `app.models:Base.metadata`, where `python -c 'import "
            "app.models'` works.",
        ) from error
    return found
