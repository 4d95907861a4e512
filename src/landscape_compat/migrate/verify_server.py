"""Verifying what a migration made on a server: its rows, and those of the old database."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import rfc8785
from sqlalchemy import URL, Connection, MetaData, Table
from sqlalchemy.exc import DBAPIError, NoSuchTableError
from sqlalchemy.pool import NullPool

from landscape_compat.engine.encryption import make_engine
from landscape_compat.engine.faults import explain_encoding
from landscape_compat.errors import LandscapeCompatError, UnreadableError, count_of, printable
from landscape_compat.export.output.private import private_folder
from landscape_compat.export.verify.findings import Verification
from landscape_compat.migrate.making import (
    Wanted,
    copy_and_prove,
    source_of,
    told_of,
)
from landscape_compat.migrate.proof import check_source, read_statement
from landscape_compat.migrate.server import digest_as_served, digest_on_server
from landscape_compat.schema.catalogue.sqlite import read_stored

__all__ = ["verify_on_server"]


def verify_on_server(
    new: URL, proof: Path, source: str | os.PathLike[str] | URL | None
) -> Verification:
    """Verify that a database on a server still holds what the proof of its migration says.

    It is read in one transaction that only reads. The old database, if it is given, is migrated
    once more into a private file, and that file is compared with the server table by table.

    Args:
        new: The new database.
        proof: The statement of it.
        source: The old database; None if it is not at hand.

    Raises:
        LandscapeCompatError: One of the two databases cannot be read.
    """
    found = Verification(new)
    told = read_statement(proof, found)
    if told is None:
        return found
    digests, predicate = told
    stated = predicate.get("server")
    if stated is None or sha256(rfc8785.dumps(stated)).hexdigest() not in digests.values():
        found.find(proof.name, "is not about a database on a server, as it stands there")
        return found
    with _reading(new) as connection:
        tables = dict(_check_tables(connection, stated, found))
        found.checked.append(f"the rows of {count_of(len(stated), 'table')} on the server")
    if source is None:
        found.unchecked.append("the old database, which was not given (--source)")
    else:
        _compare(tables, predicate, source, found)
    return found


@contextmanager
def _reading(url: URL) -> Iterator[Connection]:
    engine = make_engine(url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            yield connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
    except (DBAPIError, UnicodeDecodeError) as error:
        said = getattr(error, "orig", error)
        raise explain_encoding(error, printable(url)) or LandscapeCompatError(
            f"{printable(url)} could not be read: {printable(said)}.",
            remedy="Check that it exists, and that you may read its tables.",
        ) from error
    finally:
        engine.dispose()


def _check_tables(
    connection: Connection, stated: list[dict[str, Any]], found: Verification
) -> Iterator[tuple[str, tuple[Table, dict[str, Any]]]]:
    """Read each stated table as it is now; give those that are there."""
    metadata = MetaData()
    for one in stated:
        try:
            table = Table(one["table"], metadata, autoload_with=connection, resolve_fks=False)
            now = digest_on_server(connection, table, one["columns"], one["key"])
        except NoSuchTableError:
            found.find(one["table"], "is not on the server")
        except KeyError as error:
            found.find(one["table"], f"has no column {error} on the server")
        except UnreadableError as error:
            found.find(one["table"], f"cannot be compared on the server: {error.reason}")
        else:
            _check(one, now, "on the server", found)
            yield one["table"], (table, one)


def _check(
    stated: Mapping[str, Any], now: tuple[int, str], where: str, found: Verification
) -> None:
    for what, before, after in zip(
        ("rows", "the digest"), (stated["rows"], stated["sha256"]), now, strict=True
    ):
        if before != after:
            found.find(stated["table"], f"{what} {where}: {after}, and was {before}")


def _compare(
    tables: Mapping[str, tuple[Table, dict[str, Any]]],
    predicate: Mapping[str, Any],
    source: str | os.PathLike[str] | URL,
    found: Verification,
) -> None:
    known = predicate["target"].get("known")
    if known is None:
        found.unchecked.append("the rows of the old database: the new shape is not known here")
        return
    asked = predicate["asked"]
    if asked["stand_ins"]:
        found.unchecked.append("the rows of the old database: stand-ins were named for the host")
        return
    url, path = source_of(source)
    check_source(path, predicate, found)
    wanted = Wanted(known, keep_extra=asked["keep_extra"], quarantine=asked["quarantine"])
    with private_folder() as folder:
        again = folder / "again.db"
        with told_of(again):
            copy_and_prove(url, path, again, wanted)
        with closing(sqlite3.connect(again)) as file:
            stored = read_stored(file)
            for name, (table, stated) in tables.items():
                shape = stored.table(name)
                if shape is None:
                    found.find(name, "is not made of the old database any more")
                    continue
                try:
                    _check(stated, digest_as_served(file, shape, table), "made again", found)
                except (KeyError, ValueError) as error:
                    found.find(name, f"is not made of the old database any more: {error}")
    found.checked.append("the rows of the old database, migrated again and compared by table")
