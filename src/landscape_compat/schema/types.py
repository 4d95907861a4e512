"""Classes of column types: which declared types hold the same kind of value."""

from __future__ import annotations

import re

__all__ = ["affinity", "normalize_type", "type_class"]

_CLASSES = {
    "integer": "BIGINT BIGSERIAL BOOL BOOLEAN INT INT2 INT4 INT8 INTEGER MEDIUMINT SERIAL "
    "SMALLINT SMALLSERIAL TINYINT",
    "number": "DEC DECIMAL DOUBLE FLOAT FLOAT4 FLOAT8 MONEY NUMERIC REAL",
    "text": "BPCHAR CHAR CHARACTER CITEXT CLOB JSON JSONB LONGTEXT MEDIUMTEXT NAME NCHAR "
    "NATIONAL NATIVE NVARCHAR STRING TEXT TINYTEXT UUID VARCHAR VARYING",
    "time": "DATE DATETIME TIME TIMESTAMP TIMESTAMPTZ TIMETZ",
    "bytes": "BINARY BLOB BYTEA LONGBLOB VARBINARY",
}
_CLASS_OF = {word: name for name, words in _CLASSES.items() for word in words.split()}
# Source: https://www.sqlite.org/datatype3.html, section 3.1, in its order.
_AFFINITIES = (
    ("INT", "INTEGER"),
    ("CHAR", "TEXT"),
    ("CLOB", "TEXT"),
    ("TEXT", "TEXT"),
    ("BLOB", "BLOB"),
    ("REAL", "REAL"),
    ("FLOA", "REAL"),
    ("DOUB", "REAL"),
)
_CLASS_OF_AFFINITY = {
    "INTEGER": "integer",
    "TEXT": "text",
    "BLOB": "bytes",
    "REAL": "number",
    "NUMERIC": "number",
}
_ASCII_UPPER = {lower: lower - 32 for lower in range(ord("a"), ord("z") + 1)}


def normalize_type(type_: str) -> str:
    """Write a DDL type in upper case with single spaces and none around punctuation."""
    # ASCII only, as SQLite compares them: what else is a letter or a space changes with Python.
    spaced = re.sub(r"\s+", " ", type_, flags=re.ASCII).strip(" ").translate(_ASCII_UPPER)
    return re.sub(r" ?([(),]) ?", r"\1", spaced)


def affinity(type_: str) -> str:
    """Name the affinity that SQLite gives a column of a DDL type, as a type to CAST to.

    Args:
        type_: The type as in DDL.
    """
    normal = normalize_type(type_)
    if not normal:
        return "BLOB"
    return next((name for part, name in _AFFINITIES if part in normal), "NUMERIC")


def type_class(type_: str, dialect: str) -> str:
    """Name the class of a DDL type: the kind of value that its columns hold.

    Dates are text on SQLite, whatever their type is called, so they are of one class there.

    Args:
        type_: The type as in DDL.
        dialect: SQLAlchemy's name of the dialect.
    """
    normal = normalize_type(type_)
    word = re.split(r"[ (\[]", normal, maxsplit=1)[0]
    found = _CLASS_OF.get(word)
    if normal.endswith("]"):
        found = "array"
    if dialect == "sqlite":
        if found == "time":
            return "text"
        return found or _CLASS_OF_AFFINITY[affinity(normal)]
    return found or word.lower()
