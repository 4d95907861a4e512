"""What comparing all indexes with their tables costs a whole export, in CPU seconds.

    python benchmarks/soundness.py DB --rounds 3

Each round makes a bag in each format, and makes the comparison by itself.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median

from landscape_compat import export_bag, open_landscape
from landscape_compat.export.records.soundness import require_sound_indexes


def main() -> int:
    """Measure as the arguments say; print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("database", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--formats", default="jsonl,csv,parquet")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    checks: list[float] = []
    exports: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        with open_landscape(options.database) as db:
            with db.connection() as connection:
                began = time.process_time()
                require_sound_indexes(connection)
                checks.append(time.process_time() - began)
            for format_ in options.formats.split(","):
                with tempfile.TemporaryDirectory() as scratch:
                    began = time.process_time()
                    export_bag(db, Path(scratch) / "bag", formats=(format_,))
                    exports.setdefault(format_, []).append(time.process_time() - began)
    check = median(checks)
    print(f"{options.database.stat().st_size >> 20} MiB; comparing the indexes: {check:.2f} s")
    for format_, seconds in exports.items():
        print(f"| {format_} | {median(seconds):.2f} | {100 * check / median(seconds):.0f} % |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
