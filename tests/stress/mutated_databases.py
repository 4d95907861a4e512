"""Damage databases in ten thousand ways and read them: no trace, no wrong row, no hang, no crash.

    python tests/stress/mutated_databases.py --count 10000 --seed 1

Each database is inspected, diagnosed, read and exported in a worker process, and compared with
what plain SQLite reads from a copy. Ends with status 1 if a source or its folder changed, a row
was wrong, an exception was no typed error, or an answer took longer than ten seconds.
"""

from __future__ import annotations

import argparse
import base64
import json
import multiprocessing
import os
import random
import resource
import shutil
import sqlite3
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]

from sqlalchemy import text  # noqa: E402

from landscape_compat.engine.diagnosis import diagnose_file  # noqa: E402
from landscape_compat.errors import LandscapeCompatError  # noqa: E402
from landscape_compat.export.formats.jsonl import json_line  # noqa: E402
from landscape_compat.export.records.stream import export_database  # noqa: E402
from landscape_compat.export.records.values import RECORD_TYPE, RUN_ID, _field, _own_type  # noqa: E402
from landscape_compat.landscape.database import Landscape, open_landscape  # noqa: E402
from landscape_compat.landscape.history import known_shapes  # noqa: E402
from landscape_compat.landscape.stored import read  # noqa: E402
from landscape_compat.landscape.tables import facts_for  # noqa: E402
from landscape_compat.schema.shape import fold_name  # noqa: E402
from support.corpus import corpus_databases  # noqa: E402
from support.legacy import build_small  # noqa: E402
from support.mutations import mutate  # noqa: E402
from support.wal import seen_state  # noqa: E402

LONGEST = 10.0  # seconds of the process's own time
Table = Counter[tuple[Any, ...]]


# In the worker --------------------------------------------------------------------------------


def work(pipe: Connection) -> None:
    """Examine databases until told to end."""
    warnings.simplefilter("ignore")
    while (path := pipe.recv()) is not None:
        began = time.process_time()
        found = examine(Path(path))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        pipe.send((memory, time.process_time() - began, found))


def examine(path: Path) -> list[str]:
    """Do everything to one database, and say how each deed went."""
    copy = path.parent.parent / "copy" / path.name
    found = [_deed("doctor", lambda: diagnose_file(path))]
    opened: list[Landscape] = []
    found.append(_deed("open", lambda: opened.append(open_landscape(path))))
    for db in opened:
        found.append(_deed("inspect", db.report))
        found.append(_deed("read", partial(compare_reads, db, copy)))
        found.append(_deed("export", partial(compare_export, db, copy)))
        db.close()
    return found


def _deed(name: str, deed: Callable[[], object]) -> str:
    try:
        answer = deed()
    except LandscapeCompatError as error:
        said = str(error)
        plain = said.isprintable() and error.remedy
        return f"{name}: {'refused' if plain else f'BADLY SAID {said!r}'}"
    except BaseException:
        return f"{name}: UNCAUGHT {traceback.format_exc(limit=-4)}"
    return f"{name}: {answer if isinstance(answer, str) else 'answered'}"


def compare_reads(db: Landscape, copy: Path) -> str:
    """Read every stored table, and compare."""
    tables = [table.name for table in db.stored if table.kind == "table"]
    return _verdict({name: _ours(db, name) for name in tables}, copy)


def _ours(db: Landscape, name: str) -> Table:
    quoted = '"' + name.replace('"', '""') + '"'
    statement = text(f"SELECT * FROM {quoted}".replace(":", r"\:"))
    with db.connection() as connection:
        return Counter(tuple(map(_plain, row)) for row in read(connection, statement, table=name))


def compare_export(db: Landscape, copy: Path) -> str:
    """Export everything, and compare the records with the rows."""
    ours: dict[str, Table] = {}
    tables = {_record_type(table.name): table for table in db.stored if table.kind == "table"}
    for record in export_database(db):
        line = json.loads(json_line(record))
        table = tables[line[RECORD_TYPE]]
        rows = ours.setdefault(table.name, Counter())
        rows[tuple(_said(line, name) for name in table.column_names)] += 1
    return _verdict(
        {table.name: ours.get(table.name, Counter()) for table in tables.values()}, copy
    )


def _record_type(table: str) -> str:
    facts = facts_for(table)
    return facts.record_type if facts else _own_type(table)


def _said(record: dict[str, Any], name: str) -> Any:
    value = record[RUN_ID if fold_name(name) == RUN_ID else _field(name)]
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else _plain(value)


