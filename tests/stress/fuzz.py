"""Fuzz what reads other people's bytes, guided by coverage, for a number of runs or seconds.

    python tests/stress/fuzz.py scanner --runs 1000000
    python tests/stress/fuzz.py catalogue --seconds 600 --found FOLDER

Needs `pip install landscape-compat[fuzz]` (atheris, which has wheels for Linux). Starts from what
the tests know to be hard, from the corpus that is kept, and from what an earlier run left in
FOLDER. Ends with status 1 if a run raised what it may not, or took longer than ten seconds.

    python tests/stress/fuzz.py scanner --found FOLDER --minimise

keeps of all these the fewest that cover as much, in `corpus/`; `tests/test_fuzz_corpus.py` runs
them on every Python, with no fuzzer.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "src")]
CORPUS = HERE / "corpus"
_TARGET = "LANDSCAPE_COMPAT_FUZZ"
# By what the fuzzer is to start itself again.
_AGAIN = "LANDSCAPE_COMPAT_FUZZ_AGAIN"
TARGETS = ("scanner", "catalogue", "bag")
_LONGEST_RUN = 10  # seconds
# What is guided by coverage; the rest of the library would only slow it down.
_INSTRUMENTED = [f"landscape_compat.{room}" for room in ("projection", "schema", "export")]
_LONGEST_INPUT = {"scanner": 2048, "catalogue": 8192, "bag": 8192}
# What is kept is kept for ever, so it is short.
_LONGEST_KEPT = {"scanner": 200, "catalogue": 2048, "bag": 4096}


# The targets ----------------------------------------------------------------------------------


def scanner() -> Callable[[bytes], None]:
    """A statement, in either dialect, is scanned and rewritten, or refused by a typed error."""
    import sqlite3

    from sqlalchemy import Column, MetaData, String, Table

    from landscape_compat.errors import LandscapeCompatError
    from landscape_compat.projection.rewrite import rewrite_statement
    from landscape_compat.projection.scan import scan_statement
    from landscape_compat.projection.tokens import POSTGRESQL, SQLITE, tokenize
    from support.planned import plan_for

    metadata = MetaData()
    for name in ("tokens", "rows", "order", "lost"):
        Table(name, metadata, Column("token_id", String), Column("expand_group_id", String))
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        'CREATE TABLE tokens(token_id); CREATE TABLE rows(n); CREATE TABLE "order"(token_id)'
    )
    plan = plan_for(connection, metadata)
    connection.close()
    space = re.compile(r"(?:\s|--[^\n]*|/\*.*|\ufeff)*", re.DOTALL)

    def run(data: bytes) -> None:
        if not data:
            return
        # One deed a run, told by the first byte, so that a run is short.
        deed, text = data[0] & 3, data[1:].decode("utf-8", "surrogateescape")
        syntax = POSTGRESQL if deed & 1 else SQLITE
        if deed & 2:
            position = 0
            for token in tokenize(text, syntax):
                assert position <= token.start < token.end <= len(text), token
                # What is no token is space or a comment: nothing that counts is passed over.
                if position < token.start:
                    assert space.fullmatch(text, position, token.start), (position, token)
                position = token.end
            assert space.fullmatch(text, position), position
        elif deed & 1:
            scan = scan_statement(text, syntax)
            assert 0 <= scan.insert_at <= len(text)
            assert scan.with_end is None or 0 < scan.with_end <= len(text)
            for name in scan.qualified:
                assert 0 <= name.start < name.table_start < name.end <= len(text)
        else:
            with suppress(LandscapeCompatError):  # anything else fails
                rewrite_statement(text, plan)

    return run


def catalogue() -> Callable[[bytes], None]:
    """A schema, of any text and any types, is read, or SQLite says what is wrong with it."""
    import sqlite3

    from landscape_compat.engine.locks import lock_sqlite
    from landscape_compat.schema.catalogue.sqlite import read_stored
    from landscape_compat.schema.fingerprint import fingerprint_table

    def run(data: bytes) -> None:
        connection = sqlite3.connect(":memory:")
        try:
            if data[:1] == b"S":  # a whole file
                try:
                    connection.deserialize(data)
                except sqlite3.Error:
                    return
            else:  # lines of SQL, put into the schema as they are
                connection.execute("PRAGMA writable_schema = ON")
                for number, line in enumerate(data.split(b"\n")[:20]):
                    kind, _, sql = line.partition(b"|")
                    connection.execute(
                        "INSERT INTO sqlite_master VALUES"
                        " (CAST(? AS TEXT), 't' || ?, 't' || ?, 0, CAST(? AS TEXT))",
                        (kind, number, number, sql),
                    )
                connection.execute("PRAGMA writable_schema = RESET")
            lock_sqlite(connection)
            for table in read_stored(connection):
                fingerprint_table(table)
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            pass  # told to the caller, who gives it a name
        finally:
            connection.close()

    return run


def bag() -> Callable[[bytes], None]:
    """A bag one of whose files was replaced is found wanting, or refused by a typed error."""
    import warnings

    from landscape_compat.errors import LandscapeCompatError
    from landscape_compat.export.verify.verify import verify_bag

    warnings.simplefilter("ignore")
    place = _make_bag(Path(tempfile.mkdtemp(dir=_quick_folder())))
    files = _files_of(place)
    originals = [file.read_bytes() for file in files]

    def run(data: bytes) -> None:
        if not data:
            return
        at = data[0] % len(files)
        content = data[1:]
        files[at].write_bytes(content)
        try:
            with suppress(LandscapeCompatError):  # anything else fails
                found = verify_bag(place)
                # Nothing vouches for the last manifest but itself: it may be written otherwise.
                free = files[at].name.startswith("tagmanifest")
                assert found.findings or free or content == originals[at], files[at].name
        finally:
            files[at].write_bytes(originals[at])

    return run


def _quick_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _files_of(place: Path) -> list[Path]:
    return sorted(file for file in place.rglob("*") if file.is_file())


def _make_bag(folder: Path) -> Path:
    from landscape_compat import export_bag, open_landscape
    from landscape_compat.landscape.history import shape_named
    from support.legacy import build_shape

    shape = shape_named("2026-01-18/df2fa70fb").shape
    build_shape(folder / "a.db", shape, rows=1, runs=1, long_text=False)
    with open_landscape(folder / "a.db") as db:
        export_bag(db, folder / "bag")
    return folder / "bag"


MAKERS = {"scanner": scanner, "catalogue": catalogue, "bag": bag}


# Seeds ----------------------------------------------------------------------------------------


def seeds(target: str) -> list[bytes]:
    """Give what to start from: what the tests know to be hard."""
    found: list[bytes] = []
    if target == "scanner":
        from projection.statements import STATEMENTS

        for number, statement in enumerate(STATEMENTS):
            sql = statement.sql.encode("utf-8", "surrogatepass")
            found += [bytes([deed]) + sql for deed in (b"01", b"23")[number % 2]]
    if target == "catalogue":
        found += _schemas()
    if target == "bag":
        with tempfile.TemporaryDirectory() as folder:
            files = _files_of(_make_bag(Path(folder)))
            found += [bytes([at]) + file.read_bytes() for at, file in enumerate(files)]
    found += kept(target)
    return [data for data in found if len(data) <= _LONGEST_INPUT[target]]


def kept(target: str) -> list[bytes]:
    """Read the corpus that is kept of a target."""
    file = CORPUS / f"{target}.json"
    return (
        [base64.b64decode(each) for each in json.loads(file.read_text())] if file.exists() else []
    )


def keep(target: str, corpus: Path, scratch: Path) -> int:
    """Keep the fewest inputs of a corpus that cover as much as all; give how many there are."""
    again, fewest = scratch / "again", scratch / "fewest"
    again.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, __file__])} "$@"\n')
    again.chmod(0o700)
    fewest.mkdir()
    longest = f"-max_len={_LONGEST_KEPT[target]}"
    # From the shortest on.
    code, said = _call(target, "-merge=1", longest, str(fewest), str(corpus), again=str(again))
    inputs = sorted((file.read_bytes() for file in fewest.iterdir()), key=lambda d: (len(d), d))
    if code or not inputs:
        raise SystemExit(said[-4000:])
    lines = ",\n".join(json.dumps(base64.b64encode(data).decode()) for data in inputs)
    CORPUS.mkdir(exist_ok=True)
    (CORPUS / f"{target}.json").write_text(f"[\n{lines}\n]\n")
    return len(inputs)


def _schemas() -> list[bytes]:
    import sqlite3

    from landscape_compat.landscape.history import known_shapes
    from landscape_compat.schema.shape import TableShape

    def spell(table: TableShape) -> str:
        columns = ", ".join(f'"{c.name}" {c.type}' for c in table.columns)
        return f'table|CREATE TABLE "{table.name}" ({columns})'

    texts = ["\n".join(map(spell, list(known.shape)[:6])) for known in known_shapes()[::10]]
    texts += [
        "view|CREATE VIEW t0 AS SELECT * FROM t1\ntable|CREATE TABLE t1 (a PRIMARY KEY) STRICT",
        "table|CREATE VIRTUAL TABLE t0 USING fts5(a)\ntable|CREATE TABLE t1 (a, b AS (a + 1))",
        "table|CREATE TABLE t0 (a INTEGER PRIMARY KEY, b TEXT NOT NULL) WITHOUT ROWID",
        "trigger|CREATE TRIGGER t0 AFTER INSERT ON t1 BEGIN SELECT load_extension('x'); END",
        "index|CREATE INDEX t0 ON t1 (a)\ntable|",
    ]
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        "PRAGMA page_size = 512; CREATE TABLE a (x TEXT, y INT); CREATE VIEW v AS SELECT * FROM a;"
    )
    whole = connection.serialize()
    connection.close()
    return [*(text.encode() for text in texts), whole]


# Running --------------------------------------------------------------------------------------


def child(target: str, arguments: list[str]) -> None:
    """Fuzz in this process; never comes back."""
    import atheris

    with atheris.instrument_imports(include=_INSTRUMENTED):
        run = MAKERS[target]()
    atheris.Setup([os.environ.get(_AGAIN, sys.argv[0]), *arguments], run)
    atheris.Fuzz()


def _call(target: str, *arguments: str, again: str = __file__) -> tuple[int, str]:
    # By the environment: all words are the fuzzer's own.
    process = subprocess.run(
        [sys.executable, __file__, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, _TARGET: target, _AGAIN: again},
    )
    return process.returncode, process.stderr


def main() -> int:
    """Run as the arguments say; print the figures."""
    if _TARGET in os.environ:
        child(os.environ[_TARGET], sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--runs", type=int, default=-1, help="end after so many")
    parser.add_argument("--seconds", type=int, default=0, help="end after so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--length", type=int, help="of the longest input, in bytes")
    parser.add_argument("--found", type=Path, help="a folder for what failed, and the corpus")
    parser.add_argument(
        "--minimise", action="store_true", help="keep the fewest that cover as much"
    )
    options = parser.parse_args()
    if options.runs < 0 and not (options.seconds or options.minimise):
        parser.error("give --runs, --seconds or --minimise")
    with tempfile.TemporaryDirectory() as scratch:
        place = options.found or Path(scratch)
        corpus = place / f"{options.target}-corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        for data in seeds(options.target):
            (corpus / sha256(data).hexdigest()[:20]).write_bytes(data)
        if options.minimise:
            print(f"{options.target}: {keep(options.target, corpus, Path(scratch))} inputs kept")
            return 0
        code, said = _call(
            options.target,
            f"-runs={options.runs}",
            f"-max_total_time={options.seconds}",
            f"-timeout={_LONGEST_RUN}",
            f"-max_len={options.length or _LONGEST_INPUT[options.target]}",
            f"-seed={options.seed}",
            f"-artifact_prefix={place}/{options.target}-",
            str(corpus),
        )
        done = re.findall(r"^Done (\d+) runs? in (\d+) second", said, re.MULTILINE)
        runs, seconds = map(int, done[-1]) if done else (0, 0)
        covered = re.findall(r"cov: (\d+) ft: (\d+)", said)
        edges = covered[-1][0] if covered else "0"
        print(f"{options.target}: {runs} runs in {seconds} s, {edges} edges covered, status {code}")
        if code or not runs:
            print(said[-4000:], file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
