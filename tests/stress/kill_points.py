"""Kill exports, verifications and migrations at random moments, or let their disk fail there.

    python tests/stress/kill_points.py --count 1000 --seed 1
    python tests/stress/kill_points.py --count 1000 --seed 1 --faults

Each command runs in a forked process that gets SIGKILL, SIGTERM or SIGINT somewhere between its
start and its end; or, with `--faults`, in one for which the system refuses (EIO, ENOSPC, EDQUOT)
to read or write at some offset, or to make it last. Afterwards the source and its folder must be
as they were; what stands in the output's place must be whole, or nothing; the same command must
succeed again; and no private copy may be left. Ends with status 1 if not.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

from landscape_compat.cli import main as command  # noqa: E402
from landscape_compat.errors import LandscapeCompatError  # noqa: E402
from landscape_compat.export.verify.verify import verify_bag  # noqa: E402
from landscape_compat.landscape.history import shape_named  # noqa: E402
from support.failing import CALLS, Failure, fail_call  # noqa: E402
from support.legacy import build_small  # noqa: E402
from support.wal import seen_state  # noqa: E402

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
SHAPE = "2026-01-18/df2fa70fb"


def run(
    words: Sequence[str],
    *,
    until: float = 60.0,
    number: int = signal.SIGKILL,
    failure: Failure | None = None,
) -> str:
    """Run a command in a fork; give its exit code, or the signal that ended it.

    Args:
        words: The command's words.
        until: How many seconds it may run before it gets the signal.
        number: The signal.
        failure: What the system refuses it.
    """
    if not (child := os.fork()):
        code = 99
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, 1)
            os.dup2(devnull, 2)
            if failure is not None:
                fail_call(failure)
            code = command(list(words))
        except KeyboardInterrupt:
            code = 3  # before the command began, or after it had ended
        finally:
            os._exit(code)
    end = time.monotonic() + until
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return _ending(status)
        time.sleep(min(0.0005, max(0.0, end - time.monotonic())))
    os.kill(child, number)
    return _ending(os.waitpid(child, 0)[1])


EIO, ENOSPC, EDQUOT = 5, 28, 122


def _some_failure(rng: random.Random) -> Failure:
    """Choose what fails, and where: a page of a database, a part of a file, or all that lasts."""
    page = 4096 * rng.randrange(60)
    return rng.choice(
        (
            Failure("pread64", EIO, page),
            Failure("pwrite64", rng.choice((EIO, ENOSPC, EDQUOT)), page),
            Failure("fsync", rng.choice((EIO, ENOSPC, EDQUOT))),
            # By how much is read or written at once: what Python reads and writes files by.
            Failure("read", EIO, rng.choice((1 << 16, 1 << 17, 1 << 18, 1 << 20)), 2),
            Failure("write", rng.choice((EIO, ENOSPC)), rng.randrange(1, 3000), 2),
        )
    )


def _ending(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return str(code) if code >= 0 else signal.Signals(-code).name


# What each command leaves in the output's place, and when that is whole ------------------------


def bag_is_whole(out: Path) -> bool:
    """Tell whether a bag verifies."""
    try:
        return not verify_bag(out).findings
    except LandscapeCompatError:
        return False


def database_is_whole(out: Path) -> bool:
    """Tell whether a migrated database holds what it should, with its proof beside it."""
    proof = out.with_name(f"{out.name}.intoto.json")
    with closing(sqlite3.connect(f"{out.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        sound = connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return sound and proof.exists() and proof.read_text().rstrip().endswith("}")


def always(out: Path) -> bool:
    """For a command that writes nothing."""
    return True


Deed = tuple[Callable[[Path, Path], list[str]], Callable[[Path], bool], str]
DEEDS: dict[str, Deed] = {
    "export": (lambda db, out: ["export", str(db), "-o", str(out)], bag_is_whole, "bag"),
    "verify": (
        lambda db, out: ["verify", str(out.parent / "sealed"), "--source", str(db)],
        always,
        "none",
    ),
    "migrate": (lambda db, out: ["migrate", str(db), "-o", str(out)], database_is_whole, "new.db"),
}


def make_source(path: Path, rng: random.Random) -> str:
    """Make a source in one of the states that need different openings."""
    path.parent.mkdir()
    build_small(path, shape_named(SHAPE).shape, seed=rng.randrange(5))
    state = rng.choice(("rollback", "wal-clean", "wal-dead", "wal-without-shm"))
    if state == "rollback":
        return state
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("CREATE TABLE waiting (n)")
        connection.execute("INSERT INTO waiting VALUES (1)")
        if state != "wal-clean":
            copies = {s: Path(f"{path}{s}").read_bytes() for s in ("", "-wal", "-shm")}
    if state != "wal-clean":
        if state == "wal-without-shm":
            del copies["-shm"]
        for suffix, content in copies.items():
            Path(f"{path}{suffix}").write_bytes(content)
    return state


def one(root: Path, seed: int, lengths: dict[str, float], *, faults: bool) -> tuple[str, str]:
    """Kill one command, or let it fail, and look; give how it ended, and what is wrong."""
    rng = random.Random(seed)
    name = rng.choice(sorted(DEEDS))
    words, is_whole, place = DEEDS[name]
    source, out = root / "source" / "audit.db", root / "out" / place
    state = make_source(source, rng)
    out.parent.mkdir()
    if name == "verify":
        assert run(["export", str(source), "-o", str(out.parent / "sealed")]) == "0"
    before = seen_state(source)
    number = rng.choice(SIGNALS)
    if name not in lengths:
        lengths[name] = 0.5
    began = time.monotonic()
    if faults:
        failure = _some_failure(rng)
        ending = run(words(source, out), failure=failure)
        # Done, where nothing came to that point; else told as what it is.
        allowed: tuple[str, ...] = ("0", "1", "4", "6")
    else:
        failure = None
        ending = run(words(source, out), until=rng.uniform(0, 1.1) * lengths[name], number=number)
        allowed = ("0", "3", signal.Signals(number).name)
    if failure is not None:
        pass
    elif ending in ("0", "4"):
        # Follows how busy the machine is, so that the moments are spread over the whole run.
        lengths[name] = 0.8 * lengths[name] + 0.2 * (time.monotonic() - began)
    elif ending == number.name or ending == "3":
        lengths[name] *= 1.01
    wrong = []
    if ending not in allowed:
        wrong.append(f"ended with {ending}{f' of {failure}' if failure else ''}")
    if (ending == "3" or failure) and _partials(out):
        wrong.append(f"interrupted, it left {_partials(out)}")
    if os.path.lexists(out) and not is_whole(out):
        wrong.append("what stands in the place of its output is NOT WHOLE")
    if seen_state(source) != before:
        wrong.append("the source or its folder CHANGED")
    if name == "verify" and not bag_is_whole(out.parent / "sealed"):
        wrong.append("the bag CHANGED")
    if os.path.lexists(out) and ending != "0":
        again = ""  # it was killed after its work was done
    else:
        shutil.rmtree(out, ignore_errors=True)
        _forget(out)
        again = run(words(source, out))
        if again != "0" or not (name == "verify" or is_whole(out)):
            wrong.append(f"a rerun ended with {again}")
    if again and name != "verify" and _partials(out):
        wrong.append(f"the rerun left {_partials(out)}")
    if seen_state(source) != before:
        wrong.append("the rerun CHANGED the source or its folder")
    left = [file.name for file in (root / "tmp").iterdir()]
    if again and left and state == "wal-without-shm":
        wrong.append(f"private copies were LEFT: {left}")
    return f"{name} {ending}", f"{name} of {state}: {'; '.join(wrong)}" if wrong else ""


def _forget(out: Path) -> None:
    for file in (out, out.with_name(f"{out.name}.intoto.json")):
        with contextlib.suppress(OSError):
            file.unlink()


def _partials(out: Path) -> list[str]:
    return [file.name for file in out.parent.iterdir() if ".partial-" in file.name]


def main() -> int:
    """Run as the arguments say; print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", action="store_true", help="let the disk fail, kill nothing")
    parser.add_argument("--seconds", type=float, default=1e9, help="end after so many, if earlier")
    options = parser.parse_args()
    if options.faults and (sys.platform != "linux" or platform.machine() not in CALLS):
        parser.error("calls are made to fail by Linux's seccomp, and this is no machine for it")
    warnings.simplefilter("ignore")
    seen: Counter[str] = Counter()
    lengths: dict[str, float] = {}
    bad = done = 0
    end = time.monotonic() + options.seconds
    while done < options.count and time.monotonic() < end:
        with tempfile.TemporaryDirectory() as scratch:
            (Path(scratch) / "tmp").mkdir()
            tempfile.tempdir = str(Path(scratch) / "tmp")
            what, wrong = one(Path(scratch), options.seed + done, lengths, faults=options.faults)
            tempfile.tempdir = None
        done += 1
        seen[what] += 1
        if wrong:
            bad += 1
            print(f"{options.seed + done - 1}: {wrong}", flush=True)
    print(f"{done} {'faults' if options.faults else 'kill points'}")
    for what, count in sorted(seen.items()):
        print(f"  {count:7}  {what}")
    print(f"wrong: {bad}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
