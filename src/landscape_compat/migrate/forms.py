"""The form of values in a file and on a server: one is made of the other, or it cannot be."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Double,
    LargeBinary,
    Text,
)
from sqlalchemy.types import TypeEngine

from landscape_compat.errors import UnreadableError
from landscape_compat.schema.types import affinity, type_class

__all__ = ["file_type", "filed", "served", "server_type"]

# As SQLAlchemy writes times to SQLite, and as it reads them.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{6})?")


def filed(value: Any) -> Any:
    """Give a value of a server in the form that a file holds it in.

    A moment is text, in UTC, as SQLAlchemy writes it to SQLite; true and false are 1 and 0.

    Args:
        value: As a driver of the server gives it.

    Raises:
        UnreadableError: A file has no form for it.
    """
    match value:
        case None | str() | float() | bytes():
            return value
        case bool():
            return int(value)
        case int():
            return value
        case datetime():
            moment = value.astimezone(UTC) if value.tzinfo else value
            return moment.strftime(f"{moment.year:04}-%m-%d %H:%M:%S.%f")
        case date() | time() | UUID() | Decimal():
            return str(value)
        case memoryview():
            return bytes(value)
    raise UnreadableError(
        f"A file has no form for a value of the kind {type(value).__name__}.",
        remedy="Give the column another type in a copy of the database; or leave it out.",
    )


def file_type(type_: str, dialect: str) -> str:
    """Give the type for a column in a file, by which SQLite keeps every value as it is filed.

    Args:
        type_: The type in the database that is copied.
        dialect: SQLAlchemy's name of its dialect.

    Returns:
        The same; "" for one of a server by which SQLite would make numbers of text, or text of
        numbers.
    """
    if dialect == "sqlite":
        return type_
    match type_class(type_, dialect), affinity(type_):
        case ("boolean" | "bytes" | "integer" | "timestamp", _):
            return type_
        case ("text", "TEXT") | ("number", "REAL"):
            return type_
    return ""


def served(value: Any, type_: str) -> Any:
    """Give a value of a file in the form that a server's column takes, losing nothing.

    Args:
        value: As SQLite gives it.
        type_: The class of the column's type, as `type_class` names it for SQLite columns that
            are declared alike: `boolean`, `timestamp`, `integer`, `number`, `text` or `bytes`.

    Raises:
        ValueError: There is no such value of that type; says why.
    """
    if value is None:
        return None
    match type_, value:
        case "boolean", 0 | 1:
            return bool(value)
        case "timestamp", str() if _MOMENT.fullmatch(value):
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        case "integer", int():
            return value
        case "number", float():
            return value
        case "number", int() if int(float(value)) == value:
            return float(value)
        case "number", int():
            raise ValueError("a whole number that the server's column would round")
        case "text", str() if "\0" not in value:
            return value
        case "text", str():
            raise ValueError("text with a NUL character, which the server has no place for")
        case "bytes", bytes():
            return value
    raise ValueError(f"{value!r:.60} is no {type_}")


def server_type(type_: str) -> TypeEngine[Any]:
    """Give the type by which values of a class are sent to a server.

    Args:
        type_: The class, as for `served`.
    """
    types: dict[str, TypeEngine[Any]] = {
        "boolean": Boolean(),
        "timestamp": DateTime(timezone=True),
        "integer": BigInteger(),
        "number": Double(),
        "bytes": LargeBinary(),
    }
    return types.get(type_, Text())
