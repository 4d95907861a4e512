"""Reading what SQLCipher encrypted: the driver for it, and how the key reaches a connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine

from landscape_compat.engine.classify import looks_encrypted
from landscape_compat.engine.encoding import refuse_no_encoding
from landscape_compat.engine.source import source_of
from landscape_compat.engine.states import REFUSALS
from landscape_compat.errors import LandscapeCompatError

__all__ = ["KEY", "Passphrase", "cipher_driver", "make_engine"]

# The driver's argument under which an engine's connections are given the key; the hooks take it
# out before the driver sees it.
KEY = "landscape_compat_passphrase"


@dataclass(frozen=True, slots=True)
class Passphrase:
    """A passphrase that no log, report or traceback shows.

    Args:
        text: What SQLCipher derives the key from; or `x'...'`, a key in hexadecimal.

    Raises:
        LandscapeCompatError: It is none that SQLCipher can take.
    """

    text: str = field(repr=False)

    def __post_init__(self) -> None:
        # Said without the text, which an encoder's own error would hold.
        if any(map(_is_no_character, self.text or "\0")):
            raise LandscapeCompatError(
                "The passphrase is empty, or holds what is no text.",
                remedy="Give the one by which the database was made.",
            )

    def unlock(self, connection: Any) -> None:
        """Give a new connection of SQLCipher's its key; must be the first that it is told.

        Source: https://www.zetetic.net/sqlcipher/sqlcipher-api/#key.

        Args:
            connection: The driver's connection.
        """
        quoted = self.text.replace("'", "''")
        connection.execute(f"PRAGMA key = '{quoted}'").close()


def _is_no_character(character: str) -> bool:
    return character == "\0" or "\ud800" <= character <= "\udfff"


def cipher_driver(path: Path) -> Any:
    """Import the driver that reads encrypted databases.

    Args:
        path: The database, for the error.

    Raises:
        OpeningRefusedError: It is not installed.
    """
    try:
        from sqlcipher3 import dbapi2
    except ImportError as error:
        raise REFUSALS["no-sqlcipher"].error(path) from error
    return dbapi2


def make_engine(url: URL, passphrase: str | None = None, **options: Any) -> Engine:
    """Make an engine of our own: by a passphrase where a file is encrypted.

    By psycopg, what does not say which encoding its texts are in is refused when it connects.

    Args:
        url: The database.
        passphrase: What it is encrypted by; of no effect on what is not encrypted.
        options: What else `create_engine` is given.

    Raises:
        OpeningRefusedError: It is encrypted, and the driver for that is not installed.
        LandscapeCompatError: The passphrase is none that SQLCipher can take.
    """
    path = None
    if passphrase is not None and url.get_backend_name() == "sqlite":
        path = source_of(*url.get_dialect()().create_connect_args(url)).path
    if passphrase is None or path is None or not looks_encrypted(path):
        engine = create_engine(url, **options)
        refuse_no_encoding(engine)
        return engine
    keys = {**options.pop("connect_args", {}), KEY: Passphrase(passphrase)}
    return create_engine(url, module=cipher_driver(path), connect_args=keys, **options)
