"""Ask drawn older databases and their migrated copies as many questions as wanted.

    python tests/stress/equivalence_stress.py 20000 --seed 1

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


def main() -> int:
    """Run as the arguments say; print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, help="how many databases")
    parser.add_argument("--seed", type=int, default=1, help="of the first database")
    options = parser.parse_args()
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", DegradedReadWarning)
    outcomes, begun = Counter[str](), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.count):
            outcomes += ask_one(options.seed + number, Path(folder) / "old.db")
            if number % 500 == 499:
                print(f"{number + 1}: {dict(outcomes)}", flush=True)
    took = time.monotonic() - begun
    print(f"{options.count} databases, {outcomes.total()} questions in {took:.0f} s")
    for what in ("rows", "no rows", "error", "refused", "different"):
        print(f"{what}: {outcomes[what]}")
    return 1 if outcomes["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
