"""Check many databases at once, one line each, for CI and fleets."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING

from landscape_compat.cli.passphrase import ask_passphrase
from landscape_compat.cli.talk import at_least_one, print_json, say

if TYPE_CHECKING:
    from landscape_compat.landscape.checking import CheckedDatabase

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "databases", metavar="DB", nargs="+", help="a path, a SQLAlchemy URL, or a pattern"
    )
    parser.add_argument(
        "--target",
        metavar="SHAPE",
        help="measure against this shape: a name, commit, epoch or date (see `versions`)",
    )
    parser.add_argument(
        "-j",
        "--jobs",
        type=at_least_one,
        metavar="N",
        help="check so many at a time (all processors)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(says_all=True)  # the result says what the events would


def run(options: argparse.Namespace) -> int:
    """Check the databases."""
    from landscape_compat.landscape.checking import check_databases, processors, worst_of

    found = check_databases(
        options.databases,
        target=options.target,
        jobs=options.jobs or processors(),
        passphrase=ask_passphrase(options.databases),
    )
    checked, codes, verdicts = [], Counter[int](), Counter[str]()
    for one in found:
        codes[one.exit_code] += 1
        verdicts[one.verdict] += 1
        if options.json:
            checked.append(one.to_dict())
        else:
            print(_line(one), flush=True)
    counts = {verdict: verdicts[verdict] for verdict in ("current", "degraded", "unknown")}
    if options.json:
        print_json("check", {"databases": checked, "counts": counts})
    elif not options.quiet:
        say(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    return worst_of(codes)


def _line(one: CheckedDatabase) -> str:
    if one.problem:
        return f"{one.verdict:8}  {one.database}  {one.problem}"
    shape = ", ".join(one.shape) or "no known shape"
    lacks = [
        f"{count} {what}{'' if count == 1 else 's'}"
        for count, what in ((one.missing_tables, "table"), (one.missing_columns, "column"))
        if count
    ]
    missing = f"  lacks {' and '.join(lacks)}" if lacks else ""
    return f"{one.verdict:8}  {one.database}  {shape} ({one.confidence}){missing}"
