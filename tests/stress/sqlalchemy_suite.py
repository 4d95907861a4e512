"""Run SQLAlchemy's own tests with the shim on every engine, and without: they must end alike.

    python tests/stress/sqlalchemy_suite.py CHECKOUT --db sqlite_file

CHECKOUT is a work tree of SQLAlchemy's repository; its own library is tested. Nothing of it is kept
here.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
# These hand the shim a mock of a connection or of a pool's record, which it cannot look at.
MOCKED = frozenset(
    (
        "test_creator_callable_outside_witharg",
        "test_creator_patching_arg_to_noarg",
        "test_engine_from_config_custom",
        "test_raw_connection_context",
        "test_recycle_pool_no_race",
    )
)
PATHS = ("test/engine", "test/sql", "test/dialect/test_suite.py")


def main() -> int:
    """Run what the arguments ask for; 1 means that a test ended in another way."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--db", default="sqlite_file")
    parser.add_argument("--dburi", help="instead of --db")
    parser.add_argument("paths", nargs="*", default=PATHS)
    options = parser.parse_intermixed_args()
    database = ["--dburi", options.dburi] if options.dburi else ["--db", options.db]
    with TemporaryDirectory() as folder:
        without, attached = (
            run(options.checkout, [*database, *options.paths], Path(folder), plugin)
            for plugin in ("", "attach_everywhere")
        )
    for name in ("without", "attached"):
        print(f"{name:<10}", dict(Counter((without if name == "without" else attached).values())))
    differing = [
        test for test in sorted(without | attached) if without.get(test) != attached.get(test)
    ]
    for test in differing:
        print(f"{test}: {without.get(test)} without, {attached.get(test)} attached")
    found = [test for test in differing if test.rpartition(".")[2] not in MOCKED]
    print(
        f"{len(without)} tests; {len(differing) - len(found)} that hand out mocks, and "
        f"{len(found)} others, end in another way"
    )
    return 1 if found else 0


def run(checkout: Path, arguments: list[str], folder: Path, plugin: str) -> dict[str, str]:
    """Run the tests; give how each ended."""
    report = folder / f"{plugin or 'without'}.xml"
    loads = ["-p", plugin] if plugin else []
    path = os.pathsep.join((str(checkout / "lib"), str(HERE)))
    subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:logging", "-p", "no:cacheprovider"),
            *("--maxfail=100000", f"--junitxml={report}", *loads, *arguments),
        ],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": path},
        stdout=sys.stderr,
        check=False,
    )
    ended: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        outcome = next((child.tag for child in case if child.tag != "properties"), "passed")
        name = f"{case.get('classname')}.{case.get('name')}"
        # One name may stand for several; the worst counts.
        ended[name] = max(ended.get(name, ""), outcome)
    return ended


if __name__ == "__main__":
    sys.exit(main())
