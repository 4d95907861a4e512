"""Ask drawn older databases and their migrated copies as many questions as wanted.

    python tests/stress/equivalence_stress.py 20000 --seed 1
    python tests/stress/equivalence_stress.py 5000 --on mariadb

Each database is drawn by a seed of its own, which is printed where an answer differs, so that it
can be asked again by `equivalence_stress.py 1 --seed SEED`. Ends with status 1 if one does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

from landscape_compat.errors import DegradedReadWarning  # noqa: E402
from support.drifts import Chosen  # noqa: E402
from support.equivalence import (  # noqa: E402
    attached,
    compare,
    draw_problem,
    migrated,
)
from support.queries import Query  # noqa: E402
from support.twins import Twins  # noqa: E402

KINDS = ("sqlite", "postgresql", "duckdb", "mariadb")


def ask_one(seed: int, path: Path) -> Counter[str]:
    """Draw one database and ask its questions; count what came of them."""
    outcomes = Counter[str]()
    problem = draw_problem(Chosen(seed))
    with migrated(problem.case) as copy, attached(problem, path) as shim:
        for question in problem.questions:
            with copy.connect() as expected, shim.connect() as found:
                try:
                    outcome = compare(expected, found, question)
                except AssertionError:
                    outcome = "different"
                    print(f"seed {seed}:\n{problem.case!r}")
                    print(question.sql if isinstance(question, Query) else question.statement)
                    traceback.print_exc(file=sys.stdout)
            outcomes[outcome] += 1
    return outcomes


@contextmanager
def asking(on: str) -> Iterator[Callable[[int], Counter[str]]]:
    """Give what asks the questions of one seed.

    Args:
        on: Of which kind the databases are.
    """
    if on == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield lambda seed: ask_one(seed, Path(folder) / "old.db")
        return
    with _twins(on) as twins:

        def ask(seed: int) -> Counter[str]:
            said: list[str] = []
            try:
                return twins.ask(twins.draw(Chosen(seed)), said.append)
            except AssertionError as error:
                print(f"seed {seed}:\n{said[0]}\n{said[-1]}\n{error}", flush=True)
                return Counter({"different": 1})

        yield ask


@contextmanager
def _twins(on: str) -> Iterator[Twins]:
    # What one kind needs may not be installed where another is asked.
    if on == "postgresql":
        from support.pg_twins import pg_twins
        from support.postgres import running_server

        with running_server() as server, pg_twins(server) as twins:
            yield twins
    elif on == "mariadb":
        from support.maria_twins import MariaTwins
        from support.mariadb import running_mariadb

        with running_mariadb() as older, running_mariadb() as copy:
            yield MariaTwins(older, copy)
    else:
        from support.duck_twins import DuckTwins

        yield DuckTwins()


def main() -> int:
    """Run as the arguments say; print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, help="how many databases")
    parser.add_argument("--seed", type=int, default=1, help="of the first database")
    parser.add_argument("--on", choices=KINDS, default=KINDS[0])
    options = parser.parse_args()
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", DegradedReadWarning)
    outcomes, begun = Counter[str](), time.monotonic()
    with asking(options.on) as ask:
        for number in range(options.count):
            outcomes += ask(options.seed + number)
            if number % 500 == 499:
                print(f"{number + 1}: {dict(outcomes)}", flush=True)
    took = time.monotonic() - begun
    print(f"{options.count} databases, {outcomes.total()} questions in {took:.0f} s")
    # The server's own: what it answers wrongly of the migrated copy as well, if it plans otherwise.
    for what in (
        "rows",
        "no rows",
        "error",
        "refused",
        "too long",
        "unparsed",
        "the server's own",
        "different",
    ):
        print(f"{what}: {outcomes[what]}")
    return 1 if outcomes["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
