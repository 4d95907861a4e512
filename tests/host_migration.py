"""Databases that the host itself migrated to, read by the host alone, beside the old ones shimmed.

Not a test: run it by hand, with a folder of unpacked checkouts of the host and a folder of
databases. Each database is migrated with `--host` under the checkout's own interpreter. The new
one is then opened by the host without the shim, which validates it, and every surface of the host
is asked; its export must hold the same records as the shimmed export of the old one. It ends with
1 if one of them does not. Where the host insists on a text that was not recorded, what this script
names stands in.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from host_matrix import ROOT, environment, hosts_in, read
from support.host_result import Cell, Host

# What the newest host insists on, and builds before May 2026 did not record.
STAND_INS = (
    "runs.openrouter_catalog_sha256=",
    "runs.openrouter_catalog_source=bundled",
    "checkpoints.upstream_topology_hash=",
)
MIGRATE = """
import sys
from pathlib import Path
from landscape_compat.cli import main
folder, count = Path(sys.argv[1]), int(sys.argv[2])
stand_ins = [word for one in sys.argv[3:3 + count] for word in ("--stand-in", one)]
for number, database in enumerate(sys.argv[3 + count:]):
    print(database, file=sys.stderr, flush=True)
    main(["migrate", database, "-o", str(folder / f"{number}.db"), "--host", *stand_ins])
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Migrate every database by every checkout, and compare.

    Args:
        arguments: The command line; None for the process's own.
    """
    options = parser().parse_args(arguments)
    hosts = hosts_in(options.hosts, options.only)
    databases = sorted(options.databases.rglob("*.db"))[options.skip :][: options.count]
    if not hosts or not databases:
        raise SystemExit("There is no checkout of the host, or no database, in these folders.")
    wrong = 0
    for host in hosts:
        with tempfile.TemporaryDirectory(prefix="host-migration-") as made:
            problems = list(check(host, databases, Path(made).resolve()))
        print(f"{host.name}: {len(databases)} databases, {len(problems)} problems")
        print("".join(f"  {problem}\n" for problem in problems), end="")
        wrong += bool(problems)
    return int(wrong > 0)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--hosts", type=Path, required=True, metavar="DIR", help="checkouts")
    made.add_argument("--databases", type=Path, required=True, metavar="DIR", help="databases")
    made.add_argument("--count", type=int, metavar="N", help="so many databases; all if not given")
    made.add_argument("--skip", type=int, default=0, metavar="N", help="not the first of them")
    made.add_argument("--only", action="append", metavar="NAME", help="only this checkout")
    return made


def check(host: Host, databases: list[Path], folder: Path) -> Iterable[str]:
    """Say what is wrong with the databases that a host migrated to; nothing if they are right.

    Args:
        host: The checkout.
        databases: The old databases.
        folder: Where to put the new ones.
    """
    env = environment(host, True, folder)
    ended = subprocess.run(
        [host.python, "-c", MIGRATE, folder, str(len(STAND_INS)), *STAND_INS, *databases],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    new = [folder / f"{number}.db" for number in range(len(databases))]
    made = [(old, path) for old, path in zip(databases, new, strict=True) if path.exists()]
    if len(made) < len(new):
        yield f"{len(new) - len(made)} were not migrated: {ended.stderr.strip()[-2000:]}"
    old_cells = read(host, True, [old for old, _ in made])
    new_cells = read(host, False, [path for _, path in made])
    for shimmed, native in zip(old_cells, new_cells, strict=True):
        name = f"{shimmed.database.parent.name}/{shimmed.database.name}"
        for problem in compare(shimmed, native):
            yield f"{name}: {problem}"


def compare(shimmed: Cell, native: Cell) -> Iterable[str]:
    """Say how the native reading of a new database differs from the shimmed one of the old.

    Args:
        shimmed: The host, shimmed, on the old database.
        native: The host alone on the new one.
    """
    if not native.exported:
        yield f"no native export: {native.problems}"
        return
    yield from (p for p in native.problems if not p.startswith("left behind"))
    old, new = records(shimmed), records(native)
    if old != new:
        pairs = [(a, b) for a, b in zip(old, new, strict=False) if a != b]
        yield f"{len(old)} records before, {len(new)} after; first difference: {pairs[:1]}"


def records(cell: Cell) -> list[dict[str, Any]]:
    """Give what a cell exported, without the manifests, which tell of the export itself."""
    return [record for record in cell.records if record["record_type"] != "manifest"]


if __name__ == "__main__":
    sys.exit(main())
