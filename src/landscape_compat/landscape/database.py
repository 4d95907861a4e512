"""A Landscape opened read-only, whatever version wrote it, with no host installed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.util import asbool

from landscape_compat.engine.attach import Attachment, attach
from landscape_compat.engine.encryption import make_engine
from landscape_compat.engine.infinity import refuse_infinity
from landscape_compat.engine.notices import held_back
from landscape_compat.engine.report import SchemaReport
from landscape_compat.errors import AttachError, LandscapeCompatError, NotALandscapeError, printable
from landscape_compat.landscape.history import known_shapes
from landscape_compat.landscape.metadata import newest_metadata
from landscape_compat.landscape.rules import landscape_rules
from landscape_compat.landscape.snapshots import import_snapshot
from landscape_compat.projection.prelude import Projection
from landscape_compat.schema.catalogue import catalogue_for
from landscape_compat.schema.known import identify
from landscape_compat.schema.shape import SchemaShape

__all__ = ["Landscape", "database_url", "open_landscape", "report_landscape", "require_landscape"]

_NEVER_IN = {"duckdb": "DuckDB", "mariadb": "MariaDB", "mysql": "MariaDB or MySQL"}


def database_url(database: str | os.PathLike[str] | URL) -> URL:
    """Make a URL of what a person names a database by.

    Args:
        database: A path, or a SQLAlchemy URL (anything with `://` in it, unless it is a file).

    Raises:
        LandscapeCompatError: The URL cannot be understood, or there is no driver for it.
    """
    if isinstance(database, URL):
        return _anchored(database)
    text = os.fspath(database)
    if "://" in text and not Path(text).exists():
        try:
            url = make_url(text)
            dialect = url.get_dialect()
        except (ArgumentError, NoSuchModuleError, ValueError) as error:
            # The error of SQLAlchemy may hold the URL, and with it the password.
            raise LandscapeCompatError(
                "This is not a database URL that SQLAlchemy has a dialect for.",
                remedy="Give a path, or a URL such as sqlite:////folder/audit.db.",
            ) from error
        _require_driver(dialect)
        return _anchored(url)
    # Built, not formatted: `?`, `%` and `#` in a path would otherwise change its meaning.
    return URL.create("sqlite", database=str(Path(text).absolute()))


def _anchored(url: URL) -> URL:
    """Name a file so that it means the same in every working directory, and every process."""
    name = url.database
    if url.get_backend_name() != "sqlite" or name in (None, "", ":memory:"):
        return url
    if not (name.startswith("file:") and _takes_uris(url)):
        return url.set(database=str(Path(name).absolute()))
    relative = name.removeprefix("file:")
    options = f"{relative}&mode={url.query.get('mode')}"
    if relative.startswith(("/", "?", ":memory:")) or not relative or "mode=memory" in options:
        return url
    # Of the root no slash: two of them begin a host.
    here = quote(os.fsencode(Path.cwd())).rstrip("/")
    return url.set(database=f"file:{here}/{relative}")


def _takes_uris(url: URL) -> bool:
    try:
        return bool(asbool(url.query.get("uri")))
    except ValueError:
        return False  # SQLAlchemy will say so


def _require_driver(dialect: type[Dialect]) -> None:
    catalogue_for(dialect.name)
    if dialect.is_async:
        raise LandscapeCompatError(
            f"The driver {dialect.driver} is an asynchronous one, and this is not.",
            remedy=f"Take its name off the URL: {dialect.name}://...",
        )
    try:
        dialect.import_dbapi()
    except ImportError as error:
        raise LandscapeCompatError(
            f"The driver of this URL is not installed: there is no module {error.name}.",
            remedy=f"Install it (`pip install {error.name}`), or name another in the URL.",
        ) from error


class Landscape:
    """An audit database open for reading: made by `open_landscape`, closed by `close`.

    Args:
        engine: The engine, attached; owned from now on.
        attachment: Its attachment.
    """

    is_read_only = True

    def __init__(self, engine: Engine, attachment: Attachment) -> None:
        self.engine = engine
        self._attachment = attachment
        self._snapshot: str | None = None

    @property
    def connection_string(self) -> str:
        """Give the database's URL, its password hidden."""
        return self.engine.url.render_as_string(hide_password=True)

    @property
    def stored(self) -> SchemaShape:
        """Give what the database stores."""
        return self._attachment.plan().stored

    @property
    def declared(self) -> SchemaShape:
        """Give what the newest known schema declares."""
        return self._attachment.plan().declared

    @property
    def projections(self) -> Mapping[str, Projection]:
        """Give how each declared table is read from what is stored, by folded name."""
        return self._attachment.plan().projections

    def tell(self, table: str) -> None:
        """Tell, once, what a table lacks of what is declared, before it is read as it is stored.

        Args:
            table: The table's folded name.
        """
        self._attachment.tell(table)

    def report(self) -> SchemaReport:
        """Tell which schema this is and what it lacks against the newest known one."""
        return report_landscape(self.engine, self._attachment)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Open a connection in one read transaction: everything read on it is of one moment."""
        with self.engine.connect() as connection, connection.begin():
            if self._snapshot is not None:
                import_snapshot(connection, self._snapshot)
            yield connection

    read_only_connection = connection

    def share_snapshot(self, snapshot: str) -> None:
        """Have every `connection` from now on see what a transaction of another program sees.

        Args:
            snapshot: What PostgreSQL's `pg_export_snapshot()` gave that transaction, which must
                still run whenever a connection is opened.
        """
        self._snapshot = snapshot

    def close(self) -> None:
        """Close every connection, and remove the private copy if one was made."""
        self.engine.dispose()

    def __enter__(self) -> Landscape:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open_landscape(
    database: str | os.PathLike[str] | URL, *, passphrase: str | None = None
) -> Landscape:
    """Open an audit database of any version read-only.

    Args:
        database: A path or a SQLAlchemy URL.
        passphrase: What the file is encrypted by, if it is (SQLCipher); of no effect if not.

    Returns:
        A Landscape, to be closed or used as a context manager. It reads every table of the
        newest known schema; its statements may be refused, never its bytes changed.

    Raises:
        OpeningRefusedError: It cannot be opened without a trace or a risk; says why.
        NotALandscapeError: It holds none of the tables of a Landscape.
        AttachError: Its dialect is not known, or none that ELSPETH writes to.
    """
    url = database_url(database)
    elsewhere = _NEVER_IN.get(url.get_backend_name())
    if elsewhere is not None:
        raise AttachError(
            f"ELSPETH keeps its audit databases in SQLite or PostgreSQL, never in {elsewhere}, and "
            "its rules were not tried there.",
            remedy="Attach an engine to your own metadata, or give `inspect_database` yours.",
        )
    engine = make_engine(url, passphrase)
    refuse_infinity(engine)
    attachment = attach(
        engine,
        newest_metadata(),
        rules=landscape_rules(),
        read_only=True,
        known=known_shapes,
    )
    landscape = Landscape(engine, attachment)
    try:
        with held_back():  # of what is no Landscape there is but one thing to say
            require_landscape(url, landscape.stored)
    except BaseException:
        landscape.close()
        raise
    return landscape


def report_landscape(engine: Engine, attachment: Attachment) -> SchemaReport:
    """Report on a Landscape, with the shape it has among all known ones.

    Args:
        engine: The engine.
        attachment: Its attachment.
    """
    with engine.connect() as connection:
        # A server's databases have no such stamp.
        is_file = engine.dialect.name == "sqlite"
        stamp = connection.exec_driver_sql("PRAGMA user_version") if is_file else None
        epoch = stamp.scalar_one() if stamp is not None else None
    shapes = known_shapes()
    identification = identify(attachment.plan().stored, shapes, epoch or None)
    target = f"the newest known schema ({shapes[-1].name})"
    return replace(attachment.report(), target=target, identification=identification)


def require_landscape(url: URL, stored: SchemaShape) -> None:
    """Refuse a database that is no Landscape.

    Args:
        url: The database.
        stored: What it stores.

    Raises:
        NotALandscapeError: It holds none of the tables of a Landscape, or something else stands
            under the name of one.
    """
    declared = known_shapes()[-1].shape
    known = [table for table in stored if declared.table(table.name)]
    if not known or not stored.has("runs.run_id"):
        raise NotALandscapeError(
            f"{printable(url.database)} is a database but not an audit database: it has "
            "no table of runs.",
            remedy="Check the path; an ELSPETH audit database is often called audit.db.",
        )
    posing = [table for table in known if table.kind != "table"]
    if posing:
        raise NotALandscapeError(
            f"What stands here is a {posing[0].kind}, not a table, so it is no record.",
            table=posing[0].name,
            remedy="Find out who put it there; the builds of ELSPETH make only tables.",
        )
