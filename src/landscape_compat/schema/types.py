"""Classes of column types: which declared types hold the same kind of value."""

from __future__ import annotations

import re

__all__ = ["normalize_type", "type_class"]

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
    ("INT", "integer"),
    ("CHAR", "text"),
    ("CLOB", "text"),
    ("TEXT", "text"),
    ("BLOB", "bytes"),
    ("REAL", "number"),
    ("FLOA", "number"),
    ("DOUB", "number"),
)


def normalize_type(type_: str) -> str:
    """Write a DDL type in upper case with single spaces and none around punctuation."""
    spaced = re.sub(r"\s+", " ", type_.strip()).upper()
    return re.sub(r" ?([(),]) ?", r"\1", spaced)


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
        if found is None:
            found = next((name for part, name in _AFFINITIES if part in normal), None)
        return found or ("bytes" if not normal else "number")
    return found or word.lower()
