"""Verifying a migrated database again: against its proof, and against the old database."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection

from landscape_compat.engine.digests import digest_source
from landscape_compat.errors import (
    LandscapeCompatError,
    OutputError,
    ProofFailedError,
    count_of,
    printable,
)
from landscape_compat.export.verify.findings import Verification
from landscape_compat.landscape.database import database_url
from landscape_compat.landscape.history import shape_named
from landscape_compat.landscape.metadata import metadata_of
from landscape_compat.migrate.copying import TableCopy
from landscape_compat.migrate.kept import PROOF_ENDING
from landscape_compat.migrate.making import attached, source_of
from landscape_compat.migrate.proof import (
    ProvenTable,
    check_source,
    digest_table,
    prove_table,
    read_statement,
)
from landscape_compat.migrate.standins import rules_with
from landscape_compat.migrate.target import key_of_rows
from landscape_compat.migrate.verify_server import verify_on_server
from landscape_compat.projection.plan import Plan

__all__ = ["is_migrated", "verify_migration"]


def is_migrated(path: str | os.PathLike[str]) -> bool:
    """Tell whether somebody names a migrated database, or the proof of one.

    Args:
        path: A path, or the URL of a database on a server.
    """
    if "://" in os.fspath(path):
        return True
    given = Path(path)
    with suppress(PermissionError):  # what reads it, as a bag, says so best
        is_proof = given.name.endswith(PROOF_ENDING)
        return given.is_file() and (is_proof or Path(f"{given}{PROOF_ENDING}").is_file())
    return False


def verify_migration(
    new: str | os.PathLike[str] | URL,
    *,
    source: str | os.PathLike[str] | URL | None = None,
    proof: str | os.PathLike[str] | None = None,
) -> Verification:
    """Verify that a migrated database is still what its proof says it is.

    Args:
        new: The new database, or its proof; the other is looked for beside it. Or the URL of
            one on a server.
        source: The old database, to be read again through the shim and compared row by row.
        proof: The proof, if it does not lie beside the new database.

    Raises:
        OutputError: There is no such database, or no proof of it.
        LandscapeCompatError: One of the two databases cannot be read.
    """
    if isinstance(new, URL) or "://" in os.fspath(new):
        url = database_url(new)
        if url.get_backend_name() != "sqlite":
            return verify_on_server(url, _proof_at(proof), source)
        new = url.database or ""
    path = Path(str(Path(new)).removesuffix(PROOF_ENDING))
    if path.is_dir():
        raise OutputError(
            f"{printable(path)} is a folder, and a migrated database is a file.",
            remedy="Give the new database; or, to verify a bag or a dataset, leave out --proof.",
        )
    if not path.is_file():
        raise OutputError(
            f"{printable(path)} does not exist.",
            remedy="Give the new database; its proof lies beside it.",
        )
    statement = _proof_at(proof or f"{path}{PROOF_ENDING}")
    found = Verification(path)
    told = read_statement(statement, found)
    if told is None:
        return found
    digests, predicate = told
    _check_file(path, digests, found)
    with _plainly(path) as target:
        _check_tables(target, predicate, found)
        if source is not None:
            _compare(target, predicate, source, found)
        else:
            found.unchecked.append("the old database, which was not given (--source)")
    return found


def _proof_at(proof: str | os.PathLike[str] | None) -> Path:
    if proof is None:
        raise LandscapeCompatError(
            "The proof of a database on a server does not lie beside it.",
            remedy="Name its file by --proof.",
        )
    if not Path(proof).is_file():
        raise OutputError(
            f"{printable(proof)} does not exist.",
            remedy="Name the file of the proof by --proof.",
        )
    return Path(proof)


def _check_file(path: Path, digests: Mapping[str, str], found: Verification) -> None:
    """Check that the statement is about this file as it is."""
    digest = digest_source(Path(os.path.realpath(path))).database
    if digest not in digests.values():
        found.find(path.name, "is not, byte for byte, the file that was proven")
    for suffix in ("-wal", "-journal"):
        beside = Path(f"{path}{suffix}")
        if beside.exists() and beside.stat().st_size:
            found.find(beside.name, "holds changes that are not in the file that was proven")
    found.checked.append("the digest of the new database")


@contextmanager
def _plainly(path: Path) -> Iterator[sqlite3.Connection]:
    # As the file stands, past whatever lies beside it; nothing is locked and nothing left.
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        yield connection


def _check_tables(
    target: sqlite3.Connection, predicate: Mapping[str, Any], found: Verification
) -> None:
    for stated in predicate["tables"]:
        filled = [one["column"] for one in stated["filled"]]
        try:
            side = stated.get("side_table")
            now = digest_table(target, stated["table"], stated["columns"], filled, side)
        except sqlite3.Error as error:
            found.find(stated["table"], f"cannot be read: {error}")
            continue
        _check(stated, now, "the new database", found)
    found.checked.append(
        f"the rows of {count_of(len(predicate['tables']), 'table')} of the new database"
    )


def _check(stated: Mapping[str, Any], now: ProvenTable, where: str, found: Verification) -> None:
    filled = {one["column"]: one["rows"] for one in stated["filled"]}
    for what, before, after in (
        ("rows", stated["rows"], now.rows),
        ("rows in the side table", stated["quarantined"], now.quarantined),
        ("the digest", stated["sha256"], now.sha256),
        ("filled values", filled, dict(now.filled)),
    ):
        if before != after:
            found.find(stated["table"], f"{what} in {where}: {after}, and was {before}")


def _compare(
    target: sqlite3.Connection,
    predicate: Mapping[str, Any],
    source: str | os.PathLike[str] | URL,
    found: Verification,
) -> None:
    url, path = source_of(source)
    check_source(path, predicate, found)
    known = predicate["target"].get("known")
    if known is None:
        found.unchecked.append("the rows of the old database: the new shape is not known here")
        return
    with _shimmed(url, known, predicate["asked"]["stand_ins"]) as (old, plan):
        for stated in predicate["tables"]:
            stored = plan.stored.table(stated["table"])
            if stored is None:
                found.find(stated["table"], "is not in the old database")
                continue
            declared = plan.declared.table(stated["table"])
            sides = [side for side in (stored, declared) if side]
            gone = [c for c in stated["columns"] if not any(side.column(c) for side in sides)]
            if gone:
                found.find(stated["table"], f"has no {', '.join(gone)} in the old database")
                continue
            copy = TableCopy(
                stated["table"],
                tuple(stated["columns"]),
                stored,
                as_stored=stated["as_stored"],
                side=stated.get("side_table"),
                key=key_of_rows(target, stated["table"]),
            )
            filled = [one["column"] for one in stated["filled"]]
            try:
                _check(stated, prove_table(old, target, copy, filled), "both databases", found)
            except ProofFailedError as error:
                found.find(stated["table"], error.reason)
            except sqlite3.Error:
                continue  # said of the new database
            except LandscapeCompatError as error:
                found.find(stated["table"], f"cannot be read in the old database: {error}")
    found.checked.append("the rows of the old database, read again and compared one by one")


@contextmanager
def _shimmed(
    url: URL, known: str, stand_ins: Mapping[str, str]
) -> Iterator[tuple[Connection, Plan]]:
    metadata = metadata_of(shape_named(known))
    with attached(url, metadata, rules_with(stand_ins, metadata)) as (engine, attachment):
        plan = attachment.plan()
        with engine.connect() as connection, connection.begin():
            yield connection, plan
