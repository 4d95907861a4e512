"""What exports cost beside their peers: CPU time a record, in interleaved rounds, and memory.

    python benchmarks/export.py                               10,000 source rows, 3 rounds
    python benchmarks/export.py --source-rows 100000          about 890,000 records
    python benchmarks/export.py --database audit.db           a database that is there already
    python benchmarks/export.py --host 83e1b90f=CHECKOUT:PYTHON      a host's own exporter, too

Each contender runs in a process of its own, and in every round all of them do, so that a ratio
compares what ran side by side. CPU time is the process's and its children's, with all that it
imports; memory is the most it had beyond an interpreter that imports nothing. A peer that is not
installed is named as such; a host exports a copy that was migrated for it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sqlalchemy import URL

FLOOR: Final = "sqlite3 cursor + orjson, unordered"
# What the host's exporters are asked for: every record of the one run.
_HOSTS: Final = """
import json, sys
sys.path.insert(0, sys.argv[1] + "/src")
from elspeth.core.landscape.database import LandscapeDB
from elspeth.core.landscape.exporter import LandscapeExporter
db = LandscapeDB(f"sqlite:///{sys.argv[2]}")
with open(sys.argv[3], "w") as file:
    for record in LandscapeExporter(db).export_run("0" * 32):
        file.write(json.dumps(record) + "\\n")
"""

# What a newer host insists on of a run, and an older one never recorded.
_STAND_INS: Final = [
    "--stand-in=runs.openrouter_catalog_source=bundled",
    f"--stand-in=runs.openrouter_catalog_sha256={'0' * 64}",
]


def main() -> int:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        epilog="Contenders: " + ", ".join(CONTENDERS),
    )
    parser.add_argument("--source-rows", type=int, default=10_000)
    parser.add_argument("--database", type=Path, help="instead of one that is made")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", metavar="CONTENDER", default=[])
    parser.add_argument("--host", action="append", metavar="NAME=CHECKOUT:PYTHON", default=[])
    parser.add_argument("--output", type=Path, help="the figures as JSON, for plots.py")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return _run_one(*options.one)
    with tempfile.TemporaryDirectory(prefix="landscape-compat-bench-") as folder:
        database = options.database or _made(Path(folder) / "audit.db", options.source_rows)
        found = _rounds(options, database, Path(folder))
        _print(database, found)
        if options.output:
            options.output.write_text(json.dumps(_figures(database, found), indent=1) + "\n")
    return 0


def _made(path: Path, source_rows: int) -> Path:
    from landscapes import make_landscape

    make_landscape(path, source_rows)
    return path


# --- contenders -------------------------------------------------------------------------------


def export(database: Path | URL, out: Path, format_: str, order: str) -> None:
    """Make a bag by the command, as people do."""
    from landscape_compat.cli.main import main

    what = ["--format", format_, "--order", order, "--no-page", "--quiet"]
    with redirect_stdout(None):
        if main(["export", str(database), "-o", str(out), *what]):
            raise SystemExit("The export failed.")


def _bag(format_: str, *, order: str) -> Callable[[Path, Path], None]:
    return lambda database, out: export(database, out, format_, order)


def _floor(database: Path, out: Path) -> None:
    """Write what a loop over a bare cursor can write, with the host's form of times made in SQL."""
    import orjson

    connection = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)
    with closing(connection), out.open("wb", buffering=1 << 20) as file:
        for table, columns in _columns(connection):
            names = [name for name, _ in columns]
            items = ", ".join(f"{name!r}: c{at}" for at, name in enumerate(names))
            space: dict[str, Any] = {"dumps": orjson.dumps, "o": orjson.OPT_APPEND_NEWLINE}
            exec(
                "def encode(rows):\n    return b''.join([dumps({'record_type': "
                f"{table!r}, {items}}}, None, o) for "
                f"{', '.join(f'c{at}' for at in range(len(names)))}, in rows])",
                space,
            )
            encode = space["encode"]
            selected = ", ".join(_as_written(name, type_) for name, type_ in columns)
            cursor = connection.execute(f'SELECT {selected} FROM "{table}"')
            while rows := cursor.fetchmany(40):
                file.write(encode(rows))


