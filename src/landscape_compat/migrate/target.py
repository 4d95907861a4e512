"""The empty database that a migration fills: of a known shape, or made by the installed host."""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, MetaData, create_engine
from sqlalchemy.pool import NullPool

from landscape_compat.errors import LandscapeCompatError, printable
from landscape_compat.landscape.host import DATABASE_MODULE, Host, find_host
from landscape_compat.landscape.metadata import metadata_of
from landscape_compat.landscape.stored import free_rowid
from landscape_compat.projection.tokens import SQLITE, Token, TokenKind, tokenize
from landscape_compat.schema.known import KnownShape
from landscape_compat.schema.shape import ColumnShape, TableShape, fold_name, quote_name

__all__ = [
    "Target",
    "add_column",
    "add_table",
    "defined",
    "key_of_rows",
    "make_by_host",
    "make_of_shape",
    "relax",
    "rowid_of",
]


@dataclass(frozen=True, slots=True)
class Target:
    """What the new database is to be.

    Args:
        name: What to call it: the shape's name, or the host and its epoch.
        metadata: The tables that its readers declare.
        epoch: The epoch that it is stamped with; None for none.
        host: The host that made it, if it did.
        journal_mode: The journal that its file is to be left with, as SQLite names it.
    """

    name: str
    metadata: MetaData
    epoch: int | None
    host: Host | None = None
    journal_mode: str = "delete"


def defined(name: str, type_: str) -> str:
    """Define a column for SQLite.

    Args:
        name: Its name.
        type_: Its type, which may be any text; "" for none.
    """
    return f"{quote_name(name)} {quote_name(type_)}" if type_ else quote_name(name)


def make_of_shape(path: Path, known: KnownShape) -> Target:
    """Make an empty database of a known shape.

    Args:
        path: The file to make.
        known: The shape.
    """
    metadata = metadata_of(known)
    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)
    metadata.create_all(engine)
    engine.dispose()
    # A shape that lasted for several epochs is stamped with the last: its readers take it.
    epoch = known.epochs[-1] if known.epochs else None
    if epoch is not None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version = {epoch}")
    return Target(known.name, metadata, epoch)


def make_by_host(path: Path) -> Target:
    """Have the installed host make an empty database, with all that it stamps and checks.

    Args:
        path: The file to make.

    Raises:
        LandscapeCompatError: No host is installed here.
        AttachError: It is of no known version.
    """
    try:
        module = importlib.import_module(DATABASE_MODULE)
    except ModuleNotFoundError as error:
        raise LandscapeCompatError(
            f"ELSPETH is not installed here ({error.name} was not found), so it cannot make the "
            "new database.",
            remedy="Install landscape-compat beside it, or name a shape by --to.",
        ) from error
    host = find_host(module)
    # Rendered, because the versions before February 2026 take text only.
    url = URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)
    host.database_class.from_url(url).close()
    with closing(sqlite3.connect(path)) as connection:
        ((mode,),) = connection.execute("PRAGMA journal_mode").fetchall()
        # What is copied is not yet a record that anybody writes to.
        connection.execute("PRAGMA journal_mode = DELETE")
    epoch = f", epoch {host.epoch}" if host.epoch is not None else ""
    return Target(f"the installed host{epoch}", host.metadata, host.epoch, host, mode)


def add_column(connection: sqlite3.Connection, table: str, column: ColumnShape) -> None:
    """Add a column that the new schema does not know.

    Args:
        connection: The new database.
        table: The table.
        column: The column, as the old database stores it.
    """
    added = defined(column.name, column.type)
    connection.execute(f"ALTER TABLE {quote_name(table)} ADD COLUMN {added}")


