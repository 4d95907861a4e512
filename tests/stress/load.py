"""Read one degraded database from all sides for as long as wanted, beside a writer or without one.

    python tests/stress/load.py --minutes 5 --threads 32 --processes 8

Threads of several processes, and forks of them, read and export one database through engines of
their own and engines that they share, with pools that recycle and first uses racing, while another
process commits as fast as it can (`--mode delete` or `wal`). Each transaction must see one commit;
at the end, no thread may hang, no connection, descriptor or private copy may be left, and memory
may not have grown. Ends with status 1 if not.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import sqlite3
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from random import Random

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

from sqlalchemy import Column, Engine, MetaData, String, Table, create_engine, func, select  # noqa: E402

from landscape_compat import attach, detach, open_landscape  # noqa: E402
from landscape_compat.engine.hooks import Hooks  # noqa: E402
from landscape_compat.engine.reading import Reader  # noqa: E402
from landscape_compat.errors import OpeningRefusedError, SourceChangedError  # noqa: E402
from landscape_compat.export.records.stream import export_database  # noqa: E402
from support.wal import connect, writing  # noqa: E402

METADATA = MetaData()
# `added` is what the database lacks.
MARKS = Table("marks", METADATA, Column("word", String(9)), Column("added", String(9)))
ROWS = 300
# What an engine that is detached and disposed of must not leave behind.
_MUST_GO = (Hooks, Reader, sqlite3.Connection)


def make(path: Path, mode: str) -> None:
    """Make a degraded database every row of which carries the number of its last commit."""
    with closing(connect(f"file:{path}?mode=rwc")) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE runs (run_id VARCHAR(64) NOT NULL PRIMARY KEY)")
        connection.execute("CREATE TABLE marks (word TEXT)")
        rows = [("0",)] * ROWS
        connection.executemany("INSERT INTO marks VALUES (?)", rows)


def once(shared: Engine, path: Path, rng: Random) -> str:
    """Read in one of several ways; say `right`, `refused`, or what was seen."""
    way = rng.choice(("shared", "own", "recycled", "export"))
    try:
        if way == "export":
            with open_landscape(path) as db:
                words = [r["word"] for r in export_database(db) if r["record_type"] == "marks"]
            seen = (len(words), len(set(words)))
        elif way == "shared":
            seen = _count(shared)
        else:
            recycle = 0 if way == "recycled" else -1
            engine = create_engine(f"sqlite:///{path}", pool_recycle=recycle)
            attach(engine, METADATA)
            try:
                seen = _count(engine)
                if way == "recycled":
                    seen = _count(engine)
            finally:
                detach(engine)
                engine.dispose()
    except (OpeningRefusedError, SourceChangedError) as error:
        return f"{way}: refused ({type(error).__name__})"
    except Exception as error:
        if "database is locked" in str(error):
            return f"{way}: refused (locked)"
        return f"{way}: ERROR {type(error).__name__}: {error}"
    return f"{way}: right" if seen == (ROWS, 1) else f"{way}: TORN {seen}"


def _count(engine: Engine) -> tuple[int, int]:
    statement = select(func.count(), func.count(MARKS.c.word.distinct()), func.max(MARKS.c.added))
    with engine.connect() as connection, connection.begin():
        first = connection.execute(statement).one()
        if connection.execute(statement).one() != first or first[2] is not None:
            return (-1, -1)
        return first[0], first[1]


def read_for(path: str, seconds: float, threads: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Read in threads for a while; give what was seen, and what is wrong in the end."""
    warnings.simplefilter("ignore")
    seen: Counter[str] = Counter()
    lock = threading.Lock()
    shared = create_engine(f"sqlite:///{path}", pool_size=4, max_overflow=8, pool_recycle=1)
    attach(shared, METADATA)
    wrong = [] if _fork_reads(shared) else ["a fork read WRONGLY"]
    barrier = threading.Barrier(threads)
    end = time.monotonic() + seconds
    memory: list[int] = []

    def work(number: int) -> None:
        rng = Random(seed * 1000 + number)
        barrier.wait()  # the first use is everybody's at once
        while time.monotonic() < end:
            what = once(shared, Path(path), rng)
            with lock:
                seen[what] += 1

    workers = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(threads)]
    for worker in workers:
        worker.start()
    time.sleep(seconds / 3)
    memory.append(_memory())
    for worker in workers:
        worker.join(seconds + 300)
    hanging = sum(worker.is_alive() for worker in workers)
    if hanging:
        wrong.append(f"{hanging} threads HANG")
    detach(shared)
    shared.dispose()
    del workers, worker
    while gc.collect():
        pass
    kept = [kind for kind in map(type, gc.get_objects()) if issubclass(kind, _MUST_GO)]
    if kept:
        wrong.append(f"listeners or connections LEFT: {Counter(kind.__name__ for kind in kept)}")
    grown = _memory() - memory[0]
    if grown > 64 << 10 and seconds > 60:
        wrong.append(f"memory GREW by {grown} KiB")
    left = [name for name in _open_files() if name.startswith(path)]
    # The one descriptor of a file that is kept for its locks.
    if len(left) > 1:
        wrong.append(f"files LEFT open: {left}")
    return seen, wrong


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _open_files() -> list[str]:
    found = []
    for link in Path("/proc/self/fd").iterdir() if sys.platform == "linux" else ():
        with suppress(OSError):
            found.append(str(link.readlink()))
    return found


