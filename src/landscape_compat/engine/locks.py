"""Lock a SQLite connection to reading, in depth, and say what was refused in our words."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from types import MappingProxyType

from landscape_compat.errors import OpeningRefusedError, WriteRefusedError, printable

__all__ = [
    "IGNORED_PRAGMAS",
    "ON_PRAGMAS",
    "QUERY_PRAGMAS",
    "READ_PRAGMAS",
    "REFUSED_ACTIONS",
    "REFUSED_FUNCTIONS",
    "SESSION_PRAGMAS",
    "authorize",
    "explain_refusal",
    "lock_sqlite",
]

# What SQLite asks an authorizer about, and what is refused whatever its arguments.
REFUSED_ACTIONS: Mapping[int, str] = MappingProxyType(
    {
        sqlite3.SQLITE_INSERT: "inserts rows",
        sqlite3.SQLITE_UPDATE: "changes rows",
        sqlite3.SQLITE_DELETE: "deletes rows",
        sqlite3.SQLITE_CREATE_TABLE: "creates a table",
        sqlite3.SQLITE_CREATE_INDEX: "creates an index",
        sqlite3.SQLITE_CREATE_VIEW: "creates a view",
        sqlite3.SQLITE_CREATE_TRIGGER: "creates a trigger",
        sqlite3.SQLITE_CREATE_VTABLE: "creates a virtual table",
        # Temporary objects hide stored ones of the same name, and are written to a file.
        sqlite3.SQLITE_CREATE_TEMP_TABLE: "creates a temporary table",
        sqlite3.SQLITE_CREATE_TEMP_INDEX: "creates a temporary index",
        sqlite3.SQLITE_CREATE_TEMP_VIEW: "creates a temporary view",
        sqlite3.SQLITE_CREATE_TEMP_TRIGGER: "creates a temporary trigger",
        sqlite3.SQLITE_DROP_TABLE: "drops a table",
        sqlite3.SQLITE_DROP_INDEX: "drops an index",
        sqlite3.SQLITE_DROP_VIEW: "drops a view",
        sqlite3.SQLITE_DROP_TRIGGER: "drops a trigger",
        sqlite3.SQLITE_DROP_VTABLE: "drops a virtual table",
        sqlite3.SQLITE_DROP_TEMP_TABLE: "drops a temporary table",
        sqlite3.SQLITE_DROP_TEMP_INDEX: "drops a temporary index",
        sqlite3.SQLITE_DROP_TEMP_VIEW: "drops a temporary view",
        sqlite3.SQLITE_DROP_TEMP_TRIGGER: "drops a temporary trigger",
        sqlite3.SQLITE_ALTER_TABLE: "alters a table",
        sqlite3.SQLITE_REINDEX: "rebuilds an index",
        sqlite3.SQLITE_ANALYZE: "stores statistics",
        # Attached databases open for writing, even the read-only one a second time; VACUUM,
        # also into another file, begins by attaching.
        sqlite3.SQLITE_ATTACH: "attaches a database, or vacuums",
        sqlite3.SQLITE_DETACH: "detaches a database",
    }
)

REFUSED_FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {
        "load_extension": "runs the code in a file",
        "fts3_tokenizer": "shows, or takes, an address in memory",
    }
)

# Pragmas that only read, with or without an argument, also as table functions.
READ_PRAGMAS = frozenset(
    (
        *("table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo"),
        *("foreign_key_list", "foreign_key_check", "integrity_check", "quick_check"),
        *("database_list", "collation_list", "function_list", "module_list", "pragma_list"),
        "compile_options",
    )
)

# Pragmas that read without an argument, and with one would change the file or the process.
QUERY_PRAGMAS = frozenset(
    (
        *("schema_version", "user_version", "application_id", "data_version", "encoding"),
        *("page_count", "freelist_count", "max_page_count", "default_cache_size"),
        *("soft_heap_limit", "hard_heap_limit", "legacy_alter_table"),
    )
)

# Pragmas that set something of this connection that no file ever holds.
SESSION_PRAGMAS: Mapping[str, str] = MappingProxyType(
    {
        "analysis_limit": "bounds an ANALYZE, which is refused",
        "automatic_index": "lets the planner index in memory",
        "busy_timeout": "how long to wait for a lock",
        "cache_size": "how many pages to keep in memory",
        "cache_spill": "when changed pages leave memory; there are none",
        "case_sensitive_like": "how LIKE compares",
        "defer_foreign_keys": "checked on writing only",
        "foreign_keys": "checked on writing only; programs insist that it reads as they set it",
        "ignore_check_constraints": "checked on writing only",
        "read_uncommitted": "concerns connections that share a cache; SQLAlchemy sends it",
        "recursive_triggers": "triggers run on writing only",
        "reverse_unordered_selects": "the order of rows that have none",
        "shrink_memory": "frees memory",
        "synchronous": "when to wait for the disk on writing",
        "temp_store": "where to sort; it drops temporary objects, of which there are none",
        "threads": "how many threads may sort",
    }
)

# Pragmas that are let pass and do nothing: programs send them to every connection they make,
# and an error would keep them from reading at all. They answer no row.
IGNORED_PRAGMAS: Mapping[str, str] = MappingProxyType(
    {
        "auto_vacuum": "the layout of a new file",
        "journal_mode": "rewrites the header when it changes",
        "journal_size_limit": "truncates files on writing",
        "locking_mode": "EXCLUSIVE would keep a live writer out",
        # Reading memory that another program truncates ends the process (SIGBUS).
        "mmap_size": "reads through memory that another program may truncate",
        "optimize": "may store statistics",
        "page_size": "the layout of a new file",
        # Programs switch it off when they leave a block that reads, to write again elsewhere.
        "query_only": "a lock; OFF would take it away",
        "secure_delete": "what deleting leaves behind",
        "wal_autocheckpoint": "when writing moves the WAL into the file",
    }
)

# Pragmas whose argument may only make the connection safer.
ON_PRAGMAS: Mapping[str, bool] = MappingProxyType(
    {
        "cell_size_check": True,
        "query_only": True,
        "trusted_schema": False,
        "writable_schema": False,
    }
)
_TRUE, _FALSE = frozenset({"1", "on", "yes", "true"}), frozenset({"0", "off", "no", "false"})

# What locks a connection besides the authorizer, and what each answers when it holds.
_LONGEST = 64 << 20
_PRAGMAS = (
    ("query_only", "ON", 1),
    ("trusted_schema", "OFF", 0),
    ("cell_size_check", "ON", 1),
    ("writable_schema", "OFF", 0),
    ("mmap_size", "0", 0),
)


def lock_sqlite(connection: sqlite3.Connection, *, size: int = 0) -> tuple[str, ...]:
    """Lock a connection so that nothing but reading is left.

    The file must have been opened read-only: closing a writable connection may change the file,
    which no lock here prevents.

    Args:
        connection: A raw connection; another driver's, if it has the same methods.
        size: How many bytes the database has: no value in it can be longer.

    Returns:
        The names of the locks that are in force now.

    Raises:
        OpeningRefusedError: This SQLite does not know one of the locks.
    """
    locks = [name for name, *_ in _PRAGMAS]
    cursor = connection.cursor()
    cursor.row_factory = None
    for name, setting, wanted in _PRAGMAS:
        cursor.execute(f"PRAGMA {name}={setting}").fetchall()
        answer = cursor.execute(f"PRAGMA {name}").fetchone()
        # Built without memory mapping, SQLite has no row for it.
        if answer != (wanted,) and (answer is not None or name != "mmap_size"):
            raise OpeningRefusedError(
                f"SQLite {sqlite3.sqlite_version} does not obey PRAGMA {name}={setting}, one of "
                "the locks that keep a database from being written to.",
                remedy="Use a Python with SQLite 3.35 or later.",
            )
    cursor.close()
    if hasattr(connection, "enable_load_extension"):
        connection.enable_load_extension(False)
        locks.append("no extensions")
    if hasattr(connection, "setlimit"):
        # Holds even after the authorizer is taken away, which SQL cannot do but Python can.
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        locks.append("no attaching")
        # A value that is longer than twice the file was not stored in it: a view or a generated
        # column made it up, to fill the memory.
        longest = min(max(_LONGEST, 2 * size), 2**31 - 1)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest)
        locks.append("length limit")
    defensive = getattr(sqlite3, "SQLITE_DBCONFIG_DEFENSIVE", None)  # Python 3.12
    if defensive is not None and hasattr(connection, "setconfig"):
        connection.setconfig(defensive, True)
        locks.append("defensive")
    connection.set_authorizer(authorize)
    return (*locks, "authorizer")


def authorize(
    action: int,
    first: str | None,
    second: str | None,
    database: str | None,
    source: str | None,
    /,
) -> int:
    """Admit reading, and nothing else; SQLite asks this when it prepares a statement.

    Args:
        action: What the statement would do.
        first: The table, pragma or other object concerned.
        second: The column, the pragma's argument, or the function.
        database: Where the object is.
        source: The view or trigger that asks for it.

    Returns:
        SQLite's word for yes, no, or let it pass and do nothing.
    """
    if action in _READING:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION:
        refused = _fold(second) in REFUSED_FUNCTIONS
        return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA:
        return _authorize_pragma(_fold(first), second)
    # SQLite declares its own virtual tables (json_each, pragma_table_info) by the same code
    # that creates tables, and asks for this; an UPDATE of it still fails by itself.
    if action == sqlite3.SQLITE_UPDATE and first == "sqlite_master" and database == "main":
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


_READING = frozenset(
    (
        *(sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE),
        *(sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT),
    )
)


def _authorize_pragma(name: str, argument: str | None) -> int:
    if name in READ_PRAGMAS or name in SESSION_PRAGMAS:
        return sqlite3.SQLITE_OK
    if name in ON_PRAGMAS:
        wanted = _TRUE if ON_PRAGMAS[name] else _FALSE
        if argument is None or argument.lower() in wanted:
            return sqlite3.SQLITE_OK
    if name in IGNORED_PRAGMAS:
        reads = argument is None and name != "optimize"
        return sqlite3.SQLITE_OK if reads else sqlite3.SQLITE_IGNORE
    if name in QUERY_PRAGMAS and argument is None:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _fold(name: str | None) -> str:
    return (name or "").lower()


_REMEDY = (
    "Export the database as it is (`landscape-compat export`), migrate a copy of it, "
    "or start a fresh database to write to."
)
_READONLY, _AUTH = 8, 23
# By these words in the driver's message, each with the lock that says them. Those of an error
# without a code, or with the code for any error.
_WORDS = {
    "not authorized to use function": "it calls a function that is not for reading",
    "not authorized": "it does more than read",
    "authorization denied": "it does more than read",
    "attempt to write a readonly database": "the database is open read-only",
    "may not be modified": "it changes a table of SQLite's own",
    "too many attached databases - max 0": "it attaches a database, or vacuums",
}


def explain_refusal(error: BaseException) -> WriteRefusedError | None:
    """Say that a driver's error is a refused write, if it is one.

    Args:
        error: The driver's error, or SQLAlchemy's around it.

    Returns:
        The typed error, to be raised from the driver's; None for any other error.
    """
    cause = getattr(error, "orig", None) or error
    if not any(kind.__name__ == "DatabaseError" for kind in type(cause).__mro__):
        return None
    message = str(cause)
    why = next((why for words, why in _WORDS.items() if words in message), None)
    code = getattr(cause, "sqlite_errorcode", None)
    if code == _AUTH:
        why = why or "it does more than read"
    elif code is not None and code & 0xFF == _READONLY and code != _READONLY:
        # The same words for a file that cannot be read: a hot journal, a -shm out of reach.
        return None
    elif code is not None and code & 0xFF not in (_READONLY, 1):
        return None
    if why is None:
        return None
    return WriteRefusedError(
        f"The statement was refused, because {why} ({printable(message)}); nothing was changed.",
        remedy=_REMEDY,
    )
