"""Peeking: what an audit database says of itself, seen before anybody opens it, without a trace."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landscape_compat.engine.classify import looks_encrypted
from landscape_compat.engine.encryption import Passphrase, cipher_driver
from landscape_compat.engine.halfway import begin_snapshot
from landscape_compat.engine.locks import lock_sqlite
from landscape_compat.engine.opening import open_readonly
from landscape_compat.errors import LandscapeCompatError, OpeningRefusedError
from landscape_compat.schema.catalogue import catalogue_for
from landscape_compat.schema.shape import SchemaShape

__all__ = ["IDENTITY", "Seen", "Way", "look", "peeking", "way_to"]

# Source: the identity row that builds since epoch 24 write into every store they make.
IDENTITY = "elspeth_schema_identity"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a database says of itself.

    Args:
        stored: Its tables.
        schema: The rows of its catalogue.
        epoch: The epoch that it is stamped with; 0 for none.
        identities: The rows by which it names its application, its kind of store and its epoch.
    """

    stored: SchemaShape
    schema: tuple[tuple[Any, ...], ...]
    epoch: int
    identities: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class Way:
    """How a file is connected to.

    Args:
        driver: The driver's module.
        key: What it is encrypted by, if it is.
    """

    driver: Any = sqlite3
    key: Passphrase | None = None

    def connect(self, uri: str) -> sqlite3.Connection:
        """Connect, and give the key first.

        Args:
            uri: The file, as SQLite takes it.
        """
        connection: sqlite3.Connection = self.driver.connect(uri, uri=True)
        if self.key is not None:
            self.key.unlock(connection)
        return connection


def way_to(path: Path, passphrase: str | None) -> Way | None:
    """Tell how a file is connected to; None where the host says best itself why it cannot be.

    Args:
        path: The file.
        passphrase: What it is to be decrypted by, if it is.
    """
    if passphrase is None:
        return Way()
    try:
        if looks_encrypted(path):
            return Way(cipher_driver(path), Passphrase(passphrase))
    except LandscapeCompatError:
        pass  # the host has its own word for a driver or a passphrase that is none
    return None


@contextmanager
def peeking(path: Path, way: Way) -> Iterator[sqlite3.Connection | None]:
    """Connect to a database without a trace and, however large it is, without a copy.

    Args:
        path: The file.
        way: How it is connected to.
    """
    connection = _peek(path, way)
    try:
        yield connection
    finally:
        if connection is not None:
            connection.close()


def _peek(path: Path, way: Way) -> sqlite3.Connection | None:
    connection = None
    try:
        try:
            encrypted = way.key is not None
            connection, _ = open_readonly(path, way.connect, allow_copy=False, encrypted=encrypted)
        except OpeningRefusedError:
            # As if nothing lay beside the file: good enough to tell one schema from another.
            connection = way.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1")
        lock_sqlite(connection)
    except (sqlite3.Error, way.driver.Error, OSError, ValueError, LandscapeCompatError):
        if connection is not None:
            connection.close()
        return None
    return connection


def look(connection: sqlite3.Connection, way: Way) -> Seen | None:
    """Read what a database says of itself; None if it cannot be read.

    Args:
        connection: To the database.
        way: How it was connected to.
    """

    def rows(statement: str) -> tuple[tuple[Any, ...], ...]:
        return tuple(connection.execute(statement).fetchall())

    try:
        begin_snapshot(connection)
        stored = catalogue_for("sqlite").read_stored(connection)
        columns = ("application_id", "store_kind", "schema_epoch")
        known = all(stored.has(f"{IDENTITY}.{column}") for column in columns)
        return Seen(
            stored=stored,
            schema=rows("SELECT type, name, tbl_name, sql FROM sqlite_master"),
            epoch=rows("PRAGMA user_version")[0][0],
            identities=rows(f"SELECT {', '.join(columns)} FROM {IDENTITY}") if known else (),
        )
    except (sqlite3.Error, way.driver.Error):
        return None
