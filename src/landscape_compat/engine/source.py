"""Which file an engine's connections open, as its driver is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["Source", "source_of"]


class Source(NamedTuple):
    """What a SQLite connection opens.

    Args:
        path: The file; None for a database in memory.
        steerable: Whether the shim may choose how the file is opened.
    """

    path: Path | None
    steerable: bool = True


def source_of(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Source:
    """Tell what SQLite is asked to open.

    Source: https://www.sqlite.org/uri.html and https://www.sqlite.org/inmemorydb.html.

    Args:
        arguments: The positional arguments of the driver's `connect`.
        keywords: Its keyword arguments.
    """
    database = str(arguments[0] if arguments else keywords.get("database", ""))
    if database in ("", ":memory:"):
        return Source(None)
    # A function in the place of a class makes connections in a way that cannot be seen.
    steerable = isinstance(keywords.get("factory", type), type)
    if not (keywords.get("uri") and database.startswith("file:")):
        return Source(Path(database), steerable)
    parts = urlsplit(database)
    options = parse_qs(parts.query)
    path = unquote(parts.path, errors="surrogateescape")
    if path in ("", ":memory:") or "memory" in options.get("mode", ()):
        return Source(None)
    # Another file system layer, or a lock-free opening, is the program's own choice.
    own = options.keys() & {"vfs", "nolock", "immutable"}
    return Source(Path(path), steerable=steerable and not own)
