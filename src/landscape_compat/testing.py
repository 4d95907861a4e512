"""Help for tests of programs that are to read databases of their own older versions."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Executable,
    MetaData,
    Table,
    create_engine,
    inspect,
    text,
)
from sqlalchemy.types import TypeEngine

from landscape_compat.engine.attach import attach
from landscape_compat.engine.digests import digest_source
from landscape_compat.errors import RuleError
from landscape_compat.projection.rules import Rule, RuleSet
from landscape_compat.schema.shape import fold_name

__all__ = ["OlderDatabase", "require_equivalent", "source_untouched"]

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
Stored = Mapping[str, TypeEngine[Any]]
Migrate = Callable[[Connection], object]


class OlderDatabase:
    """A SQLite database that lacks some of what a program declares, beside its migrated copy.

    Args:
        folder: Where to make both.
        metadata: What the program declares.
        without: What the older version had not: `table`, or `table.column`.
        stored: Columns that it had instead: `table.column` to its type.
        rows: Table to the rows that the older version wrote.
        rules: Where values that are not stored come from.
        migrate: Brings the copy up to date, as the program's own migration does. Without it,
            missing tables and columns are added, and stay empty.

    Raises:
        RuleError: Something in `without` or `stored` is of no declared table.

    Attributes:
        path: The older database's file.
        engine: An engine on it, attached.
        migrated: An engine on the migrated copy, as if there were no shim.
    """

    def __init__(
        self,
        folder: Path,
        metadata: MetaData,
        *,
        without: Collection[str] = (),
        stored: Stored | None = None,
        rows: Rows | None = None,
        rules: RuleSet | Sequence[Rule] = (),
        migrate: Migrate | None = None,
    ) -> None:
        self.path = folder / "older.db"
        older = _older(metadata, frozenset(without), stored or {})
        copy = folder / "migrated.db"
        for path in (self.path, copy):
            engine = create_engine(f"sqlite:///{path}")
            with engine.begin() as connection:
                older.create_all(connection)
                for name, given in (rows or {}).items():
                    if given:
                        connection.execute(older.tables[name].insert(), list(given))
                if path == copy and migrate is not None:
                    migrate(connection)
                elif path == copy:
                    _add_what_is_missing(connection, metadata)
            engine.dispose()
        self.engine: Engine = create_engine(f"sqlite:///{self.path}")
        self.migrated: Engine = create_engine(f"sqlite:///{copy}")
        self._attachment = attach(self.engine, metadata, rules=rules)

    def close(self) -> None:
        """Close every connection."""
        self._attachment.detach()
        self.engine.dispose()
        self.migrated.dispose()


def require_equivalent(query: str | Executable, older: OlderDatabase) -> None:
    """Check that a query answers through the shim as it does on the migrated copy.

    Args:
        query: What is asked of both: SQL text, or anything that a connection executes.
        older: Both databases.

    Raises:
        AssertionError: The answers differ in a row, in the type of a value, or in the columns'
            names; the order of rows counts where the query says ORDER BY.
    """
    asked = text(query) if isinstance(query, str) else query
    with older.migrated.connect() as connection:
        expected = _answer(connection, asked)
    with older.engine.connect() as connection:
        found = _answer(connection, asked)
    if "ORDER BY" in str(asked).upper():
        assert found == expected
    else:
        assert (found[0], Counter(found[1])) == (expected[0], Counter(expected[1]))


@contextmanager
def source_untouched(path: str | os.PathLike[str]) -> Iterator[None]:
    """Check that a block leaves a database file as it was.

    Args:
        path: The file.

    Raises:
        AssertionError: Its bytes, those of its `-wal` or `-journal`, its time stamps, or the
            names in its folder differ afterwards.
    """
    file = Path(path).resolve()
    before = _state(file)
    yield
    after = _state(file)
    changed = [name for name in before if before[name] != after[name]]
    assert not changed, f"{file} was not left alone: {', '.join(changed)} changed"


def _state(file: Path) -> dict[str, object]:
    found = file.stat()
    return {
        "bytes": digest_source(file),
        "time of last change": found.st_mtime_ns,
        "size": found.st_size,
        "names in the folder": sorted(path.name for path in file.parent.iterdir()),
    }


def _older(metadata: MetaData, without: frozenset[str], stored: Stored) -> MetaData:
    """Declare what the older version had."""
    declared = metadata.tables.values()
    paths = {table.name for table in declared}
    paths |= {f"{table.name}.{column.name}" for table in declared for column in table.columns}
    strange = (without - paths) | {path for path in stored if path.partition(".")[0] not in paths}
    if strange:
        raise RuleError(f"The metadata declares nothing of the name {min(strange)!r}.")
    older = MetaData()
    for table in declared:
        if table.name in without:
            continue
        columns = [
            Column(c.name, c.type, primary_key=c.primary_key, nullable=c.nullable)
            for c in table.columns
            if f"{table.name}.{c.name}" not in without
        ]
        own = {name: type_ for path, type_ in stored.items() if (name := _of(table, path))}
        Table(table.name, older, *columns, *(Column(name, type_) for name, type_ in own.items()))
    return older


def _of(table: Table, path: str) -> str:
    name, _, column = path.partition(".")
    return column if name == table.name else ""


def _add_what_is_missing(connection: Connection, metadata: MetaData) -> None:
    metadata.create_all(connection)
    inspector = inspect(connection)
    quote = connection.dialect.identifier_preparer.quote
    for table in metadata.tables.values():
        stored = {fold_name(column["name"]) for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if fold_name(column.name) not in stored:
                type_ = column.type.compile(connection.dialect)
                connection.exec_driver_sql(
                    f"ALTER TABLE {quote(table.name)} ADD COLUMN {quote(column.name)} {type_}"
                )


def _answer(connection: Connection, asked: Executable) -> tuple[tuple[str, ...], list[Any]]:
    found = connection.execute(asked)
    names = tuple(found.keys())
    return names, [tuple((type(cell).__name__, repr(cell)) for cell in row) for row in found]