def _fork_reads(shared: Engine) -> bool:
    """Tell whether a fork that uses the engine of its parent reads rightly, or is refused."""
    if not (child := os.fork()):
        code = 1
        try:
            shared.dispose(close=False)
            code = _count(shared) != (ROWS, 1)
        except (OpeningRefusedError, SourceChangedError):
            code = 0
        except Exception as error:
            code = "database is locked" not in str(error)
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


@contextmanager
def committing(path: Path) -> Iterator[list[int]]:
    """Commit as fast as can be, in a process, for a block; give the number of commits."""
    commits = [0]
    stop = threading.Event()
    with writing(path) as writer:
        writer.run("PRAGMA busy_timeout = 60000", "PRAGMA synchronous = OFF")

        def work() -> None:
            while not stop.is_set():
                statement = f"UPDATE marks SET word = '{commits[0] + 1}'"
                if writer.attempt(statement)[0] == "ok":
                    commits[0] += 1

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield commits
        finally:
            stop.set()
            thread.join()
            writer.close()


def main() -> int:
    """Run as the arguments say; print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--threads", type=int, default=32)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--mode", choices=("wal", "delete"), default="wal")
    parser.add_argument("--still", action="store_true", help="without a writer")
    options = parser.parse_args()
    seconds = options.minutes * 60
    seen: Counter[str] = Counter()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["TMPDIR"] = scratch
        path = Path(scratch) / "source" / "audit.db"
        path.parent.mkdir()
        make(path, options.mode)
        tasks = []
        with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:

            def begin() -> None:
                for number in range(options.processes):
                    arguments = (str(path), seconds, options.threads, number)
                    tasks.append(pool.submit(read_for, *arguments))

            commits = [0]
            if options.still:
                begin()
                results = [task.result() for task in tasks]
            else:
                with committing(path) as commits:
                    begin()
                    results = [task.result() for task in tasks]
        for counted, faults in results:
            seen += counted
            wrong += faults
        left = [file.name for file in Path(scratch).glob("landscape-compat-copy*")]
        if left:
            wrong.append(f"private copies LEFT: {left}")
        with closing(sqlite3.connect(path)) as connection:
            if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                wrong.append("the database is DAMAGED")
    bad = [what for what in seen if "TORN" in what or "ERROR" in what]
    wrong += [f"{seen[what]} x {what}" for what in bad]
    print(
        f"{seen.total()} reads in {options.processes} x {options.threads} threads,"
        f" {commits[0]} commits beside them"
    )
    for what, count in sorted(seen.items()):
        print(f"  {count:7}  {what:.200}")
    print(f"wrong: {len(wrong)}")
    for line in wrong[:20]:
        print(f"  {line:.300}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
