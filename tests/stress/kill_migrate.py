"""Kill migrations and swaps at random moments, and look at what is left each time.

    python tests/stress/kill_migrate.py 200

A child migrates a database, or migrates it in its place; SIGKILL ends it after a random part of
the time that it needs: every other time, of the time that it needs from when the new database is
whole and is to get its name. Afterwards the source has every byte that it had, a new database is
there only whole and with its proof, and the next run succeeds and leaves nothing else behind.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

from landscape_compat import migrate_database, migrate_in_place, verify_migration  # noqa: E402
from landscape_compat.landscape.history import shape_named  # noqa: E402
from landscape_compat.migrate import migration, swap  # noqa: E402
from support.legacy import build_shape  # noqa: E402

SHAPE = "2026-01-18/df2fa70fb"
# Runs an action, of which a function of a module is the late part, and tells whether it was killed.
Killing: TypeAlias = Callable[[Callable[[], object], ModuleType, str], bool]


class LeftWrongError(Exception):
    """What a kill left is not as it must be."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill so many migrations and as many swaps, and print how they ended.

    Args:
        arguments: The command line; None for the process's own.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=200, help="kills of each kind")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="kill-migrate-") as made:
        folder = Path(made)
        source = folder / "source.db"
        build_shape(source, shape_named(SHAPE).shape, rows=8, runs=6, long_text=False)
        for name, trial in (("migrate", _kill_migrate), ("swap", _kill_swap)):
            pace = {False: 3.0, True: 0.1}
            ends = Counter(
                trial(source, folder / f"{name}-{number}", partial(_killed, chance, pace, late))
                for number in range(options.count)
                for late in [number % 2 == 1]
            )
            print(f"{name}: {options.count} kills, {dict(ends)}")
    return 0


def _kill_migrate(source: Path, folder: Path, killed: Killing) -> str:
    folder.mkdir()
    new, digest = folder / "new.db", _digest(source)
    ended = killed(lambda: migrate_database(source, new), migration, "put_in_place")
    _require(_digest(source) == digest, "the source changed")
    end = "nothing new"
    if new.exists():
        end = "whole"
        _require(verify_migration(new).is_sound, "a half database was given its name")
        new.unlink()
    migrate_database(source, new)
    left = sorted(path.name for path in folder.iterdir())
    _require(left == ["new.db", "new.db.intoto.json"], f"left behind: {left}")
    shutil.rmtree(folder)
    return end if ended else "not killed"


def _kill_swap(source: Path, folder: Path, killed: Killing) -> str:
    folder.mkdir()
    path = folder / "audit.db"
    shutil.copyfile(source, path)
    digest = _digest(path)
    ended = killed(lambda: migrate_in_place(path), swap, "_swap")
    _require(path.exists(), "neither the original nor the new database has the name")
    end = "original"
    if _digest(path) != digest:
        end = "swapped"
        _require(verify_migration(path).is_sound, "a half database has the name")
    else:
        migrate_in_place(path)
    # As the next opening does, which ends what was killed before the original was read-only.
    migrate_in_place(path, wanted=lambda: False)
    kept = [one for one in folder.glob("audit.2*.db") if one != path]
    _require(len(kept) == 1 and _digest(kept[0]) == digest, f"the original was not kept: {kept}")
    _require(not kept[0].stat().st_mode & 0o222, "the original may be written to")
    _sweep_by_next(path, kept[0])
    left = {one.name for one in folder.iterdir()}
    _require(left == {"audit.db", "audit.db.intoto.json"}, f"left behind: {left}")
    shutil.rmtree(folder)
    return end if ended else "not killed"


def _sweep_by_next(path: Path, kept: Path) -> None:
    """Go back, and forward again: the next run takes away what a killed one left."""
    kept.replace(path)
    path.chmod(0o644)
    done = migrate_in_place(path)
    assert done is not None
    done.kept.unlink()


def _killed(
    chance: random.Random,
    pace: dict[bool, float],
    late: bool,
    action: Callable[[], object],
    module: ModuleType,
    name: str,
) -> bool:
    """Run an action in a child, and kill it at a random moment.

    Args:
        chance: Where the moment comes from.
        pace: How long it takes, from its beginning and from its late part; kept up to date.
        late: Whether to kill it in its late part.
        action: What to run.
        module: Where its late part is a function.
        name: Which.

    Returns:
        Whether it was killed; else it came to its end before.
    """
    hearing, saying = os.pipe()
    child = os.fork()
    if not child:
        with open(os.devnull, "w") as nothing:  # noqa: PTH123 - a descriptor is wanted
            os.dup2(nothing.fileno(), 2)
        real = getattr(module, name)

        def told(*words: Any, **more: Any) -> Any:
            os.write(saying, b".")
            return real(*words, **more)

        setattr(module, name, told)
        try:
            action()
        finally:
            os._exit(0)
    os.close(saying)
    if late:
        os.read(hearing, 1)
    os.close(hearing)
    start = time.monotonic()
    until = start + chance.uniform(0, pace[late])
    while time.monotonic() < until:
        if os.waitpid(child, os.WNOHANG)[0]:
            pace[late] = time.monotonic() - start
            return False
        time.sleep(0.0002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def _digest(path: Path) -> str:
    # In this process nothing has it open at that moment, so no lock is lost by closing it.
    return sha256(path.read_bytes()).hexdigest()


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise LeftWrongError(what)


if __name__ == "__main__":
    sys.exit(main())
