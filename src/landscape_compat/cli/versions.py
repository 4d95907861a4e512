"""List the known shapes of the audit schema, oldest first."""

from __future__ import annotations

import argparse

from landscape_compat.cli.talk import print_json, print_table
from landscape_compat.errors import ExitCode

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """List the shapes."""
    from landscape_compat.landscape.history import known_shapes

    shapes = [
        {
            "shape": known.name,
            "first_date": str(known.first_date),
            "last_date": str(known.last_date),
            "first_commit": known.first_commit,
            "last_commit": known.last_commit,
            "epochs": list(known.epochs),
            "tables": len(known.shape),
            "columns": sum(len(table.columns) for table in known.shape),
        }
        for known in known_shapes()
    ]
    if options.json:
        print_json("versions", {"shapes": shapes})
        return ExitCode.DONE
    print_table(
        ("SHAPE", "FROM", "TO", "EPOCHS", "TABLES", "COLUMNS"),
        (
            (
                shape["shape"],
                shape["first_date"],
                shape["last_date"],
                ",".join(map(str, shape["epochs"])) or "-",  # type: ignore[call-overload]
                shape["tables"],
                shape["columns"],
            )
            for shape in shapes
        ),
    )
    return ExitCode.DONE
