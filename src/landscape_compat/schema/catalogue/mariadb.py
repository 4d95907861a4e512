"""The catalogue of MariaDB: what the connection's database stores, and those named besides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from landscape_compat.errors import AttachError
from landscape_compat.schema.catalogue.base import Catalogue, Moment, Wanted, ask
from landscape_compat.schema.shape import (
    ColumnShape,
    Hindrance,
    SchemaShape,
    TableKind,
    TableShape,
)
from landscape_compat.schema.types import spelled_in_mariadb

__all__ = ["catalogue", "lock_statement", "read_moment", "read_stored", "read_version"]

# The oldest that was tried.
_OLDEST = (10, 11)
_SESSION = """
    SELECT DATABASE(), @@lower_case_table_names, @@sql_mode, @@collation_database,
        @@character_set_client, @@character_set_connection, @@character_set_results"""
# A program may set how many rows a question without a limit is given; cut, what is stored would be
# taken for absent.
_ALL = "LIMIT 18446744073709551615"
# Source: https://mariadb.com/kb/en/information-schema-columns-table/ and the pages beside it.
# That a schema is compared with a constant spares the server all others.
_COLUMNS = f"""
    SELECT table_name, column_name, column_type, is_nullable, column_key, extra, collation_name,
        generation_expression
    FROM information_schema.columns WHERE table_schema = {{schema}} {{which}}
    ORDER BY table_name, ordinal_position {_ALL}"""
_TABLES = f"""
    SELECT table_name, table_type, engine, table_collation
    FROM information_schema.tables WHERE table_schema = {{schema}} {{which}} {_ALL}"""
_ORDER = """
    SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = {schema}"""
_SCHEMATA = f"SELECT schema_name FROM information_schema.schemata {_ALL}"
# A program may set how long what is put together may be; cut, it would hide a change.
_VERSION = """
    SET STATEMENT group_concat_max_len = 4294967295 FOR
    SELECT concat_ws(' ', DATABASE(), @@sql_mode, @@character_set_client,
            @@character_set_connection, coalesce(@@character_set_results, ''), {digests}),
        @@session.tx_read_only = 1 AND @@session.tx_isolation = 'REPEATABLE-READ'
            AND @@in_transaction = 1"""
_DIGESTS = """
    (SELECT md5(coalesce(group_concat(concat_ws(' ', hex(table_name), hex(column_name),
            hex(column_type), is_nullable, column_key, hex(extra), coalesce(collation_name, ''),
            hex(privileges))
            ORDER BY table_name, ordinal_position), ''))
        FROM information_schema.columns WHERE table_schema = {schema} {which}),
    (SELECT md5(coalesce(group_concat(concat_ws(' ', hex(table_name), table_type,
            coalesce(engine, ''), coalesce(table_collation, '')) ORDER BY table_name), ''))
        FROM information_schema.tables WHERE table_schema = {schema} {which})"""
_KINDS: dict[str, TableKind] = {"VIEW": "view", "SYSTEM VIEW": "view", "SEQUENCE": "virtual"}
# What tells when a row was valid, where no columns are declared for it: the catalogue has them not.
_PERIOD = tuple(
    ColumnShape(name, "TIMESTAMP(6)", nullable=False, generated=True, hidden=True)
    for name in ("row_start", "row_end")
)
# These change what is a name, or a comment, or the end of a string, or make NULL of one.
_OTHER_MODES = frozenset({"ANSI_QUOTES", "EMPTY_STRING_IS_NULL", "NO_BACKSLASH_ESCAPES", "ORACLE"})
# In others a byte above 127 may be a space, or a backslash the second half of a letter; and of
# letters that they lack, question marks are made.
_CHARACTER_SETS = ("utf8mb4", "utf8mb3", "utf8")
# Its results are sent as they are stored.
_UNCONVERTED = (None, "binary")
_NO_SUCH_TABLE, _NO_SUCH_DATABASE = 1146, 1049
_AS_UTF8 = "Connect with `?charset=utf8mb4` in the URL."


def catalogue(wanted: Wanted) -> Catalogue:
    """Make the catalogue reader for one reader's tables.

    Args:
        wanted: What the reader means of all that is stored.
    """
    return Catalogue(
        "",
        partial(read_stored, wanted=wanted),
        partial(read_version, wanted=wanted),
        partial(read_moment, wanted=wanted),
        partial(lock_statement, wanted=wanted),
        has_schemas=True,
    )


def read_stored(connection: Any, wanted: Wanted) -> SchemaShape:
    """Read every table of the connection's database, and the wanted ones of others.

    Args:
        connection: A raw DBAPI connection.
        wanted: What the reader means of all that is stored.

    Raises:
        AttachError: The connection is to no database.
    """
    ((home, folding, modes, collation, *characters),) = _rows(connection, _SESSION)
    if home is None:
        raise AttachError(
            "The connection is to no database, so bare names mean no tables.",
            remedy="Name the database in the URL.",
        )
    exact = int(folding) == 0
    # Of two that have a name, the last one is found.
    found = [*_tables(connection, home, ""), *_unreadable(connection, home, wanted)]
    engines = dict(_engines(connection, home, wanted))
    elsewhere = {}
    for schema in sorted(wanted.schemas - {home}):
        others = list(_tables(connection, schema, _which(wanted)))
        others += _unreadable(connection, schema, wanted)
        engines.update(_engines(connection, schema, wanted))
        orders = _rows(connection, _ORDER.format(schema=_literal(schema)))
        order = orders[0][0] if orders else ""
        elsewhere[schema] = SchemaShape.of(*others, schema=schema, exact=exact, collation=order)
    return SchemaShape.of(
        *found,
        schema=home,
        elsewhere=elsewhere,
        exact=exact,
        collation=collation,
        hindrance=_of_session(modes, characters)
        or _of_engines(engines)
        or _of_schemas(connection, {home, *wanted.schemas}),
    )


def read_version(connection: Any, wanted: Wanted) -> str:
    """Read a digest of the wanted tables' columns and engines, and how text is read.

    Args:
        connection: A raw DBAPI connection.
        wanted: What the reader means of all that is stored.

    Raises:
        AttachError: The server is no MariaDB, or one that is too old.
    """
    _check_version(connection)
    return str(read_moment(connection, wanted).version)


def read_moment(connection: Any, wanted: Wanted) -> Moment:
    """Read that digest, and whether the transaction reads only, from one snapshot.

    The digest tells what is stored now; it is the transaction's if the tables are locked.

    Args:
        connection: A raw DBAPI connection.
        wanted: What the reader means of all that is stored.
    """
    schemas = ["DATABASE()", *(_literal(schema) for schema in sorted(wanted.schemas))]
    digests = [_DIGESTS.format(schema=schema, which=_which(wanted)) for schema in schemas]
    ((version, is_fixed),) = _rows(connection, _VERSION.format(digests=", ".join(digests)))
    return Moment(version, bool(is_fixed))


def lock_statement(stored: SchemaShape, views: bool, wanted: Wanted) -> str:
    """Write the statement that keeps the wanted tables from being altered.

    Every statement locks the tables that it names until its transaction ends. This one reads no
    row; it names every column, so that who may read some of them only is told so by the server.

    Args:
        stored: What is stored.
        views: Whether views are locked, too.
        wanted: What the reader means of all that is stored.
    """
    folded = {name.casefold() for name in wanted.tables}
    kinds = ("table", "view") if views else ("table",)
    names = [
        f"{_quoted(table.schema)}.{_quoted(table.name)}"
        for schema in (stored, *stored.elsewhere.values())
        for table in schema
        if table.name.casefold() in folded and table.kind in kinds and table.readable
    ]
    return " UNION ALL ".join(
        f"(SELECT 1 FROM (SELECT t.* FROM {name} AS t LIMIT 0) AS x)" for name in names
    )


def _check_version(connection: Any) -> None:
    ((version,),) = _rows(connection, "SELECT VERSION()")
    number, _, rest = str(version).partition("-")
    if "MARIADB" not in rest.upper():
        raise AttachError(
            f"The server is MySQL {version}. What it does to a common table expression, and what "
            "its catalogue tells, was tried with MariaDB only.",
            remedy="Restore a dump of the database into MariaDB 10.11 or later.",
        )
    parts = tuple(int(part) for part in number.split(".")[:2])
    if parts < _OLDEST:
        raise AttachError(
            f"MariaDB {number} is older than any that this was tried with.",
            remedy="Use MariaDB 10.11 or later, for instance by restoring a dump there.",
        )


def _tables(connection: Any, schema: str, which: str) -> Iterator[TableShape]:
    columns: dict[str, list[ColumnShape]] = {}
    has_period = set[str]()
    asked = _COLUMNS.format(schema=_literal(schema), which=which)
    for table, name, type_, nullable, key, extra, collation, expression in _rows(connection, asked):
        if expression == "ROW START":
            has_period.add(table)
        columns.setdefault(table, []).append(
            ColumnShape(
                name=name,
                type=spelled_in_mariadb(type_),
                nullable=nullable == "YES",
                primary_key=key == "PRI",
                generated="GENERATED" in extra,
                computed="VIRTUAL GENERATED" in extra,
                collation=collation or "",
                hidden="INVISIBLE" in extra,
            )
        )
    asked = _TABLES.format(schema=_literal(schema), which=which)
    for table, kind, _, collation in _rows(connection, asked):
        is_implicit = kind == "SYSTEM VERSIONED" and table not in has_period
        yield TableShape(
            name=table,
            columns=(*columns.get(table, ()), *(_PERIOD if is_implicit else ())),
            kind=_KINDS.get(kind, "table"),
            has_rowid=False,
            schema=schema,
            collation=collation or "",
        )


def _unreadable(connection: Any, schema: str, wanted: Wanted) -> Iterator[TableShape]:
    """Find the wanted tables that this user may not read all of, whether they are shown or not.

    They are given no columns: whoever reads one gets the server's refusal, not an empty table, and
    no column that is there is taken for one that is not.
    """
    for name in sorted(wanted.tables):
        try:
            _rows(connection, f"SELECT * FROM {_quoted(schema)}.{_quoted(name)} LIMIT 0")
        except Exception as error:
            cause = getattr(error, "orig", None) or error  # SQLAlchemy's, where it asks for us
            if cause.args and cause.args[0] in (_NO_SUCH_TABLE, _NO_SUCH_DATABASE):
                continue
            yield TableShape(name, (), has_rowid=False, schema=schema, readable=False)


def _engines(connection: Any, schema: str, wanted: Wanted) -> Iterator[tuple[str, str]]:
    asked = _TABLES.format(schema=_literal(schema), which=_which(wanted))
    for table, kind, engine, _ in _rows(connection, asked):
        if _KINDS.get(kind, "table") == "table":
            yield f"{schema}.{table}", engine or "none that is known"


def _of_session(modes: str, characters: Sequence[str | None]) -> Hindrance | None:
    other = sorted(_OTHER_MODES & set(modes.split(",")))
    if other:
        return Hindrance(
            f"The session's sql_mode has {', '.join(other)}, by which the server reads the text of "
            "statements in another way than it is read here.",
            "Set another sql_mode for this engine's connections, for instance by "
            "connect_args={'init_command': \"SET sql_mode = 'STRICT_TRANS_TABLES'\"}.",
        )
    *read, shown = characters
    others = [name for name in read if name not in _CHARACTER_SETS]
    others += [] if shown in _UNCONVERTED or shown in _CHARACTER_SETS else [shown]
    if others:
        return Hindrance(
            f"The connection's character set is {others[0]}, in which the server reads spaces and "
            "names in another way than they are read here, or loses letters.",
            _AS_UTF8,
        )
    return None


def _of_engines(engines: Mapping[str, str]) -> Hindrance | None:
    others = sorted(f"{name} ({engine})" for name, engine in engines.items() if engine != "InnoDB")
    if not others:
        return None
    return Hindrance(
        f"Tables lie in a storage engine that has no snapshots: {', '.join(others)}. Rows of two "
        "moments could come in one answer.",
        "Read a copy of the database whose tables are InnoDB's.",
    )


def _of_schemas(connection: Any, wanted: Iterable[str]) -> Hindrance | None:
    """Find another database whose name differs from a wanted one by case alone."""
    names = [name for (name,) in _rows(connection, _SCHEMATA)]
    for schema in sorted(wanted):
        alike = [n for n in names if n != schema and n.casefold() == schema.casefold()]
        if alike:
            return Hindrance(
                f"The databases {schema!r} and {alike[0]!r} differ by the case of letters only, "
                "and so cannot be told apart in a statement.",
                "Declare it as it is stored, and let the user see one of them only.",
            )
    return None


def _which(wanted: Wanted) -> str:
    # Compared without regard to case: a name that differs by that only is to be noticed, too.
    names = ", ".join(map(_literal, sorted(wanted.tables))) or "''"
    return f"AND table_name IN ({names})"


def _literal(text: str) -> str:
    # As bytes: however the session escapes them, and whatever a driver takes for a placeholder.
    return f"CONVERT(x'{text.encode().hex()}' USING utf8mb4)"


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _rows(connection: Any, sql: str) -> list[Sequence[Any]]:
    return [tuple(map(_text, row)) for row in ask(connection, sql)]


def _text(value: Any) -> Any:
    """Give as text what a driver gives as bytes, as mysqlclient does in a binary collation."""
    return value.decode() if isinstance(value, bytes | bytearray) else value