def add_table(connection: sqlite3.Connection, table: TableShape, *, numbered: bool) -> None:
    """Add a table that the new schema does not know, with its columns and its primary key.

    Args:
        connection: The new database.
        table: The table, as the old database stores it.
        numbered: Whether its key, if that is one integer, is to be the number of the row.
    """
    keys = [column for column in table.columns if column.primary_key]
    parts = [defined(column.name, column.type) for column in table.columns]
    if len(keys) == 1 and keys[0].type == "INTEGER" and not numbered:
        # Source: https://www.sqlite.org/lang_createtable.html#rowid: said so, by a quirk, it is a
        # key like any other. SQLite would put a number where there is none.
        parts[table.columns.index(keys[0])] += " PRIMARY KEY DESC"
    elif keys:
        parts.append(f"PRIMARY KEY ({', '.join(quote_name(column.name) for column in keys)})")
    connection.execute(f"CREATE TABLE {quote_name(table.name)} ({', '.join(parts)})")


def key_of_rows(connection: Any, table: str) -> str | None:
    """Name the column that SQLite numbers the rows of a table by; None if the number is hidden.

    Args:
        connection: A raw connection to a SQLite database.
        table: The table.
    """
    # Any other key, one of INTEGER PRIMARY KEY DESC or WITHOUT ROWID too, has an index.
    found = connection.execute(
        "SELECT name FROM pragma_table_info(:name, 'main') WHERE pk AND NOT EXISTS "
        "(SELECT 1 FROM pragma_index_list(:name, 'main') WHERE origin = 'pk')",
        {"name": table},
    ).fetchone()
    return found[0] if found else None


def rowid_of(connection: sqlite3.Connection, table: str) -> str:
    """Name the row number of a table of the new database as no column of it is named.

    Args:
        connection: The new database.
        table: The table.

    Raises:
        LandscapeCompatError: Columns have all of its names.
    """
    columns = connection.execute("SELECT name FROM pragma_table_xinfo(?)", (table,))
    found = free_rowid(name for (name,) in columns)
    if found is None:
        raise LandscapeCompatError(
            f"{printable(table)} has columns of every name that SQLite has for the number of a "
            "row, so its rows could not be compared in their order. Nothing was kept.",
            remedy="Migrate without --keep-extra.",
        )
    return found


def relax(
    connection: sqlite3.Connection, table: TableShape, columns: Iterable[str]
) -> tuple[str, ...]:
    """Let columns of an empty table hold NULL that were declared not to.

    An old record never held a value there. Whatever stood in its place would be taken for one.

    Args:
        connection: The new database, in no transaction.
        table: The table as it was made: of a known shape, so with no indexes or triggers.
        columns: The columns, as far as they are NOT NULL and of no key.

    Returns:
        Those that were changed.
    """
    wanted = {fold_name(name) for name in columns}
    found = tuple(
        column.name
        for column in table.columns
        if fold_name(column.name) in wanted and not column.nullable and not column.primary_key
    )
    if not found:
        return ()
    ((ddl,),) = connection.execute(
        "SELECT sql FROM main.sqlite_master WHERE type = 'table' AND lower(name) = lower(?)",
        (table.name,),
    ).fetchall()
    connection.execute(f"DROP TABLE {quote_name(table.name)}")
    connection.execute(_without_not_null(ddl, {fold_name(name) for name in found}))
    return found


def _without_not_null(ddl: str, columns: set[str]) -> str:
    """Take NOT NULL out of the definitions of columns in a CREATE TABLE."""
    cuts: list[tuple[int, int]] = []
    depth, column, previous = 0, "", None
    begins = False
    for token in tokenize(ddl, SQLITE):
        mark = token.text if token.kind is TokenKind.OPERATOR else ""
        if mark == "(":
            depth += 1
            begins = depth == 1
        elif mark == ")":
            depth -= 1
        elif mark == "," and depth == 1:
            begins = True
        elif begins:
            column, begins = token.name, False
        elif depth == 1 and column in columns and _is_not_null(previous, token):
            assert previous is not None
            cuts.append((previous.start, token.end))
        previous = token
    for start, end in reversed(cuts):
        ddl = ddl[:start] + ddl[end:]
    return ddl


def _is_not_null(first: Token | None, second: Token) -> bool:
    return first is not None and (first.text, second.text) == ("NOT", "NULL")
