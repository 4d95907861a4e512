"""Measure what the shim costs a statement: against a bare engine, an empty listener, OpenTelemetry.

    python benchmarks/hook.py --rounds 60 --output hook.json
    python benchmarks/hook.py --postgresql      on a server of its own, as the tests have one

OpenTelemetry takes part where `opentelemetry-instrumentation-sqlalchemy` and the SDK are installed
and know this SQLAlchemy.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, bindparam, create_engine, event, select, text
from sqlalchemy.orm import Session

from data import METADATA, RULES, TOKENS, Token, make_postgresql, make_sqlite
from landscape_compat import attach
from landscape_compat.errors import DegradedReadWarning
from rounds import Spread, machine, run_rounds

COLUMNS = [column for column in TOKENS.columns if column.name != "run_id"]
POINT = select(*COLUMNS).where(TOKENS.c.token_id == bindparam("id"))
MANY = select(*COLUMNS).where(TOKENS.c.token_id.in_(bindparam("ids", expanding=True)))
BULK = select(*COLUMNS).order_by(TOKENS.c.token_id).limit(2000)
TEXT = text("SELECT step, expand_group_id FROM tokens WHERE token_id = :id")


def point(engine: Engine, keys: list[str]) -> None:
    """One connection, one query a key."""
    with engine.connect() as connection:
        for key in keys:
            connection.execute(POINT, {"id": key}).all()


def begin(engine: Engine, keys: list[str]) -> None:
    """A connection and a transaction for each key, as the host's recorder reads."""
    for key in keys:
        with engine.begin() as connection:
            connection.execute(POINT, {"id": key}).all()


def in500(engine: Engine, keys: list[str]) -> None:
    """Lists of 500 keys."""
    with engine.connect() as connection:
        for start in range(0, len(keys), 500):
            connection.execute(MANY, {"ids": keys[start : start + 500]}).all()


def bulk(engine: Engine, keys: list[str]) -> None:
    """2000 rows by one statement, for each key."""
    with engine.connect() as connection:
        for _ in keys:
            connection.execute(BULK).all()


def textual(engine: Engine, keys: list[str]) -> None:
    """SQL text."""
    with engine.connect() as connection:
        for key in keys:
            connection.execute(TEXT, {"id": key}).all()


def orm(engine: Engine, keys: list[str]) -> None:
    """Mapped objects, each fetched by its key."""
    with Session(engine) as session:
        for key in keys:
            session.get(Token, key)
            session.expunge_all()


WORKLOADS: dict[str, tuple[Callable[[Engine, list[str]], None], int, int]] = {
    # name: the work, how many keys, how many statements that is
    "point": (point, 100, 100),
    "begin": (begin, 100, 100),
    "in500": (in500, 2000, 4),
    "bulk": (bulk, 4, 4),
    "text": (textual, 200, 200),
    "orm": (orm, 60, 60),
}


@contextmanager
def contenders(old: str | URL, migrated: str | URL) -> Iterator[dict[str, Engine]]:
    """Make an engine for each way of reading; the migrated copy but where it says degraded."""
    engines = {"bare": create_engine(migrated), "bare again": create_engine(migrated)}
    engines["attached, current"] = create_engine(migrated)
    attach(engines["attached, current"], METADATA, rules=RULES)
    engines["empty listener"] = create_engine(migrated)
    event.listen(engines["empty listener"], "before_cursor_execute", lambda *_: None)
    engines["attached, degraded"] = create_engine(old)
    attach(engines["attached, degraded"], METADATA, rules=RULES)
    with suppress(ImportError):
        engines["OpenTelemetry, no-op"] = _telemetry(create_engine(migrated), recording=False)
        engines["OpenTelemetry, recording"] = _telemetry(create_engine(migrated), recording=True)
    yield engines
    for engine in engines.values():
        engine.dispose()


def _telemetry(engine: Engine, *, recording: bool) -> Engine:
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import NoOpTracerProvider

    provider: Any = TracerProvider() if recording else NoOpTracerProvider()
    instrumentor = SQLAlchemyInstrumentor()
    instrumentor._is_instrumented_by_opentelemetry = False  # one instrumentor, several engines
    instrumentor.instrument(engine=engine, tracer_provider=provider)
    return engine


def measure(
    old: str | URL, migrated: str | URL, options: argparse.Namespace
) -> dict[str, dict[str, Spread]]:
    """Run every workload on every engine."""
    results: dict[str, dict[str, Spread]] = {}
    with contenders(old, migrated) as engines:
        for name, (work, count, statements) in WORKLOADS.items():
            if options.only and name not in options.only:
                continue
            keys = [f"token{7 * n % options.rows:06d}" for n in range(count)]
            results[name] = run_rounds(
                {label: _bound(work, engine, keys) for label, engine in engines.items()},
                rounds=options.rounds,
                per_run=statements,
            )
            print(f"{name:6}", *_cells(results[name]), sep="  ", file=sys.stderr)
    return results


def _bound(
    work: Callable[[Engine, list[str]], None], engine: Engine, keys: list[str]
) -> Callable[[], None]:
    return lambda: work(engine, keys)


def _cells(spreads: dict[str, Spread]) -> Iterator[str]:
    for label, spread in spreads.items():
        quartiles = f"[{spread.low:.3f}-{spread.high:.3f}]"
        yield f"{label} {spread.ratio:.3f} {quartiles} {spread.cpu_us:.1f}us"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure what the shim costs a statement.")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--only", nargs="*", choices=list(WORKLOADS))
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", DegradedReadWarning)
    if options.postgresql:
        sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
        from support.postgres import running_server

        with running_server() as server:
            urls = [server.url(server.create_database()) for _ in range(2)]
            make_postgresql(*urls, options.rows)
            results = measure(*urls, options)
            version = f"PostgreSQL {server.version // 10_000}, psycopg"
    else:
        version = f"SQLite {sqlite3.sqlite_version}"
        with tempfile.TemporaryDirectory() as folder:
            old, migrated = make_sqlite(Path(folder), options.rows)
            results = measure(f"sqlite:///{old}", f"sqlite:///{migrated}", options)
    document = {
        "machine": machine(),
        "database": version,
        "rounds": options.rounds,
        "workloads": {
            workload: {label: asdict(spread) for label, spread in spreads.items()}
            for workload, spreads in results.items()
        },
    }
    rendered = json.dumps(document, indent=1)
    if options.output:
        options.output.write_text(rendered + "\n")
    else:
        print(rendered)


if __name__ == "__main__":
    main()
