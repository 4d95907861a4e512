"""Classes of column types: which declared types hold the same kind of value."""

from __future__ import annotations

import re
from functools import lru_cache

from landscape_compat.schema.letters import ASCII_UPPER

__all__ = [
    "affinity",
    "is_builtin",
    "is_mariadb",
    "normalize_type",
    "spelled_in_mariadb",
    "spelled_type",
    "type_class",
    "unbounded_type",
]

_CLASSES = {
    "integer": "BIGINT BIGSERIAL BOOL BOOLEAN HUGEINT INT INT2 INT4 INT8 INTEGER MEDIUMINT SERIAL "
    "SMALLINT SMALLSERIAL TINYINT UBIGINT UHUGEINT UINTEGER USMALLINT UTINYINT",
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
# On a server with types, these hold values that a driver gives in another form.
_OWN_CLASSES = {
    "boolean": "BOOL BOOLEAN",
    "date": "DATE",
    "json": "JSON JSONB",
    "timestamp": "DATETIME TIMESTAMP TIMESTAMPTZ",
    "time of day": "TIME TIMETZ",
    "uuid": "UUID",
}
_OWN_CLASS_OF = {word: name for name, words in _OWN_CLASSES.items() for word in words.split()}
# What DuckDB calls by a word of its own; any other is a type that somebody gave a name.
_OTHER_IN_DUCKDB = frozenset(
    "BIGNUM BIT BITSTRING GEOMETRY INTERVAL MAP STRUCT UNION VARIANT".split()
)
# Source: PostgreSQL manual, table 8.1 and the chapter around it.
_OTHER_BUILTIN = frozenset(
    """BIT BOX CIDR CIRCLE DATEMULTIRANGE DATERANGE INET INT4MULTIRANGE INT4RANGE INT8MULTIRANGE
    INT8RANGE INTERVAL JSONPATH LINE LSEG MACADDR MACADDR8 NUMMULTIRANGE NUMRANGE OID PATH PG_LSN
    PG_SNAPSHOT POINT POLYGON REGCLASS REGCONFIG TSMULTIRANGE TSQUERY TSRANGE TSTZMULTIRANGE
    TSTZRANGE TSVECTOR VARBIT XML""".split()
) | frozenset(
    """BIGINT BIGSERIAL BOOL BOOLEAN BPCHAR BYTEA CHAR CHARACTER DATE DEC DECIMAL DOUBLE FLOAT
    FLOAT4 FLOAT8 INT INT2 INT4 INT8 INTEGER JSON JSONB MONEY NAME NATIONAL NCHAR NUMERIC REAL
    SERIAL SMALLINT SMALLSERIAL TEXT TIME TIMESTAMP TIMESTAMPTZ TIMETZ UUID VARCHAR""".split()
)
_SPELLED = {
    "BOOL": "BOOLEAN",
    "DECIMAL": "NUMERIC",
    "FLOAT": "DOUBLE PRECISION",
    "FLOAT4": "REAL",
    "FLOAT8": "DOUBLE PRECISION",
    "INT": "INTEGER",
    "INT2": "SMALLINT",
    "INT4": "INTEGER",
    "INT8": "BIGINT",
    "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE",
    "TIMETZ": "TIME WITH TIME ZONE",
}
_SPELLED_IN_MARIADB = {
    "BOOL": "TINYINT",
    "BOOLEAN": "TINYINT",
    "DEC": "DECIMAL",
    "INT": "INTEGER",
    "JSON": "LONGTEXT",
    "NUMERIC": "DECIMAL",
}
_WIDTH = re.compile(r"^((?:TINY|SMALL|MEDIUM|BIG)?INT(?:EGER)?|YEAR)\(\d+\)(?=(\w?))")
# Its booleans are numbers, and its JSON is text.
_NOT_OWN_IN_MARIADB = frozenset({"boolean", "json"})
_CHARACTERS = re.compile(r"^(?:VARCHAR|(CHAR|BPCHAR))(?:\(\d+\))?")


# A schema has hundreds of columns and a dozen types.
@lru_cache(maxsize=1024)
def normalize_type(type_: str) -> str:
    """Write a DDL type in upper case with single spaces and none around punctuation.

    What is in double quotes stays as it is: there, letters count as they are written.
    """
    if '"' in type_:
        parts = re.split(r'("(?:[^"]|"")*")', type_)
        return "".join(
            part if at % 2 else re.sub(r" ?([(),.\[\]]) ?", r"\1", _upper(part))
            for at, part in enumerate(parts)
        ).strip(" ")
    # ASCII only, as SQLite compares them: what else is a letter or a space changes with Python.
    spaced = re.sub(r"\s+", " ", type_, flags=re.ASCII).strip(" ").translate(ASCII_UPPER)
    return re.sub(r" ?([(),]) ?", r"\1", spaced)


def _upper(text: str) -> str:
    return re.sub(r"\s+", " ", text, flags=re.ASCII).translate(ASCII_UPPER)


def spelled_type(type_: str) -> str:
    """Spell a type that PostgreSQL has several names for always in the same way.

    Args:
        type_: The type as in DDL.
    """
    normal = normalize_type(type_)
    word = _word(normal)
    if word == "CHARACTER":
        varying = normal.startswith("CHARACTER VARYING")
        return ("VARCHAR" if varying else "CHAR") + normal[len(word) + 8 * varying :]
    return _SPELLED.get(word, word) + normal[len(word) :]


def is_builtin(type_: str) -> bool:
    """Tell whether every PostgreSQL has a type.

    Args:
        type_: The type as in DDL.
    """
    return _word(normalize_type(type_)) in _OTHER_BUILTIN


def is_mariadb(dialect: str) -> bool:
    """Tell whether a dialect is MariaDB's, by either of the names that SQLAlchemy has for it.

    Args:
        dialect: SQLAlchemy's name of the dialect.
    """
    return dialect in ("mariadb", "mysql")


def spelled_in_mariadb(type_: str) -> str:
    """Spell a type that MariaDB has several names for always in the same way.

    Args:
        type_: The type as in DDL, or as the catalogue tells it.
    """
    normal = _WIDTH.sub(lambda found: found[1] + " " * bool(found[2]), normalize_type(type_))
    word = _word(normal)
    if normal.startswith("DOUBLE PRECISION"):
        return "DOUBLE" + normal[len("DOUBLE PRECISION") :]
    if normal == "NUMERIC" or normal in ("DEC", "DECIMAL"):
        return "DECIMAL(10,0)"
    return _SPELLED_IN_MARIADB.get(word, word) + normal[len(word) :]


def unbounded_type(type_: str) -> str:
    """Take the length off a type of text: a cast would cut what is longer, without a word.

    Args:
        type_: The type as in DDL.
    """
    return _CHARACTERS.sub(lambda found: "BPCHAR" if found[1] else "VARCHAR", spelled_type(type_))


def _word(normal: str) -> str:
    return re.split(r"[ (\[]", normal, maxsplit=1)[0]


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
    word = _word(normal)
    found = _CLASS_OF.get(word)
    if normal.endswith("]"):
        found = "array"
    elif dialect in ("postgresql", "duckdb"):
        found = _OWN_CLASS_OF.get(word, found)
    elif is_mariadb(dialect):
        own = _OWN_CLASS_OF.get(word)
        found = own if own and own not in _NOT_OWN_IN_MARIADB else found
    if dialect == "duckdb" and found is None and word not in _OTHER_IN_DUCKDB:
        return "a named type"  # that of an enumeration is told by its values alone
    if dialect == "sqlite":
        if found == "time":
            return "text"
        return found or _CLASS_OF_AFFINITY[affinity(normal)]
    return found or word.lower()
