"""A MariaDB server of the tests' own: in a private folder, on a socket, and gone afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pymysql
from pymysql.constants import CLIENT
from sqlalchemy import URL

from support.serving import ServerError, run_program, running, unprivileged

__all__ = ["MariaDatabase", "MariaServer", "find_server", "running_mariadb"]

_TIMEOUT = 120.0
_PLACES = ("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin")


@dataclass(frozen=True)
class MariaServer:
    """A running server.

    Args:
        socket: Its socket.
    """

    socket: Path
    _numbers: Iterator[int] = field(default_factory=count)

    def url(self, database: str, driver: str = "mysql+pymysql", user: str = "root") -> URL:
        """Name a database for SQLAlchemy.

        Args:
            database: The database.
            driver: The dialect and the driver.
            user: Who connects.
        """
        # Without, each connection reads all certificates of the system.
        query = {"unix_socket": str(self.socket), "charset": "utf8mb4", "ssl_disabled": "1"}
        return URL.create(driver, user, database=database, query=query)

    def connect(self, database: str | None = None, user: str = "root") -> Any:
        """Connect past SQLAlchemy, in autocommit, for scripts of several statements."""
        return pymysql.connect(
            unix_socket=str(self.socket),
            user=user,
            database=database,
            charset="utf8mb4",
            autocommit=True,
            ssl_disabled=True,
            client_flag=CLIENT.MULTI_STATEMENTS,
        )

    def create_database(self, order: str = "utf8mb4_unicode_ci") -> str:
        """Make a database; give its name.

        Args:
            order: The order of its text.
        """
        name = f"d{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} COLLATE {order}")
        return name

    def run(self, script: str, database: str | None = None) -> None:
        """Run a script."""
        with self.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(script)
            while cursor.nextset():
                pass


@dataclass(frozen=True)
class MariaDatabase:
    """A database on it.

    Args:
        server: The server.
        name: The database's name.
    """

    server: MariaServer
    name: str

    def url(self, driver: str = "mysql+pymysql", user: str = "root") -> URL:
        """Name it for SQLAlchemy."""
        return self.server.url(self.name, driver, user)

    def run(self, script: str) -> None:
        """Run a script in it."""
        self.server.run(script, self.name)

    def rows(self, sql: str) -> Sequence[Any]:
        """Ask it something."""
        with self.server.connect(self.name) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            rows: Sequence[Any] = cursor.fetchall()
            return rows

    def content(self) -> list[Any]:
        """Give all that it stores, to tell whether it was changed."""
        found: list[Any] = []
        for table, kind in self.rows("SHOW FULL TABLES"):
            found.append(self.rows(f"SHOW CREATE TABLE `{table}`"))
            if kind != "VIEW":
                found.append(sorted(map(repr, self.rows(f"SELECT * FROM `{table}`"))))
        return found


def find_server() -> Path | None:
    """Find the program of the server: in the folder that MARIADB_BIN names, else installed."""
    return next((p for p in (Path(place, "mariadbd") for place in _places()) if p.exists()), None)


def _places() -> list[str]:
    named = os.environ.get("MARIADB_BIN")
    return [named] if named else [*_PLACES, *os.get_exec_path()]


@contextmanager
def running_mariadb(settings: Mapping[str, str] | None = None) -> Iterator[MariaServer]:
    """Run a server until the block ends; as nobody, where this process is root.

    Args:
        settings: Further settings of the server.

    Raises:
        ServerError: None was found, or it did not start.
    """
    program = find_server()
    if program is None:
        raise ServerError("No mariadbd was found: install the package mariadb-server.")
    install = shutil.which("mariadb-install-db", path=os.pathsep.join([*_places(), *_PLACES]))
    if install is None:
        raise ServerError("No mariadb-install-db was found beside mariadbd.")
    run_as = unprivileged()
    # Short: the path of a socket has at most 107 bytes. In memory, where nothing waits for a disk.
    place = next(p for p in ("/dev/shm", "/tmp") if os.access(p, os.W_OK | os.X_OK))
    folder = Path(tempfile.mkdtemp(prefix="lc-mdb-", dir=place))
    try:
        if run_as:
            os.chown(folder, run_as["user"], run_as["group"])
        data = folder / "data"
        run_program(
            [
                install,
                "--no-defaults",
                f"--datadir={data}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
            run_as,
        )
        options = {
            "datadir": str(data),
            "socket": str(folder / "s"),
            "pid-file": str(folder / "pid"),
            "tmpdir": str(folder),
            "innodb-flush-log-at-trx-commit": "0",
            "innodb-buffer-pool-size": "32M",
            "innodb-doublewrite": "0",
            "character-set-server": "utf8mb4",
            "collation-server": "utf8mb4_unicode_ci",
            **(settings or {}),
        }
        given = [f"--{name}={value}" for name, value in options.items()]
        command = [program, "--no-defaults", "--skip-networking", *given]
        with running(command, folder, run_as, "TERM") as watch:
            yield _await(folder, watch)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _await(folder: Path, watch: subprocess.Popen[bytes]) -> MariaServer:
    deadline = time.monotonic() + _TIMEOUT
    server = MariaServer(folder / "s")
    while True:
        try:
            # Not by the driver, which leaves open what it could not connect.
            with socket.socket(socket.AF_UNIX) as asking:
                asking.connect(str(server.socket))
            server.connect().close()
            return server
        except OSError as error:
            if watch.poll() is not None or time.monotonic() > deadline:
                log = (folder / "log").read_text(errors="replace")
                raise ServerError(f"The server did not start: {error}\n{log}") from error
            time.sleep(0.02)