def _tables(database: Path) -> list[str]:
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        return [table for table, _ in _columns(connection)]


def _columns(connection: sqlite3.Connection) -> list[tuple[str, list[tuple[str, str]]]]:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return [
        (name, [(row[1], row[2]) for row in connection.execute(f'PRAGMA table_info("{name}")')])
        for (name,) in tables
    ]


def _as_written(name: str, type_: str) -> str:
    if type_ != "DATETIME":
        return f'"{name}"'
    rest = f'CASE WHEN substr("{name}", 20) = \'.000000\' THEN substr("{name}", 12, 8)'
    return f'substr("{name}", 1, 10) || \'T\' || {rest} ELSE substr("{name}", 12) END'


def _shell(mode: str) -> Callable[[Path, Path], None]:
    def work(database: Path, out: Path) -> None:
        tables = _tables(database)
        script = "\n".join(
            f'.mode {mode}\n.once {out}.{table}\nSELECT * FROM "{table}";' for table in tables
        )
        subprocess.run(["sqlite3", "-readonly", database], input=script, text=True, check=True)

    return work


def _duckdb(database: Path, out: Path) -> None:
    import duckdb

    out.mkdir()
    with duckdb.connect() as connection:
        connection.execute("LOAD sqlite")
        connection.execute(f"ATTACH '{database}' AS source (TYPE sqlite, READ_ONLY)")
        tables = _tables(database)
        for table in tables:
            connection.execute(
                f"COPY source.\"{table}\" TO '{out / table}.parquet' (FORMAT parquet, "
                "COMPRESSION zstd)"
            )


def _adbc(database: Path, out: Path) -> None:
    from adbc_driver_sqlite import dbapi
    from pyarrow import parquet

    out.mkdir()
    tables = _tables(database)
    with dbapi.connect(f"{database.as_uri()}?mode=ro") as connection:
        for table in tables:
            with connection.cursor() as cursor:
                cursor.execute(f'SELECT * FROM "{table}"')
                reader = cursor.fetch_record_batch()
                with parquet.ParquetWriter(
                    out / f"{table}.parquet", reader.schema, compression="zstd"
                ) as writer:
                    for batch in reader:
                        writer.write_batch(batch)


def _has_duckdb() -> bool:
    if find_spec("duckdb") is None:
        return False
    import duckdb

    try:
        with duckdb.connect() as connection:
            connection.execute("LOAD sqlite")
    except duckdb.Error:
        return False
    return True


CONTENDERS: Final[Mapping[str, Callable[[Path, Path], None]]] = {
    FLOOR: _floor,
    "JSON lines, the host's order": _bag("jsonl", order="host"),
    "JSON lines, table order": _bag("jsonl", order="table"),
    "CSV, table order": _bag("csv", order="table"),
    "Parquet, table order": _bag("parquet", order="table"),
    "SQLite, table order": _bag("sqlite", order="table"),
    "sqlite3 -json": _shell("json"),
    "sqlite3 -csv": _shell("csv"),
    "DuckDB to Parquet": _duckdb,
    "ADBC and pyarrow to Parquet": _adbc,
}
NEEDS: Final[Mapping[str, Callable[[], bool]]] = {
    FLOOR: lambda: find_spec("orjson") is not None,
    "Parquet, table order": lambda: find_spec("pyarrow") is not None,
    "sqlite3 -json": lambda: shutil.which("sqlite3") is not None,
    "sqlite3 -csv": lambda: shutil.which("sqlite3") is not None,
    "DuckDB to Parquet": _has_duckdb,
    "ADBC and pyarrow to Parquet": lambda: find_spec("adbc_driver_sqlite") is not None,
}


# --- rounds -----------------------------------------------------------------------------------


