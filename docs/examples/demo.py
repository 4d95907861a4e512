"""Show an old audit database being read: the failure without landscape-compat, the export with it.

    python3 docs/examples/demo.py

Needs Python 3.11 or newer and nothing else: the project is installed into a virtual environment
of its own, in .cache/ of the checkout (in a passing folder if the checkout is read-only).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import warnings
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Table

if sys.version_info < (3, 11):  # noqa: UP036 - said clearly instead of failing somewhere below
    sys.exit("demo.py needs Python 3.11 or newer")

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))


class DemoError(Exception):
    """Something is not as this demonstration says it is."""


def main() -> int:
    """Install the project beside everything else, and let that installation show itself."""
    from support.venvs import VenvError, cache_folder, child_environment, environment

    # Python would hold back what is printed here until after what the other process prints.
    os.environ["PYTHONUNBUFFERED"] = "1"
    with cache_folder(ROOT) as cache:
        folder = cache / "demo-venv"
        if not (folder / "made-from.json").exists():
            print(
                f"Installing landscape-compat into {folder} (only the first time) ...", flush=True
            )
        try:
            python = environment(folder, [str(ROOT)], made_from=project_digest())
        except VenvError as error:
            print(error, file=sys.stderr)
            return 1
        command = [str(python), str(Path(__file__).resolve()), "--installed"]
        return subprocess.run(command, check=False, env=child_environment()).returncode


def project_digest() -> str:
    """Digest what is installed, so that an older installation is never shown."""
    digest = sha256()
    files = [ROOT / "pyproject.toml", ROOT / "README.md", *(ROOT / "src").rglob("*")]
    for file in sorted(files):
        if file.is_file() and file.suffix != ".pyc":
            content = sha256(file.read_bytes()).hexdigest()
            digest.update(f"{file.relative_to(ROOT)} {content}\n".encode())
    return digest.hexdigest()


def show() -> int:
    """Go through the story; 1 if any of it is not so."""
    from legacy_audit import build

    from support.untouched import state_of, untouched

    with tempfile.TemporaryDirectory(prefix="landscape demo ") as temporary:
        record = Path(temporary) / "record"
        record.mkdir()
        database = record / "audit.db"
        heading(1, "A database as ELSPETH wrote it on 2026-01-18")
        run_ids = build(database)
        print(f"{database}: {len(run_ids)} runs")
        before = state_of(database)
        print(f"sha256 {before.file.sha256}")
        try:
            with untouched(database):
                read_without(database)
                read_with(database)
                export(database, Path(temporary) / "export")
            heading(5, "The database is as it was")
            after = state_of(database)
        except (AssertionError, DemoError) as error:
            print(f"NOT AS PROMISED: {error}", file=sys.stderr)
            return 1
        print(f"sha256 {after.file.sha256}, as before")
        print(f"modified {after.file.mtime_ns} ns, as before")
        print(f"in its folder: {', '.join(after.listing)}, as before")
    return 0


def read_without(database: Path) -> None:
    """Read as newer code does, and see it fail."""
    from sqlalchemy import create_engine, select
    from sqlalchemy.exc import OperationalError

    heading(2, "Newer code reads its tokens, without landscape-compat")
    tokens = declared_tokens()
    engine = create_engine(f"sqlite:///{database}")
    try:
        with engine.connect() as connection:
            connection.execute(select(tokens)).all()
    except OperationalError as error:
        print(f"sqlalchemy.exc.OperationalError: {error.orig}")
    else:
        raise DemoError("The read was expected to fail, and did not.")
    finally:
        engine.dispose()


def read_with(database: Path) -> None:
    """Read the same, attached."""
    from sqlalchemy import create_engine, func, select

    from landscape_compat import DegradedReadWarning, attach

    heading(3, "The same code, attached")
    tokens = declared_tokens()
    engine = create_engine(f"sqlite:///{database}")
    attach(engine, tokens.metadata)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", DegradedReadWarning)
        with engine.connect() as connection:
            rows = connection.execute(select(tokens)).all()
            count = connection.execute(select(func.count()).select_from(tokens)).scalar_one()
    engine.dispose()
    for warning in told:
        print(f"warning: {warning.message}")
    if not rows or len(rows) != count or any(row.expand_group_id is not None for row in rows):
        raise DemoError("The attached read did not give every token, with NULL for what is absent.")
    print(f"{count} tokens; expand_group_id, which the record never held, reads as NULL")


def declared_tokens() -> Table:
    """Declare the table of tokens as code of February 2026 does."""
    from sqlalchemy import Column, DateTime, Integer, MetaData, String, Table

    return Table(
        "tokens",
        MetaData(),
        Column("token_id", String(64), primary_key=True),
        Column("row_id", String(64), nullable=False),
        Column("fork_group_id", String(64)),
        Column("join_group_id", String(64)),
        Column("expand_group_id", String(32)),
        Column("branch_name", String(64)),
        Column("step_in_pipeline", Integer),
        Column("created_at", DateTime, nullable=False),
    )


def export(database: Path, target: Path) -> None:
    """Export everything by the command line, and count what came out."""
    heading(4, "Export, read-only")
    command = Path(sys.executable).parent / "landscape-compat"
    print(f"$ landscape-compat export {database.name} -o {target.name}", flush=True)
    done = subprocess.run(
        [command, "export", database, "-o", target], check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise DemoError(f"The export ended with {done.returncode}.")
    records = [
        json.loads(line)
        for file in sorted(target.rglob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").split("\n")
        if line
    ]
    stored = count_rows(database)
    if len(records) != stored:
        raise DemoError(f"{stored} rows are stored, and {len(records)} records were exported.")
    print(f"{stored} rows stored, {len(records)} records exported")


def count_rows(database: Path) -> int:
    """Count the rows of all tables."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return sum(
            connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
            for (name,) in tables.fetchall()
        )


def heading(number: int, text: str) -> None:
    """Say what comes next."""
    print(f"\n{number}. {text}", flush=True)


if __name__ == "__main__":
    sys.exit(show() if sys.argv[1:] == ["--installed"] else main())