def _plain(value: Any) -> Any:
    """Give a value the one form in which both sides say it."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and len(value) >= 19 and value[4:5] == "-":
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return value
        return (moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
    return value


def _verdict(ours: dict[str, Table], copy: Path) -> str:
    """Compare with what plain SQLite reads from a copy."""
    try:
        with closing(sqlite3.connect(copy)) as connection:
            for name, rows in ours.items():
                quoted = '"' + name.replace('"', '""') + '"'
                theirs = Counter(
                    tuple(map(_plain, row)) for row in connection.execute(f"SELECT * FROM {quoted}")
                )
                if theirs != rows:
                    less, more = (
                        list((theirs - rows).items())[:1],
                        list((rows - theirs).items())[:1],
                    )
                    return f"WRONG {name}: missing {less!r:.600}, invented {more!r:.600}"
    except sqlite3.Error as error:
        # What plain SQLite cannot read, we must not have answered.
        return f"WRONG answered where SQLite says {error}"
    return "answered"


# In the parent --------------------------------------------------------------------------------


class Worker:
    """A process that examines, replaced when it hangs or dies."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def examine(self, path: Path) -> tuple[int, float, list[str]]:
        """Examine a database; a hang and a crash are findings as well."""
        self._pipe.send(str(path))
        try:
            # The machine may be busy: what counts as a hang is the process's own time.
            if self._pipe.poll(30 * LONGEST):
                memory, took, found = self._pipe.recv()
                return memory, took, found
            what = "HANG"
        except EOFError:
            what = "CRASH"
        self._process.kill()
        self._process.join()
        self._start()
        return 0, 0.0, [f"all: {what}"]

    def close(self) -> None:
        """End the process."""
        self._pipe.send(None)
        self._process.join()


def make_sources(folder: Path) -> list[Path]:
    """Make what is damaged: real databases where there are some, and generated ones."""
    sources = []
    for number, database in enumerate(corpus_databases()[::4]):
        sources.append(folder / f"real{number}.db")
        shutil.copyfile(database, sources[-1])
    for number, known in enumerate(known_shapes()[::8]):
        sources.append(folder / f"made{number}.db")
        build_small(sources[-1], known.shape, seed=number)
    return sources


def main() -> int:
    """Run as the arguments say; print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1e9, help="end after so many, if earlier")
    parser.add_argument("--keep", type=Path, help="a folder for the databases that went wrong")
    options = parser.parse_args()
    seen: Counter[str] = Counter()
    bad = done = 0
    longest = most = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        os.environ["TMPDIR"] = str(root / "tmp")
        for name in ("tmp", "sources"):
            (root / name).mkdir()
        sources = make_sources(root / "sources")
        worker = Worker()
        end = time.monotonic() + options.seconds
        for number in range(options.seed, options.seed + options.count):
            if time.monotonic() > end:
                break
            done += 1
            wrong, took, memory, said = one(worker, root, sources, number)
            longest, most = max(longest, took), max(most, memory)
            seen.update(line.partition(" ")[0] + " " + line.split()[1] for line in said)
            if wrong:
                bad += 1
                print(f"{number}: {wrong}", flush=True)
                if options.keep:
                    shutil.copytree(root / "one", options.keep / str(number), dirs_exist_ok=True)
        worker.close()
    print(f"{done} mutated databases; slowest {longest:.1f} s; most memory {most:.0f} MiB")
    for what, count in sorted(seen.items()):
        print(f"  {count:7}  {what}")
    print(f"wrong: {bad}")
    return 1 if bad else 0


def one(
    worker: Worker, root: Path, sources: list[Path], number: int
) -> tuple[str, float, int, list[str]]:
    """Make one database, have it examined, and say what is wrong, how long it took, and how."""
    for name in ("one", "copy"):
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir()
    path = root / "one" / "audit.db"
    shutil.copyfile(random.Random(number).choice(sources), path)
    done = mutate(path, number)
    for file in path.parent.iterdir():
        shutil.copyfile(file, root / "copy" / file.name)
    before = seen_state(path)
    memory, took, said = worker.examine(path)
    wrong = [line for line in said if line.split(": ", 1)[1][:1].isupper()]
    if took > LONGEST:
        wrong.append(f"took {took:.1f} s")
    after = seen_state(path)
    if before != after:
        wrong.append("the source or its folder CHANGED")
    left = [file.name for file in (root / "tmp").iterdir()]
    if left and "HANG" not in str(wrong) and "CRASH" not in str(wrong):
        wrong.append(f"a private copy was LEFT: {left}")
    shutil.rmtree(root / "tmp")
    (root / "tmp").mkdir()
    return (f"{done}: {'; '.join(wrong)}" if wrong else ""), took, memory, said


if __name__ == "__main__":
    sys.exit(main())
