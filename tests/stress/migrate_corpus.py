"""Migrate every real database to the newest shape and to three in between; verify each proof.

python tests/stress/migrate_corpus.py [COUNT] [--skip N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

from landscape_compat import migrate_database, verify_migration  # noqa: E402
from landscape_compat.errors import LandscapeCompatError  # noqa: E402
from support.corpus import corpus_databases, shapes_between  # noqa: E402
from support.untouched import untouched  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    """Migrate them; 1 if one of them does not hold.

    Args:
        arguments: The command line; None for the process's own.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", help="how many databases; all if not given")
    parser.add_argument("--skip", type=int, default=0, help="leave so many of the oldest out")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    databases = corpus_databases()[options.skip :][: options.count]
    wrong = rows = migrations = 0
    for database in databases:
        for to in (None, *shapes_between(database)):
            migrations += 1
            with tempfile.TemporaryDirectory() as folder, untouched(database):
                new = Path(folder) / "new.db"
                try:
                    made = migrate_database(database, new, to=to)
                    rows += made.done.rows
                    found = verify_migration(new, source=database).findings
                    problems = [str(finding) for finding in found]
                except LandscapeCompatError as error:
                    problems = [str(error)]
            if problems:
                wrong += 1
                print(f"{database.parent.name}/{database.name} to {to}: {problems}", flush=True)
    print(f"{len(databases)} databases, {migrations} migrations: {rows} rows, {wrong} wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
