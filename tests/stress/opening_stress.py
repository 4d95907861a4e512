"""Open a database under fire for as long as wanted, and count what was seen.

    python tests/stress/opening_stress.py --seconds 180 --mode wal --mode delete

Ends with status 1 if a read was torn, stale or unrepeatable, or failed in a way that is neither
a refusal nor a change that was noticed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

from support.wal import Churn, churning  # noqa: E402

GOOD = ("right", "caught", "refused")


def observe_for(churn: Churn, seconds: float, allow_copy: bool) -> Counter[str]:
    """Observe a database over and over, in this process."""
    seen: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        seen[churn.observe(allow_copy=allow_copy)] += 1
        # Without a pause there is always a reader, and no writer ever closes cleanly.
        time.sleep(random.random() * random.choice((0, 0.04)))
    return seen


def main() -> int:
    """Run as the arguments say; print a table for each mode."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="for each mode")
    parser.add_argument("--readers", type=int, default=1, help="processes that read at a time")
    parser.add_argument("--mode", action="append", choices=("wal", "delete", "persist"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-copy", action="store_true", help="allow no private copies")
    options = parser.parse_args()
    bad = 0
    for mode in options.mode or ("wal", "delete"):
        with (
            tempfile.TemporaryDirectory() as folder,
            churning(Path(folder), mode, options.seed) as churn,
            ProcessPoolExecutor(options.readers) as pool,
        ):
            tasks = [
                pool.submit(observe_for, churn, options.seconds, not options.no_copy)
                for _ in range(options.readers)
            ]
            seen = sum((task.result() for task in tasks), Counter[str]())
        print(f"{mode}: {seen.total()} opens")
        for what, count in seen.most_common():
            print(f"  {count:7}  {what}")
        bad += sum(count for what, count in seen.items() if not what.startswith(GOOD))
    print(f"wrong: {bad}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
