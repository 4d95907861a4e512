"""Saying in our words what is reported of a database that is damaged or cannot be read on."""

from __future__ import annotations

from landscape_compat.errors import (
    LandscapeCompatError,
    OpeningRefusedError,
    SourceChangedError,
    UnreadableError,
    printable,
)

__all__ = ["explain_change", "explain_encoding", "explain_fault", "explain_server"]

# Source: PostgreSQL manual, "Error Codes": character_not_in_repertoire, untranslatable_character.
_NOT_THAT_ENCODING = ("22021", "22P05")
# Source: https://www.sqlite.org/rescode.html, primary codes.
_ERROR, _BUSY, _LOCKED, _NOMEM, _IOERR, _CORRUPT, _CANTOPEN = 1, 5, 6, 7, 10, 11, 14
_TOOBIG, _NOTADB = 18, 26
# READONLY_RECOVERY, _CANTLOCK, _ROLLBACK, _DBMOVED, _CANTINIT, _DIRECTORY: what SQLite would have
# to write before it can read.
_CHANGED = (264, 520, 776, 1032, 1288, 1544)
# Of a schema that names what this SQLite does not have or will not run, by words of its own:
# the code is that of any error.
_SCHEMA_WORDS = (
    "malformed database schema",
    "unsupported file format",
    "unsafe use of",
    "no such module",
    "no such function",
    "vtable constructor failed",
    "error in view",
    "error in table",
    "is circularly defined",
    "no such tokenizer",
    "unknown tokenizer",
    "unknown database",
    "error in index",
    "no such collation sequence",
)
_SALVAGE = "Work on a copy: `sqlite3 COPY .recover` saves what can be saved."


def explain_fault(
    error: BaseException, database: str, *, table: str | None = None
) -> LandscapeCompatError | None:
    """Say what a driver's error means for the data, if it is about the database itself.

    Args:
        error: The driver's error, or SQLAlchemy's around it.
        database: The database's name for people.
        table: The table that was read, if one was.

    Returns:
        The typed error, to be raised from the driver's; None for an error of the statement's.
    """
    cause = getattr(error, "orig", None) or error
    text = str(cause)
    if text.startswith("Could not decode to UTF-8 column"):
        return UnreadableError(
            "A value is stored as text but is not valid UTF-8, so it cannot be given faithfully.",
            table=table,
            column=text.split("'")[1],
            remedy="Read that value's bytes with `CAST(... AS BLOB)` and keep the database itself.",
        )
    if isinstance(cause, UnicodeDecodeError):
        return UnreadableError(
            f"{database} has a name in its schema that is not valid UTF-8 "
            f"(Python says: {printable(text)}).",
            table=table,
            remedy=_SALVAGE,
        )
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None:
        # Python's own limits, and other drivers.
        known = any(words in text for words in ("malformed", "not a database", "too big"))
        code = _CORRUPT if known else 0

    def said(what: str) -> str:
        return f"{database} {what} (SQLite says: {printable(text)})."

    primary = code & 0xFF
    if primary in (_CORRUPT, _NOTADB):
        return UnreadableError(said("is damaged"), table=table, remedy=_SALVAGE)
    if primary == _ERROR and any(words in text for words in _SCHEMA_WORDS):
        return UnreadableError(
            said("has a schema that cannot be read safely"),
            table=table,
            remedy="Find out who put that into its schema; programs that keep records make tables. "
            "Export from a copy without it.",
        )
    if primary == _ERROR and "too many columns" in text:
        return UnreadableError(
            said("has a table with too many columns to be read at once"),
            table=table,
            remedy="Keep the database itself, or read the table in parts by SQL.",
        )
    # SQLCipher 4.12 has no better words for a page that was tampered with.
    if primary in (_IOERR, _CANTOPEN) or (primary == _ERROR and text == "SQL logic error"):
        return UnreadableError(
            said("could not be read to its end"),
            table=table,
            remedy="Check the disk or the network it lies on, and try again.",
        )
    if primary in (_NOMEM, _TOOBIG):
        return UnreadableError(
            said("holds a value that is too large to read"),
            table=table,
            remedy="Find the value with `SELECT rowid, length(column)`; if none is so large, the "
            "file is damaged.",
        )
    if primary in (_BUSY, _LOCKED):
        return OpeningRefusedError(
            said("is in use in a way that does not let others read"),
            table=table,
            remedy="Try again when the program that has it open is done.",
        )
    return None


def explain_server(
    error: BaseException, database: str, *, table: str | None = None
) -> LandscapeCompatError:
    """Say what it means for the data that a server, or its driver, fails a statement of ours.

    Args:
        error: The driver's error, or SQLAlchemy's around it.
        database: The database's name for people.
        table: The table that was read, if one was.

    Returns:
        The typed error, to be raised from the driver's.
    """
    cause = getattr(error, "orig", None) or error
    said = _first_line(cause)
    if getattr(error, "connection_invalidated", False):
        return LandscapeCompatError(
            f"The connection to {database} ended while it was read, so what was read is not all "
            f"of it ({said}).",
            table=table,
            remedy="Check the server and the network, and try again.",
        )
    return explain_encoding(error, database, table=table) or UnreadableError(
        f"{database} does not give what it stores ({said}).",
        table=table,
        remedy="Have its owner GRANT you to SELECT it, if that is lacking; a value that Python has "
        "no form for, such as 'infinity' or a moment before our era, can be read by SQL as text.",
    )


def explain_encoding(
    error: BaseException, database: str, *, table: str | None = None
) -> UnreadableError | None:
    """Say that a text on a server is not in the encoding that it is read in.

    Args:
        error: The driver's error, or SQLAlchemy's around it.
        database: The database's name for people.
        table: The table that was read, if one was.

    Returns:
        The typed error, to be raised from the driver's; None for any other error.
    """
    from landscape_compat.engine.servers import SERVERS

    cause = getattr(error, "orig", None) or error
    code = SERVERS["postgresql"].code_of(cause)
    if not isinstance(cause, UnicodeDecodeError) and code not in _NOT_THAT_ENCODING:
        return None
    return UnreadableError(
        f"{database} holds a text that is not in the encoding that it is read in "
        f"({_first_line(cause)}).",
        table=table,
        remedy="Name the encoding that all of its texts are in by `client_encoding` in its URL; if "
        "there is none, read that text by SQL as bytes: `convert_to(text, 'SQL_ASCII')`.",
    )


def _first_line(cause: BaseException) -> str:
    return printable((str(cause).strip().splitlines() or [type(cause).__name__])[0])


def explain_change(error: BaseException, database: str) -> SourceChangedError | None:
    """Say that an open file got into a state in which it must be opened in another way.

    SQLite has the same words for it as for a refused write.

    Args:
        error: The driver's error, or SQLAlchemy's around it.
        database: The database's name for people.

    Returns:
        The typed error, to be raised from the driver's; None for any other error.
    """
    cause = getattr(error, "orig", None) or error
    if getattr(cause, "sqlite_errorcode", None) not in _CHANGED:
        return None
    name = getattr(cause, "sqlite_errorname", "")
    return SourceChangedError(
        f"{database} was left by its writer in a state that cannot be read as it was opened "
        f"(SQLite says: {name}).",
        remedy="Connect again: it is then opened in the way that its state allows.",
    )