def _run_one(name: str, database: str, out: str) -> int:
    """Run one contender in this process, and tell what it took."""
    before = _memory("VmRSS")
    CONTENDERS[name](Path(database).resolve(), Path(out))
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    taken = {
        "cpu": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
        "memory": max(_memory("VmHWM") - before, children.ru_maxrss) / 1024,
    }
    print(json.dumps(taken))
    return 0


def _memory(what: str) -> int:
    """Ask the kernel for this process's own memory, in KiB; what a parent had is not counted."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1])
    return 0


def _rounds(
    options: argparse.Namespace, database: Path, folder: Path
) -> dict[str, list[dict[str, float]] | None]:
    commands: dict[str, list[str]] = {}
    found: dict[str, list[dict[str, float]] | None] = {}
    for name in CONTENDERS:
        if options.only and name not in (FLOOR, *options.only):
            continue
        found[name] = [] if NEEDS.get(name, lambda: True)() else None
        if found[name] is not None:
            commands[name] = [sys.executable, __file__, "--one", name, str(database)]
    for host in options.host:
        name, _, rest = host.partition("=")
        checkout, _, python = rest.partition(":")
        migrated = _migrated(database, folder / f"{name}.db", checkout, python)
        commands[name] = [python, "-c", _HOSTS, checkout, str(migrated)]
        found[name] = []
    order = random.Random(0)
    for _ in range(options.rounds):
        names = list(commands)
        order.shuffle(names)
        for name in names:
            taken = found[name]
            assert taken is not None
            taken.append(_taken(commands[name], folder))
    return found


def _migrated(database: Path, path: Path, checkout: str, python: str) -> Path:
    """Have a host make an empty database, and fill it with what the given one holds."""
    source = Path(__file__).parents[1] / "src"
    command = [python, "-m", "landscape_compat", "migrate", str(database), "-o", str(path)]
    for more in ([], _STAND_INS):
        done = subprocess.run(
            [*command, "--host", "--quiet", *more],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{checkout}/src"},
        )
        if not done.returncode:
            return path
    raise SystemExit(done.stderr)


def _taken(command: list[str], folder: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=folder) as out:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [*command, str(Path(out) / "out")],
            check=True,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        size = sum(p.stat().st_size for p in Path(out).rglob("*") if p.is_file())
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    told = json.loads(done.stdout) if done.stdout.strip() else {"memory": 0.0}
    return {"cpu": cpu, "memory": told["memory"], "bytes": float(size)}


def _records(database: Path) -> int:
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        return sum(
            connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
            for table, _ in _columns(connection)
        )


def _figures(
    database: Path, found: Mapping[str, list[dict[str, float]] | None]
) -> dict[str, object]:
    return {
        "machine": f"{platform.platform()}, {os.cpu_count()} CPUs",
        "versions": f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "records": _records(database),
        "contenders": {
            name: {what: statistics.median(t[what] for t in taken) for what in ("cpu", "memory")}
            for name, taken in found.items()
            if taken
        },
    }


def _print(database: Path, found: Mapping[str, list[dict[str, float]] | None]) -> None:
    records = _records(database)
    size = database.stat().st_size / 1e6
    print(f"{records:,} rows in {size:,.0f} MB; {platform.platform()}, {os.cpu_count()} CPUs")
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}\n")
    print(f"{'':36} {'CPU s':>8} {'x floor':>8} {'k rec/s':>8} {'MB/s':>7} {'MB mem':>7}")
    floor = found.get(FLOOR)
    for name, taken in found.items():
        if taken is None:
            print(f"{name:36} not installed here")
            continue
        cpu = statistics.median(t["cpu"] for t in taken)
        ratios = [t["cpu"] / f["cpu"] for t, f in zip(taken, floor or taken, strict=True)]
        memory = statistics.median(t["memory"] for t in taken)
        speed = taken[0]["bytes"] / 1e6 / cpu
        ratio = f"{statistics.median(ratios):8.2f}" if floor else " " * 8
        print(
            f"{name:36} {cpu:8.2f} {ratio} {records / cpu / 1000:8.0f} {speed:7.0f} {memory:7.0f}"
        )


if __name__ == "__main__":
    sys.exit(main())
